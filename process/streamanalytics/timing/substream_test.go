package timing_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"millrace/process/streamanalytics/timing"
)

func TestSilentSubstreamsAreForgotten(t *testing.T) {
	t.Parallel()
	for _, ooo := range []int64{0, 2 * sec} {
		emits := 0
		s, err := timing.NewStream(timing.Options[int]{Policy: timing.Policy{Applies: true, Late: 10 * sec, OutOfOrder: ooo}, Substreams: true, Emit: func(int64, int) { emits++ }})
		if err != nil {
			t.Fatal(err)
		}
		const perSecond = 100
		most := 0
		for i := range 20000 { // every key once
			now := int64(i) * sec / perSecond
			if _, err := s.Push(0, fmt.Append(nil, i), now, now, i, 8); err != nil {
				t.Fatal(err)
			}
			most = max(most, s.Substreams())
		}
		// Those of the last 10 seconds mean something, and as many may not have
		// been looked at yet.
		if most > 2*10*perSecond+10 {
			t.Errorf("tolerance %d: %d substreams were kept at a time", ooo, most)
		}
		if s.SubstreamWatermark(0, []byte("19999")) != 19999*sec/perSecond-ooo {
			t.Error("a live substream has no watermark of its own")
		}
		s.Idle(0, 300*sec)
		if n := s.Substreams(); n != 0 {
			t.Errorf("tolerance %d: %d substreams are left after silence", ooo, n)
		}
		if items, bytes := s.Buffered(); items != 0 || bytes != 0 || emits != 20000 {
			t.Errorf("tolerance %d: %d events and %d bytes are left, %d were emitted", ooo, items, bytes, emits)
		}
		if got := s.SubstreamWatermark(0, []byte("5")); got != 290*sec || got != s.Watermark() {
			t.Errorf("a silent substream has the watermark %d, all have %d", got, s.Watermark())
		}
	}
}

// Going through many substreams at once when all are over.
func TestManySilentSubstreams(t *testing.T) {
	t.Parallel()
	s, err := timing.NewStream(timing.Options[int]{Policy: timing.Policy{Applies: true, Late: 10 * sec}, Substreams: true, Emit: func(int64, int) {}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20000 {
		if _, err := s.Push(0, binary.AppendVarint(nil, int64(i)), sec, sec, i, 8); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.Substreams(); n != 20000 {
		t.Errorf("%d substreams", n)
	}
	s.Idle(0, 12*sec)
	if _, bytes := s.Buffered(); s.Substreams() != 0 || bytes != 0 {
		t.Errorf("%d substreams and %d bytes are left", s.Substreams(), bytes)
	}
}

func TestLimitOfSubstreams(t *testing.T) {
	t.Parallel()
	s, err := timing.NewStream(timing.Options[int]{Policy: timing.Policy{Applies: true, Late: sec}, Substreams: true, Limit: 10_000, Emit: func(int64, int) {}})
	if err != nil {
		t.Fatal(err)
	}
	i := int64(0)
	for ; i < 1000; i++ {
		if _, err = s.Push(0, fmt.Append(nil, i), 5*sec, 5*sec, 0, 100); err != nil {
			break
		}
	}
	if err == nil || !strings.Contains(err.Error(), "substreams need") {
		t.Fatalf("after %d substreams: %v", i, err)
	}
	// Later on the old ones mean nothing.
	if _, err := s.Push(0, []byte("new"), 7*sec, 7*sec, 0, 100); err != nil {
		t.Error(err)
	}
}

// Silent substreams give out what waits as soon as nothing earlier can come, in
// the order of time over all of them.
func TestSilentSubstreamsEmit(t *testing.T) {
	t.Parallel()
	var out []emitted
	s, err := timing.NewStream(timing.Options[int]{Policy: timing.Policy{Applies: true, Late: 10, OutOfOrder: 8}, Substreams: true,
		Emit: func(time int64, n int) { out = append(out, emitted{time, n}) }})
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range []struct {
		key  string
		time int64
	}{{"a", 103}, {"b", 101}, {"c", 102}, {"b", 103}, {"a", 99}} {
		if _, err := s.Push(0, []byte(e.key), e.time, 103, i, 8); err != nil {
			t.Fatal(err)
		}
	}
	s.Idle(0, 109)
	s.Idle(0, 112)
	if want := []emitted{{99, 4}, {101, 1}, {102, 2}}; !slices.Equal(out, want) {
		t.Errorf("emitted %v, not %v", out, want)
	}
	s.Idle(0, 113)
	if want := []emitted{{103, 0}, {103, 3}}; !slices.Equal(out[3:], want) || s.Watermark() != 103 || s.Substreams() != 0 {
		t.Errorf("then %v, watermark %d, %d substreams", out[3:], s.Watermark(), s.Substreams())
	}
}
