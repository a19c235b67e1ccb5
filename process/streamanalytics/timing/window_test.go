package timing_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/timing"
)

func TestUnits(t *testing.T) {
	t.Parallel()
	want := map[syntax.TimeUnit]int64{syntax.Day: 864_000_000_000, syntax.Hour: 36_000_000_000, syntax.Minute: 600_000_000,
		syntax.Second: 10_000_000, syntax.Millisecond: 10_000, syntax.Microsecond: 10}
	for u := syntax.NoUnit; u <= syntax.Nanosecond; u++ {
		ticks, ok := timing.UnitTicks(u)
		if ticks != want[u] || ok != (want[u] > 0) {
			t.Errorf("%s: %d, %v", u, ticks, ok)
		}
		d, err := timing.Duration(-3, u)
		switch {
		case ok && (err != nil || d != -3*ticks):
			t.Errorf("-3 %s: %d, %v", u, d, err)
		case !ok && (err == nil || !strings.Contains(err.Error(), "use day, hour")):
			t.Errorf("-3 %s: %d, %v", u, d, err)
		}
	}
	if _, err := timing.Duration(math.MaxInt64/2, syntax.Day); err == nil {
		t.Error("a duration out of range was taken")
	}
}

func TestWindowsThatAreNotValid(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		w    timing.Window
		want string // "" for valid
	}{
		{timing.Window{Kind: timing.Tumbling, Size: timing.MaxWindow}, ""},
		{timing.Window{Kind: timing.Tumbling, Size: timing.MaxWindow + 1}, "the size of a tumbling window is 168h0m0.0000001s, more than the allowed 7 days"},
		{timing.Window{Kind: timing.Tumbling}, "must be positive"},
		{timing.Window{Kind: timing.Sliding, Size: -1}, "the size of a sliding window must be positive"},
		{timing.Window{Kind: timing.Sliding, Size: 1}, ""},
		{timing.Window{Kind: timing.Hopping, Size: 10}, "the hop of a hopping window must be positive"},
		{timing.Window{Kind: timing.Hopping, Hop: 10}, "the size"},
		{timing.Window{Kind: timing.Hopping, Size: 5, Hop: 10, Offset: -77}, ""},
		{timing.Window{Kind: timing.Session, Timeout: 5}, "the maximum duration of a session window must be positive"},
		{timing.Window{Kind: timing.Session, MaxDuration: 5}, "the timeout"},
		{timing.Window{Kind: timing.Session, Timeout: 20, MaxDuration: 5}, ""},
		{timing.Window{Kind: timing.Snapshot}, ""},
		{timing.Window{}, "unknown kind"},
	} {
		switch err := tt.w.Validate(); {
		case err == nil && tt.want != "", err != nil && (tt.want == "" || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%+v: %v, not %q", tt.w, err, tt.want)
		}
	}
}

// count counts events per window end by Ends.
func count(w timing.Window, events []int64) map[int64]int {
	got := map[int64]int{}
	for _, t := range events {
		first, last, step := w.Ends(t)
		for end := first; end <= last; end += step {
			got[end]++
		}
	}
	return got
}

// The tables of the service's introduction to windows. It does not list all events;
// these are such that its results come out.
func TestExamplesOfWindows(t *testing.T) {
	t.Parallel()
	events := []int64{1 * sec, 2 * sec, 5 * sec, 6 * sec, 10 * sec, 13 * sec, 20 * sec, 21 * sec, 22 * sec, 25 * sec, 30 * sec}
	tumbling := timing.Window{Kind: timing.Tumbling, Size: 10 * sec}
	if got, want := count(tumbling, events), (map[int64]int{10 * sec: 5, 20 * sec: 2, 30 * sec: 4}); !maps.Equal(got, want) {
		t.Errorf("tumbling: %v", got)
	}
	hopping := timing.Window{Kind: timing.Hopping, Size: 10 * sec, Hop: 5 * sec}
	want := map[int64]int{5 * sec: 3, 10 * sec: 5, 15 * sec: 3, 20 * sec: 2, 25 * sec: 4, 30 * sec: 4, 35 * sec: 1}
	if got := count(hopping, events); !maps.Equal(got, want) {
		t.Errorf("hopping: %v", got)
	}
	// 12:00 to 13:00 holds 13:00 and not 12:00; an offset of -1 ms turns it around.
	const hour = timing.TicksPerHour
	w := timing.Window{Kind: timing.Tumbling, Size: hour}
	if first, last, _ := w.Ends(12 * hour); first != 12*hour || last != 12*hour {
		t.Errorf("12:00 is in the windows that end from %d to %d", first/hour, last/hour)
	}
	w.Offset = -timing.TicksPerMillisecond
	if first, last, _ := w.Ends(12 * hour); first != 13*hour+w.Offset || last != first {
		t.Errorf("with an offset 12:00 is in the windows that end from %d to %d", first, last)
	}
	if first, _, _ := w.Ends(13*hour - 1); first != 14*hour+w.Offset {
		t.Error("an offset of a millisecond moves by more or less than that")
	}
}

func randomWindow(r *rand.Rand) timing.Window {
	w := timing.Window{Kind: timing.Tumbling, Size: 1 + r.Int64N(30), Offset: r.Int64N(81) - 40}
	if r.IntN(3) > 0 {
		w.Kind, w.Hop = timing.Hopping, 1+r.Int64N(30)
	}
	return w
}

func TestEndsAgainstBruteForce(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	for range 3000 {
		w := randomWindow(r)
		hop := w.Size
		if w.Kind == timing.Hopping {
			hop = w.Hop
		}
		at := r.Int64N(401) - 200
		var want []int64
		for end := at; end < at+w.Size; end++ { // whatever holds it ends here
			if (end-w.Offset)%hop == 0 {
				want = append(want, end)
			}
		}
		var got []int64
		first, last, step := w.Ends(at)
		for end := first; end <= last; end += step {
			got = append(got, end)
			if !w.Holds(end, at) || w.Holds(end, end-w.Size) || !w.Holds(end, end) || w.Holds(end, end+1) {
				t.Fatalf("%+v: Holds is wrong about the window that ends at %d", w, end)
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("%+v: %d is in windows that end at %v, not %v", w, at, got, want)
		}
	}
}

func TestPanesAgainstBruteForce(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2))
	for range 600 {
		w := randomWindow(r)
		hop := w.Size
		if w.Kind == timing.Hopping {
			hop = w.Hop
		}
		events := make([]int64, r.IntN(60))
		panes := map[int64]int{}
		for i := range events {
			events[i] = r.Int64N(201) - 100
			pane := w.Pane(events[i])
			panes[pane]++
			if next := w.Pane(pane + 1); pane < events[i] || next <= events[i] {
				t.Fatalf("%+v: the pane of %d ends at %d, the next one at %d", w, events[i], pane, next)
			}
		}
		used := map[int64]int64{}
		for end, want := range count(w, events) {
			got, n := 0, int64(0)
			for pane := w.Pane(end - w.Size + 1); pane <= end; pane = w.Pane(pane + 1) {
				got += panes[pane]
				n++
				if last, ok := used[pane]; !ok || end > last {
					used[pane] = end
				}
			}
			if got != want {
				t.Fatalf("%+v: the panes of the window that ends at %d have %d events, not %d", w, end, got, want)
			}
			if most := 2 * ((w.Size + hop - 1) / hop); n > most {
				t.Fatalf("%+v: %d panes in a window, more than %d", w, n, most)
			}
		}
		for pane := range panes {
			last := w.LastUse(pane)
			if want, ok := used[pane]; ok && last != want || !ok && last >= pane {
				t.Fatalf("%+v: the pane %d is used last by %d, not %d", w, pane, last, want)
			}
		}
	}
}

func TestSlidingAgainstBruteForce(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	for range 300 {
		w := timing.Window{Kind: timing.Sliding, Size: 1 + r.Int64N(20)}
		events := make([]int64, r.IntN(15))
		got := map[int64]int{}
		for i := range events {
			events[i] = r.Int64N(100)
		}
		for _, at := range events {
			enter, leave := w.Changes(at)
			for _, end := range []int64{enter, leave} {
				n := 0
				for _, e := range events {
					if w.Holds(end, e) {
						n++
					}
				}
				if n > 0 {
					got[end] = n
				}
			}
		}
		// The content as a set of events, tick by tick.
		want, before := map[int64]int{}, ""
		for end := int64(-1); end < 200; end++ {
			content, n := "", 0
			for i, e := range events {
				if e <= end && e > end-w.Size {
					content += string(rune('a' + i))
					n++
				}
			}
			if content != before && n > 0 {
				want[end] = n
			}
			before = content
		}
		if !maps.Equal(got, want) {
			t.Fatalf("%+v, %v: %v, not %v", w, events, got, want)
		}
	}
}

type session struct {
	end   int64
	count int
}

// sessions computes the closed sessions of events that are in order.
func sessions(w timing.Window, events []int64) (out []session) {
	if len(events) == 0 {
		return nil
	}
	s, n := w.Open(events[0]), 1
	for _, t := range events[1:] {
		next, same := w.Next(s, t)
		if !same {
			out = append(out, session{w.SessionEnd(s), n})
			n = 0
		}
		s = next
		n++
	}
	return append(out, session{w.SessionEnd(s), n})
}

func TestExamplesOfSessions(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		timeout, max int64
		events       []int64
		want         []session
	}{
		// The table of the service's introduction; it names the first events.
		{"introduction", 5, 10, []int64{1, 4, 13, 15, 18, 19, 25, 26, 34}, []session{{9, 2}, {24, 4}, {31, 2}, {39, 1}}},
		{"an event at the timeout belongs to the session", 5, 100, []int64{1, 6, 11, 17}, []session{{16, 3}, {22, 1}}},
		{"tests at 10 (9 long) and 20 (19 long)", 5, 10, []int64{1, 5, 9, 13, 17, 20, 21, 25}, []session{{20, 6}, {30, 2}}},
		{"as long as the maximum at a test", 5, 10, []int64{10, 14, 18, 22}, []session{{20, 3}, {27, 1}}},
		{"cut, and on without a gap", 5, 10, []int64{10, 14, 18, 22, 26, 30, 34}, []session{{20, 3}, {30, 3}, {39, 1}}},
		{"cut, then silence", 5, 10, []int64{8, 12, 16, 19, 28}, []session{{20, 4}, {33, 1}}},
		{"the timeout is before the cut", 5, 10, []int64{8, 12, 14}, []session{{19, 3}}},
		{"timeout longer than the maximum", 25, 10, []int64{1, 24, 49, 90}, []session{{20, 1}, {30, 1}, {50, 1}, {100, 1}}},
		{"before the epoch", 5, 10, []int64{-19, -15, -11, -7, -3, 1}, []session{{0, 5}, {6, 1}}},
	} {
		w := timing.Window{Kind: timing.Session, Timeout: tt.timeout, MaxDuration: tt.max}
		if got := sessions(w, tt.events); !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, not %v", tt.name, got, tt.want)
		}
	}
}

// bruteSessions goes through time tick by tick and applies the rules as they are
// written.
func bruteSessions(w timing.Window, events []int64) (out []session) {
	open := false
	var start, last int64
	n := 0
	for now := int64(-200); now < 1000; now++ {
		for _, t := range events {
			if t != now {
				continue
			}
			if !open {
				open, start, n = true, t, 0
			}
			last = t
			n++
		}
		if !open {
			continue
		}
		over := now >= last+w.Timeout
		test := now%w.MaxDuration == 0 && now > start && now-start >= w.MaxDuration
		if test && n > 0 {
			out = append(out, session{now, n})
			n = 0
		}
		if test {
			start = now
		}
		if over {
			if n > 0 {
				out = append(out, session{now, n})
			}
			open, n = false, 0
		}
	}
	return out
}

func TestSessionsAgainstBruteForce(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	for range 1500 {
		w := timing.Window{Kind: timing.Session, Timeout: 1 + r.Int64N(12), MaxDuration: 1 + r.Int64N(30)}
		var events []int64
		for now := r.Int64N(100) - 100; len(events) < 40; now += r.Int64N(4) * r.Int64N(4) {
			events = append(events, now)
		}
		got, want := sessions(w, events), bruteSessions(w, events)
		if !slices.Equal(got, want) {
			t.Fatalf("%+v, %v:\n got %v\nwant %v", w, events, got, want)
		}
		for i, s := range got {
			if i > 0 && s.end < got[i-1].end {
				t.Fatalf("%+v: ends go back: %v", w, got)
			}
		}
	}
}
