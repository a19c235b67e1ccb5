package kafkaface

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxGroupID is the service's limit, and so are the bounds of session
	// timeouts, in milliseconds.
	maxGroupID        = 256
	minSessionTimeout = 6000
	maxSessionTimeout = 300_000
	// maxOffsetMetadata is what a client may keep with a position.
	maxOffsetMetadata = 1024
)

// Consumer groups of the Kafka protocol belong to the namespace. What members
// tell each other passes through unread: they name hubs as clients do.

// group returns a group's name in the log, or the error code to answer.
func (c *conn) group(id string) (name string, code int16) {
	if id == "" || len(id) > maxGroupID {
		return "", kerr.InvalidGroupID.Code
	}
	name = c.scope.ns.KafkaGroup(id)
	if _, ours := c.scope.ns.OfKafkaGroup(name); !ours {
		return "", kerr.GroupAuthorizationFailed.Code // it is another namespace's
	}
	return name, 0
}

func (c *conn) joinGroup(req *kmsg.JoinGroupRequest) (kmsg.Response, error) {
	out := req.ResponseKind().(*kmsg.JoinGroupResponse)
	out.Generation = -1
	out.MemberID = req.MemberID
	fwd := *req
	fwd.Group, out.ErrorCode = c.group(req.Group)
	if out.ErrorCode == 0 && (req.SessionTimeoutMillis < minSessionTimeout || req.SessionTimeoutMillis > maxSessionTimeout) {
		out.ErrorCode = kerr.InvalidSessionTimeout.Code
	}
	if out.ErrorCode != 0 {
		return out, nil
	}
	if req.Version == 0 {
		fwd.RebalanceTimeoutMillis = req.SessionTimeoutMillis
	}
	resp, err := request[*kmsg.JoinGroupResponse](c, &fwd)
	if err == nil && req.Version < 4 && resp.ErrorCode == kerr.MemberIDRequired.Code {
		// This client does not know that it has to ask twice.
		fwd.MemberID = resp.MemberID
		resp, err = request[*kmsg.JoinGroupResponse](c, &fwd)
	}
	if err != nil {
		out.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return out, nil
	}
	return resp, nil
}

func (c *conn) syncGroup(req *kmsg.SyncGroupRequest) (kmsg.Response, error) {
	out := req.ResponseKind().(*kmsg.SyncGroupResponse)
	fwd := *req
	if fwd.Group, out.ErrorCode = c.group(req.Group); out.ErrorCode != 0 {
		return out, nil
	}
	resp, err := request[*kmsg.SyncGroupResponse](c, &fwd)
	if err != nil {
		out.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return out, nil
	}
	return resp, nil
}

func (c *conn) heartbeat(req *kmsg.HeartbeatRequest) (kmsg.Response, error) {
	out := req.ResponseKind().(*kmsg.HeartbeatResponse)
	fwd := *req
	if fwd.Group, out.ErrorCode = c.group(req.Group); out.ErrorCode != 0 {
		return out, nil
	}
	resp, err := request[*kmsg.HeartbeatResponse](c, &fwd)
	if err != nil {
		out.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return out, nil
	}
	return resp, nil
}

func (c *conn) leaveGroup(req *kmsg.LeaveGroupRequest) (kmsg.Response, error) {
	out := req.ResponseKind().(*kmsg.LeaveGroupResponse)
	fwd := *req
	if fwd.Group, out.ErrorCode = c.group(req.Group); out.ErrorCode != 0 {
		return out, nil
	}
	if req.Version < 3 {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = req.MemberID
		fwd.Members = []kmsg.LeaveGroupRequestMember{m}
	}
	resp, err := request[*kmsg.LeaveGroupResponse](c, &fwd)
	if err != nil {
		out.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return out, nil
	}
	if req.Version < 3 && resp.ErrorCode == 0 && len(resp.Members) == 1 {
		resp.ErrorCode = resp.Members[0].ErrorCode
	}
	return resp, nil
}

func (c *conn) offsetCommit(req *kmsg.OffsetCommitRequest) (kmsg.Response, error) {
	out := req.ResponseKind().(*kmsg.OffsetCommitResponse)
	fwd := *req
	fwd.Topics = nil
	var bad int16
	fwd.Group, bad = c.group(req.Group)
	answers := map[place]*kmsg.OffsetCommitResponseTopicPartition{}
	for i := range req.Topics {
		t := &req.Topics[i]
		topic, code := c.scope.topic(t.Topic)
		if bad != 0 {
			code = bad
		}
		rt := kmsg.NewOffsetCommitResponseTopic()
		rt.Topic = t.Topic
		rt.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(t.Partitions))
		ft := kmsg.NewOffsetCommitRequestTopic()
		ft.Topic = topic
		for j, p := range t.Partitions {
			rp := &rt.Partitions[j]
			rp.Partition, rp.ErrorCode = p.Partition, code
			if p.Metadata != nil && len(*p.Metadata) > maxOffsetMetadata && code == 0 {
				rp.ErrorCode = kerr.OffsetMetadataTooLarge.Code
			}
			if rp.ErrorCode == 0 {
				rp.ErrorCode = kerr.CoordinatorNotAvailable.Code // until it is answered
				answers[place{topic, p.Partition}] = rp
				ft.Partitions = append(ft.Partitions, p)
			}
		}
		if len(ft.Partitions) > 0 {
			fwd.Topics = append(fwd.Topics, ft)
		}
		out.Topics = append(out.Topics, rt)
	}
	if len(fwd.Topics) == 0 {
		return out, nil
	}
	resp, err := request[*kmsg.OffsetCommitResponse](c, &fwd)
	if err != nil {
		return out, nil
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if to := answers[place{t.Topic, p.Partition}]; to != nil {
				to.ErrorCode = p.ErrorCode
			}
		}
	}
	return out, nil
}

func (c *conn) offsetFetch(req *kmsg.OffsetFetchRequest) (kmsg.Response, error) {
	out := req.ResponseKind().(*kmsg.OffsetFetchResponse)
	fwd := kmsg.NewPtrOffsetFetchRequest()
	fwd.Group, out.ErrorCode = c.group(req.Group)
	answers := map[place]*kmsg.OffsetFetchResponseTopicPartition{}
	for i := range req.Topics {
		t := &req.Topics[i]
		topic, code := c.scope.topic(t.Topic)
		if out.ErrorCode != 0 {
			code = out.ErrorCode // where old clients look for it
		}
		rt := kmsg.NewOffsetFetchResponseTopic()
		rt.Topic = t.Topic
		rt.Partitions = make([]kmsg.OffsetFetchResponseTopicPartition, len(t.Partitions))
		for j, p := range t.Partitions {
			rp := &rt.Partitions[j]
			rp.Default()
			rp.Partition, rp.Offset, rp.LeaderEpoch, rp.ErrorCode = p, -1, -1, code
			rp.Metadata = kmsg.StringPtr("")
			if code == 0 {
				answers[place{topic, p}] = rp
			}
		}
		if code == 0 {
			ft := kmsg.NewOffsetFetchRequestTopic()
			ft.Topic, ft.Partitions = topic, t.Partitions
			fwd.Topics = append(fwd.Topics, ft)
		}
		out.Topics = append(out.Topics, rt)
	}
	if out.ErrorCode != 0 || req.Topics != nil && len(fwd.Topics) == 0 {
		return out, nil
	}
	resp, err := request[*kmsg.OffsetFetchResponse](c, fwd)
	switch {
	case err != nil:
		out.ErrorCode = kerr.CoordinatorNotAvailable.Code
	case resp.ErrorCode == kerr.GroupIDNotFound.Code:
		// These versions say that by having no positions.
	default:
		out.ErrorCode = resp.ErrorCode
	}
	if out.ErrorCode != 0 {
		for _, p := range answers {
			p.ErrorCode = out.ErrorCode
		}
		return out, nil
	}
	if req.Topics == nil {
		out.Topics = c.allOffsets(resp)
		return out, nil
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			if to := answers[place{t.Topic, p.Partition}]; to != nil {
				*to = p
			}
		}
	}
	return out, nil
}

// allOffsets are a group's positions in what the client may see.
func (c *conn) allOffsets(resp *kmsg.OffsetFetchResponse) (topics []kmsg.OffsetFetchResponseTopic) {
	for _, t := range resp.Topics {
		if name, ok := c.scope.hub(t.Topic); ok {
			t.Topic = name
			topics = append(topics, t)
		}
	}
	return topics
}

func (c *conn) describeGroups(req *kmsg.DescribeGroupsRequest) (kmsg.Response, error) {
	out := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
	ask := kmsg.NewPtrDescribeGroupsRequest()
	answers := map[string]int{}
	for _, id := range req.Groups {
		g := kmsg.NewDescribeGroupsResponseGroup()
		g.Group = id
		name, code := c.group(id)
		if g.ErrorCode = code; code == 0 {
			g.ErrorCode = kerr.CoordinatorNotAvailable.Code // until it is answered
			answers[name] = len(out.Groups)
			ask.Groups = append(ask.Groups, name)
		}
		out.Groups = append(out.Groups, g)
	}
	if len(ask.Groups) == 0 {
		return out, nil
	}
	b, err := c.logClient()
	if err != nil {
		return nil, err
	}
	for _, shard := range b.cl.RequestSharded(c.ctx, ask) {
		if shard.Err != nil {
			c.troubled(ask.Key(), shard.Err)
			continue
		}
		for _, g := range shard.Resp.(*kmsg.DescribeGroupsResponse).Groups {
			if i, ok := answers[g.Group]; ok {
				g.Group = out.Groups[i].Group
				if g.ErrorCode == kerr.GroupIDNotFound.Code {
					g.ErrorCode, g.ErrorMessage, g.State = 0, nil, "Dead" // as these versions say it
				}
				out.Groups[i] = g
			}
		}
	}
	return out, nil
}

func (c *conn) listGroups(req *kmsg.ListGroupsRequest) (kmsg.Response, error) {
	out := req.ResponseKind().(*kmsg.ListGroupsResponse)
	fwd := *req
	resp, err := request[*kmsg.ListGroupsResponse](c, &fwd)
	if err != nil {
		out.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return out, nil
	}
	out.ErrorCode = resp.ErrorCode
	for _, g := range resp.Groups {
		if name, ok := c.scope.ns.OfKafkaGroup(g.Group); ok {
			g.Group = name
			out.Groups = append(out.Groups, g)
		}
	}
	slices.SortFunc(out.Groups, func(a, b kmsg.ListGroupsResponseGroup) int { return strings.Compare(a.Group, b.Group) })
	return out, nil
}

// initProducerID gives idempotent producers their id; the log recognises what
// they repeat.
func (c *conn) initProducerID(req *kmsg.InitProducerIDRequest) (kmsg.Response, error) {
	out := req.ResponseKind().(*kmsg.InitProducerIDResponse)
	out.ProducerID, out.ProducerEpoch = -1, -1
	if req.TransactionalID != nil {
		out.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
		return out, nil
	}
	fwd := *req
	resp, err := request[*kmsg.InitProducerIDResponse](c, &fwd)
	if err != nil {
		out.ErrorCode = kerr.CoordinatorLoadInProgress.Code
		return out, nil
	}
	return resp, nil
}
