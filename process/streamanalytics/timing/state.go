package timing

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
)

const stateVersion = 1

var errCorrupt = errors.New("the state of a stream's time is damaged")

// AppendState appends the stream's state: clocks, watermarks, waiting events and
// counters. appendItem appends one item. Equal states have equal bytes.
func (s *Stream[T]) AppendState(dst []byte, appendItem func(dst []byte, item T) []byte) []byte {
	dst = append(dst, stateVersion, boolByte(s.opt.Substreams))
	for _, n := range s.counters.fields() {
		dst = binary.AppendVarint(dst, *n)
	}
	dst = binary.AppendVarint(dst, s.watermark)
	dst = binary.AppendUvarint(dst, uint64(len(s.parts)))
	for _, p := range s.parts {
		dst = binary.AppendVarint(dst, int64(p.id))
		dst = append(dst, boolByte(p.done))
		dst = binary.AppendVarint(dst, p.clock)
		dst = binary.AppendVarint(dst, p.watermark)
		dst = binary.AppendUvarint(dst, p.seq)
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
	dst = binary.AppendUvarint(dst, uint64(len(subs)))
	for _, sub := range subs {
		dst = binary.AppendUvarint(dst, uint64(len(sub.key)))
		dst = append(dst, sub.key...)
		dst = binary.AppendVarint(dst, sub.watermark)
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
	dst = binary.AppendUvarint(dst, uint64(len(q)))
	for i := range q {
		e := &q[i]
		dst = binary.AppendVarint(dst, e.time)
		dst = binary.AppendUvarint(dst, e.seq)
		dst = binary.AppendUvarint(dst, uint64(e.part))
		dst = binary.AppendUvarint(dst, uint64(e.size))
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
	d := &decoder{b: b}
	n := &Stream[T]{opt: s.opt, ooo: s.ooo, floors: s.floors, byID: map[int32]*partition[T]{}}
	if v := d.byte(); d.err == nil && v != stateVersion {
		return nil, fmt.Errorf("the state of a stream's time has version %d, not %d", v, stateVersion)
	}
	if subs := d.bool(); d.err == nil && subs != s.opt.Substreams {
		return nil, errors.New("the state is of a query with another TIMESTAMP BY: only one of them has OVER")
	}
	for _, c := range n.counters.fields() {
		*c = d.varint()
	}
	n.watermark = d.varint()
	for parts := d.count(); parts > 0 && d.err == nil; parts-- {
		n.readPartition(d, readItem)
	}
	if !s.opt.Substreams {
		n.queue = readQueue(n, d, n.watermark, -1, readItem)
	}
	if d.err == nil && len(n.parts) > 0 {
		least := Always
		for _, p := range n.parts {
			least = min(least, p.watermark)
		}
		if least != n.watermark {
			d.fail()
		}
	}
	if d.err != nil {
		return nil, d.err
	}
	for _, id := range n.opt.Partitions {
		n.partition(id)
	}
	n.last = nil
	*s = *n
	return d.b, nil
}

func (s *Stream[T]) readPartition(d *decoder, readItem func([]byte) (T, []byte, error)) {
	id := d.varint()
	if id < math.MinInt32 || id > math.MaxInt32 || s.byID[int32(id)] != nil {
		d.fail()
		return
	}
	p := s.partition(int32(id))
	p.done, p.clock, p.watermark, p.seq = d.bool(), d.varint(), d.varint(), d.uvarint()
	if !s.opt.Substreams {
		return
	}
	for subs := d.count(); subs > 0 && d.err == nil; subs-- {
		key := d.bytes(d.count())
		if p.subs.byKey[string(key)] != nil {
			d.fail()
		}
		if d.err != nil {
			return
		}
		limit := s.opt.Limit
		s.opt.Limit = 0 // what was within the bound stays, even if it is lower now
		sub, _ := p.subs.add(s, p, key)
		s.opt.Limit = limit
		sub.watermark = d.varint()
		p.subs.latest = max(p.subs.latest, sub.watermark)
		sub.queue = readQueue(s, d, max(sub.watermark, p.watermark), p.index, readItem)
		p.subs.place(sub)
	}
}

// readQueue reads events in order, which is a heap. None may be before from, and
// all are of the partition part if that is not negative.
func readQueue[T any](s *Stream[T], d *decoder, from int64, part int32, readItem func([]byte) (T, []byte, error)) queue[T] {
	var q queue[T]
	for n := d.count(); n > 0 && d.err == nil; n-- {
		e := entry[T]{time: d.varint(), seq: d.uvarint()}
		index, size := d.uvarint(), d.uvarint()
		if d.err != nil {
			break
		}
		if index >= uint64(len(s.parts)) || size > math.MaxInt32 || e.time < from || part >= 0 && int32(index) != part || e.seq > s.parts[index].seq {
			d.fail()
			break
		}
		e.part, e.size = int32(index), int32(size)
		if len(q) > 0 && !q[len(q)-1].before(&e) {
			d.fail()
			break
		}
		var err error
		if e.item, d.b, err = readItem(d.b); err != nil {
			d.err = fmt.Errorf("reading an event that waits for its order: %w", err)
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

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// decoder reads what the functions above wrote. After an error it returns zeros.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() {
	if d.err == nil {
		d.err = errCorrupt
	}
	d.b = nil
}

func (d *decoder) byte() byte {
	if len(d.b) == 0 {
		d.fail()
		return 0
	}
	v := d.b[0]
	d.b = d.b[1:]
	return v
}

func (d *decoder) bool() bool {
	v := d.byte()
	if v > 1 {
		d.fail()
	}
	return v == 1
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// count reads a number of things that take at least a byte each.
func (d *decoder) count() int {
	v := d.uvarint()
	if v > uint64(len(d.b)) {
		d.fail()
		return 0
	}
	return int(v)
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.fail()
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}
