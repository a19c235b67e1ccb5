package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// queueBytes is what one member holds ahead of its handler, over all
	// its partitions; queueMin is a single partition's share at least. A
	// partition may go past its share by one fetch.
	queueBytes = 32 << 20
	queueMin   = 1 << 20
	// stallWait is how long fetching waits for a full partition before it
	// leaves that partition out. Under even back-pressure queues drain
	// within it; leaving a partition out throws away what the client had
	// fetched of it.
	stallWait = 50 * time.Millisecond
)

// source implements connector.Source.
//
// A poll and a change of ownership exclude each other (BlockRebalanceOnPoll).
// Within that exclusion a poll's entries are handed to the ownership of their
// partition, an object that lives from Assign to Revoke and is never used
// again: what was fetched under one ownership cannot be delivered under a
// later one. Each ownership has a goroutine that calls Deliver, so a blocked
// handler holds up neither other partitions nor a rebalance.
type source struct {
	log   *topicLog
	group string
	cl    *kgo.Client

	handler connector.Handler
	// runCtx ends when Run is to end; the cause is the error, if any.
	runCtx context.Context
	end    context.CancelCauseFunc

	mu    sync.Mutex
	owned map[int32]*ownership

	// joined is closed when cl is set: the client's callbacks, which wait
	// for it, can come before that.
	joined  chan struct{}
	started sync.Once
	stopped chan struct{} // closed when Run has returned
}

// Source implements connector.Log.
func (l *topicLog) Source(ctx context.Context, group string) (connector.Source, error) {
	if l.cfg.Group != "" {
		group = l.cfg.Group
	}
	if group == "" {
		return nil, &connector.Hinted{Err: errors.New("no consumer group is named"), Hint: "set group in the solution"}
	}
	s := &source{log: l, group: withRun(group, l.run), owned: map[int32]*ownership{}, joined: make(chan struct{}), stopped: make(chan struct{})}
	s.runCtx, s.end = context.WithCancelCause(context.Background())
	// The client joins as soon as it exists, so that is left to Run.
	if _, err := l.admin.open(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// join makes the client, which begins to join the group at once.
func (s *source) join() error {
	l := s.log
	cl, err := l.conn.client(
		kgo.ConsumerGroup(s.group),
		kgo.ConsumeTopics(l.topic),
		kgo.DisableAutoCommit(),
		kgo.BlockRebalanceOnPoll(),
		kgo.SessionTimeout(l.cfg.SessionTimeout.D()),
		kgo.HeartbeatInterval(min(3*time.Second, l.cfg.SessionTimeout.D()/4)),
		kgo.RebalanceTimeout(l.cfg.RebalanceTimeout.D()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.FetchMaxBytes(8<<20),
		kgo.FetchMaxPartitionBytes(1<<20),
		kgo.FetchMaxWait(500*time.Millisecond),
		// Markers carry no entry, but a position: without them a
		// reader would never get past the marker at the end of a log.
		kgo.KeepControlRecords(),
		kgo.ConsumeStartOffset(kgo.NewOffset().AtStart()),
		// A position that the log no longer has is a loss of data, and
		// not to be passed over.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.AdjustFetchOffsetsFn(s.startOffsets),
		kgo.OnPartitionsAssigned(s.assigned),
		kgo.OnPartitionsRevoked(func(ctx context.Context, _ *kgo.Client, m map[string][]int32) { s.revoked(ctx, m[l.topic], false) }),
		kgo.OnPartitionsLost(func(ctx context.Context, _ *kgo.Client, m map[string][]int32) { s.revoked(ctx, m[l.topic], true) }),
	)
	s.cl = cl
	close(s.joined)
	return err
}

// Run implements connector.Source.
func (s *source) Run(ctx context.Context, h connector.Handler) error {
	err := errors.New("this source has run already")
	s.started.Do(func() { err = s.run(ctx, h) })
	return err
}

func (s *source) run(ctx context.Context, h connector.Handler) error {
	defer close(s.stopped)
	if ctx.Err() != nil || s.runCtx.Err() != nil {
		return nil
	}
	s.handler = h
	if err := s.join(); err != nil {
		return err
	}
	// What was asked of ctx before (its values) stays; its end becomes
	// ours, without a cause.
	defer context.AfterFunc(ctx, func() { s.end(context.Canceled) })()
	s.poll()

	// Leaving revokes what is owned, which may wait for the store; the
	// group would not wait longer than this either.
	leave, cancel := context.WithTimeout(context.Background(), s.log.cfg.RebalanceTimeout.D()+adminTimeout)
	defer cancel()
	s.cl.AllowRebalance()
	lerr := s.cl.LeaveGroupContext(leave)
	s.cl.CloseAllowingRebalance()
	// Leaving without ever having been assigned anything, or having been
	// thrown out, calls no callback: nothing may stay owned all the same.
	s.revokeRest()

	err := context.Cause(s.runCtx)
	if errors.Is(err, context.Canceled) {
		if lerr != nil {
			s.log.log.Debug("leaving the consumer group failed; it will notice by itself", "group", s.group, "error", lerr)
		}
		return nil
	}
	return err
}

// poll moves what the client fetched to the partitions' queues until runCtx
// ends.
func (s *source) poll() {
	for s.runCtx.Err() == nil {
		fetches := s.cl.PollFetches(s.runCtx)
		var full []*ownership
		fetches.EachPartition(func(tp kgo.FetchTopicPartition) {
			if tp.Err != nil {
				s.fetchError(tp.Topic, tp.Partition, tp.Err)
			}
			if len(tp.Records) == 0 {
				return
			}
			s.mu.Lock()
			o := s.owned[tp.Partition]
			s.mu.Unlock()
			if o == nil {
				return
			}
			if o.push(&tp.FetchPartition) {
				full = append(full, o)
			}
		})
		s.cl.AllowRebalance()
		s.awaitRoom(full)
	}
}

// awaitRoom holds fetching back while partitions are full, and leaves out
// those that stay so.
func (s *source) awaitRoom(full []*ownership) {
	if len(full) == 0 {
		return
	}
	timer := time.NewTimer(stallWait)
	defer timer.Stop()
	for _, o := range full {
		select {
		case <-o.drained:
		case <-o.done:
		case <-s.runCtx.Done():
			return
		case <-timer.C:
			timer.Reset(0)
			o.pause()
		}
	}
}

// fetchError ends Run if err is one that will not go away.
func (s *source) fetchError(topic string, p int32, err error) {
	var session *kgo.ErrGroupSession
	switch {
	case s.runCtx.Err() != nil, errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
	case errors.Is(err, kerr.OffsetOutOfRange):
		s.mu.Lock()
		o := s.owned[p]
		s.mu.Unlock()
		if o != nil {
			s.end(s.outOfRange(o))
		}
	case errors.As(err, &session) && !s.permanent(err):
		s.log.log.Warn("the consumer group session was interrupted; joining again", "group", s.group, "error", session.Err)
	case retriable(err):
		s.log.log.Debug("fetching failed and is repeated", "topic", topic, "partition", p, "error", err)
	default:
		s.end(s.log.conn.explain(err, fmt.Sprintf("reading topic %s partition %d", s.log.topic, p)))
	}
}

// permanent tells session errors that joining again cannot mend.
func (s *source) permanent(err error) bool {
	for _, k := range []*kerr.Error{
		kerr.GroupAuthorizationFailed, kerr.TopicAuthorizationFailed, kerr.SaslAuthenticationFailed,
		kerr.InvalidGroupID, kerr.InvalidSessionTimeout, kerr.InconsistentGroupProtocol,
		kerr.GroupMaxSizeReached, kerr.FencedInstanceID,
	} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// outOfRange says what the log still has where a position was asked for that
// it has not.
func (s *source) outOfRange(o *ownership) error {
	ctx, cancel := context.WithTimeout(s.runCtx, reachTimeout)
	defer cancel()
	adm := kadm.NewClient(s.cl)
	have := "an unknown range"
	starts, err1 := adm.ListStartOffsets(ctx, s.log.topic)
	ends, err2 := adm.ListEndOffsets(ctx, s.log.topic)
	if err1 == nil && err2 == nil {
		first, _ := starts.Lookup(s.log.topic, o.partition)
		last, _ := ends.Lookup(s.log.topic, o.partition)
		have = fmt.Sprintf("%d to %d", first.Offset, last.Offset)
	}
	return &connector.Hinted{
		Err: fmt.Errorf("topic %s partition %d: position %d is wanted, but the log has %s: entries between were deleted or the topic was created anew",
			s.log.topic, o.partition, o.next(), have),
		Hint: "raise the topic's retention; to go on without the missing entries, use a new group and an empty store",
	}
}

// assigned is the client's callback for newly owned partitions.
func (s *source) assigned(_ context.Context, _ *kgo.Client, m map[string][]int32) {
	<-s.joined
	partitions := m[s.log.topic]
	if len(partitions) == 0 || s.runCtx.Err() != nil {
		return
	}
	starts, err := s.handler.Assign(s.runCtx, partitions)
	if err != nil {
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
		go o.deliver()
	}
	s.share()
	s.cl.ResumeFetchPartitions(map[string][]int32{s.log.topic: partitions})
}

// startOffsets is called by the client with the group's committed positions
// before it fetches, and puts the handler's answers in their place.
func (s *source) startOffsets(_ context.Context, m map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, committed := range m[s.log.topic] {
		o := s.owned[p]
		switch {
		case o == nil:
			// The handler refused; Run is ending.
			delete(m[s.log.topic], p)
		case o.start == connector.Earliest:
			m[s.log.topic][p] = kgo.NewOffset().AtStart()
			o.setNext(0)
		case o.start != connector.Unknown:
			m[s.log.topic][p] = kgo.NewOffset().At(o.start)
		default:
			o.setNext(committed.EpochOffset().Offset)
		}
	}
	return m, nil
}

// revoked is the client's callback for partitions that go away.
func (s *source) revoked(_ context.Context, partitions []int32, lost bool) {
	s.mu.Lock()
	var gone []*ownership
	var ours []int32
	for _, p := range partitions {
		if o := s.owned[p]; o != nil {
			gone, ours = append(gone, o), append(ours, p)
		}
	}
	s.mu.Unlock()
	if len(gone) == 0 {
		return
	}
	for _, o := range gone {
		o.close()
	}
	if lost {
		// Nothing may be committed for them any more.
		s.disown(ours)
	}
	// Not runCtx: what was delivered is still to be stored and committed
	// when Run ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.runCtx), s.log.cfg.RebalanceTimeout.D())
	defer cancel()
	s.handler.Revoke(ctx, ours, lost)
	s.disown(ours)
	for _, o := range gone {
		o.cancel()
		<-o.done
	}
}

func (s *source) disown(partitions []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range partitions {
		delete(s.owned, p)
	}
	s.share()
}

// share divides queueBytes among the partitions owned now: assignments are
// incremental, so those that are new are not all. s.mu must be held.
func (s *source) share() {
	if len(s.owned) == 0 {
		return
	}
	limit := max(queueMin, queueBytes/len(s.owned))
	for _, o := range s.owned {
		o.setLimit(limit)
	}
}

func (s *source) revokeRest() {
	s.mu.Lock()
	var rest []int32
	for p := range s.owned {
		rest = append(rest, p)
	}
	s.mu.Unlock()
	s.revoked(context.Background(), rest, true)
}

// Commit implements connector.Source.
func (s *source) Commit(ctx context.Context, positions []connector.Position) error {
	offsets := map[int32]kgo.EpochOffset{}
	s.mu.Lock()
	for _, p := range positions {
		if s.owned[p.Partition] != nil {
			offsets[p.Partition] = kgo.EpochOffset{Epoch: -1, Offset: p.Offset}
		}
	}
	s.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	var failed error
	s.cl.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{s.log.topic: offsets},
		func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, err error) {
			failed = err
			if err != nil || resp == nil {
				return
			}
			for _, t := range resp.Topics {
				for _, p := range t.Partitions {
					if err := kerr.ErrorForCode(p.ErrorCode); err != nil && !ownershipLost(err) && failed == nil {
						failed = fmt.Errorf("partition %d: %w", p.Partition, err)
					}
				}
			}
		})
	if failed == nil || ownershipLost(failed) || errors.Is(failed, kgo.ErrClientClosed) {
		return nil
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return connector.Retryable(s.log.conn.explain(failed, "committing positions of group "+s.group), 0)
}

// ownershipLost tells the errors of a member whose partitions are elsewhere.
func ownershipLost(err error) bool {
	return errors.Is(err, kerr.IllegalGeneration) || errors.Is(err, kerr.UnknownMemberID) ||
		errors.Is(err, kerr.RebalanceInProgress) || errors.Is(err, kerr.StaleMemberEpoch) ||
		errors.Is(err, kerr.FencedInstanceID) || errors.Is(err, kerr.FencedMemberEpoch)
}

// Close implements connector.Source: it ends a Run that is under way, as the
// end of its context would.
func (s *source) Close() error {
	s.end(context.Canceled)
	s.started.Do(func() { close(s.stopped) })
	<-s.stopped
	return nil
}
