package check

import (
	"fmt"
	"slices"
	"strings"

	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// call binds a function of any kind.
func (b *binder) call(x *syntax.Call) plan.Expr {
	if isTimestamp(x) {
		return b.timestamp(x)
	}
	if y := b.matchCall(x); y != nil {
		return y
	}
	if b.sel != nil && b.match == nil {
		if slot, ok := b.sel.analytic[x]; ok {
			return b.analyticValue(x, slot)
		}
	}
	if len(x.Name) > 1 {
		return b.prefixed(x)
	}
	return b.builtIn(x, x.Name[0])
}

// called is the name of a call as spelled, cut where nobody reads it.
func called(x *syntax.Call) string {
	if len(x.Name) > 4 {
		return (&syntax.Call{Name: x.Name[:4]}).FullName() + "..."
	}
	return x.FullName()
}

// prefixed binds udf.f(), uda.f() and what carries another prefix.
func (b *binder) prefixed(x *syntax.Call) plan.Expr {
	prefix, name := fold(x.Name[0].Name), x.Name[len(x.Name)-1]
	if len(x.Name) > 2 {
		return b.bad(x, "", "there is no function %s", quote(called(x)))
	}
	strict := b.c.o.Level == value.Level12
	known := isBuiltIn(name.Name)
	switch {
	case isSystemWindow(x):
		return b.bad(x, "write System.Window().Id", "System.Window() is no value by itself")
	case prefix == "system" && fold(name.Name) == "timestamp":
		return b.bad(x, "", "System.Timestamp() takes no arguments")
	case prefix == "udf":
		return b.userCall(x, name)
	case prefix == "uda":
		return b.aggregate(x, name.Name, nil)
	case known && strict:
		return b.bad(x.Name[0], "write "+name.Name+"(...)", "a built-in function has no prefix at compatibility level 1.2")
	case known:
		return b.builtIn(x, name)
	case strict && prefix == "system":
		hint := "write udf." + name.Name + "(...)"
		if n := near("system."+name.Name, []string{"System.Timestamp()", "System.Window()", "System.Timestamp", "System.Window"}); n != "" {
			hint = n
		}
		return b.bad(x, hint, "system has no function %s", quote(name.Name))
	case strict:
		return b.bad(x.Name[0], "functions of your own are called with udf. or uda.", "%s is no prefix of functions", quote(x.Name[0].Name))
	}
	return b.userCall(x, name)
}

func isBuiltIn(name string) bool {
	if _, ok := function.Lookup(name); ok {
		return true
	}
	_, ok := function.LookupAggregate(name)
	return ok
}

func (b *binder) userCall(x *syntax.Call, name *syntax.Ident) plan.Expr {
	if f := b.c.o.Functions; f != nil && !f.HasFunction(name.Name) {
		hint := ""
		switch {
		case f.HasAggregate(name.Name):
			hint = "it is an aggregate: write uda." + name.Name + "(...)"
		default:
			if n, ok := f.(interface{ Names() []string }); ok {
				hint = near(name.Name, n.Names())
			}
		}
		return b.bad(name, hint, "there is no function udf.%s", name.Name)
	}
	if x.Over != nil || x.WithinGroup != nil || x.Distinct {
		return b.bad(x, "", "udf.%s is a function of one row: it takes no OVER, WITHIN GROUP or DISTINCT", name.Name)
	}
	return &plan.UserCall{Pos: x.Pos(), Name: name.Name, Args: b.exprs(x.Args)}
}

func (b *binder) builtIn(x *syntax.Call, name *syntax.Ident) plan.Expr {
	upper := strings.ToUpper(name.Name)
	switch upper {
	case "LAG", "LAST", "ISFIRST", "ANOMALYDETECTION_SPIKEANDDIP", "ANOMALYDETECTION_CHANGEPOINT":
		return b.misplacedAnalytic(x, upper)
	case "GETMETADATAPROPERTYVALUE":
		return b.metadata(x)
	case "GETARRAYELEMENTS", "GETRECORDPROPERTIES":
		return b.bad(x, "write FROM input CROSS APPLY "+name.Name+"(...) AS x", "%s yields rows: it can only stand behind CROSS APPLY or OUTER APPLY", name.Name)
	}
	if _, ok := function.LookupAggregate(upper); ok {
		return b.aggregate(x, "", name)
	}
	if s, ok := function.Lookup(upper); ok {
		return b.scalar(x, s)
	}
	return b.unknownFunction(x, name)
}

func (b *binder) unknownFunction(x *syntax.Call, name *syntax.Ident) plan.Expr {
	hint := elsewhere[strings.ToUpper(name.Name)]
	if f := b.c.o.Functions; hint == "" && f != nil {
		switch {
		case f.HasFunction(name.Name):
			hint = "write udf." + name.Name + "(...)"
		case f.HasAggregate(name.Name):
			hint = "write uda." + name.Name + "(...)"
		}
	}
	if hint == "" {
		if n := function.Suggest(name.Name); n != "" {
			hint = "did you mean " + n + "?"
		}
	}
	return b.bad(name, hint, "there is no function %s", quote(name.Name))
}

// elsewhere are functions of other dialects and what to use here.
var elsewhere = map[string]string{
	"GETDATE": "use System.Timestamp(), the event's time", "GETUTCDATE": "use System.Timestamp(), the event's time",
	"SYSDATETIME": "use System.Timestamp(), the event's time", "SYSUTCDATETIME": "use System.Timestamp(), the event's time",
	"NOW": "use System.Timestamp(), the event's time", "CURRENT_TIMESTAMP": "use System.Timestamp(), the event's time",
	"ISNULL": "use COALESCE", "IFNULL": "use COALESCE", "NVL": "use COALESCE",
	"IIF": "use CASE WHEN ... THEN ... ELSE ... END", "IF": "use CASE WHEN ... THEN ... ELSE ... END",
	"CHOOSE": "use CASE", "DECODE": "use CASE",
	"CONVERT": "use CAST(x AS type)", "TRY_CONVERT": "use TRY_CAST(x AS type)", "PARSE": "use CAST(x AS type)",
	"TRY_PARSE": "use TRY_CAST(x AS type)", "STR": "use CAST(x AS nvarchar(max))", "TO_CHAR": "use CAST(x AS nvarchar(max))",
	"ISNUMERIC": "use TRY_CAST(x AS float) IS NOT NULL", "LEAD": "events to come are not known; use LAG",
	"ROW_NUMBER": "use TopOne() or CollectTop(n) OVER (ORDER BY ...)", "RANK": "use CollectTop(n) OVER (ORDER BY ...)",
	"DENSE_RANK": "use CollectTop(n) OVER (ORDER BY ...)", "FIRST_VALUE": "use TopOne() OVER (ORDER BY ...) or ISFIRST",
	"LAST_VALUE": "use LAST(...) OVER (LIMIT DURATION(...))", "FIRST": "use TopOne() OVER (ORDER BY ...) or ISFIRST",
	"STRING_AGG": "use Collect()", "GROUP_CONCAT": "use Collect()", "ARRAY_AGG": "use Collect()",
	"LENGTH": "use LEN", "SUBSTR": "use SUBSTRING", "INSTR": "use CHARINDEX", "LCASE": "use LOWER", "UCASE": "use UPPER",
	"CEIL": "use CEILING", "POW": "use POWER", "MEAN": "use AVG", "STDDEV": "use STDEV", "VARIANCE": "use VAR",
	"MEDIAN": "use PERCENTILE_CONT(0.5) OVER (ORDER BY x)", "COUNT_BIG": "use COUNT", "APPROX_COUNT_DISTINCT": "use COUNT(DISTINCT x)",
	"JSON_VALUE": "use a.b.c, or GetRecordPropertyValue", "OPENJSON": "use CROSS APPLY GetArrayElements(...)",
	"RAND": "use a column of the event, so that results can be repeated", "NEWID": "use a column of the event, so that results can be repeated",
	"EOMONTH": "use DATEADD and DATEPART", "DATEFROMPARTS": "use DATETIMEFROMPARTS",
	"SNAPSHOTWINDOW": "write GROUP BY System.Timestamp()", "SNAPSHOT": "write GROUP BY System.Timestamp()",
}

// scalar binds a built-in function of one row.
func (b *binder) scalar(x *syntax.Call, s *function.Scalar) plan.Expr {
	if x.Over != nil || x.WithinGroup != nil || x.Distinct {
		return b.bad(x, "leave it out", "%s is a function of one row: it takes no OVER, WITHIN GROUP or DISTINCT", s.Name)
	}
	args, unit := x.Args, syntax.NoUnit
	if s.Unit && len(args) > 0 {
		if u, ok := args[0].(*syntax.Unit); ok {
			args, unit = args[1:], u.Unit
		}
	}
	if err := s.Arity(len(args)); err != nil {
		return b.bad(x, "", "%s", err)
	}
	call := &plan.Call{Pos: x.Pos(), Func: s, Unit: unit}
	consts, known, all := make([]value.Value, len(args)), make([]bool, len(args)), true
	for i, arg := range args {
		var y plan.Expr
		if s.Unit {
			y = b.timeOf(arg)
		}
		if y == nil {
			y = b.expr(arg)
		}
		if !b.checkParam(arg, s, i, y) {
			return &plan.Const{}
		}
		if k, ok := y.(*plan.Const); ok {
			consts[i], known[i] = k.Value, true
		} else {
			all = false
		}
		call.Args = append(call.Args, y)
	}
	if s.Unit && unit == syntax.NoUnit {
		return call
	}
	f, err := s.Compile(function.Call{Unit: unit, Level: b.c.o.Level, Consts: consts, Known: known})
	if err != nil {
		return b.bad(x, "", "%s", err)
	}
	if !all {
		return call
	}
	v, err := f(consts)
	if err != nil {
		return b.bad(x, "", "%s", err)
	}
	return &plan.Const{Value: v.Clone()}
}

// timeOf binds an alias as the time of its row, as functions of times take it;
// nil if x is none.
func (b *binder) timeOf(x syntax.Expr) plan.Expr {
	col, ok := syntax.Unparen(x).(*syntax.Column)
	if !ok || len(col.Path) != 1 || b.group != nil || b.match != nil {
		return nil
	}
	e := b.scope.byAlias(col.Path[0].Name)
	if e == nil || e.has(col.Path[0].Name) {
		return nil
	}
	if e.time == nil {
		return b.bad(x, "", "%s has no time", quote(e.alias))
	}
	if b.only != nil {
		return &plan.Timestamp{}
	}
	return e.time
}

// checkParam reports an argument whose kind is known and can never do.
func (b *binder) checkParam(at syntax.Expr, s *function.Scalar, i int, x plan.Expr) bool {
	if len(s.Params) == 0 {
		return true
	}
	want, have := s.Params[min(i, len(s.Params)-1)], b.c.kindOf(x)
	if have == value.Null || want == value.Null || have == want {
		return true
	}
	structured := have == value.Record || have == value.Array
	wrong := false
	switch want {
	case value.BigInt, value.Float:
		wrong = structured || have == value.DateTime
	case value.DateTime:
		wrong = have != value.String
	case value.Record, value.Array:
		wrong = true
	}
	if wrong {
		b.bad(at, "", "%s takes %s here, not %s", s.Name, want, have)
	}
	return !wrong
}

// metadata binds GetMetadataPropertyValue(input, 'name').
func (b *binder) metadata(x *syntax.Call) plan.Expr {
	if len(x.Args) != 2 {
		return b.bad(x, "write GetMetadataPropertyValue(input, 'name')", "GetMetadataPropertyValue takes 2 arguments, not %d", len(x.Args))
	}
	if b.group != nil {
		return b.bad(x, "group by it, or ask for it in a step before", "GetMetadataPropertyValue is about one event: it is neither grouped nor inside of an aggregate")
	}
	col, ok := syntax.Unparen(x.Args[0]).(*syntax.Column)
	if !ok || len(col.Path) != 1 {
		return b.bad(x.Args[0], "", "the first argument of GetMetadataPropertyValue is the name of an input")
	}
	e := b.scope.byAlias(col.Path[0].Name)
	if e == nil {
		e = b.scope.renamed(col.Path[0].Name)
	}
	if e == nil {
		var names []string
		for _, e := range b.scope.entries {
			names = append(names, e.alias)
		}
		return b.bad(x.Args[0], near(col.Path[0].Name, names), "%s is no input of this SELECT", quote(col.Path[0].Name))
	}
	if e.source == nil || e.reference {
		return b.bad(x.Args[0], "ask for it in the step that reads the input", "%s is no input that events come from", quote(e.alias))
	}
	name, ok := b.expr(x.Args[1]).(*plan.Const)
	if !ok || name.Value.Kind() != value.String {
		return b.bad(x.Args[1], "write it in quotes", "the second argument of GetMetadataPropertyValue is the name of a property")
	}
	// What every hub tells of an event is also called [EventHub].[Name].
	plain := strings.NewReplacer("[EventHub].", "", "[", "", "]", "").Replace(name.Value.Str())
	kind, isSystem := system(plain)
	if !isSystem {
		kind = plan.MetaProperty
	}
	return b.lift(e, e.source.property(kind, name.Value.Str()))
}

// fold computes what is made of constants only.
func (b *binder) fold(at syntax.Node, x plan.Expr) plan.Expr {
	v, err, ok := constant(x)
	switch {
	case !ok:
		return x
	case err != nil:
		return b.bad(at, "", "%s", err)
	}
	return &plan.Const{Value: v.Clone()}
}

// constant computes an operator over constants; ok is false if an operand is
// none.
func constant(x plan.Expr) (v value.Value, err error, ok bool) {
	operand := func(y plan.Expr) value.Value {
		k, is := y.(*plan.Const)
		if !is {
			ok = false
			return value.Value{}
		}
		return k.Value
	}
	ok = true
	switch x := x.(type) {
	case *plan.Unary:
		y := operand(x.X)
		if !ok {
			return
		}
		if x.Op == syntax.BitNot {
			v, err = value.BitNot(y)
		} else {
			v, err = value.Neg(y)
		}
	case *plan.Binary:
		y, z := operand(x.X), operand(x.Y)
		if !ok {
			return
		}
		v, err = binaryOps[x.Op](y, z)
	case *plan.Cast:
		y := operand(x.X)
		if !ok {
			return
		}
		if x.Try {
			v = value.TryCast(y, x.To)
		} else {
			v, err = value.Cast(y, x.To)
		}
	default:
		ok = false
	}
	return v, err, ok
}

var binaryOps = map[syntax.Op]func(a, b value.Value) (value.Value, error){
	syntax.Add: value.Add, syntax.Subtract: value.Sub, syntax.Multiply: value.Mul, syntax.Divide: value.Div,
	syntax.Modulo: value.Mod, syntax.BitAnd: value.BitAnd, syntax.BitOr: value.BitOr, syntax.BitXor: value.BitXor,
}

// misplacedAnalytic reports an analytic function that has not been computed
// below the rows that are bound.
func (b *binder) misplacedAnalytic(x *syntax.Call, upper string) plan.Expr {
	switch {
	case b.match != nil:
		return b.bad(x, "", "%s cannot stand in MATCH_RECOGNIZE", x.Name[0].Name)
	case slices.Contains([]string{"SELECT", "WHERE", "HAVING", "GROUP BY", "ON"}, b.clause) && b.sel != nil && b.inside == "":
		// It was not computed because it is wrong; that has been reported.
		return &plan.Const{}
	}
	if b.clause == "OVER" {
		return b.bad(x, "compute the inner one in a step of a WITH", "%s cannot stand inside of another function that looks back", upper)
	}
	return b.bad(x, "compute it in a step of a WITH", "%s cannot stand in %s", upper, b.clause)
}

// notGrouped binds a column over the rows of an Aggregate: a member of a key,
// or an error.
func (b *binder) notGrouped(x *syntax.Column) plan.Expr {
	// No key is a longer path than that.
	const longest = 32
	for n := min(len(x.Path)-1, longest); n > 0; n-- {
		if slot := b.group.slot(b, &syntax.Column{Span: x.Span, Path: x.Path[:n]}); slot != nil {
			y := slot
			for _, name := range x.Path[n:] {
				y = &plan.Field{X: y, Name: name.Name}
			}
			return y
		}
	}
	name := x.Path[len(x.Path)-1].Name
	if item, ok := b.sel.aliases[fold(name)]; ok && len(x.Path) == 1 && b.clause == "HAVING" && !b.alias {
		// The documentation's patterns have HAVING [Count] >= 3; the name could
		// mean nothing else. What it stands for does not take names in turn.
		b.alias = true
		y := b.expr(item.Expr)
		b.alias = false
		return y
	}
	if b.isText(x.Path) {
		return &plan.Const{Value: value.Text(name)}
	}
	return b.bad(x, fmt.Sprintf("add it to GROUP BY, or take an aggregate of it such as MAX(%s)", name), "the column %s is neither grouped nor inside of an aggregate", quote(name))
}
