package connectortest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// group is what several members of one consumer group do together, as a
// transactional store would see it: every partition has one owner and one
// position, and what a member delivers without owning the partition is
// dropped. With that, every entry must arrive once and in order, whatever the
// rebalances; a gap or an old entry is a fault of the log's client.
type group struct {
	t *testing.T

	mu        sync.Mutex
	changed   *sync.Cond
	positions map[int32]int64
	owner     map[int32]*member
	perKey    []int // the next message of each key
	total     int
	oldest    int64
	newest    int64
	start     map[int32]int64 // what Assign answers, over positions
}

type member struct {
	g      *group
	src    connector.Source
	cancel context.CancelFunc
	result chan error

	// Below: under g.mu.
	owned    map[int32]chan struct{} // closed at Revoke
	received int
	blocked  map[int32]bool // partitions whose Deliver blocks until Revoke
	blocks   int            // Deliver calls blocked now
	assigns  int
}

func newGroup(t *testing.T, keys int) *group {
	g := &group{t: t, positions: map[int32]int64{}, owner: map[int32]*member{}, perKey: make([]int, keys), start: map[int32]int64{}}
	g.changed = sync.NewCond(&g.mu)
	return g
}

// join adds a member; block names partitions that it does not let through.
func (g *group) join(l connector.Log, name string, block ...int32) *member {
	g.t.Helper()
	src, err := l.Source(testContext(g.t), name)
	if err != nil {
		g.t.Fatal(err)
	}
	m := &member{g: g, src: src, result: make(chan error, 1), owned: map[int32]chan struct{}{}, blocked: map[int32]bool{}}
	for _, p := range block {
		m.blocked[p] = true
	}
	ctx, cancel := context.WithCancel(testContext(g.t))
	m.cancel = cancel
	go func() { m.result <- src.Run(ctx, m) }()
	g.t.Cleanup(func() { cancel(); _ = src.Close() })
	return m
}

// leave ends the member in good order.
func (m *member) leave() {
	m.g.t.Helper()
	m.cancel()
	select {
	case err := <-m.result:
		if err != nil {
			m.g.t.Errorf("Run: %v", err)
		}
	case <-time.After(patience):
		m.g.t.Fatal("Run does not end with its context")
	}
	if err := m.src.Close(); err != nil {
		m.g.t.Errorf("Close: %v", err)
	}
	m.g.mu.Lock()
	defer m.g.mu.Unlock()
	if len(m.owned) != 0 {
		m.g.t.Errorf("Run ended without revoking %d partitions", len(m.owned))
	}
}

// Assign implements connector.Handler.
func (m *member) Assign(_ context.Context, partitions []int32) (map[int32]int64, error) {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	starts := map[int32]int64{}
	for _, p := range partitions {
		if m.owned[p] != nil {
			g.t.Errorf("partition %d was assigned twice without a Revoke", p)
		}
		m.owned[p] = make(chan struct{})
		g.owner[p] = m
		pos, ok := g.positions[p]
		if !ok {
			pos = connector.Unknown
			if s, ok := g.start[p]; ok {
				pos = s
				g.positions[p] = s
			}
		}
		starts[p] = pos
	}
	m.assigns++
	g.changed.Broadcast()
	return starts, nil
}

// Deliver implements connector.Handler.
func (m *member) Deliver(ctx context.Context, b *record.Batch) error {
	g := m.g
	g.mu.Lock()
	defer g.mu.Unlock()
	revoked := m.owned[b.Partition]
	if revoked == nil {
		return nil
	}
	if m.blocked[b.Partition] {
		m.blocks++
		g.changed.Broadcast()
		g.mu.Unlock()
		select {
		case <-revoked:
		case <-ctx.Done():
		}
		g.mu.Lock()
		m.blocks--
		return ctx.Err()
	}
	if g.owner[b.Partition] != m {
		return nil // somebody else has claimed it
	}
	if err := m.take(b); err != nil {
		return err
	}
	g.changed.Broadcast()
	return nil
}

func (m *member) take(b *record.Batch) error {
	g := m.g
	at, ok := g.positions[b.Partition]
	for i := range b.Records {
		r := &b.Records[i]
		if !ok && i == 0 {
			at = r.Offset
		}
		if r.Offset != at {
			return fmt.Errorf("partition %d: offset %d came, want %d", b.Partition, r.Offset, at)
		}
		at++
		key, n, err := readMessage(r)
		if err != nil {
			return err
		}
		if g.perKey[key] != n {
			return fmt.Errorf("key %d: message %d came, want %d", key, n, g.perKey[key])
		}
		g.perKey[key]++
		if g.oldest == 0 || r.Timestamp < g.oldest {
			g.oldest = r.Timestamp
		}
		g.newest = max(g.newest, r.Timestamp)
	}
	if b.Next != at || b.End < b.Next {
		return fmt.Errorf("partition %d: batch with Next %d and End %d, want Next %d and no smaller End", b.Partition, b.Next, b.End, at)
	}
	g.positions[b.Partition] = at
	g.total += len(b.Records)
	m.received += len(b.Records)
	return nil
}

// Revoke implements connector.Handler.
func (m *member) Revoke(ctx context.Context, partitions []int32, lost bool) {
	g := m.g
	g.mu.Lock()
	var positions []connector.Position
	for _, p := range partitions {
		if m.owned[p] == nil {
			g.t.Errorf("partition %d was revoked without being owned", p)
			continue
		}
		close(m.owned[p])
		delete(m.owned, p)
		if g.owner[p] == m {
			delete(g.owner, p)
		}
		if at, ok := g.positions[p]; ok {
			positions = append(positions, connector.Position{Partition: p, Offset: at})
		}
	}
	g.changed.Broadcast()
	g.mu.Unlock()
	if !lost {
		if err := m.src.Commit(ctx, positions); err != nil {
			g.t.Errorf("Commit while revoking: %v", err)
		}
	}
}

// until waits for a condition on the group's state.
func (g *group) until(what string, ok func() bool) {
	g.t.Helper()
	timeout := time.AfterFunc(patience, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.changed.Broadcast()
	})
	defer timeout.Stop()
	deadline := time.Now().Add(patience)
	g.mu.Lock()
	defer g.mu.Unlock()
	for !ok() {
		if time.Now().After(deadline) {
			g.t.Fatalf("in vain waited for %s; %d entries came, positions %v", what, g.total, g.positions)
		}
		g.changed.Wait()
	}
}

func (g *group) await(total int) {
	g.t.Helper()
	g.until(fmt.Sprintf("%d entries", total), func() bool { return g.total >= total })
}

// check fails unless every key's messages have all come.
func (g *group) check(each int) {
	g.t.Helper()
	g.mu.Lock()
	defer g.mu.Unlock()
	for k, n := range g.perKey {
		if n != each {
			g.t.Errorf("key %d: %d messages came, want %d", k, n, each)
		}
	}
}

func testMembers(t *testing.T, factory LogFactory) {
	l, u := openLog(t, factory, 6)
	const keys = 30
	g := newGroup(t, keys)
	sent := 0
	feed := func(n int) {
		produce(t, l, keys, sent, sent+n)
		sent += n
	}
	open := func() connector.Log {
		l := u.Open(t)
		t.Cleanup(func() { _ = l.Close() })
		return l
	}
	sharing := func(ms ...*member) {
		t.Helper()
		g.until(fmt.Sprintf("%d members to share the partitions", len(ms)), func() bool {
			sum := 0
			for _, m := range ms {
				if len(m.owned) == 0 {
					return false
				}
				sum += len(m.owned)
			}
			return sum == 6
		})
	}
	a := g.join(open(), "group")
	sharing(a)
	feed(200)
	b := g.join(open(), "group")
	feed(200)
	sharing(a, b)
	feed(200)
	c := g.join(open(), "group")
	feed(200)
	sharing(a, b, c)
	feed(200)
	b.leave()
	feed(200)
	sharing(a, c)
	feed(200)
	// Closed while running: as abrupt as this interface allows.
	if err := a.src.Close(); err != nil {
		t.Error(err)
	}
	if err := <-a.result; err != nil {
		t.Errorf("Run of a closed source: %v", err)
	}
	feed(200)
	sharing(c)
	feed(200)
	g.await(keys * sent)
	c.leave()
	g.check(sent)
}

func testPositions(t *testing.T, factory LogFactory) {
	l, _ := openLog(t, factory, 2)
	const keys = 10
	produce(t, l, keys, 0, 300)
	ends, err := l.Ends(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	// The handler's answer counts, wherever the group stands.
	for _, from := range []int64{0, 7, ends[0] / 2} {
		first := firstDelivered(t, l, "explicit", map[int32]int64{0: from, 1: ends[1]}, nil)
		if first[0] != from {
			t.Errorf("asked for position %d, got %d", from, first[0])
		}
	}
	// Unknown is the group's commit, or the first entry.
	first := firstDelivered(t, l, "unknown", nil, []connector.Position{{Partition: 0, Offset: 11}, {Partition: 1, Offset: 13}})
	if first[0] != 0 || first[1] != 0 {
		t.Errorf("a new group began at %v, want the first entries", first)
	}
	first = firstDelivered(t, l, "unknown", nil, nil)
	if first[0] != 11 || first[1] != 13 {
		t.Errorf("began at %v, want the committed 11 and 13", first)
	}
	// Earliest is the first entry, wherever the group stands.
	first = firstDelivered(t, l, "unknown", map[int32]int64{0: connector.Earliest, 1: connector.Earliest}, nil)
	if first[0] != 0 || first[1] != 0 {
		t.Errorf("asked for the first entries, began at %v", first)
	}
	// Nobody owns anything any more: a commit is ignored.
	src, err := l.Source(testContext(t), "unknown")
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Commit(testContext(t), []connector.Position{{Partition: 0, Offset: 1}}); err != nil {
		t.Errorf("Commit without ownership: %v", err)
	}
	if err := src.Close(); err != nil {
		t.Error(err)
	}
	first = firstDelivered(t, l, "unknown", nil, nil)
	if first[0] != 11 {
		t.Errorf("began at %v, want the committed 11", first)
	}
	// A position that the log does not have is an error that says so.
	src, err = l.Source(testContext(t), "beyond")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	h := &firstHandler{start: map[int32]int64{0: ends[0] + 1000, 1: 0}, first: map[int32]int64{}, ready: make(chan struct{})}
	err = src.Run(testContext(t), h)
	var hinted *connector.Hinted
	if !errors.As(err, &hinted) {
		t.Errorf("Run from a position beyond the end: %v, want a hinted error", err)
	}
}

// firstHandler notes each partition's first offset.
type firstHandler struct {
	start map[int32]int64
	want  int

	mu    sync.Mutex
	first map[int32]int64
	ready chan struct{}
}

func (h *firstHandler) Assign(_ context.Context, partitions []int32) (map[int32]int64, error) {
	starts := map[int32]int64{}
	for _, p := range partitions {
		if at, ok := h.start[p]; ok {
			starts[p] = at
		} else {
			starts[p] = connector.Unknown
		}
	}
	return starts, nil
}

func (h *firstHandler) Deliver(_ context.Context, b *record.Batch) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.first[b.Partition]; !ok && len(b.Records) > 0 {
		h.first[b.Partition] = b.Records[0].Offset
		if len(h.first) == h.want {
			close(h.ready)
		}
	}
	return nil
}

func (h *firstHandler) Revoke(context.Context, []int32, bool) {}

// firstDelivered reads until the partitions' first entries have come, and
// commits before it leaves.
func firstDelivered(t *testing.T, l connector.Log, group string, start map[int32]int64, commit []connector.Position) map[int32]int64 {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	defer cancel()
	src, err := l.Source(ctx, group)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	h := &firstHandler{start: start, want: 2, first: map[int32]int64{}, ready: make(chan struct{})}
	if start != nil {
		h.want = 1 // the other one starts at its end
	}
	result := make(chan error, 1)
	go func() { result <- src.Run(ctx, h) }()
	select {
	case <-h.ready:
	case err := <-result:
		t.Fatalf("Run: %v", err)
	case <-time.After(patience):
		t.Fatal("nothing was delivered")
	}
	if err := src.Commit(ctx, commit); err != nil {
		t.Errorf("Commit: %v", err)
	}
	cancel()
	if err := <-result; err != nil {
		t.Errorf("Run: %v", err)
	}
	return h.first
}

func testBackPressure(t *testing.T, factory LogFactory) {
	l, u := openLog(t, factory, 4)
	const keys, each = 40, 1500
	g := newGroup(t, keys)
	a := g.join(l, "group", 0)
	g.until("the first member to own everything", func() bool { return len(a.owned) == 4 })
	produce(t, l, keys, 0, each)
	ends, err := l.Ends(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	// One blocked partition does not hold up the others,
	g.until("the other partitions to be read", func() bool {
		return a.blocks == 1 && g.positions[1] == ends[1] && g.positions[2] == ends[2] && g.positions[3] == ends[3]
	})
	// nor a rebalance: blocked partitions move on to members that read.
	g.mu.Lock()
	for p := range int32(4) {
		a.blocked[p] = true
	}
	g.mu.Unlock()
	other := u.Open(t)
	defer other.Close()
	b := g.join(other, "group")
	g.until("the second member to own partitions", func() bool { return len(b.owned) > 0 && len(a.owned)+len(b.owned) == 4 })
	a.leave()
	g.await(keys * each)
	b.leave()
	g.check(each)
}

// errHandler fails where it is told to.
type errHandler struct {
	assign, deliver error
	revoked         int
}

func (h *errHandler) Assign(context.Context, []int32) (map[int32]int64, error) { return nil, h.assign }
func (h *errHandler) Deliver(context.Context, *record.Batch) error             { return h.deliver }
func (h *errHandler) Revoke(_ context.Context, p []int32, _ bool)              { h.revoked += len(p) }

func testEndOfRun(t *testing.T, factory LogFactory) {
	l, _ := openLog(t, factory, 2)
	produce(t, l, 10, 0, 100)
	boom := errors.New("boom")
	for _, h := range []*errHandler{{assign: boom}, {deliver: boom}} {
		src, err := l.Source(testContext(t), "errors")
		if err != nil {
			t.Fatal(err)
		}
		if err := src.Run(testContext(t), h); !errors.Is(err, boom) {
			t.Errorf("Run: %v, want the handler's error", err)
		}
		if h.deliver != nil && h.revoked != 2 {
			t.Errorf("%d partitions were revoked after an error, want 2", h.revoked)
		}
		if err := src.Close(); err != nil {
			t.Error(err)
		}
	}
	// The end of the context ends Run while it is idle, and while Deliver
	// is blocked.
	g := newGroup(t, 10)
	m := g.join(l, "idle")
	g.await(1000)
	m.leave()
	g = newGroup(t, 10)
	m = g.join(l, "blocked", 0, 1)
	g.until("a blocked Deliver", func() bool { return m.blocks > 0 })
	m.leave()
	// A context that has ended already, and a source that never ran.
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	src, err := l.Source(testContext(t), "ended")
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Run(ctx, &errHandler{}); err != nil {
		t.Errorf("Run with an ended context: %v", err)
	}
	src.Close()
	src, err = l.Source(testContext(t), "never")
	if err != nil {
		t.Fatal(err)
	}
	if err := src.Close(); err != nil {
		t.Errorf("Close of a source that never ran: %v", err)
	}
}
