package value

import (
	"encoding/hex"
	"math/big"
	"strconv"
	"strings"
)

// Format writes a value of type t as CONVERT to a text does; style is
// CONVERT's third argument, 0 if none was given.
func Format(v Value, t Type, style int) string {
	switch {
	case v.IsNull():
		return "NULL"
	case t.ID.Text():
		return v.s
	case t.ID.Integer() || t.ID == Bit:
		return strconv.FormatInt(v.n, 10)
	case t.ID.Approximate():
		return formatFloat(v.Float(), t, style)
	case t.ID.Exact():
		scale := t.Scale
		n := v.Unscaled()
		if t.ID != Decimal && style < 2 { // money shows two places
			n, scale = Rescale(n, 4, 2), 2
		}
		return formatExact(n, scale)
	case t.ID == GUID:
		return formatGUID(v.s)
	case t.ID.Bytes():
		switch style {
		case 1:
			return "0x" + strings.ToUpper(hex.EncodeToString([]byte(v.s)))
		case 2:
			return strings.ToUpper(hex.EncodeToString([]byte(v.s)))
		}
		return DecodeNarrow([]byte(v.s), t.Collation)
	}
	return formatTemporal(v, t, style)
}

func formatFloat(f float64, t Type, style int) string {
	format, digits := byte('g'), 6
	switch style {
	case 1:
		format, digits = 'e', 7
	case 2:
		format, digits = 'e', 15
	case 3:
		if t.ID == Real {
			digits = 9
		} else {
			digits = 17
		}
	}
	bits := 64
	if t.ID == Real {
		bits = 32
	}
	s := strconv.FormatFloat(f, format, digits, bits)
	// Exponents have three digits.
	if mantissa, exponent, ok := strings.Cut(s, "e"); ok {
		sign, number := exponent[:1], exponent[1:]
		s = mantissa + "e" + sign + strings.Repeat("0", max(0, 3-len(number))) + number
	}
	return s
}

func formatExact(n *big.Int, scale uint8) string {
	digits := new(big.Int).Abs(n).String()
	if missing := int(scale) + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	if scale > 0 {
		digits = digits[:len(digits)-int(scale)] + "." + digits[len(digits)-int(scale):]
	}
	if n.Sign() < 0 {
		return "-" + digits
	}
	return digits
}

func formatGUID(s string) string {
	if len(s) != 16 {
		return s
	}
	const digits = "0123456789ABCDEF"
	b := make([]byte, 0, 36)
	for i := range 16 {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b = append(b, '-')
		}
		c := s[guidOrder[i]]
		b = append(b, digits[c>>4], digits[c&15])
	}
	return string(b)
}
