package timing_test

import (
	"encoding/binary"
	"testing"

	"millrace/process/streamanalytics/timing"
)

// item is about what an engine buffers: a pointer to a row, and where it is from.
type item struct {
	row    *[64]byte
	offset int64
}

func BenchmarkPush(b *testing.B) {
	for _, bb := range []struct {
		name       string
		policy     timing.Policy
		partitions int
		keys       int
	}{
		{"arrival", timing.Policy{Late: 5 * sec}, 1, 0},
		{"event", timing.Policy{Applies: true, Late: 5 * sec}, 1, 0},
		{"reorder-100", timing.Policy{Applies: true, Late: 5 * sec, OutOfOrder: 100}, 1, 0},
		{"reorder-100k", timing.Policy{Applies: true, Late: 500 * sec, OutOfOrder: 100_000}, 1, 0},
		{"partitions-8", timing.Policy{Applies: true, Late: 5 * sec}, 8, 0},
		{"substreams-1k", timing.Policy{Applies: true, Late: 5 * sec}, 1, 1000},
		{"substreams-1k-reorder", timing.Policy{Applies: true, Late: 5 * sec, OutOfOrder: 10_000}, 1, 1000},
		{"substreams-100k", timing.Policy{Applies: true, Late: 5 * sec}, 1, 100_000},
	} {
		b.Run(bb.name, func(b *testing.B) {
			s, err := timing.NewStream(timing.Options[item]{Policy: bb.policy, Substreams: bb.keys > 0, Limit: 1 << 30, Emit: func(int64, item) {}})
			if err != nil {
				b.Fatal(err)
			}
			row := new([64]byte)
			key := make([]byte, 0, 16)
			rnd := uint64(1)
			b.ReportAllocs()
			for i := range b.N {
				rnd = rnd*6364136223846793005 + 1442695040888963407
				now := int64(i)
				if bb.keys > 0 {
					key = binary.BigEndian.AppendUint64(key[:0], rnd>>33%uint64(bb.keys))
				}
				event := now
				if bb.policy.OutOfOrder > 0 {
					event -= int64(rnd >> 33 % uint64(bb.policy.OutOfOrder))
				}
				if _, err := s.Push(int32(i%bb.partitions), key, event, now, item{row, now}, 64); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkWindow(b *testing.B) {
	w := timing.Window{Kind: timing.Hopping, Size: 60 * sec, Hop: 5 * sec}
	sum := int64(0)
	b.Run("ends", func(b *testing.B) {
		for i := range b.N {
			first, last, _ := w.Ends(int64(i))
			sum += first + last
		}
	})
	b.Run("pane", func(b *testing.B) {
		for i := range b.N {
			sum += w.Pane(int64(i))
		}
	})
	b.Log(sum) // so that the work is not left out
}
