package check

import (
	"fmt"
	"slices"
	"strings"

	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// aggregate binds an aggregate over the groups of a GROUP BY: a built-in one
// by its name, or a user's.
func (b *binder) aggregate(x *syntax.Call, user string, name *syntax.Ident) plan.Expr {
	spelled := called(x)
	switch {
	case b.match != nil:
		return b.match.aggregate(b, x, user, name)
	case b.inside != "":
		return b.bad(x, "compute the inner one in a step of a WITH", "the aggregate %s cannot stand inside of %s", spelled, b.inside)
	case b.clause == "WHERE":
		return b.bad(x, "use HAVING, or a step of a WITH", "the aggregate %s cannot stand in WHERE, which sees single events", spelled)
	case b.clause != "SELECT" && b.clause != "HAVING":
		return b.bad(x, "compute it in a step of a WITH", "the aggregate %s cannot stand in %s", spelled, b.clause)
	case b.group == nil:
		return b.bad(x, "add GROUP BY with a window, or write OVER (LIMIT DURATION(...))", "the aggregate %s needs a window", spelled)
	case x.Over != nil && (x.Over.When != nil || x.Over.PartitionBy != nil):
		return b.bad(x.Over, "add LIMIT DURATION(unit, n), or leave it out and use GROUP BY", "an aggregate with PARTITION BY or WHEN needs LIMIT DURATION")
	}
	key := b.key(x)
	if slot, ok := b.group.calls[key]; ok {
		return slot
	}
	inner := &binder{c: b.c, sel: b.sel, scope: b.scope, clause: b.clause, inside: spelled}
	call := inner.aggregateCall(x, user, name)
	b.grow(x, inner.cost)
	if call == nil {
		return &plan.Const{}
	}
	g := b.group
	slot := &plan.Slot{Index: len(g.agg.Keys) + len(g.agg.Calls)}
	g.agg.Calls = append(g.agg.Calls, call)
	g.calls[key] = slot
	if k := b.c.kindOfAggregate(call); k != value.Null {
		b.c.kinds[slot] = k
	}
	return slot
}

// kindOfAggregate is the kind of an aggregate's results.
func (c *checker) kindOfAggregate(call *plan.AggregateCall) value.Kind {
	a, ok := function.LookupAggregate(call.Function)
	if !ok {
		return value.Null
	}
	if a.Result == value.Null && (a.Name == "MIN" || a.Name == "MAX") && len(call.Args) == 1 {
		return c.kindOf(call.Args[0])
	}
	return a.Result
}

// aggregateCall binds the arguments of an aggregate over the binder's rows; nil
// if they are wrong.
func (b *binder) aggregateCall(x *syntax.Call, user string, name *syntax.Ident) *plan.AggregateCall {
	call := &plan.AggregateCall{Pos: x.Pos(), Distinct: x.Distinct}
	if name == nil {
		return b.userAggregate(x, user, call)
	}
	a, _ := function.LookupAggregate(name.Name)
	call.Function = strings.ToUpper(a.Name)
	args := x.Args
	if len(args) == 1 {
		if star, ok := args[0].(*syntax.Star); ok {
			if !a.Star {
				b.bad(star, "name the column", "%s takes no *", a.Name)
				return nil
			}
			args = nil
		}
	}
	if err := a.Arity(len(args)); err != nil {
		b.bad(x, "", "%s", err)
		return nil
	}
	if x.Distinct && (!a.Distinct || len(args) == 0) {
		b.bad(x, "only COUNT(DISTINCT x) and the like can have it", "%s cannot have DISTINCT", a.Name)
		return nil
	}
	if a.Options != function.NoOption {
		if !b.option(args[0], a, call) {
			return nil
		}
		args = args[1:]
	}
	if x.Distinct && x.Over != nil && x.Over.Limit != nil {
		b.bad(x, "use GROUP BY with a window", "%s(DISTINCT ...) needs a window, it cannot have LIMIT DURATION", a.Name)
		return nil
	}
	for _, arg := range args {
		call.Args = append(call.Args, b.aggregateArg(arg, a))
	}
	if a.Event && len(args) == 0 {
		call.Args = []plan.Expr{b.event()}
	}
	if !b.order(x, a, call) {
		return nil
	}
	return call
}

// aggregateArg binds an argument and reports one that is surely no number,
// where numbers are wanted.
func (b *binder) aggregateArg(x syntax.Expr, a *function.Aggregate) plan.Expr {
	y := b.expr(x)
	k := b.c.kindOf(y)
	switch strings.ToUpper(a.Name) {
	case "SUM", "AVG", "STDEV", "STDEVP", "VAR", "VARP":
		if k != value.Null && k != value.BigInt && k != value.Float && k != value.Bit {
			b.bad(x, "convert it with CAST(... AS float)", "%s takes numbers, not %s", a.Name, k)
		}
	}
	return y
}

// option binds the constant first argument of COLLECTTOP and the percentiles.
func (b *binder) option(x syntax.Expr, a *function.Aggregate, call *plan.AggregateCall) bool {
	k, ok := b.expr(x).(*plan.Const)
	v := value.Value{}
	if ok {
		v = k.Value
	}
	if a.Options == function.CountOption {
		if v.Kind() != value.BigInt || v.Int() < 1 || v.Int() > 1<<31 {
			b.bad(x, "", "the first argument of %s is a number of rows of 1 or more", a.Name)
			return false
		}
		call.N = int(v.Int())
		return true
	}
	switch v.Kind() {
	case value.BigInt:
		call.Fraction = float64(v.Int())
	case value.Float:
		call.Fraction = v.Double()
	default:
		call.Fraction = -1
	}
	if call.Fraction < 0 || call.Fraction > 1 {
		b.bad(x, "0.95 is the 95th percentile", "the first argument of %s is a number from 0 to 1", a.Name)
		return false
	}
	return true
}

// order binds ORDER BY of OVER or WITHIN GROUP.
func (b *binder) order(x *syntax.Call, a *function.Aggregate, call *plan.AggregateCall) bool {
	items := x.WithinGroup
	if x.Over != nil && x.Over.OrderBy != nil {
		if items != nil {
			b.bad(x, "leave one out", "%s has two orders", a.Name)
			return false
		}
		items = x.Over.OrderBy
	}
	switch needs := a.NeedsOrder || a.NeedsWithinGroup; {
	case needs && len(items) == 0:
		hint := "write " + a.Name + "(...) OVER (ORDER BY x DESC)"
		if a.NeedsWithinGroup {
			hint = "write " + a.Name + "(...) WITHIN GROUP (ORDER BY x)"
		}
		b.bad(x, hint, "%s needs an order", a.Name)
		return false
	case !needs && len(items) > 0:
		b.bad(items[0], "leave ORDER BY out", "%s has no order", a.Name)
		return false
	case a.NeedsWithinGroup && len(items) > 1:
		b.bad(items[1], "", "%s is ordered by one expression", a.Name)
		return false
	}
	for _, item := range items {
		y := b.expr(item.Expr)
		switch k := b.c.kindOf(y); k {
		case value.String, value.Bit, value.Record, value.Array:
			b.bad(item.Expr, "", "ORDER BY takes bigint, float and datetime, not %s", k)
		}
		call.OrderBy = append(call.OrderBy, plan.OrderKey{Expr: y, Desc: item.Desc})
	}
	return true
}

func (b *binder) userAggregate(x *syntax.Call, name string, call *plan.AggregateCall) *plan.AggregateCall {
	at := x.Name[len(x.Name)-1]
	if f := b.c.o.Functions; f != nil && !f.HasAggregate(name) {
		hint := ""
		if f.HasFunction(name) {
			hint = "it is a function of one row: write udf." + name + "(...)"
		} else if n, ok := f.(interface{ Names() []string }); ok {
			hint = near(name, n.Names())
		}
		b.bad(at, hint, "there is no aggregate uda.%s", name)
		return nil
	}
	if x.Distinct || x.WithinGroup != nil || x.Over != nil && x.Over.OrderBy != nil {
		b.bad(x, "", "uda.%s takes no DISTINCT and no ORDER BY", name)
		return nil
	}
	call.User = name
	call.Args = b.exprs(x.Args)
	return call
}

// grouping is the GROUP BY of a SELECT.
type grouping struct {
	agg *plan.Aggregate
	// keys and calls are what has a slot of the Aggregate's rows.
	keys  map[int]*plan.Slot
	calls map[int]*plan.Slot
	id    *plan.Slot
}

// slot returns the slot of an expression that is grouped, nil if it is not.
func (g *grouping) slot(b *binder, x syntax.Expr) plan.Expr {
	if isWindowID(x) {
		return g.id
	}
	switch x.(type) {
	case *syntax.Number, *syntax.String, *syntax.Null:
		return nil
	}
	if slot, ok := g.keys[b.key(x)]; ok {
		return slot
	}
	return nil
}

// groupBy makes the Aggregate.
func (sel *selection) groupBy() {
	c := sel.c
	below := sel.node
	g := &grouping{agg: &plan.Aggregate{Common: plan.Common{Inputs: []plan.Node{below}}}, keys: map[int]*plan.Slot{}, calls: map[int]*plan.Slot{}, id: &plan.Slot{}}
	b := sel.binder("GROUP BY")
	held := false
	if b.tooMany(len(sel.s.GroupBy), maxKeys, sel.s.GroupBy[0], "members of GROUP BY") {
		sel.s = &syntax.Select{Span: sel.s.Span, Items: sel.s.Items, GroupBy: sel.s.GroupBy[:1], GroupPos: sel.s.GroupPos}
	}
	var at syntax.Node
	sized := slices.ContainsFunc(sel.s.GroupBy, isWindow)
	for _, x := range sel.s.GroupBy {
		x = syntax.Unparen(x)
		if sized && isTimestamp(x) {
			// Beside a window it is a key: the events of one instant.
			g.agg.Keys = append(g.agg.Keys, &plan.Timestamp{})
			continue
		}
		windows, is := sel.windows(b, x)
		switch {
		case is && at != nil:
			c.report(x, "use Windows(Window('id', ...), ...) for several", "GROUP BY has one window; there is another at %s", at.Pos())
		case is:
			at = x
			g.agg.Windows = windows
		default:
			held = held || holdsTimestamp(x)
			sel.groupKey(b, g, x)
		}
	}
	if at == nil {
		hint := "add TumblingWindow(minute, 5) or another window to GROUP BY"
		if held {
			hint += "; System.Timestamp() is one only on its own, not inside of an expression"
		}
		c.reportSpan(syntax.Span{Start: sel.s.GroupBy[0].Pos(), Stop: sel.s.GroupBy[len(sel.s.GroupBy)-1].End()}, hint, "a window must be specified")
	}
	sel.implicitKeys(g)
	c.kinds[g.id] = value.String
	c.add(g.agg, sel.s.GroupPos, func() {
		g.id.Index = len(g.agg.Keys) + len(g.agg.Calls)
		g.agg.Width = g.id.Index + 1
	})
	sel.node, sel.group = g.agg, g
}

func isWindow(x syntax.Expr) bool {
	switch syntax.Unparen(x).(type) {
	case *syntax.Window, *syntax.Windows:
		return true
	}
	return false
}

func (sel *selection) groupKey(b *binder, g *grouping, x syntax.Expr) {
	key := b.key(x)
	if _, ok := g.keys[key]; ok {
		return
	}
	sel.noAlias(b, x)
	y := b.expr(x)
	slot := &plan.Slot{Index: len(g.agg.Keys)}
	g.agg.Keys = append(g.agg.Keys, y)
	g.keys[key] = slot
	if k := b.c.kindOf(y); k != value.Null {
		b.c.kinds[slot] = k
	}
}

// implicitKeys adds the keys of partitioned inputs: their groups are kept apart.
func (sel *selection) implicitKeys(g *grouping) {
	for _, x := range sel.partitionKeys() {
		if !containsExpr(g.agg.Keys, x) {
			g.agg.Keys = append(g.agg.Keys, x)
		}
		for i := range g.agg.Windows {
			w := &g.agg.Windows[i]
			if w.Spec.Kind == sessionKind && !containsExpr(w.PartitionBy, x) {
				w.PartitionBy = append([]plan.Expr{x}, w.PartitionBy...)
			}
		}
		g.agg.Partition = append(g.agg.Partition, x)
	}
}

// partitionKeys are the keys of PARTITION BY over the joined rows. Joined
// inputs have equal keys, so those of the first one do.
func (sel *selection) partitionKeys() []plan.Expr {
	for _, e := range sel.scope.entries {
		if len(e.partition) > 0 {
			var keys []plan.Expr
			for _, x := range e.partition {
				keys = append(keys, e.lift(sel.c, x))
			}
			return keys
		}
	}
	return nil
}

func containsExpr(list []plan.Expr, x plan.Expr) bool {
	text := identity(x)
	return slices.ContainsFunc(list, func(y plan.Expr) bool { return identity(y) == text })
}

// identity is equal for expressions that compute the same.
func identity(x plan.Expr) string {
	return plan.ExprText(x, func(s *plan.Slot) string { return fmt.Sprintf("%p", s) })
}

// noAlias reports a name that the select list gives and no input has: in an
// input whose columns are not known it would be NULL for every event.
func (sel *selection) noAlias(b *binder, x syntax.Expr) {
	col, ok := x.(*syntax.Column)
	if !ok || len(col.Path) != 1 {
		return
	}
	name := col.Path[0].Name
	item, ok := sel.aliases[fold(name)]
	if !ok || b.scope.byAlias(name) != nil {
		return
	}
	for _, e := range b.scope.entries {
		if e.has(name) {
			return
		}
	}
	// SELECT UPPER(name) AS name ... GROUP BY name is about the column.
	if sel.mentions(name) {
		return
	}
	b.c.report(x, "repeat the expression that it names", "%s is a name that SELECT gives at %s; GROUP BY cannot use it", quote(name), item.Alias.Pos())
}

// mentions tells whether SELECT or WHERE uses a column of that name.
func (sel *selection) mentions(name string) bool {
	if sel.mentioned == nil {
		sel.mentioned = map[string]bool{}
		visit := func(n syntax.Node) bool {
			if col, ok := n.(*syntax.Column); ok {
				for _, p := range col.Path[:min(2, len(col.Path))] {
					sel.mentioned[fold(p.Name)] = true
				}
			}
			return true
		}
		for _, item := range sel.s.Items {
			syntax.Inspect(item.Expr, visit)
		}
		if sel.s.Where != nil {
			syntax.Inspect(sel.s.Where, visit)
		}
	}
	return sel.mentioned[fold(name)]
}

func holdsTimestamp(x syntax.Expr) bool {
	found := false
	syntax.Inspect(x, func(n syntax.Node) bool {
		if e, ok := n.(syntax.Expr); ok && isTimestamp(e) {
			found = true
		}
		return !found
	})
	return found
}
