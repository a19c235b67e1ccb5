package connectortest

import (
	"fmt"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/record"
)

// Numbered makes the result that belongs to a position, always the same one. It
// has all that events have, and a member besides.
func Numbered(partition int32, offset int64) record.Result {
	r := record.Result{Partition: partition, Offset: offset, EnqueuedAt: offset + 1, ProcessedAt: offset + 2}
	raw := fmt.Appendf(nil, `{"eventId":"00000000-0000-4000-%04x-%012x","deviceId":"device-%d","deviceSequenceNumber":%d,"value":%d.5,"type":"TEMP","complexData":{"moreData0":%d.25},"note":%q,"createdAt":"2026-01-02T15:04:05.123456Z"}`,
		0x8000+int(partition), offset, partition, offset, offset%100, offset%10, strings.Repeat("x", int(offset%300)))
	if err := r.Decode(raw); err != nil {
		panic(err) // it is an event
	}
	return r
}

// Stretch is a write of the positions [from, to) of a partition.
func Stretch(partition int32, from, to int64) *connector.Write {
	w := &connector.Write{Advances: []connector.Advance{{Partition: partition, From: from, To: to}}}
	for o := from; o < to; o++ {
		w.Results = append(w.Results, Numbered(partition, o))
	}
	return w
}

// Span is a stretch of positions: those from From on that are below To.
type Span struct{ From, To int64 }

// Exact demands that a store has the numbered results below the positions, each
// once and unaltered, and nothing else.
func Exact(t testing.TB, s connector.Store, positions map[int32]int64) {
	t.Helper()
	want := make(map[int32][]Span, len(positions))
	for p, to := range positions {
		want[p] = []Span{{0, max(to, 0)}} // none yet is 0 too
	}
	ExactSpans(t, s, want)
}

// ExactSpans demands that a store has the numbered results of the spans of each
// partition, each once and unaltered, and nothing else.
func ExactSpans(t testing.TB, s connector.Store, want map[int32][]Span) {
	t.Helper()
	seen := map[at]bool{}
	err := s.Scan(t.Context(), func(r *record.Stored) error {
		place := at{r.Partition, r.Offset}
		if !within(want[r.Partition], r.Offset) {
			return fmt.Errorf("partition %d offset %d is there, beyond %v", r.Partition, r.Offset, want[r.Partition])
		}
		if seen[place] {
			return fmt.Errorf("partition %d offset %d is there twice", r.Partition, r.Offset)
		}
		seen[place] = true
		if want := Numbered(r.Partition, r.Offset); r.ID != want.ID || sameEvent(r, &want) != nil {
			return fmt.Errorf("partition %d offset %d is altered: %+v", r.Partition, r.Offset, *r)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for p, spans := range want {
		for _, s := range spans {
			for o := s.From; o < s.To; o++ {
				if !seen[at{p, o}] {
					t.Fatalf("partition %d offset %d is missing of %v", p, o, spans)
				}
			}
		}
	}
}

func within(spans []Span, offset int64) bool {
	for _, s := range spans {
		if s.From <= offset && offset < s.To {
			return true
		}
	}
	return false
}
