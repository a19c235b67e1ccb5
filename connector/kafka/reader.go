package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"millrace/record"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// fetchBytes is how much one request of a reader asks for.
	fetchBytes = 4 << 20
	// batchRecords and batchBytes bound one record.Batch.
	batchRecords = 1000
	batchBytes   = 1 << 20
)

// reader reads a range of one partition, outside any group, seeing committed
// entries only. It asks for positions itself instead of using the client's
// consumer, because only the answer to a fetch tells how far it went when the
// rest of a range holds no entries (transaction markers, aborted
// transactions, compacted ones).
type reader struct {
	conn  *connection
	cl    *kgo.Client
	topic string
}

// lead is where a partition is to be asked for.
type lead struct {
	broker int32
	topic  [16]byte // the topic's ID, which newer brokers want
}

// fetched is the answer to one fetch.
type fetched struct {
	records []*kgo.Record
	// next is where to go on, end the last stable offset.
	next, end int64
	err       error
}

// read calls fn with every entry of partition p from position from (or the
// first one still there) until position to, in order.
func (r *reader) read(ctx context.Context, p int32, from, to int64, fn func(*fetched) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	first, err := r.first(ctx, p)
	if err != nil {
		return err
	}
	// A position that retention has passed is the first one still there.
	from = max(from, first)
	if from >= to {
		return nil
	}
	// One answer is fetched ahead of the one that fn works on.
	answers := make(chan *fetched)
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.fetchAll(ctx, p, from, to, answers)
	}()
	defer func() { cancel(); <-done }()
	for {
		select {
		case f := <-answers:
			if f.err != nil {
				return f.err
			}
			if err := fn(f); err != nil {
				return err
			}
			if f.next >= to {
				return nil
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fetchAll sends answers until position to, an error, or the end of ctx.
func (r *reader) fetchAll(ctx context.Context, p int32, at, to int64, answers chan<- *fetched) {
	leader, fails := lead{broker: -1}, 0
	for at < to {
		var f *fetched
		var err error
		if leader.broker < 0 {
			leader, err = r.leader(ctx, p)
		}
		if err == nil {
			f, err = r.fetch(ctx, leader, p, at)
		}
		if err != nil {
			leader.broker = -1
			fails++
			if !retriable(err) || fails > 20 {
				f = &fetched{err: r.conn.explain(err, fmt.Sprintf("reading topic %s partition %d at %d", r.topic, p, at))}
			} else {
				select {
				case <-time.After(backoff(fails)):
					continue
				case <-ctx.Done():
					return
				}
			}
		} else {
			fails = 0
			if f.next == at {
				continue // nothing new within the wait
			}
			for n := len(f.records); n > 0 && f.records[n-1].Offset >= to; n-- {
				f.records = f.records[:n-1]
			}
			f.next = min(f.next, to)
			at = f.next
		}
		select {
		case answers <- f:
		case <-ctx.Done():
			return
		}
		if f.err != nil {
			return
		}
	}
}

// fetch asks the leader for entries at a position.
func (r *reader) fetch(ctx context.Context, leader lead, p int32, at int64) (*fetched, error) {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1
	req.MaxWaitMillis = 500
	req.MinBytes = 1
	req.MaxBytes = fetchBytes
	req.IsolationLevel = 1
	req.SessionEpoch = -1
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = p, at, fetchBytes
	part.CurrentLeaderEpoch, part.LogStartOffset, part.LastFetchedEpoch = -1, -1, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.TopicID = r.topic, leader.topic
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)

	kresp, err := r.cl.Broker(int(leader.broker)).RetriableRequest(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := kresp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("the broker answered for %d topics instead of one partition", len(resp.Topics))
	}
	fp, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: at, IsolationLevel: kgo.ReadCommitted(), Topic: r.topic, Partition: p,
	}, &resp.Topics[0].Partitions[0], kgo.DefaultDecompressor(), nil)
	if fp.Err != nil {
		return nil, fp.Err
	}
	return &fetched{records: fp.Records, next: max(at, next), end: fp.LastStableOffset}, nil
}

func (r *reader) leader(ctx context.Context, p int32) (lead, error) {
	none := lead{broker: -1}
	meta, err := kadm.NewClient(r.cl).Metadata(ctx, r.topic)
	if err != nil {
		return none, err
	}
	t := meta.Topics[r.topic]
	if t.Err != nil {
		return none, t.Err
	}
	part, ok := t.Partitions[p]
	if !ok {
		return none, fmt.Errorf("topic %s has no partition %d", r.topic, p)
	}
	if part.Err != nil {
		return none, part.Err
	}
	return lead{broker: part.Leader, topic: t.ID}, nil
}

// first is the first position still in the log.
func (r *reader) first(ctx context.Context, p int32) (int64, error) {
	return r.listed(ctx, p, "first", (*kadm.Client).ListStartOffsets)
}

// end is the position after the last entry, committed or not.
func (r *reader) end(ctx context.Context, p int32) (int64, error) {
	return r.listed(ctx, p, "end", (*kadm.Client).ListEndOffsets)
}

func (r *reader) listed(ctx context.Context, p int32, what string, list listing) (int64, error) {
	offsets, err := listOffsets(ctx, r.conn, kadm.NewClient(r.cl), r.topic, what, list)
	if err != nil {
		return 0, err
	}
	o, ok := offsets.Lookup(r.topic, p)
	if !ok {
		return 0, fmt.Errorf("topic %s has no partition %d", r.topic, p)
	}
	return o.Offset, nil
}

// listing is one of kadm's ways to list positions.
type listing func(*kadm.Client, context.Context, ...string) (kadm.ListedOffsets, error)

// listOffsets lists positions of all partitions. A leader that has just
// changed, or has just been made, may refuse at first.
func listOffsets(ctx context.Context, conn *connection, adm *kadm.Client, topic, what string, list listing) (kadm.ListedOffsets, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	for n := 1; ; n++ {
		offsets, err := list(adm, ctx, topic)
		if err == nil {
			err = offsets.Error()
		}
		if err == nil {
			return offsets, nil
		}
		if !retriable(err) || ctx.Err() != nil {
			return nil, conn.explain(err, "reading the "+what+" positions of topic "+topic)
		}
		select {
		case <-ctx.Done():
		case <-time.After(backoff(n)):
		}
	}
}

// retriable tells a fault of the moment from one that stays.
func retriable(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Retriable
	}
	return kgo.IsRetryableBrokerErr(err) || isNetwork(err)
}

// splitBatches cuts records, which are in offset order and without control
// records, into batches of bounded size. The last one's Next is next; an
// empty one is made if there is nothing else to carry it.
func splitBatches(p int32, recs []*kgo.Record, next, end int64) []*record.Batch {
	var batches []*record.Batch
	for len(recs) > 0 {
		n, size := 0, 0
		for n < len(recs) && n < batchRecords && (n == 0 || size+len(recs[n].Value) <= batchBytes) {
			size += len(recs[n].Value)
			n++
		}
		b := &record.Batch{Partition: p, Records: make([]record.Record, n), End: end}
		for i, r := range recs[:n] {
			b.Records[i] = record.Record{Offset: r.Offset, Timestamp: r.Timestamp.UnixMicro(), Key: r.Key, Value: r.Value}
		}
		b.Next = recs[n-1].Offset + 1
		batches = append(batches, b)
		recs = recs[n:]
	}
	if k := len(batches); k > 0 {
		batches[k-1].Next = max(batches[k-1].Next, next)
	} else {
		batches = append(batches, &record.Batch{Partition: p, Next: next, End: end})
	}
	return batches
}
