package kafkaface

import (
	"errors"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// listOffsets translates times into offsets; the log's client finds the
// leaders.
func (c *conn) listOffsets(req *kmsg.ListOffsetsRequest) (kmsg.Response, error) {
	resp := req.ResponseKind().(*kmsg.ListOffsetsResponse)
	ask := kmsg.NewPtrListOffsetsRequest()
	ask.IsolationLevel = req.IsolationLevel
	ask.TimeoutMillis = int32(minTimeout / time.Millisecond)
	out := map[place]*kmsg.ListOffsetsResponseTopicPartition{}
	for i := range req.Topics {
		t := &req.Topics[i]
		rt := kmsg.NewListOffsetsResponseTopic()
		rt.Topic = t.Topic
		rt.Partitions = make([]kmsg.ListOffsetsResponseTopicPartition, len(t.Partitions))
		topic, code := c.scope.topic(t.Topic)
		at := kmsg.NewListOffsetsRequestTopic()
		at.Topic = topic
		for j := range t.Partitions {
			p := &rt.Partitions[j]
			p.Default()
			p.Partition, p.ErrorCode, p.Timestamp, p.Offset = t.Partitions[j].Partition, code, -1, -1
			if code != 0 {
				continue
			}
			p.ErrorCode = kerr.NotLeaderForPartition.Code // until it is answered
			out[place{topic, p.Partition}] = p
			ap := kmsg.NewListOffsetsRequestTopicPartition()
			ap.Partition, ap.Timestamp = p.Partition, t.Partitions[j].Timestamp
			at.Partitions = append(at.Partitions, ap)
		}
		if code == 0 {
			ask.Topics = append(ask.Topics, at)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	if len(ask.Topics) == 0 {
		return resp, nil
	}
	b, err := c.logClient()
	if err != nil {
		return nil, err
	}
	for _, shard := range b.cl.RequestSharded(c.ctx, ask) {
		if shard.Err != nil {
			c.unlisted(shard.Req, shard.Err, out)
			continue
		}
		for _, t := range shard.Resp.(*kmsg.ListOffsetsResponse).Topics {
			for _, p := range t.Partitions {
				if to := out[place{t.Topic, p.Partition}]; to != nil {
					p.LeaderEpoch = -1
					p.ErrorCode = b.moved(t.Topic, p.ErrorCode)
					*to = p
				}
			}
		}
	}
	return resp, nil
}

// unlisted answers for partitions whose leader was not found or is silent.
func (c *conn) unlisted(req kmsg.Request, err error, out map[place]*kmsg.ListOffsetsResponseTopicPartition) {
	code := kerr.NotLeaderForPartition.Code
	if errors.Is(err, kerr.UnknownTopicOrPartition) {
		code = kerr.UnknownTopicOrPartition.Code
	} else {
		c.troubled(int16(kmsg.ListOffsets), err)
	}
	for _, t := range req.(*kmsg.ListOffsetsRequest).Topics {
		for _, p := range t.Partitions {
			if to := out[place{t.Topic, p.Partition}]; to != nil {
				to.ErrorCode = code
			}
		}
	}
}
