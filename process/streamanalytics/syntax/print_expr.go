package syntax

import "strings"

// levelOfExpr is how tightly the outermost operator of e binds.
func levelOfExpr(e Expr) int {
	switch e := e.(type) {
	case *Binary:
		return levelOf(e.Op)
	case *Unary:
		return levelOf(e.Op)
	case *Between, *In, *Like, *IsNull:
		return levelCompare
	}
	return levelSign + 1
}

func (p *printer) exprs(list []Expr) {
	for i, e := range list {
		if i > 0 {
			p.raw(",")
			p.want(blank)
		}
		p.expr(e, levelOr)
	}
}

// expr writes e, in parentheses if it binds less tightly than level.
func (p *printer) expr(e Expr, level int) {
	p.at(e.Pos())
	if levelOfExpr(e) < level {
		p.raw("(")
		p.expr(e, levelOr)
		p.raw(")")
		return
	}
	switch e := e.(type) {
	case *Number:
		p.raw(e.Text)
	case *String:
		p.raw("'" + strings.ReplaceAll(e.Value, "'", "''") + "'")
	case *Null:
		p.raw("NULL")
	case *Column:
		p.names(e.Path, false)
	case *Member:
		p.expr(e.X, levelOr)
		p.raw(".")
		p.name(e.Name, true)
	case *Star:
		p.names(e.Qualifier, false)
		if len(e.Qualifier) > 0 {
			p.raw(".")
		}
		p.raw("*")
	case *Unit:
		p.raw(e.Name)
	case *Paren:
		p.raw("(")
		p.expr(e.X, levelOr)
		p.raw(")")
	case *Call:
		p.call(e)
	case *Cast:
		p.cast(e)
	case *Case:
		p.caseExpr(e)
	case *Window:
		p.window(e)
	case *Windows:
		p.windows(e)
	default:
		p.operator(e)
	}
}

func (p *printer) operator(e Expr) {
	switch e := e.(type) {
	case *Unary:
		p.raw(e.Op.String())
		if inner, ok := e.X.(*Unary); e.Op == Not || ok && inner.Op == e.Op {
			// Two signs would begin a comment.
			p.want(blank)
		}
		p.expr(e.X, levelOf(e.Op))
	case *Binary:
		level := levelOf(e.Op)
		p.expr(e.X, level)
		p.want(blank)
		p.at(e.OpPos)
		p.word(e.Op.String())
		p.expr(e.Y, level+1)
	case *Between:
		p.test(e.X, e.Not, "BETWEEN", e.OpPos)
		p.expr(e.Low, levelAdd)
		p.word("AND")
		p.expr(e.High, levelAdd)
	case *Like:
		p.test(e.X, e.Not, "LIKE", e.OpPos)
		p.expr(e.Pattern, levelAdd)
	case *In:
		p.test(e.X, e.Not, "IN", e.OpPos)
		p.raw("(")
		p.exprs(e.List)
		p.raw(")")
	case *IsNull:
		p.test(e.X, false, "IS", e.OpPos)
		if e.Not {
			p.word("NOT")
		}
		p.raw("NULL")
	}
}

// test writes the operand and the words of a test such as NOT IN.
func (p *printer) test(x Expr, not bool, word string, pos Pos) {
	p.expr(x, levelCompare)
	p.want(blank)
	p.at(pos)
	if not {
		p.word("NOT")
	}
	p.word(word)
}

func (p *printer) call(c *Call) {
	p.names(c.Name, true)
	p.raw("(")
	if c.Distinct {
		p.raw("DISTINCT")
		p.want(blank)
	}
	p.exprs(c.Args)
	p.raw(")")
	if len(c.WithinGroup) > 0 {
		p.word("WITHIN GROUP")
		p.raw("(")
		p.orderBy(c.WithinGroup)
		p.raw(")")
	}
	if c.Over != nil {
		p.over(c.Over)
	}
}

func (p *printer) orderBy(items []*OrderItem) {
	p.raw("ORDER BY")
	for i, item := range items {
		if i > 0 {
			p.raw(",")
		}
		p.want(blank)
		p.expr(item.Expr, levelOr)
		if item.Desc {
			p.want(blank)
			p.raw("DESC")
		}
	}
}

func (p *printer) over(o *Over) {
	p.want(blank)
	p.at(o.Start)
	p.word("OVER")
	p.raw("(")
	if len(o.PartitionBy) > 0 {
		p.raw("PARTITION BY")
		p.want(blank)
		p.exprs(o.PartitionBy)
		p.want(blank)
	}
	if len(o.OrderBy) > 0 {
		p.orderBy(o.OrderBy)
		p.want(blank)
	}
	if o.Limit != nil {
		p.limit(o.Limit)
		p.want(blank)
	}
	if o.When != nil {
		p.raw("WHEN")
		p.want(blank)
		p.expr(o.When, levelOr)
	}
	p.due = nothing
	p.raw(")")
}

func (p *printer) limit(d *Duration) {
	p.at(d.Start)
	p.raw("LIMIT")
	p.want(blank)
	p.duration("DURATION", d)
}

func (p *printer) duration(name string, d *Duration) {
	p.at(d.Start)
	p.raw(name)
	p.raw("(")
	p.at(d.Unit.Start)
	p.raw(d.Unit.Name)
	p.raw(",")
	p.want(blank)
	p.expr(d.Value, levelOr)
	p.raw(")")
}

func (p *printer) cast(c *Cast) {
	name := "CAST"
	if c.Try {
		name = "TRY_CAST"
	}
	p.raw(name)
	p.raw("(")
	p.expr(c.X, levelOr)
	p.word("AS")
	p.at(c.Type.Start)
	p.raw(c.Type.Type.String())
	p.raw(")")
}

// caseExpr writes a CASE, its branches on lines of their own if it is long.
func (p *printer) caseExpr(c *Case) {
	due := blank
	if !p.flat && len(Text(c))+4*p.indent > lineWidth {
		due = newLine
	}
	p.raw("CASE")
	if c.Operand != nil {
		p.want(blank)
		p.expr(c.Operand, levelOr)
	}
	p.indent++
	for _, w := range c.Whens {
		p.want(due)
		p.at(w.Start)
		p.raw("WHEN")
		p.want(blank)
		p.expr(w.Cond, levelOr)
		p.word("THEN")
		p.expr(w.Then, levelOr)
	}
	if c.Else != nil {
		p.want(due)
		p.at(c.ElsePos)
		p.raw("ELSE")
		p.want(blank)
		p.expr(c.Else, levelOr)
	}
	p.at(c.Stop)
	p.indent--
	p.want(due)
	p.raw("END")
}

func (p *printer) window(w *Window) {
	if w.Kind == Snapshot {
		p.raw("System.Timestamp()")
		return
	}
	name := windowNames[w.Kind][0]
	if w.Short {
		name = windowNames[w.Kind][1]
	}
	p.raw(name)
	p.raw("(")
	for i, part := range windowParts[w.Kind] {
		d := *part.of(w)
		if d == nil {
			continue
		}
		if i > 0 {
			p.raw(",")
			p.want(blank)
		}
		if w.Long {
			p.duration(part.name, d)
			continue
		}
		if i == 0 {
			p.at(d.Unit.Start)
			p.raw(d.Unit.Name)
			p.raw(",")
			p.want(blank)
		}
		p.expr(d.Value, levelOr)
	}
	p.raw(")")
	if len(w.PartitionBy) > 0 {
		p.word("OVER")
		p.raw("(")
		p.raw("PARTITION BY")
		p.want(blank)
		p.exprs(w.PartitionBy)
		p.raw(")")
	}
}

func (p *printer) windows(w *Windows) {
	p.raw("Windows")
	p.raw("(")
	for i, n := range w.Windows {
		if i > 0 {
			p.raw(",")
			p.want(blank)
		}
		p.at(n.Start)
		if n.ID == nil {
			p.expr(n.Window, levelOr)
			continue
		}
		p.raw("Window")
		p.raw("(")
		p.expr(n.ID, levelOr)
		p.raw(",")
		p.want(blank)
		p.expr(n.Window, levelOr)
		p.raw(")")
	}
	p.raw(")")
}
