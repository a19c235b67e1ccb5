package data

import (
	"bytes"
	"encoding/json"
)

// The functions of this file walk through JSON text that record.Decode has
// found valid. With other text they find wrong members or none, but they never
// leave it.

// member is one member of a JSON object. The slices point into its text.
type member struct {
	// name is what stands between the quotes; escaped tells that it has
	// escapes.
	name    []byte
	escaped bool
	// value is the value's text, all the text of the member's.
	value, text []byte
}

// is tells whether the member has this name.
func (m *member) is(name string) bool {
	if m.escaped {
		s, ok := unquote(m.text[:len(m.name)+2])
		return ok && s == name
	}
	return string(m.name) == name
}

// nextMember reads the member at b[i:], the text of an object without its
// braces, and returns where the next one begins. It is not ok at the end, and
// where the text is not what it should be.
func nextMember(b []byte, i int) (m member, next int, ok bool) {
	i = skipSpace(b, i)
	if i >= len(b) || b[i] != '"' {
		return m, i, false
	}
	start := i
	end, escaped := skipString(b, i)
	if end < 0 {
		return m, len(b), false
	}
	m.name, m.escaped = b[i+1:end-1], escaped
	i = skipSpace(b, end)
	if i >= len(b) || b[i] != ':' {
		return m, i, false
	}
	i = skipSpace(b, i+1)
	end = skipValue(b, i)
	if end <= i {
		return m, len(b), false
	}
	m.value, m.text = b[i:end], b[start:end]
	i = skipSpace(b, end)
	if i < len(b) && b[i] == ',' {
		i++
	}
	return m, i, true
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\n' || b[i] == '\t' || b[i] == '\r') {
		i++
	}
	return i
}

// skipString returns where the string that begins at b[i] ends, -1 if it does
// not.
func skipString(b []byte, i int) (end int, escaped bool) {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1, escaped
		case '\\':
			escaped = true
			i++
		}
	}
	return -1, escaped
}

// skipValue returns where the value at b[i:] ends, -1 if it does not.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch c := b[i]; c {
		case '"':
			end, _ := skipString(b, i)
			if end < 0 || depth == 0 {
				return end
			}
			i = end
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth--; depth == 0 {
				return i + 1
			} else if depth < 0 {
				return i // the object around the value ends
			}
		case ',':
			if depth == 0 {
				return i
			}
		case ' ', '\n', '\t', '\r':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	if depth > 0 {
		return -1
	}
	return i
}

// unquote returns what a JSON string says.
func unquote(text []byte) (string, bool) {
	if len(text) < 2 || text[0] != '"' || text[len(text)-1] != '"' {
		return "", false
	}
	if bytes.IndexByte(text, '\\') < 0 {
		return string(text[1 : len(text)-1]), true
	}
	var s string
	err := json.Unmarshal(text, &s)
	return s, err == nil
}
