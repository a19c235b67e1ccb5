package amqp

import (
	"math"
	"unicode/utf8"
)

// fields reads the fields of a described list one after the other. A field that
// is null, or beyond the end of a short list, is absent. After the first error
// every field is absent, so that the error needs to be looked at only once.
type fields struct {
	b   []byte
	n   int
	err error
	// numbers, if there is room left in it, is what optional numbers point to.
	numbers []uint32
	// flag, if there is one, is what an optional boolean points to.
	flag *bool
}

// listFields begins with a value that must be a list and returns what follows.
func listFields(b []byte) (f fields, rest []byte, err error) {
	code, content, rest, err := split(b)
	if err != nil {
		return fields{}, nil, err
	}
	if code != codeList8 && code != codeList32 && code != codeList0 {
		return fields{}, nil, decodeError("constructor %#02x where a list belongs", code)
	}
	n, items, err := counted(code, content)
	if err != nil {
		return fields{}, nil, err
	}
	if n > len(items) {
		return fields{}, nil, errCount
	}
	return fields{b: items, n: n}, rest, nil
}

// describedFields is listFields for a list with the descriptor want.
func describedFields(b []byte, want byte) (f fields, rest []byte, err error) {
	desc, b, err := readDescriptor(b)
	if err != nil {
		return fields{}, nil, err
	}
	if desc != want {
		return fields{}, nil, decodeError("descriptor %#02x where %#02x belongs", desc, want)
	}
	return listFields(b)
}

// present tells whether there is a next field, and skips it if it is null.
func (f *fields) present() bool {
	if f.err != nil || f.n == 0 {
		return false
	}
	f.n--
	if len(f.b) == 0 {
		f.err = errShort
		return false
	}
	if f.b[0] == codeNull {
		f.b = f.b[1:]
		return false
	}
	return true
}

// end checks what is left: fields that nobody knows are passed over.
func (f *fields) end() error {
	for f.n > 0 && f.err == nil {
		f.b, f.err = SkipValue(f.b)
		f.n--
	}
	if f.err == nil {
		f.err = trailing(f.b)
	}
	return f.err
}

func (f *fields) take() (code byte, content []byte) {
	code, content, rest, err := split(f.b)
	if err != nil {
		f.err = err
		return codeNull, nil
	}
	f.b = rest
	return code, content
}

func (f *fields) wrong(code byte, want string) {
	if f.err == nil {
		f.err = decodeError("constructor %#02x where %s belongs", code, want)
	}
}

// unsigned reads a number of at most limit, in whatever integer type it comes.
func (f *fields) unsigned(limit uint64) (n uint64, ok bool) {
	if !f.present() {
		return 0, false
	}
	code, b := f.take()
	switch code {
	case codeUint0, codeUlong0:
	case codeUbyte, codeSmallUint, codeSmallUlong:
		n = uint64(b[0])
	case codeUshort:
		n = uint64(be.Uint16(b))
	case codeUint:
		n = uint64(be.Uint32(b))
	case codeUlong:
		n = be.Uint64(b)
	default:
		f.wrong(code, "an unsigned number")
		return 0, false
	}
	if n > limit {
		f.err = decodeError("the number %d is over the limit %d", n, limit)
		return 0, false
	}
	return n, true
}

func (f *fields) uint32() uint32 {
	// The forms of every day, without the detour.
	if f.err == nil && f.n > 0 && len(f.b) > 0 {
		switch {
		case f.b[0] == codeUint0:
			f.n, f.b = f.n-1, f.b[1:]
			return 0
		case f.b[0] == codeSmallUint && len(f.b) >= 2:
			n := uint32(f.b[1])
			f.n, f.b = f.n-1, f.b[2:]
			return n
		case f.b[0] == codeUint && len(f.b) >= 5:
			n := be.Uint32(f.b[1:])
			f.n, f.b = f.n-1, f.b[5:]
			return n
		}
	}
	n, _ := f.unsigned(math.MaxUint32)
	return uint32(n)
}

func (f *fields) optionalUint32() *uint32 {
	if f.err != nil || f.n == 0 {
		return nil
	}
	if len(f.b) > 0 && f.b[0] == codeNull {
		f.n, f.b = f.n-1, f.b[1:]
		return nil
	}
	n := f.uint32()
	if f.err != nil {
		return nil
	}
	if len(f.numbers) > 0 {
		p := &f.numbers[0]
		f.numbers = f.numbers[1:]
		*p = n
		return p
	}
	return new(n)
}

func (f *fields) optionalUint16() *uint16 {
	n, ok := f.unsigned(math.MaxUint16)
	if !ok {
		return nil
	}
	return new(uint16(n))
}

func (f *fields) optionalUint8() *uint8 {
	n, ok := f.unsigned(math.MaxUint8)
	if !ok {
		return nil
	}
	return new(uint8(n))
}

func (f *fields) optionalUint64() *uint64 {
	n, ok := f.unsigned(math.MaxUint64)
	if !ok {
		return nil
	}
	return new(n)
}

func (f *fields) uint64() uint64 {
	n, _ := f.unsigned(math.MaxUint64)
	return n
}

func (f *fields) bool() bool {
	if !f.present() {
		return false
	}
	code, b := f.take()
	switch {
	case code == codeTrue, code == codeBool && b[0] == 1:
		return true
	case code == codeFalse, code == codeBool && b[0] == 0:
		return false
	}
	f.wrong(code, "a boolean")
	return false
}

func (f *fields) optionalBool() *bool {
	if f.err != nil || f.n == 0 || len(f.b) > 0 && f.b[0] == codeNull {
		f.present()
		return nil
	}
	v := f.bool()
	if f.err != nil {
		return nil
	}
	if f.flag != nil {
		*f.flag = v
		return f.flag
	}
	return new(v)
}

func (f *fields) mismatch(v any, want string) {
	if f.err == nil {
		f.err = decodeError("a value of type %T where %s belongs", v, want)
	}
}

// text reads a string or a symbol; clients mix them up.
func (f *fields) text() []byte {
	if !f.present() {
		return nil
	}
	code, b := f.take()
	switch code {
	case codeStr8, codeStr32, codeSym8, codeSym32:
		if !utf8.Valid(b) {
			f.err = errUTF8
			return nil
		}
		return b
	}
	f.wrong(code, "a text")
	return nil
}

func (f *fields) string() string { return string(f.text()) }
func (f *fields) symbol() Symbol { return internSymbol(f.text()) }

// binary returns a part of the input.
func (f *fields) binary() []byte {
	if !f.present() {
		return nil
	}
	code, b := f.take()
	if code != codeBin8 && code != codeBin32 {
		f.wrong(code, "a binary")
		return nil
	}
	return b[:len(b):len(b)]
}

func (f *fields) value() any {
	if !f.present() {
		return nil
	}
	v, rest, err := ReadValue(f.b)
	if err != nil {
		f.err = err
		return nil
	}
	f.b = rest
	return v
}

func (f *fields) mapping() Map {
	v := f.value()
	if v == nil {
		return nil
	}
	m, ok := v.(Map)
	if !ok {
		f.mismatch(v, "a map")
	}
	return m
}

// symbols reads several symbols: an array, or one alone, which is how a client
// may write an array of one. An array of any other type must be empty.
func (f *fields) symbols() []Symbol {
	field := f.value()
	switch v := field.(type) {
	case nil:
		return nil
	case []Symbol:
		return v
	case Symbol:
		return []Symbol{v}
	case string:
		return []Symbol{Symbol(v)}
	case []string:
		out := make([]Symbol, len(v))
		for i := range v {
			out[i] = Symbol(v[i])
		}
		return out
	case Array:
		if len(v) == 0 {
			return []Symbol{}
		}
	case List:
		out := make([]Symbol, len(v))
		for i := range v {
			s, ok := v[i].(Symbol)
			if !ok {
				f.mismatch(v[i], "a symbol")
				return nil
			}
			out[i] = s
		}
		return out
	}
	f.mismatch(field, "an array of symbols")
	return nil
}
