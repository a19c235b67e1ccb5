package amqp

import (
	"fmt"
	"math"
	"slices"
)

func appendSymbols(dst []byte, v []Symbol) []byte {
	if v == nil {
		return append(dst, codeNull)
	}
	return appendTexts(dst, v, codeSym8)
}

func appendStrings(dst []byte, v []string) []byte {
	if v == nil {
		return append(dst, codeNull)
	}
	return appendTexts(dst, v, codeStr8)
}

// appendTexts appends an array of strings or symbols: the constructor once,
// then the elements.
func appendTexts[S ~string](dst []byte, v []S, short byte) []byte {
	dst, start := openCompound(dst, codeArray8)
	if slices.ContainsFunc(v, func(s S) bool { return len(s) > 255 }) {
		dst = append(dst, short+0x10)
		for _, s := range v {
			dst = append(be.AppendUint32(dst, uint32(len(s))), s...)
		}
	} else {
		dst = append(dst, short)
		for _, s := range v {
			dst = append(append(dst, byte(len(s))), s...)
		}
	}
	return closeCompound(dst, start, len(v))
}

// appendArray appends an array whose elements all have the type of the first.
func appendArray(dst []byte, v Array) []byte {
	if v == nil {
		return append(dst, codeNull)
	}
	dst, start := openCompound(dst, codeArray8)
	dst = appendElements(dst, v)
	return closeCompound(dst, start, len(v))
}

// appendElements appends the constructor of an array and its elements.
func appendElements(dst []byte, v []any) []byte {
	if len(v) == 0 {
		return append(dst, codeNull)
	}
	if first, ok := v[0].(Described); ok {
		dst = AppendValue(append(dst, codeDescribed), first.Descriptor)
		values := make([]any, len(v))
		for i := range v {
			values[i] = v[i].(Described).Value
		}
		return appendElements(dst, values)
	}
	c := constructor(v[0])
	dst = append(dst, c)
	for _, e := range v {
		if k := constructor(e); k != c {
			panic(fmt.Sprintf("amqp: an array of %T with an element of type %T", v[0], e))
		}
		dst = appendElement(dst, c, e)
	}
	return dst
}

// constructor returns the widest constructor of v's type, which is what all
// elements of an array can share.
func constructor(v any) byte {
	switch v.(type) {
	case nil:
		return codeNull
	case bool:
		return codeBool
	case uint8:
		return codeUbyte
	case int8:
		return codeByte
	case uint16:
		return codeUshort
	case int16:
		return codeShort
	case uint32:
		return codeUint
	case int32:
		return codeInt
	case float32:
		return codeFloat
	case Char:
		return codeChar
	case Decimal32:
		return codeDecimal32
	case uint64:
		return codeUlong
	case int64:
		return codeLong
	case float64:
		return codeDouble
	case Timestamp:
		return codeTimestamp
	case Decimal64:
		return codeDecimal64
	case Decimal128:
		return codeDecimal128
	case UUID:
		return codeUUID
	}
	return wideConstructor(v)
}

func wideConstructor(v any) byte {
	switch v.(type) {
	case []byte:
		return codeBin32
	case string:
		return codeStr32
	case Symbol:
		return codeSym32
	case List:
		return codeList32
	case Map:
		return codeMap32
	case []Symbol, []string, Array:
		return codeArray32
	}
	panic(fmt.Sprintf("amqp: a value of type %T cannot be encoded", v))
}

// appendElement appends v without its constructor c.
func appendElement(dst []byte, c byte, v any) []byte {
	switch v := v.(type) {
	case nil:
		return dst
	case bool:
		if v {
			return append(dst, 1)
		}
		return append(dst, 0)
	case uint8:
		return append(dst, v)
	case int8:
		return append(dst, byte(v))
	case uint16:
		return be.AppendUint16(dst, v)
	case int16:
		return be.AppendUint16(dst, uint16(v))
	case uint32:
		return be.AppendUint32(dst, v)
	case int32:
		return be.AppendUint32(dst, uint32(v))
	case float32:
		return be.AppendUint32(dst, math.Float32bits(v))
	case Char:
		return be.AppendUint32(dst, uint32(v))
	case uint64:
		return be.AppendUint64(dst, v)
	case int64:
		return be.AppendUint64(dst, uint64(v))
	case float64:
		return be.AppendUint64(dst, math.Float64bits(v))
	case Timestamp:
		return be.AppendUint64(dst, uint64(v))
	case Decimal32:
		return append(dst, v[:]...)
	case Decimal64:
		return append(dst, v[:]...)
	case Decimal128:
		return append(dst, v[:]...)
	case UUID:
		return append(dst, v[:]...)
	}
	return appendWide(dst, c, v)
}

func appendWide(dst []byte, c byte, v any) []byte {
	switch v := v.(type) {
	case []byte:
		return append(be.AppendUint32(dst, uint32(len(v))), v...)
	case string:
		return append(be.AppendUint32(dst, uint32(len(v))), v...)
	case Symbol:
		return append(be.AppendUint32(dst, uint32(len(v))), v...)
	}
	// Size and count of four bytes each, then what the value consists of.
	start, count := len(dst), 0
	dst = append(dst, 0, 0, 0, 0, 0, 0, 0, 0)
	switch v := v.(type) {
	case List:
		count = len(v)
		for _, e := range v {
			dst = AppendValue(dst, e)
		}
	case Map:
		count = 2 * len(v)
		for i := range v {
			dst = AppendValue(dst, v[i].Key)
			dst = AppendValue(dst, v[i].Value)
		}
	case []Symbol:
		count = len(v)
		dst = append(dst, codeSym32)
		for _, e := range v {
			dst = appendElement(dst, codeSym32, e)
		}
	case []string:
		count = len(v)
		dst = append(dst, codeStr32)
		for _, e := range v {
			dst = appendElement(dst, codeStr32, e)
		}
	case Array:
		count = len(v)
		dst = appendElements(dst, v)
	default:
		panic(fmt.Sprintf("amqp: a value of type %T cannot be encoded as %#x", v, c))
	}
	be.PutUint32(dst[start:], uint32(len(dst)-start-4))
	be.PutUint32(dst[start+4:], uint32(count))
	return dst
}
