package eventhubs

import (
	"context"
	"errors"
	"time"

	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

const (
	// batchRecords and batchBytes bound one record.Batch.
	batchRecords = 1000
	batchBytes   = 1 << 20
	// maxCredit is the most events that one link may have under way to us.
	// What they weigh is known only when they are here: small events may be
	// followed by many of a megabyte. A thousand are enough to fill a
	// partition's share of the service over a long way (more read no faster
	// on loopback). minCredit keeps large events flowing.
	maxCredit = 1000
	minCredit = 8
)

// receiver reads one partition over one link. The SDK's prefetch is off: how
// many events may be under way follows from their size, so that a bound in
// bytes holds for small and large events alike.
type receiver struct {
	pc *azeventhubs.PartitionClient
	// budget is how many bytes may be under way, average the size of an
	// event so far.
	budget  int
	average int
	// now is a context that has ended: with it, the SDK hands out what has
	// arrived without waiting for more.
	now context.Context
}

func newReceiver(c *azeventhubs.ConsumerClient, p int32, start azeventhubs.StartPosition, level *int64, budget int) (*receiver, error) {
	pc, err := c.NewPartitionClient(partitionID(p), &azeventhubs.PartitionClientOptions{StartPosition: start, OwnerLevel: level, Prefetch: -1})
	if err != nil {
		return nil, err
	}
	now, cancel := context.WithCancel(context.Background())
	cancel()
	return &receiver{pc: pc, budget: budget, average: 1 << 10, now: now}, nil
}

// epoch is the owner level of everything that reads as an owner: that of the
// SDKs' processors, among which the newest link wins.
var epoch int64

// next waits for at least one event and returns all that have arrived. The
// link is made by the first call.
func (r *receiver) next(ctx context.Context) ([]*azeventhubs.ReceivedEventData, error) {
	first, err := r.pc.ReceiveEvents(ctx, 1, nil)
	if err != nil {
		return nil, err
	}
	rest, err := r.pc.ReceiveEvents(r.now, r.credit(), nil)
	if err != nil && !errors.Is(err, context.Canceled) && len(rest) == 0 {
		// The next call meets the same fault, with nothing in hand.
		rest = nil
	}
	events := append(first, rest...)
	r.weigh(events)
	return events, nil
}

// credit is how many events may be under way.
func (r *receiver) credit() int { return min(max(r.budget/r.average, minCredit), maxCredit) }

// weigh follows the size of events: upwards at once, since credit that was
// given cannot be taken back, downwards slowly.
func (r *receiver) weigh(events []*azeventhubs.ReceivedEventData) {
	size := 0
	for _, e := range events {
		size += len(e.Body) + 128
	}
	now := size / len(events)
	r.average = max((r.average*7+now)/8, now, 64)
}

// within is next with a bound: quiet says that it was reached, and nothing came.
func (r *receiver) within(ctx context.Context, d time.Duration) (events []*azeventhubs.ReceivedEventData, quiet bool, err error) {
	bounded, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	events, err = r.next(bounded)
	return events, err != nil && bounded.Err() != nil && ctx.Err() == nil, err
}

func (r *receiver) close() { closeClient(r.pc) }

// kafkaKey is the annotation in which the service shows the key of an event
// that was sent with Kafka's protocol.
const kafkaKey = "x-opt-kafka-key"

// toRecord makes a record of an event.
func toRecord(e *azeventhubs.ReceivedEventData, r *record.Record) {
	r.Offset = e.SequenceNumber
	r.Timestamp = record.NoTime
	if e.EnqueuedTime != nil {
		r.Timestamp = e.EnqueuedTime.UnixMicro()
	}
	if e.PartitionKey != nil {
		r.Key = []byte(*e.PartitionKey)
	} else {
		switch k := e.SystemProperties[kafkaKey].(type) {
		case []byte:
			r.Key = k
		case string:
			r.Key = []byte(k)
		}
	}
	r.Value = body(e)
}

// body is an event's content as bytes: its data, or the value that another
// protocol or client has put there. A sequence of values has none.
func body(e *azeventhubs.ReceivedEventData) []byte {
	if e.Body != nil || e.RawAMQPMessage == nil {
		return e.Body
	}
	b := e.RawAMQPMessage.Body
	switch v := b.Value.(type) {
	case []byte:
		return v
	case string:
		return []byte(v)
	}
	var all []byte
	for _, d := range b.Data {
		all = append(all, d...)
	}
	return all
}

// split cuts events, which are in order, into batches of bounded size.
func split(p int32, events []*azeventhubs.ReceivedEventData, end int64) []*record.Batch {
	var batches []*record.Batch
	for len(events) > 0 {
		n, size := 0, 0
		for n < len(events) && n < batchRecords && (n == 0 || size+len(events[n].Body) <= batchBytes) {
			size += len(events[n].Body)
			n++
		}
		b := &record.Batch{Partition: p, Records: make([]record.Record, n)}
		for i, e := range events[:n] {
			toRecord(e, &b.Records[i])
		}
		b.Next = events[n-1].SequenceNumber + 1
		b.End = max(end, b.Next)
		batches = append(batches, b)
		events = events[n:]
	}
	return batches
}

// startAt is where a link starts that is to deliver position at first. The
// service refuses a position that it does not have yet, so the position before
// it is named, and excluded.
func startAt(at, first int64) azeventhubs.StartPosition {
	if at <= first {
		return azeventhubs.StartPosition{Earliest: ptr(true)}
	}
	return azeventhubs.StartPosition{SequenceNumber: ptr(at - 1)}
}

// since is where a link starts that is to deliver what came at t or later.
func since(t time.Time) azeventhubs.StartPosition {
	return azeventhubs.StartPosition{EnqueuedTime: &t, Inclusive: true}
}
