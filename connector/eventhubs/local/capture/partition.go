package capture

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/eventhubs/local/hub"
)

const (
	// readLimit is how many events are taken from the log at once.
	readLimit = 512
	// lookAgain is how often the archive checks whether it has all events up
	// to some point, when none arrive: they may have expired, and some of the
	// log's numbers belong to no event.
	lookAgain = 200 * time.Millisecond
	// Retries after errors wait from minBackoff up to maxBackoff.
	minBackoff = 100 * time.Millisecond
	maxBackoff = 15 * time.Second
)

// archive captures one partition, in one goroutine (run). The other methods may
// be called from any.
type archive struct {
	namespace, hub string
	partition      int32
	// hubID is the identity of the hub, identified whether that is more than
	// its name; since when it is archived, fresh whether that is from its
	// first event on.
	hubID      string
	identified bool
	since      time.Time
	fresh      bool

	set     settings
	log     eventLog
	states  stateStore
	dir     string // for the file that is being filled
	storage func(container string) (blob.Bucket, error)
	logger  *slog.Logger

	cancel context.CancelFunc
	done   chan struct{}
	// begun is closed when it is on disk where the archive begins, or when an
	// attempt at that has failed.
	begun     chan struct{}
	begunOnce sync.Once

	// What follows belongs to run.
	enc    *encoder
	st     state
	loaded bool
	reader eventReader
	batch  []event // what was read and not yet written
	pos    int64   // the sequence number behind the last event written
	file   *spill  // nil: the window has no events yet
	block  []byte
	// target is the end of the log when the window was over, -1 before.
	target int64
	flush  flushing
	fails  int
	said   time.Time // when a failure was logged last

	mu        sync.Mutex
	requests  []chan struct{} // closed when all events of now are archived
	finishing finish
	interrupt context.CancelFunc // ends the waiting for events
	status    Status
}

// finish says how an archive is to end after it has archived what there is.
type finish int

const (
	goOn   finish = iota
	change        // the description has changed: another archive follows
	pause         // Capture was switched off
)

// flushing is the flush that is under way.
type flushing struct {
	waiting []chan struct{}
	target  int64
}

// run captures until ctx ends, or until it has finished.
func (a *archive) run(ctx context.Context) {
	defer close(a.done)
	defer a.letGo()
	for {
		err := a.work(ctx)
		if err == nil || ctx.Err() != nil {
			return
		}
		// What is on disk says where to go on.
		a.letGo()
		a.loaded = false
		if !a.rest(ctx, "capturing", err) {
			return
		}
	}
}

// letGo gives up what was read and not put.
func (a *archive) letGo() {
	if a.reader != nil {
		a.reader.close()
		a.reader = nil
	}
	a.batch = nil
	a.dropFile()
	// Who waits for a flush waits for the next attempt.
	a.mu.Lock()
	a.requests = append(a.flush.waiting, a.requests...)
	a.mu.Unlock()
	a.flush = flushing{}
}

func (a *archive) dropFile() {
	if a.file != nil {
		a.block = a.file.block
		a.file.close() //nolint:errcheck // it is not needed
		a.file = nil
	}
}

// rest waits after a failure, longer each time, and says so in the log: at
// once, and then every minute. It is false if ctx ended.
func (a *archive) rest(ctx context.Context, doing string, err error) bool {
	a.fail(err)
	a.fails++
	wait := min(minBackoff<<min(a.fails-1, 10), maxBackoff)
	var e *connector.Error
	if errors.As(err, &e) && e.After > wait {
		wait = min(e.After, time.Minute)
	}
	wait = wait/2 + rand.N(wait/2+1)
	// A hub that was deleted ends this archive in a moment.
	gone := errors.Is(err, hub.ErrNotFound) || errors.Is(err, hub.ErrClosed)
	if now := time.Now(); !gone && now.Sub(a.said) > time.Minute {
		a.said = now
		attrs := []any{"error", err, "next", a.st.Next}
		var hint *connector.Hinted
		if errors.As(err, &hint) {
			attrs = append(attrs, "hint", hint.Hint)
		}
		a.logger.Warn("Capture fails at "+doing+" and tries again; events wait in the hub until their retention is over", attrs...)
	}
	select {
	case <-time.After(wait):
		return true
	case <-ctx.Done():
		return false
	}
}

// work captures window by window until an error, or nil when it has finished.
func (a *archive) work(ctx context.Context) error {
	if !a.loaded {
		if err := a.load(ctx); err != nil {
			return err
		}
		a.loaded = true
	}
	for {
		finished, err := a.window(ctx)
		if err != nil || finished {
			return err
		}
	}
}

// load reads how far the archive is, or decides where it begins, and puts the
// file that was being put.
func (a *archive) load(ctx context.Context) error {
	st, err := a.states.load()
	if err != nil {
		return err
	}
	if st == nil || st.Hub != a.hubID {
		st = &state{Hub: a.hubID, Paused: true, Start: a.since}
	}
	a.st = *st
	if !a.st.Paused {
		a.noted()
	}
	if a.st.Pending != nil {
		if err := a.settle(ctx); err != nil {
			return err
		}
	}
	begin, end, err := a.log.bounds(ctx)
	if err != nil {
		return err
	}
	if a.st.Paused {
		// It was switched on: archive what came in since.
		from, since := begin, a.since
		if since.IsZero() {
			since = time.Now()
		}
		if !a.fresh {
			if from, err = a.log.sequenceAt(ctx, since); err != nil {
				return err
			}
		}
		a.st.Next, a.st.Paused = max(from, a.st.Next), false
		a.st.Start = later(since.UTC().Truncate(time.Millisecond), a.st.Start)
		if err := a.states.save(&a.st); err != nil {
			return err
		}
		a.noted()
	}
	if a.st.Next > end {
		a.logger.Error("the hub has lost events that are in the archive; Capture goes on at the hub's end, and sequence numbers occur twice",
			"archived", a.st.Next, "end", end)
		a.st.Next = end
	}
	a.pos = a.st.Next
	a.tell()
	return nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// window fills one file. It is over with the first event that came in after
// the interval, when the interval is over and the log has no more events of it,
// when its events have reached the size limit, or for a flush.
func (a *archive) window(ctx context.Context) (finished bool, err error) {
	deadline := a.st.Start.Add(a.set.interval)
	a.target = -1
	for {
		full, over, err := a.take(ctx, deadline)
		switch {
		case err != nil:
			return false, err
		case !full.IsZero():
			return false, a.end(ctx, later(full, a.st.Start))
		case !over.IsZero():
			return false, a.endInterval(ctx, over)
		}
		if ended, finished, err := a.serve(ctx); ended || err != nil {
			return finished, err
		}
		until := deadline
		if now := time.Now(); !now.Before(deadline) {
			if a.target < 0 {
				if _, a.target, err = a.log.bounds(ctx); err != nil {
					return false, err
				}
			}
			if all, err := a.reached(ctx, a.target); err != nil {
				return false, err
			} else if all {
				return false, a.endInterval(ctx, now)
			}
			until = now.Add(lookAgain)
		} else if len(a.flush.waiting) > 0 {
			until = now.Add(lookAgain)
		}
		if err := a.read(ctx, until); err != nil {
			return false, err
		}
	}
}

// reached tells whether all events before a sequence number have been written.
func (a *archive) reached(ctx context.Context, target int64) (bool, error) {
	if a.pos >= target || a.reader != nil && a.reader.position() >= target {
		return true, nil
	}
	begin, _, err := a.log.bounds(ctx)
	return begin >= target, err
}

// take writes the events at hand. full is set if the file has reached its size,
// to the time of the event that did it; over is the time of the first event of
// a later window.
func (a *archive) take(ctx context.Context, deadline time.Time) (full, over time.Time, err error) {
	limit := deadline.UnixMilli()
	for len(a.batch) > 0 {
		e := &a.batch[0]
		enqueued := e.enqueued
		if enqueued >= limit {
			// Topics may keep the clocks of their clients. One that is
			// ahead must not take the windows with it.
			enqueued = min(enqueued, time.Now().UnixMilli())
		}
		if enqueued >= limit {
			return full, time.UnixMilli(enqueued).UTC(), nil
		}
		if e.sequence > a.pos {
			if err := a.missing(ctx, e.sequence); err != nil {
				return full, over, err
			}
		}
		if err := a.write(e); err != nil {
			return full, over, err
		}
		a.batch = a.batch[1:]
		if a.file.data >= a.set.sizeLimit {
			return time.UnixMilli(enqueued).UTC(), over, nil
		}
	}
	return full, over, nil
}

// write appends an event to the file, which it begins if need be.
func (a *archive) write(e *event) error {
	if a.file == nil {
		if err := a.begin(a.set.codec); err != nil {
			return err
		}
	}
	if err := a.file.add(a.enc, e); err != nil {
		return fmt.Errorf("writing to %s: %w", a.path(), err)
	}
	a.pos = e.sequence + 1
	return nil
}

func (a *archive) path() string { return filepath.Join(a.dir, fmt.Sprintf("%d.filling", a.partition)) }

func (a *archive) begin(codec string) error {
	f, err := newSpill(a.path(), codec, syncMarker(a.hubID, a.partition, a.st.Next), a.block)
	if err != nil {
		return fmt.Errorf("beginning a file at %s: %w", a.path(), err)
	}
	a.file, a.block = f, nil
	return nil
}

// missing says so if events have expired before they were captured. A hole in
// the numbers alone is none: the log uses some numbers itself.
func (a *archive) missing(ctx context.Context, next int64) error {
	begin, _, err := a.log.bounds(ctx)
	if err != nil {
		return err
	}
	if lost := min(begin, next) - a.pos; lost > 0 {
		a.logger.Error("events expired before they could be captured; keep them longer than the storage may be away",
			"from", a.pos, "lost", lost)
		a.mu.Lock()
		a.status.Lost += lost
		a.mu.Unlock()
	}
	return nil
}

// read waits for events until a time, or until somebody asks for something.
func (a *archive) read(ctx context.Context, until time.Time) error {
	wait, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	a.mu.Lock()
	if len(a.requests) > 0 {
		a.mu.Unlock()
		return nil
	}
	a.interrupt = cancel
	a.mu.Unlock()
	err := a.fetch(ctx, wait)
	a.mu.Lock()
	a.interrupt = nil
	a.mu.Unlock()
	return err
}

// wait is read that nobody interrupts.
func (a *archive) wait(ctx context.Context, until time.Time) error {
	wait, cancel := context.WithDeadline(ctx, until)
	defer cancel()
	return a.fetch(ctx, wait)
}

// fetch waits for events until wait ends, which is no error unless ctx has ended.
func (a *archive) fetch(ctx, wait context.Context) error {
	if a.reader == nil {
		r, err := a.log.open(ctx, a.pos)
		if err != nil {
			return err
		}
		a.reader = r
	}
	events, err := a.reader.next(wait, readLimit)
	if err != nil {
		if ctx.Err() == nil && wait.Err() != nil {
			return nil
		}
		return err
	}
	a.batch = events
	// What is behind the position has been archived.
	for len(a.batch) > 0 && a.batch[0].sequence < a.pos {
		a.batch = a.batch[1:]
	}
	a.well()
	return nil
}

// serve goes on with flushes. ended says that the window is over.
func (a *archive) serve(ctx context.Context) (ended, finished bool, err error) {
	a.mu.Lock()
	requests, how := a.requests, a.finishing
	a.requests = nil
	a.mu.Unlock()
	if len(requests) > 0 {
		// One look at the end serves all that have asked until now.
		a.flush.waiting = append(a.flush.waiting, requests...)
		if _, a.flush.target, err = a.log.bounds(ctx); err != nil {
			return false, false, err
		}
	}
	if len(a.flush.waiting) == 0 {
		return false, false, nil
	}
	if all, err := a.reached(ctx, a.flush.target); err != nil || !all {
		return false, false, err
	}
	if a.file != nil {
		if err := a.end(ctx, later(time.Now().UTC().Truncate(time.Millisecond), a.st.Start)); err != nil {
			return false, false, err
		}
		ended = true
	}
	if how == pause {
		a.st.Paused = true
		if err := a.states.save(&a.st); err != nil {
			return false, false, err
		}
	}
	for _, w := range a.flush.waiting {
		close(w)
	}
	a.flush = flushing{}
	return ended || how != goOn, how != goOn, nil
}
