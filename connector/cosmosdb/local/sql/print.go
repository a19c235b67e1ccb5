package sql

import (
	"math"

	"millrace/connector/cosmosdb/local/value"
)

// String is the query as text that parses back to the same tree: one line,
// keywords in capitals, brackets only where they are needed. Property names
// that are keywords, or more than ASCII letters, digits and underscores, are
// written as ["name"], which every reader of the language understands.
func (q *Query) String() string { return string(q.append(nil)) }

// Text is an expression as text that parses back to the same tree.
func Text(e Expr) string { return string(appendExpr(nil, e, 0)) }

func (q *Query) append(b []byte) []byte {
	b = append(b, "SELECT "...)
	s := &q.Select
	if s.Distinct {
		b = append(b, "DISTINCT "...)
	}
	if s.Top != nil {
		b = append(b, "TOP "...)
		b = appendExpr(b, s.Top, 0)
		b = append(b, ' ')
	}
	switch {
	case s.Star:
		b = append(b, '*')
	case s.Value != nil:
		b = append(b, "VALUE "...)
		b = appendExpr(b, s.Value, 0)
	default:
		for i, item := range s.Items {
			b = separate(b, i)
			b = appendExpr(b, item.Expr, 0)
			if item.Alias != "" {
				b = append(b, " AS "...)
				b = append(b, item.Alias...)
			}
		}
	}
	for i, source := range q.From {
		if i == 0 {
			b = append(b, " FROM "...)
		} else {
			b = append(b, " JOIN "...)
		}
		b = source.append(b)
	}
	if q.Where != nil {
		b = append(b, " WHERE "...)
		b = appendExpr(b, q.Where, 0)
	}
	if len(q.GroupBy) > 0 {
		b = append(b, " GROUP BY "...)
		b = appendList(b, q.GroupBy)
	}
	for i, o := range q.OrderBy {
		if i == 0 {
			b = append(b, " ORDER BY "...)
		} else {
			b = append(b, ", "...)
		}
		b = appendExpr(b, o.Expr, 0)
		if o.Descending {
			b = append(b, " DESC"...)
		} else {
			b = append(b, " ASC"...)
		}
	}
	if q.Offset != nil {
		b = append(b, " OFFSET "...)
		b = appendExpr(b, q.Offset, 0)
		b = append(b, " LIMIT "...)
		b = appendExpr(b, q.Limit, 0)
	}
	return b
}

func (s *Source) append(b []byte) []byte {
	if s.Each {
		b = append(b, s.Alias...)
		b = append(b, " IN "...)
	}
	if s.Query != nil {
		b = appendSubquery(b, "", s.Query)
	} else {
		b = appendExpr(b, s.Path, 0)
	}
	if !s.Each && s.Alias != "" {
		b = append(b, " AS "...)
		b = append(b, s.Alias...)
	}
	return b
}

func separate(b []byte, i int) []byte {
	if i > 0 {
		return append(b, ", "...)
	}
	return b
}

func appendList(b []byte, list []Expr) []byte {
	for i, e := range list {
		b = separate(b, i)
		b = appendExpr(b, e, 0)
	}
	return b
}

func appendSubquery(b []byte, word string, q *Query) []byte {
	b = append(b, word...)
	b = append(b, '(')
	b = q.append(b)
	return append(b, ')')
}

// level tells how tightly an expression's own operator holds.
func level(e Expr) int {
	switch e := e.(type) {
	case *Conditional:
		return levelConditional
	case *Binary:
		return binaryLevel[e.Op]
	case *Between, *In, *Like:
		return levelTest
	case *Unary:
		return levelUnary
	case *Literal:
		if e.Value.Kind() == value.KindNumber {
			return levelUnary // -1.a and 1.a are read in other ways
		}
	}
	return levelPostfix
}

// appendExpr writes e, in brackets if its operator holds less tightly than
// least.
func appendExpr(b []byte, e Expr, least int) []byte {
	if level(e) < least {
		b = append(b, '(')
		b = appendExpr(b, e, 0)
		return append(b, ')')
	}
	switch e := e.(type) {
	case *Literal:
		return appendLiteral(b, e.Value)
	case *Parameter:
		return append(b, e.Name...)
	case *Name:
		return append(b, e.Name...)
	case *Member:
		b = appendExpr(b, e.Of, levelPostfix)
		return appendStep(b, e.Name)
	case *Index:
		b = appendExpr(b, e.Of, levelPostfix)
		b = append(b, '[')
		b = appendExpr(b, e.Index, 0)
		return append(b, ']')
	case *Array:
		b = append(b, '[')
		b = appendList(b, e.Items)
		return append(b, ']')
	case *Object:
		return e.append(b)
	case *Call:
		if e.UDF {
			b = append(b, "udf."...)
		}
		b = append(b, e.Name...)
		b = append(b, '(')
		b = appendList(b, e.Args)
		return append(b, ')')
	case *Exists:
		return appendSubquery(b, "EXISTS", e.Query)
	case *ArrayOf:
		return appendSubquery(b, "ARRAY", e.Query)
	case *Subquery:
		return appendSubquery(b, "", e.Query)
	}
	return appendOperator(b, e)
}

func appendOperator(b []byte, e Expr) []byte {
	switch e := e.(type) {
	case *Unary:
		b = append(b, e.Op.String()...)
		inner, _ := e.X.(*Unary)
		switch {
		case e.Op == OpNot:
			b = append(b, ' ')
		case inner != nil && inner.Op == OpNegate: // -- would begin a comment
			return appendExpr(b, e.X, levelPostfix)
		}
		return appendExpr(b, e.X, levelUnary)
	case *Binary:
		left, right := binaryLevel[e.Op], binaryLevel[e.Op]+1
		if e.Op == OpCoalesce {
			left, right = right, left
		}
		b = appendExpr(b, e.L, left)
		b = append(b, ' ')
		b = append(b, e.Op.String()...)
		b = append(b, ' ')
		return appendExpr(b, e.R, right)
	case *Conditional:
		b = appendExpr(b, e.If, levelCoalesce)
		b = append(b, " ? "...)
		b = appendExpr(b, e.Then, 0)
		b = append(b, " : "...)
		return appendExpr(b, e.Else, 0)
	case *Between:
		b = appendTest(b, e.X, e.Not, "BETWEEN ")
		b = appendExpr(b, e.Low, levelCompare)
		b = append(b, " AND "...)
		return appendExpr(b, e.High, levelCompare)
	case *In:
		b = appendTest(b, e.X, e.Not, "IN (")
		b = appendList(b, e.Items)
		return append(b, ')')
	case *Like:
		b = appendTest(b, e.X, e.Not, "LIKE ")
		b = appendExpr(b, e.Pattern, levelCompare)
		if e.Escape != nil {
			b = append(b, " ESCAPE "...)
			b = appendExpr(b, e.Escape, 0)
		}
	}
	return b
}

func appendTest(b []byte, x Expr, not bool, word string) []byte {
	b = appendExpr(b, x, levelCompare)
	if not {
		b = append(b, " NOT"...)
	}
	b = append(b, ' ')
	return append(b, word...)
}

func appendLiteral(b []byte, v value.Value) []byte {
	if f, ok := v.AsNumber(); ok {
		if f == 0 && math.Signbit(f) {
			b = append(b, '-')
		}
		return value.AppendNumber(b, f)
	}
	if v.IsUndefined() {
		return append(b, "undefined"...)
	}
	return v.AppendJSON(b)
}

// appendStep writes a step of a path.
func appendStep(b []byte, name string) []byte {
	if IsIdentifier(name) {
		b = append(b, '.')
		return append(b, name...)
	}
	b = append(b, '[')
	b = value.AppendString(b, name)
	return append(b, ']')
}

// IsIdentifier tells whether name can stand in a query without quotes: ASCII
// letters, digits and underscores, no digit at the beginning, no keyword.
func IsIdentifier(name string) bool {
	for i := range len(name) {
		c := name[i]
		if c|0x20 < 'a' || c|0x20 > 'z' {
			if c != '_' && (!isDigit(c) || i == 0) {
				return false
			}
		}
	}
	return name != "" && keywordOf(name) == 0
}

func (o *Object) append(b []byte) []byte {
	b = append(b, '{')
	for i, m := range o.Members {
		b = separate(b, i)
		b = value.AppendString(b, m.Name)
		b = append(b, ": "...)
		b = appendExpr(b, m.Value, 0)
	}
	return append(b, '}')
}
