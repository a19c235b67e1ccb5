package exec

import (
	"fmt"
	"math"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/udf"
	"millrace/process/streamanalytics/value"
)

// NoTime stands for a time that is not known: of an event without an arrival
// time, of a task without a watermark.
const NoTime int64 = math.MinInt64

// DefaultMaxStateBytes bounds the state of a task that sets no bound.
const DefaultMaxStateBytes = 512 << 20

// Options say how a task runs. All times and lengths of time are ticks.
type Options struct {
	// Now is the clock behind EventProcessedUtcTime; nil takes the event's
	// arrival time, which makes results repeatable.
	Now func() int64
	// Late and OutOfOrder are the tolerances of inputs with TIMESTAMP BY, and
	// LatePolicy is what becomes of events beyond them. Late also bounds how
	// long a silent partition holds the others back.
	Late, OutOfOrder int64
	LatePolicy       timing.Mode
	// Replay turns the late policy off: events of any age are taken as they are.
	Replay bool
	// EmitEarly, if it is not 0, gives out provisional rows of windows that are
	// still open, each time this much of event time has passed.
	EmitEarly int64
	// Start: rows with an earlier time are not given out. 0 gives out all.
	Start int64
	// MaxStateBytes bounds the memory that the task's state may take; beyond it
	// Push fails. 0 is DefaultMaxStateBytes, less than 0 no bound.
	MaxStateBytes int64
	// Partitions are those of inputs that a task waits for from the start, by the
	// names of the inputs. Others are waited for from their first event on; that
	// is enough for a task with one partition of each input.
	Partitions map[string][]int32
	// Functions are the JavaScript functions and aggregates, nil for none.
	Functions *udf.Library
	// Reference is the reference data by the names of the inputs.
	Reference map[string]Reference
	// OnRow takes a row for an output. The row and what it refers to are valid
	// until OnRow returns (values that are views into an event as long as that
	// event's Raw is). An error stops the task.
	OnRow func(*Row) error
	// OnDropped, if set, is told of each event that was not used.
	OnDropped func(*Dropped)
}

// Reference is reference data: a table that changes now and then.
type Reference interface {
	// At returns the rows, each a record, that hold at a time, and a number
	// that is the same exactly if the rows are. The rows stay unchanged.
	At(ticks int64) (rows []value.Value, version int64, err error)
}

// Event is one event of an input.
type Event struct {
	// Input is the index in plan.Job.Inputs.
	Input int
	// Partition and Offset are the event's place in the input.
	Partition int32
	Offset    int64
	// Arrival is when the input's broker took the event in, Enqueued what
	// EventEnqueuedUtcTime shows. NoTime where that is not known: then the
	// event's own time is its arrival, and EventEnqueuedUtcTime is the arrival.
	// If the first event of an input has no arrival time, those of later ones
	// are ignored.
	Arrival, Enqueued int64
	// Raw is the event, a JSON object. It must stay untouched until Push
	// returns.
	Raw []byte
	// Property looks up what GetMetadataPropertyValue asks for, and the
	// properties of IoT Hub ("IoTHub.ConnectionDeviceId"); nil for none.
	Property func(name string) value.Value
}

// Reason says why an event was not used.
type Reason uint8

// The reasons.
const (
	// NotReadable: the event is not a JSON object, or holds a number out of range.
	NotReadable Reason = iota
	// NotConvertible: a column cannot be converted to the type that CREATE
	// TABLE gives it.
	NotConvertible
	// NoEventTime: TIMESTAMP BY yields nothing that is a time.
	NoEventTime
	// Early, Late and OutOfOrder: see package timing.
	Early
	Late
	OutOfOrder
)

// String returns the reason in words.
func (r Reason) String() string {
	switch r {
	case NotReadable:
		return "input deserialization error"
	case NotConvertible:
		return "data conversion error"
	case NoEventTime:
		return "no event time"
	case Early:
		return "early"
	case Late:
		return "late"
	case OutOfOrder:
		return "out of order"
	}
	return "unknown reason"
}

// Dropped is an event that was not used. An input that a query reads with
// several TIMESTAMP BY clauses may report an event once for each.
type Dropped struct {
	Reason Reason
	// Input is the input's name.
	Input     string
	Partition int32
	Offset    int64
	// Detail is a sentence for people.
	Detail string
	// Raw is the event's text, valid until OnDropped returns.
	Raw []byte
}

// Error stops a task.
type Error struct {
	// Pos is the place in the query, if one is to blame.
	Pos syntax.Pos
	// Input, Partition and Offset say at which event the task stopped. Input is
	// empty at the end of the input.
	Input     string
	Partition int32
	Offset    int64
	Err       error
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Err.Error()
	if e.Pos.IsValid() {
		s = e.Pos.String() + ": " + s
	}
	if e.Input == "" {
		return s
	}
	return fmt.Sprintf("%s (at event %d of partition %d of input %s)", s, e.Offset, e.Partition, e.Input)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Stats are counts since the task began, by the service's names of metrics.
// They are part of the state.
type Stats struct {
	InputEvents, InputEventBytes int64
	InputDeserializationErrors   int64
	DataConversionErrors         int64
	EarlyInputEvents             int64
	LateInputEvents              int64
	OutOfOrderEvents             int64
	// OutputEvents are the rows given out.
	OutputEvents int64
	// Watermark is the least of all sources, NoTime before the first event.
	Watermark int64
}

// OperatorState says how much state an operator holds.
type OperatorState struct {
	// Step is the WITH step or output that the operator belongs to, Operator
	// what it is, Pos its place in the query.
	Step, Operator string
	Pos            syntax.Pos
	// Keys are the groups or rows kept, Windows the windows (or panes of
	// windows) that are open, Bytes the memory for all of it, roughly.
	Keys, Windows int
	Bytes         int64
}
