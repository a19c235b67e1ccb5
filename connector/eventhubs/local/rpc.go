package local

import (
	"strings"

	"millrace/connector/eventhubs/local/amqp"
)

const (
	// requestCredit is how many requests a link may have under way.
	requestCredit = 100
	// maxAnswers is how many answers wait for a client to give credit.
	maxAnswers = 64
	// maxRequest is how large a request may be, in bytes.
	maxRequest = 64 << 10
	// maxQueued is how many bytes of answers wait for a client to give credit,
	// over all its links.
	maxQueued = 1 << 20
)

// requests is a link by which a client sends requests to a node.
type requests struct {
	linkEnd
	kind nodeKind

	coming  bool
	id      uint32
	settled bool
	buf     []byte
	size    int

	deliveries, credit uint32 // under c.mu
}

// answers is a link by which a client gets the answers of a node.
type answers struct {
	linkEnd
	outgoing
	kind    nodeKind
	replyTo []string // the names under which a request may ask for it
	queue   [][]byte // encoded, under c.mu
}

func (l *answers) common() *linkEnd { return &l.linkEnd }

func (s *session) attachRequests(end linkEnd, a *amqp.Attach, at address) *amqp.Error {
	l := &requests{linkEnd: end, kind: at.kind}
	reply := l.reply(a)
	reply.MaxMessageSize = ptr(uint64(maxRequest))
	if s.attached(l, reply) {
		s.c.mu.Lock()
		l.grant()
		s.c.mu.Unlock()
	}
	return nil
}

func (s *session) attachAnswers(end linkEnd, a *amqp.Attach, at address) *amqp.Error {
	l := &answers{linkEnd: end, kind: at.kind, replyTo: []string{end.name}}
	if a.Target != nil && a.Target.Address != "" && len(a.Target.Address) <= maxName {
		l.replyTo = append(l.replyTo, a.Target.Address)
	}
	l.outgoing.linkEnd = &l.linkEnd
	l.settled = a.SenderSettleMode == nil || *a.SenderSettleMode != settleUnsettled
	s.attached(l, l.reply(a))
	return nil
}

// grant gives all of the credit back. c.mu is held.
func (l *requests) grant() {
	if l.detached || l.s.gone {
		return
	}
	l.credit = requestCredit
	f := l.s.flow()
	f.Handle, f.DeliveryCount, f.LinkCredit = ptr(l.handle), ptr(l.deliveries), ptr(l.credit)
	l.s.c.send(l.s.channel, f)
}

func (l *requests) onFlow(f *amqp.Flow) {
	if f.Echo {
		l.grant()
	}
}

func (l *requests) resume() {}
func (l *requests) drop()   {}

// onTransfer takes a request, and answers it before anything else is read: the
// order of requests is the order of answers.
func (l *requests) onTransfer(t *amqp.Transfer, payload []byte) *amqp.Error {
	if !l.coming {
		if t.DeliveryID == nil {
			return amqpError(amqp.ErrorInvalidField, "the first transfer of a delivery has no delivery-id")
		}
		l.coming, l.id, l.settled, l.buf, l.size = true, *t.DeliveryID, false, nil, 0
	} else if t.DeliveryID != nil && *t.DeliveryID != l.id {
		return mixed(l.id, *t.DeliveryID)
	}
	l.settled = l.settled || t.Settled != nil && *t.Settled
	if l.size += len(payload); l.size > endless {
		forceDetach(l, tooLarge(l.id, l.size, maxRequest))
		return nil
	} else if l.size <= maxRequest && !t.Aborted {
		if !l.reserve(len(payload)) {
			return partialExceeded()
		}
		l.buf = append(l.buf, payload...)
	}
	if t.More && !t.Aborted {
		return nil
	}
	l.coming = false
	l.release()
	defer func() { l.buf = nil }()
	var m amqp.Message
	var refusal *amqp.Error
	switch {
	case t.Aborted:
		l.settled = true
	case l.size > len(l.buf):
		refusal = tooLarge(l.id, l.size, maxRequest)
	default:
		if err := amqp.ParseMessage(l.buf, &m); err != nil {
			refusal = amqpError(amqp.ErrorDecode, "%v", err)
		}
	}
	var answer []byte
	var replyTo string
	if refusal == nil && !t.Aborted {
		answer, replyTo = l.s.answer(l.kind, &m)
	}
	l.finish(refusal, answer, replyTo)
	return nil
}

// finish settles a request and sends its answer.
func (l *requests) finish(refusal *amqp.Error, answer []byte, replyTo string) {
	s, c := l.s, l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	l.deliveries++
	if l.credit > 0 {
		l.credit--
	}
	if !l.detached && !s.gone && !l.settled {
		if refusal == nil {
			s.accepted = append(s.accepted, l.id)
		} else {
			s.rejected = append(s.rejected, rejection{l.id, refusal})
		}
		s.settle() // before the answer
		c.wakeWriter()
	}
	if l.credit < requestCredit/2 {
		l.grant()
	}
	if answer == nil {
		return
	}
	to := s.answersFor(l.kind, replyTo)
	if to == nil {
		c.log.Warn("a request has no link for its answer", "address", clip(l.path, 100), "reply-to", clip(replyTo, 100))
		return
	}
	if len(to.queue) >= maxAnswers || c.queued+len(answer) > maxQueued {
		c.log.Warn("an answer was dropped because the client gives no credit", "address", clip(l.path, 100))
		return
	}
	to.queue = append(to.queue, answer)
	c.queued += len(answer)
	to.pump()
}

// answersFor finds the link for an answer: one from the same node in the same
// session, since Python names no reply-to; among several, and in other sessions,
// the one that the request asks for. c.mu is held.
func (s *session) answersFor(kind nodeKind, replyTo string) *answers {
	var first *answers
	find := func(s *session) *answers {
		for _, l := range s.links {
			a, ok := l.(*answers)
			if !ok || a.detached || a.kind != kind {
				continue
			}
			for _, name := range a.replyTo {
				if replyTo != "" && name == replyTo {
					return a
				}
			}
			if first == nil {
				first = a
			}
		}
		return nil
	}
	if a := find(s); a != nil {
		return a
	}
	if first != nil || replyTo == "" {
		return first
	}
	for _, other := range s.c.sessions {
		if a := find(other); a != nil {
			return a
		}
	}
	return nil
}

func (l *answers) onTransfer(*amqp.Transfer, []byte) *amqp.Error {
	return amqpError(amqp.ErrorNotAllowed, "a transfer came on the link of a receiver")
}

func (l *answers) onFlow(f *amqp.Flow) {
	l.takeFlow(f)
	l.pump()
	if l.drain {
		l.drained()
	} else if f.Echo {
		l.tell()
	}
}

func (l *answers) resume() { l.pump() }

func (l *answers) drop() {
	c := l.s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, message := range l.queue {
		c.queued -= len(message)
	}
	l.queue = nil
}

// pump sends what waits, as far as there is credit. c.mu is held.
func (l *answers) pump() {
	c := l.s.c
	if c.closing || c.failed {
		return
	}
	l.appendRest()
	for len(l.queue) > 0 && l.ready() {
		message := l.queue[0]
		l.queue = l.queue[1:]
		c.queued -= len(message)
		l.appendTransfer(len(message), func(dst []byte) []byte { return append(dst, message...) })
	}
	if l.parked && !c.hasRoom() {
		c.waitForRoom(l)
	}
	c.wakeWriter()
}

// request is a request to a node, decoded.
type request struct {
	properties  amqp.Properties
	application amqp.Map
	message     *amqp.Message
}

func (r *request) text(key string) string {
	v, _ := r.application.Get(key)
	switch v := v.(type) {
	case string:
		return v
	case amqp.Symbol:
		return string(v)
	case []byte:
		return string(v)
	}
	return ""
}

// result is what a request came to. body is a value, nil for none.
type result struct {
	status      int32
	description string
	condition   amqp.Symbol // of an error
	body        amqp.Map
}

// answer does what a request asks for.
func (s *session) answer(kind nodeKind, m *amqp.Message) (encoded []byte, replyTo string) {
	r := &request{message: m}
	var res result
	var err error
	if r.properties, err = amqp.ReadProperties(m.Properties); err == nil {
		r.application, err = amqp.ReadMap(m.ApplicationProperties)
	}
	switch {
	case err != nil:
		res = result{status: 400, description: err.Error(), condition: amqp.ErrorDecode}
	case kind == nodeCBS:
		res = s.c.putToken(r)
	default:
		res = s.c.manage(r)
	}
	p := amqp.Properties{CorrelationID: r.properties.MessageID}
	dst := amqp.AppendProperties(nil, &p)
	application := amqp.Map{{Key: "status-code", Value: res.status}, {Key: "status-description", Value: res.description},
		{Key: "statusDescription", Value: res.description}} // which the Python client looks for
	if res.condition != "" {
		application = append(application, amqp.Pair{Key: "error-condition", Value: res.condition})
	}
	dst = amqp.AppendApplicationProperties(dst, application)
	if res.body != nil {
		dst = amqp.AppendBody(dst, res.body)
	}
	if res.status >= 300 {
		s.c.log.Warn("a request was refused", "operation", clip(r.text("operation"), 40), "name", clip(r.text("name"), 200),
			"status", res.status, "why", res.description)
	}
	return dst, strings.TrimSpace(r.properties.ReplyTo)
}
