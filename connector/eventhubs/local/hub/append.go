package hub

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/amqp"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxUnacknowledged bounds the bytes of a partition that were appended
	// and not yet acknowledged.
	maxUnacknowledged = 8 << 20
	// groupBytes is how large a record batch of several appends may become.
	groupBytes = 1 << 20
	// appendTimeout is how long an append is repeated.
	appendTimeout = time.Minute
)

// partition is the writing side of a partition, and what is known of its end.
//
// At most one record batch is under way at a time; what is appended meanwhile
// is collected in the next one. So a batch can be repeated with the same
// sequence number until there is an answer, the log recognises a repetition,
// and nothing ever overtakes.
type partition struct {
	hub    *Hub
	n      int32
	leader atomic.Int32 // -1: to be looked up

	mu      sync.Mutex
	batches []*recordBatch // the last one is still being filled
	unacked int
	sending bool
	refused error
	room    chan struct{} // closed and replaced when unacked falls

	// last is the newest event known of.
	lastMu  sync.Mutex
	lastSeq int64
	lastMS  int64

	// What follows belongs to the one sender.
	producer int64 // -1: none yet
	epoch    int16
	sequence int32
}

func newPartition(h *Hub, n, leader int32) *partition {
	p := &partition{hub: h, n: n, room: make(chan struct{}), lastSeq: -1, producer: -1}
	p.leader.Store(leader)
	return p
}

var batchPool = sync.Pool{New: func() any { return new(recordBatch) }}

func (b *recordBatch) release() {
	if cap(b.buf) > 4*groupBytes {
		return
	}
	clear(b.appends)
	b.buf, b.count, b.appends = b.buf[:0], 0, b.appends[:0]
	batchPool.Put(b)
}

// Append appends events to a partition. They get consecutive sequence numbers,
// all or none of them. It blocks while too much is unacknowledged. When it
// returns nil, the memory of events is the caller's again, and done will be
// called once, from another goroutine and with no lock held, with the sequence
// number of the first event or with why they were not appended. Calls of done
// for one partition come in order; done must not block.
//
// Append itself fails, and never calls done, if ctx ends while it waits, with
// ErrNotFound, ErrClosed, ErrInvalid (no events, or ones that are not
// well-formed) or ErrTooLarge.
//
// What fails because the log is away is repeated for a minute, without ever
// appending twice; then done gets an error that is worth retrying
// (connector.ActionOf), and it is not known whether the events are in the log.
// first is -1 in the rare case that the log has the events and does not say where.
func (h *Hub) Append(ctx context.Context, partition int32, events []amqp.Message, done func(first int64, err error)) error {
	p, err := h.partition(partition)
	if err != nil {
		return err
	}
	if len(events) == 0 {
		return invalid("send at least one event", "an append to hub %s has no events", h.name)
	}
	p.mu.Lock()
	for p.refused == nil && p.unacked >= maxUnacknowledged {
		room := p.room
		p.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
		p.mu.Lock()
	}
	defer p.mu.Unlock()
	if p.refused != nil {
		return p.refused
	}
	if err := p.add(events, done); err != nil {
		return err
	}
	if !p.sending {
		p.sending = true
		h.cluster.senders.Add(1)
		go p.send()
	}
	return nil
}

// add encodes events into the batch that is being filled, or a new one. p.mu is
// held.
func (p *partition) add(events []amqp.Message, done func(int64, error)) error {
	var b *recordBatch
	if n := len(p.batches); n > 0 && len(p.batches[n-1].buf) < groupBytes {
		b = p.batches[n-1]
		err := p.addTo(b, events, min(groupBytes, p.hub.maxBatch.Load()), done)
		if err == nil || !errors.Is(err, ErrTooLarge) {
			return err
		}
	}
	b = batchPool.Get().(*recordBatch)
	b.since = time.Now()
	if err := p.addTo(b, events, p.hub.maxBatch.Load(), done); err != nil {
		b.release()
		return err
	}
	p.batches = append(p.batches, b)
	return nil
}

// addTo encodes events into b unless it would become too large.
func (p *partition) addTo(b *recordBatch, events []amqp.Message, limit int64, done func(int64, error)) error {
	size, count := len(b.buf), b.count
	for i := range events {
		err := b.add(&events[i])
		if err == nil && int64(len(b.buf)) > limit {
			err = &said{fmt.Sprintf("the events take more than the %d bytes that hub %s takes at once", limit, p.hub.name), ErrTooLarge}
		}
		if err != nil {
			b.buf, b.count = b.buf[:size], count
			return err
		}
	}
	size = len(b.buf) - size
	p.unacked += size
	b.appends = append(b.appends, waiting{first: count, size: size, done: done})
	return nil
}

// refuse lets no more appends in; those that are in are tried to the end.
func (p *partition) refuse(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refused == nil {
		p.refused = err
	}
	p.wake()
}

// wake lets those look again that wait for room. p.mu is held.
func (p *partition) wake() {
	close(p.room)
	p.room = make(chan struct{})
}

// send delivers batches until there are none.
func (p *partition) send() {
	defer p.hub.cluster.senders.Done()
	for {
		p.mu.Lock()
		if len(p.batches) == 0 {
			p.sending = false
			p.mu.Unlock()
			return
		}
		b := p.batches[0]
		copy(p.batches, p.batches[1:])
		p.batches = p.batches[:len(p.batches)-1]
		p.mu.Unlock()

		first, err := p.deliver(b)
		size := 0
		for _, w := range b.appends {
			size += w.size
			switch {
			case err != nil:
				w.done(-1, err)
			case first < 0:
				w.done(-1, nil)
			default:
				w.done(first+int64(w.first), nil)
			}
		}
		p.mu.Lock()
		full := p.unacked >= maxUnacknowledged
		p.unacked -= size
		if full {
			p.wake()
		}
		p.mu.Unlock()
		if err == nil {
			// After an error something may still be reading it.
			b.release()
		}
	}
}

// deliver appends a batch to the log and returns the position of its first event.
func (p *partition) deliver(b *recordBatch) (int64, error) {
	c := p.hub.cluster
	ctx, cancel := context.WithDeadline(p.hub.ctx, b.since.Add(c.timeout))
	defer cancel()
	doing := fmt.Sprintf("appending to hub %s partition %d", p.hub.name, p.n)
	d := delivery{p: p, b: b}
	for n := 1; ; n++ {
		first, err := d.attempt(ctx)
		if err == nil {
			p.sequence = int32((int64(p.sequence) + int64(b.count)) & (1<<31 - 1))
			return first, nil
		}
		if p.hub.isDeleted() {
			return -1, p.hub.wasDeleted()
		}
		again, err := d.judge(err)
		if !again {
			p.producer = -1 // its sequence may have moved
			if errors.Is(err, ErrNotFound) || errors.Is(err, ErrTooLarge) {
				return -1, err
			}
			err = c.explain(err, "%s", doing)
			if errors.Is(err, kerr.PolicyViolation) || errors.Is(err, kerr.KafkaStorageError) || errors.Is(err, kerr.UnknownServerError) {
				err = &connector.Hinted{Err: err, Hint: "look at the log's own messages and at the free space of its disk"}
			}
			return -1, err
		}
		if n > 3 {
			c.complain(err, p.hub.name, p.n)
		}
		select {
		case <-time.After(backoff(n)):
		case <-p.hub.gone:
			return -1, p.hub.wasDeleted()
		case <-ctx.Done():
			p.producer = -1
			return -1, c.explain(fmt.Errorf("not acknowledged within %s: %w", c.timeout, errors.Join(ctx.Err(), err)), "%s", doing)
		}
	}
}

// delivery is one batch on its way.
type delivery struct {
	p *partition
	b *recordBatch
	// unsure: an attempt may have been stored.
	unsure bool
	// renewed counts producers that the log did not want.
	renewed int
	unknown time.Time // since when the topic has not been found
}

func (d *delivery) attempt(ctx context.Context) (int64, error) {
	p := d.p
	cl := p.hub.cluster.cl
	if p.producer < 0 {
		req := kmsg.NewPtrInitProducerIDRequest()
		resp, err := req.RequestWith(ctx, cl)
		if err == nil {
			err = kerr.ErrorForCode(resp.ErrorCode)
		}
		if err != nil {
			return -1, err
		}
		p.producer, p.epoch, p.sequence = resp.ProducerID, resp.ProducerEpoch, 0
	}
	leader := p.leader.Load()
	if leader < 0 {
		var err error
		if leader, err = lookupLeader(ctx, cl, p.hub.topic, p.n); err != nil {
			return -1, err
		}
		p.leader.Store(leader)
	}
	d.b.seal(p.producer, p.epoch, p.sequence)
	req := kmsg.NewPtrProduceRequest()
	req.Acks = -1
	req.TimeoutMillis = 10_000
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = p.n, d.b.buf
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic, rt.TopicID = p.hub.topic, p.hub.id
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	kresp, err := cl.Broker(int(leader)).Request(ctx, req)
	if err != nil {
		d.unsure = d.unsure || !unknownBroker(err)
		return -1, err
	}
	resp := kresp.(*kmsg.ProduceResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		d.unsure = true
		return -1, errAnswer
	}
	answer := &resp.Topics[0].Partitions[0]
	err = kerr.ErrorForCode(answer.ErrorCode)
	if errors.Is(err, kerr.DuplicateSequenceNumber) {
		return -1, nil // an attempt before was stored, only its answer was lost
	}
	if err != nil {
		return -1, err
	}
	at := answer.LogAppendTime
	if at < 0 {
		at = time.Now().UnixMilli()
	}
	p.note(answer.BaseOffset+int64(d.b.count)-1, at)
	return answer.BaseOffset, nil
}

// judge decides whether to repeat an attempt that failed.
func (d *delivery) judge(err error) (again bool, _ error) {
	p := d.p
	p.leader.Store(-1)
	switch {
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.InconsistentTopicID):
		if d.unknown.IsZero() {
			d.unknown = time.Now()
		}
		if time.Since(d.unknown) < p.hub.cluster.patience {
			return true, err
		}
		return false, p.hub.wasDeleted()
	case errors.Is(err, kerr.OutOfOrderSequenceNumber), errors.Is(err, kerr.UnknownProducerID),
		errors.Is(err, kerr.InvalidProducerEpoch), errors.Is(err, kerr.InvalidProducerIDMapping):
		// The log has forgotten the producer, or part of what it appended.
		// A new one may try, but only if this batch cannot be there.
		if d.renewed++; d.unsure || d.renewed > 3 {
			return false, connector.Retryable(err, 0)
		}
		p.producer = -1
		return true, err
	case errors.Is(err, kerr.MessageTooLarge):
		// The topic takes less than it did when its configuration was read.
		p.hub.maxBatch.Store(min(p.hub.maxBatch.Load(), int64(len(d.b.buf))-1))
		if len(d.b.appends) > 1 {
			return false, connector.Retryable(err, 0)
		}
		return false, &said{fmt.Sprintf("the events take more bytes at once (%d) than hub %s takes: %v", len(d.b.buf), p.hub.name, err), ErrTooLarge}
	case errors.Is(err, kerr.RequestTimedOut), errors.Is(err, kerr.NotEnoughReplicasAfterAppend):
		d.unsure = true
	}
	return retriable(err), err
}

// note remembers the newest event.
func (p *partition) note(seq, ms int64) {
	p.lastMu.Lock()
	defer p.lastMu.Unlock()
	if seq >= p.lastSeq {
		p.lastSeq, p.lastMS = seq, ms
	}
}

func (p *partition) last() (seq, ms int64) {
	p.lastMu.Lock()
	defer p.lastMu.Unlock()
	return p.lastSeq, p.lastMS
}
