package syntax

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// tokenKind is what a token is at first sight; whether a word is a keyword
// depends on where it stands.
type tokenKind uint8

const (
	endToken    tokenKind = iota
	wordToken             // a plain name or a keyword
	nameToken             // a name in brackets or double quotes
	numberToken           // 12, 1.5, 1e-3
	stringToken           // 'text'
	signToken             // an operator or a piece of punctuation
)

type token struct {
	Span
	kind  tokenKind
	quote byte
	// text is the value of a name or a text, the spelling of all others.
	text string
	// upper is the upper-case spelling of a word or a sign, "" for all others:
	// what the grammar compares with.
	upper string
	// depth counts the parentheses that are open around the token.
	depth int
}

type lexer struct {
	text     string
	at       Pos
	lineHas  bool // something other than white space was seen on this line
	depth    int
	tokens   []token
	comments []*Comment
	report   func(Diagnostic)
}

// lex splits text into tokens, the last of which is the end.
func lex(text string, report func(Diagnostic)) ([]token, []*Comment) {
	l := &lexer{text: text, at: Pos{Line: 1, Column: 1}, report: report}
	for l.next() {
	}
	return append(l.tokens, token{Span: Span{l.at, l.at}, kind: endToken}), l.comments
}

// rest is the text that is still to be read.
func (l *lexer) rest() string { return l.text[l.at.Offset:] }

// skip moves n bytes on.
func (l *lexer) skip(n int) {
	for _, r := range l.text[l.at.Offset : l.at.Offset+n] {
		if r == '\n' {
			l.at.Line++
			l.at.Column = 1
			l.lineHas = false
		} else {
			l.at.Column++
		}
	}
	l.at.Offset += n
}

func isSpace(r rune) bool { return unicode.IsSpace(r) || r == '\uFEFF' }

func isNameStart(r rune) bool { return r == '_' || r == '@' || r == '#' || unicode.IsLetter(r) }

func isNamePart(r rune) bool {
	return isNameStart(r) || r == '$' || unicode.IsDigit(r) || unicode.Is(unicode.Mn, r) || unicode.Is(unicode.Mc, r)
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// next reads one token, comment or run of white space; false at the end.
func (l *lexer) next() bool {
	rest := l.rest()
	if rest == "" {
		return false
	}
	r, size := utf8.DecodeRuneInString(rest)
	switch {
	case isSpace(r):
		l.skip(size)
	case strings.HasPrefix(rest, "--"):
		n := strings.IndexByte(rest, '\n')
		if n < 0 {
			n = len(rest)
		}
		l.comment(len(strings.TrimRightFunc(rest[:n], isSpace)))
	case strings.HasPrefix(rest, "//") && !strings.HasPrefix(rest, "//*"):
		start := l.at
		line, _, _ := strings.Cut(rest, "\n")
		l.skip(len(strings.TrimSuffix(line, "\r")))
		l.lineHas = true
		l.report(Diagnostic{Pos: start, End: l.at, Message: "// begins no comment in this language", Expected: []string{"--"}, Suggestion: "write -- or /* */"})
	case strings.HasPrefix(rest, "/*"):
		l.blockComment(rest)
	case r == '[':
		l.delimited(rest, 1, ']', nameToken)
	case r == '"':
		l.delimited(rest, 1, '"', nameToken)
	case r == '\'':
		l.delimited(rest, 1, '\'', stringToken)
	case (r == 'N' || r == 'n') && strings.HasPrefix(rest[1:], "'"):
		l.delimited(rest, 2, '\'', stringToken)
	case r == '‘' || r == '’' || r == '“' || r == '”':
		l.typographic(rest, size)
	case isNameStart(r) && (r != utf8.RuneError || size > 1):
		n := strings.IndexFunc(rest, func(r rune) bool { return !isNamePart(r) })
		if n < 0 {
			n = len(rest)
		}
		l.add(wordToken, n, rest[:n], upperASCII(rest[:n]))
	case r >= '0' && r <= '9' || r == '.' && len(rest) > 1 && isDigit(rest[1]) && !l.afterName():
		l.number(rest)
	default:
		l.sign(rest, r, size)
	}
	return true
}

// afterName tells whether the place is directly behind a name, so that a dot
// is no decimal point.
func (l *lexer) afterName() bool {
	if len(l.tokens) == 0 {
		return false
	}
	t := l.tokens[len(l.tokens)-1]
	return t.Stop == l.at && (t.kind == wordToken || t.kind == nameToken || t.text == ")")
}

// upperASCII is strings.ToUpper for keywords: letters outside ASCII have no
// upper case that a keyword could be confused with.
func upperASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		return r
	}, s)
}

func (l *lexer) add(kind tokenKind, n int, text, upper string) *token {
	start := l.at
	l.skip(n)
	l.lineHas = true
	l.tokens = append(l.tokens, token{Span: Span{start, l.at}, kind: kind, text: text, upper: upper, depth: l.depth})
	return &l.tokens[len(l.tokens)-1]
}

func (l *lexer) comment(n int) {
	start, own := l.at, !l.lineHas
	text := l.rest()[:n]
	l.skip(n)
	l.comments = append(l.comments, &Comment{Span: Span{start, l.at}, Text: text, OwnLine: own})
	// What follows a block comment on its last line is not alone there either.
	l.lineHas = true
}

// blockComment reads a comment that may hold others, as T-SQL's can.
func (l *lexer) blockComment(rest string) {
	depth := 0
	for i := 0; i+1 < len(rest); {
		switch rest[i : i+2] {
		case "/*":
			depth++
			i += 2
		case "*/":
			depth--
			i += 2
		default:
			i++
		}
		if depth == 0 {
			l.comment(i)
			return
		}
	}
	start := l.at
	l.skip(len(rest))
	l.report(Diagnostic{Pos: start, End: l.at, Message: "this comment does not end", Expected: []string{"*/"}, Suggestion: "close it with */"})
}

// delimited reads a text or name up to its closing delimiter, which stands
// twice for itself inside.
func (l *lexer) delimited(rest string, from int, end byte, kind tokenKind) {
	quote := rest[from-1]
	for i := from; i < len(rest); i++ {
		if rest[i] != end {
			continue
		}
		if i+1 < len(rest) && rest[i+1] == end {
			i++
			continue
		}
		value := strings.ReplaceAll(rest[from:i], string([]byte{end, end}), string(end))
		start := l.at
		l.add(kind, i+1, value, "").quote = quote
		if kind == nameToken && value == "" {
			l.report(Diagnostic{Pos: start, End: l.at, Message: "a name cannot be empty"})
		}
		return
	}
	start := l.at
	line, _, _ := strings.Cut(rest, "\n")
	what, hint := "this text does not end", "close it with '"
	switch quote {
	case '[':
		what, hint = "this name does not end", "close it with ]"
	case '"':
		what, hint = "this name does not end", `close it with "`
	}
	// What follows is read as if the line's end closed it, for the errors there.
	line = strings.TrimSuffix(line, "\r")
	l.add(kind, len(line), line[min(from, len(line)):], "").quote = quote
	l.report(Diagnostic{Pos: start, End: l.at, Message: what, Expected: []string{string(end)}, Suggestion: hint})
}

// typographic reads a text between quotes that an editor has made pretty.
func (l *lexer) typographic(rest string, size int) {
	start := l.at
	n := strings.IndexAny(rest[size:], "‘’“”'\"\n")
	value, length := rest[size:], len(rest)
	if n >= 0 {
		value, length = rest[size:size+n], size+n
		if r, closing := utf8.DecodeRuneInString(rest[length:]); r != '\n' {
			length += closing
		}
	}
	l.add(stringToken, length, value, "").quote = '\''
	l.report(Diagnostic{Pos: start, End: l.at, Message: "texts stand between straight quotes, not typographic ones",
		Expected: []string{"'"}, Suggestion: "write '" + value + "'"})
}

func (l *lexer) number(rest string) {
	digits := func(i int) int {
		for i < len(rest) && isDigit(rest[i]) {
			i++
		}
		return i
	}
	n := digits(0)
	if n < len(rest) && rest[n] == '.' {
		n = digits(n + 1)
	}
	if n < len(rest) && (rest[n] == 'e' || rest[n] == 'E') {
		exp := n + 1
		if exp < len(rest) && (rest[exp] == '+' || rest[exp] == '-') {
			exp++
		}
		if end := digits(exp); end > exp {
			n = end
		}
	}
	start := l.at
	l.add(numberToken, n, rest[:n], "")
	if r, _ := utf8.DecodeRuneInString(rest[n:]); n < len(rest) && isNamePart(r) {
		m := strings.IndexFunc(rest[n:], func(r rune) bool { return !isNamePart(r) })
		if m < 0 {
			m = len(rest) - n
		}
		l.skip(m)
		l.report(Diagnostic{Pos: start, End: l.at, Message: "a number and a name stand together: " + quoted(rest[:n+m]),
			Suggestion: "a name that begins with a digit stands in brackets: [" + rest[:n+m] + "]"})
	}
}

// signs are all signs of more than one character, and the single ones.
var longSigns = []string{"<>", "<=", ">=", "!=", "!<", "!>"}

const shortSigns = "()=<>+-*/%&|^~,.;?"

func (l *lexer) sign(rest string, r rune, size int) {
	for _, s := range longSigns {
		if strings.HasPrefix(rest, s) {
			l.add(signToken, 2, s, s)
			return
		}
	}
	for _, wrong := range [...]struct{ sign, means, hint string }{
		{"==", "=", "did you mean = ?"}, {"&&", "AND", "did you mean AND?"},
		{"||", "OR", "did you mean OR, or + to join texts?"}, {"!", "NOT", "did you mean NOT or <> ?"},
	} {
		if strings.HasPrefix(rest, wrong.sign) {
			start := l.at
			kind := signToken
			if wrong.means != "=" {
				kind = wordToken
			}
			l.add(kind, len(wrong.sign), wrong.means, wrong.means)
			l.report(Diagnostic{Pos: start, End: l.at, Message: quoted(wrong.sign) + " is no operator of this language",
				Expected: []string{wrong.means}, Suggestion: wrong.hint})
			return
		}
	}
	if !strings.ContainsRune(shortSigns, r) {
		start := l.at
		bad := rest[:size]
		l.skip(size)
		l.lineHas = true
		l.report(Diagnostic{Pos: start, End: l.at, Message: "the character " + quoted(bad) + " has no meaning here"})
		return
	}
	if r == ')' && l.depth > 0 {
		l.depth--
	}
	l.add(signToken, size, rest[:size], rest[:size])
	if r == '(' {
		l.depth++
	}
}
