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
//
// Those who are refused are told different times to come back, as far apart as
// what they will cost takes to come in: otherwise all would come at once, one
// would be admitted, and SDKs give up after nine attempts.
//
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
	// turn is when the next one who is refused may come back, and usual what
	// requests have cost of late.
	turn  time.Time
	usual float64
	_     [56]byte // keeps neighbours out of one cache line
}

// maxTurn bounds how long somebody waits for others who were refused before:
// they may never come back.
const maxTurn = time.Second

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
		a.turn = time.Time{} // turns were given by the old rate
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
	wait = time.Duration(math.Ceil(1000*-a.left/b.rate)+1) * time.Millisecond
	if turn := min(a.turn.Sub(now), maxTurn); turn > wait {
		wait = turn
	}
	a.turn = now.Add(wait + time.Duration(a.usual/b.rate*float64(time.Second)))
	return wait, false
}

// step is how many operations may be done on a range before asking again whether
// there is anything left: about what a tenth of a second brings in. What they
// cost is known only afterwards, so this bounds the debt of one request.
func (b *budget) step() int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.rate == 0 {
		return maxBatchOps
	}
	const usual = 8 // request units for an event of the samples
	return min(max(int(b.rate/10/usual), leastStep), maxBatchOps)
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
	if a.usual == 0 {
		a.usual = ru
	}
	a.usual += (ru - a.usual) / 8
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
