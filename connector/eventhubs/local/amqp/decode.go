package amqp

import (
	"math"
	"unicode/utf8"
)

// MaxDepth is how deep values may be nested in each other.
const MaxDepth = 32

// ReadValue decodes the first value of b and returns what follows it. Errors
// are *Error with the condition amqp:decode-error. The value shares no memory
// with b. Its memory is bounded by a multiple of len(b), its depth by MaxDepth.
//
// Arrays of symbols and of strings come as []Symbol and []string, other arrays
// as Array; lists, maps and binaries are never nil, even when they are empty.
func ReadValue(b []byte) (v any, rest []byte, err error) {
	return readValue(b, 0)
}

// SkipValue returns what follows the first value of b. It looks at the value's
// size only; CheckValue looks inside.
func SkipValue(b []byte) (rest []byte, err error) {
	depth := 0
	// The descriptor of a described value may itself be described, so what is
	// to be skipped is a number of values.
	for n := 1; n > 0; n-- {
		if len(b) == 0 {
			return nil, errShort
		}
		if b[0] == codeDescribed {
			if depth++; depth > MaxDepth {
				return nil, errDeep
			}
			b, n = b[1:], n+2
			continue
		}
		_, _, rest, err := split(b)
		if err != nil {
			return nil, err
		}
		b = rest
	}
	return b, nil
}

// CheckValue is SkipValue for a value of which every part must be well-formed:
// what it accepts, ReadValue can decode. It does not allocate.
func CheckValue(b []byte) (rest []byte, err error) {
	return check(b, 0)
}

var (
	errShort = decodeError("the value is cut short")
	errDeep  = decodeError("values are nested more than %d deep", MaxDepth)
	errCount = decodeError("more elements than their bytes can hold")
	errOdd   = decodeError("a map with a key that has no value")
	errUTF8  = decodeError("a string that is not UTF-8")
	errBool  = decodeError("a boolean that is neither 0 nor 1")
)

// split cuts the first value of b, which has no descriptor, into its
// constructor and its content: without the size for values of variable width,
// and without the size but with the count for compounds and arrays.
func split(b []byte) (code byte, content, rest []byte, err error) {
	if len(b) == 0 {
		return 0, nil, nil, errShort
	}
	code, b = b[0], b[1:]
	if !known[code] {
		return 0, nil, nil, decodeError("no type has the constructor %#02x", code)
	}
	content, rest, err = splitContent(code, b)
	return code, content, rest, err
}

func splitContent(code byte, b []byte) (content, rest []byte, err error) {
	n := 0
	switch code >> 4 {
	case 0x4:
		return nil, b, nil
	case 0x5:
		n = 1
	case 0x6:
		n = 2
	case 0x7:
		n = 4
	case 0x8:
		n = 8
	case 0x9:
		n = 16
	case 0xa, 0xc, 0xe:
		if len(b) < 1 {
			return nil, nil, errShort
		}
		n, b = int(b[0]), b[1:]
	default:
		if len(b) < 4 {
			return nil, nil, errShort
		}
		size := be.Uint32(b)
		b = b[4:]
		if uint64(size) > uint64(len(b)) {
			return nil, nil, errShort
		}
		n = int(size)
	}
	if n > len(b) {
		return nil, nil, errShort
	}
	return b[:n], b[n:], nil
}

// counted cuts the count off the content of a compound or an array.
func counted(code byte, content []byte) (n int, items []byte, err error) {
	if code == codeList0 {
		return 0, nil, nil
	}
	if code>>4 == 0xc || code>>4 == 0xe {
		if len(content) < 1 {
			return 0, nil, errShort
		}
		return int(content[0]), content[1:], nil
	}
	if len(content) < 4 {
		return 0, nil, errShort
	}
	count := be.Uint32(content)
	if count > math.MaxInt32 {
		return 0, nil, errCount
	}
	return int(count), content[4:], nil
}

// maxWidthless bounds arrays whose elements have no bytes of their own (null,
// true, false, zero, empty lists): they could make much from little.
const maxWidthless = 16

// checkCount says whether n elements can be in b. width tells whether each of
// them takes at least one byte.
func checkCount(n int, b []byte, width bool) error {
	if width && n > len(b) || !width && n > maxWidthless {
		return errCount
	}
	return nil
}

func readValue(b []byte, depth int) (v any, rest []byte, err error) {
	if depth > MaxDepth {
		return nil, nil, errDeep
	}
	if len(b) == 0 {
		return nil, nil, errShort
	}
	if b[0] == codeDescribed {
		desc, b, err := readValue(b[1:], depth+1)
		if err != nil {
			return nil, nil, err
		}
		v, b, err := readValue(b, depth+1)
		if err != nil {
			return nil, nil, err
		}
		return Described{desc, v}, b, nil
	}
	code, content, rest, err := split(b)
	if err != nil {
		return nil, nil, err
	}
	v, err = readContent(code, content, depth)
	return v, rest, err
}

// readContent decodes the content of a value with the constructor code.
func readContent(code byte, b []byte, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errDeep
	}
	switch code {
	case codeNull:
		return nil, nil
	case codeStr8, codeStr32:
		if !utf8.Valid(b) {
			return nil, errUTF8
		}
		return string(b), nil
	case codeSym8, codeSym32:
		return internSymbol(b), nil
	case codeBin8, codeBin32:
		return append([]byte{}, b...), nil
	case codeList0, codeList8, codeList32:
		return readList(code, b, depth)
	case codeMap8, codeMap32:
		return readMap(code, b, depth)
	case codeArray8, codeArray32:
		return readArray(code, b, depth)
	}
	return fixed(code, b)
}

// fixed decodes a value of fixed width.
func fixed(code byte, b []byte) (any, error) {
	switch code {
	case codeTrue:
		return true, nil
	case codeFalse:
		return false, nil
	case codeBool:
		if b[0] > 1 {
			return nil, errBool
		}
		return b[0] == 1, nil
	case codeUint0:
		return uint32(0), nil
	case codeUlong0:
		return uint64(0), nil
	case codeUbyte:
		return b[0], nil
	case codeByte:
		return int8(b[0]), nil
	case codeSmallUint:
		return uint32(b[0]), nil
	case codeSmallUlong:
		return uint64(b[0]), nil
	case codeSmallInt:
		return int32(int8(b[0])), nil
	case codeSmallLong:
		return int64(int8(b[0])), nil
	case codeUshort:
		return be.Uint16(b), nil
	case codeShort:
		return int16(be.Uint16(b)), nil
	case codeUint:
		return be.Uint32(b), nil
	case codeInt:
		return int32(be.Uint32(b)), nil
	case codeFloat:
		return math.Float32frombits(be.Uint32(b)), nil
	case codeChar:
		return Char(be.Uint32(b)), nil
	case codeUlong:
		return be.Uint64(b), nil
	case codeLong:
		return int64(be.Uint64(b)), nil
	case codeDouble:
		return math.Float64frombits(be.Uint64(b)), nil
	case codeTimestamp:
		return Timestamp(be.Uint64(b)), nil
	case codeDecimal32:
		return Decimal32(b), nil
	case codeDecimal64:
		return Decimal64(b), nil
	case codeDecimal128:
		return Decimal128(b), nil
	case codeUUID:
		return UUID(b), nil
	}
	return nil, decodeError("no type has the constructor %#02x", code)
}

// firstCapacity bounds what is set aside for elements before they are seen.
const firstCapacity = 16

func readList(code byte, b []byte, depth int) (any, error) {
	n, b, err := counted(code, b)
	if err != nil {
		return nil, err
	}
	if err := checkCount(n, b, true); err != nil {
		return nil, err
	}
	l := make(List, 0, min(n, firstCapacity))
	for range n {
		var v any
		if v, b, err = readValue(b, depth+1); err != nil {
			return nil, err
		}
		l = append(l, v)
	}
	return l, trailing(b)
}

func readMap(code byte, b []byte, depth int) (any, error) {
	n, b, err := counted(code, b)
	if err != nil {
		return nil, err
	}
	if n%2 != 0 {
		return nil, errOdd
	}
	if err := checkCount(n, b, true); err != nil {
		return nil, err
	}
	m := make(Map, 0, min(n/2, firstCapacity))
	for range n / 2 {
		var p Pair
		if p.Key, b, err = readValue(b, depth+1); err != nil {
			return nil, err
		}
		if p.Value, b, err = readValue(b, depth+1); err != nil {
			return nil, err
		}
		m = append(m, p)
	}
	return m, trailing(b)
}

func readArray(code byte, b []byte, depth int) (any, error) {
	n, b, err := counted(code, b)
	if err != nil {
		return nil, err
	}
	return readElements(n, b, depth)
}

// readElements decodes what follows the count of an array: the constructor, which
// may be described, and n elements.
func readElements(n int, b []byte, depth int) (any, error) {
	if depth > MaxDepth {
		return nil, errDeep
	}
	if len(b) == 0 {
		return nil, errShort
	}
	if b[0] == codeDescribed {
		return readDescribedElements(n, b[1:], depth)
	}
	code, b := b[0], b[1:]
	if !known[code] {
		return nil, decodeError("no type has the constructor %#02x", code)
	}
	if err := checkCount(n, b, code>>4 != 0x4); err != nil {
		return nil, err
	}
	switch code {
	case codeStr8, codeStr32:
		return texts[string](code, n, b)
	case codeSym8, codeSym32:
		return texts[Symbol](code, n, b)
	}
	a := make(Array, 0, min(n, firstCapacity))
	for range n {
		content, rest, err := splitContent(code, b)
		if err != nil {
			return nil, err
		}
		v, err := readContent(code, content, depth+1)
		if err != nil {
			return nil, err
		}
		a, b = append(a, v), rest
	}
	return a, trailing(b)
}

func readDescribedElements(n int, b []byte, depth int) (any, error) {
	desc, b, err := readValue(b, depth+1)
	if err != nil {
		return nil, err
	}
	inner, err := readElements(n, b, depth+1)
	if err != nil {
		return nil, err
	}
	a := make(Array, 0, min(n, firstCapacity))
	switch inner := inner.(type) {
	case []string:
		for _, v := range inner {
			a = append(a, Described{desc, v})
		}
	case []Symbol:
		for _, v := range inner {
			a = append(a, Described{desc, v})
		}
	case Array:
		for _, v := range inner {
			a = append(a, Described{desc, v})
		}
	}
	return a, nil
}

func texts[S ~string](code byte, n int, b []byte) (any, error) {
	out := make([]S, 0, min(n, firstCapacity))
	for range n {
		content, rest, err := splitContent(code, b)
		if err != nil {
			return nil, err
		}
		if code&0xf == codeStr8&0xf && !utf8.Valid(content) {
			return nil, errUTF8
		}
		out, b = append(out, S(content)), rest
	}
	return out, trailing(b)
}

func trailing(b []byte) error {
	if len(b) > 0 {
		return decodeError("%d bytes too many in a list, map or array", len(b))
	}
	return nil
}
