package kafka

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// topicLog implements connector.Log on one topic.
type topicLog struct {
	cfg   Config
	conn  *connection
	topic string
	run   string
	log   *slog.Logger
	admin admin
}

func newTopicLog(cfg Config, conn *connection, env connector.Env) *topicLog {
	return &topicLog{cfg: cfg, conn: conn, topic: withRun(cfg.Topic, env.Run), run: env.Run, log: env.Log,
		admin: admin{conn: conn}}
}

// Describe implements connector.Log.
func (l *topicLog) Describe() string {
	return fmt.Sprintf("kafka %s topic %s", l.conn.brokers, l.topic)
}

// Throttled implements connector.Throttled: Kafka does not refuse what is too
// much, it answers late and tells the client to wait.
func (l *topicLog) Throttled() int64 { return l.conn.throttled.Load() }

// Prepare implements connector.Log.
func (l *topicLog) Prepare(ctx context.Context) (int, error) {
	adm, err := l.admin.open(ctx)
	if err != nil {
		return 0, err
	}
	configs := map[string]*string{
		"message.timestamp.type": kadm.StringPtr("LogAppendTime"),
		"segment.bytes":          kadm.StringPtr(strconv.FormatInt(int64(l.cfg.SegmentBytes), 10)),
		"max.message.bytes":      kadm.StringPtr(strconv.FormatInt(int64(l.cfg.MaxMessageBytes), 10)),
	}
	if l.cfg.Retention > 0 {
		configs["retention.ms"] = kadm.StringPtr(strconv.FormatInt(l.cfg.Retention.D().Milliseconds(), 10))
	}
	n, err := createTopic(ctx, l.conn, adm, topicSpec{
		name: l.topic, partitions: l.cfg.Partitions, replication: l.cfg.ReplicationFactor, configs: configs,
	})
	if err != nil {
		return 0, err
	}
	if n != l.cfg.Partitions {
		return 0, &connector.Hinted{
			Err:  fmt.Errorf("topic %s has %d partitions, not the configured %d", l.topic, n, l.cfg.Partitions),
			Hint: fmt.Sprintf("set partitions: %d, choose another topic, or delete this one", n),
		}
	}
	return n, nil
}

// OffsetAt implements connector.Log.
func (l *topicLog) OffsetAt(ctx context.Context, p int32, micros int64) (int64, error) {
	adm, err := l.admin.open(ctx)
	if err != nil {
		return 0, err
	}
	// Kafka keeps milliseconds: the entry at micros or after has at least
	// the next whole one, unless micros is whole itself.
	millis := micros / 1000
	if micros%1000 > 0 {
		millis++
	}
	at, err := listOffsets(ctx, l.conn, adm, l.topic, "appended", func(adm *kadm.Client, ctx context.Context, topics ...string) (kadm.ListedOffsets, error) {
		return adm.ListOffsetsAfterMilli(ctx, millis, topics...)
	})
	if err != nil {
		return 0, err
	}
	o, ok := at.Lookup(l.topic, p)
	if !ok {
		return 0, fmt.Errorf("topic %s has no partition %d", l.topic, p)
	}
	return o.Offset, nil
}

// Ends implements connector.Log: the last stable offsets, up to which a
// reader of committed entries can get.
func (l *topicLog) Ends(ctx context.Context) ([]int64, error) {
	adm, err := l.admin.open(ctx)
	if err != nil {
		return nil, err
	}
	return stableEnds(ctx, l.conn, adm, l.topic)
}

func stableEnds(ctx context.Context, conn *connection, adm *kadm.Client, topic string) ([]int64, error) {
	listed, err := listOffsets(ctx, conn, adm, topic, "end", (*kadm.Client).ListCommittedOffsets)
	if err != nil {
		return nil, err
	}
	ends := make([]int64, len(listed[topic]))
	for p, o := range listed[topic] {
		if int(p) >= len(ends) {
			return nil, fmt.Errorf("topic %s: the cluster names %d partitions and among them number %d", topic, len(ends), p)
		}
		ends[p] = o.Offset
	}
	return ends, nil
}

// Replay implements connector.Log.
func (l *topicLog) Replay(ctx context.Context, p int32, from, to int64, fn func(*record.Batch) error) error {
	if _, err := l.admin.open(ctx); err != nil {
		return err
	}
	r := reader{conn: l.conn, cl: l.admin.cl, topic: l.topic}
	return r.read(ctx, p, from, to, func(f *fetched) error {
		for _, b := range splitBatches(p, f.records, f.next, f.end) {
			if err := fn(b); err != nil {
				return err
			}
		}
		return nil
	})
}

// Drop implements connector.Log. It also deletes the dead letters' topic and
// leaves consumer groups to expire.
func (l *topicLog) Drop(ctx context.Context) error {
	adm, err := l.admin.open(ctx)
	if err != nil {
		return err
	}
	return dropTopics(ctx, l.conn, adm, l.topic)
}

// Close implements connector.Log. Producers and sources live on.
func (l *topicLog) Close() error {
	l.admin.close()
	return nil
}

// admin is a client for everything but producing and consuming in a group. It
// connects on first use.
type admin struct {
	conn *connection

	mu     sync.Mutex
	cl     *kgo.Client
	adm    *kadm.Client
	closed bool
}

var errClosed = errors.New("is closed")

// open returns the client, having made sure once that the cluster answers.
func (a *admin) open(ctx context.Context) (*kadm.Client, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, fmt.Errorf("kafka %s: %w", a.conn.brokers, errClosed)
	}
	if a.adm != nil {
		return a.adm, nil
	}
	cl, err := a.conn.client(kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return nil, err
	}
	if err := a.conn.reach(ctx, cl); err != nil {
		cl.Close()
		return nil, err
	}
	a.cl, a.adm = cl, kadm.NewClient(cl)
	return a.adm, nil
}

func (a *admin) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	if a.cl != nil {
		a.cl.Close()
		a.cl, a.adm = nil, nil
	}
}

// topicSpec is a topic as it should be.
type topicSpec struct {
	name        string
	partitions  int
	replication int // 0: choose
	configs     map[string]*string
}

// createTopic creates the topic unless it exists, waits until every partition
// has a leader, and returns how many there are.
func createTopic(ctx context.Context, conn *connection, adm *kadm.Client, s topicSpec) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	if s.replication == 0 {
		meta, err := adm.BrokerMetadata(ctx)
		if err != nil {
			return 0, conn.explain(err, "counting its brokers")
		}
		s.replication = max(1, min(3, len(meta.Brokers)))
	}
	_, err := adm.CreateTopic(ctx, int32(s.partitions), int16(s.replication), s.configs, s.name)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return 0, conn.explain(err, "creating topic "+s.name)
	}
	for {
		n, err := ledPartitions(ctx, adm, s.name)
		if n > 0 {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return 0, conn.explain(errors.Join(err, ctx.Err()), "waiting for the leaders of topic "+s.name)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ledPartitions is how many partitions the topic has, 0 as long as one of
// them has no leader.
func ledPartitions(ctx context.Context, adm *kadm.Client, topic string) (int, error) {
	meta, err := adm.Metadata(ctx, topic)
	if err != nil {
		return 0, err
	}
	t := meta.Topics[topic]
	if t.Err != nil {
		return 0, t.Err
	}
	for _, p := range t.Partitions {
		if p.Err != nil || p.Leader < 0 {
			return 0, fmt.Errorf("partition %d has no leader: %w", p.Partition, p.Err)
		}
	}
	return len(t.Partitions), nil
}

// dropTopics deletes topics and waits until the cluster no longer shows them.
// A missing one is not an error.
func dropTopics(ctx context.Context, conn *connection, adm *kadm.Client, topics ...string) error {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	resp, err := adm.DeleteTopics(ctx, topics...)
	if err != nil {
		return conn.explain(err, "deleting topics")
	}
	for _, t := range topics {
		if err := resp[t].Err; err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return conn.explain(err, "deleting topic "+t)
		}
	}
	for {
		meta, err := adm.Metadata(ctx, topics...)
		gone := err == nil
		for _, t := range topics {
			gone = gone && errors.Is(meta.Topics[t].Err, kerr.UnknownTopicOrPartition)
		}
		if gone {
			return nil
		}
		select {
		case <-ctx.Done():
			return conn.explain(errors.Join(err, ctx.Err()), "waiting for topics to be gone")
		case <-time.After(50 * time.Millisecond):
		}
	}
}
