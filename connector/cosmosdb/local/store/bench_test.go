package store

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/partition"
)

// event makes a sample event of about 1 KB.
func event(dst []byte, r *rand.Rand, device, n int) (id string, text []byte) {
	id = fmt.Sprintf("%08x-%04x-4%03x-8%03x-%012x", r.Uint32(), r.Uint32()&0xFFFF, r.Uint32()&0xFFF, r.Uint32()&0xFFF, r.Uint64()>>16)
	dst = fmt.Appendf(dst[:0], `{"eventId":%q,"complexData":{`, id)
	for i := range 23 {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = fmt.Appendf(dst, `"moreData%d":%.14f`, i, 10+90*r.Float64())
	}
	kind := "TEMP"
	if n%2 == 0 {
		kind = "CO2"
	}
	return id, fmt.Appendf(dst, `},"value":%.14f,"deviceId":"contoso://device-id-%d","deviceSequenceNumber":%d,"type":%q,"createdAt":%q,"enqueuedAt":"2026-11-22T10:00:00.123456Z","processedAt":"2026-11-22T10:00:00.133456Z","storedAt":"2026-11-22T10:00:00.133456Z","id":%q}`,
		10+90*r.Float64(), device, n, kind, time.Unix(0, 1_700_000_000_000_000_000+int64(n)*100_000).UTC().Format("2006-01-02T15:04:05.000000Z"), id)
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkApply stores sample events; us-cpu/item is what the whole process
// used, flushes and compactions included, without making the events.
func BenchmarkApply(b *testing.B) {
	for _, workers := range []int{1, 8} {
		for _, batch := range []int{1, 10, 20} {
			b.Run(fmt.Sprintf("workers=%d/batch=%d", workers, batch), func(b *testing.B) {
				w := newWorld(b, sampleProperties(), 2)
				benchmarkApply(b, w, workers, batch)
			})
		}
	}
}

type made struct {
	key partition.Key
	ops []Op
}

func benchmarkApply(b *testing.B, w *world, workers, batch int) {
	random := rand.New(rand.NewPCG(1, 2))
	batches := make([]made, b.N)
	for i := range batches {
		device := random.IntN(1000)
		m := made{key: w.key(fmt.Sprintf("contoso://device-id-%d", device))}
		for j := range batch {
			id, text := event(nil, random, device, i*batch+j)
			m.ops = append(m.ops, Op{Kind: OpUpsert, ID: id, Body: text, NoBody: true})
		}
		batches[i] = m
	}
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= b.N {
					return
				}
				res, err := w.c.Apply(context.Background(), batches[i].key, batches[i].ops)
				if err != nil || res[0].Status != Created {
					b.Error(err, res)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	items := float64(b.N * batch)
	b.ReportMetric(float64(cpu()-before)/1000/items, "us-cpu/item")
	b.ReportMetric(items/b.Elapsed().Seconds(), "items/s")
}
