package cosmosdb

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// A bulk request holds operations on items of any partition keys that lie in
// one partition key range, each with its key and each done for itself. The bulk
// executors of the other SDKs send it; the Go SDK (v1.4.1) has no call for it,
// so it goes out as a batch whose headers and body a detour puts in place. With
// a thousand devices a transactional batch holds the few events that one device
// has sent in half a second, a bulk request a hundred: what a request costs
// besides its events, here and in the service, is then next to nothing.
//
// The events of a key are stored in their order nevertheless. A bulk request
// tells the service to stop at the first operation that fails (the others send
// it to go on), a lane has one request under way, and what is left of that goes
// before anything else of the lane. Where the service has gone on after all, the
// later events of the key are sent again as well. And a lane that gives up has
// sent nothing after the request that failed: whoever repeats the write stamps
// all of it anew, from its beginning.

// bulkHead is the JSON before a document of a bulk request: the partition key
// is an array as JSON text, in a string.
func (k keyPath) bulkHead(text []byte) []byte {
	head := append([]byte(nil), `{"operationType":"Upsert","partitionKey":`...)
	array := append([]byte(nil), '[')
	switch {
	case text == nil:
		array = append(array, "{}"...)
	case k.device():
		array = record.AppendString(array, text)
	default:
		array = append(array, text...)
	}
	head = record.AppendString(head, append(array, ']'))
	return append(head, `,"resourceBody":`...)
}

// divide divides the keys of a burst into lanes, each of one range. The events of
// a key stay in one lane, whose requests are sent one after the other. A range
// has several only if there is enough for them.
func (b *burst) divide() {
	ranges := len(b.places.lows)
	count := make([]int, ranges)
	for i := range b.results {
		count[b.keys[b.of[i]].place]++
	}
	most := max(b.s.cfg.Concurrency/ranges, 1)
	first := make([]int32, ranges) // lane of each range, and how many
	turn := make([]int32, ranges)
	for r, n := range count {
		first[r] = int32(len(b.lanes))
		if n > 0 {
			count[r] = min(max(n/(2*b.s.cfg.MaxBatch), 1), most)
			for range count[r] {
				b.lanes = append(b.lanes, lane{first: -1})
			}
		}
	}
	for i := range b.keys {
		k := &b.keys[i]
		k.lane = first[k.place] + turn[k.place]%int32(count[k.place])
		turn[k.place]++
	}
}

// seen remembers the events of a request. Two that look alike are rare enough.
type seen [256]uint64

// add tells whether an event was not there before.
func (s *seen) add(id record.ID) bool {
	const odd = 0x9E3779B97F4A7C15
	mark := max((binary.BigEndian.Uint64(id[:8])*odd)^binary.BigEndian.Uint64(id[8:]), 1) // 0 is free
	for at := mark * odd >> 56; ; at = (at + 1) % uint64(len(s)) {
		switch s[at] {
		case 0:
			s[at] = mark
			return true
		case mark:
			return false
		}
	}
}

// attempt is what came of sending a bulk request once.
type attempt struct {
	stored, replaced, conflicts, bytes int
	rejected                           []int32 // results that the service never takes
	refusal                            error   // why
	charge                             float64
	// left are the results to send again, and held their keys.
	left, held []int32

	busy  bool // some were throttled
	wait  time.Duration
	moved bool // some lie in other ranges by now
	// err is what some of those left failed at, or all.
	err error
	// whole: the service does not take the request as such.
	whole bool
	// fatal ends the burst.
	fatal error
}

// sendBulk sends a bulk request until all of its events are stored, or until one
// fails for good: from the first on that the service throttles or fails at in
// passing. What it never takes, and what is there already, is passed over.
func (b *burst) sendBulk(ctx context.Context, r *request) error {
	s := b.s
	for n, throttles := 1, 0; len(r.items) > 1; {
		stamped := time.Now()
		r.stamp(stamped.UnixMicro())
		a := b.tryBulk(ctx, r)
		if firstLook(a.err) {
			a = b.tryBulk(ctx, r)
		}
		s.usage.requests.Add(1)
		s.usage.charge(a.charge)
		if ctx.Err() != nil && len(a.left) == len(r.items) {
			return context.Cause(ctx)
		}
		b.settle(&a, time.Since(stamped))
		if a.fatal != nil {
			return s.account.explain(a.fatal, s.writing())
		}
		if len(a.left) < len(r.items) {
			s.account.answered()
			s.tookBulk.Store(true)
			r.keep(b, a.left)
			n = 1 // it is another event now that fails
		}
		switch {
		case len(a.left) == 0:
			return nil
		case a.moved:
			// Transactional batches find their way by themselves; the next
			// write looks at the ranges again.
			s.places.CompareAndSwap(b.places, nil)
			return b.apart(ctx, r)
		case a.whole:
			if !s.tookBulk.Load() && s.places.CompareAndSwap(b.places, new(rangeMap)) {
				s.account.log.Warn("Cosmos DB: the service takes no bulk requests, batches of one partition key go instead",
					"container", s.name, "why", detail(a.err))
			}
			return b.apart(ctx, r)
		case a.busy:
			s.account.answered()
			throttles++
			if err := b.pause(ctx, jittered(a.wait, throttles)); err != nil {
				return err
			}
		case a.err == nil: // it stopped at what is passed over
		case n < tries && (s.account.reached.Load() || answerOf(a.err) != nil):
			n++
			if err := b.pause(ctx, backoff(n)); err != nil {
				return err
			}
		default:
			return s.account.explain(a.err, s.writing())
		}
	}
	return b.apart(ctx, r)
}

// tryBulk sends the request once.
func (b *burst) tryBulk(ctx context.Context, r *request) (a attempt) {
	e := &errand{instead: "[]", request: r.buf, header: b.places.header[r.place]}
	batch := b.s.container.NewTransactionalBatch(azcosmos.NewPartitionKeyString(""))
	batch.UpsertItem(nothing, nil)
	answer, err := b.s.container.ExecuteTransactionalBatch(e.context(ctx), batch, nil)
	if err != nil {
		a.failed(r, err)
		return a
	}
	a.charge = float64(answer.RequestCharge)
	if a.read(e.body, r); a.busy && a.wait <= 0 {
		a.wait = waitOf(answer.RawResponse)
	}
	return a
}

// failed notes that the service did not take a request at all.
func (a *attempt) failed(r *request, err error) {
	answer := answerOf(err)
	a.charge += chargeOf(answer)
	a.err = err
	for i := range r.items {
		a.left = append(a.left, r.items[i].result)
	}
	switch faultOf(err) {
	case passing:
	case busy:
		a.busy, a.wait = true, waitOf(answer)
	case moved:
		a.moved = true
	case unacceptable, refused:
		a.whole = true
	default:
		a.fatal = err
	}
}

// read reads the outcomes of a bulk request's operations.
func (a *attempt) read(body []byte, r *request) {
	n := 0
	ok := eachElement(body, func(text []byte) bool {
		if n < len(r.items) {
			var o outcome
			o.parse(text)
			a.take(&r.items[n], n, &o)
		}
		n++
		return true
	})
	err := errors.New("no operation of a bulk request was tried")
	switch {
	case !ok || n != len(r.items):
		err = fmt.Errorf("the answer to a bulk request of %d operations has %d outcomes", len(r.items), n)
	case a.err != nil || a.fatal != nil || a.busy || a.moved || len(a.left) < n:
		return
	}
	*a = attempt{charge: a.charge}
	a.failed(r, err)
}

// leave has a result sent again, and whatever follows it of its key.
func (a *attempt) leave(it *item) {
	a.left, a.held = append(a.left, it.result), append(a.held, it.key)
}

// take notes what has become of one operation.
func (a *attempt) take(it *item, n int, o *outcome) {
	there := o.status/100 == 2 || o.status == http.StatusConflict
	switch {
	case o.status == http.StatusFailedDependency, there && slices.Contains(a.held, it.key):
		a.leave(it)
		return
	case o.status/100 == 2:
		a.bytes += it.end - it.start
		a.stored++
		if o.status == http.StatusOK {
			a.replaced++
		}
		return
	}
	err := &operationError{n, o.status, o.sub}
	switch faultOf(err) {
	case conflict:
		a.conflicts++ // the event is there, with another id
		return
	case unacceptable:
		a.rejected, a.refusal = append(a.rejected, it.result), err
		return
	case busy:
		a.busy, a.wait = true, max(a.wait, o.wait)
	case moved:
		a.moved = true
	case passing:
		a.err = err
	default:
		a.fatal = err
	}
	a.leave(it)
}

// settle counts what an attempt has brought about.
func (b *burst) settle(a *attempt, took time.Duration) {
	b.s.usage.written.Add(int64(a.stored))
	if a.busy {
		b.s.usage.throttled.Add(1)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done.Stored += a.stored - a.replaced
	b.done.Duplicates += a.replaced + a.conflicts
	b.done.Bytes += int64(a.bytes)
	b.done.Charge += a.charge
	if a.busy {
		b.done.Throttled++
	}
	if a.stored > 0 {
		b.longest = max(b.longest, took)
	}
	for _, result := range a.rejected {
		b.rejected = append(b.rejected, int(result))
		b.refusal = a.refusal
	}
}

// apart sends the events of a bulk request in batches of one partition key.
func (b *burst) apart(ctx context.Context, r *request) error {
	rest := make([]int32, len(r.items))
	for i := range r.items {
		rest[i] = r.items[i].result
	}
	for len(rest) > 0 {
		one := b.of[rest[0]]
		part := &request{key: b.s.keys.of(b.keys[one].text)}
		part.begin()
		n := 0
		for _, result := range rest {
			if b.of[result] == one {
				part.add(b, result)
			} else {
				rest[n] = result
				n++
			}
		}
		rest = rest[:n]
		part.close()
		if err := b.send(ctx, part); err != nil {
			return err
		}
	}
	return nil
}
