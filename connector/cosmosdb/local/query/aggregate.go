package query

import (
	"strings"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// aggregateKind is a function over the values of many rows.
type aggregateKind uint8

const (
	aggregateCount aggregateKind = iota + 1
	aggregateCountIf
	aggregateSum
	aggregateAverage
	aggregateMin
	aggregateMax
	aggregateList
	aggregateSet
)

var aggregateKinds = map[string]aggregateKind{
	"COUNT": aggregateCount, "COUNTIF": aggregateCountIf, "SUM": aggregateSum, "AVG": aggregateAverage,
	"MIN": aggregateMin, "MAX": aggregateMax, "MAKELIST": aggregateList, "MAKESET": aggregateSet,
}

// aggregate is one in a query: the value of each row, and the variable that
// the result is put into.
type aggregate struct {
	kind aggregateKind
	arg  expr
	slot int
}

// grouping is GROUP BY with the aggregates of what is selected; with no keys
// there is one group, of all rows.
type grouping struct {
	by    []sql.Expr
	keys  []expr
	slots []int // where a group's keys are put
	// row is the scope of the single rows, for the arguments of aggregates.
	row        *scope
	aggregates []aggregate
}

// slot is the variable of the key that e is, if it is one.
func (g *grouping) slot(e sql.Expr) (int, bool) {
	for i, by := range g.by {
		if same(by, e) {
			return g.slots[i], true
		}
	}
	return 0, false
}

func (c *compiler) aggregate(e *sql.Call, kind aggregateKind, s *scope) (expr, error) {
	if len(e.Args) != 1 {
		return nil, sql.Errorf(e.Span, codeArguments, "The %s function requires 1 argument(s).", e.Name)
	}
	if s.groups == nil {
		return nil, sql.Errorf(e.Span, codeAggregate,
			"The aggregate function '%s' is only allowed in SELECT, and not within another aggregate function.", e.Name)
	}
	arg, err := c.expr(e.Args[0], s.groups.row)
	if err != nil {
		return nil, err
	}
	c.dynamic++
	slot := c.newVar()
	s.groups.aggregates = append(s.groups.aggregates, aggregate{kind, arg, slot})
	return variable(slot), nil
}

// hasAggregate tells whether an expression has an aggregate of its own query.
func hasAggregate(e sql.Expr) bool {
	found := false
	sql.Inspect(e, func(e sql.Expr) bool {
		switch e := e.(type) {
		case *sql.Exists, *sql.ArrayOf, *sql.Subquery:
			return false
		case *sql.Call:
			found = found || !e.UDF && isAggregate(e)
		}
		return !found
	})
	return found
}

func isAggregate(e sql.Expr) bool {
	call, ok := e.(*sql.Call)
	return ok && !call.UDF && aggregateKinds[strings.ToUpper(call.Name)] != 0
}

// group is the state of one group.
type group struct {
	keys   []value.Value
	states []accumulator
	size   int // about how many bytes it takes
}

// groupSize is about what a group takes besides its values.
const groupSize = 128

func (g *grouping) newGroup(keys []value.Value) *group {
	n := &group{keys: make([]value.Value, len(keys)), states: make([]accumulator, len(g.aggregates))}
	n.size = groupSize + len(n.states)*groupSize
	for i, k := range keys {
		n.keys[i] = k.Clone()
	}
	return n
}

// add takes the current row into the group; it returns by how much the group
// grew.
func (g *grouping) add(f *frame, to *group) (grown int) {
	for i := range g.aggregates {
		a := &g.aggregates[i]
		grown += to.states[i].add(a.kind, a.arg(f))
	}
	to.size += grown
	return grown
}

// show puts a group's keys and results into the frame.
func (g *grouping) show(f *frame, of *group) {
	for i, slot := range g.slots {
		f.vars[slot] = of.keys[i]
	}
	for i := range g.aggregates {
		a := &g.aggregates[i]
		f.vars[a.slot] = of.states[i].result(a.kind)
	}
}

// accumulator is the state of one aggregate of one group.
type accumulator struct {
	count, sum float64
	// spoilt is set by a value that makes the result undefined.
	spoilt bool
	best   value.Value
	list   value.ArrayBuilder
	seen   map[string]bool
}

// add takes a value in. Undefined counts for nothing. What is no number makes
// a sum and an average undefined, arrays and objects a minimum and a maximum.
func (a *accumulator) add(kind aggregateKind, v value.Value) (grown int) {
	if v.IsUndefined() {
		return 0
	}
	switch kind {
	case aggregateCount:
		a.count++
	case aggregateCountIf:
		if v.IsTrue() {
			a.count++
		}
	case aggregateSum, aggregateAverage:
		n, ok := v.AsNumber()
		a.spoilt = a.spoilt || !ok
		a.sum += n
		a.count++
	case aggregateMin, aggregateMax:
		a.spoilt = a.spoilt || v.Kind() >= value.KindArray
		order := value.Compare(v, a.best)
		if a.best.IsUndefined() || kind == aggregateMin && order < 0 || kind == aggregateMax && order > 0 {
			a.best = v.Clone()
		}
	case aggregateSet, aggregateList:
		if kind == aggregateSet {
			key := string(value.AppendIdentity(nil, v))
			if a.seen[key] {
				return 0
			}
			if a.seen == nil {
				a.seen = map[string]bool{}
			}
			a.seen[key] = true
			grown = len(key) + groupSize
		}
		before := a.list.Size()
		a.list.Append(v)
		grown += a.list.Size() - before
	}
	return grown
}

func (a *accumulator) result(kind aggregateKind) value.Value {
	switch {
	case kind == aggregateCount || kind == aggregateCountIf:
		return value.Number(a.count)
	case kind == aggregateList || kind == aggregateSet:
		return a.list.Value()
	case a.spoilt:
		return value.Undefined()
	case kind == aggregateSum:
		return number(a.sum)
	case kind == aggregateAverage:
		return number(a.sum / a.count)
	}
	return a.best
}
