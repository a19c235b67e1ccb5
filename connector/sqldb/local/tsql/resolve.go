package tsql

import (
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

func temporaryName(name string) bool { return strings.HasPrefix(name, "#") }

func schemaName(n *ast.SchemaObjectName) string { return joinNames(n.Identifiers) }

// place returns the schema and the name that an object's name means.
func (x *execution) place(n *ast.SchemaObjectName) (schema, name string, err error) {
	name = n.BaseIdentifier.Value
	if n.ServerIdentifier != nil {
		return "", "", unsupported("linked servers")
	}
	if d := n.DatabaseIdentifier; d != nil && !strings.EqualFold(d.Value, x.s.db.name) && !(strings.EqualFold(d.Value, "tempdb") && temporaryName(name)) {
		return "", "", unsupported("objects of another database (%s)", schemaName(n))
	}
	if n.SchemaIdentifier != nil && n.SchemaIdentifier.Value != "" {
		return n.SchemaIdentifier.Value, name, nil
	}
	return "dbo", name, nil
}

// object finds a table, view or procedure; 208 if there is none.
func (x *execution) object(n *ast.SchemaObjectName) (object, error) {
	schema, name, err := x.place(n)
	if err != nil {
		return nil, err
	}
	if !temporaryName(name) {
		if err := x.reads(); err != nil {
			return nil, err
		}
	}
	if o := x.lookup(schema, name); o != nil {
		return o, nil
	}
	return nil, value.Errorf(208, "Invalid object name '%s'.", schemaName(n))
}

func (x *execution) lookup(schema, name string) object {
	if temporaryName(name) {
		if t := x.s.temporary(name); t != nil {
			return t
		}
		return nil
	}
	return x.s.db.find(schema, name)
}

func (x *execution) tableNamed(n *ast.SchemaObjectName) (*table, error) {
	o, err := x.object(n)
	if err != nil {
		return nil, err
	}
	t, ok := o.(*table)
	if !ok {
		return nil, unsupported("changing '%s', which is not a table", schemaName(n))
	}
	return t, nil
}

func (x *execution) tableVariable(name string) (*table, error) {
	v := x.sc.variables[strings.ToLower(name)]
	if v == nil || v.table == nil {
		e := value.Errorf(1087, "Must declare the table variable \"%s\".", name)
		e.Class, e.State = 15, 2
		return nil, e
	}
	return v.table, nil
}

// tableType finds a table type, nil if there is none of that name.
func (x *execution) tableType(n *ast.SchemaObjectName) *table {
	if n == nil || n.BaseIdentifier == nil {
		return nil
	}
	schema := "dbo"
	if n.SchemaIdentifier != nil {
		schema = n.SchemaIdentifier.Value
	}
	return x.s.db.typeNamed(schema, n.BaseIdentifier.Value)
}

func (db *database) typeNamed(schema, name string) *table {
	db.mu.RLock()
	defer db.mu.RUnlock()
	if s := db.schemas[strings.ToLower(schema)]; s != nil {
		return s.types[strings.ToLower(name)]
	}
	return nil
}

// likeVariable makes an empty table variable of a table type.
func (t *table) likeVariable(name string) *table {
	out := &table{objectInfo: objectInfo{name: name, kind: "TT"}, columns: t.columns, own: true, variable: true,
		identity: t.seed, seed: t.seed, step: t.step, storage: t.storage}
	for _, ix := range t.indexes {
		c := *ix
		if c.entries != nil {
			c.entries = make(map[string]*row)
		}
		out.indexes = append(out.indexes, &c)
	}
	return out
}

// typeOf makes the type that a declaration names.
func (x *execution) typeOf(ref ast.DataTypeReference) (value.Type, error) {
	var name *ast.SchemaObjectName
	var params []ast.ScalarExpression
	switch ref := ref.(type) {
	case *ast.SqlDataTypeReference:
		name, params = ref.Name, ref.Parameters
	case *ast.UserDataTypeReference:
		name, params = ref.Name, ref.Parameters
	default:
		return value.Type{}, unsupported("this data type (%T)", ref)
	}
	if name == nil || name.BaseIdentifier == nil {
		return value.Type{}, unsupported("a data type without a name")
	}
	var args []int
	for _, p := range params {
		switch p := p.(type) {
		case *ast.MaxLiteral:
			args = append(args, value.Max)
		case *ast.IntegerLiteral:
			n := 0
			for _, d := range p.Value {
				n = min(100_000, n*10+int(d-'0'))
			}
			args = append(args, n)
		default:
			return value.Type{}, unknownNode(p)
		}
	}
	var words []string
	for _, id := range name.Identifiers {
		words = append(words, id.Value)
	}
	if len(words) == 2 && strings.EqualFold(words[0], "sys") {
		words = words[1:]
	}
	t, failed := value.Declared(strings.Join(words, "."), args)
	return t, sqlError(failed)
}

// typeForCast is typeOf where a text without a length has 30 characters.
func (x *execution) typeForCast(ref ast.DataTypeReference) (value.Type, error) {
	t, err := x.typeOf(ref)
	if s, ok := ref.(*ast.SqlDataTypeReference); ok && len(s.Parameters) == 0 && (t.ID.Text() || t.ID.Bytes()) && !strings.EqualFold(s.Name.BaseIdentifier.Value, "sysname") {
		t.Length = 30
	}
	return t, err
}
