package data

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/parquet-go/parquet-go/format"

	"millrace/connector/delta/schema"
)

// bounds are the smallest and the largest value of a leaf.
type bounds struct {
	// some tells that there was a value.
	some bool
	// unknown tells that no bounds hold: a NaN was among the values.
	unknown             bool
	lowInt, highInt     int64
	lowFloat, highFloat float64
	lowBytes, highBytes []byte
}

func (b *bounds) reset() {
	b.some, b.unknown = false, false
	b.lowBytes, b.highBytes = b.lowBytes[:0], b.highBytes[:0]
}

func (b *bounds) ints(low, high int64) {
	if !b.some {
		b.some, b.lowInt, b.highInt = true, low, high
		return
	}
	b.lowInt, b.highInt = min(b.lowInt, low), max(b.highInt, high)
}

// floats takes bounds that are no NaN.
func (b *bounds) floats(low, high float64) {
	if !b.some {
		b.some, b.lowFloat, b.highFloat = true, low, high
		return
	}
	b.lowFloat, b.highFloat = min(b.lowFloat, low), max(b.highFloat, high)
}

// text takes one value of bytes, as compare orders them.
func (b *bounds) text(v []byte, compare func(a, b []byte) int) {
	if !b.some {
		b.some = true
		b.lowBytes, b.highBytes = append(b.lowBytes[:0], v...), append(b.highBytes[:0], v...)
		return
	}
	if compare(v, b.lowBytes) < 0 {
		b.lowBytes = append(b.lowBytes[:0], v...)
	} else if compare(v, b.highBytes) > 0 {
		b.highBytes = append(b.highBytes[:0], v...)
	}
}

// merge takes the bounds of more values of the same leaf.
func (b *bounds) merge(o *bounds, f *leaf) {
	b.unknown = b.unknown || o.unknown
	if !o.some {
		return
	}
	switch f.physical {
	case format.Int32, format.Int64:
		b.ints(o.lowInt, o.highInt)
	case format.Float, format.Double:
		b.floats(o.lowFloat, o.highFloat)
	case format.ByteArray, format.FixedLenByteArray:
		compare := f.compare()
		b.text(o.lowBytes, compare)
		b.text(o.highBytes, compare)
	}
}

// compare returns how bytes of the leaf are ordered.
func (f *leaf) compare() func(a, b []byte) int {
	if _, ok := f.typ.(schema.Decimal); ok {
		return compareDecimals
	}
	return bytes.Compare
}

// compareDecimals compares two's complement numbers of the same size, the most
// significant byte first.
func compareDecimals(a, b []byte) int {
	if n, m := int8(a[0]), int8(b[0]); n != m {
		return int(n) - int(m)
	}
	return bytes.Compare(a[1:], b[1:])
}

// page takes the values of a page, as it holds them.
func (b *bounds) page(f *leaf, values []byte) {
	if len(values) == 0 {
		return
	}
	switch f.physical {
	case format.Int32:
		low, high := int32(math.MaxInt32), int32(math.MinInt32)
		for ; len(values) >= 4; values = values[4:] {
			v := int32(binary.LittleEndian.Uint32(values))
			low, high = min(low, v), max(high, v)
		}
		b.ints(int64(low), int64(high))
	case format.Int64:
		low, high := int64(math.MaxInt64), int64(math.MinInt64)
		for ; len(values) >= 8; values = values[8:] {
			v := int64(binary.LittleEndian.Uint64(values))
			low, high = min(low, v), max(high, v)
		}
		b.ints(low, high)
	case format.Float:
		b.floatPage(values, 4, func(v []byte) float64 {
			return float64(math.Float32frombits(binary.LittleEndian.Uint32(v)))
		})
	case format.Double:
		b.doublePage(values)
	case format.ByteArray:
		for len(values) > 0 {
			n := int(binary.LittleEndian.Uint32(values))
			b.text(values[4:4+n], bytes.Compare)
			values = values[4+n:]
		}
	case format.FixedLenByteArray:
		compare := f.compare()
		for ; len(values) > 0; values = values[f.length:] {
			b.text(values[:f.length], compare)
		}
	}
}

// doublePage is floatPage for the type that there is most of.
func (b *bounds) doublePage(values []byte) {
	low, high := math.Inf(1), math.Inf(-1)
	sum := 0.0
	for ; len(values) >= 8; values = values[8:] {
		v := math.Float64frombits(binary.LittleEndian.Uint64(values))
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
		// 0 unless v is a NaN or an infinity; then it stays a NaN.
		sum += v * 0
	}
	b.floatsSeen(low, high, sum)
}

func (b *bounds) floatPage(values []byte, size int, read func([]byte) float64) {
	low, high := math.Inf(1), math.Inf(-1)
	sum := 0.0
	for ; len(values) >= size; values = values[size:] {
		v := read(values)
		if v < low {
			low = v
		}
		if v > high {
			high = v
		}
		sum += v * 0
	}
	b.floatsSeen(low, high, sum)
}

// floatsSeen takes the bounds of a page. They hold if there were no NaN;
// infinities count as if they were, since a table's statistics cannot say them.
func (b *bounds) floatsSeen(low, high, sum float64) {
	if sum != 0 {
		b.unknown = true
		return
	}
	b.floats(low, high)
}

// mostFooterText is the longest text that goes into a file's footer as a bound:
// a text that was cut would need a reader that knows.
const mostFooterText = 128

// footer sets the bounds of a column chunk.
func (b *bounds) footer(f *leaf, s *format.Statistics) {
	if !b.some || b.unknown {
		return
	}
	switch f.physical {
	case format.Int32:
		s.MinValue = binary.LittleEndian.AppendUint32(nil, uint32(b.lowInt))
		s.MaxValue = binary.LittleEndian.AppendUint32(nil, uint32(b.highInt))
	case format.Int64:
		s.MinValue = binary.LittleEndian.AppendUint64(nil, uint64(b.lowInt))
		s.MaxValue = binary.LittleEndian.AppendUint64(nil, uint64(b.highInt))
	case format.Float:
		low, high := zeros(b.lowFloat, b.highFloat)
		s.MinValue = binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(low)))
		s.MaxValue = binary.LittleEndian.AppendUint32(nil, math.Float32bits(float32(high)))
	case format.Double:
		low, high := zeros(b.lowFloat, b.highFloat)
		s.MinValue = binary.LittleEndian.AppendUint64(nil, math.Float64bits(low))
		s.MaxValue = binary.LittleEndian.AppendUint64(nil, math.Float64bits(high))
	case format.ByteArray, format.FixedLenByteArray:
		if len(b.lowBytes) <= mostFooterText && len(b.highBytes) <= mostFooterText {
			s.MinValue = append([]byte{}, b.lowBytes...)
			s.MaxValue = append([]byte{}, b.highBytes...)
		}
	}
}

// zeros widens bounds that are a zero to the zero of the right sign: values of
// both signs may be there.
func zeros(low, high float64) (float64, float64) {
	if low == 0 {
		low = math.Copysign(0, -1)
	}
	if high == 0 {
		high = 0
	}
	return low, high
}
