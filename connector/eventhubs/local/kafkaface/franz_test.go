package kafkaface_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// An idempotent producer and a group: every record once, in order, with key,
// value and headers as they were.
func TestFranzProduceAndConsume(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		c, ns := namespace(t, brokers, hub.Spec{Name: "telemetry", Partitions: 4})
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name(), Key: testKey})
		for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression()} {
			p := client(t, s.Address(), kgo.ProducerBatchCompression(codec))
			ctx := testContext(t)
			const n = 5000
			for i := range n {
				p.Produce(ctx, &kgo.Record{Topic: "telemetry", Key: fmt.Appendf(nil, "key-%d", i%50), Value: fmt.Appendf(nil, "value-%d", i),
					Headers: []kgo.RecordHeader{{Key: "h", Value: []byte{0, 1, 2}}}}, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("record %d: %v", i, err)
					}
				})
			}
			if err := p.Flush(ctx); err != nil {
				t.Fatal(err)
			}
			cl := client(t, s.Address(), kgo.ConsumeTopics("telemetry"), kgo.ConsumerGroup(unique("readers")),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			next := map[string]int{}
			seen := 0
			for _, r := range collect(t, cl, n) {
				key := string(r.Key)
				if want := fmt.Sprintf("value-%s", number(key, next[key])); string(r.Value) != want {
					t.Fatalf("the next of %s is %s, want %s", key, r.Value, want)
				}
				if len(r.Headers) != 1 || r.Headers[0].Key != "h" || string(r.Headers[0].Value) != "\x00\x01\x02" {
					t.Fatalf("headers are %v", r.Headers)
				}
				if age := time.Since(r.Timestamp); age > time.Hour || age < -time.Hour {
					t.Fatalf("timestamp %v", r.Timestamp)
				}
				next[key]++
				seen++
			}
			if err := cl.CommitUncommittedOffsets(ctx); err != nil {
				t.Error(err)
			}
			cl.Close()
			adm := admin(t, s.Address())
			if err := kadmEmpty(adm, t, "telemetry"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func number(key string, nth int) string {
	var k int
	_, _ = fmt.Sscanf(key, "key-%d", &k)
	return fmt.Sprint(k + 50*nth)
}

// kadmEmpty makes the hub anew.
func kadmEmpty(adm *kadm.Client, t *testing.T, name string) error {
	ctx := testContext(t)
	if _, err := adm.DeleteTopic(ctx, name); err != nil {
		return err
	}
	var err error
	eventually(t, "the hub to be made anew", func() bool {
		_, err = adm.CreateTopic(ctx, 4, -1, nil, name)
		return !errors.Is(err, kerr.TopicAlreadyExists)
	})
	return err
}

func TestFranzAdmin(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		c, ns := namespace(t, brokers, hub.Spec{Name: "first", Partitions: 2})
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
		adm, ctx := admin(t, s.Address()), testContext(t)

		retention := "7200000"
		if r, err := adm.CreateTopic(ctx, 3, 3, map[string]*string{"retention.ms": &retention}, "made"); err != nil {
			t.Fatalf("%v (%s)", err, r.ErrMessage)
		}
		h, err := ns.Hub(ctx, "made")
		if err != nil || h.Partitions() != 3 || h.Info().Retention != 2*time.Hour {
			t.Fatalf("the hub is %+v, %v", h, err)
		}
		topics, err := adm.ListTopics(ctx)
		if err != nil || fmt.Sprint(topics.Names()) != "[first made]" {
			t.Errorf("topics are %v, %v", topics.Names(), err)
		}
		if p := topics["made"].Partitions; len(p) != 3 || p[2].Leader != 0 || !slices.Equal(p[2].Replicas, []int32{0}) || !slices.Equal(p[2].ISR, []int32{0}) {
			t.Errorf("partitions are %+v", p)
		}
		meta, err := adm.BrokerMetadata(ctx)
		if err != nil || len(meta.Brokers) != 1 || meta.Controller != 0 || meta.Brokers[0].NodeID != 0 ||
			fmt.Sprintf("%s:%d", meta.Brokers[0].Host, meta.Brokers[0].Port) != s.Address() {
			t.Errorf("the cluster is %+v, %v", meta, err)
		}
		configs, err := adm.DescribeTopicConfigs(ctx, "made")
		if err != nil || len(configs) != 1 || configs[0].Name != "made" {
			t.Fatalf("settings are %v, %v", configs, err)
		}
		found := false
		for _, s := range configs[0].Configs {
			found = found || s.Key == "retention.ms" && s.MaybeValue() == retention
		}
		if !found {
			t.Errorf("settings are %+v", configs[0].Configs)
		}
		for _, tt := range []struct {
			name       string
			partitions int32
			configs    map[string]*string
			want       error
		}{
			{"made", 3, nil, kerr.TopicAlreadyExists},
			{"-bad-", 3, nil, kerr.InvalidTopicException},
			{"many", 100_000, nil, kerr.InvalidPartitions},
			{"none", 0, nil, kerr.InvalidPartitions},
			{"compacted", 1, map[string]*string{"cleanup.policy": kadm.StringPtr("compact")}, kerr.InvalidConfig},
			{"bysize", 1, map[string]*string{"retention.bytes": kadm.StringPtr("1000")}, kerr.InvalidConfig},
			{"odd", 1, map[string]*string{"no.such.setting": kadm.StringPtr("1")}, kerr.InvalidConfig},
			{"forever", 1, map[string]*string{"retention.ms": kadm.StringPtr("soon")}, kerr.InvalidConfig},
		} {
			if _, err := adm.CreateTopic(ctx, tt.partitions, 1, tt.configs, tt.name); !errors.Is(err, tt.want) {
				t.Errorf("creating %s: %v, want %v", tt.name, err, tt.want)
			}
		}
		if r, err := adm.ValidateCreateTopics(ctx, 1, 1, nil, "made", "unmade"); err != nil ||
			!errors.Is(r["made"].Err, kerr.TopicAlreadyExists) || r["unmade"].Err != nil {
			t.Errorf("checking: %v, %v", r, err)
		}
		if r, err := adm.DeleteTopics(ctx, "made", "never"); err != nil || r["made"].Err != nil || !errors.Is(r["never"].Err, kerr.UnknownTopicOrPartition) {
			t.Errorf("deleting: %v, %v", r, err)
		}
		if _, err := ns.Hub(ctx, "made"); !errors.Is(err, hub.ErrNotFound) {
			t.Errorf("a deleted hub: %v", err)
		}
	})
}

func TestFranzOffsets(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		c, ns := namespace(t, brokers, hub.Spec{Name: "h", Partitions: 2})
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
		adm, ctx := admin(t, s.Address()), testContext(t)
		p := client(t, s.Address(), kgo.RecordPartitioner(kgo.ManualPartitioner()))
		for i := range 10 {
			r := &kgo.Record{Topic: "h", Partition: 1, Value: []byte{byte(i)}}
			if err := p.ProduceSync(ctx, r).FirstErr(); err != nil || r.Offset != int64(i) {
				t.Fatalf("record %d is at %d: %v", i, r.Offset, err)
			}
		}
		starts, err1 := adm.ListStartOffsets(ctx, "h")
		ends, err2 := adm.ListCommittedOffsets(ctx, "h")
		future, err3 := adm.ListOffsetsAfterMilli(ctx, time.Now().Add(time.Hour).UnixMilli(), "h")
		past, err4 := adm.ListOffsetsAfterMilli(ctx, 1, "h")
		if err := errors.Join(err1, err2, err3, err4, starts.Error(), ends.Error(), future.Error(), past.Error()); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(starts["h"][1].Offset, ends["h"][0].Offset, ends["h"][1].Offset, future["h"][1].Offset, past["h"][1].Offset); got != "0 0 10 10 0" {
			t.Errorf("offsets are %s", got)
		}
		if missing, err := adm.ListEndOffsets(ctx, "never"); err == nil && missing.Error() == nil {
			t.Errorf("offsets of a hub that is not there: %v", missing)
		}

		var offsets kadm.Offsets
		offsets.AddOffset("h", 1, 7, -1)
		group := unique("group")
		if err := adm.CommitAllOffsets(ctx, group, offsets); err != nil {
			t.Fatal(err)
		}
		got, err := adm.FetchOffsets(ctx, group)
		if err != nil || len(got) != 1 || got["h"][1].At != 7 {
			t.Errorf("positions are %+v, %v", got, err)
		}
		groups, err := adm.ListGroups(ctx)
		if err != nil || fmt.Sprint(groups.Groups()) != "["+group+"]" {
			t.Errorf("groups are %v, %v", groups.Groups(), err)
		}
		described, err := adm.DescribeGroups(ctx, group, "nobody")
		if err != nil || described[group].State != "Empty" || described["nobody"].State != "Dead" {
			t.Errorf("groups are %+v, %v", described, err)
		}
		long := make([]byte, 2000)
		offsets["h"][1] = kadm.Offset{Topic: "h", Partition: 1, At: 8, LeaderEpoch: -1, Metadata: string(long)}
		r, err := adm.CommitOffsets(ctx, group, offsets)
		if err != nil || !errors.Is(r["h"][1].Err, kerr.OffsetMetadataTooLarge) {
			t.Errorf("a long remark: %v, %v", r, err)
		}
		// Out of range is an error that the consumer resets upon.
		cl := client(t, s.Address(), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"h": {1: kgo.NewOffset().At(1000)}}),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if recs := collect(t, cl, 10); recs[0].Offset != 0 {
			t.Errorf("after a reset the first record is at %d", recs[0].Offset)
		}
	})
}

// Three members share the partitions, hand them over when one leaves, and see
// every record.
func TestFranzRebalance(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		c, ns := namespace(t, brokers, hub.Spec{Name: "h", Partitions: 6})
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
		ctx := testContext(t)
		var mu sync.Mutex
		owned := map[int]map[int32]bool{}
		seen := map[string]bool{}
		group := unique("group")
		member := func(i int, balancer kgo.GroupBalancer) *kgo.Client {
			change := func(add bool) func(parts map[string][]int32) {
				return func(parts map[string][]int32) {
					mu.Lock()
					defer mu.Unlock()
					if owned[i] == nil {
						owned[i] = map[int32]bool{}
					}
					for _, p := range parts["h"] {
						if delete(owned[i], p); add {
							owned[i][p] = true
						}
					}
				}
			}
			add, remove := change(true), change(false)
			cl := client(t, s.Address(), kgo.ConsumeTopics("h"), kgo.ConsumerGroup(group), kgo.Balancers(balancer),
				kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.SessionTimeout(10*time.Second), kgo.HeartbeatInterval(200*time.Millisecond),
				kgo.OnPartitionsAssigned(onParts(add)), kgo.OnPartitionsRevoked(onParts(remove)), kgo.OnPartitionsLost(onParts(remove)))
			go func() {
				for {
					fs := cl.PollFetches(ctx)
					if fs.IsClientClosed() || ctx.Err() != nil {
						return
					}
					fs.EachError(func(_ string, p int32, err error) { t.Errorf("member %d, partition %d: %v", i, p, err) })
					mu.Lock()
					fs.EachRecord(func(r *kgo.Record) { seen[string(r.Value)] = true })
					mu.Unlock()
				}
			}()
			return cl
		}
		shared := func(members ...int) func() bool {
			return func() bool {
				mu.Lock()
				defer mu.Unlock()
				total := map[int32]bool{}
				for _, m := range members {
					if len(owned[m]) != 6/len(members) {
						return false
					}
					for p := range owned[m] {
						total[p] = true
					}
				}
				return len(total) == 6
			}
		}
		member(0, kgo.CooperativeStickyBalancer())
		eventually(t, "one member to own all", shared(0))
		member(1, kgo.CooperativeStickyBalancer())
		third := member(2, kgo.CooperativeStickyBalancer())
		eventually(t, "three members to own two each", shared(0, 1, 2))
		described, err := admin(t, s.Address()).DescribeGroups(ctx, group)
		if g := described[group]; err != nil || g.State != "Stable" || len(g.Members) != 3 || fmt.Sprint(g.AssignedPartitions().Topics()) != "[h]" {
			t.Errorf("the group is %+v, %v", g, err)
		}
		p := client(t, s.Address())
		produce := func(from, to int) {
			for i := from; i < to; i++ {
				p.Produce(ctx, &kgo.Record{Topic: "h", Key: fmt.Append(nil, i), Value: fmt.Append(nil, i)}, func(_ *kgo.Record, err error) {
					if err != nil {
						t.Errorf("record %d: %v", i, err)
					}
				})
			}
			if err := p.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
		produce(0, 300)
		third.Close()
		produce(300, 600)
		eventually(t, "two members to own three each", shared(0, 1))
		eventually(t, "all records to be seen", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(seen) == 600
		})
	})
}

func onParts(fn func(map[string][]int32)) func(context.Context, *kgo.Client, map[string][]int32) {
	return func(_ context.Context, _ *kgo.Client, parts map[string][]int32) { fn(parts) }
}
