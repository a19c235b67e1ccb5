package syntax

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The bounds of what Parse takes.
const (
	// MaxText is the longest text in bytes.
	MaxText = 256 << 10
	// MaxDepth is how deep expressions, queries and patterns can be nested.
	MaxDepth = 200
	// maxDiagnostics is how many errors are reported; more help nobody.
	maxDiagnostics = 50
)

// Parse reads a query. The diagnostics are in the order of the text; without
// any, the script is whole. With some, the script holds what could be read: what
// has an error may be absent, a query included, so that only tools which expect
// that should look at it. The script is never nil.
func Parse(text string) (*Script, []Diagnostic) {
	p := &parser{}
	if len(text) > MaxText {
		p.report(Diagnostic{Pos: Pos{Line: 1, Column: 1}, End: Pos{Line: 1, Column: 1},
			Message: fmt.Sprintf("the query has %d bytes, more than %d", len(text), MaxText)})
		return &Script{}, p.diagnostics
	}
	var comments []*Comment
	p.tokens, comments = lex(text, p.report)
	script := &Script{Comments: comments}
	p.script(script)
	script.Span = Span{Pos{Line: 1, Column: 1}, p.tokens[len(p.tokens)-1].Stop}
	slices.SortStableFunc(p.diagnostics, func(a, b Diagnostic) int { return a.Pos.Offset - b.Pos.Offset })
	return script, p.diagnostics
}

// parser is a recursive-descent parser over all tokens of a text. A syntax
// error is recorded and thrown as a bailout, which the nearest guard catches;
// guards stand around statements, clauses and list members, so that an error
// costs no more than one of these.
type parser struct {
	tokens      []token
	i           int
	diagnostics []Diagnostic
	// errors counts all errors, those too that are not reported.
	errors int
	nested int
	// bare is the alias without AS that was read last: if the next token makes
	// no sense, the alias may be a misspelt keyword.
	bare struct {
		index int
		drop  func()
	}
	// noOver is set where OVER belongs to TIMESTAMP BY and not to a call.
	noOver bool
	// inner is set inside steps and subqueries, which have no INTO.
	inner bool
}

// bailout is what a syntax error throws.
type bailout struct{}

func (p *parser) report(d Diagnostic) {
	p.errors++
	if len(p.diagnostics) >= maxDiagnostics {
		return
	}
	for _, have := range p.diagnostics {
		if have.Pos.Offset == d.Pos.Offset {
			return
		}
	}
	p.diagnostics = append(p.diagnostics, d)
}

// wrong reports something about a part of the text and goes on.
func (p *parser) wrong(at Span, suggestion, format string, args ...any) {
	p.report(Diagnostic{Pos: at.Start, End: at.Stop, Message: fmt.Sprintf(format, args...), Suggestion: suggestion})
}

// fail reports something about a part of the text and gives up what is read.
func (p *parser) fail(at Span, suggestion, format string, args ...any) {
	p.wrong(at, suggestion, format, args...)
	panic(bailout{})
}

// unexpected reports that the next token is none of the expected ones. If it,
// or the alias before it, looks like a misspelling of one of the keywords among
// them, the token becomes that keyword and the caller should try again;
// otherwise the call does not return.
func (p *parser) unexpected(expected ...string) { p.unexpectedOr(nil, expected...) }

// unexpectedOr is unexpected with rarer keywords, which the message leaves out.
func (p *parser) unexpectedOr(rarer []string, expected ...string) {
	t := p.peek()
	var keywords []string
	for _, e := range slices.Concat(expected, rarer) {
		if w, _, _ := strings.Cut(e, " "); w[0] >= 'A' && w[0] <= 'Z' {
			keywords = append(keywords, w)
		}
	}
	candidates := []int{p.i}
	if p.bare.drop != nil && p.bare.index == p.i-1 {
		candidates = append(candidates, p.bare.index)
	}
	for _, i := range candidates {
		word := p.tokens[i]
		if word.kind != wordToken || reserved[word.upper] {
			continue
		}
		if near := Nearest(word.text, keywords); near != "" {
			p.report(Diagnostic{Pos: word.Start, End: word.Stop, Expected: expected,
				Message: fmt.Sprintf("expected %s, found %s", oneOf(expected), word.describe()), Suggestion: "did you mean " + near + "?"})
			p.tokens[i].text, p.tokens[i].upper = near, upperASCII(near)
			if i < p.i {
				p.bare.drop()
				p.i = i
			}
			return
		}
	}
	hint := p.hint(expected)
	if len(candidates) > 1 && hint == "" {
		// The alias may be a keyword of another dialect.
		if hint = hintFor(p.tokens[p.bare.index]); hint != "" {
			t = p.tokens[p.bare.index]
		}
	}
	p.report(Diagnostic{Pos: t.Start, End: t.Stop, Expected: expected,
		Message: fmt.Sprintf("expected %s, found %s", oneOf(expected), t.describe()), Suggestion: hint})
	panic(bailout{})
}

// oneOf lists what was expected: "A, B or C".
func oneOf(words []string) string {
	list := make([]string, len(words))
	for i, w := range words {
		list[i] = w
		if len(w) == 1 {
			list[i] = quoted(w)
		}
	}
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return strings.Join(list[:len(list)-1], ", ") + " or " + list[len(list)-1]
}

// quoted shows a piece of the text in a message.
func quoted(s string) string {
	const most = 40
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return strconv.Quote(s)
}

func (t token) describe() string {
	switch t.kind {
	case endToken:
		return "the end of the query"
	case stringToken:
		return "the text " + quoted(t.text)
	case numberToken:
		return "the number " + t.text
	case nameToken:
		return "the name " + quoted(t.text)
	case wordToken, signToken:
	}
	return quoted(t.text)
}

// hint says what to do about the next token, where something else is expected.
func (p *parser) hint(expected []string) string {
	t := p.peek()
	first := expected[0]
	if first != "an expression" && !strings.HasPrefix(first, "a name") && !strings.HasSuffix(first, "name") {
		return hintFor(t)
	}
	switch t.upper {
	case "TABLE", "LEFT", "RIGHT", "FULL", "ASC", "DESC", "GROUP", "ORDER", "OUTER", "CROSS", "INNER":
		if !p.next(t.upper, "BY") {
			return "to use this word as a name, write [" + t.text + "]"
		}
	}
	if p.i > 0 && p.tokens[p.i-1].upper == "," && reserved[t.upper] {
		return "leave out the comma before it"
	}
	if p.i > 0 && p.tokens[p.i-1].upper == "SELECT" && t.upper == "FROM" {
		return "list what to select, or write * for everything"
	}
	return ""
}

// hintFor says what to do instead of what other dialects of SQL have.
func hintFor(t token) string {
	if t.isIndex() {
		return "an element of an array is GetArrayElement(array, " + t.text + ")"
	}
	switch t.upper {
	case "ORDER":
		return "a query's rows are in the order of time; inside OVER and TopOne an ORDER BY is possible"
	case "LIMIT", "TOP":
		return "use TopOne() or CollectTop(n) OVER (ORDER BY ...) over a window"
	case "RIGHT", "FULL":
		return "there are INNER JOIN, LEFT JOIN and CROSS JOIN; exchange the inputs and use LEFT JOIN"
	case "INSERT", "UPDATE", "DELETE", "MERGE", "DECLARE", "SET", "DROP", "ALTER":
		return "a query consists of CREATE TABLE, WITH and SELECT ... INTO statements"
	case "EXISTS", "ANY", "ALL", "SOME":
		return "use a JOIN instead of a subquery"
	}
	return ""
}

func (p *parser) peek() token { return p.tokens[p.i] }

// after returns the token n places behind the next one.
func (p *parser) after(n int) token { return p.tokens[min(p.i+n, len(p.tokens)-1)] }

func (p *parser) take() token {
	t := p.tokens[p.i]
	if t.kind != endToken {
		p.i++
	}
	return t
}

// next tells whether the next tokens are these words and signs.
func (p *parser) next(words ...string) bool {
	for n, w := range words {
		if p.after(n).upper != w {
			return false
		}
	}
	return true
}

// accept takes the next tokens if they are these words and signs.
func (p *parser) accept(words ...string) bool {
	if !p.next(words...) {
		return false
	}
	p.i += len(words)
	return true
}

// expect takes these words and signs or fails.
func (p *parser) expect(words ...string) token {
	first := p.peek()
	for _, w := range words {
		if !p.next(w) {
			p.unexpected(w)
		}
		p.take()
	}
	return first
}

// from returns the part of the text from start to the last token taken.
func (p *parser) from(start Pos) Span {
	stop := start
	if p.i > 0 && p.tokens[p.i-1].Stop.Offset > start.Offset {
		stop = p.tokens[p.i-1].Stop
	}
	return Span{start, stop}
}

// enter counts a level of nesting; the result undoes it.
func (p *parser) enter() (leave func()) {
	p.nested++
	if p.nested > MaxDepth {
		p.nested--
		t := p.peek()
		p.fail(t.Span, "split the query into steps of a WITH", "this is nested deeper than %d levels", MaxDepth)
	}
	return func() { p.nested-- }
}

// expectAfter takes the sign behind something that was read since there were
// so many errors; with an error there it gives up silently, as what is missing
// may have been skipped.
func (p *parser) expectAfter(errors int, sign string) {
	if p.errors > errors && !p.next(sign) {
		panic(bailout{})
	}
	p.expect(sign)
}

// guard runs read. If it fails, tokens are skipped up to the first one, outside
// parentheses that read had not opened, that is one of the stops; a comma only
// stops where read began, and a closing parenthesis that read did not open
// always does. The result is false if read failed.
func (p *parser) guard(read func(), stops ...string) (ok bool) {
	start, nested, inner, noOver := p.i, p.nested, p.inner, p.noOver
	defer func() {
		if ok {
			return
		}
		r := recover()
		if _, ours := r.(bailout); !ours {
			panic(r)
		}
		p.nested, p.inner, p.noOver = nested, inner, noOver
		p.skip(start, stops)
	}()
	read()
	return true
}

func (p *parser) skip(start int, stops []string) {
	opened := max(p.peek().depth-p.tokens[start].depth, 0)
	if p.next(")") && p.i > start {
		opened = max(p.peek().depth+1-p.tokens[start].depth, 0)
	}
	for depth := 0; ; p.take() {
		t := p.peek()
		switch {
		case t.kind == endToken:
			return
		case t.upper == "(":
			depth++
		case t.upper == ")" && depth > 0:
			depth--
		case t.upper == ")" && opened > 0:
			opened--
		case t.upper == ")":
			return
		case depth > 0:
		case t.upper == "," && opened > 0:
		case t.upper == "GROUP" && !p.next("GROUP", "BY"):
		case slices.Contains(stops, t.upper) && t.upper != "":
			return
		}
	}
}

// reserved are the words that are no names unless they are delimited.
var reserved = func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`SELECT FROM WHERE GROUP HAVING INTO WITH AS ON JOIN INNER LEFT RIGHT FULL CROSS
		OUTER UNION BY AND OR NOT NULL IS IN LIKE BETWEEN CASE WHEN THEN ELSE END CREATE TABLE OVER ORDER DISTINCT ASC DESC`) {
		m[w] = true
	}
	return m
}()

// isName tells whether t can be a name.
func (t token) isName() bool {
	return t.kind == nameToken || t.kind == wordToken && !reserved[t.upper]
}

// isIndex tells whether t looks like the index of an array's element.
func (t token) isIndex() bool {
	return t.kind == nameToken && t.quote == '[' && strings.Trim(t.text, "0123456789") == ""
}

func (t token) ident() *Ident {
	id := &Ident{Span: t.Span, Name: t.text}
	if t.kind == nameToken {
		id.Quote = t.quote
	}
	return id
}

// name takes a name; what says of what, for the message.
func (p *parser) name(what string) *Ident {
	t := p.peek()
	switch {
	case t.isName():
		return p.take().ident()
	case t.kind == wordToken && !p.next("GROUP", "BY") && !slices.Contains(clauses, t.upper) && !p.after(1).isName():
		// A keyword where nothing but a name makes sense.
		p.wrong(t.Span, "write ["+t.text+"]", "expected %s, but %s is a keyword", what, quoted(t.text))
		return p.take().ident()
	case t.kind == stringToken:
		p.wrong(t.Span, "write ["+t.text+"]", "expected %s, found the text %s", what, quoted(t.text))
		id := p.take().ident()
		id.Quote = '['
		return id
	}
	p.unexpected(what)
	return nil
}

// alias takes AS name, or a name alone if bare is set; nil if there is none.
// Words that begin a clause at this place are no names without AS.
func (p *parser) alias(bare bool, drop func()) *Ident {
	if p.accept("AS") {
		return p.name("a name")
	}
	t := p.peek()
	if !bare || !t.isName() {
		return nil
	}
	switch t.upper {
	case "TIMESTAMP", "PARTITION", "MATCH_RECOGNIZE", "APPLY":
		return nil
	}
	if t.isIndex() && p.i > 0 && p.tokens[p.i-1].Stop == t.Start {
		p.wrong(t.Span, hintFor(t), "this language has no [ ] for the elements of arrays")
	}
	p.bare.index, p.bare.drop = p.i, drop
	return p.take().ident()
}
