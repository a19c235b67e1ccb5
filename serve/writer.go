// Package serve is the fourth stage: it puts results into a store, whatever
// store it is. It retries what a store says is worth retrying, with back-off
// and jitter and for as long as it takes, sends what a store refuses to the
// dead letters, and keeps dead letters durable before positions pass them.
package serve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"millrace/connector"
	"millrace/record"
)

// Store is the part of connector.Store that serving needs.
type Store interface {
	Claim(ctx context.Context, worker string, partitions []int32) (map[int32]int64, error)
	Write(ctx context.Context, w *connector.Write) (connector.Receipt, error)
}

// DeadLetters is the part of connector.DeadLetters that serving needs.
type DeadLetters interface {
	Write(ctx context.Context, letters []record.DeadLetter) error
}

// Backoff is the wait between tries: it doubles from Min to Max, and each
// wait is drawn from its upper half, so that workers do not return in step.
type Backoff struct{ Min, Max time.Duration }

// DefaultBackoff suits stores that come back within seconds to minutes.
var DefaultBackoff = Backoff{Min: 50 * time.Millisecond, Max: 5 * time.Second}

func (b Backoff) wait(try int, asked time.Duration) time.Duration {
	d := b.Max
	if try < 16 {
		d = min(b.Min<<try, b.Max)
	}
	d = d/2 + rand.N(d/2+1)
	return max(d, asked)
}

// Writer writes to one store on behalf of one worker. Safe for concurrent
// use with disjoint partitions.
type Writer struct {
	// RetryRejected, set before the first Write, tries again what the store
	// refuses for good, until somebody has changed the store, instead of giving
	// it to the dead letters.
	RetryRejected bool

	store   Store
	dead    DeadLetters
	worker  string
	backoff Backoff
	stats   *Stats
	log     *slog.Logger
}

// NewWriter returns a writer. worker names this worker in the store's
// positions, for people.
func NewWriter(store Store, dead DeadLetters, worker string, stats *Stats, log *slog.Logger) *Writer {
	return &Writer{store: store, dead: dead, worker: worker, backoff: DefaultBackoff, stats: stats, log: log}
}

// Claim makes the worker the owner of partitions, retrying while the store is
// away.
func (w *Writer) Claim(ctx context.Context, partitions []int32) (positions map[int32]int64, err error) {
	err = w.retry(ctx, "claiming partitions in the store", func() error {
		positions, err = w.store.Claim(ctx, w.worker, partitions)
		return err
	})
	return positions, err
}

// Write stores unit and its dead letters. It returns nil once both are
// durable, a Fenced error if the partitions belong to somebody else, and any
// other error only if retrying cannot help or ctx ended.
func (w *Writer) Write(ctx context.Context, unit *connector.Write, dead []record.DeadLetter) error {
	if err := w.bury(ctx, dead); err != nil {
		return err
	}
	begun := time.Now()
	for try := 0; ; try++ {
		var receipt connector.Receipt
		err := w.retry(ctx, "writing to the store", func() (err error) {
			receipt, err = w.store.Write(ctx, unit)
			w.stats.throttled.Add(int64(receipt.Throttled))
			return err
		})
		if err == nil {
			w.stats.wrote(&receipt, time.Since(begun))
			return nil
		}
		rejected, ok := errors.AsType[*connector.Error](err)
		if !ok || rejected.Action != connector.Reject || len(rejected.Items) == 0 {
			return err
		}
		if w.RetryRejected {
			if err := w.patience(ctx, try, rejected); err != nil {
				return err
			}
			continue
		}
		letters, err := rejectedLetters(unit, rejected)
		if err != nil {
			return err
		}
		if err := w.bury(ctx, letters); err != nil {
			return err
		}
		w.stats.rejected.Add(int64(len(letters)))
		unit = without(unit, rejected.Items)
	}
}

// patience waits before what the store refuses is tried again.
func (w *Writer) patience(ctx context.Context, try int, rejected *connector.Error) error {
	if try == 0 {
		w.log.Warn("the store refuses results, and nothing goes on until it takes them", "results", len(rejected.Items), "error", rejected)
	}
	w.stats.retries.Add(1)
	select {
	case <-time.After(w.backoff.wait(try, 0)):
		return nil
	case <-ctx.Done():
		return fmt.Errorf("writing to the store: %w (%w)", context.Cause(ctx), rejected)
	}
}

func (w *Writer) bury(ctx context.Context, letters []record.DeadLetter) error {
	if len(letters) == 0 {
		return nil
	}
	err := w.retry(ctx, "writing dead letters", func() error { return w.dead.Write(ctx, letters) })
	if err == nil {
		w.stats.buried.Add(int64(len(letters)))
	}
	return err
}

// rejectedLetters turns the refused results into dead letters, so that each
// is kept with the store's reason instead of stopping the stream.
func rejectedLetters(unit *connector.Write, e *connector.Error) ([]record.DeadLetter, error) {
	letters := make([]record.DeadLetter, 0, len(e.Items))
	for _, i := range e.Items {
		if i < 0 || i >= len(unit.Results) {
			return nil, fmt.Errorf("the store refused item %d of %d: %w", i, len(unit.Results), e)
		}
		r := &unit.Results[i]
		letters = append(letters, record.DeadLetter{Partition: r.Partition, Offset: r.Offset,
			Reason: record.Rejected, Detail: e.Error(), At: time.Now().UnixMicro(), Key: r.DeviceID, Raw: r.Raw})
	}
	return letters, nil
}

func without(unit *connector.Write, items []int) *connector.Write {
	drop := make(map[int]bool, len(items))
	for _, i := range items {
		drop[i] = true
	}
	i := -1
	rest := slices.DeleteFunc(slices.Clone(unit.Results), func(record.Result) bool { i++; return drop[i] })
	return &connector.Write{Results: rest, Advances: unit.Advances}
}

// retry runs call until it succeeds, or fails in a way that retrying cannot
// mend, or ctx ends. It logs the start and the end of an outage, not each try.
func (w *Writer) retry(ctx context.Context, what string, call func() error) error {
	var began time.Time
	for try := 0; ; try++ {
		err := call()
		if err == nil {
			if try > 0 {
				w.stats.recovered()
				w.log.Info("store answers again", "what", what, "tries", try+1, "after", time.Since(began).Round(time.Millisecond))
			}
			return nil
		}
		if connector.ActionOf(err) != connector.Retry {
			return fmt.Errorf("%s: %w", what, err)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
		if try == 0 {
			began = time.Now()
			w.log.Warn("store does not answer; trying until it does", "what", what, "error", err)
		}
		w.stats.retried(err)
		var asked time.Duration
		if e, ok := errors.AsType[*connector.Error](err); ok {
			asked = e.After
		}
		select {
		case <-time.After(w.backoff.wait(try, asked)):
		case <-ctx.Done():
			return fmt.Errorf("%s: %w", what, context.Cause(ctx))
		}
	}
}

// Stats counts what was served. Safe for concurrent use.
type Stats struct {
	stored, duplicates, bytes, writes, writeNanos, retries, throttled, rejected, buried atomic.Int64
	chargeMilli                                                                         atomic.Int64
	lag                                                                                 *LagHistogram
	outage                                                                              atomic.Pointer[string]
}

// NewStats returns empty counters.
func NewStats() *Stats { return &Stats{lag: newLagHistogram()} }

// Counts is a reading of Stats.
type Counts struct {
	// Stored results are new in the store, Duplicates it had already.
	Stored, Duplicates, Bytes int64
	// Writes that succeeded and the time they took, retries included.
	Writes    int64
	WriteTime time.Duration
	// Retries of refused or unanswered calls; Throttled requests.
	Retries, Throttled int64
	// Rejected results went to the dead letters with the store's reason;
	// Buried counts all dead letters.
	Rejected, Buried int64
	// Charge is in request units.
	Charge float64
	// Outage is the error that is being retried now, or empty.
	Outage string
}

// Counts reads the counters.
func (s *Stats) Counts() Counts {
	c := Counts{Stored: s.stored.Load(), Duplicates: s.duplicates.Load(), Bytes: s.bytes.Load(),
		Writes: s.writes.Load(), WriteTime: time.Duration(s.writeNanos.Load()),
		Retries: s.retries.Load(), Throttled: s.throttled.Load(),
		Rejected: s.rejected.Load(), Buried: s.buried.Load(), Charge: float64(s.chargeMilli.Load()) / 1000}
	if o := s.outage.Load(); o != nil {
		c.Outage = *o
	}
	return c
}

// CommitLag is how long after its storedAt a row was committed, which no row
// can say of itself.
func (s *Stats) CommitLag() *LagHistogram { return s.lag }

func (s *Stats) wrote(r *connector.Receipt, took time.Duration) {
	s.stored.Add(int64(r.Stored))
	s.duplicates.Add(int64(r.Duplicates))
	s.bytes.Add(r.Bytes)
	s.chargeMilli.Add(int64(r.Charge * 1000))
	s.writes.Add(1)
	s.writeNanos.Add(int64(took))
	if n := int64(r.Stored); n > 0 && r.StoredAt > 0 {
		s.lag.record(time.Now().UnixMicro()-r.StoredAt, n)
	}
}

func (s *Stats) retried(err error) {
	s.retries.Add(1)
	text := err.Error()
	s.outage.Store(&text)
}

func (s *Stats) recovered() { s.outage.Store(nil) }
