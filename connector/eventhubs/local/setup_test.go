package local_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/hub"
	kafka "millrace/connector/kafka/local"
	"millrace/internal/testservice"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// patience is how long anything may take before a test gives up.
const patience = 90 * time.Second

func patient(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// record is a log that tests can search.
type record struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.String()
}

// world is an endpoint over hubs over an embedded log.
type world struct {
	*local.Server
	cluster *hub.Cluster
	log     *record

	broker     *kafka.Server
	brokerData kafka.Options // with a port that stays its own
}

// stopLog and startLog take the log away and bring it back where it was.
func (w *world) stopLog(t testing.TB) {
	t.Helper()
	if err := w.broker.Close(); err != nil {
		t.Fatal(err)
	}
}

func (w *world) startLog(t testing.TB) {
	t.Helper()
	broker, err := kafka.Start(patient(t), w.brokerData)
	if err != nil {
		t.Fatal(err)
	}
	w.broker = broker
}

// hubs that every world has: name and partitions.
var standardHubs = []hub.Spec{{Name: "telemetry", Partitions: 4, Groups: []string{"reports"}}, {Name: "single", Partitions: 1}}

func start(t testing.TB, change func(*local.Options, *hub.Options)) *world {
	t.Helper()
	ctx := patient(t)
	w := &world{log: &record{}, brokerData: kafka.Options{DataDir: t.TempDir(), Port: testservice.Port(t)}}
	w.startLog(t)
	t.Cleanup(func() { _ = w.broker.Close() })
	address := w.broker.Address()
	log := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	ho := hub.Options{Brokers: []string{address}, Log: log,
		Namespaces: []hub.NamespaceSpec{{Name: "millrace", Hubs: standardHubs}, {Name: "other", Hubs: []hub.Spec{{Name: "telemetry", Partitions: 2}}}}}
	o := local.Options{Log: log}
	if change != nil {
		change(&o, &ho)
	}
	var err error
	if w.cluster, err = hub.Open(ctx, ho); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.cluster.Close() })
	o.Cluster = w.cluster
	if w.Server, err = local.Start(ctx, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
		if t.Failed() {
			text := w.log.String()
			t.Logf("log of the endpoint (its end):\n%s", text[max(0, len(text)-6000):])
		}
	})
	return w
}

// once is for clients whose mistakes are to come back at once.
var once = azeventhubs.RetryOptions{MaxRetries: -1}

func (w *world) producer(t testing.TB, hubName string) *azeventhubs.ProducerClient {
	t.Helper()
	return producerAt(t, w.Address(), hubName, nil)
}

func producerAt(t testing.TB, address, hubName string, o *azeventhubs.ProducerClientOptions) *azeventhubs.ProducerClient {
	t.Helper()
	p, err := azeventhubs.NewProducerClientFromConnectionString(address, hubName, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close(context.Background()) })
	return p
}

func (w *world) consumer(t testing.TB, hubName, group string) *azeventhubs.ConsumerClient {
	t.Helper()
	return consumerAt(t, w.Address(), hubName, group, nil)
}

func consumerAt(t testing.TB, address, hubName, group string, o *azeventhubs.ConsumerClientOptions) *azeventhubs.ConsumerClient {
	t.Helper()
	c, err := azeventhubs.NewConsumerClientFromConnectionString(address, hubName, group, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	return c
}

// send sends events with the bodies prefix0, prefix1, ... in batches.
func send(t testing.TB, p *azeventhubs.ProducerClient, o *azeventhubs.EventDataBatchOptions, prefix string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*patience)
	defer cancel()
	for i := 0; i < n; {
		b, err := p.NewEventDataBatch(ctx, o)
		if err != nil {
			t.Fatal(err)
		}
		for ; i < n; i++ {
			if err := b.AddEventData(&azeventhubs.EventData{Body: fmt.Appendf(nil, "%s%d", prefix, i)}, nil); err != nil {
				break // the batch is full
			}
		}
		if err := p.SendEventDataBatch(ctx, b, nil); err != nil {
			t.Fatal(err)
		}
	}
}

func toPartition(p string) *azeventhubs.EventDataBatchOptions {
	return &azeventhubs.EventDataBatchOptions{PartitionID: &p}
}

func open(t testing.TB, c *azeventhubs.ConsumerClient, partition string, o *azeventhubs.PartitionClientOptions) *azeventhubs.PartitionClient {
	t.Helper()
	if o == nil {
		o = &azeventhubs.PartitionClientOptions{StartPosition: earliest()}
	}
	pc, err := c.NewPartitionClient(partition, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close(context.Background()) })
	return pc
}

func earliest() azeventhubs.StartPosition {
	yes := true
	return azeventhubs.StartPosition{Earliest: &yes}
}

// receive returns the next n events.
func receive(t testing.TB, pc *azeventhubs.PartitionClient, n int) []*azeventhubs.ReceivedEventData {
	t.Helper()
	var all []*azeventhubs.ReceivedEventData
	for len(all) < n {
		events, err := tryReceive(pc, min(n-len(all), 3000), patience)
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(all), n, err)
		}
		all = append(all, events...)
	}
	return all
}

// tryReceive receives up to n events, at least one, unless nothing comes for so
// long.
func tryReceive(pc *azeventhubs.PartitionClient, n int, wait time.Duration) ([]*azeventhubs.ReceivedEventData, error) {
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	return pc.ReceiveEvents(ctx, n, nil)
}

func mention(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one with %q", words)
	}
	for _, w := range words {
		if !strings.Contains(err.Error(), w) {
			t.Errorf("error %q does not mention %q", err, w)
		}
	}
}

func ptr[T any](v T) *T { return &v }
