package syntax

import "strconv"

// script reads all statements. A statement with an error that its own guards
// do not confine is skipped up to a semicolon or the next statement.
func (p *parser) script(s *Script) {
	for {
		for p.accept(";") {
		}
		if p.peek().kind == endToken {
			return
		}
		start := p.i
		errors := p.errors
		ok := p.guard(func() {
			s.Statements = append(s.Statements, p.statement())
			p.statementEnd(errors)
		}, ";", "SELECT", "CREATE", "WITH")
		if !ok && p.i == start {
			p.take()
		}
	}
}

func (p *parser) statement() Statement {
	start := p.peek().Start
	for {
		switch {
		case p.next("CREATE"):
			return p.createTable()
		case p.next("WITH"):
			return p.with()
		case p.next("SELECT"), p.next("("):
			q := p.query()
			return &QueryStatement{p.from(start), q}
		}
		p.unexpected("SELECT", "WITH", "CREATE TABLE")
	}
}

// statementEnd sees to it that a statement is followed by another one, a
// semicolon or the end. What ends a query is known only there.
func (p *parser) statementEnd(errors int) {
	t := p.peek()
	switch {
	case t.kind == endToken, t.upper == ";", t.upper == "SELECT", t.upper == "WITH", t.upper == "CREATE", t.upper == "(":
		return
	case p.errors > errors:
		panic(bailout{})
	case t.upper == ")":
		p.fail(t.Span, "", "this closing parenthesis has no opening one")
	}
	p.unexpected("SELECT", "WITH", "CREATE TABLE", "the end of the query")
}

func (p *parser) createTable() *CreateTable {
	start := p.expect("CREATE", "TABLE").Start
	c := &CreateTable{Name: p.name("an input's name")}
	p.expect("(")
	for {
		p.guard(func() {
			at := p.peek().Start
			name := p.name("a column's name")
			typ := p.typeName()
			c.Columns = append(c.Columns, &ColumnDef{p.from(at), name, typ})
			if !p.next(",") && !p.next(")") {
				p.unexpected(",", ")")
			}
		}, ",", ";", "SELECT", "WITH", "CREATE")
		if !p.accept(",") {
			break
		}
	}
	p.expect(")")
	c.Span = p.from(start)
	return c
}

func (p *parser) with() *With {
	start := p.expect("WITH").Start
	w := &With{}
	for {
		if step := p.step(); step != nil {
			w.Steps = append(w.Steps, step)
		}
		if !p.accept(",") {
			break
		}
	}
	w.Span = p.from(start)
	return w
}

// step reads name AS ( query ); nil if it has an error before its query.
func (p *parser) step() *Step {
	start := p.peek().Start
	var step *Step
	p.guard(func() {
		s := &Step{Name: p.name("a step's name")}
		p.expect("AS")
		if t := p.peek(); t.upper == "SELECT" {
			p.fail(t.Span, "write AS ( ... )", "the query of a step stands in parentheses")
		}
		p.expect("(")
		step = s
		errors := p.errors
		p.subquery(&s.Query)
		p.expectAfter(errors, ")")
		s.Span = p.from(start)
	}, ",", ";", "SELECT", "CREATE", "WITH")
	if step != nil {
		// Errors inside the query end before its parenthesis.
		p.accept(")")
		step.Span = p.from(start)
	}
	return step
}

// subquery reads a query that has no output.
func (p *parser) subquery(q *Query) {
	before := p.inner
	p.inner = true
	*q = p.query()
	p.inner = before
}

// query reads selects joined by UNION.
func (p *parser) query() Query {
	defer p.enter()()
	start := p.peek().Start
	left := p.queryOperand()
	for n := 0; p.next("UNION"); n++ {
		p.bound(n)
		op := p.take()
		u := &Union{Left: left, All: p.accept("ALL"), OpPos: op.Start}
		before := p.inner
		p.inner = true
		u.Right = p.queryOperand()
		p.inner = before
		u.Span = p.from(start)
		left = u
	}
	return left
}

func (p *parser) queryOperand() Query {
	start := p.peek().Start
	for {
		switch {
		case p.next("SELECT"):
			return p.selectQuery()
		case p.next("("):
			p.take()
			errors := p.errors
			q := p.query()
			p.expectAfter(errors, ")")
			return &ParenQuery{p.from(start), q}
		}
		p.unexpected("SELECT", "(")
	}
}

// clauses are the words that a SELECT's clauses begin with, and what may
// follow it: where reading goes on after an error in a clause.
var clauses = []string{"INTO", "FROM", "WHERE", "GROUP", "HAVING", "UNION", ";", "SELECT", "CREATE", "WITH"}

func (p *parser) selectQuery() *Select {
	s := &Select{Span: Span{Start: p.expect("SELECT").Start}}
	p.noSelectOptions()
	ok := true
	for {
		ok = p.guard(func() {
			s.Items = append(s.Items, p.item(true))
			if p.next(",") || p.next("FROM") || p.next("INTO") {
				return
			}
			p.unexpected(",", "INTO", "FROM")
		}, append(clauses, ",")...)
		if !p.accept(",") {
			break
		}
	}
	if p.next("INTO") {
		ok = p.guard(func() { p.into(s) }, clauses...)
	}
	if ok || p.next("FROM") {
		ok = p.guard(func() {
			s.FromPos = p.expect("FROM").Start
			s.From = p.source()
		}, clauses...)
	}
	p.selectTail(s, ok)
	s.Span = p.from(s.Start)
	return s
}

// noSelectOptions reports what other dialects have between SELECT and the list.
func (p *parser) noSelectOptions() {
	t := p.peek()
	switch {
	case p.next("DISTINCT"):
		p.wrong(t.Span, "use GROUP BY over a window, or COUNT(DISTINCT x)", "SELECT DISTINCT is not part of this language")
		p.take()
	case p.next("TOP") && p.after(1).kind == numberToken:
		p.wrong(t.Span, hintFor(t), "SELECT TOP is not part of this language")
		p.i += 2
	case p.next("TOP", "(") && p.after(2).kind == numberToken && p.after(3).upper == ")":
		p.wrong(t.Span, hintFor(t), "SELECT TOP is not part of this language")
		p.i += 4
	}
}

func (p *parser) into(s *Select) {
	s.IntoPos = p.expect("INTO").Start
	into := p.name("an output's name")
	if p.inner {
		p.wrong(p.from(s.IntoPos), "leave it out here", "only a statement's first SELECT has an INTO")
	}
	s.Into = into
	if !p.next("FROM") {
		p.unexpected("FROM")
	}
}

// selectTail reads the clauses behind FROM, in their order.
func (p *parser) selectTail(s *Select, ok bool) {
	type clause struct {
		words []string
		read  func()
	}
	list := []clause{
		{[]string{"WHERE"}, func() { s.WherePos = p.expect("WHERE").Start; s.Where = p.expr() }},
		{[]string{"GROUP", "BY"}, func() { s.GroupPos = p.expect("GROUP", "BY").Start; s.GroupBy = p.exprs() }},
		{[]string{"HAVING"}, func() { s.HavingPos = p.expect("HAVING").Start; s.Having = p.expr() }},
	}
	for done := 0; ; {
		t := p.peek()
		found := -1
		for n, c := range list {
			if t.upper == c.words[0] {
				found = n
			}
		}
		switch {
		case found < 0 && (!ok || p.endOfSelect()):
			return
		case found < 0:
			ok = p.guard(func() { p.unexpected(expectedTail(done)...) }, clauses...)
			if !ok && t.Start == p.peek().Start {
				return
			}
		case found < done:
			p.wrong(t.Span, "the order is FROM, WHERE, GROUP BY, HAVING", "%s cannot stand here", list[found].words[0])
			fallthrough
		default:
			ok = p.guard(list[found].read, clauses...)
			done = max(done, found+1)
		}
	}
}

// endOfSelect tells whether the next token may follow a whole SELECT.
func (p *parser) endOfSelect() bool {
	t := p.peek()
	if t.kind == endToken {
		return true
	}
	switch t.upper {
	case ";", ")", "UNION", "SELECT", "WITH", "CREATE", "(":
		return true
	}
	return false
}

func expectedTail(done int) []string {
	return append([]string{"WHERE", "GROUP BY", "HAVING"}[done:], "UNION", "the end of the query")
}

// item reads a member of a select list. Without bare, its name needs an AS.
func (p *parser) item(bare bool) *Item {
	start := p.peek().Start
	item := &Item{}
	if star := p.star(); star != nil {
		item.Expr = star
		item.Span = p.from(start)
		return item
	}
	if p.peek().isName() && p.after(1).upper == "=" && bare {
		item.Alias = p.take().ident()
		p.take()
		item.Expr = p.expr()
		item.Span = p.from(start)
		return item
	}
	item.Expr = p.expr()
	if item.Alias = p.textAlias(); item.Alias == nil {
		item.Alias = p.alias(bare, func() { item.Alias = nil })
	}
	item.Span = p.from(start)
	return item
}

// textAlias takes AS 'text', which names a column as AS [text] does; nil if
// something else follows.
func (p *parser) textAlias() *Ident {
	if t := p.after(1); p.peek().upper != "AS" || t.kind != stringToken || t.text == "" {
		return nil
	}
	p.take()
	id := p.take().ident()
	id.Quote = '['
	return id
}

// star reads * or a.b.*; nil if something else is next.
func (p *parser) star() *Star {
	n := 0
	for (p.after(n).isName() || n > 0 && p.after(n).kind == wordToken) && p.after(n+1).upper == "." {
		n += 2
	}
	if p.after(n).upper != "*" {
		return nil
	}
	s := &Star{Span: Span{Start: p.peek().Start}}
	for ; n > 0; n -= 2 {
		s.Qualifier = append(s.Qualifier, p.take().ident())
		p.take()
	}
	p.take()
	s.Span = p.from(s.Start)
	return s
}

// bound ends chains that are longer than any query's, so that no tree is so
// deep that walking it would need much memory.
func (p *parser) bound(n int) {
	const most = 10_000
	if n >= most {
		p.fail(p.peek().Span, "split the query into steps of a WITH", "more than %d operators follow each other here", most)
	}
}

// shards reads the number of INTO n.
func (p *parser) shards() int {
	t := p.peek()
	if t.kind != numberToken {
		p.unexpected("a number of partitions")
	}
	p.take()
	n, err := strconv.Atoi(t.text)
	if err != nil || n < 1 || n > 1<<20 {
		p.wrong(t.Span, "", "the number of partitions is a whole number of 1 or more, not %s", t.text)
		return 1
	}
	return n
}
