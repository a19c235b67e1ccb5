package function

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"millrace/process/streamanalytics/value"
)

// shown bounds how many bytes of a value go into an error.
const shown = 60

// describe names a value in an error: its kind and what it is.
func describe(v value.Value) string {
	if v.IsNull() {
		return "NULL"
	}
	s := v.String()
	if len(s) > shown {
		s = strings.ToValidUTF8(s[:shown], "") + "…"
	}
	return "the " + v.Kind().String() + " " + s
}

// refuse is the error of a function that can not take a value.
func refuse(name, wants string, v value.Value) error {
	return fmt.Errorf("%s takes %s, not %s", name, wants, describe(v))
}

// anyNull reports whether one of args is NULL.
func anyNull(args []value.Value) bool {
	for i := range args {
		if args[i].IsNull() {
			return true
		}
	}
	return false
}

// strict makes f return NULL if any argument is NULL.
func strict(f Func) Func {
	return func(args []value.Value) (value.Value, error) {
		if anyNull(args) {
			return value.Value{}, nil
		}
		return f(args)
	}
}

// always is the compile function of a Scalar that has nothing to prepare.
func always(f Func) func(Call) (Func, error) {
	return func(Call) (Func, error) { return f, nil }
}

// text returns the text of an argument; numbers, bits and datetimes are
// converted as CAST does.
func text(name string, v value.Value) (string, error) {
	if v.Kind() == value.String {
		return v.Str(), nil
	}
	if v.Kind() == value.Record || v.Kind() == value.Array {
		return "", refuse(name, "a text", v)
	}
	s, err := value.Cast(v, value.String)
	if err != nil {
		return "", refuse(name, "a text", v)
	}
	return s.Str(), nil
}

// whole returns an argument as a bigint. Of a float the fraction is cut off, a
// text is converted as CAST does.
func whole(name, wants string, v value.Value) (int64, error) {
	if v.Kind() == value.BigInt {
		return v.Int(), nil
	}
	n, err := value.Cast(v, value.BigInt)
	if err != nil || n.IsNull() {
		if f := value.TryCast(v, value.Float); v.Kind() == value.String && !f.IsNull() {
			if n = value.TryCast(f, value.BigInt); !n.IsNull() {
				return n.Int(), nil
			}
		}
		return 0, refuse(name, wants, v)
	}
	return n.Int(), nil
}

// number returns an argument as a bigint or a float: a bit is a bigint, a text
// a float if it is the text of a number.
func number(name string, v value.Value) (value.Value, error) {
	switch v.Kind() {
	case value.BigInt, value.Float:
		return v, nil
	case value.Bit:
		return value.Int(v.Int()), nil
	case value.String:
		if f := value.TryCast(v, value.Float); !f.IsNull() {
			return f, nil
		}
	}
	return value.Value{}, refuse(name, "a number", v)
}

// moment returns an argument as ticks: a datetime, or a text of ISO 8601.
func moment(name string, v value.Value) (int64, error) {
	switch v.Kind() {
	case value.DateTime:
		return v.Ticks(), nil
	case value.String:
		if t, ok := value.ParseTime(v.Str()); ok {
			return t, nil
		}
	}
	return 0, refuse(name, "a datetime or its text in ISO 8601", v)
}

// runeOffset returns the byte offset of the n-th character of s, and len(s) if
// there are not so many.
func runeOffset(s string, n int64) int {
	if n <= 0 {
		return 0
	}
	if n >= int64(len(s)) {
		return len(s)
	}
	i := 0
	for ; n > 0 && i < len(s); n-- {
		if s[i] < utf8.RuneSelf {
			i++
			continue
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		i += size
	}
	return i
}
