package local

import (
	"math/rand/v2"
	"testing"
	"time"
)

func TestBudgetGoesIntoDebtAndRefills(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := newBudget(400, 1, now)
	for i := range 40 {
		if _, ok := b.admit(now, 0); !ok {
			t.Fatalf("request %d of 10 RU each is refused", i)
		}
		b.spend(now, 0, 10)
	}
	if wait, ok := b.admit(now, 0); ok || wait <= 0 || wait > 5*time.Millisecond {
		t.Errorf("an empty budget: admitted %v, wait %v", ok, wait)
	}
	now = now.Add(500 * time.Millisecond)
	if _, ok := b.admit(now, 0); !ok {
		t.Error("refused with 200 RU left")
	}
	b.spend(now, 0, 1000) // 800 of debt: two seconds
	wait, ok := b.admit(now, 0)
	if ok || wait < 2*time.Second || wait > 2010*time.Millisecond {
		t.Errorf("in debt: admitted %v, wait %v", ok, wait)
	}
	if _, ok := b.admit(now.Add(-time.Hour), 0); ok {
		t.Error("a clock that goes back fills the budget")
	}
	if _, ok := b.admit(now.Add(wait), 0); !ok {
		t.Error("refused after the time that it asked for")
	}
}

func TestBudgetIsSplitOverRanges(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := newBudget(20000, 2, now)
	b.spend(now, 0, 10000.5)
	if _, ok := b.admit(now, 0); ok {
		t.Error("range 0 has used up its half and is admitted")
	}
	if _, ok := b.admit(now, 1); !ok {
		t.Error("range 1 is refused for what range 0 used")
	}
	if _, ok := b.admit(now, 3); !ok {
		t.Error("the range of a container with more ranges is refused")
	}
}

func TestBudgetChangesAtOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	b := newBudget(400, 1, now)
	b.spend(now, 0, 800)
	slow, _ := b.admit(now, 0)
	b.set(4000, now)
	fast, ok := b.admit(now, 0)
	if ok || fast >= slow/5 {
		t.Errorf("a debt of 400 RU takes %v at 400 RU/s and %v at 4000", slow, fast)
	}
	b.set(unlimited, now)
	if _, ok := b.admit(now, 0); !ok {
		t.Error("refused without a limit")
	}
	b.set(400, now)
	if _, ok := b.admit(now, 0); !ok {
		t.Error("a new limit begins with a full budget")
	}
}

// Whatever clients do, what is spent does not exceed the rate by more than one
// second's worth and the last request on each range.
func TestBudgetHoldsTheRate(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 2))
	start := time.Unix(1000, 0)
	now, spent, worst := start, 0.0, 0.0
	const rate = 1000
	b := newBudget(rate, 1, now)
	for now.Sub(start) < time.Minute {
		if _, ok := b.admit(now, 0); ok {
			ru := r.Float64() * 50
			b.spend(now, 0, ru)
			spent += ru
		}
		worst = max(worst, spent-rate*now.Sub(start).Seconds())
		now = now.Add(time.Duration(r.IntN(20)) * time.Millisecond)
	}
	if worst > rate+50 {
		t.Errorf("%.0f RU more than the rate allows", worst)
	}
	if spent < 0.95*rate*60 {
		t.Errorf("%.0f RU in a minute at %d RU/s although always asked for", spent, rate)
	}
}

// Many clients that write at once, and come back when they are told to, all get
// in within the attempts that SDKs make.
func TestBudgetGivesTurns(t *testing.T) {
	t.Parallel()
	const clients, rate, cost, attempts = 150, 400, 5.6, 9
	r := rand.New(rand.NewPCG(7, 3))
	start := time.Unix(1000, 0)
	b := newBudget(rate, 1, start)
	due := make([]time.Time, clients)
	for i := range due {
		due[i] = start.Add(time.Duration(r.IntN(20)) * time.Millisecond)
	}
	tries := make([]int, clients)
	var last time.Time
	for waiting := clients; waiting > 0; {
		next := -1
		for i := range due {
			if !due[i].IsZero() && (next < 0 || due[i].Before(due[next])) {
				next = i
			}
		}
		now := due[next]
		wait, ok := b.admit(now, 0)
		if ok {
			b.spend(now, 0, cost)
			due[next], last = time.Time{}, now
			waiting--
			continue
		}
		if tries[next]++; tries[next] > attempts {
			t.Fatalf("client %d is refused %d times, with %d others still waiting after %v", next, tries[next], waiting-1, now.Sub(start))
		}
		due[next] = now.Add(wait + time.Duration(r.IntN(10))*time.Millisecond) // they are never punctual
	}
	if took, least := last.Sub(start), (clients*cost/rate-1)*float64(time.Second); took > time.Duration(2*least)+time.Second {
		t.Errorf("it took %v, although %v would do", took, time.Duration(least))
	}
}

func TestCharges(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		what     string
		got      float64
		from, to float64
	}{
		{"point read of 1 KB", chargeRead(1000), 1, 1},
		{"point read of 100 KB", chargeRead(100 << 10), 9.9, 10.1},
		{"read of nothing", chargeRead(0), 1, 1},
		{"write of 1 KB without indexes", chargeInsert(1024, 0, 0), 4.9, 5.1},
		{"write of 100 KB without indexes", chargeInsert(100<<10, 0, 0), 49, 51},
		{"event of the samples", chargeInsert(1150, 3, 1), 7.7, 7.9},
		{"replaced event", chargeReplace(1150, 3, 1150, 3, 1), 13, 15.5},
		{"empty query", chargeQuery(0, 0, 0), 2.3, 2.9},
		{"the service's example of a scan", chargeQuery(60951, 399_998_938, 100), 3600, 4300},
		{"page of 100 items of 1 KB", chargeFeed(100, 100<<10), 5, 15},
	} {
		if tt.got < tt.from || tt.got > tt.to {
			t.Errorf("%s: %v RU, want %v to %v", tt.what, tt.got, tt.from, tt.to)
		}
	}
}

// TestBudgetSteps: the more comes in, the more is done at a time.
func TestBudgetSteps(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ units, ranges, want int }{
		{unlimited, 1, maxBatchOps}, {400, 1, leastStep}, {4000, 1, 50}, {100_000, 10, maxBatchOps}, {1_000_000, 1, maxBatchOps},
	} {
		if got := newBudget(c.units, c.ranges, time.Now()).step(); got != c.want {
			t.Errorf("%d over %d ranges: %d, want %d", c.units, c.ranges, got, c.want)
		}
	}
}
