package process

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"millrace/record"
)

func randomID(rng *rand.Rand) (id record.ID) {
	binary.LittleEndian.PutUint64(id[:], rng.Uint64())
	binary.LittleEndian.PutUint64(id[8:], rng.Uint64())
	return id
}

// TestIDSetAgainstModel compares the set with a map that never forgets: what
// lies within the horizon is always recognised, and nothing is recognised
// that was not there.
func TestIDSetAgainstModel(t *testing.T) {
	t.Parallel()
	const horizon = int64(60e6)
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 1))
		s := newIDSet(horizon, 1<<30)
		seen := map[record.ID]int64{}
		var order []record.ID
		now := int64(1_700_000_000e6)
		for range 20_000 {
			now += rng.Int64N(50_000)
			id, at := randomID(rng), now-rng.Int64N(2e6)
			if len(order) > 0 && rng.IntN(5) == 0 {
				id = order[max(0, len(order)-1-rng.IntN(4000))]
				at = seen[id]
			}
			dup := s.Add(id, at, now)
			first, known := seen[id]
			switch {
			case dup && !known:
				t.Fatalf("seed %d: recognised an ID that was never added", seed)
			case known && !dup && first > s.watermark-horizon:
				t.Fatalf("seed %d: forgot an ID %d s old", seed, (s.watermark-first)/1e6)
			}
			if !known {
				seen[id] = at
				order = append(order, id)
			}
			if rng.IntN(3000) == 0 {
				again := newIDSet(horizon, 1<<30)
				if err := again.ReadState(s.AppendState(nil)); err != nil {
					t.Fatal(err)
				}
				s = again
			}
		}
	}
}

// TestIDSetExpires: memory follows the horizon, not the length of the run.
func TestIDSetExpires(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	s := newIDSet(10e6, 1<<30)
	now := int64(1_700_000_000e6)
	for range 500_000 { // 1000 events a second: 10,000 within the horizon
		now += 1000
		s.Add(randomID(rng), now, now)
	}
	if s.Bytes() > 40*12_000*2 {
		t.Fatalf("%d bytes for 10,000 IDs within the horizon", s.Bytes())
	}
}

// TestIDSetBound: with more IDs within the horizon than memory, the oldest go
// first and the bound holds.
func TestIDSetBound(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	const bound = 1 << 20
	s := newIDSet(600e6, bound)
	now := int64(1_700_000_000e6)
	var last []record.ID
	for i := range 400_000 {
		now += 1000
		id := randomID(rng)
		s.Add(id, now, now)
		if s.Bytes() > bound {
			t.Fatalf("%d bytes, the bound is %d", s.Bytes(), bound)
		}
		if i >= 399_000 {
			last = append(last, id)
		}
	}
	if s.cut == 0 {
		t.Fatal("the horizon was not cut")
	}
	for _, id := range last {
		if !s.Add(id, now, now) {
			t.Fatal("one of the newest IDs was forgotten")
		}
	}
}

// TestIDSetClockInTheFuture: one device whose clock is years ahead does not
// expire the history of all others.
func TestIDSetClockInTheFuture(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 1))
	s := newIDSet(600e6, 1<<20)
	now := int64(1_700_000_000e6)
	id := randomID(rng)
	s.Add(id, now, now)
	s.Add(randomID(rng), now+10*365*86400e6, now)
	if !s.Add(id, now, now) {
		t.Fatal("the event is no longer recognised")
	}
}

func FuzzIDSetRead(f *testing.F) {
	s := newIDSet(600e6, 1<<20)
	f.Add(s.AppendState(nil))
	s.Add(record.ID{1}, 1_700_000_000e6, 1_700_000_000e6)
	f.Add(s.AppendState(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		s := newIDSet(600e6, 1<<20)
		if s.ReadState(data) == nil {
			s.Add(record.ID{9}, 1_700_000_000e6, 1_700_000_000e6)
		}
	})
}

func BenchmarkIDSetAdd(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 1))
	s := newIDSet(600e6, 1<<30)
	now := int64(1_700_000_000e6)
	b.ReportAllocs()
	for b.Loop() {
		now += 100
		s.Add(randomID(rng), now, now)
	}
	b.ReportMetric(float64(s.Bytes())/float64(s.live()), "B/id")
}
