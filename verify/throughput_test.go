package verify

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"millrace/record"
)

const second = int64(time.Second / time.Microsecond)

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if math.Abs(got-want) > tolerance {
		t.Errorf("%s is %g, want %g ± %g", what, got, want, tolerance)
	}
}

func TestSteadyThroughput(t *testing.T) {
	t.Parallel()
	w := newWorld(20_000, 50) // 20 s at 1000/s
	w.in.Interval, w.in.Warmup = 2*time.Second, 5*time.Second
	w.shuffle(4)
	v := w.check(t)
	tp := v.Throughput
	near(t, "sent per second", tp.SentPerSecond, worldRate, 1)
	near(t, "stored per second", tp.StoredPerSecond, worldRate, 1)
	near(t, "slowest interval", tp.MinPerSecond, worldRate, 20) // 20 ms batches
	wantEqual(t, "interval", tp.Interval, 2*time.Second)
	wantEqual(t, "warm-up", tp.Warmup, 5*time.Second)
	wantEqual(t, "intervals", len(tp.Intervals), 11)
	var in, out int64
	for i, x := range tp.Intervals {
		in, out = in+x.In, out+x.Out
		wantEqual(t, "warm", x.Warm, i >= 3)
		wantEqual(t, "at", x.At, t0+int64(i)*2*second)
	}
	wantEqual(t, "in", in, 20_000)
	wantEqual(t, "out", out, 20_000)
}

// TestOneSlowInterval: a dip shows in the slowest interval even if the mean
// hides it; the tail after the last send does not count as one.
func TestOneSlowInterval(t *testing.T) {
	t.Parallel()
	w := newWorld(20_000, 50)
	w.in.Interval = time.Second
	for i := range w.rows {
		r := &w.rows[i]
		if r.StoredAt >= t0+7*second && r.StoredAt < t0+8*second && i%4 != 0 {
			r.StoredAt = t0 + 8*second
		}
		if i == len(w.rows)-1 {
			r.StoredAt += 5 * second
		}
	}
	v := w.check(t)
	near(t, "slowest interval", v.Throughput.MinPerSecond, worldRate/4, 25)
	near(t, "stored per second", v.Throughput.StoredPerSecond, 20_000/24.0, 2) // less a second of latency
}

// TestWarmup: a slow beginning is left out, and a warm-up longer than half of
// the run is cut.
func TestWarmup(t *testing.T) {
	t.Parallel()
	w := newWorld(20_000, 50)
	for i := range w.rows {
		if r := &w.rows[i]; r.StoredAt < t0+4*second {
			r.StoredAt = t0 + 4*second
		}
	}
	w.in.Interval = time.Second
	v := w.check(t)
	wantEqual(t, "slowest interval without a warm-up", v.Throughput.MinPerSecond, 0)
	w.in.Warmup = 5 * time.Second
	v = w.check(t)
	near(t, "slowest interval after the warm-up", v.Throughput.MinPerSecond, worldRate, 20)
	near(t, "stored per second", v.Throughput.StoredPerSecond, worldRate, 1)
	w.in.Warmup = time.Hour
	v = w.check(t)
	near(t, "warm-up", v.Throughput.Warmup.Seconds(), 10, 0.1)
}

// TestUnpaced: without a rate the intervals count until the last row.
func TestUnpaced(t *testing.T) {
	t.Parallel()
	w := newWorld(10_000, 50)
	w.header.Rate, w.in.Interval = 0, time.Second
	for i := range w.rows { // stored at a quarter of the speed
		w.rows[i].StoredAt = t0 + 4*(w.rows[i].StoredAt-t0)
	}
	v := w.check(t)
	near(t, "stored per second", v.Throughput.StoredPerSecond, worldRate/4, 2)
	near(t, "slowest interval", v.Throughput.MinPerSecond, worldRate/4, 35)
}

func TestIntervalFollowsTheRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		configured time.Duration
		run        time.Duration
		want       time.Duration
	}{
		{0, 10 * time.Second, time.Second},
		{0, 60 * time.Second, 5 * time.Second},
		{0, 5 * time.Minute, 10 * time.Second},
		{0, 24 * time.Hour, 5 * time.Minute},
		{3 * time.Second, 60 * time.Second, 3 * time.Second},
		{time.Second, time.Hour, 4 * time.Second},
	} {
		s := newSeries(t0, c.configured)
		steps := int64(10_000)
		for i := range steps {
			at := t0 + i*c.run.Microseconds()/steps
			s.cell(at).in++
			s.stored(at, i%100*1000)
		}
		s.settle(c.run)
		wantEqual(t, c.run.String(), time.Duration(s.width)*time.Microsecond, c.want)
		var in, out, measured int64
		for _, x := range s.cells {
			in, out = in+x.in, out+x.out
			if x.latency != nil {
				measured += x.latency.TotalCount()
			}
		}
		if in != steps || out != steps || measured != steps || len(s.cells) > maxIntervals {
			t.Errorf("%s: %d in, %d out, %d measured of %d in %d intervals", c.run, in, out, measured, steps, len(s.cells))
		}
	}
}

func TestLatencyPerStage(t *testing.T) {
	t.Parallel()
	w := newWorld(1000, 10)
	for i := range w.rows {
		r := &w.rows[i]
		r.EnqueuedAt = r.CreatedAt + int64(i+1)*1000
		r.ProcessedAt = r.EnqueuedAt + 2000
		r.StoredAt = r.ProcessedAt + 7000
	}
	w.rows[0].EnqueuedAt = w.rows[0].CreatedAt - 900 // a log that keeps milliseconds
	w.shuffle(5)
	l := w.check(t).Latency
	ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
	near(t, "ingest median", ms(l.Ingest.P50), 500, 1)
	near(t, "ingest p95", ms(l.Ingest.P95), 950, 1)
	near(t, "ingest p99", ms(l.Ingest.P99), 990, 1)
	near(t, "ingest p999", ms(l.Ingest.P999), 999, 1)
	wantEqual(t, "ingest max", l.Ingest.Max, time.Second)
	near(t, "ingest mean", ms(l.Ingest.Mean), 500.5, 1)
	wantEqual(t, "serve max", l.Serve.Max, 7*time.Millisecond)
	near(t, "end to end p99", ms(l.EndToEnd.P99), 999, 1)
	wantEqual(t, "count", l.EndToEnd.Count, 1000)
	wantEqual(t, "backwards", l.Backwards, 0)
}

func TestClocksThatDisagree(t *testing.T) {
	t.Parallel()
	w := newWorld(100, 10)
	for i := range w.rows {
		w.rows[i].ProcessedAt = w.rows[i].EnqueuedAt - 50_000
	}
	l := w.check(t).Latency
	wantEqual(t, "backwards", l.Backwards, 100)
	wantEqual(t, "process max", l.Process.Max, 0)
}

// TestHeldBackOnPurpose: the delay of a device that sends late is not the
// system's, but what the system adds to it is.
func TestHeldBackOnPurpose(t *testing.T) {
	t.Parallel()
	w := newWorld(3000, 10)
	const late = 30 * second
	for i := range w.entries {
		if w.entries[i].Device == 4 {
			w.entries[i].CreatedAt -= late
			w.rows[i].CreatedAt -= late
		}
	}
	v := w.check(t)
	wantEqual(t, "late", v.Events.LateSent, 300)
	if p := v.Latency.EndToEnd; p.P99 > 100*time.Millisecond || p.P50 < 5*time.Millisecond {
		t.Errorf("end to end %+v", p)
	}
	wantEqual(t, "pass", v.Pass, true)
}

// TestSlowSenderIsNotExcused: a sender that falls behind its schedule keeps
// the schedule's times, in order, and the latency counts.
func TestSlowSenderIsNotExcused(t *testing.T) {
	t.Parallel()
	w := newWorld(1000, 10)
	for i := range w.rows {
		r := &w.rows[i]
		r.EnqueuedAt, r.ProcessedAt, r.StoredAt = r.EnqueuedAt+5*second, r.ProcessedAt+5*second, r.StoredAt+5*second
	}
	v := w.check(t)
	wantEqual(t, "late", v.Events.LateSent, 0)
	if p := v.Latency.EndToEnd.P50; p < 5*time.Second {
		t.Errorf("median %s, but everything took 5 s", p)
	}
}

// TestProgress: the callback sees every phase, with growing figures.
func TestProgress(t *testing.T) {
	t.Parallel()
	w := newWorld(40_000, 10)
	w.spoil("{", record.NotJSON, true, 1)
	in := w.input()
	last := map[string]int64{}
	in.Progress = func(phase string, done, _ int64) {
		if done < last[phase] {
			t.Errorf("%s went back from %d to %d", phase, last[phase], done)
		}
		last[phase] = done
	}
	if _, err := Check(context.Background(), in); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "phases", len(last), 3)
	wantEqual(t, "rows", last["reading the store back"], 40_000)
}

// TestRateIsTheLedgers: the pace is that of the run, whatever whoever verifies
// has configured, and only a constant schedule has one.
func TestRateIsTheLedgers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		schedule   string
		rate, want float64
	}{
		{"constant", 10_000, 10_000}, {"constant", 0, 0}, {"", worldRate, worldRate}, {"ramp", 1000, 0}, {"burst", 1000, 0},
	} {
		w := newWorld(2000, 10)
		w.header.Rate, w.header.Settings = c.rate, map[string]string{"schedule": c.schedule}
		v := w.check(t)
		wantEqual(t, c.schedule, v.Throughput.Rate, c.want)
		if err := v.Judge([]Threshold{{Check: "throughput.stored >= 99% of rate", When: Paced}}, Measured{}); err != nil {
			t.Fatal(err)
		}
		last := v.Thresholds[len(v.Thresholds)-1]
		if judged := last.Name == "throughput.stored"; judged != (c.want > 0) {
			t.Errorf("%s at %g: last threshold %+v", c.schedule, c.rate, last)
		}
		if c.want == 10_000 {
			wantEqual(t, "expected", last.Expected, ">= 99% of rate (9900/s)")
			wantEqual(t, "pass", v.Pass, false)
		}
	}
}

// TestContinuedRun: in a run that was interrupted and continued, what the
// pause made slow is measured and not judged, and the verdict says so.
func TestContinuedRun(t *testing.T) {
	t.Parallel()
	const pause = 60 * second
	w := newWorld(10_000, 10)
	for i := 5000; i < len(w.rows); i++ {
		w.entries[i].CreatedAt += pause
		r := &w.rows[i]
		r.CreatedAt, r.EnqueuedAt, r.ProcessedAt, r.StoredAt = r.CreatedAt+pause, r.EnqueuedAt+pause, r.ProcessedAt+pause, r.StoredAt+pause
	}
	thresholds := []Threshold{
		{Check: "throughput.stored >= 99% of rate", When: Paced},
		{Check: "latency.endToEnd.p99 < 1ms", When: Paced},
		{Check: "unsent == 0"},
	}
	for _, continued := range []int{0, 1} {
		w.continued = continued
		v := w.check(t)
		if err := v.Judge(thresholds, Measured{}); err != nil {
			t.Fatal(err)
		}
		wantEqual(t, "pass", v.Pass, continued > 0)
		wantEqual(t, "rate", v.Throughput.Rate, worldRate)
		if v.Throughput.StoredPerSecond == 0 || v.Latency.EndToEnd.Count == 0 {
			t.Errorf("figures are gone: %+v", v.Throughput)
		}
		notes, judged := "", len(inherent)+3
		if continued > 0 {
			notes = "the run was interrupted and continued, so not judged: throughput.stored, latency.endToEnd.p99"
			judged = len(inherent) + 1
		}
		wantEqual(t, "thresholds", len(v.Thresholds), judged)
		wantEqual(t, "notes", strings.Join(v.Notes, "|"), notes)
	}
	w.rows = w.rows[1:]
	wantEqual(t, "pass with a row missing", w.check(t).Pass, false)
}

// TestLatencyOfCopies: where the last copy is served, its times say nothing
// about the event's first sending, and are left out; the row counts all the
// same.
func TestLatencyOfCopies(t *testing.T) {
	t.Parallel()
	for _, last := range []bool{false, true} {
		w := newWorld(1000, 10)
		w.in.LastWins = last
		w.resend(10, true)
		w.rows[10].Offset = 5000
		for _, at := range []*int64{&w.rows[10].EnqueuedAt, &w.rows[10].ProcessedAt, &w.rows[10].StoredAt} {
			*at += 60_000_000
		}
		v := w.check(t)
		l, want := v.Latency.EndToEnd, int64(1000)
		if last {
			want = 999
		}
		if l.Count != want || (l.Max > time.Minute) == last || v.Events.Stored != 1000 {
			t.Errorf("last copy wins %v: %d rows timed, at most %s; %d stored", last, l.Count, l.Max, v.Events.Stored)
		}
	}
}
