package local_test

import (
	"bytes"
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/hub"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// BenchmarkInAndOut sends and receives events of 1 KB at the same time, with the
// official SDK at both ends: everything runs in this process.
//
//	go test -run ^$ -bench InAndOut -benchtime 300000x ./connector/eventhubs/local
func BenchmarkInAndOut(b *testing.B) {
	for _, partitions := range []int{1, 4} {
		b.Run("partitions="+strconv.Itoa(partitions), func(b *testing.B) { inAndOut(b, partitions) })
	}
}

func inAndOut(b *testing.B, partitions int) {
	w := start(b, func(o *local.Options, ho *hub.Options) {
		o.Log, ho.Log = nil, nil
		ho.Namespaces[0].Hubs = []hub.Spec{{Name: "bench", Partitions: partitions}}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	body := bytes.Repeat([]byte("x"), 930)
	var wg sync.WaitGroup
	b.SetBytes(int64(len(body)))
	b.ResetTimer()
	for part := range partitions {
		id, n := strconv.Itoa(part), b.N/partitions
		if part == 0 {
			n += b.N % partitions
		}
		p := w.producer(b, "bench")
		pc := open(b, w.consumer(b, "bench", "$Default"), id, nil)
		wg.Go(func() {
			for sent := 0; sent < n; {
				batch, err := p.NewEventDataBatch(ctx, toPartition(id))
				if err != nil {
					b.Error(err)
					return
				}
				for sent < n && batch.NumEvents() < 250 {
					if batch.AddEventData(&azeventhubs.EventData{Body: body}, nil) != nil {
						break
					}
					sent++
				}
				if err := p.SendEventDataBatch(ctx, batch, nil); err != nil {
					b.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for got := 0; got < n; {
				events, err := pc.ReceiveEvents(ctx, min(300, n-got), nil)
				if err != nil {
					b.Error(err)
					return
				}
				got += len(events)
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}
