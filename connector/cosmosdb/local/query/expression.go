package query

import (
	"slices"
	"strings"
	"time"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// maxFolding is how long constants are computed while a query is compiled: what
// is left then is computed by the run, which can be given up.
const maxFolding = 50 * time.Millisecond

// compiler turns a query's tree into closures.
type compiler struct {
	options Options
	started time.Time
	// vars counts the variables that were given places.
	vars int
	// container is the variable that holds the container's items, -1 for none
	// so far, and rootPath the path that FROM takes of them.
	container int
	rootPath  []string
	// reads is the query whose FROM names the container, and alias what it
	// calls the items or the part of them at rootPath; "" if it iterates over
	// that part.
	reads *sql.Query
	alias string
	// members are the names in each set of members, and set is the one that
	// new names go to.
	members [memberSets][]string
	set     int
	// dynamic counts what makes an expression more than a constant.
	dynamic int
}

func (c *compiler) newVar() int {
	c.vars++
	return c.vars - 1
}

// scope is where names are looked up: one for each query within the other.
type scope struct {
	outer *scope
	names []binding
	// groups is set while what a grouped query selects is compiled.
	groups *grouping
}

type binding struct {
	name string
	slot int
}

func (s *scope) find(name string) (slot int, at *scope) {
	for ; s != nil; s = s.outer {
		for i := len(s.names) - 1; i >= 0; i-- {
			if s.names[i].name == name {
				return s.names[i].slot, s
			}
		}
	}
	return -1, nil
}

// expr compiles e; what has one value only is computed once.
func (c *compiler) expr(e sql.Expr, s *scope) (expr, error) {
	if s.groups != nil {
		if slot, ok := s.groups.slot(e); ok {
			c.dynamic++
			return variable(slot), nil
		}
	}
	before := c.dynamic
	compiled, err := c.node(e, s)
	if err != nil {
		return nil, err
	}
	if c.dynamic == before && time.Since(c.started) < maxFolding {
		if v, ok := c.compute(compiled); ok {
			return constantExpr(v), nil
		}
	}
	return compiled, nil
}

// compute evaluates an expression without variables; what fails is left to
// fail when the query runs.
func (c *compiler) compute(e expr) (value.Value, bool) {
	f := &frame{now: c.options.Now, memory: c.options.Memory}
	v := e(f)
	return v, f.err == nil
}

// constantOf computes e if it is a constant.
func (c *compiler) constantOf(e sql.Expr) (value.Value, bool) {
	before := c.dynamic
	compiled, err := c.expr(e, &scope{})
	if err != nil || c.dynamic != before {
		return value.Undefined(), false
	}
	return c.compute(compiled)
}

func variable(slot int) expr {
	return func(f *frame) value.Value { return f.vars[slot] }
}

func constantExpr(v value.Value) expr {
	return func(*frame) value.Value { return v }
}

func (c *compiler) node(e sql.Expr, s *scope) (expr, error) {
	switch e := e.(type) {
	case *sql.Literal:
		return constantExpr(e.Value), nil
	case *sql.Parameter:
		v, ok := c.options.Parameters[e.Name]
		if !ok {
			return nil, sql.Errorf(e.Span, codeParameter, "The parameter '%s' has no value.", e.Name)
		}
		return constantExpr(v), nil
	case *sql.Name:
		return c.name(e, s)
	case *sql.Member:
		return c.member(e, s)
	case *sql.Index:
		at, err := c.index(e, s)
		if err != nil {
			return nil, err
		}
		return counted(at), nil
	case *sql.Array:
		return c.array(e, s)
	case *sql.Object:
		return c.object(e, s)
	case *sql.Unary:
		x, err := c.expr(e.X, s)
		if err != nil {
			return nil, err
		}
		return unaryExpr(e.Op, x), nil
	case *sql.Binary:
		if e.Op == sql.OpConcat {
			return c.concatenation(e, s)
		}
		both, err := c.exprs([]sql.Expr{e.L, e.R}, s)
		if err != nil {
			return nil, err
		}
		return counted(binaryExpr(e.Op, both[0], both[1])), nil
	case *sql.Call:
		called, err := c.call(e, s)
		if err != nil {
			return nil, err
		}
		return counted(called), nil
	case *sql.Exists:
		return c.subquery(e.Query, s, (*selection).exists)
	case *sql.ArrayOf:
		return c.subquery(e.Query, s, (*selection).array)
	case *sql.Subquery:
		return c.subquery(e.Query, s, (*selection).scalar)
	}
	return c.condition(e, s)
}

// counted is an expression that counts as a step.
func counted(of expr) expr {
	return func(f *frame) value.Value {
		if !f.step() {
			return value.Undefined()
		}
		return of(f)
	}
}

// concatenation compiles a || b || c ... as one, so that no text is copied more
// than once.
func (c *compiler) concatenation(e *sql.Binary, s *scope) (expr, error) {
	var operands []sql.Expr
	rest := sql.Expr(e)
	for {
		b, ok := rest.(*sql.Binary)
		if !ok || b.Op != sql.OpConcat {
			break
		}
		operands, rest = append(operands, b.R), b.L
	}
	operands = append(operands, rest)
	slices.Reverse(operands)
	parts, err := c.exprs(operands, s)
	if err != nil {
		return nil, err
	}
	return func(f *frame) value.Value {
		var text []byte
		for _, part := range parts {
			s, ok := part(f).AsString()
			if !ok || len(text)+len(s) > maxText || !f.step() {
				return value.Undefined()
			}
			text = append(text, s...)
		}
		return value.String(string(text))
	}, nil
}

// condition compiles what reads as a condition of several parts.
func (c *compiler) condition(e sql.Expr, s *scope) (expr, error) {
	switch e := e.(type) {
	case *sql.Conditional:
		parts, err := c.exprs([]sql.Expr{e.If, e.Then, e.Else}, s)
		if err != nil {
			return nil, err
		}
		return conditional(parts[0], parts[1], parts[2]), nil
	case *sql.Between:
		parts, err := c.exprs([]sql.Expr{e.X, e.Low, e.High}, s)
		if err != nil {
			return nil, err
		}
		return negated(e.Not, between(parts[0], parts[1], parts[2])), nil
	case *sql.In:
		x, err := c.expr(e.X, s)
		if err != nil {
			return nil, err
		}
		items, err := c.exprs(e.Items, s)
		if err != nil {
			return nil, err
		}
		return negated(e.Not, in(x, items)), nil
	case *sql.Like:
		return c.like(e, s)
	}
	return nil, sql.Errorf(e.Pos(), sql.CodeSyntax, "Syntax error, incorrect syntax near '%s'.", sql.Text(e))
}

func negated(negate bool, x expr) expr {
	if !negate {
		return x
	}
	return func(f *frame) value.Value { return not(x(f)) }
}

func (c *compiler) exprs(list []sql.Expr, s *scope) ([]expr, error) {
	compiled := make([]expr, len(list))
	for i, e := range list {
		var err error
		if compiled[i], err = c.expr(e, s); err != nil {
			return nil, err
		}
	}
	return compiled, nil
}

func (c *compiler) name(e *sql.Name, s *scope) (expr, error) {
	slot, at := s.find(e.Name)
	if at == nil {
		return nil, sql.Errorf(e.Span, codeUnresolved, "Identifier '%s' could not be resolved.", e.Name)
	}
	if at.groups != nil {
		return nil, notGrouped(e)
	}
	c.dynamic++
	return variable(slot), nil
}

func notGrouped(e sql.Expr) error {
	return sql.Errorf(e.Pos(), codeNotGrouped,
		"Property reference '%s' is invalid in the select list because it is not contained in either an aggregate function or the GROUP BY clause.", sql.Text(e))
}

// member compiles a path at once, so that walking it is one closure.
func (c *compiler) member(e *sql.Member, s *scope) (expr, error) {
	names := []string{e.Name}
	of := e.Of
	for {
		m, ok := of.(*sql.Member)
		if !ok || s.groups != nil { // what is grouped by may be inside
			break
		}
		names, of = append(names, m.Name), m.Of
	}
	for i, j := 0, len(names)-1; i < j; i, j = i+1, j-1 {
		names[i], names[j] = names[j], names[i]
	}
	if name, ok := of.(*sql.Name); ok {
		slot, at := s.find(name.Name)
		if at != nil && at.groups != nil {
			return nil, notGrouped(e)
		}
		if at != nil {
			c.dynamic++
			if slot == c.container {
				if set, i, ok := c.memberOf(names[0]); ok {
					return memberPath(set, i, slot, names[1:]), nil
				}
			}
			return path(slot, names), nil
		}
	}
	x, err := c.expr(of, s)
	if err != nil {
		return nil, err
	}
	return func(f *frame) value.Value {
		v := x(f)
		for _, name := range names {
			v = v.Get(name)
		}
		return v
	}, nil
}

func path(slot int, names []string) expr {
	return func(f *frame) value.Value {
		if !f.step() {
			return value.Undefined()
		}
		v := f.vars[slot]
		for _, name := range names {
			v = v.Get(name)
		}
		return v
	}
}

func (c *compiler) index(e *sql.Index, s *scope) (expr, error) {
	parts, err := c.exprs([]sql.Expr{e.Of, e.Index}, s)
	if err != nil {
		return nil, err
	}
	of, index := parts[0], parts[1]
	return func(f *frame) value.Value {
		i := index(f)
		if name, ok := i.AsString(); ok {
			return of(f).Get(name)
		}
		n, ok := int64Of(i)
		if !ok || n < 0 || n > maxText {
			return value.Undefined()
		}
		return of(f).Index(int(n))
	}, nil
}

func (c *compiler) array(e *sql.Array, s *scope) (expr, error) {
	items, err := c.exprs(e.Items, s)
	if err != nil {
		return nil, err
	}
	return func(f *frame) value.Value {
		var b value.ArrayBuilder
		for _, item := range items {
			b.Append(item(f))
			if !f.roomFor(b.Size()) {
				break
			}
		}
		return b.Value()
	}, nil
}

func (c *compiler) object(e *sql.Object, s *scope) (expr, error) {
	values := make([]expr, len(e.Members))
	names := make([]string, len(e.Members))
	for i, m := range e.Members {
		var err error
		if values[i], err = c.expr(m.Value, s); err != nil {
			return nil, err
		}
		names[i] = m.Name
	}
	return func(f *frame) value.Value {
		var b value.ObjectBuilder
		for i, v := range values {
			b.Set(names[i], v(f))
			if !f.roomFor(b.Size()) {
				break
			}
		}
		return b.Value()
	}, nil
}

func (c *compiler) call(e *sql.Call, s *scope) (expr, error) {
	if e.UDF {
		return nil, sql.Errorf(e.Span, codeUDF, "'udf.%s' is not a recognized user-defined function name.", e.Name)
	}
	name := strings.ToUpper(e.Name)
	if kind, ok := aggregateKinds[name]; ok {
		return c.aggregate(e, kind, s)
	}
	if name == "IIF" {
		if len(e.Args) != 3 {
			return nil, sql.Errorf(e.Span, codeArguments, "The IIF function requires 3 argument(s).")
		}
		return c.condition(&sql.Conditional{Span: e.Span, If: e.Args[0], Then: e.Args[1], Else: e.Args[2]}, s)
	}
	fn, ok := functionNamed(name)
	if !ok {
		return nil, sql.Errorf(e.Span, codeFunction, "'%s' is not a recognized built-in function name.", e.Name)
	}
	if problem := fn.arity(name, len(e.Args)); problem != "" {
		return nil, sql.Errorf(e.Span, codeArguments, "%s", problem)
	}
	args, err := c.exprs(e.Args, s)
	if err != nil {
		return nil, err
	}
	if fn.volatile {
		c.dynamic++
	}
	switch {
	case len(args) == 1 && fn.one != nil:
		a, one := args[0], fn.one
		return func(f *frame) value.Value { return one(a(f)) }, nil
	case len(args) == 2 && fn.two != nil:
		a, b, two := args[0], args[1], fn.two
		return func(f *frame) value.Value { return two(a(f), b(f)) }, nil
	}
	return func(f *frame) value.Value { return f.call(args, fn.many) }, nil
}

// like compiles LIKE; a pattern that is a constant is read once.
func (c *compiler) like(e *sql.Like, s *scope) (expr, error) {
	parts, err := c.exprs([]sql.Expr{e.X, e.Pattern}, s)
	if err != nil {
		return nil, err
	}
	var escape rune
	if e.Escape != nil {
		v, ok := c.constantOf(e.Escape)
		text, isText := v.AsString()
		if runes := []rune(text); ok && isText && len(runes) == 1 {
			escape = runes[0]
		} else {
			return nil, sql.Errorf(e.Escape.Pos(), sql.CodeSyntax, "The ESCAPE character of LIKE must be one character.")
		}
	}
	x, pattern := parts[0], parts[1]
	if v, ok := c.constantOf(e.Pattern); ok {
		text, ok := v.AsString()
		if !ok {
			return constantExpr(value.Undefined()), nil
		}
		compiled := compileLike(text, escape)
		return negated(e.Not, func(f *frame) value.Value {
			s, ok := x(f).AsString()
			if !ok {
				return value.Undefined()
			}
			return value.Bool(compiled.match(s))
		}), nil
	}
	return negated(e.Not, func(f *frame) value.Value {
		s, ok := x(f).AsString()
		p, ok2 := pattern(f).AsString()
		if !ok || !ok2 {
			return value.Undefined()
		}
		return value.Bool(compileLike(p, escape).match(s))
	}), nil
}
