package query

import (
	"slices"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// same tells whether two expressions are the same but for where they stand. It
// takes no longer than the smaller one is large. Subqueries are never the same.
func same(a, b sql.Expr) bool {
	switch a := a.(type) {
	case *sql.Literal:
		b, ok := b.(*sql.Literal)
		return ok && value.Same(a.Value, b.Value)
	case *sql.Parameter:
		b, ok := b.(*sql.Parameter)
		return ok && a.Name == b.Name
	case *sql.Name:
		b, ok := b.(*sql.Name)
		return ok && a.Name == b.Name
	case *sql.Member:
		b, ok := b.(*sql.Member)
		return ok && a.Name == b.Name && same(a.Of, b.Of)
	case *sql.Index:
		b, ok := b.(*sql.Index)
		return ok && same(a.Of, b.Of) && same(a.Index, b.Index)
	case *sql.Array:
		b, ok := b.(*sql.Array)
		return ok && slices.EqualFunc(a.Items, b.Items, same)
	case *sql.Object:
		b, ok := b.(*sql.Object)
		return ok && slices.EqualFunc(a.Members, b.Members, func(a, b sql.ObjectMember) bool {
			return a.Name == b.Name && same(a.Value, b.Value)
		})
	case *sql.Unary:
		b, ok := b.(*sql.Unary)
		return ok && a.Op == b.Op && same(a.X, b.X)
	case *sql.Binary:
		b, ok := b.(*sql.Binary)
		return ok && a.Op == b.Op && same(a.L, b.L) && same(a.R, b.R)
	case *sql.Conditional:
		b, ok := b.(*sql.Conditional)
		return ok && same(a.If, b.If) && same(a.Then, b.Then) && same(a.Else, b.Else)
	case *sql.Between:
		b, ok := b.(*sql.Between)
		return ok && a.Not == b.Not && same(a.X, b.X) && same(a.Low, b.Low) && same(a.High, b.High)
	case *sql.In:
		b, ok := b.(*sql.In)
		return ok && a.Not == b.Not && same(a.X, b.X) && slices.EqualFunc(a.Items, b.Items, same)
	case *sql.Like:
		b, ok := b.(*sql.Like)
		return ok && a.Not == b.Not && same(a.X, b.X) && same(a.Pattern, b.Pattern) &&
			(a.Escape == nil) == (b.Escape == nil) && (a.Escape == nil || same(a.Escape, b.Escape))
	case *sql.Call:
		b, ok := b.(*sql.Call)
		return ok && a.UDF == b.UDF && lower(a.Name) == lower(b.Name) && slices.EqualFunc(a.Args, b.Args, same)
	}
	return false
}
