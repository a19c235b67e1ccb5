package sql

// Inspect calls fn with every expression of the query, outer ones first and in
// the order of the text, those of subqueries included. Of an expression for
// which fn returns false it leaves the parts out.
func (q *Query) Inspect(fn func(Expr) bool) {
	s := &q.Select
	inspect(s.Top, fn)
	inspect(s.Value, fn)
	for _, i := range s.Items {
		inspect(i.Expr, fn)
	}
	for _, f := range q.From {
		inspect(f.Path, fn)
		if f.Query != nil {
			f.Query.Inspect(fn)
		}
	}
	inspect(q.Where, fn)
	inspectAll(q.GroupBy, fn)
	for _, o := range q.OrderBy {
		inspect(o.Expr, fn)
	}
	inspect(q.Offset, fn)
	inspect(q.Limit, fn)
}

// Inspect calls fn with e and its parts as Query.Inspect does. A nil e is
// nothing.
func Inspect(e Expr, fn func(Expr) bool) { inspect(e, fn) }

func inspectAll(list []Expr, fn func(Expr) bool) {
	for _, e := range list {
		inspect(e, fn)
	}
}

func inspect(e Expr, fn func(Expr) bool) {
	if e == nil || !fn(e) {
		return
	}
	switch e := e.(type) {
	case *Member:
		inspect(e.Of, fn)
	case *Index:
		inspect(e.Of, fn)
		inspect(e.Index, fn)
	case *Array:
		inspectAll(e.Items, fn)
	case *Object:
		for _, m := range e.Members {
			inspect(m.Value, fn)
		}
	case *Unary:
		inspect(e.X, fn)
	case *Binary:
		inspect(e.L, fn)
		inspect(e.R, fn)
	case *Conditional:
		inspect(e.If, fn)
		inspect(e.Then, fn)
		inspect(e.Else, fn)
	case *Between:
		inspect(e.X, fn)
		inspect(e.Low, fn)
		inspect(e.High, fn)
	case *In:
		inspect(e.X, fn)
		inspectAll(e.Items, fn)
	case *Like:
		inspect(e.X, fn)
		inspect(e.Pattern, fn)
		inspect(e.Escape, fn)
	case *Call:
		inspectAll(e.Args, fn)
	case *Exists:
		e.Query.Inspect(fn)
	case *ArrayOf:
		e.Query.Inspect(fn)
	case *Subquery:
		e.Query.Inspect(fn)
	}
}
