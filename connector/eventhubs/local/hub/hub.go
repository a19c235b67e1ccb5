package hub

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Hub is an event hub: a topic of the log.
type Hub struct {
	cluster *Cluster
	ns      *Namespace
	name    string
	topic   string
	id      [16]byte // of the topic

	// maxBatch is the largest record batch that the topic takes, in bytes.
	maxBatch atomic.Int64
	next     atomic.Uint32
	parts    atomic.Pointer[[]*partition]

	goneOnce sync.Once
	gone     chan struct{}   // closed when the hub was deleted
	ctx      context.Context // ends then, or with the cluster
	cancel   context.CancelFunc

	// What follows is guarded by cluster.mu.
	seen      time.Time // when this process first saw it
	retention time.Duration
	missing   time.Time // since when its topic is not listed, zero if it is
}

func newHub(ns *Namespace, name, topic string, id [16]byte) *Hub {
	h := &Hub{cluster: ns.cluster, ns: ns, name: name, topic: topic, id: id,
		gone: make(chan struct{}), seen: time.Now().UTC().Truncate(time.Millisecond)}
	h.ctx, h.cancel = context.WithCancel(ns.cluster.ctx)
	h.parts.Store(new([]*partition))
	return h
}

func (h *Hub) setConfig(c topicConfig) {
	h.maxBatch.Store(int64(c.maxBytes))
	h.retention = c.retention
}

// grow adds partitions that the topic has got. cluster.mu is held.
func (h *Hub) grow(leaders []int32) bool {
	parts := *h.parts.Load()
	if len(leaders) <= len(parts) {
		return false
	}
	more := slices.Clone(parts)
	for p := len(parts); p < len(leaders); p++ {
		more = append(more, newPartition(h, int32(p), leaders[p]))
	}
	h.parts.Store(&more)
	return true
}

// remove ends everything that goes on with the hub: it was deleted.
func (h *Hub) remove() {
	h.goneOnce.Do(func() {
		close(h.gone)
		h.cancel()
	})
	h.refuse(h.wasDeleted())
}

func (h *Hub) wasDeleted() error { return notFound("hub %s was deleted", h.name) }

func (h *Hub) isDeleted() bool {
	select {
	case <-h.gone:
		return true
	default:
		return false
	}
}

// refuse lets no more appends in.
func (h *Hub) refuse(err error) {
	for _, p := range *h.parts.Load() {
		p.refuse(err)
	}
}

// Deleted returns a channel that is closed when the hub is deleted.
func (h *Hub) Deleted() <-chan struct{} { return h.gone }

// Name returns the hub's name.
func (h *Hub) Name() string { return h.name }

// Namespace returns the namespace that the hub belongs to.
func (h *Hub) Namespace() *Namespace { return h.ns }

// ID identifies the hub among all that ever had its name: that of the topic.
func (h *Hub) ID() [16]byte { return h.id }

// Topic returns the hub's topic in the log.
func (h *Hub) Topic() string { return h.topic }

// Partitions returns how many partitions the hub has: 0 to n-1.
func (h *Hub) Partitions() int { return h.partitionCount() }

func (h *Hub) partitionCount() int { return len(*h.parts.Load()) }

func (h *Hub) partition(p int32) (*partition, error) {
	parts := *h.parts.Load()
	if p < 0 || int(p) >= len(parts) {
		return nil, notFound("hub %s has the partitions 0 to %d, not %d", h.name, len(parts)-1, p)
	}
	return parts[p], nil
}

// described returns the hub's description. cluster.mu is held.
func (h *Hub) described() *hubState {
	if s := h.cluster.state.Namespaces[h.ns.key()][h.name]; s != nil {
		return s
	}
	return &hubState{Topic: h.topic, Created: h.seen}
}

// Info describes the hub as it is now.
func (h *Hub) Info() Info {
	h.cluster.mu.Lock()
	defer h.cluster.mu.Unlock()
	s := h.described()
	groups := slices.Clone(s.Groups)
	slices.Sort(groups)
	return Info{Name: h.name, Namespace: h.ns.name, Partitions: h.partitionCount(), CreatedAt: s.Created,
		Groups: slices.Insert(groups, 0, DefaultGroup), Retention: h.retention, Capture: s.Capture.clone()}
}

// HasGroup tells whether the hub has a consumer group of that name in any case,
// and how it is written.
func (h *Hub) HasGroup(name string) (canonical string, ok bool) {
	if strings.EqualFold(name, DefaultGroup) {
		return DefaultGroup, true
	}
	h.cluster.mu.Lock()
	defer h.cluster.mu.Unlock()
	return h.described().hasGroup(name)
}

// PartitionFor returns the partition of events with a partition key.
func (h *Hub) PartitionFor(key string) int32 { return PartitionFor(key, h.partitionCount()) }

// NextPartition returns the partitions in turn, for events without a key.
func (h *Hub) NextPartition() int32 {
	return int32((h.next.Add(1) - 1) % uint32(h.partitionCount()))
}

// PartitionInfo is the state of a partition.
type PartitionInfo struct {
	// Begin is the sequence number of the oldest event, End the one that
	// the next event will get (or a later one: the log uses some numbers
	// itself when it holds transactions). Equal: it is empty.
	Begin, End int64
	// LastEnqueued is when the newest event came in; zero if there is none.
	LastEnqueued time.Time
}

// Partition returns the state of a partition: ErrNotFound if there is no such
// partition.
func (h *Hub) Partition(ctx context.Context, p int32) (PartitionInfo, error) {
	part, err := h.partition(p)
	if err != nil {
		return PartitionInfo{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	begin, err := h.offset(ctx, p, offsetFirst)
	if err != nil {
		return PartitionInfo{}, err
	}
	end, err := h.offset(ctx, p, offsetStable)
	if err != nil {
		return PartitionInfo{}, err
	}
	info := PartitionInfo{Begin: begin, End: max(begin, end)}
	if info.Begin == info.End {
		return info, nil
	}
	ms, err := part.enqueuedAt(ctx, info.End-1)
	if err != nil {
		return PartitionInfo{}, err
	}
	info.LastEnqueued = time.UnixMilli(ms).UTC()
	return info, nil
}

// SequenceAt returns the sequence number of the first event that came in at t or
// later, or the one that the next event will get.
func (h *Hub) SequenceAt(ctx context.Context, p int32, t time.Time) (int64, error) {
	if _, err := h.partition(p); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	ms := t.UnixMilli()
	if t.Nanosecond()%1e6 > 0 {
		ms++ // the log keeps whole milliseconds
	}
	at, err := h.offset(ctx, p, max(0, ms))
	if err != nil || at >= 0 {
		return at, err
	}
	return h.offset(ctx, p, offsetStable)
}

// What to ask offset for, besides a time.
const (
	offsetFirst  = -2
	offsetStable = -1
)

// offset asks the log for a position: a constant above, or the first one with
// an append time of at least so many milliseconds (-1: there is none).
func (h *Hub) offset(ctx context.Context, p int32, what int64) (int64, error) {
	var at int64
	err := h.ask(ctx, p, fmt.Sprintf("looking up a position in hub %s partition %d", h.name, p), func(broker int) error {
		var err error
		at, err = h.listOffset(ctx, broker, p, what)
		return err
	})
	return at, err
}
