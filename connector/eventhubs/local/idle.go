package local

import (
	"fmt"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

// watch looks after all connections, several times per shortest waiting time:
// heartbeats, connections without links, idle links, tokens that end. Clients
// that are silent are found by the reading goroutine's deadline.
func (s *Server) watch() {
	t := s.opts.Timing
	usual := min(time.Second, t.Heartbeat/4, t.NoLinks/4, t.AfterLinks/4, t.IdleLink/4)
	timer := time.NewTimer(usual)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.hurry: // a client wants heartbeats more often
		case <-timer.C:
		}
		next, now := usual, time.Now()
		for _, c := range s.connections() {
			c.tick(now)
			next = min(next, c.beat()/4)
		}
		timer.Reset(max(next, time.Millisecond))
	}
}

// beat is how long the connection may be silent.
func (c *conn) beat() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heartbeat
}

// tick does what is due on a connection.
func (c *conn) tick(now time.Time) {
	t := c.srv.opts.Timing
	c.mu.Lock()
	if !c.opened || c.closing || c.failed {
		c.mu.Unlock()
		return
	}
	if len(c.out) == 0 && now.Sub(c.lastWrite) >= c.heartbeat/2 {
		c.out = amqp.AppendHeartbeat(c.out)
		c.wakeWriter()
	}
	if len(c.out) == 0 && now.Sub(c.lastWrite) > time.Second {
		c.out, c.spare = nil, nil // it is not busy
	}
	idle, limit := now.Sub(c.idleSince), t.NoLinks
	if c.everLinked {
		limit = t.AfterLinks
	}
	lonely := c.linked == 0 && idle > limit
	tired, expired := c.overdue(now)
	c.mu.Unlock()
	if lonely {
		c.log.Info("a connection without links was closed", "idle", idle.Round(time.Second))
		c.forced(fmt.Sprintf("The connection was inactive for more than the allowed %d milliseconds and is closed by container 'millrace_%s'.",
			limit.Milliseconds(), c.name))
	}
	for _, l := range tired {
		forceDetach(l, amqpError(amqp.ErrorLinkDetachForced, "The link '%s' is force detached. Idle timeout: %s.", clip(l.common().name, 80), t.IdleLink))
	}
	for _, l := range expired {
		forceDetach(l, amqpError(amqp.ErrorUnauthorizedAccess, "The token of the link has ended and was not renewed."))
	}
}

// overdue returns the links without traffic for too long, and those whose token
// has ended. c.mu is held.
func (c *conn) overdue(now time.Time) (tired, expired []link) {
	for _, s := range c.sessions {
		for _, l := range s.links {
			end := l.common()
			switch l.(type) {
			case *producer, *consumer:
			default:
				continue // those to $cbs and $management are used rarely
			}
			if end.detached {
				continue
			}
			if now.Sub(end.used) > c.srv.opts.Timing.IdleLink {
				tired = append(tired, l)
			}
			if c.srv.opts.Key != "" && !c.claims.cover(end.path, now) {
				expired = append(expired, l)
			}
		}
	}
	return tired, expired
}
