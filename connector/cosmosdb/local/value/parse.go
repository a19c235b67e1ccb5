package value

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested.
const MaxDepth = 128

// ParseError says where and why a text is not valid JSON.
type ParseError struct {
	Offset int // in bytes
	Reason string
}

func (e *ParseError) Error() string {
	return fmt.Sprintf("not valid JSON at byte %d: %s", e.Offset, e.Reason)
}

// Parse checks that json is one JSON value and nothing else (RFC 8259: valid
// UTF-8, nested at most MaxDepth deep, numbers within a double's range) and
// gives the value, which is a view of json. The error is a *ParseError.
func Parse(json []byte) (Value, error) {
	s := text(json)
	p := parser{s: s}
	start := skipSpace(s, 0)
	end := p.value(start, 0)
	if end < 0 {
		return Value{}, &ParseError{Offset: p.at, Reason: p.reason}
	}
	if i := skipSpace(s, end); i < len(s) {
		return Value{}, &ParseError{Offset: i, Reason: "there is more after the value"}
	}
	return valueBetween(s, start, end), nil
}

// parser validates. Its methods take the index of what they read and return the
// index behind it, or -1 after fail.
type parser struct {
	s      string
	at     int
	reason string
}

func (p *parser) fail(at int, reason string) int {
	p.at, p.reason = at, reason
	return -1
}

func (p *parser) value(i, depth int) int {
	if i >= len(p.s) {
		return p.fail(i, "a value is missing")
	}
	switch c := p.s[i]; c {
	case '{':
		return p.object(i, depth+1)
	case '[':
		return p.array(i, depth+1)
	case '"':
		return p.text(i)
	case 't':
		return p.literal(i, "true")
	case 'f':
		return p.literal(i, "false")
	case 'n':
		return p.literal(i, "null")
	default:
		if c == '-' || c >= '0' && c <= '9' {
			return p.number(i)
		}
	}
	return p.fail(i, "a value cannot begin like this")
}

func (p *parser) literal(i int, word string) int {
	end := i + len(word)
	if end > len(p.s) || p.s[i:end] != word {
		return p.fail(i, "a value cannot begin like this")
	}
	return end
}

func (p *parser) object(i, depth int) int {
	if depth > MaxDepth {
		return p.fail(i, "nested too deep")
	}
	i = skipSpace(p.s, i+1)
	if i < len(p.s) && p.s[i] == '}' {
		return i + 1
	}
	for {
		if i >= len(p.s) || p.s[i] != '"' {
			return p.fail(i, "a member's name is missing")
		}
		if i = p.text(i); i < 0 {
			return i
		}
		if i = skipSpace(p.s, i); i >= len(p.s) || p.s[i] != ':' {
			return p.fail(i, "a colon is missing")
		}
		if i = p.value(skipSpace(p.s, i+1), depth); i < 0 {
			return i
		}
		if i = skipSpace(p.s, i); i < len(p.s) && p.s[i] == '}' {
			return i + 1
		}
		if i >= len(p.s) || p.s[i] != ',' {
			return p.fail(i, "a comma or } is missing")
		}
		i = skipSpace(p.s, i+1)
	}
}

func (p *parser) array(i, depth int) int {
	if depth > MaxDepth {
		return p.fail(i, "nested too deep")
	}
	i = skipSpace(p.s, i+1)
	if i < len(p.s) && p.s[i] == ']' {
		return i + 1
	}
	for {
		if i = p.value(i, depth); i < 0 {
			return i
		}
		if i = skipSpace(p.s, i); i < len(p.s) && p.s[i] == ']' {
			return i + 1
		}
		if i >= len(p.s) || p.s[i] != ',' {
			return p.fail(i, "a comma or ] is missing")
		}
		i = skipSpace(p.s, i+1)
	}
}

func (p *parser) text(i int) int {
	s := p.s
	start := i
	for i++; i < len(s); {
		if i+8 <= len(s) {
			w := word(s, i)
			m := zeros(w^('"'*ones)) | zeros(w^('\\'*ones)) | (w-0x20*ones)&^w&highs | w&highs
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) >> 3
		}
		switch c := s[i]; {
		case c == '"':
			return i + 1
		case c == '\\':
			n := escapeLength(s[i:])
			if n == 0 {
				return p.fail(i, "no such escape")
			}
			i += n
		case c < 0x20:
			return p.fail(i, "a control character in a string")
		case c < utf8.RuneSelf:
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && n == 1 {
				return p.fail(i, "not UTF-8")
			}
			i += n
		}
	}
	return p.fail(start, "a string does not end")
}

// escapeLength is the length of the escape that s begins with, 0 if it is none.
func escapeLength(s string) int {
	if len(s) < 2 {
		return 0
	}
	switch s[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(s[2:]); ok {
			return 6
		}
	}
	return 0
}

func (p *parser) number(i int) int {
	s, start := p.s, i
	if s[i] == '-' {
		i++
	}
	digits := i
	if i = skipDigits(s, i); i == digits {
		return p.fail(i, "a digit is missing")
	}
	if s[digits] == '0' && i > digits+1 {
		return p.fail(digits, "a number begins with a zero")
	}
	if i < len(s) && s[i] == '.' {
		from := i + 1
		if i = skipDigits(s, from); i == from {
			return p.fail(i, "a digit is missing")
		}
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		from := i
		if i = skipDigits(s, from); i == from {
			return p.fail(i, "a digit is missing")
		}
		// Only an exponent, or hundreds of digits, can leave a double's range.
		if outOfRange(s[start:i]) {
			return p.fail(start, "a number out of range")
		}
	} else if i-start > 300 && outOfRange(s[start:i]) {
		return p.fail(start, "a number out of range")
	}
	return i
}

func skipDigits(s string, i int) int {
	for i < len(s) && s[i] >= '0' && s[i] <= '9' {
		i++
	}
	return i
}

func outOfRange(s string) bool {
	f, _ := strconv.ParseFloat(s, 64)
	return math.IsInf(f, 0)
}
