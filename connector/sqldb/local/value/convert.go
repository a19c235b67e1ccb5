package value

import (
	"math"
	"math/big"
	"strconv"
	"strings"
)

// Truncated is what Convert returns when a text or bytes do not fit and it
// was not told to cut them.
var Truncated = &Error{Number: 8152, State: 10, Class: 16, Message: "String or binary data would be truncated."}

// Convert brings v from one type to another. cut says what becomes of texts
// that are too long: cut off (CAST and variables), or Truncated (columns).
// Style is that of CONVERT, 0 if none was given.
func Convert(v Value, from, to Type, style int, cut bool) (Value, *Error) {
	if v.IsNull() || to.ID == Null {
		return v, nil
	}
	switch {
	case to.ID.Text():
		return toText(v, from, to, style, cut)
	case to.ID.Bytes():
		return toBytes(v, from, to, cut)
	case to.ID.Integer() || to.ID == Bit:
		return toInteger(v, from, to)
	case to.ID.Approximate():
		return toFloat(v, from, to)
	case to.ID.Exact():
		return toExact(v, from, to)
	case to.ID == GUID:
		return toGUID(v, from, to)
	}
	return toTemporal(v, from, to)
}

// Same tells whether values of the one type are values of the other as they
// are, so that Convert would change nothing.
func Same(from, to Type) bool {
	switch {
	case from.ID.Text() && to.ID.Text():
		return to.ID != Char && to.ID != NChar && (from.ID.National() == to.ID.National() || to.ID.National() || to.Collation&UTF8 != 0) &&
			(to.Length == Max || from.Length != Max && from.Length <= to.Length && from.ID.National() == to.ID.National())
	case from.ID.Bytes() && to.ID.Bytes():
		return to.ID != Binary && (to.Length == Max || from.Length != Max && from.Length <= to.Length)
	case from.ID != to.ID:
		return from.ID.Integer() && to.ID.Integer() && from.ID < to.ID || from.ID == Real && to.ID == Float
	case from.ID == Decimal:
		return from.Scale == to.Scale && from.Precision <= to.Precision
	}
	return from.Scale <= to.Scale
}

func incompatible(from, to Type) *Error {
	e := Errorf(529, "Explicit conversion from data type %s to %s is not allowed.", from.Name(), to.Name())
	e.State = 2
	return e
}

func toText(v Value, from, to Type, style int, cut bool) (Value, *Error) {
	s := v.s
	if !from.ID.Text() {
		s = Format(v, from, style)
	}
	if to.Length == Max {
		return FromString(s), nil
	}
	if len(s) > to.Length && length(s, to) > to.Length {
		switch {
		case from.ID.Number() && !from.ID.Approximate() && from.ID != Bit:
			return Value{}, overflow(to)
		case !cut && strings.TrimRight(s, " ") != s && length(strings.TrimRight(s, " "), to) <= to.Length:
			// Blanks at the end are cut everywhere.
		case !cut:
			return Value{}, Truncated
		}
		s = cutText(s, to)
	}
	if to.ID == Char || to.ID == NChar {
		s += strings.Repeat(" ", to.Length-length(s, to))
	}
	return FromString(s), nil
}

// length counts as t does: UTF-16 units, or bytes in t's encoding.
func length(s string, t Type) int {
	if !t.ID.National() && t.Collation&UTF8 != 0 {
		return len(s)
	}
	if t.ID.National() {
		return Units(s)
	}
	n := 0
	for range s {
		n++
	}
	return n
}

// cutText shortens s to t's length, never within a character.
func cutText(s string, t Type) string {
	if len(s) <= t.Length {
		return s
	}
	units := 0
	for i, r := range s {
		step := 1
		switch {
		case !t.ID.National() && t.Collation&UTF8 != 0:
			step = len(string(r))
		case t.ID.National() && r > 0xFFFF:
			step = 2
		}
		if units+step > t.Length {
			return s[:i]
		}
		units += step
	}
	return s
}

func toBytes(v Value, from, to Type, cut bool) (Value, *Error) {
	var s string
	switch {
	case from.ID.Bytes(), from.ID == GUID:
		s = v.s
	case from.ID.National():
		s = string(AppendUTF16(nil, v.s))
	case from.ID.Text():
		s = string(AppendNarrow(nil, v.s, from.Collation))
	case from.ID.Integer() || from.ID == Bit:
		size := map[ID]int{Bit: 1, TinyInt: 1, SmallInt: 2, Int: 4, BigInt: 8}[from.ID]
		b := make([]byte, size)
		for i := range b {
			b[size-1-i] = byte(v.n >> (8 * i))
		}
		s = string(b)
	default:
		return Value{}, incompatible(from, to)
	}
	if to.Length != Max && len(s) > to.Length {
		if !cut {
			return Value{}, Truncated
		}
		s = s[:to.Length]
	}
	if to.ID == Binary {
		s += strings.Repeat("\x00", to.Length-len(s))
	}
	return FromString(s), nil
}

// limits of the integer types.
var limits = map[ID][2]int64{
	TinyInt: {0, math.MaxUint8}, SmallInt: {math.MinInt16, math.MaxInt16},
	Int: {math.MinInt32, math.MaxInt32}, BigInt: {math.MinInt64, math.MaxInt64},
}

func toInteger(v Value, from, to Type) (Value, *Error) {
	var n int64
	switch {
	case from.ID.Integer() || from.ID == Bit:
		n = v.n
	case from.ID.Approximate():
		f := math.Trunc(v.Float())
		if to.ID == Bit {
			return FromBool(v.Float() != 0), nil
		}
		if math.IsNaN(f) || f < -9223372036854775808 || f >= 9223372036854775808 {
			return Value{}, overflow(to)
		}
		n = int64(f)
	case from.ID.Exact():
		q := new(big.Int).Quo(v.Unscaled(), pow10(from.Scale))
		if to.ID == Bit {
			return FromBool(v.Unscaled().Sign() != 0), nil
		}
		if !q.IsInt64() {
			return Value{}, overflow(to)
		}
		n = q.Int64()
	case from.ID.Text():
		text := strings.TrimSpace(v.s)
		if to.ID == Bit {
			switch strings.ToLower(text) {
			case "true":
				return FromInt(1), nil
			case "false":
				return FromInt(0), nil
			}
		}
		if text != "" {
			var err error
			if n, err = strconv.ParseInt(text, 10, 64); err != nil {
				if strings.Trim(text, "0123456789") == "" {
					return Value{}, &Error{Number: 248, State: 1, Class: 16,
						Message: "The conversion of the " + from.Name() + " value '" + shown(text) + "' overflowed an " + to.Name() + " column."}
				}
				return Value{}, conversion(text, from, to)
			}
		}
	case from.ID.Bytes():
		for i := range len(v.s) {
			n = n<<8 | int64(v.s[i])
		}
	case from.ID == DateTime || from.ID == SmallDateTime:
		n = v.n/ticksPerDay - days1900
	default:
		return Value{}, incompatible(from, to)
	}
	if to.ID == Bit {
		return FromBool(n != 0), nil
	}
	if l := limits[to.ID]; n < l[0] || n > l[1] {
		e := overflow(to)
		if to.ID < Int {
			e = Errorf(220, "Arithmetic overflow error for data type %s, value = %d.", to.Name(), n)
			e.State = 2
		}
		return Value{}, e
	}
	return FromInt(n), nil
}

func toFloat(v Value, from, to Type) (Value, *Error) {
	var f float64
	switch {
	case from.ID.Approximate():
		f = v.Float()
	case from.ID.Integer() || from.ID == Bit:
		f = float64(v.n)
	case from.ID.Exact():
		f, _ = strconv.ParseFloat(Format(v, from, 0), 64)
	case from.ID.Text():
		text := strings.TrimSpace(v.s)
		if text != "" {
			var err error
			if f, err = strconv.ParseFloat(text, 64); err != nil || strings.ContainsAny(text, "xXnNpP_") {
				return Value{}, conversion(text, from, to)
			}
		}
	default:
		return Value{}, incompatible(from, to)
	}
	if to.ID == Real {
		if math.Abs(f) > math.MaxFloat32 {
			return Value{}, overflow(to)
		}
		f = float64(float32(f))
	}
	return FromFloat(f), nil
}

func pow10(n uint8) *big.Int { return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil) }

func toExact(v Value, from, to Type) (Value, *Error) {
	var n *big.Int
	scale := uint8(0)
	switch {
	case from.ID.Exact():
		if from.Scale == to.Scale && to.ID == Decimal && from.ID == Decimal && from.Precision <= to.Precision {
			return v, nil
		}
		n, scale = v.Unscaled(), from.Scale
	case from.ID.Integer() || from.ID == Bit:
		n = big.NewInt(v.n)
	case from.ID.Approximate():
		r := new(big.Rat)
		if r.SetFloat64(v.Float()) == nil {
			return Value{}, overflow(to)
		}
		r.Mul(r, new(big.Rat).SetInt(pow10(to.Scale)))
		n, scale = roundRat(r), to.Scale
	case from.ID.Text():
		text := strings.TrimSpace(v.s)
		whole, fraction, _ := strings.Cut(text, ".")
		digits := whole + fraction
		var ok bool
		if n, ok = new(big.Int).SetString(digits, 10); !ok || len(fraction) > 100 || strings.ContainsAny(digits, "_") {
			return Value{}, conversion(text, from, to)
		}
		scale = uint8(len(fraction))
	default:
		return Value{}, incompatible(from, to)
	}
	n = Rescale(n, scale, to.Scale)
	if !fits(n, to) {
		return Value{}, overflow(to)
	}
	return FromUnscaled(n), nil
}

func fits(n *big.Int, t Type) bool {
	switch t.ID {
	case Money:
		return n.IsInt64()
	case SmallMoney:
		return n.IsInt64() && n.Int64() >= math.MinInt32 && n.Int64() <= math.MaxInt32
	}
	return new(big.Int).Abs(n).Cmp(pow10(t.Precision)) < 0
}

// Rescale brings an unscaled number to another scale, rounding half away from
// zero.
func Rescale(n *big.Int, from, to uint8) *big.Int {
	switch {
	case from < to:
		return new(big.Int).Mul(n, pow10(to-from))
	case from > to:
		return roundRat(new(big.Rat).SetFrac(n, pow10(from-to)))
	}
	return n
}

// roundRat rounds half away from zero.
func roundRat(r *big.Rat) *big.Int {
	n := new(big.Int).Mul(new(big.Int).Abs(r.Num()), big.NewInt(2))
	n.Add(n, r.Denom())
	n.Quo(n, new(big.Int).Mul(r.Denom(), big.NewInt(2)))
	if r.Sign() < 0 {
		n.Neg(n)
	}
	return n
}

func toGUID(v Value, from, to Type) (Value, *Error) {
	switch {
	case from.ID == GUID:
		return v, nil
	case from.ID.Bytes():
		if len(v.s) != 16 {
			b := make([]byte, 16)
			copy(b, v.s)
			return FromString(string(b)), nil
		}
		return v, nil
	case from.ID.Text():
		if g, ok := parseGUID(v.s); ok {
			return FromString(g), nil
		}
		return Value{}, conversion(v.s, from, to)
	}
	return Value{}, incompatible(from, to)
}

// guidOrder is where the bytes of a GUID's text stand on the wire.
var guidOrder = [16]int{3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15}

func parseGUID(s string) (string, bool) {
	s = strings.TrimPrefix(s, "{")
	if len(s) < 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return "", false
	}
	var b [16]byte
	at := 0
	for i := range 16 {
		if s[at] == '-' {
			at++
		}
		hi, lo := unhex(s[at]), unhex(s[at+1])
		if hi < 0 || lo < 0 {
			return "", false
		}
		b[guidOrder[i]] = byte(hi<<4 | lo)
		at += 2
	}
	return string(b[:]), true
}

func unhex(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
