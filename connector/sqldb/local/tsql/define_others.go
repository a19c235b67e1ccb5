package tsql

import (
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// defineOthers creates and drops what is not a table.
func (x *execution) defineOthers(tx *transaction, st ast.Statement) (known bool, err error) {
	switch st := st.(type) {
	case *ast.CreateSchemaStatement:
		return true, x.createSchema(tx, st)
	case *ast.DropSchemaStatement:
		return true, x.dropSchema(tx, st)
	case *ast.CreatePartitionFunctionStatement:
		return true, x.createPartitionFunction(tx, st)
	case *ast.CreatePartitionSchemeStatement:
		return true, x.createPartitionScheme(tx, st)
	case *ast.DropPartitionFunctionStatement:
		return true, x.dropPartitionFunction(tx, st)
	case *ast.DropPartitionSchemeStatement:
		return true, x.dropPartitionScheme(tx, st)
	case *ast.CreateTypeTableStatement:
		return true, x.createType(tx, st)
	case *ast.DropTypeStatement:
		return true, x.dropType(tx, st)
	case *ast.CreateViewStatement:
		return true, x.createObject(tx, st.SchemaObjectName, false, func(o objectInfo) object {
			o.kind = "V"
			return &view{objectInfo: o, columns: st.Columns, text: x.sc.src.text, query: st.SelectStatement}
		})
	case *ast.CreateProcedureStatement:
		return true, x.createProcedure(tx, st.ProcedureReference, st.Parameters, st.StatementList, false)
	case *ast.CreateOrAlterProcedureStatement:
		return true, x.createProcedure(tx, st.ProcedureReference, st.Parameters, st.StatementList, true)
	case *ast.DropViewStatement:
		return true, x.dropObjects(tx, st.Objects, st.IsIfExists, "V", "view")
	case *ast.DropProcedureStatement:
		return true, x.dropObjects(tx, st.Objects, st.IsIfExists, "P", "procedure")
	}
	return false, nil
}

func (x *execution) createSchema(tx *transaction, st *ast.CreateSchemaStatement) error {
	db, key := x.s.db, strings.ToLower(st.Name.Value)
	if db.schemas[key] != nil {
		e := value.Errorf(2714, "There is already an object named '%s' in the database.", st.Name.Value)
		e.State = 6
		return e
	}
	if st.StatementList != nil && len(st.StatementList.Statements) > 0 {
		return unsupported("CREATE SCHEMA with its tables")
	}
	s := newSchema(st.Name.Value, db.newID())
	db.setSchema(key, s)
	tx.changed(func() { db.setSchema(key, nil) })
	return nil
}

func (db *database) setSchema(key string, s *schema) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if s == nil {
		delete(db.schemas, key)
		return
	}
	db.schemas[key] = s
}

func (x *execution) dropSchema(tx *transaction, st *ast.DropSchemaStatement) error {
	db, key := x.s.db, strings.ToLower(st.Schema.BaseIdentifier.Value)
	s := db.schemas[key]
	switch {
	case s == nil && st.IsIfExists:
		return nil
	case s == nil:
		return value.Errorf(15151, "Cannot drop the schema '%s', because it does not exist or you do not have permission.", st.Schema.BaseIdentifier.Value)
	case len(s.objects)+len(s.types) > 0:
		return value.Errorf(3729, "Cannot drop schema '%s' because it is being referenced by an object of it.", s.name)
	}
	db.setSchema(key, nil)
	tx.changed(func() { db.setSchema(key, s) })
	return nil
}

func (x *execution) createPartitionFunction(tx *transaction, st *ast.CreatePartitionFunctionStatement) error {
	db, key := x.s.db, strings.ToLower(st.Name.Value)
	if db.functions[key] != nil {
		e := value.Errorf(7707, "The associated partition function or scheme '%s' exists already.", st.Name.Value)
		e.Number = 2714
		return e
	}
	t, err := x.typeOf(st.ParameterType.DataType)
	if err != nil {
		return err
	}
	f := &partitionFunction{name: st.Name.Value, id: db.newID(), typ: t, right: st.Range == "Right"}
	c := x.compiler(nil)
	for _, b := range st.BoundaryValues {
		e, err := c.scalar(b)
		if err != nil {
			return err
		}
		v, err := c.convert(e, t).eval(c.env(nil))
		if err != nil {
			return err
		}
		f.bounds = append(f.bounds, v)
	}
	db.functions[key] = f
	tx.changed(func() { delete(db.functions, key) })
	return nil
}

func (x *execution) createPartitionScheme(tx *transaction, st *ast.CreatePartitionSchemeStatement) error {
	db, key := x.s.db, strings.ToLower(st.Name.Value)
	f := db.functions[strings.ToLower(st.PartitionFunction.Value)]
	switch {
	case db.schemes[key] != nil:
		return value.Errorf(2714, "There is already an object named '%s' in the database.", st.Name.Value)
	case f == nil:
		return value.Errorf(7716, "Invalid partition function '%s' specified.", st.PartitionFunction.Value)
	case !st.IsAll && len(st.FileGroups) < len(f.bounds)+1:
		return value.Errorf(7707, "The associated partition function '%s' generates more partitions than there are file groups mentioned in the scheme '%s'.", f.name, st.Name.Value)
	}
	db.schemes[key] = &partitionScheme{name: st.Name.Value, id: db.newID(), function: f}
	tx.changed(func() { delete(db.schemes, key) })
	return nil
}

func (x *execution) dropPartitionFunction(tx *transaction, st *ast.DropPartitionFunctionStatement) error {
	db, key := x.s.db, strings.ToLower(st.Name.Value)
	f := db.functions[key]
	if f == nil {
		if st.IsIfExists {
			return nil
		}
		return value.Errorf(3701, "Cannot drop the partition function '%s', because it does not exist or you do not have permission.", st.Name.Value)
	}
	for _, s := range db.schemes {
		if s.function == f {
			return value.Errorf(7706, "Partition function '%s' is being used by one or more partition schemes.", f.name)
		}
	}
	delete(db.functions, key)
	tx.changed(func() { db.functions[key] = f })
	return nil
}

func (x *execution) dropPartitionScheme(tx *transaction, st *ast.DropPartitionSchemeStatement) error {
	db, key := x.s.db, strings.ToLower(st.Name.Value)
	s := db.schemes[key]
	if s == nil {
		if st.IsIfExists {
			return nil
		}
		return value.Errorf(3701, "Cannot drop the partition scheme '%s', because it does not exist or you do not have permission.", st.Name.Value)
	}
	for _, o := range db.objects("U") {
		if t, ok := o.(*table); ok && t.scheme == s.name {
			return value.Errorf(7717, "The partition scheme \"%s\" is currently being used to partition one or more tables.", s.name)
		}
	}
	delete(db.schemes, key)
	tx.changed(func() { db.schemes[key] = s })
	return nil
}

func (x *execution) createType(tx *transaction, st *ast.CreateTypeTableStatement) error {
	schema, name, err := x.place(st.Name)
	if err != nil {
		return err
	}
	s := x.s.db.schemas[strings.ToLower(schema)]
	switch {
	case s == nil:
		return value.Errorf(2760, "The specified schema name \"%s\" either does not exist or you do not have permission to use it.", schema)
	case x.s.db.typeNamed(schema, name) != nil:
		return value.Errorf(219, "The type '%s.%s' already exists, or you do not have permission to create it.", schema, name)
	}
	t := &table{objectInfo: objectInfo{name: name, schema: s, kind: "TT", id: x.s.db.newID()}, own: true, storage: "HEAP"}
	if err := x.define(t, st.Definition); err != nil {
		return err
	}
	key := strings.ToLower(name)
	x.s.db.setType(s, key, t)
	tx.changed(func() { x.s.db.setType(s, key, nil) })
	return nil
}

func (db *database) setType(s *schema, key string, t *table) {
	db.mu.Lock()
	defer db.mu.Unlock()
	if t == nil {
		delete(s.types, key)
		return
	}
	s.types[key] = t
}

func (x *execution) dropType(tx *transaction, st *ast.DropTypeStatement) error {
	schema, name, err := x.place(st.Name)
	if err != nil {
		return err
	}
	t := x.s.db.typeNamed(schema, name)
	if t == nil {
		if st.IsIfExists {
			return nil
		}
		return value.Errorf(218, "Could not find the type '%s'. Either it does not exist or you do not have the necessary permission.", schemaName(st.Name))
	}
	key, db := strings.ToLower(name), x.s.db
	db.setType(t.schema, key, nil)
	tx.changed(func() { db.setType(t.schema, key, t) })
	return nil
}

// createObject adds a view or a procedure.
func (x *execution) createObject(tx *transaction, n *ast.SchemaObjectName, replace bool, build func(objectInfo) object) error {
	schema, name, err := x.place(n)
	if err != nil {
		return err
	}
	s := x.s.db.schemas[strings.ToLower(schema)]
	if s == nil {
		return value.Errorf(2760, "The specified schema name \"%s\" either does not exist or you do not have permission to use it.", schema)
	}
	o := build(objectInfo{name: name, schema: s, id: x.s.db.newID()})
	db, old := x.s.db, x.s.db.find(schema, name)
	if old != nil && (!replace || old.common().kind != o.common().kind) {
		return value.Errorf(2714, "There is already an object named '%s' in the database.", name)
	}
	db.put(o)
	tx.changed(func() {
		db.remove(o)
		if old != nil {
			db.put(old)
		}
	})
	return nil
}

func (x *execution) createProcedure(tx *transaction, ref *ast.ProcedureReference, params []*ast.ProcedureParameter, body *ast.StatementList, replace bool) error {
	if body == nil {
		return unsupported("a procedure without statements")
	}
	return x.createObject(tx, ref.Name, replace, func(o objectInfo) object {
		o.kind = "P"
		return &procedure{objectInfo: o, params: params, body: body.Statements, text: x.sc.src.text}
	})
}

func (x *execution) dropObjects(tx *transaction, list []*ast.SchemaObjectName, ifExists bool, kind, word string) error {
	db := x.s.db
	for _, n := range list {
		schema, name, err := x.place(n)
		if err != nil {
			return err
		}
		o := db.find(schema, name)
		if o == nil || o.common().kind != kind {
			if ifExists {
				continue
			}
			e := value.Errorf(3701, "Cannot drop the %s '%s', because it does not exist or you do not have permission.", word, schemaName(n))
			e.Class, e.State = 11, 5
			return e
		}
		db.remove(o)
		tx.changed(func() { db.put(o) })
	}
	return nil
}
