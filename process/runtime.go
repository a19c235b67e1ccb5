package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector"
	"millrace/record"
)

// Log is what the runtime needs of a log besides being driven by its source:
// rereading what was processed before, to rebuild state.
type Log interface {
	Replay(ctx context.Context, p int32, from, to int64, fn func(*record.Batch) error) error
	OffsetAt(ctx context.Context, p int32, micros int64) (int64, error)
	// Ends is asked for by tasks that are Clocked alone.
	Ends(ctx context.Context) ([]int64, error)
}

// Writer is where the runtime's output goes. Both calls retry what can be
// retried until ctx ends. Write keeps the dead letters before it moves the
// positions (I5). Calls for disjoint partitions may run at once.
type Writer interface {
	Claim(ctx context.Context, partitions []int32) (map[int32]int64, error)
	Write(ctx context.Context, w *connector.Write, dead []record.DeadLetter) error
}

// Committer records positions with the log's own group mechanism.
type Committer interface {
	Commit(ctx context.Context, positions []connector.Position) error
}

// Options tune a Runtime. The zero value of a field means its default.
type Options struct {
	Lanes   int           // goroutines that process; default 1
	MaxRows int           // bound of one Write's results; default 50,000
	Linger  time.Duration // how long a result may wait for company; default 200 ms
	// DrainTimeout bounds how long Revoke waits for writes; default 20 s,
	// and never more than two thirds of what Revoke's ctx allows.
	DrainTimeout time.Duration
	// KeepsPositions says that the writer's positions are the truth: a
	// partition without one is read from its first entry, whatever the
	// group has committed.
	KeepsPositions bool
	// Snapshots keeps task state; nil: state is rebuilt from the log.
	Snapshots     *Snapshots
	SnapshotEvery time.Duration // default 30 s
	CommitEvery   time.Duration // group commits; default 1 s
	// TickEvery is how often Clocked tasks are told the time while nothing
	// arrives; default 1 s, negative: never. The store must know results at a
	// position that does not move (connector.Traits.Timed).
	TickEvery time.Duration
	Log       *slog.Logger
}

func (o *Options) setDefaults() {
	o.Lanes = max(o.Lanes, 1)
	if o.MaxRows <= 0 {
		o.MaxRows = 50_000
	}
	if o.Linger <= 0 {
		o.Linger = 200 * time.Millisecond
	}
	if o.DrainTimeout <= 0 {
		o.DrainTimeout = 20 * time.Second
	}
	if o.SnapshotEvery <= 0 {
		o.SnapshotEvery = 30 * time.Second
	}
	if o.CommitEvery <= 0 {
		o.CommitEvery = time.Second
	}
	if o.TickEvery == 0 {
		o.TickEvery = time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

// Runtime drives one engine's tasks over the partitions that this worker
// owns. It implements connector.Handler. Make one per group session: once it
// has failed (Err), it takes nothing more.
type Runtime struct {
	engine Engine
	log    Log
	writer Writer
	group  Committer
	opts   Options
	stats  *Stats

	// hard ends when nothing may be written any more: on Stop's deadline
	// or the first failure.
	hard    context.Context
	abort   context.CancelCauseFunc
	commits *groupCommits
	lanes   []*lane
	done    sync.WaitGroup
	closed  sync.Once

	mu    sync.Mutex
	owned map[int32]*ownership
}

// ownership is one partition during one assignment. A batch that was read
// under an earlier ownership of the same partition carries the earlier value
// and is dropped.
type ownership struct {
	partition int32
	lane      *lane
	task      Task
	// next is the position after what was processed; lane goroutine only.
	next int64
	// clock is the log's time; lane goroutine only.
	clock clock
	// committed is the position that the store holds.
	committed    atomic.Int64
	lastSnapshot time.Time // lane goroutine only
	// gone is closed when the partition is revoked or lost.
	gone chan struct{}
	// lost is set when nothing more may be written (I3).
	lost atomic.Bool
}

// NewRuntime starts the lanes. Stop must be called.
func NewRuntime(engine Engine, log Log, writer Writer, group Committer, stats *Stats, opts Options) *Runtime {
	opts.setDefaults()
	r := &Runtime{engine: engine, log: log, writer: writer, group: group, opts: opts, stats: stats,
		owned: make(map[int32]*ownership)}
	r.hard, r.abort = context.WithCancelCause(context.Background())
	r.commits = newGroupCommits(r)
	r.done.Add(1)
	go func() { defer r.done.Done(); r.commits.run() }()
	r.done.Add(1)
	go func() { defer r.done.Done(); r.runTicks() }()
	for range opts.Lanes {
		l := newLane(r)
		r.lanes = append(r.lanes, l)
		r.done.Add(2)
		go func() { defer r.done.Done(); l.process() }()
		go func() { defer r.done.Done(); l.write() }()
	}
	return r
}

// Stop ends the lanes. What was not written is given up: call it after the
// source has revoked everything.
func (r *Runtime) Stop() {
	r.closed.Do(func() {
		r.abort(errStopped)
		r.done.Wait()
	})
}

var errStopped = errors.New("the processing runtime has stopped")

// Failed is closed when the runtime has failed (Err says why) or was stopped.
func (r *Runtime) Failed() <-chan struct{} { return r.hard.Done() }

// Err returns why the runtime failed, or nil.
func (r *Runtime) Err() error {
	if err := context.Cause(r.hard); err != nil && !errors.Is(err, errStopped) {
		return err
	}
	return nil
}

// fail makes every later call return err; the first reason wins.
func (r *Runtime) fail(err error) { r.abort(err) }

// Assign implements connector.Handler: it claims the partitions in the store,
// which fences their earlier owners, and brings each task to the state it had
// at the store's position.
func (r *Runtime) Assign(ctx context.Context, partitions []int32) (map[int32]int64, error) {
	ctx, stop := r.whileAlive(ctx)
	defer stop()
	// Normally none is owned. A source that lost its connection may have
	// missed the revocation, though, and what is under way from before must
	// not meet what is read from now on.
	r.Revoke(ctx, partitions, true)
	positions, err := r.writer.Claim(ctx, partitions)
	if err != nil {
		return nil, r.cause(fmt.Errorf("claiming partitions %v: %w", partitions, err))
	}
	starts := make(map[int32]int64, len(partitions))
	fresh := make([]*ownership, 0, len(partitions))
	for i, p := range partitions {
		pos, ok := positions[p]
		if !ok {
			pos = connector.Unknown
		}
		o := &ownership{partition: p, lane: r.lanes[int(p)%len(r.lanes)], task: r.engine.NewTask(p),
			next: pos, lastSnapshot: r.staggered(i, len(partitions)), gone: make(chan struct{})}
		o.committed.Store(pos)
		if err := r.recover(ctx, o); err != nil {
			return nil, r.cause(fmt.Errorf("recovering the state of partition %d at position %d: %w", p, pos, err))
		}
		starts[p] = pos
		if pos == connector.Unknown && r.opts.KeepsPositions {
			starts[p] = connector.Earliest
		}
		fresh = append(fresh, o)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, o := range fresh {
		r.owned[o.partition] = o
		r.stats.position(o.partition, o.next)
	}
	return starts, nil
}

// staggered is when the i-th of n partitions is taken to have had its last
// snapshot, so that those assigned together do not all fall due together.
func (r *Runtime) staggered(i, n int) time.Time {
	return time.Now().Add(-r.opts.SnapshotEvery * time.Duration(i) / time.Duration(n))
}

// whileAlive returns a context that also ends when the runtime fails.
func (r *Runtime) whileAlive(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(r.hard, cancel)
	return ctx, func() { stop(); cancel() }
}

// cause prefers the runtime's own failure over the cancellation it led to.
func (r *Runtime) cause(err error) error {
	if own := r.Err(); own != nil {
		return own
	}
	return err
}

// Deliver implements connector.Handler.
func (r *Runtime) Deliver(ctx context.Context, b *record.Batch) error {
	r.mu.Lock()
	o := r.owned[b.Partition]
	r.mu.Unlock()
	if o == nil {
		return r.Err()
	}
	select {
	case o.lane.in <- delivery{o, b}:
		return nil
	case <-o.gone:
		return nil
	case <-r.hard.Done():
		return r.cause(errStopped)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Revoke implements connector.Handler.
func (r *Runtime) Revoke(ctx context.Context, partitions []int32, lost bool) {
	var leaving []*ownership
	r.mu.Lock()
	for _, p := range partitions {
		if o := r.owned[p]; o != nil {
			delete(r.owned, p)
			if lost {
				o.lost.Store(true)
			}
			close(o.gone)
			leaving = append(leaving, o)
		}
	}
	r.mu.Unlock()
	if len(leaving) == 0 {
		return
	}
	// The group's own deadline may be shorter than ours; ctx carries it. A
	// part of it is left for the final commit.
	timeout := r.opts.DrainTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline)*2/3)
	}
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	late := 0
	var drained []connector.Position
	for _, o := range leaving {
		if !lost && !o.lane.drain(within, o) {
			late++
		}
		o.lost.Store(true)
		if pos := o.committed.Load(); !lost && pos >= 0 {
			drained = append(drained, connector.Position{Partition: o.partition, Offset: pos})
		}
		r.stats.forget(o.partition)
	}
	if late > 0 && r.Err() == nil {
		r.opts.Log.Warn("partitions were given up before their last results could be stored; their next owner repeats them",
			"partitions", late)
	}
	if len(drained) > 0 && r.group != nil {
		ctx, cancel := context.WithTimeout(ctx, commitTimeout)
		defer cancel()
		if err := r.group.Commit(ctx, drained); err != nil {
			r.opts.Log.Debug("final group commit", "error", err)
		}
	}
}
