package syntax

// source reads what follows FROM: inputs, joins, APPLYs.
func (p *parser) source() Source {
	start := p.peek().Start
	left := p.sourceOperand()
	for n := 0; ; n++ {
		p.bound(n)
		t := p.peek()
		switch {
		case p.next("JOIN"), p.next("INNER"), p.next("LEFT"), p.next("CROSS", "JOIN"):
			left = p.join(left, start)
		case p.next("CROSS"), p.next("OUTER"):
			left = p.apply(left, start)
		case p.next("UNION") && (p.after(1).isName() && !p.next("UNION", "ALL") || p.next("UNION", "ALL") && p.after(2).isName()):
			p.take()
			u := &UnionSource{Left: left, All: p.accept("ALL"), OpPos: t.Start}
			u.Right = p.sourceOperand()
			u.Span = p.from(start)
			left = u
		case p.next(","):
			p.fail(t.Span, "combine inputs with JOIN ... ON or UNION", "FROM takes one input, not a list")
		case p.next("RIGHT"), p.next("FULL"):
			p.fail(t.Span, hintFor(t), "%s JOIN is not part of this language", t.upper)
		case p.next("WHERE"), p.next("GROUP"), p.next("HAVING"), p.next("ON"), p.endOfSelect() && !p.misspeltMatch():
			return left
		default:
			p.unexpectedOr([]string{"INNER", "LEFT", "CROSS", "OUTER", "TIMESTAMP", "PARTITION", "MATCH_RECOGNIZE"},
				"WHERE", "GROUP BY", "HAVING", "JOIN", "UNION", "the end of the query")
			if p.next("TIMESTAMP") || p.next("PARTITION") || p.next("MATCH_RECOGNIZE") {
				left = p.late(left, start)
			}
		}
	}
}

// misspeltMatch tells whether the alias before a parenthesis was meant to be
// MATCH_RECOGNIZE.
func (p *parser) misspeltMatch() bool {
	return p.next("(") && p.bare.drop != nil && p.bare.index == p.i-1 &&
		Nearest(p.tokens[p.bare.index].text, []string{"MATCH_RECOGNIZE"}) != ""
}

// late reads what belongs to the last input of s and was not seen as such at
// first, because its keyword is misspelt.
func (p *parser) late(s Source, start Pos) Source {
	if p.next("MATCH_RECOGNIZE") {
		return p.matchRecognize(s, start)
	}
	parts, ok := lastInput(s)
	if !ok {
		panic(bailout{})
	}
	p.inputClauses(parts)
	return s
}

func (p *parser) join(left Source, start Pos) Source {
	j := &Join{Left: left, OpPos: p.peek().Start}
	switch {
	case p.accept("CROSS"):
		j.Kind = CrossJoin
	case p.accept("LEFT"):
		j.Kind = LeftJoin
		p.accept("OUTER")
	default:
		p.accept("INNER")
	}
	p.expect("JOIN")
	j.Right = p.sourceOperand()
	if j.Kind == CrossJoin {
		if p.next("ON") {
			p.fail(p.peek().Span, "leave it out, or write JOIN", "a CROSS JOIN has no condition")
		}
	} else {
		j.OnPos = p.expect("ON").Start
		j.On = p.expr()
	}
	j.Span = p.from(start)
	return j
}

func (p *parser) apply(left Source, start Pos) Source {
	a := &Apply{Left: left, OpPos: p.peek().Start}
	a.Outer = p.take().upper == "OUTER"
	p.expect("APPLY")
	t := p.peek()
	call, ok := p.path().(*Call)
	if !ok || call.Over != nil || call.WithinGroup != nil {
		p.fail(p.from(t.Start), "", "APPLY takes GetArrayElements(...) or GetRecordProperties(...)")
	}
	a.Call = call
	a.Alias = p.alias(true, func() { a.Alias = nil })
	a.Span = p.from(start)
	return a
}

// inputParts are the places for what may follow an input, in any order.
type inputParts struct {
	alias       **Ident
	partitionBy **PartitionBy
	timestampBy **TimestampBy
}

// lastInput returns the places for what belongs to the last input of s; false
// if something else is last.
func lastInput(s Source) (inputParts, bool) {
	for {
		switch x := s.(type) {
		case *Input:
			return inputParts{&x.Alias, &x.PartitionBy, &x.TimestampBy}, true
		case *Derived:
			return inputParts{&x.Alias, &x.PartitionBy, &x.TimestampBy}, true
		case *UnionSource:
			s = x.Right
		default:
			return inputParts{}, false
		}
	}
}

// sourceOperand reads an input, a step or a query in parentheses, with what
// belongs to it.
func (p *parser) sourceOperand() Source {
	start := p.peek().Start
	var s Source
	if p.accept("(") {
		d := &Derived{}
		errors := p.errors
		p.subquery(&d.Query)
		d.ClosePos = p.peek().Start
		p.expectAfter(errors, ")")
		p.inputClauses(inputParts{&d.Alias, &d.PartitionBy, &d.TimestampBy})
		d.Span = p.from(start)
		s = d
	} else {
		in := &Input{Name: p.name("an input")}
		if t := p.peek(); t.upper == "." {
			p.fail(p.from(start), "write a name with dots in brackets: [a.b]", "the name of an input or step has one part")
		}
		p.inputClauses(inputParts{&in.Alias, &in.PartitionBy, &in.TimestampBy})
		in.Span = p.from(start)
		s = in
	}
	if p.next("MATCH_RECOGNIZE") {
		return p.matchRecognize(s, start)
	}
	return s
}

// inputClauses reads an alias, PARTITION BY and TIMESTAMP BY, each at most once.
func (p *parser) inputClauses(to inputParts) {
	for {
		t := p.peek()
		twice := false
		switch {
		case p.next("TIMESTAMP"):
			twice = *to.timestampBy != nil
			*to.timestampBy = p.timestampBy()
		case p.next("PARTITION"):
			twice = *to.partitionBy != nil
			*to.partitionBy = p.partitionBy()
		default:
			if *to.alias != nil && !p.next("AS") {
				return
			}
			id := p.alias(true, func() { *to.alias = nil })
			if id == nil {
				return
			}
			twice = *to.alias != nil
			*to.alias = id
		}
		if twice {
			p.wrong(t.Span, "leave one out", "an input has one alias, one PARTITION BY and one TIMESTAMP BY")
		}
	}
}

func (p *parser) timestampBy() *TimestampBy {
	ts := &TimestampBy{Span: Span{Start: p.expect("TIMESTAMP", "BY").Start}}
	before := p.noOver
	p.noOver = true
	ts.Time = p.expr()
	p.noOver = before
	if p.accept("OVER") {
		ts.Over = p.exprs()
	}
	ts.Span = p.from(ts.Start)
	return ts
}

func (p *parser) partitionBy() *PartitionBy {
	pb := &PartitionBy{Span: Span{Start: p.expect("PARTITION", "BY").Start}}
	pb.Keys = p.exprs()
	if p.next("INTO") {
		pb.IntoPos = p.take().Start
		pb.Into = p.shards()
	}
	pb.Span = p.from(pb.Start)
	return pb
}

func (p *parser) matchRecognize(input Source, start Pos) Source {
	m := &MatchRecognize{Input: input, OpPos: p.expect("MATCH_RECOGNIZE").Start}
	p.expect("(")
	seen := map[string]bool{}
	for !p.next(")") {
		t := p.peek()
		if seen[t.upper] {
			p.fail(t.Span, "leave one out", "MATCH_RECOGNIZE has %s twice", t.upper)
		}
		p.matchClause(m)
		seen[t.upper] = true
	}
	if m.Pattern == nil {
		p.fail(p.peek().Span, "", "this MATCH_RECOGNIZE has no PATTERN")
	}
	m.ClosePos = p.expect(")").Start
	m.Alias = p.alias(true, func() { m.Alias = nil })
	m.Span = p.from(start)
	return m
}

func (p *parser) matchClause(m *MatchRecognize) {
	switch {
	case p.next("LIMIT"):
		m.Limit = p.limit()
	case p.accept("PARTITION"):
		p.expect("BY")
		m.PartitionBy = p.exprs()
	case p.accept("MEASURES"):
		m.Measures = append(m.Measures, p.item(false))
		for p.accept(",") {
			m.Measures = append(m.Measures, p.item(false))
		}
	case p.next("AFTER"):
		m.AfterPos = p.take().Start
		p.expect("MATCH", "SKIP", "TO", "NEXT", "ROW")
	case p.accept("ONE"):
		p.expect("ROW", "PER", "MATCH")
	case p.accept("PATTERN"):
		p.expect("(")
		m.Pattern = p.patternChoice()
		p.expect(")")
	case p.accept("DEFINE"):
		m.Define = append(m.Define, p.definition())
		for p.accept(",") {
			m.Define = append(m.Define, p.definition())
		}
	case p.next("ORDER"):
		t := p.peek()
		p.fail(t.Span, "leave it out", "events are matched in the order of their time; ORDER BY cannot stand here")
	default:
		p.unexpected("LIMIT DURATION", "PARTITION BY", "MEASURES", "AFTER MATCH", "PATTERN", "DEFINE", ")")
	}
}

func (p *parser) definition() *Definition {
	start := p.peek().Start
	d := &Definition{Name: p.name("a pattern's name")}
	p.expect("AS")
	d.Cond = p.expr()
	d.Span = p.from(start)
	return d
}

func (p *parser) patternChoice() Pattern {
	defer p.enter()()
	start := p.peek().Start
	items := []Pattern{p.patternSequence()}
	for p.accept("|") {
		items = append(items, p.patternSequence())
	}
	if len(items) == 1 {
		return items[0]
	}
	return &PatternChoice{p.from(start), items}
}

func (p *parser) patternSequence() Pattern {
	start := p.peek().Start
	items := []Pattern{p.patternAtom()}
	for p.peek().isName() || p.next("(") || p.next(".") {
		items = append(items, p.patternAtom())
	}
	if len(items) == 1 {
		return items[0]
	}
	return &PatternSequence{p.from(start), items}
}

func (p *parser) patternAtom() Pattern {
	start := p.peek().Start
	var x Pattern
	switch {
	case p.accept("."):
		x = &PatternName{Span: p.from(start)}
	case p.accept("("):
		x = p.patternChoice()
		p.expect(")")
	default:
		id := p.name("a pattern's name")
		x = &PatternName{p.from(start), id}
	}
	switch t := p.peek(); t.upper {
	case "*", "+", "?":
		p.take()
		return &PatternRepeat{p.from(start), x, t.upper[0]}
	}
	return x
}
