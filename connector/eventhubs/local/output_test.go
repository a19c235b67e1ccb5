package local

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"
)

// stuckConn fails to write, and takes its time to close, as TLS and WebSockets do.
type stuckConn struct {
	net.Conn
	closing, release chan struct{}
}

func (*stuckConn) SetWriteDeadline(time.Time) error { return nil }
func (*stuckConn) Write([]byte) (int, error)        { return 0, errors.New("broken") }
func (c *stuckConn) Close() error {
	close(c.closing)
	<-c.release
	return nil
}

// A connection that is slow to close does not hold its lock, which those wait for
// who look after all connections.
func TestClosingHoldsNoLock(t *testing.T) {
	t.Parallel()
	nc := &stuckConn{closing: make(chan struct{}), release: make(chan struct{})}
	c := &conn{srv: &Server{}, nc: nc, log: slog.New(slog.DiscardHandler)}
	c.output.init(&c.mu)
	c.ctx, c.cancel = context.WithCancel(t.Context())
	written := make(chan bool, 1)
	go func() { written <- c.flush([]byte("x")) }()
	<-nc.closing
	if c.mu.TryLock() {
		if !c.failed || c.ctx.Err() == nil {
			t.Error("it goes on after an error")
		}
		c.mu.Unlock()
	} else {
		t.Error("the lock is held while the connection is closed")
	}
	close(nc.release)
	if <-written {
		t.Error("it goes on after an error")
	}
}
