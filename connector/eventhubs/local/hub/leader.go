package hub

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// lookupLeader asks the cluster who leads a partition.
func lookupLeader(ctx context.Context, cl *kgo.Client, topic string, p int32) (int32, error) {
	meta, err := askMeta(ctx, cl, topic)
	if err != nil {
		return -1, err
	}
	t := meta.topics[topic]
	switch {
	case t.err != nil:
		return -1, t.err
	case int(p) >= len(t.leaders):
		return -1, kerr.UnknownTopicOrPartition
	case t.leaders[p] < 0:
		return -1, kerr.LeaderNotAvailable
	}
	return t.leaders[p], nil
}

// ask repeats a question to a partition's leader until there is an answer, a
// fault that stays, or the end of ctx.
func (h *Hub) ask(ctx context.Context, p int32, doing string, question func(broker int) error) error {
	part, err := h.partition(p)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		leader := part.leader.Load()
		var err error
		if leader < 0 {
			if leader, err = lookupLeader(ctx, h.cluster.cl, h.topic, p); err == nil {
				part.leader.Store(leader)
			}
		}
		if err == nil {
			err = question(int(leader))
		}
		if err == nil {
			return nil
		}
		part.leader.CompareAndSwap(leader, -1)
		if !retriable(err) || ctx.Err() != nil {
			return h.cluster.explain(err, "%s", doing)
		}
		select {
		case <-time.After(backoff(n)):
		case <-h.gone:
			return h.wasDeleted()
		case <-h.cluster.closing:
			return fmt.Errorf("%s: the cluster is %w", doing, ErrClosed)
		case <-ctx.Done():
			return h.cluster.explain(errors.Join(err, ctx.Err()), "%s", doing)
		}
	}
}

func (h *Hub) listOffset(ctx context.Context, broker int, p int32, what int64) (int64, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID = -1
	req.IsolationLevel = 1
	rp := kmsg.NewListOffsetsRequestTopicPartition()
	rp.Partition, rp.Timestamp, rp.CurrentLeaderEpoch = p, what, -1
	rt := kmsg.NewListOffsetsRequestTopic()
	rt.Topic = h.topic
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	kresp, err := h.cluster.cl.Broker(broker).Request(ctx, req)
	if err != nil {
		return 0, err
	}
	resp := kresp.(*kmsg.ListOffsetsResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return 0, errAnswer
	}
	answer := resp.Topics[0].Partitions[0]
	return answer.Offset, kerr.ErrorForCode(answer.ErrorCode)
}

var errAnswer = errors.New("the broker answered for something else than one partition")

// fetchRequest asks for the record batches from a position on.
func (h *Hub) fetchRequest(p int32, at int64, wait time.Duration, bytes int32) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.ReplicaID = -1
	req.MaxWaitMillis = int32(wait.Milliseconds())
	req.MinBytes = 1
	req.MaxBytes = bytes
	req.IsolationLevel = 1 // committed events only
	req.SessionEpoch = -1
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p, at, bytes
	rp.CurrentLeaderEpoch, rp.LogStartOffset, rp.LastFetchedEpoch = -1, -1, -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = h.topic, h.id
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	return req
}

// fetch sends a fetch request to a broker.
func fetch(ctx context.Context, cl *kgo.Client, broker int, req *kmsg.FetchRequest) (*kmsg.FetchResponseTopicPartition, error) {
	kresp, err := cl.Broker(broker).Request(ctx, req)
	if err != nil {
		return nil, err
	}
	resp := kresp.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, errAnswer
	}
	answer := &resp.Topics[0].Partitions[0]
	return answer, kerr.ErrorForCode(answer.ErrorCode)
}
