package exec

import (
	"millrace/process/streamanalytics/codec"
	"millrace/process/streamanalytics/value"
)

// sorter puts rows in the order of their times. It stands in front of operators
// for which that matters, if what feeds them gives no order. A row waits until
// the watermark has come to its time.
type sorter struct {
	outlet
	account
	width int
	seq   uint64
	heap  []waiting
}

type waiting struct {
	time       int64
	seq        uint64
	correction bool
	slots      []value.Value
	size       int64
}

const waitingSize = 64

func (w *waiting) before(o *waiting) bool {
	return w.time < o.time || w.time == o.time && w.seq < o.seq
}

func (s *sorter) push(_ int, r *row) error {
	if r.early {
		return nil
	}
	if r.time <= s.wm && (len(s.heap) == 0 || s.heap[0].time > r.time) {
		return s.emit(r)
	}
	slots, size := cloneSlots(r.slots)
	s.add(waiting{time: r.time, seq: s.seq, correction: r.correction, slots: slots, size: size + waitingSize})
	s.seq++
	return nil
}

func (s *sorter) add(w waiting) {
	s.grow(w.size)
	s.heap = append(s.heap, w)
	h, i := s.heap, len(s.heap)-1
	for i > 0 {
		up := (i - 1) / 2
		if !h[i].before(&h[up]) {
			break
		}
		h[i], h[up] = h[up], h[i]
		i = up
	}
}

func (s *sorter) pop() waiting {
	h := s.heap
	top, n := h[0], len(h)-1
	h[0], h[n] = h[n], waiting{}
	h = h[:n]
	for i := 0; ; {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && h[down+1].before(&h[down]) {
			down++
		}
		if !h[down].before(&h[i]) {
			break
		}
		h[i], h[down] = h[down], h[i]
		i = down
	}
	s.heap = h
	s.grow(-top.size)
	return top
}

// advance gives out the rows up to and with the watermark, each with a
// watermark of its own in front, so that what follows sees time pass.
func (s *sorter) advance(_ int, t int64) error {
	for len(s.heap) > 0 && s.heap[0].time <= t {
		w := s.pop()
		if err := s.promise(w.time); err != nil {
			return err
		}
		if err := s.emit(&row{time: w.time, slots: w.slots, correction: w.correction}); err != nil {
			return err
		}
	}
	return s.promise(t)
}

func (s *sorter) appendState(dst []byte) ([]byte, error) {
	dst = codec.AppendUint(dst, s.seq)
	dst = codec.AppendUint(dst, uint64(len(s.heap)))
	for i := range s.heap {
		w := &s.heap[i]
		dst = codec.AppendInt(dst, w.time)
		dst = codec.AppendUint(dst, w.seq)
		dst = codec.AppendBool(dst, w.correction)
		dst = appendValues(dst, w.slots)
	}
	return dst, nil
}

func (s *sorter) readState(d *decoder) {
	s.seq = d.Uint()
	for range d.Count(4) {
		w := waiting{time: d.Int(), seq: d.Uint(), correction: d.Bool()}
		w.slots, w.size = d.row(s.width)
		if d.Err() != nil {
			return
		}
		w.size += waitingSize
		s.add(w)
	}
}

func (s *sorter) describe() OperatorState { return s.info(len(s.heap), 0) }
