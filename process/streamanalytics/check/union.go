package check

import (
	"slices"
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// unionRows are the rows of a UNION. Every side has a Project of its own, so
// that all have the same columns in the same slots.
type unionRows struct {
	c      *checker
	union  *plan.Union
	sides  []*projectRows
	hidden map[string]*plan.Slot
}

// union puts relations together. at are the parts of the text that they come
// from. With own, nothing else reads their rows.
func (c *checker) union(sides []relation, at []syntax.Node, own bool, pos syntax.Pos) relation {
	first := sides[0].star()
	for i, side := range sides[1:] {
		if problem := differ(first, side.star()); problem != "" {
			c.report(at[i+1], "name the same columns in all of them", "the queries of a UNION have the same columns, but %s", problem)
			return nil
		}
	}
	c.sameKinds(first, sides, at)
	u := &unionRows{c: c, union: &plan.Union{}, hidden: map[string]*plan.Slot{}}
	for _, side := range sides {
		if p, ok := side.(*projectRows); ok && own && sameOrder(first, p.star()) {
			u.sides = append(u.sides, p)
			u.union.Inputs = append(u.union.Inputs, p.project)
			continue
		}
		p := c.project(side.node(), pos)
		spread := false
		for _, col := range first {
			switch {
			case col.Spread && spread:
			case col.Spread:
				u.spread(p, side, first)
				spread = true
			case side.column(col.Name) == nil:
				p.put(plan.Column{Name: col.Name, Expr: &plan.Const{}}, nil)
			default:
				p.put(plan.Column{Name: col.Name, Expr: side.column(col.Name)}, nil)
			}
		}
		u.sides = append(u.sides, p)
		u.union.Inputs = append(u.union.Inputs, p.project)
	}
	c.addRows(u.union, u, pos, func() { u.union.Width = u.sides[0].project.Width })
	return u
}

// sameKinds reports columns that are known to hold one kind here and another
// there.
func (c *checker) sameKinds(first []plan.Column, sides []relation, at []syntax.Node) {
	want := map[string]value.Kind{}
	for _, col := range first {
		want[fold(col.Name)] = c.kindOf(col.Expr)
	}
	for i, side := range sides[1:] {
		for _, col := range side.star() {
			here, there := c.kindOf(col.Expr), want[fold(col.Name)]
			if !col.Spread && here != value.Null && there != value.Null && !alike(here, there) {
				c.report(at[i+1], "convert it with CAST", "the queries of a UNION have columns of the same kinds, but here %s is %s, in the first one %s", quote(col.Name), here, there)
			}
		}
	}
}

// spread puts everything of the side that is not written out into one column.
func (u *unionRows) spread(p *projectRows, side relation, all []plan.Column) {
	var list []plan.Column
	for _, col := range side.star() {
		if col.Spread {
			list = append(list, col)
		}
	}
	under := func(name string) plan.Expr {
		for _, col := range all {
			if !col.Spread && strings.EqualFold(col.Name, name) {
				// It has a slot of its own.
				return nil
			}
		}
		return side.column(name)
	}
	if len(list) == 1 {
		p.put(list[0], under)
		return
	}
	p.put(plan.Column{Expr: &plan.Record{Columns: list}, Spread: true}, under)
}

// sameOrder tells whether two lists of columns are the same, one by one.
func sameOrder(a, b []plan.Column) bool {
	return slices.EqualFunc(a, b, func(x, y plan.Column) bool {
		return x.Spread == y.Spread && strings.EqualFold(x.Name, y.Name)
	})
}

// differ says how two lists of columns differ, "" if they do not: both have the
// same names in any order, or both pass on columns that are not known.
func differ(a, b []plan.Column) string {
	names := func(list []plan.Column) (names []string, open bool) {
		for _, col := range list {
			if col.Spread {
				open = true
			} else {
				names = append(names, col.Name)
			}
		}
		return names, open
	}
	namesA, openA := names(a)
	namesB, openB := names(b)
	if openA != openB {
		return "only one of them passes on all columns with *"
	}
	inA, inB := foldedSet(namesA), foldedSet(namesB)
	for _, n := range namesA {
		if !inB[fold(n)] {
			return "this one has no " + quote(n)
		}
	}
	for _, n := range namesB {
		if !inA[fold(n)] {
			return "only this one has " + quote(n)
		}
	}
	return ""
}

func foldedSet(names []string) map[string]bool {
	set := map[string]bool{}
	for _, n := range names {
		set[fold(n)] = true
	}
	return set
}

func containsFold(list []string, name string) bool {
	for _, n := range list {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

func (u *unionRows) node() plan.Node { return u.union }

// column asks every side, so that the column has the same slot in all.
func (u *unionRows) column(name string) plan.Expr {
	if slot, ok := u.hidden[name]; ok {
		return slot
	}
	first := u.sides[0]
	if !first.open {
		if at := first.written(name); at >= 0 {
			return first.slots[at]
		}
		return nil
	}
	var slot *plan.Slot
	for _, p := range u.sides {
		x := p.below(name)
		if s, ok := x.(*plan.Slot); ok && p.written(name) >= 0 && s == p.slots[p.written(name)] {
			return first.slots[p.written(name)]
		}
		if x == nil {
			x = &plan.Const{}
		}
		at := p.put(plan.Column{Name: name, Expr: x, Hidden: true}, nil)
		if slot == nil {
			slot = at
		}
	}
	u.hidden[name] = slot
	return slot
}

func (u *unionRows) has(name string) bool { return u.sides[0].has(name) }

func (u *unionRows) star() []plan.Column     { return u.sides[0].star() }
func (u *unionRows) names() ([]string, bool) { return u.sides[0].names() }
func (u *unionRows) layout() []plan.Column   { return u.sides[0].layout() }

func (u *unionRows) at(i int) *plan.Slot { return u.sides[0].slots[i] }
