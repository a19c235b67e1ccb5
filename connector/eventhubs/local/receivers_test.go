package local_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

func epoch(n int64) *azeventhubs.PartitionClientOptions {
	return &azeventhubs.PartitionClientOptions{StartPosition: earliest(), OwnerLevel: &n}
}

func lost(err error) bool {
	var e *azeventhubs.Error
	return errors.As(err, &e) && e.Code == azeventhubs.ErrorCodeOwnershipLost
}

func TestEpochs(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	send(t, w.producer(t, "single"), nil, "e", 10)
	client := func() *azeventhubs.ConsumerClient {
		return consumerAt(t, w.Address(), "single", "$Default", &azeventhubs.ConsumerClientOptions{RetryOptions: once})
	}
	plain := open(t, client(), "0", nil)
	receive(t, plain, 10)
	first := open(t, client(), "0", epoch(1))
	receive(t, first, 10)
	if _, err := tryReceive(plain, 1, patience); !lost(err) {
		t.Errorf("a receiver without an epoch stays beside one with: %v", err)
	}
	// The SDK does not take the refusal of a link for a loss of ownership.
	_, err := tryReceive(open(t, client(), "0", nil), 1, patience)
	mention(t, err, "amqp:link:stolen", "At least one receiver for the endpoint is created with epoch of '1'")
	same := open(t, client(), "0", epoch(1))
	receive(t, same, 10)
	if _, err := tryReceive(first, 1, patience); !lost(err) {
		t.Errorf("an equal epoch does not take over: %v", err)
	} else {
		mention(t, err, "with higher epoch of '1'", "amqp:link:stolen")
	}
	higher := open(t, client(), "0", epoch(5))
	receive(t, higher, 10)
	if _, err := tryReceive(same, 1, patience); !lost(err) {
		t.Errorf("a higher epoch does not take over: %v", err)
	}
	_, err = tryReceive(open(t, client(), "0", epoch(4)), 1, patience)
	mention(t, err, "amqp:link:stolen", "higher epoch '5' already exists")
	// Other groups have nothing to do with it; and who closes makes room.
	receive(t, open(t, w.consumer(t, "single", "$Default"), "0", epoch(9)), 10)
	if err := higher.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func TestReceiverLimit(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	send(t, w.producer(t, "telemetry"), toPartition("1"), "e", 1)
	var all []*azeventhubs.PartitionClient
	for range 5 {
		pc := open(t, w.consumer(t, "telemetry", "$Default"), "1", nil)
		receive(t, pc, 1)
		all = append(all, pc)
	}
	sixth := func() error {
		c := consumerAt(t, w.Address(), "telemetry", "$Default", &azeventhubs.ConsumerClientOptions{RetryOptions: once, InstanceID: "the sixth"})
		_, err := tryReceive(open(t, c, "1", nil), 1, patience)
		return err
	}
	mention(t, sixth(), "amqp:resource-limit-exceeded", "which is 5")
	receive(t, open(t, w.consumer(t, "telemetry", "reports"), "1", nil), 1) // another group
	if err := all[0].Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := sixth(); err != nil {
		t.Errorf("after one has gone: %v", err)
	}
}

// member runs a processor that notes what it sees of each partition.
type member struct {
	client *azeventhubs.ConsumerClient
	stop   context.CancelFunc
	done   chan error
}

type seen struct {
	mu sync.Mutex
	m  map[string]int // body: how often
	by map[string]map[string]bool
}

func (s *seen) note(name, partition string, events []*azeventhubs.ReceivedEventData) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		s.m[string(e.Body)]++
	}
	if s.by[partition] == nil {
		s.by[partition] = map[string]bool{}
	}
	s.by[partition][name] = true
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.m)
}

func join(t *testing.T, w *world, name string, store azeventhubs.CheckpointStore, s *seen) *member {
	t.Helper()
	m := &member{client: consumerAt(t, w.Address(), "telemetry", "$Default", nil), done: make(chan error, 1)}
	processor, err := azeventhubs.NewProcessor(m.client, store, &azeventhubs.ProcessorOptions{
		UpdateInterval: 100 * time.Millisecond, PartitionExpirationDuration: 2 * time.Second,
		StartPositions: azeventhubs.StartPositions{Default: earliest()}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.stop = cancel
	go func() {
		for {
			pc := processor.NextPartitionClient(ctx)
			if pc == nil {
				return
			}
			go func() {
				defer pc.Close(context.Background())
				for {
					rctx, done := context.WithTimeout(ctx, 200*time.Millisecond)
					events, err := pc.ReceiveEvents(rctx, 100, nil)
					done()
					if ctx.Err() != nil || err != nil && !errors.Is(err, context.DeadlineExceeded) {
						return
					}
					if len(events) > 0 {
						s.note(name, pc.PartitionID(), events)
						if err := pc.UpdateCheckpoint(ctx, events[len(events)-1], nil); err != nil {
							return
						}
					}
				}
			}()
		}
	}()
	go func() { m.done <- processor.Run(ctx) }()
	t.Cleanup(cancel)
	return m
}

// Three processors share the partitions; one of them goes without a word, and
// the others take over what it had.
func TestProcessorsShareAndTakeOver(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	store := newMemoryStore()
	s := &seen{m: map[string]int{}, by: map[string]map[string]bool{}}
	p := w.producer(t, "telemetry")
	total := 0
	more := func() {
		for part := range 4 {
			send(t, p, toPartition(fmt.Sprint(part)), fmt.Sprintf("%d-%d-", total, part), 50)
		}
		total += 200
	}
	waitFor := func(what string, ok func() bool) {
		t.Helper()
		for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("gave up waiting for %s: %d of %d events", what, s.count(), total)
			}
		}
	}
	more()
	members := []*member{join(t, w, "a", store, s), join(t, w, "b", store, s), join(t, w, "c", store, s)}
	waitFor("the first events", func() bool { return s.count() == total })
	more()
	waitFor("more events", func() bool { return s.count() == total })
	// One goes abruptly: its connections are cut while it runs.
	_ = members[0].client.Close(context.Background())
	members[0].stop()
	more()
	waitFor("the events after one has gone", func() bool { return s.count() == total })
	for _, m := range members[1:] {
		m.stop()
		if err := <-m.done; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("processor: %v", err)
		}
	}
}
