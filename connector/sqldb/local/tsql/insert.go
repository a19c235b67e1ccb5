package tsql

import (
	"slices"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// target finds the table that a statement changes.
func (x *execution) target(ref ast.TableReference) (*table, error) {
	switch ref := ref.(type) {
	case *ast.NamedTableReference:
		return x.tableNamed(ref.SchemaObject)
	case *ast.VariableTableReference:
		return x.tableVariable(ref.Variable.Name)
	}
	return nil, unknownNode(ref)
}

// inserter adds rows to a table.
type inserter struct {
	x       *execution
	tx      *transaction
	t       *table
	columns []int // of the table, for each value that is given
	convert []func(value.Value) (value.Value, error)
	fill    []filler // columns that are not given
	checks  []tableCheck
	env     *env
	own     int // the identity column, -1 if none is to be numbered
}

type filler struct {
	column int
	expr   *expression
}

type tableCheck struct {
	name string
	test predicate
}

// inserter prepares to insert values of the given types into columns of t.
func (x *execution) inserter(tx *transaction, t *table, columns []int, given []value.Column) (*inserter, error) {
	in := &inserter{x: x, tx: tx, t: t, columns: columns, own: -1}
	for i, at := range columns {
		col := t.columns[at]
		if col.Identity && x.s.identityInsert != t {
			return nil, value.Errorf(544, "Cannot insert explicit value for identity column in table '%s' when IDENTITY_INSERT is set to OFF.", t.name)
		}
		in.convert = append(in.convert, converter(t, col, given[i].Type))
	}
	c := x.compiler(nil)
	for i, col := range t.columns {
		if slices.Contains(columns, i) {
			continue
		}
		switch {
		case col.Identity:
			in.own = i
		case col.fallback != nil:
			e, err := c.defaultOf(col)
			if err != nil {
				return nil, err
			}
			in.fill = append(in.fill, filler{i, e})
		}
	}
	var err error
	in.checks, err = x.checks(t)
	in.env = c.env(nil)
	return in, err
}

// defaultOf compiles a column's default, for its type.
func (c *compiler) defaultOf(col tableColumn) (*expression, error) {
	in := &compiler{x: c.x, src: col.fallback.text}
	e, err := in.scalar(col.fallback.expr)
	if err != nil {
		return nil, err
	}
	return in.convert(e, col.Type), nil
}

// checks compiles the CHECK constraints of a table, whose row stands in slot 0.
func (x *execution) checks(t *table) ([]tableCheck, error) {
	var out []tableCheck
	for _, col := range t.columns {
		for _, k := range col.check {
			c := &compiler{x: x, src: k.text, names: &names{}}
			if err := c.add(&fromSource{columns: t.resultColumns()}); err != nil {
				return nil, err
			}
			test, err := c.boolean(k.cond)
			if err != nil {
				return nil, err
			}
			out = append(out, tableCheck{k.name, test})
		}
	}
	return out, nil
}

// converter brings values to a column's type, with its own words for what does
// not fit.
func converter(t *table, col tableColumn, from value.Type) func(value.Value) (value.Value, error) {
	same := from == col.Type || value.Same(from, col.Type)
	return func(v value.Value) (value.Value, error) {
		if v.IsNull() || same {
			return v, nil
		}
		out, failed := value.Convert(v, from, col.Type, 0, false)
		if failed == value.Truncated {
			shown := value.Format(v, from, 0)
			if len(shown) > 120 {
				shown = shown[:120]
			}
			return out, value.Errorf(2628, "String or binary data would be truncated in table '%s', column '%s'. Truncated value: '%s'.", t.full(), col.Name, shown)
		}
		return out, sqlError(failed)
	}
}

// add inserts one row and returns its values.
func (in *inserter) add(given []value.Value) ([]value.Value, error) {
	vals := make([]value.Value, len(in.t.columns))
	for i, at := range in.columns {
		v, err := in.convert[i](given[i])
		if err != nil {
			return nil, err
		}
		vals[at] = v
	}
	for _, f := range in.fill {
		v, err := f.expr.eval(in.env)
		if err != nil {
			return nil, err
		}
		vals[f.column] = v
	}
	if in.own >= 0 {
		vals[in.own] = value.FromInt(in.t.identity)
		in.x.s.identity = value.FromInt(in.t.identity)
		in.t.identity += in.t.step
	}
	if err := in.x.acceptable(in.t, vals, in.checks, "INSERT"); err != nil {
		return nil, err
	}
	_, failed := in.t.insert(in.tx, vals)
	return vals, sqlError(failed)
}

// acceptable checks a row against NOT NULL and CHECK.
func (x *execution) acceptable(t *table, vals []value.Value, checks []tableCheck, doing string) error {
	for i := range t.columns {
		if col := &t.columns[i]; !col.Nullable && vals[i].IsNull() {
			e := value.Errorf(515, "Cannot insert the value NULL into column '%s', table '%s'; column does not allow nulls. %s fails.", col.Name, t.full(), doing)
			e.State = 2
			return e
		}
	}
	for _, k := range checks {
		v := &env{x: x, rows: [][]value.Value{vals}, refs: []*row{nil}}
		ok, err := k.test(v)
		if err != nil {
			return err
		}
		if ok == isFalse {
			return value.Errorf(547, "The %s statement conflicted with the CHECK constraint \"%s\". The conflict occurred in table \"%s\".", doing, k.name, t.full())
		}
	}
	return nil
}

func (x *execution) insert(tx *transaction, st *ast.InsertStatement) error {
	spec := st.InsertSpecification
	t, err := x.target(spec.Target)
	if err != nil {
		return err
	}
	if err := x.writes(tx, t); err != nil {
		return err
	}
	if spec.TopRowFilter != nil {
		return unsupported("INSERT TOP")
	}
	columns, err := t.pick(spec.Columns)
	if err != nil {
		return err
	}
	rows, given, err := x.insertSource(st, t, columns)
	if err != nil {
		return err
	}
	o, err := x.output(nil, t, spec.OutputClause, spec.OutputIntoClause, false)
	if err != nil {
		return err
	}
	if rows == nil { // DEFAULT VALUES
		columns, rows = nil, [][]value.Value{{}}
	}
	in, err := x.inserter(tx, t, columns, given)
	if err != nil {
		return err
	}
	for i, r := range rows {
		if i%checked == checked-1 && x.ctx.Err() != nil {
			return x.ctx.Err()
		}
		vals, err := in.add(r)
		if err != nil {
			return err
		}
		if err := o.add(x, nil, vals, nil, "INSERT"); err != nil {
			return err
		}
	}
	if err := x.finish(tx, o); err != nil {
		return err
	}
	return x.done(commandInsert, int64(len(rows)))
}

// insertSource collects the rows to insert, before any of them is there.
func (x *execution) insertSource(st *ast.InsertStatement, t *table, columns []int) (rows [][]value.Value, given []value.Column, err error) {
	c, err := x.compiler(nil).with(st.WithCtesAndXmlNamespaces)
	if err != nil {
		return nil, nil, err
	}
	var p *plan
	switch source := st.InsertSpecification.InsertSource.(type) {
	case *ast.ValuesInsertSource:
		if source.IsDefaultValues {
			return nil, nil, nil
		}
		p, err = c.insertValues(source, t, columns)
	case *ast.SelectInsertSource:
		p, err = c.query(source.Select)
	default:
		return nil, nil, unknownNode(source)
	}
	if err != nil {
		return nil, nil, err
	}
	switch {
	case len(p.columns) < len(columns):
		e := value.Errorf(120, "The select list for the INSERT statement contains fewer items than the insert list. The number of SELECT values must match the number of INSERT columns.")
		e.Class = 15
		return nil, nil, e
	case len(p.columns) > len(columns):
		e := value.Errorf(121, "The select list for the INSERT statement contains more items than the insert list. The number of SELECT values must match the number of INSERT columns.")
		e.Class = 15
		return nil, nil, e
	}
	rows = [][]value.Value{}
	err = p.run(c.env(nil), func(r []value.Value) error {
		rows = append(rows, r)
		return nil
	})
	return rows, p.columns, err
}

// insertValues compiles VALUES, where DEFAULT stands for a column's default.
func (c *compiler) insertValues(source *ast.ValuesInsertSource, t *table, columns []int) (*plan, error) {
	var all [][]*expression
	for _, r := range source.RowValues {
		if len(r.ColumnValues) != len(columns) {
			e := value.Errorf(110, "There are fewer columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement.")
			if len(r.ColumnValues) < len(columns) {
				e.Number, e.Message = 109, "There are more columns in the INSERT statement than values specified in the VALUES clause. The number of values in the VALUES clause must match the number of columns specified in the INSERT statement."
			}
			e.Class = 15
			return nil, e
		}
		list, err := c.insertRow(r, t, columns)
		if err != nil {
			return nil, err
		}
		all = append(all, list)
	}
	return c.rowsOf(all)
}

// insertRow compiles the values of one row.
func (c *compiler) insertRow(r *ast.RowValue, t *table, columns []int) ([]*expression, error) {
	var list []*expression
	for i, e := range r.ColumnValues {
		var x *expression
		var err error
		if _, ok := e.(*ast.DefaultLiteral); ok {
			col := t.columns[columns[i]]
			x = constant(value.Value{}, col.Type)
			if col.fallback != nil {
				x, err = c.defaultOf(col)
			}
		} else {
			x, err = c.scalar(e)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, x)
	}
	return list, nil
}

// selectInto is SELECT ... INTO: a new table with the rows of a query.
func (x *execution) selectInto(tx *transaction, st *ast.SelectStatement) error {
	if !temporaryName(st.Into.BaseIdentifier.Value) {
		if err := x.writes(tx, nil); err != nil {
			return err
		}
	}
	p, err := x.compiler(nil).queryOf(st)
	if err != nil {
		return err
	}
	n, err := x.createAs(tx, st.Into, nil, p)
	if err != nil {
		return err
	}
	return x.done(commandSelect, n)
}

// createAs makes a table of a query's columns and fills it with its rows.
func (x *execution) createAs(tx *transaction, name *ast.SchemaObjectName, columns []*ast.Identifier, p *plan) (int64, error) {
	t, err := x.newTable(name)
	if err != nil {
		return 0, err
	}
	var all []int
	for i, col := range announced(p.columns) {
		if i < len(columns) {
			col.Name = columns[i].Value
		}
		if col.Name == "" {
			return 0, value.Errorf(1038, "An object or column name is missing or empty. For SELECT INTO statements, verify each column has a name.")
		}
		if t.column(col.Name) >= 0 {
			return 0, value.Errorf(2705, "Column names in each table must be unique. Column name '%s' in table '%s' is specified more than once.", col.Name, t.name)
		}
		col.Identity = false
		t.columns = append(t.columns, tableColumn{Column: col})
		all = append(all, i)
	}
	var rows [][]value.Value
	if err := p.run(nil, func(r []value.Value) error { rows = append(rows, r); return nil }); err != nil {
		return 0, err
	}
	if err := x.addTable(tx, t); err != nil {
		return 0, err
	}
	in, err := x.inserter(tx, t, all, p.columns)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if _, err := in.add(r); err != nil {
			return 0, err
		}
	}
	return int64(len(rows)), nil
}

func (x *execution) truncate(tx *transaction, st *ast.TruncateTableStatement) error {
	t, err := x.tableNamed(st.TableName)
	if err != nil {
		return err
	}
	if err := x.writes(tx, t); err != nil {
		return err
	}
	if len(st.PartitionRanges) > 0 {
		return unsupported("TRUNCATE TABLE ... WITH (PARTITIONS ...)")
	}
	t.truncate(tx)
	return x.done(commandOther, 0)
}

// bulkLoad is what INSERT BULK has announced.
type bulkLoad struct {
	table   *ast.SchemaObjectName
	columns []*ast.InsertBulkColumnDefinition
	src     *source
}

func (x *execution) insertBulk(st *ast.InsertBulkStatement) error {
	err := x.reading(func() error {
		t, err := x.tableNamed(st.To)
		if err != nil {
			return err
		}
		for _, c := range st.ColumnDefinitions {
			name := c.Column.ColumnIdentifier.Value
			if t.column(name) < 0 {
				return value.Errorf(207, "Invalid column name '%s'.", name)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.s.load = &bulkLoad{table: st.To, columns: st.ColumnDefinitions, src: x.sc.src}
	return x.out.Done(commandOther, 0, false)
}

// RowSource hands over the rows of a bulk load, nil after the last one.
type RowSource interface {
	Next() ([]value.Value, error)
}

// colNotFound is a bulk load whose data has a column that was not announced.
func colNotFound(name string) *value.Error {
	return value.Errorf(4891, "Insert bulk failed due to a schema change of the target table, or a column that was not announced: '%s'.", name)
}

// bulkColumns finds the columns of a load's data in the table.
func (l *bulkLoad) bulkColumns(t *table, columns []value.Column) ([]int, error) {
	if len(columns) != len(l.columns) {
		return nil, value.Errorf(4891, "Insert bulk failed: %d columns were announced, the data has %d.", len(l.columns), len(columns))
	}
	var out []int
	for i, c := range columns {
		name := c.Name
		if name == "" {
			name = l.columns[i].Column.ColumnIdentifier.Value
		}
		if !slices.ContainsFunc(l.columns, func(d *ast.InsertBulkColumnDefinition) bool {
			return strings.EqualFold(d.Column.ColumnIdentifier.Value, name)
		}) || t.column(name) < 0 {
			return nil, colNotFound(name)
		}
		out = append(out, t.column(name))
	}
	return out, nil
}
