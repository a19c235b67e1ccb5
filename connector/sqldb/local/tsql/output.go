package tsql

import (
	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// outputClause is OUTPUT of a statement that changes rows: what it collects is
// sent, or put into a table, when the statement is done.
type outputClause struct {
	outputs []output
	rows    [][]value.Value
	into    *table
	columns []int
	slots   int
}

// output compiles OUTPUT. The sources of the statement stay visible beside
// inserted and deleted, which take the two slots behind them.
func (x *execution) output(c *compiler, t *table, o *ast.OutputClause, into *ast.OutputIntoClause, action bool) (*outputClause, error) {
	if o == nil && into == nil {
		return nil, nil
	}
	n := &names{}
	if c != nil && c.names != nil {
		n.sources = append(n.sources, c.names.sources...)
		for i, s := range n.sources {
			hidden := *s
			hidden.hidden = true
			n.sources[i] = &hidden
		}
	}
	in := x.compiler(n)
	out := &outputClause{slots: len(n.sources)}
	nullable := t.resultColumns()
	for i := range nullable {
		nullable[i].Nullable = true
	}
	for _, alias := range []string{"inserted", "deleted"} {
		if err := in.add(&fromSource{alias: alias, columns: nullable, hidden: true}); err != nil {
			return nil, err
		}
	}
	if action {
		name := value.Column{Name: "$action", Type: value.Type{ID: value.NVarChar, Length: 10}}
		if err := in.add(&fromSource{columns: []value.Column{name}}); err != nil {
			return nil, err
		}
	}
	elements := []ast.SelectElement(nil)
	if o != nil {
		elements = o.SelectColumns
	}
	if into != nil {
		elements = into.SelectColumns
	}
	s, p := &selection{c: in, from: &from{}}, &plan{}
	for _, el := range elements {
		if err := s.element(el, p); err != nil {
			return nil, err
		}
	}
	out.outputs = s.outputs
	if into == nil {
		return out, nil
	}
	var err error
	if out.into, err = x.target(into.IntoTable); err != nil {
		return nil, err
	}
	out.columns, err = out.into.pick(into.IntoTableColumns)
	if err == nil && len(out.columns) != len(out.outputs) {
		err = value.Errorf(213, "Column name or number of supplied values does not match table definition.")
	}
	return out, err
}

// pick returns the columns of a list of names; all but the identity if there
// is no list.
func (t *table) pick(names []*ast.ColumnReferenceExpression) ([]int, error) {
	var out []int
	if len(names) == 0 {
		for i, c := range t.columns {
			if !c.Identity {
				out = append(out, i)
			}
		}
		return out, nil
	}
	for _, n := range names {
		if n.MultiPartIdentifier == nil {
			return nil, unsupported("a column list with %s", n.ColumnType)
		}
		ids := n.MultiPartIdentifier.Identifiers
		name := ids[len(ids)-1].Value
		i := t.column(name)
		if i < 0 {
			return nil, value.Errorf(207, "Invalid column name '%s'.", name)
		}
		for _, o := range out {
			if o == i {
				return nil, value.Errorf(264, "The column name '%s' is specified more than once in the SET clause or column list of an INSERT.", name)
			}
		}
		out = append(out, i)
	}
	return out, nil
}

// add collects a row that was changed. v is the environment of its sources.
func (o *outputClause) add(x *execution, v *env, inserted, deleted []value.Value, action string) error {
	if o == nil {
		return nil
	}
	e := &env{x: x, rows: make([][]value.Value, o.slots+3), refs: make([]*row, o.slots+3)}
	if v != nil {
		copy(e.rows, v.rows[:min(o.slots, len(v.rows))])
		e.outer = v.outer
	}
	e.rows[o.slots], e.rows[o.slots+1], e.rows[o.slots+2] = inserted, deleted, []value.Value{value.FromString(action)}
	r := make([]value.Value, len(o.outputs))
	for i, out := range o.outputs {
		var err error
		if r[i], err = out.expr.eval(e); err != nil {
			return err
		}
	}
	o.rows = append(o.rows, r)
	return nil
}

// finish sends what was collected, or stores it.
func (x *execution) finish(tx *transaction, o *outputClause) error {
	if o == nil {
		return nil
	}
	var columns []value.Column
	for _, out := range o.outputs {
		columns = append(columns, out.column)
	}
	if o.into == nil {
		if err := x.out.Columns(announced(columns)); err != nil {
			return err
		}
		for _, r := range o.rows {
			if err := x.out.Row(r); err != nil {
				return err
			}
		}
		return nil
	}
	if err := x.writes(tx, o.into); err != nil {
		return err
	}
	in, err := x.inserter(tx, o.into, o.columns, columns)
	if err != nil {
		return err
	}
	for _, r := range o.rows {
		if _, err := in.add(r); err != nil {
			return err
		}
	}
	return nil
}
