package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	ehlocal "millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/hub"
	kafkalocal "millrace/connector/kafka/local"
)

// A pipe is a way into and out of the same log, a partition at a time.
type pipe interface {
	// send returns when the log has acknowledged all bodies.
	send(ctx context.Context, partition int, bodies [][]byte) error
	// receive calls fn with every body from the partition's beginning on,
	// until ctx ends or fn is not called for an error.
	receive(ctx context.Context, partition int, fn func(body []byte)) error
	close()
}

const hubName = "telemetry"

// pipes are the official Event Hubs SDK at both ends of the stand-in, and
// franz-go at both ends of the log that the stand-in keeps its events in.
var pipes = map[string]func(ctx context.Context, dir string) (pipe, error){"amqp": newAMQPPipe, "kafka": newKafkaPipe}

// warmup is how long latency is not looked at: connections are made meanwhile.
const warmup = 2 * time.Second

// chunk is how many events a sender has in hand at once.
const chunk = 1000

// throughput sends and receives at once, as fast as it goes.
func throughput(name string) func(context.Context, *child) (measured, error) {
	return func(ctx context.Context, c *child) (m measured, err error) {
		p, err := pipes[name](ctx, c.dir)
		if err != nil {
			return m, err
		}
		defer p.close()
		payloads, err := prepared(10_000)
		if err != nil {
			return m, err
		}
		each := c.events / partitions
		var received atomic.Int64
		t := start()
		err = both(ctx, p, &received, each, func(ctx context.Context, partition int) error {
			for at := int64(0); at < each; {
				var bodies [][]byte
				for ; at < each && len(bodies) < chunk; at++ {
					bodies = append(bodies, payloads[at%int64(len(payloads))].Raw)
				}
				if err := p.send(ctx, partition, bodies); err != nil {
					return err
				}
			}
			return nil
		}, func([]byte) {})
		t.stop(&m)
		m.Events = received.Load()
		return m, err
	}
}

// latency sends at a steady rate and measures how old events are when they are
// received. An event's age counts from when it was due.
func latency(name string, perSecond int64) func(context.Context, *child) (measured, error) {
	return func(ctx context.Context, c *child) (m measured, err error) {
		p, err := pipes[name](ctx, c.dir)
		if err != nil {
			return m, err
		}
		defer p.close()
		payloads, err := prepared(1000)
		if err != nil {
			return m, err
		}
		each := c.events / partitions
		ages := make(chan int64, 1<<16)
		var received atomic.Int64
		step := time.Second * partitions / time.Duration(perSecond)
		t := start()
		began := time.Now()
		done := make(chan error, 1)
		go func() {
			defer close(ages)
			done <- both(ctx, p, &received, each, func(ctx context.Context, partition int) error {
				return paced(ctx, p, partition, each, step, began, payloads[0].Raw)
			}, func(body []byte) {
				if due := int64(binary.BigEndian.Uint64(body)); due > warmup.Microseconds() {
					ages <- time.Since(began).Microseconds() - due
				}
			})
		}()
		h := hdrhistogram.New(1, 60_000_000, 3)
		for age := range ages {
			_ = h.RecordValue(max(age, 1)) // beyond a minute is the last bucket's
		}
		err = <-done
		t.stop(&m)
		m.Events = received.Load()
		m.P50Ms, m.P99Ms = float64(h.ValueAtQuantile(50))/1000, float64(h.ValueAtQuantile(99))/1000
		return m, err
	}
}

// paced sends what is due, one event every step.
func paced(ctx context.Context, p pipe, partition int, n int64, step time.Duration, began time.Time, like []byte) error {
	for at := int64(0); at < n; {
		due := min(int64(time.Since(began)/step)+1, n)
		var bodies [][]byte
		for ; at < due && len(bodies) < chunk; at++ {
			body := append([]byte(nil), like...)
			binary.BigEndian.PutUint64(body, uint64((time.Duration(at) * step).Microseconds()))
			bodies = append(bodies, body)
		}
		if len(bodies) == 0 {
			time.Sleep(time.Millisecond)
			continue
		}
		if err := p.send(ctx, partition, bodies); err != nil {
			return err
		}
	}
	return nil
}

// both runs a sender and a receiver per partition until each receiver has each
// events.
func both(ctx context.Context, p pipe, received *atomic.Int64, each int64,
	send func(ctx context.Context, partition int) error, fn func(body []byte)) error {
	g, ctx := errgroup.WithContext(ctx)
	for partition := range partitions {
		g.Go(func() error { return send(ctx, partition) })
		g.Go(func() error {
			ctx, stop := context.WithCancel(ctx)
			defer stop()
			var n int64
			err := p.receive(ctx, partition, func(body []byte) {
				fn(body)
				received.Add(1)
				if n++; n == each {
					stop()
				}
			})
			if n == each {
				return nil
			}
			return err
		})
	}
	return g.Wait()
}

// amqpPipe is the official SDK at both ends.
type amqpPipe struct {
	producer *azeventhubs.ProducerClient
	consumer *azeventhubs.ConsumerClient
	stops    []func()
}

func newAMQPPipe(ctx context.Context, dir string) (_ pipe, err error) {
	p := &amqpPipe{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	log, err := kafkalocal.Start(ctx, kafkalocal.Options{DataDir: filepath.Join(dir, "kafka")})
	if err != nil {
		return nil, err
	}
	p.stops = append(p.stops, func() { _ = log.Close() })
	quiet := slog.New(slog.DiscardHandler)
	cluster, err := hub.Open(ctx, hub.Options{Brokers: []string{log.Address()}, Log: quiet})
	if err != nil {
		return nil, err
	}
	p.stops = append(p.stops, func() { _ = cluster.Close() })
	if _, err := cluster.Namespaces()[0].CreateHub(ctx, hub.Spec{Name: hubName, Partitions: partitions}); err != nil {
		return nil, err
	}
	srv, err := ehlocal.Start(ctx, ehlocal.Options{Cluster: cluster, Log: quiet})
	if err != nil {
		return nil, err
	}
	p.stops = append(p.stops, func() { _ = srv.Close() })
	if p.producer, err = azeventhubs.NewProducerClientFromConnectionString(srv.Address(), hubName, nil); err != nil {
		return nil, fmt.Errorf("connecting a producer: %w", err)
	}
	if p.consumer, err = azeventhubs.NewConsumerClientFromConnectionString(srv.Address(), hubName, azeventhubs.DefaultConsumerGroup, nil); err != nil {
		return nil, fmt.Errorf("connecting a consumer: %w", err)
	}
	return p, nil
}

func (p *amqpPipe) send(ctx context.Context, partition int, bodies [][]byte) error {
	id := strconv.Itoa(partition)
	for len(bodies) > 0 {
		batch, err := p.producer.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: &id})
		if err != nil {
			return fmt.Errorf("opening a batch: %w", err)
		}
		n := 0
		for ; n < len(bodies); n++ {
			err := batch.AddEventData(&azeventhubs.EventData{Body: bodies[n]}, nil)
			if errors.Is(err, azeventhubs.ErrEventDataTooLarge) && n > 0 {
				break
			}
			if err != nil {
				return fmt.Errorf("adding an event: %w", err)
			}
		}
		if err := p.producer.SendEventDataBatch(ctx, batch, nil); err != nil {
			return fmt.Errorf("sending a batch: %w", err)
		}
		bodies = bodies[n:]
	}
	return nil
}

func (p *amqpPipe) receive(ctx context.Context, partition int, fn func(body []byte)) error {
	earliest := true
	c, err := p.consumer.NewPartitionClient(strconv.Itoa(partition), &azeventhubs.PartitionClientOptions{
		StartPosition: azeventhubs.StartPosition{Earliest: &earliest}, Prefetch: 2000})
	if err != nil {
		return fmt.Errorf("opening a partition: %w", err)
	}
	defer func() { _ = c.Close(context.WithoutCancel(ctx)) }()
	for ctx.Err() == nil {
		// The SDK returns when the count is reached or the time is up, so
		// the time is what an event may wait for others.
		wait, stop := context.WithTimeout(ctx, 5*time.Millisecond)
		events, err := c.ReceiveEvents(wait, 500, nil)
		stop()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("receiving: %w", err)
		}
		for _, e := range events {
			fn(e.Body)
		}
	}
	return ctx.Err()
}

func (p *amqpPipe) close() {
	ctx, stop := context.WithTimeout(context.Background(), 5*time.Second)
	defer stop()
	if p.consumer != nil {
		_ = p.consumer.Close(ctx)
	}
	if p.producer != nil {
		_ = p.producer.Close(ctx)
	}
	for i := len(p.stops) - 1; i >= 0; i-- {
		p.stops[i]()
	}
}

// kafkaPipe is franz-go at both ends of the embedded log.
type kafkaPipe struct {
	addr     string
	producer *kgo.Client
	stop     func()
}

func newKafkaPipe(ctx context.Context, dir string) (pipe, error) {
	log, err := kafkalocal.Start(ctx, kafkalocal.Options{DataDir: filepath.Join(dir, "kafka"), Partitions: partitions})
	if err != nil {
		return nil, err
	}
	producer, err := kgo.NewClient(kgo.SeedBrokers(log.Address()), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.AllowAutoTopicCreation(),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerLinger(0))
	if err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("connecting a producer: %w", err)
	}
	return &kafkaPipe{addr: log.Address(), producer: producer, stop: func() { _ = log.Close() }}, nil
}

func (p *kafkaPipe) send(ctx context.Context, partition int, bodies [][]byte) error {
	records := make([]*kgo.Record, len(bodies))
	for i, b := range bodies {
		records[i] = &kgo.Record{Topic: hubName, Partition: int32(partition), Value: b}
	}
	if err := p.producer.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return fmt.Errorf("producing: %w", err)
	}
	return nil
}

func (p *kafkaPipe) receive(ctx context.Context, partition int, fn func(body []byte)) error {
	c, err := kgo.NewClient(kgo.SeedBrokers(p.addr), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{
		hubName: {int32(partition): kgo.NewOffset().AtStart()}}), kgo.FetchMaxWait(time.Second))
	if err != nil {
		return fmt.Errorf("connecting a consumer: %w", err)
	}
	defer c.Close()
	for ctx.Err() == nil {
		fetches := c.PollFetches(ctx)
		if err := fetches.Err0(); err != nil && ctx.Err() == nil {
			return fmt.Errorf("consuming: %w", err)
		}
		fetches.EachRecord(func(r *kgo.Record) { fn(r.Value) })
	}
	return ctx.Err()
}

func (p *kafkaPipe) close() { p.producer.Close(); p.stop() }
