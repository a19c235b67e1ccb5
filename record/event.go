// Package record holds what every stage of Millrace talks about: the event,
// batches of events with their positions in the log, results on their way
// into a store, and the ledger of what was sent. It imports no other package
// of Millrace.
package record

import "time"

// ID is an event's identity: the 16 bytes of its eventId UUID. Two events in
// the log with the same ID are the same event, sent more than once.
type ID [16]byte

// NoTime marks a time that is not known. All times in this package are
// microseconds since the Unix epoch, UTC.
const NoTime = int64(-1 << 63)

// Micros returns t as microseconds since the Unix epoch.
func Micros(t time.Time) int64 { return t.UnixMicro() }

// Event is one decoded event. It is produced by Decode, which parses the JSON
// once; every slice points into Raw and is valid as long as Raw is.
//
// The fields name the members that every event must have (eventId, deviceId,
// deviceSequenceNumber, createdAt) and those of the standard event that may be
// absent (complexData, value, type). Everything else, and every member whose
// exact text the typed field cannot give back (say, a createdAt that is not in
// UTC with microseconds), is kept in Extra, so that AppendOriginal rebuilds an
// event with the same Fingerprint as Raw.
type Event struct {
	// Raw is the event as the log holds it.
	Raw []byte
	// ID is the eventId.
	ID ID
	// DeviceID is the deviceId, unescaped.
	DeviceID []byte
	// Sequence is the deviceSequenceNumber: per device, from 0, no gaps.
	Sequence int64
	// CreatedAt is createdAt in microseconds.
	CreatedAt int64
	// Value is the value; meaningless unless HasValue.
	Value float64
	// HasValue tells a value of 0 from an absent one.
	HasValue bool
	// Type is the type, unescaped; nil when absent.
	Type []byte
	// ComplexData is the raw JSON object of complexData; nil when absent.
	ComplexData []byte
	// Extra holds the remaining members as a raw JSON member list without
	// the braces (`"a":1,"b":[2]`); nil when there are none. It may point
	// into Raw or be freshly built.
	Extra []byte
}

// Record is one entry of a log partition.
type Record struct {
	// Offset is the entry's position in its partition (Kafka: offset,
	// Event Hubs: sequence number).
	Offset int64
	// Timestamp is when the log appended the entry, in microseconds (Kafka
	// keeps milliseconds only).
	Timestamp int64
	Key       []byte
	Value     []byte
}

// Batch is a run of entries of one partition, in offset order. Offsets may
// have gaps (compaction, transaction markers) but never repeat or go back.
type Batch struct {
	Partition int32
	Records   []Record
	// Next is the position to resume from after this batch: at least the
	// last record's offset plus one.
	Next int64
	// End is the log's end position of the partition when the batch was
	// read; End - Next is the backlog behind it.
	End int64
}

// Result is an event on its way into a store, together with the input
// position that caused it.
type Result struct {
	Event
	Partition int32
	Offset    int64
	// Index numbers the results of one offset, from 0.
	Index int32
	// EnqueuedAt is the log's append time, ProcessedAt the clock when this
	// very event was processed, both in microseconds.
	EnqueuedAt  int64
	ProcessedAt int64
}

// Stored is what a store gives back when it is read for verification. Slices
// are valid only until the callback that receives it returns.
type Stored struct {
	ID          ID
	DeviceID    []byte
	Sequence    int64
	Partition   int32
	Offset      int64
	CreatedAt   int64
	EnqueuedAt  int64
	ProcessedAt int64
	StoredAt    int64
	// Fingerprint is computed from what the store serves: the original
	// event rebuilt from its columns or document, without the members that
	// the pipeline added.
	Fingerprint uint64
}

// Reason says why an input was not processed.
type Reason string

// The reasons of dead letters.
const (
	// NotJSON: the bytes are not one valid JSON object.
	NotJSON Reason = "not-json"
	// MissingField: a member that every event must have is absent.
	MissingField Reason = "missing-field"
	// WrongType: a known member has a value of another type, or one that
	// cannot be read as what it stands for (a UUID, a time).
	WrongType Reason = "wrong-type"
	// Oversized: larger than the solution's limit for one event.
	Oversized Reason = "oversized"
	// DroppedByPolicy: a stated rule leaves the event out (it is late, early or
	// out of order beyond what the query allows).
	DroppedByPolicy Reason = "dropped-by-policy"
	// Rejected: the store refuses this event whatever is tried.
	Rejected Reason = "rejected-by-store"
)

// DeadLetter is one input that could not be processed. (Partition, Offset) is
// its identity: a crash may write it twice, and readers count it once.
type DeadLetter struct {
	Partition int32
	Offset    int64
	Reason    Reason
	// Detail is one sentence for people.
	Detail string
	// At is when the input was given up, in microseconds.
	At int64
	// Key and Raw are the input's bytes, untouched.
	Key []byte
	Raw []byte
}
