package tsql

import (
	"math"
	"math/big"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

var aggregates = map[string]bool{"COUNT": true, "COUNT_BIG": true, "SUM": true, "AVG": true, "MIN": true, "MAX": true,
	"STDEV": true, "STDEVP": true, "VAR": true, "VARP": true, "STRING_AGG": true, "APPROX_COUNT_DISTINCT": true}

// grouping is GROUP BY with the aggregates of a query.
type grouping struct {
	keys []groupKey
	aggs []*aggregate
}

type groupKey struct {
	text string
	expr *expression
}

type aggregate struct {
	name     string
	arg      *expression // nil for COUNT(*)
	extra    *expression // the separator of STRING_AGG
	distinct bool
	typ      value.Type
}

// normal is a text without blanks and case, by which expressions are compared.
func normal(s string) string {
	return strings.ToLower(strings.Join(strings.Fields(s), ""))
}

func (c *compiler) textOf(e ast.ScalarExpression) string {
	f, ok := e.(interface{ Frag() *ast.Fragment })
	if !ok || c.src == nil {
		return ""
	}
	return normal(c.src.slice(f.Frag()))
}

// replaces returns what stands for e in a query that groups: an aggregate or
// what was grouped by; nil if e is to be compiled as it is.
func (g *grouping) replaces(c *compiler, e ast.ScalarExpression) (*expression, error) {
	if call, ok := e.(*ast.FunctionCall); ok && call.OverClause == nil && aggregates[strings.ToUpper(call.FunctionName.Value)] {
		return g.aggregate(c, call)
	}
	plain := *c
	plain.group = nil
	if ref, ok := e.(*ast.ColumnReferenceExpression); ok {
		if ref.ColumnType != "" && ref.ColumnType != "Regular" {
			return nil, nil
		}
		x, err := plain.column(ref)
		if err != nil || x.depth > 0 {
			return x, err
		}
		for i, k := range g.keys {
			if k.expr.column && k.expr.depth == 0 && k.expr.slot == x.slot && k.expr.col == x.col {
				return g.at(i, x.typ, x.name), nil
			}
		}
		return nil, value.Errorf(8120, "Column '%s' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.", joinNames(ref.MultiPartIdentifier.Identifiers))
	}
	if text := c.textOf(e); text != "" {
		for i, k := range g.keys {
			if k.text == text {
				return g.at(i, k.expr.typ, ""), nil
			}
		}
	}
	return nil, nil
}

func (g *grouping) at(i int, t value.Type, name string) *expression {
	return &expression{typ: t, nullable: true, name: name, eval: func(v *env) (value.Value, error) { return v.group[i], nil }}
}

func (g *grouping) aggregate(c *compiler, call *ast.FunctionCall) (*expression, error) {
	a := &aggregate{name: strings.ToUpper(call.FunctionName.Value), distinct: strings.EqualFold(call.UniqueRowFilter, "Distinct")}
	want := 1
	if a.name == "STRING_AGG" {
		want = 2
	}
	if len(call.Parameters) != want || call.WithinGroupClause != nil {
		return nil, value.Errorf(174, "The %s function requires %d argument(s).", strings.ToLower(a.name), want)
	}
	plain := *c
	plain.group = nil
	star := false
	if ref, ok := call.Parameters[0].(*ast.ColumnReferenceExpression); ok {
		star = ref.ColumnType == "Wildcard"
	}
	if !star {
		x, err := plain.scalar(call.Parameters[0])
		if err != nil {
			return nil, err
		}
		a.arg = x
	} else if a.name != "COUNT" && a.name != "COUNT_BIG" {
		return nil, value.Errorf(102, "Incorrect syntax near '*'.")
	}
	if want == 2 {
		x, err := plain.scalar(call.Parameters[1])
		if err != nil {
			return nil, err
		}
		a.extra, a.arg = plain.convert(x, textMax), plain.convert(a.arg, textMax)
	}
	if err := a.settle(&plain); err != nil {
		return nil, err
	}
	g.aggs = append(g.aggs, a)
	i := len(g.keys) + len(g.aggs) - 1
	// Keys are all known before the first aggregate is compiled.
	return &expression{typ: a.typ, nullable: !strings.HasPrefix(a.name, "COUNT"), eval: func(v *env) (value.Value, error) { return v.group[i], nil }}, nil
}

// settle gives the aggregate its type.
func (a *aggregate) settle(c *compiler) error {
	switch a.name {
	case "COUNT":
		a.typ = intType
	case "COUNT_BIG", "APPROX_COUNT_DISTINCT":
		a.typ = bigType
		a.distinct = a.distinct || a.name != "COUNT_BIG"
	case "MIN", "MAX":
		a.typ = a.arg.typ
	case "STRING_AGG":
		a.typ = textMax
	case "STDEV", "STDEVP", "VAR", "VARP":
		a.typ, a.arg = floatType, c.convert(a.arg, floatType)
	default: // SUM, AVG
		t := a.arg.typ
		switch {
		case t.ID == value.BigInt:
			a.typ = bigType
		case t.ID.Integer():
			a.typ = intType
		case t.ID.Approximate():
			a.typ, a.arg = floatType, c.convert(a.arg, floatType)
		case t.ID.Exact():
			a.typ = value.Type{ID: value.Decimal, Precision: 38, Scale: t.Scale}
			if a.name == "AVG" {
				a.typ.Scale = max(6, t.Scale)
			}
		default:
			return value.Errorf(8117, "Operand data type %s is invalid for %s operator.", t.Name(), strings.ToLower(a.name))
		}
	}
	return nil
}

// state is an aggregate of one group, so far.
type state struct {
	n      int64
	sum    float64
	square float64
	exact  *big.Int
	best   value.Value
	text   []string
	seen   map[string]bool
}

func (a *aggregate) add(s *state, v *env) error {
	if a.arg == nil {
		s.n++
		return nil
	}
	x, err := a.arg.eval(v)
	if err != nil || x.IsNull() {
		return err
	}
	if a.distinct {
		key := string(x.AppendKey(nil, a.arg.typ))
		if s.seen[key] {
			return nil
		}
		if s.seen == nil {
			s.seen = make(map[string]bool)
		}
		s.seen[key] = true
	}
	s.n++
	switch a.name {
	case "MIN", "MAX":
		if s.best.IsNull() || (value.Compare(x, s.best, a.arg.typ) > 0) == (a.name == "MAX") {
			s.best = x
		}
	case "STRING_AGG":
		if s.n > 1 {
			sep, err := a.extra.eval(v)
			if err != nil {
				return err
			}
			s.text = append(s.text, sep.Text())
		}
		s.text = append(s.text, x.Text())
	case "SUM", "AVG", "STDEV", "STDEVP", "VAR", "VARP":
		if a.arg.typ.ID.Approximate() {
			s.sum += x.Float()
			s.square += x.Float() * x.Float()
			return nil
		}
		if s.exact == nil {
			s.exact = new(big.Int)
		}
		s.exact.Add(s.exact, x.Unscaled())
	}
	return nil
}

func (a *aggregate) result(s *state) (value.Value, error) {
	switch a.name {
	case "COUNT", "COUNT_BIG", "APPROX_COUNT_DISTINCT":
		return value.FromInt(s.n), nil
	case "MIN", "MAX":
		return s.best, nil
	}
	if s.n == 0 {
		return value.Value{}, nil
	}
	switch a.name {
	case "STRING_AGG":
		return value.FromString(strings.Join(s.text, "")), nil
	case "STDEV", "STDEVP", "VAR", "VARP":
		return a.spread(s), nil
	}
	if a.arg.typ.ID.Approximate() {
		if a.name == "AVG" {
			return value.FromFloat(s.sum / float64(s.n)), nil
		}
		return value.FromFloat(s.sum), nil
	}
	r := new(big.Rat).SetFrac(s.exact, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(a.arg.typ.Scale)), nil))
	if a.name == "AVG" {
		r.Quo(r, new(big.Rat).SetInt64(s.n))
	}
	if a.typ.ID.Integer() {
		n := new(big.Int).Quo(r.Num(), r.Denom())
		if !n.IsInt64() {
			return value.Value{}, outOfRange(a.typ)
		}
		out, failed := value.Convert(value.FromInt(n.Int64()), bigType, a.typ, 0, false)
		return out, sqlError(failed)
	}
	out, failed := ofRat(r, a.typ)
	return out, sqlError(failed)
}

func (a *aggregate) spread(s *state) value.Value {
	n := float64(s.n)
	divisor := n
	if a.name == "STDEV" || a.name == "VAR" {
		if s.n < 2 {
			return value.Value{}
		}
		divisor = n - 1
	}
	variance := math.Max(0, (s.square-s.sum*s.sum/n)/divisor)
	if strings.HasPrefix(a.name, "STDEV") {
		variance = math.Sqrt(variance)
	}
	return value.FromFloat(variance)
}

// run collects the rows of f into groups and hands over an environment for
// each of them.
func (g *grouping) run(v *env, f *from, each func(*env) error) error {
	type group struct {
		keys   []value.Value
		states []state
	}
	groups := make(map[string]*group)
	var order []*group
	var buf []byte
	err := f.run(v, func() error {
		buf = buf[:0]
		vals := make([]value.Value, len(g.keys))
		for i, k := range g.keys {
			x, err := k.expr.eval(v)
			if err != nil {
				return err
			}
			vals[i] = x
			buf = x.AppendKey(buf, k.expr.typ)
		}
		at := groups[string(buf)]
		if at == nil {
			at = &group{keys: vals, states: make([]state, len(g.aggs))}
			groups[string(buf)] = at
			order = append(order, at)
		}
		for i, a := range g.aggs {
			if err := a.add(&at.states[i], v); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(order) == 0 && len(g.keys) == 0 {
		order = append(order, &group{states: make([]state, len(g.aggs))})
	}
	for _, at := range order {
		out := &env{x: v.x, rows: make([][]value.Value, len(v.rows)), refs: make([]*row, len(v.refs)), outer: v.outer, group: at.keys}
		for i, a := range g.aggs {
			x, err := a.result(&at.states[i])
			if err != nil {
				return err
			}
			out.group = append(out.group, x)
		}
		if err := each(out); err != nil {
			return err
		}
	}
	return nil
}
