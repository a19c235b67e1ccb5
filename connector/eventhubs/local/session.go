package local

import (
	"fmt"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

// session is one session, on the same channel in both directions. Its fields are
// under the connection's lock.
type session struct {
	c       *conn
	channel uint16
	// gone: nothing is sent on it any more. Until the client has ended it as
	// well, what it sends is passed over.
	gone  bool
	links map[uint32]link // by handle, the same in both directions

	// Frames with transfers that come in, and how many since the client was
	// last told how many more may come.
	nextIncoming, framesIn uint32
	// Frames with transfers that go out, and how many more the client takes.
	nextOutgoing, window uint32
	nextDelivery         uint32

	// What the client is to be told of its deliveries, see settle.
	dirty    bool
	accepted []uint32
	rejected []rejection
	owing    []*producer // that have credit to grant
}

type rejection struct {
	delivery uint32
	err      *amqp.Error
}

// link is one end of a link: what a client produces into, consumes from, asks,
// or gets answers by.
type link interface {
	common() *linkEnd
	// onTransfer takes a frame of a message. An error ends the session.
	onTransfer(t *amqp.Transfer, payload []byte) *amqp.Error
	// onFlow takes credit and the like. c.mu is held.
	onFlow(f *amqp.Flow)
	// resume is called when the session's window has grown, or when there is
	// room in the output again. c.mu is held.
	resume()
	// drop ends what the link runs. It is called once, without any lock.
	drop()
}

// linkEnd is what all links have.
type linkEnd struct {
	s      *session
	name   string
	role   amqp.Role // the client's
	handle uint32
	path   string // what a claim must cover

	// Under c.mu.
	//
	// attached: the client has been told that the link is there. Until then
	// it cannot be detached; why it is to be is kept in early.
	attached bool
	early    *amqp.Error
	// detached: nothing is sent on it any more.
	detached bool
	waiting  bool      // it is among the connection's waiting
	used     time.Time // when something last came or went
	held     int       // bytes of the delivery that is coming in
}

// linkName is what no two links of a connection share.
type linkName struct {
	name string
	role amqp.Role
}

func (l *linkEnd) common() *linkEnd { return l }

// firstOutgoing is the number of the first transfer frame of a session.
const firstOutgoing uint32 = 1

// begin begins a session at the client's wish.
func (c *conn) begin(channel uint16, b *amqp.Begin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return nil
	}
	if channel > channelMax {
		return &amqp.Error{Condition: amqp.ErrorConnectionFraming, Description: fmt.Sprintf("channel %d is above the %d agreed", channel, channelMax)}
	}
	if b.RemoteChannel != nil || c.sessions[channel] != nil {
		return &amqp.Error{Condition: amqp.ErrorNotAllowed, Description: fmt.Sprintf("channel %d has a session already", channel)}
	}
	s := &session{c: c, channel: channel, links: map[uint32]link{},
		nextIncoming: b.NextOutgoingID, nextOutgoing: firstOutgoing, window: b.IncomingWindow}
	c.sessions[channel] = s
	handles := uint32(handleMax)
	c.send(channel, &amqp.Begin{RemoteChannel: &channel, NextOutgoingID: s.nextOutgoing,
		IncomingWindow: sessionWindow, OutgoingWindow: sessionWindow, HandleMax: &handles, Properties: amqp.Map{}})
	return nil
}

// handle does what one frame asks for. An error ends the connection.
func (s *session) handle(f *amqp.Frame) error {
	if end, ok := f.Body.(*amqp.End); ok {
		s.ended(end)
		return nil
	}
	s.c.mu.Lock()
	gone := s.gone
	s.c.mu.Unlock()
	if gone {
		return nil
	}
	var err *amqp.Error
	switch body := f.Body.(type) {
	case *amqp.Transfer:
		err = s.transfer(body, f.Payload)
	case *amqp.Flow:
		err = s.onFlow(body)
	case *amqp.Disposition:
		// Consumers' deliveries are settled when they are sent. Those of a
		// client that insisted on settling them itself need no memory here.
	case *amqp.Attach:
		err = s.attach(body)
	case *amqp.Detach:
		err = s.detach(body)
	default:
		return &amqp.Error{Condition: amqp.ErrorNotAllowed, Description: fmt.Sprintf("%T does not belong into a session", body)}
	}
	if err != nil {
		s.end(err)
	}
	return nil
}

// transfer takes a frame of a message to the link that it is for.
func (s *session) transfer(t *amqp.Transfer, payload []byte) *amqp.Error {
	c := s.c
	c.mu.Lock()
	s.nextIncoming++
	s.framesIn++
	if s.framesIn >= sessionWindow/2 {
		c.markDirty(s)
	}
	l, violated := s.links[t.Handle], s.framesIn > sessionWindow
	detached := l != nil && l.common().detached
	if l != nil {
		l.common().used = time.Now()
	}
	c.mu.Unlock()
	switch {
	case violated:
		return &amqp.Error{Condition: amqp.ErrorSessionWindow, Description: fmt.Sprintf("more than the %d transfer frames agreed", sessionWindow)}
	case l == nil:
		return &amqp.Error{Condition: amqp.ErrorSessionUnattached, Description: fmt.Sprintf("handle %d has no link", t.Handle)}
	case detached:
		return nil // it was on its way
	}
	return l.onTransfer(t, payload)
}

// onFlow takes what the client says about its window and a link's credit.
func (s *session) onFlow(f *amqp.Flow) *amqp.Error {
	c := s.c
	c.mu.Lock()
	defer c.mu.Unlock()
	s.nextIncoming = f.NextOutgoingID
	// The client's window counts from what it has received; what is still on
	// its way has used some of it. It names none before it has seen our begin.
	seen := firstOutgoing
	if f.NextIncomingID != nil {
		seen = *f.NextIncomingID
	}
	onWay := int64(int32(s.nextOutgoing - seen))
	s.window = uint32(max(0, int64(f.IncomingWindow)-max(0, onWay)))
	if f.Handle == nil {
		for _, l := range s.links {
			l.resume()
		}
		if f.Echo {
			c.send(s.channel, s.flow())
		}
		return nil
	}
	l := s.links[*f.Handle]
	if l == nil {
		return &amqp.Error{Condition: amqp.ErrorSessionUnattached, Description: fmt.Sprintf("handle %d has no link", *f.Handle)}
	}
	for _, other := range s.links {
		if other != l {
			other.resume()
		}
	}
	if end := l.common(); !end.detached {
		end.used = time.Now()
		l.onFlow(f)
	}
	return nil
}

// flow is what a flow frame says about the session. c.mu is held.
func (s *session) flow() *amqp.Flow {
	next := s.nextIncoming
	s.framesIn = 0
	return &amqp.Flow{NextIncomingID: &next, IncomingWindow: sessionWindow, NextOutgoingID: s.nextOutgoing, OutgoingWindow: sessionWindow}
}

// ended is called when the client has ended the session.
func (s *session) ended(e *amqp.End) {
	if e.Error != nil {
		s.c.log.Warn("a client ended a session with an error", "error", e.Error)
	}
	s.c.mu.Lock()
	if !s.gone {
		s.c.send(s.channel, &amqp.End{})
	}
	s.gone = true
	delete(s.c.sessions, s.channel)
	s.c.mu.Unlock()
	s.drop()
}

// end ends the session for what the client did.
func (s *session) end(err *amqp.Error) {
	s.c.log.Warn("a session is ended for what the client sent", "channel", s.channel, "error", err)
	s.c.mu.Lock()
	if !s.gone {
		s.c.send(s.channel, &amqp.End{Error: err})
	}
	s.gone = true
	s.c.mu.Unlock()
	s.drop()
}

// drop lets go of all links, whatever the client knows of it.
func (s *session) drop() {
	s.c.mu.Lock()
	s.gone = true
	var live []link
	for _, l := range s.links {
		if s.c.unlink(l.common()) {
			live = append(live, l)
		}
	}
	s.c.handles -= len(s.links)
	s.links = map[uint32]link{}
	s.accepted, s.rejected, s.owing = nil, nil, nil
	s.c.mu.Unlock()
	for _, l := range live {
		l.drop()
	}
}
