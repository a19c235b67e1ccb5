package cosmosdb

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector"
	"millrace/record"
)

// Write implements connector.Store. The advances are not kept: an Idempotent
// store has no positions. Results of one partition key are sent one request
// after the other, in their order; those of different ones at the same time.
//
// A throttled request waits as long as the service asks and is sent again, by
// itself and as often as it takes; what was stored is not sent again. Other
// failures that pass are repeated a few times and then returned as Retry: the
// caller then writes everything again, which replaces what is there by the
// same.
func (s *Store) Write(ctx context.Context, w *connector.Write) (connector.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return connector.Receipt{}, err
	}
	if len(w.Results) == 0 {
		return connector.Receipt{}, nil
	}
	if len(w.Results) > s.cfg.MaxRows {
		return connector.Receipt{}, fmt.Errorf("a write of %d results to %s, which takes %d at once", len(w.Results), s.Describe(), s.cfg.MaxRows)
	}
	if err := s.oversized(w.Results); err != nil {
		return connector.Receipt{}, err
	}
	b := s.group(w.Results)
	if s.cfg.Bulk && s.cfg.MaxBatch > 1 {
		var err error
		if b.places, err = s.rangeMap(ctx); err != nil {
			return connector.Receipt{}, err
		}
	}
	b.link()
	var workers sync.WaitGroup
	for range min(s.cfg.Concurrency, len(b.lanes)) {
		workers.Go(func() { b.work(ctx) })
	}
	workers.Wait()
	return b.receipt(ctx)
}

// maxDocument is the service's bound for one document.
const maxDocument = 2 << 20

// oversized refuses what is certainly too large before anything is sent.
func (s *Store) oversized(results []record.Result) error {
	var items []int
	for i := range results {
		if len(results[i].Raw) > maxDocument {
			items = append(items, i)
		}
	}
	if items == nil {
		return nil
	}
	return &connector.Error{Action: connector.Reject, Items: items,
		Err: fmt.Errorf("%s takes documents of at most 2 MB; %d of %d events are larger", s.Describe(), len(items), len(results))}
}

// partKey is a partition key of a burst.
type partKey struct {
	text []byte // see keyPath.text
	lane int32  // of its results
	// Of bulk requests: the range, and what stands before a document.
	place int
	head  []byte
}

// lane is results that are sent one request after the other, as indexes into the
// write's, each leading to the next: those of one partition key, or for bulk
// requests those of several in one range.
type lane struct{ first, last int32 }

// burst is one Write under way.
type burst struct {
	s       *Store
	results []record.Result
	keys    []partKey
	of      []int32 // index of each result's key
	lanes   []lane
	after   []int32 // index of the lane's next result, -1 at its end
	next    atomic.Int64
	// places is where keys lie; nil or not bulk: there are no bulk requests.
	places *rangeMap

	// stopped is closed when the burst has failed: nothing more is sent.
	stopped chan struct{}

	mu       sync.Mutex
	err      error
	done     connector.Receipt
	longest  time.Duration // between the stamp and the answer of a request
	rejected []int
	refusal  error
}

// group finds the partition keys of results.
func (s *Store) group(results []record.Result) *burst {
	b := &burst{s: s, results: results, of: make([]int32, len(results)), after: make([]int32, len(results)), stopped: make(chan struct{})}
	found := make(map[string]int32, 1024)
	for i := range results {
		text := s.keys.text(&results[i])
		k, ok := found[string(text)]
		if !ok {
			k = int32(len(b.keys))
			found[string(text)] = k
			b.keys = append(b.keys, partKey{text: text})
		}
		b.of[i] = k
	}
	return b
}

// bulk tells whether the burst is sent in bulk requests.
func (b *burst) bulk() bool { return b.places != nil && b.places.bulk }

// link makes the lanes.
func (b *burst) link() {
	if b.bulk() {
		for i := range b.keys {
			k := &b.keys[i]
			epk := b.s.keys.effective(k.text)
			k.place, k.head = b.places.place(epk[:]), b.s.keys.bulkHead(k.text)
		}
		b.divide()
	} else {
		for i := range b.keys {
			b.keys[i].lane = int32(i)
			b.lanes = append(b.lanes, lane{first: -1})
		}
	}
	for i := range b.results {
		c := &b.lanes[b.keys[b.of[i]].lane]
		b.after[i] = -1
		if c.first < 0 {
			c.first = int32(i)
		} else {
			b.after[c.last] = int32(i)
		}
		c.last = int32(i)
	}
}

// work takes one lane after the other.
func (b *burst) work(ctx context.Context) {
	r := b.s.buffers.Get().(*request)
	defer b.s.buffers.Put(r)
	for {
		n := int(b.next.Add(1)) - 1
		if n >= len(b.lanes) {
			return
		}
		for at := b.lanes[n].first; at >= 0; {
			select {
			case b.s.slots <- struct{}{}:
			case <-b.stopped:
				return
			case <-ctx.Done():
				b.fail(context.Cause(ctx))
				return
			}
			at = r.fill(b, at)
			var err error
			if r.bulk {
				err = b.sendBulk(ctx, r)
			} else {
				err = b.send(ctx, r)
			}
			<-b.s.slots
			if err != nil {
				b.fail(err)
				return
			}
		}
	}
}

// fail ends the burst; the first reason wins.
func (b *burst) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.err = err
		close(b.stopped)
	}
}

// reject notes a result that the service will never take.
func (b *burst) reject(item int32, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rejected = append(b.rejected, int(item))
	b.refusal = err
}

// count adds what a request brought about.
func (b *burst) count(fn func(r *connector.Receipt)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	fn(&b.done)
}

// receipt is the result of the burst, once all is over. Each result has a
// storedAt of its own; the receipt's is the present less the longest time that
// any request took from its stamp to its answer, so that its distance from the
// present is how long a row may have been on its way behind its storedAt.
func (b *burst) receipt(ctx context.Context) (connector.Receipt, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done.StoredAt = time.Now().Add(-b.longest).UnixMicro()
	switch {
	case b.err != nil && ctx.Err() != nil:
		return b.done, fmt.Errorf("writing to %s: %w", b.s.Describe(), context.Cause(ctx))
	case b.err != nil:
		return b.done, b.err
	case len(b.rejected) > 0:
		slices.Sort(b.rejected)
		return b.done, &connector.Error{Action: connector.Reject, Items: b.rejected,
			Err: fmt.Errorf("%s refuses %d of %d events: %w", b.s.Describe(), len(b.rejected), len(b.results), b.refusal)}
	}
	return b.done, nil
}
