package hub

import (
	"testing"
	"time"
)

// clock is set by hand.
type clock struct{ t time.Time }

func (c *clock) now() time.Time          { return c.t }
func (c *clock) advance(d time.Duration) { c.t = c.t.Add(d) }

func TestQuotaIngress(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1000, 250e6)}
	q := newQuota(2, c.now)
	for _, step := range []struct {
		what    string
		advance time.Duration
		events  int
		bytes   int64
		ok      bool
		wait    time.Duration
	}{
		{"events up to the limit", 0, 2000, 1000, true, 0},
		{"one too many", 0, 1, 1, false, 750 * time.Millisecond},
		{"still the same second", 700 * time.Millisecond, 1, 1, false, 50 * time.Millisecond},
		{"the next second", 50 * time.Millisecond, 1, 2<<20 - 1, true, 0},
		{"bytes up to the limit", 0, 1, 1, true, 0},
		{"a byte too many", 0, 1, 1, false, time.Second},
		{"more than a second's bytes, after a pause", 5 * time.Second, 1, 5 << 20, true, 0},
		{"is paid for by the next second", time.Second, 1, 1, false, time.Second},
		{"and half by the one after", time.Second, 1, 1 << 20, true, 0},
		{"but no more", 0, 1, 1, false, time.Second},
		{"a clock set back begins anew", -time.Hour, 2000, 1, true, 0},
	} {
		c.advance(step.advance)
		wait, ok := q.TryIngress(step.events, step.bytes)
		if ok != step.ok || wait != step.wait {
			t.Errorf("%s: TryIngress = %v, %v; want %v, %v", step.what, wait, ok, step.wait, step.ok)
		}
	}
	got := q.Counts()
	if got.AcceptedEvents != 2000+1+1+1+1+2000 || got.ThrottledRequests != 5 || got.ThrottledEvents != 5 {
		t.Errorf("counts: %+v", got)
	}
}

func TestQuotaEgress(t *testing.T) {
	t.Parallel()
	c := &clock{time.Unix(1000, 0)}
	q := newQuota(1, c.now)
	if w := q.Egress(4095, 1); w != 0 {
		t.Errorf("below the limit: wait %v", w)
	}
	if w := q.Egress(1, 1); w != time.Second {
		t.Errorf("at the limit: wait %v", w)
	}
	if w := q.Egress(2*4096, 1); w != 3*time.Second {
		t.Errorf("three seconds' worth: wait %v", w)
	}
	c.advance(3 * time.Second)
	if w := q.Egress(1, 2<<20); w != time.Second {
		t.Errorf("a second's bytes: wait %v", w)
	}
	if got := q.Counts(); got.SentEvents != 4096*3+1 || got.PacedRequests != 3 {
		t.Errorf("counts: %+v", got)
	}
}

func TestQuotaWithoutLimit(t *testing.T) {
	t.Parallel()
	q := NewQuota(0)
	if q.Limits() != (Limits{}) || q.Units() != 0 {
		t.Errorf("limits: %+v", q.Limits())
	}
	for range 100 {
		if _, ok := q.TryIngress(1e6, 1e9); !ok || q.Egress(1e6, 1e9) != 0 {
			t.Fatal("something is limited")
		}
	}
	if got := q.Counts(); got.AcceptedEvents != 1e8 || got.SentBytes != 1e11 {
		t.Errorf("counts: %+v", got)
	}
}
