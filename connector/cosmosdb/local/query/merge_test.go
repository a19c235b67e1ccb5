package query

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// client runs a query over several ranges as the official clients do, with
// nothing but the plan's JSON and the results of the rewritten query.
type client struct {
	t      *testing.T
	source *container
	ranges int
	plan   struct {
		QueryInfo struct {
			DistinctType                string             `json:"distinctType"`
			Top, Offset, Limit          *int               `json:",omitempty"`
			OrderBy                     []string           `json:"orderBy"`
			OrderByExpressions          []string           `json:"orderByExpressions"`
			GroupByExpressions          []string           `json:"groupByExpressions"`
			Aggregates                  []string           `json:"aggregates"`
			GroupByAliasToAggregateType map[string]*string `json:"groupByAliasToAggregateType"`
			RewrittenQuery              string             `json:"rewrittenQuery"`
			HasSelectValue              bool               `json:"hasSelectValue"`
		} `json:"queryInfo"`
		QueryRanges []QueryRange `json:"queryRanges"`
	}
}

// clientFeatures are those of the most capable client.
const clientFeatures = "NonValueAggregate,Aggregate,Distinct,MultipleOrderBy,OffsetAndLimit,OrderBy,Top,CompositeAggregate,GroupBy,MultipleAggregates,ListAndSetAggregate,CountIf"

// run gives the results, or that there is no plan.
func (c *client) run(text string, pages int) (results []string, planned bool) {
	q, err := sql.Parse(text)
	if err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	info, err := Info(q, byKey, nil)
	if err != nil {
		c.t.Fatalf("%s: %v", text, err)
	}
	if info.Unsupported(clientFeatures) != nil {
		return nil, false
	}
	wire, err := json.Marshal(info)
	if err == nil {
		err = json.Unmarshal(wire, &c.plan)
	}
	if err != nil {
		c.t.Fatal(err)
	}
	i := &c.plan.QueryInfo
	rewritten := text
	if i.RewrittenQuery != "" {
		rewritten = strings.ReplaceAll(i.RewrittenQuery, "{documentdb-formattableorderbyquery-filter}", "true")
	}
	var perRange [][]value.Value
	for _, r := range byKey.Split(c.ranges) {
		touched := slices.ContainsFunc(c.plan.QueryRanges, func(q QueryRange) bool {
			return q.Min < r.High && (q.Max > r.Low || q.MaxInclusive && q.Max == r.Low)
		})
		if !touched {
			continue
		}
		var list []value.Value
		for _, text := range all(c.t, c.source, rewritten, Options{Low: r.Low, High: r.High, MaxItems: pages, Definition: byKey}) {
			v, err := value.Parse([]byte(text))
			if err != nil {
				c.t.Fatal(err)
			}
			list = append(list, v)
		}
		perRange = append(perRange, list)
	}
	merged := slices.Concat(perRange...)
	switch {
	case len(i.OrderBy) > 0:
		merged = c.merge(perRange)
	case len(i.GroupByExpressions) > 0 || len(i.Aggregates) > 0 || len(i.GroupByAliasToAggregateType) > 0:
		merged = c.group(merged)
	}
	return c.finish(merged), true
}

// merge gives the payloads in the order of their items.
func (c *client) merge(perRange [][]value.Value) []value.Value {
	i := &c.plan.QueryInfo
	if len(i.OrderByExpressions) != len(i.OrderBy) {
		c.t.Fatalf("%d expressions for %d orders", len(i.OrderByExpressions), len(i.OrderBy))
	}
	rows := slices.Concat(perRange...)
	for _, list := range perRange {
		if !slices.IsSortedFunc(list, c.compare) {
			c.t.Fatalf("a range's results are not in order")
		}
	}
	slices.SortStableFunc(rows, c.compare)
	for j, row := range rows {
		if row.Get("_rid").Kind() != value.KindString || row.Get("payload").IsUndefined() {
			c.t.Fatalf("a result without _rid or payload: %s", row.AppendJSON(nil))
		}
		rows[j] = row.Get("payload")
	}
	return rows
}

func (c *client) compare(a, b value.Value) int {
	for i, direction := range c.plan.QueryInfo.OrderBy {
		order := value.Compare(a.Get("orderByItems").Index(i).Get("item"), b.Get("orderByItems").Index(i).Get("item"))
		if direction == "Descending" {
			order = -order
		}
		if order != 0 {
			return order
		}
	}
	return 0
}

// merger puts the parts of an aggregate together.
type merger struct {
	kind       string
	sum, count float64
	best       value.Value
	undefined  bool
	first      value.Value
}

func (m *merger) add(part value.Value) {
	item := part.Get("item")
	number := func(v value.Value) float64 {
		f, ok := v.AsNumber()
		m.undefined = m.undefined || !ok
		return f
	}
	switch m.kind {
	case "":
		if m.first.IsUndefined() {
			m.first = part
		}
	case "Count", "CountIf", "Sum":
		m.sum += number(item)
	case "Average":
		if count := number(item.Get("count")); count > 0 {
			m.count += count
			m.sum += number(item.Get("sum"))
		}
	case "Min", "Max":
		both := part.Get("item2")
		name := strings.ToLower(m.kind)
		if !value.Same(both.Get(name), item) {
			m.undefined = true // clients read one or the other
		}
		if count := number(both.Get("count")); count > 0 {
			order := value.Compare(item, m.best)
			m.undefined = m.undefined || item.IsUndefined()
			if m.best.IsUndefined() || order < 0 && m.kind == "Min" || order > 0 && m.kind == "Max" {
				m.best = item
			}
		}
	}
}

func (m *merger) result() value.Value {
	switch {
	case m.kind == "":
		return m.first
	case m.undefined:
		return value.Undefined()
	case m.kind == "Average":
		return number(m.sum / m.count)
	case m.kind == "Min", m.kind == "Max":
		return m.best
	}
	return value.Number(m.sum)
}

type mergedGroup struct {
	value   *merger
	members map[string]*merger
	names   []string
}

func (c *client) group(rows []value.Value) []value.Value {
	i := &c.plan.QueryInfo
	groups := map[string]*mergedGroup{}
	var order []*mergedGroup
	for _, row := range rows {
		key := ""
		payload := row.Get("payload")
		if len(i.GroupByExpressions) > 0 {
			items := row.Get("groupByItems")
			if items.Len() != len(i.GroupByExpressions) {
				c.t.Fatalf("%s has not %d items", row.AppendJSON(nil), len(i.GroupByExpressions))
			}
			key = string(value.AppendIdentity(nil, items))
		} else if i.HasSelectValue {
			payload = row
		}
		g := groups[key]
		if g == nil {
			g = &mergedGroup{members: map[string]*merger{}}
			groups[key] = g
			order = append(order, g)
		}
		c.addToGroup(g, payload)
	}
	var results []value.Value
	for _, g := range order {
		if g.value != nil {
			results = append(results, g.value.result())
			continue
		}
		var b value.ObjectBuilder
		for _, name := range g.names {
			b.Set(name, g.members[name].result())
		}
		results = append(results, b.Value())
	}
	return slices.DeleteFunc(results, value.Value.IsUndefined)
}

func (c *client) addToGroup(g *mergedGroup, payload value.Value) {
	i := &c.plan.QueryInfo
	if i.HasSelectValue {
		if g.value == nil {
			g.value = &merger{}
			if len(i.Aggregates) > 0 {
				g.value.kind = i.Aggregates[0]
			}
		}
		if len(i.Aggregates) > 0 {
			payload = payload.Index(0)
		}
		g.value.add(payload)
		return
	}
	payload.EachMember(func(name string, part value.Value) bool {
		kind, known := i.GroupByAliasToAggregateType[name]
		if !known {
			c.t.Fatalf("the alias %s is not in the plan", name)
		}
		m := g.members[name]
		if m == nil {
			m = &merger{}
			if kind != nil {
				m.kind = *kind
			}
			g.members[name] = m
			g.names = append(g.names, name)
		}
		m.add(part)
		return true
	})
}

// finish does DISTINCT, OFFSET, LIMIT and TOP.
func (c *client) finish(rows []value.Value) []string {
	i := &c.plan.QueryInfo
	var results []string
	seen := map[string]bool{}
	last := ""
	for j, row := range rows {
		id := string(value.AppendIdentity(nil, row))
		switch i.DistinctType {
		case "Unordered":
			if seen[id] {
				continue
			}
			seen[id] = true
		case "Ordered":
			if j > 0 && last == id {
				continue
			}
			last = id
		}
		results = append(results, string(row.AppendJSON(nil)))
	}
	if i.Offset != nil {
		results = results[min(*i.Offset, len(results)):]
		results = results[:min(*i.Limit, len(results))]
	}
	if i.Top != nil {
		results = results[:min(*i.Top, len(results))]
	}
	return results
}

// A query run by plan over four ranges gives what it gives over one.
func TestPlansMergeToTheSame(t *testing.T) {
	t.Parallel()
	planned := map[string]int{}
	for round := range rounds(20) {
		seed := uint64(round)
		g := generator{rand.New(rand.NewPCG(seed, 4))}
		source := newContainer(t, g.items(70)...)
		if g.IntN(2) == 0 {
			source.indexed = everyPath
		}
		for range 30 {
			q := g.query()
			c := &client{t: t, source: source, ranges: 1 + g.IntN(4)}
			got, ok := c.run(q.text, 1+g.IntN(20))
			if !ok {
				continue
			}
			planned[c.plan.QueryInfo.DistinctType+fmt.Sprint(c.plan.QueryInfo.OrderBy != nil, len(c.plan.QueryInfo.Aggregates), len(c.plan.QueryInfo.GroupByExpressions))]++
			want := all(t, source, q.text, Options{})
			if !q.agree(normal(t, want), normal(t, got)) {
				t.Fatalf("seed %d: %s\nrewritten to %s\nover %d ranges:\n%s\nover one:\n%s", seed, q.text, c.plan.QueryInfo.RewrittenQuery,
					c.ranges, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		}
	}
	if len(planned) < 6 {
		t.Errorf("too few kinds of plans were tried: %v", planned)
	}
}

// normal writes results with the members of objects sorted.
func normal(t *testing.T, results []string) []string {
	t.Helper()
	out := make([]string, len(results))
	for i, r := range results {
		v, err := value.Parse([]byte(r))
		if err != nil {
			t.Fatal(err)
		}
		out[i] = string(value.AppendIdentity(nil, v))
	}
	return out
}

// A client that resumes an order over several ranges sends a range's
// continuation with a condition added to the query that it is of.
func TestResumingWithTheClientsCondition(t *testing.T) {
	t.Parallel()
	g := generator{rand.New(rand.NewPCG(9, 9))}
	source := newContainer(t, g.items(40)...)
	for _, indexed := range []bool{false, true} {
		source.indexed = func(string) bool { return indexed }
		info := infoOf(t, "SELECT VALUE c.id FROM c WHERE c.n > 0 ORDER BY c.n", byKey, nil)
		const place = "{documentdb-formattableorderbyquery-filter}"
		first := strings.ReplaceAll(info.QueryInfo.RewrittenQuery, place, "true")
		want := all(t, source, first, Options{})
		page, err := compiled(t, first, Options{MaxItems: 5}).Run(context.Background(), source)
		if err != nil {
			t.Fatal(err)
		}
		got := append(texts(page.Items), all(t, source, strings.ReplaceAll(info.QueryInfo.RewrittenQuery, place, "c.n >= 1"),
			Options{MaxItems: 5, Continuation: page.Continuation})...)
		if !slices.Equal(got, want) {
			t.Errorf("indexed %v: got\n%s\nwant\n%s", indexed, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func texts(items [][]byte) []string {
	out := make([]string, len(items))
	for i, item := range items {
		out[i] = string(item)
	}
	return out
}
