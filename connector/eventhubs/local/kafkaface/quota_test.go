package kafkaface_test

import (
	"testing"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// What goes over the throughput units is delayed, carries throttle_time_ms, and
// arrives all the same. The time is the delay's mark and not its length: the
// client has waited for the answer, and would wait as long again.
func TestQuota(t *testing.T) {
	t.Parallel()
	name := unique("ns")
	c := open(t, embedded(t), hub.NamespaceSpec{Name: name, ThroughputUnits: 1, Hubs: []hub.Spec{{Name: "h", Partitions: 1}}})
	ns, _ := c.Namespace(name)
	s, _ := start(t, kafkaface.Options{Cluster: c})
	w := dial(t, s.Address())
	w.signIn(connectionString("x"))
	throttled, appended := int32(0), 0
	for range 8 {
		req := kmsg.NewPtrProduceRequest()
		req.Acks = -1
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = "h"
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Records = batchOf(t, 400, 10, nil)
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp := w.request(req, 7).(*kmsg.ProduceResponse)
		if code := resp.Topics[0].Partitions[0].ErrorCode; code != 0 {
			t.Fatal(kerr.ErrorForCode(code))
		}
		throttled += resp.ThrottleMillis
		if resp.ThrottleMillis > 1 {
			t.Errorf("an answer that was held back wants %d ms more", resp.ThrottleMillis)
		}
		appended += 400
	}
	counts := ns.Quota().Counts()
	if throttled == 0 || counts.ThrottledRequests == 0 || counts.AcceptedEvents != int64(appended) {
		t.Errorf("throttled for %d ms, %+v", throttled, counts)
	}

	// Out go 4096 events a second.
	throttled = 0
	read := 0
	for range 4 {
		req := kmsg.NewPtrFetchRequest()
		req.MaxWaitMillis, req.MinBytes, req.MaxBytes = 100, 1, 50<<20
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic = "h"
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.PartitionMaxBytes = 50 << 20
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp := w.request(req, 11).(*kmsg.FetchResponse)
		p := resp.Topics[0].Partitions[0]
		if p.ErrorCode != 0 || len(p.RecordBatches) == 0 || p.HighWatermark != int64(appended) {
			t.Fatalf("fetched %d bytes, watermark %d, %v", len(p.RecordBatches), p.HighWatermark, kerr.ErrorForCode(p.ErrorCode))
		}
		throttled += resp.ThrottleMillis
		if resp.ThrottleMillis > 1 {
			t.Errorf("an answer that was held back wants %d ms more", resp.ThrottleMillis)
		}
		read += appended
	}
	counts = ns.Quota().Counts()
	if throttled == 0 || counts.PacedRequests == 0 || counts.SentEvents != int64(read) {
		t.Errorf("throttled for %d ms, %+v", throttled, counts)
	}
}
