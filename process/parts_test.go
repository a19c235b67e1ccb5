package process

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"millrace/record"
)

// TestParts cuts units with results of several partitions, some positions with
// many and others with none, and looks at what each Write says.
func TestParts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 11))
		u := &unit{}
		partitions := 1 + rng.IntN(4)
		for p := range partitions {
			u.spans = append(u.spans, span{o: &ownership{partition: int32(p)}})
		}
		for range rng.IntN(30) { // batches
			s := &u.spans[rng.IntN(partitions)]
			for range rng.IntN(20) {
				for i := range int32(max(rng.IntN(12)-6, 0) * rng.IntN(20)) {
					u.out.Results = append(u.out.Results, record.Result{Partition: s.o.partition, Offset: s.to, Index: i})
				}
				s.to += 1 + rng.Int64N(2)
			}
		}
		timed := rng.IntN(2) == 0
		if timed { // and results that follow from time, at the positions reached
			for p := range u.spans {
				for i := range int32(rng.IntN(40)) {
					u.out.Results = append(u.out.Results, record.Result{Partition: int32(p), Offset: u.spans[p].to, Index: i})
				}
			}
		}
		if err := cut(u, 1+rng.IntN(100), timed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

// cut takes a unit apart as lane.store does, and checks every part.
func cut(u *unit, limit int, timed bool) error {
	positions := map[int32]int64{}
	for stored := false; !stored; {
		w, end := u.part(limit, timed)
		if len(w.Advances) == 0 || end <= u.stored && len(u.out.Results) > u.stored {
			return fmt.Errorf("a part without anything: %d of %d", end, len(u.out.Results))
		}
		if n := len(w.Results); n > limit && (timed || w.Results[0].Offset != w.Results[n-1].Offset) {
			return fmt.Errorf("%d results in a part, the limit is %d", n, limit)
		}
		to := map[int32]int64{}
		for _, a := range w.Advances {
			if a.From != positions[a.Partition] || a.To < a.From {
				return fmt.Errorf("partition %d is at %d and moves from %d to %d", a.Partition, positions[a.Partition], a.From, a.To)
			}
			positions[a.Partition], to[a.Partition] = a.To, a.To
		}
		for i := range w.Results {
			r := &w.Results[i]
			at, there := to[r.Partition]
			if !there || r.Offset > at || r.Offset == at && !timed {
				return fmt.Errorf("a result at %d of partition %d in a part up to %d", r.Offset, r.Partition, at)
			}
		}
		for _, r := range u.out.Results[end:] {
			if positions[r.Partition] > r.Offset {
				return fmt.Errorf("partition %d is at %d with a result at %d not stored", r.Partition, positions[r.Partition], r.Offset)
			}
		}
		u.stored = end
		stored = true
		for i := range u.spans {
			s := &u.spans[i]
			s.from = positions[s.o.partition]
			s.done = !u.more(s.o.partition, end)
			stored = stored && s.done
			if s.done && s.from != s.to {
				return fmt.Errorf("all results of partition %d are stored, its position is %d, not %d", s.o.partition, s.from, s.to)
			}
		}
	}
	return nil
}
