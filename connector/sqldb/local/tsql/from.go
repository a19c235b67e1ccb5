package tsql

import (
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// relation is a source of rows in a FROM.
type relation struct {
	source *fromSource
	table  *table // if it is one
	// scan hands over all rows; r is nil unless it is a table.
	scan func(v *env, each func(vals []value.Value, r *row) error) error
	// stable says that it has the same rows each time of a statement.
	stable bool
	// exclusive says that a hint asks for the writer's lock.
	exclusive bool
}

// step is one relation in the order in which they are joined.
type step struct {
	rel   *relation
	left  bool                    // keeps rows of those before without a match
	on    []ast.BooleanExpression // of an outer join
	match predicate               // what a row must meet to be joined
	after predicate               // what the joined row must meet
	// lookup replaces scan where keys are known.
	lookup func(v *env, each func(vals []value.Value, r *row) error) error
}

// from is a compiled FROM with the WHERE that goes with it.
type from struct {
	steps []*step
	where []ast.BooleanExpression
	// outerOnly are conditions that name no source at all.
	before predicate
}

// maxSources is how many tables a FROM may have: their set is 64 bits.
const maxSources = 64

// from compiles the relations and conditions of a query into c.names.
func (c *compiler) from(refs []ast.TableReference, where ast.BooleanExpression) (*from, error) {
	f := &from{}
	for _, r := range refs {
		steps, err := c.joined(f, r)
		if err != nil {
			return nil, err
		}
		f.steps = append(f.steps, steps...)
	}
	if where != nil {
		f.where = conjuncts(where, f.where)
	}
	return f, c.plan(f)
}

// conjuncts are the parts of a condition that must all be true.
func conjuncts(b ast.BooleanExpression, out []ast.BooleanExpression) []ast.BooleanExpression {
	switch b := b.(type) {
	case *ast.BooleanParenthesisExpression:
		return conjuncts(b.Expression, out)
	case *ast.BooleanBinaryExpression:
		if b.BinaryExpressionType == "And" {
			return conjuncts(b.SecondExpression, conjuncts(b.FirstExpression, out))
		}
	}
	return append(out, b)
}

// joined flattens a join to the steps that make it.
func (c *compiler) joined(f *from, ref ast.TableReference) ([]*step, error) {
	if err := c.nest(); err != nil {
		return nil, err
	}
	defer func() { c.depth-- }()
	switch ref := ref.(type) {
	case *ast.JoinParenthesisTableReference:
		return c.joined(f, ref.Join)
	case *ast.QualifiedJoin:
		return c.qualified(f, ref)
	case *ast.UnqualifiedJoin:
		return c.unqualified(f, ref)
	}
	rel, err := c.relation(ref, false)
	if err != nil {
		return nil, err
	}
	return []*step{{rel: rel}}, nil
}

func (c *compiler) qualified(f *from, ref *ast.QualifiedJoin) ([]*step, error) {
	first, err := c.joined(f, ref.FirstTableReference)
	if err != nil {
		return nil, err
	}
	second, err := c.joined(f, ref.SecondTableReference)
	if err != nil {
		return nil, err
	}
	switch ref.QualifiedJoinType {
	case "Inner":
		f.where = conjuncts(ref.SearchCondition, f.where)
		return append(first, second...), nil
	case "RightOuter":
		first, second = second, first
		fallthrough
	case "LeftOuter":
		if len(second) != 1 {
			return nil, unsupported("an outer join with several tables on its optional side")
		}
		second[0].left = true
		second[0].on = conjuncts(ref.SearchCondition, nil)
		return append(first, second...), nil
	}
	return nil, unsupported("a join of type %s", ref.QualifiedJoinType)
}

func (c *compiler) unqualified(f *from, ref *ast.UnqualifiedJoin) ([]*step, error) {
	first, err := c.joined(f, ref.FirstTableReference)
	if err != nil {
		return nil, err
	}
	switch ref.UnqualifiedJoinType {
	case "CrossJoin":
		second, err := c.joined(f, ref.SecondTableReference)
		return append(first, second...), err
	case "CrossApply", "OuterApply":
		rel, err := c.relation(ref.SecondTableReference, true)
		return append(first, &step{rel: rel, left: ref.UnqualifiedJoinType == "OuterApply"}), err
	}
	return nil, unsupported("a join of type %s", ref.UnqualifiedJoinType)
}

// add makes a source visible.
func (c *compiler) add(s *fromSource) error {
	if len(c.names.sources) >= maxSources {
		return unsupported("more than %d tables in one FROM", maxSources)
	}
	for _, o := range c.names.sources {
		if o.alias != "" && strings.EqualFold(o.alias, s.alias) && strings.EqualFold(o.schema, s.schema) {
			return value.Errorf(1013, "The objects \"%s\" and \"%s\" in the FROM clause have the same exposed names. Use correlation names to distinguish them.", o.alias, s.alias)
		}
	}
	s.slot = len(c.names.sources)
	c.names.sources = append(c.names.sources, s)
	return nil
}

// relation compiles one source of rows. lateral sources see those before them.
func (c *compiler) relation(ref ast.TableReference, lateral bool) (*relation, error) {
	var rel *relation
	var err error
	switch ref := ref.(type) {
	case *ast.NamedTableReference:
		rel, err = c.named(ref)
	case *ast.VariableTableReference:
		rel, err = c.tableVariable(ref)
	case *ast.QueryDerivedTable:
		rel, err = c.derived(ref.QueryExpression, aliasOf(ref.Alias), ref.Columns, lateral)
	case *ast.InlineDerivedTable:
		rel, err = c.inline(ref)
	case *ast.OpenJsonTableReference:
		rel, err = c.openJSON(ref)
	default:
		return nil, unknownNode(ref)
	}
	if err != nil {
		return nil, err
	}
	return rel, c.add(rel.source)
}

func aliasOf(id *ast.Identifier) string {
	if id == nil {
		return ""
	}
	return id.Value
}

// named finds a table, a view, a query named by WITH, or a view of the system.
func (c *compiler) named(ref *ast.NamedTableReference) (*relation, error) {
	name := ref.SchemaObject.BaseIdentifier.Value
	alias := aliasOf(ref.Alias)
	if alias == "" {
		alias = name
	}
	if ref.TemporalClause != nil || ref.TableSampleClause != nil {
		return nil, unsupported("FOR SYSTEM_TIME and TABLESAMPLE")
	}
	if ref.SchemaObject.SchemaIdentifier == nil {
		for n := c.names; n != nil; n = n.outer {
			if q := n.ctes[strings.ToLower(name)]; q != nil {
				return c.common(q, alias)
			}
		}
	}
	if rel, err := c.systemView(ref.SchemaObject, alias); rel != nil || err != nil {
		return rel, err
	}
	o, err := c.x.object(ref.SchemaObject)
	if err != nil {
		return nil, err
	}
	schema := ""
	if ref.Alias == nil && o.common().schema != nil {
		schema = o.common().schema.name
	}
	switch o := o.(type) {
	case *table:
		rel := tableRelation(o, alias, schema)
		for _, h := range ref.TableHints {
			if t, ok := h.(*ast.TableHint); ok && keepsLocks[strings.ToLower(t.HintKind)] {
				rel.exclusive = true
			}
		}
		return rel, nil
	case *view:
		return c.view(o, alias)
	}
	return nil, value.Errorf(208, "Invalid object name '%s'.", schemaName(ref.SchemaObject))
}

// keepsLocks are the hints that keep locks until a transaction ends.
var keepsLocks = map[string]bool{"updlock": true, "xlock": true, "holdlock": true, "serializable": true, "repeatableread": true, "tablockx": true}

func tableRelation(t *table, alias, schema string) *relation {
	rel := &relation{source: &fromSource{alias: alias, schema: schema, columns: t.resultColumns()}, table: t, stable: true}
	rel.scan = func(_ *env, each func([]value.Value, *row) error) error {
		for _, r := range t.rows {
			if r == nil {
				continue
			}
			if err := each(r.vals, r); err != nil {
				return err
			}
		}
		return nil
	}
	return rel
}

func (c *compiler) tableVariable(ref *ast.VariableTableReference) (*relation, error) {
	t, err := c.x.tableVariable(ref.Variable.Name)
	if err != nil {
		return nil, err
	}
	alias := aliasOf(ref.Alias)
	if alias == "" {
		alias = ref.Variable.Name
	}
	return tableRelation(t, alias, ""), nil
}

// derived is a query in place of a table; its rows are kept for the statement
// unless it sees the rows before it.
func (c *compiler) derived(q ast.QueryExpression, alias string, columns []*ast.Identifier, lateral bool) (*relation, error) {
	inner := &compiler{x: c.x, src: c.src, names: c.names.outer, depth: c.depth}
	if lateral {
		inner.names = c.names
	} else if c.names.ctes != nil {
		inner.names = &names{outer: c.names.outer, ctes: c.names.ctes}
	}
	p, err := inner.query(q)
	if err != nil {
		return nil, err
	}
	if !lateral && inner.names != nil && inner.names.outerUsed {
		c.names.outerUsed = true
	}
	if p.correlated && !lateral {
		c.names.outerUsed = true
	}
	extra := !lateral && inner.names != c.names.outer
	return planRelation(p, alias, columns, func(v *env) *env {
		switch {
		case lateral:
			return v
		case extra: // names of WITH stand between
			return &env{x: v.x, outer: v.outer}
		}
		return v.outer
	})
}

// planRelation makes a relation of a compiled query.
func planRelation(p *plan, alias string, columns []*ast.Identifier, around func(*env) *env) (*relation, error) {
	cols := append([]value.Column(nil), p.columns...)
	if len(columns) > 0 {
		if len(columns) != len(cols) {
			return nil, value.Errorf(8159, "'%s' has %s columns than were specified in the column list.", alias, map[bool]string{true: "more", false: "fewer"}[len(cols) > len(columns)])
		}
		for i, id := range columns {
			cols[i].Name = id.Value
		}
	}
	for i, col := range cols {
		if col.Name == "" {
			return nil, value.Errorf(8155, "No column name was specified for column %d of '%s'.", i+1, alias)
		}
	}
	rel := &relation{source: &fromSource{alias: alias, columns: cols}, stable: !p.correlated}
	var kept [][]value.Value
	known := false
	rel.scan = func(v *env, each func([]value.Value, *row) error) error {
		if !known {
			kept = kept[:0]
			err := p.run(around(v), func(r []value.Value) error {
				kept = append(kept, r)
				return nil
			})
			if err != nil {
				return err
			}
			known = rel.stable
		}
		for _, r := range kept {
			if err := each(r, nil); err != nil {
				return err
			}
		}
		return nil
	}
	return rel, nil
}

// inline is VALUES in place of a table.
func (c *compiler) inline(ref *ast.InlineDerivedTable) (*relation, error) {
	p, err := c.values(ref.RowValues)
	if err != nil {
		return nil, err
	}
	p.correlated = true // it may name what is before it
	return planRelation(p, aliasOf(ref.Alias), ref.Columns, func(v *env) *env { return v })
}

// values compiles rows of expressions, each column brought to one type.
func (c *compiler) values(rows []*ast.RowValue) (*plan, error) {
	var all [][]*expression
	for _, r := range rows {
		var list []*expression
		for _, e := range r.ColumnValues {
			ex, err := c.scalar(e)
			if err != nil {
				return nil, err
			}
			list = append(list, ex)
		}
		if len(all) > 0 && len(list) != len(all[0]) {
			return nil, value.Errorf(10709, "The number of columns for each row in a table value constructor must be the same.")
		}
		all = append(all, list)
	}
	return c.rowsOf(all)
}

// rowsOf makes a plan of rows, all of the same length, each column brought to
// one type.
func (c *compiler) rowsOf(all [][]*expression) (*plan, error) {
	if len(all) == 0 {
		return nil, unsupported("VALUES without rows")
	}
	p := &plan{}
	for i := range all[0] {
		t := value.Type{}
		nullable := false
		for _, r := range all {
			t = value.Wider(t, r[i].typ)
			nullable = nullable || r[i].nullable
		}
		for _, r := range all {
			r[i] = c.convert(r[i], t)
		}
		p.columns = append(p.columns, value.Column{Type: t, Nullable: nullable})
	}
	p.run = func(v *env, emit func([]value.Value) error) error {
		for _, list := range all {
			r := make([]value.Value, len(list))
			for i, e := range list {
				var err error
				if r[i], err = e.eval(v); err != nil {
					return err
				}
			}
			if err := emit(r); err != nil {
				return err
			}
		}
		return nil
	}
	return p, nil
}

// cte is a query named by WITH.
type cte struct {
	name    string
	columns []*ast.Identifier
	query   ast.QueryExpression
	names   *names // what it sees: those before it
	src     *source
}

func (c *compiler) common(q *cte, alias string) (*relation, error) {
	inner := &compiler{x: c.x, src: q.src, names: q.names, depth: c.depth}
	p, err := inner.query(q.query)
	if err != nil {
		return nil, err
	}
	return planRelation(p, alias, q.columns, func(v *env) *env { return &env{x: v.x} })
}

func (c *compiler) view(o *view, alias string) (*relation, error) {
	src, failed := c.x.s.engine.parse.parse(o.text)
	if failed != nil {
		return nil, failed
	}
	inner := &compiler{x: c.x, src: src, depth: c.depth}
	if err := inner.nest(); err != nil {
		return nil, err
	}
	p, err := inner.queryOf(o.query)
	if err != nil {
		return nil, err
	}
	return planRelation(p, alias, o.columns, func(v *env) *env { return &env{x: v.x} })
}
