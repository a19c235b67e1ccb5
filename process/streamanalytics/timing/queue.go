package timing

// entry is an event that waits. Its place in order is time, then the partition's
// position in the stream's list, then the order of arrival.
type entry[T any] struct {
	time int64
	seq  uint64
	part int32
	size int32
	item T
}

func (e *entry[T]) before(o *entry[T]) bool {
	switch {
	case e.time != o.time:
		return e.time < o.time
	case e.part != o.part:
		return e.part < o.part
	}
	return e.seq < o.seq
}

// queue is a heap of waiting events, the first one in order on top. It is written
// out because container/heap would allocate for every event.
type queue[T any] []entry[T]

func (q *queue[T]) push(e entry[T]) {
	h := append(*q, e)
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if !e.before(&h[up]) {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
	*q = h
}

func (q *queue[T]) pop() entry[T] {
	h := *q
	top, n := h[0], len(h)-1
	last := h[n]
	h[n] = entry[T]{} // the item's memory must not be held by the array
	h = h[:n]
	*q = h
	if n == 0 {
		return top
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= n {
			break
		}
		if down+1 < n && h[down+1].before(&h[down]) {
			down++
		}
		if !h[down].before(&last) {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = last
	return top
}
