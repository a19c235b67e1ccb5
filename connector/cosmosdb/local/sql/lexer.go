package sql

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

type tokenKind uint8

const (
	tokenEnd    tokenKind = iota
	tokenWord             // an identifier or a keyword
	tokenParam            // @name
	tokenNumber           // never with a sign
	tokenString
	tokenPunct // an operator or a bracket
)

// token is one word of the language. The zero keyword is none.
type token struct {
	Span
	kind    tokenKind
	keyword keyword
	text    string // as the query has it
	str     string // the string that it stands for
	num     float64
}

func (t token) is(punct string) bool { return t.kind == tokenPunct && t.text == punct }

type keyword uint8

const (
	keyAnd keyword = iota + 1
	keyArray
	keyAs
	keyAsc
	keyBetween
	keyBy
	keyDesc
	keyDistinct
	keyEscape
	keyExists
	keyFalse
	keyFrom
	keyGroup
	keyIn
	keyJoin
	keyLike
	keyLimit
	keyNot
	keyNull
	keyOffset
	keyOr
	keyOrder
	keySelect
	keyTop
	keyTrue
	keyUdf
	keyUndefined
	keyValue
	keyWhere
)

// keywords cannot be names of aliases or functions. As names of properties and
// behind AS they can: nothing else can stand there.
var keywords = map[string]keyword{
	"AND": keyAnd, "ARRAY": keyArray, "AS": keyAs, "ASC": keyAsc, "BETWEEN": keyBetween, "BY": keyBy, "DESC": keyDesc,
	"DISTINCT": keyDistinct, "ESCAPE": keyEscape, "EXISTS": keyExists, "FALSE": keyFalse, "FROM": keyFrom,
	"GROUP": keyGroup, "IN": keyIn, "JOIN": keyJoin, "LIKE": keyLike, "LIMIT": keyLimit, "NOT": keyNot,
	"NULL": keyNull, "OFFSET": keyOffset, "OR": keyOr, "ORDER": keyOrder, "SELECT": keySelect, "TOP": keyTop,
	"TRUE": keyTrue, "UDF": keyUdf, "UNDEFINED": keyUndefined, "VALUE": keyValue, "WHERE": keyWhere,
}

const longestKeyword = len("UNDEFINED")

func keywordOf(word string) keyword {
	if len(word) > longestKeyword || len(word) < 2 {
		return 0
	}
	var upper [longestKeyword]byte
	for i := range len(word) {
		c := word[i]
		if c >= 'a' && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper[i] = c
	}
	return keywords[string(upper[:len(word)])]
}

// puncts are the operators and brackets, longer ones before their beginnings.
var puncts = []string{
	">>>", "!=", "<>", "<=", ">=", "<<", ">>", "??", "||",
	"(", ")", "[", "]", "{", "}", ",", ".", ":", "?", "*", "=", "<", ">", "!", "+", "-", "/", "%", "&", "|", "^", "~",
}

// lexer cuts valid UTF-8 text into tokens.
type lexer struct {
	text string
	i    int // byte
	unit int // UTF-16 code unit
}

// forward moves to byte end.
func (l *lexer) forward(end int) {
	for _, r := range l.text[l.i:end] {
		l.unit++
		if r > 0xFFFF {
			l.unit++
		}
	}
	l.i = end
}

// skip moves behind white space and comments.
func (l *lexer) skip() {
	s := l.text
	for l.i < len(s) {
		switch c := s[l.i]; {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			l.i++
			l.unit++
		case c == '-' && strings.HasPrefix(s[l.i:], "--"):
			end := strings.IndexAny(s[l.i:], "\r\n")
			if end < 0 {
				end = len(s) - l.i
			}
			l.forward(l.i + end)
		case c >= utf8.RuneSelf:
			r, n := utf8.DecodeRuneInString(s[l.i:])
			if !unicode.IsSpace(r) && r != '\uFEFF' {
				return
			}
			l.forward(l.i + n)
		default:
			return
		}
	}
}

// next reads one token.
func (l *lexer) next() (token, *SyntaxError) {
	l.skip()
	s, start := l.text, l.i
	t := token{Span: Span{l.unit, l.unit}}
	if start == len(s) {
		return t, nil
	}
	var end int
	switch c := s[start]; {
	case isWordStart(s[start:]):
		end = wordEnd(s, start)
		t.kind, t.keyword = tokenWord, keywordOf(s[start:end])
	case c == '"' || c == '\'':
		t.kind = tokenString
		if t.str, end = readString(s, start); end < 0 {
			return t, &SyntaxError{CodeString, "Syntax error, invalid string literal token '" + string(c) + "'.", l.unit, l.unit + 1}
		}
	case c >= '0' && c <= '9' || c == '.' && start+1 < len(s) && isDigit(s[start+1]):
		t.kind = tokenNumber
		var ok bool
		if t.num, end, ok = readNumber(s, start); !ok {
			return t, l.invalid(end)
		}
	case c == '@':
		if end = wordEnd(s, start+1); end == start+1 {
			return t, l.invalid(end)
		}
		t.kind = tokenParam
	default:
		for _, p := range puncts {
			if strings.HasPrefix(s[start:], p) {
				t.kind, end = tokenPunct, start+len(p)
				break
			}
		}
		if end == 0 {
			_, n := utf8.DecodeRuneInString(s[start:])
			return t, l.invalid(start + n)
		}
	}
	t.text = s[start:end]
	l.forward(end)
	t.End = l.unit
	return t, nil
}

// invalid is the error about the token up to byte end.
func (l *lexer) invalid(end int) *SyntaxError {
	start, text := l.unit, l.text[l.i:end]
	l.forward(end)
	return &SyntaxError{CodeToken, "Syntax error, invalid token '" + text + "'.", start, l.unit}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func isWordStart(s string) bool {
	c := s[0]
	if c < utf8.RuneSelf {
		return c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
	}
	r, _ := utf8.DecodeRuneInString(s)
	return unicode.IsLetter(r)
}

// wordEnd is the index of the first byte from i on that is not part of a word.
func wordEnd(s string, i int) int {
	for i < len(s) {
		c := s[i]
		if c < utf8.RuneSelf {
			if c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_' || isDigit(c) {
				i++
				continue
			}
			return i
		}
		r, n := utf8.DecodeRuneInString(s[i:])
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) {
			return i
		}
		i += n
	}
	return i
}

// readNumber reads a decimal number, which may end with a dot, or a hexadecimal
// one. It returns the index behind it, and whether it is one that a double can
// hold and that no letter follows.
func readNumber(s string, i int) (f float64, end int, ok bool) {
	start := i
	if s[i] == '0' && i+1 < len(s) && s[i+1]|0x20 == 'x' {
		end = wordEnd(s, i)
		n, err := strconv.ParseUint(s[i+2:end], 16, 64)
		return float64(n), end, err == nil && !strings.Contains(s[i:end], "_")
	}
	digits := func() {
		for i < len(s) && isDigit(s[i]) {
			i++
		}
	}
	digits()
	if i < len(s) && s[i] == '.' {
		i++
		digits()
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '+' || s[i] == '-') {
			i++
		}
		digits()
	}
	if end = wordEnd(s, i); end > i { // 12ab
		return 0, end, false
	}
	f, err := strconv.ParseFloat(s[start:i], 64)
	return f, i, err == nil
}

// readString reads the string whose quote is at i, and returns the index behind
// its end, negative if it has none or an escape is wrong.
func readString(s string, i int) (str string, end int) {
	quote := s[i]
	i++
	start := i
	for i < len(s) && s[i] != quote && s[i] != '\\' {
		i++
	}
	if i < len(s) && s[i] == quote {
		return s[start:i], i + 1
	}
	b := []byte(s[start:i])
	for i < len(s) {
		c := s[i]
		switch c {
		case quote:
			return string(b), i + 1
		case '\\':
			r, n := readEscape(s[i:])
			if n == 0 {
				return "", -1
			}
			b = utf8.AppendRune(b, r)
			i += n
		default:
			b = append(b, c)
			i++
		}
	}
	return "", -1
}

// readEscape is the rune that the escape at the beginning of s stands for and
// the escape's length, 0 if it is none. Surrogates that are not a pair are
// U+FFFD.
func readEscape(s string) (r rune, n int) {
	if len(s) < 2 {
		return 0, 0
	}
	switch s[1] {
	case '"', '\'', '\\', '/':
		return rune(s[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
		first, ok := hexRune(s[2:])
		if !ok {
			return 0, 0
		}
		if first >= 0xD800 && first < 0xDC00 && strings.HasPrefix(s[6:], `\u`) {
			if second, ok := hexRune(s[8:]); ok && second >= 0xDC00 && second < 0xE000 {
				return (first-0xD800)<<10 + (second - 0xDC00) + 0x10000, 12
			}
		}
		return first, 6 // AppendRune makes U+FFFD of half a pair
	}
	return 0, 0
}

func hexRune(s string) (rune, bool) {
	if len(s) < 4 {
		return 0, false
	}
	n, err := strconv.ParseUint(s[:4], 16, 32)
	return rune(n), err == nil && s[0] != '+'
}
