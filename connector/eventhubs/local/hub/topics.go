package hub

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// topicMaxBytes is the largest record batch of topics created here: an
	// AMQP batch of a megabyte of the smallest events fits.
	topicMaxBytes = 8 << 20
	// assumedMaxBytes is Kafka's default for other topics, less a little.
	assumedMaxBytes = 1_000_000
	segmentBytes    = 16 << 20
)

// list brings the hubs up to date with the log's topics, unless that was done
// within maxAge.
func (c *Cluster) list(ctx context.Context, maxAge time.Duration) error {
	if err := c.hold(ctx); err != nil {
		return err
	}
	defer c.letGo()
	return c.listLocked(ctx, maxAge)
}

// listLocked is list for those who hold c.admin.
func (c *Cluster) listLocked(ctx context.Context, maxAge time.Duration) error {
	c.mu.Lock()
	recent := maxAge > 0 && time.Since(c.listed) < maxAge
	closed := c.closed
	c.mu.Unlock()
	if closed {
		return fmt.Errorf("listing the hubs: the cluster is %w", ErrClosed)
	}
	if recent {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	meta, err := askMeta(ctx, c.cl)
	if err != nil {
		return c.explain(err, "listing the topics")
	}
	found := map[string]topicMeta{}
	var unknown []string
	for name, t := range meta.topics {
		// A topic that is being created or deleted may carry an error.
		if t.internal || strings.HasPrefix(name, "__") || t.err != nil || len(t.leaders) == 0 {
			continue
		}
		found[name] = t
		if h := c.hubOf(name); h == nil || h.id != t.id {
			unknown = append(unknown, name)
		}
	}
	configs := c.topicConfigs(ctx, unknown)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.adopt(found, configs)
	return nil
}

func (c *Cluster) hubOf(topic string) *Hub {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.hubs[topic]
}

// adopt makes hubs of new topics, and lets go of hubs whose topics are gone.
// c.mu is held.
func (c *Cluster) adopt(found map[string]topicMeta, configs map[string]topicConfig) {
	if c.closed {
		return
	}
	now := time.Now()
	c.listed = now
	different := false
	for topic, t := range found {
		h := c.hubs[topic]
		if h != nil && h.id != t.id {
			h.remove()
			h, different = nil, true
		}
		if h == nil {
			ns, name := c.owner(topic)
			if ns == nil {
				continue
			}
			h = newHub(ns, name, topic, t.id)
			h.setConfig(configs[topic])
			c.hubs[topic] = h
			different = true
		}
		h.missing = time.Time{}
		different = h.grow(t.leaders) || different
	}
	for topic, h := range c.hubs {
		if _, ok := found[topic]; ok {
			continue
		}
		if h.missing.IsZero() {
			h.missing = now
		}
		if now.Sub(h.missing) >= c.patience {
			h.remove()
			delete(c.hubs, topic)
			different = true
		}
	}
	if different {
		c.touch()
	}
}

// owner tells whose hub a topic is: the one that the state says, else the one
// that its name says. c.mu is held.
func (c *Cluster) owner(topic string) (*Namespace, string) {
	for nsName, hubs := range c.state.Namespaces {
		for name, h := range hubs {
			if h.Topic != topic {
				continue
			}
			if ns, ok := c.byName[nsName]; ok {
				return ns, name
			}
			return nil, "" // of a namespace that is not served now
		}
	}
	for _, ns := range c.namespaces[1:] {
		if name, ok := strings.CutPrefix(topic, ns.prefix); ok && name != "" {
			return ns, name
		}
	}
	return c.namespaces[0], topic
}

// topicConfig is what the hubs need of a topic's configuration.
type topicConfig struct {
	maxBytes  int
	retention time.Duration
}

// topicConfigs reads topics' configurations. Where that is not allowed,
// Kafka's defaults are assumed.
func (c *Cluster) topicConfigs(ctx context.Context, topics []string) map[string]topicConfig {
	out := map[string]topicConfig{}
	for _, t := range topics {
		out[t] = topicConfig{assumedMaxBytes, defaultRetention}
	}
	if len(topics) == 0 {
		return out
	}
	all, err := c.adm.DescribeTopicConfigs(ctx, topics...)
	if err != nil {
		c.log.Warn("cannot read the topics' configuration, assuming the defaults", "error", err)
		return out
	}
	for _, rc := range all {
		tc, ok := out[rc.Name]
		if !ok || rc.Err != nil {
			continue
		}
		for _, e := range rc.Configs {
			n, err := strconv.ParseInt(e.MaybeValue(), 10, 64)
			if err != nil {
				continue
			}
			switch e.Key {
			case "max.message.bytes":
				tc.maxBytes = int(min(n, 64<<20))
			case "retention.ms":
				tc.retention = forever
				if n >= 0 && n < forever.Milliseconds() {
					tc.retention = time.Duration(n) * time.Millisecond
				}
			}
		}
		out[rc.Name] = tc
	}
	return out
}

// forever is what a topic without a limit says of its retention: 100 years.
const forever = 100 * 365 * 24 * time.Hour

// createTopic creates the topic of a hub.
func (c *Cluster) createTopic(ctx context.Context, topic string, s Spec) error {
	meta, err := askMeta(ctx, c.cl, topic)
	if err != nil {
		return c.explain(err, "counting the brokers")
	}
	replication := max(1, min(3, meta.brokers))
	resp, err := c.adm.CreateTopic(ctx, int32(s.Partitions), int16(replication), map[string]*string{
		"message.timestamp.type": kadm.StringPtr("LogAppendTime"),
		"max.message.bytes":      kadm.StringPtr(strconv.Itoa(topicMaxBytes)),
		"retention.ms":           kadm.StringPtr(strconv.FormatInt(s.Retention.Milliseconds(), 10)),
		"segment.bytes":          kadm.StringPtr(strconv.Itoa(segmentBytes)),
	}, topic)
	if errors.Is(err, kerr.TopicAlreadyExists) {
		return &said{fmt.Sprintf("hub %s already exists", s.Name), ErrExists}
	}
	for _, kind := range []*kerr.Error{kerr.InvalidTopicException, kerr.InvalidPartitions, kerr.InvalidConfig, kerr.PolicyViolation} {
		if errors.Is(err, kind) {
			return invalid("choose what the log (Kafka) accepts", "the log refuses topic %s for hub %s: %s (%s)", topic, s.Name, kind.Message, resp.ErrMessage)
		}
	}
	if err != nil {
		return c.explain(err, "creating topic %s", topic)
	}
	return nil
}

// waitFor lists the topics until done says that it is as it should be.
func (c *Cluster) waitFor(ctx context.Context, doing string, done func() bool) error {
	for {
		if err := c.listLocked(ctx, 0); err != nil {
			return err
		}
		if done() {
			return nil
		}
		select {
		case <-ctx.Done():
			return c.explain(ctx.Err(), "%s", doing)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// led tells whether every partition of a topic has a leader.
func (c *Cluster) led(ctx context.Context, topic string) bool {
	meta, err := askMeta(ctx, c.cl, topic)
	return err == nil && meta.topics[topic].err == nil && !slices.Contains(meta.topics[topic].leaders, -1)
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
	var op *net.OpError
	return kgo.IsRetryableBrokerErr(err) || errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		unknownBroker(err) || connector.ActionOf(err) == connector.Retry
}

// unknownBroker tells that the client has not yet learned of a broker. The
// client has no name for this error.
func unknownBroker(err error) bool {
	return err != nil && strings.Contains(err.Error(), "unknown broker")
}
