package local

import (
	"strconv"
	"sync"
	"time"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

// creditWindow is how many deliveries of a link may be on their way or in the
// log's hands: credit is given back as the log acknowledges. What they may hold
// in memory is bounded by hub.Append, in which the reading goroutine waits.
const creditWindow = 500

// partialLimit bounds the messages that a connection has sent in part, over all
// its links.
const partialLimit = 16 << 20

// endless is where a message that is too large is not waited for any more.
const endless = 64 << 20

// Links have memory of their own only while a delivery comes in.
var (
	partPool  = sync.Pool{New: func() any { return new([]byte) }}
	eventPool = sync.Pool{New: func() any { return new([]amqp.Message) }}
)

// producer is a link by which a client sends events to a hub.
type producer struct {
	linkEnd
	hub       *hub.Hub
	partition int32  // -1: any
	publisher string // the key of all events, if it is the address of a publisher
	numbered  *numbering

	// The delivery that is coming in; of the reading goroutine.
	coming  bool
	id      uint32
	format  uint32
	settled bool
	size    int
	part    *[]byte // what has come of it, if it comes in pieces
	events  []amqp.Message

	// Under c.mu.
	deliveries uint32 // the link's delivery-count
	credit     uint32 // how many more the client may send
	inflight   int    // deliveries that have no outcome yet
	owed       bool   // it is among the session's owing
}

// attachProducer attaches a link to a hub, one of its partitions or publishers.
func (s *session) attachProducer(end linkEnd, a *amqp.Attach, at address) *amqp.Error {
	c := s.c
	if !c.allowed(at.path) {
		return c.unauthorized("Send", at.path)
	}
	ctx, cancel := c.lookup()
	defer cancel()
	h, err := c.namespace.Hub(ctx, at.hub)
	if err != nil {
		return fromLog(c, at.path, err)
	}
	p := &producer{linkEnd: end, hub: h, partition: -1, publisher: at.publisher}
	if at.kind == nodePartition {
		n, err := strconv.ParseInt(at.partition, 10, 32)
		if err != nil || n < 0 || int(n) >= h.Partitions() {
			return partitionOutOfRange(h.Partitions())
		}
		p.partition = int32(n)
	}
	reply := p.reply(a)
	reply.MaxMessageSize = ptr(uint64(maxMessageSize))
	if refusal := p.attachNumbered(a, reply); refusal != nil {
		return refusal
	}
	if !s.attached(p, reply) {
		p.drop()
		return nil
	}
	c.mu.Lock()
	p.grant()
	c.mu.Unlock()
	c.log.Debug("a producer was attached", "link", clip(end.name, 80), "hub", h.Name(), "partition", p.partition)
	return nil
}

// grant tells the client how many deliveries it may send. c.mu is held.
func (p *producer) grant() {
	if p.detached || p.s.gone {
		return
	}
	p.credit = uint32(max(0, creditWindow-p.inflight))
	f := p.s.flow()
	f.Handle, f.DeliveryCount, f.LinkCredit = ptr(p.handle), ptr(p.deliveries), ptr(p.credit)
	p.s.c.send(p.s.channel, f)
}

// onTransfer takes one frame of a delivery.
func (p *producer) onTransfer(t *amqp.Transfer, payload []byte) *amqp.Error {
	if !p.coming {
		if t.DeliveryID == nil {
			return amqpError(amqp.ErrorInvalidField, "the first transfer of a delivery has no delivery-id")
		}
		if !p.take() {
			forceDetach(p, amqpError(amqp.ErrorLinkTransferLimit, "The link has sent more than it had credit for."))
			return nil
		}
		p.coming, p.id, p.format, p.settled, p.size = true, *t.DeliveryID, 0, false, 0
		if t.MessageFormat != nil {
			p.format = *t.MessageFormat
		}
	} else if t.DeliveryID != nil && *t.DeliveryID != p.id {
		return mixed(p.id, *t.DeliveryID)
	}
	p.settled = p.settled || t.Settled != nil && *t.Settled
	p.size += len(payload)
	switch {
	case t.Aborted:
		p.finish()
		p.outcome(p.id, true, nil)
		return nil
	case !t.More && p.part == nil:
		p.finish()
		p.deliver(payload) // straight from the connection's buffer
		return nil
	case p.size > endless:
		p.finish()
		forceDetach(p, tooLarge(p.id, p.size, maxMessageSize))
		return nil
	}
	if p.size <= maxMessageSize {
		if !p.reserve(len(payload)) {
			return partialExceeded()
		}
		if p.part == nil {
			p.part = partPool.Get().(*[]byte)
			*p.part = (*p.part)[:0]
		}
		*p.part = append(*p.part, payload...)
	}
	if t.More {
		return nil
	}
	if p.part != nil {
		payload = *p.part
		defer partPool.Put(p.part)
		p.part = nil
	}
	p.finish()
	p.deliver(payload)
	return nil
}

// take uses one credit.
func (p *producer) take() bool {
	c := p.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.credit == 0 {
		return false
	}
	p.credit--
	p.deliveries++
	p.inflight++
	return true
}

// finish notes that the delivery that was coming in is complete.
func (p *producer) finish() {
	p.coming = false
	p.release()
	if p.part != nil {
		partPool.Put(p.part)
		p.part = nil
	}
}

// reserve keeps account of what has arrived in part; false: it is too much.
func (l *linkEnd) reserve(n int) bool {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if !l.detached {
		l.held += n
		c.partial += n
	}
	return c.partial <= partialLimit
}

// release gives back what the link has reserved.
func (l *linkEnd) release() {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	c.partial -= l.held
	l.held = 0
}

func partialExceeded() *amqp.Error {
	return amqpError(amqp.ErrorResourceLimitExceeded, "the connection has too many messages in part")
}

func mixed(id, other uint32) *amqp.Error {
	return amqpError(amqp.ErrorInvalidField, "delivery %d begins on a link before delivery %d has ended", other, id)
}

// outcome notes what became of a delivery; the client hears of it, if it has not
// settled it itself, when the writing goroutine gets to it. It may be called
// from any goroutine.
func (p *producer) outcome(id uint32, settled bool, err *amqp.Error) {
	c := p.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	p.inflight--
	p.used = time.Now()
	if p.detached || p.s.gone {
		return
	}
	s := p.s
	switch {
	case settled:
	case err == nil:
		s.accepted = append(s.accepted, id)
	default:
		s.rejected = append(s.rejected, rejection{id, err})
	}
	if !p.owed && creditWindow-p.inflight-int(p.credit) >= creditWindow/4 {
		p.owed = true
		s.owing = append(s.owing, p)
	}
	c.markDirty(s)
}

// onFlow answers a client that asks how it stands, or gives back its credit.
func (p *producer) onFlow(f *amqp.Flow) {
	if f.Echo {
		p.grant()
	}
}

func (p *producer) resume() {}

func (p *producer) drop() { p.dropNumbered() }
