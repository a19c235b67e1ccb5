package process

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// world is a log, a transactional store and a consumer group in memory, in
// which everything that can happen to a worker happens on purpose.
type world struct {
	t   *testing.T
	log [][]record.Record

	mu      sync.Mutex
	rng     *rand.Rand
	epochs  map[int32]int
	pos     map[int32]int64
	rows    map[int32][]record.Result // in the order written
	letters map[[2]int64]record.Reason
	writes  int
	fenced  int
}

func newWorld(t *testing.T, seed uint64, partitions, perPartition int) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), epochs: map[int32]int{}, pos: map[int32]int64{},
		rows: map[int32][]record.Result{}, letters: map[[2]int64]record.Reason{}}
	for p := range partitions {
		w.log = append(w.log, makePartition(w.rng, p, perPartition))
		w.pos[int32(p)] = connector.Unknown
	}
	return w
}

// makePartition writes events with duplicates near and far, malformed ones,
// events out of order and gaps in the offsets.
func makePartition(rng *rand.Rand, p, n int) []record.Record {
	const start = int64(1_700_000_000_000_000)
	var log []record.Record
	offset := int64(0)
	at := start
	for i := range n {
		at += rng.Int64N(400_000)
		offset += 1 + max(rng.Int64N(20)-18, 0)
		created := at - rng.Int64N(3_000_000)
		value := fmt.Appendf(nil, `{"eventId":"%08x-0000-4000-8000-%012x","deviceId":"d-%d","deviceSequenceNumber":%d,"createdAt":"%s"}`,
			p, i, p, i, time.UnixMicro(created).UTC().Format("2006-01-02T15:04:05.000000Z"))
		switch k := rng.IntN(100); {
		case k < 4 && len(log) > 0:
			back := 1 + rng.IntN(min(len(log), 50))
			value = log[len(log)-back].Value
		case k < 6:
			value = value[:rng.IntN(len(value))]
		}
		log = append(log, record.Record{Offset: offset, Timestamp: at, Value: value})
	}
	return log
}

func (w *world) end(p int32) int64 {
	log := w.log[p]
	return log[len(log)-1].Offset + 1
}

func (w *world) Replay(_ context.Context, p int32, from, to int64, fn func(*record.Batch) error) error {
	b := &record.Batch{Partition: p, Next: to}
	for _, r := range w.log[p] {
		if r.Offset >= from && r.Offset < to {
			b.Records = append(b.Records, r)
		}
	}
	return fn(b)
}

func (w *world) Ends(context.Context) ([]int64, error) {
	ends := make([]int64, len(w.log))
	for p := range ends {
		ends[p] = w.end(int32(p))
	}
	return ends, nil
}

func (w *world) OffsetAt(_ context.Context, p int32, micros int64) (int64, error) {
	for _, r := range w.log[p] {
		if r.Timestamp >= micros {
			return r.Offset, nil
		}
	}
	return w.end(p), nil
}

// worldWriter is one worker's access to the store.
type worldWriter struct {
	*world
	mu     sync.Mutex
	epochs map[int32]int
	// maxRows is the bound that the runtime was told.
	maxRows int
	away    func() // called before each write, outside the store's lock
}

func (w *worldWriter) Claim(_ context.Context, partitions []int32) (map[int32]int64, error) {
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	positions := map[int32]int64{}
	for _, p := range partitions {
		w.world.epochs[p]++
		w.epochs[p] = w.world.epochs[p]
		positions[p] = w.pos[p]
	}
	return positions, nil
}

func (w *worldWriter) Write(ctx context.Context, u *connector.Write, dead []record.DeadLetter) error {
	if w.away != nil {
		w.away()
	}
	if w.maxRows > 0 && len(u.Results) > w.maxRows {
		return fmt.Errorf("%d results in one write, the bound is %d", len(u.Results), w.maxRows)
	}
	w.world.mu.Lock()
	defer w.world.mu.Unlock()
	w.writes++
	for _, d := range dead {
		w.letters[[2]int64{int64(d.Partition), d.Offset}] = d.Reason
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var lost []int32
	w.mu.Lock()
	for _, a := range u.Advances {
		if w.world.epochs[a.Partition] != w.epochs[a.Partition] || w.pos[a.Partition] != a.From {
			lost = append(lost, a.Partition)
		}
	}
	w.mu.Unlock()
	if lost != nil {
		w.fenced++
		return fmt.Errorf("wrapped: %w", connector.FencedError(lost, "test"))
	}
	for _, a := range u.Advances {
		w.pos[a.Partition] = a.To
	}
	for _, r := range u.Results {
		r.Raw = append([]byte(nil), r.Raw...)
		w.rows[r.Partition] = append(w.rows[r.Partition], r)
	}
	return nil
}

// member is one worker: a runtime and a pump per owned partition.
type member struct {
	w     *world
	rt    *Runtime
	snaps *Snapshots
	ctx   context.Context
	stop  context.CancelFunc
	pumps map[int32]func() // stop a pump and wait for it
	rng   *rand.Rand
}

func (w *world) join(dir string, lanes, maxRows int) *member {
	w.mu.Lock()
	rng := rand.New(rand.NewPCG(w.rng.Uint64(), 2))
	w.mu.Unlock()
	m := &member{w: w, rng: rng, pumps: map[int32]func(){}}
	m.ctx, m.stop = context.WithCancel(context.Background())
	opts := Options{Lanes: lanes, MaxRows: maxRows, Linger: time.Duration(rng.IntN(3)) * time.Millisecond,
		DrainTimeout: time.Second, SnapshotEvery: time.Millisecond}
	if dir != "" {
		var err error
		if m.snaps, err = OpenSnapshots(dir, discard); err != nil {
			w.t.Fatal(err)
		}
		opts.Snapshots = m.snaps
	}
	cfg := NewRelayConfig()
	cfg.Dedupe.Horizon = connector.Duration(30 * time.Second)
	relay := NewRelay(*cfg, len(w.log))
	writer := &worldWriter{world: w, epochs: map[int32]int{}, maxRows: maxRows}
	if rng.IntN(2) == 0 {
		writer.away = func() { time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond) }
	}
	m.rt = NewRuntime(relay, w, writer, nil, NewStats(), opts)
	return m
}

func (m *member) assign(p int32) error {
	m.endPump(p) // a source delivers nothing from before an assignment after it
	starts, err := m.rt.Assign(m.ctx, []int32{p})
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(m.ctx)
	done := make(chan struct{})
	m.pumps[p] = func() { cancel(); <-done }
	seed := m.rng.Uint64()
	go func() { defer close(done); m.pump(ctx, p, starts[p], seed) }()
	return nil
}

func (m *member) endPump(p int32) {
	if stop := m.pumps[p]; stop != nil {
		stop()
		delete(m.pumps, p)
	}
}

// pump delivers a partition in batches of random size, sometimes repeating
// what it delivered before, as logs do after a reconnect.
func (m *member) pump(ctx context.Context, p int32, from int64, seed uint64) {
	rng := rand.New(rand.NewPCG(seed, 3))
	log := m.w.log[p]
	i := 0
	for i < len(log) && log[i].Offset < from {
		i++
	}
	for i < len(log) && ctx.Err() == nil {
		n := min(1+rng.IntN(200), len(log)-i)
		at := max(i-max(rng.IntN(12)-9, 0), 0)
		if at < i && from > log[at].Offset {
			at = i
		}
		b := &record.Batch{Partition: p, Records: append([]record.Record(nil), log[at:i+n]...), Next: log[i+n-1].Offset + 1, End: m.w.end(p)}
		if m.rt.Deliver(ctx, b) != nil {
			return
		}
		i += n
	}
}

// revoke takes a partition away; a zombie's pump is left running.
func (m *member) revoke(p int32, lost, zombie bool) {
	if zombie {
		return
	}
	m.rt.Revoke(m.ctx, []int32{p}, lost)
	m.endPump(p)
}

// kill ends the member without draining anything.
func (m *member) kill() {
	m.stop()
	m.rt.Stop()
	for p := range m.pumps {
		m.endPump(p)
	}
	if m.snaps != nil {
		m.snaps.Close()
	}
}

// check compares the store with what one undisturbed pass over the log gives.
func (w *world) check() error {
	cfg := NewRelayConfig()
	cfg.Dedupe.Horizon = connector.Duration(30 * time.Second)
	relay := NewRelay(*cfg, len(w.log))
	letters := 0
	for p, log := range w.log {
		var want Output
		if err := relay.NewTask(int32(p)).Process(&record.Batch{Partition: int32(p), Records: log}, &want); err != nil {
			return err
		}
		rows := w.rows[int32(p)]
		if len(rows) != len(want.Results) {
			return fmt.Errorf("partition %d: %d rows, want %d", p, len(rows), len(want.Results))
		}
		for i := range rows {
			if rows[i].Offset != want.Results[i].Offset || rows[i].ID != want.Results[i].ID {
				return fmt.Errorf("partition %d row %d: offset %d, want %d", p, i, rows[i].Offset, want.Results[i].Offset)
			}
		}
		for _, d := range want.Dead {
			if w.letters[[2]int64{int64(p), d.Offset}] != d.Reason {
				return fmt.Errorf("partition %d offset %d: dead letter %q, want %q", p, d.Offset,
					w.letters[[2]int64{int64(p), d.Offset}], d.Reason)
			}
		}
		letters += len(want.Dead)
	}
	if len(w.letters) != letters {
		return errors.New("dead letters for inputs that are fine")
	}
	return nil
}

func (w *world) drained() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for p := range w.log {
		if w.pos[int32(p)] != w.end(int32(p)) {
			return false
		}
	}
	return true
}

func batchOf(w *world, p int32, from, to int) *record.Batch {
	log := w.log[p][from:to]
	return &record.Batch{Partition: p, Records: append([]record.Record(nil), log...), Next: log[len(log)-1].Offset + 1, End: w.end(p)}
}
