package process

import (
	"context"
	"fmt"
	"time"

	"millrace/record"
)

// Clocked is implemented by tasks that can have results because time passes,
// and not because something arrives: a window ends.
type Clocked interface {
	// Tick says that the log holds nothing more, and that whatever comes will
	// have been appended at arrival (in microseconds) or later. What it appends
	// to out is what the next input at or after arrival would have brought
	// about by being so late, so that a replay without ticks gives the same
	// results. They lie at the position of that next input, are numbered as its
	// results would have been, and what it brings goes on counting.
	Tick(arrival int64, out *Output) error
	// Waiting tells whether more results can follow from time alone: windows
	// are open.
	Waiting() bool
}

// tick asks a lane to tell a task that nothing arrived.
type tick struct {
	o *ownership
	// end is where the log ended when it was asked, at when that was.
	end int64
	at  time.Time
}

// runTicks tells tasks of partitions that have been read to their end how late
// it is. The log is asked, because silence of the source may as well mean that
// the source is in trouble: what it brings later would then have arrived before
// the time that the task was told.
func (r *Runtime) runTicks() {
	if r.opts.TickEvery < 0 {
		return
	}
	every := time.NewTicker(r.opts.TickEvery)
	defer every.Stop()
	for {
		select {
		case <-every.C:
		case <-r.hard.Done():
			return
		}
		clocked := r.clocked()
		if len(clocked) == 0 {
			continue
		}
		at := time.Now()
		ctx, cancel := context.WithTimeout(r.hard, r.opts.TickEvery)
		ends, err := r.log.Ends(ctx)
		cancel()
		if err != nil {
			continue // it is asked again; until then time stands still
		}
		for _, o := range clocked {
			if int(o.partition) >= len(ends) {
				continue
			}
			select {
			case o.lane.ticks <- tick{o, ends[o.partition], at}:
			case <-o.gone:
			case <-r.hard.Done():
				return
			}
		}
	}
}

// clocked returns the ownerships whose tasks want to know the time.
func (r *Runtime) clocked() []*ownership {
	r.mu.Lock()
	defer r.mu.Unlock()
	var of []*ownership
	for _, o := range r.owned {
		if _, ok := o.task.(Clocked); ok {
			of = append(of, o)
		}
	}
	return of
}

// tick tells a task the time, if it has seen everything that the log held then.
func (l *lane) tick(u *unit, t tick) {
	o := t.o
	select {
	case <-o.gone:
		return
	default:
	}
	if o.next != t.end || u.holdsFormer(o) || len(u.out.Results) >= l.r.opts.MaxRows {
		return
	}
	results := len(u.out.Results)
	task := o.task.(Clocked)
	err := task.Tick(o.clock.arrival(t.at), &u.out)
	if err != nil {
		u.out.Results = u.out.Results[:results]
		l.r.fail(fmt.Errorf("processing partition %d at position %d: %w", o.partition, o.next, err))
		return
	}
	if len(u.out.Results) > results {
		l.r.stats.results.Add(int64(len(u.out.Results) - results))
		u.spanOf(o)
	}
	l.r.stats.waiting(o.partition, task.Waiting())
}

// clock estimates the log's time from the newest entry and when it came. The
// log's clock may differ from this machine's; how fast they run does not.
type clock struct {
	appended int64 // of the newest entry, in microseconds
	seen     time.Time
}

// saw notes an entry of a batch that has just been taken.
func (c *clock) saw(appended int64) {
	if appended != record.NoTime {
		c.appended, c.seen = appended, time.Now()
	}
}

// arrival is the log's time at a moment of this machine's.
func (c *clock) arrival(at time.Time) int64 {
	if c.seen.IsZero() {
		return at.UnixMicro()
	}
	return c.appended + max(at.Sub(c.seen).Microseconds(), 0)
}
