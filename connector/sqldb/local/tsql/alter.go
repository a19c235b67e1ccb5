package tsql

import (
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// alter changes tables and indexes.
func (x *execution) alter(tx *transaction, st ast.Statement) (known bool, err error) {
	switch st := st.(type) {
	case *ast.AlterTableAddTableElementStatement:
		return true, x.addElements(tx, st)
	case *ast.AlterTableDropTableElementStatement:
		return true, x.dropElements(tx, st)
	case *ast.AlterTableSetStatement:
		_, err := x.tableNamed(st.SchemaObjectName)
		return true, err
	case *ast.AlterTableRebuildStatement:
		_, err := x.tableNamed(st.SchemaObjectName)
		return true, err
	case *ast.AlterIndexStatement:
		t, err := x.tableNamed(st.OnName)
		if err != nil || st.All {
			return true, err
		}
		if t.indexNamed(st.Name.Value) == nil {
			return true, noIndex(st.Name.Value)
		}
		return true, nil
	case *ast.CreateColumnStoreIndexStatement:
		t, err := x.tableNamed(st.OnName)
		if err != nil {
			return true, err
		}
		cols, err := t.pick(st.Columns)
		if err != nil {
			return true, err
		}
		return true, x.addIndex(tx, t, &index{name: st.Name.Value, column: true, clustered: st.Clustered, columns: cols})
	case *ast.DropIndexStatement:
		return true, x.dropIndexes(tx, st)
	}
	return false, nil
}

func noIndex(name string) *value.Error {
	return value.Errorf(7999, "Could not find any index named '%s'.", name)
}

func (t *table) indexNamed(name string) *index {
	for _, ix := range t.indexes {
		if strings.EqualFold(ix.name, name) {
			return ix
		}
	}
	return nil
}

// snapshot remembers a table's shape and rows, for what changes both.
func (t *table) snapshot() func() {
	old := *t
	columns := append([]tableColumn(nil), t.columns...)
	rows := append([]*row(nil), t.rows...)
	return func() {
		*t = old
		t.columns, t.rows = columns, rows
		for _, ix := range t.indexes {
			if ix.entries != nil {
				ix.entries = make(map[string]*row)
			}
		}
		for _, r := range t.rows {
			if r != nil {
				_ = t.enter(r) // they were all there before
			}
		}
	}
}

func (x *execution) addElements(tx *transaction, st *ast.AlterTableAddTableElementStatement) error {
	t, err := x.tableNamed(st.SchemaObjectName)
	if err != nil {
		return err
	}
	tx.changed(t.snapshot())
	before := len(t.columns)
	for _, c := range st.Definition.ColumnDefinitions {
		if err := x.defineColumn(t, c); err != nil {
			return err
		}
	}
	if err := x.fillNew(t, before, st.Definition.ColumnDefinitions); err != nil {
		return err
	}
	for _, k := range st.Definition.TableConstraints {
		if err := x.constraint(t, k, nil); err != nil {
			return err
		}
	}
	for _, ix := range st.Definition.Indexes {
		if err := x.inlineIndex(t, ix, nil); err != nil {
			return err
		}
	}
	return nil
}

// fillNew gives the rows that are there values in new columns.
func (x *execution) fillNew(t *table, before int, defs []*ast.ColumnDefinition) error {
	if len(t.columns) == before {
		return nil
	}
	added := make([]value.Value, len(t.columns)-before)
	c := x.compiler(nil)
	for i, col := range t.columns[before:] {
		withValues := !col.Nullable
		if d := defs[i].DefaultConstraint; d != nil {
			withValues = withValues || d.WithValues
		}
		if col.fallback != nil && withValues {
			e, err := c.defaultOf(col)
			if err != nil {
				return err
			}
			if added[i], err = e.eval(c.env(nil)); err != nil {
				return err
			}
		}
		if added[i].IsNull() && !col.Nullable && t.live > 0 && !col.Identity {
			return value.Errorf(4901, "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified. Column '%s' cannot be added to non-empty table '%s' because it does not satisfy these conditions.", col.Name, t.name)
		}
	}
	for i, r := range t.rows {
		if r == nil {
			continue
		}
		n := &row{pos: r.pos, vals: append(append([]value.Value(nil), r.vals...), added...)}
		for j, col := range t.columns[before:] {
			if col.Identity {
				n.vals[before+j] = value.FromInt(t.identity)
				t.identity += t.step
			}
		}
		t.rows[i] = n
	}
	t.reindex()
	return nil
}

// reindex builds the entries of all indexes anew, for rows that were replaced.
func (t *table) reindex() {
	for _, ix := range t.indexes {
		if ix.entries == nil {
			continue
		}
		ix.entries = make(map[string]*row, t.live)
		for _, r := range t.rows {
			if r != nil {
				ix.entries[string(t.appendKey(nil, ix, r.vals))] = r
			}
		}
	}
}

func (x *execution) dropElements(tx *transaction, st *ast.AlterTableDropTableElementStatement) error {
	t, err := x.tableNamed(st.SchemaObjectName)
	if err != nil {
		return err
	}
	tx.changed(t.snapshot())
	for _, e := range st.AlterTableDropTableElements {
		kind, name := strings.ToLower(e.TableElementType), e.Name.Value
		found := false
		if kind != "column" {
			found = t.dropConstraint(name)
		}
		if !found && kind != "constraint" {
			if found, err = t.dropColumn(name); err != nil {
				return err
			}
		}
		if !found && !e.IsIfExists {
			return value.Errorf(3728, "'%s' is not a constraint or column of table '%s'.", name, t.name)
		}
	}
	return nil
}

func (t *table) dropConstraint(name string) bool {
	if ix := t.indexNamed(name); ix != nil && ix.constraint {
		t.withdraw(ix)
		return true
	}
	for i := range t.columns {
		c := &t.columns[i]
		if c.fallback != nil && strings.EqualFold(c.fallback.name, name) {
			c.fallback = nil
			return true
		}
		for j, k := range c.check {
			if strings.EqualFold(k.name, name) {
				c.check = append(append([]checkConstraint(nil), c.check[:j]...), c.check[j+1:]...)
				return true
			}
		}
	}
	return false
}

func (t *table) dropColumn(name string) (bool, error) {
	at := t.column(name)
	if at < 0 {
		return false, nil
	}
	indexes := make([]*index, len(t.indexes))
	for i, ix := range t.indexes {
		if contains(ix.columns, at) {
			return false, value.Errorf(5074, "The object '%s' is dependent on column '%s'.", ix.name, name)
		}
		c := *ix
		c.columns = append([]int(nil), ix.columns...)
		for j, n := range c.columns {
			if n > at {
				c.columns[j]--
			}
		}
		indexes[i] = &c
	}
	if len(t.columns) == 1 {
		return false, value.Errorf(4923, "ALTER TABLE DROP COLUMN failed because '%s' is the only data column in table '%s'.", name, t.name)
	}
	t.columns = append(append([]tableColumn(nil), t.columns[:at]...), t.columns[at+1:]...)
	t.indexes = indexes
	for i, r := range t.rows {
		if r != nil {
			t.rows[i] = &row{pos: r.pos, vals: append(append([]value.Value(nil), r.vals[:at]...), r.vals[at+1:]...)}
		}
	}
	t.reindex()
	return true, nil
}

func (x *execution) dropIndexes(tx *transaction, st *ast.DropIndexStatement) error {
	for _, d := range st.DropIndexClauses {
		if d.Index == nil || d.Object == nil {
			return unsupported("the old form of DROP INDEX")
		}
		t, err := x.tableNamed(d.Object)
		if err != nil {
			return err
		}
		ix := t.indexNamed(d.Index.Value)
		switch {
		case ix == nil && st.IsIfExists:
			continue
		case ix == nil:
			return value.Errorf(3701, "Cannot drop the index '%s', because it does not exist or you do not have permission.", d.Index.Value)
		case ix.constraint:
			return value.Errorf(3723, "An explicit DROP INDEX is not allowed on index '%s'. It is being used for constraint enforcement.", ix.name)
		}
		tx.changed(t.snapshot())
		t.withdraw(ix)
		if ix.clustered {
			t.storage = "HEAP"
		}
	}
	return nil
}
