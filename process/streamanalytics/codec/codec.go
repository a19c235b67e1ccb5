// Package codec has what all saved states are written with and read by. States
// come from disk, so reading never panics and never takes more memory than the
// bytes that are there account for, whatever they are.
package codec

import (
	"encoding/binary"
	"fmt"
	"math"

	"millrace/process/streamanalytics/value"
)

// AppendUint appends a number in as many bytes as it needs.
func AppendUint(dst []byte, n uint64) []byte { return binary.AppendUvarint(dst, n) }

// AppendInt is AppendUint for numbers with a sign.
func AppendInt(dst []byte, n int64) []byte { return binary.AppendVarint(dst, n) }

// AppendFixed appends a number in eight bytes.
func AppendFixed(dst []byte, n uint64) []byte { return binary.LittleEndian.AppendUint64(dst, n) }

// AppendFloat appends a float, bit for bit.
func AppendFloat(dst []byte, f float64) []byte { return AppendFixed(dst, math.Float64bits(f)) }

// AppendBool appends a byte, 1 for true.
func AppendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendBytes appends text with its length in front.
func AppendBytes[T []byte | string](dst []byte, b T) []byte {
	return append(AppendUint(dst, uint64(len(b))), b...)
}

// Decoder reads what the functions above wrote. After the first fault all it
// reads is zero, so that a reader needs to look at Err only where it loops or
// takes what it read for sound.
type Decoder struct {
	rest    []byte
	err     error
	damaged error
}

// NewDecoder reads b. Its errors wrap damaged.
func NewDecoder(b []byte, damaged error) *Decoder { return &Decoder{rest: b, damaged: damaged} }

// Err returns the first fault.
func (d *Decoder) Err() error { return d.err }

// Rest returns the bytes that were not read yet, nil after a fault.
func (d *Decoder) Rest() []byte { return d.rest }

// Fail notes a fault, unless there was one.
func (d *Decoder) Fail(what string) { d.FailWith(fmt.Errorf("%w: %s", d.damaged, what)) }

// FailWith notes an error that is no damage of the bytes.
func (d *Decoder) FailWith(err error) {
	if d.err == nil {
		d.err = err
	}
	d.rest = nil
}

// Byte reads one byte.
func (d *Decoder) Byte() byte {
	if len(d.rest) == 0 {
		d.Fail("it ends too early")
		return 0
	}
	c := d.rest[0]
	d.rest = d.rest[1:]
	return c
}

// Bool reads what AppendBool wrote.
func (d *Decoder) Bool() bool {
	c := d.Byte()
	if c > 1 {
		d.Fail("a truth value is neither")
	}
	return c == 1
}

// Uint reads what AppendUint wrote.
func (d *Decoder) Uint() uint64 {
	n, size := binary.Uvarint(d.rest)
	if size <= 0 {
		d.Fail("a number is cut off")
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// Int reads what AppendInt wrote.
func (d *Decoder) Int() int64 {
	n, size := binary.Varint(d.rest)
	if size <= 0 {
		d.Fail("a number is cut off")
		return 0
	}
	d.rest = d.rest[size:]
	return n
}

// Fixed reads what AppendFixed wrote.
func (d *Decoder) Fixed() uint64 {
	if len(d.rest) < 8 {
		d.Fail("it ends too early")
		return 0
	}
	n := binary.LittleEndian.Uint64(d.rest)
	d.rest = d.rest[8:]
	return n
}

// Float reads what AppendFloat wrote.
func (d *Decoder) Float() float64 { return math.Float64frombits(d.Fixed()) }

// Count reads the number of things that take at least each bytes (1 or more),
// which bounds what a damaged number can make a reader hold.
func (d *Decoder) Count(each int) int {
	n := d.Uint()
	if n > uint64(len(d.rest)/each) {
		d.Fail("a count is too large")
		return 0
	}
	return int(n)
}

// Index reads a number below n.
func (d *Decoder) Index(n int) int {
	i := d.Uint()
	if i >= uint64(n) {
		d.Fail("a reference leads nowhere")
		return 0
	}
	return int(i)
}

// Bytes reads what AppendBytes wrote, as a view.
func (d *Decoder) Bytes() []byte {
	n := d.Count(1)
	b := d.rest[:n:n]
	d.rest = d.rest[n:]
	return b
}

// Text is Bytes as a string of its own.
func (d *Decoder) Text() string { return string(d.Bytes()) }

// Value reads what value.Value.AppendState wrote. It owns its memory.
func (d *Decoder) Value() (v value.Value) {
	d.Part(func(b []byte) (rest []byte, err error) {
		v, rest, err = value.ReadState(b)
		return rest, err
	})
	return v
}

// Part lets f read what another package wrote. f is not called after a fault.
func (d *Decoder) Part(f func(b []byte) (rest []byte, err error)) {
	if d.err != nil {
		return
	}
	rest, err := f(d.rest)
	if err != nil {
		d.FailWith(fmt.Errorf("%w: %w", d.damaged, err))
		return
	}
	d.rest = rest
}
