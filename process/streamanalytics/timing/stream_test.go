package timing_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/process/streamanalytics/timing"
)

// event is what the tests push; its number tells where it came from.
type event struct {
	part           int32
	key            byte
	event, arrival int64
	n              int
}

type emitted struct {
	time int64
	n    int
}

func appendInt(dst []byte, n int) []byte { return binary.AppendVarint(dst, int64(n)) }

func readInt(b []byte) (int, []byte, error) {
	v, n := binary.Varint(b)
	if n <= 0 {
		return 0, nil, io.ErrUnexpectedEOF
	}
	return int(v), b[n:], nil
}

// timeline is the oracle: the rules as they are written, for one timeline, with
// its whole history.
type timeline struct {
	policy   timing.Policy
	times    []int64 // of the events that were taken
	arrivals []int64 // of the partition, so far
}

func (l *timeline) watermark() int64 {
	w := timing.Never
	for _, t := range l.times {
		d := l.policy.OutOfOrder
		if !l.policy.Applies {
			d = 0
		}
		w = max(w, t-d)
	}
	if !l.policy.Applies || !l.policy.Replay && !l.policy.NoArrival {
		for _, a := range l.arrivals {
			w = max(w, a-l.policy.Late)
		}
	}
	return w
}

func (l *timeline) take(e event) (int64, timing.Outcome) {
	t, o := e.event, timing.Kept
	if !l.policy.Applies {
		t = e.arrival
	} else if !l.policy.NoArrival {
		if e.event-e.arrival > 5*mnt {
			return 0, timing.DroppedEarly
		}
		if !l.policy.Replay && e.arrival-e.event > l.policy.Late {
			if l.policy.Mode == timing.Drop {
				return 0, timing.DroppedLate
			}
			t, o = e.arrival-l.policy.Late, timing.Adjusted
		}
	}
	if w := l.watermark(); t < w {
		if l.policy.Applies && l.policy.Mode == timing.Drop {
			return 0, timing.DroppedOutOfOrder
		}
		t, o = w, timing.Adjusted
	}
	l.times = append(l.times, t)
	return t, o
}

type expected struct {
	emitted
	part int32
	key  byte
}

// oracle computes what comes out of events that are given partition by partition.
func oracle(p timing.Policy, substreams bool, events [][]event) (want []expected, outcomes map[int]timing.Outcome) {
	outcomes = map[int]timing.Outcome{}
	for _, list := range events {
		lines := map[byte]*timeline{}
		var arrivals []int64
		for _, e := range list {
			key := e.key
			if !substreams {
				key = 0
			}
			l := lines[key]
			if l == nil {
				l = &timeline{policy: p}
				lines[key] = l
			}
			arrivals = append(arrivals, e.arrival)
			l.arrivals = arrivals
			t, o := l.take(e)
			outcomes[e.n] = o
			if !o.Dropped() {
				want = append(want, expected{emitted{t, e.n}, e.part, e.key})
			}
		}
	}
	// Stable: events come by partition and in order of arrival.
	slices.SortStableFunc(want, func(a, b expected) int { return int(min(max(a.time-b.time, -1), 1)) })
	return want, outcomes
}

// world is a random stream and how it is played.
type world struct {
	*rand.Rand
	policy     timing.Policy
	substreams bool
	events     [][]event
}

func newWorld(seed uint64) *world {
	w := &world{Rand: rand.New(rand.NewPCG(seed, 7))}
	w.policy = timing.Policy{
		Late: w.Int64N(4) * 10, OutOfOrder: w.Int64N(3) * 8, Mode: timing.Mode(w.IntN(2)),
		Applies: w.IntN(5) > 0, Replay: w.IntN(5) == 0, NoArrival: w.IntN(5) == 0,
	}
	w.substreams = w.policy.Applies && w.IntN(3) == 0
	parts, n := 1+w.IntN(3), 0
	for part := range parts {
		var list []event
		now := w.Int64N(50)
		for range w.IntN(60) {
			now += w.Int64N(12) * w.Int64N(2)
			e := event{part: int32(part), key: byte(w.IntN(4)), arrival: now, event: now - w.Int64N(60) + 10, n: n}
			switch {
			case w.policy.NoArrival:
				e.arrival = e.event
			case w.IntN(20) == 0:
				e.event = now + 5*mnt + w.Int64N(3) - 1
			case w.IntN(20) == 0:
				e.event = now - 1000
			}
			list = append(list, e)
			n++
		}
		w.events = append(w.events, list)
	}
	return w
}

func (w *world) stream(t *testing.T, out *[]emitted) *timing.Stream[int] {
	t.Helper()
	var parts []int32
	for i := range w.events {
		parts = append(parts, int32(i))
	}
	s, err := timing.NewStream(timing.Options[int]{Policy: w.policy, Substreams: w.substreams, Partitions: parts,
		Emit: func(time int64, n int) { *out = append(*out, emitted{time, n}) }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// play pushes the events with a random interleaving of partitions, idle ticks that
// do not run ahead of the next arrival, and restarts from a snapshot.
func (w *world) play(t *testing.T, idle, restart bool) (out []emitted, outcomes map[int]timing.Outcome, s *timing.Stream[int]) {
	s = w.stream(t, &out)
	outcomes = map[int]timing.Outcome{}
	next := make([]int, len(w.events))
	watermark := timing.Never
	for left := w.total(); left > 0; {
		p := w.IntN(len(w.events))
		if next[p] == len(w.events[p]) {
			continue
		}
		e := w.events[p][next[p]]
		before := len(out)
		if idle && w.IntN(3) == 0 {
			s.Idle(e.part, e.arrival-w.Int64N(5))
		} else {
			o, err := s.Push(e.part, []byte{e.key}, e.event, e.arrival, e.n, 8)
			if err != nil {
				t.Fatal(err)
			}
			outcomes[e.n] = o
			next[p]++
			left--
		}
		for _, x := range out[before:] {
			if x.time < watermark {
				t.Fatalf("event %d with time %d was emitted after the watermark %d", x.n, x.time, watermark)
			}
		}
		if s.Watermark() < watermark {
			t.Fatalf("the watermark went back from %d to %d", watermark, s.Watermark())
		}
		watermark = s.Watermark()
		if restart && w.IntN(4) == 0 {
			s = w.restart(t, s, &out)
		}
	}
	s.Finish()
	return out, outcomes, s
}

func (w *world) restart(t *testing.T, s *timing.Stream[int], out *[]emitted) *timing.Stream[int] {
	t.Helper()
	state := s.AppendState([]byte("before"), appendInt)
	again := w.stream(t, out)
	rest, err := again.ReadState(append(state[6:len(state):len(state)], "after"...), readInt)
	if err != nil || string(rest) != "after" {
		t.Fatalf("restored with %v, left %q", err, rest)
	}
	if !bytes.Equal(again.AppendState(nil, appendInt), state[6:]) {
		t.Fatal("the restored stream has another state")
	}
	if a, b := again.Watermark(), s.Watermark(); a != b {
		t.Fatalf("the restored stream has the watermark %d, not %d", a, b)
	}
	return again
}

func (w *world) total() (n int) {
	for _, list := range w.events {
		n += len(list)
	}
	return n
}

func (w *world) equal(t *testing.T, got []emitted, want []expected) {
	t.Helper()
	// Substreams are in order each by itself.
	by := func(e expected) string {
		if w.substreams {
			return fmt.Sprint(e.part, e.key)
		}
		return ""
	}
	origin := map[int]string{}
	wants, gots := map[string][]emitted{}, map[string][]emitted{}
	for _, e := range want {
		origin[e.n] = by(e)
		wants[by(e)] = append(wants[by(e)], e.emitted)
	}
	for _, e := range got {
		o, ok := origin[e.n]
		if !ok {
			t.Fatalf("event %d should not have been emitted", e.n)
		}
		gots[o] = append(gots[o], e)
	}
	for key := range wants {
		if !slices.Equal(gots[key], wants[key]) {
			t.Fatalf("%+v, timeline %q:\n got %v\nwant %v", w.policy, key, gots[key], wants[key])
		}
	}
}

func TestStreamAgainstTheRules(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1500) {
		w := newWorld(seed)
		want, wantOutcomes := oracle(w.policy, w.substreams, w.events)
		for _, how := range []struct{ idle, restart bool }{{false, false}, {true, false}, {true, true}} {
			got, outcomes, s := w.play(t, how.idle, how.restart)
			w.equal(t, got, want)
			for n, o := range wantOutcomes {
				if outcomes[n] != o {
					t.Fatalf("seed %d: event %d was %q, not %q", seed, n, outcomes[n], o)
				}
			}
			if items, bytes := s.Buffered(); items != 0 || bytes != 0 || s.Substreams() != 0 {
				t.Fatalf("seed %d: %d events, %d bytes and %d substreams are left at the end", seed, items, bytes, s.Substreams())
			}
			if c := s.Counters(); c.InputEvents != int64(w.total()) || c.Dropped != int64(w.total()-len(want)) {
				t.Fatalf("seed %d: counted %+v of %d events", seed, c, w.total())
			}
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// With one and the same sequence of events the whole output is the same, between
// substreams too, with or without idle ticks and restarts.
func TestSameSequenceSameOutput(t *testing.T) {
	t.Parallel()
	for seed := range uint64(800) {
		w := newWorld(seed)
		var sequence []event
		next := make([]int, len(w.events))
		for len(sequence) < w.total() {
			if p := w.IntN(len(w.events)); next[p] < len(w.events[p]) {
				sequence = append(sequence, w.events[p][next[p]])
				next[p]++
			}
		}
		run := func(restless bool) (out []emitted) {
			s := w.stream(t, &out)
			for _, e := range sequence {
				// Only the partition of the event: ticks of others change when
				// it is emitted, not in which order.
				if restless && w.IntN(2) == 0 {
					s.Idle(e.part, e.arrival-1-w.Int64N(9))
					s.Idle(e.part, e.arrival)
				}
				if restless && w.IntN(4) == 0 {
					s = w.restart(t, s, &out)
				}
				if _, err := s.Push(e.part, []byte{e.key}, e.event, e.arrival, e.n, 8); err != nil {
					t.Fatal(err)
				}
			}
			s.Finish()
			return out
		}
		if calm, restless := run(false), run(true); !slices.Equal(calm, restless) {
			t.Fatalf("seed %d, %+v, substreams %v:\n%v\n%v", seed, w.policy, w.substreams, calm, restless)
		}
	}
}

func TestSlowestPartition(t *testing.T) {
	t.Parallel()
	var out []emitted
	s, err := timing.NewStream(timing.Options[int]{Policy: timing.Policy{Applies: true, Late: 5 * sec}, Partitions: []int32{0, 1, 2},
		Emit: func(time int64, n int) { out = append(out, emitted{time / sec, n}) }})
	if err != nil {
		t.Fatal(err)
	}
	push := func(part int32, time int64) {
		t.Helper()
		if _, err := s.Push(part, nil, time*sec, time*sec, int(part), 8); err != nil {
			t.Fatal(err)
		}
	}
	check := func(watermark int64, want ...emitted) {
		t.Helper()
		if w := s.Watermark(); w != watermark*sec && (watermark != 0 || w != timing.Never) {
			t.Errorf("the watermark is %d s, not %d", w/sec, watermark)
		}
		if !slices.Equal(out, want) {
			t.Errorf("emitted %v, not %v", out, want)
		}
		out = nil
	}
	push(0, 100)
	push(1, 100)
	check(0)
	if p := s.Slowest(); p != 2 {
		t.Errorf("partition %d is the slowest, not 2", p)
	}
	// Partition 2 never had an event. It is waited for as long as the late
	// tolerance: what it can still bring is at most so old.
	s.Idle(2, 104*sec)
	check(99)
	s.Idle(2, 106*sec)
	check(100) // others may bring more of the same time
	push(1, 103)
	push(0, 103)
	check(101, emitted{100, 0}, emitted{100, 1})
	push(2, 103)
	check(103)
	if c, ok := s.Clock(2); !ok || c != 106*sec {
		t.Errorf("the clock of partition 2 is %d, %v", c, ok)
	}
	s.FinishPartition(2)
	check(103)
	push(1, 110)
	push(0, 110)
	check(110, emitted{103, 0}, emitted{103, 1}, emitted{103, 2})
	if _, err := s.Push(2, nil, 0, 0, 0, 8); err == nil || !strings.Contains(err.Error(), "after the partition's end") {
		t.Errorf("an event after the partition's end: %v", err)
	}
	s.Finish()
	if s.Watermark() != timing.Always || len(out) != 2 {
		t.Errorf("at the end %v, watermark %d", out, s.Watermark())
	}
}

// A partition that turns up late can not put events before what was emitted.
func TestPartitionThatJoins(t *testing.T) {
	t.Parallel()
	var out []emitted
	s, err := timing.NewStream(timing.Options[int]{Policy: timing.Policy{Applies: true, Late: 50}, Emit: func(time int64, n int) { out = append(out, emitted{time, n}) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range []event{{part: 7, event: 100, arrival: 100, n: 1}, {part: -3, event: 90, arrival: 100, n: 2}, {part: 7, event: 101, arrival: 101, n: 3}, {part: -3, event: 102, arrival: 102, n: 4}} {
		if _, err := s.Push(e.part, nil, e.event, e.arrival, e.n, 8); err != nil {
			t.Fatal(err)
		}
	}
	if want := []emitted{{100, 1}, {100, 2}}; !slices.Equal(out, want) {
		t.Errorf("emitted %v, not %v", out, want)
	}
}

func TestLimit(t *testing.T) {
	t.Parallel()
	n := 0
	s, err := timing.NewStream(timing.Options[int]{Policy: timing.Policy{Applies: true, Late: sec}, Partitions: []int32{4, 9}, Limit: 1000, Emit: func(int64, int) { n++ }})
	if err != nil {
		t.Fatal(err)
	}
	i := int64(0)
	for ; ; i++ {
		if _, err = s.Push(4, nil, i, i, 0, 100); err != nil {
			break
		}
	}
	var full *timing.FullError
	if !errors.As(err, &full) || full.Slowest != 9 || full.Items != int(i) || full.Bytes > 1000 {
		t.Fatalf("after %d events: %v", i, err)
	}
	if !strings.Contains(err.Error(), "read the slowest partition first") {
		t.Errorf("%q gives no hint", err)
	}
	// The others go on, and then so does this one.
	s.Idle(9, 10*sec)
	if o, err := s.Push(4, nil, i, i, 0, 100); err != nil || o != timing.Kept {
		t.Errorf("the event was not taken: %s, %v", o, err)
	}
	if c := s.Counters(); c.InputEvents != i+1 {
		t.Errorf("%d events are counted, not %d", c.InputEvents, i+1)
	}
	s.Finish()
	if n != int(i)+1 {
		t.Errorf("%d of %d events were emitted", n, i+1)
	}
}

// What waits is handed to Keep, what does not wait is not.
func TestKeep(t *testing.T) {
	t.Parallel()
	var kept, out []string
	s, err := timing.NewStream(timing.Options[[]byte]{Policy: timing.Policy{Applies: true, Late: 100, OutOfOrder: 10},
		Emit: func(_ int64, item []byte) { out = append(out, string(item)) },
		Keep: func(item []byte) []byte { kept = append(kept, string(item)); return bytes.Clone(item) }})
	if err != nil {
		t.Fatal(err)
	}
	buf := []byte("abc")
	for i, event := range []int64{100, 120, 110} {
		copy(buf, fmt.Sprintf("ev%d", i))
		if _, err := s.Push(0, nil, event, 120, buf, 3); err != nil {
			t.Fatal(err)
		}
	}
	s.Finish()
	if !slices.Equal(kept, []string{"ev0", "ev1"}) || !slices.Equal(out, []string{"ev0", "ev2", "ev1"}) {
		t.Errorf("kept %q, emitted %q", kept, out)
	}
}

// Times at the ends of what an int64 holds do no harm.
func TestExtremeTimes(t *testing.T) {
	t.Parallel()
	extremes := []int64{timing.Never, timing.Never + 1, -1, 0, 1, timing.Always - 1, timing.Always}
	for _, policy := range []timing.Policy{{}, {Applies: true, Late: sec, OutOfOrder: sec}, {Applies: true, Replay: true, OutOfOrder: sec}} {
		for _, a := range extremes {
			for _, e := range extremes {
				n := 0
				s, err := timing.NewStream(timing.Options[int]{Policy: policy, Emit: func(int64, int) { n++ }})
				if err != nil {
					t.Fatal(err)
				}
				o, err := s.Push(0, nil, e, a, 1, 8)
				s.Finish()
				if err != nil || o.Dropped() == (n == 1) {
					t.Errorf("%+v, event %d, arrival %d: %s, %v, emitted %d", policy, e, a, o, err, n)
				}
			}
		}
	}
}

func TestFastPathsDoNotAllocate(t *testing.T) {
	for _, tt := range []struct {
		name       string
		policy     timing.Policy
		partitions int64
		substreams bool
	}{
		{"arrival time", timing.Policy{}, 1, false},
		{"event time", timing.Policy{Applies: true, Late: sec}, 1, false},
		{"reordering", timing.Policy{Applies: true, Late: sec, OutOfOrder: 100}, 1, false},
		{"partitions", timing.Policy{Applies: true, Late: sec}, 4, false},
		{"substreams", timing.Policy{Applies: true, Late: sec}, 1, true},
	} {
		s, err := timing.NewStream(timing.Options[int]{Policy: tt.policy, Substreams: tt.substreams, Emit: func(int64, int) {}})
		if err != nil {
			t.Fatal(err)
		}
		key := []byte("device")
		i := int64(0)
		push := func() {
			i++
			if _, err := s.Push(int32(i%tt.partitions), key, i-i%3, i, 1, 8); err != nil {
				t.Fatal(err)
			}
		}
		for range 10_000 {
			push()
		}
		if n := testing.AllocsPerRun(5000, push); n != 0 {
			t.Errorf("%s: %v allocations per event", tt.name, n)
		}
	}
}
