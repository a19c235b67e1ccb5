package value

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// CastError is a cast that is not possible.
type CastError struct {
	// Value is what was to be cast, as JSON, shortened.
	Value string
	// From and To are the kinds.
	From, To Kind
	// Why is the reason when the kinds alone are not it.
	Why string
}

// Error says what could not be cast, and how to go on without.
func (e *CastError) Error() string {
	why := ""
	if e.Why != "" {
		why = " (" + e.Why + ")"
	}
	return fmt.Sprintf("cannot cast %s, a %s, to %s%s; TRY_CAST gives NULL instead", e.Value, e.From, e.To, why)
}

// Unwrap makes a CastError an ErrType.
func (e *CastError) Unwrap() error { return ErrType }

// Cast converts v to a kind by the rules of CAST (see doc.go). NULL stays
// NULL. The error is a *CastError.
func Cast(v Value, to Kind) (Value, error) {
	r, why, ok := cast(v, to)
	if ok {
		return r, nil
	}
	return Value{}, &CastError{Value: shorten(v), From: v.kind, To: to, Why: why}
}

// shorten shows a value in a message.
func shorten(v Value) string {
	text := v.String()
	if len(text) > 60 {
		text = strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}

// TryCast is Cast with NULL for what can not be converted.
func TryCast(v Value, to Kind) Value {
	r, _, ok := cast(v, to)
	if !ok {
		return Value{}
	}
	return r
}

func cast(v Value, to Kind) (r Value, why string, ok bool) {
	if v.kind == Null || v.kind == to {
		return v, "", true
	}
	switch to {
	case BigInt:
		return castInt(v)
	case Float:
		return castFloat(v)
	case String:
		return castText(v), "", true
	case DateTime:
		if v.kind == String {
			ticks, ok := ParseTime(v.Str())
			return Time(ticks), "it is no ISO 8601 time", ok
		}
	case Bit:
		return castBit(v)
	}
	return Value{}, "", false
}

func castInt(v Value) (Value, string, bool) {
	switch v.kind {
	case Bit:
		return Int(v.Int()), "", true
	case Float:
		f := math.Trunc(v.Double())
		if !(f >= -1<<63 && f < 1<<63) {
			return Value{}, "it is out of range", false
		}
		return Int(int64(f)), "", true
	case String:
		s := strings.TrimSpace(v.Str())
		n, err := strconv.ParseInt(s, 10, 64)
		return Int(n), "it is no whole number of 64 bits", err == nil
	}
	return Value{}, "", false
}

func castFloat(v Value) (Value, string, bool) {
	switch v.kind {
	case Bit, BigInt:
		return Double(v.Double()), "", true
	case String:
		s := strings.TrimSpace(v.Str())
		if !plainNumber(s) {
			return Value{}, "it is no number", false
		}
		f, err := strconv.ParseFloat(s, 64)
		return Double(f), "it is out of range", err == nil
	}
	return Value{}, "", false
}

// plainNumber keeps out what ParseFloat takes beyond decimal numbers:
// hexadecimal ones, underscores, words.
func plainNumber(s string) bool {
	for i := range len(s) {
		if c := s[i]; !isDigit(c) && c != '.' && c != '-' && c != '+' && c|0x20 != 'e' {
			return false
		}
	}
	return s != ""
}

func castText(v Value) Value {
	switch v.kind {
	case Bit:
		return Text(strconv.FormatBool(v.Bool()))
	case Float:
		f := v.Double()
		if math.IsNaN(f) || math.IsInf(f, 0) {
			b := AppendFloat(nil, f)
			return TextBytes(b[1 : len(b)-1])
		}
		return TextBytes(appendShortest(nil, f))
	case DateTime:
		return TextBytes(AppendTime(nil, v.Ticks()))
	}
	return TextBytes(v.AppendJSON(nil))
}

func castBit(v Value) (Value, string, bool) {
	switch v.kind {
	case BigInt:
		return Bool(v.num != 0), "", true
	case Float:
		return Bool(v.Double() != 0), "", true
	case String:
		switch s := strings.TrimSpace(v.Str()); {
		case strings.EqualFold(s, "true"):
			return Bool(true), "", true
		case strings.EqualFold(s, "false"):
			return Bool(false), "", true
		case strings.EqualFold(s, "null"):
			return Value{}, "", true
		}
		n, _, ok := castFloat(v)
		return Bool(n.Double() != 0), "it is neither true nor false", ok
	}
	return Value{}, "", false
}
