package value

import (
	"cmp"
	"encoding/binary"
	"unicode"
	"unicode/utf8"
	"unsafe"
)

// ignoreCase is the collation of the language: whether =, <, IN, CASE, LIKE,
// GROUP BY, DISTINCT, JOIN and PARTITION BY take two strings as the same when
// they differ in case only. doc.go has the reasons. Everything that compares
// strings goes through this file.
const ignoreCase = true

// upper8 turns the lower-case ASCII letters of 8 bytes into upper case; there
// must be no byte beyond ASCII among them.
func upper8(w uint64) uint64 {
	const fromA, behindZ = (0x80 - 'a') * ones, (0x80 - 'z' - 1) * ones
	letters := (w + fromA) &^ (w + behindZ) & highs
	return w ^ letters>>2
}

func upper1(c byte) byte {
	if c-'a' < 26 {
		c -= 'a' - 'A'
	}
	return c
}

// fold returns the letter that stands for all letters that differ from r in
// case only: the one with the lowest code, upper case for ASCII.
func fold(r rune) rune {
	if !ignoreCase {
		return r
	}
	if r < utf8.RuneSelf {
		return rune(upper1(byte(r)))
	}
	low := r
	for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
		low = min(low, f)
	}
	return low
}

// compareText compares two strings letter by letter, by code point.
func compareText(a, b string) int {
	if !ignoreCase {
		return cmp.Compare(a, b)
	}
	i := 0
	for ; i+8 <= len(a) && i+8 <= len(b); i += 8 {
		x, y := load8(a, i), load8(b, i)
		if (x|y)&highs != 0 {
			return compareFolded(a[i:], b[i:])
		}
		if x != y {
			if x, y = upper8(x), upper8(y); x != y {
				return cmp.Compare(x, y)
			}
		}
	}
	for ; i < len(a) && i < len(b); i++ {
		x, y := a[i], b[i]
		if (x|y)&0x80 != 0 {
			return compareFolded(a[i:], b[i:])
		}
		if x, y = upper1(x), upper1(y); x != y {
			return cmp.Compare(x, y)
		}
	}
	return cmp.Compare(len(a), len(b))
}

// load8 reads 8 bytes so that the order of the numbers is that of the text.
func load8(s string, i int) uint64 {
	return binary.BigEndian.Uint64(unsafe.Slice(unsafe.StringData(s), len(s))[i:])
}

// compareFolded is compareText for any letters.
func compareFolded(a, b string) int {
	for a != "" && b != "" {
		x, n := utf8.DecodeRuneInString(a)
		y, m := utf8.DecodeRuneInString(b)
		if x != y {
			if x, y = fold(x), fold(y); x != y {
				return cmp.Compare(x, y)
			}
		}
		a, b = a[n:], b[m:]
	}
	return cmp.Compare(len(a), len(b))
}

// appendTextKey appends the length and the letters of s, the same for all
// strings that compareText takes as equal.
func appendTextKey(dst []byte, s string) []byte {
	if !ignoreCase {
		return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
	}
	start := len(dst)
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	i := 0
	for ; i+8 <= len(s); i += 8 {
		w := load8(s, i)
		if w&highs != 0 {
			return appendFoldedKey(dst[:start], s)
		}
		dst = binary.BigEndian.AppendUint64(dst, upper8(w))
	}
	for ; i < len(s); i++ {
		if s[i] >= utf8.RuneSelf {
			return appendFoldedKey(dst[:start], s)
		}
		dst = append(dst, upper1(s[i]))
	}
	return dst
}

// appendFoldedKey is appendTextKey for any letters, whose folded form may have
// another length.
func appendFoldedKey(dst []byte, s string) []byte {
	length := 0
	for _, r := range s {
		length += utf8.RuneLen(fold(r))
	}
	dst = binary.AppendUvarint(dst, uint64(length))
	for _, r := range s {
		dst = utf8.AppendRune(dst, fold(r))
	}
	return dst
}
