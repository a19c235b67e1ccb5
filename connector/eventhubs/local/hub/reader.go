package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// fetchBytes is how much a reader asks for at once. It holds one such
	// answer, and at most one more is fetched ahead.
	fetchBytes = 1 << 20
	// fetchWait is how long the log may wait for something to answer with.
	// What is new wakes it at once.
	fetchWait = 5 * time.Second
)

// Reader reads a partition in order, from a position on, without end. Each has
// its own connection to the log: one that waits holds up no other. It reads ahead
// by about a megabyte. Next is for one goroutine at a time, the other methods are
// for any.
type Reader struct {
	h    *Hub
	part *partition
	cl   *kgo.Client

	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{} // closed when the fetcher has ended
	answers chan *answer
	// failure is why there are no more answers; set before answers is closed.
	failure error

	current *answer
	at      int64 // where the log goes on after the answers before current
	events  []Event
	err     error

	endMu     sync.Mutex
	end       int64
	closeOnce sync.Once
}

// Reader begins to read a partition at sequence number from, or at the oldest
// event if that one is younger. A position behind the end is ErrOutOfRange. ctx is
// for opening only. The caller must Close the Reader.
func (h *Hub) Reader(ctx context.Context, p int32, from int64) (*Reader, error) {
	part, err := h.partition(p)
	if err != nil {
		return nil, err
	}
	if h.isDeleted() {
		return nil, h.wasDeleted()
	}
	info, err := h.Partition(ctx, p)
	if err != nil {
		return nil, err
	}
	if from > info.End {
		return nil, h.behind(p, from, info.End)
	}
	cl, err := h.cluster.client()
	if err != nil {
		return nil, err
	}
	r := &Reader{h: h, part: part, cl: cl, done: make(chan struct{}), answers: make(chan *answer), end: info.End, at: max(from, info.Begin)}
	r.ctx, r.cancel = context.WithCancel(h.ctx)
	go r.fetchAll(max(from, info.Begin))
	return r, nil
}

func (h *Hub) behind(p int32, from, end int64) error {
	return &said{fmt.Sprintf("sequence number %d is behind the end of hub %s partition %d, where the next event will be %d",
		from, h.name, p, end), ErrOutOfRange}
}

// Next returns the next events, at least one and at most limit of them, waiting
// for one if need be. They are valid until the next call. If ctx ends first, its
// error is returned and nothing is lost. After any other error there is no more to
// be had: ErrNotFound if the hub was deleted, ErrClosed, ErrOutOfRange if the log
// has lost its end.
func (r *Reader) Next(ctx context.Context, limit int) ([]Event, error) {
	limit = max(1, limit)
	for r.err == nil {
		if err := r.fill(limit); err != nil {
			r.err = err
			break
		}
		if len(r.events) > 0 {
			return r.events, nil
		}
		r.at, r.current = r.Position(), nil
		select {
		case a, ok := <-r.answers:
			if !ok {
				r.err = r.failure
			}
			r.current = a
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, r.err
}

// fill decodes events of the answer at hand.
func (r *Reader) fill(limit int) error {
	r.events = r.events[:0]
	if r.current == nil {
		return nil
	}
	for len(r.events) < limit {
		r.events = append(r.events, Event{})
		ok, err := r.current.event(&r.events[len(r.events)-1])
		if err != nil || !ok {
			r.events = r.events[:len(r.events)-1]
			if err != nil && len(r.events) == 0 {
				return r.explain(r.current.next, err)
			}
			// What is wrong comes up again at the next call.
			return nil
		}
	}
	return nil
}

// Position returns the sequence number from which on there is more to come: what is
// before it was handed out by Next, or is no event (the log uses some numbers
// itself). It is for the goroutine of Next.
func (r *Reader) Position() int64 {
	if r.current != nil {
		return max(r.at, r.current.next)
	}
	return r.at
}

// Last returns the sequence number and the enqueued time of the newest event of
// the partition that is known of (-1 if there is none), read or not.
func (r *Reader) Last() (sequence int64, enqueued time.Time) {
	seq, ms := r.part.last()
	r.endMu.Lock()
	seq = max(seq, r.end-1)
	r.endMu.Unlock()
	if seq < 0 || ms == 0 {
		return seq, time.Time{}
	}
	return seq, time.UnixMilli(ms).UTC()
}

// Close ends the reader; a Next that waits returns ErrClosed.
func (r *Reader) Close() {
	r.closeOnce.Do(func() {
		r.cancel()
		<-r.done
	})
}

// fetchAll fetches answers until something stays wrong or the reader is closed.
func (r *Reader) fetchAll(at int64) {
	defer close(r.done)
	defer r.cl.Close()
	defer close(r.answers)
	leader, fails := int32(-1), 0
	for {
		a, err := r.fetch(&leader, at)
		if err != nil {
			leader = -1
			fails++
			var again bool
			if at, again = r.judge(at, err); again {
				select {
				case <-time.After(backoff(fails)):
				case <-r.ctx.Done():
				}
				continue
			}
			return
		}
		fails = 0
		if a == nil {
			continue
		}
		if at, err = r.scan(a); err != nil {
			r.failure = r.explain(at, err)
			return
		}
		select {
		case r.answers <- a:
		case <-r.ctx.Done():
			r.failure = r.endError()
			return
		}
	}
}

// endError says why r.ctx has ended.
func (r *Reader) endError() error {
	if r.h.isDeleted() {
		return r.h.wasDeleted()
	}
	return &said{fmt.Sprintf("the reader of hub %s partition %d was closed", r.h.name, r.part.n), ErrClosed}
}

// fetch asks the log for what is at a position; nil: nothing yet.
func (r *Reader) fetch(leader *int32, at int64) (*answer, error) {
	if *leader < 0 {
		var err error
		if *leader, err = lookupLeader(r.ctx, r.cl, r.h.topic, r.part.n); err != nil {
			return nil, err
		}
	}
	f, err := fetch(r.ctx, r.cl, int(*leader), r.h.fetchRequest(r.part.n, at, fetchWait, fetchBytes))
	if err != nil {
		return nil, err
	}
	r.endMu.Lock()
	r.end = max(r.end, f.LastStableOffset)
	r.endMu.Unlock()
	if len(f.RecordBatches) == 0 {
		return nil, nil
	}
	return newAnswer(at, f), nil
}

// scan looks at the heads of an answer's batches: where the next answer begins,
// and how new the events are.
func (r *Reader) scan(a *answer) (next int64, err error) {
	next = a.at
	for raw := a.raw; ; {
		h, rest, ok, err := cutHead(raw)
		if err != nil || !ok {
			if err == nil && next == a.at {
				err = errRecord // not one whole batch
			}
			return next, err
		}
		raw = rest
		next = max(next, h.base+int64(h.last)+1)
		if h.attrs&attrControl == 0 {
			r.part.note(h.base+int64(h.last), h.max)
		}
	}
}

// judge decides whether to go on after an error, and where.
func (r *Reader) judge(at int64, err error) (next int64, again bool) {
	switch {
	case r.ctx.Err() != nil:
		r.failure = r.endError()
		return at, false
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID):
		// Maybe it was deleted without our doing; then r.ctx ends.
		_ = r.h.cluster.list(r.ctx, fresh)
		return at, true
	case errors.Is(err, kerr.OffsetOutOfRange):
		begin, err := r.h.offset(r.ctx, r.part.n, offsetFirst)
		if err != nil {
			return at, true
		}
		if at < begin {
			return begin, true // it has expired meanwhile
		}
		end, err := r.h.offset(r.ctx, r.part.n, offsetStable)
		if err != nil || at <= end {
			return at, true
		}
		r.failure = r.h.behind(r.part.n, at, end)
		return at, false
	case retriable(err), errors.Is(err, kerr.FencedLeaderEpoch), errors.Is(err, context.DeadlineExceeded):
		return at, true
	}
	r.failure = r.explain(at, err)
	return at, false
}

func (r *Reader) explain(at int64, err error) error {
	return r.h.cluster.explain(err, "reading hub %s partition %d at %d", r.h.name, r.part.n, at)
}

// enqueuedAt is when the event with a sequence number came in, in milliseconds.
// It must be the newest one.
func (p *partition) enqueuedAt(ctx context.Context, seq int64) (ms int64, err error) {
	if known, ms := p.last(); known == seq && ms > 0 {
		return ms, nil
	}
	h := p.hub
	err = h.ask(ctx, p.n, fmt.Sprintf("reading the newest event of hub %s partition %d", h.name, p.n), func(broker int) error {
		f, err := fetch(ctx, h.cluster.cl, broker, h.fetchRequest(p.n, seq, 0, 1))
		if errors.Is(err, kerr.OffsetOutOfRange) {
			return nil // it has expired this very moment
		}
		if err != nil {
			return err
		}
		for raw := f.RecordBatches; ; {
			head, rest, ok, err := cutHead(raw)
			if err != nil || !ok {
				return err
			}
			raw, ms = rest, max(ms, head.max)
		}
	})
	if err == nil && ms > 0 {
		p.note(seq, ms)
	}
	return ms, err
}
