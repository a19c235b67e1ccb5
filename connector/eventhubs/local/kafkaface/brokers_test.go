package kafkaface_test

import (
	"fmt"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A log of several brokers is one broker to clients: requests are split by
// leader and their answers merged, and leaders may move.
func TestManyBrokers(t *testing.T) {
	t.Parallel()
	log, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	const parts = 9
	c, err := hub.Open(testContext(t), hub.Options{Brokers: log.ListenAddrs(),
		Namespaces: []hub.NamespaceSpec{{Name: "main", Hubs: []hub.Spec{{Name: "h", Partitions: parts}}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	leaders := map[int32]bool{}
	for p := range int32(parts) {
		leaders[log.PartitionInfo("h", p).Leader] = true
	}
	if len(leaders) < 2 {
		t.Fatalf("the partitions' leaders are %v", leaders)
	}
	s, _ := start(t, kafkaface.Options{Cluster: c})
	ctx := testContext(t)

	// One request for all partitions, and one to read them all.
	w := dial(t, s.Address())
	w.signIn(connectionString("x"))
	send := kmsg.NewPtrProduceRequest()
	send.Acks = -1
	read := fetchRequest(0, 10*time.Second)
	read.MinBytes = 1
	read.Topics[0].Partitions = nil
	st := kmsg.NewProduceRequestTopic()
	st.Topic = "h"
	for p := range int32(parts) {
		sp := kmsg.NewProduceRequestTopicPartition()
		sp.Partition, sp.Records = p, batchOf(t, 1+int(p), 10, nil)
		st.Partitions = append(st.Partitions, sp)
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.PartitionMaxBytes = p, 1<<20
		read.Topics[0].Partitions = append(read.Topics[0].Partitions, rp)
	}
	send.Topics = append(send.Topics, st)
	sent := w.request(send, 8).(*kmsg.ProduceResponse).Topics[0].Partitions
	got := w.request(read, 11).(*kmsg.FetchResponse).Topics[0].Partitions
	for p := range parts {
		if sent[p].ErrorCode != 0 || sent[p].Partition != int32(p) || sent[p].BaseOffset != 0 {
			t.Errorf("partition %d was appended with %+v", p, sent[p])
		}
		if got[p].ErrorCode != 0 || got[p].Partition != int32(p) || got[p].HighWatermark != int64(p+1) || len(got[p].RecordBatches) == 0 {
			t.Errorf("partition %d was read with error %d, watermark %d, %d bytes", p, got[p].ErrorCode, got[p].HighWatermark, len(got[p].RecordBatches))
		}
	}
	// At the end, the wait is over when something comes at any of them.
	for p := range read.Topics[0].Partitions {
		read.Topics[0].Partitions[p].FetchOffset = int64(p + 1)
	}
	read.MaxWaitMillis = int32(patience.Milliseconds() / 2)
	if err := w.write(w.frame(read, 11)); err != nil {
		t.Fatal(err)
	}
	p := client(t, s.Address(), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.MetadataMinAge(50*time.Millisecond))
	if err := p.ProduceSync(ctx, &kgo.Record{Topic: "h", Partition: 7, Value: []byte("v")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	resp, err := w.receive(read)
	if err != nil {
		t.Fatal(err)
	}
	if p := resp.(*kmsg.FetchResponse).Topics[0].Partitions[7]; len(p.RecordBatches) == 0 {
		t.Errorf("the wait ended with %+v", p)
	}

	// Leaders move while a client writes and another one reads.
	cl := client(t, s.Address(), kgo.ConsumeTopics("h"), kgo.ConsumerGroup("g"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMinAge(50*time.Millisecond))
	const n = 900
	for i := range n {
		if i%100 == 50 {
			for part := range int32(parts) {
				if err := log.MoveTopicPartition("h", part, (int32(i)/100+part)%3); err != nil {
					t.Fatal(err)
				}
			}
		}
		p.Produce(ctx, &kgo.Record{Topic: "h", Partition: int32(i % parts), Value: fmt.Append(nil, i)}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Errorf("record %d: %v", i, err)
			}
		})
		if i%10 == 0 {
			if err := p.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	earlier := parts*(parts+1)/2 + 1
	next := map[int32]int64{}
	for _, r := range collect(t, cl, earlier+n) {
		if r.Offset != next[r.Partition] {
			t.Fatalf("partition %d: offset %d, want %d", r.Partition, r.Offset, next[r.Partition])
		}
		next[r.Partition]++
	}
	ends, err := admin(t, s.Address()).ListEndOffsets(ctx, "h")
	if err != nil || ends.Error() != nil {
		t.Fatal(err, ends.Error())
	}
	for part, at := range next {
		if ends["h"][part].Offset != at {
			t.Errorf("partition %d ends at %d, and %d were read", part, ends["h"][part].Offset, at)
		}
	}
	cl.Close()
}
