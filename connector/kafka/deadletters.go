package kafka

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"

	"millrace/connector"
	"millrace/record"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The headers of a dead letter. Its key and value are the input's, untouched.
const (
	headerReason    = "reason"
	headerDetail    = "detail"
	headerPartition = "partition"
	headerOffset    = "offset"
	headerAt        = "at"
)

// letterOverhead is what a letter may be larger than the input it holds.
const letterOverhead = 64 << 10

// deadLetters implements connector.DeadLetters on a topic of its own.
type deadLetters struct {
	cfg   Config
	conn  *connection
	topic string
	admin admin

	mu       sync.Mutex
	prepared bool
	producer *kgo.Client
}

func newDeadLetters(cfg Config, conn *connection, _ connector.Env, topic string) *deadLetters {
	return &deadLetters{cfg: cfg, conn: conn, topic: topic, admin: admin{conn: conn}}
}

// Describe implements connector.DeadLetters.
func (d *deadLetters) Describe() string {
	return fmt.Sprintf("kafka %s topic %s", d.conn.brokers, d.topic)
}

// open makes the topic and the producer on first use.
func (d *deadLetters) open(ctx context.Context) (*kgo.Client, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.prepared {
		return d.producer, nil
	}
	adm, err := d.admin.open(ctx)
	if err != nil {
		return nil, err
	}
	size := int64(d.cfg.MaxMessageBytes) + letterOverhead
	_, err = createTopic(ctx, d.conn, adm, topicSpec{name: d.topic, partitions: 1, replication: d.cfg.ReplicationFactor,
		configs: map[string]*string{
			"message.timestamp.type": kadm.StringPtr("LogAppendTime"),
			"segment.bytes":          kadm.StringPtr(strconv.FormatInt(int64(d.cfg.SegmentBytes), 10)),
			"max.message.bytes":      kadm.StringPtr(strconv.FormatInt(size, 10)),
		}})
	if err != nil {
		return nil, err
	}
	d.producer, err = d.conn.client(
		kgo.DefaultProduceTopic(d.topic),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()),
		d.conn.batches(size),
		kgo.ProducerLinger(0),
	)
	d.prepared = err == nil
	return d.producer, err
}

// Write implements connector.DeadLetters: it returns when the log has
// acknowledged every letter. A log that does not answer is worth retrying even
// if this is its first use here: letters come from inputs that were read from
// it.
func (d *deadLetters) Write(ctx context.Context, letters []record.DeadLetter) error {
	if len(letters) == 0 {
		return nil
	}
	cl, err := d.open(ctx)
	if err != nil {
		if isUnreachable(err) && connector.ActionOf(err) == connector.Fail {
			err = connector.Retryable(err, 0)
		}
		return err
	}
	records := make([]*kgo.Record, len(letters))
	for i := range letters {
		records[i] = letterRecord(&letters[i])
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("writing dead letters to topic %s: %w", d.topic, ctx.Err())
		}
		return d.conn.explain(err, "writing dead letters to topic "+d.topic)
	}
	return nil
}

func letterRecord(l *record.DeadLetter) *kgo.Record {
	// Detail is for people; an endless one must not cost the letter.
	detail := l.Detail
	if len(detail) > letterOverhead/2 {
		detail = detail[:letterOverhead/2]
	}
	return &kgo.Record{Key: l.Key, Value: l.Raw, Headers: []kgo.RecordHeader{
		{Key: headerReason, Value: []byte(l.Reason)},
		{Key: headerDetail, Value: []byte(detail)},
		{Key: headerPartition, Value: strconv.AppendInt(nil, int64(l.Partition), 10)},
		{Key: headerOffset, Value: strconv.AppendInt(nil, l.Offset, 10)},
		{Key: headerAt, Value: strconv.AppendInt(nil, l.At, 10)},
	}}
}

// readLetter is the reverse of letterRecord.
func readLetter(r *kgo.Record, l *record.DeadLetter) error {
	*l = record.DeadLetter{Key: r.Key, Raw: r.Value}
	seen := 0
	number := func(h kgo.RecordHeader, bits int) (int64, error) {
		n, err := strconv.ParseInt(string(h.Value), 10, bits)
		if err != nil {
			return 0, fmt.Errorf("header %s is %q, not a number", h.Key, h.Value)
		}
		return n, nil
	}
	for _, h := range r.Headers {
		var n int64
		var err error
		seen++
		switch h.Key {
		case headerReason:
			l.Reason = record.Reason(h.Value)
		case headerDetail:
			l.Detail = string(h.Value)
		case headerPartition:
			n, err = number(h, 32)
			l.Partition = int32(n)
		case headerOffset:
			l.Offset, err = number(h, 64)
		case headerAt:
			l.At, err = number(h, 64)
		default:
			seen--
		}
		if err != nil {
			return err
		}
	}
	if seen != 5 {
		return errors.New("it is not a dead letter: headers are missing")
	}
	return nil
}

// Scan implements connector.DeadLetters.
func (d *deadLetters) Scan(ctx context.Context, fn func(*record.DeadLetter) error) error {
	adm, err := d.admin.open(ctx)
	if err != nil {
		return err
	}
	meta, err := adm.Metadata(ctx, d.topic)
	if err != nil {
		return d.conn.explain(err, "looking for topic "+d.topic)
	}
	if errors.Is(meta.Topics[d.topic].Err, kerr.UnknownTopicOrPartition) {
		return nil // nothing was ever written
	}
	ends, err := stableEnds(ctx, d.conn, adm, d.topic)
	if err != nil {
		return err
	}
	r := reader{conn: d.conn, cl: d.admin.cl, topic: d.topic}
	var letter record.DeadLetter
	for p, end := range ends {
		err := r.read(ctx, int32(p), 0, end, func(f *fetched) error {
			for _, rec := range f.records {
				if err := readLetter(rec, &letter); err != nil {
					return fmt.Errorf("topic %s partition %d offset %d: %w", d.topic, p, rec.Offset, err)
				}
				if err := fn(&letter); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Close implements connector.DeadLetters.
func (d *deadLetters) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.producer != nil {
		d.producer.Close()
	}
	d.admin.close()
	return nil
}
