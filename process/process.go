// Package process is the third stage: it turns batches of log entries into
// results, in order, exactly once.
//
// An Engine makes one Task per partition. A Task is sequential, deterministic
// in event time and may keep state. The Runtime drives tasks: it claims
// partitions in the store, recovers their state, keeps every queue bounded,
// hands results to a Writer together with the input positions that caused
// them, and publishes state snapshots once the positions they belong to are
// stored.
//
// The invariants that the rest of the package refers to by number:
//
//	I1  Results and the positions that caused them reach the store in one
//	    Write; a position is never ahead of its results.
//	I2  A partition's results are written in input order, each input once
//	    per ownership.
//	I3  After Revoke returns, or after a Fenced answer, this worker writes
//	    nothing more for the partition.
//	I4  A snapshot is visible only when the store's position is at or past
//	    the snapshot's position, so recovery never has to go back in time.
//	I5  Dead letters are durable before the position passes their input.
//	I6  Memory is bounded by (lanes x 2 units x MaxRows) events, the queues
//	    and the engine's own bound, which is also that of what a single input
//	    (or the time) can bring about.
package process

import (
	"time"

	"millrace/record"
)

// Task processes the events of one partition, in order, on one goroutine at a
// time. The same inputs give the same results, whatever the batch sizes and
// however often it was restarted from a snapshot (only ProcessedAt differs).
type Task interface {
	// Process handles a batch and appends what comes of it to out. Results
	// may point into the batch's values. An error ends the worker: what the
	// engine was told to do cannot be done, and what it added to out is not
	// written. An input that cannot be used is a dead letter, no error.
	Process(b *record.Batch, out *Output) error
	// Replay updates the state as Process would, and emits nothing.
	Replay(b *record.Batch) error
	// Snapshot appends the state to dst.
	Snapshot(dst []byte) []byte
	// Restore replaces the state by one that Snapshot wrote.
	Restore(state []byte) error
}

// Engine makes tasks.
type Engine interface {
	// Name names the engine and everything in its configuration that a
	// snapshot depends on; a snapshot of another name is not used.
	Name() string
	// NewTask returns a task without state for a partition.
	NewTask(partition int32) Task
	// Lookback is how much of the log, in append time, a task must replay
	// to have the state it would have had; 0 if tasks keep no state.
	Lookback() time.Duration
}

// Output collects what a task makes of its input.
type Output struct {
	Results []record.Result
	Dead    []record.DeadLetter
	// Duplicates counts events that were dropped because the same event
	// was already processed.
	Duplicates int64
}

func (o *Output) reset() {
	// Cleared, so that a small unit after a large one does not keep the
	// large one's payloads alive.
	clear(o.Results[:cap(o.Results)])
	clear(o.Dead[:cap(o.Dead)])
	o.Results, o.Dead, o.Duplicates = o.Results[:0], o.Dead[:0], 0
}
