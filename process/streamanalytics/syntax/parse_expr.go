package syntax

import "strings"

// The levels of binding, the loosest first.
const (
	levelOr = iota + 1
	levelAnd
	levelNot
	levelCompare
	levelAdd
	levelMultiply
	levelSign
)

func levelOf(o Op) int {
	switch o {
	case Or:
		return levelOr
	case And:
		return levelAnd
	case Not:
		return levelNot
	case Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual:
		return levelCompare
	case Add, Subtract, BitAnd, BitOr, BitXor:
		return levelAdd
	case Multiply, Divide, Modulo:
		return levelMultiply
	case BitNot, Plus, Minus, NoOp:
	}
	return levelSign
}

func binaryOp(t token) Op {
	switch t.upper {
	case "OR":
		return Or
	case "AND":
		return And
	case "=":
		return Equal
	case "<>", "!=":
		return NotEqual
	case "<":
		return Less
	case "<=", "!>":
		return LessOrEqual
	case ">":
		return Greater
	case ">=", "!<":
		return GreaterOrEqual
	case "+":
		return Add
	case "-":
		return Subtract
	case "&":
		return BitAnd
	case "|":
		return BitOr
	case "^":
		return BitXor
	case "*":
		return Multiply
	case "/":
		return Divide
	case "%":
		return Modulo
	}
	return NoOp
}

func (p *parser) exprs() []Expr {
	list := []Expr{p.expr()}
	for p.accept(",") {
		list = append(list, p.expr())
	}
	return list
}

func (p *parser) expr() Expr {
	defer p.enter()()
	return p.binary(levelOr)
}

// binary reads operands joined by operators that bind at least as tightly as
// level.
func (p *parser) binary(level int) Expr {
	start := p.peek().Start
	left := p.operand(level)
	for n := 0; ; n++ {
		p.bound(n)
		t := p.peek()
		if test := p.test(left, start, level); test != nil {
			left = test
			continue
		}
		op := binaryOp(t)
		if op == NoOp || levelOf(op) < level {
			return left
		}
		p.take()
		right := p.binary(levelOf(op) + 1)
		left = &Binary{p.from(start), op, left, right, t.Start}
	}
}

func (p *parser) operand(level int) Expr {
	t := p.peek()
	op := NoOp
	switch t.upper {
	case "NOT":
		if level > levelNot {
			p.fail(t.Span, "put the NOT and what follows in parentheses", "NOT cannot stand here")
		}
		op = Not
	case "-":
		op = Minus
	case "+":
		op = Plus
	case "~":
		op = BitNot
	default:
		return p.primary()
	}
	defer p.enter()()
	p.take()
	x := p.binary(levelOf(op))
	return &Unary{p.from(t.Start), op, x}
}

// test reads BETWEEN, IN, LIKE or IS NULL behind x; nil if none is next.
func (p *parser) test(x Expr, start Pos, level int) Expr {
	at := p.peek()
	not := p.next("NOT")
	word := at
	if not {
		word = p.after(1)
	}
	switch word.upper {
	case "BETWEEN", "IN", "LIKE":
	case "IS":
		if not {
			return nil
		}
	default:
		return nil
	}
	if level > levelCompare {
		return nil
	}
	if not {
		p.take()
	}
	p.take()
	switch word.upper {
	case "BETWEEN":
		low := p.binary(levelAdd)
		p.expect("AND")
		high := p.binary(levelAdd)
		return &Between{p.from(start), not, x, low, high, at.Start}
	case "LIKE":
		pattern := p.binary(levelAdd)
		if p.next("ESCAPE") {
			p.fail(p.peek().Span, "write a wildcard in brackets: [%]", "LIKE has no ESCAPE in this language")
		}
		return &Like{p.from(start), not, x, pattern, at.Start}
	case "IN":
		p.expect("(")
		var list []Expr
		if p.next("SELECT") {
			list = []Expr{p.noQuery("use a JOIN", "IN takes a list of values, not a query")}
		} else {
			list = p.exprs()
		}
		p.close()
		return &In{p.from(start), not, x, list, at.Start}
	}
	not = p.accept("NOT")
	p.expect("NULL")
	return &IsNull{p.from(start), not, x, at.Start}
}

// close takes the parenthesis that ends a list.
func (p *parser) close() {
	if !p.accept(")") {
		p.unexpected(",", ")")
	}
}

func (p *parser) primary() Expr {
	t := p.peek()
	switch t.kind {
	case numberToken:
		p.take()
		return &Number{t.Span, t.text}
	case stringToken:
		p.take()
		return &String{t.Span, t.text}
	case nameToken:
		return p.path()
	case wordToken, signToken, endToken:
	}
	switch t.upper {
	case "NULL":
		p.take()
		return &Null{t.Span}
	case "(":
		return p.paren()
	case "CASE":
		return p.caseExpr()
	case "CAST", "TRY_CAST":
		if p.after(1).upper == "(" {
			return p.cast()
		}
	case "LEFT", "RIGHT":
		if p.after(1).upper == "(" {
			return p.path()
		}
	case "EXISTS", "ANY", "ALL", "SOME":
		if p.after(1).upper == "(" && p.after(2).upper == "SELECT" {
			p.i += 2
			x := p.noQuery(hintFor(t), t.upper+" is not part of this language")
			p.close()
			return x
		}
	case "*":
		p.fail(t.Span, "", "* can only stand alone in a select list or in COUNT(*)")
	}
	if t.isName() {
		return p.path()
	}
	p.unexpected("an expression")
	return nil
}

func (p *parser) paren() Expr {
	start := p.take().Start
	noOver := p.noOver
	p.noOver = false
	var x Expr
	if p.next("SELECT") {
		x = p.noQuery("name it as a step of a WITH and JOIN it", "a query cannot stand inside an expression")
	} else {
		x = p.expr()
	}
	if !p.accept(")") {
		p.unexpected("an operator", ")")
	}
	p.noOver = noOver
	return &Paren{p.from(start), x}
}

// noQuery reports a query where other dialects have one, and reads it, for
// what follows.
func (p *parser) noQuery(suggestion, message string) Expr {
	t := p.peek()
	p.wrong(t.Span, suggestion, "%s", message)
	var q Query
	p.subquery(&q)
	return &Null{p.from(t.Start)}
}

func (p *parser) caseExpr() Expr {
	c := &Case{Span: Span{Start: p.expect("CASE").Start}}
	if !p.next("WHEN") {
		c.Operand = p.expr()
	}
	for {
		if !p.next("WHEN") {
			p.unexpected("WHEN")
		}
		w := &When{Span: Span{Start: p.take().Start}}
		w.Cond = p.expr()
		p.expect("THEN")
		w.Then = p.expr()
		w.Span = p.from(w.Start)
		c.Whens = append(c.Whens, w)
		if !p.next("WHEN") && !p.next("ELSE") && !p.next("END") {
			p.unexpected("WHEN", "ELSE", "END")
		}
		if !p.next("WHEN") {
			break
		}
	}
	if p.next("ELSE") {
		c.ElsePos = p.take().Start
		c.Else = p.expr()
	}
	p.expect("END")
	c.Span = p.from(c.Start)
	return c
}

func (p *parser) cast() Expr {
	t := p.take()
	p.expect("(")
	c := &Cast{Try: t.upper == "TRY_CAST", X: p.expr()}
	p.expect("AS")
	c.Type = p.typeName()
	p.expect(")")
	c.Span = p.from(t.Start)
	return c
}

// foreignTypes are the types of other dialects and what they are called here.
var foreignTypes = map[string]Type{
	"INT": BigInt, "INTEGER": BigInt, "SMALLINT": BigInt, "TINYINT": BigInt, "LONG": BigInt,
	"DOUBLE": Float, "REAL": Float, "DECIMAL": Float, "NUMERIC": Float, "MONEY": Float, "NUMBER": Float,
	"NVARCHAR": NVarCharMax, "VARCHAR": NVarCharMax, "STRING": NVarCharMax, "TEXT": NVarCharMax, "CHAR": NVarCharMax, "NCHAR": NVarCharMax,
	"BOOL": Bit, "BOOLEAN": Bit,
	"DATE": DateTime, "TIME": DateTime, "TIMESTAMP": DateTime, "DATETIME2": DateTime, "DATETIMEOFFSET": DateTime, "SMALLDATETIME": DateTime,
	"OBJECT": Record, "STRUCT": Record, "LIST": Array,
}

// typeName reads a type. One that does not exist is reported, and read as what
// it probably means.
func (p *parser) typeName() *TypeName {
	t := p.peek()
	if t.kind != wordToken || reserved[t.upper] {
		p.unexpected("a type")
	}
	p.take()
	arg := ""
	if p.accept("(") {
		for !p.next(")") && p.peek().kind != endToken && len(arg) < len("max") {
			arg += upperASCII(p.take().text)
		}
		p.expect(")")
	}
	name := &TypeName{Span: p.from(t.Start)}
	var known []string
	for typ := BigInt; typ <= Array; typ++ {
		plain, _, _ := strings.Cut(typ.String(), "(")
		known = append(known, plain)
		if upperASCII(plain) == t.upper && (arg == "MAX") == (typ == NVarCharMax) && (arg == "" || arg == "MAX") {
			name.Type = typ
			return name
		}
	}
	typ, ok := foreignTypes[t.upper]
	if near := Nearest(t.text, known); !ok && near != "" {
		for typ = BigInt; !strings.HasPrefix(typ.String(), near); typ++ {
		}
	}
	suggestion := "the types are bigint, float, nvarchar(max), datetime, bit, record and array"
	if typ != NoType {
		suggestion = "did you mean " + typ.String() + "?"
	}
	spelled := t.text
	if arg != "" {
		spelled += "(" + strings.ToLower(arg) + ")"
	}
	p.wrong(name.Span, suggestion, "%s is not a type of this language", quoted(spelled))
	name.Type = typ
	return name
}
