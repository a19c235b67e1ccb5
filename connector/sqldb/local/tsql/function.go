package tsql

import (
	"crypto/rand"
	"strings"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// builtin is a function of a fixed number of arguments.
type builtin struct {
	least, most int
	// params are the types that arguments are converted to; the last one
	// counts for all that follow. Null leaves an argument as it is.
	params []value.Type
	result value.Type
	// same gives the result the type of the argument of this number, from 1.
	same int
	// nulls says that f wants to see NULLs; else one of them makes the result
	// NULL.
	nulls bool
	f     func(v *env, args []value.Value, types []value.Type) (value.Value, error)
}

var (
	intType     = value.Of(value.Int)
	bigType     = value.Of(value.BigInt)
	floatType   = value.Of(value.Float)
	textMax     = value.Type{ID: value.NVarChar, Length: value.Max}
	nameType    = value.Type{ID: value.NVarChar, Length: 128}
	utcTime     = value.Of(value.DateTime2)
	zonedTime   = value.Of(value.DateTimeOffset)
	oldTime     = value.Of(value.DateTime)
	guidType    = value.Of(value.GUID)
	decimalType = value.Type{ID: value.Decimal, Precision: 38}
)

// errAggregate is an aggregate where there is none to be; a SELECT takes it for
// the sign that it groups.
var errAggregate = value.Errorf(147, "An aggregate may not appear in the WHERE clause, in an assignment or in a list of values.")

// function compiles a call.
func (c *compiler) function(e *ast.FunctionCall) (*expression, error) {
	name := strings.ToUpper(e.FunctionName.Value)
	switch {
	case e.OverClause != nil:
		return nil, unsupported("%s OVER (...)", name)
	case e.CallTarget != nil:
		return nil, unsupported("%s called on something", name)
	case aggregates[name]:
		return nil, errAggregate
	case e.UniqueRowFilter == "Distinct":
		return nil, unsupported("%s(DISTINCT ...)", name)
	}
	ex, err := c.call(name, e.Parameters)
	if err == nil && e.Collation != nil {
		return c.collated(ex, e.Collation)
	}
	return ex, err
}

// call compiles a call of a function by its name in upper case.
func (c *compiler) call(name string, params []ast.ScalarExpression) (*expression, error) {
	switch name {
	case "ISNULL":
		return c.isNull(params)
	case "DATEADD", "DATEDIFF", "DATEDIFF_BIG", "DATEPART", "DATENAME", "DATETRUNC":
		return c.dateFunction(name, params)
	case "SERVERPROPERTY":
		return c.serverProperty(params)
	case "CHOOSE", "CONCAT", "CONCAT_WS", "GREATEST", "LEAST":
		return c.variadic(name, params)
	}
	b, ok := builtins[name]
	if !ok {
		return nil, value.Errorf(195, "'%s' is not a recognized built-in function name of this test server.", name)
	}
	if len(params) < b.least || len(params) > b.most {
		return nil, value.Errorf(174, "The %s function requires %d to %d argument(s).", strings.ToLower(name), b.least, b.most)
	}
	args := make([]*expression, len(params))
	types := make([]value.Type, len(params))
	for i, p := range params {
		a, err := c.scalar(p)
		if err != nil {
			return nil, err
		}
		if len(b.params) > 0 {
			if to := b.params[min(i, len(b.params)-1)]; to.ID != value.Null {
				a = c.convert(a, to)
			}
		}
		args[i], types[i] = a, a.typ
	}
	t := b.result
	if b.same > 0 {
		if t = types[b.same-1]; t.ID == value.Null {
			t = intType
		}
	}
	return &expression{typ: t, nullable: true, eval: func(v *env) (value.Value, error) {
		vals := make([]value.Value, len(args))
		for i, a := range args {
			x, err := a.eval(v)
			if err != nil || x.IsNull() && !b.nulls {
				return value.Value{}, err
			}
			vals[i] = x
		}
		return b.f(v, vals, types)
	}}, nil
}

func (c *compiler) isNull(params []ast.ScalarExpression) (*expression, error) {
	if len(params) != 2 {
		return nil, value.Errorf(174, "The isnull function requires 2 argument(s).")
	}
	x, err := c.scalar(params[0])
	if err != nil {
		return nil, err
	}
	y, err := c.scalar(params[1])
	if err != nil {
		return nil, err
	}
	t := x.typ
	if t.ID == value.Null {
		t = y.typ
	}
	x, y = c.convert(x, t), c.convert(y, t)
	return &expression{typ: t, nullable: y.nullable, eval: func(v *env) (value.Value, error) {
		p, err := x.eval(v)
		if err != nil || !p.IsNull() {
			return p, err
		}
		return y.eval(v)
	}}, nil
}

// variadic compiles functions of any number of arguments.
func (c *compiler) variadic(name string, params []ast.ScalarExpression) (*expression, error) {
	args := make([]*expression, len(params))
	t := value.Type{}
	for i, p := range params {
		a, err := c.scalar(p)
		if err != nil {
			return nil, err
		}
		args[i] = a
		if i > 0 || name != "CHOOSE" {
			t = value.Wider(t, a.typ)
		}
	}
	if len(args) < 2 {
		return nil, value.Errorf(189, "The %s function requires 2 to 254 arguments.", strings.ToLower(name))
	}
	text := name == "CONCAT" || name == "CONCAT_WS"
	if text {
		t = textMax
	}
	for i := range args {
		if i > 0 || name != "CHOOSE" {
			args[i] = c.convert(args[i], t)
		}
	}
	return &expression{typ: t, nullable: true, eval: func(v *env) (value.Value, error) {
		vals := make([]value.Value, len(args))
		for i, a := range args {
			var err error
			if vals[i], err = a.eval(v); err != nil {
				return value.Value{}, err
			}
		}
		switch name {
		case "CHOOSE":
			if n := vals[0].Int(); n >= 1 && n < int64(len(vals)) {
				return vals[n], nil
			}
			return value.Value{}, nil
		case "CONCAT":
			return value.FromString(concatenated(vals, "")), nil
		case "CONCAT_WS":
			return value.FromString(concatenated(vals[1:], vals[0].Text())), nil
		}
		var best value.Value
		for _, x := range vals {
			if x.IsNull() {
				continue
			}
			if best.IsNull() || (value.Compare(x, best, t) > 0) == (name == "GREATEST") {
				best = x
			}
		}
		return best, nil
	}}, nil
}

func concatenated(vals []value.Value, separator string) string {
	var b strings.Builder
	first := true
	for _, x := range vals {
		if x.IsNull() {
			continue
		}
		if !first {
			b.WriteString(separator)
		}
		first = false
		b.WriteString(x.Text())
	}
	return b.String()
}

// serverProperty answers what tools ask of a server.
func (c *compiler) serverProperty(params []ast.ScalarExpression) (*expression, error) {
	if len(params) != 1 {
		return nil, value.Errorf(174, "The serverproperty function requires 1 argument(s).")
	}
	name, err := c.scalar(params[0])
	if err != nil {
		return nil, err
	}
	known := map[string]string{
		"engineedition": "3", "edition": "Developer Edition (64-bit)", "productversion": "16.0.1000.6", "productlevel": "RTM",
		"productmajorversion": "16", "servername": "millrace", "machinename": "millrace", "isclustered": "0", "collation": "SQL_Latin1_General_CP1_CI_AS",
	}
	return &expression{typ: nameType, nullable: true, eval: func(v *env) (value.Value, error) {
		x, err := name.eval(v)
		if err != nil {
			return x, err
		}
		if s, ok := known[strings.ToLower(x.Text())]; ok {
			return value.FromString(s), nil
		}
		return value.Value{}, nil
	}}, nil
}

// newID makes a random GUID.
func newID(*env, []value.Value, []value.Type) (value.Value, error) {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		return value.Value{}, err
	}
	b[7], b[8] = b[7]&0x0F|0x40, b[8]&0x3F|0x80
	return value.FromString(string(b[:])), nil
}

// global compiles @@ROWCOUNT and its like.
func (c *compiler) global(name string) (*expression, error) {
	s := c.x.s
	number := func(t value.Type, f func() int64) (*expression, error) {
		return &expression{typ: t, eval: func(*env) (value.Value, error) { return value.FromInt(f()), nil }}, nil
	}
	switch strings.ToUpper(name) {
	case "@@ROWCOUNT":
		return number(intType, func() int64 { return s.rowCount })
	case "@@ERROR":
		return number(intType, func() int64 { return int64(s.lastError) })
	case "@@TRANCOUNT":
		return number(intType, func() int64 { return int64(s.depth) })
	case "@@SPID":
		return number(value.Of(value.SmallInt), func() int64 { return int64(s.id) })
	case "@@LOCK_TIMEOUT":
		return number(intType, func() int64 { return max(-1, s.lockTimeout.Milliseconds()) })
	case "@@OPTIONS":
		return number(intType, func() int64 { return 5496 })
	case "@@IDENTITY":
		return &expression{typ: decimalType, nullable: true, eval: func(*env) (value.Value, error) { return s.identity, nil }}, nil
	case "@@VERSION":
		return constant(value.FromString("Millrace TDS test server, which is not SQL Server (16.0.1000.6)"), value.Type{ID: value.NVarChar, Length: 300}), nil
	case "@@SERVERNAME":
		return constant(value.FromString("millrace"), nameType), nil
	case "@@LANGUAGE":
		return constant(value.FromString("us_english"), nameType), nil
	case "@@MAX_PRECISION":
		return constant(value.FromInt(38), value.Of(value.TinyInt)), nil
	}
	return nil, unsupported("%s", name)
}
