package process

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"millrace/connector"
	"millrace/record"
)

// queuedBatches bounds what waits in front of a lane. Sources cut batches at
// about 1 MB, so this is a few megabytes.
const queuedBatches = 8

// lane processes the partitions that fall to it on one goroutine and writes
// their results on another, so that a store's round trip and the decoding of
// what comes next overlap. One unit is being filled while one is written; a
// unit leaves when the writer is free and it has lingered long enough or is
// full. A busy store thus gets larger writes by itself, and a full unit stops
// the lane, the queue, and the source: back-pressure.
type lane struct {
	r      *Runtime
	in     chan delivery
	drains chan drainRequest
	ticks  chan tick
	units  chan *unit
	free   chan *unit
}

type delivery struct {
	o *ownership
	b *record.Batch
}

type drainRequest struct {
	o    *ownership
	done chan struct{}
}

// unit is one Write in the making, or several if it has more results than one
// may have.
type unit struct {
	out   Output
	spans []span
	// stored is how many of out.Results are in the store already.
	stored int
	// waiters are closed once the unit is written.
	waiters []chan struct{}
}

// span is the part of one partition in a unit.
type span struct {
	o        *ownership
	from, to int64
	inputs   int64
	state    *pendingSnapshot
	// done: the store has all of it.
	done bool
}

func newLane(r *Runtime) *lane {
	l := &lane{r: r,
		in:     make(chan delivery, queuedBatches),
		drains: make(chan drainRequest),
		ticks:  make(chan tick),
		units:  make(chan *unit),
		free:   make(chan *unit, 2),
	}
	l.free <- &unit{}
	l.free <- &unit{}
	return l
}

func (u *unit) empty() bool { return len(u.spans) == 0 && len(u.waiters) == 0 }

func (u *unit) reset() {
	u.out.reset()
	clear(u.spans)
	u.spans, u.waiters, u.stored = u.spans[:0], nil, 0
}

// process is the lane's first goroutine.
func (l *lane) process() {
	linger := time.NewTimer(time.Hour)
	defer linger.Stop()
	cur := <-l.free
	due := false
	var held delivery // does not fit into cur any more
	for {
		if held.b != nil && l.fits(cur, held.b) {
			held = l.take(cur, held)
			linger.Reset(l.r.opts.Linger)
		}
		in, out := l.in, l.units
		if held.b != nil {
			in, due = nil, true
		}
		if !due || cur.empty() {
			out = nil
		}
		select {
		case d := <-in:
			if cur.empty() {
				linger.Reset(l.r.opts.Linger)
			}
			for d.b != nil && l.fits(cur, d.b) {
				d = l.take(cur, d)
			}
			held = d
		case t := <-l.ticks:
			if held.b != nil {
				break // it has not seen everything yet
			}
			if cur.empty() {
				linger.Reset(l.r.opts.Linger)
			}
			l.tick(cur, t)
		case req := <-l.drains:
			// Everything of the partition that was delivered before
			// is in this unit or in the one being written: written
			// is only done when both are.
			cur.waiters = append(cur.waiters, req.done)
			due = true
		case <-linger.C:
			due = true
		case out <- cur:
			due = false
			select {
			case cur = <-l.free:
			case <-l.r.hard.Done():
				return
			}
		case <-l.r.hard.Done():
			return
		}
	}
}

// fits tells whether a batch can join a unit without passing MaxRows, if every
// entry makes one result at most. A batch that is larger than that by itself is
// cut by take. Where an entry makes more (a window closes), the unit may pass
// MaxRows by what a few entries make; it then takes nothing more, and is stored
// in parts.
func (l *lane) fits(u *unit, b *record.Batch) bool {
	n := len(u.out.Results) + len(u.out.Dead)
	return n == 0 || n+len(b.Records) <= l.r.opts.MaxRows
}

// clockedStep bounds the entries whose results join a unit before its size is
// looked at again, of tasks that may have many results at once.
const clockedStep = 256

// take processes one delivered batch into u, and returns what is left of it
// if it is larger than a unit may be.
func (l *lane) take(u *unit, d delivery) (rest delivery) {
	o, b := d.o, d.b
	select {
	case <-o.gone:
		return rest
	default:
	}
	skipStored(b, o.next)
	if b.Next <= o.next {
		return rest
	}
	_, clocked := o.task.(Clocked)
	limit := l.r.opts.MaxRows
	if clocked {
		limit = min(limit, clockedStep)
		l.r.stats.waiting(o.partition, true)
	}
	if len(b.Records) > limit {
		more := *b
		more.Records = b.Records[limit:]
		b.Records, b.Next = b.Records[:limit], more.Records[0].Offset
		rest = delivery{o, &more}
	}
	if u.holdsFormer(o) {
		u.dropLost()
	}
	results, dead, dups := len(u.out.Results), len(u.out.Dead), u.out.Duplicates
	if err := o.task.Process(b, &u.out); err != nil {
		u.out.Results, u.out.Dead, u.out.Duplicates = u.out.Results[:results], u.out.Dead[:dead], dups
		l.r.fail(fmt.Errorf("processing partition %d from position %d: %w", o.partition, o.next, err))
		return delivery{}
	}
	l.r.stats.Delay.saw(o.task)
	l.r.stats.holds(o.partition, o.task)
	l.r.stats.processed(b, u.out.Results[results:], len(u.out.Dead)-dead, u.out.Duplicates-dups)
	s := u.spanOf(o)
	s.inputs += int64(len(b.Records))
	s.to, o.next = b.Next, b.Next
	if n := len(b.Records); n > 0 {
		o.clock.saw(b.Records[n-1].Timestamp)
	}
	if l.r.opts.Snapshots != nil && l.r.engine.Lookback() > 0 && time.Since(o.lastSnapshot) >= l.r.opts.SnapshotEvery {
		o.lastSnapshot = time.Now()
		s.state = &pendingSnapshot{partition: o.partition, position: o.next, state: o.task.Snapshot(nil)}
	}
	return rest
}

// skipStored drops the records that lie before next: a log may deliver again
// what was read before a reconnect.
func skipStored(b *record.Batch, next int64) {
	i := 0
	for i < len(b.Records) && b.Records[i].Offset < next {
		i++
	}
	b.Records = b.Records[i:]
}

func (u *unit) spanOf(o *ownership) *span {
	for i := range u.spans {
		if u.spans[i].o == o {
			return &u.spans[i]
		}
	}
	u.spans = append(u.spans, span{o: o, from: o.next, to: o.next})
	return &u.spans[len(u.spans)-1]
}

// drain returns true once everything delivered for o has been written, false
// if ctx or the runtime ended first.
func (l *lane) drain(ctx context.Context, o *ownership) bool {
	req := drainRequest{o, make(chan struct{})}
	for _, ready := range []func() bool{
		func() bool {
			select {
			case l.drains <- req:
				return true
			case <-ctx.Done():
			case <-l.r.hard.Done():
			}
			return false
		},
		func() bool {
			select {
			case <-req.done:
				return true
			case <-ctx.Done():
			case <-l.r.hard.Done():
			}
			return false
		},
	} {
		if !ready() {
			return false
		}
	}
	return !o.lost.Load()
}

// write is the lane's second goroutine: it stores units one after the other,
// which is what keeps a partition's results in order (I2).
func (l *lane) write() {
	for {
		var u *unit
		select {
		case u = <-l.units:
		case <-l.r.hard.Done():
			return
		}
		if err := l.store(u); err != nil {
			l.r.fail(err)
			return
		}
		for _, w := range u.waiters {
			close(w)
		}
		u.reset()
		l.free <- u
	}
}

// store writes a unit, in as many parts as it takes.
func (l *lane) store(u *unit) error {
	for {
		u.dropLost()
		w, end := u.part(l.r.opts.MaxRows, l.r.opts.TickEvery >= 0)
		if len(w.Advances) == 0 {
			return nil
		}
		err := l.r.writer.Write(l.r.hard, &w, u.out.Dead)
		switch {
		case err == nil:
			u.stored, u.out.Dead = end, u.out.Dead[:0]
			l.stored(u, w.Advances)
		case fencedOnly(err, u.spans):
			// Revoked while this write was under way (its drain ran out
			// of time): the rest of the unit is still ours.
		default:
			return err
		}
	}
}

// stored notes that the store has taken the advances.
func (l *lane) stored(u *unit, advances []connector.Advance) {
	for _, a := range advances {
		i := slices.IndexFunc(u.spans, func(s span) bool { return s.o.partition == a.Partition })
		s := &u.spans[i]
		s.from = a.To
		s.o.committed.Store(a.To)
		l.r.stats.position(a.Partition, a.To)
		if s.done = !u.more(a.Partition, u.stored); !s.done {
			continue
		}
		l.r.stats.written.Add(s.inputs)
		l.r.commits.add(u.spans[i : i+1])
		if s.state != nil {
			// The store's position is now at or past the snapshot's (I4).
			l.r.opts.Snapshots.publish(l.r.engine.Name(), s.state)
		}
	}
}

// holdsFormer tells whether the unit has output of o's partition from before
// it was revoked and assigned again. That output is lost by then, and must go
// before output of the new ownership joins it, because results name their
// partition only.
func (u *unit) holdsFormer(o *ownership) bool {
	return slices.ContainsFunc(u.spans, func(s span) bool { return s.o != o && s.o.partition == o.partition })
}

// dropLost removes what belongs to partitions that were lost (I3).
func (u *unit) dropLost() {
	lost := func(p int32) bool {
		return slices.ContainsFunc(u.spans, func(s span) bool { return s.o.partition == p && s.o.lost.Load() })
	}
	if !slices.ContainsFunc(u.spans, func(s span) bool { return s.o.lost.Load() }) {
		return
	}
	rest := slices.DeleteFunc(u.out.Results[u.stored:], func(r record.Result) bool { return lost(r.Partition) })
	u.out.Results = u.out.Results[:u.stored+len(rest)]
	u.out.Dead = slices.DeleteFunc(u.out.Dead, func(d record.DeadLetter) bool { return lost(d.Partition) })
	u.spans = slices.DeleteFunc(u.spans, func(s span) bool { return s.o.lost.Load() })
}

// fencedOnly tells whether err says no more than that partitions given up
// meanwhile belong to somebody else now.
func fencedOnly(err error, spans []span) bool {
	e, ok := errors.AsType[*connector.Error](err)
	if !ok || e.Action != connector.Fenced || len(e.Partitions) == 0 {
		return false
	}
	for _, p := range e.Partitions {
		i := slices.IndexFunc(spans, func(s span) bool { return s.o.partition == p })
		if i < 0 || !spans[i].o.lost.Load() {
			return false
		}
	}
	return true
}
