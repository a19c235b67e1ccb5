package process

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// echo is an engine whose every input comes out many times, a while later: when
// a later input, or the clock, says that the while is over.
type echo struct{}

const (
	echoAfter = int64(4000) // microseconds
	echoTimes = 40
)

func (echo) Name() string            { return "echo" }
func (echo) Lookback() time.Duration { return time.Minute }
func (echo) NewTask(p int32) Task    { return &echoTask{partition: p} }

// echoTask keeps the inputs that are to come out, each by when and from where.
type echoTask struct {
	partition int32
	at        int64 // position of results
	index     int32
	open      [][2]int64
}

func (t *echoTask) pass(now int64, out *Output) {
	for len(t.open) > 0 && t.open[0][0]+echoAfter <= now {
		for i := range echoTimes {
			if out != nil {
				r := record.Result{Partition: t.partition, Offset: t.at, Index: t.index}
				r.Sequence = t.open[0][1]*echoTimes + int64(i)
				out.Results = append(out.Results, r)
			}
			t.index++
		}
		t.open = t.open[1:]
	}
}

func (t *echoTask) Process(b *record.Batch, out *Output) error {
	for _, r := range b.Records {
		t.at = max(t.at, r.Offset)
		t.pass(r.Timestamp, out)
		t.open = append(t.open, [2]int64{r.Timestamp, r.Offset})
		t.at, t.index = r.Offset+1, 0
	}
	return nil
}

func (t *echoTask) Replay(b *record.Batch) error { return t.Process(b, nil) }

func (t *echoTask) Tick(arrival int64, out *Output) error { t.pass(arrival, out); return nil }

func (t *echoTask) Waiting() bool { return len(t.open) > 0 }

func (t *echoTask) Snapshot(dst []byte) []byte {
	dst = binary.LittleEndian.AppendUint64(dst, uint64(t.at))
	for _, o := range t.open {
		dst = binary.LittleEndian.AppendUint64(dst, uint64(o[0]))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(o[1]))
	}
	return dst
}

func (t *echoTask) Restore(state []byte) error {
	if len(state)%16 != 8 {
		return errors.New("torn")
	}
	t.at = int64(binary.LittleEndian.Uint64(state))
	for s := state[8:]; len(s) > 0; s = s[16:] {
		t.open = append(t.open, [2]int64{int64(binary.LittleEndian.Uint64(s)), int64(binary.LittleEndian.Uint64(s[8:]))})
	}
	return nil
}

// growing is a log of one partition to which something is appended now and then,
// and a store that knows results by their place.
type growing struct {
	mu    sync.Mutex
	log   []record.Record
	pos   int64
	epoch int
	rows  map[[2]int64]int64 // by offset and number
	order [][2]int64
	again int
	wrong error
	rng   *rand.Rand
}

func (g *growing) append(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for range n {
		g.log = append(g.log, record.Record{Offset: int64(len(g.log)), Timestamp: time.Now().UnixMicro()})
	}
}

func (g *growing) from(at int64) []record.Record {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]record.Record(nil), g.log[at:]...)
}

func (g *growing) Replay(_ context.Context, _ int32, from, to int64, fn func(*record.Batch) error) error {
	return fn(&record.Batch{Records: g.from(0)[from:to], Next: to})
}

func (g *growing) Ends(context.Context) ([]int64, error) { return []int64{int64(len(g.from(0)))}, nil }

func (g *growing) OffsetAt(context.Context, int32, int64) (int64, error) { return 0, nil }

// growingWriter is one worker's access; left is how many writes it lives for.
type growingWriter struct {
	*growing
	epoch, left, limit int
}

func (w *growingWriter) Claim(context.Context, []int32) (map[int32]int64, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.growing.epoch++
	w.epoch = w.growing.epoch
	return map[int32]int64{0: w.pos}, nil
}

func (w *growingWriter) Write(_ context.Context, u *connector.Write, _ []record.DeadLetter) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	bad := func(format string, args ...any) {
		if w.wrong == nil {
			w.wrong = fmt.Errorf(format, args...)
		}
	}
	a := u.Advances[0]
	switch {
	case w.epoch != w.growing.epoch || a.From != w.pos:
		return connector.FencedError([]int32{0}, "test")
	case len(u.Results) > w.limit:
		bad("%d results in one write, the bound is %d", len(u.Results), w.limit)
	}
	if w.left--; w.left == 0 {
		return errors.New("the worker dies before the write")
	}
	for i := range u.Results {
		r := &u.Results[i]
		place := [2]int64{r.Offset, int64(r.Index)}
		if r.Offset < a.From || r.Offset > a.To {
			bad("a result at %d in a write from %d to %d", r.Offset, a.From, a.To)
		}
		if before, there := w.rows[place]; there {
			w.again++
			if before != r.Sequence {
				bad("the result at %v was %d, and is %d now", place, before, r.Sequence)
			}
			continue
		}
		w.rows[place] = r.Sequence
		w.order = append(w.order, place)
	}
	w.pos = a.To
	if w.left == 1 && w.rng.IntN(2) == 0 {
		w.left = 0
		return errors.New("the worker dies before it hears of the write")
	}
	return nil
}

// TestTicks: workers that die at any moment, between the parts of a large unit
// too, on a log that now and then has nothing more: every result is stored once,
// in order, whether an input or the clock brought it about.
func TestTicks(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			ticks(t, seed)
		})
	}
}

func ticks(t *testing.T, seed uint64) {
	g := &growing{rows: map[[2]int64]int64{}, rng: rand.New(rand.NewPCG(seed, 5))}
	rng := rand.New(rand.NewPCG(seed, 6))
	snaps, err := OpenSnapshots(t.TempDir(), discard)
	if err != nil {
		t.Fatal(err)
	}
	defer snaps.Close()
	const events = 600
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		for n := 0; n < events; {
			k := min(1+rng.IntN(30), events-n)
			g.append(k)
			n += k
			time.Sleep(time.Duration(rand.IntN(12)) * time.Millisecond)
		}
	}()
	limit := 30 + g.rng.IntN(300)
	deadline := time.Now().Add(10 * time.Minute)
	for life := 0; ; life++ {
		g.mu.Lock()
		w := &growingWriter{growing: g, left: 4 + g.rng.IntN(120), limit: limit}
		g.mu.Unlock()
		opts := Options{MaxRows: limit, Linger: time.Millisecond, TickEvery: 2 * time.Millisecond, SnapshotEvery: 5 * time.Millisecond}
		if life%2 == 0 {
			opts.Snapshots = snaps
		}
		stats := NewStats()
		rt := NewRuntime(echo{}, g, w, nil, stats, opts)
		done := serveGrowing(t, g, rt, stats, produced, deadline)
		rt.Stop()
		if done {
			break
		}
	}
	if g.wrong != nil {
		t.Fatal(g.wrong)
	}
	if len(g.order) != events*echoTimes {
		t.Fatalf("%d results, want %d", len(g.order), events*echoTimes)
	}
	for i, place := range g.order {
		if g.rows[place] != int64(i) {
			t.Fatalf("result %d is %d", i, g.rows[place])
		}
	}
	t.Logf("%d results came again", g.again)
}

// serveGrowing feeds a runtime until it fails (false) or all is done.
func serveGrowing(t *testing.T, g *growing, rt *Runtime, stats *Stats, produced <-chan struct{}, deadline time.Time) bool {
	starts, err := rt.Assign(t.Context(), []int32{0})
	if err != nil {
		return false
	}
	at := starts[0]
	for {
		if time.Now().After(deadline) {
			t.Fatal("it does not come to an end")
		}
		select {
		case <-rt.Failed():
			return false
		case <-time.After(time.Millisecond):
		}
		if batch := g.from(at); len(batch) > 0 {
			at += int64(len(batch))
			if rt.Deliver(t.Context(), &record.Batch{Records: batch, Next: at, End: at}) != nil {
				return false
			}
			continue
		}
		select {
		case <-produced:
			if at == int64(len(g.from(0))) && stats.Settled() == 1 && stats.Positions()[0] == at {
				rt.Revoke(t.Context(), []int32{0}, false)
				return rt.Err() == nil
			}
		default:
		}
	}
}
