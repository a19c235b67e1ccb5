package value

import (
	"strconv"
	"strings"
	"unsafe"
)

// Kind says what a Value is. The kinds are in the order of ORDER BY.
type Kind uint8

// The kinds, smallest first.
const (
	KindUndefined Kind = iota
	KindNull
	KindBool
	KindNumber
	KindString
	KindArray
	KindObject
)

// String is the kind's name in lower case.
func (k Kind) String() string {
	switch k {
	case KindUndefined:
		return "undefined"
	case KindNull:
		return "null"
	case KindBool:
		return "boolean"
	case KindNumber:
		return "number"
	case KindString:
		return "string"
	case KindArray:
		return "array"
	case KindObject:
		return "object"
	}
	return "kind " + strconv.Itoa(int(k))
}

// form says how text holds the value.
type form uint8

const (
	// formMade: a number is in num, a string is text as it is, and must be
	// escaped for output.
	formMade form = iota
	// formRaw: text is JSON: of a number, array or object all of it, of a
	// string what is between the quotes, without escapes.
	formRaw
	// formEscaped is formRaw of a string that has escapes.
	formEscaped
)

// Value is one JSON value, or undefined, which is the zero Value. It is small
// and copied by value.
type Value struct {
	text string
	num  float64 // of a made number; 1 for true
	kind Kind
	form form
}

// Undefined is the value of what is not there.
func Undefined() Value { return Value{} }

// Null is JSON's null.
func Null() Value { return Value{kind: KindNull} }

// Bool is true or false.
func Bool(b bool) Value {
	if b {
		return Value{kind: KindBool, num: 1}
	}
	return Value{kind: KindBool}
}

// Number is a number. Infinities and NaN are numbers too, but JSON has no text
// for them and AppendJSON writes them as null, as JavaScript does.
func Number(f float64) Value { return Value{kind: KindNumber, num: f} }

// String is a text. Bytes that are not UTF-8 count as U+FFFD in output.
func String(s string) Value { return Value{kind: KindString, text: s} }

// Kind tells what v is.
func (v Value) Kind() Kind { return v.kind }

// IsUndefined tells whether v is undefined.
func (v Value) IsUndefined() bool { return v.kind == KindUndefined }

// AsBool is the boolean, and whether v is one.
func (v Value) AsBool() (b, ok bool) { return v.num != 0, v.kind == KindBool }

// IsTrue tells whether v is the boolean true: what WHERE lets through.
func (v Value) IsTrue() bool { return v.kind == KindBool && v.num != 0 }

// AsNumber is the number as a double, and whether v is a number.
func (v Value) AsNumber() (f float64, ok bool) {
	if v.kind != KindNumber {
		return 0, false
	}
	return v.number(), true
}

func (v Value) number() float64 {
	if v.form == formMade {
		return v.num
	}
	if f, ok := smallInteger(v.text); ok {
		return f
	}
	f, _ := strconv.ParseFloat(v.text, 64) // out of range is ±Inf, as JavaScript reads it
	return f
}

// smallInteger reads integers of at most fifteen digits, which are exact; they
// are most of the numbers that queries look at.
func smallInteger(s string) (float64, bool) {
	if len(s) > 15 || len(s) == 0 || s[0] == '-' {
		return 0, false
	}
	n := int64(0)
	for i := range len(s) {
		c := s[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = n*10 + int64(c)
	}
	return float64(n), true
}

// AsString is the text, and whether v is a string. It allocates only if the
// document writes the text with escapes.
func (v Value) AsString() (s string, ok bool) {
	if v.kind != KindString {
		return "", false
	}
	return v.str(), true
}

func (v Value) str() string {
	if v.form == formEscaped {
		return unescape(v.text)
	}
	return v.text
}

// Trusted is the value of JSON text that is known to be valid, such as a stored
// document; white space around it is allowed. Nothing is checked: of text that
// is not JSON the results are arbitrary, but every call ends and none panics.
// The Value is a view of json.
func Trusted(json []byte) Value {
	return trusted(text(json))
}

func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func trusted(s string) Value {
	i, end := skipSpace(s, 0), len(s)
	for end > i && s[end-1] <= ' ' {
		end--
	}
	if i == end {
		return Value{}
	}
	return valueBetween(s, i, end)
}

// Clone is v with bytes of its own, for keeping it longer than the document.
func (v Value) Clone() Value {
	v.text = strings.Clone(v.text)
	return v
}
