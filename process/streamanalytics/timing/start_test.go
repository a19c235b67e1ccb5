package timing_test

import (
	"maps"
	"math/rand/v2"
	"testing"

	"millrace/process/streamanalytics/timing"
)

func TestFirstOutput(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		mode timing.StartMode
		last int64
		want int64
	}{
		{timing.StartNow, 30, 100},
		{timing.StartCustom, 30, 50},
		{timing.StartLastOutput, 30, 30},
		{timing.StartLastOutput, timing.Never, 100},
	} {
		if got := timing.FirstOutput(tt.mode, 100, 50, tt.last); got != tt.want {
			t.Errorf("mode %d with last output %d starts at %d, not %d", tt.mode, tt.last, got, tt.want)
		}
	}
}

func TestReadFrom(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		policy          timing.Policy
		first, lookback int64
		want            int64
	}{
		// The page about starting a job: 5 minutes back for a window of 5 minutes.
		{timing.Policy{}, 60 * mnt, 5 * mnt, 55 * mnt},
		{timing.Policy{Applies: true}, 60 * mnt, 5 * mnt, 50 * mnt},
		{timing.Policy{Applies: true, Replay: true}, 60 * mnt, 0, 55 * mnt},
		{timing.Policy{Applies: true, NoArrival: true}, 60 * mnt, 5 * mnt, timing.Never},
		{timing.Policy{}, timing.Never + 5, 10, timing.Never},
		{timing.Policy{}, 100, -10, 100},
	} {
		if got := timing.ReadFrom(tt.policy, tt.first, tt.lookback); got != tt.want {
			t.Errorf("%+v from %d: reads from %d, not %d", tt.policy, tt.first, got, tt.want)
		}
	}
	if got := timing.EstimatedArrival(100, 20); got != 120 {
		t.Errorf("estimated %d", got)
	}
	if got := timing.EstimatedArrival(100, -20); got != 100 {
		t.Errorf("a clock that went back estimates %d", got)
	}
}

// Output from the first output time on is the same, wherever reading began, if it
// began where ReadFrom says.
func TestReadingBackGivesWholeWindows(t *testing.T) {
	t.Parallel()
	const scale = 10 * sec // so that the 5 minutes of early events matter
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 5))
		policy := timing.Policy{Applies: r.IntN(4) > 0, Late: r.Int64N(40) * scale, OutOfOrder: r.Int64N(20) * scale, Mode: timing.Mode(r.IntN(2)), Replay: r.IntN(4) == 0}
		w := randomWindow(r)
		w.Size, w.Hop, w.Offset = w.Size*scale, w.Hop*scale, w.Offset*scale
		if r.IntN(2) == 0 {
			w = timing.Window{Kind: timing.Session, Timeout: (1 + r.Int64N(20)) * scale, MaxDuration: (1 + r.Int64N(30)) * scale}
		}
		var events []event
		now := r.Int64N(100) * scale
		for n := range 300 {
			now += r.Int64N(6) * scale
			events = append(events, event{event: now + (r.Int64N(70)-40)*scale, arrival: now, n: n})
		}
		first := events[100+r.IntN(100)].arrival + r.Int64N(3)
		from := timing.ReadFrom(policy, first, w.Lookback())
		all := windowsFrom(t, policy, w, events, timing.Never, first)
		some := windowsFrom(t, policy, w, events, from, first)
		if !maps.Equal(all, some) {
			t.Fatalf("seed %d, %+v, %+v: from %d\n%v\nfrom the start\n%v", seed, policy, w, from, some, all)
		}
		if len(all) == 0 {
			t.Fatalf("seed %d: there is no output", seed)
		}
	}
}

// windowsFrom counts events per window that is output from the time first on,
// reading from an arrival time on.
func windowsFrom(t *testing.T, policy timing.Policy, w timing.Window, events []event, from, first int64) map[int64]int {
	t.Helper()
	var times []int64
	s, err := timing.NewStream(timing.Options[int]{Policy: policy, Emit: func(time int64, _ int) { times = append(times, time) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.arrival < from {
			continue
		}
		if _, err := s.Push(0, nil, e.event, e.arrival, e.n, 8); err != nil {
			t.Fatal(err)
		}
	}
	s.Finish()
	counts := map[int64]int{}
	if w.Kind == timing.Session {
		for _, c := range sessions(w, times) {
			counts[c.end] += c.count
		}
	} else {
		counts = count(w, times)
	}
	maps.DeleteFunc(counts, func(end int64, _ int) bool { return end < first })
	return counts
}
