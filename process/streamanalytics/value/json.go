package value

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unicode/utf8"
	"unsafe"

	"millrace/record"
)

// ErrNotJSON and ErrNotObject are the two ways in which an event is an input
// deserialization error besides ErrRange.
var (
	ErrNotJSON   = errors.New("not valid JSON")
	ErrNotObject = errors.New("not a JSON object")
	// ErrDuplicate is an object with two names that differ in case only, or
	// not at all, which is an error at Level10.
	ErrDuplicate = errors.New("two fields with one name")
	// ErrRange is a number that its type can not hold.
	ErrRange = errors.New("number out of range")
)

// Parse reads one JSON value by the rules of Level12. Records and arrays stay
// text that is a view of json. The error wraps ErrNotJSON or ErrRange.
func Parse(json []byte) (Value, error) { return ParseAt(json, Level12) }

// ParseAt is Parse by the rules of a level.
func ParseAt(json []byte, level Level) (Value, error) {
	v, end := readValue(json, skipSpace(json, 0), 0, level)
	if end >= 0 {
		if end = skipSpace(json, end); end == len(json) {
			return v, nil
		}
		end = ^end
	}
	return Value{}, faultAt(json, ^end)
}

// Valid reports whether json is one JSON value that Parse accepts.
func Valid(json []byte) bool {
	end := skipValue(json, skipSpace(json, 0), 0)
	return end >= 0 && skipSpace(json, end) == len(json)
}

// faultAt says why the scanner stopped at byte i.
func faultAt(b []byte, i int) error {
	if i < len(b) && (isDigit(b[i]) || b[i] == '-') && numberStarts(b, i) {
		return fmt.Errorf("%w at byte %d: %.40s does not fit its type (bigint has 64 bits); send it as a string", ErrRange, i, b[i:])
	}
	if i >= len(b) {
		return fmt.Errorf("%w: it ends at byte %d within a value", ErrNotJSON, len(b))
	}
	return fmt.Errorf("%w at byte %d, near %.20q", ErrNotJSON, i, b[i:])
}

// numberStarts reports whether the fault at a digit is that of a whole number
// out of range: scanNumber points at the start of those only.
func numberStarts(b []byte, i int) bool {
	end := i + 1
	for end < len(b) && (isDigit(b[end]) || b[end]|0x20 == 'e' || b[end] == '.' || b[end] == '+' || b[end] == '-') {
		end++
	}
	_, err := strconv.ParseFloat(string(b[i:end]), 64)
	_, ok := number(b[i:end], !hasFraction(b[i:end]))
	return !ok && (err == nil || errors.Is(err, strconv.ErrRange))
}

// readValue reads the value at i, with depth arrays and objects open around
// it, and returns the index behind it, ^p for a fault at byte p. Records and
// arrays are skipped over and returned as text.
func readValue(b []byte, i, depth int, level Level) (v Value, end int) {
	if i >= len(b) {
		return Value{}, ^i
	}
	switch c := b[i]; {
	case c == '"':
		close, escaped := record.ScanString(b, i+1)
		if close < 0 {
			return Value{}, close
		}
		return text(b[i+1:close], escaped, level), close + 1
	case c == '-' || isDigit(c):
		end, whole := scanNumber(b, i)
		if end < 0 {
			return Value{}, end
		}
		v, _ = number(b[i:end], whole)
		return v, end
	}
	if end = skipValue(b, i, depth); end < 0 {
		return Value{}, end
	}
	switch b[i] {
	case '{', '[':
		return rawValue(b[i:end], level), end
	case 't':
		return truth(true, level), end
	case 'f':
		return truth(false, level), end
	}
	return Value{}, end
}

// text is a JSON string without its quotes.
func text(s []byte, escaped bool, level Level) Value {
	if escaped {
		s = record.AppendUnescaped(make([]byte, 0, len(s)), s)
	}
	if level == Level10 {
		if ticks, ok := ingressTime(view(s)); ok {
			return Time(ticks)
		}
	}
	return TextBytes(s)
}

func truth(b bool, level Level) Value {
	if level == Level12 {
		return Bool(b)
	}
	return Int(Bool(b).Int())
}

func hasFraction(b []byte) bool {
	for _, c := range b {
		if c == '.' || c|0x20 == 'e' {
			return true
		}
	}
	return false
}

// number reads the text of a number: whole ones are bigint, those with a
// fraction or an exponent are float.
func number(b []byte, whole bool) (Value, bool) {
	if !whole {
		f, err := strconv.ParseFloat(view(b), 64)
		return Double(f), err == nil
	}
	if len(b) <= 18 {
		var n int64
		digits := b
		if b[0] == '-' {
			digits = b[1:]
		}
		for _, c := range digits {
			n = n*10 + int64(c-'0')
		}
		if b[0] == '-' {
			n = -n
		}
		return Int(n), true
	}
	n, err := strconv.ParseInt(view(b), 10, 64)
	return Int(n), err == nil
}

// AppendJSON appends the value as JSON: a datetime as a string in ISO 8601
// (see AppendTime), a float in its shortest form that reads back as the same
// number (see AppendFloat), a bigint as an integer, a bit as true or false,
// NULL as null. A raw record or array of Level12 is appended byte for byte;
// below that level it is written anew, for its booleans are numbers there.
func (v Value) AppendJSON(dst []byte) []byte {
	switch v.kind {
	case BigInt:
		return strconv.AppendInt(dst, int64(v.num), 10)
	case Float:
		return AppendFloat(dst, v.Double())
	case String:
		return AppendString(dst, v.Str())
	case DateTime:
		dst = append(dst, '"')
		dst = AppendTime(dst, v.Ticks())
		return append(dst, '"')
	case Bit:
		return strconv.AppendBool(dst, v.num != 0)
	case Record:
		if v.form == raw12 {
			return append(dst, v.json()...)
		}
		dst = append(dst, '{')
		first := true
		for name, m := range v.Members {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = AppendString(dst, name)
			dst = append(dst, ':')
			dst = m.AppendJSON(dst)
		}
		return append(dst, '}')
	case Array:
		if v.form == raw12 {
			return append(dst, v.json()...)
		}
		dst = append(dst, '[')
		for i, e := range v.Elements {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = e.AppendJSON(dst)
		}
		return append(dst, ']')
	}
	return append(dst, "null"...)
}

// AppendFloat appends f as JSON, in the shortest form that reads back as f and
// as a float: 5.0, 0.25, 1E+15. NaN and the infinities, which JSON has no numbers for, are the strings
// "NaN", "Infinity" and "-Infinity".
func AppendFloat(dst []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(dst, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(dst, `"-Infinity"`...)
	}
	start := len(dst)
	dst = appendShortest(dst, f)
	if !hasFraction(dst[start:]) {
		dst = append(dst, '.', '0')
	}
	return dst
}

// appendShortest appends a finite float in the shortest form that reads back
// as f: 5, 0.25, 1E+15, 1E-05.
func appendShortest(dst []byte, f float64) []byte {
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && (abs < 1e-4 || abs >= 1e15) {
		format = 'E'
	}
	return strconv.AppendFloat(dst, f, format, -1, 64)
}

const hexDigits = "0123456789abcdef"

// AppendString appends s as a JSON string. Bytes that are no UTF-8 become
// U+FFFD.
func AppendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	bytes := unsafe.Slice(unsafe.StringData(s), len(s))
	for i := 0; i < len(s); {
		if i = plainEnd(bytes, i); i >= len(s) {
			break
		}
		c := s[i]
		if c >= 0x20 && c != '"' && c != '\\' && c < utf8.RuneSelf {
			i++
			continue
		}
		if c >= utf8.RuneSelf {
			r, size := utf8.DecodeRuneInString(s[i:])
			if r != utf8.RuneError || size > 1 {
				i += size
				continue
			}
			dst = append(append(dst, s[start:i]...), "\ufffd"...)
			i++
			start = i
			continue
		}
		dst = append(dst, s[start:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	return append(append(dst, s[start:]...), '"')
}
