package kafka_test

import (
	"context"
	"net"
	"sync"
)

// freezer is a network that can be made to stand still: connections stay
// open, and nothing comes or goes.
type freezer struct {
	mu     sync.Mutex
	cond   *sync.Cond
	frozen bool
}

func newFreezer() *freezer {
	f := &freezer{}
	f.cond = sync.NewCond(&f.mu)
	return f
}

func (f *freezer) set(frozen bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = frozen
	f.cond.Broadcast()
}

func (f *freezer) wait() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.frozen {
		f.cond.Wait()
	}
}

func (f *freezer) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	f.wait()
	var d net.Dialer
	c, err := d.DialContext(ctx, network, addr)
	return frozenConn{c, f}, err
}

type frozenConn struct {
	net.Conn
	f *freezer
}

func (c frozenConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.f.wait()
	return n, err
}

func (c frozenConn) Write(b []byte) (int, error) {
	c.f.wait()
	return c.Conn.Write(b)
}
