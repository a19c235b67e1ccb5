package local

import (
	"slices"
	"sync"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

const (
	// outHigh is how much may wait to be written before consumers stop
	// adding to it; outLimit is where the reading goroutine stops as well,
	// so that a client that asks and never reads holds no more than that.
	outHigh  = 256 << 10
	outLimit = 1 << 20
	// outKeep is the largest buffer that is kept for the next write.
	outKeep = 512 << 10
)

// output is what a connection has to send. Everything appends to one buffer
// under the connection's lock, and one goroutine writes it: while it is busy
// with a write, what others add becomes the next one.
type output struct {
	out   []byte
	spare []byte // of the writing goroutine, between two writes
	woken bool
	wake  chan struct{}
	// waiting are woken when there is room again.
	waiting []link
	room    sync.Cond
	// dirty are the sessions that have something to say about deliveries.
	dirty     []*session
	failed    bool
	lastWrite time.Time
}

func (o *output) init(mu *sync.Mutex) {
	o.wake = make(chan struct{}, 1)
	o.room.L = mu
	o.lastWrite = time.Now()
}

// send appends a frame. c.mu is held.
func (c *conn) send(channel uint16, body any) {
	if c.closing || c.failed {
		return
	}
	c.out = amqp.AppendFrame(c.out, &amqp.Frame{Channel: channel, Body: body})
	c.wakeWriter()
}

// write appends what is not a frame of AMQP.
func (c *conn) write(fn func(dst []byte) []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = fn(c.out)
	c.wakeWriter()
}

// wakeWriter lets the writing goroutine look. c.mu is held.
func (c *conn) wakeWriter() {
	if !c.woken {
		c.woken = true
		c.wake <- struct{}{}
	}
}

// markDirty notes that a session has dispositions or credit to send. c.mu is
// held. They are put together when the writing goroutine gets to them, so that
// the busier it is the fewer they are.
func (c *conn) markDirty(s *session) {
	if !s.dirty {
		s.dirty = true
		c.dirty = append(c.dirty, s)
	}
	c.wakeWriter()
}

// waitForWriter stops the reading goroutine while too much waits to be written.
func (c *conn) waitForWriter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.out) > outLimit && !c.failed && !c.ended {
		c.room.Wait()
	}
}

// hasRoom tells whether a consumer may add to the buffer. c.mu is held.
func (c *conn) hasRoom() bool { return len(c.out) < outHigh }

// waitForRoom lets a link be resumed when there is room. c.mu is held.
func (c *conn) waitForRoom(l link) {
	if end := l.common(); !end.waiting {
		end.waiting = true
		c.waiting = append(c.waiting, l)
	}
}

// writeLoop writes until the connection has ended and nothing is left.
func (c *conn) writeLoop() {
	for range c.wake {
		c.mu.Lock()
		c.woken = false
		c.settleAll()
		buf := c.out
		last := c.ended
		if len(buf) > 0 {
			c.out, c.spare = c.spare[:0], nil
			c.lastWrite = time.Now()
			waiting := c.waiting
			c.waiting = nil
			for _, l := range waiting {
				l.common().waiting = false
				l.resume()
			}
			c.room.Broadcast()
		}
		c.mu.Unlock()
		if len(buf) > 0 && !c.flush(buf) {
			return
		}
		if last {
			return
		}
	}
}

// flush writes buf and keeps it for later. After an error nothing is written any
// more.
func (c *conn) flush(buf []byte) bool {
	err := c.nc.SetWriteDeadline(time.Now().Add(c.srv.opts.Timing.Write))
	if err == nil {
		_, err = c.nc.Write(buf)
	}
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		if cap(buf) <= outKeep {
			c.spare = buf
		}
		return true
	}
	c.fail(err, len(buf))
	_ = c.nc.Close() // the reading goroutine ends by it
	return false
}

// fail notes that nothing can be written any more.
func (c *conn) fail(err error, bytes int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.ended && !c.closing {
		c.log.Warn("a connection is closed because the client does not read", "bytes", bytes, "error", err)
	}
	c.failed = true
	c.out = nil
	c.room.Broadcast()
	c.cancel() // it may be waiting for the log
}

// settleAll lets all sessions say what they have to say. c.mu is held.
func (c *conn) settleAll() {
	for _, s := range c.dirty {
		s.dirty = false
		s.settle()
	}
	c.dirty = c.dirty[:0]
}

// settle turns the outcomes of deliveries into as few dispositions as they
// allow, and grants credit. c.mu is held.
func (s *session) settle() {
	if s.gone {
		return
	}
	c := s.c
	slices.Sort(s.accepted)
	for i := 0; i < len(s.accepted); {
		j := i + 1
		for j < len(s.accepted) && s.accepted[j] == s.accepted[j-1]+1 {
			j++
		}
		last := s.accepted[j-1]
		c.send(s.channel, &amqp.Disposition{Role: amqp.RoleReceiver, First: s.accepted[i], Last: &last,
			Settled: true, State: amqp.Accepted{}})
		i = j
	}
	s.accepted = s.accepted[:0]
	for _, r := range s.rejected {
		c.send(s.channel, &amqp.Disposition{Role: amqp.RoleReceiver, First: r.delivery, Last: &r.delivery,
			Settled: true, State: amqp.Rejected{Error: r.err}})
	}
	s.rejected = s.rejected[:0]
	for _, p := range s.owing {
		p.owed = false
		p.grant()
	}
	s.owing = s.owing[:0]
	if s.framesIn >= sessionWindow/2 {
		c.send(s.channel, s.flow())
	}
}
