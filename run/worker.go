package run

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"millrace/connector"
	"millrace/ingest"
	"millrace/internal/metrics"
	"millrace/process"
	"millrace/serve"
	"millrace/ui/cli"
	"millrace/verify"
)

// A processing is what lies between a run's log and its store, as far as this
// process drives or watches it.
type processing interface {
	// run works until ctx ends.
	run(ctx context.Context) error
	// ready waits until the work can begin, for a while.
	ready(ctx context.Context, partitions int)
	// drained waits until everything in the log is stored. It is called
	// when nothing more is being appended.
	drained(ctx context.Context) error
	// sample adds its counters.
	sample(ctx context.Context, s *metrics.Sample)
	// measured adds what the verdict cannot know.
	measured(m *verify.Measured)
}

// worker is the processing side of a run in this process: one member of the
// log's consumer group, its tasks and its writer.
type worker struct {
	log       connector.Log
	group     string
	metered   connector.Metered // the store, if it is one; else nil
	reader    *ingest.Reader
	processed *process.Stats
	served    *serve.Stats
	snapshots *process.Snapshots
	backlog   *ingest.Backlog
	// partitions are those of the log, settling how long after the last event
	// results may still follow from time: 0 if none do.
	partitions int
	settling   time.Duration
	// waiting says that a drain waits for such results alone.
	waiting atomic.Bool
}

// settler is an engine whose results can follow from time passing.
type settler interface {
	// Settling is how long after the last event the last result may come.
	Settling() time.Duration
}

// settlingSlack is added to an engine's time: that it is told the time once a
// second, and that this takes its time on a busy machine.
const settlingSlack = 5 * time.Second

// captureKind is the kind of process in which the log's service itself writes
// the store.
const captureKind = "capture"

func newProcessing(q *cli.Request, d *dataDir, s *services) (processing, error) {
	if q.Solution.ProcessKind != captureKind {
		return newWorker(q, d, s)
	}
	// checkCapture has seen to it that it is one.
	return newCapturing(s.log, s.store.(archived), q.Solution.Process.(*process.CaptureConfig).Interval.D(), q.Log), nil
}

// newWorker makes a worker over services that have been prepared.
func newWorker(q *cli.Request, d *dataDir, s *services) (*worker, error) {
	newEngine, ok := engines[q.Solution.ProcessKind]
	if !ok {
		return nil, fmt.Errorf("no engine of kind %q", q.Solution.ProcessKind)
	}
	if c, ok := q.Solution.Process.(interface{ Begin(at time.Time) }); ok {
		c.Begin(d.manifest.Started)
	}
	engine, err := newEngine(q.Solution, s.partitions, q.Log)
	if err != nil {
		return nil, err
	}
	w := &worker{log: s.log, group: groupName(q), processed: process.NewStats(), served: serve.NewStats(), backlog: ingest.NewBacklog(s.log)}
	w.metered, _ = s.store.(connector.Metered)
	if w.snapshots, err = process.OpenSnapshots(d.file("state"), q.Log); err != nil {
		return nil, err
	}
	host, _ := os.Hostname()
	name := fmt.Sprintf("%s/%d", host, os.Getpid())
	writer := serve.NewWriter(s.store, s.dead, name, w.served, q.Log)
	if c, ok := q.Solution.Process.(interface{ RetriesRejected() bool }); ok {
		writer.RetryRejected = c.RetriesRejected()
	}
	traits := s.store.Traits()
	var claims process.Writer = writer
	if traits.Kind == connector.Idempotent && engine.Lookback() > 0 {
		claims = &groupClaims{Writer: writer, log: s.log, group: w.group}
	}
	opts := process.Options{KeepsPositions: traits.Kind != connector.Idempotent, Lanes: traits.Writers,
		MaxRows: traits.MaxRows, Linger: traits.Linger, Snapshots: w.snapshots, Log: q.Log}
	if e, ok := engine.(settler); ok && e.Settling() > 0 {
		w.partitions, w.settling = s.partitions, e.Settling()+settlingSlack
	}
	if !traits.Timed {
		opts.TickEvery = -1
		if w.settling > 0 {
			q.Log.Warn("the last results wait for later events: the store cannot tell apart what follows from time passing", "store", s.store.Describe())
			w.settling = 0
		}
	}
	w.reader = &ingest.Reader{Log: s.log, Group: w.group, Logger: q.Log,
		NewSession: func(src connector.Source) ingest.Session {
			return process.NewRuntime(engine, s.log, claims, src, w.processed, opts)
		}}
	return w, nil
}

// groupClaims lets tasks with state work into a store without positions: they go
// on where the group's commits are, and must have the state that belongs there.
type groupClaims struct {
	*serve.Writer
	log   connector.Log
	group string
}

// Claim implements process.Writer.
func (c *groupClaims) Claim(ctx context.Context, partitions []int32) (map[int32]int64, error) {
	positions, err := c.Writer.Claim(ctx, partitions)
	if err != nil {
		return nil, err
	}
	committed, err := c.log.Committed(ctx, c.group)
	if err != nil {
		return nil, fmt.Errorf("asking for the positions of group %s: %w", c.group, err)
	}
	for _, p := range partitions {
		if at, known := positions[p]; known && at != connector.Unknown {
			continue
		}
		if at, known := committed[p]; known {
			positions[p] = at
		}
	}
	return positions, nil
}

// groupName is the consumer group of all workers of a solution; the log adds
// the run's name.
func groupName(q *cli.Request) string { return "millrace-" + q.Solution.Name }

func (w *worker) run(ctx context.Context) error {
	defer w.snapshots.Close()
	if err := w.reader.Run(ctx); err != nil {
		return fmt.Errorf("processing: %w", err)
	}
	return nil
}

// ready waits until the worker owns all partitions, so that the time a group
// takes to form is not counted as the solution's latency. With other workers
// in the group it never owns all; then it only waits a while.
func (w *worker) ready(ctx context.Context, partitions int) {
	deadline := time.Now().Add(10 * time.Second)
	for len(w.processed.Positions()) < partitions && time.Now().Before(deadline) && ctx.Err() == nil {
		time.Sleep(10 * time.Millisecond)
	}
}

// drained waits until everything in the log is stored, by this worker or by
// others of its group, and until nothing more follows from it: until the tasks
// say so, if all of them are here, else as long as that may take.
func (w *worker) drained(ctx context.Context) error {
	var stored time.Time // since when all is
	for {
		behind, _, err := w.behind(ctx)
		switch {
		case err != nil && !away(err):
			return err
		case err != nil || behind > 0:
			stored = time.Time{}
		case w.settled(&stored):
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settled tells whether nothing more can follow from what is stored. since is
// when that was first asked of it.
func (w *worker) settled(since *time.Time) bool {
	if w.settling == 0 {
		return true
	}
	w.waiting.Store(true)
	if since.IsZero() {
		*since = time.Now()
	}
	return w.processed.Settled() == w.partitions || time.Since(*since) > w.settling
}

// away tells errors that pass: the producer and the group wait for a log that
// does not answer, and so does whoever waits for them.
func away(err error) bool {
	_, unreachable := errors.AsType[*connector.Unreachable](err)
	return unreachable || connector.ActionOf(err) == connector.Retry
}

// behind counts the entries that are not stored, and those in the log. This
// worker's own positions come first; the group's, which trail the store's,
// stand in for partitions that other workers own.
func (w *worker) behind(ctx context.Context) (behind, total int64, err error) {
	own := w.processed.Positions()
	behind, total, err = w.backlog.Measure(ctx, own)
	if err != nil || behind == 0 {
		return behind, total, err
	}
	others, err := w.log.Committed(ctx, w.group)
	if err != nil {
		return 0, 0, err
	}
	for p := range own {
		delete(others, p)
	}
	return w.backlog.Measure(ctx, others)
}

// sample implements processing. The backlog asks the log, so it is left
// unknown when the log does not answer in time.
func (w *worker) sample(ctx context.Context, s *metrics.Sample) {
	p, v := w.processed.Counts(), w.served.Counts()
	s.Processed, s.ProcessedBytes, s.Duplicates, s.DeadLettered = p.Inputs, p.InputBytes, p.Duplicates, p.Dead
	s.Replayed = p.Replayed
	s.Sessions, s.Fenced = w.reader.Counts()
	s.Stored, s.StoreDuplicates, s.StoredBytes, s.Writes = v.Stored, v.Duplicates, v.Bytes, v.Writes
	s.Retries, s.Outage = v.Retries, v.Outage
	if s.Phase == metrics.Draining && w.waiting.Load() {
		s.Phase = metrics.Settling
	}
	s.StoreThrottled, s.Charge = w.usage(&v)
	s.Throttled += s.StoreThrottled
	if s.Phase != metrics.Verifying {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if behind, total, err := w.behind(ctx); err == nil {
			s.Backlog, s.LogEntries = behind, total
		}
	}
}

// measured implements processing.
func (w *worker) measured(m *verify.Measured) {
	c := w.served.Counts()
	throttled, _ := w.usage(&c)
	m.Throttled, m.Retries = m.Throttled+throttled, c.Retries
	m.Commit = commitLag(w.served)
	m.Watermark, m.StateBytes = watermarkDelay(w.processed), w.processed.PeakState()
}

// usage is what the store has refused and charged: as its service meters it,
// else as the receipts of finished writes say.
func (w *worker) usage(c *serve.Counts) (throttled int64, charge float64) {
	if w.metered == nil {
		return c.Throttled, c.Charge
	}
	u := w.metered.Usage()
	return u.Throttled, u.Charge
}
