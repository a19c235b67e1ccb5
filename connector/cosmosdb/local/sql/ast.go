// Package sql is the query language of Cosmos DB as text and as a tree: a
// lexer, a parser that says what is wrong as the service says it, and a printer
// whose text parses back to the same tree.
//
// The package knows nothing of what functions or names mean.
package sql

import "millrace/connector/cosmosdb/local/value"

// Span is where in the query's text something is: from Start, up to but not
// including End, counted from 0 in UTF-16 code units, as the service counts.
// Nodes that no text stands for have the zero Span.
type Span struct{ Start, End int }

// Pos is the span itself.
func (s Span) Pos() Span { return s }

// Query is a whole query or a subquery. Nothing in it is shared with other
// queries, so that it can be edited; it is safe for concurrent reading.
type Query struct {
	Span
	Select Select
	// From is FROM's source and, after it, one for each JOIN; empty if the
	// query has no FROM.
	From    []Source
	Where   Expr // nil: none
	GroupBy []Expr
	OrderBy []Order
	// Offset and Limit are both there or both nil, and each a *Literal that
	// is a whole number of 0 or more, or a *Parameter.
	Offset, Limit Expr
}

// Select is what a query gives. One of Star, Value and Items is set.
type Select struct {
	Distinct bool
	Top      Expr // as Query.Limit; nil: none
	Star     bool
	Value    Expr
	Items    []Item
}

// Item is one of a SELECT list.
type Item struct {
	Span
	Expr  Expr
	Alias string // "" if the query gives none
}

// Source is a source of FROM or JOIN: "path", "path AS alias", "alias IN path",
// and the same with a subquery in place of a path.
type Source struct {
	Span
	Alias string // "" if the query gives none
	Each  bool   // alias IN ...: the elements of it, one by one
	// Path is a *Name, or *Member and *Index around one, where an index is a
	// whole number; nil if Query is set.
	Path  Expr
	Query *Query
}

// Order is one key of ORDER BY.
type Order struct {
	Span
	Expr       Expr
	Descending bool
}

// Expr is an expression: one of the pointer types below.
type Expr interface {
	Pos() Span
	expr()
}

type (
	// Literal is a constant: undefined, null, a boolean, a number or a string.
	Literal struct {
		Span
		Value value.Value
	}
	// Parameter is @name; Name has the @.
	Parameter struct {
		Span
		Name string
	}
	// Name is an identifier that stands alone: an alias or the container.
	Name struct {
		Span
		Name string
	}
	// Member is of.name, or of["name"], which is the same.
	Member struct {
		Span
		Of   Expr
		Name string
	}
	// Index is of[index] with anything but a string constant.
	Index struct {
		Span
		Of, Index Expr
	}
	// Array is [a, b].
	Array struct {
		Span
		Items []Expr
	}
	// Object is {"a": x, b: y}.
	Object struct {
		Span
		Members []ObjectMember
	}
	// Unary is an operator before an expression.
	Unary struct {
		Span
		Op UnaryOp
		X  Expr
	}
	// Binary is an operator between two expressions.
	Binary struct {
		Span
		Op   BinaryOp
		L, R Expr
	}
	// Conditional is if ? then : else.
	Conditional struct {
		Span
		If, Then, Else Expr
	}
	// Between is x [NOT] BETWEEN low AND high.
	Between struct {
		Span
		X, Low, High Expr
		Not          bool
	}
	// In is x [NOT] IN (a, b); there is at least one item.
	In struct {
		Span
		X     Expr
		Items []Expr
		Not   bool
	}
	// Like is x [NOT] LIKE pattern [ESCAPE 'c'].
	Like struct {
		Span
		X, Pattern Expr
		Escape     Expr // nil: none; else a *Literal string or a *Parameter
		Not        bool
	}
	// Call is name(args), or udf.name(args). Name is as the query has it.
	Call struct {
		Span
		Name string
		UDF  bool
		Args []Expr
	}
	// Exists is EXISTS(query).
	Exists struct {
		Span
		Query *Query
	}
	// ArrayOf is ARRAY(query).
	ArrayOf struct {
		Span
		Query *Query
	}
	// Subquery is (query): its only result.
	Subquery struct {
		Span
		Query *Query
	}
)

// ObjectMember is a member of an Object.
type ObjectMember struct {
	Name  string
	Value Expr
}

func (*Literal) expr()     {}
func (*Parameter) expr()   {}
func (*Name) expr()        {}
func (*Member) expr()      {}
func (*Index) expr()       {}
func (*Array) expr()       {}
func (*Object) expr()      {}
func (*Unary) expr()       {}
func (*Binary) expr()      {}
func (*Conditional) expr() {}
func (*Between) expr()     {}
func (*In) expr()          {}
func (*Like) expr()        {}
func (*Call) expr()        {}
func (*Exists) expr()      {}
func (*ArrayOf) expr()     {}
func (*Subquery) expr()    {}

// UnaryOp is an operator before an expression.
type UnaryOp uint8

// The unary operators. OpNegate never has a number constant as its operand: the
// parser makes that a negative constant.
const (
	OpNot UnaryOp = iota
	OpNegate
	OpPlus
	OpBitNot
)

var unaryText = [...]string{OpNot: "NOT", OpNegate: "-", OpPlus: "+", OpBitNot: "~"}

// String is the operator as the language writes it.
func (o UnaryOp) String() string { return unaryText[o] }

// BinaryOp is an operator between two expressions.
type BinaryOp uint8

// The binary operators.
const (
	OpCoalesce BinaryOp = iota // ??
	OpOr
	OpAnd
	OpEqual
	OpNotEqual // != and <>
	OpLess
	OpLessEqual
	OpGreater
	OpGreaterEqual
	OpShiftLeft
	OpShiftRight
	OpShiftRightZero // >>>
	OpConcat         // ||
	OpBitOr
	OpBitXor
	OpBitAnd
	OpAdd
	OpSubtract
	OpMultiply
	OpDivide
	OpModulo
)

var binaryText = [...]string{
	OpCoalesce: "??", OpOr: "OR", OpAnd: "AND", OpEqual: "=", OpNotEqual: "!=", OpLess: "<", OpLessEqual: "<=",
	OpGreater: ">", OpGreaterEqual: ">=", OpShiftLeft: "<<", OpShiftRight: ">>", OpShiftRightZero: ">>>",
	OpConcat: "||", OpBitOr: "|", OpBitXor: "^", OpBitAnd: "&", OpAdd: "+", OpSubtract: "-", OpMultiply: "*",
	OpDivide: "/", OpModulo: "%",
}

// String is the operator as the language writes it.
func (o BinaryOp) String() string { return binaryText[o] }
