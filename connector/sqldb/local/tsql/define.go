package tsql

import (
	"fmt"
	"hash/crc32"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// definition runs a statement that defines something; known is false if it is
// of another kind.
func (x *execution) definition(tx *transaction, st ast.Statement) (known bool, err error) {
	if c, ok := st.(*ast.CreateTableStatement); ok {
		return true, x.createTable(tx, c)
	}
	if d, ok := st.(*ast.DropTableStatement); ok {
		return true, x.dropTables(tx, d)
	}
	if i, ok := st.(*ast.CreateIndexStatement); ok {
		return true, x.createIndex(tx, i)
	}
	switch st.(type) {
	case *ast.UpdateStatisticsStatement, *ast.CheckpointStatement:
		return true, nil
	}
	if err := x.writes(tx, nil); err != nil {
		return true, err
	}
	if known, err := x.defineOthers(tx, st); known || err != nil {
		return known, err
	}
	return x.alter(tx, st)
}

// newTable makes an empty table of a name that is not taken.
func (x *execution) newTable(n *ast.SchemaObjectName) (*table, error) {
	schema, name, err := x.place(n)
	if err != nil {
		return nil, err
	}
	t := &table{objectInfo: objectInfo{name: name, kind: "U"}, storage: "HEAP"}
	if temporaryName(name) {
		if strings.HasPrefix(name, "##") {
			return nil, unsupported("global temporary tables")
		}
		x.s.nextTemp--
		t.own, t.id = true, x.s.nextTemp
	} else {
		s := x.s.db.schemas[strings.ToLower(schema)]
		if s == nil {
			return nil, value.Errorf(2760, "The specified schema name \"%s\" either does not exist or you do not have permission to use it.", schema)
		}
		t.schema, t.id = s, x.s.db.newID()
	}
	if x.lookup(schema, name) != nil {
		e := value.Errorf(2714, "There is already an object named '%s' in the database.", name)
		e.State = 6
		return nil, e
	}
	return t, nil
}

// addTable makes a table known.
func (x *execution) addTable(tx *transaction, t *table) error {
	key := strings.ToLower(t.name)
	if t.own {
		temp := x.s.temp
		temp[key] = t
		x.sc.temp = append(x.sc.temp, key)
		tx.changed(func() {
			if temp[key] == t {
				delete(temp, key)
			}
		})
		return nil
	}
	db := x.s.db
	db.put(t)
	tx.changed(func() { db.remove(t) })
	return nil
}

func (x *execution) createTable(tx *transaction, st *ast.CreateTableStatement) error {
	if !temporaryName(st.SchemaObjectName.BaseIdentifier.Value) {
		if err := x.writes(tx, nil); err != nil {
			return err
		}
	}
	if st.SelectStatement != nil {
		p, err := x.compiler(nil).queryOf(st.SelectStatement)
		if err != nil {
			return err
		}
		_, err = x.createAs(tx, st.SchemaObjectName, st.CtasColumns, p)
		return err
	}
	if st.Definition == nil || st.AsFileTable || st.AsNode || st.AsEdge {
		return unsupported("this form of CREATE TABLE")
	}
	t, err := x.newTable(st.SchemaObjectName)
	if err != nil {
		return err
	}
	if err := x.define(t, st.Definition); err != nil {
		return err
	}
	if err := x.partitioned(t, st.OnFileGroupOrPartitionScheme); err != nil {
		return err
	}
	for _, o := range st.Options {
		if ix, ok := o.(*ast.TableIndexOption); ok {
			if c, ok := ix.Value.(*ast.TableClusteredIndexType); ok && c.ColumnStore {
				t.storage = "CLUSTERED COLUMNSTORE"
			}
		}
	}
	return x.addTable(tx, t)
}

// partitioned checks the ON of a table or an index.
func (x *execution) partitioned(t *table, on *ast.FileGroupOrPartitionScheme) error {
	if on == nil {
		return nil
	}
	name := nameOf(on.Name)
	if len(on.PartitionSchemeColumns) == 0 {
		if strings.EqualFold(name, "primary") || strings.EqualFold(name, "default") {
			return nil
		}
		return value.Errorf(1921, "Invalid filegroup '%s' specified.", name)
	}
	if err := x.reads(); err != nil {
		return err
	}
	scheme := x.s.db.schemes[strings.ToLower(name)]
	if scheme == nil {
		return value.Errorf(1921, "Invalid partition scheme '%s' specified.", name)
	}
	col := t.column(on.PartitionSchemeColumns[0].Value)
	if col < 0 {
		return value.Errorf(1911, "Column name '%s' does not exist in the target table or view.", on.PartitionSchemeColumns[0].Value)
	}
	if got, want := t.columns[col].Type, scheme.function.typ; got.ID != want.ID {
		return value.Errorf(7726, "Partition column '%s' has data type %s which is different from the partition function '%s' parameter data type %s.",
			t.columns[col].Name, got, scheme.function.name, want)
	}
	for _, ix := range t.indexes {
		if ix.unique && ix.clustered && !contains(ix.columns, col) {
			return value.Errorf(1908, "Column '%s' is partitioning column of the index '%s'. Partition columns for a unique index must be a subset of the index key.", t.columns[col].Name, ix.name)
		}
	}
	t.scheme = scheme.name
	return nil
}

func contains(list []int, n int) bool {
	for _, x := range list {
		if x == n {
			return true
		}
	}
	return false
}

// define fills a table from its definition.
func (x *execution) define(t *table, d *ast.TableDefinition) error {
	if d == nil || d.SystemTimePeriod != nil {
		return unsupported("this definition of a table")
	}
	for _, c := range d.ColumnDefinitions {
		if err := x.defineColumn(t, c); err != nil {
			return err
		}
	}
	if len(t.columns) == 0 {
		return value.Errorf(102, "Incorrect syntax: a table needs columns.")
	}
	for _, k := range d.TableConstraints {
		if err := x.constraint(t, k, nil); err != nil {
			return err
		}
	}
	for _, ix := range d.Indexes {
		if err := x.inlineIndex(t, ix, nil); err != nil {
			return err
		}
	}
	return nil
}

func (x *execution) defineColumn(t *table, c *ast.ColumnDefinition) error {
	name := c.ColumnIdentifier.Value
	switch {
	case c.ComputedColumnExpression != nil, c.GeneratedAlways != "", c.Encryption != nil, c.IsMasked:
		return unsupported("column '%s': computed, generated, encrypted and masked columns", name)
	case t.column(name) >= 0:
		return value.Errorf(2705, "Column names in each table must be unique. Column name '%s' in table '%s' is specified more than once.", name, t.name)
	case len(t.columns) >= 1024:
		return value.Errorf(1702, "CREATE TABLE failed because column '%s' in table '%s' exceeds the maximum of 1024 columns.", name, t.name)
	}
	typ, err := x.typeOf(c.DataType)
	if err != nil {
		return err
	}
	if c.Collation != nil {
		col, ok := value.CollationNamed(c.Collation.Value)
		if !ok {
			return value.Errorf(448, "Invalid collation '%s'.", c.Collation.Value)
		}
		typ.Collation = col
	}
	col := tableColumn{Column: value.Column{Name: name, Type: typ, Nullable: true}}
	if c.Nullable != nil {
		col.Nullable = c.Nullable.Nullable
	}
	if c.IdentityOptions != nil {
		if err := x.identityOf(t, &col, c.IdentityOptions); err != nil {
			return err
		}
	}
	if c.DefaultConstraint != nil {
		col.fallback = x.fallback(t, name, c.DefaultConstraint)
	}
	t.columns = append(t.columns, col)
	at := len(t.columns) - 1
	for _, k := range c.Constraints {
		if n, ok := k.(*ast.NullableConstraintDefinition); ok {
			t.columns[at].Nullable = n.Nullable
			continue
		}
		if d, ok := k.(*ast.DefaultConstraintDefinition); ok {
			t.columns[at].fallback = x.fallback(t, name, d)
			continue
		}
		if err := x.constraint(t, k, &at); err != nil {
			return err
		}
	}
	if c.Index != nil {
		return x.inlineIndex(t, c.Index, &at)
	}
	return nil
}

func (x *execution) fallback(t *table, column string, d *ast.DefaultConstraintDefinition) *fallback {
	name := aliasOf(d.ConstraintIdentifier)
	if name == "" {
		name = generated("DF", t, column)
	}
	return &fallback{name: name, expr: d.Expression, text: x.sc.src}
}

// generated makes up a constraint's name, as SQL Server does.
func generated(prefix string, t *table, of string) string {
	return fmt.Sprintf("%s__%.9s__%08X", prefix, t.name, crc32.ChecksumIEEE([]byte(fmt.Sprint(t.id, of))))
}

func (x *execution) identityOf(t *table, col *tableColumn, o *ast.IdentityOptions) error {
	t.seed, t.step = 1, 1
	for _, part := range []struct {
		e  ast.ScalarExpression
		to *int64
	}{{o.IdentitySeed, &t.seed}, {o.IdentityIncrement, &t.step}} {
		if part.e == nil {
			continue
		}
		e, err := x.compiler(nil).scalar(part.e)
		if err != nil {
			return err
		}
		v, err := x.compiler(nil).convert(e, bigType).eval(&env{x: x})
		if err != nil {
			return err
		}
		*part.to = v.Int()
	}
	if !col.Type.ID.Integer() {
		return unsupported("an identity of type %s", col.Type)
	}
	t.identity = t.seed
	col.Identity, col.Nullable = true, false
	return nil
}

// constraint adds a constraint to a table; column is that which it stands at.
func (x *execution) constraint(t *table, k any, column *int) error {
	switch k := k.(type) {
	case *ast.UniqueConstraintDefinition:
		return x.uniqueConstraint(t, k, column)
	case *ast.CheckConstraintDefinition:
		name := aliasOf(k.ConstraintIdentifier)
		if name == "" {
			name = generated("CK", t, x.sc.src.slice(k.Frag()))
		}
		at := 0
		if column != nil {
			at = *column
		}
		t.columns[at].check = append(t.columns[at].check, checkConstraint{name, k.CheckCondition, x.sc.src})
		return nil
	case *ast.DefaultConstraintDefinition:
		at := -1
		if k.Column != nil {
			at = t.column(k.Column.Value)
		}
		if at < 0 {
			return value.Errorf(1752, "Column is invalid for creating a default constraint.")
		}
		t.columns[at].fallback = x.fallback(t, t.columns[at].Name, k)
		return nil
	}
	return unknownNode(k)
}

func (x *execution) uniqueConstraint(t *table, k *ast.UniqueConstraintDefinition, column *int) error {
	ix := &index{name: aliasOf(k.ConstraintIdentifier), unique: true, primary: k.IsPrimaryKey, constraint: true}
	ix.clustered = k.Clustered || k.IndexType != nil && strings.EqualFold(k.IndexType.IndexTypeKind, "Clustered") ||
		k.IsPrimaryKey && k.IndexType == nil && t.storage == "HEAP"
	var err error
	switch {
	case len(k.Columns) > 0:
		ix.columns, err = t.keyColumns(k.Columns)
	case column != nil:
		ix.columns = []int{*column}
	default:
		err = unsupported("a key without columns")
	}
	if err != nil {
		return err
	}
	if ix.name == "" {
		prefix := "UQ"
		if ix.primary {
			prefix = "PK"
		}
		ix.name = generated(prefix, t, fmt.Sprint(ix.columns))
	}
	for _, c := range ix.columns {
		if ix.primary && column == nil && t.columns[c].Nullable && t.live > 0 {
			return value.Errorf(8111, "Cannot define PRIMARY KEY constraint on nullable column in table '%s'.", t.name)
		}
		if ix.primary {
			t.columns[c].Nullable = false
		}
	}
	if ix.primary {
		for _, o := range t.indexes {
			if o.primary {
				return value.Errorf(1779, "Table '%s' already has a primary key defined on it.", t.name)
			}
		}
	}
	if k.IsEnforced != nil && !*k.IsEnforced { // a dedicated SQL pool's
		ix.unique = false
	}
	if err := x.partitioned(t, k.OnFileGroupOrPartitionScheme); err != nil {
		return err
	}
	return x.put(t, ix)
}

// put adds an index to a table.
func (x *execution) put(t *table, ix *index) error {
	for _, o := range t.indexes {
		if strings.EqualFold(o.name, ix.name) {
			return value.Errorf(1913, "The operation failed because an index or statistics with name '%s' already exists on table '%s'.", ix.name, t.full())
		}
		if o.clustered && ix.clustered {
			return value.Errorf(1902, "Cannot create more than one clustered index on table '%s'. Drop the existing clustered index '%s' before creating another.", t.full(), o.name)
		}
	}
	for _, c := range ix.columns {
		if typ := t.columns[c].Type; !ix.column && typ.Length == value.Max && (typ.ID.Text() || typ.ID.Bytes()) {
			return value.Errorf(1919, "Column '%s' in table '%s' is of a type that is invalid for use as a key column in an index.", t.columns[c].Name, t.full())
		}
	}
	if ix.clustered {
		t.storage = "CLUSTERED"
		if ix.column {
			t.storage = "CLUSTERED COLUMNSTORE"
		}
	}
	return sqlError(t.addIndex(ix))
}

func (t *table) keyColumns(list []*ast.ColumnWithSortOrder) ([]int, error) {
	var refs []*ast.ColumnReferenceExpression
	for _, c := range list {
		refs = append(refs, c.Column)
	}
	out, err := t.pick(refs)
	if e := asSQL(err); e != nil && e.Number == 207 {
		return nil, value.Errorf(1911, "Column name does not exist in the target table or view: %s", e.Message)
	}
	return out, err
}

func (x *execution) inlineIndex(t *table, d *ast.IndexDefinition, column *int) error {
	ix := &index{name: aliasOf(d.Name), unique: d.Unique}
	kind := ""
	if d.IndexType != nil {
		kind = strings.ToLower(d.IndexType.IndexTypeKind)
	}
	ix.clustered = strings.HasPrefix(kind, "clustered")
	ix.column = strings.HasSuffix(kind, "columnstore")
	if d.FilterPredicate != nil && d.Unique {
		return unsupported("a filtered unique index")
	}
	var err error
	switch {
	case len(d.Columns) > 0:
		ix.columns, err = t.keyColumns(d.Columns)
	case column != nil:
		ix.columns = []int{*column}
	case !ix.column:
		err = unsupported("an index without columns")
	}
	if err != nil {
		return err
	}
	return x.put(t, ix)
}

func (x *execution) createIndex(tx *transaction, st *ast.CreateIndexStatement) error {
	t, err := x.tableNamed(st.OnName)
	if err != nil {
		return err
	}
	if err := x.writes(tx, t); err != nil {
		return err
	}
	if st.FilterPredicate != nil && st.Unique {
		return unsupported("a filtered unique index")
	}
	cols, err := t.keyColumns(st.Columns)
	if err != nil {
		return err
	}
	ix := &index{name: st.Name.Value, unique: st.Unique, clustered: st.Clustered != nil && *st.Clustered, columns: cols}
	return x.addIndex(tx, t, ix)
}

func (x *execution) addIndex(tx *transaction, t *table, ix *index) error {
	storage := t.storage
	if err := x.put(t, ix); err != nil {
		return err
	}
	tx.changed(func() { t.storage = storage; t.withdraw(ix) })
	return nil
}

// withdraw takes an index out of a table.
func (t *table) withdraw(ix *index) {
	for i, o := range t.indexes {
		if o == ix {
			t.indexes = append(append([]*index(nil), t.indexes[:i]...), t.indexes[i+1:]...)
			return
		}
	}
}

func (x *execution) dropTables(tx *transaction, st *ast.DropTableStatement) error {
	for _, n := range st.Objects {
		if !temporaryName(n.BaseIdentifier.Value) {
			if err := x.writes(tx, nil); err != nil {
				return err
			}
		}
		schema, name, err := x.place(n)
		if err != nil {
			return err
		}
		t, ok := x.lookup(schema, name).(*table)
		if !ok {
			if st.IsIfExists {
				continue
			}
			e := value.Errorf(3701, "Cannot drop the table '%s', because it does not exist or you do not have permission.", schemaName(n))
			e.Class, e.State = 11, 5
			return e
		}
		x.dropTable(tx, t)
	}
	return nil
}

func (x *execution) dropTable(tx *transaction, t *table) {
	if t.own {
		key := strings.ToLower(t.name)
		temp := x.s.temp
		delete(temp, key)
		tx.changed(func() { temp[key] = t })
		return
	}
	db := x.s.db
	db.remove(t)
	tx.changed(func() { db.put(t) })
}
