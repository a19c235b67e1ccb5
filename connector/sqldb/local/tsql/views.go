package tsql

import (
	"slices"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// systemView is a view of the catalogue.
type systemView struct {
	columns []value.Column
	rows    func(x *execution) [][]value.Value
}

func col(name string, t value.Type) value.Column {
	return value.Column{Name: name, Type: t, Nullable: true}
}

var (
	bitType  = value.Of(value.Bit)
	tinyType = value.Of(value.TinyInt)
	smallInt = value.Of(value.SmallInt)
	kindType = value.Type{ID: value.Char, Length: 2}
)

var systemViews = map[string]systemView{
	"sys.schemas":             {[]value.Column{col("name", nameType), col("schema_id", intType), col("principal_id", intType)}, schemaRows},
	"sys.objects":             {objectColumns, objectRows("")},
	"sys.tables":              {objectColumns, objectRows("U")},
	"sys.views":               {objectColumns, objectRows("V")},
	"sys.procedures":          {objectColumns, objectRows("P")},
	"sys.partition_functions": {[]value.Column{col("name", nameType), col("function_id", intType), col("fanout", intType), col("boundary_value_on_right", bitType)}, functionRows},
	"sys.partition_schemes":   {[]value.Column{col("name", nameType), col("data_space_id", intType), col("function_id", intType)}, schemeRows},
	"sys.databases":           {[]value.Column{col("name", nameType), col("database_id", intType)}, databaseRows},
	"sys.types": {[]value.Column{col("name", nameType), col("system_type_id", tinyType), col("user_type_id", intType), col("schema_id", intType),
		col("max_length", smallInt), col("is_table_type", bitType)}, typeRows},
	"sys.columns": {[]value.Column{col("object_id", intType), col("name", nameType), col("column_id", intType), col("system_type_id", tinyType), col("user_type_id", intType),
		col("max_length", smallInt), col("precision", tinyType), col("scale", tinyType), col("collation_name", nameType), col("is_nullable", bitType),
		col("is_identity", bitType), col("is_computed", bitType), col("default_object_id", intType)}, columnRows},
	"sys.indexes": {[]value.Column{col("object_id", intType), col("name", nameType), col("index_id", intType), col("type", tinyType), col("type_desc", nameType),
		col("is_unique", bitType), col("is_primary_key", bitType), col("is_unique_constraint", bitType)}, indexRows},
	"information_schema.tables": {[]value.Column{col("TABLE_CATALOG", nameType), col("TABLE_SCHEMA", nameType), col("TABLE_NAME", nameType), col("TABLE_TYPE", nameType)}, tableRows},
	"information_schema.columns": {[]value.Column{col("TABLE_CATALOG", nameType), col("TABLE_SCHEMA", nameType), col("TABLE_NAME", nameType), col("COLUMN_NAME", nameType),
		col("ORDINAL_POSITION", intType), col("IS_NULLABLE", nameType), col("DATA_TYPE", nameType), col("CHARACTER_MAXIMUM_LENGTH", intType)}, informationColumns},
}

var objectColumns = []value.Column{col("name", nameType), col("object_id", intType), col("schema_id", intType), col("type", kindType), col("type_desc", nameType)}

// systemView makes a relation of a view of the system, nil if it is none.
func (c *compiler) systemView(n *ast.SchemaObjectName, alias string) (*relation, error) {
	if n.SchemaIdentifier == nil {
		return nil, nil
	}
	schema := strings.ToLower(n.SchemaIdentifier.Value)
	if schema != "sys" && schema != "information_schema" {
		return nil, nil
	}
	v, ok := systemViews[schema+"."+strings.ToLower(n.BaseIdentifier.Value)]
	if !ok {
		return nil, value.Errorf(208, "Invalid object name '%s' (this test server does not have it).", schemaName(n))
	}
	if err := c.x.reads(); err != nil {
		return nil, err
	}
	p := &plan{columns: v.columns, run: func(_ *env, emit func([]value.Value) error) error {
		for _, r := range v.rows(c.x) {
			if err := emit(r); err != nil {
				return err
			}
		}
		return nil
	}}
	return planRelation(p, alias, nil, func(v *env) *env { return v })
}

func str(s string) value.Value                               { return value.FromString(s) }
func num[T ~int | ~int32 | ~int64 | ~uint8](n T) value.Value { return value.FromInt(int64(n)) }

func schemaRows(x *execution) (out [][]value.Value) {
	for _, s := range x.s.db.schemas {
		out = append(out, []value.Value{str(s.name), num(s.id), num(1)})
	}
	return out
}

var kinds = map[string]string{"U": "USER_TABLE", "V": "VIEW", "P": "SQL_STORED_PROCEDURE"}

func objectRows(kind string) func(x *execution) [][]value.Value {
	return func(x *execution) (out [][]value.Value) {
		for _, o := range x.s.db.objects(kind) {
			i := o.common()
			out = append(out, []value.Value{str(i.name), num(i.id), num(i.schema.id), str(i.kind), str(kinds[i.kind])})
		}
		return out
	}
}

func functionRows(x *execution) (out [][]value.Value) {
	for _, f := range x.s.db.functions {
		out = append(out, []value.Value{str(f.name), num(f.id), num(len(f.bounds) + 1), value.FromBool(f.right)})
	}
	return out
}

func schemeRows(x *execution) (out [][]value.Value) {
	for _, s := range x.s.db.schemes {
		out = append(out, []value.Value{str(s.name), num(s.id), num(s.function.id)})
	}
	return out
}

func databaseRows(x *execution) (out [][]value.Value) {
	for i, name := range x.s.engine.names() {
		out = append(out, []value.Value{str(name), num(i + 1)})
	}
	return out
}

func (e *Engine) names() []string {
	e.mu.RLock()
	defer e.mu.RUnlock()
	var out []string
	for _, db := range e.databases {
		out = append(out, db.name)
	}
	slices.Sort(out)
	return out
}

// typeID are the numbers of types in sys.types.
var typeID = map[value.ID]int{
	value.GUID: 36, value.Date: 40, value.Time: 41, value.DateTime2: 42, value.DateTimeOffset: 43, value.TinyInt: 48, value.SmallInt: 52, value.Int: 56,
	value.SmallDateTime: 58, value.Real: 59, value.Money: 60, value.DateTime: 61, value.Float: 62, value.Bit: 104, value.Decimal: 106, value.SmallMoney: 122,
	value.BigInt: 127, value.VarBinary: 165, value.VarChar: 167, value.Binary: 173, value.Char: 175, value.NVarChar: 231, value.NChar: 239,
}

// storedLength is max_length of sys.columns, in bytes.
func storedLength(t value.Type) int {
	clock := 5
	switch {
	case t.Scale <= 2:
		clock = 3
	case t.Scale <= 4:
		clock = 4
	}
	switch {
	case t.ID.National() && t.Length > 0:
		return 2 * t.Length
	case t.ID.Text() || t.ID.Bytes():
		return t.Length
	case t.ID == value.Time:
		return clock
	case t.ID == value.DateTime2:
		return clock + 3
	case t.ID == value.DateTimeOffset:
		return clock + 5
	case t.ID == value.Decimal:
		switch {
		case t.Precision <= 9:
			return 5
		case t.Precision <= 19:
			return 9
		case t.Precision <= 28:
			return 13
		}
		return 17
	case t.ID == value.GUID:
		return 16
	case t.ID == value.Date:
		return 3
	}
	switch t.ID {
	case value.Bit, value.TinyInt:
		return 1
	case value.SmallInt:
		return 2
	case value.Int, value.Real, value.SmallMoney, value.SmallDateTime:
		return 4
	}
	return 8
}

func typeRows(x *execution) (out [][]value.Value) {
	for id, n := range typeID {
		t := value.Of(id)
		out = append(out, []value.Value{str(t.Name()), num(n), num(n), num(4), num(storedLength(t)), num(0)})
	}
	out = append(out, []value.Value{str("sysname"), num(231), num(256), num(4), num(256), num(0)})
	for _, s := range x.s.db.schemas {
		for _, t := range s.types {
			out = append(out, []value.Value{str(t.name), num(243), num(t.id), num(s.id), num(-1), num(1)})
		}
	}
	return out
}

func columnRows(x *execution) (out [][]value.Value) {
	add := func(t *table) {
		for i, c := range t.columns {
			fallback := 0
			if c.fallback != nil {
				fallback = int(t.id) + i + 1
			}
			precision, scale := c.Type.Precision, c.Type.Scale
			collation := value.Value{}
			if c.Type.ID.Text() {
				collation = str("SQL_Latin1_General_CP1_CI_AS")
			}
			out = append(out, []value.Value{num(t.id), str(c.Name), num(i + 1), num(typeID[c.Type.ID]), num(typeID[c.Type.ID]), num(storedLength(c.Type)), num(precision),
				num(scale), collation, value.FromBool(c.Nullable), value.FromBool(c.Identity), num(0), num(fallback)})
		}
	}
	for _, o := range x.s.db.objects("U") {
		if t, ok := o.(*table); ok {
			add(t)
		}
	}
	for _, t := range x.s.temp {
		add(t)
	}
	return out
}

func indexRows(x *execution) (out [][]value.Value) {
	for _, o := range x.s.db.objects("U") {
		t, ok := o.(*table)
		if !ok {
			continue
		}
		if t.storage == "HEAP" {
			out = append(out, []value.Value{num(t.id), {}, num(0), num(0), str("HEAP"), num(0), num(0), num(0)})
		}
		next := 2
		for _, ix := range t.indexes {
			id, kind, desc := 1, 1, "CLUSTERED"
			if !ix.clustered {
				id, kind, desc = next, 2, "NONCLUSTERED"
				next++
			}
			if ix.column {
				kind, desc = kind+4, desc+" COLUMNSTORE"
			}
			out = append(out, []value.Value{num(t.id), str(ix.name), num(id), num(kind), str(desc), value.FromBool(ix.unique), value.FromBool(ix.primary),
				value.FromBool(ix.constraint && !ix.primary)})
		}
	}
	return out
}

func tableRows(x *execution) (out [][]value.Value) {
	for _, kind := range []string{"U", "V"} {
		for _, o := range x.s.db.objects(kind) {
			name := map[string]string{"U": "BASE TABLE", "V": "VIEW"}[kind]
			out = append(out, []value.Value{str(x.s.db.name), str(o.common().schema.name), str(o.common().name), str(name)})
		}
	}
	return out
}

func informationColumns(x *execution) (out [][]value.Value) {
	for _, o := range x.s.db.objects("U") {
		t, ok := o.(*table)
		if !ok {
			continue
		}
		for i, c := range t.columns {
			length := value.Value{}
			if c.Type.ID.Text() || c.Type.ID.Bytes() {
				length = num(c.Type.Length)
			}
			nullable := "NO"
			if c.Nullable {
				nullable = "YES"
			}
			out = append(out, []value.Value{str(x.s.db.name), str(t.schema.name), str(t.name), str(c.Name), num(i + 1), str(nullable), str(c.Type.Name()), length})
		}
	}
	return out
}

// catalogFunctions look things up by name.
func catalogFunctions() map[string]builtin {
	names := []value.Type{nameType}
	f := func(least, most int, result value.Type, f fn) builtin {
		return builtin{least: least, most: most, params: names, result: result, f: func(v *env, a []value.Value, t []value.Type) (value.Value, error) {
			if err := v.x.reads(); err != nil {
				return value.Value{}, err
			}
			return f(v, a, t)
		}}
	}
	return map[string]builtin{
		"OBJECT_ID": f(1, 2, intType, objectID),
		"SCHEMA_ID": f(0, 1, intType, func(v *env, a []value.Value, _ []value.Type) (value.Value, error) {
			name := "dbo"
			if len(a) > 0 {
				name = a[0].Text()
			}
			if s := v.x.s.db.schemas[strings.ToLower(name)]; s != nil {
				return num(s.id), nil
			}
			return value.Value{}, nil
		}),
		"TYPE_ID": f(1, 1, intType, func(v *env, a []value.Value, _ []value.Type) (value.Value, error) {
			parts := splitDots(a[0].Text())
			schema := "dbo"
			if len(parts) > 1 {
				schema = parts[len(parts)-2]
			}
			if t := v.x.s.db.typeNamed(schema, parts[len(parts)-1]); t != nil {
				return num(t.id), nil
			}
			if t, failed := value.Declared(parts[len(parts)-1], nil); failed == nil {
				return num(typeID[t.ID]), nil
			}
			return value.Value{}, nil
		}),
		"DB_NAME":     f(0, 0, nameType, func(v *env, _ []value.Value, _ []value.Type) (value.Value, error) { return str(v.x.s.db.name), nil }),
		"DB_ID":       f(0, 1, smallInt, databaseID),
		"SCHEMA_NAME": f(0, 0, nameType, func(*env, []value.Value, []value.Type) (value.Value, error) { return str("dbo"), nil }),
		"SUSER_NAME":  f(0, 0, nameType, userName), "SUSER_SNAME": f(0, 0, nameType, userName), "ORIGINAL_LOGIN": f(0, 0, nameType, userName),
		"USER_NAME": f(0, 0, nameType, userName), "CURRENT_USER": f(0, 0, nameType, userName), "CURRENTUSER": f(0, 0, nameType, userName),
		"COL_LENGTH": f(2, 2, smallInt, columnLength),
		"CURRENT_TRANSACTION_ID": f(0, 0, bigType, func(v *env, _ []value.Value, _ []value.Type) (value.Value, error) {
			return value.FromInt(int64(v.x.s.Descriptor())), nil
		}),
	}
}

func userName(v *env, _ []value.Value, _ []value.Type) (value.Value, error) {
	return str(v.x.s.user), nil
}

func databaseID(v *env, a []value.Value, _ []value.Type) (value.Value, error) {
	name := v.x.s.db.name
	if len(a) > 0 {
		name = a[0].Text()
	}
	for i, n := range v.x.s.engine.names() {
		if strings.EqualFold(n, name) {
			return num(i + 1), nil
		}
	}
	return value.Value{}, nil
}

// objectNamed finds what a text names: in brackets or not, with or without a
// schema and a database.
func objectNamed(x *execution, name string) object {
	n := splitName(name)
	schema, base, err := x.place(n)
	if err != nil {
		return nil
	}
	return x.lookup(schema, base)
}

func objectID(v *env, a []value.Value, _ []value.Type) (value.Value, error) {
	o := objectNamed(v.x, a[0].Text())
	if o == nil || len(a) > 1 && !strings.EqualFold(strings.TrimSpace(a[1].Text()), o.common().kind) {
		return value.Value{}, nil
	}
	return num(o.common().id), nil
}

func columnLength(v *env, a []value.Value, _ []value.Type) (value.Value, error) {
	if t, ok := objectNamed(v.x, a[0].Text()).(*table); ok {
		if i := t.column(a[1].Text()); i >= 0 {
			return num(storedLength(t.columns[i].Type)), nil
		}
	}
	return value.Value{}, nil
}
