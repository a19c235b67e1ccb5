package tsql

import (
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// expression is a compiled scalar expression.
type expression struct {
	typ      value.Type
	eval     func(*env) (value.Value, error)
	nullable bool
	// name is what a column of this expression is called, if it says so.
	name string
	// column says that it is a column, and which.
	column           bool
	depth, slot, col int
	constant         bool
	identity         bool
}

func constant(v value.Value, t value.Type) *expression {
	return &expression{typ: t, constant: true, nullable: v.IsNull(), eval: func(*env) (value.Value, error) { return v, nil }}
}

// maxNesting bounds how deep expressions and queries go.
const maxNesting = 200

func (c *compiler) nest() error {
	if c.depth++; c.depth > maxNesting {
		return &value.Error{Number: 191, State: 1, Class: 15, Message: "Some part of your SQL statement is nested too deeply. Rewrite the query or break it up into smaller queries."}
	}
	return nil
}

// scalar compiles an expression.
func (c *compiler) scalar(e ast.ScalarExpression) (*expression, error) {
	if err := c.nest(); err != nil {
		return nil, err
	}
	defer func() { c.depth-- }()
	if c.group != nil {
		if g, err := c.group.replaces(c, e); g != nil || err != nil {
			return g, err
		}
	}
	switch e := e.(type) {
	case *ast.ParenthesisExpression:
		return c.scalar(e.Expression)
	case *ast.ColumnReferenceExpression:
		return c.columnExpression(e)
	case *ast.VariableReference:
		return c.variable(e.Name)
	case *ast.GlobalVariableExpression:
		return c.global(e.Name)
	case *ast.UnaryExpression:
		return c.unary(e)
	case *ast.BinaryExpression:
		return c.binary(e)
	case *ast.CastCall:
		return c.cast(e.Parameter, e.DataType, nil, false)
	case *ast.ConvertCall:
		return c.cast(e.Parameter, e.DataType, e.Style, false)
	case *ast.TryCastCall:
		return c.cast(e.Parameter, e.DataType, nil, true)
	case *ast.TryConvertCall:
		return c.cast(e.Parameter, e.DataType, e.Style, true)
	case *ast.SearchedCaseExpression, *ast.SimpleCaseExpression, *ast.IIfCall, *ast.CoalesceExpression, *ast.NullIfExpression:
		return c.choice(e)
	case *ast.ScalarSubquery:
		return c.subquery(e.QueryExpression)
	case *ast.FunctionCall:
		return c.function(e)
	case *ast.LeftFunctionCall:
		return c.call("LEFT", e.Parameters)
	case *ast.RightFunctionCall:
		return c.call("RIGHT", e.Parameters)
	case *ast.ParameterlessCall:
		return c.call(strings.ToUpper(e.ParameterlessCallType), nil)
	}
	return c.literal(e)
}

func (c *compiler) columnExpression(e *ast.ColumnReferenceExpression) (*expression, error) {
	switch e.ColumnType {
	case "", "Regular":
	case "PseudoColumnAction":
		return c.column(&ast.ColumnReferenceExpression{MultiPartIdentifier: &ast.MultiPartIdentifier{Identifiers: []*ast.Identifier{{Value: "$action"}}}})
	default:
		return nil, unsupported("a column of kind %s here", e.ColumnType)
	}
	ex, err := c.column(e)
	if err != nil {
		return nil, err
	}
	if e.Collation != nil {
		return c.collated(ex, e.Collation)
	}
	return ex, nil
}

func (c *compiler) collated(ex *expression, name *ast.Identifier) (*expression, error) {
	col, ok := value.CollationNamed(name.Value)
	if !ok {
		return nil, value.Errorf(448, "Invalid collation '%s'.", name.Value)
	}
	out := *ex
	out.typ.Collation = col
	out.column = false
	return &out, nil
}

func (c *compiler) literal(e ast.ScalarExpression) (*expression, error) {
	switch e := e.(type) {
	case *ast.NullLiteral:
		return constant(value.Value{}, value.Type{}), nil
	case *ast.IntegerLiteral:
		if n, err := strconv.ParseInt(e.Value, 10, 64); err == nil && n <= 1<<31-1 {
			return constant(value.FromInt(n), value.Of(value.Int)), nil
		}
		return decimalLiteral(e.Value)
	case *ast.NumericLiteral:
		return decimalLiteral(e.Value)
	case *ast.RealLiteral:
		f, err := strconv.ParseFloat(e.Value, 64)
		if err != nil {
			return nil, value.Errorf(168, "The floating point value '%s' is out of the range of computer representation (8 bytes).", e.Value)
		}
		return constant(value.FromFloat(f), value.Of(value.Float)), nil
	case *ast.StringLiteral:
		return textLiteral(e.Value, e.IsNational), nil
	case *ast.BinaryLiteral:
		digits := strings.TrimPrefix(strings.TrimPrefix(e.Value, "0x"), "0X")
		if len(digits)%2 == 1 {
			digits = "0" + digits
		}
		b, err := hex.DecodeString(digits)
		if err != nil || len(b) > 8000 {
			return nil, value.Errorf(102, "Incorrect syntax near '%s'.", e.Value)
		}
		return constant(value.FromString(string(b)), value.Type{ID: value.VarBinary, Length: max(1, len(b))}), nil
	case *ast.MoneyLiteral:
		v, err := value.Convert(value.FromString(strings.TrimLeft(e.Value, "$")), value.Of(value.VarChar), value.Of(value.Money), 0, false)
		return constant(v, value.Of(value.Money)), sqlError(err)
	}
	return nil, unknownNode(e)
}

func textLiteral(s string, national bool) *expression {
	t := value.Type{ID: value.VarChar, Length: max(1, len(s))}
	most := 8000
	if national {
		t.ID, t.Length, most = value.NVarChar, max(1, value.Units(s)), 4000
	}
	if t.Length > most {
		t.Length = value.Max
	}
	return constant(value.FromString(s), t)
}

func decimalLiteral(s string) (*expression, error) {
	whole, fraction, _ := strings.Cut(s, ".")
	whole = strings.TrimLeft(whole, "0")
	p := len(whole) + len(fraction)
	if p > 38 {
		return nil, value.Errorf(1007, "The number '%s' is out of the range for numeric representation (maximum precision 38).", s)
	}
	t := value.Type{ID: value.Decimal, Precision: uint8(max(1, p)), Scale: uint8(len(fraction))}
	v, err := value.Convert(value.FromString(s), value.Of(value.VarChar), t, 0, false)
	return constant(v, t), sqlError(err)
}

// variable reads a variable when it is evaluated, since SELECT may set it
// from row to row.
func (c *compiler) variable(name string) (*expression, error) {
	v, err := c.x.variable(name)
	if err != nil {
		return nil, err
	}
	if v.table != nil {
		return nil, value.Errorf(137, "Must declare the scalar variable \"%s\".", name)
	}
	return &expression{typ: v.typ, nullable: true, eval: func(*env) (value.Value, error) { return v.val, nil }}, nil
}

// convert brings an expression to a type.
func (c *compiler) convert(e *expression, to value.Type) *expression {
	if e.typ == to || to.ID == value.Null || e.typ.ID == value.Null || value.Same(e.typ, to) {
		if e.typ == to {
			return e
		}
		out := *e
		out.typ = to
		return &out
	}
	from := e.typ
	if e.constant {
		v, _ := e.eval(nil)
		if done, err := value.Convert(v, from, to, 0, true); err == nil {
			return constant(done, to)
		}
	}
	return &expression{typ: to, nullable: e.nullable, eval: func(v *env) (value.Value, error) {
		x, err := e.eval(v)
		if err != nil {
			return x, err
		}
		done, failed := value.Convert(x, from, to, 0, true)
		return done, sqlError(failed)
	}}
}

func (c *compiler) cast(e ast.ScalarExpression, t ast.DataTypeReference, style ast.ScalarExpression, try bool) (*expression, error) {
	to, err := c.x.typeForCast(t)
	if err != nil {
		return nil, err
	}
	from, err := c.scalar(e)
	if err != nil {
		return nil, err
	}
	number := constant(value.FromInt(0), value.Of(value.Int))
	if style != nil {
		if number, err = c.scalar(style); err != nil {
			return nil, err
		}
		number = c.convert(number, value.Of(value.Int))
	}
	return &expression{typ: to, nullable: true, eval: func(v *env) (value.Value, error) {
		x, err := from.eval(v)
		if err != nil {
			return x, err
		}
		n, err := number.eval(v)
		if err != nil {
			return x, err
		}
		done, failed := value.Convert(x, from.typ, to, int(n.Int()), true)
		if failed != nil && try && failed.Number != 529 {
			return value.Value{}, nil
		}
		return done, sqlError(failed)
	}}, nil
}

// subquery compiles a query that gives one value.
func (c *compiler) subquery(q ast.QueryExpression) (*expression, error) {
	p, err := c.query(q)
	if err != nil {
		return nil, err
	}
	if len(p.columns) != 1 {
		return nil, value.Errorf(116, "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.")
	}
	return &expression{typ: p.columns[0].Type, nullable: true, eval: func(v *env) (out value.Value, err error) {
		n := 0
		err = p.run(v, func(r []value.Value) error {
			if n++; n > 1 {
				return value.Errorf(512, "Subquery returned more than 1 value. This is not permitted when the subquery follows =, !=, <, <= , >, >= or when the subquery is used as an expression.")
			}
			out = r[0]
			return nil
		})
		return out, err
	}}, nil
}

// choice compiles CASE and what is short for it.
func (c *compiler) choice(e ast.ScalarExpression) (*expression, error) {
	var conds []predicate
	var results []*expression
	when := func(b ast.BooleanExpression, then ast.ScalarExpression) error {
		p, err := c.boolean(b)
		if err != nil {
			return err
		}
		r, err := c.scalar(then)
		conds, results = append(conds, p), append(results, r)
		return err
	}
	otherwise := constant(value.Value{}, value.Type{})
	var last ast.ScalarExpression
	var err error
	switch e := e.(type) {
	case *ast.SearchedCaseExpression:
		last = e.ElseExpression
		for _, w := range e.WhenClauses {
			if err == nil {
				err = when(w.WhenExpression, w.ThenExpression)
			}
		}
	case *ast.SimpleCaseExpression:
		last = e.ElseExpression
		for _, w := range e.WhenClauses {
			if err == nil {
				err = when(&ast.BooleanComparisonExpression{ComparisonType: "Equals", FirstExpression: e.InputExpression, SecondExpression: w.WhenExpression}, w.ThenExpression)
			}
		}
	case *ast.IIfCall:
		last = e.ElseExpression
		err = when(e.Predicate, e.ThenExpression)
	case *ast.CoalesceExpression:
		for _, p := range e.Expressions {
			if err == nil {
				err = when(&ast.BooleanIsNullExpression{IsNot: true, Expression: p}, p)
			}
		}
	case *ast.NullIfExpression:
		last = e.FirstExpression
		err = when(&ast.BooleanComparisonExpression{ComparisonType: "Equals", FirstExpression: e.FirstExpression, SecondExpression: e.SecondExpression}, &ast.NullLiteral{})
	}
	if err != nil {
		return nil, err
	}
	if last != nil {
		if otherwise, err = c.scalar(last); err != nil {
			return nil, err
		}
	}
	t := otherwise.typ
	for _, r := range results {
		t = value.Wider(t, r.typ)
	}
	if t.ID == value.Null {
		t = value.Of(value.Int)
	}
	otherwise = c.convert(otherwise, t)
	for i, r := range results {
		results[i] = c.convert(r, t)
	}
	return &expression{typ: t, nullable: true, eval: func(v *env) (value.Value, error) {
		for i, p := range conds {
			t, err := p(v)
			if err != nil {
				return value.Value{}, err
			}
			if t == isTrue {
				return results[i].eval(v)
			}
		}
		return otherwise.eval(v)
	}}, nil
}
