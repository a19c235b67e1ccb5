package value

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unsafe"
)

// The functions here walk over JSON that Parse has accepted. They stay inside
// the text and come to an end for any text, because a damaged document must
// not stop a server, but they do not look for mistakes.

const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// skipSpace returns the index of the first byte from i on that is not white
// space.
func skipSpace(s string, i int) int {
	for i < len(s) && s[i] <= ' ' && (s[i] == ' ' || s[i] == '\n' || s[i] == '\r' || s[i] == '\t') {
		i++
	}
	return i
}

// word reads eight bytes at i, which must be there.
func word(s string, i int) uint64 {
	return binary.LittleEndian.Uint64(unsafe.Slice(unsafe.StringData(s), len(s))[i:])
}

// zeros marks, with their high bits, the bytes of w that are zero. Only the
// lowest mark is reliable.
func zeros(w uint64) uint64 { return (w - ones) &^ w & highs }

// stringEnd returns the index of the closing quote of a string whose text
// begins at i, and whether there are escapes in it; len(s) if there is none.
func stringEnd(s string, i int) (end int, escaped bool) {
	for {
		for i+8 <= len(s) {
			w := word(s, i)
			if m := zeros(w^('"'*ones)) | zeros(w^('\\'*ones)); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		for i < len(s) && s[i] != '"' && s[i] != '\\' {
			i++
		}
		if i >= len(s) {
			return len(s), escaped
		}
		if s[i] == '"' {
			return i, escaped
		}
		escaped = true
		i = min(i+2, len(s))
	}
}

// exact marks, with their high bits, the bytes of w that are zero, all of them
// reliably.
func exact(w uint64) uint64 { return ^((w&^highs + ^uint64(highs)) | w | ^uint64(highs)) }

// gather makes a byte of the high bits of eight, the lowest first.
func gather(m uint64) uint8 { return uint8((m >> 7) * 0x0102040810204080 >> 56) }

// closing returns the index behind the array or object that begins at i.
//
// It takes eight bytes at a time: the brackets in them that are not in a string
// are counted, and looked at one by one only where the end may be among them.
func closing(s string, i int) int {
	if end, ok := flatClosing(s, i); ok {
		return end
	}
	depth := 0
	inside := uint8(0) // all ones in a string
	for i+8 <= len(s) {
		w := word(s, i)
		quotes := exact(w ^ ('"' * ones))
		l := w | 0x20*ones // [ and ] become { and }
		escapes := zeros(w ^ ('\\' * ones))
		if escapes|zeros(l^('{'*ones))|zeros(l^('}'*ones)) == 0 {
			inside ^= -uint8(bits.OnesCount64(quotes) & 1)
			i += 8
			continue
		}
		if escapes != 0 {
			if i, depth, inside = closingByByte(s, i, i+8, depth, inside); depth == 0 {
				return i
			}
			continue
		}
		texts := gather(quotes)
		texts ^= texts << 1
		texts ^= texts << 2
		texts ^= texts << 4
		texts ^= inside // ones from an opening quote to before its closing one
		opens, closes := gather(exact(l^('{'*ones)))&^texts, gather(exact(l^('}'*ones)))&^texts
		if n := bits.OnesCount8(closes); n < depth {
			depth += bits.OnesCount8(opens) - n
			inside = uint8(int8(texts) >> 7)
			i += 8
			continue
		}
		if i, depth, inside = closingByByte(s, i, i+8, depth, inside); depth == 0 {
			return i
		}
	}
	i, _, _ = closingByByte(s, i, len(s), depth, inside)
	return i
}

// flatClosing is closing for what has no other arrays and objects in it, and no
// escapes, which is most of what there is: such text is only searched through,
// far faster than one can look at it.
func flatClosing(s string, i int) (end int, ok bool) {
	rest := s[i+1:]
	n := strings.IndexByte(rest, s[i]+2) // ] is two behind [ and } behind {
	if n < 0 {
		return 0, false
	}
	rest = rest[:n]
	if strings.IndexByte(rest, '{') >= 0 || strings.IndexByte(rest, '[') >= 0 || strings.IndexByte(rest, '\\') >= 0 ||
		strings.Count(rest, `"`)&1 != 0 {
		return 0, false
	}
	return i + n + 2, true
}

// closingByByte goes on with closing from i until end, or behind it if an
// escape reaches that far. It stops behind the bracket that makes depth zero.
func closingByByte(s string, i, end, depth int, inside uint8) (int, int, uint8) {
	for i < end {
		c := s[i]
		i++
		switch {
		case c == '"':
			inside = ^inside
		case inside != 0:
			if c == '\\' {
				i = min(i+1, len(s))
			}
		case c|0x20 == '{':
			depth++
		case c|0x20 == '}':
			if depth--; depth <= 0 {
				return i, 0, 0
			}
		}
	}
	return i, depth, inside
}

// ends marks the bytes that end a number or a literal.
var ends = [256]bool{',': true, '}': true, ']': true, ' ': true, '\n': true, '\r': true, '\t': true, ':': true, '"': true, '{': true, '[': true}

// skipValue returns the index behind the value that begins at i.
func skipValue(s string, i int) int {
	if i >= len(s) {
		return len(s)
	}
	switch s[i] {
	case '"':
		end, _ := stringEnd(s, i+1)
		return min(end+1, len(s))
	case '{', '[':
		return closing(s, i)
	}
	i++
	for i < len(s) && !ends[s[i]] {
		i++
	}
	return i
}

// readValue gives the value that begins at i, and the index behind it.
func readValue(s string, i int) (Value, int) {
	end := skipValue(s, i)
	return valueBetween(s, i, end), end
}

// valueBetween is the value that is at i and ends at end.
func valueBetween(s string, i, end int) Value {
	v := Value{form: formRaw, text: s[i:end]}
	switch s[i] {
	case '"':
		v.kind = KindString
		v.text = s[i+1 : max(end-1, i+1)]
		if strings.IndexByte(v.text, '\\') >= 0 {
			v.form = formEscaped
		}
	case '{':
		v.kind = KindObject
	case '[':
		v.kind = KindArray
	case 't':
		return Bool(true)
	case 'f':
		return Bool(false)
	case 'n':
		return Null()
	default:
		v.kind = KindNumber
	}
	return v
}

// memberAt reads, in an object, the name that begins at i or behind white space
// and a comma. It returns the name's text between its quotes, whether that has
// escapes, and where the value begins; ok is false at the object's end.
func memberAt(s string, i int) (name string, escaped bool, at int, ok bool) {
	for i < len(s) && s[i] != '"' {
		if s[i] == '}' {
			return "", false, i, false
		}
		i++
	}
	if i >= len(s) {
		return "", false, i, false
	}
	end, escaped := stringEnd(s, i+1)
	name = s[i+1 : end]
	if i = end + 1; i < len(s) && s[i] == ':' {
		i++
	}
	for i < len(s) && (s[i] <= ' ' || s[i] == ':') {
		i++
	}
	return name, escaped, i, i < len(s)
}

// elementAt returns where the element at i, or behind white space and a comma,
// begins; ok is false at the array's end.
func elementAt(s string, i int) (at int, ok bool) {
	for i < len(s) && (s[i] <= ' ' || s[i] == ',') {
		i++
	}
	return i, i < len(s) && s[i] != ']'
}

// unescape is the text that JSON's escapes in s stand for. Surrogates that are
// not a pair become U+FFFD.
func unescape(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		c := s[i]
		if c != '\\' || i+1 >= len(s) {
			b.WriteByte(c)
			i++
			continue
		}
		i += 2
		switch c = s[i-1]; c {
		case 'b':
			b.WriteByte('\b')
		case 'f':
			b.WriteByte('\f')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		case 't':
			b.WriteByte('\t')
		case 'u':
			r, n := escapedRune(s[i:])
			b.WriteRune(r)
			i += n
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// escapedRune reads what follows a \u: four hexadecimal digits, and a second
// escape if the first is the first half of a pair. It returns the length too.
func escapedRune(s string) (r rune, n int) {
	first, ok := hex4(s)
	if !ok {
		return '\uFFFD', 0
	}
	if first < 0xD800 || first > 0xDFFF {
		return first, 4
	}
	if first < 0xDC00 && len(s) >= 10 && s[4] == '\\' && s[5] == 'u' {
		if second, ok := hex4(s[6:]); ok && second >= 0xDC00 && second <= 0xDFFF {
			return (first-0xD800)<<10 + (second - 0xDC00) + 0x10000, 10
		}
	}
	return '\uFFFD', 4
}

func hex4(s string) (r rune, ok bool) {
	if len(s) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := s[i]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c|0x20 >= 'a' && c|0x20 <= 'f':
			c = c | 0x20 - 'a' + 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}
