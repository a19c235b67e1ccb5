package simulate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector"
	"millrace/record"
)

// Simulator sends one instance's share of a run. Run runs it, once; Stats,
// Seed, Target and Resumed may be called from any goroutine at any time.
type Simulator struct {
	cfg      Config
	plan     *plan
	template *template
	ledger   *record.LedgerWriter
	path     string
	resumed  bool
	active   time.Duration // how long earlier sessions ran

	// What is to be sent next; owned by Run.
	next      int64 // number of the next event
	retries   []retry
	again     againQueue
	broken    int64 // malformed payloads made
	brokenDue int64 // malformed payloads that should have been made
	last      event // the event that the malformed payloads go with

	messages sync.Pool
	counts   counters

	// stop ends the run with the first error.
	stop   context.CancelCauseFunc
	closed atomic.Bool
	// closing: the producer is being closed, and gives up what it has.
	closing atomic.Bool
}

// retry is an event or duplicate in doubt from an earlier session.
type retry struct {
	entry record.Entry
	index int64
}

// Stats is what a simulator did so far, earlier sessions of the run included.
type Stats struct {
	// Offered counts the unique events due by now.
	Offered int64
	// Unique counts the unique events that the log has acknowledged.
	Unique int64
	// Sent counts messages handed to the log, Acked those acknowledged;
	// duplicates and malformed payloads included.
	Sent, Acked int64
	// Bytes is the size of the payloads handed to the log in this session.
	Bytes int64
	// Duplicates and Malformed count the acknowledged messages of the kind.
	Duplicates, Malformed int64
	// Errors counts messages that the log refused or lost.
	Errors int64
	// Behind is how late the next event is; 0 without a schedule.
	Behind time.Duration
}

// Summary is what came of a run.
type Summary struct {
	Stats
	// Ledger are the totals as the ledger has them.
	Ledger record.LedgerTotals
	// Path is the ledger's file.
	Path string
	Seed uint64
	// Resumed tells that an earlier session began the run, Interrupted that
	// ctx ended before everything was sent, so that it can be continued.
	Resumed, Interrupted bool
	// Elapsed is how long this session took.
	Elapsed time.Duration
}

type counters struct {
	made, sent, acked, bytes              atomic.Int64
	unique, duplicates, malformed, errors atomic.Int64
	// started and ended are Unix nanoseconds of the schedule's origin and
	// the end of sending; 0 before.
	started, ended atomic.Int64
	total          atomic.Int64
}

// Seed returns the seed that everything follows from.
func (s *Simulator) Seed() uint64 { return s.plan.seed }

// Target returns how many unique events this instance sends in the whole run,
// or 0 if that only shows (as fast as possible for some time).
func (s *Simulator) Target() int64 {
	if t := s.counts.total.Load(); t > 0 {
		return t
	}
	if s.cfg.Rate == 0 && s.cfg.Events == 0 {
		return 0
	}
	return newPlan(s.cfg, s.plan.seed).total
}

// Resumed tells whether the simulator continues an earlier session.
func (s *Simulator) Resumed() bool { return s.resumed }

// Stats returns what was done so far.
func (s *Simulator) Stats() Stats {
	c := &s.counts
	st := Stats{Unique: c.unique.Load(), Sent: c.sent.Load(), Acked: c.acked.Load(), Bytes: c.bytes.Load(),
		Duplicates: c.duplicates.Load(), Malformed: c.malformed.Load(), Errors: c.errors.Load()}
	made := c.made.Load()
	st.Offered = made
	started := c.started.Load()
	if started == 0 || s.cfg.Rate == 0 {
		return st
	}
	now := c.ended.Load()
	if now == 0 {
		now = time.Now().UnixNano()
	}
	st.Offered = max(made, s.plan.offered(time.Duration(now-started)))
	if st.Offered > made {
		st.Behind = max(0, time.Duration(now-started)-s.plan.due(made))
	}
	return st
}

// Close gives up a simulator that was not run.
func (s *Simulator) Close() error {
	if s.closed.Swap(true) {
		return nil
	}
	return s.ledger.Close(0, false)
}

const (
	// tick is how long due events are gathered: at high rates, thousands of
	// times a second would be spent on waking up.
	tick = 2 * time.Millisecond
	// batchSize is how many messages share one write of the ledger.
	batchSize = 256
	// ackEvery is how often acknowledgements are written while nothing is
	// sent.
	ackEvery = 50 * time.Millisecond
	// stopGrace is how long an interrupted run waits for what it has sent.
	stopGrace = 5 * time.Second
)

// errOver ends sending when the schedule and its grace are over.
var errOver = errors.New("the schedule is over")

// Open opens the producer that a simulator sends through (see
// connector.Log.Producer).
type Open func(ctx context.Context, acked func(*connector.Message, error)) (connector.Producer, error)

// Run sends everything and returns when it is acknowledged. It follows the
// schedule whatever the log does: what is due is sent late if need be, with
// the time it was due, and what could not be sent in time is counted as
// unsent. If ctx ends it stops in good order, so that New on the same folder
// goes on, and returns a Summary with Interrupted set and no error. If the log
// refuses a message for good, or the ledger cannot be written, it stops with
// the error; the run can be continued then, too. It closes the ledger and the
// producer in any case.
func (s *Simulator) Run(ctx context.Context, open Open) (Summary, error) {
	if s.closed.Swap(true) {
		return Summary{}, errors.New("simulate: a simulator runs only once")
	}
	began := time.Now()
	runCtx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.stop = stop
	s.messages.New = func() any { return new(connector.Message) }
	producer, err := open(ctx, s.acked)
	if err != nil {
		_ = s.ledger.Close(0, false)
		return Summary{}, fmt.Errorf("simulate: open the log: %w", err)
	}
	flusher := make(chan struct{})
	flusherDone := make(chan struct{})
	go s.flushAcks(flusher, flusherDone)

	err = s.send(runCtx, producer, began)
	s.counts.ended.Store(time.Now().UnixNano())
	cause := context.Cause(runCtx)
	interrupted := ctx.Err() != nil
	switch {
	case interrupted && (cause == nil || errors.Is(cause, context.Cause(ctx))):
		err = nil
	case cause != nil:
		err = cause
	case errors.Is(err, errOver):
		err = nil
	}
	wait := s.cfg.Grace.D()
	if err != nil || interrupted {
		wait = min(wait, stopGrace)
	}
	flushErr := s.drain(ctx, producer, wait)
	close(flusher)
	<-flusherDone
	if err == nil && !interrupted {
		// Messages may have failed while they were waited for.
		if interrupted = ctx.Err() != nil; !interrupted {
			err = context.Cause(runCtx)
		}
	}
	if err == nil {
		err = flushErr
	}
	sum, closeErr := s.finish(began, interrupted, err == nil)
	if err == nil {
		err = closeErr
	}
	if err != nil {
		return sum, fmt.Errorf("simulate: %w", err)
	}
	return sum, nil
}

// drain waits for what is unacknowledged, and closes the producer.
func (s *Simulator) drain(ctx context.Context, p connector.Producer, wait time.Duration) error {
	flush, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait)
	defer cancel()
	// The first interruption shortens the wait, it does not end it.
	defer context.AfterFunc(ctx, func() { time.AfterFunc(min(wait, stopGrace), cancel) })()
	err := p.Flush(flush)
	if flush.Err() != nil {
		err = nil // what is still out stays in doubt
	}
	s.closing.Store(true)
	if cerr := p.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("close the log: %w", err)
	}
	return nil
}

// finish closes the ledger and sums up.
func (s *Simulator) finish(began time.Time, interrupted, ok bool) (Summary, error) {
	stats := s.Stats()
	unsent := stats.Offered - s.counts.made.Load()
	finished := ok && !interrupted
	if finished {
		unsent += int64(len(s.again)) + s.brokenDue - s.broken
	}
	err := s.ledger.Close(unsent, finished)
	sum := Summary{Stats: stats, Path: s.path, Seed: s.Seed(), Resumed: s.resumed, Interrupted: interrupted, Elapsed: time.Since(began)}
	if err != nil {
		return sum, err
	}
	f, err := record.ReadLedgerFile(s.path, nil)
	if err != nil {
		return sum, err
	}
	sum.Ledger = f.Totals
	return sum, nil
}

// flushAcks writes acknowledgements while the sender may be blocked.
func (s *Simulator) flushAcks(stop <-chan struct{}, done chan<- struct{}) {
	defer close(done)
	t := time.NewTicker(ackEvery)
	defer t.Stop()
	for {
		select {
		case <-stop:
			return
		case <-t.C:
			if err := s.ledger.FlushAcks(); err != nil {
				s.stop(err)
				return
			}
		}
	}
}

// Tokens carry the ledger's index and the kind.
func token(index int64, k record.EntryKind) uint64 { return uint64(index)<<2 | uint64(k) }

// acked is called by the producer, from any goroutine.
func (s *Simulator) acked(m *connector.Message, err error) {
	index, kind := int64(m.Token>>2), record.EntryKind(m.Token&3)
	s.messages.Put(m)
	if err != nil {
		s.counts.errors.Add(1)
		if connector.ActionOf(err) == connector.Fail && !s.closing.Load() {
			s.stop(fmt.Errorf("the log refused an event: %w", err))
		}
		return
	}
	s.ledger.Acked(index)
	s.counts.acked.Add(1)
	switch kind {
	case record.Unique:
		s.counts.unique.Add(1)
	case record.Duplicate:
		s.counts.duplicates.Add(1)
	case record.Malformed:
		s.counts.malformed.Add(1)
	}
}
