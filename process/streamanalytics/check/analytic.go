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

// analyticSlot is where the result of an analytic function is: a slot of the
// rows of an entry, or of the joined rows if entry is nil.
type analyticSlot struct {
	slot  *plan.Slot
	entry *entry
}

// analyticValue is the result of an analytic function that has been computed
// below.
func (b *binder) analyticValue(x *syntax.Call, s analyticSlot) plan.Expr {
	switch {
	case s.slot == nil:
		return &plan.Const{}
	case b.group != nil:
		return b.bad(x, "compute it in a step of a WITH, or add it to GROUP BY", "%s sees single events, before GROUP BY: it is neither grouped nor inside of an aggregate", called(x))
	case s.entry == nil:
		return s.slot
	case b.only != nil && b.only != s.entry:
		return b.bad(x, "compute it in a step of a WITH", "an analytic function is computed before the JOIN and sees one input")
	}
	return b.lift(s.entry, s.slot)
}

// isAnalytic tells functions that look at earlier rows: LAG and the like, and
// aggregates with LIMIT DURATION instead of a window.
func isAnalytic(x *syntax.Call) bool {
	if len(x.Name) == 2 {
		return isName(x.Name[0], "uda") && x.Over != nil && x.Over.Limit != nil
	}
	switch strings.ToUpper(x.Name[0].Name) {
	case "LAG", "LAST", "ISFIRST", "ANOMALYDETECTION_SPIKEANDDIP", "ANOMALYDETECTION_CHANGEPOINT":
		return true
	}
	_, ok := function.LookupAggregate(x.Name[0].Name)
	return ok && len(x.Name) == 1 && x.Over != nil && x.Over.Limit != nil
}

// analyticCalls finds the analytic functions of SELECT, WHERE, GROUP BY, HAVING
// and ON. Those inside of others are not among them: they are an error where
// the outer ones are bound.
func (sel *selection) analyticCalls() []*syntax.Call {
	var all []*syntax.Call
	visit := func(n syntax.Node) bool {
		call, ok := n.(*syntax.Call)
		ok = ok && isAnalytic(call)
		if ok {
			all = append(all, call)
		}
		return !ok
	}
	for _, item := range sel.s.Items {
		syntax.Inspect(item.Expr, visit)
	}
	list := append([]syntax.Expr{sel.s.Where, sel.s.Having}, sel.s.GroupBy...)
	for join, ok := sel.s.From.(*syntax.Join); ok; join, ok = join.Left.(*syntax.Join) {
		list = append(list, join.On)
	}
	for _, x := range list {
		if x != nil {
			syntax.Inspect(x, visit)
		}
	}
	return all
}

// analyticBelow computes analytic functions directly above the input that they
// look at, before joins.
func (sel *selection) analyticBelow() {
	calls := sel.byOwner(sel.analyticCalls())
	for _, e := range sel.scope.entries {
		if len(calls[e]) > 0 {
			b := sel.binder("OVER")
			b.only = e
			e.top = sel.analyticNode(b, e.top, calls[e], e.partition, e)
		}
	}
}

// analyticAbove computes those that look at the elements of an APPLY or at
// reference data, on top of the joined rows.
func (sel *selection) analyticAbove() {
	if calls := sel.byOwner(sel.analyticCalls())[nil]; len(calls) > 0 {
		sel.node = sel.analyticNode(sel.binder("OVER"), sel.node, calls, sel.partitionKeys(), nil)
	}
}

// byOwner sorts calls by the entry whose rows they look at.
func (sel *selection) byOwner(all []*syntax.Call) map[*entry][]*syntax.Call {
	calls := map[*entry][]*syntax.Call{}
	for _, call := range all {
		e := sel.owner(call)
		calls[e] = append(calls[e], call)
	}
	return calls
}

// owner returns the entry whose rows a call looks at, nil if these are the
// joined rows. A call that names no column looks at the first input.
func (sel *selection) owner(call *syntax.Call) *entry {
	var first, named *entry
	above := false
	for _, e := range sel.scope.entries {
		if first == nil && !e.applied && !e.reference {
			first = e
		}
	}
	syntax.Inspect(call, func(n syntax.Node) bool {
		col, ok := n.(*syntax.Column)
		if !ok || isTimestamp(col) {
			return true
		}
		e := sel.scope.quietly(col.Path)
		switch {
		case e == nil:
		case e.applied || e.reference:
			above = true
		case named == nil:
			named = e
		}
		return true
	})
	switch {
	case above || first == nil:
		return nil
	case named != nil:
		return named
	}
	return first
}

// quietly finds the entry that a path belongs to without reporting anything.
func (s *scope) quietly(path []*syntax.Ident) *entry {
	if e := s.byAlias(path[0].Name); e != nil {
		return e
	}
	var open *entry
	for _, e := range s.entries {
		if e.has(path[0].Name) {
			return e
		}
		if open == nil && e.open() {
			open = e
		}
	}
	return open
}

// analyticNode adds a node with the calls above the one given.
func (sel *selection) analyticNode(b *binder, below plan.Node, calls []*syntax.Call, partition []plan.Expr, of *entry) plan.Node {
	node := &plan.Analytic{Common: plan.Common{Inputs: []plan.Node{below}, Partition: partition}}
	var slots []*plan.Slot
	done := map[int]*plan.Slot{}
	for _, x := range calls {
		key := b.key(x)
		slot, ok := done[key]
		if !ok {
			call := b.analyticCall(x, partition)
			if call == nil {
				sel.analytic[x] = analyticSlot{}
				continue
			}
			slot = &plan.Slot{}
			slots = append(slots, slot)
			node.Calls = append(node.Calls, call)
			done[key] = slot
			if k := sel.c.kindOfAnalytic(call); k != value.Null {
				sel.c.kinds[slot] = k
			}
		}
		sel.analytic[x] = analyticSlot{slot, of}
	}
	if len(slots) == 0 {
		return below
	}
	sel.c.add(node, calls[0].Pos(), func() {
		width := below.Head().Width
		for i, slot := range slots {
			slot.Index = width + i
		}
		node.Width = width + len(slots)
	})
	return node
}

func (c *checker) kindOfAnalytic(call *plan.AnalyticCall) value.Kind {
	switch call.Kind {
	case plan.IsFirst:
		return value.BigInt
	case plan.SpikeAndDip, plan.ChangePoint:
		return value.Record
	case plan.Running:
		return c.kindOfAggregate(call.Aggregate)
	}
	kind := c.kindOf(call.Args[0])
	if call.Default != nil && c.kindOf(call.Default) != kind {
		return value.Null
	}
	return kind
}

// analyticCall binds one call; nil if it is wrong.
func (b *binder) analyticCall(x *syntax.Call, partition []plan.Expr) *plan.AnalyticCall {
	call := &plan.AnalyticCall{Pos: x.Pos(), PartitionBy: slices.Clone(partition)}
	upper := strings.ToUpper(x.Name[len(x.Name)-1].Name)
	if len(x.Name) == 2 {
		upper = ""
	}
	errors := len(b.c.diags)
	switch upper {
	case "LAG":
		b.lag(x, call)
	case "LAST":
		call.Kind = plan.Last
		if b.arity(x, 1, 2) {
			call.Args = b.lookedBack(x)
			if len(x.Args) == 2 {
				call.Default = b.expr(x.Args[1])
			}
		}
	case "ISFIRST":
		b.isFirst(x, call)
	case "ANOMALYDETECTION_SPIKEANDDIP", "ANOMALYDETECTION_CHANGEPOINT":
		b.anomaly(x, call, upper)
	default:
		b.running(x, call)
	}
	b.analyticOver(x, call, upper)
	if len(b.c.diags) > errors {
		return nil
	}
	return call
}

// arity reports a wrong number of arguments.
func (b *binder) arity(x *syntax.Call, low, high int) bool {
	if n := len(x.Args); n < low || n > high {
		takes := fmt.Sprint(low)
		if low != high {
			takes = fmt.Sprintf("%d to %d", low, high)
		}
		b.bad(x, "", "%s takes %s arguments, not %d", called(x), takes, n)
		return false
	}
	return true
}

// lookedBack binds the value of LAG and LAST; * is the whole event.
func (b *binder) lookedBack(x *syntax.Call) []plan.Expr {
	if _, star := x.Args[0].(*syntax.Star); star {
		return []plan.Expr{b.event()}
	}
	return b.exprs(x.Args[:1])
}

func (b *binder) lag(x *syntax.Call, call *plan.AnalyticCall) {
	call.Kind, call.Offset = plan.Lag, 1
	if !b.arity(x, 1, 3) {
		return
	}
	call.Args = b.lookedBack(x)
	if len(x.Args) > 1 {
		n, ok := b.wholeNumber(x.Args[1], "the offset of LAG")
		if ok && (n < 1 || n > 1<<20) {
			b.bad(x.Args[1], "", "the offset of LAG is a number of events from 1 to %d", 1<<20)
		}
		call.Offset = int(n)
	}
	if len(x.Args) > 2 {
		call.Default = b.expr(x.Args[2])
	}
}

func (b *binder) isFirst(x *syntax.Call, call *plan.AnalyticCall) {
	call.Kind = plan.IsFirst
	if !b.arity(x, 2, 2) {
		return
	}
	unit, ok := x.Args[0].(*syntax.Unit)
	if !ok || unit.Unit == syntax.NoUnit {
		return
	}
	call.Every = b.length(&syntax.Duration{Span: x.Span, Unit: unit, Value: x.Args[1]}, "the interval of ISFIRST", 7*value.TicksPerDay)
}

// modes are the last argument of AnomalyDetection_SpikeAndDip.
var modes = []string{"spikes", "dips", "spikesanddips"}

func (b *binder) anomaly(x *syntax.Call, call *plan.AnalyticCall, upper string) {
	call.Kind = plan.ChangePoint
	want := 3
	if upper == "ANOMALYDETECTION_SPIKEANDDIP" {
		call.Kind, want = plan.SpikeAndDip, 4
	}
	if !b.arity(x, want, want) {
		return
	}
	call.Args = b.exprs(x.Args)
	if k := b.c.kindOf(call.Args[0]); k != value.Null && k != value.BigInt && k != value.Float {
		b.bad(x.Args[0], "write CAST(x AS float)", "%s watches a number, not %s", called(x), k)
	}
	confidence, ok := number(call.Args[1])
	if !ok || confidence < 1 || confidence > 100 {
		b.bad(x.Args[1], "", "the confidence of %s is a constant from 1 to 100", called(x))
	}
	history, ok := number(call.Args[2])
	if !ok || history < 1 || history != float64(int64(history)) || history > 1<<20 {
		b.bad(x.Args[2], "", "the history of %s is a constant number of events of 1 or more", called(x))
	}
	if want == 4 {
		k, ok := call.Args[3].(*plan.Const)
		if !ok || k.Value.Kind() != value.String || !containsFold(modes, k.Value.Str()) {
			b.bad(x.Args[3], "write 'spikes', 'dips' or 'spikesanddips'", "the mode of %s is one of three words", called(x))
		}
	}
}

// number is the value of a constant number.
func number(x plan.Expr) (float64, bool) {
	k, ok := x.(*plan.Const)
	switch {
	case ok && k.Value.Kind() == value.BigInt:
		return float64(k.Value.Int()), true
	case ok && k.Value.Kind() == value.Float:
		return k.Value.Double(), true
	}
	return 0, false
}

// running binds an aggregate with LIMIT DURATION.
func (b *binder) running(x *syntax.Call, call *plan.AnalyticCall) {
	call.Kind = plan.Running
	before := b.inside
	b.inside = called(x)
	if len(x.Name) == 2 {
		call.Aggregate = b.aggregateCall(x, x.Name[1].Name, nil)
	} else {
		call.Aggregate = b.aggregateCall(x, "", x.Name[0])
	}
	b.inside = before
}

// analyticOver binds OVER (PARTITION BY ... LIMIT DURATION ... WHEN ...).
func (b *binder) analyticOver(x *syntax.Call, call *plan.AnalyticCall, upper string) {
	limited := call.Kind != plan.IsFirst
	if x.Over == nil {
		if limited {
			b.bad(x, "write "+upper+"(...) OVER (LIMIT DURATION(minute, 5))", "%s needs OVER with LIMIT DURATION", called(x))
		}
		return
	}
	o := x.Over
	if b.tooMany(len(o.PartitionBy), maxKeys, o, "keys in PARTITION BY") {
		return
	}
	for _, key := range o.PartitionBy {
		if y := b.expr(key); !containsExpr(call.PartitionBy, y) {
			call.PartitionBy = append(call.PartitionBy, y)
		}
	}
	if len(o.OrderBy) > 0 && call.Kind != plan.Running {
		b.bad(o.OrderBy[0], "leave ORDER BY out", "%s looks at events in the order of their time", called(x))
	}
	switch {
	case o.Limit != nil && !limited:
		b.bad(o.Limit, "leave LIMIT DURATION out", "ISFIRST has its interval as arguments")
	case o.Limit != nil:
		call.Limit = b.length(o.Limit, "LIMIT DURATION", 7*value.TicksPerDay)
	case limited:
		b.bad(o, "add LIMIT DURATION(unit, n)", "%s needs LIMIT DURATION inside of OVER", called(x))
	}
	if o.When != nil {
		call.When = b.cond(o.When)
	}
}
