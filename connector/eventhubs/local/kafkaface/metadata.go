package kafkaface

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// The one broker that clients see leads and holds everything.
const (
	brokerID = 0
	// coordinatorGroup is FindCoordinator's type for consumer groups.
	coordinatorGroup = 0
)

// metadata answers with one broker and the hubs that the client may see. No
// topic is created by asking for it.
func (c *conn) metadata(req *kmsg.MetadataRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	broker := kmsg.NewMetadataResponseBroker()
	broker.NodeID, broker.Host, broker.Port = brokerID, c.host, c.port
	resp.Brokers = append(resp.Brokers, broker)
	resp.ControllerID = brokerID
	resp.ClusterID = kmsg.StringPtr(c.scope.ns.Name())
	if req.Topics == nil {
		return c.allTopics(resp)
	}
	// asked has the clients' names by topic.
	asked := map[string]string{}
	var topics []string
	for _, t := range req.Topics {
		if t.Topic == nil {
			continue
		}
		topic, code := c.scope.topic(*t.Topic)
		if code != 0 {
			resp.Topics = append(resp.Topics, missingTopic(*t.Topic, code))
			continue
		}
		if _, twice := asked[topic]; !twice {
			asked[topic] = *t.Topic
			topics = append(topics, topic)
		}
	}
	if topics == nil {
		return resp, nil
	}
	found, err := c.lookUp(topics)
	if err != nil {
		for _, topic := range topics {
			resp.Topics = append(resp.Topics, missingTopic(asked[topic], kerr.LeaderNotAvailable.Code))
		}
		return resp, nil
	}
	for i := range found.Topics {
		t := &found.Topics[i]
		if t.Topic == nil {
			continue
		}
		if name, ok := asked[*t.Topic]; ok {
			resp.Topics = append(resp.Topics, clientTopic(name, t))
		}
	}
	return resp, nil
}

func (c *conn) allTopics(resp *kmsg.MetadataResponse) (kmsg.Response, error) {
	found, err := c.lookUp(nil)
	if err != nil {
		// An empty list would mean that there are no hubs.
		return nil, err
	}
	for i := range found.Topics {
		t := &found.Topics[i]
		if t.Topic == nil || t.IsInternal {
			continue
		}
		if name, ok := c.scope.hub(*t.Topic); ok {
			resp.Topics = append(resp.Topics, clientTopic(name, t))
		}
	}
	slices.SortFunc(resp.Topics, func(a, b kmsg.MetadataResponseTopic) int { return strings.Compare(*a.Topic, *b.Topic) })
	return resp, nil
}

func missingTopic(name string, code int16) kmsg.MetadataResponseTopic {
	t := kmsg.NewMetadataResponseTopic()
	t.Topic, t.ErrorCode = &name, code
	return t
}

// clientTopic is a topic as clients see it.
func clientTopic(name string, t *kmsg.MetadataResponseTopic) kmsg.MetadataResponseTopic {
	out := missingTopic(name, t.ErrorCode)
	for _, p := range t.Partitions {
		o := kmsg.NewMetadataResponseTopicPartition()
		o.Partition = p.Partition
		o.Leader, o.Replicas, o.ISR = brokerID, []int32{brokerID}, []int32{brokerID}
		if p.Leader == noLeader {
			o.Leader, o.ErrorCode = noLeader, kerr.LeaderNotAvailable.Code
		}
		out.Partitions = append(out.Partitions, o)
	}
	slices.SortFunc(out.Partitions, func(a, b kmsg.MetadataResponseTopicPartition) int { return int(a.Partition - b.Partition) })
	return out
}

func (c *conn) findCoordinator(req *kmsg.FindCoordinatorRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
	if req.CoordinatorType != coordinatorGroup {
		resp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		resp.ErrorMessage = kmsg.StringPtr(noTransactions)
		resp.NodeID = noLeader
		return resp, nil
	}
	resp.NodeID, resp.Host, resp.Port = brokerID, c.host, c.port
	return resp, nil
}

func (c *conn) describeCluster(req *kmsg.DescribeClusterRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	resp.ClusterID = c.scope.ns.Name()
	resp.ControllerID = brokerID
	broker := kmsg.NewDescribeClusterResponseBroker()
	broker.NodeID, broker.Host, broker.Port = brokerID, c.host, c.port
	resp.Brokers = append(resp.Brokers, broker)
	return resp, nil
}
