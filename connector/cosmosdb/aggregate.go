package cosmosdb

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
)

// groups merges what ranges give for GROUP BY and for aggregates:
//
//	SELECT VALUE COUNT(1)    [{"item": count}]
//	SELECT COUNT(1) AS n     {"payload": {"n": {"item": count}}}
//	GROUP BY                 {"groupByItems": [{"item": key}, ...], "payload": one of the above}
type groups struct {
	from   items
	plan   *plan
	byKeys map[string]int
	all    []*grouping
	given  int
	ready  bool
}

// grouping is one group: its aggregates, or values, by alias.
type grouping struct {
	value *aggregate            // of SELECT VALUE
	named map[string]*aggregate // of a SELECT list
}

func newGroups(from items, p *plan) (*groups, error) {
	for _, kind := range p.QueryInfo.Aggregates {
		if err := known(kind); err != nil {
			return nil, err
		}
	}
	for _, kind := range p.QueryInfo.GroupByAliasToAggregateType {
		if kind != nil {
			if err := known(*kind); err != nil {
				return nil, err
			}
		}
	}
	return &groups{from: from, plan: p, byKeys: make(map[string]int)}, nil
}

func known(kind string) error {
	switch kind {
	case "Count", "CountIf", "Sum", "Average", "Min", "Max":
		return nil
	}
	return fmt.Errorf("the aggregate %s over several partition key ranges is not supported", kind)
}

func (g *groups) next(ctx context.Context) ([]byte, error) {
	for !g.ready {
		item, err := g.from.next(ctx)
		if err == io.EOF {
			g.ready = true
			break
		}
		if err != nil {
			return nil, err
		}
		if err := g.add(item); err != nil {
			return nil, err
		}
	}
	for g.given < len(g.all) {
		result := g.result(g.all[g.given])
		g.all[g.given] = nil
		g.given++
		if result != nil {
			return result, nil
		}
	}
	return nil, io.EOF
}

// add takes one result of a range into its group.
func (g *groups) add(item []byte) error {
	keys, payload := []byte(nil), item
	if len(item) > 0 && item[0] == '{' {
		keys, payload = memberOf(item, "groupByItems"), memberOf(item, "payload")
	}
	id := ""
	if keys != nil {
		id = identity(keys)
	}
	i, ok := g.byKeys[id]
	if !ok {
		if len(g.all) == maxRemembered {
			return errTooMany
		}
		i = len(g.all)
		g.byKeys[id] = i
		g.all = append(g.all, &grouping{named: make(map[string]*aggregate)})
	}
	in, q := g.all[i], &g.plan.QueryInfo
	if q.HasSelectValue || len(q.GroupByAliasToAggregateType) == 0 {
		kind := ""
		if len(q.Aggregates) > 0 {
			kind = q.Aggregates[0]
			eachElement(payload, func(v []byte) bool { payload = v; return false })
		}
		if in.value == nil {
			in.value = &aggregate{kind: kind}
		}
		return in.value.add(payload)
	}
	var bad error
	eachMember(payload, func(name, value []byte, _ int) bool {
		alias := unquote(name)
		a := in.named[alias]
		if a == nil {
			a = new(aggregate)
			if kind := q.GroupByAliasToAggregateType[alias]; kind != nil {
				a.kind = *kind
			}
			in.named[alias] = a
		}
		bad = a.add(value)
		return bad == nil
	})
	return bad
}

// result is a group's result; nil is undefined.
func (g *groups) result(in *grouping) []byte {
	if in.value != nil {
		return in.value.result()
	}
	out := []byte{'{'}
	for _, alias := range g.plan.QueryInfo.GroupByAliases {
		a := in.named[alias]
		if a == nil {
			continue
		}
		value := a.result()
		if value == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		name, err := json.Marshal(alias)
		if err != nil {
			continue // it was JSON a moment ago
		}
		out = append(append(append(out, name...), ':'), value...)
	}
	return append(out, '}')
}

// aggregate merges one aggregate's parts; without a kind it is a value that is
// the same in all of them.
type aggregate struct {
	kind  string
	any   bool
	sum   float64
	count float64
	value []byte
}

func number(v []byte) (float64, bool) {
	if rank(v) != 3 {
		return 0, false
	}
	f, err := strconv.ParseFloat(string(v), 64)
	return f, err == nil
}

// add takes one range's part: the value itself, or {"item": part}. Undefined
// parts are passed over, as the service's other clients do.
func (a *aggregate) add(part []byte) error {
	if a.kind == "" {
		if !a.any {
			a.any, a.value = true, append([]byte(nil), part...)
		}
		return nil
	}
	item := memberOf(part, "item")
	switch a.kind {
	case "Count", "CountIf", "Sum":
		if f, ok := number(item); ok {
			a.any, a.sum = true, a.sum+f
		}
	case "Average":
		sum, ok := number(memberOf(item, "sum"))
		n, counted := number(memberOf(item, "count"))
		if ok && counted {
			a.any, a.sum, a.count = true, a.sum+sum, a.count+n
		}
	case "Min", "Max":
		a.extreme(item, memberOf(part, "item2"))
	default:
		return known(a.kind)
	}
	return nil
}

// extreme takes a minimum or maximum: item2 says how many values it is of, and
// goes first where it is there.
func (a *aggregate) extreme(item, item2 []byte) {
	name := "min"
	if a.kind == "Max" {
		name = "max"
	}
	from := item
	if item2 != nil {
		from = item2
	}
	if rank(from) == 6 && memberOf(from, "count") != nil {
		if n, ok := number(memberOf(from, "count")); !ok || n == 0 {
			return
		}
		item = memberOf(from, name)
	}
	if item == nil {
		return
	}
	if c := compare(item, a.value); a.value == nil || c < 0 && name == "min" || c > 0 && name == "max" {
		a.value = append([]byte(nil), item...)
	}
}

// result is the aggregate as JSON; nil is undefined.
func (a *aggregate) result() []byte {
	switch a.kind {
	case "Count", "CountIf":
		return appendNumber(nil, a.sum)
	case "Sum":
		if a.any {
			return appendNumber(nil, a.sum)
		}
		return nil
	case "Average":
		if a.any && a.count > 0 {
			return appendNumber(nil, a.sum/a.count)
		}
		return nil
	}
	return a.value
}

func appendNumber(dst []byte, f float64) []byte {
	text, err := json.Marshal(f)
	if err != nil {
		return append(dst, "null"...) // an infinity: JSON has none
	}
	return append(dst, text...)
}
