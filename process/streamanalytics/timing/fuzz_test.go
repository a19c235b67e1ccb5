package timing_test

import (
	"slices"
	"testing"

	"millrace/process/streamanalytics/timing"
)

// FuzzState reads states that nobody wrote. What is taken must be written the
// same way again, and must not break the order.
func FuzzState(f *testing.F) {
	for seed := range uint64(40) {
		w := newWorld(seed)
		var out []emitted
		s, err := timing.NewStream(timing.Options[int]{Policy: w.policy, Substreams: w.substreams, Emit: func(time int64, n int) { out = append(out, emitted{time, n}) }})
		if err != nil {
			f.Fatal(err)
		}
		for _, list := range w.events {
			for _, e := range list[:len(list)/2] {
				if _, err := s.Push(e.part, []byte{e.key}, e.event, e.arrival, e.n, 8); err != nil {
					f.Fatal(err)
				}
			}
		}
		f.Add(s.AppendState(nil, appendInt), w.substreams)
	}
	f.Fuzz(func(t *testing.T, state []byte, substreams bool) {
		last, ordered := timing.Never, true
		s, err := timing.NewStream(timing.Options[int]{Policy: timing.Policy{Applies: true, Late: 50, OutOfOrder: 10}, Substreams: substreams, Limit: 1 << 20,
			Emit: func(time int64, _ int) { ordered, last = ordered && time >= last, time }})
		if err != nil {
			t.Fatal(err)
		}
		before := s.AppendState(nil, appendInt)
		rest, err := s.ReadState(state, readInt)
		if err != nil {
			if !slices.Equal(before, s.AppendState(nil, appendInt)) {
				t.Fatalf("a state that failed (%v) left traces", err)
			}
			return
		}
		if len(rest) > len(state) {
			t.Fatal("more is left than there was")
		}
		written := s.AppendState(nil, appendInt)
		if _, err := s.ReadState(written, readInt); err != nil {
			t.Fatalf("what was taken is not taken again: %v", err)
		}
		if again := s.AppendState(nil, appendInt); !slices.Equal(again, written) {
			t.Fatal("what was taken is written in two ways")
		}
		watermark := s.Watermark()
		for _, part := range []int32{0, 1, 2} {
			_, _ = s.Push(part, []byte("k"), 100, 100, 1, 8) // a partition may have ended
			s.Idle(part, 200)
		}
		s.Finish()
		if s.Watermark() != timing.Always || s.Watermark() < watermark {
			t.Fatal("the end is not the end")
		}
		if !ordered && !substreams {
			t.Fatal("events came out of order")
		}
	})
}

// FuzzStream plays any sequence of calls: every event that is kept is emitted
// once, in order, and not before the watermark.
func FuzzStream(f *testing.F) {
	f.Add([]byte{0, 10, 10, 1, 20, 20, 2, 5, 30, 0, 0, 3, 0, 40, 40}, uint8(0))
	f.Add([]byte{0, 200, 10, 0, 1, 100, 1, 50, 50, 0, 40, 60, 1, 45, 61}, uint8(3))
	f.Add([]byte{4, 10, 10, 8, 20, 20, 12, 5, 30, 0, 0, 3}, uint8(9))
	f.Fuzz(func(t *testing.T, ops []byte, kind uint8) {
		policy := timing.Policy{Applies: true, Late: int64(kind%4) * 10, OutOfOrder: int64(kind/4%4) * 10, Mode: timing.Mode(kind / 16 % 2), Replay: kind&32 != 0, NoArrival: kind&64 != 0}
		substreams := kind&128 != 0
		var s *timing.Stream[int]
		kept, out, watermark := map[int]bool{}, map[int]bool{}, timing.Never
		last := timing.Never
		s, err := timing.NewStream(timing.Options[int]{Policy: policy, Substreams: substreams, Partitions: []int32{0, 1},
			Emit: func(time int64, n int) {
				if out[n] || time < watermark || !substreams && time < last {
					t.Fatalf("event %d with time %d was emitted; twice: %v, watermark %d, last %d", n, time, out[n], watermark, last)
				}
				out[n], last = true, time
			}})
		if err != nil {
			t.Fatal(err)
		}
		clock := [2]int64{}
		for n := 0; len(ops) >= 3; n++ {
			op, part, a, b := ops[0], int32(ops[0]&1), int64(ops[1]), int64(int8(ops[2]))
			ops = ops[3:]
			clock[part] += b // it may go back
			if op&2 != 0 {
				s.Idle(part, clock[part])
			} else {
				o, err := s.Push(part, []byte{op >> 6}, a, clock[part], n, 8)
				if err != nil {
					t.Fatal(err)
				}
				kept[n] = !o.Dropped()
			}
			if s.Watermark() < watermark {
				t.Fatal("the watermark went back")
			}
			watermark = s.Watermark()
		}
		s.Finish()
		for n, k := range kept {
			if k != out[n] {
				t.Fatalf("event %d: kept %v, emitted %v", n, k, out[n])
			}
		}
	})
}
