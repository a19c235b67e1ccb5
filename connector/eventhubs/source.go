package eventhubs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

const (
	// queueBytes is what one member has under way to its handler, over all
	// its partitions; queueMin is a single partition's share at least.
	queueBytes = 32 << 20
	queueMin   = 1 << 20
	// gather is how long newly owned partitions wait for those that were
	// claimed together with them, so that they are assigned in one call.
	gather = 500 * time.Millisecond
	// grace is how long a partition taken from an owner that is alive waits
	// before it is assigned: the other one learns at once, and may have a
	// write under way.
	grace = 300 * time.Millisecond
	// revokeTimeout bounds giving up partitions in good order.
	revokeTimeout = 60 * time.Second
	// missingEvery is how long a partition that is ours may take to come.
	missingEvery = 5 * time.Second
	// endsEvery is how often the ends of owned partitions are looked up.
	endsEvery = 2 * time.Second
)

// source implements connector.Source.
//
// The SDK's Processor decides which partitions are ours, by its rules and in
// the checkpoint store that all SDKs share. It opens a link for each, which
// pushes out the link of the owner before; but where to start is for our
// handler to say, after it has done what may take long (claiming the partition
// in its store, reading back its state). So the Processor's links stay without
// credit, as mere signs of ownership, and each ownership opens a link of its
// own at the assigned position, which in turn pushes out the Processor's.
//
// A partition is lost when its link is taken over, or when the checkpoint store
// names another owner; either comes first. Its link is then closed and not
// opened again unless the Processor brings the partition anew, which it can
// only do once Revoke has returned.
type source struct {
	log    *hubLog
	group  string
	me     string
	stores *stores
	leases *leases
	client *azeventhubs.ConsumerClient

	handler connector.Handler
	// runCtx ends when Run is to end; the cause is the error, if any.
	runCtx context.Context
	end    context.CancelCauseFunc

	mu    sync.Mutex
	tasks int                                             // assignments and revocations under way
	idle  *sync.Cond                                      // on mu: tasks has become less
	ended bool                                            // no assignment begins any more
	held  map[int32]*azeventhubs.ProcessorPartitionClient // from the Processor, until they are closed
	owned map[int32]*ownership                            // assigned and not yet revoked

	started sync.Once
	stopped chan struct{} // closed when Run has returned
}

// Source implements connector.Log.
func (l *hubLog) Source(ctx context.Context, group string) (connector.Source, error) {
	if _, err := l.properties(ctx); err != nil {
		return nil, err
	}
	group, err := l.groupFor(ctx, group)
	if err != nil {
		return nil, err
	}
	st, err := l.checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	// A wrong container or key shows here rather than in a retry.
	if _, err := st.ListOwnership(ctx, l.e.host, l.hub, group, nil); err != nil {
		return nil, st.failed(ctx, err, "listing the owners of consumer group "+group)
	}
	var id [12]byte
	_, _ = rand.Read(id[:])
	s := &source{log: l, group: group, me: "millrace-" + hex.EncodeToString(id[:]), stores: st,
		held: map[int32]*azeventhubs.ProcessorPartitionClient{}, owned: map[int32]*ownership{}, stopped: make(chan struct{})}
	s.idle = sync.NewCond(&s.mu)
	s.runCtx, s.end = context.WithCancelCause(context.Background())
	return s, nil
}

// Run implements connector.Source.
func (s *source) Run(ctx context.Context, h connector.Handler) error {
	err := errors.New("this source has run already")
	s.started.Do(func() { err = s.run(ctx, h) })
	return err
}

func (s *source) run(ctx context.Context, h connector.Handler) (err error) {
	defer close(s.stopped)
	if ctx.Err() != nil || s.runCtx.Err() != nil {
		return nil
	}
	s.handler = h
	s.client, err = s.log.e.consumer(s.log.hub, s.group, s.me)
	if err != nil {
		return err
	}
	defer closeClient(s.client)
	s.leases = newLeases(s.stores, s.me, s.log.cfg.Expiration.D(), s.log.log)
	s.leases.taken = func(partitions []int32) { s.lose(partitions, "the checkpoint store names another owner") }
	defer context.AfterFunc(ctx, func() { s.end(context.Canceled) })()

	// The Processor outlives runCtx: it goes on renewing what is ours until
	// all of it has been revoked.
	owning, giveUp := context.WithCancel(context.Background())
	defer giveUp()
	arrivals := make(chan *azeventhubs.ProcessorPartitionClient)
	var workers sync.WaitGroup
	workers.Go(func() { s.process(owning, arrivals) })
	workers.Go(func() { s.collect(arrivals) })
	workers.Go(func() { s.watchEnds() })
	workers.Go(func() { s.flushCommits() })
	workers.Go(func() { s.watchMissing() })

	<-s.runCtx.Done()
	s.awaitTasks() // assignments that were under way
	s.revokeAll()
	s.awaitTasks() // partitions being lost meanwhile
	giveUp()
	workers.Wait()
	s.release(s.heldPartitions())
	if cause := context.Cause(s.runCtx); !errors.Is(cause, context.Canceled) {
		return cause
	}
	return nil
}

// process runs Processors, one after another if one fails, until ctx ends. The
// last one gives up what is ours.
func (s *source) process(ctx context.Context, arrivals chan<- *azeventhubs.ProcessorPartitionClient) {
	defer close(arrivals)
	strategy := azeventhubs.ProcessorStrategyGreedy
	if s.log.cfg.Balancing == balanced {
		strategy = azeventhubs.ProcessorStrategyBalanced
	}
	for n := 1; ctx.Err() == nil; n++ {
		p, err := azeventhubs.NewProcessor(s.client, s.leases, &azeventhubs.ProcessorOptions{
			LoadBalancingStrategy: strategy, Prefetch: -1,
			UpdateInterval: s.log.cfg.UpdateInterval.D(), PartitionExpirationDuration: s.log.cfg.Expiration.D(),
		})
		if err != nil {
			s.end(fmt.Errorf("setting up the processor of consumer group %s: %w", s.group, err))
			return
		}
		var accepting sync.WaitGroup
		accepting.Go(func() {
			for {
				c := p.NextPartitionClient(ctx)
				if c == nil {
					return
				}
				arrivals <- c
			}
		})
		err = p.Run(ctx)
		accepting.Wait()
		if err == nil {
			continue // ctx ended
		}
		// It can only fail before it owns anything: later, the leases keep
		// it from noticing.
		if faultOf(s.log.counted(err)).lasting() {
			s.end(s.log.e.explain(err, "joining consumer group "+s.group+" of hub "+s.log.hub))
			return
		}
		level := slog.LevelDebug
		if n%10 == 0 {
			level = slog.LevelWarn
		}
		s.log.log.Log(ctx, level, "the processor could not start and is started again", "group", s.group, "error", err)
		sleep(ctx, backoff(n))
	}
}

// collect takes the Processor's partitions and has those that came together
// assigned together.
func (s *source) collect(arrivals <-chan *azeventhubs.ProcessorPartitionClient) {
	var fresh []int32
	timer := time.NewTimer(0)
	<-timer.C
	assign := func() {
		partitions := fresh
		fresh = nil
		timer.Stop()
		if len(partitions) == 0 {
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if !s.ended {
			s.spawn(func() { s.assign(partitions) })
		}
	}
	for {
		select {
		case c, ok := <-arrivals:
			if !ok {
				return
			}
			p := partitionOf(c)
			s.mu.Lock()
			s.held[p] = c
			s.mu.Unlock()
			s.log.hold(s.group, p, 1)
			if fresh = append(fresh, p); len(fresh) == 1 {
				timer.Reset(gather)
			}
			if s.holdsAll() {
				assign()
			}
		case <-timer.C:
			assign()
		}
	}
}

// spawn runs a task that Run waits for. s.mu must be held.
func (s *source) spawn(task func()) {
	s.tasks++
	go func() {
		task()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.tasks--
		s.idle.Broadcast()
	}()
}

// awaitTasks waits until no assignment or revocation is under way, and lets no
// assignment begin from now on.
func (s *source) awaitTasks() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	for s.tasks > 0 {
		s.idle.Wait()
	}
}

// holdsAll tells whether every partition that is ours by the store has come.
func (s *source) holdsAll() bool {
	ours := s.leases.ours()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range ours {
		if s.held[p] == nil {
			return false
		}
	}
	return true
}

// release gives partitions back to the Processor, which may bring them again.
func (s *source) release(partitions []int32) {
	for _, p := range partitions {
		s.mu.Lock()
		c := s.held[p]
		delete(s.held, p)
		s.mu.Unlock()
		if c != nil {
			s.log.hold(s.group, p, -1)
			closeClient(c)
		}
	}
}

// assign asks the handler where to start, and starts.
func (s *source) assign(partitions []int32) {
	slices.Sort(partitions)
	pushed := false
	for _, p := range partitions {
		pushed = s.leases.wasPushed(p) || pushed
	}
	if pushed {
		sleep(s.runCtx, grace)
	}
	// Assigning makes the handler push out the owner before: it must not
	// meet the one after.
	partitions = slices.DeleteFunc(partitions, func(p int32) bool {
		if s.runCtx.Err() == nil && s.leases.confirm(s.runCtx, s.log.e.host, s.log.hub, s.group, p) {
			return false
		}
		s.release([]int32{p})
		return true
	})
	if len(partitions) == 0 {
		return
	}
	starts, err := s.handler.Assign(s.runCtx, partitions)
	if err != nil {
		s.release(partitions)
		s.end(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range partitions {
		start, ok := starts[p]
		if !ok {
			start = connector.Unknown
		}
		o := newOwnership(s, p, start)
		s.owned[p] = o
		o.begin()
	}
	s.share()
}

// share divides queueBytes among the partitions owned now. s.mu must be held.
func (s *source) share() {
	for _, o := range s.owned {
		o.budget.Store(int64(max(queueMin, queueBytes/len(s.owned))))
	}
}

// lose revokes partitions that belong to others now, without waiting.
func (s *source) lose(partitions []int32, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range partitions {
		o := s.owned[p]
		if o == nil || o.leaving {
			continue // not assigned yet, or already on its way out
		}
		o.leaving = true
		s.log.log.Info("a partition went to another worker", "hub", s.log.hub, "group", s.group, "partition", p, "how", why)
		s.spawn(func() { s.revoke([]*ownership{o}, true) })
	}
}

// revokeAll gives up everything in good order.
func (s *source) revokeAll() {
	s.mu.Lock()
	var all []*ownership
	for _, o := range s.owned {
		if !o.leaving {
			o.leaving = true
			all = append(all, o)
		}
	}
	s.mu.Unlock()
	slices.SortFunc(all, func(a, b *ownership) int { return int(a.partition - b.partition) })
	if len(all) > 0 {
		s.revoke(all, false)
	}
}

// revoke ends ownerships, which must be marked as leaving.
func (s *source) revoke(gone []*ownership, lost bool) {
	var partitions []int32
	for _, o := range gone {
		o.close()
		partitions = append(partitions, o.partition)
	}
	if lost {
		// Nothing may be committed for them any more, also by those who
		// have looked them up already.
		for _, o := range gone {
			o.forfeited.Store(true)
		}
		s.disown(gone)
	}
	// Not runCtx: what was delivered is still to be stored and committed
	// when Run ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.runCtx), revokeTimeout)
	defer cancel()
	s.handler.Revoke(ctx, partitions, lost)
	for _, o := range gone {
		o.finish(ctx, lost)
	}
	s.disown(gone)
	s.release(partitions)
}

func (s *source) disown(gone []*ownership) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, o := range gone {
		if s.owned[o.partition] == o {
			delete(s.owned, o.partition)
		}
	}
	s.share()
}

// Commit implements connector.Source. A checkpoint is written at once unless
// one of that partition was written within the last second; then it is written
// when the second is over, or when the partition is given up.
func (s *source) Commit(ctx context.Context, positions []connector.Position) error {
	for _, pos := range positions {
		s.mu.Lock()
		o := s.owned[pos.Partition]
		s.mu.Unlock()
		if o == nil {
			continue
		}
		if err := o.checkpoint(ctx, pos.Offset); err != nil {
			return err
		}
	}
	return nil
}

// flushCommits writes the checkpoints that had to wait.
func (s *source) flushCommits() {
	tick := time.NewTicker(checkpointEvery / 2)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, o := range s.current() {
				if err := o.flush(s.runCtx, false); err != nil && s.runCtx.Err() == nil {
					s.log.log.Warn("a checkpoint could not be written; it is tried again", "partition", o.partition, "error", err)
				}
			}
		case <-s.runCtx.Done():
			return
		}
	}
}

// watchEnds keeps the ends of the owned partitions, which events do not carry.
func (s *source) watchEnds() {
	tick := time.NewTicker(endsEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for _, o := range s.current() {
				if x, err := extentOf(s.runCtx, s.client, o.partition); err == nil {
					o.end.Store(x.end)
				}
			}
		case <-s.runCtx.Done():
			return
		}
	}
}

// watchMissing looks after partitions that are ours by the store but do not
// come: the Processor keeps to itself why it cannot open their links.
func (s *source) watchMissing() {
	tick := time.NewTicker(missingEvery)
	defer tick.Stop()
	before := map[int32]bool{}
	for {
		select {
		case <-tick.C:
		case <-s.runCtx.Done():
			return
		}
		missing := map[int32]bool{}
		s.mu.Lock()
		for _, p := range s.leases.ours() {
			if s.held[p] == nil {
				missing[p] = true
			}
		}
		s.mu.Unlock()
		for p := range missing {
			if before[p] && s.runCtx.Err() == nil {
				s.diagnose(p)
			}
		}
		before = missing
	}
}

// diagnose opens a link as the Processor would, and ends Run if that can never
// succeed.
func (s *source) diagnose(p int32) {
	r, err := newReceiver(s.client, p, azeventhubs.StartPosition{Latest: ptr(true)}, &epoch, 0)
	if err != nil {
		return
	}
	defer r.close()
	ctx, cancel := context.WithTimeout(s.runCtx, missingEvery)
	defer cancel()
	_, err = r.next(ctx)
	if err == nil || ctx.Err() != nil {
		return
	}
	s.log.log.Debug("a partition that is ours cannot be opened", "hub", s.log.hub, "group", s.group, "partition", p, "error", err)
	if faultOf(err).lasting() {
		s.end(s.log.e.explain(err, fmt.Sprintf("reading hub %s partition %d", s.log.hub, p)))
	}
}

func (s *source) heldPartitions() []int32 {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]int32, 0, len(s.held))
	for p := range s.held {
		list = append(list, p)
	}
	return list
}

func (s *source) current() []*ownership {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*ownership, 0, len(s.owned))
	for _, o := range s.owned {
		list = append(list, o)
	}
	return list
}

// Close implements connector.Source: it ends a Run that is under way, as the
// end of its context would.
func (s *source) Close() error {
	s.end(context.Canceled)
	s.started.Do(func() { close(s.stopped) })
	<-s.stopped
	return nil
}
