package kafkaface_test

import (
	"context"
	"testing"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"

	"github.com/twmb/franz-go/pkg/kgo"
)

// BenchmarkProduce and BenchmarkConsume are events of 1 KB with the endpoint,
// the log and the client in one process, beside the same without the endpoint.
func BenchmarkProduce(b *testing.B) { paths(b, benchProduce) }

// BenchmarkConsume reads what was produced before.
func BenchmarkConsume(b *testing.B) {
	paths(b, func(b *testing.B, make func(...kgo.Opt) *kgo.Client, topic string) {
		n := min(b.N, 200_000)
		fill(b, make, topic, n)
		b.ResetTimer()
		for left := b.N; left > 0; left -= n {
			cl := make(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			for seen := 0; seen < min(n, left); {
				fs := cl.PollFetches(context.Background())
				if err := fs.Err(); err != nil {
					b.Fatal(err)
				}
				seen += fs.NumRecords()
			}
			cl.Close()
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

func paths(b *testing.B, run func(b *testing.B, make func(...kgo.Opt) *kgo.Client, topic string)) {
	brokers := embedded(b)
	c, ns := namespace(b, brokers, hub.Spec{Name: "h", Partitions: 4}, hub.Spec{Name: "direct", Partitions: 4})
	s, _ := start(b, kafkaface.Options{Cluster: c, Namespace: ns.Name(), MaxRequestBytes: 64 << 20})
	for _, p := range []struct{ name, addr, topic string }{
		{"endpoint", s.Address(), "h"}, {"direct", brokers, ns.Topic("direct")},
	} {
		b.Run(p.name, func(b *testing.B) {
			run(b, func(opts ...kgo.Opt) *kgo.Client {
				opts = append([]kgo.Opt{kgo.SeedBrokers(p.addr), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(1_000_000)}, opts...)
				if p.name == "endpoint" {
					opts = append(opts, signIn(connectionString(p.addr)))
				}
				cl, err := kgo.NewClient(opts...)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(cl.Close)
				return cl
			}, p.topic)
		})
	}
}

func fill(b *testing.B, make func(...kgo.Opt) *kgo.Client, topic string, n int) {
	p := make()
	value := [1000]byte{}
	for range n {
		p.Produce(context.Background(), &kgo.Record{Topic: topic, Value: value[:]}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := p.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
}

func benchProduce(b *testing.B, make func(...kgo.Opt) *kgo.Client, topic string) {
	fill(b, make, topic, b.N)
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
