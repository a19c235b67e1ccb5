package offline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/files"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// Request is one run of a query.
type Request struct {
	Query   Query
	Options *Options
	World   World
	// Begin, if set, is called with the names of the outputs once the query and
	// its files are known to be in order, before the first row.
	Begin func(outputs []string) error
	// Row takes the rows of the outputs as JSON objects; row is valid until it
	// returns. An error stops the run.
	Row func(output string, row []byte) error
	// Dropped, if set, is told of every event that was not used.
	Dropped func(*Dropped) error
	// Progress, if set, is called now and then.
	Progress func(Progress)
	// Idle, if set, is called when a run that follows its input has to wait for
	// more of it.
	Idle func() error
	// Follow reads on when a file has ended, until the context ends.
	Follow bool
	// Now is the clock, nil for that of the machine.
	Now func() time.Time
}

// Dropped is an event that was not used, and where it is.
type Dropped struct {
	Reason, Detail string
	Input, File    string
	Line           int64
	Partition      int32
	Offset         int64
	// Raw is the event's text, valid until the call returns.
	Raw []byte
}

// Progress is how far a run is.
type Progress struct {
	Events, Rows int64
	// Looking tells that the files are read for the order of their events.
	Looking bool
	Elapsed time.Duration
}

// Summary is what came of a run.
type Summary struct {
	// Outputs are the outputs of the query in its order.
	Outputs []OutputCount
	// Stats are the engine's counts.
	Stats exec.Stats
	// Dropped counts the events that were not used, by reason.
	Dropped map[string]int64
	// Latest is the latest arrival, exec.NoTime if there was no event.
	Latest int64
	// StateBytes is the most memory that the state took, roughly.
	StateBytes int64
	// Elapsed is the time of the run without the check of the query.
	Elapsed time.Duration
	// Notes are remarks for people.
	Notes []string
}

// OutputCount is how many rows an output got.
type OutputCount struct {
	Name string
	Rows int64
}

// RunError is a run that failed: at which event, and in which part of the query.
type RunError struct {
	Query Query
	// Pos is the place in the query, if one is to blame.
	Pos syntax.Pos
	// File and Line are the event's place, "" behind the last one.
	File string
	Line int64
	Err  error
}

// Error says where and why in one line.
func (e *RunError) Error() string {
	s := e.Err.Error()
	if e.Pos.IsValid() {
		s = e.Pos.String() + ": " + s
		if e.Query.Name != "" {
			s = e.Query.Name + ": " + s
		}
	}
	if e.File != "" {
		s += fmt.Sprintf(" (at the event in %s:%d)", e.File, e.Line)
	}
	return s
}

// Unwrap returns the cause.
func (e *RunError) Unwrap() error { return e.Err }

// runner is a run that is under way.
type runner struct {
	Request
	*compiled
	feeds  []*feed
	task   *exec.Task
	now    *event
	from   *feed
	event  exec.Event
	places map[place]*position
	// over are partitions that have no more events and are to be closed.
	over []place
	rows []int64
	// given is the number of all rows.
	given   int64
	ctx     context.Context
	buf     []byte
	began   time.Time
	summary Summary
	rowErr  error
}

// place is a partition of an input.
type place struct {
	input     int
	partition int32
}

// position is how far a partition is: the number of its next event, and how many
// are left, where that is known.
type position struct {
	offset, left int64
	counted      bool
}

// position finds, or begins, a partition.
func (r *runner) position(input int, partition int32) *position {
	at := place{input, partition}
	p := r.places[at]
	if p == nil {
		p = &position{}
		r.places[at] = p
	}
	return p
}

// Run runs a query over its files until they end. Errors are a UseError or a
// *QueryError about what was asked for, a *RunError about a failed run, or
// those of Row and the files. The summary is complete if err is nil, and says
// how far the run came if it is a *RunError.
func Run(ctx context.Context, q Request) (*Summary, error) {
	c, err := compile(q.Query, q.Options, q.World, true)
	if err != nil {
		return nil, err
	}
	if q.Now == nil {
		q.Now = time.Now
	}
	r := &runner{Request: q, ctx: ctx, compiled: c, began: q.Now(), places: map[place]*position{},
		rows: make([]int64, len(c.job.Outputs))}
	r.summary.Dropped, r.summary.Latest = map[string]int64{}, exec.NoTime
	if err := r.prepare(ctx); err != nil {
		return nil, errors.Join(err, r.close())
	}
	err = errors.Join(r.work(ctx), r.close())
	return r.finish(), err
}

// prepare opens all that the run reads.
func (r *runner) prepare(ctx context.Context) error {
	if err := r.makeFeeds(); err != nil {
		return err
	}
	tables, err := r.openReferences(ctx, r.Options, r.World)
	if err != nil {
		return err
	}
	o := exec.Options{Late: r.settings.late, OutOfOrder: r.settings.outOfOrder, LatePolicy: r.settings.mode, Replay: r.Options.Replay,
		EmitEarly: r.settings.emitEarly, Start: r.settings.start, MaxStateBytes: r.settings.maxState, Functions: r.functions,
		Reference: map[string]exec.Reference{}, Partitions: map[string][]int32{}, OnRow: r.onRow, OnDropped: r.onDropped}
	for name, t := range tables {
		o.Reference[name] = t
	}
	for _, f := range r.feeds {
		if err := r.survey(ctx, f, o.Partitions); err != nil {
			return err
		}
	}
	if r.task, err = exec.New(r.job, o); err != nil {
		return r.failed(err)
	}
	if r.Begin != nil {
		var names []string
		for _, o := range r.job.Outputs {
			names = append(names, o.Name)
		}
		if err := r.Begin(names); err != nil {
			return err
		}
	}
	for _, f := range r.feeds {
		if err := r.openFeed(ctx, f); err != nil {
			return err
		}
	}
	return nil
}

// makeFeeds makes a feed of each file.
func (r *runner) makeFeeds() error {
	bound, err := r.bind()
	if err != nil {
		return err
	}
	began := value.FromGoTime(r.began)
	for i := range r.job.Inputs {
		if len(bound[i]) == 0 {
			continue
		}
		clock, err := newClock(r.job, i, r.settings, r.Options.Arrival, began)
		if err != nil {
			return r.failed(err)
		}
		for p, file := range bound[i] {
			f := &feed{input: i, file: file, clock: clock, partition: int32(p)}
			if r.live(f) {
				own := *clock
				own.live = func() int64 { return value.FromGoTime(r.Now()) }
				f.clock = &own
			}
			r.feeds = append(r.feeds, f)
		}
	}
	return nil
}

// live tells whether a feed's events come as time goes by.
func (r *runner) live(f *feed) bool { return f.file.Path == files.Stdin || r.Follow }

// survey reads a file for the order of its events, unless they are taken as
// they come.
func (r *runner) survey(ctx context.Context, f *feed, partitions map[string][]int32) error {
	name := r.job.Inputs[f.input].Name
	if r.live(f) {
		return nil
	}
	s, err := f.look(r.World.opener(), func() error {
		r.progress(true)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	if f.clock.mode != byFile {
		f.lag = s.lag
	}
	if f.clock.mode == byField && s.events > 0 && s.untimed == s.events {
		return files.Misuse("", "no event of %s has a time in the field %s, which --arrival names", f.file.Path, r.Options.Arrival)
	}
	if f.clock.mode == byField && s.untimed > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%s of %s have no time in the field %s; they arrive with the event before them",
			several(s.untimed, "event"), f.file.Path, r.Options.Arrival))
	}
	if len(r.feeds) == 1 && s.untimed < s.events && s.lag == 0 && !s.named && r.eventTimeOnly(f) {
		f.plain, f.latest = true, s.latest
	}
	for _, p := range slices.Sorted(maps.Keys(s.partitions)) {
		at := r.position(f.input, p)
		at.left, at.counted = at.left+s.partitions[p], true
		// Events that come in the order of their times need not wait for a
		// partition that has not begun.
		if f.clock.mode != byEvent && !slices.Contains(partitions[name], p) {
			partitions[name] = append(partitions[name], p)
		}
	}
	return nil
}

// eventTimeOnly tells whether the engine wants to know nothing of an event's
// arrival: it finds the event's own time itself.
func (r *runner) eventTimeOnly(f *feed) bool {
	for _, n := range r.job.Nodes {
		if s, ok := n.(*plan.Source); ok && len(s.Meta) > 0 {
			return false
		}
	}
	return f.clock.mode == byEvent && !r.unstamped(f.input)
}

// openFeed opens a feed and reads its first event.
func (r *runner) openFeed(ctx context.Context, f *feed) error {
	if !r.live(f) {
		if err := f.open(r.World.opener()); err != nil {
			return err
		}
		return f.advance()
	}
	reader, err := follow(ctx, f.file, r.World.opener(), r.Follow, func() error { return r.wait(f) })
	if err != nil {
		return err
	}
	f.reader = reader
	return f.advance()
}

// wait is called while there is nothing to read: the clock goes on.
func (r *runner) wait(f *feed) error {
	if f.clock.mode == byEnqueued && f.begun {
		if err := r.task.Idle(f.input, f.partition, f.clock.live()); err != nil {
			return r.failed(err)
		}
	}
	if r.rowErr != nil {
		return r.rowErr
	}
	if r.Idle != nil {
		return r.Idle()
	}
	return nil
}

func (r *runner) close() error {
	var errs []error
	for _, f := range r.feeds {
		if f.reader != nil {
			errs = append(errs, f.reader.Close())
			f.reader = nil
		}
	}
	return errors.Join(errs...)
}

// work pushes all events in the order of arrival.
func (r *runner) work(ctx context.Context) error {
	for n := 0; ; n++ {
		if n%1024 == 0 {
			r.summary.StateBytes = max(r.summary.StateBytes, r.task.StateBytes())
			r.progress(false)
			if err := ctx.Err(); err != nil && !r.following() {
				return err
			}
		}
		f := r.next()
		if f == nil {
			break
		}
		if err := r.push(f); err != nil {
			return err
		}
		if err := f.advance(); err != nil {
			return err
		}
	}
	r.now, r.from = nil, nil
	r.summary.StateBytes = max(r.summary.StateBytes, r.task.StateBytes())
	if err := r.task.Finish(); err != nil {
		return r.failed(err)
	}
	return r.rowErr
}

// following tells whether the end of the context is the end of the input.
func (r *runner) following() bool { return slices.ContainsFunc(r.feeds, r.live) }

// next is the feed whose event comes next: the earliest; of equal ones that of
// the input, and of the file, that was named first.
func (r *runner) next() *feed {
	var least *feed
	for _, f := range r.feeds {
		if f.head != nil && (least == nil || f.head.key < least.head.key) {
			least = f
		}
	}
	return least
}

// push hands an event to the engine.
func (r *runner) push(f *feed) error {
	e := f.head
	r.now, r.from = e, f
	r.summary.Latest = max(r.summary.Latest, e.key)
	at := r.position(f.input, e.partition)
	offset := at.offset
	at.offset++
	at.left--
	r.event = exec.Event{Input: f.input, Partition: e.partition, Offset: offset, Arrival: e.key, Enqueued: e.key, Raw: e.raw, Property: r.property}
	if f.clock.mode == byEvent {
		r.event.Arrival = exec.NoTime
		if r.unstamped(f.input) {
			r.event.Arrival = e.key
		}
	}
	var err error
	if e.bad != nil {
		err = r.unreadable(f, offset)
	} else if err = r.task.Push(&r.event); err != nil {
		return r.failed(err)
	}
	if err == nil && at.counted && at.left == 0 {
		r.over = append(r.over, place{f.input, e.partition})
		err = r.closeEnded(f.input)
	} else if err == nil && at.offset == 1 && len(r.over) > 0 {
		err = r.closeEnded(f.input)
	}
	if err != nil {
		return err
	}
	return r.rowErr
}

// closeEnded tells the engine of partitions that have no more events, so that
// others do not wait for them. The last one that has begun stays open until the
// next one begins: an input without an open partition is at its end.
func (r *runner) closeEnded(input int) error {
	open, left := false, false
	for at, p := range r.places {
		if at.input == input {
			left = left || p.left > 0
			open = open || p.left > 0 && p.offset > 0
		}
	}
	if left && !open {
		return nil
	}
	for i := 0; i < len(r.over); {
		at := r.over[i]
		if at.input != input {
			i++
			continue
		}
		if err := r.task.FinishPartition(input, at.partition); err != nil {
			return r.failed(err)
		}
		r.over = slices.Delete(r.over, i, i+1)
	}
	return nil
}

// unreadable counts and reports a record that could not be read.
func (r *runner) unreadable(f *feed, offset int64) error {
	e := f.head
	r.summary.Dropped[exec.NotReadable.String()]++
	r.summary.Stats.InputEvents++
	r.summary.Stats.InputEventBytes += int64(len(e.raw))
	r.summary.Stats.InputDeserializationErrors++
	return r.report(&exec.Dropped{Reason: exec.NotReadable, Input: r.job.Inputs[f.input].Name, Partition: e.partition, Offset: offset, Detail: e.bad.Error(), Raw: e.raw})
}

// unstamped tells whether the query also reads an input without TIMESTAMP BY.
func (r *runner) unstamped(input int) bool {
	for _, n := range r.job.Nodes {
		if s, ok := n.(*plan.Source); ok && s.Input == r.job.Inputs[input] && s.TimestampBy == nil {
			return true
		}
	}
	return false
}

// property is what GetMetadataPropertyValue finds, as NAME or as
// [EventHub].[NAME]: what the engine knows of an event, else a member of it,
// since files have no other properties.
func (r *runner) property(name string) value.Value {
	parts := strings.Split(strings.NewReplacer("[", "", "]", "").Replace(name), ".")
	switch strings.ToLower(parts[len(parts)-1]) {
	case "eventenqueuedutctime", "eventprocessedutctime":
		return value.Time(r.event.Enqueued)
	case "partitionid":
		return value.Int(int64(r.event.Partition))
	case "offset", "sequencenumber":
		return value.Int(r.event.Offset)
	case "eventid":
		return value.Text(fmt.Sprintf("%s/%d/%d", r.job.Inputs[r.event.Input].Name, r.event.Partition, r.event.Offset))
	}
	v := value.RawAt(r.event.Raw, r.settings.level)
	for _, part := range parts {
		v = v.Get(part)
	}
	return v
}
