package data

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unsafe"
)

// pow10 holds the powers of ten that a double holds exactly.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// pow10Int holds 10^0 to 10^8.
var pow10Int = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8}

// exactMantissa is the largest number up to which every integer is a double.
const exactMantissa = 1 << 53

func isDigit(c byte) bool { return c-'0' < 10 }

// scanDouble reads the JSON number at b[i:] and returns the double nearest to
// it, as strconv.ParseFloat does, and where it ends. It is not ok if there is
// no number, or one that is out of a double's range.
//
// Where the digits make an integer that a double holds exactly, and the power
// of ten is one too, their quotient is rounded only once, so it is the nearest
// double. Other numbers go to strconv.
func scanDouble(b []byte, i int) (f float64, end int, ok bool) {
	start := i
	if i < len(b) && b[i] == '-' {
		i++
	}
	first := i
	var n uint64
	for ; i < len(b) && isDigit(b[i]); i++ {
		n = n*10 + uint64(b[i]-'0')
	}
	digits := i - first
	if digits == 0 || digits > 1 && b[first] == '0' {
		return 0, i, false
	}
	decimals := 0
	if i < len(b) && b[i] == '.' {
		i++
		point := i
		for i+8 <= len(b) {
			w := binary.LittleEndian.Uint64(b[i:])
			k := digitsAhead(w)
			if k == 0 {
				break
			}
			n = n*pow10Int[k] + digitsOf(w, k)
			if i += k; k < 8 {
				break
			}
		}
		for ; i < len(b) && isDigit(b[i]); i++ {
			n = n*10 + uint64(b[i]-'0')
		}
		if decimals = i - point; decimals == 0 {
			return 0, i, false
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i = skipExponent(b, i); i < 0 {
			return 0, start, false
		}
		return parseDouble(b, start, i)
	}
	// 19 digits do not overflow n.
	if digits+decimals > 19 || n > exactMantissa || decimals >= len(pow10) {
		return parseDouble(b, start, i)
	}
	f = float64(n)
	if decimals > 0 {
		f /= pow10[decimals]
	}
	if b[start] == '-' {
		f = -f
	}
	return f, i, true
}

// skipExponent returns where the exponent at b[i:] ends, -1 if it is none.
func skipExponent(b []byte, i int) int {
	if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
		i++
	}
	start := i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	if i == start {
		return -1
	}
	return i
}

func parseDouble(b []byte, start, end int) (float64, int, bool) {
	// ParseFloat keeps nothing of the string.
	f, err := strconv.ParseFloat(unsafe.String(&b[start], end-start), 64)
	return f, end, err == nil
}

// digitsAhead counts the decimal digits at the beginning of eight bytes of
// text, which w holds with the first one lowest.
func digitsAhead(w uint64) int {
	// A digit has 3 in its upper half, also after adding 6. Adding 6 carries
	// out of a byte only from one that is no digit, so the lowest byte
	// marked is right.
	const threes, sixes, upper = 0x3030303030303030, 0x0606060606060606, 0xf0f0f0f0f0f0f0f0
	return bits.TrailingZeros64((w&upper^threes)|((w+sixes)&upper^threes)) >> 3
}

// digitsOf is the number that the k (1 to 8) digits in the lowest bytes of w
// spell: pairs of digits are joined by one multiplication, then pairs of these,
// then the two halves.
func digitsOf(w uint64, k int) uint64 {
	w = (w - 0x3030303030303030) << (64 - 8*k)
	w = w*10 + w>>8
	const mask = 0x000000ff000000ff
	return (w&mask*(100+1000000<<32) + w>>16&mask*(1+10000<<32)) >> 32
}

// scanLong reads a JSON number that is written as an integer and fits a long.
func scanLong(text []byte) (int64, bool) {
	if len(text) == 0 || !isDigit(text[len(text)-1]) || !isDigit(text[0]) && text[0] != '-' {
		return 0, false
	}
	digits := text
	if text[0] == '-' {
		digits = text[1:]
	}
	if len(digits) > 1 && digits[0] == '0' {
		return 0, false
	}
	n, err := strconv.ParseInt(string(text), 10, 64)
	return n, err == nil
}
