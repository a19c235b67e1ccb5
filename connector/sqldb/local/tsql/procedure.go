package tsql

import (
	"context"
	"errors"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// Argument is an argument of a procedure's call.
type Argument struct {
	Name            string // with its @, or "" if it goes by position
	Output, Default bool
	Type            value.Type
	Value           value.Value
	// Rows is set if the argument is a table, of the type Table.
	Rows    [][]value.Value
	Columns []value.Type
	Table   string // schema.name of the table type, "" if it is none
	// back takes an output argument's value.
	back func(value.Value, value.Type) error
	// table is a table variable that is handed on as it is.
	table *table
}

// maxDepth is how deep procedures may call each other.
const maxDepth = 32

// Call runs a procedure for a client. It returns its status and what the
// output arguments are afterwards, in their order.
func (s *Session) Call(ctx context.Context, name string, args []Argument, out Sink) (status int32, outputs []Argument, err error) {
	x := &execution{ctx: ctx, s: s, out: out, sc: &scope{src: &source{}, variables: map[string]*variable{}, outermost: true}}
	for i := range args {
		if args[i].Output {
			a := &args[i]
			a.back = func(v value.Value, t value.Type) error { a.Value, a.Type = v, t; return nil }
		}
	}
	status, err = x.call(splitName(name), args)
	if e := asSQL(err); e != nil {
		err = x.failed(err, nil)
	}
	if errors.Is(err, errEnd) {
		status, err = -6, nil
	}
	for _, a := range args {
		if a.Output {
			outputs = append(outputs, a)
		}
	}
	return status, outputs, err
}

// splitName takes a name in brackets or dots apart.
func splitName(name string) *ast.SchemaObjectName {
	n := &ast.SchemaObjectName{}
	for _, part := range splitDots(name) {
		n.Identifiers = append(n.Identifiers, &ast.Identifier{Value: part})
	}
	k := len(n.Identifiers)
	n.BaseIdentifier = n.Identifiers[k-1]
	if k > 1 {
		n.SchemaIdentifier = n.Identifiers[k-2]
	}
	if k > 2 {
		n.DatabaseIdentifier = n.Identifiers[k-3]
	}
	return n
}

func splitDots(name string) []string {
	var parts []string
	var part strings.Builder
	closing := byte(0)
	for i := range len(name) {
		switch c := name[i]; {
		case closing != 0 && c == closing:
			closing = 0
		case closing != 0:
			part.WriteByte(c)
		case c == '[':
			closing = ']'
		case c == '"':
			closing = '"'
		case c == '.':
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(c)
		}
	}
	return append(parts, part.String())
}

// call runs a procedure of the system or one that was created.
func (x *execution) call(name *ast.SchemaObjectName, args []Argument) (int32, error) {
	if x.sc.nested >= maxDepth {
		return 0, value.Errorf(217, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit %d).", maxDepth)
	}
	base := strings.ToLower(name.BaseIdentifier.Value)
	if f := systemProcedure(base); f != nil {
		return f(x, args)
	}
	var p *procedure
	err := x.s.reading(x.ctx, func() error {
		schema, n, err := x.place(name)
		if err != nil {
			return err
		}
		p, _ = x.lookup(schema, n).(*procedure)
		return nil
	})
	if err != nil {
		return 0, err
	}
	if p == nil {
		e := value.Errorf(2812, "Could not find stored procedure '%s'.", schemaName(name))
		e.State = 62
		return 0, e
	}
	src, failed := x.s.engine.parse.parse(p.text)
	if failed != nil {
		return 0, failed
	}
	sc := &scope{src: src, variables: map[string]*variable{}, procedure: p.name, nested: x.sc.nested + 1}
	return x.inside(sc, p.params, args, p.body)
}

// inside runs statements in a scope of their own, with parameters.
func (x *execution) inside(sc *scope, params []*ast.ProcedureParameter, args []Argument, body []ast.Statement) (int32, error) {
	in := &execution{ctx: x.ctx, s: x.s, out: x.out, sc: sc, try: x.try}
	if err := in.bind(params, args); err != nil {
		return 0, err
	}
	depth := x.s.depth
	_, err := in.list(body)
	for _, key := range sc.temp {
		delete(x.s.temp, key)
	}
	if err != nil {
		return 0, err
	}
	if sc.procedure != "" && x.s.depth != depth && !x.s.xactAbort {
		e := value.Errorf(266, "Transaction count after EXECUTE indicates a mismatching number of BEGIN and COMMIT statements. Previous count = %d, current count = %d.", depth, x.s.depth)
		e.State, e.Procedure = 2, sc.procedure
		if err := x.s.report(e, x.out); err != nil {
			return 0, err
		}
	}
	for i := range args {
		if a := &args[i]; a.Output && a.back != nil {
			if v := sc.variables[strings.ToLower(a.Name)]; v != nil {
				if err := a.back(v.val, v.typ); err != nil {
					return 0, err
				}
			}
		}
	}
	return sc.status, nil
}

// bind gives parameters their values.
func (x *execution) bind(params []*ast.ProcedureParameter, args []Argument) error {
	given := make(map[string]*Argument)
	for i := range args {
		a := &args[i]
		if a.Name == "" {
			if i >= len(params) {
				return value.Errorf(8144, "Procedure or function %s has too many arguments specified.", x.sc.procedure)
			}
			a.Name = params[i].VariableName.Value
		}
		given[strings.ToLower(a.Name)] = a
	}
	for _, p := range params {
		name := strings.ToLower(p.VariableName.Value)
		a := given[name]
		delete(given, name)
		v, err := x.parameter(p, a)
		if err != nil {
			return err
		}
		x.sc.variables[name] = v
	}
	for name := range given {
		return value.Errorf(8145, "%s is not a parameter for procedure %s.", name, x.sc.procedure)
	}
	return nil
}

func (x *execution) parameter(p *ast.ProcedureParameter, a *Argument) (*variable, error) {
	name := p.VariableName.Value
	var typeName *ast.SchemaObjectName
	switch d := p.DataType.(type) {
	case *ast.UserDataTypeReference:
		typeName = d.Name
	case *ast.SqlDataTypeReference:
		typeName = d.Name
	}
	if tt := x.tableType(typeName); tt != nil {
		return x.tableParameter(tt, name, a)
	}
	t, err := x.typeOf(p.DataType)
	if err != nil {
		return nil, err
	}
	v := &variable{typ: t}
	switch {
	case a != nil && !a.Default:
		if a.Table != "" || a.table != nil {
			return nil, value.Errorf(206, "Operand type clash: table is incompatible with %s.", t.Name())
		}
		var failed *value.Error
		v.val, failed = value.Convert(a.Value, a.Type, t, 0, true)
		return v, sqlError(failed)
	case p.Value != nil:
		v.val, err = x.scalarAs(p.Value, t)
		return v, err
	}
	return nil, value.Errorf(201, "Procedure or function '%s' expects parameter '%s', which was not supplied.", x.sc.procedure, name)
}

// tableParameter fills a table variable with the rows of an argument.
func (x *execution) tableParameter(tt *table, name string, a *Argument) (*variable, error) {
	if a != nil && a.table != nil {
		return &variable{table: a.table}, nil
	}
	t := tt.likeVariable(name)
	if a == nil || a.Default || a.Table == "" {
		return &variable{table: t}, nil
	}
	if len(a.Columns) != len(t.columns) && len(a.Columns) > 0 {
		return nil, value.Errorf(500, "Trying to pass a table-valued parameter with %d column(s) where the corresponding user-defined table type requires %d column(s).", len(a.Columns), len(t.columns))
	}
	if !strings.EqualFold(splitDots(a.Table)[len(splitDots(a.Table))-1], tt.name) {
		return nil, value.Errorf(206, "Operand type clash: %s is incompatible with %s.", a.Table, tt.name)
	}
	tx := newTransaction(0)
	tx.alone = true
	var columns []int
	var given []value.Column
	for i, typ := range a.Columns {
		if !t.columns[i].Identity {
			columns = append(columns, i)
			given = append(given, value.Column{Type: typ})
		}
	}
	in, err := x.inserter(tx, t, columns, given)
	if err != nil {
		return nil, err
	}
	for _, r := range a.Rows {
		vals := make([]value.Value, len(columns))
		for i, at := range columns {
			vals[i] = r[at]
		}
		if _, err := in.add(vals); err != nil {
			return nil, err
		}
	}
	return &variable{table: t}, nil
}

// execute is EXEC of a procedure or of a text.
func (x *execution) execute(spec *ast.ExecuteSpecification) error {
	if spec.LinkedServer != nil || spec.ExecuteContext != nil {
		return unsupported("EXECUTE AS and AT")
	}
	switch e := spec.ExecutableEntity.(type) {
	case *ast.ExecutableStringList:
		var text strings.Builder
		for _, s := range e.Strings {
			v, err := x.scalarAs(s, textMax)
			if err != nil {
				return err
			}
			text.WriteString(v.Text())
		}
		_, err := x.text(text.String(), "", nil)
		return err
	case *ast.ExecutableProcedureReference:
		return x.executeProcedure(spec, e)
	}
	return unknownNode(spec.ExecutableEntity)
}

func (x *execution) executeProcedure(spec *ast.ExecuteSpecification, e *ast.ExecutableProcedureReference) error {
	if e.ProcedureReference == nil || e.ProcedureReference.ProcedureReference == nil {
		return unsupported("EXEC of a variable")
	}
	var args []Argument
	for _, p := range e.Parameters {
		a, err := x.argument(p)
		if err != nil {
			return err
		}
		args = append(args, a)
	}
	status, err := x.call(e.ProcedureReference.ProcedureReference.Name, args)
	if err != nil {
		return err
	}
	if spec.Variable != nil {
		v, err := x.variable(spec.Variable.Name)
		if err != nil {
			return err
		}
		v.val = value.FromInt(int64(status))
	}
	return nil
}

func (x *execution) argument(p *ast.ExecuteParameter) (Argument, error) {
	a := Argument{Output: p.IsOutput}
	if p.Variable != nil {
		a.Name = p.Variable.Name
	}
	switch e := p.ParameterValue.(type) {
	case *ast.DefaultLiteral:
		a.Default = true
		return a, nil
	case *ast.IdentifierLiteral: // a bare word is a text here
		a.Type, a.Value = textMax, value.FromString(e.Value)
		return a, nil
	case *ast.VariableReference:
		if v := x.sc.variables[strings.ToLower(e.Name)]; v != nil {
			if v.table != nil {
				a.table = v.table
				return a, nil
			}
			a.back = func(n value.Value, t value.Type) error {
				out, failed := value.Convert(n, t, v.typ, 0, true)
				v.val = out
				return sqlError(failed)
			}
		}
	}
	v, t, err := x.scalar(p.ParameterValue)
	a.Value, a.Type = v, t
	return a, err
}

// text runs a text with parameters: EXEC (...) and sp_executesql.
func (x *execution) text(text, declarations string, args []Argument) (int32, error) {
	src, failed := x.s.engine.parse.parse(text)
	if failed != nil {
		return 0, failed
	}
	var params []*ast.ProcedureParameter
	if strings.TrimSpace(declarations) != "" {
		d, failed := x.s.engine.parse.parse("CREATE PROCEDURE p " + declarations + " AS RETURN")
		if failed != nil {
			return 0, failed
		}
		p, ok := d.statements[0].(*ast.CreateProcedureStatement)
		if !ok || len(d.statements) != 1 {
			return 0, value.Errorf(102, "Incorrect syntax in the declarations of parameters.")
		}
		params = p.Parameters
	}
	if x.sc.nested >= maxDepth {
		return 0, value.Errorf(217, "Maximum stored procedure, function, trigger, or view nesting level exceeded (limit %d).", maxDepth)
	}
	sc := &scope{src: src, variables: map[string]*variable{}, nested: x.sc.nested + 1}
	return x.inside(sc, params, args, src.statements)
}
