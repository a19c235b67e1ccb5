package tsql

import (
	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// merger is a compiled MERGE.
type merger struct {
	x       *execution
	c       *compiler
	t       *table
	target  *relation
	source  *step
	find    *step
	clauses []mergeClause
	actions []mergeAction
	touched map[*row]bool
	matched map[*row]bool
	bySrc   bool
}

type mergeClause struct {
	kind string
	cond predicate
	set  *setter
	del  bool
	cols []int
	vals []*expression
	in   *inserter
}

// mergeAction is what is to be done to one row.
type mergeAction struct {
	clause *mergeClause
	r      *row
	vals   []value.Value
	env    *env
}

func (x *execution) merge(tx *transaction, st *ast.MergeStatement) error {
	spec := st.MergeSpecification
	if spec.TopRowFilter != nil {
		return unsupported("MERGE TOP")
	}
	base, err := x.compiler(nil).with(st.WithCtesAndXmlNamespaces)
	if err != nil {
		return err
	}
	m := &merger{x: x, c: base.inside(), touched: make(map[*row]bool), matched: make(map[*row]bool)}
	if err := m.sources(tx, spec); err != nil {
		return err
	}
	for _, clause := range spec.ActionClauses {
		if err := m.clause(tx, clause); err != nil {
			return err
		}
	}
	o, err := x.output(m.c, m.t, spec.OutputClause, nil, true)
	if err != nil {
		return err
	}
	if err := m.collect(o != nil); err != nil {
		return err
	}
	if err := m.act(tx, o); err != nil {
		return err
	}
	if err := x.finish(tx, o); err != nil {
		return err
	}
	return x.done(commandMerge, int64(len(m.actions)))
}

// sources compiles the source, then the target as what is looked up for it.
func (m *merger) sources(tx *transaction, spec *ast.MergeSpecification) error {
	source, err := m.c.relation(spec.TableReference, false)
	if err != nil {
		return err
	}
	if m.target, err = m.c.relation(aliased(spec), false); err != nil {
		return err
	}
	if m.target.table == nil {
		return unsupported("MERGE into anything but a table")
	}
	m.t = m.target.table
	if err := m.x.writes(tx, m.t); err != nil {
		return err
	}
	m.source = &step{rel: source}
	// As an outer join: a source without a match is seen, too.
	m.find = &step{rel: m.target, left: true, on: conjuncts(spec.SearchCondition, nil)}
	return m.c.plan(&from{steps: []*step{m.source, m.find}})
}

// aliased gives the target the alias that stands behind it.
func aliased(spec *ast.MergeSpecification) ast.TableReference {
	if spec.TableAlias == nil {
		return spec.Target
	}
	if n, ok := spec.Target.(*ast.NamedTableReference); ok && n.Alias == nil {
		c := *n
		c.Alias = spec.TableAlias
		return &c
	}
	return spec.Target
}

func (m *merger) clause(tx *transaction, a *ast.MergeActionClause) error {
	k := mergeClause{kind: a.Condition}
	if k.kind == "NotMatched" {
		k.kind = "NotMatchedByTarget"
	}
	m.bySrc = m.bySrc || k.kind == "NotMatchedBySource"
	var err error
	if a.SearchCondition != nil {
		if k.cond, err = m.c.boolean(a.SearchCondition); err != nil {
			return err
		}
	}
	switch action := a.Action.(type) {
	case *ast.UpdateMergeAction:
		k.set, err = m.x.setter(m.c, m.t, action.SetClauses)
	case *ast.DeleteMergeAction:
		k.del = true
	case *ast.InsertMergeAction:
		err = m.insertClause(tx, &k, action)
	default:
		err = unknownNode(a.Action)
	}
	m.clauses = append(m.clauses, k)
	return err
}

func (m *merger) insertClause(tx *transaction, k *mergeClause, action *ast.InsertMergeAction) error {
	values, ok := action.Source.(*ast.ValuesInsertSource)
	if !ok || !values.IsDefaultValues && len(values.RowValues) != 1 {
		return unsupported("this INSERT of a MERGE")
	}
	var err error
	var given []value.Column
	if !values.IsDefaultValues {
		if k.cols, err = m.t.pick(action.Columns); err != nil {
			return err
		}
		if len(values.RowValues[0].ColumnValues) != len(k.cols) {
			return value.Errorf(213, "Column name or number of supplied values does not match table definition.")
		}
		if k.vals, err = m.c.insertRow(values.RowValues[0], m.t, k.cols); err != nil {
			return err
		}
		for _, e := range k.vals {
			given = append(given, value.Column{Type: e.typ})
		}
	}
	k.in, err = m.x.inserter(tx, m.t, k.cols, given)
	return err
}

// collect decides what happens to which row, before anything does.
func (m *merger) collect(keep bool) error {
	var outer *env
	if m.c.names.outer != nil {
		outer = &env{x: m.x}
	}
	v := m.c.env(outer)
	f := &from{steps: []*step{m.source, m.find}}
	slot := m.target.source.slot
	err := f.run(v, func() error {
		if r := v.refs[slot]; r != nil {
			if m.bySrc {
				m.matched[r] = true
			}
			return m.decide(v, "Matched", r, keep)
		}
		return m.decide(v, "NotMatchedByTarget", nil, keep)
	})
	if err != nil || !m.bySrc {
		return err
	}
	v.rows[m.source.rel.source.slot] = nil
	for _, r := range m.t.rows {
		if r == nil {
			continue
		}
		if _, was := m.matched[r]; was {
			continue
		}
		v.rows[slot], v.refs[slot] = r.vals, r
		if err := m.decide(v, "NotMatchedBySource", r, keep); err != nil {
			return err
		}
	}
	return nil
}

// decide takes the first clause that fits.
func (m *merger) decide(v *env, kind string, r *row, keep bool) error {
	for i := range m.clauses {
		k := &m.clauses[i]
		if k.kind != kind {
			continue
		}
		if k.cond != nil {
			if ok, err := k.cond(v); err != nil {
				return err
			} else if ok != isTrue {
				continue
			}
		}
		return m.note(v, k, r, keep)
	}
	return nil
}

func (m *merger) note(v *env, k *mergeClause, r *row, keep bool) error {
	a := mergeAction{clause: k, r: r}
	if r != nil {
		if m.touched[r] {
			return value.Errorf(8672, "The MERGE statement attempted to UPDATE or DELETE the same row more than once. This happens when a target row matches more than one source row. A MERGE statement cannot UPDATE/DELETE the same row of the target table multiple times. Refine the ON clause to ensure a target row matches at most one source row, or use the GROUP BY clause to group the source rows.")
		}
		m.touched[r] = true
	}
	switch {
	case k.set != nil:
		var err error
		if a.vals, err = k.set.apply(v, r.vals); err != nil {
			return err
		}
	case k.in != nil:
		a.vals = make([]value.Value, len(k.vals))
		for i, e := range k.vals {
			var err error
			if a.vals[i], err = e.eval(v); err != nil {
				return err
			}
		}
	}
	if keep {
		a.env = v.keep()
	}
	m.actions = append(m.actions, a)
	return nil
}

// act does what was decided: deletes first, so that their keys are free.
func (m *merger) act(tx *transaction, o *outputClause) error {
	var updates []changedRow
	for _, a := range m.actions {
		switch {
		case a.clause.del:
			m.t.remove(tx, a.r)
			if err := o.add(m.x, a.env, nil, a.r.vals, "DELETE"); err != nil {
				return err
			}
		case a.clause.set != nil:
			updates = append(updates, changedRow{r: a.r, vals: a.vals, env: a.env})
		}
	}
	if err := m.x.replace(tx, m.t, updates, o, "UPDATE"); err != nil {
		return err
	}
	for i, a := range m.actions {
		if a.clause.in == nil {
			continue
		}
		if i%checked == checked-1 && m.x.ctx.Err() != nil {
			return m.x.ctx.Err()
		}
		vals, err := a.clause.in.add(a.vals)
		if err != nil {
			return err
		}
		if err := o.add(m.x, a.env, vals, nil, "INSERT"); err != nil {
			return err
		}
	}
	return nil
}
