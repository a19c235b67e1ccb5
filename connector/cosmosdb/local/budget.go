package local

import (
	"math"
	"sync"
	"time"
)

// budget is the request units of one container, or of all containers that share
// a database's throughput, split evenly over physical ranges.
//
// Each range holds at most one second's worth, refilled continuously. A request
// is admitted while there is anything left and charged afterwards, when what it
// cost is known, so a range can be in debt; it then refuses until refilled.
// budget is safe for concurrent use.
type budget struct {
	mu     sync.RWMutex
	rate   float64 // request units per second and range; 0 is unlimited
	ranges []allowance
}

type allowance struct {
	mu   sync.Mutex
	left float64 // negative: debt
	at   time.Time
	_    [24]byte // keeps neighbours out of one cache line
}

// unlimited as a throughput refuses nothing.
const unlimited = -1

// newBudget makes a full budget of ru request units per second, or unlimited,
// over n ranges.
func newBudget(ru, n int, now time.Time) *budget {
	b := &budget{ranges: make([]allowance, max(n, 1))}
	b.rate = b.rateOf(ru)
	for i := range b.ranges {
		b.ranges[i].left, b.ranges[i].at = b.rate, now
	}
	return b
}

func (b *budget) rateOf(ru int) float64 {
	if ru == unlimited {
		return 0
	}
	return float64(max(ru, 1)) / float64(len(b.ranges))
}

// set changes the throughput at once. A range keeps the share of its second
// that was left, and its debt.
func (b *budget) set(ru int, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	rate := b.rateOf(ru)
	for i := range b.ranges {
		a := &b.ranges[i]
		a.refill(now, b.rate)
		switch {
		case b.rate == 0:
			a.left = rate
		case a.left > 0:
			a.left *= rate / b.rate
		}
	}
	b.rate = rate
}

// admit tells whether a request may run on a range now, else after which time
// to try again.
func (b *budget) admit(now time.Time, rangeID int) (wait time.Duration, ok bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.rate == 0 {
		return 0, true
	}
	a := b.slot(rangeID)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.refill(now, b.rate)
	if a.left > 0 {
		return 0, true
	}
	seconds := -a.left / b.rate
	return time.Duration(math.Ceil(seconds*1000)+1) * time.Millisecond, false
}

// spend takes ru request units from a range.
func (b *budget) spend(now time.Time, rangeID int, ru float64) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.rate == 0 {
		return
	}
	a := b.slot(rangeID)
	a.mu.Lock()
	a.refill(now, b.rate)
	a.left -= ru
	a.mu.Unlock()
}

// slot is the allowance of a range. A container that shares a database's budget
// may have another number of ranges than the database.
func (b *budget) slot(rangeID int) *allowance {
	if rangeID < 0 {
		rangeID = 0
	}
	return &b.ranges[rangeID%len(b.ranges)]
}

// refill adds what has come in since the last time. A clock that goes back adds
// nothing.
func (a *allowance) refill(now time.Time, rate float64) {
	passed := now.Sub(a.at)
	if passed <= 0 {
		return
	}
	a.at = now
	a.left = min(rate, a.left+passed.Seconds()*rate)
}
