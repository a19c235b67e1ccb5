package anomaly

import (
	"encoding/binary"
	"math"
	"slices"
)

// ring is the last values, in the order of time.
type ring struct {
	max int
	// items has n values from first on; it grows up to max.
	items    []item
	first, n int
}

type item struct {
	v  float64
	at int64
}

func (r *ring) at(i int) item { return r.items[(r.first+i)%len(r.items)] }

// push adds a value; the ring must not be full.
func (r *ring) push(v float64, at int64) {
	if r.n == len(r.items) {
		items := make([]item, min(r.max, max(16, 2*len(r.items))))
		for i := range r.n {
			items[i] = r.at(i)
		}
		r.items, r.first = items, 0
	}
	r.items[(r.first+r.n)%len(r.items)] = item{v, at}
	r.n++
}

// pop removes and returns the oldest value.
func (r *ring) pop() float64 {
	v := r.items[r.first].v
	r.first = (r.first + 1) % len(r.items)
	r.n--
	return v
}

// expired reports whether the oldest value is older than a time.
func (r *ring) expired(before int64) bool { return r.n > 0 && r.items[r.first].at < before }

// appendState appends the values, oldest first.
func (r *ring) appendState(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(r.n))
	for i := range r.n {
		p := r.at(i)
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(p.v))
		dst = binary.LittleEndian.AppendUint64(dst, uint64(p.at))
	}
	return dst
}

// readState calls push with the values that appendState wrote.
func (r *ring) readState(b []byte, push func(v float64, at int64)) (rest []byte, err error) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(r.max) || n > uint64(len(b)-size)/16 {
		return nil, errState
	}
	b = b[size:]
	for range n {
		v := math.Float64frombits(binary.LittleEndian.Uint64(b))
		if !finite(v) {
			return nil, errState
		}
		push(v, int64(binary.LittleEndian.Uint64(b[8:])))
		b = b[16:]
	}
	return b, nil
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// history is the last values, in the order of time and of size.
type history struct {
	ring
	sorted []float64
}

// push adds a value, in place of the oldest one if the history is full.
func (h *history) push(v float64, at int64) {
	if h.n == h.max {
		h.pop()
	}
	h.ring.push(v, at)
	h.sorted = slices.Grow(h.sorted, len(h.items)-len(h.sorted))
	i, _ := slices.BinarySearch(h.sorted, v)
	h.sorted = slices.Insert(h.sorted, i, v)
}

// pop removes the oldest value.
func (h *history) pop() {
	i, _ := slices.BinarySearch(h.sorted, h.ring.pop())
	h.sorted = slices.Delete(h.sorted, i, i+1)
}

func (h *history) size() int { return 16*cap(h.items) + 8*cap(h.sorted) }
