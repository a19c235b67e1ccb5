package sql

import (
	"strings"

	"millrace/connector/cosmosdb/local/value"
)

// How tightly operators hold their operands; what is between two numbers is
// the smaller one's. The comparisons and shifts are one level, as are + and -
// with the bitwise operators: that is the service's own grammar. So is NOT,
// which holds as tightly as a sign: NOT c.a = 1 means (NOT c.a) = 1.
const (
	levelConditional = iota + 1
	levelCoalesce    // to the right
	levelOr
	levelAnd
	levelTest // BETWEEN, IN, LIKE: one at a time
	levelCompare
	levelConcat
	levelAdd
	levelMultiply
	levelUnary
	levelPostfix
)

var binaryLevel = [...]int{
	OpCoalesce: levelCoalesce, OpOr: levelOr, OpAnd: levelAnd,
	OpEqual: levelCompare, OpNotEqual: levelCompare, OpLess: levelCompare, OpLessEqual: levelCompare,
	OpGreater: levelCompare, OpGreaterEqual: levelCompare,
	OpShiftLeft: levelCompare, OpShiftRight: levelCompare, OpShiftRightZero: levelCompare,
	OpConcat: levelConcat,
	OpBitOr:  levelAdd, OpBitXor: levelAdd, OpBitAnd: levelAdd, OpAdd: levelAdd, OpSubtract: levelAdd,
	OpMultiply: levelMultiply, OpDivide: levelMultiply, OpModulo: levelMultiply,
}

// binaryOps are the operators by their text. The words are not among them.
var binaryOps = func() map[string]BinaryOp {
	m := map[string]BinaryOp{"<>": OpNotEqual}
	for op, text := range binaryText {
		if text != "OR" && text != "AND" {
			m[text] = BinaryOp(op)
		}
	}
	return m
}()

// binaryOp is the operator that the current token is, and its level; 0 if it is
// none. For BETWEEN, IN and LIKE only the level counts.
func (p *parser) binaryOp() (BinaryOp, int) {
	switch t := p.tok; t.keyword {
	case keyAnd:
		return OpAnd, levelAnd
	case keyOr:
		return OpOr, levelOr
	case keyBetween, keyIn, keyLike:
		return 0, levelTest
	case keyNot:
		if k := p.ahead.keyword; k == keyBetween || k == keyIn || k == keyLike {
			return 0, levelTest
		}
	case 0:
		if t.kind == tokenPunct {
			if op, ok := binaryOps[t.text]; ok {
				return op, binaryLevel[op]
			}
		}
	}
	return 0, 0
}

// expr reads an expression.
func (p *parser) expr() Expr {
	p.enter()
	defer p.leave()
	start := p.tok.Span
	e := p.binary(levelCoalesce)
	if !p.acceptPunct("?") {
		return e
	}
	c := &Conditional{If: e, Then: p.expr()}
	p.expectPunct(":")
	c.Else = p.expr()
	c.Span = p.since(start)
	return c
}

// binary reads operands and the operators between them that hold at least as
// tightly as least.
func (p *parser) binary(least int) Expr {
	start := p.tok.Span
	left := p.unary()
	most := levelPostfix
	for {
		op, level := p.binaryOp()
		if level == 0 || level < least || level > most {
			return left
		}
		p.countOperator()
		if level == levelTest {
			left = p.test(left, start)
			most = levelTest - 1
			continue
		}
		p.advance()
		b := &Binary{Op: op, L: left}
		if op == OpCoalesce {
			p.enter()
			b.R = p.binary(level)
			p.leave()
		} else {
			b.R = p.binary(level + 1)
		}
		b.Span = p.since(start)
		left = b
	}
}

// test reads [NOT] BETWEEN, IN or LIKE behind x.
func (p *parser) test(x Expr, start Span) Expr {
	not := p.accept(keyNot)
	switch p.take().keyword {
	case keyBetween:
		b := &Between{X: x, Not: not, Low: p.binary(levelCompare)}
		p.expect(keyAnd)
		b.High = p.binary(levelCompare)
		b.Span = p.since(start)
		return b
	case keyIn:
		p.expectPunct("(")
		in := &In{X: x, Not: not, Items: p.list()}
		p.expectPunct(")")
		in.Span = p.since(start)
		return in
	default:
		l := &Like{X: x, Not: not, Pattern: p.binary(levelCompare)}
		if p.accept(keyEscape) {
			switch t := p.tok; t.kind {
			case tokenString:
				l.Escape = &Literal{Span: t.Span, Value: value.String(t.str)}
			case tokenParam:
				l.Escape = &Parameter{Span: t.Span, Name: t.text}
			default:
				p.unexpected()
			}
			p.advance()
		}
		l.Span = p.since(start)
		return l
	}
}

func (p *parser) unary() Expr {
	var op UnaryOp
	switch t := p.tok; {
	case t.keyword == keyNot || t.is("!"):
		op = OpNot
	case t.is("-"):
		op = OpNegate
	case t.is("+"):
		op = OpPlus
	case t.is("~"):
		op = OpBitNot
	default:
		return p.postfix()
	}
	p.enter()
	defer p.leave()
	start := p.take().Span
	x := p.unary()
	if l, ok := x.(*Literal); ok && op == OpNegate {
		if f, ok := l.Value.AsNumber(); ok {
			return &Literal{Span: p.since(start), Value: value.Number(-f)}
		}
	}
	return &Unary{Span: p.since(start), Op: op, X: x}
}

// postfix reads an operand and the steps of a path behind it.
func (p *parser) postfix() Expr {
	start := p.tok.Span
	e := p.primary()
	for {
		switch {
		case p.acceptPunct("."):
			p.countOperator()
			name := p.property()
			e = &Member{Of: e, Name: name, Span: p.since(start)}
		case p.acceptPunct("["):
			p.countOperator()
			i := p.expr()
			p.expectPunct("]")
			if l, ok := i.(*Literal); ok {
				if name, ok := l.Value.AsString(); ok {
					e = &Member{Of: e, Name: name, Span: p.since(start)}
					continue
				}
			}
			e = &Index{Of: e, Index: i, Span: p.since(start)}
		default:
			return e
		}
	}
}

func (p *parser) primary() Expr {
	t := p.tok
	switch t.kind {
	case tokenNumber:
		p.advance()
		return &Literal{Span: t.Span, Value: value.Number(t.num)}
	case tokenString:
		p.advance()
		return &Literal{Span: t.Span, Value: value.String(t.str)}
	case tokenParam:
		p.advance()
		return &Parameter{Span: t.Span, Name: t.text}
	case tokenWord:
		return p.wordExpr()
	}
	switch {
	case t.is("("):
		return p.parenthesis()
	case t.is("["):
		p.advance()
		a := &Array{}
		if !p.tok.is("]") {
			a.Items = p.list()
		}
		p.expectPunct("]")
		a.Span = p.since(t.Span)
		return a
	case t.is("{"):
		return p.object()
	}
	p.unexpected()
	return nil
}

// wordExpr reads an expression that begins with a word.
func (p *parser) wordExpr() Expr {
	t := p.tok
	switch t.keyword {
	case keyTrue:
		return p.literal(value.Bool(true))
	case keyFalse:
		return p.literal(value.Bool(false))
	case keyNull:
		return p.literal(value.Null())
	case keyUndefined:
		return p.literal(value.Undefined())
	case keyExists:
		p.advance()
		return &Exists{Query: p.subquery(), Span: p.since(t.Span)}
	case keyArray:
		p.advance()
		return &ArrayOf{Query: p.subquery(), Span: p.since(t.Span)}
	case keyUdf:
		p.advance()
		p.expectPunct(".")
		c := &Call{UDF: true, Name: p.property()}
		p.arguments(c, t.Span)
		return c
	}
	if p.ahead.is("(") {
		c := &Call{Name: p.name()}
		p.arguments(c, t.Span)
		return c
	}
	return &Name{Name: p.name(), Span: t.Span}
}

func (p *parser) literal(v value.Value) Expr {
	return &Literal{Span: p.take().Span, Value: v}
}

func (p *parser) arguments(c *Call, start Span) {
	p.expectPunct("(")
	if !p.tok.is(")") {
		c.Args = p.list()
	}
	p.expectPunct(")")
	c.Span = p.since(start)
}

func (p *parser) subquery() *Query {
	p.expectPunct("(")
	q := p.query()
	p.expectPunct(")")
	return q
}

func (p *parser) parenthesis() Expr {
	start := p.tok.Span
	if p.ahead.keyword == keySelect {
		return &Subquery{Query: p.subquery(), Span: p.since(start)}
	}
	p.advance()
	e := p.expr()
	p.expectPunct(")")
	return e
}

func (p *parser) object() Expr {
	o := &Object{Span: p.take().Span}
	for !p.tok.is("}") {
		if len(o.Members) > 0 {
			p.expectPunct(",")
		}
		var m ObjectMember
		if p.tok.kind == tokenString {
			m.Name = p.take().str
		} else {
			m.Name = p.word()
		}
		p.expectPunct(":")
		m.Value = p.expr()
		o.Members = append(o.Members, m)
	}
	p.advance()
	o.Span = p.since(o.Span)
	return o
}

// list reads one expression or more.
func (p *parser) list() []Expr {
	list := []Expr{p.expr()}
	for p.acceptPunct(",") {
		list = append(list, p.expr())
	}
	return list
}

func keywordIs(t token, word string) bool {
	return t.kind == tokenWord && strings.EqualFold(t.text, word)
}
