package cosmosdb

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// request is a batch of documents of one partition key, or of one range if it is
// a bulk request, encoded once and stamped anew at each attempt. Its memory is
// used again.
type request struct {
	key   key
	bulk  bool
	place int // of a bulk request: the range
	seen  seen
	buf   []byte
	items []item
}

// item is one document of a request.
type item struct {
	result     int32
	key        int32 // of the burst
	start, end int   // of the document in buf
	stamp      int   // of its storedAt
}

// The JSON around the documents of a batch.
const (
	batchItemHead = `{"operationType":"Upsert","resourceBody":`
	batchItemTail = `}`
)

// maxBatchBytes is the size at which a batch is full. The service takes 2 MB;
// what it counts besides the documents is not documented.
const maxBatchBytes = 1_800_000

// fill encodes the lane's results from at on, as many as fit, and returns the
// first that does not. A bulk request holds an event once: nothing says in which
// order the service does the operations of one.
func (r *request) fill(b *burst, at int32) (rest int32) {
	k := &b.keys[b.of[at]]
	if r.bulk, r.place = b.bulk(), k.place; r.bulk {
		clear(r.seen[:])
	} else {
		r.key = b.s.keys.of(k.text)
	}
	r.begin()
	for at >= 0 && len(r.items) < b.s.cfg.MaxBatch {
		result := &b.results[at]
		if len(r.items) > 0 && len(r.buf)+2*len(result.Raw)+1000 > maxBatchBytes || r.bulk && !r.seen.add(result.ID) {
			break
		}
		r.add(b, at)
		at = b.after[at]
	}
	r.close()
	return at
}

func (r *request) begin() { r.buf, r.items = append(r.buf[:0], '['), r.items[:0] }

func (r *request) close() { r.buf = append(r.buf, ']') }

func (r *request) add(b *burst, result int32) {
	if len(r.items) > 0 {
		r.buf = append(r.buf, ',')
	}
	if r.bulk {
		r.buf = append(r.buf, b.keys[b.of[result]].head...)
	} else {
		r.buf = append(r.buf, batchItemHead...)
	}
	it := item{result: result, key: b.of[result], start: len(r.buf)}
	r.buf, it.stamp = appendDocument(r.buf, &b.results[result])
	it.end = len(r.buf)
	r.items = append(r.items, it)
	r.buf = append(r.buf, batchItemTail...)
}

// keep drops all other results, for good.
func (r *request) keep(b *burst, results []int32) {
	r.begin()
	for _, result := range results {
		r.add(b, result)
	}
	r.close()
}

// drop takes the ith item out, for good.
func (r *request) drop(b *burst, i int) {
	keep := make([]int32, 0, len(r.items))
	for n := range r.items {
		if n != i {
			keep = append(keep, r.items[n].result)
		}
	}
	r.keep(b, keep)
}

// stamp writes storedAt into every document.
func (r *request) stamp(micros int64) {
	var text [stampLen]byte
	record.AppendTime(text[:0], micros)
	for i := range r.items {
		copy(r.buf[r.items[i].stamp:], text[:])
	}
}

// verdict is what the service says about a request.
type verdict struct {
	// statuses of the items, if all are stored: 200 replaced, 201 new.
	replaced int
	// err and what it asks for, if they are not; culprit is the item that it
	// is about, -1 for the request as a whole.
	err     error
	fault   fault
	culprit int
	wait    time.Duration
	charge  float64
}

// send sends the request until it is stored, or until it fails for good.
func (b *burst) send(ctx context.Context, r *request) error {
	s := b.s
	for n, throttles := 1, 0; len(r.items) > 0; {
		stamped := time.Now()
		r.stamp(stamped.UnixMicro())
		v := s.try(ctx, r)
		if firstLook(v.err) {
			v = s.try(ctx, r)
		}
		s.usage.requests.Add(1)
		s.usage.charge(v.charge)
		if v.err == nil {
			s.account.answered()
			b.stored(r, &v, time.Since(stamped))
			return nil
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		b.count(func(done *connector.Receipt) { done.Charge += v.charge })
		switch {
		case v.fault == busy:
			s.account.answered()
			s.usage.throttled.Add(1)
			b.count(func(done *connector.Receipt) { done.Throttled++ })
			throttles++
			if err := b.pause(ctx, jittered(v.wait, throttles)); err != nil {
				return err
			}
		case v.fault == conflict && v.culprit >= 0:
			// The event is there, with another id.
			b.count(func(done *connector.Receipt) { done.Duplicates++ })
			r.drop(b, v.culprit)
		case v.fault == unacceptable && v.culprit >= 0:
			b.reject(r.items[v.culprit].result, v.err)
			r.drop(b, v.culprit)
		case v.fault == unacceptable && v.culprit < 0:
			return b.halves(ctx, r)
		case (v.fault == passing || v.fault == moved) && n < tries && (s.account.reached.Load() || answerOf(v.err) != nil):
			n++
			if err := b.pause(ctx, backoff(n)); err != nil {
				return err
			}
		default:
			return s.account.explain(v.err, s.writing())
		}
	}
	return nil
}

func (s *Store) writing() string { return fmt.Sprintf("writing to the container %q", s.name) }

// jittered is how long a request waits that was throttled so often. Those
// refused together are told the same time: they do not return together.
func jittered(wait time.Duration, throttles int) time.Duration {
	return wait + rand.N(wait/2+time.Millisecond*time.Duration(min(throttles, 50)))
}

// halves sends the two halves of a batch that the service does not take as a
// whole, which is how the document that it does not like is found.
func (b *burst) halves(ctx context.Context, r *request) error {
	mid := len(r.items) / 2
	for _, part := range [][]item{r.items[:mid], r.items[mid:]} {
		half := &request{key: r.key}
		half.begin()
		for _, it := range part {
			half.add(b, it.result)
		}
		half.close()
		if err := b.send(ctx, half); err != nil {
			return err
		}
	}
	return nil
}

// errStopped ends a request of a burst that has failed already.
var errStopped = errors.New("another request of this write has failed")

// pause waits, unless the burst fails meanwhile.
func (b *burst) pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-b.stopped:
		return errStopped
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stored counts a request that has been stored.
func (b *burst) stored(r *request, v *verdict, took time.Duration) {
	bytes := 0
	for i := range r.items {
		bytes += r.items[i].end - r.items[i].start
	}
	b.s.usage.written.Add(int64(len(r.items)))
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done.Stored += len(r.items) - v.replaced
	b.done.Duplicates += v.replaced
	b.done.Bytes += int64(bytes)
	b.done.Charge += v.charge
	b.longest = max(b.longest, took)
}

// try sends the request once.
func (s *Store) try(ctx context.Context, r *request) verdict {
	if len(r.items) == 1 {
		return s.tryOne(ctx, r)
	}
	e := &errand{instead: "[]", request: r.buf}
	if r.key.header != nil {
		e.header = http.Header{headerPartitionKey: r.key.header}
	}
	batch := s.container.NewTransactionalBatch(r.key.sdk)
	batch.UpsertItem(nothing, nil)
	answer, err := s.container.ExecuteTransactionalBatch(e.context(ctx), batch, nil)
	if err != nil {
		return failed(err, -1)
	}
	v := verdict{culprit: -1, charge: float64(answer.RequestCharge)}
	v.read(e.body, len(r.items), answer.RawResponse)
	return v
}

// nothing stands for the operations of a batch, see errand.request.
var nothing = []byte("{}")

func (s *Store) tryOne(ctx context.Context, r *request) verdict {
	if r.key.header != nil {
		e := &errand{header: http.Header{headerPartitionKey: r.key.header}}
		ctx = e.context(ctx)
	}
	it := r.items[0]
	answer, err := s.container.UpsertItem(ctx, r.key.sdk, r.buf[it.start:it.end], &azcosmos.ItemOptions{})
	if err != nil {
		return failed(err, 0)
	}
	v := verdict{culprit: -1, charge: float64(answer.RequestCharge)}
	if answer.RawResponse.StatusCode == http.StatusOK {
		v.replaced = 1
	}
	return v
}

func failed(err error, culprit int) verdict {
	answer := answerOf(err)
	return verdict{err: err, fault: faultOf(err), culprit: culprit, wait: waitOf(answer), charge: chargeOf(answer)}
}

// outcome is what a batch says about one of its operations.
type outcome struct {
	status, sub int
	wait        time.Duration
}

// operationError is what the service says against one operation of a batch.
type operationError struct{ operation, status, sub int }

func (e *operationError) Error() string {
	return fmt.Sprintf("operation %d of a batch: status %d/%d", e.operation, e.status, e.sub)
}

func (o *outcome) parse(v []byte) {
	eachMember(v, func(name, value []byte, _ int) bool {
		switch string(name) {
		case "statusCode":
			o.status, _ = strconv.Atoi(string(value))
		case "subStatusCode":
			o.sub, _ = strconv.Atoi(string(value))
		case "retryAfterMilliseconds":
			ms, _ := strconv.ParseFloat(string(value), 64)
			o.wait = time.Duration(ms * float64(time.Millisecond))
		}
		return true
	})
}

// read reads the outcomes of a batch's operations. A batch happens as a whole:
// either all have succeeded, or one is to blame and the others say that they
// depended on it.
func (v *verdict) read(body []byte, operations int, answer *http.Response) {
	n := 0
	ok := eachElement(body, func(text []byte) bool {
		var o outcome
		o.parse(text)
		switch {
		case o.status == http.StatusOK:
			v.replaced++
		case o.status/100 == 2, o.status == http.StatusFailedDependency:
		case v.err == nil:
			v.fault, v.culprit, v.wait = statusFault(o.status, o.sub), n, o.wait
			v.err = &operationError{n, o.status, o.sub}
		}
		n++
		return true
	})
	switch {
	case !ok || n != operations:
		v.err, v.fault, v.culprit = fmt.Errorf("the answer to a batch of %d operations has %d outcomes", operations, n), refused, -1
	case v.err == nil && answer.StatusCode == http.StatusMultiStatus:
		v.err, v.fault = errors.New("a batch failed, and no operation says why"), refused
	case v.err != nil && v.wait <= 0:
		v.wait = waitOf(answer)
	}
}
