package check

import (
	"fmt"
	"slices"
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
)

// query checks a query and returns its rows, nil if it is too wrong to have
// any.
func (c *checker) query(q syntax.Query) relation {
	switch q := q.(type) {
	case *syntax.Select:
		return c.selectQuery(q)
	case *syntax.ParenQuery:
		return c.query(q.Query)
	case *syntax.Union:
		return c.unionQuery(q)
	}
	return nil
}

// selection is one SELECT while it is checked.
type selection struct {
	c     *checker
	s     *syntax.Select
	scope *scope
	// node yields the rows that the next clause sees.
	node plan.Node
	// analytic are the analytic functions that have been computed below.
	// One that is wrong is there without a slot.
	analytic map[*syntax.Call]analyticSlot
	// group is nil without GROUP BY.
	group *grouping
	// aliases are the names that the select list gives, folded.
	aliases map[string]*syntax.Item
	// starred are the inputs whose columns * has put into the list, spreads
	// counts the records that x.* has.
	starred map[*entry]bool
	spreads int
	// mentioned are the folded names that SELECT and WHERE use, see mentions.
	mentioned map[string]bool
}

func (c *checker) selectQuery(s *syntax.Select) relation {
	if s.From == nil {
		return nil
	}
	if (&binder{c: c}).tooMany(len(s.Items), maxItems, s, "columns in one SELECT") {
		return nil
	}
	sel := &selection{c: c, s: s, analytic: map[*syntax.Call]analyticSlot{}, aliases: map[string]*syntax.Item{}, starred: map[*entry]bool{}}
	for _, item := range s.Items {
		if item.Alias != nil {
			sel.aliases[fold(item.Alias.Name)] = item
		}
	}
	if !sel.from() {
		return nil
	}
	if s.Where != nil {
		b := sel.binder("WHERE")
		sel.filter(b.cond(s.Where), s.WherePos)
	}
	if len(s.GroupBy) > 0 {
		sel.groupBy()
	}
	if s.Having != nil {
		sel.having()
	}
	return sel.items()
}

// binder binds expressions over the rows as they are after FROM.
func (sel *selection) binder(clause string) *binder {
	return &binder{c: sel.c, sel: sel, scope: sel.scope, clause: clause}
}

func (sel *selection) filter(cond plan.Cond, pos syntax.Pos) {
	below := sel.node
	f := &plan.Filter{Common: plan.Common{Inputs: []plan.Node{below}}, Cond: cond}
	sel.c.add(f, pos, func() { f.Width = below.Head().Width })
	sel.node = f
}

func (sel *selection) having() {
	s := sel.s
	// Without GROUP BY it is a second WHERE.
	b := sel.binder("HAVING")
	b.group = sel.group
	sel.filter(b.cond(s.Having), s.HavingPos)
}

// items makes the Project of the select list.
func (sel *selection) items() relation {
	c, s := sel.c, sel.s
	b := sel.binder("SELECT")
	b.group = sel.group
	p := c.project(sel.node, s.Pos())
	p.carried = sel.carried
	names := sel.itemNames()
	for i, item := range s.Items {
		star, ok := item.Expr.(*syntax.Star)
		if ok {
			sel.star(p, star)
			continue
		}
		x := b.expr(item.Expr)
		if at := p.written(names[i]); at >= 0 && item.Alias != nil {
			c.report(item, "give one of them another name with AS", "two columns are named %s", quote(names[i]))
			continue
		}
		p.put(plan.Column{Name: names[i], Expr: x}, nil)
	}
	return p
}

// itemNames returns the names of the select list's columns: those that are
// given, else the end of a path, the name of a function, or columnN. Names that
// are not given and are taken already get a number.
func (sel *selection) itemNames() []string {
	taken := map[string]bool{}
	// used counts the numbers behind names.
	used := map[string]int{}
	for name := range sel.aliases {
		taken[name] = true
	}
	names := make([]string, len(sel.s.Items))
	for i, item := range sel.s.Items {
		switch _, star := item.Expr.(*syntax.Star); {
		case star:
			continue
		case item.Alias != nil:
			names[i] = sel.c.spelled(item.Alias.Name)
			continue
		}
		name := sel.c.spelled(nameOf(item.Expr, i))
		try := name
		for taken[fold(try)] {
			used[fold(name)]++
			try = fmt.Sprint(name, used[fold(name)]+1)
		}
		names[i] = try
		taken[fold(try)] = true
	}
	return names
}

// spelled returns the name as rows carry it: below level 1.1 all names are in
// lower letters.
func (c *checker) spelled(name string) string {
	if c.lowers() {
		return strings.ToLower(name)
	}
	return name
}

func nameOf(x syntax.Expr, at int) string {
	switch x := syntax.Unparen(x).(type) {
	case *syntax.Column:
		return x.Path[len(x.Path)-1].Name
	case *syntax.Member:
		return x.Name.Name
	case *syntax.Call:
		last := x.Name[len(x.Name)-1].Name
		if len(x.Name) > 1 && !strings.EqualFold(x.Name[0].Name, "system") {
			return last
		}
		return strings.ToLower(last)
	case *syntax.Cast:
		if _, ok := syntax.Unparen(x.X).(*syntax.Column); ok {
			return nameOf(x.X, at)
		}
	}
	return fmt.Sprintf("column%d", at+1)
}

// star puts what * or alias.* stands for into the select list. What stands
// further left wins over a column of the same name.
func (sel *selection) star(p *projectRows, star *syntax.Star) {
	c := sel.c
	if sel.group != nil {
		c.report(star, "name the columns that are grouped, or use Collect() for whole events", "%s cannot stand in a SELECT with GROUP BY", starText(star))
		return
	}
	entries := sel.scope.entries
	if len(star.Qualifier) > 0 {
		e := sel.scope.byAlias(star.Qualifier[0].Name)
		if e == nil || len(star.Qualifier) > 1 {
			sel.spread(p, star)
			return
		}
		entries = []*entry{e}
	} else if sel.scope.streams {
		c.report(star, "name the columns, as in SELECT a.x, b.y; or write a.* for one side", "SELECT * cannot be used where streams are joined")
		return
	}
	for _, e := range entries {
		if sel.starred[e] {
			// All its columns are there already.
			continue
		}
		sel.starred[e] = true
		for _, col := range e.rows.star() {
			col.Expr = e.lift(c, col.Expr)
			if !col.Spread {
				if p.written(col.Name) < 0 {
					p.put(col, nil)
				}
				continue
			}
			p.put(col, func(name string) plan.Expr {
				if x := e.rows.column(name); x != nil {
					return e.lift(c, x)
				}
				return nil
			})
		}
	}
}

// spread is column.*: the members of a record.
func (sel *selection) spread(p *projectRows, star *syntax.Star) {
	sel.spreads++
	if sel.binder("SELECT").tooMany(sel.spreads, maxStars, star, "records spread with .* in one SELECT") {
		return
	}
	col := &syntax.Column{Span: star.Span, Path: star.Qualifier}
	x := sel.binder("SELECT").expr(col)
	p.put(plan.Column{Expr: x, Spread: true}, func(name string) plan.Expr { return &plan.Field{X: x, Name: name} })
}

func starText(s *syntax.Star) string {
	var text strings.Builder
	for _, q := range s.Qualifier {
		text.WriteString(q.Name + ".")
	}
	return text.String() + "*"
}

// unionQuery checks both sides and puts their rows together.
func (c *checker) unionQuery(u *syntax.Union) relation {
	var sides []relation
	var at []syntax.Node
	var collect func(q syntax.Query)
	collect = func(q syntax.Query) {
		for {
			paren, ok := q.(*syntax.ParenQuery)
			if !ok {
				break
			}
			q = paren.Query
		}
		if inner, ok := q.(*syntax.Union); ok {
			collect(inner.Left)
			collect(inner.Right)
			return
		}
		sides = append(sides, c.query(q))
		at = append(at, q)
	}
	collect(u)
	if slices.Contains(sides, nil) {
		return nil
	}
	return c.union(sides, at, true, u.OpPos)
}
