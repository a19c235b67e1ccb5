package kafkaface

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// logPatience is how long a request to the log is repeated while a
	// broker is away; clients repeat theirs after that.
	logPatience = 5 * time.Second
	// noLeader marks a partition whose leader is not known.
	noLeader int32 = -1
)

// backend is one connection's client of the log, and what it knows of the
// leaders of partitions. Having its own, a fetch that waits or a group that
// gathers holds up nobody else. It is used by one goroutine.
type backend struct {
	cl *kgo.Client
	// leaders are by topic and partition; a topic that is absent has to be
	// looked up.
	leaders map[string][]int32
}

func newBackend(c *hub.Cluster) (*backend, error) {
	opts := append([]kgo.Opt{
		kgo.SeedBrokers(c.Brokers()...),
		kgo.ClientID("millrace-kafka-endpoint"),
		kgo.DisableClientMetrics(),
		kgo.MaxVersions(backendVersions()),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		// Metadata is asked for when it is needed.
		kgo.MetadataMaxAge(time.Hour),
		kgo.MetadataMinAge(50 * time.Millisecond),
		kgo.RequestRetries(5),
		kgo.RetryTimeout(logPatience),
		kgo.RetryBackoffFn(func(n int) time.Duration { return min(time.Duration(n)*50*time.Millisecond, 500*time.Millisecond) }),
		kgo.AlwaysRetryEOF(),
		kgo.DialTimeout(logPatience),
	}, c.ClientOptions()...)
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("setting up a client of the log: %w", err)
	}
	return &backend{cl: cl, leaders: map[string][]int32{}}, nil
}

// close ends its connections; what waits for an answer gets an error.
func (b *backend) close() { b.cl.Close() }

// forget makes all leaders unknown.
func (b *backend) forget() { clear(b.leaders) }

// logClient returns the connection's client of the log.
func (c *conn) logClient() (*backend, error) {
	if c.backend == nil {
		b, err := newBackend(c.srv.opts.Cluster)
		if err != nil {
			return nil, err
		}
		c.backend = b
	}
	return c.backend, nil
}

// request asks the log. The client finds the right broker: any, the controller
// or a group's coordinator.
func request[Resp kmsg.Response](c *conn, req kmsg.Request) (Resp, error) {
	var none Resp
	b, err := c.logClient()
	if err != nil {
		return none, err
	}
	resp, err := b.cl.Request(c.ctx, req)
	if err != nil {
		c.troubled(req.Key(), err)
		return none, err
	}
	return resp.(Resp), nil
}

// troubled logs that the log did not answer.
func (c *conn) troubled(key int16, err error) {
	if c.ctx.Err() == nil {
		c.srv.trouble(key, err)
	}
}

// lookUp asks the log for topics (nil: all of them) and notes the leaders.
func (c *conn) lookUp(topics []string) (*kmsg.MetadataResponse, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	if topics != nil {
		req.Topics = []kmsg.MetadataRequestTopic{}
	}
	for i := range topics {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = &topics[i]
		req.Topics = append(req.Topics, t)
	}
	resp, err := request[*kmsg.MetadataResponse](c, req)
	if err != nil {
		return nil, err
	}
	for i := range resp.Topics {
		if t := &resp.Topics[i]; t.Topic != nil {
			c.backend.note(t)
		}
	}
	return resp, nil
}

// note keeps the leaders of a topic that is in order.
func (b *backend) note(t *kmsg.MetadataResponseTopic) {
	if t.ErrorCode != 0 {
		delete(b.leaders, *t.Topic)
		return
	}
	leaders := make([]int32, len(t.Partitions))
	for i := range leaders {
		leaders[i] = noLeader
	}
	for _, p := range t.Partitions {
		if p.Partition >= 0 && int(p.Partition) < len(leaders) && p.ErrorCode == 0 {
			leaders[p.Partition] = p.Leader
		}
	}
	b.leaders[*t.Topic] = leaders
}

// know makes sure that the leaders of topics were looked up, as far as they
// exist.
func (c *conn) know(topics []string) error {
	if _, err := c.logClient(); err != nil {
		return err
	}
	var missing []string
	for _, t := range topics {
		if _, ok := c.backend.leaders[t]; !ok {
			missing = append(missing, t)
		}
	}
	if missing == nil {
		return nil
	}
	_, err := c.lookUp(missing)
	return err
}

// leader returns the broker to ask for a partition, or the error code to
// answer.
func (b *backend) leader(topic string, p int32) (broker int32, code int16) {
	leaders, ok := b.leaders[topic]
	if !ok || p < 0 || int(p) >= len(leaders) {
		delete(b.leaders, topic) // it may have come into being since
		return noLeader, kerr.UnknownTopicOrPartition.Code
	}
	if leaders[p] == noLeader {
		delete(b.leaders, topic) // look again next time
		return noLeader, kerr.NotLeaderForPartition.Code
	}
	return leaders[p], 0
}

// moved forgets a topic's leaders if code says that they are not where they
// were, and returns the code for the client.
func (b *backend) moved(topic string, code int16) int16 {
	switch code {
	case kerr.NotLeaderForPartition.Code, kerr.LeaderNotAvailable.Code, kerr.ReplicaNotAvailable.Code,
		kerr.FencedLeaderEpoch.Code, kerr.UnknownLeaderEpoch.Code, kerr.KafkaStorageError.Code, kerr.UnknownTopicID.Code:
		delete(b.leaders, topic)
		return kerr.NotLeaderForPartition.Code
	case kerr.UnknownTopicOrPartition.Code:
		delete(b.leaders, topic)
	}
	return code
}

// each sends requests to their brokers at the same time and hands over the
// answers, one after the other, in no order.
func (c *conn) each(requests map[int32]kmsg.Request, answer func(broker int32, resp kmsg.Response, err error)) {
	ask := func(broker int32, req kmsg.Request) {
		resp, err := c.backend.cl.Broker(int(broker)).Request(c.ctx, req)
		if err != nil {
			c.troubled(req.Key(), err)
		}
		answer(broker, resp, err)
	}
	if len(requests) == 1 {
		for broker, req := range requests {
			ask(broker, req)
		}
		return
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	inner := answer
	answer = func(broker int32, resp kmsg.Response, err error) {
		mu.Lock()
		defer mu.Unlock()
		inner(broker, resp, err)
	}
	for broker, req := range requests {
		all.Go(func() { ask(broker, req) })
	}
	all.Wait()
}

// unsent tells that no connection could be made, so that a request cannot have
// been carried out.
func unsent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}
