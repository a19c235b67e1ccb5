package sql

import (
	"math"
	"unicode/utf8"

	"millrace/connector/cosmosdb/local/value"
)

// The limits on a query: they bound the time and the memory that a text can
// cost, and how deep functions that walk over its tree recurse.
const (
	MaxText = 512 << 10 // bytes
	// MaxDepth is how deep brackets, subqueries and operators that take what
	// follows them may be nested.
	MaxDepth = 200
	// MaxOperators is how many operators, with steps of paths, a query has.
	// A tree is never deeper than MaxDepth plus this.
	MaxOperators = 50_000
)

// Parse reads a query. The error is a *SyntaxError.
func Parse(text string) (*Query, error) {
	return parse(text, (*parser).query)
}

// ParseCondition reads a query that has no SELECT, as in the condition of a
// PATCH: "FROM c WHERE c.a = 1". It is SELECT * then. The error is a
// *SyntaxError.
func ParseCondition(text string) (*Query, error) {
	return parse(text, func(p *parser) *Query {
		q := &Query{Span: p.tok.Span, Select: Select{Star: true}}
		if p.tok.keyword != keyFrom && p.tok.keyword != keyWhere {
			p.unexpected()
		}
		p.clauses(q)
		return q
	})
}

func parse(text string, read func(p *parser) *Query) (q *Query, err error) {
	if len(text) > MaxText {
		return nil, Errorf(Span{}, CodeLimit, "The SQL query text exceeded the maximum limit of %d characters.", MaxText)
	}
	if !utf8.ValidString(text) {
		return nil, Errorf(Span{}, CodeToken, "Syntax error, the query is not valid UTF-8.")
	}
	p := &parser{lexer: lexer{text: text}}
	defer func() {
		// The parser's functions give up by panicking with their error; it
		// ends here, and nothing else is caught.
		if r := recover(); r != nil {
			e, ok := r.(*SyntaxError)
			if !ok {
				panic(r)
			}
			q, err = nil, e
		}
	}()
	p.advance()
	p.advance()
	q = read(p)
	if p.tok.kind != tokenEnd {
		p.unexpected()
	}
	return q, nil
}

// parser reads tokens with one of look-ahead.
type parser struct {
	lexer
	last, tok, ahead token
	depth, operators int
}

func (p *parser) advance() {
	t, err := p.lexer.next()
	if err != nil {
		panic(err)
	}
	p.last, p.tok, p.ahead = p.tok, p.ahead, t
}

// unexpected gives up at the current token, or, at the end of the text, at the
// last one.
func (p *parser) unexpected() {
	t := p.tok
	if t.kind == tokenEnd && p.last.text != "" {
		t = p.last
	}
	panic(Errorf(t.Span, CodeSyntax, "Syntax error, incorrect syntax near '%s'.", t.text))
}

func (p *parser) take() token {
	t := p.tok
	p.advance()
	return t
}

func (p *parser) accept(k keyword) bool {
	if p.tok.keyword != k {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expect(k keyword) {
	if !p.accept(k) {
		p.unexpected()
	}
}

func (p *parser) acceptPunct(s string) bool {
	if !p.tok.is(s) {
		return false
	}
	p.advance()
	return true
}

func (p *parser) expectPunct(s string) {
	if !p.acceptPunct(s) {
		p.unexpected()
	}
}

// since is the span from there to the end of the last token.
func (p *parser) since(from Span) Span { return Span{from.Start, p.last.End} }

func (p *parser) enter() {
	if p.depth++; p.depth > MaxDepth {
		panic(Errorf(p.tok.Span, CodeLimit, "The query is nested deeper than the maximum of %d.", MaxDepth))
	}
}

func (p *parser) leave() { p.depth-- }

func (p *parser) countOperator() {
	if p.operators++; p.operators > MaxOperators {
		panic(Errorf(p.tok.Span, CodeLimit, "The query has more than the maximum of %d operators.", MaxOperators))
	}
}

// name reads an identifier that is no keyword.
func (p *parser) name() string {
	if p.tok.kind != tokenWord || p.tok.keyword != 0 {
		p.unexpected()
	}
	return p.take().text
}

// word reads an identifier or a keyword.
func (p *parser) word() string {
	if p.tok.kind != tokenWord {
		p.unexpected()
	}
	return p.take().text
}

// property reads the name behind a dot. A keyword must follow it at once: in
// "c. FROM c" something is missing.
func (p *parser) property() string {
	if p.tok.keyword != 0 && p.tok.Start != p.last.End {
		p.unexpected()
	}
	return p.word()
}

func (p *parser) query() *Query {
	p.enter()
	defer p.leave()
	q := &Query{Span: p.tok.Span}
	p.expect(keySelect)
	p.selection(&q.Select)
	p.clauses(q)
	return q
}

func (p *parser) selection(s *Select) {
	s.Distinct = p.accept(keyDistinct)
	if p.accept(keyTop) {
		s.Top = p.count()
		s.Distinct = p.accept(keyDistinct) || s.Distinct
	}
	switch {
	case p.acceptPunct("*"):
		s.Star = true
	case p.accept(keyValue):
		s.Value = p.expr()
	default:
		for {
			s.Items = append(s.Items, p.item())
			if !p.acceptPunct(",") {
				return
			}
		}
	}
}

func (p *parser) item() Item {
	start := p.tok.Span
	i := Item{Expr: p.expr()}
	if p.accept(keyAs) {
		i.Alias = p.word()
	} else if p.tok.kind == tokenWord && p.tok.keyword == 0 {
		i.Alias = p.take().text
	}
	i.Span = p.since(start)
	return i
}

// clauses reads what follows SELECT.
func (p *parser) clauses(q *Query) {
	if p.accept(keyFrom) {
		q.From = append(q.From, p.source())
		for p.accept(keyJoin) {
			q.From = append(q.From, p.source())
		}
	}
	if p.accept(keyWhere) {
		q.Where = p.expr()
	}
	if p.accept(keyGroup) {
		p.expect(keyBy)
		q.GroupBy = p.list()
	}
	if p.accept(keyOrder) {
		p.expect(keyBy)
		p.order(q)
	}
	if p.accept(keyOffset) {
		q.Offset = p.count()
		p.expect(keyLimit)
		q.Limit = p.count()
	}
	q.Span = p.since(q.Span)
}

func (p *parser) source() Source {
	s := Source{Span: p.tok.Span}
	if p.ahead.keyword == keyIn {
		s.Each = true
		s.Alias = p.name()
		p.advance()
	}
	if p.acceptPunct("(") {
		s.Query = p.query()
		p.expectPunct(")")
	} else {
		s.Path = p.path()
	}
	if !s.Each {
		if p.accept(keyAs) || p.tok.kind == tokenWord && p.tok.keyword == 0 {
			s.Alias = p.name()
		}
	}
	s.Span = p.since(s.Span)
	return s
}

// path reads the path of a source.
func (p *parser) path() Expr {
	start := p.tok.Span
	var e Expr = &Name{Name: p.name(), Span: p.since(start)}
	for {
		switch {
		case p.acceptPunct("."):
			p.countOperator()
			name := p.property()
			e = &Member{Of: e, Name: name, Span: p.since(start)}
		case p.acceptPunct("["):
			p.countOperator()
			t := p.take()
			p.expectPunct("]")
			switch {
			case t.kind == tokenString:
				e = &Member{Of: e, Name: t.str, Span: p.since(start)}
			case isCount(t):
				e = &Index{Of: e, Index: &Literal{Span: t.Span, Value: value.Number(t.num)}, Span: p.since(start)}
			default:
				panic(Errorf(t.Span, CodeSyntax, "Syntax error, incorrect syntax near '%s'.", t.text))
			}
		default:
			return e
		}
	}
}

func (p *parser) order(q *Query) {
	for {
		o := Order{Span: p.tok.Span}
		if keywordIs(p.tok, "RANK") && p.ahead.kind == tokenWord && p.ahead.keyword == 0 {
			panic(Errorf(p.tok.Span, CodeSyntax, "ORDER BY RANK is not supported here: it needs a full-text or vector index."))
		}
		o.Expr = p.expr()
		if p.accept(keyDesc) {
			o.Descending = true
		} else {
			p.accept(keyAsc)
		}
		o.Span = p.since(o.Span)
		q.OrderBy = append(q.OrderBy, o)
		if !p.acceptPunct(",") {
			return
		}
	}
}

// count reads a whole number or a parameter.
func (p *parser) count() Expr {
	if !isCount(p.tok) && p.tok.kind != tokenParam {
		p.unexpected()
	}
	t := p.take()
	if t.kind == tokenParam {
		return &Parameter{Span: t.Span, Name: t.text}
	}
	return &Literal{Span: t.Span, Value: value.Number(t.num)}
}

func isCount(t token) bool {
	if t.kind != tokenNumber || t.num > math.MaxInt32 {
		return false
	}
	for i := range len(t.text) {
		if !isDigit(t.text[i]) {
			return false
		}
	}
	return true
}
