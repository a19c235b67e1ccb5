package query

import (
	"math"
	"strconv"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// selection is a compiled query or subquery.
type selection struct {
	query    *sql.Query
	sources  []source
	where    expr // nil: everything
	grouping *grouping
	order    []orderKey
	distinct bool
	project  projection
	offset   int
	limit    int // noLimit: none
}

const noLimit = math.MaxInt

type orderKey struct {
	expr expr
	desc bool
}

// source is one of FROM or JOIN: a path, a subquery, or what the container has
// at a path.
type source struct {
	slot      int // the variable it sets, -1 for none
	each      bool
	container bool
	of        expr // of the container: nil for all of the item
	sub       *selection
}

// projection is what a query gives for a row: the value, or if that is nil an
// object of the members.
type projection struct {
	value   expr
	names   []string
	members []expr
}

// selection compiles a query within the scope of the one around it. container
// tells whether the query's first source may be the container itself.
func (c *compiler) selection(q *sql.Query, outer *scope, container bool) (*selection, error) {
	s := &selection{query: q, distinct: q.Select.Distinct, limit: noLimit}
	row := &scope{outer: outer}
	for i := range q.From {
		src, err := c.source(q, i, row, container && i == 0)
		if err != nil {
			return nil, err
		}
		s.sources = append(s.sources, src)
	}
	if q.Where != nil {
		var err error
		set := c.set
		c.set = filterMembers
		s.where, err = c.expr(q.Where, row)
		c.set = set
		if err != nil {
			return nil, err
		}
	}
	selected, err := c.groups(s, row)
	if err != nil {
		return nil, err
	}
	if err := c.projection(s, selected); err != nil {
		return nil, err
	}
	for _, o := range q.OrderBy {
		if len(q.GroupBy) > 0 {
			return nil, sql.Errorf(o.Span, codeOrderGroups, "ORDER BY is not allowed together with GROUP BY.")
		}
		if s.grouping != nil { // one row, whatever its order
			break
		}
		key, err := c.expr(o.Expr, row)
		if err != nil {
			return nil, err
		}
		s.order = append(s.order, orderKey{key, o.Descending})
	}
	return s, c.counts(s)
}

// counts reads TOP, OFFSET and LIMIT.
func (c *compiler) counts(s *selection) error {
	if e := s.query.Limit; e != nil {
		var err error
		if s.limit, err = c.count(e, "LIMIT"); err != nil {
			return err
		}
		if s.offset, err = c.count(s.query.Offset, "OFFSET"); err != nil {
			return err
		}
	}
	if e := s.query.Select.Top; e != nil {
		top, err := c.count(e, "TOP")
		if err != nil {
			return err
		}
		s.limit = min(s.limit, top)
	}
	return nil
}

func (c *compiler) count(e sql.Expr, clause string) (int, error) {
	v, ok := c.constantOf(e)
	if !ok {
		_, err := c.expr(e, &scope{}) // a parameter without a value
		return 0, err
	}
	n, ok := int64Of(v)
	switch {
	case !ok || n < 0:
		return 0, sql.Errorf(e.Pos(), codeCount, "The count value provided for a %s clause must be an integer.", clause)
	case n > math.MaxUint32*2: // what two counts of a client add up to
		return 0, sql.Errorf(e.Pos(), codeLargeCount, "The %s count value exceeds the maximum allowed value.", clause)
	}
	return int(n), nil
}

func (c *compiler) source(q *sql.Query, i int, s *scope, container bool) (source, error) {
	from := &q.From[i]
	src := source{slot: -1, each: from.Each}
	alias := aliasOf(from)
	if from.Query != nil {
		sub, err := c.selection(from.Query, s, container)
		if err != nil {
			return src, err
		}
		src.sub = sub
		c.dynamic++
		return src, c.bind(&src, alias, from, s)
	}
	first, names, plain := pathOf(from.Path)
	if _, at := s.find(first.Name); at != nil {
		of, err := c.expr(from.Path, s)
		if err != nil {
			return src, err
		}
		src.of = of
		return src, c.bind(&src, alias, from, s)
	}
	if !container || c.container >= 0 {
		return src, sql.Errorf(first.Span, codeUnresolved, "Identifier '%s' could not be resolved.", first.Name)
	}
	c.container = c.newVar()
	c.dynamic++
	src.container = true
	if !src.each && plain {
		c.reads, c.alias, c.rootPath = q, alias, names
	}
	if !src.each && plain && len(names) == 0 {
		src.slot = c.container
		s.names = append(s.names, binding{alias, src.slot})
		return src, nil
	}
	of, err := c.expr(from.Path, &scope{names: []binding{{first.Name, c.container}}})
	if err != nil {
		return src, err
	}
	src.of = of
	return src, c.bind(&src, alias, from, s)
}

// aliasOf is what a source is called: what the query says, or the last step of
// its path.
func aliasOf(from *sql.Source) string {
	if from.Alias != "" {
		return from.Alias
	}
	switch p := from.Path.(type) {
	case *sql.Name:
		return p.Name
	case *sql.Member:
		return p.Name
	}
	return ""
}

// bind gives the source a variable, and what it is called.
func (c *compiler) bind(src *source, alias string, from *sql.Source, s *scope) error {
	if alias == "" {
		src.slot = c.newVar()
		return nil
	}
	for _, n := range s.names {
		if n.name == alias {
			return sql.Errorf(from.Span, codeDuplicate, "The alias '%s' is used more than once.", alias)
		}
	}
	src.slot = c.newVar()
	s.names = append(s.names, binding{alias, src.slot})
	return nil
}

// pathOf takes a path apart: where it begins, and the names of its steps;
// plain is false if there are others than names among them.
func pathOf(e sql.Expr) (first *sql.Name, names []string, plain bool) {
	plain = true
	for {
		switch p := e.(type) {
		case *sql.Name:
			for i, j := 0, len(names)-1; i < j; i, j = i+1, j-1 {
				names[i], names[j] = names[j], names[i]
			}
			return p, names, plain
		case *sql.Member:
			names, e = append(names, p.Name), p.Of
		case *sql.Index:
			plain, e = false, p.Of
		default:
			return nil, nil, false
		}
	}
}

// groups compiles GROUP BY, and returns the scope for what is selected.
func (c *compiler) groups(s *selection, row *scope) (*scope, error) {
	sel := &s.query.Select
	grouped := len(s.query.GroupBy) > 0 || sel.Value != nil && hasAggregate(sel.Value)
	for _, item := range sel.Items {
		grouped = grouped || hasAggregate(item.Expr)
	}
	if !grouped {
		return row, nil
	}
	g := &grouping{by: s.query.GroupBy, row: row}
	for _, e := range s.query.GroupBy {
		key, err := c.expr(e, row)
		if err != nil {
			return nil, err
		}
		g.keys = append(g.keys, key)
		g.slots = append(g.slots, c.newVar())
	}
	s.grouping = g
	return &scope{outer: row.outer, names: row.names, groups: g}, nil
}

func (c *compiler) projection(s *selection, selected *scope) error {
	sel := &s.query.Select
	switch {
	case sel.Star:
		if len(s.sources) != 1 {
			return sql.Errorf(s.query.Span, codeStar, "'SELECT *' is only valid with a single input set.")
		}
		if len(selected.names) == 0 && selected.groups == nil { // of a path that has no name, as c.tags[0]
			c.dynamic++
			s.project.value = variable(s.sources[0].slot)
			return nil
		}
		var err error
		s.project.value, err = c.name(&sql.Name{Name: s.sourceName(0), Span: s.query.Span}, selected)
		return err
	case sel.Value != nil:
		var err error
		s.project.value, err = c.expr(sel.Value, selected)
		return err
	}
	names, err := itemNames(sel.Items)
	if err != nil {
		return err
	}
	s.project.names = names
	for _, item := range sel.Items {
		member, err := c.expr(item.Expr, selected)
		if err != nil {
			return err
		}
		s.project.members = append(s.project.members, member)
	}
	return nil
}

// itemNames are the members that a SELECT list gives: the alias, the last step
// of a path, or $1, $2 ...
func itemNames(items []sql.Item) ([]string, error) {
	names := make([]string, len(items))
	seen := make(map[string]bool, len(items))
	unnamed := 0
	for i, item := range items {
		names[i] = item.Alias
		if names[i] == "" {
			switch e := item.Expr.(type) {
			case *sql.Name:
				names[i] = e.Name
			case *sql.Member:
				names[i] = e.Name
			default:
				unnamed++
				names[i] = "$" + strconv.Itoa(unnamed)
			}
		}
		if seen[names[i]] {
			return nil, sql.Errorf(item.Span, codeDuplicate, "The property name '%s' is specified more than once in the SELECT list.", names[i])
		}
		seen[names[i]] = true
	}
	return names, nil
}

// append writes the result for the current row to dst; ok is false if there is
// none, because the value is undefined.
func (p *projection) append(f *frame, dst []byte) (out []byte, ok bool) {
	if p.value != nil {
		v := p.value(f)
		if v.IsUndefined() {
			return dst, false
		}
		return v.AppendJSON(dst), true
	}
	dst = append(dst, '{')
	empty := true
	for i, m := range p.members {
		v := m(f)
		if v.IsUndefined() {
			continue
		}
		if !empty {
			dst = append(dst, ',')
		}
		empty = false
		dst = value.AppendString(dst, p.names[i])
		dst = append(dst, ':')
		dst = v.AppendJSON(dst)
	}
	return append(dst, '}'), true
}

// of is the result for the current row.
func (p *projection) of(f *frame) value.Value {
	if p.value != nil {
		return p.value(f)
	}
	var b value.ObjectBuilder
	for i, m := range p.members {
		b.Set(p.names[i], m(f))
		if !f.roomFor(b.Size()) {
			break
		}
	}
	return b.Value()
}
