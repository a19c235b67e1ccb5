package check

import (
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
)

// viewRows are the rows of a step that selects from reference data alone. Such
// a step has no events and therefore no node of its own: a JOIN with it is one
// with the data, whose columns are computed where they are used.
type viewRows struct {
	src  *sourceRows
	cols []plan.Column
	// where is the step's condition over the data's rows, nil without.
	where plan.Cond
}

// view makes the rows of a query that selects from reference data, or from a
// step that does; false for all others.
func (c *checker) view(q syntax.Query) (relation, bool) {
	s, ok := q.(*syntax.Select)
	if !ok || len(s.GroupBy) > 0 || s.Having != nil {
		return nil, false
	}
	in, ok := s.From.(*syntax.Input)
	if !ok || in.TimestampBy != nil || in.PartitionBy != nil || !c.isReference(in) {
		return nil, false
	}
	e := c.inputEntry(in)
	if e == nil {
		return nil, true
	}
	v := &viewRows{src: e.source}
	if below, ok := e.rows.(*viewRows); ok {
		v.where = below.where
	}
	scope := &scope{entries: []*entry{e}, node: e.top}
	if s.Where != nil {
		where := (&binder{c: c, scope: scope, clause: "WHERE"}).cond(s.Where)
		v.where = both(v.where, where)
	}
	b := &binder{c: c, scope: scope, clause: "SELECT"}
	sel := &selection{c: c, s: s, scope: scope, aliases: map[string]*syntax.Item{}}
	for _, item := range s.Items {
		if item.Alias != nil {
			sel.aliases[fold(item.Alias.Name)] = item
		}
	}
	names := sel.itemNames()
	for i, item := range s.Items {
		star, ok := item.Expr.(*syntax.Star)
		if ok && (len(star.Qualifier) == 0 || len(star.Qualifier) == 1 && fold(star.Qualifier[0].Name) == fold(e.alias)) {
			v.cols = append(v.cols, e.rows.star()...)
			continue
		}
		v.cols = append(v.cols, plan.Column{Name: names[i], Expr: v.ofRow(b.expr(item.Expr))})
	}
	return v, true
}

// ofRow makes a computed column NULL where a LEFT JOIN has found no row of the
// data, whatever it would be for NULL.
func (v *viewRows) ofRow(x plan.Expr) plan.Expr {
	for y := x; ; {
		switch z := y.(type) {
		case *plan.Slot:
			return x
		case *plan.Field:
			y = z.X
			continue
		}
		found := &plan.NotCond{Cond: &plan.IsNull{X: v.src.event()}}
		return &plan.Case{Whens: []plan.When{{Cond: found, Then: x}}}
	}
}

// isReference tells whether a name in FROM stands for reference data.
func (c *checker) isReference(s *syntax.Input) bool {
	if st, ok := c.steps[fold(s.Name.Name)]; ok {
		_, ok := st.rows.(*viewRows)
		return ok
	}
	in, ok := c.known(s.Name.Name)
	return ok && in.Kind == plan.Reference
}

// both is the conjunction of conditions that can be nil.
func both(x, y plan.Cond) plan.Cond {
	switch {
	case x == nil:
		return y
	case y == nil:
		return x
	}
	return &plan.Logic{Conds: []plan.Cond{x, y}}
}

func (v *viewRows) node() plan.Node { return v.src.node() }

// column finds a column as other steps do: what stands further left wins, and
// of what * stands for it is not known before the row comes whether it is there.
func (v *viewRows) column(name string) plan.Expr {
	var spread plan.Expr
	for _, col := range v.cols {
		switch {
		case col.Spread && spread == nil:
			spread = v.src.column(name)
		case !col.Spread && strings.EqualFold(col.Name, name):
			if spread != nil {
				return firstOf(spread, col.Expr)
			}
			return col.Expr
		}
	}
	return spread
}

func (v *viewRows) star() []plan.Column { return v.cols }

func (v *viewRows) has(name string) bool {
	for _, col := range v.cols {
		if !col.Spread && strings.EqualFold(col.Name, name) {
			return true
		}
	}
	return false
}

func (v *viewRows) names() (names []string, open bool) {
	for _, col := range v.cols {
		if col.Spread {
			open = true
			continue
		}
		names = append(names, col.Name)
	}
	return names, open
}

func (v *viewRows) open() bool {
	_, open := v.names()
	return open
}

func (v *viewRows) layout() []plan.Column { return nil }
