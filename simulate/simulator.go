package simulate

import (
	"context"
	"errors"
	"fmt"
	"strconv"
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
}

// retry is an event in doubt from an earlier session.
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
	behind         atomic.Int64
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
		if connector.ActionOf(err) == connector.Fail && s.counts.ended.Load() == 0 {
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

// sender is the loop of one session.
type sender struct {
	*Simulator
	producer connector.Producer
	// origin is when the schedule began; for a session that continues a
	// run, when it would have begun if there had been no interruption.
	origin time.Time
	// soft ends a run without a schedule, hard ends all sending.
	soft, hard time.Time
	batch      []*connector.Message
}

// send sends everything that is to be sent. It returns errOver if there was no
// time for all of it.
func (s *Simulator) send(ctx context.Context, p connector.Producer, began time.Time) error {
	d := &sender{Simulator: s, producer: p, origin: began.Add(-s.plan.due(s.next))}
	switch {
	case s.plan.paced() && s.plan.total > 0:
		d.hard = d.origin.Add(s.plan.due(s.plan.total - 1)).Add(s.cfg.Grace.D())
	case s.cfg.Events == 0:
		d.soft = began.Add(s.cfg.Duration.D() - s.active)
		d.hard = d.soft.Add(s.cfg.Grace.D())
	}
	if s.plan.total != unknownTotal {
		s.counts.total.Store(s.plan.total)
	}
	s.counts.started.Store(d.origin.UnixNano())
	if !d.hard.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadlineCause(ctx, d.hard, errOver)
		defer cancel()
	}
	err := d.resend(ctx)
	for err == nil && !d.done() {
		err = d.turn(ctx)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func (d *sender) done() bool {
	return d.next >= d.plan.total && len(d.again) == 0 && d.broken >= d.brokenDue
}

// resend sends what earlier sessions left in doubt, under the old entries.
func (d *sender) resend(ctx context.Context) error {
	for _, r := range d.retries {
		m := d.message(&r.entry)
		if f, err := record.Fingerprint(m.Value); err != nil || f != r.entry.Fingerprint {
			return &LedgerDiffers{Path: d.path, Differences: []string{fmt.Sprintf("event %s has another content now", r.entry.ID)}}
		}
		m.Token = token(r.index, record.Unique)
		if err := d.produce(ctx, m, false); err != nil {
			return err
		}
	}
	d.retries = nil
	return nil
}

// turn sends one batch of what is due, and waits if that is not much.
func (d *sender) turn(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	now := time.Now()
	if !d.soft.IsZero() && now.After(d.soft) && d.plan.total == unknownTotal {
		d.plan.settle(d.next)
		d.counts.total.Store(d.plan.total)
	}
	if err := d.gather(now); err != nil {
		return err
	}
	if err := d.ledger.Flush(); err != nil {
		return hinted(err)
	}
	for _, m := range d.batch {
		if err := d.produce(ctx, m, true); err != nil {
			return err
		}
	}
	full := len(d.batch) >= batchSize
	d.batch = d.batch[:0]
	if full || !d.plan.paced() {
		return nil
	}
	return d.wait(ctx, now)
}

// wait sleeps until something is due, at least a tick after the last batch.
func (d *sender) wait(ctx context.Context, last time.Time) error {
	if d.done() {
		return nil
	}
	wake := last.Add(time.Second)
	if d.next < d.plan.total {
		wake = d.origin.Add(d.plan.due(d.next))
	}
	if len(d.again) > 0 && d.again[0].at.Before(wake) {
		wake = d.again[0].at
	}
	if least := last.Add(tick); wake.Before(least) {
		wake = least
	}
	t := time.NewTimer(time.Until(wake))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// produce hands one message to the log.
func (d *sender) produce(ctx context.Context, m *connector.Message, first bool) error {
	size := int64(len(m.Value))
	// Counted before, so that never more is acknowledged than sent.
	if first {
		d.counts.sent.Add(1)
	}
	d.counts.bytes.Add(size)
	if err := d.producer.Produce(ctx, m); err != nil {
		d.counts.bytes.Add(-size)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("send an event: %w", err)
	}
	return nil
}

// gather fills the batch with what is due, and gives the ledger the intents.
func (d *sender) gather(now time.Time) error {
	for len(d.batch) < batchSize {
		if d.broken < d.brokenDue {
			if err := d.addMalformed(now); err != nil {
				return err
			}
			continue
		}
		if e, ok := d.again.take(now, d.next >= d.plan.total); ok {
			e.Kind = record.Duplicate
			if err := d.add(&e, d.message(&e)); err != nil {
				return err
			}
			continue
		}
		if d.next >= d.plan.total {
			return nil
		}
		scheduled := now
		if d.plan.paced() {
			if scheduled = d.origin.Add(d.plan.due(d.next)); scheduled.After(now) {
				return nil
			}
		}
		if err := d.addEvent(now, scheduled.UnixMicro()); err != nil {
			return err
		}
	}
	return nil
}

// addEvent adds the next event of the plan.
func (d *sender) addEvent(now time.Time, scheduled int64) error {
	made := d.plan.event(d.next, scheduled)
	m := d.blank(made.device)
	m.Value = d.template.render(m.Value, &made)
	fingerprint, err := record.Fingerprint(m.Value)
	if err != nil {
		return fmt.Errorf("the template rendered no JSON for device %d: %w", made.device, err)
	}
	e := record.Entry{Kind: record.Unique, ID: made.id, Fingerprint: fingerprint, Device: made.device,
		Sequence: made.sequence, CreatedAt: made.createdAt}
	if err := d.add(&e, m); err != nil {
		return err
	}
	d.next++
	d.counts.made.Store(d.next)
	if dup, after := d.plan.duplicate(&made); dup {
		d.again.add(e, now.Add(after))
	}
	if d.plan.malformed(&made) {
		d.brokenDue++
	}
	d.last = made
	return nil
}

// addMalformed adds the next malformed payload.
func (d *sender) addMalformed(now time.Time) error {
	from := d.last
	if from.id == (record.ID{}) { // a session that begins with what the one before left
		device, _ := d.plan.share.place(d.broken)
		from = newEvent(d.plan.seed, uint32(device), 0, now.UnixMicro())
	}
	m := d.blank(from.device)
	value, reason, err := d.template.malformed(m.Value, d.cfg.Instance, d.broken, &from, int(d.cfg.OversizedBytes))
	if err != nil {
		return err
	}
	m.Value = value
	d.broken++
	return d.add(&record.Entry{Kind: record.Malformed, Fingerprint: record.RawHash(value), Device: from.device,
		Sequence: -1, CreatedAt: from.createdAt, Reason: reason}, m)
}

func (d *sender) add(e *record.Entry, m *connector.Message) error {
	index, err := d.ledger.Append(e)
	if err != nil {
		return hinted(err)
	}
	m.Token = token(index, e.Kind)
	d.batch = append(d.batch, m)
	return nil
}

// blank returns an unused message with a device's key.
func (s *Simulator) blank(device uint32) *connector.Message {
	m := s.messages.Get().(*connector.Message)
	m.Key = append(m.Key[:0], s.cfg.DevicePrefix...)
	m.Key = strconv.AppendUint(m.Key, uint64(device), 10)
	m.Value = m.Value[:0]
	return m
}

// message makes the message of an event that was made before.
func (s *Simulator) message(e *record.Entry) *connector.Message {
	m := s.blank(e.Device)
	made := newEvent(s.plan.seed, e.Device, e.Sequence, e.CreatedAt)
	m.Value = s.template.render(m.Value, &made)
	return m
}

// hinted says what to do about a ledger that cannot be written.
func hinted(err error) error {
	return &connector.Hinted{Hint: "Nothing is sent that the ledger does not know. Make room or give another data directory, then run again: the run goes on.", Err: err}
}
