package anomaly

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/process/streamanalytics/value"
)

func spikes(t testing.TB, confidence float64, history int, mode Mode) Detector {
	t.Helper()
	d, err := NewSpikeAndDip(confidence, history, mode)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func changes(t testing.TB, confidence float64, history int) Detector {
	t.Helper()
	d, err := NewChangePoint(confidence, history)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// series are streams without anomalies, by the name of their distribution.
func series(seed uint64) map[string]func() float64 {
	r := rand.New(rand.NewPCG(seed, 1))
	return map[string]func() float64{
		"normal":    r.NormFloat64,
		"far":       func() float64 { return 1e9 + r.NormFloat64() },
		"tiny":      func() float64 { return 1e-12 * r.NormFloat64() },
		"uniform":   r.Float64,
		"skewed":    r.ExpFloat64,
		"heavy":     func() float64 { return math.Exp(r.NormFloat64()) },
		"two peaks": func() float64 { return r.NormFloat64() + 10*float64(r.IntN(2)) },
		"integers":  func() float64 { return math.Round(2 * r.NormFloat64()) },
	}
}

// feed adds n values and returns how many were anomalies.
func feed(d Detector, next func() float64, n int) (anomalies int) {
	for i := range n {
		if is, _ := d.Add(next(), int64(i)); is {
			anomalies++
		}
	}
	return anomalies
}

func TestSpikesAndDipsAreFound(t *testing.T) {
	t.Parallel()
	for _, history := range []int{20, 60, 300} {
		for name, next := range series(uint64(history)) {
			if name == "heavy" {
				continue // its own values are spikes
			}
			var values []float64
			for range 2 * history {
				values = append(values, next())
			}
			low, high := slices.Min(values), slices.Max(values)
			far := 2 * (high - low)
			for mode, want := range map[Mode][2]bool{Spikes: {true, false}, Dips: {false, true}, Both: {true, true}} {
				for i, v := range []float64{high + far, low - far} {
					d := spikes(t, 99, history, mode)
					for k, x := range values {
						d.Add(x, int64(k))
					}
					is, score := d.Add(v, int64(len(values)))
					if is != want[i] || score < 0 || score > 1 || is != (score <= 0.01) {
						t.Errorf("%s, history %d, mode %d: %v is %v with score %v", name, history, mode, v, is, score)
					}
					// The next value is an ordinary one again.
					if _, score := d.Add(values[0], int64(len(values))); score < 0.001 {
						t.Errorf("%s, history %d: after a spike an ordinary value has score %v", name, history, score)
					}
				}
			}
		}
	}
}

func TestConstantStreamIsSilent(t *testing.T) {
	t.Parallel()
	for _, confidence := range []float64{1, 50, 80, 99, 100} {
		for _, v := range []float64{0, 5, -1e300, 0.1, 1e-300} {
			for _, d := range []Detector{spikes(t, confidence, 50, Both), spikes(t, confidence, 50, Spikes), spikes(t, confidence, 50, Dips)} {
				if n := feed(d, func() float64 { return v }, 500); n != 0 {
					t.Errorf("confidence %v: %d anomalies in a stream of %v", confidence, n, v)
				}
			}
			if n := feed(changes(t, confidence, 50), func() float64 { return v }, 5000); n != 0 {
				t.Errorf("confidence %v: %d changes in a stream of %v", confidence, n, v)
			}
		}
	}
	d := spikes(t, 95, 50, Both)
	feed(d, func() float64 { return 5 }, 50)
	if is, score := d.Add(6, 50); !is || score != 0 {
		t.Errorf("another value after a constant stream: %v, %v", is, score)
	}
}

// The rate of false positives follows the confidence.
func TestNoiseIsNotAnAnomaly(t *testing.T) {
	t.Parallel()
	const events = 3000
	for _, history := range []int{20, 60, 300} {
		for name, next := range series(uint64(100 + history)) {
			for _, confidence := range []float64{80, 95, 99} {
				// The cost is in the long histories, and the three modes share
				// the estimate that it depends on.
				modes := []Mode{Both, Spikes, Dips}
				if history > 60 {
					modes = modes[:1]
				}
				for _, mode := range modes {
					d := spikes(t, confidence, history, mode)
					rate := float64(feed(d, next, events)) / events
					// Short histories of heavy tails can not know them.
					if allowed := 1.3*(1-confidence/100) + 0.012; rate > allowed {
						t.Errorf("spikes of mode %d in %s noise, history %d, confidence %v: rate %.4f, allowed %.4f", mode, name, history, confidence, rate, allowed)
					}
				}
				d := changes(t, confidence, history)
				perHistory := float64(feed(d, next, events)) * float64(history) / events
				if allowed := 1.5*(1-confidence/100) + 0.15; perHistory > allowed {
					t.Errorf("changes in %s noise, history %d, confidence %v: %.4f in a history, allowed %.4f", name, history, confidence, perHistory, allowed)
				}
			}
		}
	}
}

// delay returns after how many values a change is reported, -1 for none.
func delay(d Detector, next func() float64, limit int) int {
	for i := range limit {
		if is, _ := d.Add(next(), int64(i)); is {
			return i + 1
		}
	}
	return -1
}

func TestChangesAreFound(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(9, 9))
	for _, tt := range []struct {
		name    string
		after   func(i int) float64
		history int
		within  int
	}{
		{"level up", func(int) float64 { return 4 + r.NormFloat64() }, 60, 30},
		{"level down", func(int) float64 { return -4 + r.NormFloat64() }, 120, 30},
		{"level, long history", func(int) float64 { return 3 + r.NormFloat64() }, 1200, 40},
		{"small step", func(int) float64 { return 1.5 + r.NormFloat64() }, 600, 150},
		{"spread", func(int) float64 { return 6 * r.NormFloat64() }, 600, 150},
		{"becomes constant", func(int) float64 { return 0 }, 120, 60},
		{"trend", func(i int) float64 { return 0.1*float64(i) + r.NormFloat64() }, 120, 120},
	} {
		found := 0
		for range 20 {
			d := changes(t, 95, tt.history)
			feed(d, r.NormFloat64, 3*tt.history)
			i := -1
			next := func() float64 { i++; return tt.after(i) }
			if n := delay(d, next, tt.within); n > 0 {
				found++
			}
		}
		if found < 19 {
			t.Errorf("%s: found %d of 20 within %d events", tt.name, found, tt.within)
		}
	}
}

// One change is reported once, and the new level is normal from then on.
func TestChangeIsReportedOnce(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(11, 1))
	once := 0
	for range 20 {
		d := changes(t, 99, 120)
		reports := feed(d, r.NormFloat64, 300)
		reports += feed(d, func() float64 { return 8 + r.NormFloat64() }, 300)
		if reports == 1 {
			once++
		}
	}
	if once < 18 {
		t.Errorf("a step was reported exactly once in %d of 20 streams", once)
	}
}

// Streams of few values: each is a group of its own, and so is what lies
// beside them.
func TestChangesOfConstantStreams(t *testing.T) {
	t.Parallel()
	for _, after := range []float64{4, 6, 4.999, 1e9} {
		d := changes(t, 95, 60)
		feed(d, func() float64 { return 5 }, 500)
		i := 0.0
		if n := delay(d, func() float64 { return after }, 20); n < 0 {
			t.Errorf("5, then %v: not found", after)
		}
		feed(d, func() float64 { i++; return math.Mod(i, 2) }, 500)
		if n := delay(d, func() float64 { return 0 }, 40); n < 0 {
			t.Error("0 and 1 in turn, then 0 only: not found")
		}
	}
}

func TestSpikeIsNoChange(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(12, 1))
	wrong := 0
	for range 50 {
		d := changes(t, 95, 120)
		feed(d, r.NormFloat64, 300)
		if is, _ := d.Add(1e6, 300); is {
			wrong++
		}
		wrong += feed(d, r.NormFloat64, 20)
	}
	if wrong > 5 {
		t.Errorf("%d changes reported for 50 single spikes", wrong)
	}
}

// A gap is no anomaly, and one longer than the duration empties the history.
func TestGaps(t *testing.T) {
	t.Parallel()
	const limit = 120 * value.TicksPerSecond
	for name, d := range map[string]Detector{"spike": spikes(t, 99, 120, Both), "change": changes(t, 99, 120)} {
		r := rand.New(rand.NewPCG(13, 1))
		at := int64(0)
		add := func(v float64) (bool, float64) {
			d.Expire(at - limit)
			return d.Add(v, at)
		}
		for i := range 2000 {
			step := value.TicksPerSecond
			if i%200 == 199 {
				step *= 50
			}
			at += step
			if is, score := add(math.Mod(float64(i)*0.618, 1)); is {
				t.Errorf("%s: event %d after gaps is an anomaly, score %v", name, i, score)
			}
		}
		full := d.Size()
		at += 2 * limit
		// Everything is forgotten: a new level is as good as the old one.
		for range 60 {
			at += value.TicksPerSecond
			if is, score := add(1000 + r.Float64()); is {
				t.Errorf("%s: after a long gap the history still counts, score %v", name, score)
			}
		}
		if d.Size() > full {
			t.Errorf("%s: %d bytes, %d with a full history", name, d.Size(), full)
		}
	}
}

func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	for _, d := range []Detector{spikes(t, 90, 100, Both), changes(t, 90, 100)} {
		r := rand.New(rand.NewPCG(14, 1))
		feed(d, r.NormFloat64, 10_000)
		if size := d.Size(); size > 100*24+1200 {
			t.Errorf("%T holds %d bytes for 100 events", d, size)
		}
	}
}

func TestValuesThatAreNoNumbers(t *testing.T) {
	t.Parallel()
	for _, d := range []Detector{spikes(t, 50, 20, Both), changes(t, 80, 20)} {
		r := rand.New(rand.NewPCG(15, 1))
		feed(d, r.NormFloat64, 50)
		before := d.AppendState(nil)
		for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
			if is, score := d.Add(v, 51); is || math.IsNaN(score) {
				t.Errorf("%T: %v is %v, %v", d, v, is, score)
			}
		}
		if !bytes.Equal(before, d.AppendState(nil)) {
			t.Errorf("%T: they changed the state", d)
		}
		// Extremes are numbers.
		for _, v := range []float64{math.MaxFloat64, -math.MaxFloat64, 0, math.SmallestNonzeroFloat64} {
			if _, score := d.Add(v, 52); math.IsNaN(score) || math.IsInf(score, 0) || score < 0 {
				t.Errorf("%T: the score of %v is %v", d, v, score)
			}
		}
		for range 100 {
			if _, score := d.Add(math.MaxFloat64*(2*r.Float64()-1), 53); math.IsNaN(score) || math.IsInf(score, 0) || score < 0 {
				t.Fatalf("%T: score %v", d, score)
			}
		}
	}
}

// A detector that was saved and restored goes on as one that was not.
func TestStateSurvives(t *testing.T) {
	t.Parallel()
	makers := map[string]func() Detector{
		"spike":  func() Detector { return spikes(t, 90, 50, Both) },
		"change": func() Detector { return changes(t, 90, 50) },
	}
	for name, make := range makers {
		r := rand.New(rand.NewPCG(16, 1))
		undisturbed, disturbed := make(), make()
		for i := range 1000 {
			v := math.Round(4*r.NormFloat64()) + float64(i/300*10)
			for _, d := range []Detector{undisturbed, disturbed} {
				d.Expire(int64(i) - int64(20+i%60))
			}
			isA, a := undisturbed.Add(v, int64(i))
			isB, b := disturbed.Add(v, int64(i))
			if isA != isB || a != b {
				t.Fatalf("%s, event %d: %v %v, after restarts %v %v", name, i, isA, a, isB, b)
			}
			if r.IntN(10) == 0 {
				saved := disturbed.AppendState([]byte("before"))[6:]
				disturbed = make()
				rest, err := disturbed.ReadState(append(saved, "after"...))
				if err != nil || string(rest) != "after" {
					t.Fatalf("%s: %q, %v", name, rest, err)
				}
			}
		}
	}
}

func TestParameters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		confidence float64
		history    int
		want       string
	}{
		{0, 10, "the confidence must be a percentage from 1 to 100, not 0"},
		{100.5, 10, "the confidence must be"},
		{math.NaN(), 10, "the confidence must be"},
		{95, 1, "the history must be from 2 to 1048576 events, not 1"},
		{95, MaxHistory + 1, "the history must be"},
	} {
		_, a := NewSpikeAndDip(tt.confidence, tt.history, Both)
		_, b := NewChangePoint(tt.confidence, tt.history)
		for _, err := range []error{a, b} {
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, %d: %v, want %s", tt.confidence, tt.history, err, tt.want)
			}
		}
	}
	for s, want := range map[string]Mode{"spikes": Spikes, "Dips": Dips, " spikesAndDips": Both} {
		if m, err := ParseMode(s); err != nil || m != want {
			t.Errorf("%q: %v, %v", s, m, err)
		}
	}
	if _, err := ParseMode("peaks"); err == nil || !strings.Contains(err.Error(), `"peaks" is no mode`) {
		t.Errorf("got %v", err)
	}
	if got := Result(true, 0.5).String(); got != `{"IsAnomaly":1,"Score":0.5}` {
		t.Errorf("got %s", got)
	}
}

func FuzzReadState(f *testing.F) {
	r := rand.New(rand.NewPCG(17, 1))
	a, b := spikes(f, 90, 30, Both), changes(f, 90, 30)
	feed(a, r.NormFloat64, 100)
	feed(b, r.NormFloat64, 100)
	f.Add(a.AppendState(nil))
	f.Add(b.AppendState(nil))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, d := range []Detector{spikes(t, 90, 30, Both), changes(t, 90, 30)} {
			_, _ = d.ReadState(data)
			for i, v := range []float64{1, 2, math.MaxFloat64, -5, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10} {
				d.Expire(int64(i) - 5)
				if _, score := d.Add(v, int64(i)); math.IsNaN(score) || score < 0 {
					t.Fatalf("%T: score %v", d, score)
				}
			}
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	for _, history := range []int{60, 600, 6000} {
		for name, d := range map[string]Detector{"SpikeAndDip": spikes(b, 95, history, Both), "ChangePoint": changes(b, 99.9999, history)} {
			b.Run(fmt.Sprintf("%s/%d", name, history), func(b *testing.B) {
				r := rand.New(rand.NewPCG(18, 1))
				feed(d, r.NormFloat64, history)
				b.ReportAllocs()
				at := int64(history)
				for b.Loop() {
					at++
					d.Expire(at - int64(2*history))
					d.Add(r.NormFloat64(), at)
				}
				b.ReportMetric(float64(d.Size())/float64(history), "B/event-of-history")
			})
		}
	}
}
