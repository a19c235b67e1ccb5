package hub_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// telemetry is an event of about 1 KB with a partition key and two properties.
func telemetry(size int) []byte {
	raw := amqp.AppendMessageAnnotations(nil, amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "device-1"}})
	raw = amqp.AppendApplicationProperties(raw, amqp.Map{{Key: "type", Value: "TEMP"}, {Key: "n", Value: int32(5)}})
	body := make([]byte, size)
	for i := range body {
		body[i] = byte(32 + rand.IntN(90))
	}
	return amqp.AppendData(raw, body)
}

func telemetryBatch(tb testing.TB, n int) []amqp.Message {
	ms := make([]amqp.Message, n)
	for i := range ms {
		ms[i] = parse(tb, telemetry(930))
	}
	return ms
}

func BenchmarkEncode(b *testing.B) {
	ms := telemetryBatch(b, 500)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := hub.EncodeBatch(0, ms...); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkDecode(b *testing.B) {
	raw, err := hub.EncodeBatch(0, telemetryBatch(b, 500)...)
	if err != nil {
		b.Fatal(err)
	}
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		events, _, err := hub.DecodeAnswer(0, &kmsg.FetchResponseTopicPartition{RecordBatches: raw})
		if err != nil {
			b.Fatal(err)
		}
		for i := range events {
			dst = events[i].AppendMessage(dst[:0], nil)
		}
	}
	b.ReportMetric(float64(b.N)*500/b.Elapsed().Seconds(), "events/s")
}

// benchmarkAppend appends b.N events of 1 KB in AMQP batches of the given size to
// four partitions, and reads them at the same time if read is true.
func benchmarkAppend(b *testing.B, batch int, read bool) {
	srv := startLog(b, b.TempDir(), 0)
	c := open(b, hub.Options{Brokers: []string{srv.Address()}})
	h := newHub(b, c.Default(), "bench", 4)
	ms := telemetryBatch(b, batch)
	perPartition := (b.N/4 + batch) / batch * batch
	b.ReportAllocs()
	b.ResetTimer()
	var waits sync.WaitGroup
	for p := range int32(4) {
		waits.Go(func() {
			for range perPartition / batch {
				waits.Add(1)
				err := h.Append(context.Background(), p, ms, func(_ int64, err error) {
					defer waits.Done()
					if err != nil {
						b.Error(err)
					}
				})
				if err != nil {
					b.Error(err)
					waits.Done()
				}
			}
		})
		if !read {
			continue
		}
		r := newReader(b, h, p, 0)
		waits.Go(func() {
			var dst []byte
			for n := 0; n < perPartition; {
				es, err := r.Next(context.Background(), 500)
				if err != nil {
					b.Error(err)
					return
				}
				for i := range es {
					dst = es[i].AppendMessage(dst[:0], nil)
				}
				n += len(es)
			}
		})
	}
	waits.Wait()
	b.StopTimer()
	b.ReportMetric(float64(4*perPartition)/b.Elapsed().Seconds(), "events/s")
}

func BenchmarkAppendSingle(b *testing.B)  { benchmarkAppend(b, 1, false) }
func BenchmarkAppendBatches(b *testing.B) { benchmarkAppend(b, 100, false) }
func BenchmarkAppendAndRead(b *testing.B) { benchmarkAppend(b, 100, true) }
func BenchmarkAppendLarge(b *testing.B)   { benchmarkAppend(b, 1000, false) }
