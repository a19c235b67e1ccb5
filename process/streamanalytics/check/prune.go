package check

import (
	"slices"

	"millrace/process/streamanalytics/plan"
)

// prune takes out slots that no output needs, so that no state holds them: the
// event that SELECT * of a step passes on where later steps only name some
// columns, and columns that nobody reads. What can fail stays: a CAST that can
// not be done stops the job whether its result is used or not.
func (c *checker) prune(needed map[plan.Node]bool) {
	u := &usage{c: c, slots: map[*plan.Slot]bool{}}
	for i := len(c.nodes) - 1; i >= 0; i-- {
		if b := c.nodes[i]; needed[b.node] {
			u.node(b.node, b.rows)
		}
	}
	for _, b := range c.nodes {
		switch rows := b.rows.(type) {
		case *projectRows:
			if needed[b.node] {
				rows.keep(func(i int) bool { return u.keeps(rows, i) })
			}
		case *sourceRows:
			rows.keep(u.slots)
		}
	}
	for _, rows := range c.references {
		rows.keep(u.slots)
	}
}

// usage collects the slots that something reads.
type usage struct {
	c     *checker
	slots map[*plan.Slot]bool
}

func (u *usage) slot(s *plan.Slot) {
	for s != nil && !u.slots[s] {
		u.slots[s] = true
		s = u.c.moved[s]
	}
}

func (u *usage) visit(x plan.Expr) bool {
	switch x := x.(type) {
	case *plan.Slot:
		u.slot(x)
	case *plan.SymbolAggregate:
		u.call(x.Call)
		return false
	}
	return true
}

func (u *usage) exprs(list ...plan.Expr) { eachOf(list, u.visit) }

func (u *usage) cond(cond plan.Cond) { eachInCond(cond, u.visit) }

func (u *usage) call(call *plan.AggregateCall) {
	u.exprs(call.Args...)
	for _, k := range call.OrderBy {
		u.exprs(k.Expr)
	}
}

// node notes what a node reads; all nodes that read from it come before.
func (u *usage) node(n plan.Node, rows relation) {
	switch n := n.(type) {
	case *plan.Sink:
		for i, col := range rows.layout() {
			if !col.Hidden {
				u.slot(rows.(interface{ at(i int) *plan.Slot }).at(i))
			}
		}
	case *plan.Source:
		u.exprs(n.TimestampBy)
		u.exprs(n.Over...)
	case *plan.Filter:
		u.cond(n.Cond)
	case *plan.Project:
		p := rows.(*projectRows)
		for i, col := range n.Columns {
			if u.keeps(p, i) {
				u.exprs(col.Expr)
			}
		}
	case *plan.Analytic:
		for _, call := range n.Calls {
			u.exprs(call.Args...)
			u.exprs(call.Default)
			u.exprs(call.PartitionBy...)
			u.cond(call.When)
			if call.Aggregate != nil {
				u.call(call.Aggregate)
			}
		}
	case *plan.Aggregate:
		u.exprs(n.Keys...)
		for _, w := range n.Windows {
			u.exprs(w.PartitionBy...)
		}
		for _, call := range n.Calls {
			u.call(call)
		}
	case *plan.Join:
		u.exprs(n.LeftKeys...)
		u.exprs(n.RightKeys...)
		u.cond(n.On)
	case *plan.ReferenceJoin:
		u.exprs(n.LeftKeys...)
		u.exprs(n.RightKeys...)
		u.cond(n.On)
	case *plan.Apply:
		u.exprs(n.Over)
	case *plan.Union:
		u.union(rows.(*unionRows))
	case *plan.Match:
		u.match(n)
	}
	u.exprs(n.Head().Partition...)
}

// union passes what is read of the rows on to all sides, whose slots are the
// same by number.
func (u *usage) union(rows *unionRows) {
	for i, slot := range rows.sides[0].slots {
		if slices.ContainsFunc(rows.sides, func(p *projectRows) bool { return u.keeps(p, i) }) {
			u.slot(slot)
			for _, p := range rows.sides {
				u.slot(p.slots[i])
			}
		}
	}
}

func (u *usage) match(n *plan.Match) {
	u.exprs(n.PartitionBy...)
	for _, s := range n.Symbols {
		u.cond(s.Cond)
	}
	for _, col := range n.Measures {
		u.exprs(col.Expr)
	}
}

// keeps tells whether a column of a Project is read or can fail.
func (u *usage) keeps(p *projectRows, i int) bool {
	return u.slots[p.slots[i]] || canFail(p.project.Columns[i].Expr)
}

// canFail tells whether computing x can stop the job.
func canFail(x plan.Expr) bool {
	fails := false
	eachExpr(x, func(x plan.Expr) bool {
		switch x := x.(type) {
		case *plan.Cast:
			fails = fails || !x.Try
		case *plan.Call, *plan.UserCall, *plan.Binary, *plan.Unary:
			fails = true
		}
		return !fails
	})
	return fails
}

// keep drops the other columns.
func (p *projectRows) keep(is func(i int) bool) {
	var cols []plan.Column
	var slots []*plan.Slot
	for i, col := range p.project.Columns {
		if is(i) {
			cols, slots = append(cols, col), append(slots, p.slots[i])
		}
	}
	p.project.Columns, p.slots = cols, slots
}

// keep drops the other fields, and the whole event if it is not among them.
func (s *sourceRows) keep(used map[*plan.Slot]bool) {
	var names []string
	var fields []*plan.Slot
	for i, slot := range s.fields {
		if used[slot] {
			names, fields = append(names, s.src.Fields[i]), append(fields, slot)
		}
	}
	s.src.Fields, s.fields = names, fields
	if s.whole != nil && !used[s.whole] {
		s.whole = nil
	}
	var meta []plan.Meta
	var added []*plan.Slot
	for i, slot := range s.added {
		if used[slot] {
			meta, added = append(meta, s.src.Meta[i]), append(added, slot)
		}
	}
	s.src.Meta, s.added = meta, added
}
