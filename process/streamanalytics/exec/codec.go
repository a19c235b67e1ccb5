package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"millrace/process/streamanalytics/value"
)

// errState is a saved state that AppendState did not write.
var errState = errors.New("the saved state is damaged")

// decoder reads what the append functions below wrote. After the first fault
// all reads return zero values and err says what was wrong.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err = fmt.Errorf("%w: %s", errState, what)
	}
	d.b = nil
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail("a number is cut off")
		return 0
	}
	d.b = d.b[size:]
	return n
}

// count reads the number of things that take at least min bytes each, which
// bounds what a damaged count can make us allocate.
func (d *decoder) count(min int) int {
	n := d.uint()
	if d.err != nil {
		return 0
	}
	if n > uint64(len(d.b)/max(min, 1)) {
		d.fail("a count is too large")
		return 0
	}
	return int(n)
}

// index reads a number below n.
func (d *decoder) index(n int) int {
	i := d.uint()
	if d.err == nil && i >= uint64(n) {
		d.fail("a reference leads nowhere")
	}
	if d.err != nil {
		return 0
	}
	return int(i)
}

func (d *decoder) bool() bool { return d.byte() == 1 }

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail("it ends too early")
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) fixed() uint64 {
	if len(d.b) < 8 {
		d.fail("it ends too early")
		return 0
	}
	n := binary.LittleEndian.Uint64(d.b)
	d.b = d.b[8:]
	return n
}

func (d *decoder) float() float64 { return math.Float64frombits(d.fixed()) }

// bytes returns a view.
func (d *decoder) bytes() []byte {
	n := d.count(1)
	if d.err != nil {
		return nil
	}
	b := d.b[:n:n]
	d.b = d.b[n:]
	return b
}

func (d *decoder) value() value.Value {
	if d.err != nil {
		return value.Value{}
	}
	v, rest, err := value.ReadState(d.b)
	if err != nil {
		d.fail(err.Error())
		return value.Value{}
	}
	d.b = rest
	return v
}

// values reads a list of values.
func (d *decoder) values() []value.Value {
	n := d.count(1)
	if d.err != nil {
		return nil
	}
	out := make([]value.Value, n)
	for i := range out {
		out[i] = d.value()
	}
	return out
}

// row reads the slots of a row that must have so many.
func (d *decoder) row(width int) ([]value.Value, int64) {
	slots := d.values()
	if d.err == nil && len(slots) != width {
		d.fail("a row has the wrong number of values")
	}
	return slots, sizeOf(slots)
}

// sizeOf is the memory of values, as cloneSlots counts it.
func sizeOf(slots []value.Value) int64 {
	size := int64(len(slots)) * valueSize
	for _, v := range slots {
		size += int64(v.MemSize())
	}
	return size
}

func appendUint(dst []byte, n uint64) []byte { return binary.AppendUvarint(dst, n) }
func appendInt(dst []byte, n int64) []byte   { return binary.AppendVarint(dst, n) }
func appendFixed(dst []byte, n uint64) []byte {
	return binary.LittleEndian.AppendUint64(dst, n)
}
func appendFloat(dst []byte, f float64) []byte { return appendFixed(dst, math.Float64bits(f)) }

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendBytes[T []byte | string](dst []byte, b T) []byte {
	return append(appendUint(dst, uint64(len(b))), b...)
}

func appendValues(dst []byte, slots []value.Value) []byte {
	dst = appendUint(dst, uint64(len(slots)))
	for _, v := range slots {
		dst = v.AppendState(dst)
	}
	return dst
}

// appendBlock appends what f writes, with its length in front.
func appendBlock(dst []byte, f func([]byte) ([]byte, error)) ([]byte, error) {
	at := len(dst)
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	dst, err := f(dst)
	if err != nil {
		return dst, err
	}
	binary.LittleEndian.PutUint64(dst[at:], uint64(len(dst)-at-8))
	return dst, nil
}

// block reads what appendBlock wrote.
func (d *decoder) block() *decoder {
	n := d.fixed()
	if d.err == nil && n > uint64(len(d.b)) {
		d.fail("a part is cut off")
	}
	if d.err != nil {
		return &decoder{err: d.err}
	}
	in := &decoder{b: d.b[:n:n]}
	d.b = d.b[n:]
	return in
}

// end says that a block must have been read to its end.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail("a part is too long")
	}
	return d.err
}
