package streamanalytics

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"millrace/process"
	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
	"millrace/record"
)

// task implements process.Task: the query over one partition. Its rows are
// events again: their columns name an event's members.
type task struct {
	engine    *Engine
	partition int32
	exec      *exec.Task
	seen      *process.IDSet // nil: no dedupe
	broken    error          // why there is no exec

	// Of the record that is being worked on:
	out     *process.Output // nil during a replay
	rec     *record.Record
	scratch record.Event
	ev      exec.Event

	slots   []value.Value
	columns []plan.Column
	// arena holds the text of rows that were put together. It is filled once
	// and never reused: results refer to it until they are stored.
	arena []byte
}

// arenaBytes is the size of one piece of the arena.
const arenaBytes = 256 << 10

// Process implements process.Task.
func (t *task) Process(b *record.Batch, out *process.Output) error {
	t.out = out
	defer func() { t.out, t.rec = nil, nil }()
	return t.push(b)
}

// Replay implements process.Task.
func (t *task) Replay(b *record.Batch) error { return t.push(b) }

func (t *task) push(b *record.Batch) error {
	if t.broken != nil {
		return t.broken
	}
	for i := range b.Records {
		t.rec = &b.Records[i]
		if !t.admit() {
			continue
		}
		at := t.rec.Timestamp * 10
		t.ev = exec.Event{Partition: t.partition, Offset: t.rec.Offset, Arrival: at, Enqueued: at, Raw: t.rec.Value}
		if err := t.exec.Push(&t.ev); err != nil {
			return fmt.Errorf("%s: %w", t.engine.cfg.Query, err)
		}
	}
	return nil
}

// admit is what comes before the query: the limit of an event's size, and the
// dedupe step.
func (t *task) admit() bool {
	if limit := int(t.engine.cfg.MaxEventBytes); len(t.rec.Value) > limit {
		t.dead(&record.DecodeError{Reason: record.Oversized, Detail: fmt.Sprintf("%d bytes, the limit is %d", len(t.rec.Value), limit)})
		return false
	}
	if t.seen == nil {
		return true
	}
	if err := t.scratch.Decode(t.rec.Value); err != nil {
		t.dead(err)
		return false
	}
	if t.seen.Add(t.scratch.ID, t.scratch.CreatedAt, t.rec.Timestamp) {
		if t.out != nil {
			t.out.Duplicates++
		}
		return false
	}
	return true
}

func (t *task) dead(err error) {
	if t.out != nil {
		t.out.Dead = append(t.out.Dead, process.DeadLetter(t.partition, t.rec, err, time.Now().UnixMicro()))
	}
}

// dropped takes an event that the query did not use.
func (t *task) dropped(d *exec.Dropped) {
	reason := record.NotJSON
	switch d.Reason {
	case exec.NotConvertible, exec.NoEventTime:
		reason = record.WrongType
	case exec.Early, exec.Late, exec.OutOfOrder:
		reason = record.DroppedByPolicy
	}
	t.dead(&record.DecodeError{Reason: reason, Detail: d.Reason.String() + ": " + d.Detail})
}

// row takes a row of the query.
func (t *task) row(r *exec.Row) error {
	if t.out == nil {
		return nil
	}
	t.out.Results = append(t.out.Results, record.Result{})
	res := &t.out.Results[len(t.out.Results)-1]
	if err := res.Decode(t.text(r)); err != nil {
		t.out.Results = t.out.Results[:len(t.out.Results)-1]
		if de, ok := errors.AsType[*record.DecodeError](err); ok {
			// The query made it so: what the log holds may be in order.
			err = &record.DecodeError{Reason: de.Reason, Field: de.Field, Detail: "the query's row: " + de.Detail}
		}
		t.dead(err)
		return nil
	}
	o := &t.engine.output
	res.Partition, res.Offset = t.partition, r.Offset
	res.EnqueuedAt = o.time(r, o.enqueued, t.rec.Timestamp)
	res.ProcessedAt = o.time(r, o.processed, record.NoTime)
	if res.ProcessedAt == record.NoTime {
		res.ProcessedAt = time.Now().UnixMicro()
	}
	return nil
}

// text is a row as JSON, without the two times. An event that is passed on as
// it is stays where it is.
func (t *task) text(r *exec.Row) []byte {
	o := &t.engine.output
	if o.whole >= 0 {
		if raw := r.Slots[o.whole].JSON(); len(raw) > 0 && len(t.rec.Value) > 0 && &raw[0] == &t.rec.Value[0] {
			return t.rec.Value
		}
	}
	t.slots, t.columns = t.slots[:0], t.columns[:0]
	for i, at := range o.slots {
		// A member that an event need not have is NULL here, and absent there.
		if !r.Slots[at].IsNull() {
			t.slots, t.columns = append(t.slots, r.Slots[at]), append(t.columns, o.columns[i])
		}
	}
	whole := *r
	whole.Columns, whole.Slots = t.columns, t.slots
	if cap(t.arena)-len(t.arena) < 2*len(t.rec.Value)+4096 {
		t.arena = make([]byte, 0, max(arenaBytes, 4*len(t.rec.Value)))
	}
	start := len(t.arena)
	t.arena = whole.AppendJSON(t.arena)
	return t.arena[start:len(t.arena):len(t.arena)]
}

// Snapshot implements process.Task: the query's state behind the dedupe step's.
func (t *task) Snapshot(dst []byte) []byte {
	if t.broken != nil {
		return dst
	}
	before := len(dst)
	dst, err := t.exec.AppendState(appendLength(dst, 0))
	if err != nil {
		t.engine.log.Warn("the query's state cannot be saved; after a restart it is rebuilt from the log", "partition", t.partition, "error", err)
		return dst[:before]
	}
	appendLength(dst[:before], len(dst)-before-lengthBytes)
	if t.seen != nil {
		dst = t.seen.AppendState(dst)
	}
	return dst
}

// Restore implements process.Task.
func (t *task) Restore(state []byte) error {
	if t.broken != nil {
		return t.broken
	}
	n, rest, ok := readLength(state)
	if !ok {
		return errors.New("the state is torn")
	}
	if err := t.exec.ReadState(rest[:n]); err != nil {
		return err
	}
	if t.seen == nil {
		return nil
	}
	return t.seen.ReadState(rest[n:])
}

const lengthBytes = 8

func appendLength(dst []byte, n int) []byte {
	return binary.LittleEndian.AppendUint64(dst, uint64(n))
}

func readLength(b []byte) (n int, rest []byte, ok bool) {
	if len(b) < lengthBytes {
		return 0, nil, false
	}
	size := binary.LittleEndian.Uint64(b)
	rest = b[lengthBytes:]
	return int(size), rest, size <= uint64(len(rest))
}
