package simulate

import (
	"container/heap"
	"time"

	"millrace/record"
)

// maxDepth bounds outOfOrderDepth.
const maxDepth = 64

// plan decides what the i-th event of this instance is. It has no state, so
// that a run can go on anywhere.
type plan struct {
	cfg      Config
	share    share
	schedule schedule
	seed     uint64
	salted   uint64 // mix of the seed, for choices per device
	// total is the number of unique events of this instance; unknown (the
	// largest number) while a run goes as fast as it can for some time.
	total int64
	// step is the usual time between two events of a device.
	step time.Duration
}

const unknownTotal = int64(1) << 62

func newPlan(cfg Config, seed uint64) *plan {
	p := &plan{cfg: cfg, share: cfg.share(), schedule: cfg.schedule(), seed: seed, salted: mix(seed ^ golden)}
	switch {
	case cfg.Events > 0:
		p.total = p.share.count(cfg.Events)
	case cfg.Rate > 0:
		p.total = p.share.count(p.schedule.before(cfg.Duration.D()))
	default:
		p.total = unknownTotal
	}
	p.step = time.Millisecond
	if cfg.Rate > 0 {
		p.step = time.Duration(min(float64(cfg.Devices)/cfg.Rate, 1e6) * 1e9)
	}
	return p
}

// paced tells whether there is a schedule.
func (p *plan) paced() bool { return p.cfg.Rate > 0 }

// due returns when event i is due, counted from the start of the schedule.
func (p *plan) due(i int64) time.Duration {
	if !p.paced() {
		return 0
	}
	return p.schedule.at(p.share.global(i))
}

// offered returns how many events are due within d.
func (p *plan) offered(d time.Duration) int64 {
	return min(p.total, p.share.count(p.schedule.before(d)))
}

// settle sets the total of a run that has gone on for its time: as few events
// as possible after the next-th, such that devices that shuffle their events
// have no gaps.
func (p *plan) settle(next int64) {
	if p.cfg.OutOfOrder > 0 {
		block := p.share.own * int64(p.cfg.OutOfOrderDepth)
		next = (next + block - 1) / block * block
	}
	p.total = next
}

// event returns event i, sent at the scheduled time (in microseconds).
func (p *plan) event(i, scheduled int64) event {
	device, turn := p.share.place(i)
	sequence, earlier := p.shuffled(i, device, turn)
	createdAt := scheduled - earlier.Microseconds()
	if p.cfg.Late > 0 && chance(mix(p.salted^saltLate^uint64(device)<<20), p.cfg.Late) {
		createdAt -= p.cfg.LateBy.D().Microseconds()
	}
	return newEvent(p.seed, uint32(device), sequence, createdAt)
}

// shuffled returns the sequence number that a device sends at its turn, and how
// long before it the event was created. Most devices send what they just
// created. The others collect as many events as they shuffle, so all of them
// are older, and their times follow their numbers.
func (p *plan) shuffled(i, device, turn int64) (sequence int64, earlier time.Duration) {
	if p.cfg.OutOfOrder == 0 || !chance(mix(p.salted^saltOutOfOrder^uint64(device)<<20), p.cfg.OutOfOrder) {
		return turn, 0
	}
	depth := int64(p.cfg.OutOfOrderDepth)
	first := turn / depth * depth
	// The last group may be smaller, so that no number is left out.
	size := min(depth, p.share.turns(i, p.total)-first)
	var order [maxDepth]int8
	for k := range size {
		order[k] = int8(k)
	}
	state := mix(p.salted ^ saltShuffle ^ uint64(device)<<40 ^ uint64(first))
	for k := size - 1; k > 0; k-- {
		state += golden
		j := mix(state) % uint64(k+1)
		order[k], order[j] = order[j], order[k]
	}
	k := turn - first
	sequence = first + int64(order[k])
	return sequence, time.Duration(depth-1+k-int64(order[k])) * p.step
}

// duplicate tells whether an event is sent again, and how long after it.
func (p *plan) duplicate(e *event) (again bool, after time.Duration) {
	if p.cfg.Duplicates == 0 || !chance(mix(e.state^saltDuplicate), p.cfg.Duplicates) {
		return false, 0
	}
	w := mix(e.state ^ saltDelay)
	if w&1 == 0 || p.cfg.DuplicateDelay == 0 {
		return true, 0
	}
	return true, time.Duration(float64(w>>11) / (1 << 53) * float64(p.cfg.DuplicateDelay))
}

// malformed tells whether a malformed payload goes with an event.
func (p *plan) malformed(e *event) bool {
	return p.cfg.Malformed > 0 && chance(mix(e.state^saltMalformed), p.cfg.Malformed)
}

// again is an event to be sent once more. The bytes are rendered anew: that is
// cheaper than to keep them.
type again struct {
	entry record.Entry
	at    time.Time
}

// againQueue is a heap of events to be sent once more, the earliest first.
type againQueue []again

func (q againQueue) Len() int           { return len(q) }
func (q againQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q againQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push implements heap.Interface.
func (q *againQueue) Push(v any) { *q = append(*q, v.(again)) }

// Pop implements heap.Interface.
func (q *againQueue) Pop() any {
	last := len(*q) - 1
	v := (*q)[last]
	*q = (*q)[:last]
	return v
}

// maxAgain bounds the duplicates that wait for their time; beyond it the
// earliest is sent at once.
const maxAgain = 1 << 16

func (q *againQueue) add(e record.Entry, at time.Time) { heap.Push(q, again{entry: e, at: at}) }

// take returns the earliest if its time has come, or if there are too many, or
// if everything has to go.
func (q *againQueue) take(now time.Time, all bool) (record.Entry, bool) {
	if len(*q) == 0 || !all && len(*q) <= maxAgain && (*q)[0].at.After(now) {
		return record.Entry{}, false
	}
	return heap.Pop(q).(again).entry, true
}
