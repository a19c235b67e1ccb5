// Package connector is the boundary between Millrace's stages and the outside
// world: the interfaces that logs, stores and dead letters implement, and the
// errors with which they say what to do next. Each outside system has one
// folder below this one; connectortest holds the contract they must pass.
//
// A connector reaches its system only through the system's official client or
// protocol, and never imports its own stand-in (the folder local/ below it).
package connector

import (
	"context"
	"log/slog"
	"time"

	"millrace/record"
)

// Unknown is the position of a partition of which a store knows nothing yet.
const Unknown int64 = -1

// Earliest asks a source to start at the first entry that a partition has,
// whatever the group committed: a store that keeps positions and has none has
// stored nothing.
const Earliest int64 = -2

// Env is what a connector may know of the world around it.
type Env struct {
	// Run names this run; connectors add it to the names of what they
	// create (topics, tables, groups), so that runs do not mix. Empty: the
	// names stand as configured.
	Run string
	// DataDir is a folder for embedded stores' files.
	DataDir string
	// Getenv reads an environment variable (secrets, addresses).
	Getenv func(string) string
	// Log receives what an operator may need to know. Never nil.
	Log *slog.Logger
}

// Log is a partitioned append-only log (a Kafka topic, an event hub), ordered
// per partition, with at-least-once delivery. All methods are safe for
// concurrent use.
type Log interface {
	// Describe names the log for people, without secrets:
	// "kafka 127.0.0.1:9092 topic telemetry".
	Describe() string
	// Prepare creates the topic or hub with the configured number of
	// partitions if it is missing, and reports the number it has. It fails
	// if the log exists with another number than configured.
	Prepare(ctx context.Context) (partitions int, err error)
	// Producer opens the sending side. acked is called exactly once per
	// message given to Produce, from any goroutine, in any order across
	// partitions; a nil error means the log has acknowledged it.
	Producer(ctx context.Context, acked func(m *Message, err error)) (Producer, error)
	// Source opens the reading side as a member of group.
	Source(ctx context.Context, group string) (Source, error)
	// Replay reads partition p from position from (or the first entry
	// still there) until position to, outside any group, in order.
	Replay(ctx context.Context, p int32, from, to int64, fn func(*record.Batch) error) error
	// OffsetAt returns the position of the first entry of partition p
	// appended at or after micros, or the end position if there is none.
	OffsetAt(ctx context.Context, p int32, micros int64) (int64, error)
	// Ends returns the end position (that of the next entry) of every
	// partition, indexed by partition.
	Ends(ctx context.Context) ([]int64, error)
	// Committed returns the positions that group has committed with the
	// log's own mechanism, by partition; those without are left out.
	Committed(ctx context.Context, group string) (map[int32]int64, error)
	// Drop deletes the topic or hub. Missing is not an error.
	Drop(ctx context.Context) error
	Close() error
}

// Message is one event on its way into a log. Key chooses the partition. Both
// slices must stay untouched until the message is acknowledged.
type Message struct {
	Key   []byte
	Value []byte
	// Token is the sender's own; connectors leave it alone.
	Token uint64
}

// Producer appends messages. Messages with the same key are appended in the
// order in which Produce was called. Not safe for concurrent use, except
// Close.
type Producer interface {
	// Produce queues m; it blocks while the bound of unacknowledged
	// messages is reached, and fails only if ctx ends or the producer is
	// closed (m is then not queued and not acknowledged).
	Produce(ctx context.Context, m *Message) error
	// Flush returns when every queued message has been acknowledged or has
	// failed, or ctx ends.
	Flush(ctx context.Context) error
	// Close gives up what is still queued (acked is called with an error).
	Close() error
}

// Source reads a log as a member of a group: the service's own mechanism
// decides which partitions this member owns.
type Source interface {
	// Run joins the group and drives h until ctx ends (it then leaves the
	// group, revoking what it owns, and returns nil) or until an error that
	// retrying cannot mend, or any error of h.
	Run(ctx context.Context, h Handler) error
	// Commit records positions with the group's own mechanism, so that the
	// service's tools show the lag and stores without positions resume
	// from them. Committing for a partition that this member no longer
	// owns is not an error and may be ignored.
	Commit(ctx context.Context, positions []Position) error
	Close() error
}

// Position is the next offset to read of one partition.
type Position struct {
	Partition int32
	Offset    int64
}

// Handler is what a Source drives. Calls for one partition never overlap, but
// calls for different partitions may; Revoke may be called while a Deliver
// for the same partition is blocked, and must make that Deliver return.
type Handler interface {
	// Assign tells that this member now owns the partitions, and returns
	// where to start reading each of them: an offset, Earliest, or Unknown
	// for the group's committed position, else the first entry. No Deliver
	// for them happens before it returns.
	Assign(ctx context.Context, partitions []int32) (map[int32]int64, error)
	// Deliver hands over the next batch of an owned partition. It blocks
	// while the queues behind it are full: that is the back-pressure. A
	// batch of a partition that is not (or no longer) owned is dropped. The
	// batch belongs to the handler from then on.
	Deliver(ctx context.Context, b *record.Batch) error
	// Revoke takes partitions away in good order: when it returns, what was
	// delivered of them has been stored and committed, or given up. lost
	// says that the group has already given them to somebody else, so that
	// nothing more must be written.
	Revoke(ctx context.Context, partitions []int32, lost bool)
}

// Store is where results are served from. Every store makes a retry harmless;
// Kind says how. Claim and Write are called by the owner of the partitions
// concerned; a worker that lost them gets a Fenced error.
type Store interface {
	// Describe names the store for people, without secrets.
	Describe() string
	// Traits says how the store wants to be used.
	Traits() Traits
	// Prepare creates what is missing (database objects, topics). It may be
	// called by several workers at once.
	Prepare(ctx context.Context) error
	// Claim makes worker the owner of partitions, which fences every
	// earlier owner, and returns the position that the store holds for each
	// (Unknown if none).
	Claim(ctx context.Context, worker string, partitions []int32) (map[int32]int64, error)
	// Write stores the results and moves the positions. For a transactional
	// store both happen or neither. Up to Traits().Writers calls may run at
	// once, for disjoint partitions. The slices are the caller's again when
	// it returns.
	Write(ctx context.Context, w *Write) (Receipt, error)
	// Scan reads back everything served, in no particular order. The
	// Stored value is reused between calls.
	Scan(ctx context.Context, fn func(*record.Stored) error) error
	// Query runs text in the store's own language.
	Query(ctx context.Context, text string) (Rows, error)
	// Drop deletes what Prepare created. Missing is not an error.
	Drop(ctx context.Context) error
	Close() error
}

// Kind says how a store makes retries harmless (design, section 3).
type Kind string

// The kinds of stores. Those that are not idempotent keep positions: what a
// Claim returns is where to go on, whatever the group has committed.
const (
	Transactional Kind = "transactional"
	Idempotent    Kind = "idempotent"
	AppendOnce    Kind = "append-once"
)

// Traits says how a store wants to be used.
type Traits struct {
	Kind Kind
	// Writers is how many concurrent Write calls help, at least 1.
	Writers int
	// MaxRows bounds the results of one Write.
	MaxRows int
	// Linger is how long a result may wait for company before a Write; 0
	// leaves it to the runtime.
	Linger time.Duration
	// Timed says that the store takes results at a position that does not
	// move, each once, by the events' ids or by their running number: results
	// that follow from time passing, not from an input.
	Timed bool
	// Shared tells whether several processes may write at once.
	Shared bool
	// Layout is how rows are laid out ("columnstore", "rowstore"), with a
	// remark where the wanted layout does not exist; empty if meaningless.
	Layout string
}

// Advance moves the position of one partition from From to To.
type Advance struct {
	Partition int32
	From, To  int64
}

// Write is one unit of work for a store. Results are in offset order within
// each partition, those of one offset numbered by Index; each lies in [From, To)
// of its partition's Advance, or at To if the store is Timed. A Write may carry
// only advances.
type Write struct {
	Results  []record.Result
	Advances []Advance
}

// Receipt says what a Write did.
type Receipt struct {
	// Stored is the number of results that are new in the store,
	// Duplicates those that the store had already.
	Stored, Duplicates int
	// StoredAt is the storedAt given to the rows, in microseconds.
	StoredAt int64
	// Bytes is the size of what was sent to the store.
	Bytes int64
	// Charge is the request charge in request units, where the service has
	// such a thing.
	Charge float64
	// Throttled counts the requests that were refused for their rate.
	Throttled int
}

// Rows is a query's result, a row at a time.
type Rows interface {
	Columns() []string
	// Next returns the next row, io.EOF after the last. Values are nil,
	// bool, int64, float64, string, []byte, time.Time.
	Next(ctx context.Context) ([]any, error)
	Close() error
}

// DeadLetters keeps inputs that could not be processed.
type DeadLetters interface {
	// Describe names the place for people.
	Describe() string
	// Write keeps the letters durably before it returns (they survive a
	// kill of this process). Safe for concurrent use.
	Write(ctx context.Context, letters []record.DeadLetter) error
	// Scan reads all letters back; a letter may be seen twice.
	Scan(ctx context.Context, fn func(*record.DeadLetter) error) error
	Close() error
}
