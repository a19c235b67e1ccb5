package check

import (
	"strconv"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// binder makes plan expressions of the text's, over the rows of one clause.
// What can not be bound is reported and becomes NULL.
type binder struct {
	c     *checker
	sel   *selection
	scope *scope
	// clause is the clause that is bound, for messages.
	clause string
	// only binds over the rows of one entry, before the join; nil for the joined
	// rows.
	only *entry
	// group binds over the rows of an Aggregate; nil for rows before it.
	group *grouping
	// inside is the aggregate whose arguments are bound.
	inside string
	// match binds the conditions and measures of a pattern.
	match *matchScope
	// alias tells that what a name of the select list stands for is bound.
	alias bool
	// cost counts the nodes of the result, see grow.
	cost int
}

// maxCost bounds the expressions of one clause. CASE with an operand and
// BETWEEN use their operand more than once; where they are nested the result
// could be much larger than the text.
const maxCost = 200_000

// Bounds of lists, far above what a query needs: checking may take time that
// grows with the square of them.
const (
	maxItems  = 4096
	maxKeys   = 512
	maxInputs = 256
	maxStars  = 64
)

// tooMany reports a list that is longer than any query needs.
func (b *binder) tooMany(n, most int, at syntax.Node, what string) bool {
	if n > most {
		b.c.report(at, "split the query into steps of a WITH", "there are %d %s, more than %d", n, what, most)
	}
	return n > most
}

func (b *binder) bad(at syntax.Node, suggestion, format string, args ...any) plan.Expr {
	b.c.report(at, suggestion, format, args...)
	return &plan.Const{}
}

// grow counts n more nodes; it reports a text whose expressions are too large.
func (b *binder) grow(at syntax.Node, n int) bool {
	b.cost = min(b.cost+n, 2*maxCost)
	if b.cost > maxCost {
		b.c.report(at, "compute parts of it in a step of a WITH", "this expression is too large")
		return false
	}
	return true
}

// expr binds a value.
func (b *binder) expr(x syntax.Expr) plan.Expr {
	x = syntax.Unparen(x)
	if x == nil || !b.grow(x, 1) {
		return &plan.Const{}
	}
	if b.group != nil {
		if slot := b.group.slot(b, x); slot != nil {
			return slot
		}
	}
	switch x := x.(type) {
	case *syntax.Number:
		return b.number(x, "")
	case *syntax.String:
		return &plan.Const{Value: value.Text(x.Value)}
	case *syntax.Null:
		return &plan.Const{}
	case *syntax.Column:
		return b.column(x)
	case *syntax.Member:
		return b.member(x)
	case *syntax.Call:
		return b.call(x)
	case *syntax.Cast:
		return b.cast(x)
	case *syntax.Unary:
		return b.unary(x)
	case *syntax.Binary:
		return b.binary(x)
	case *syntax.Case:
		return b.caseExpr(x)
	case *syntax.Between, *syntax.In, *syntax.Like, *syntax.IsNull:
		return b.conditionAsValue(x)
	case *syntax.Window, *syntax.Windows:
		return b.bad(x, "GROUP BY TumblingWindow(...) and the like", "a window can only stand in GROUP BY, on its own")
	case *syntax.Star:
		return b.bad(x, "", "* can only stand alone in a select list or in COUNT(*)")
	case *syntax.Unit:
		return b.bad(x, "", "a unit of time cannot stand here")
	}
	return b.bad(x, "", "this cannot stand here")
}

func (b *binder) conditionAsValue(x syntax.Expr) plan.Expr {
	return b.bad(x, "write CASE WHEN ... THEN 1 ELSE 0 END", "a condition is no value")
}

func (b *binder) exprs(list []syntax.Expr) []plan.Expr {
	var out []plan.Expr
	for _, x := range list {
		out = append(out, b.expr(x))
	}
	return out
}

func (b *binder) number(x *syntax.Number, sign string) plan.Expr {
	if x.IsInteger() {
		n, err := strconv.ParseInt(sign+x.Text, 10, 64)
		if err != nil {
			return b.bad(x, "write it with a point for a float: "+x.Text+".0", "%s is out of the range of bigint", sign+x.Text)
		}
		return &plan.Const{Value: value.Int(n)}
	}
	f, err := strconv.ParseFloat(sign+x.Text, 64)
	if err != nil {
		return b.bad(x, "", "%s is out of the range of float", sign+x.Text)
	}
	return &plan.Const{Value: value.Double(f)}
}

// column binds a path of names.
func (b *binder) column(x *syntax.Column) plan.Expr {
	if isTimestamp(x) {
		return b.timestamp(x)
	}
	if b.match != nil {
		return b.match.column(b, x)
	}
	if b.group != nil {
		return b.notGrouped(x)
	}
	if b.isText(x.Path) {
		return b.nameOrText(x)
	}
	return b.path(x, x.Path)
}

// isText tells whether a path is one name in double quotes that no input surely
// has. The documentation writes both names with awkward characters and texts
// that way: SELECT "[my][Field]" and WHERE State = "WA".
func (b *binder) isText(path []*syntax.Ident) bool {
	if len(path) != 1 || path[0].Quote != '"' || b.scope == nil || b.only != nil || b.scope.byAlias(path[0].Name) != nil {
		return false
	}
	for _, e := range b.scope.entries {
		if e.has(path[0].Name) {
			return false
		}
	}
	switch b.clause {
	case "SELECT", "WHERE", "HAVING", "ON":
		return true
	}
	return false
}

// nameOrText is the column of that name for events that have it, and the text
// itself for others; with several inputs, that could have it, it is the text.
func (b *binder) nameOrText(x *syntax.Column) plan.Expr {
	text := &syntax.String{Span: x.Span, Value: x.Path[0].Name}
	open := 0
	for _, e := range b.scope.entries {
		if e.open() {
			open++
		}
	}
	if open != 1 {
		return b.expr(text)
	}
	qualified := &syntax.Column{Span: x.Span}
	for _, e := range b.scope.entries {
		if e.open() {
			qualified.Path = []*syntax.Ident{{Span: x.Span, Name: e.alias}, x.Path[0]}
		}
	}
	return b.expr(&syntax.Call{Span: x.Span, Name: []*syntax.Ident{{Span: x.Span, Name: "COALESCE"}}, Args: []syntax.Expr{qualified, text}})
}

// path binds a column of the scope's rows and members of what it holds.
func (b *binder) path(at syntax.Expr, path []*syntax.Ident) plan.Expr {
	e, rest := b.scope.find(b.c, path)
	if e == nil {
		return &plan.Const{}
	}
	if b.only != nil && e != b.only {
		return b.bad(at, "compute it in a step of a WITH", "an analytic function is computed before the JOIN and sees one input")
	}
	if len(rest) == 0 {
		return b.whole(e)
	}
	x := e.rows.column(rest[0].Name)
	if x == nil {
		b.c.unknownColumn([]*entry{e}, rest[0])
		return &plan.Const{}
	}
	x = b.lift(e, x)
	for _, name := range rest[1:] {
		x = &plan.Field{X: x, Name: name.Name}
	}
	return x
}

func (b *binder) lift(e *entry, x plan.Expr) plan.Expr {
	if b.only != nil {
		return x
	}
	return e.lift(b.c, x)
}

// whole is a row of one entry as a record.
func (b *binder) whole(e *entry) plan.Expr {
	cols := e.rows.star()
	if len(cols) == 1 && cols[0].Spread {
		return b.lift(e, cols[0].Expr)
	}
	return b.lift(e, &plan.Record{Columns: cols})
}

// event is the whole joined row as a record: the columns that * stands for.
func (b *binder) event() plan.Expr {
	if len(b.scope.entries) == 1 {
		return b.whole(b.scope.entries[0])
	}
	if b.only != nil {
		return b.whole(b.only)
	}
	r := &plan.Record{}
	for _, e := range b.scope.entries {
		for _, col := range e.rows.star() {
			col.Expr = b.lift(e, col.Expr)
			r.Columns = append(r.Columns, col)
		}
	}
	return r
}

func (b *binder) timestamp(at syntax.Expr) plan.Expr {
	if b.clause == "TIMESTAMP BY" {
		return b.bad(at, "use a column of the event, EventEnqueuedUtcTime for the arrival time", "System.Timestamp() is not known before TIMESTAMP BY")
	}
	if b.scope.refOnly() {
		return b.bad(at, "", "reference data has no System.Timestamp()")
	}
	return &plan.Timestamp{}
}

func (b *binder) member(x *syntax.Member) plan.Expr {
	if isWindowID(x) {
		return b.bad(x, "", "System.Window().Id can only be asked for where GROUP BY has a window, in SELECT and HAVING")
	}
	if call, ok := x.X.(*syntax.Call); ok && isSystemWindow(call) {
		return b.bad(x, "did you mean System.Window().Id?", "System.Window() has no %s", quote(x.Name.Name))
	}
	return &plan.Field{X: b.expr(x.X), Name: x.Name.Name}
}

func (b *binder) cast(x *syntax.Cast) plan.Expr {
	to := kindOfType(x.Type.Type)
	out := &plan.Cast{Pos: x.Pos(), X: b.expr(x.X), To: to, Try: x.Try}
	return b.fold(x, out)
}

func (b *binder) unary(x *syntax.Unary) plan.Expr {
	switch x.Op {
	case syntax.Not:
		return b.conditionAsValue(x)
	case syntax.Plus:
		return b.numeric(x, b.expr(x.X), "+")
	case syntax.Minus:
		if n, ok := syntax.Unparen(x.X).(*syntax.Number); ok {
			return b.number(n, "-")
		}
	}
	y := b.numeric(x, b.expr(x.X), x.Op.String())
	return b.fold(x, &plan.Unary{Pos: x.Pos(), Op: x.Op, X: y})
}

// numeric reports operands that are surely no numbers.
func (b *binder) numeric(at syntax.Expr, x plan.Expr, op string) plan.Expr {
	switch k := b.c.kindOf(x); k {
	case value.Record, value.Array, value.DateTime:
		return b.bad(at, "", "%s takes numbers, not %s", op, k)
	}
	return x
}

func (b *binder) binary(x *syntax.Binary) plan.Expr {
	switch x.Op {
	case syntax.And, syntax.Or, syntax.Equal, syntax.NotEqual, syntax.Less, syntax.LessOrEqual, syntax.Greater, syntax.GreaterOrEqual:
		return b.conditionAsValue(x)
	}
	left := b.numeric(x.X, b.expr(x.X), x.Op.String())
	right := b.numeric(x.Y, b.expr(x.Y), x.Op.String())
	if k := b.textOperand(left, right); k && x.Op != syntax.Add {
		return b.bad(x, "convert it with CAST(... AS float)", "%s takes numbers, not texts", x.Op)
	}
	return b.fold(x, &plan.Binary{Pos: x.OpPos, Op: x.Op, X: left, Y: right})
}

func (b *binder) textOperand(x, y plan.Expr) bool {
	return b.c.kindOf(x) == value.String || b.c.kindOf(y) == value.String
}

func (b *binder) caseExpr(x *syntax.Case) plan.Expr {
	out := &plan.Case{}
	var operand plan.Expr
	if x.Operand != nil {
		before := b.cost
		operand = b.expr(x.Operand)
		if !b.grow(x, (b.cost-before)*(len(x.Whens)-1)) {
			return &plan.Const{}
		}
	}
	for _, w := range x.Whens {
		var cond plan.Cond
		if operand != nil {
			cond = &plan.Compare{Pos: w.Cond.Pos(), Op: syntax.Equal, X: operand, Y: b.expr(w.Cond)}
		} else {
			cond = b.cond(w.Cond)
		}
		out.Whens = append(out.Whens, plan.When{Cond: cond, Then: b.expr(w.Then)})
	}
	if x.Else != nil {
		out.Else = b.expr(x.Else)
	}
	return out
}

// timeExpr binds what must be a datetime.
func (b *binder) timeExpr(x syntax.Expr) plan.Expr {
	y := b.expr(x)
	switch k := b.c.kindOf(y); k {
	case value.BigInt, value.Float:
		return b.bad(x, "DATEADD(second, x, '1970-01-01T00:00:00Z') makes one of Unix seconds", "a datetime is needed here, not %s", k)
	case value.Bit, value.Record, value.Array:
		return b.bad(x, "", "a datetime is needed here, not %s", k)
	}
	return y
}
