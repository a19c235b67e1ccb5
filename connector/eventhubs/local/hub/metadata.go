package hub

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterMeta is what the cluster says of itself and of topics.
type clusterMeta struct {
	brokers int
	topics  map[string]topicMeta
}

type topicMeta struct {
	id       [16]byte
	internal bool
	// leaders are those of the partitions, -1: none at the moment.
	leaders []int32
	err     error
}

// askMeta asks the cluster about topics, or about all if none is named. It asks
// every time: the client's own cache is seconds old, in which topics come and go
// and leaders move. It makes cl learn the brokers' addresses as well.
func askMeta(ctx context.Context, cl *kgo.Client, topics ...string) (clusterMeta, error) {
	req := kmsg.NewPtrMetadataRequest()
	req.AllowAutoTopicCreation = false
	for _, t := range topics {
		rt := kmsg.NewMetadataRequestTopic()
		rt.Topic = &t
		req.Topics = append(req.Topics, rt)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return clusterMeta{}, err
	}
	m := clusterMeta{brokers: len(resp.Brokers), topics: make(map[string]topicMeta, len(resp.Topics))}
	for _, t := range resp.Topics {
		if t.Topic == nil {
			continue
		}
		leaders := make([]int32, len(t.Partitions))
		for i := range leaders {
			leaders[i] = -1
		}
		for _, p := range t.Partitions {
			if p.Partition >= 0 && int(p.Partition) < len(leaders) && p.ErrorCode == 0 {
				leaders[p.Partition] = p.Leader
			}
		}
		m.topics[*t.Topic] = topicMeta{id: t.TopicID, internal: t.IsInternal, leaders: leaders, err: kerr.ErrorForCode(t.ErrorCode)}
	}
	return m, nil
}
