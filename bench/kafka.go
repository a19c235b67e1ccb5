package main

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/connector"
	"millrace/connector/kafka"
	"millrace/connector/kafka/local"
	"millrace/internal/metrics"
)

const (
	partitions = 4
	devices    = 1000
)

// rawKafka is the limit of everything that goes through the embedded log: one
// client produces prepared values, another consumes them, and nothing looks at
// them.
func rawKafka(ctx context.Context, c *child) (m measured, err error) {
	srv, err := local.Start(ctx, local.Options{DataDir: filepath.Join(c.dir, "kafka")})
	if err != nil {
		return m, err
	}
	defer srv.Close()
	cfg := kafka.NewConfig()
	cfg.SetAddress(srv.Address())
	cfg.Partitions = partitions
	log, err := cfg.Open(ctx, connector.Env{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return m, err
	}
	defer log.Close()
	if _, err := log.Prepare(ctx); err != nil {
		return m, err
	}
	payloads, err := prepared(10_000)
	if err != nil {
		return m, err
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(srv.Address()), kgo.DefaultProduceTopic(cfg.Topic),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(50_000), kgo.ProducerLinger(5*time.Millisecond))
	if err != nil {
		return m, fmt.Errorf("connecting a producer: %w", err)
	}
	defer producer.Close()
	consumer, err := kgo.NewClient(kgo.SeedBrokers(srv.Address()), kgo.ConsumeTopics(cfg.Topic))
	if err != nil {
		return m, fmt.Errorf("connecting a consumer: %w", err)
	}
	defer consumer.Close()
	t := start()
	var failed atomic.Value
	go func() {
		for i := range c.events {
			p := &payloads[i%int64(len(payloads))]
			producer.Produce(ctx, &kgo.Record{Key: p.DeviceID, Value: p.Raw}, func(_ *kgo.Record, err error) {
				if err != nil {
					failed.Store(err)
				}
			})
		}
	}()
	for m.Events < c.events {
		fetches := consumer.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return m, fmt.Errorf("consuming: %w", err)
		}
		if err, _ := failed.Load().(error); err != nil {
			return m, fmt.Errorf("producing: %w", err)
		}
		m.Events += int64(fetches.NumRecords())
	}
	t.stop(&m)
	return m, nil
}

// stopwatch measures a section of this process.
type stopwatch struct {
	at  time.Time
	cpu float64
}

func start() stopwatch { return stopwatch{time.Now(), metrics.CPUSeconds()} }

func (s stopwatch) stop(m *measured) {
	m.Seconds, m.CPUSeconds = time.Since(s.at).Seconds(), metrics.CPUSeconds()-s.cpu
}
