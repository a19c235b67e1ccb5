package value

import (
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// AppendUTF16 appends a text in UTF-16LE. Single surrogates, which Value
// keeps as three bytes each, come out as they went in.
func AppendUTF16(buf []byte, s string) []byte {
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			buf = append(buf, c, 0)
			i++
			continue
		}
		if c == 0xED && i+2 < len(s) && s[i+1] >= 0xA0 { // a single surrogate
			u := uint16(0xD000) | uint16(s[i+1]&0x3F)<<6 | uint16(s[i+2]&0x3F)
			buf = append(buf, byte(u), byte(u>>8))
			i += 3
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		i += size
		if r >= 0x10000 {
			r -= 0x10000
			hi, lo := 0xD800|uint16(r>>10), 0xDC00|uint16(r&0x3FF)
			buf = append(buf, byte(hi), byte(hi>>8), byte(lo), byte(lo>>8))
			continue
		}
		buf = append(buf, byte(r), byte(r>>8))
	}
	return buf
}

// AppendUTF8 appends UTF-16LE bytes as the text that Value keeps. An odd last
// byte is left out.
func AppendUTF8(buf, utf16 []byte) []byte {
	for i := 0; i+1 < len(utf16); i += 2 {
		u := uint16(utf16[i]) | uint16(utf16[i+1])<<8
		switch {
		case u < utf8.RuneSelf:
			buf = append(buf, byte(u))
		case u >= 0xD800 && u < 0xDC00 && i+3 < len(utf16) && utf16[i+3]&0xFC == 0xDC:
			lo := uint16(utf16[i+2]) | uint16(utf16[i+3])<<8
			buf = utf8.AppendRune(buf, 0x10000+rune(u&0x3FF)<<10+rune(lo&0x3FF))
			i += 2
		case u >= 0xD800 && u < 0xE000:
			buf = append(buf, 0xED, 0x80|byte(u>>6)&0x3F, 0x80|byte(u)&0x3F)
		default:
			buf = utf8.AppendRune(buf, rune(u))
		}
	}
	return buf
}

// AppendNarrow appends a text as char and varchar hold it: in UTF-8 or code
// page 1252, where what has no place becomes a question mark.
func AppendNarrow(buf []byte, s string, c Collation) []byte {
	if c&UTF8 != 0 {
		return append(buf, s...)
	}
	for i := 0; i < len(s); {
		if s[i] < utf8.RuneSelf {
			buf = append(buf, s[i])
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(s[i:])
		b, ok := charmap.Windows1252.EncodeRune(r)
		if !ok {
			b = '?'
		}
		buf = append(buf, b)
		i += size
	}
	return buf
}

// DecodeNarrow is the inverse of AppendNarrow.
func DecodeNarrow(b []byte, c Collation) string {
	if c&UTF8 != 0 {
		return string(b)
	}
	ascii := true
	for _, x := range b {
		ascii = ascii && x < utf8.RuneSelf
	}
	if ascii {
		return string(b)
	}
	out := make([]byte, 0, len(b)+8)
	for _, x := range b {
		out = utf8.AppendRune(out, charmap.Windows1252.DecodeByte(x))
	}
	return string(out)
}
