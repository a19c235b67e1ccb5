package local

import (
	"fmt"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

// attach attaches a link at the client's wish, or refuses it in the service's
// manner: an attach without a terminus, then a detach with the reason. An error
// ends the session.
func (s *session) attach(a *amqp.Attach) *amqp.Error {
	c := s.c
	c.mu.Lock()
	_, used := s.links[a.Handle]
	handles := c.handles
	former := c.named[linkName{a.Name, a.Role}]
	c.mu.Unlock()
	switch {
	case used:
		return &amqp.Error{Condition: amqp.ErrorSessionHandleInUse, Description: fmt.Sprintf("handle %d has a link already", a.Handle)}
	case a.Handle > handleMax:
		return &amqp.Error{Condition: amqp.ErrorNotAllowed, Description: fmt.Sprintf("handle %d is above the %d agreed", a.Handle, handleMax)}
	case handles >= maxLinks:
		return &amqp.Error{Condition: amqp.ErrorResourceLimitExceeded, Description: fmt.Sprintf("the connection has %d links, which is the limit", maxLinks)}
	}
	if former != nil {
		// A client that has lost sight of a link attaches it again.
		forceDetach(former, amqpError(amqp.ErrorLinkStolen, "The link '%s' was attached again on the same connection.", clip(a.Name, 80)))
	}
	end := linkEnd{s: s, name: a.Name, role: a.Role, handle: a.Handle, used: time.Now()}
	var err *amqp.Error
	switch {
	case len(a.Name) > maxName:
		err = amqpError(amqp.ErrorInvalidField, "The name of the link is longer than %d bytes.", maxName)
	case a.Role == amqp.RoleSender:
		err = s.attachSender(&end, a)
	default:
		err = s.attachReceiver(&end, a)
	}
	if err != nil {
		s.refuse(end, a, err)
	}
	return nil
}

const (
	// maxLinks bounds the links of a connection, those included whose end the
	// client has not confirmed.
	maxLinks = 5000
	// maxName bounds names and addresses, in bytes: they are kept.
	maxName = 1024
)

// attachSender attaches a link by which the client sends.
func (s *session) attachSender(end *linkEnd, a *amqp.Attach) *amqp.Error {
	t := a.Target
	switch {
	case t == nil:
		return &amqp.Error{Condition: amqp.ErrorInvalidField, Description: "the attach names no target"}
	case t.Coordinator:
		return &amqp.Error{Condition: amqp.ErrorNotImplemented, Description: "there are no transactions"}
	case t.Dynamic:
		return &amqp.Error{Condition: amqp.ErrorNotImplemented, Description: "there are no dynamic nodes"}
	}
	at := parseAddress(t.Address)
	end.path = at.path
	switch at.kind {
	case nodeCBS, nodeManagement:
		return s.attachRequests(*end, a, at)
	case nodeHub, nodePartition, nodePublisher:
		return s.attachProducer(*end, a, at)
	}
	return entityNotFound(s.c, t.Address)
}

// attachReceiver attaches a link by which the client receives.
func (s *session) attachReceiver(end *linkEnd, a *amqp.Attach) *amqp.Error {
	src := a.Source
	switch {
	case src == nil:
		return &amqp.Error{Condition: amqp.ErrorInvalidField, Description: "the attach names no source"}
	case src.Dynamic:
		return &amqp.Error{Condition: amqp.ErrorNotImplemented, Description: "there are no dynamic nodes"}
	}
	at := parseAddress(src.Address)
	end.path = at.path
	switch at.kind {
	case nodeCBS, nodeManagement:
		return s.attachAnswers(*end, a, at)
	case nodeReceiver:
		return s.attachConsumer(*end, a, at)
	}
	return entityNotFound(s.c, src.Address)
}

// reply begins the answer to an attach: the same link seen from the other end.
// Settle modes are the client's own, which Go insists on; both termini and the
// properties are there, which Python needs.
func (l *linkEnd) reply(a *amqp.Attach) *amqp.Attach {
	r := &amqp.Attach{Name: a.Name, Handle: a.Handle, Role: !a.Role, Source: a.Source, Target: a.Target,
		SenderSettleMode: a.SenderSettleMode, ReceiverSettleMode: a.ReceiverSettleMode, Properties: amqp.Map{}}
	if r.SenderSettleMode == nil {
		r.SenderSettleMode = ptr(settleMixed)
	}
	if r.ReceiverSettleMode == nil {
		r.ReceiverSettleMode = ptr(settleFirst)
	}
	if r.Source == nil {
		r.Source = &amqp.Source{}
	}
	if r.Target == nil {
		r.Target = &amqp.Target{}
	}
	if r.Role == amqp.RoleSender {
		r.InitialDeliveryCount = ptr(uint32(0))
	}
	return r
}

// Settle modes of the two ends of a link.
const (
	settleUnsettled uint8 = 0
	settleSettled   uint8 = 1
	settleMixed     uint8 = 2
	settleFirst     uint8 = 0
)

func ptr[T any](v T) *T { return &v }

// attached registers a link and sends the answer. False: the session or the
// connection is gone meanwhile, or somebody has already taken the link's place;
// the link is then dropped by the caller.
func (s *session) attached(l link, reply *amqp.Attach) bool {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.gone || c.closing {
		return false
	}
	c.handles++
	c.send(s.channel, reply)
	end := l.common()
	if end.early != nil {
		s.forget(end)
		c.send(s.channel, &amqp.Detach{Handle: end.handle, Closed: true, Error: end.early})
		return false
	}
	end.attached = true
	s.links[end.handle] = l
	c.named[linkName{end.name, end.role}] = l
	c.linked++
	c.everLinked = true
	return true
}

// forget puts something without memory in the place of a link that has ended on
// our side, until the client has detached it. c.mu is held.
func (s *session) forget(end *linkEnd) {
	s.links[end.handle] = &refused{linkEnd{s: s, handle: end.handle, detached: true}}
}

// unlink notes that a link has come to its end. c.mu is held.
func (c *conn) unlink(end *linkEnd) (was bool) {
	if end.detached {
		return false
	}
	end.detached = true
	c.partial -= end.held
	end.held = 0
	if k := (linkName{end.name, end.role}); c.named[k] != nil && c.named[k].common() == end {
		delete(c.named, k)
	}
	c.linked--
	c.idleSince = time.Now()
	return true
}

// detach takes the client's detach: its own wish, or its answer to ours.
func (s *session) detach(d *amqp.Detach) *amqp.Error {
	c := s.c
	c.mu.Lock()
	l := s.links[d.Handle]
	if l == nil {
		c.mu.Unlock()
		return &amqp.Error{Condition: amqp.ErrorSessionUnattached, Description: fmt.Sprintf("handle %d has no link", d.Handle)}
	}
	delete(s.links, d.Handle)
	c.handles--
	c.settleAll() // Go ends the session if a disposition follows the detach
	was := c.unlink(l.common())
	if was {
		// Closed, even if the client's is not: no link is ever resumed.
		c.send(s.channel, &amqp.Detach{Handle: d.Handle, Closed: true})
	}
	c.mu.Unlock()
	if !was {
		return nil
	}
	if d.Error != nil {
		c.log.Warn("a client detached a link with an error", "link", clip(l.common().name, 80), "error", d.Error)
	}
	l.drop()
	return nil
}

// forceDetach detaches a link from our side. It may be called by anyone.
func forceDetach(l link, err *amqp.Error) {
	end := l.common()
	c := end.s.c
	c.mu.Lock()
	if !end.attached {
		// Its attach is being answered at this moment, see attached.
		if end.early == nil {
			end.early = err
		}
		c.mu.Unlock()
		return
	}
	was := !end.s.gone && c.unlink(end)
	if was {
		end.s.forget(end)
		c.settleAll() // nothing may follow about its deliveries
		c.send(end.s.channel, &amqp.Detach{Handle: end.handle, Closed: true, Error: err})
	}
	c.mu.Unlock()
	if was {
		c.log.Info("a link was detached", "link", clip(end.name, 80), "address", clip(end.path, 200), "error", err)
		l.drop()
	}
}

// refused is a link that never came to be; it waits for the client's detach.
type refused struct{ linkEnd }

func (*refused) onTransfer(*amqp.Transfer, []byte) *amqp.Error { return nil }
func (*refused) onFlow(*amqp.Flow)                             {}
func (*refused) resume()                                       {}
func (*refused) drop()                                         {}

func (s *session) refuse(end linkEnd, a *amqp.Attach, err *amqp.Error) {
	c := s.c
	c.log.Warn("a link was refused", "link", clip(a.Name, 80), "address", clip(end.path, 200), "error", err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.gone {
		return
	}
	c.handles++
	s.forget(&end)
	reply := end.reply(a)
	reply.InitialDeliveryCount = nil
	if a.Role == amqp.RoleSender {
		reply.Target = nil
	} else {
		reply.Source = nil
	}
	c.send(s.channel, reply)
	c.send(s.channel, &amqp.Detach{Handle: a.Handle, Closed: true, Error: err})
}
