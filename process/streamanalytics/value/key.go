package value

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

// all returns the elements of an array.
func (v Value) all() []Value {
	if v.form == built {
		return v.elements()
	}
	var es []Value
	for _, e := range v.Elements {
		es = append(es, e)
	}
	return es
}

// sorted returns the members of a record ordered by name, those of one name in
// their order.
func (v Value) sorted() []Member {
	var ms []Member
	for name, m := range v.Members {
		ms = append(ms, Member{Name: name, Value: m})
	}
	slices.SortStableFunc(ms, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	return ms
}

// The first byte of the key of each kind.
const (
	keyNull byte = iota
	keyInt
	keyFloat
	keyTime
	keyText
	keyArray
	keyRecord
)

// AppendKey appends bytes that are the same for two values exactly if Equal is
// true, and that no other key begins with: keys may be put one behind the
// other. Their order has no meaning. Scalars are not allocated for.
func (v Value) AppendKey(dst []byte) []byte {
	switch v.kind {
	case BigInt, Bit:
		return binary.LittleEndian.AppendUint64(append(dst, keyInt), v.num)
	case Float:
		return appendFloatKey(dst, v.Double())
	case DateTime:
		return binary.LittleEndian.AppendUint64(append(dst, keyTime), v.num)
	case String:
		return appendTextKey(append(dst, keyText), v.Str())
	case Array:
		es := v.all()
		dst = binary.AppendUvarint(append(dst, keyArray), uint64(len(es)))
		for _, e := range es {
			dst = e.AppendKey(dst)
		}
		return dst
	case Record:
		ms := v.sorted()
		dst = binary.AppendUvarint(append(dst, keyRecord), uint64(len(ms)))
		for _, m := range ms {
			dst = binary.AppendUvarint(dst, uint64(len(m.Name)))
			dst = append(dst, m.Name...)
			dst = m.Value.AppendKey(dst)
		}
		return dst
	}
	return append(dst, keyNull)
}

// appendFloatKey gives whole floats the key of their bigint.
func appendFloatKey(dst []byte, f float64) []byte {
	if f >= -1<<63 && f < 1<<63 && f == math.Trunc(f) {
		return Int(int64(f)).AppendKey(dst)
	}
	if f != f {
		f = math.NaN()
	}
	return binary.LittleEndian.AppendUint64(append(dst, keyFloat), math.Float64bits(f))
}
