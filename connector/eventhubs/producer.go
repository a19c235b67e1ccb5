package eventhubs

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// producer implements connector.Producer: in order per partition, hence per
// key, and acknowledged by the service. What fails because the service is away
// or throttles is repeated until the producer is closed.
//
// Keys are mapped to partitions here, by the same hash as the SDKs' buffered
// producers, so that the batches of a partition are full ones; each event
// carries its key all the same.
//
// Sending is at least once: the SDK for Go knows no idempotent sending. After
// an answer was lost with the connection, the partition is read back to see
// whether the batch is there, which takes the right to listen; but a batch that
// appears later than that, or in a partition that may not be read, is sent
// again and is in the hub twice, with the same contents in the same order.
type producer struct {
	log      *hubLog
	client   *azeventhubs.ProducerClient
	acked    func(*connector.Message, error)
	maxCount int64
	maxBytes int64
	senders  []*sender
	next     int // partition of the next message without a key

	count, bytes atomic.Int64 // queued and not yet acknowledged
	ids          atomic.Uint64
	// room wakes a blocked Produce or a Flush; it holds at most one signal,
	// and whoever takes it looks at count and bytes again.
	room chan struct{}
	idle chan struct{}
	// ctx ends when the producer is closed.
	ctx       context.Context
	cancel    context.CancelFunc
	closeOnce sync.Once
	done      sync.WaitGroup
}

// Producer implements connector.Log. ctx is for opening only: what is queued
// is kept until it is acknowledged or the producer is closed.
func (l *hubLog) Producer(ctx context.Context, acked func(m *connector.Message, err error)) (connector.Producer, error) {
	n, err := l.count(ctx)
	if err != nil {
		return nil, err
	}
	client, err := l.e.producer(l.hub)
	if err != nil {
		return nil, err
	}
	p := &producer{log: l, client: client, acked: acked,
		maxCount: int64(l.cfg.MaxInFlight), maxBytes: int64(l.cfg.MaxInFlightBytes),
		room: make(chan struct{}, 1), idle: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.ids.Store(rand.Uint64())
	for i := range n {
		s := newSender(p, int32(i))
		p.senders = append(p.senders, s)
		p.done.Go(s.run)
	}
	return p, nil
}

// Produce implements connector.Producer.
func (p *producer) Produce(ctx context.Context, m *connector.Message) error {
	size := int64(len(m.Key) + len(m.Value))
	for p.count.Load() >= p.maxCount || (p.bytes.Load()+size > p.maxBytes && p.count.Load() > 0) {
		select {
		case <-p.room:
		case <-p.ctx.Done():
			return p.errClosed()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	if p.ctx.Err() != nil {
		return p.errClosed()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	var to int32
	if len(m.Key) > 0 {
		to = partitionFor(m.Key, len(p.senders))
	} else {
		to = int32(p.next)
		p.next = (p.next + 1) % len(p.senders)
	}
	p.count.Add(1)
	p.bytes.Add(size)
	if !p.senders[to].add(m) {
		p.settle(m, p.errClosed(), false)
		return p.errClosed()
	}
	return nil
}

func (p *producer) errClosed() error {
	return fmt.Errorf("sending to hub %s: the producer %w", p.log.hub, errClosed)
}

// settle lets go of a message, telling its sender what became of it if it was
// accepted.
func (p *producer) settle(m *connector.Message, err error, accepted bool) {
	size := int64(len(m.Key) + len(m.Value))
	if accepted {
		p.acked(m, err)
	}
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
	for _, s := range p.senders {
		s.flush()
	}
	for p.count.Load() > 0 {
		select {
		case <-p.idle:
		case <-ctx.Done():
			return fmt.Errorf("flushing to hub %s: %w", p.log.hub, ctx.Err())
		}
	}
	return nil
}

// Close implements connector.Producer. It returns when every message has had
// its acknowledgement.
func (p *producer) Close() error {
	p.closeOnce.Do(func() {
		p.cancel()
		p.done.Wait()
		closeClient(p.client)
	})
	p.done.Wait()
	signal(p.idle) // for a Flush that waits as well
	return nil
}
