package amqp

import (
	"encoding/binary"
	"fmt"
	"math"
)

var be = binary.BigEndian

// AppendValue appends the encoding of v, in the shortest form that every client
// reads. v is nil, bool, int8 to int64, uint8 to uint64, float32, float64, Char,
// Timestamp, UUID, a decimal, []byte, string, Symbol, Map, List, []Symbol,
// []string, Array or Described; any other type is a mistake of the program and
// panics. []Symbol and []string become arrays. Nil slices become null.
func AppendValue(dst []byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return append(dst, codeNull)
	case bool:
		return appendBool(dst, v)
	case string:
		return AppendString(dst, v)
	case Symbol:
		return AppendSymbol(dst, v)
	case []byte:
		return appendBinary(dst, v)
	case int32:
		return appendInt(dst, v)
	case int64:
		return appendLong(dst, v)
	case uint32:
		return appendUint(dst, v)
	case uint64:
		return appendUlong(dst, v)
	case Map:
		return appendMap(dst, v)
	case List:
		return appendList(dst, v)
	case Described:
		dst = append(dst, codeDescribed)
		dst = AppendValue(dst, v.Descriptor)
		return AppendValue(dst, v.Value)
	}
	return appendRare(dst, v)
}

func appendRare(dst []byte, v any) []byte {
	switch v := v.(type) {
	case []Symbol:
		return appendSymbols(dst, v)
	case []string:
		return appendStrings(dst, v)
	case Array:
		return appendArray(dst, v)
	case int8, uint8, int16, uint16, float32, float64, Char, Timestamp, UUID, Decimal32, Decimal64, Decimal128:
		c := constructor(v)
		return appendElement(append(dst, c), c, v)
	}
	panic(fmt.Sprintf("amqp: a value of type %T cannot be encoded", v))
}

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, codeTrue)
	}
	return append(dst, codeFalse)
}

func appendUint(dst []byte, v uint32) []byte {
	switch {
	case v == 0:
		return append(dst, codeUint0)
	case v < 256:
		return append(dst, codeSmallUint, byte(v))
	}
	return append(dst, codeUint, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
}

func appendUlong(dst []byte, v uint64) []byte {
	switch {
	case v == 0:
		return append(dst, codeUlong0)
	case v < 256:
		return append(dst, codeSmallUlong, byte(v))
	}
	return be.AppendUint64(append(dst, codeUlong), v)
}

func appendInt(dst []byte, v int32) []byte {
	if v >= math.MinInt8 && v <= math.MaxInt8 {
		return append(dst, codeSmallInt, byte(v))
	}
	return be.AppendUint32(append(dst, codeInt), uint32(v))
}

func appendLong(dst []byte, v int64) []byte {
	if v >= math.MinInt8 && v <= math.MaxInt8 {
		return append(dst, codeSmallLong, byte(v))
	}
	return be.AppendUint64(append(dst, codeLong), uint64(v))
}

// AppendString appends the encoding of a string.
func AppendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	return append(appendVariable(dst, codeStr8, len(s)), s...)
}

// AppendSymbol appends the encoding of a symbol.
func AppendSymbol[S ~string | ~[]byte](dst []byte, s S) []byte {
	return append(appendVariable(dst, codeSym8, len(s)), s...)
}

// AppendLong appends the encoding of a 64-bit signed integer.
func AppendLong(dst []byte, v int64) []byte { return appendLong(dst, v) }

// AppendTimestamp appends the encoding of a timestamp.
func AppendTimestamp(dst []byte, v Timestamp) []byte {
	return be.AppendUint64(append(dst, codeTimestamp), uint64(v))
}

func appendBinary(dst, v []byte) []byte {
	if v == nil {
		return append(dst, codeNull)
	}
	return append(appendVariable(dst, codeBin8, len(v)), v...)
}

// appendVariable appends a constructor of variable width and n, the length of
// what follows. short is the constructor for a length of one byte.
func appendVariable(dst []byte, short byte, n int) []byte {
	if n < 256 {
		return append(dst, short, byte(n))
	}
	return be.AppendUint32(append(dst, short+0x10), uint32(n))
}

func appendList(dst []byte, l List) []byte {
	if l == nil {
		return append(dst, codeNull)
	}
	dst, start := openCompound(dst, codeList8)
	for _, v := range l {
		dst = AppendValue(dst, v)
	}
	return closeCompound(dst, start, len(l))
}

func appendMap(dst []byte, m Map) []byte {
	if m == nil {
		return append(dst, codeNull)
	}
	dst, start := openCompound(dst, codeMap8)
	for i := range m {
		dst = AppendValue(dst, m[i].Key)
		dst = AppendValue(dst, m[i].Value)
	}
	return closeCompound(dst, start, 2*len(m))
}

// openCompound begins a list, map or array in its short form; closeCompound
// fills in size and count, and makes room for the long form if it needs that.
func openCompound(dst []byte, short byte) (_ []byte, start int) {
	return append(dst, short, 0, 0), len(dst)
}

func closeCompound(dst []byte, start, count int) []byte {
	body := len(dst) - start - 3
	if body+1 < 256 && count < 256 {
		dst[start+1], dst[start+2] = byte(body+1), byte(count)
		return dst
	}
	dst = append(dst, 0, 0, 0, 0, 0, 0)
	copy(dst[start+9:], dst[start+3:len(dst)-6])
	dst[start] += 0x10
	be.PutUint32(dst[start+1:], uint32(body+4))
	be.PutUint32(dst[start+5:], uint32(count))
	return dst
}
