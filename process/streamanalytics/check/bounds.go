package check

import (
	"math"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// datediff returns the DATEDIFF that a part of ON compares with something, nil
// if it does not.
func datediff(part syntax.Expr) *syntax.Call {
	var x syntax.Expr
	switch p := syntax.Unparen(part).(type) {
	case *syntax.Between:
		if p.Not {
			return nil
		}
		x = p.X
	case *syntax.Binary:
		x = p.X
		if call := asDatediff(p.Y); call != nil {
			x = call
		}
	default:
		return nil
	}
	return asDatediff(x)
}

func asDatediff(x syntax.Expr) *syntax.Call {
	call, ok := syntax.Unparen(x).(*syntax.Call)
	if ok && len(call.Name) == 1 && isName(call.Name[0], "DATEDIFF") && len(call.Args) == 3 {
		return call
	}
	return nil
}

// bounds finds how far the right row's time can be from that of the left row,
// in ticks. wait is the upper bound as written, without the allowance for how
// DATEDIFF counts. What is wrong is reported.
func (sel *selection) bounds(on syntax.Expr, entries []*entry, right *entry) (low, high, wait int64, found bool) {
	c := sel.c
	low, high, wait = math.MinInt64, math.MaxInt64, math.MaxInt64
	errors := len(c.diags)
	// at is a DATEDIFF of the inputs, other one of something else.
	var at, other *syntax.Call
	for _, part := range chain(on, syntax.And) {
		call := datediff(part)
		if call == nil {
			continue
		}
		from, to, ok := sel.ends(call, entries, right)
		if !ok {
			if other == nil {
				other = call
			}
			continue
		}
		m, n, ok := sel.counts(part)
		if !ok {
			continue
		}
		at = call
		if from == right {
			m, n = negated(n), negated(m)
			from = to
		}
		l, h := sel.reach(call, m, n)
		// The left row can be later than the entry's own row.
		if l != math.MinInt64 {
			low = max(low, l-from.behind)
		}
		high = min(high, h)
		if h != math.MaxInt64 {
			wait = min(wait, sel.unitTicks(call, n, n))
		}
	}
	if at == nil && other != nil && len(c.diags) == errors {
		c.report(other, "write DATEDIFF("+unitText(other)+", "+entries[0].alias+", "+right.alias+")", "the DATEDIFF of a JOIN takes the inputs themselves, not columns")
	}
	if len(c.diags) > errors || at == nil {
		return 0, 0, 0, false
	}
	if low == math.MinInt64 || high == math.MaxInt64 {
		c.report(at, "write BETWEEN m AND n", "the DATEDIFF of a JOIN needs both bounds")
		return 0, 0, 0, false
	}
	high = max(low, high)
	return low, high, max(0, min(wait, high)), true
}

// ends finds the inputs that a DATEDIFF of ON is about: one of each side. ok is
// false where it is about something else, which may stand in ON but bounds
// nothing.
func (sel *selection) ends(call *syntax.Call, entries []*entry, right *entry) (from, to *entry, ok bool) {
	both := &scope{entries: append(append([]*entry{}, entries...), right)}
	var ends [2]*entry
	for i, arg := range call.Args[1:] {
		col, is := syntax.Unparen(arg).(*syntax.Column)
		if !is {
			return nil, nil, false
		}
		if len(col.Path) == 1 {
			ends[i] = both.byAlias(col.Path[0].Name)
		}
		if ends[i] == nil {
			return nil, nil, false
		}
	}
	if (ends[0] == right) == (ends[1] == right) {
		sel.c.report(call, "", "the DATEDIFF of a JOIN is about an input of each side")
		return nil, nil, false
	}
	for i, e := range ends {
		if e.time == nil {
			sel.c.report(call.Args[i+1], "", "%s has no time", quote(e.alias))
			return nil, nil, false
		}
	}
	return ends[0], ends[1], true
}

func unitText(call *syntax.Call) string {
	if u, ok := call.Args[0].(*syntax.Unit); ok {
		return u.Name
	}
	return "minute"
}

// counts returns the bounds m and n of a DATEDIFF: the least and the largest
// int64 where there is none.
func (sel *selection) counts(part syntax.Expr) (m, n int64, ok bool) {
	b := sel.binder("ON")
	const what = "the bound of a DATEDIFF in ON"
	m, n = math.MinInt64, math.MaxInt64
	switch p := syntax.Unparen(part).(type) {
	case *syntax.Between:
		low, okLow := b.wholeNumber(p.Low, what)
		high, okHigh := b.wholeNumber(p.High, what)
		if !okLow || !okHigh {
			return 0, 0, false
		}
		if low > high {
			sel.c.report(p, "exchange them", "the lower bound is above the upper one")
			return 0, 0, false
		}
		return low, high, true
	case *syntax.Binary:
		op, bound := p.Op, p.Y
		if asDatediff(p.X) == nil {
			bound, op = p.X, mirrored(p.Op)
		}
		k, okNumber := b.wholeNumber(bound, what)
		if !okNumber {
			return 0, 0, false
		}
		if k == math.MaxInt64 || k == math.MinInt64 {
			return m, n, true
		}
		switch op {
		case syntax.Equal:
			return k, k, true
		case syntax.Less:
			return m, k - 1, true
		case syntax.LessOrEqual:
			return m, k, true
		case syntax.Greater:
			return k + 1, n, true
		case syntax.GreaterOrEqual:
			return k, n, true
		}
		return m, n, true
	}
	return 0, 0, false
}

// mirrored is the operator with its sides exchanged.
func mirrored(op syntax.Op) syntax.Op {
	switch op {
	case syntax.Less:
		return syntax.Greater
	case syntax.LessOrEqual:
		return syntax.GreaterOrEqual
	case syntax.Greater:
		return syntax.Less
	case syntax.GreaterOrEqual:
		return syntax.LessOrEqual
	}
	return op
}

// reach turns counts of DATEDIFF into ticks. DATEDIFF counts the boundaries of
// units that are crossed: k of them lie between times that are more than k-1
// and less than k+1 units apart.
func (sel *selection) reach(call *syntax.Call, m, n int64) (low, high int64) {
	low, high = math.MinInt64, math.MaxInt64
	if m != math.MinInt64 {
		low = sel.unitTicks(call, m, m-1)
	}
	if n != math.MaxInt64 {
		high = sel.unitTicks(call, n, n+1)
	}
	return low, high
}

// negated is -n, where the least and the largest int64 stand for no bound.
func negated(n int64) int64 {
	switch n {
	case math.MinInt64:
		return math.MaxInt64
	case math.MaxInt64:
		return math.MinInt64
	}
	return -n
}

// unitTicks returns the length of widened units, and reports a count that is
// more than 7 days.
func (sel *selection) unitTicks(call *syntax.Call, count, widened int64) int64 {
	unit := syntax.NoUnit
	if u, ok := call.Args[0].(*syntax.Unit); ok {
		unit = u.Unit
	}
	var ticks int64
	switch unit {
	case syntax.Nanosecond:
		// 100 of them are a tick.
		if count/100 > timing.MaxWindow || -(count/100) > timing.MaxWindow {
			break
		}
		ticks, _ := value.FloorDiv(widened, 100)
		return ticks
	case syntax.Year:
		ticks = 366 * value.TicksPerDay
	case syntax.Quarter:
		ticks = 92 * value.TicksPerDay
	case syntax.Month:
		ticks = 31 * value.TicksPerDay
	case syntax.Week:
		ticks = 7 * value.TicksPerDay
	case syntax.Weekday, syntax.DayOfYear:
		ticks = value.TicksPerDay
	case syntax.NoUnit:
		return 0
	default:
		ticks, _ = timing.UnitTicks(unit)
	}
	if ticks == 0 || count > timing.MaxWindow/ticks || -count > timing.MaxWindow/ticks || count == math.MinInt64 {
		sel.c.report(call, "", "a JOIN of streams reaches at most 7 days")
		return 0
	}
	return widened * ticks
}
