package process

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

var discard = slog.New(slog.DiscardHandler)

var seedFlag = flag.Uint64("seed", 0, "seed of the random walks; 0 draws one")

// TestRandomWalk moves partitions between workers that are revoked, lost,
// killed or turned into zombies, with random batch sizes, limits and write
// times. Whatever happens, the store must hold what one undisturbed pass over
// the log gives: the same rows, in the same order, once.
func TestRandomWalk(t *testing.T) {
	walks := 24
	if testing.Short() {
		walks = 10
	}
	base := *seedFlag
	if base == 0 {
		base = rand.Uint64N(1 << 40)
	}
	for i := range walks {
		seed := base + uint64(i)
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			walk(t, seed, i%2 == 0)
		})
	}
}

func walk(t *testing.T, seed uint64, snapshots bool) {
	const partitions = 5
	w := newWorld(t, seed, partitions, 3000)
	rng := rand.New(rand.NewPCG(seed, 4))
	dir := ""
	if snapshots {
		dir = t.TempDir()
	}
	join := func() *member { return w.join(dir, 1+rng.IntN(3), 1+rng.IntN(2000)) }
	members := []*member{join(), join(), join()}
	owner := make([]int, partitions)
	assign := func(p, m int) {
		owner[p] = m
		for members[m].assign(int32(p)) != nil { // fenced meanwhile: a new session
			members[m].kill()
			members[m] = join()
			for q, o := range owner {
				if o == m && q != p && members[m].assign(int32(q)) != nil {
					break
				}
			}
		}
	}
	for p := range partitions {
		assign(p, rng.IntN(len(members)))
	}
	deadline := time.Now().Add(3 * time.Minute)
	for least := 0; !w.drained(); least += 10 {
		if time.Now().After(deadline) {
			t.Fatalf("not drained; positions %v", w.pos)
		}
		// Ever more time between them, so that a slow machine gets there.
		time.Sleep(time.Duration(least+rng.IntN(3000)) * time.Microsecond)
		for m, member := range members { // sessions that were fenced begin again
			if member.rt.Err() != nil {
				restart(members, m, join, owner, assign)
			}
		}
		switch rng.IntN(12) {
		case 0, 1, 2: // rebalance
			p, to := rng.IntN(partitions), rng.IntN(len(members))
			members[owner[p]].revoke(int32(p), rng.IntN(4) == 0, rng.IntN(4) == 0)
			assign(p, to)
		case 3: // crash
			restart(members, rng.IntN(len(members)), join, owner, assign)
		}
	}
	for _, m := range members {
		m.kill()
	}
	if err := w.check(); err != nil {
		t.Fatalf("after %d writes, %d fenced: %v", w.writes, w.fenced, err)
	}
}

func restart(members []*member, m int, join func() *member, owner []int, assign func(p, m int)) {
	members[m].kill()
	members[m] = join()
	for p, o := range owner {
		if o == m {
			assign(p, m)
		}
	}
}

// TestBackPressure: with a store that does not answer, a bounded number of
// batches is taken, and no more.
func TestBackPressure(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1, 1, 5000)
	block := make(chan struct{})
	writer := &worldWriter{world: w, epochs: map[int32]int{}, away: func() { <-block }}
	rt := NewRuntime(NewRelay(*NewRelayConfig(), 1), w, writer, nil, NewStats(), Options{MaxRows: 10, Linger: time.Millisecond})
	ctx := t.Context()
	if _, err := rt.Assign(ctx, []int32{0}); err != nil {
		t.Fatal(err)
	}
	done := make(chan int)
	go func() {
		n := 0
		for i := range w.log[0] {
			b := batchOf(w, 0, i, i+1)
			if rt.Deliver(ctx, b) != nil {
				break
			}
			n++
		}
		done <- n
	}()
	select {
	case n := <-done:
		t.Fatalf("%d batches were taken while the store did not answer", n)
	case <-time.After(200 * time.Millisecond):
	}
	close(block)
	if n := <-done; n != len(w.log[0]) {
		t.Fatalf("%d batches taken, want all %d", n, len(w.log[0]))
	}
	for !w.drained() {
		time.Sleep(time.Millisecond)
	}
	rt.Revoke(ctx, []int32{0}, false)
	rt.Stop()
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
}

// TestRevokeUnblocksDeliver: taking a partition away must not wait for a
// delivery that waits for the store.
func TestRevokeUnblocksDeliver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 2, 1, 100)
	block := make(chan struct{})
	writer := &worldWriter{world: w, epochs: map[int32]int{}, away: func() { <-block }}
	rt := NewRuntime(NewRelay(*NewRelayConfig(), 1), w, writer, nil, NewStats(),
		Options{MaxRows: 1, Linger: time.Millisecond, DrainTimeout: 20 * time.Millisecond})
	if _, err := rt.Assign(t.Context(), []int32{0}); err != nil {
		t.Fatal(err)
	}
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		for i := range w.log[0] {
			_ = rt.Deliver(t.Context(), batchOf(w, 0, i, i+1))
		}
	}()
	time.Sleep(20 * time.Millisecond)
	rt.Revoke(t.Context(), []int32{0}, false)
	<-returned
	close(block)
	rt.Stop()
}

// TestFencedSessionEnds: a worker whose partition was claimed by another one
// writes nothing more and says so to its source.
func TestFencedSessionEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3, 1, 1000)
	a, b := w.join("", 1, 100), w.join("", 1, 100)
	if err := a.assign(0); err != nil {
		t.Fatal(err)
	}
	if err := b.assign(0); err != nil { // without telling a
		t.Fatal(err)
	}
	for !w.drained() {
		time.Sleep(time.Millisecond)
	}
	a.kill()
	b.kill()
	if err := w.check(); err != nil {
		t.Fatal(err)
	}
	if err := a.rt.Err(); err != nil && connector.ActionOf(err) != connector.Fenced {
		t.Fatalf("the fenced worker failed with %v", err)
	}
}

// TestFailureShowsWithoutADelivery: the write of the last unit fails for good
// and nothing else is delivered; the runtime must say so by itself.
func TestFailureShowsWithoutADelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4, 1, 50)
	writer := &worldWriter{world: w, epochs: map[int32]int{}, maxRows: 1} // refuses larger units
	rt := NewRuntime(NewRelay(*NewRelayConfig(), 1), w, writer, nil, NewStats(), Options{Linger: time.Millisecond})
	defer rt.Stop()
	if _, err := rt.Assign(t.Context(), []int32{0}); err != nil {
		t.Fatal(err)
	}
	if err := rt.Deliver(t.Context(), batchOf(w, 0, 0, 50)); err != nil {
		t.Fatal(err)
	}
	<-rt.Failed()
	if err := rt.Err(); err == nil || !strings.Contains(err.Error(), "the bound is 1") {
		t.Fatalf("got %v", err)
	}
}

// committer remembers what the group was told.
type committer struct{ positions chan connector.Position }

func (c *committer) Commit(_ context.Context, positions []connector.Position) error {
	for _, p := range positions {
		c.positions <- p
	}
	return nil
}

// TestGroupLearnsTheTail: the group is told the last position also when
// nothing follows, as other workers and tools go by it.
func TestGroupLearnsTheTail(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 5, 1, 50)
	group := &committer{positions: make(chan connector.Position, 100)}
	rt := NewRuntime(NewRelay(*NewRelayConfig(), 1), w, &worldWriter{world: w, epochs: map[int32]int{}}, group, NewStats(),
		Options{Linger: time.Millisecond, CommitEvery: 5 * time.Millisecond})
	defer rt.Stop()
	if _, err := rt.Assign(t.Context(), []int32{0}); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		if err := rt.Deliver(t.Context(), batchOf(w, 0, i, i+1)); err != nil {
			t.Fatal(err)
		}
	}
	for p := range group.positions {
		if p.Offset == w.end(0) {
			return
		}
	}
}

// failingEngine cannot go on after some inputs.
type failingEngine struct {
	Engine
	after int
}

func (e failingEngine) NewTask(p int32) Task {
	return &failingTask{Task: e.Engine.NewTask(p), left: e.after}
}

type failingTask struct {
	Task
	left int
}

var errCannot = errors.New("what the query asks for cannot be done")

func (t *failingTask) Process(b *record.Batch, out *Output) error {
	if err := t.Task.Process(b, out); err != nil {
		return err
	}
	if t.left -= len(b.Records); t.left < 0 {
		return errCannot
	}
	return nil
}

// TestTaskFails: an engine that cannot go on ends the worker with its reason
// and the place, and nothing of the failed batch is stored.
func TestTaskFails(t *testing.T) {
	w := newWorld(t, 7, 1, 500)
	writer := &worldWriter{world: w, epochs: map[int32]int{}}
	r := NewRuntime(failingEngine{NewRelay(*NewRelayConfig(), 1), 250}, w, writer, nil, NewStats(), Options{Linger: time.Millisecond})
	defer r.Stop()
	if _, err := r.Assign(t.Context(), []int32{0}); err != nil {
		t.Fatal(err)
	}
	for _, part := range [][]record.Record{w.log[0][:200], w.log[0][200:400]} {
		if err := r.Deliver(t.Context(), &record.Batch{Records: part, Next: part[len(part)-1].Offset + 1}); err != nil {
			break
		}
	}
	<-r.Failed()
	if err := r.Err(); !errors.Is(err, errCannot) || !strings.Contains(err.Error(), "partition 0") {
		t.Errorf("failed with %v, want the engine's reason and the partition", err)
	}
	r.Stop()
	for _, row := range w.rows[0] {
		if row.Offset >= w.log[0][200].Offset {
			t.Fatalf("offset %d was stored; it is of the batch that failed", row.Offset)
		}
	}
}
