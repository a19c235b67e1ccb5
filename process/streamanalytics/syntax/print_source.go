package syntax

import "strconv"

func (p *printer) source(s Source) {
	p.at(s.Pos())
	switch s := s.(type) {
	case *Input:
		p.ident(s.Name)
		p.inputClauses(s.Alias, s.PartitionBy, s.TimestampBy)
	case *Derived:
		p.queryBlock(s.Query, s.ClosePos)
		p.inputClauses(s.Alias, s.PartitionBy, s.TimestampBy)
	case *Join:
		p.source(s.Left)
		p.clause([...]string{InnerJoin: "JOIN", LeftJoin: "LEFT JOIN", CrossJoin: "CROSS JOIN"}[s.Kind], s.OpPos)
		p.source(s.Right)
		if s.On != nil {
			p.indent++
			p.clause("ON", s.OnPos)
			p.condition(s.On)
			p.indent--
		}
	case *Apply:
		p.source(s.Left)
		words := "CROSS APPLY"
		if s.Outer {
			words = "OUTER APPLY"
		}
		p.clause(words, s.OpPos)
		p.expr(s.Call, levelOr)
		p.as(s.Alias)
	case *UnionSource:
		p.source(s.Left)
		words := "UNION"
		if s.All {
			words = "UNION ALL"
		}
		p.clause(words, s.OpPos)
		p.source(s.Right)
	case *MatchRecognize:
		p.matchRecognize(s)
	}
}

func (p *printer) inputClauses(alias *Ident, pb *PartitionBy, ts *TimestampBy) {
	p.as(alias)
	if pb != nil {
		p.want(blank)
		p.at(pb.Start)
		p.word("PARTITION BY")
		p.exprs(pb.Keys)
		if pb.Into > 0 {
			p.want(blank)
			p.at(pb.IntoPos)
			p.word("INTO " + strconv.Itoa(pb.Into))
		}
	}
	if ts != nil {
		p.want(blank)
		p.at(ts.Start)
		p.word("TIMESTAMP BY")
		p.expr(ts.Time, levelOr)
		if len(ts.Over) > 0 {
			p.word("OVER")
			p.exprs(ts.Over)
		}
	}
	p.due = nothing
}

func (p *printer) matchRecognize(m *MatchRecognize) {
	p.source(m.Input)
	p.clause("MATCH_RECOGNIZE", m.OpPos)
	p.raw("(")
	p.indent++
	if m.Limit != nil {
		p.want(newLine)
		p.limit(m.Limit)
	}
	if len(m.PartitionBy) > 0 {
		p.clause("PARTITION BY", m.PartitionBy[0].Pos())
		p.exprs(m.PartitionBy)
	}
	if len(m.Measures) > 0 {
		p.clause("MEASURES", m.Measures[0].Start)
		p.block(len(m.Measures), Pos{}, func(i int) { p.item(m.Measures[i]) })
	}
	p.clause("AFTER MATCH SKIP TO NEXT ROW", m.AfterPos)
	p.clause("PATTERN", m.Pattern.Pos())
	p.raw("(")
	p.pattern(m.Pattern)
	p.raw(")")
	if len(m.Define) > 0 {
		p.clause("DEFINE", m.Define[0].Start)
		p.block(len(m.Define), m.ClosePos, func(i int) {
			p.ident(m.Define[i].Name)
			p.word("AS")
			p.condition(m.Define[i].Cond)
		})
	}
	p.at(m.ClosePos)
	p.indent--
	p.want(newLine)
	p.raw(")")
	p.as(m.Alias)
}

func (p *printer) pattern(x Pattern) {
	switch x := x.(type) {
	case *PatternName:
		if x.Name == nil {
			p.at(x.Start)
			p.raw(".")
		} else {
			p.ident(x.Name)
		}
	case *PatternRepeat:
		p.patternIn(x.X, isPatternAtom(x.X))
		p.raw(string(x.Quantifier))
	case *PatternSequence:
		for _, item := range x.Items {
			_, sequence := item.(*PatternSequence)
			_, choice := item.(*PatternChoice)
			p.patternIn(item, !sequence && !choice)
			p.want(blank)
		}
		p.due = nothing
	case *PatternChoice:
		for i, item := range x.Items {
			if i > 0 {
				p.word("|")
			}
			_, choice := item.(*PatternChoice)
			p.patternIn(item, !choice)
		}
	}
}

func isPatternAtom(x Pattern) bool {
	_, ok := x.(*PatternName)
	return ok
}

// patternIn writes a pattern in parentheses unless it can stand plainly.
func (p *printer) patternIn(x Pattern, plain bool) {
	if plain {
		p.pattern(x)
		return
	}
	p.raw("(")
	p.pattern(x)
	p.raw(")")
}
