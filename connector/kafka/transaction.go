package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// transaction is the transactional producer of one input partition, one
// request at a time. It speaks the protocol itself, over franz-go's
// connections, because the store must know for certain what became of each
// step: a step whose answer was lost is repeated with the same producer epoch
// and sequence until there is one, and never by asking for a new epoch, which
// would take the partition away from a worker that has claimed it since.
type transaction struct {
	s         *store
	partition int32 // of the input, for errors
	id        string
	pid       int64
	epoch     int16

	sequence map[place]int32
	// added is the place in the open transaction, unsure the batch whose
	// fate is not known.
	added  *place
	unsure *batch
}

// busyTimeout is how long a step is repeated here because the cluster is still
// ending the transaction before. Then the caller is told, so that it shows.
const busyTimeout = 10 * time.Second

type place struct {
	topic     string
	partition int32
}

// init begins a new epoch: the cluster aborts what earlier ones had open, and
// refuses them from now on.
func (t *transaction) init(ctx context.Context) error {
	req := kmsg.NewPtrInitProducerIDRequest()
	req.TransactionalID = &t.id
	req.TransactionTimeoutMillis = int32(t.s.cfg.TransactionTimeout.D().Milliseconds())
	return t.repeat(ctx, "claiming", func() error {
		resp, err := req.RequestWith(ctx, t.s.admin.cl)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		t.pid, t.epoch, t.sequence = resp.ProducerID, resp.ProducerEpoch, map[place]int32{}
		return nil
	})
}

// addPartition makes a partition part of the transaction, which begins it.
func (t *transaction) addPartition(ctx context.Context, topic string, partition int32) error {
	t.added = &place{topic, partition}
	return t.repeat(ctx, "beginning a transaction", func() error {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = t.id, t.pid, t.epoch
		rt := kmsg.NewAddPartitionsToTxnRequestTopic()
		rt.Topic, rt.Partitions = topic, []int32{partition}
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(ctx, t.s.admin.cl)
		if err != nil {
			return err
		}
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
			return err
		}
		for _, rt := range resp.Topics {
			for _, rp := range rt.Partitions {
				if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// produce appends a batch. On an error the batch is kept for abandon.
func (t *transaction) produce(ctx context.Context, topic string, partition int32, b *batch) error {
	at := place{topic, partition}
	t.unsure = b
	records := b.seal(t.sequence[at])
	err := t.repeat(ctx, "appending to topic "+topic, func() error {
		err := t.send(ctx, at, records)
		if errors.Is(err, kerr.DuplicateSequenceNumber) {
			return nil // it was appended, only the answer was lost
		}
		return err
	})
	if err != nil {
		return err
	}
	t.unsure = nil
	// Sequences wrap around after the largest positive number.
	t.sequence[at] = int32((int64(t.sequence[at]) + int64(b.count)) & (1<<31 - 1))
	return nil
}

func (t *transaction) send(ctx context.Context, at place, records []byte) error {
	leader, err := t.s.leaders.of(ctx, t.s.admin.cl, at)
	if err != nil {
		return err
	}
	req := kmsg.NewPtrProduceRequest()
	req.TransactionID = &t.id
	req.Acks = -1
	req.TimeoutMillis = 10_000
	rp := kmsg.NewProduceRequestTopicPartition()
	rp.Partition, rp.Records = at.partition, records
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = at.topic
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	kresp, err := t.s.admin.cl.Broker(int(leader)).Request(ctx, req)
	if err == nil {
		resp := kresp.(*kmsg.ProduceResponse)
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return fmt.Errorf("the broker answered for %d topics instead of one partition", len(resp.Topics))
		}
		err = kerr.ErrorForCode(resp.Topics[0].Partitions[0].ErrorCode)
	}
	if err != nil {
		t.s.leaders.forget()
	}
	return err
}

// end commits or aborts. It may be repeated with the same decision.
func (t *transaction) end(ctx context.Context, commit bool) error {
	doing := "aborting a transaction"
	if commit {
		doing = "committing a transaction"
	}
	req := kmsg.NewPtrEndTxnRequest()
	req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = t.id, t.pid, t.epoch, commit
	return t.repeat(ctx, doing, func() error {
		resp, err := req.RequestWith(ctx, t.s.admin.cl)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
}

// abandon aborts a transaction that was interrupted at an unknown step: the
// steps are repeated, so that it is certain which sequence comes next, and
// then undone.
func (t *transaction) abandon(ctx context.Context) error {
	at := *t.added
	if err := t.addPartition(ctx, at.topic, at.partition); err != nil {
		return err
	}
	if b := t.unsure; b != nil {
		if err := t.produce(ctx, at.topic, at.partition, b); err != nil {
			return err
		}
		b.release()
	}
	return t.end(ctx, false)
}

// repeat runs a step until it has a definite answer: success, being fenced,
// or a fault that stays. If ctx ends first, or the cluster stays away or busy
// with the transaction before, the answer is Retry.
//
// Apache Kafka (4.3.0 at least) answers UNKNOWN_SERVER_ERROR where it means
// CONCURRENT_TRANSACTIONS: to a step that meets the moment in which a new
// owner fences this one ("transition to ONGOING while it already a pending
// state PREPARE_EPOCH_FENCE"). Asked again it gives the real answer.
func (t *transaction) repeat(ctx context.Context, doing string, step func() error) error {
	began := time.Now()
	for n := 1; ; n++ {
		err := step()
		busy := errors.Is(err, kerr.ConcurrentTransactions)
		confused := errors.Is(err, kerr.UnknownServerError)
		switch {
		case err == nil:
			return nil
		case fenced(err):
			return connector.FencedError([]int32{t.partition}, doing+": "+code(err))
		case ctx.Err() != nil:
			return connector.Retryable(fmt.Errorf("%s for partition %d: %w", doing, t.partition, ctx.Err()), 0)
		case !busy && !retriable(err) && (!confused || n > 10):
			return t.s.conn.explain(err, fmt.Sprintf("%s for partition %d", doing, t.partition))
		case !busy && n > 10, busy && time.Since(began) > busyTimeout:
			return connector.Retryable(t.s.conn.explain(err, fmt.Sprintf("%s for partition %d", doing, t.partition)), time.Second)
		}
		wait := backoff(n)
		if busy {
			// The markers of the transaction before are being written,
			// which takes a millisecond or a few.
			wait = min(time.Duration(n)*time.Millisecond, 100*time.Millisecond)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}

// fenced tells the errors that mean: another owner has begun, or the cluster
// has given this transaction up. Either way, only a new claim helps.
func fenced(err error) bool {
	for _, k := range []*kerr.Error{
		kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping, kerr.InvalidTxnState,
		kerr.UnknownProducerID, kerr.OutOfOrderSequenceNumber, kerr.TransactionAbortable,
	} {
		if errors.Is(err, k) {
			return true
		}
	}
	return false
}

// leaders remembers which broker leads a partition.
type leaders struct {
	mu sync.Mutex
	m  map[place]int32
}

func (l *leaders) of(ctx context.Context, cl *kgo.Client, at place) (int32, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if id, ok := l.m[at]; ok {
		return id, nil
	}
	meta, err := kadm.NewClient(cl).Metadata(ctx, at.topic)
	if err != nil {
		return -1, err
	}
	t := meta.Topics[at.topic]
	if t.Err != nil {
		return -1, t.Err
	}
	if l.m == nil {
		l.m = map[place]int32{}
	}
	for _, p := range t.Partitions {
		if p.Err == nil && p.Leader >= 0 {
			l.m[place{at.topic, p.Partition}] = p.Leader
		}
	}
	if id, ok := l.m[at]; ok {
		return id, nil
	}
	return -1, kerr.LeaderNotAvailable
}

func (l *leaders) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.m = nil
}
