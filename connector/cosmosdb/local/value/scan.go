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

// closing returns the index behind the array or object that begins at i.
func closing(s string, i int) int {
	depth := 0
	for i < len(s) {
		for i+8 <= len(s) {
			w := word(s, i)
			l := w | 0x20*ones // [ and ] become { and }
			if m := zeros(w^('"'*ones)) | zeros(l^('{'*ones)) | zeros(l^('}'*ones)); m != 0 {
				i += bits.TrailingZeros64(m) >> 3
				break
			}
			i += 8
		}
		if i >= len(s) {
			break
		}
		switch s[i] {
		case '"':
			i, _ = stringEnd(s, i+1)
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth <= 0 {
				return i + 1
			}
		}
		i++
	}
	return len(s)
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
	switch s[i] {
	case '"':
		end, escaped := stringEnd(s, i+1)
		v := Value{kind: KindString, form: formRaw, text: s[i+1 : end]}
		if escaped {
			v.form = formEscaped
		}
		return v, min(end+1, len(s))
	case '{':
		end := closing(s, i)
		return Value{kind: KindObject, form: formRaw, text: s[i:end]}, end
	case '[':
		end := closing(s, i)
		return Value{kind: KindArray, form: formRaw, text: s[i:end]}, end
	}
	end := skipValue(s, i)
	switch s[i] {
	case 't':
		return Bool(true), end
	case 'f':
		return Bool(false), end
	case 'n':
		return Null(), end
	}
	return Value{kind: KindNumber, form: formRaw, text: s[i:end]}, end
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
