package local

import (
	"encoding/binary"

	"millrace/connector/eventhubs/local/amqp"
)

// outgoing is the sending side of a link. Everything of it is under c.mu.
//
// Messages are written straight into the connection's output: a transfer of
// fixed size, then the message, then the frame's size is filled in. A message
// that is larger than a frame, or than the window that is left, is kept in rest
// and goes out piece by piece.
type outgoing struct {
	*linkEnd
	deliveries uint32 // delivery-count
	credit     uint32
	settled    bool // what is sent is settled by that
	drain      bool

	large    []byte // the last message that was larger than a frame
	rest     []byte // what is left of it
	parked   bool   // something is
	delivery uint32
}

// Where the fields of a transfer are in transferFrame.
const (
	atChannel    = 6
	atHandle     = 15
	atDelivery   = 20
	atTag        = 26
	atSettled    = 31
	atMore       = 32
	transferSize = 38
)

// transferFrame is a frame with a transfer as it is before its numbers are
// filled in. All eleven fields are there, null or false where they say nothing:
// the Python client reads them by index. The delivery's tag is its number.
var transferFrame = [transferSize]byte{
	0, 0, 0, 0, 2, amqp.FrameAMQP, 0, 0, // size, data offset, type, channel
	0x00, 0x53, 0x14, 0xc0, 25, 11, // a list of 11 fields in 25 bytes
	0x70, 0, 0, 0, 0, // handle
	0x70, 0, 0, 0, 0, // delivery-id
	0xa0, 4, 0, 0, 0, 0, // delivery-tag
	0x43,                         // message-format 0
	0x41,                         // settled
	0x42,                         // more
	0x40, 0x40, 0x42, 0x42, 0x42, // rcv-settle-mode, state, resume, aborted, batchable
}

// ready tells whether a message may be sent now. c.mu is held.
func (o *outgoing) ready() bool {
	return !o.parked && o.credit > 0 && o.s.window > 0 && !o.detached && !o.s.gone
}

// appendTransfer sends the message that encode appends, of about size bytes. The
// link is ready. c.mu is held.
func (o *outgoing) appendTransfer(size int, encode func(dst []byte) []byte) {
	c, s := o.s.c, o.s
	if size+transferSize > int(c.peerFrameSize) {
		o.large = encode(o.large[:0])
		o.park(o.large)
	} else {
		start := len(c.out)
		c.out = o.appendHeader(c.out, s.nextDelivery)
		body := len(c.out)
		c.out = encode(c.out)
		if n := len(c.out) - start; n <= int(c.peerFrameSize) {
			binary.BigEndian.PutUint32(c.out[start:], uint32(n))
			s.sent()
		} else {
			o.large = append(o.large[:0], c.out[body:]...)
			c.out = c.out[:start]
			o.park(o.large)
		}
	}
	s.nextDelivery++
	o.deliveries++
	o.credit--
}

// park begins to send a message in pieces. c.mu is held.
func (o *outgoing) park(message []byte) {
	o.rest, o.parked, o.delivery = message, true, o.s.nextDelivery
	o.appendRest()
}

func (o *outgoing) appendHeader(dst []byte, delivery uint32) []byte {
	start := len(dst)
	dst = append(dst, transferFrame[:]...)
	h := dst[start:]
	binary.BigEndian.PutUint16(h[atChannel:], o.s.channel)
	binary.BigEndian.PutUint32(h[atHandle:], o.handle)
	binary.BigEndian.PutUint32(h[atDelivery:], delivery)
	binary.BigEndian.PutUint32(h[atTag:], delivery)
	if !o.settled {
		h[atSettled] = 0x42
	}
	return dst
}

// sent counts a transfer frame. c.mu is held.
func (s *session) sent() {
	s.nextOutgoing++
	s.window--
}

// appendRest sends as much of a message in pieces as the session's window allows
// and the output has room for. c.mu is held.
func (o *outgoing) appendRest() {
	c := o.s.c
	for o.parked && o.s.window > 0 && c.hasRoom() && !o.detached && !o.s.gone {
		n := min(len(o.rest), int(c.peerFrameSize)-transferSize)
		start := len(c.out)
		c.out = o.appendHeader(c.out, o.delivery)
		if n < len(o.rest) {
			c.out[start+atMore] = 0x41
		}
		c.out = append(c.out, o.rest[:n]...)
		binary.BigEndian.PutUint32(c.out[start:], uint32(transferSize+n))
		o.s.sent()
		o.rest = o.rest[n:]
		o.parked = len(o.rest) > 0
	}
	c.wakeWriter()
}

// takeFlow takes the client's credit. c.mu is held.
func (o *outgoing) takeFlow(f *amqp.Flow) {
	if f.LinkCredit != nil {
		// The client counts from what it has received.
		seen := uint32(0)
		if f.DeliveryCount != nil {
			seen = *f.DeliveryCount
		}
		onWay := max(0, int64(int32(o.deliveries-seen)))
		o.credit = uint32(max(0, int64(*f.LinkCredit)-onWay))
	}
	o.drain = f.Drain
}

// tell sends how the link stands. c.mu is held.
func (o *outgoing) tell() {
	f := o.s.flow()
	f.Handle, f.DeliveryCount, f.LinkCredit = ptr(o.handle), ptr(o.deliveries), ptr(o.credit)
	f.Drain = o.drain
	o.s.c.send(o.s.channel, f)
}

// drained uses up the credit that there is nothing to send for. c.mu is held.
func (o *outgoing) drained() {
	if !o.drain || o.detached || o.s.gone {
		return
	}
	o.deliveries += o.credit
	o.credit = 0
	o.tell()
	o.drain = false
}
