package kafkaface

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// createTopics creates hubs.
func (c *conn) createTopics(req *kmsg.CreateTopicsRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
	ctx, cancel := context.WithTimeout(c.ctx, timeout(req.TimeoutMillis))
	defer cancel()
	seen := map[string]bool{}
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic = t.Topic
		var err error
		if seen[t.Topic] {
			err = &refused{kerr.InvalidRequest, "the topic is named twice"}
		} else {
			err = c.createTopic(ctx, t, req.ValidateOnly)
		}
		seen[t.Topic] = true
		out.ErrorCode, out.ErrorMessage = c.code(err)
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

// refused is why a topic is not created, with Kafka's code.
type refused struct {
	code *kerr.Error
	text string
}

func (e *refused) Error() string { return e.text }

func (c *conn) createTopic(ctx context.Context, t *kmsg.CreateTopicsRequestTopic, onlyCheck bool) error {
	spec := hub.Spec{Name: t.Topic}
	if c.scope.entity != "" && !strings.EqualFold(c.scope.entity, t.Topic) {
		return &refused{kerr.TopicAuthorizationFailed, "the connection string is for hub " + c.scope.entity}
	}
	switch n := len(t.ReplicaAssignment); {
	case n > 0:
		spec.Partitions = n // where they are put is not the client's business
	case t.NumPartitions > 0:
		spec.Partitions = int(t.NumPartitions)
	case t.NumPartitions != -1:
		return &refused{kerr.InvalidPartitions, fmt.Sprintf("%d partitions", t.NumPartitions)}
	}
	for _, s := range t.Configs {
		value := ""
		if s.Value != nil {
			value = *s.Value
		}
		if err := setting(&spec, s.Name, value); err != nil {
			return err
		}
	}
	if onlyCheck {
		if _, err := c.scope.ns.Hub(ctx, t.Topic); err == nil {
			return &refused{kerr.TopicAlreadyExists, "the hub exists"}
		}
		return nil
	}
	_, err := c.scope.ns.CreateHub(ctx, spec)
	return err
}

// setting applies one of the topic settings that the service knows. Those that
// say how a broker stores things are passed over, because many programs set
// them for every topic.
func setting(spec *hub.Spec, name, value string) error {
	switch name {
	case "retention.ms":
		ms, err := strconv.ParseInt(value, 10, 64)
		if err != nil || ms == 0 || ms < -1 {
			return &refused{kerr.InvalidConfig, fmt.Sprintf("retention.ms cannot be %q", value)}
		}
		if spec.Retention = time.Duration(ms) * time.Millisecond; ms == -1 || ms > maxRetention.Milliseconds() {
			spec.Retention = maxRetention
		}
	case "cleanup.policy":
		if value != "delete" {
			return &refused{kerr.InvalidConfig, "cleanup.policy must be delete: compaction is not available"}
		}
	case "retention.bytes":
		if value != "-1" {
			return &refused{kerr.InvalidConfig, "retention by size is not available: use retention.ms"}
		}
	case "compression.type":
		if value != "producer" && value != "uncompressed" && value != "gzip" {
			return &refused{kerr.InvalidConfig, "compression.type must be producer, uncompressed or gzip"}
		}
	case "message.timestamp.type", "max.message.bytes", "segment.bytes", "segment.ms", "min.insync.replicas",
		"flush.messages", "flush.ms", "index.interval.bytes", "file.delete.delay.ms", "preallocate",
		"unclean.leader.election.enable", "message.downconversion.enable", "segment.index.bytes", "segment.jitter.ms":
	default:
		return &refused{kerr.InvalidConfig, fmt.Sprintf("the setting %s is not available", name)}
	}
	return nil
}

// maxRetention is the longest that the service keeps events.
const maxRetention = 90 * 24 * time.Hour

// code is Kafka's code and the sentence for an error.
func (c *conn) code(err error) (code int16, text *string) {
	if err == nil {
		return 0, nil
	}
	var r *refused
	e := kerr.UnknownServerError
	switch {
	case errors.As(err, &r):
		e = r.code
	case errors.Is(err, hub.ErrExists):
		e = kerr.TopicAlreadyExists
	case errors.Is(err, hub.ErrNotFound):
		e = kerr.UnknownTopicOrPartition
	case errors.Is(err, hub.ErrInvalid):
		if e = kerr.InvalidTopicException; strings.Contains(err.Error(), "partitions") {
			e = kerr.InvalidPartitions
		}
	case errors.Is(err, context.DeadlineExceeded):
		e = kerr.RequestTimedOut
	default:
		c.log.Warn("the Kafka endpoint cannot change a hub", "error", err)
	}
	s := err.Error()
	return e.Code, &s
}

// deleteTopics deletes hubs.
func (c *conn) deleteTopics(req *kmsg.DeleteTopicsRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.DeleteTopicsResponse)
	ctx, cancel := context.WithTimeout(c.ctx, timeout(req.TimeoutMillis))
	defer cancel()
	for _, name := range req.TopicNames {
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic = kmsg.StringPtr(name)
		topic, code := c.scope.topic(name)
		if out.ErrorCode = code; code == 0 {
			out.ErrorCode, out.ErrorMessage = c.code(c.scope.ns.DeleteHub(ctx, name))
			if c.backend != nil {
				delete(c.backend.leaders, topic)
			}
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

// shownSettings are the topic settings that say something about a hub.
var shownSettings = []string{"cleanup.policy", "compression.type", "max.message.bytes", "message.timestamp.type", "retention.bytes", "retention.ms"}

// describeConfigs shows the settings of hubs. There is nothing to show of the
// broker.
func (c *conn) describeConfigs(req *kmsg.DescribeConfigsRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.DescribeConfigsResponse)
	for i := range req.Resources {
		r := &req.Resources[i]
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = r.ResourceType, r.ResourceName
		switch r.ResourceType {
		case kmsg.ConfigResourceTypeTopic:
			c.describeTopic(req, r, &out)
		case kmsg.ConfigResourceTypeBroker:
			if r.ResourceName != "" && r.ResourceName != strconv.Itoa(brokerID) {
				out.ErrorCode = kerr.InvalidRequest.Code
				out.ErrorMessage = kmsg.StringPtr("there is only broker 0")
			}
		default:
			out.ErrorCode = kerr.InvalidRequest.Code
			out.ErrorMessage = kmsg.StringPtr("only topics have settings")
		}
		resp.Resources = append(resp.Resources, out)
	}
	return resp, nil
}

func (c *conn) describeTopic(req *kmsg.DescribeConfigsRequest, r *kmsg.DescribeConfigsRequestResource, out *kmsg.DescribeConfigsResponseResource) {
	topic, code := c.scope.topic(r.ResourceName)
	if out.ErrorCode = code; code != 0 {
		return
	}
	ask := kmsg.NewPtrDescribeConfigsRequest()
	ask.IncludeSynonyms = req.IncludeSynonyms
	ar := kmsg.NewDescribeConfigsRequestResource()
	ar.ResourceType, ar.ResourceName, ar.ConfigNames = r.ResourceType, topic, r.ConfigNames
	ask.Resources = append(ask.Resources, ar)
	got, err := request[*kmsg.DescribeConfigsResponse](c, ask)
	if err != nil || len(got.Resources) != 1 {
		out.ErrorCode = kerr.LeaderNotAvailable.Code
		return
	}
	name := out.ResourceName
	*out = got.Resources[0]
	out.ResourceName = name
	out.Configs = slices.DeleteFunc(out.Configs, func(s kmsg.DescribeConfigsResponseResourceConfig) bool {
		return !slices.Contains(shownSettings, s.Name)
	})
}
