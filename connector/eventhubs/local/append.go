package local

import (
	"errors"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

// annotationPartitionKey is on events that go to the partition of a key, and on
// the batch that carries them.
const annotationPartitionKey = "x-opt-partition-key"

// deliver gives a complete delivery to the log, and notes what became of it when
// the log has answered. The reading goroutine waits in here while the log does
// not keep up: that is the back-pressure.
func (p *producer) deliver(payload []byte) {
	c := p.s.c
	id, settled := p.id, p.settled
	fail := func(err *amqp.Error) {
		c.log.Warn("events were refused", "link", clip(p.name, 80), "hub", p.hub.Name(), "error", err)
		p.outcome(id, settled, err)
	}
	if p.size > maxMessageSize {
		fail(tooLarge(id, p.size, maxMessageSize))
		return
	}
	pooled := eventPool.Get().(*[]amqp.Message)
	p.events = *pooled
	defer func() {
		clear(p.events) // what they point to is not theirs
		*pooled, p.events = p.events[:0], nil
		eventPool.Put(pooled)
	}()
	key, hasKey, err := p.parse(payload)
	if err != nil {
		fail(err)
		return
	}
	if len(p.events) == 0 {
		p.outcome(id, settled, nil) // a batch of nothing
		return
	}
	first, duplicate, err := p.number()
	if err != nil || duplicate {
		if err != nil {
			fail(err)
		} else {
			p.outcome(id, settled, nil)
		}
		return
	}
	if _, ok := p.hub.Namespace().Quota().TryIngress(len(p.events), int64(len(payload))); !ok {
		c.log.Debug("events were throttled", "link", clip(p.name, 80), "hub", p.hub.Name(), "events", len(p.events))
		p.outcome(id, settled, throttled())
		return
	}
	numbered := len(p.events)
	if !c.appending(1) {
		return // the client hears that the connection is closed
	}
	p.numbered.accept(first, numbered)
	failed := p.hub.Append(c.ctx, p.target(key, hasKey), p.events, func(_ int64, err error) {
		p.appended(id, settled, first, numbered, err)
	})
	if failed != nil {
		p.appended(id, settled, first, numbered, failed)
	}
}

// appended is told what became of an append.
func (p *producer) appended(id uint32, settled bool, first int32, n int, err error) {
	c := p.s.c
	var told *amqp.Error
	p.numbered.answered(first, err == nil)
	if err != nil {
		told = fromLog(c, p.path, err)
		if errors.Is(err, hub.ErrInvalid) {
			told = amqpError(condArgumentError, "%v", err)
		}
		if c.ctx.Err() == nil {
			c.log.Warn("events were not appended", "hub", p.hub.Name(), "events", n, "error", err)
		}
	}
	p.outcome(id, settled, told)
	c.appending(-1)
	if errors.Is(err, hub.ErrNotFound) {
		forceDetach(p, told)
	}
}

// appending counts what the log has been given and has not answered yet. False:
// the connection is being closed, and nothing more is to be given to the log.
func (c *conn) appending(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if n > 0 && c.stopping {
		return false
	}
	c.appends += n
	if c.appends == 0 {
		c.appended.Broadcast()
	}
	return true
}

// parse cuts a delivery into events: one message, or a batch of messages. The
// partition key is the envelope's, else the first event's.
func (p *producer) parse(payload []byte) (key string, hasKey bool, failed *amqp.Error) {
	p.events = p.events[:0]
	var envelope amqp.Message
	err := amqp.ParseMessage(payload, &envelope)
	if err == nil && p.format == amqp.BatchFormat {
		err = amqp.EachBatched(envelope.Body, func(inner []byte) error {
			n := len(p.events)
			if n < cap(p.events) {
				p.events = p.events[:n+1]
			} else {
				p.events = append(p.events, amqp.Message{})
			}
			return amqp.ParseMessage(inner, &p.events[n])
		})
	} else if err == nil {
		p.events = append(p.events, envelope)
	}
	if err != nil {
		var wrong *amqp.Error
		if !errors.As(err, &wrong) {
			wrong = amqpError(amqp.ErrorDecode, "%v", err)
		}
		return "", false, wrong
	}
	if key, hasKey = partitionKey(&envelope); !hasKey && len(p.events) > 0 {
		key, hasKey = partitionKey(&p.events[0])
	}
	return key, hasKey, nil
}

func partitionKey(m *amqp.Message) (key string, ok bool) {
	if m.MessageAnnotations == nil {
		return "", false
	}
	text, ok := amqp.ReadText(amqp.FindEntry(m.MessageAnnotations, annotationPartitionKey))
	return string(text), ok
}

// target chooses the partition of a delivery: the link's, else that of the key,
// else the next one in turn.
func (p *producer) target(key string, hasKey bool) int32 {
	switch {
	case p.partition >= 0:
		return p.partition
	case p.publisher != "":
		return p.hub.PartitionFor(p.publisher)
	case hasKey:
		return p.hub.PartitionFor(key)
	}
	return p.hub.NextPartition()
}
