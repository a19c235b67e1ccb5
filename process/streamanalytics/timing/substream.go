package timing

// substream is the timeline of one key of a partition.
type substream[T any] struct {
	key       string
	watermark int64
	queue     queue[T]
	// ready is the place in the partition's heap of substreams that have
	// events waiting, -1 outside of it.
	ready int
}

// substreams are those of one partition. One that is silent is forgotten when the
// partition's watermark, which the arrival clock moves, has passed its own: a new
// substream would then start with the same watermark.
type substreams[T any] struct {
	byKey map[string]*substream[T]
	// list has all of them in no order; cursor goes around in it to find the
	// ones to forget.
	list   []*substream[T]
	cursor int
	// ready is a heap of those with events waiting, by their first event.
	ready []*substream[T]
	// latest is not below any substream's watermark.
	latest int64
}

const (
	// substreamCost is what a substream takes beside its key: its struct, and
	// its places in the map and in the list.
	substreamCost = 192
	// sweepPush and sweepIdle are how many substreams are looked at with every
	// event, and with every idle tick. An event adds one substream at most and
	// looks at two, so what is kept is at most about twice what has a meaning.
	sweepPush = 2
	sweepIdle = 4096
)

// pushSub is the part of Push from the watermark on, for a substream.
func (s *Stream[T]) pushSub(p *partition[T], key []byte, t int64, outcome Outcome, late bool, item T, size int) (Outcome, error) {
	p.subs.sweep(s, p, sweepPush)
	sub := p.subs.byKey[string(key)]
	wm := p.watermark
	if sub != nil {
		wm = max(wm, sub.watermark)
	}
	outOfOrder := t < wm
	if outOfOrder {
		if s.opt.Policy.Mode == Drop {
			return s.count(DroppedOutOfOrder, late, true), nil
		}
		t, outcome = wm, Adjusted
	}
	wm = max(wm, minus(t, s.ooo))
	if sub == nil && (wm > p.watermark || t > wm) {
		var err error
		if sub, err = p.subs.add(s, p, key); err != nil {
			return Kept, err
		}
	}
	if sub != nil && wm > sub.watermark {
		for len(sub.queue) > 0 && sub.queue[0].time <= wm {
			s.release(&sub.queue)
		}
		sub.watermark = wm
		p.subs.latest = max(p.subs.latest, wm)
		p.subs.place(sub)
	}
	if t <= wm {
		s.opt.Emit(t, item)
	} else {
		if err := s.room(int64(size) + entryCost); err != nil {
			return Kept, err
		}
		s.hold(&sub.queue, p, t, item, size)
		p.subs.place(sub)
	}
	return s.count(outcome, late, outOfOrder), nil
}

// add makes a substream, if need be after all others were looked at.
func (b *substreams[T]) add(s *Stream[T], p *partition[T], key []byte) (*substream[T], error) {
	cost := int64(len(key)) + substreamCost
	if s.room(cost) != nil {
		b.sweep(s, p, len(b.list))
		if err := s.room(cost); err != nil {
			return nil, err
		}
	}
	if b.byKey == nil {
		b.byKey = map[string]*substream[T]{}
		b.latest = Never
	}
	sub := &substream[T]{key: string(key), watermark: Never, ready: -1}
	b.byKey[sub.key] = sub
	b.list = append(b.list, sub)
	s.bytes += cost
	return sub, nil
}

// sweep looks at n substreams and forgets those that mean nothing any more.
func (b *substreams[T]) sweep(s *Stream[T], p *partition[T], n int) {
	if len(b.list) > sweepIdle && len(b.ready) == 0 && b.latest <= p.watermark {
		b.clear(s)
		return
	}
	for n = min(n, len(b.list)); n > 0; n-- {
		if b.cursor >= len(b.list) {
			b.cursor = 0
		}
		sub := b.list[b.cursor]
		if len(sub.queue) > 0 || sub.watermark > p.watermark {
			b.cursor++
			continue
		}
		last := len(b.list) - 1
		b.list[b.cursor] = b.list[last]
		b.list[last] = nil
		b.list = b.list[:last]
		delete(b.byKey, sub.key)
		s.bytes -= int64(len(sub.key)) + substreamCost
	}
}

// clear forgets all substreams, none of which has events waiting.
func (b *substreams[T]) clear(s *Stream[T]) {
	for _, sub := range b.list {
		s.bytes -= int64(len(sub.key)) + substreamCost
	}
	*b = substreams[T]{}
}

// pass emits what waits in all substreams up to the time w, in order over all of
// them, so that it does not matter in how many steps w is reached.
func (b *substreams[T]) pass(s *Stream[T], p *partition[T], w int64) {
	for len(b.ready) > 0 && b.ready[0].queue[0].time <= w {
		sub := b.ready[0]
		s.release(&sub.queue)
		b.place(sub)
	}
	if w == Always {
		b.clear(s)
	}
}

// place puts a substream where it belongs in the heap after its queue changed.
func (b *substreams[T]) place(sub *substream[T]) {
	if sub.ready < 0 {
		if len(sub.queue) == 0 {
			return
		}
		sub.ready = len(b.ready)
		b.ready = append(b.ready, sub)
	}
	if len(sub.queue) > 0 {
		if !b.up(sub) {
			b.down(sub)
		}
		return
	}
	last := len(b.ready) - 1
	moved, at := b.ready[last], sub.ready
	b.ready[last] = nil
	b.ready = b.ready[:last]
	sub.ready = -1
	sub.queue = nil // silent ones are many; their arrays would add up
	if moved != sub {
		b.ready[at], moved.ready = moved, at
		if !b.up(moved) {
			b.down(moved)
		}
	}
}

func (b *substreams[T]) up(sub *substream[T]) (moved bool) {
	for i := sub.ready; i > 0; {
		above := (i - 1) / 2
		if !sub.queue[0].before(&b.ready[above].queue[0]) {
			break
		}
		b.swap(i, above)
		i, moved = above, true
	}
	return moved
}

func (b *substreams[T]) down(sub *substream[T]) {
	for i := sub.ready; ; {
		below := 2*i + 1
		if below >= len(b.ready) {
			return
		}
		if below+1 < len(b.ready) && b.ready[below+1].queue[0].before(&b.ready[below].queue[0]) {
			below++
		}
		if !b.ready[below].queue[0].before(&sub.queue[0]) {
			return
		}
		b.swap(i, below)
		i = below
	}
}

func (b *substreams[T]) swap(i, j int) {
	b.ready[i], b.ready[j] = b.ready[j], b.ready[i]
	b.ready[i].ready, b.ready[j].ready = i, j
}
