package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// producer implements connector.Producer: idempotent, acknowledged by all
// in-sync replicas, in order per partition. The client repeats what fails
// because a broker is away, without limit unless a record timeout is set.
type producer struct {
	log      *topicLog
	cl       *kgo.Client
	acked    func(*connector.Message, error)
	maxCount int64
	maxBytes int64

	count, bytes atomic.Int64 // queued and not yet acknowledged
	// room wakes a blocked Produce or a Flush; it holds at most one signal,
	// and whoever takes it looks at count and bytes again.
	room      chan struct{}
	idle      chan struct{}
	closed    chan struct{}
	closeOnce sync.Once
	pool      sync.Pool
}

// sending is one message under way. It is its record's context, which is how
// the acknowledgement finds its message without a closure for each.
type sending struct {
	context.Context
	rec kgo.Record
	m   *connector.Message
	p   *producer
}

// Producer implements connector.Log. ctx is for opening only: what is queued
// is kept until it is acknowledged or the producer is closed.
func (l *topicLog) Producer(_ context.Context, acked func(m *connector.Message, err error)) (connector.Producer, error) {
	opts := []kgo.Opt{
		kgo.DefaultProduceTopic(l.topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.ProducerLinger(l.cfg.Linger.D()),
		l.conn.batches(int64(l.cfg.MaxMessageBytes)),
		kgo.RecordPartitioner(kgo.StickyKeyPartitioner(nil)),
		// This producer counts itself, in order to fail as its contract
		// wants; the client must never be the one that blocks.
		kgo.MaxBufferedRecords(l.cfg.MaxInFlight + 1),
	}
	if l.cfg.RecordTimeout > 0 {
		opts = append(opts, kgo.RecordDeliveryTimeout(l.cfg.RecordTimeout.D()))
	}
	cl, err := l.conn.client(opts...)
	if err != nil {
		return nil, err
	}
	return &producer{
		log: l, cl: cl, acked: acked,
		maxCount: int64(l.cfg.MaxInFlight), maxBytes: int64(l.cfg.MaxInFlightBytes),
		room: make(chan struct{}, 1), idle: make(chan struct{}, 1), closed: make(chan struct{}),
		pool: sync.Pool{New: func() any { return &sending{Context: context.Background()} }},
	}, nil
}

// Produce implements connector.Producer.
func (p *producer) Produce(ctx context.Context, m *connector.Message) error {
	size := int64(len(m.Key) + len(m.Value))
	for p.count.Load() >= p.maxCount || (p.bytes.Load()+size > p.maxBytes && p.count.Load() > 0) {
		select {
		case <-p.room:
		case <-p.closed:
			return fmt.Errorf("producing to topic %s: the producer %w", p.log.topic, errClosed)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	select {
	case <-p.closed:
		return fmt.Errorf("producing to topic %s: the producer %w", p.log.topic, errClosed)
	default:
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	p.count.Add(1)
	p.bytes.Add(size)
	s := p.pool.Get().(*sending)
	s.m, s.p = m, p
	s.rec = kgo.Record{Key: m.Key, Value: m.Value, Context: s}
	p.cl.Produce(context.Background(), &s.rec, delivered)
	return nil
}

// delivered is called by the client once for each record.
func delivered(r *kgo.Record, err error) {
	s := r.Context.(*sending)
	p, m := s.p, s.m
	s.m, s.rec = nil, kgo.Record{}
	p.pool.Put(s)
	if err != nil {
		err = p.log.produceError(err)
	}
	size := int64(len(m.Key) + len(m.Value))
	p.acked(m, err)
	p.bytes.Add(-size)
	if p.count.Add(-1) == 0 {
		signal(p.idle)
	}
	signal(p.room)
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// Flush implements connector.Producer.
func (p *producer) Flush(ctx context.Context) error {
	if err := p.cl.Flush(ctx); err != nil {
		return fmt.Errorf("flushing to topic %s: %w", p.log.topic, err)
	}
	// The client's flush ends before the last acknowledgements are
	// delivered.
	for p.count.Load() > 0 {
		select {
		case <-p.idle:
		case <-ctx.Done():
			return fmt.Errorf("flushing to topic %s: %w", p.log.topic, ctx.Err())
		}
	}
	return nil
}

// Close implements connector.Producer. It returns when every message has had
// its acknowledgement.
func (p *producer) Close() error {
	p.closeOnce.Do(func() {
		close(p.closed)
		p.cl.Close()
	})
	for p.count.Load() > 0 {
		<-p.idle
	}
	signal(p.idle) // for another Close or Flush that waits as well
	return nil
}

// produceError says why a message was not appended.
func (l *topicLog) produceError(err error) error {
	doing := "appending to topic " + l.topic
	switch {
	case errors.Is(err, kgo.ErrClientClosed):
		return fmt.Errorf("%s: the producer %w", doing, errClosed)
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries):
		return connector.Retryable(fmt.Errorf("%s: not acknowledged within %s: %w", doing, l.cfg.RecordTimeout, err), 0)
	case errors.Is(err, kerr.MessageTooLarge):
		return &connector.Hinted{Err: fmt.Errorf("%s: the event is larger than the topic takes (%s): %w", doing, l.cfg.MaxMessageBytes, err),
			Hint: "raise maxMessageBytes, and max.message.bytes of an existing topic"}
	case errors.Is(err, kerr.PolicyViolation), errors.Is(err, kerr.KafkaStorageError), errors.Is(err, kerr.UnknownServerError):
		return &connector.Hinted{Err: fmt.Errorf("%s: the broker cannot store more: %w", doing, err),
			Hint: "look at the broker's log and at the free space of its disk"}
	case errors.Is(err, kerr.UnknownTopicOrPartition), errors.Is(err, kerr.UnknownTopicID):
		return &connector.Hinted{Err: fmt.Errorf("%s: it does not exist: %w", doing, err),
			Hint: "create the topic first, or check its name"}
	}
	return l.conn.explain(err, doing)
}
