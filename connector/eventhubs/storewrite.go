package eventhubs

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"slices"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"golang.org/x/sync/errgroup"
)

// Claim implements connector.Store. First all partitions change hands; then
// each is read. A worker that was overtaken in between finds out and begins
// again, so that of several that claim the same set the last one owns all of
// it.
func (s *store) Claim(ctx context.Context, _ string, partitions []int32) (map[int32]int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	partitions = slices.Clone(partitions)
	slices.Sort(partitions)
	for n := range 5 {
		positions, overtaken, err := s.claim(ctx, partitions)
		if err != nil || !overtaken {
			return positions, err
		}
		// Several workers must not keep overtaking each other in step.
		sleep(ctx, time.Duration(n+1)*mathrand.N(100*time.Millisecond))
	}
	return nil, connector.Retryable(fmt.Errorf("claiming partitions %v in hub %s: another worker is claiming them too", partitions, s.log.hub), 0)
}

func (s *store) claim(ctx context.Context, partitions []int32) (positions map[int32]int64, overtaken bool, err error) {
	claims := make([]*claim, len(partitions))
	tokens := make([]string, len(partitions))
	for i, p := range partitions {
		out, err := s.output(ctx, p)
		if err != nil {
			return nil, false, err
		}
		claims[i], tokens[i] = &claim{partition: p, out: out}, rand.Text()
	}
	err = each(ctx, claims, func(ctx context.Context, i int) error {
		return s.control(ctx, claims[i], map[string]any{propClaim: tokens[i]})
	})
	if err != nil {
		return nil, false, err
	}
	ends := make([]int64, len(claims))
	err = each(ctx, claims, func(ctx context.Context, i int) (err error) {
		ends[i], err = s.load(ctx, claims[i], tokens[i])
		return err
	})
	if err != nil {
		return nil, false, err
	}
	for _, c := range claims {
		if c.state.epoch != c.epoch {
			return nil, true, nil
		}
	}
	positions = make(map[int32]int64, len(claims))
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, c := range claims {
		s.claims[c.partition] = c
		// What is read again of the partition's other sources changes nothing.
		if c.out.end == 0 || ends[i] < c.out.end {
			c.out.end = ends[i]
		}
		positions[c.partition] = c.state.position
	}
	return positions, false, nil
}

// each runs fn for several claims at once.
func each(ctx context.Context, claims []*claim, fn func(context.Context, int) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range claims {
		g.Go(func() error { return fn(ctx, i) })
	}
	return g.Wait()
}

// load finds this worker's claim in the partition, and what was stored before.
func (s *store) load(ctx context.Context, c *claim, token string) (end int64, err error) {
	t, err := s.tail(ctx, c.out, c.partition)
	if err != nil {
		return 0, err
	}
	epoch, ok := t.claims[token]
	if !ok {
		return 0, connector.Retryable(fmt.Errorf("claiming partition %d: the claim does not show in hub %s partition %d yet",
			c.partition, s.log.hub, c.out.id), 0)
	}
	c.epoch, c.state = epoch, t.progress(c.partition)
	return t.end, nil
}

// control sends an event without a body for a claim's partition.
func (s *store) control(ctx context.Context, c *claim, properties map[string]any) error {
	properties[propSource] = int64(c.partition)
	return s.log.e.repeat(ctx, fmt.Sprintf("writing to hub %s partition %d", s.log.hub, c.out.id), func(ctx context.Context) error {
		p, err := s.client()
		if err != nil {
			return err
		}
		b, err := p.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: ptr(partitionID(c.out.id))})
		if err != nil {
			return s.log.counted(err)
		}
		if err := b.AddEventData(&azeventhubs.EventData{Body: []byte{}, Properties: properties}, nil); err != nil {
			return err
		}
		return s.log.counted(p.SendEventDataBatch(ctx, b, nil))
	})
}

// send sends what a part has that is not in the hub yet. All of it is encoded
// before the first batch goes, so that a result which cannot be sent is known
// while nothing is stored.
func (s *store) send(ctx context.Context, p *part) error {
	c := p.claim
	if p.repeated() {
		return nil // the last write again: all of it is there
	}
	batches, err := s.encode(ctx, p)
	if err != nil {
		return err
	}
	c.last = p.advance
	for _, b := range batches {
		if err := s.sendBatch(ctx, c, b); err != nil {
			return err
		}
	}
	return nil
}

// encoded is a batch and what the partition's source is when it is stored.
type encoded struct {
	*azeventhubs.EventDataBatch
	after progress
}

// encode makes batches of a part's results. An advance that has none, or none
// that are not in the hub already, is an event without a body.
func (s *store) encode(ctx context.Context, p *part) (batches []*encoded, err error) {
	c := p.claim
	m := newMessage(c)
	after := c.state
	var cur *encoded
	add := func() error {
		for {
			if cur == nil {
				b, err := s.newBatch(ctx, c)
				if err != nil {
					return err
				}
				cur = &encoded{EventDataBatch: b}
				batches = append(batches, cur)
			}
			err := cur.AddAMQPAnnotatedMessage(&m.event, nil)
			if err == nil {
				cur.after = after
				return nil
			}
			if cur.NumEvents() == 0 {
				return err
			}
			cur = nil
		}
	}
	last := len(p.results) - 1
	for i, r := range p.results {
		if c.state.holds(r.Offset, int64(r.Index)) {
			continue
		}
		after.offset, after.index = r.Offset, int64(r.Index)
		next := int64(-1)
		if i == last {
			next, after.position = p.advance.To, p.advance.To
		}
		m.result(r, next)
		if err := add(); err != nil {
			if ctx.Err() != nil || !errors.Is(err, azeventhubs.ErrEventDataTooLarge) {
				return nil, err
			}
			return nil, &connector.Error{Action: connector.Reject, Items: []int{p.items[i]},
				Err: fmt.Errorf("an event of %d bytes is larger than hub %s takes: %w", p.bytes, s.log.hub, err)}
		}
		p.bytes += int64(len(m.data[0]))
	}
	if after.position != p.advance.To {
		after.position = p.advance.To
		m.position(p.advance.To)
		err = add()
	}
	return batches, err
}

func (s *store) newBatch(ctx context.Context, c *claim) (b *azeventhubs.EventDataBatch, err error) {
	err = s.log.e.repeat(ctx, fmt.Sprintf("sending to hub %s partition %d", s.log.hub, c.out.id), func(ctx context.Context) error {
		p, err := s.client()
		if err != nil {
			return err
		}
		b, err = p.NewEventDataBatch(ctx, &azeventhubs.EventDataBatchOptions{PartitionID: ptr(partitionID(c.out.id))})
		return s.log.counted(err)
	})
	return b, err
}

// sendTries is how often a batch is sent before the caller is told to come
// back.
const sendTries = 8

// sendBatch sends a batch. When the answer was lost, it looks in the hub for
// the batch before it sends it again.
func (s *store) sendBatch(ctx context.Context, c *claim, b *encoded) error {
	doing := fmt.Sprintf("sending to hub %s partition %d", s.log.hub, c.out.id)
	client, err := s.client()
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		err := client.SendEventDataBatch(ctx, b.EventDataBatch, nil)
		if err == nil {
			s.log.e.reached.Store(true)
			c.out.sent += int64(b.NumEvents())
			c.state = b.after
			return nil
		}
		f := faultOf(s.log.counted(err))
		c.out.unsure = c.out.unsure || f != busy
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", doing, ctx.Err())
		case f == oversized, f.lasting():
			return s.log.e.explain(err, doing)
		case n == sendTries:
			return connector.Retryable(s.log.e.say(err, doing), 0)
		case f == busy:
			sleep(ctx, min(busyWait(err), time.Second))
			continue
		}
		sleep(ctx, backoff(n))
		if err := s.catchUp(ctx, c.out); err != nil {
			return err
		}
		switch {
		case c.state.epoch != c.epoch:
			return connector.FencedError([]int32{c.partition}, "hub "+s.log.hub+" holds a later claim")
		case c.state.position == b.after.position && c.state.holds(b.after.offset, b.after.index):
			return nil
		}
	}
}

// message is an event in the making, used for one after the other: the SDK
// encodes each at once.
type message struct {
	event azeventhubs.AMQPAnnotatedMessage
	data  [1][]byte
	ids   uint64
}

func newMessage(c *claim) *message {
	m := &message{ids: mathrand.Uint64()}
	m.event.Body.Data = m.data[:]
	m.event.Properties = &azeventhubs.AMQPAnnotatedMessageProperties{}
	m.event.MessageAnnotations = map[any]any{}
	m.event.ApplicationProperties = map[string]any{propSource: int64(c.partition), propEpoch: c.epoch}
	return m
}

// identify gives the event an identity: with none the SDK makes up a random
// one, which costs more than encoding the rest.
func (m *message) identify() {
	m.ids++
	m.event.Properties.MessageID = m.ids
}

// result makes it a result; next is -1 for all but the last of a write.
func (m *message) result(r *record.Result, next int64) {
	m.identify()
	m.data[0] = record.AppendDocument(m.data[0][:0], r)
	if len(r.DeviceID) > 0 {
		m.event.MessageAnnotations[keyAnnotation] = string(r.DeviceID)
	} else {
		clear(m.event.MessageAnnotations)
	}
	properties := m.event.ApplicationProperties
	properties[propFrom] = r.Offset
	delete(properties, propIndex)
	if r.Index > 0 {
		properties[propIndex] = int64(r.Index)
	}
	delete(properties, propNext)
	if next >= 0 {
		properties[propNext] = next
	}
}

// position makes it an event without a body that moves the position.
func (m *message) position(next int64) {
	m.identify()
	m.data[0] = m.data[0][:0]
	clear(m.event.MessageAnnotations)
	properties := m.event.ApplicationProperties
	delete(properties, propFrom)
	delete(properties, propIndex)
	properties[propNext] = next
}
