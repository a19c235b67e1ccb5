package syntax

// Expr is an expression. Conditions are expressions too: the grammar does not
// tell them from values, the checker does.
type Expr interface {
	Node
	expr()
}

// Number is a number literal without a sign, as it was written.
type Number struct {
	Span
	Text string
}

// IsInteger tells whether the literal has neither a fraction nor an exponent.
func (n *Number) IsInteger() bool {
	for i := range len(n.Text) {
		if c := n.Text[i]; c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// String is a text literal, its value without quotes and escapes.
type String struct {
	Span
	Value string
}

// Null is NULL.
type Null struct{ Span }

// Column is a name or a chain of names a.b.c. Whether the first one is an
// input's alias or a column is for the checker to find out.
type Column struct {
	Span
	Path []*Ident
}

// Member is a field of the record that X yields, as in System.Window().Id.
type Member struct {
	Span
	X    Expr
	Name *Ident
}

// Star is * or alias.* in a select list, and the argument of COUNT(*).
type Star struct {
	Span
	Qualifier []*Ident
}

// Call is a function's call. Name has one part, or more for System.Timestamp(),
// udf.f() and uda.g(). CAST, TRY_CAST and windows have nodes of their own.
type Call struct {
	Span
	Name []*Ident
	// Args are the arguments. The first one of functions that take a time unit
	// (DATEADD, DATEDIFF, DATENAME, DATEPART, ISFIRST) is a *Unit.
	Args     []Expr
	Distinct bool
	// WithinGroup is the order of WITHIN GROUP (ORDER BY ...), nil if absent.
	WithinGroup []*OrderItem
	Over        *Over
}

// FullName returns the parts of the name joined by dots, as spelled.
func (c *Call) FullName() string { return joinNames(c.Name) }

func joinNames(names []*Ident) string {
	s := ""
	for i, n := range names {
		if i > 0 {
			s += "."
		}
		s += n.Name
	}
	return s
}

// Over is OVER (PARTITION BY ... ORDER BY ... LIMIT DURATION(...) WHEN ...);
// what is absent is nil.
type Over struct {
	Span
	PartitionBy []Expr
	OrderBy     []*OrderItem
	Limit       *Duration
	When        Expr
}

// OrderItem is one key of an ORDER BY.
type OrderItem struct {
	Span
	Expr Expr
	Desc bool
}

// Unit is a time unit in the place of an argument.
type Unit struct {
	Span
	// Name is the unit as spelled.
	Name string
	// Unit is NoUnit if the text has an error there.
	Unit TimeUnit
}

// Duration is a number of units: DURATION(minute, 5), or the unit and one of
// the numbers of a window's short form, whose durations share the unit.
type Duration struct {
	Span
	Unit *Unit
	// Value is a number, maybe with a sign; the grammar takes any expression.
	Value Expr
}

// Cast is CAST(X AS Type) or TRY_CAST(X AS Type).
type Cast struct {
	Span
	X    Expr
	Type *TypeName
	Try  bool
}

// TypeName is a type as written in CAST and CREATE TABLE.
type TypeName struct {
	Span
	// Type is NoType if the text has an error there.
	Type Type
}

// Op is an operator.
type Op uint8

// The operators. Not-greater and not-less are read as what they mean: <= and >=.
const (
	NoOp Op = iota
	Or
	And
	Not
	Equal
	NotEqual
	Less
	LessOrEqual
	Greater
	GreaterOrEqual
	Add
	Subtract
	BitAnd
	BitOr
	BitXor
	Multiply
	Divide
	Modulo
	BitNot
	Plus
	Minus
)

// Unary is NOT, ~, + or - before X.
type Unary struct {
	Span
	Op Op
	X  Expr
}

// Binary is X Op Y.
type Binary struct {
	Span
	Op    Op
	X, Y  Expr
	OpPos Pos
}

// Between is X [NOT] BETWEEN Low AND High.
type Between struct {
	Span
	Not          bool
	X, Low, High Expr
	OpPos        Pos
}

// In is X [NOT] IN (List).
type In struct {
	Span
	Not   bool
	X     Expr
	List  []Expr
	OpPos Pos
}

// Like is X [NOT] LIKE Pattern.
type Like struct {
	Span
	Not        bool
	X, Pattern Expr
	OpPos      Pos
}

// IsNull is X IS [NOT] NULL.
type IsNull struct {
	Span
	Not   bool
	X     Expr
	OpPos Pos
}

// Case is CASE [Operand] WHEN ... THEN ... [ELSE ...] END.
type Case struct {
	Span
	Operand Expr
	Whens   []*When
	Else    Expr
	ElsePos Pos
}

// When is one branch of a Case.
type When struct {
	Span
	Cond, Then Expr
}

// Paren is an expression in parentheses.
type Paren struct {
	Span
	X Expr
}

// Unparen returns e without the parentheses around it.
func Unparen(e Expr) Expr {
	for {
		p, ok := e.(*Paren)
		if !ok {
			return e
		}
		e = p.X
	}
}

// WindowKind is the kind of a Window.
type WindowKind uint8

// The kinds of windows. A snapshot window has no function of its own: it is
// GROUP BY System.Timestamp(), and a Window only as a member of Windows(...),
// where it has no lengths.
const (
	Tumbling WindowKind = iota
	Hopping
	Sliding
	Session
	Snapshot
)

// Window is a window function in a GROUP BY or in Windows(...).
type Window struct {
	Span
	Kind WindowKind
	// Size is the window's length; of a session, its timeout.
	Size *Duration
	// Hop is the step of a hopping window, else nil.
	Hop *Duration
	// MaxDuration is the limit of a session's length, nil if absent.
	MaxDuration *Duration
	// Offset shifts a tumbling or hopping window, nil if absent.
	Offset *Duration
	// PartitionBy are the keys of a session's OVER (PARTITION BY ...).
	PartitionBy []Expr
	// Short is true for the names without "Window", as in Tumbling(second, 5).
	Short bool
	// Long is true for the form with Duration(...), Hop(...) and so on instead
	// of one unit and numbers.
	Long bool
}

// Windows is Windows(...): the union of what several windows yield.
type Windows struct {
	Span
	Windows []*NamedWindow
}

// NamedWindow is one member of Windows: a window, or Window('id', window).
type NamedWindow struct {
	Span
	// ID is nil for a member without one.
	ID     *String
	Window *Window
}

func (*Number) expr()  {}
func (*String) expr()  {}
func (*Null) expr()    {}
func (*Column) expr()  {}
func (*Member) expr()  {}
func (*Star) expr()    {}
func (*Call) expr()    {}
func (*Unit) expr()    {}
func (*Cast) expr()    {}
func (*Unary) expr()   {}
func (*Binary) expr()  {}
func (*Between) expr() {}
func (*In) expr()      {}
func (*Like) expr()    {}
func (*IsNull) expr()  {}
func (*Case) expr()    {}
func (*Paren) expr()   {}
func (*Window) expr()  {}
func (*Windows) expr() {}
