package function

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"millrace/process/streamanalytics/value"
)

// ErrState is what ReadState wraps when it gets bytes that AppendState did not
// write.
var ErrState = errors.New("damaged state of an aggregate")

func appendUint(dst []byte, n uint64) []byte { return binary.AppendUvarint(dst, n) }

func appendInt(dst []byte, n int64) []byte { return binary.AppendVarint(dst, n) }

func appendFloat(dst []byte, f float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// decoder reads what the append functions wrote. After the first fault all it
// reads is zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = ErrState
	}
	d.b = nil
}

// done returns what ReadState returns.
func (d *decoder) done(name string) ([]byte, error) {
	if d.err != nil {
		return nil, fmt.Errorf("reading the state of %s: %w", name, d.err)
	}
	return d.b, nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	c := d.b[0]
	d.b = d.b[1:]
	return c
}

func (d *decoder) uint() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) int() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) float() float64 {
	if len(d.b) < 8 {
		d.fail()
		return 0
	}
	f := math.Float64frombits(binary.LittleEndian.Uint64(d.b))
	d.b = d.b[8:]
	return f
}

// count reads the number of things that take at least each bytes, which bounds
// what damaged bytes can make us hold.
func (d *decoder) count(each int) int {
	n := d.uint()
	if n > uint64(len(d.b)/each) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) text() string {
	n := d.count(1)
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func (d *decoder) value() value.Value {
	if d.err != nil {
		return value.Value{}
	}
	v, rest, err := value.ReadState(d.b)
	if err != nil {
		d.err, d.b = fmt.Errorf("%w: %w", ErrState, err), nil
		return value.Value{}
	}
	d.b = rest
	return v
}
