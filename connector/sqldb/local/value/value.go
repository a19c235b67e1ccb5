package value

import (
	"math"
	"math/big"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Value is one value. What it is a value of stands in the Type beside it; the
// zero Value is NULL. Values do not change and may be shared.
type Value struct {
	n     int64
	s     string
	extra int16 // minutes of a datetimeoffset
	kind  kind
}

// kind says which fields count.
type kind uint8

const (
	isNull    kind = iota
	isInt          // n: integers and bit
	isFloat        // n: the bits of a float64
	isExact        // n: unscaled, or, when s is set, the digits there
	isTicks        // n: 100 ns since the year 1, since midnight for time
	isDays         // n: days since the year 1
	isString       // s: text in UTF-8 (single surrogates as three bytes), bytes, or a GUID's 16
	isPending      // n: see Pending
)

// IsNull tells whether v is NULL.
func (v Value) IsNull() bool { return v.kind == isNull }

// FromInt makes an integer or a bit.
func FromInt(n int64) Value { return Value{kind: isInt, n: n} }

// FromBool makes a bit.
func FromBool(b bool) Value {
	if b {
		return FromInt(1)
	}
	return FromInt(0)
}

// FromFloat makes a float or a real.
func FromFloat(f float64) Value { return Value{kind: isFloat, n: int64(math.Float64bits(f))} }

// FromString makes a text, bytes, or a GUID of its 16 bytes on the wire.
func FromString(s string) Value { return Value{kind: isString, s: s} }

// FromTicks makes a time of day (100 ns since midnight), or a datetime of any
// kind (100 ns since 0001-01-01).
func FromTicks(n int64) Value { return Value{kind: isTicks, n: n} }

// FromOffset makes a datetimeoffset of UTC ticks and its offset in minutes.
func FromOffset(utc int64, minutes int16) Value {
	return Value{kind: isTicks, n: utc, extra: minutes}
}

// FromDays makes a date: days since 0001-01-01.
func FromDays(n int64) Value { return Value{kind: isDays, n: n} }

// FromUnscaled makes a decimal or money of its unscaled number.
func FromUnscaled(n *big.Int) Value {
	if n.IsInt64() {
		return Value{kind: isExact, n: n.Int64()}
	}
	return Value{kind: isExact, s: n.String()}
}

// Int returns an integer's or bit's number.
func (v Value) Int() int64 { return v.n }

// Float returns a float's or real's number.
func (v Value) Float() float64 { return math.Float64frombits(uint64(v.n)) }

// Text returns the text or the bytes.
func (v Value) Text() string { return v.s }

// Ticks returns what FromTicks, FromOffset or FromDays was given.
func (v Value) Ticks() int64 { return v.n }

// Offset returns the minutes of a datetimeoffset.
func (v Value) Offset() int16 { return v.extra }

// Unscaled returns the unscaled number of a decimal or money.
func (v Value) Unscaled() *big.Int {
	if v.s == "" {
		return big.NewInt(v.n)
	}
	n, _ := new(big.Int).SetString(v.s, 10)
	return n
}

// Size estimates the bytes of memory that v takes beside itself.
func (v Value) Size() int { return len(v.s) }

// Compare orders two values of type t, neither of them NULL.
func Compare(a, b Value, t Type) int {
	switch a.kind {
	case isFloat:
		return compareOrdered(a.Float(), b.Float())
	case isExact:
		if a.s == "" && b.s == "" {
			return compareOrdered(a.n, b.n)
		}
		return a.Unscaled().Cmp(b.Unscaled())
	case isString:
		switch {
		case t.ID == GUID:
			return compareGUID(a.s, b.s)
		case t.ID.Bytes():
			return strings.Compare(strings.TrimRight(a.s, "\x00"), strings.TrimRight(b.s, "\x00"))
		}
		return compareText(a.s, b.s, t.Collation)
	}
	return compareOrdered(a.n, b.n)
}

func compareOrdered[T int64 | float64](a, b T) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// compareGUID compares as SQL Server does: the last group counts first.
func compareGUID(a, b string) int {
	if len(a) != 16 || len(b) != 16 {
		return strings.Compare(a, b)
	}
	for _, r := range [...][2]int{{10, 16}, {8, 10}, {6, 8}, {4, 6}, {0, 4}} {
		if c := strings.Compare(a[r[0]:r[1]], b[r[0]:r[1]]); c != 0 {
			return c
		}
	}
	return 0
}

// compareText ignores spaces at the end, and case unless told otherwise.
func compareText(a, b string, c Collation) int {
	a, b = strings.TrimRight(a, " "), strings.TrimRight(b, " ")
	if c&(BinaryOrder|CaseSensitive) != 0 || a == b {
		return strings.Compare(a, b)
	}
	return strings.Compare(fold(a), fold(b))
}

// fold brings a text to the form that is the same for all its cases.
func fold(s string) string {
	for i := range len(s) {
		if c := s[i]; c >= utf8.RuneSelf || 'A' <= c && c <= 'Z' {
			return strings.Map(unicode.ToLower, s)
		}
	}
	return s
}

// AppendKey appends bytes that are equal for two values of type t exactly if
// Compare says that they are (NULLs are equal here). Keys can be joined.
func (v Value) AppendKey(buf []byte, t Type) []byte {
	buf = append(buf, byte(v.kind))
	switch v.kind {
	case isNull:
		return buf
	case isString:
		s := v.s
		switch {
		case t.ID.Text():
			s = strings.TrimRight(s, " ")
			if t.Collation&(BinaryOrder|CaseSensitive) == 0 {
				s = fold(s)
			}
		case t.ID.Bytes():
			s = strings.TrimRight(s, "\x00")
		}
		buf = append(buf, byte(len(s)), byte(len(s)>>8), byte(len(s)>>16), byte(len(s)>>24))
		return append(buf, s...)
	case isExact:
		if v.s != "" {
			buf = append(buf, byte(len(v.s)))
			return append(buf, v.s...)
		}
		buf = append(buf, 0)
	case isFloat:
		if v.Float() == 0 {
			v.n = 0 // minus zero
		}
	}
	n := uint64(v.n)
	return append(buf, byte(n), byte(n>>8), byte(n>>16), byte(n>>24), byte(n>>32), byte(n>>40), byte(n>>48), byte(n>>56))
}

// Units counts the UTF-16 code units of a text: what len and nvarchar(n) count.
func Units(s string) int {
	n := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c < 0x80 || c >= 0xC0 && c < 0xF0:
			n++
		case c >= 0xF0:
			n += 2
		}
	}
	return n
}

// Pending marks the place of a text that is the nth of its row and still
// being read; no other function takes such a value.
func Pending(n int) Value { return Value{kind: isPending, n: int64(n)} }

// IsPending tells what Pending was given.
func (v Value) IsPending() (int, bool) { return int(v.n), v.kind == isPending }
