package query

import (
	"slices"
	"strings"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// rewriter makes the plan of a query and the query for each range. What clients
// expect of the results of rewritten queries:
//
//	ORDER BY             {"_rid", "orderByItems": [{"item": key}, ...], "payload": result}
//	                     in order; they merge by the items and give the payloads
//	SELECT VALUE COUNT   [{"item": count}]; they add, or compare, what is in item
//	MIN and MAX          {"item": value, "item2": {"min": value, "count": count}}: some
//	                     read item, others item2, if it is there
//	AVG                  {"item": {"sum": sum, "count": count}}
//	SELECT COUNT(1) n    {"payload": {"n": {"item": count}}}
//	GROUP BY             {"groupByItems": [{"item": key}, ...], "payload": ...}: they merge
//	                     what has the same items, by the types of the aliases
//
// An item that is undefined is left out: {}. DISTINCT is done again by clients
// over the results of all ranges, and so are TOP, OFFSET and LIMIT, so that
// ranges may give what only looks distinct, or too much, but never too little.
type rewriter struct {
	query *sql.Query
	plan  *Plan
	info  *PartitionedInfo
}

// orderFilter is where clients put a condition of their own when they resume:
// its text, in parentheses since the condition may be anything.
const orderFilter = "({documentdb-formattableorderbyquery-filter})"

func (w *rewriter) rewrite() {
	q, info, root := w.query, &w.info.QueryInfo, w.plan.root
	s := &q.Select
	w.info.NeedsPlan = root.grouping != nil || s.Distinct || len(q.OrderBy) > 0 || root.limit != noLimit || root.offset > 0
	if len(root.sources) > 0 && root.sources[0].sub != nil && !root.sources[0].sub.streams() {
		w.info.NeedsPlan = true
		w.refuse("a subquery in FROM that counts, groups, sorts or limits")
		return
	}
	if s.Top != nil {
		top := w.plan.compiler.countOf(s.Top)
		info.Top = &top
		w.needs("Top")
	}
	// One logical partition lies in one range, which can do all but what
	// clients insist on doing themselves.
	alone := w.info.Pinned() && root.grouping == nil && !s.Distinct
	if q.Limit != nil && !alone {
		offset, limit := root.offset, w.plan.compiler.countOf(q.Limit)
		info.Offset, info.Limit = &offset, &limit
		w.needs("OffsetAndLimit")
	}
	if s.Distinct {
		w.needs("Distinct")
		info.DistinctType = distinctUnordered
		if root.orderIsDistinct() {
			info.DistinctType = distinctOrdered
		}
	}
	switch {
	case len(q.GroupBy) > 0:
		w.groups()
	case root.grouping != nil:
		w.aggregates()
	case len(q.OrderBy) > 0 && !alone:
		w.order()
	case s.Distinct && root.limit != noLimit:
		all := *q
		all.Select.Top, all.Offset, all.Limit = nil, nil, nil
		info.RewrittenQuery = all.String()
	case info.Limit != nil:
		info.RewrittenQuery = w.first(*q).String()
	}
}

func (w *rewriter) needs(feature string) {
	if !slices.Contains(w.info.needs, feature) {
		w.info.needs = append(w.info.needs, feature)
	}
}

func (w *rewriter) refuse(feature string) {
	w.info.refused = badRequest("A query with %s cannot be run over several partition key ranges.", feature)
}

// countOf is a count that counts has let pass.
func (c *compiler) countOf(e sql.Expr) int {
	v, _ := c.constantOf(e)
	n, _ := int64Of(v)
	return int(n)
}

// first makes a range give as much as OFFSET and LIMIT together take.
func (w *rewriter) first(q sql.Query) *sql.Query {
	if w.info.QueryInfo.Limit != nil {
		n := *w.info.QueryInfo.Offset + *w.info.QueryInfo.Limit
		q.Offset = &sql.Literal{Value: value.Number(0)}
		q.Limit = &sql.Literal{Value: value.Number(float64(n))}
	}
	return &q
}

// order rewrites a query with ORDER BY.
func (w *rewriter) order() {
	info, q := &w.info.QueryInfo, *w.query
	w.needs("OrderBy")
	if len(q.OrderBy) > 1 {
		w.needs("MultipleOrderBy")
	}
	items := &sql.Array{}
	for _, o := range q.OrderBy {
		direction := "Ascending"
		if o.Descending {
			direction = "Descending"
		}
		info.OrderBy = append(info.OrderBy, direction)
		info.OrderByExpressions = append(info.OrderByExpressions, sql.Text(o.Expr))
		items.Items = append(items.Items, item(o.Expr))
	}
	where := sql.Expr(&sql.Parameter{Name: orderFilter})
	if q.Where != nil {
		where = conjunction(q.Where, where)
	}
	payload := w.payload()
	if q.Select.Value != nil { // clients take every payload for a result
		where = conjunction(where, &sql.Call{Name: "IS_DEFINED", Args: []sql.Expr{payload}})
	}
	selected := sql.Select{Top: q.Select.Top, Items: []sql.Item{
		{Expr: items, Alias: "orderByItems"}, {Expr: payload, Alias: "payload"},
	}}
	if alias := w.plan.root.sourceName(0); alias != "" {
		rid := sql.Item{Expr: &sql.Member{Of: &sql.Name{Name: alias}, Name: "_rid"}}
		selected.Items = slices.Insert(selected.Items, 0, rid)
	}
	if q.Select.Distinct { // what is distinct is found out by the client
		selected.Top, q.Offset, q.Limit = nil, nil, nil
	} else {
		q = *w.first(q)
	}
	q.Select, q.Where = selected, where
	info.RewrittenQuery = q.String()
}

func conjunction(a, b sql.Expr) sql.Expr { return &sql.Binary{Op: sql.OpAnd, L: a, R: b} }

// item is {"item": e}.
func item(e sql.Expr) sql.Expr {
	return &sql.Object{Members: []sql.ObjectMember{{Name: "item", Value: e}}}
}

// payload is the query's result as one expression.
func (w *rewriter) payload() sql.Expr {
	s := &w.query.Select
	switch {
	case s.Star:
		return &sql.Name{Name: w.plan.root.sourceName(0)}
	case s.Value != nil:
		return s.Value
	}
	o := &sql.Object{}
	for i, it := range s.Items {
		o.Members = append(o.Members, sql.ObjectMember{Name: w.plan.root.project.names[i], Value: it.Expr})
	}
	return o
}

// aggregates rewrites a query of aggregates without GROUP BY.
func (w *rewriter) aggregates() {
	q := *w.query
	q.Select.Top, q.Select.Distinct, q.Offset, q.Limit, q.OrderBy = nil, false, nil, nil, nil
	w.needs("Aggregate")
	if q.Select.Value != nil {
		partial, ok := w.partial(q.Select.Value)
		if !ok {
			return
		}
		w.info.QueryInfo.Aggregates = append(w.info.QueryInfo.Aggregates, aggregateType(q.Select.Value))
		q.Select.Value = &sql.Array{Items: []sql.Expr{partial}}
	} else {
		payload, ok := w.aliases()
		if !ok {
			return
		}
		q.Select.Items = []sql.Item{{Expr: payload, Alias: "payload"}}
	}
	w.info.QueryInfo.RewrittenQuery = q.String()
}

// groups rewrites a query with GROUP BY.
func (w *rewriter) groups() {
	q := *w.query
	q.Select.Top, q.Select.Distinct, q.Offset, q.Limit = nil, false, nil, nil
	w.needs("GroupBy")
	items := &sql.Array{}
	for _, e := range q.GroupBy {
		w.info.QueryInfo.GroupByExpressions = append(w.info.QueryInfo.GroupByExpressions, sql.Text(e))
		items.Items = append(items.Items, item(e))
	}
	var payload sql.Expr
	switch v := q.Select.Value; {
	case v != nil && hasAggregate(v):
		partial, ok := w.partial(v)
		if !ok {
			return
		}
		w.needs("Aggregate")
		w.info.QueryInfo.Aggregates = append(w.info.QueryInfo.Aggregates, aggregateType(v))
		payload = &sql.Array{Items: []sql.Expr{partial}}
	case v != nil:
		payload = v
	default:
		var ok bool
		if payload, ok = w.aliases(); !ok {
			return
		}
	}
	q.Select.Value = nil
	q.Select.Items = []sql.Item{{Expr: items, Alias: "groupByItems"}, {Expr: payload, Alias: "payload"}}
	w.info.QueryInfo.RewrittenQuery = q.String()
}

// aliases is the payload of a SELECT list, with its aggregates in parts.
func (w *rewriter) aliases() (payload sql.Expr, ok bool) {
	info := &w.info.QueryInfo
	o := &sql.Object{}
	aggregates := 0
	for i, it := range w.query.Select.Items {
		name := w.plan.root.project.names[i]
		info.GroupByAliases = append(info.GroupByAliases, name)
		info.GroupByAliasToAggregateType[name] = nil
		e := it.Expr
		if hasAggregate(e) {
			if e, ok = w.partial(it.Expr); !ok {
				return nil, false
			}
			kind := aggregateType(it.Expr)
			info.GroupByAliasToAggregateType[name] = &kind
			aggregates++
		}
		o.Members = append(o.Members, sql.ObjectMember{Name: name, Value: e})
	}
	if aggregates > 0 {
		w.needs("NonValueAggregate")
	}
	if aggregates > 1 {
		w.needs("MultipleAggregates")
	}
	return o, true
}

// partial is what a range gives for an aggregate, for clients to merge.
func (w *rewriter) partial(e sql.Expr) (parts sql.Expr, ok bool) {
	if !isAggregate(e) {
		w.info.refused = badRequest("Compositions of aggregates and other expressions are not allowed.")
		return nil, false
	}
	call := e.(*sql.Call)
	of := func(name string) sql.Expr { return &sql.Call{Name: name, Args: call.Args} }
	name := strings.ToUpper(call.Name)
	switch aggregateKinds[name] {
	case aggregateAverage:
		return item(&sql.Object{Members: []sql.ObjectMember{{Name: "sum", Value: of("SUM")}, {Name: "count", Value: of("COUNT")}}}), true
	case aggregateMin, aggregateMax:
		return &sql.Object{Members: []sql.ObjectMember{
			{Name: "item", Value: of(name)},
			{Name: "item2", Value: &sql.Object{Members: []sql.ObjectMember{
				{Name: strings.ToLower(name), Value: of(name)}, {Name: "count", Value: of("COUNT")},
			}}},
		}}, true
	case aggregateCountIf:
		w.needs("CountIf")
	case aggregateList, aggregateSet:
		w.needs("ListAndSetAggregate")
	}
	return item(of(name)), true
}

func aggregateType(e sql.Expr) string {
	call, ok := e.(*sql.Call)
	if !ok {
		return ""
	}
	switch aggregateKinds[strings.ToUpper(call.Name)] {
	case aggregateCount:
		return "Count"
	case aggregateCountIf:
		return "CountIf"
	case aggregateSum:
		return "Sum"
	case aggregateAverage:
		return "Average"
	case aggregateMin:
		return "Min"
	case aggregateMax:
		return "Max"
	case aggregateList:
		return "MakeList"
	}
	return "MakeSet"
}

// orderIsDistinct tells whether results that are the same come one behind the
// other: the first keys of ORDER BY are all that DISTINCT gives.
func (s *selection) orderIsDistinct() bool {
	given := s.given()
	if len(given) == 0 || len(given) > len(s.query.OrderBy) {
		return false
	}
	for _, o := range s.query.OrderBy[:len(given)] {
		if !slices.ContainsFunc(given, func(g sql.Expr) bool { return same(g, o.Expr) }) {
			return false
		}
	}
	return true
}
