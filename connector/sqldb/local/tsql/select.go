package tsql

import (
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// plan is a compiled query.
type plan struct {
	columns []value.Column
	// run hands over the rows, each of which the receiver may keep. outer is
	// the environment of the query around it.
	run func(outer *env, emit func([]value.Value) error) error
	// correlated says that it names columns of a query around it.
	correlated bool
	// assigned are the variables that SELECT @v = ... sets with each row.
	assigned []*variable
	// source is the one table that the query only scans, if it is so simple
	// that its rows can be sent while others write.
	source *relation
	// exclusive says that a hint asks for the writer's lock.
	exclusive bool
}

// rows looks for a first row; errFound tells that there is one.
func (p *plan) rows(outer *env) error {
	return p.run(outer, func([]value.Value) error { return errFound })
}

// errEnough ends a query that has all its rows.
var errEnough = errors.New("no more rows are wanted")

// queryOf compiles a SELECT statement with its WITH.
func (c *compiler) queryOf(st *ast.SelectStatement) (*plan, error) {
	in, err := c.with(st.WithCtesAndXmlNamespaces)
	if err != nil {
		return nil, err
	}
	return in.query(st.QueryExpression)
}

// with makes the queries of a WITH visible.
func (c *compiler) with(w *ast.WithCtesAndXmlNamespaces) (*compiler, error) {
	if w == nil {
		return c, nil
	}
	if w.XmlNamespaces != nil {
		return nil, unsupported("WITH XMLNAMESPACES")
	}
	out := *c
	for _, e := range w.CommonTableExpressions {
		n := &names{ctes: make(map[string]*cte)}
		if out.names != nil {
			for name, q := range out.names.ctes {
				n.ctes[name] = q
			}
		}
		q := &cte{name: e.ExpressionName.Value, columns: e.Columns, query: e.QueryExpression, src: c.src, names: out.names}
		n.ctes[strings.ToLower(q.name)] = q
		out.names = n
	}
	return &out, nil
}

// query compiles a query of any form.
func (c *compiler) query(q ast.QueryExpression) (*plan, error) {
	if err := c.nest(); err != nil {
		return nil, err
	}
	defer func() { c.depth-- }()
	c.x.subqueries++
	switch q := q.(type) {
	case *ast.QueryParenthesisExpression:
		return c.query(q.QueryExpression)
	case *ast.QuerySpecification:
		p, err := c.specification(q, nil)
		if err == error(errAggregate) {
			return c.specification(q, &grouping{})
		}
		return p, err
	case *ast.BinaryQueryExpression:
		return c.united(q)
	}
	return nil, unknownNode(q)
}

// output is one column of a SELECT list.
type output struct {
	expr   *expression
	name   string
	ast    ast.ScalarExpression
	column value.Column
}

// specification compiles SELECT ... FROM ...; g is set if it groups.
func (c *compiler) specification(q *ast.QuerySpecification, g *grouping) (*plan, error) {
	if q.ForClause != nil || q.WindowClause != nil {
		return nil, unsupported("FOR and WINDOW clauses")
	}
	if q.GroupByClause != nil && g == nil {
		g = &grouping{}
	}
	n := &names{outer: c.names}
	if c.names != nil {
		n.ctes = c.names.ctes
	}
	in := &compiler{x: c.x, src: c.src, names: n, depth: c.depth}
	before := c.x.subqueries
	var refs []ast.TableReference
	if q.FromClause != nil {
		refs = q.FromClause.TableReferences
	}
	var where ast.BooleanExpression
	if q.WhereClause != nil {
		where = q.WhereClause.SearchCondition
	}
	f, err := in.from(refs, where)
	if err != nil {
		if err == error(errAggregate) && g == nil { // an aggregate in WHERE
			return nil, &value.Error{Number: 147, State: 1, Class: 15, Message: errAggregate.Message}
		}
		return nil, err
	}
	if g != nil {
		if err := in.groupBy(q.GroupByClause, g); err != nil {
			return nil, err
		}
	}
	s := &selection{c: in, from: f, group: g, distinct: strings.EqualFold(q.UniqueRowFilter, "Distinct")}
	p := &plan{}
	if err := s.compile(q, p); err != nil {
		return nil, err
	}
	if err := s.limits(c, q); err != nil {
		return nil, err
	}
	p.correlated = n.outerUsed
	for _, st := range f.steps {
		p.exclusive = p.exclusive || st.rel.exclusive
	}
	if s.plain() && len(f.steps) == 1 && f.steps[0].rel.table != nil && f.steps[0].lookup == nil && c.x.subqueries == before {
		p.source = f.steps[0].rel
	}
	p.run = s.run
	return p, nil
}

func (c *compiler) groupBy(by *ast.GroupByClause, g *grouping) error {
	if by == nil {
		return nil
	}
	if by.GroupByOption != "" && !strings.EqualFold(by.GroupByOption, "None") || by.All {
		return unsupported("GROUP BY %s", by.GroupByOption)
	}
	for _, spec := range by.GroupingSpecifications {
		e, ok := spec.(*ast.ExpressionGroupingSpecification)
		if !ok {
			return unknownNode(spec)
		}
		x, err := c.scalar(e.Expression)
		if err != nil {
			return err
		}
		g.keys = append(g.keys, groupKey{text: c.textOf(e.Expression), expr: x})
	}
	return nil
}

// selection is everything of a SELECT behind its FROM.
type selection struct {
	c        *compiler
	from     *from
	group    *grouping
	having   predicate
	outputs  []output
	order    []sortKey
	distinct bool
	top      *expression
	percent  bool
	ties     bool
	offset   *expression
	fetch    *expression
}

type sortKey struct {
	expr *expression
	at   int // of the outputs, or -1: expr
	desc bool
	typ  value.Type
}

func (s *selection) plain() bool {
	return s.group == nil && !s.distinct && len(s.order) == 0
}

func (s *selection) compile(q *ast.QuerySpecification, p *plan) error {
	s.c.group = s.group
	defer func() { s.c.group = nil }()
	for _, el := range q.SelectElements {
		if err := s.element(el, p); err != nil {
			return err
		}
	}
	if len(p.assigned) > 0 && len(p.assigned) != len(s.outputs) {
		return value.Errorf(141, "A SELECT statement that assigns a value to a variable must not be combined with data-retrieval operations.")
	}
	if q.HavingClause != nil {
		if s.group == nil {
			return errAggregate
		}
		var err error
		if s.having, err = s.c.boolean(q.HavingClause.SearchCondition); err != nil {
			return err
		}
	}
	for _, o := range s.outputs {
		p.columns = append(p.columns, o.column)
	}
	if q.OrderByClause == nil {
		return nil
	}
	for _, e := range q.OrderByClause.OrderByElements {
		if err := s.orderBy(e); err != nil {
			return err
		}
	}
	return nil
}

func (s *selection) element(el ast.SelectElement, p *plan) error {
	switch el := el.(type) {
	case *ast.SelectStarExpression:
		return s.star(el)
	case *ast.SelectScalarExpression:
		x, err := s.c.scalar(el.Expression)
		if err != nil {
			return err
		}
		name := x.name
		if el.ColumnName != nil {
			name = nameOf(el.ColumnName)
		}
		s.outputs = append(s.outputs, output{expr: x, name: name, ast: el.Expression,
			column: value.Column{Name: name, Type: x.typ, Nullable: x.nullable, Identity: x.identity}})
		return nil
	case *ast.SelectSetVariable:
		v, err := s.c.x.variable(el.Variable.Name)
		if err != nil {
			return err
		}
		x, err := s.c.scalar(assigned(el.Variable, el.Expression, el.AssignmentKind))
		if err != nil {
			return err
		}
		p.assigned = append(p.assigned, v)
		s.outputs = append(s.outputs, output{expr: s.c.convert(x, v.typ), column: value.Column{Type: v.typ}})
		return nil
	}
	return unknownNode(el)
}

func (s *selection) star(el *ast.SelectStarExpression) error {
	alias, some := "", false
	if el.Qualifier != nil && len(el.Qualifier.Identifiers) > 0 {
		alias = el.Qualifier.Identifiers[len(el.Qualifier.Identifiers)-1].Value
	}
	for _, src := range s.c.names.sources {
		if alias != "" && !strings.EqualFold(alias, src.alias) {
			continue
		}
		some = true
		for i, col := range src.columns {
			if s.group != nil {
				return value.Errorf(8120, "Column '%s.%s' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.", src.alias, col.Name)
			}
			s.outputs = append(s.outputs, output{expr: columnAt(0, src, i), name: col.Name, column: col})
		}
	}
	s.c.names.used = ^uint64(0)
	if some {
		return nil
	}
	if alias != "" {
		return value.Errorf(107, "The column prefix '%s' does not match with a table name or alias name used in the query.", alias)
	}
	return value.Errorf(263, "Must specify table to select from.")
}

// orderBy compiles one element: a column's number, its name, an expression.
func (s *selection) orderBy(e *ast.ExpressionWithSortOrder) error {
	k := sortKey{at: -1, desc: e.SortOrder == "Descending"}
	if n, ok := e.Expression.(*ast.IntegerLiteral); ok {
		i, err := strconv.Atoi(n.Value)
		if err != nil || i < 1 || i > len(s.outputs) {
			return value.Errorf(108, "The ORDER BY position number %s is out of range of the number of items in the select list.", n.Value)
		}
		k.at = i - 1
	}
	if ref, ok := e.Expression.(*ast.ColumnReferenceExpression); ok && k.at < 0 && ref.MultiPartIdentifier != nil && len(ref.MultiPartIdentifier.Identifiers) == 1 {
		k.at = slices.IndexFunc(s.outputs, func(o output) bool { return strings.EqualFold(o.name, ref.MultiPartIdentifier.Identifiers[0].Value) })
	}
	if k.at < 0 {
		text := s.c.textOf(e.Expression)
		k.at = slices.IndexFunc(s.outputs, func(o output) bool { return o.ast != nil && text != "" && s.c.textOf(o.ast) == text })
	}
	if k.at >= 0 {
		k.typ = s.outputs[k.at].column.Type
		s.order = append(s.order, k)
		return nil
	}
	if s.distinct {
		return value.Errorf(145, "ORDER BY items must appear in the select list if SELECT DISTINCT is specified.")
	}
	x, err := s.c.scalar(e.Expression)
	if err != nil {
		return err
	}
	k.expr, k.typ = x, x.typ
	s.order = append(s.order, k)
	return nil
}

// limits compiles TOP and OFFSET, which see nothing of the rows.
func (s *selection) limits(c *compiler, q *ast.QuerySpecification) error {
	bound := func(e ast.ScalarExpression) (*expression, error) {
		x, err := c.scalar(e)
		if err != nil {
			return nil, err
		}
		return c.convert(x, bigType), nil
	}
	var err error
	if t := q.TopRowFilter; t != nil {
		s.percent, s.ties = t.Percent, t.WithTies
		if s.percent || s.ties {
			return unsupported("TOP ... PERCENT and WITH TIES")
		}
		if s.top, err = bound(t.Expression); err != nil {
			return err
		}
	}
	if o := q.OffsetClause; o != nil {
		if s.offset, err = bound(o.OffsetExpression); err != nil {
			return err
		}
		if o.FetchExpression != nil {
			s.fetch, err = bound(o.FetchExpression)
		}
	}
	return err
}

// window evaluates the limits: rows to skip, rows to give, -1 for all.
func (s *selection) window(outer *env) (skip, most int64, err error) {
	most = -1
	eval := func(e *expression) (int64, error) {
		v, err := e.eval(outer)
		if err == nil && (v.IsNull() || v.Int() < 0) {
			err = value.Errorf(1060, "The number of rows provided for a TOP or FETCH clauses row count parameter must be an integer.")
		}
		return v.Int(), err
	}
	if s.top != nil {
		if most, err = eval(s.top); err != nil {
			return 0, 0, err
		}
	}
	if s.offset != nil {
		if skip, err = eval(s.offset); err != nil {
			return 0, 0, err
		}
	}
	if s.fetch != nil {
		most, err = eval(s.fetch)
	}
	return skip, most, err
}

type sorted struct{ vals, keys []value.Value }

// run is the query itself.
func (s *selection) run(outer *env, emit func([]value.Value) error) error {
	if outer == nil {
		outer = &env{x: s.c.x}
	}
	skip, most, err := s.window(outer)
	if err != nil {
		return err
	}
	v := s.c.env(outer)
	var all []sorted
	seen := map[string]bool{}
	limited := func(r []value.Value) error {
		if skip > 0 {
			skip--
			return nil
		}
		if most == 0 {
			return errEnough
		}
		most--
		if err := emit(r); err != nil || most != 0 {
			return err
		}
		return errEnough
	}
	each := func(v *env) error {
		r, keys, err := s.project(v)
		if err != nil {
			return err
		}
		if s.distinct {
			key := string(rowKey(r, s.outputs))
			if seen[key] {
				return nil
			}
			seen[key] = true
		}
		if len(s.order) > 0 {
			all = append(all, sorted{r, keys})
			return nil
		}
		return limited(r)
	}
	if s.group == nil {
		err = s.from.run(v, func() error { return each(v) })
	} else {
		err = s.group.run(v, s.from, func(v *env) error {
			if s.having != nil {
				if t, err := s.having(v); err != nil || t != isTrue {
					return err
				}
			}
			return each(v)
		})
	}
	if err == nil && len(s.order) > 0 {
		slices.SortStableFunc(all, s.compare)
		for _, r := range all {
			if err = limited(r.vals); err != nil {
				break
			}
		}
	}
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func rowKey(r []value.Value, outputs []output) []byte {
	var buf []byte
	for i, x := range r {
		buf = x.AppendKey(buf, outputs[i].column.Type)
	}
	return buf
}

func (s *selection) project(v *env) (r, keys []value.Value, err error) {
	r = make([]value.Value, len(s.outputs))
	for i := range s.outputs {
		if r[i], err = s.outputs[i].expr.eval(v); err != nil {
			return nil, nil, err
		}
	}
	for _, k := range s.order {
		if k.at >= 0 {
			keys = append(keys, r[k.at])
			continue
		}
		x, err := k.expr.eval(v)
		if err != nil {
			return nil, nil, err
		}
		keys = append(keys, x)
	}
	return r, keys, nil
}

func (s *selection) compare(a, b sorted) int {
	for i, k := range s.order {
		if c := compareNulls(a.keys[i], b.keys[i], k.typ); c != 0 {
			if k.desc {
				return -c
			}
			return c
		}
	}
	return 0
}

// compareNulls puts NULL first, as SQL Server does.
func compareNulls(a, b value.Value, t value.Type) int {
	switch {
	case a.IsNull() && b.IsNull():
		return 0
	case a.IsNull():
		return -1
	case b.IsNull():
		return 1
	}
	return value.Compare(a, b, t)
}
