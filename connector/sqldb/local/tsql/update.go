package tsql

import (
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// changeOf compiles what an UPDATE or DELETE says about the rows that it is
// about, and makes sure that it may write to their table.
func (x *execution) changeOf(tx *transaction, with *ast.WithCtesAndXmlNamespaces, target ast.TableReference, fc *ast.FromClause,
	where *ast.WhereClause) (*compiler, *from, *relation, error) {
	base, err := x.compiler(nil).with(with)
	if err != nil {
		return nil, nil, nil, err
	}
	c := base.inside()
	f, rel, err := x.changing(c, target, fc, where)
	if err != nil {
		return nil, nil, nil, err
	}
	return c, f, rel, x.writes(tx, rel.table)
}

// changing compiles the FROM of an UPDATE or DELETE and finds which of its
// sources is the table to change.
func (x *execution) changing(c *compiler, target ast.TableReference, fc *ast.FromClause, where *ast.WhereClause) (*from, *relation, error) {
	var refs []ast.TableReference
	if fc != nil {
		refs = fc.TableReferences
	}
	var cond ast.BooleanExpression
	if where != nil {
		if where.Cursor != nil {
			return nil, nil, unsupported("WHERE CURRENT OF")
		}
		cond = where.SearchCondition
	}
	alias := targetName(target)
	at := findTarget(refs, alias)
	if at == nil {
		refs = append([]ast.TableReference{target}, refs...)
	}
	f, err := c.from(refs, cond)
	if err != nil {
		return nil, nil, err
	}
	for _, s := range f.steps {
		if s.rel.table != nil && (at == nil && s.rel.source.slot == 0 || at != nil && strings.EqualFold(s.rel.source.alias, alias)) {
			return f, s.rel, nil
		}
	}
	return nil, nil, value.Errorf(208, "Invalid object name '%s'.", alias)
}

func targetName(ref ast.TableReference) string {
	switch ref := ref.(type) {
	case *ast.NamedTableReference:
		return ref.SchemaObject.BaseIdentifier.Value
	case *ast.VariableTableReference:
		return ref.Variable.Name
	}
	return ""
}

// findTarget looks for a table of the given alias or name in a FROM.
func findTarget(refs []ast.TableReference, name string) ast.TableReference {
	for _, r := range refs {
		switch r := r.(type) {
		case *ast.NamedTableReference:
			if r.Alias != nil && strings.EqualFold(r.Alias.Value, name) || r.Alias == nil && strings.EqualFold(targetName(r), name) {
				return r
			}
		case *ast.VariableTableReference:
			if r.Alias != nil && strings.EqualFold(r.Alias.Value, name) || r.Alias == nil && strings.EqualFold(r.Variable.Name, name) {
				return r
			}
		case *ast.QualifiedJoin:
			if found := findTarget([]ast.TableReference{r.FirstTableReference, r.SecondTableReference}, name); found != nil {
				return found
			}
		case *ast.UnqualifiedJoin:
			if found := findTarget([]ast.TableReference{r.FirstTableReference, r.SecondTableReference}, name); found != nil {
				return found
			}
		case *ast.JoinParenthesisTableReference:
			if found := findTarget([]ast.TableReference{r.Join}, name); found != nil {
				return found
			}
		}
	}
	return nil
}

// setter computes the new values of a row.
type setter struct {
	x       *execution
	t       *table
	columns []int
	exprs   []*expression
	convert []func(value.Value) (value.Value, error)
	vars    []*variable // set to the new value, too; nil if none
	checks  []tableCheck
}

func (x *execution) setter(c *compiler, t *table, clauses []ast.SetClause) (*setter, error) {
	s := &setter{x: x, t: t}
	for _, clause := range clauses {
		a, ok := clause.(*ast.AssignmentSetClause)
		if !ok {
			return nil, unknownNode(clause)
		}
		var v *variable
		var err error
		if a.Variable != nil {
			if v, err = x.variable(a.Variable.Name); err != nil {
				return nil, err
			}
		}
		at := -1
		if a.Column != nil {
			cols, err := t.pick([]*ast.ColumnReferenceExpression{a.Column})
			if err != nil {
				return nil, err
			}
			at = cols[0]
			if t.columns[at].Identity {
				return nil, value.Errorf(8102, "Cannot update identity column '%s'.", t.columns[at].Name)
			}
		}
		var e *expression
		if _, ok := a.NewValue.(*ast.DefaultLiteral); ok && at >= 0 {
			e = constant(value.Value{}, t.columns[at].Type)
			if t.columns[at].fallback != nil {
				e, err = c.defaultOf(t.columns[at])
			}
		} else if a.Column != nil {
			e, err = c.scalar(assigned(a.Column, a.NewValue, a.AssignmentKind))
		} else {
			e, err = c.scalar(assigned(a.Variable, a.NewValue, a.AssignmentKind))
		}
		if err != nil {
			return nil, err
		}
		s.columns, s.exprs, s.vars = append(s.columns, at), append(s.exprs, e), append(s.vars, v)
		if at >= 0 {
			s.convert = append(s.convert, converter(t, t.columns[at], e.typ))
		} else {
			typ := v.typ
			s.convert = append(s.convert, func(x value.Value) (value.Value, error) {
				out, failed := value.Convert(x, e.typ, typ, 0, true)
				return out, sqlError(failed)
			})
		}
	}
	var err error
	s.checks, err = x.checks(t)
	return s, err
}

// apply returns the row's values after the assignments; all of them see the
// row as it was.
func (s *setter) apply(v *env, old []value.Value) ([]value.Value, error) {
	vals := append([]value.Value(nil), old...)
	for i, e := range s.exprs {
		x, err := e.eval(v)
		if err != nil {
			return nil, err
		}
		if x, err = s.convert[i](x); err != nil {
			return nil, err
		}
		if s.columns[i] >= 0 {
			vals[s.columns[i]] = x
		}
		if s.vars[i] != nil {
			s.vars[i].val = x
		}
	}
	return vals, s.x.acceptable(s.t, vals, s.checks, "UPDATE")
}

// changedRow is a row that a statement is about to change.
type changedRow struct {
	r    *row
	vals []value.Value
	env  *env
}

// keep copies an environment, for OUTPUT.
func (v *env) keep() *env {
	out := *v
	out.rows = append([][]value.Value(nil), v.rows...)
	return &out
}

func (x *execution) update(tx *transaction, st *ast.UpdateStatement) error {
	spec := st.UpdateSpecification
	c, f, rel, err := x.changeOf(tx, st.WithCtesAndXmlNamespaces, spec.Target, spec.FromClause, spec.WhereClause)
	if err != nil {
		return err
	}
	set, err := x.setter(c, rel.table, spec.SetClauses)
	if err != nil {
		return err
	}
	o, err := x.output(c, rel.table, spec.OutputClause, spec.OutputIntoClause, false)
	if err != nil {
		return err
	}
	changes, err := x.matching(c, f, rel, spec.TopRowFilter, o != nil, set)
	if err != nil {
		return err
	}
	if err := x.replace(tx, rel.table, changes, o, "UPDATE"); err != nil {
		return err
	}
	if err := x.finish(tx, o); err != nil {
		return err
	}
	return x.done(commandUpdate, int64(len(changes)))
}

// inside is a compiler for the FROM of a statement.
func (c *compiler) inside() *compiler {
	out := *c
	out.names = &names{outer: c.names}
	if c.names != nil {
		out.names.ctes = c.names.ctes
	}
	return &out
}

// matching collects the rows of rel that a FROM finds, each once, with their
// new values if there are any.
func (x *execution) matching(c *compiler, f *from, rel *relation, top *ast.TopRowFilter, keep bool, set *setter) ([]changedRow, error) {
	most := int64(-1)
	if top != nil {
		s := &selection{}
		if err := s.limits(x.compiler(nil), &ast.QuerySpecification{TopRowFilter: top}); err != nil {
			return nil, err
		}
		var err error
		if _, most, err = s.window(&env{x: x}); err != nil {
			return nil, err
		}
	}
	var outer *env
	if c.names.outer != nil {
		outer = &env{x: x}
	}
	v := c.env(outer)
	seen := make(map[*row]bool)
	var out []changedRow
	err := f.run(v, func() error {
		r := v.refs[rel.source.slot]
		if r == nil || seen[r] {
			return nil
		}
		if most >= 0 && int64(len(out)) >= most {
			return errEnough
		}
		seen[r] = true
		change := changedRow{r: r}
		if set != nil {
			var err error
			if change.vals, err = set.apply(v, r.vals); err != nil {
				return err
			}
		}
		if keep {
			change.env = v.keep()
		}
		out = append(out, change)
		return nil
	})
	if err == errEnough {
		err = nil
	}
	return out, err
}

// replace puts new values in the places of old rows.
func (x *execution) replace(tx *transaction, t *table, changes []changedRow, o *outputClause, action string) error {
	old := make([]*row, len(changes))
	vals := make([][]value.Value, len(changes))
	for i, c := range changes {
		old[i], vals[i] = c.r, c.vals
	}
	if _, failed := t.replaceAll(tx, old, vals); failed != nil {
		return failed
	}
	for _, c := range changes {
		if err := o.add(x, c.env, c.vals, c.r.vals, action); err != nil {
			return err
		}
	}
	return nil
}

func (x *execution) delete(tx *transaction, st *ast.DeleteStatement) error {
	spec := st.DeleteSpecification
	c, f, rel, err := x.changeOf(tx, st.WithCtesAndXmlNamespaces, spec.Target, spec.FromClause, spec.WhereClause)
	if err != nil {
		return err
	}
	o, err := x.output(c, rel.table, spec.OutputClause, spec.OutputIntoClause, false)
	if err != nil {
		return err
	}
	changes, err := x.matching(c, f, rel, spec.TopRowFilter, o != nil, nil)
	if err != nil {
		return err
	}
	for _, change := range changes {
		rel.table.remove(tx, change.r)
		if err := o.add(x, change.env, nil, change.r.vals, "DELETE"); err != nil {
			return err
		}
	}
	if err := x.finish(tx, o); err != nil {
		return err
	}
	return x.done(commandDelete, int64(len(changes)))
}
