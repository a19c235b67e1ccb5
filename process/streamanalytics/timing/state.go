package timing

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"millrace/process/streamanalytics/codec"
)

const stateVersion = 1

var errCorrupt = errors.New("the state of a stream's time is damaged")

// AppendState appends the stream's state: clocks, watermarks, waiting events and
// counters. appendItem appends one item. Equal states have equal bytes.
func (s *Stream[T]) AppendState(dst []byte, appendItem func(dst []byte, item T) []byte) []byte {
	dst = codec.AppendBool(append(dst, stateVersion), s.opt.Substreams)
	for _, n := range s.counters.fields() {
		dst = codec.AppendInt(dst, *n)
	}
	dst = codec.AppendInt(dst, s.watermark)
	dst = codec.AppendUint(dst, uint64(len(s.parts)))
	for _, p := range s.parts {
		dst = codec.AppendInt(dst, int64(p.id))
		dst = codec.AppendBool(dst, p.done)
		dst = codec.AppendInt(dst, p.clock)
		dst = codec.AppendInt(dst, p.watermark)
		dst = codec.AppendUint(dst, p.seq)
		if s.opt.Substreams {
			dst = p.appendSubstreams(dst, appendItem)
		}
	}
	if !s.opt.Substreams {
		dst = appendQueue(dst, s.queue, appendItem)
	}
	return dst
}

// appendSubstreams leaves out those that mean nothing any more.
func (p *partition[T]) appendSubstreams(dst []byte, appendItem func([]byte, T) []byte) []byte {
	var subs []*substream[T]
	for _, sub := range p.subs.list {
		if len(sub.queue) > 0 || sub.watermark > p.watermark {
			subs = append(subs, sub)
		}
	}
	slices.SortFunc(subs, func(a, b *substream[T]) int { return cmp.Compare(a.key, b.key) })
	dst = codec.AppendUint(dst, uint64(len(subs)))
	for _, sub := range subs {
		dst = codec.AppendBytes(dst, sub.key)
		dst = codec.AppendInt(dst, sub.watermark)
		dst = appendQueue(dst, sub.queue, appendItem)
	}
	return dst
}

func appendQueue[T any](dst []byte, q queue[T], appendItem func([]byte, T) []byte) []byte {
	q = slices.Clone(q)
	slices.SortFunc(q, func(a, b entry[T]) int {
		if a.before(&b) {
			return -1
		}
		return 1
	})
	dst = codec.AppendUint(dst, uint64(len(q)))
	for i := range q {
		e := &q[i]
		dst = codec.AppendInt(dst, e.time)
		dst = codec.AppendUint(dst, e.seq)
		dst = codec.AppendUint(dst, uint64(e.part))
		dst = codec.AppendUint(dst, uint64(e.size))
		dst = appendItem(dst, e.item)
	}
	return dst
}

// ReadState replaces the stream's state by one that AppendState wrote, and returns
// what follows it. readItem reads one item and returns what follows it; it must
// copy what it keeps of b. Partitions that were made known to NewStream and are
// not in the state are added. The policy is not part of the state: with another one
// the rules change from here on. After an error the stream is as it was.
func (s *Stream[T]) ReadState(b []byte, readItem func(b []byte) (item T, rest []byte, err error)) (rest []byte, err error) {
	d := codec.NewDecoder(b, errCorrupt)
	n := &Stream[T]{opt: s.opt, ooo: s.ooo, floors: s.floors, byID: map[int32]*partition[T]{}}
	if v := d.Byte(); d.Err() == nil && v != stateVersion {
		return nil, fmt.Errorf("the state of a stream's time has version %d, not %d", v, stateVersion)
	}
	if subs := d.Bool(); d.Err() == nil && subs != s.opt.Substreams {
		return nil, errors.New("the state is of a query with another TIMESTAMP BY: only one of them has OVER")
	}
	for _, c := range n.counters.fields() {
		*c = d.Int()
	}
	n.watermark = d.Int()
	for parts := d.Count(1); parts > 0 && d.Err() == nil; parts-- {
		n.readPartition(d, readItem)
	}
	if !s.opt.Substreams {
		n.queue = readQueue(n, d, n.watermark, -1, readItem)
	}
	if d.Err() == nil && len(n.parts) > 0 {
		least := Always
		for _, p := range n.parts {
			least = min(least, p.watermark)
		}
		if least != n.watermark {
			d.Fail("the watermark is not the least of the partitions")
		}
	}
	if err := d.Err(); err != nil {
		return nil, err
	}
	for _, id := range n.opt.Partitions {
		n.partition(id)
	}
	n.last = nil
	*s = *n
	return d.Rest(), nil
}

func (s *Stream[T]) readPartition(d *codec.Decoder, readItem func([]byte) (T, []byte, error)) {
	id := d.Int()
	if id < math.MinInt32 || id > math.MaxInt32 || s.byID[int32(id)] != nil {
		d.Fail("a partition is out of range or there twice")
		return
	}
	p := s.partition(int32(id))
	p.done, p.clock, p.watermark, p.seq = d.Bool(), d.Int(), d.Int(), d.Uint()
	if !s.opt.Substreams {
		return
	}
	for subs := d.Count(1); subs > 0 && d.Err() == nil; subs-- {
		key := d.Bytes()
		if p.subs.byKey[string(key)] != nil {
			d.Fail("a substream is there twice")
		}
		if d.Err() != nil {
			return
		}
		limit := s.opt.Limit
		s.opt.Limit = 0 // what was within the bound stays, even if it is lower now
		sub, _ := p.subs.add(s, p, key)
		s.opt.Limit = limit
		sub.watermark = d.Int()
		p.subs.latest = max(p.subs.latest, sub.watermark)
		sub.queue = readQueue(s, d, max(sub.watermark, p.watermark), p.index, readItem)
		p.subs.place(sub)
	}
}

// readQueue reads events in order, which is a heap. None may be before from, and
// all are of the partition part if that is not negative.
func readQueue[T any](s *Stream[T], d *codec.Decoder, from int64, part int32, readItem func([]byte) (T, []byte, error)) queue[T] {
	var q queue[T]
	for n := d.Count(1); n > 0 && d.Err() == nil; n-- {
		e := entry[T]{time: d.Int(), seq: d.Uint()}
		index, size := d.Uint(), d.Uint()
		if d.Err() != nil {
			break
		}
		if index >= uint64(len(s.parts)) || size > math.MaxInt32 || e.time < from || part >= 0 && int32(index) != part || e.seq > s.parts[index].seq {
			d.Fail("an event that waits contradicts its partition")
			break
		}
		e.part, e.size = int32(index), int32(size)
		if len(q) > 0 && !q[len(q)-1].before(&e) {
			d.Fail("events that wait are out of order")
			break
		}
		d.Part(func(b []byte) (rest []byte, err error) {
			if e.item, rest, err = readItem(b); err != nil {
				err = fmt.Errorf("reading an event that waits for its order: %w", err)
			}
			return rest, err
		})
		if d.Err() != nil {
			break
		}
		q = append(q, e)
		s.items++
		s.bytes += int64(e.size) + entryCost
	}
	return q
}

func (c *Counters) fields() [6]*int64 {
	return [6]*int64{&c.InputEvents, &c.LateInputEvents, &c.OutOfOrderEvents, &c.EarlyInputEvents, &c.Dropped, &c.Adjusted}
}
