package exec

import (
	"encoding/binary"
	"errors"

	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/value"
)

// errState is a saved state that AppendState did not write.
var errState = errors.New("the saved state is damaged")

// decoder reads what the operators and the append functions below wrote.
type decoder struct{ *codec.Decoder }

func newDecoder(b []byte) *decoder { return &decoder{codec.NewDecoder(b, errState)} }

// sized reads a state of another package and returns by how many bytes it grew.
func (d *decoder) sized(s interface {
	Size() int
	ReadState(b []byte) (rest []byte, err error)
}) int64 {
	if d.Err() != nil {
		return 0
	}
	before := s.Size()
	d.Part(s.ReadState)
	return int64(s.Size() - before)
}

// values reads a list of values.
func (d *decoder) values() []value.Value {
	n := d.Count(1)
	if d.Err() != nil {
		return nil
	}
	out := make([]value.Value, n)
	for i := range out {
		out[i] = d.Value()
	}
	return out
}

// row reads the slots of a row that must have so many.
func (d *decoder) row(width int) ([]value.Value, int64) {
	slots := d.values()
	if d.Err() == nil && len(slots) != width {
		d.Fail("a row has the wrong number of values")
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

func appendValues(dst []byte, slots []value.Value) []byte {
	dst = codec.AppendUint(dst, uint64(len(slots)))
	for _, v := range slots {
		dst = v.AppendState(dst)
	}
	return dst
}

// appendBlock appends what f writes, with its length in front.
func appendBlock(dst []byte, f func([]byte) ([]byte, error)) ([]byte, error) {
	at := len(dst)
	dst = codec.AppendFixed(dst, 0)
	dst, err := f(dst)
	if err != nil {
		return dst, err
	}
	binary.LittleEndian.PutUint64(dst[at:], uint64(len(dst)-at-8))
	return dst, nil
}

// block reads what appendBlock wrote.
func (d *decoder) block() *decoder {
	n := d.Fixed()
	in := newDecoder(nil)
	d.Part(func(b []byte) (rest []byte, err error) {
		if n > uint64(len(b)) {
			return nil, errors.New("a part is cut off")
		}
		in = newDecoder(b[:n:n])
		return b[n:], nil
	})
	if err := d.Err(); err != nil {
		in.FailWith(err)
	}
	return in
}

// end says that a block must have been read to its end.
func (d *decoder) end() error {
	if d.Err() == nil && len(d.Rest()) > 0 {
		d.Fail("a part is too long")
	}
	return d.Err()
}
