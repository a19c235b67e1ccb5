package record

import (
	"encoding/binary"
	"math/bits"
	"unicode/utf8"
)

// The scanner below is the one reading of JSON text in this package: Decode,
// Fingerprint and the rest stand on it, so they agree on what is valid (RFC
// 8259, strictly: UTF-8 only, no lone surrogates, nothing after the value).
//
// Its functions take the text and an index, and return the index behind what
// they read. A negative result ^p means that the text is not valid at byte p;
// plain integers keep the hot path free of error values.

// MaxDepth is how deep arrays and objects may be nested in an event. Deeper
// ones are refused as not JSON, so that no input can exhaust the stack.
const MaxDepth = 512

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// specials marks, with the high bit of each byte, the bytes of w that end or
// interrupt a run of plain string text: quotes, backslashes, control
// characters and everything beyond ASCII. Only the lowest mark is reliable (a
// borrow may set marks above a true one), and only the lowest is used.
func specials(w uint64) uint64 {
	q := w ^ ('"' * ones)
	s := w ^ ('\\' * ones)
	return ((q-ones)&^q | (s-ones)&^s | (w-0x20*ones)&^w | w) & highs
}

// skipSpace returns the index of the first byte from i on that is not white
// space.
func skipSpace(b []byte, i int) int {
	for i < len(b) {
		switch b[i] {
		case ' ', '\t', '\n', '\r':
			i++
		default:
			return i
		}
	}
	return i
}

// ScanString reads a JSON string whose opening quote is before i. It returns the
// index of the closing quote, and whether there are escapes on the way; ^p if the
// text is not valid at byte p (RFC 8259, UTF-8 only, no lone surrogates).
func ScanString(b []byte, i int) (end int, escaped bool) {
	for {
		for i+8 <= len(b) {
			if m := specials(binary.LittleEndian.Uint64(b[i:])); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(b) {
			return ^len(b), escaped
		}
		switch c := b[i]; {
		case c == '"':
			return i, escaped
		case c == '\\':
			escaped = true
			if i = scanEscape(b, i); i < 0 {
				return i, escaped
			}
		case c < 0x20:
			return ^i, escaped
		case c < utf8.RuneSelf:
			i++
		default:
			r, size := utf8.DecodeRune(b[i:])
			if r == utf8.RuneError && size <= 1 {
				return ^i, escaped
			}
			i += size
		}
	}
}

// scanEscape reads the escape sequence at i, surrogate pairs as one.
func scanEscape(b []byte, i int) int {
	if i+1 >= len(b) {
		return ^len(b)
	}
	switch b[i+1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return i + 2
	case 'u':
		r := hex4(b, i+2)
		switch {
		case r < 0:
			return ^i
		case r < 0xd800 || r > 0xdfff:
			return i + 6
		case r > 0xdbff:
			return ^i // a low surrogate without a high one
		}
		if i+8 > len(b) || b[i+6] != '\\' || b[i+7] != 'u' {
			return ^i
		}
		if low := hex4(b, i+8); low < 0xdc00 || low > 0xdfff {
			return ^i
		}
		return i + 12
	}
	return ^i
}

// hex4 reads four hexadecimal digits, or returns -1.
func hex4(b []byte, i int) rune {
	if i+4 > len(b) {
		return -1
	}
	var r rune
	for _, c := range b[i : i+4] {
		v := hexValue[c]
		if v > 0x0f {
			return -1
		}
		r = r<<4 | rune(v)
	}
	return r
}

// AppendUnescaped appends the text of a string that ScanString found valid.
func AppendUnescaped(dst, s []byte) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c != '\\' {
			dst = append(dst, c)
			i++
			continue
		}
		switch c = s[i+1]; c {
		case 'b':
			dst = append(dst, '\b')
		case 'f':
			dst = append(dst, '\f')
		case 'n':
			dst = append(dst, '\n')
		case 'r':
			dst = append(dst, '\r')
		case 't':
			dst = append(dst, '\t')
		case 'u':
			r := hex4(s, i+2)
			i += 6
			if r >= 0xd800 && r <= 0xdfff {
				r = (r-0xd800)<<10 + hex4(s, i+2) - 0xdc00 + 0x10000
				i += 6
			}
			dst = utf8.AppendRune(dst, r)
			continue
		default:
			dst = append(dst, c)
		}
		i += 2
	}
	return dst
}

func isDigit(c byte) bool { return c-'0' <= 9 }

// skipNumber reads the number at i.
func skipNumber(b []byte, i int) int {
	if i < len(b) && b[i] == '-' {
		i++
	}
	if i >= len(b) || !isDigit(b[i]) {
		return ^i
	}
	if b[i] == '0' {
		i++
	} else {
		for i++; i < len(b) && isDigit(b[i]); i++ {
		}
	}
	if i < len(b) && b[i] == '.' {
		if i++; i >= len(b) || !isDigit(b[i]) {
			return ^i
		}
		for i+8 <= len(b) {
			n := digitsAhead(binary.LittleEndian.Uint64(b[i:]))
			i += n
			if n < 8 {
				break
			}
		}
		for ; i < len(b) && isDigit(b[i]); i++ {
		}
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		if i >= len(b) || !isDigit(b[i]) {
			return ^i
		}
		for i++; i < len(b) && isDigit(b[i]); i++ {
		}
	}
	return i
}

// digitsAhead returns how many of the 8 bytes of w, from the lowest on, are
// decimal digits before one that is not.
func digitsAhead(w uint64) int {
	const f0, threes, sixes = 0xf0f0f0f0f0f0f0f0, 0x3030303030303030, 0x0606060606060606
	// The second term finds : to ?; a carry out of a byte comes from one
	// that is no digit itself, so the lowest mark is right.
	return bits.TrailingZeros64((w&f0^threes)|((w+sixes)&f0^threes)) >> 3
}

// skipLiteral reads true, false or null.
func skipLiteral(b []byte, i int) int {
	var word string
	switch b[i] {
	case 't':
		word = "true"
	case 'f':
		word = "false"
	case 'n':
		word = "null"
	default:
		return ^i
	}
	if len(b)-i < len(word) || string(b[i:i+len(word)]) != word {
		return ^i
	}
	return i + len(word)
}

// skipValue reads the value at i (white space before it is already gone).
// depth is how many arrays and objects are open around it.
func skipValue(b []byte, i, depth int) int {
	if i >= len(b) {
		return ^i
	}
	// See hashValue for why numbers come first.
	if isDigit(b[i]) || b[i] == '-' {
		return skipNumber(b, i)
	}
	switch b[i] {
	case '"':
		end, _ := ScanString(b, i+1)
		if end < 0 {
			return end
		}
		return end + 1
	case '{':
		return skipObject(b, i, depth+1)
	case '[':
		return skipArray(b, i, depth+1)
	}
	return skipLiteral(b, i)
}

func skipObject(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return ^i
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == '}' {
		return i + 1
	}
	for {
		if _, i = scanMember(b, i, depth); i < 0 {
			return i
		}
		var more bool
		if i, more = scanSeparator(b, i, '}'); i < 0 || !more {
			return i
		}
	}
}

func skipArray(b []byte, i, depth int) int {
	if depth > MaxDepth {
		return ^i
	}
	i = skipSpace(b, i+1)
	if i < len(b) && b[i] == ']' {
		return i + 1
	}
	for {
		if i = skipValue(b, i, depth); i < 0 {
			return i
		}
		var more bool
		if i, more = scanSeparator(b, i, ']'); i < 0 || !more {
			return i
		}
	}
}

// scanSeparator reads what follows a member or element: a comma (more is
// true, and the result is where the next one starts) or the closing bracket.
func scanSeparator(b []byte, i int, closing byte) (next int, more bool) {
	if i >= len(b) || b[i] <= ' ' {
		if i = skipSpace(b, i); i >= len(b) {
			return ^i, false
		}
	}
	switch b[i] {
	case ',':
		if i++; i < len(b) && b[i] <= ' ' {
			i = skipSpace(b, i)
		}
		return i, true
	case closing:
		return i + 1, false
	}
	return ^i, false
}

// member is where a member of an object lies in the text.
type member struct {
	// name and nameEnd enclose the name without its quotes.
	name, nameEnd int
	// value and valueEnd enclose the value.
	value, valueEnd int
	// escaped tells that the name has escapes.
	escaped bool
}

// scanMember reads the member at i, in an object at the given depth.
func scanMember(b []byte, i, depth int) (member, int) {
	var m member
	if i = scanName(b, i, &m); i < 0 {
		return m, i
	}
	m.value = i
	m.valueEnd = skipValue(b, i, depth)
	return m, m.valueEnd
}

// scanName reads a member's name and colon, up to its value.
func scanName(b []byte, i int, m *member) int {
	if i >= len(b) || b[i] != '"' {
		return ^i
	}
	m.name = i + 1
	if m.nameEnd, m.escaped = ScanString(b, i+1); m.nameEnd < 0 {
		return m.nameEnd
	}
	i = m.nameEnd + 1
	if i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	if i >= len(b) || b[i] != ':' {
		return ^i
	}
	if i++; i < len(b) && b[i] <= ' ' {
		i = skipSpace(b, i)
	}
	return i
}

// nameOf returns a member's name, unescaped.
func (m *member) nameOf(b []byte) []byte {
	if m.escaped {
		return AppendUnescaped(nil, b[m.name:m.nameEnd])
	}
	return b[m.name:m.nameEnd]
}
