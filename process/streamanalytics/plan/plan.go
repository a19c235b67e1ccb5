// Package plan holds the executable form of a query: a graph of operators over
// rows of slots, with every name resolved. Package check makes a [Job] of a
// text, package exec runs it. The types are data: they hold no state and are
// safe for concurrent use once built.
//
// A row is a time (System.Timestamp) and a fixed number of slots, each a
// value.Value. Every [Node] says how many slots its rows have and what they
// mean; expressions name slots by number. So nothing is looked up by name while
// rows flow, except members of records ([Field]) and what SELECT * passes on
// ([Column.Spread]).
//
// Times and lengths of time are ticks: 100 ns units, since the Unix epoch.
package plan

import (
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// Job is a whole query: all its statements, as one graph.
type Job struct {
	// Level is the compatibility level.
	Level value.Level
	// Inputs are what the query reads, in the order of their first use.
	Inputs []*Input
	// Outputs are what it feeds, in the order of their first use. Several
	// statements may feed one output.
	Outputs []*Output
	// Nodes are all operators, each after those it reads from. The sinks are
	// among them.
	Nodes []Node
	// Parallel tells whether the partitions of the inputs can be worked on
	// apart from each other.
	Parallel Parallel
}

// Parallel says whether running the job once per partition, each with its own
// state, gives the same results as running it once over all of them.
type Parallel struct {
	// OK is the answer.
	OK bool
	// Reasons say why: one sentence for each statement or step, with its
	// place. Where OK is false at least one names what stands in the way and
	// what to change.
	Reasons []string
}

// InputKind tells streams from reference data.
type InputKind uint8

// The kinds of inputs.
const (
	Stream InputKind = iota
	Reference
)

// Input is a source outside of the query.
type Input struct {
	// Name is the name as first spelled in the query.
	Name string
	Kind InputKind
	// Declared are the columns of its CREATE TABLE, nil without one. A row
	// whose column can not be converted is dropped and counted.
	Declared []Declared
	// PartitionKey is the column by which the input's partitions are keyed, ""
	// if that is not known.
	PartitionKey string
}

// Declared is one column of a CREATE TABLE.
type Declared struct {
	Name string
	Kind value.Kind
}

// Output is a destination outside of the query.
type Output struct{ Name string }

// Node is an operator: *Source, *Filter, *Project, *Analytic, *Aggregate,
// *Join, *ReferenceJoin, *Apply, *Union, *Match or *Sink.
type Node interface {
	// Head is what all operators have in common.
	Head() *Common
}

// Common is what all operators have in common.
type Common struct {
	// ID is the node's index in Job.Nodes.
	ID int
	// Step is the WITH step or the output that the node belongs to, for people.
	Step string
	// Pos is the place in the text that it comes from.
	Pos syntax.Pos
	// Width is the number of slots of its rows.
	Width int
	// Inputs are the nodes that it reads from, in the order that its type says.
	Inputs []Node
	// Partition are the keys that keep the node's state apart because its
	// input is partitioned (PARTITION BY), over the rows of Inputs[0]. They
	// have been added to the keys of the node's calls already; they are kept
	// here to be explained.
	Partition []Expr
}

// Head implements Node.
func (c *Common) Head() *Common { return c }

// Source reads an input. Its rows have the slots
//
//	0 .. len(Fields)-1   the members of that name (NULL if missing)
//	Payload              the whole event as a record, if Payload >= 0
//	Meta[i].Slot         what the service adds to an event
//
// Two uses of an input with the same clauses are one node.
type Source struct {
	Common
	Input *Input
	// Fields are the names of the top-level members that the query uses, as it
	// spells them; no two are equal.
	Fields []string
	// Payload is the slot of the whole event, -1 if nothing needs it.
	Payload int
	Meta    []Meta
	// TimestampBy is the event time, nil for the arrival time. It sees the
	// source's own rows.
	TimestampBy Expr
	// Over are the keys of substreams (TIMESTAMP BY ... OVER), nil without.
	Over []Expr
}

// MetaKind is a property that does not come from the event's own text.
type MetaKind uint8

// The properties of an event that the input adds. MetaProperty is one that
// GetMetadataPropertyValue asks for by name, and those of IoT Hub.
const (
	MetaEnqueued    MetaKind = iota // EventEnqueuedUtcTime, DateTime
	MetaProcessed                   // EventProcessedUtcTime, DateTime
	MetaPartitionID                 // PartitionId, BigInt
	MetaOffset                      // the position in the partition, BigInt
	MetaProperty
)

// Meta puts a property of an event into a slot. A member of the event with the
// same name wins over MetaEnqueued, MetaProcessed and MetaPartitionID; it is
// then a field and not a Meta.
type Meta struct {
	Kind MetaKind
	// Name is the property that MetaProperty stands for, as spelled.
	Name string
	Slot int
}

// Filter passes on the rows for which Cond is true, as they are.
type Filter struct {
	Common
	Cond Cond
}

// Project makes new rows: slot i is Columns[i].
type Project struct {
	Common
	Columns []Column
}

// Column is one column of a Project.
type Column struct {
	// Name is the column's name as the query spells it; "" if Spread.
	Name string
	Expr Expr
	// Spread says that the value is a record whose members are columns
	// themselves (SELECT *, alias.*).
	Spread bool
	// Hidden says that later steps use the column, but that it is not one of
	// the step's: it was asked for through a Spread that holds it too.
	Hidden bool
}

// Analytic adds a slot per call behind those of its input. It sees every row
// of its input: analytic functions come before WHERE.
type Analytic struct {
	Common
	Calls []*AnalyticCall
}

// AnalyticKind is the function of an AnalyticCall.
type AnalyticKind uint8

// The functions that look at earlier rows.
const (
	Lag AnalyticKind = iota
	Last
	IsFirst
	// Running is an aggregate without a window: over the rows within Limit up
	// to and with the present one.
	Running
	SpikeAndDip
	ChangePoint
)

// AnalyticCall is one call. The functions see the rows of the node's input.
type AnalyticCall struct {
	Kind AnalyticKind
	Pos  syntax.Pos
	// Args are the call's arguments in the order of the text: of Lag the
	// value; of Last the value; of the anomaly functions the value, the
	// confidence, the history and (SpikeAndDip) the mode; empty for IsFirst
	// and Running.
	Args []Expr
	// Offset is Lag's number of rows (default 1); Default is what Lag and Last
	// yield when there is no such row, nil for NULL.
	Offset  int
	Default Expr
	// Every is IsFirst's length of time: intervals of it are aligned like
	// tumbling windows.
	Every int64
	// Aggregate is the function of Running.
	Aggregate *AggregateCall
	// PartitionBy keeps the state apart, nil for one state.
	PartitionBy []Expr
	// Limit is how far back the call looks, 0 for no limit.
	Limit int64
	// When says which rows count, nil for all.
	When Cond
}

// Aggregate groups rows by windows and keys. For each window and group that is
// not empty it makes a row, whose time is the window's end, with the slots
//
//	0 .. len(Keys)-1       the keys
//	then len(Calls)        the aggregates
//	then 1                 the window's id (System.Window().Id), NULL without
type Aggregate struct {
	Common
	Windows []Window
	Keys    []Expr
	Calls   []*AggregateCall
}

// AggregateCall is one aggregate function. Exactly one of Function and User is
// set.
type AggregateCall struct {
	Pos syntax.Pos
	// Function is the name of a built-in aggregate in upper case, as
	// function.LookupAggregate knows it.
	Function string
	// User is the JavaScript aggregate's name.
	User string
	// Args are the arguments; none for COUNT(*). COLLECT(), TOPONE() and
	// COLLECTTOP() have one, the whole row as a record.
	Args     []Expr
	Distinct bool
	// OrderBy are the keys of OVER (ORDER BY) and WITHIN GROUP.
	OrderBy []OrderKey
	// N is COLLECTTOP's number, Fraction the argument of a percentile.
	N        int
	Fraction float64
}

// OrderKey is one key of an order.
type OrderKey struct {
	Expr Expr
	Desc bool
}

// JoinKind is the kind of a join.
type JoinKind = syntax.JoinKind

// Join joins two streams: Inputs[0] is the left one, Inputs[1] the right one.
// Rows have the left slots, then the right ones, then two more: the left row's
// time and the right row's time (NULL if there is no right row). The time of a
// row is the later one of both; that of a left row without a right one is Wait
// later than the left row's.
type Join struct {
	Common
	// Kind is InnerJoin or LeftJoin.
	Kind JoinKind
	// Low and High bound right time minus left time, in ticks: no pair outside
	// can fulfil On. They are wide enough for DATEDIFF's counting of boundaries.
	Low, High int64
	// Wait is how long after a left row a partner can come by the text of On,
	// at least 0 and at most High where that is above 0: a row without a
	// partner is known to have none by then.
	Wait int64
	// LeftKeys and RightKeys are equal for every pair that fulfils On: each
	// over the rows of its own side. Empty if On demands no equality.
	LeftKeys, RightKeys []Expr
	// On is the whole condition over the joined row; it decides.
	On Cond
}

// ReferenceJoin joins a stream with reference data. Rows have the left slots,
// then those of Ref.
type ReferenceJoin struct {
	Common
	// Kind is InnerJoin, LeftJoin or CrossJoin.
	Kind JoinKind
	// Ref says how a row of the reference data looks; it is no node of the job
	// and has no TimestampBy.
	Ref *Source
	// LeftKeys (over the left rows) and RightKeys (over Ref's rows) are equal
	// for every pair that fulfils On. Empty for a cross join.
	LeftKeys, RightKeys []Expr
	// On is the whole condition over the joined row, nil for a cross join.
	On Cond
}

// Apply makes a row for each element of an array or member of a record. It adds
// two slots: ArrayIndex and ArrayValue, or PropertyName and PropertyValue.
type Apply struct {
	Common
	// Outer keeps rows whose Over has nothing, with NULL in both slots.
	Outer bool
	// Elements tells GetArrayElements from GetRecordProperties.
	Elements bool
	Over     Expr
}

// Union passes on the rows of all its inputs, which have the same slots, in
// the order of their times.
type Union struct{ Common }

// Match is MATCH_RECOGNIZE. Its rows have the keys of PartitionBy, then the
// measures; their time is that of the last matched row.
type Match struct {
	Common
	PartitionBy []Expr
	// Limit is the longest time from a match's first row to its last.
	Limit int64
	// Symbols are the names of the pattern; conditions see the rows of the
	// node's input.
	Symbols  []Symbol
	Pattern  Pattern
	Measures []Column
}

// Symbol is a name of a pattern. Cond is nil if any row fulfils it.
type Symbol struct {
	Name string
	Cond Cond
}

// PatternOp is what a Pattern is made of.
type PatternOp uint8

// The forms of patterns.
const (
	// PatternSymbol is one row that fulfils Symbol.
	PatternSymbol PatternOp = iota
	// PatternSequence is Items one after the other.
	PatternSequence
	// PatternChoice is the first of Items that matches.
	PatternChoice
	// PatternStar, PatternPlus and PatternOptional repeat Items[0], as often
	// as possible.
	PatternStar
	PatternPlus
	PatternOptional
)

// Pattern is a regular expression over symbols.
type Pattern struct {
	Op     PatternOp
	Symbol int
	Items  []Pattern
}

// Sink hands the rows of its input to an output. Row i's columns are those that
// are not Hidden.
type Sink struct {
	Common
	Output *Output
	// Columns are those of the input's rows, in order: Expr is nil, slot i is
	// column i.
	Columns []Column
}

// Window is one window of an Aggregate.
type Window struct {
	// ID is the name given in Windows(Window('id', ...)), nil without.
	ID   *string
	Spec timing.Window
	// PartitionBy are the keys of SessionWindow(...) OVER (PARTITION BY ...),
	// over the rows of the node's input.
	PartitionBy []Expr
}
