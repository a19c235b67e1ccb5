package kafka

import (
	"context"
	"sync"

	"millrace/record"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ownership is one partition from Assign to Revoke.
type ownership struct {
	src       *source
	partition int32
	start     int64 // the handler's answer

	ctx    context.Context
	cancel context.CancelFunc
	// drained has a signal when the queue has become less than half full.
	drained chan struct{}
	work    chan struct{} // has a signal when there may be something to do
	done    chan struct{} // closed when no Deliver runs or will run

	mu     sync.Mutex
	limit  int // bytes queued from which on it is full
	queue  []*record.Batch
	sizes  []int
	bytes  int
	at     int64 // next position to fetch, as far as known
	paused bool
	closed bool
}

func newOwnership(s *source, p int32, start int64) *ownership {
	o := &ownership{src: s, partition: p, start: start, limit: queueMin, at: start,
		drained: make(chan struct{}, 1), work: make(chan struct{}, 1), done: make(chan struct{})}
	o.ctx, o.cancel = context.WithCancel(s.runCtx)
	return o
}

func (o *ownership) next() int64 {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.at
}

func (o *ownership) setNext(at int64) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at = at
}

// setLimit changes what counts as full. A queue that is over a smaller limit is
// not cut: its next push reports it as full.
func (o *ownership) setLimit(bytes int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.limit = bytes
}

// push queues what was fetched and reports whether the queue is full.
func (o *ownership) push(f *kgo.FetchPartition) (full bool) {
	recs := f.Records
	next := recs[len(recs)-1].Offset + 1
	end := f.LastStableOffset
	if end < 0 {
		end = f.HighWatermark
	}
	batches := splitBatches(o.partition, dropControl(recs), next, end)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return false
	}
	o.at = next
	for _, b := range batches {
		size := 0
		for i := range b.Records {
			size += len(b.Records[i].Key) + len(b.Records[i].Value)
		}
		o.queue, o.sizes = append(o.queue, b), append(o.sizes, size)
		o.bytes += size
	}
	signal(o.work)
	if o.bytes < o.limit {
		return false
	}
	select { // forget a drain from before
	case <-o.drained:
	default:
	}
	return true
}

// dropControl removes transaction markers, in place.
func dropControl(recs []*kgo.Record) []*kgo.Record {
	kept := recs[:0]
	for _, r := range recs {
		if !r.Attrs.IsControl() {
			kept = append(kept, r)
		}
	}
	return kept
}

func (o *ownership) pop() *record.Batch {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || len(o.queue) == 0 {
		return nil
	}
	b := o.queue[0]
	o.queue[0] = nil
	o.queue = o.queue[1:]
	o.bytes -= o.sizes[0]
	o.sizes = o.sizes[1:]
	if o.bytes < o.limit/2 {
		signal(o.drained)
		if o.paused {
			o.paused = false
			o.src.cl.ResumeFetchPartitions(map[string][]int32{o.src.log.topic: {o.partition}})
		}
	}
	return b
}

// pause leaves the partition out of fetching until pop has made room.
func (o *ownership) pause() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed || o.bytes < o.limit/2 {
		return
	}
	o.paused = true
	o.src.cl.PauseFetchPartitions(map[string][]int32{o.src.log.topic: {o.partition}})
}

// close drops what is queued: no further Deliver begins, except one whose
// batch was taken just before, which the handler drops.
func (o *ownership) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.queue, o.sizes, o.bytes = true, nil, nil, 0
	signal(o.work)
}

// deliver hands batches to the handler until the ownership ends.
func (o *ownership) deliver() {
	defer close(o.done)
	defer o.cancel()
	for {
		for b := o.pop(); b != nil; b = o.pop() {
			if err := o.src.handler.Deliver(o.ctx, b); err != nil {
				if o.ctx.Err() == nil {
					o.src.end(err)
				}
				return
			}
		}
		o.mu.Lock()
		closed := o.closed
		o.mu.Unlock()
		if closed {
			return
		}
		select {
		case <-o.work:
		case <-o.ctx.Done():
			return
		}
	}
}
