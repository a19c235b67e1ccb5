package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"millrace/connector"
)

// Send says where events go.
type Send struct {
	Hub string
	// Key is the partition key, Partition the partition; at most one is set.
	Key, Partition string
	// Properties are set on every event.
	Properties map[string]any
}

// sendLinger is how long an event waits for company if more may come.
const sendLinger = 100 * time.Millisecond

// Send sends bodies until the channel is closed, in batches, and returns how
// many the service has acknowledged.
func (x *Explorer) Send(ctx context.Context, s Send, bodies <-chan []byte) (sent int, err error) {
	client, err := x.e.producer(s.Hub)
	if err != nil {
		return 0, err
	}
	defer func() {
		within, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = client.Close(within) // everything has been acknowledged or reported
	}()
	b := &batcher{x: x, client: client, s: s, doing: "sending to hub " + s.Hub}
	if s.Key != "" {
		b.options.PartitionKey = &s.Key
	}
	if s.Partition != "" {
		b.options.PartitionID = &s.Partition
	}
	linger := time.NewTicker(sendLinger)
	defer linger.Stop()
	for {
		select {
		case body, ok := <-bodies:
			if !ok {
				err := b.flush(ctx)
				return b.sent, err
			}
			if err := b.add(ctx, body); err != nil {
				return b.sent, err
			}
		case <-linger.C:
			if err := b.flush(ctx); err != nil {
				return b.sent, err
			}
		case <-ctx.Done():
			return b.sent, ctx.Err()
		}
	}
}

// batcher fills batches.
type batcher struct {
	x       *Explorer
	client  *azeventhubs.ProducerClient
	s       Send
	options azeventhubs.EventDataBatchOptions
	doing   string
	batch   *azeventhubs.EventDataBatch
	sent    int
}

func (b *batcher) add(ctx context.Context, body []byte) error {
	event := &azeventhubs.EventData{Body: body, Properties: b.s.Properties}
	for {
		fresh := b.batch == nil
		if fresh {
			if err := b.x.e.repeat(ctx, b.doing, func(ctx context.Context) (err error) {
				b.batch, err = b.client.NewEventDataBatch(ctx, &b.options)
				return err
			}); err != nil {
				return err
			}
		}
		err := b.batch.AddEventData(event, nil)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, azeventhubs.ErrEventDataTooLarge):
			return fmt.Errorf("%s: %w", b.doing, err)
		case b.batch.NumEvents() == 0:
			return &connector.Hinted{Hint: "an event has 1 MB at most, properties included",
				Err: fmt.Errorf("%s: an event of %d bytes is too large", b.doing, len(body))}
		}
		if err := b.flush(ctx); err != nil {
			return err
		}
	}
}

// flush sends the batch, if there is one, and waits for the acknowledgement.
func (b *batcher) flush(ctx context.Context) error {
	if b.batch == nil || b.batch.NumEvents() == 0 {
		return nil
	}
	batch := b.batch
	b.batch = nil
	if err := b.x.e.repeat(ctx, b.doing, func(ctx context.Context) error { return b.client.SendEventDataBatch(ctx, batch, nil) }); err != nil {
		return err
	}
	b.sent += int(batch.NumEvents())
	return nil
}
