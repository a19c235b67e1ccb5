package hub

import (
	"sync"
	"sync/atomic"
	"time"
)

// Limits are what a quota allows per second; all zero: unlimited.
type Limits struct {
	IngressEvents, IngressBytes int64
	EgressEvents, EgressBytes   int64
}

// What one throughput unit is, per second.
const (
	unitIngressEvents = 1000
	unitIngressBytes  = 1 << 20
	unitEgressEvents  = 4096
	unitEgressBytes   = 2 << 20
)

// QuotaCounts are what went through a quota since it was made.
type QuotaCounts struct {
	// AcceptedEvents and AcceptedBytes came in.
	AcceptedEvents, AcceptedBytes int64
	// ThrottledEvents and ThrottledRequests were refused by TryIngress.
	ThrottledEvents, ThrottledRequests int64
	// SentEvents and SentBytes went out; PacedRequests is how often Egress
	// asked for a pause.
	SentEvents, SentBytes, PacedRequests int64
}

// Quota is the throughput units of a namespace: what comes in and goes out in
// each second, over all its hubs and all protocols. Each unit allows 1 MB or
// 1000 events in and 2 MB or 4096 events out. With 0 units nothing is limited
// and only the counters are kept. It is safe for concurrent use.
type Quota struct {
	limits Limits
	units  int
	now    func() time.Time

	accepted, acceptedBytes, throttled, throttledRequests atomic.Int64
	sent, sentBytes, paced                                atomic.Int64

	mu      sync.Mutex
	in, out window
}

// window is what was let through in one second.
type window struct {
	second        int64
	events, bytes int64
}

// at moves the window to the second of now. What went over the limit of a
// second counts against the next ones.
func (w *window) at(now time.Time, events, bytes int64) {
	s := now.Unix()
	passed := s - w.second
	if passed == 0 {
		return
	}
	// A clock that was set back begins anew.
	if passed < 0 || passed > 3600 {
		w.events, w.bytes = 0, 0
	} else {
		w.events = max(0, w.events-passed*events)
		w.bytes = max(0, w.bytes-passed*bytes)
	}
	w.second = s
}

// NewQuota makes a quota of so many throughput units; 0: unlimited.
func NewQuota(units int) *Quota { return newQuota(units, time.Now) }

func newQuota(units int, now func() time.Time) *Quota {
	n := int64(max(0, units))
	return &Quota{units: int(n), now: now, limits: Limits{
		IngressEvents: n * unitIngressEvents, IngressBytes: n * unitIngressBytes,
		EgressEvents: n * unitEgressEvents, EgressBytes: n * unitEgressBytes,
	}}
}

// Units returns the number of throughput units, 0 if unlimited.
func (q *Quota) Units() int { return q.units }

// Limits returns what is allowed per second.
func (q *Quota) Limits() Limits { return q.limits }

// TryIngress asks to let events of so many bytes in, all or none. If there is
// no room in this second, ok is false and wait is how long it is until there
// may be. A single request beyond a whole second's allowance is let in when its
// second is untouched, and the seconds after pay for it.
func (q *Quota) TryIngress(events int, bytes int64) (wait time.Duration, ok bool) {
	if q.units > 0 {
		now := q.now()
		q.mu.Lock()
		q.in.at(now, q.limits.IngressEvents, q.limits.IngressBytes)
		fresh := q.in.events == 0 && q.in.bytes == 0
		if !fresh && (q.in.events+int64(events) > q.limits.IngressEvents || q.in.bytes+bytes > q.limits.IngressBytes) {
			wait = q.in.wait(now, q.limits.IngressEvents, q.limits.IngressBytes)
			q.mu.Unlock()
			q.throttled.Add(int64(events))
			q.throttledRequests.Add(1)
			return wait, false
		}
		q.in.events += int64(events)
		q.in.bytes += bytes
		q.mu.Unlock()
	}
	q.accepted.Add(int64(events))
	q.acceptedBytes.Add(bytes)
	return 0, true
}

// Egress notes that events of so many bytes go out, and returns how long to
// pause before more may follow.
func (q *Quota) Egress(events int, bytes int64) (wait time.Duration) {
	q.sent.Add(int64(events))
	q.sentBytes.Add(bytes)
	if q.units == 0 {
		return 0
	}
	now := q.now()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.out.at(now, q.limits.EgressEvents, q.limits.EgressBytes)
	q.out.events += int64(events)
	q.out.bytes += bytes
	if q.out.events < q.limits.EgressEvents && q.out.bytes < q.limits.EgressBytes {
		return 0
	}
	q.paced.Add(1)
	return q.out.wait(now, q.limits.EgressEvents, q.limits.EgressBytes)
}

// wait is how long it is until the window has room again.
func (w *window) wait(now time.Time, events, bytes int64) time.Duration {
	seconds := max(1, w.events/events, w.bytes/bytes)
	return time.Unix(w.second+seconds, 0).Sub(now)
}

// Counts returns what went through so far.
func (q *Quota) Counts() QuotaCounts {
	return QuotaCounts{
		AcceptedEvents: q.accepted.Load(), AcceptedBytes: q.acceptedBytes.Load(),
		ThrottledEvents: q.throttled.Load(), ThrottledRequests: q.throttledRequests.Load(),
		SentEvents: q.sent.Load(), SentBytes: q.sentBytes.Load(), PacedRequests: q.paced.Load(),
	}
}
