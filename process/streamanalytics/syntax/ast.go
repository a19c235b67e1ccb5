package syntax

// Script is a whole text: any number of CREATE TABLE statements, usually one
// WITH, and the SELECT statements that feed outputs.
type Script struct {
	Span
	Statements []Statement
	// Comments are all comments of the text in order. They belong to no node;
	// Print puts them back by their places.
	Comments []*Comment
}

// Comment is one comment with its delimiters: `-- to the end of the line`
// (without the line's end) or `/* block */`.
type Comment struct {
	Span
	Text string
	// OwnLine is true if nothing but white space stands before it on its line.
	OwnLine bool
}

// IsLine tells whether the comment ends with its line.
func (c *Comment) IsLine() bool { return len(c.Text) > 1 && c.Text[0] == '-' }

// Ident is a name.
type Ident struct {
	Span
	// Name is the name without delimiters and escapes.
	Name string
	// Quote tells how it was delimited: 0 (not at all), '[' or '"'.
	Quote byte
}

// Statement is a *CreateTable, *With or *QueryStatement.
type Statement interface {
	Node
	statement()
}

// CreateTable declares the types of an input's columns.
type CreateTable struct {
	Span
	Name    *Ident
	Columns []*ColumnDef
}

// ColumnDef is one column of a CREATE TABLE.
type ColumnDef struct {
	Span
	Name *Ident
	Type *TypeName
}

// With names steps that later steps and statements select from.
type With struct {
	Span
	Steps []*Step
}

// Step is one named query of a WITH.
type Step struct {
	Span
	Name  *Ident
	Query Query
}

// QueryStatement is a query whose rows go to an output.
type QueryStatement struct {
	Span
	Query Query
}

// Into returns the output's name, nil if the statement has no INTO (then it is
// the output named "output"). In a UNION the first SELECT carries it.
func (s *QueryStatement) Into() *Ident {
	for q := s.Query; ; {
		switch x := q.(type) {
		case *Select:
			return x.Into
		case *Union:
			q = x.Left
		case *ParenQuery:
			q = x.Query
		default:
			return nil
		}
	}
}

func (*CreateTable) statement()    {}
func (*With) statement()           {}
func (*QueryStatement) statement() {}

// Query is a *Select, *Union or *ParenQuery.
type Query interface {
	Node
	query()
}

// Select is one SELECT with its clauses. From is nil only if the text has an
// error there; Into, Where, GroupBy and Having are nil when absent.
type Select struct {
	Span
	Items   []*Item
	Into    *Ident
	From    Source
	Where   Expr
	GroupBy []Expr
	Having  Expr
	// Places of the clauses' first keywords; zero when absent.
	IntoPos, FromPos, WherePos, GroupPos, HavingPos Pos
}

// Item is one member of a select list (or of MEASURES): an expression with an
// optional name. Expr is a *Star for * and alias.*.
type Item struct {
	Span
	Expr  Expr
	Alias *Ident
}

// Union is Left UNION [ALL] Right; chains lean to the left. Both forms keep
// duplicates in this language, All only records the spelling.
type Union struct {
	Span
	Left, Right Query
	All         bool
	OpPos       Pos
}

// ParenQuery is a query in parentheses.
type ParenQuery struct {
	Span
	Query Query
}

func (*Select) query()     {}
func (*Union) query()      {}
func (*ParenQuery) query() {}

// Source is what rows are read from: an *Input, *Derived, *Join, *Apply,
// *UnionSource or *MatchRecognize.
type Source interface {
	Node
	source()
}

// Input is an input or a step by name.
type Input struct {
	Span
	Name        *Ident
	Alias       *Ident
	PartitionBy *PartitionBy
	TimestampBy *TimestampBy
}

// Derived is a query in parentheses in the place of an input.
type Derived struct {
	Span
	Query       Query
	Alias       *Ident
	PartitionBy *PartitionBy
	TimestampBy *TimestampBy
	// ClosePos is the place of the closing parenthesis.
	ClosePos Pos
}

// PartitionBy is PARTITION BY keys [INTO n].
type PartitionBy struct {
	Span
	Keys []Expr
	// Into is the number of shards, 0 if the text does not say.
	Into    int
	IntoPos Pos
}

// TimestampBy is TIMESTAMP BY time [OVER keys].
type TimestampBy struct {
	Span
	Time Expr
	Over []Expr
}

// JoinKind is the kind of a Join.
type JoinKind uint8

// The kinds of joins that the language has.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	CrossJoin
)

// Join is Left [INNER | LEFT OUTER | CROSS] JOIN Right [ON condition]; On is
// nil for a cross join. Chains lean to the left.
type Join struct {
	Span
	Kind        JoinKind
	Left, Right Source
	On          Expr
	OpPos       Pos
	OnPos       Pos
}

// Apply is Left CROSS APPLY Call AS Alias, or OUTER APPLY.
type Apply struct {
	Span
	Outer bool
	Left  Source
	Call  *Call
	Alias *Ident
	OpPos Pos
}

// UnionSource is Left UNION Right between inputs, as in FROM step1 UNION step2.
type UnionSource struct {
	Span
	Left, Right Source
	All         bool
	OpPos       Pos
}

// MatchRecognize is Input MATCH_RECOGNIZE (...) AS Alias. The only form of
// AFTER MATCH is SKIP TO NEXT ROW, so the tree does not hold it.
type MatchRecognize struct {
	Span
	Input       Source
	Limit       *Duration
	PartitionBy []Expr
	Measures    []*Item
	Pattern     Pattern
	Define      []*Definition
	Alias       *Ident
	// OpPos is the place of MATCH_RECOGNIZE, AfterPos that of AFTER (zero if the
	// text leaves it out), ClosePos that of the closing parenthesis.
	OpPos, AfterPos, ClosePos Pos
}

// Definition is one member of DEFINE: Name AS Cond.
type Definition struct {
	Span
	Name *Ident
	Cond Expr
}

func (*Input) source()          {}
func (*Derived) source()        {}
func (*Join) source()           {}
func (*Apply) source()          {}
func (*UnionSource) source()    {}
func (*MatchRecognize) source() {}

// Pattern is a *PatternName, *PatternSequence, *PatternChoice or
// *PatternRepeat.
type Pattern interface {
	Node
	pattern()
}

// PatternName stands for one event that fulfils a definition; Name is nil for
// the dot, which any event fulfils.
type PatternName struct {
	Span
	Name *Ident
}

// PatternSequence is two or more patterns that follow each other.
type PatternSequence struct {
	Span
	Items []Pattern
}

// PatternChoice is two or more patterns of which the first that matches counts.
type PatternChoice struct {
	Span
	Items []Pattern
}

// PatternRepeat is a pattern with *, + or ? behind it.
type PatternRepeat struct {
	Span
	X Pattern
	// Quantifier is '*', '+' or '?'.
	Quantifier byte
}

func (*PatternName) pattern()     {}
func (*PatternSequence) pattern() {}
func (*PatternChoice) pattern()   {}
func (*PatternRepeat) pattern()   {}
