package eventhubs

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// The application properties of a dead letter. Its body is the input's value,
// untouched; its key is a property, since it need not be text.
const (
	propReason    = "reason"
	propDetail    = "detail"
	propPartition = "partition"
	propOffset    = "offset"
	propAt        = "at"
	propKey       = "key"
	// A letter that does not fit into one event is several, in order:
	propLetter = "letter" // what its parts have in common
	propPart   = "part"   // 0, 1, ...
	propParts  = "parts"  // how many there are
)

const (
	// partBytes is the most of an input that one event carries if the whole
	// does not fit, and detailBytes the most of the detail: it is for
	// people, and an endless one must not cost the letter.
	partBytes   = 200 << 10
	detailBytes = 16 << 10
)

// deadLetters implements connector.DeadLetters on a hub of its own, which is
// made by the first Write.
type deadLetters struct {
	log *hubLog

	mu       sync.Mutex
	producer *azeventhubs.ProducerClient
	// sending lets one batch go at a time, so that a large letter's parts
	// lie together.
	sending sync.Mutex
}

func newDeadLetters(cfg Config, e *endpoint, env connector.Env, hub string) *deadLetters {
	cfg.Hub, cfg.Partitions = hub, 1
	env.Run = "" // it is in the name already
	return &deadLetters{log: newHubLog(cfg, e, env)}
}

// Describe implements connector.DeadLetters.
func (d *deadLetters) Describe() string { return d.log.Describe() }

// open makes the hub and the producer on first use.
func (d *deadLetters) open(ctx context.Context) (*azeventhubs.ProducerClient, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.producer != nil {
		return d.producer, nil
	}
	if _, err := d.log.Prepare(ctx); err != nil {
		return nil, err
	}
	p, err := d.log.e.producer(d.log.hub)
	if err != nil {
		return nil, err
	}
	d.producer = p
	return p, nil
}

// Write implements connector.DeadLetters: it returns when the service has
// acknowledged every letter. A service that does not answer is worth retrying
// even if this is its first use here: letters come from inputs that were read
// from it.
func (d *deadLetters) Write(ctx context.Context, letters []record.DeadLetter) error {
	if len(letters) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("writing dead letters to hub %s: %w", d.log.hub, err)
	}
	p, err := d.open(ctx)
	if err != nil {
		var u *connector.Unreachable
		if errors.As(err, &u) && connector.ActionOf(err) == connector.Fail {
			err = connector.Retryable(err, 0)
		}
		return err
	}
	d.sending.Lock()
	defer d.sending.Unlock()
	b, err := d.batch(ctx, p)
	for i := range letters {
		if err != nil {
			return err
		}
		if b, err = d.add(ctx, p, b, &letters[i]); err != nil {
			return err
		}
	}
	return d.send(ctx, p, b)
}

// add puts a letter into the batch, sending what is full.
func (d *deadLetters) add(ctx context.Context, p *azeventhubs.ProducerClient, b *azeventhubs.EventDataBatch, l *record.DeadLetter) (*azeventhubs.EventDataBatch, error) {
	events := []*azeventhubs.EventData{letterEvent(l)}
	for len(events) > 0 {
		err := b.AddEventData(events[0], nil)
		switch {
		case err == nil:
			events = events[1:]
		case !errors.Is(err, azeventhubs.ErrEventDataTooLarge):
			return nil, fmt.Errorf("writing dead letters to hub %s: %w", d.log.hub, err)
		case b.NumEvents() > 0:
			if err := d.send(ctx, p, b); err != nil {
				return nil, err
			}
			if b, err = d.batch(ctx, p); err != nil {
				return nil, err
			}
		case len(events) == 1 && events[0].Properties[propParts] == nil:
			events = letterParts(l)
		default:
			return nil, fmt.Errorf("writing dead letters to hub %s: not even a part of %d bytes fits into an event", d.log.hub, partBytes)
		}
	}
	return b, nil
}

func (d *deadLetters) batch(ctx context.Context, p *azeventhubs.ProducerClient) (b *azeventhubs.EventDataBatch, err error) {
	err = d.log.e.repeat(ctx, "writing dead letters to hub "+d.log.hub, func(ctx context.Context) error {
		b, err = p.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: ptr("0")})
		return d.log.counted(err)
	})
	return b, err
}

func (d *deadLetters) send(ctx context.Context, p *azeventhubs.ProducerClient, b *azeventhubs.EventDataBatch) error {
	if b.NumEvents() == 0 {
		return nil
	}
	return d.log.e.repeat(ctx, "writing dead letters to hub "+d.log.hub, func(ctx context.Context) error {
		return d.log.counted(p.SendEventDataBatch(ctx, b, nil))
	})
}

func letterEvent(l *record.DeadLetter) *azeventhubs.EventData {
	detail := l.Detail
	if len(detail) > detailBytes {
		detail = detail[:detailBytes]
	}
	e := &azeventhubs.EventData{Body: l.Raw, Properties: map[string]any{
		propReason: string(l.Reason), propDetail: detail, propPartition: l.Partition, propOffset: l.Offset, propAt: l.At, propKey: l.Key,
	}}
	if e.Body == nil {
		e.Body = []byte{}
	}
	if l.Key == nil {
		delete(e.Properties, propKey)
	}
	return e
}

// letterParts makes several events of a letter. The key goes with the first.
func letterParts(l *record.DeadLetter) []*azeventhubs.EventData {
	var id [12]byte
	_, _ = rand.Read(id[:])
	parts := int32((len(l.Raw) + partBytes - 1) / partBytes)
	var events []*azeventhubs.EventData
	for i := range parts {
		part := *l
		part.Raw = l.Raw[int(i)*partBytes : min(int(i+1)*partBytes, len(l.Raw))]
		if i > 0 {
			part.Key, part.Detail = nil, ""
		}
		e := letterEvent(&part)
		e.Properties[propLetter], e.Properties[propPart], e.Properties[propParts] = hex.EncodeToString(id[:]), i, parts
		events = append(events, e)
	}
	return events
}

// readLetter is the reverse of letterEvent.
func readLetter(e *azeventhubs.ReceivedEventData, l *record.DeadLetter) error {
	*l = record.DeadLetter{Raw: body(e)}
	reason, ok1 := e.Properties[propReason].(string)
	detail, ok2 := e.Properties[propDetail].(string)
	partition, ok3 := number(e.Properties[propPartition])
	offset, ok4 := number(e.Properties[propOffset])
	at, ok5 := number(e.Properties[propAt])
	if !ok1 || !ok2 || !ok3 || !ok4 || !ok5 || int64(int32(partition)) != partition {
		return errors.New("it is not a dead letter: properties are missing")
	}
	l.Reason, l.Detail, l.Partition, l.Offset, l.At = record.Reason(reason), detail, int32(partition), offset, at
	l.Key, _ = e.Properties[propKey].([]byte)
	return nil
}

// number reads a property that another client may have written with another
// width.
func number(v any) (int64, bool) {
	switch n := v.(type) {
	case int64:
		return n, true
	case int32:
		return int64(n), true
	case int:
		return int64(n), true
	}
	return 0, false
}

// pieces puts letters together that were written in parts. Parts of which some
// are missing belong to a write that was interrupted, and repeated since.
type pieces map[string]*record.DeadLetter

// take returns a letter when it is whole.
func (p pieces) take(e *azeventhubs.ReceivedEventData) (*record.DeadLetter, error) {
	l := &record.DeadLetter{}
	if err := readLetter(e, l); err != nil {
		return nil, err
	}
	parts, ok := number(e.Properties[propParts])
	if !ok {
		return l, nil
	}
	id, _ := e.Properties[propLetter].(string)
	n, _ := number(e.Properties[propPart])
	whole := p[id]
	if n == 0 {
		l.Raw = append(make([]byte, 0, len(l.Raw)*int(min(max(parts, 1), 64))), l.Raw...)
		p[id], whole = l, l
	} else if whole != nil && int64(len(whole.Raw)) == n*partBytes {
		whole.Raw = append(whole.Raw, l.Raw...)
	}
	if whole == nil || n+1 < parts {
		return nil, nil
	}
	delete(p, id)
	return whole, nil
}

// Scan implements connector.DeadLetters.
func (d *deadLetters) Scan(ctx context.Context, fn func(*record.DeadLetter) error) error {
	if _, err := d.log.properties(ctx); err != nil {
		if faultOf(err) == missing {
			return nil // nothing was ever written
		}
		return err
	}
	x, err := d.log.extent(ctx, 0)
	if err != nil || x.first >= x.end {
		return err
	}
	var letters pieces = map[string]*record.DeadLetter{}
	return d.log.read(ctx, 0, startAt(x.first, x.first), x, func(events []*azeventhubs.ReceivedEventData) (bool, error) {
		if len(events) == 0 {
			return true, nil
		}
		for _, e := range events {
			if e.SequenceNumber >= x.end {
				return true, nil
			}
			l, err := letters.take(e)
			if err != nil {
				return true, fmt.Errorf("hub %s position %d: %w", d.log.hub, e.SequenceNumber, err)
			}
			if l != nil {
				if err := fn(l); err != nil {
					return true, err
				}
			}
		}
		return events[len(events)-1].SequenceNumber+1 >= x.end, nil
	})
}

// Close implements connector.DeadLetters.
func (d *deadLetters) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.producer != nil {
		closeClient(d.producer)
		d.producer = nil
	}
	return d.log.Close()
}
