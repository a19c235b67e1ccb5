package tsql

import (
	"slices"
	"strconv"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// united compiles UNION, EXCEPT and INTERSECT.
func (c *compiler) united(q *ast.BinaryQueryExpression) (*plan, error) {
	a, err := c.query(q.FirstQueryExpression)
	if err != nil {
		return nil, err
	}
	b, err := c.query(q.SecondQueryExpression)
	if err != nil {
		return nil, err
	}
	if len(a.columns) != len(b.columns) {
		return nil, value.Errorf(205, "All queries combined using a UNION, INTERSECT or EXCEPT operator must have an equal number of expressions in their target lists.")
	}
	p := &plan{correlated: a.correlated || b.correlated, exclusive: a.exclusive || b.exclusive}
	for i, col := range a.columns {
		col.Type = value.Wider(col.Type, b.columns[i].Type)
		col.Nullable = col.Nullable || b.columns[i].Nullable
		p.columns = append(p.columns, col)
	}
	p.run = func(outer *env, emit func([]value.Value) error) error {
		return combine(q, a, b, p.columns, outer, emit)
	}
	if q.OrderByClause != nil {
		return ordered(p, q.OrderByClause)
	}
	return p, nil
}

func combine(q *ast.BinaryQueryExpression, a, b *plan, columns []value.Column, outer *env, emit func([]value.Value) error) error {
	read := func(p *plan, f func(r []value.Value, key string) error) error {
		return p.run(outer, func(r []value.Value) error {
			out := make([]value.Value, len(r))
			var key []byte
			for i, x := range r {
				y, failed := value.Convert(x, p.columns[i].Type, columns[i].Type, 0, true)
				if failed != nil {
					return failed
				}
				out[i], key = y, y.AppendKey(key, columns[i].Type)
			}
			return f(out, string(key))
		})
	}
	seen := make(map[string]bool)
	once := func(r []value.Value, key string) error {
		if seen[key] {
			return nil
		}
		seen[key] = true
		return emit(r)
	}
	if q.BinaryQueryExpressionType == "Union" {
		if q.All {
			once = func(r []value.Value, _ string) error { return emit(r) }
		}
		if err := read(a, once); err != nil {
			return err
		}
		return read(b, once)
	}
	other := make(map[string]bool)
	if err := read(b, func(_ []value.Value, key string) error { other[key] = true; return nil }); err != nil {
		return err
	}
	return read(a, func(r []value.Value, key string) error {
		if other[key] != (q.BinaryQueryExpressionType == "Intersect") {
			return nil
		}
		return once(r, key)
	})
}

// ordered sorts the rows of a union by the numbers or names of its columns.
func ordered(p *plan, by *ast.OrderByClause) (*plan, error) {
	s := &selection{}
	for _, e := range by.OrderByElements {
		k := sortKey{at: -1, desc: e.SortOrder == "Descending"}
		switch x := e.Expression.(type) {
		case *ast.IntegerLiteral:
			if n, err := strconv.Atoi(x.Value); err == nil && n >= 1 && n <= len(p.columns) {
				k.at = n - 1
			}
		case *ast.ColumnReferenceExpression:
			if x.MultiPartIdentifier != nil {
				ids := x.MultiPartIdentifier.Identifiers
				k.at = slices.IndexFunc(p.columns, func(c value.Column) bool { return strings.EqualFold(c.Name, ids[len(ids)-1].Value) })
			}
		}
		if k.at < 0 {
			return nil, value.Errorf(104, "ORDER BY items must appear in the select list if the statement contains a UNION, INTERSECT or EXCEPT operator.")
		}
		k.typ = p.columns[k.at].Type
		s.order = append(s.order, k)
	}
	out := *p
	out.run = func(outer *env, emit func([]value.Value) error) error {
		var all []sorted
		err := p.run(outer, func(r []value.Value) error {
			keys := make([]value.Value, len(s.order))
			for i, k := range s.order {
				keys[i] = r[k.at]
			}
			all = append(all, sorted{r, keys})
			return nil
		})
		if err != nil {
			return err
		}
		slices.SortStableFunc(all, s.compare)
		for _, r := range all {
			if err := emit(r.vals); err != nil {
				return err
			}
		}
		return nil
	}
	return &out, nil
}
