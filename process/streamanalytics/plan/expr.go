package plan

import (
	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// Expr yields a value: *Const, *Slot, *Field, *Timestamp, *Unary, *Binary,
// *Case, *Cast, *Call, *UserCall, *Record, *SymbolValue, *SymbolAggregate or
// *Classifier.
type Expr interface{ expr() }

// Const is a literal, or what came of a part that is the same for every row.
type Const struct{ Value value.Value }

// Slot is a slot of the row.
type Slot struct{ Index int }

// Field is the member Name of the record that X yields (exact name first, then
// ignoring case); NULL if there is none or X is no record.
type Field struct {
	X    Expr
	Name string
}

// Timestamp is System.Timestamp() of the row.
type Timestamp struct{}

// Unary is a minus sign or ~ before X.
type Unary struct {
	Pos syntax.Pos
	Op  syntax.Op // Minus or BitNot
	X   Expr
}

// Binary is an arithmetic or bitwise operator.
type Binary struct {
	Pos  syntax.Pos
	Op   syntax.Op // Add, Subtract, Multiply, Divide, Modulo, BitAnd, BitOr, BitXor
	X, Y Expr
}

// Case yields the Then of the first When whose Cond is true, else Else (nil:
// NULL). CASE with an operand has been made into equalities.
type Case struct {
	Whens []When
	Else  Expr
}

// When is one branch of a Case.
type When struct {
	Cond Cond
	Then Expr
}

// Cast converts X; what can not be converted is NULL with Try, and else stops
// the job.
type Cast struct {
	Pos syntax.Pos
	X   Expr
	To  value.Kind
	Try bool
}

// Call is a scalar function.
type Call struct {
	Pos  syntax.Pos
	Func *function.Scalar
	// Unit is the time unit that functions like DATEADD have in front of their
	// arguments, NoUnit for others.
	Unit syntax.TimeUnit
	Args []Expr
}

// UserCall is a JavaScript function, udf.Name(...).
type UserCall struct {
	Pos  syntax.Pos
	Name string
	Args []Expr
}

// Record builds a record of columns: the whole row, where a function takes it.
// Columns that are Spread put their members in its place; a name that occurs
// again is left out.
type Record struct{ Columns []Column }

// SymbolValue is X over a row that a symbol of a pattern has matched: its last
// one, or with First its first one. In the condition of a symbol, that symbol's
// last row is the row in question. NULL if the symbol has matched none.
// Symbol -1 stands for all matched rows.
type SymbolValue struct {
	Symbol int
	First  bool
	X      Expr
}

// SymbolAggregate is an aggregate over the rows that a symbol has matched, -1
// for all matched rows.
type SymbolAggregate struct {
	Symbol int
	Call   *AggregateCall
}

// Classifier is the array of the names of the symbols that the rows of a match
// have matched, in the order of the rows.
type Classifier struct {
	// Names are the symbols' names by their numbers.
	Names []string
}

func (*Classifier) expr()      {}
func (*Const) expr()           {}
func (*Slot) expr()            {}
func (*Field) expr()           {}
func (*Timestamp) expr()       {}
func (*Unary) expr()           {}
func (*Binary) expr()          {}
func (*Case) expr()            {}
func (*Cast) expr()            {}
func (*Call) expr()            {}
func (*UserCall) expr()        {}
func (*Record) expr()          {}
func (*SymbolValue) expr()     {}
func (*SymbolAggregate) expr() {}

// Cond is true, false or unknown: *Compare, *Like, *IsNull, *Logic, *NotCond,
// *InList or *Truth. BETWEEN has been made into comparisons.
type Cond interface{ cond() }

// Compare is a comparison.
type Compare struct {
	Pos  syntax.Pos
	Op   syntax.Op // Equal, NotEqual, Less, LessOrEqual, Greater, GreaterOrEqual
	X, Y Expr
}

// Like is X LIKE Pattern.
type Like struct {
	Pos        syntax.Pos
	X, Pattern Expr
}

// IsNull is X IS NULL.
type IsNull struct{ X Expr }

// InList is X IN (List).
type InList struct {
	Pos  syntax.Pos
	X    Expr
	List []Expr
}

// Logic is AND, or OR if Or is set, of two or more conditions, from left to
// right.
type Logic struct {
	Or    bool
	Conds []Cond
}

// NotCond is NOT Cond.
type NotCond struct{ Cond Cond }

// Truth is a bit (or a number other than 0) that stands where a condition is
// wanted.
type Truth struct{ X Expr }

func (*Compare) cond() {}
func (*Like) cond()    {}
func (*IsNull) cond()  {}
func (*InList) cond()  {}
func (*Logic) cond()   {}
func (*NotCond) cond() {}
func (*Truth) cond()   {}
