package timing

import (
	"fmt"
	"slices"
)

// Options make a [Stream].
type Options[T any] struct {
	Policy Policy
	// Partitions are those that the stream waits for from the start. Others
	// join with their first event. With one partition and no out-of-order
	// tolerance events pass without waiting.
	Partitions []int32
	// Substreams says that the query has TIMESTAMP BY ... OVER: every key of a
	// partition is a timeline of its own. Silent ones are forgotten once the
	// late tolerance makes them meaningless; where time moves by events alone
	// nothing does, and all are kept until the end, within Limit.
	Substreams bool
	// Limit bounds the bytes of waiting events and of the state of substreams.
	// 0 means no bound.
	Limit int64
	// Emit takes the events in order with their final time. It must not call
	// the stream's methods that change it.
	Emit func(time int64, item T)
	// Keep, if set, is called for an item that has to wait, and returns what
	// is kept: a copy that owns its memory. Items that are emitted at once do
	// not pass through it.
	Keep func(item T) T
}

// Stream gives the events of one use of an input their time and order. Its
// methods must not be called concurrently.
type Stream[T any] struct {
	opt    Options[T]
	ooo    int64
	floors bool

	parts []*partition[T]
	byID  map[int32]*partition[T]
	last  *partition[T] // of the last event; most often also of the next one

	// watermark is the least of the partitions'; the queue holds what is not
	// below it. With substreams the queues are in the partitions.
	watermark int64
	queue     queue[T]

	items    int
	bytes    int64
	counters Counters
}

type partition[T any] struct {
	id    int32
	index int32
	done  bool
	// clock is the latest arrival time, a real or an estimated one.
	clock int64
	// watermark is that of the partition's timeline. With substreams it is the
	// part of it that comes from the clock and holds for all of them.
	watermark int64
	seq       uint64
	subs      substreams[T]
}

// entryCost is what an event that waits takes beside its own memory.
const entryCost = 64

// NewStream makes a stream. It fails for a policy that is not valid.
func NewStream[T any](o Options[T]) (*Stream[T], error) {
	if err := o.Policy.Validate(); err != nil {
		return nil, fmt.Errorf("time policy: %w", err)
	}
	switch {
	case o.Emit == nil:
		return nil, fmt.Errorf("time policy: a stream needs somewhere to emit to")
	case o.Substreams && !o.Policy.Applies:
		return nil, fmt.Errorf("time policy: substreams need TIMESTAMP BY")
	}
	o.Partitions = slices.Clone(o.Partitions)
	s := &Stream[T]{opt: o, floors: o.Policy.floors(), watermark: Never, byID: map[int32]*partition[T]{}}
	if o.Policy.Applies {
		s.ooo = o.Policy.OutOfOrder
	}
	for _, id := range o.Partitions {
		s.partition(id)
	}
	return s, nil
}

// partition finds a partition and makes it if it is new. A new one can not take
// back what was emitted already: it starts at the stream's watermark.
func (s *Stream[T]) partition(id int32) *partition[T] {
	p := s.byID[id]
	if p == nil {
		p = &partition[T]{id: id, index: int32(len(s.parts)), clock: Never, watermark: s.watermark, done: s.watermark == Always}
		s.parts = append(s.parts, p)
		s.byID[id] = p
	}
	s.last = p
	return p
}

// Push takes the next event of a partition, in the partition's order. sub is the
// key of its substream and is not kept; it is ignored without substreams. size is
// the item's memory in bytes, for the limit.
//
// An error means that the event was not taken. A *[FullError] says that too much
// waits: after other partitions went on, or were idle, the same event can be
// pushed again.
func (s *Stream[T]) Push(partition int32, sub []byte, eventTime, arrival int64, item T, size int) (Outcome, error) {
	p := s.last
	if p == nil || p.id != partition {
		p = s.partition(partition)
	}
	if p.done {
		return Kept, fmt.Errorf("an event of partition %d came after the partition's end", partition)
	}
	if arrival > p.clock {
		s.advance(p, arrival)
	}
	t, outcome, late := eventTime, Kept, false
	policy := &s.opt.Policy
	switch {
	case !policy.Applies:
		t = arrival
	case policy.NoArrival:
	case eventTime > plus(arrival, Early):
		return s.count(DroppedEarly, false, false), nil
	case !policy.Replay && eventTime < minus(arrival, policy.Late):
		if policy.Mode == Drop {
			return s.count(DroppedLate, true, false), nil
		}
		t, outcome, late = arrival-policy.Late, Adjusted, true
	}
	if s.opt.Substreams {
		return s.pushSub(p, sub, t, outcome, late, item, size)
	}
	outOfOrder := false
	if t < p.watermark {
		outOfOrder = policy.Applies
		if outOfOrder && policy.Mode == Drop {
			return s.count(DroppedOutOfOrder, late, true), nil
		}
		t, outcome = p.watermark, Adjusted
	}
	if w := minus(t, s.ooo); w > p.watermark {
		s.raise(p, w)
	}
	if len(s.parts) == 1 && t <= p.watermark {
		s.opt.Emit(t, item)
	} else {
		if err := s.room(int64(size) + entryCost); err != nil {
			return Kept, err
		}
		s.hold(&s.queue, p, t, item, size)
	}
	return s.count(outcome, late, outOfOrder), nil
}

func (s *Stream[T]) count(o Outcome, late, outOfOrder bool) Outcome {
	c := &s.counters
	c.InputEvents++
	if o == Kept {
		return o
	}
	if late {
		c.LateInputEvents++
	}
	if outOfOrder {
		c.OutOfOrderEvents++
	}
	switch o {
	case DroppedEarly:
		c.EarlyInputEvents++
		c.Dropped++
	case DroppedLate, DroppedOutOfOrder:
		c.Dropped++
	default:
		c.Adjusted++
	}
	return o
}

// Idle tells that nothing more arrived in a partition up to the arrival time now.
// That is most often an estimate, see [EstimatedArrival] and [Stream.Clock], and
// only of a partition that has been read to its end: one that has a backlog is not
// idle. Idle does nothing where time moves by events alone.
func (s *Stream[T]) Idle(partition int32, now int64) {
	p := s.last
	if p == nil || p.id != partition {
		p = s.partition(partition)
	}
	if p.done || now <= p.clock {
		return
	}
	s.advance(p, now)
	p.subs.sweep(s, p, sweepIdle)
}

// advance moves a partition's clock and with it what can still come.
func (s *Stream[T]) advance(p *partition[T], arrival int64) {
	p.clock = arrival
	if !s.floors {
		return
	}
	if floor := minus(arrival, s.opt.Policy.Late); floor > p.watermark {
		s.raise(p, floor)
	}
}

// raise moves a partition's watermark and emits what it lets pass. Within Emit
// the stream still has the watermark from before, so that a caller who looks does
// not take for complete what is just being emitted.
func (s *Stream[T]) raise(p *partition[T], w int64) {
	if s.opt.Substreams {
		p.subs.pass(s, p, w)
	}
	slowest := p.watermark == s.watermark
	p.watermark = w
	if !slowest {
		return
	}
	if len(s.parts) > 1 {
		// Others may still bring events with exactly this time, which belong
		// before some of those that wait.
		for _, o := range s.parts {
			w = min(w, o.watermark)
		}
		for len(s.queue) > 0 && (s.queue[0].time < w || w == Always) {
			s.release(&s.queue)
		}
	} else {
		for len(s.queue) > 0 && s.queue[0].time <= w {
			s.release(&s.queue)
		}
	}
	s.watermark = w
}

// hold lets an event wait, for which there is room.
func (s *Stream[T]) hold(q *queue[T], p *partition[T], t int64, item T, size int) {
	if s.opt.Keep != nil {
		item = s.opt.Keep(item)
	}
	p.seq++
	q.push(entry[T]{time: t, seq: p.seq, part: p.index, size: int32(size), item: item})
	s.items++
	s.bytes += int64(size) + entryCost
}

// release emits the first event of a queue.
func (s *Stream[T]) release(q *queue[T]) {
	e := q.pop()
	s.items--
	s.bytes -= int64(e.size) + entryCost
	s.opt.Emit(e.time, e.item)
}

// FullError says that the events that wait, or the substreams, need more memory
// than the stream's limit.
type FullError struct {
	// Limit and Bytes are what is allowed and what is used.
	Limit, Bytes int64
	// Items wait; Substreams are known.
	Items, Substreams int
	// Slowest is the partition that the others wait for, if Partitions is
	// more than one.
	Slowest    int32
	Partitions int
}

func (e *FullError) Error() string {
	what := fmt.Sprintf("%d events that wait for their order", e.Items)
	hint := "use a shorter out-of-order tolerance"
	switch {
	case e.Substreams > 0:
		what += fmt.Sprintf(" and %d substreams", e.Substreams)
		hint = "use a shorter late arrival or out-of-order tolerance"
	case e.Partitions > 1:
		what += fmt.Sprintf(" and for partition %d", e.Slowest)
		hint = "read the slowest partition first"
	}
	return fmt.Sprintf("%s need %d of the allowed %d bytes; %s, or allow more memory", what, e.Bytes, e.Limit, hint)
}

// room says whether so many bytes more are within the limit.
func (s *Stream[T]) room(cost int64) error {
	if s.opt.Limit <= 0 || s.bytes+cost <= s.opt.Limit {
		return nil
	}
	return &FullError{Limit: s.opt.Limit, Bytes: s.bytes, Items: s.items, Substreams: s.Substreams(), Slowest: s.Slowest(), Partitions: len(s.parts)}
}

// FinishPartition tells that a partition has ended. The others no longer wait for
// it.
func (s *Stream[T]) FinishPartition(partition int32) {
	if p := s.partition(partition); !p.done {
		p.done = true
		s.raise(p, Always)
	}
}

// Finish tells that the input has ended. Everything that waits is emitted and
// the watermark is past all times.
func (s *Stream[T]) Finish() {
	for _, p := range s.parts {
		if !p.done {
			p.done = true
			s.raise(p, Always)
		}
	}
	s.watermark = Always
}

// Watermark says that no event with an earlier time will be emitted. It is that
// of the slowest partition, [Never] as long as one of them is unknown, and
// [Always] at the end of the input. It never goes back. With substreams it holds
// for all of them; most are ahead of it.
func (s *Stream[T]) Watermark() int64 { return s.watermark }

// SubstreamWatermark is the watermark of one substream: no event of it with an
// earlier time will be emitted.
func (s *Stream[T]) SubstreamWatermark(partition int32, sub []byte) int64 {
	p := s.byID[partition]
	if p == nil {
		return s.watermark
	}
	if b := p.subs.byKey[string(sub)]; b != nil {
		return max(b.watermark, p.watermark)
	}
	return p.watermark
}

// Clock is the latest arrival time of a partition. ok is false if there was none.
func (s *Stream[T]) Clock(partition int32) (arrival int64, ok bool) {
	p := s.byID[partition]
	if p == nil || p.clock == Never {
		return 0, false
	}
	return p.clock, true
}

// Slowest is the partition that holds the watermark back, the one to read next.
// It is 0 if there are no partitions.
func (s *Stream[T]) Slowest() int32 {
	var slowest *partition[T]
	for _, p := range s.parts {
		if slowest == nil || p.watermark < slowest.watermark {
			slowest = p
		}
	}
	if slowest == nil {
		return 0
	}
	return slowest.id
}

// Buffered tells how many events wait, and how many bytes they and the state of
// substreams take.
func (s *Stream[T]) Buffered() (items int, bytes int64) { return s.items, s.bytes }

// Substreams is the number of substreams that are kept.
func (s *Stream[T]) Substreams() int {
	n := 0
	for _, p := range s.parts {
		n += len(p.subs.list)
	}
	return n
}

// Counters returns what was counted so far. They are part of the state.
func (s *Stream[T]) Counters() Counters { return s.counters }
