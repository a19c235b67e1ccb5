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

	// at is the position of the results that come now and index their number
	// there: the position behind the last record, so that it does not matter
	// whether the next one or the time alone brings them about.
	at    int64
	index int32
	// unread: the query took no notice of the record.
	unread bool

	slots    []value.Value
	columns  []plan.Column
	identity identity
	device   []byte
	// arena holds the text of rows that were put together. It is filled once
	// and never reused: results refer to it until they are stored.
	arena []byte
}

// unknown is the position of a task that has seen no record.
const unknown = -1

// timedTask is a task of a query whose results can follow from time: a
// process.Clocked one.
type timedTask struct{ *task }

// Tick implements process.Clocked.
func (t *timedTask) Tick(arrival int64, out *process.Output) error {
	if t.broken != nil {
		return t.broken
	}
	t.out = out
	defer func() { t.out = nil }()
	return t.clock(arrival)
}

// Waiting implements process.Clocked. Groups are kept beyond their windows, and
// what analytic functions keep makes no results by itself.
func (t *timedTask) Waiting() bool {
	if t.broken != nil {
		return false
	}
	for _, s := range t.exec.States() {
		open := s.Keys
		switch s.Operator {
		case "GROUP BY", "MATCH_RECOGNIZE":
			open = s.Windows
		case "OVER":
			open = 0
		}
		if open > 0 {
			return true
		}
	}
	return false
}

// clock tells the query that it is a time of the log, in microseconds.
func (t *task) clock(at int64) error {
	if err := t.exec.Idle(0, t.partition, at*10); err != nil {
		return fmt.Errorf("%s: %w", t.engine.cfg.Query, err)
	}
	return nil
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
		if t.at == unknown || !t.engine.timed {
			t.at, t.index = t.rec.Offset, 0
		}
		if err := t.record(); err != nil {
			return err
		}
		t.at, t.index = t.rec.Offset+1, 0
	}
	return nil
}

// record works on one record. Each moves the time, whether the query takes any
// other notice of it or not: the position of results must not depend on who told
// the time.
func (t *task) record() error {
	arrival := t.rec.Timestamp
	timed := t.engine.timed
	if !t.admit() {
		if !timed {
			return nil
		}
		return t.clock(arrival)
	}
	if timed && !t.engine.plain {
		if err := t.clock(arrival); err != nil {
			return err
		}
	}
	t.unread = false
	t.ev = exec.Event{Partition: t.partition, Offset: t.rec.Offset, Arrival: arrival * 10, Enqueued: arrival * 10, Raw: t.rec.Value}
	if err := t.exec.Push(&t.ev); err != nil {
		return fmt.Errorf("%s: %w", t.engine.cfg.Query, err)
	}
	if timed && t.unread {
		return t.clock(arrival)
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
	t.unread = true
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
	index := t.index
	t.index++
	if t.out == nil {
		return nil
	}
	text := t.text(r, index)
	t.out.Results = append(t.out.Results, record.Result{})
	res := &t.out.Results[len(t.out.Results)-1]
	if err := res.Decode(text); err != nil {
		t.out.Results = t.out.Results[:len(t.out.Results)-1]
		if t.engine.cfg.OutputErrors == retry {
			return fmt.Errorf("a row is no event that a store could take: %w (outputErrors: drop gives such rows to the dead letters)", err)
		}
		t.unusable(err, text)
		return nil
	}
	o := &t.engine.output
	res.Partition, res.Offset, res.Index = t.partition, t.at, index
	// What follows from time has no entry of the log behind it: its own time
	// stands for that of one.
	enqueued := r.Time / 10
	if !t.engine.timed {
		enqueued = t.rec.Timestamp
	}
	res.EnqueuedAt = o.time(r, o.enqueued, enqueued)
	res.ProcessedAt = o.time(r, o.processed, record.NoTime)
	if res.ProcessedAt == record.NoTime {
		res.ProcessedAt = time.Now().UnixMicro()
	}
	return nil
}

// unusable gives up a row that is no event.
func (t *task) unusable(err error, text []byte) {
	if t.rec != nil && !t.engine.timed {
		// A column that an event lacks and one that it has as null are the same
		// to the query; what the log holds tells them apart.
		if wrong := t.scratch.Decode(t.rec.Value); wrong != nil {
			t.dead(wrong)
			return
		}
	}
	if de, ok := errors.AsType[*record.DecodeError](err); ok {
		// The query made it so: what the log holds may be in order.
		err = &record.DecodeError{Reason: de.Reason, Field: de.Field, Detail: "the query's row: " + de.Detail}
	}
	if t.engine.timed {
		t.out.Dead = append(t.out.Dead, process.DeadLetter(t.partition, &record.Record{Offset: t.at, Value: text}, err, time.Now().UnixMicro()))
		return
	}
	t.dead(err)
}

// text is a row as JSON, without the two times. An event that is passed on as
// it is stays where it is.
func (t *task) text(r *exec.Row, index int32) []byte {
	o := &t.engine.output
	size := 0
	if t.rec != nil {
		size = len(t.rec.Value)
		if o.whole >= 0 {
			if raw := r.Slots[o.whole].JSON(); len(raw) > 0 && size > 0 && &raw[0] == &t.rec.Value[0] {
				return t.rec.Value
			}
		}
	}
	t.slots, t.columns = t.slots[:0], t.columns[:0]
	for i, at := range o.slots {
		// A member that an event need not have is NULL here, and absent there.
		if !r.Slots[at].IsNull() {
			t.slots, t.columns = append(t.slots, r.Slots[at]), append(t.columns, o.columns[i])
		}
	}
	rest := *r
	rest.Columns, rest.Slots = t.columns, t.slots
	if cap(t.arena)-len(t.arena) < 2*size+4096 {
		t.arena = make([]byte, 0, max(arenaBytes, 4*size))
	}
	start := len(t.arena)
	if o.made {
		t.device = o.deviceOf(t.device[:0], r)
		id := t.identity.of(o, r, t.device, t.partition, t.at, index)
		t.arena = o.appendEvent(t.arena, r, id, t.device)
	}
	body := len(t.arena)
	t.arena = rest.AppendJSON(t.arena)
	if o.made {
		// One object of two.
		if len(t.columns) == 0 {
			t.arena = append(t.arena[:body], '}')
		} else {
			t.arena[body] = ','
		}
	}
	return t.arena[start:len(t.arena):len(t.arena)]
}

// Snapshot implements process.Task: the query's state behind the dedupe step's.
func (t *task) Snapshot(dst []byte) []byte {
	if t.broken != nil {
		return dst
	}
	before := len(dst)
	dst = binary.LittleEndian.AppendUint64(dst, uint64(t.at))
	dst = binary.LittleEndian.AppendUint32(dst, uint32(t.index))
	length := len(dst)
	dst, err := t.exec.AppendState(appendLength(dst, 0))
	if err != nil {
		t.engine.log.Warn("the query's state cannot be saved; after a restart it is rebuilt from the log", "partition", t.partition, "error", err)
		return dst[:before]
	}
	appendLength(dst[:length], len(dst)-length-lengthBytes)
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
	if len(state) < placeBytes {
		return errors.New("the state is torn")
	}
	n, rest, ok := readLength(state[placeBytes:])
	if !ok {
		return errors.New("the state is torn")
	}
	t.at, t.index = int64(binary.LittleEndian.Uint64(state)), int32(binary.LittleEndian.Uint32(state[8:]))
	if err := t.exec.ReadState(rest[:n]); err != nil {
		return err
	}
	if t.seen == nil {
		return nil
	}
	return t.seen.ReadState(rest[n:])
}

// placeBytes is the size of a position and a number there, lengthBytes that of a
// length.
const (
	placeBytes  = 12
	lengthBytes = 8
)

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
