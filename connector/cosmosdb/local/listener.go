package local

import (
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// boundedListener accepts so many connections at once. One beyond is told so
// and closed, which is kinder than to let it wait.
type boundedListener struct {
	net.Listener
	most int64
	open atomic.Int64
	// speak: the protocol is plain HTTP, so that a refusal can be said.
	speak bool

	mu    sync.Mutex
	conns map[*boundedConn]struct{}
}

func newBoundedListener(l net.Listener, most int, speak bool) *boundedListener {
	return &boundedListener{Listener: l, most: int64(most), speak: speak, conns: map[*boundedConn]struct{}{}}
}

const tooManyConnections = "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n" +
	"Content-Length: 79\r\n\r\n" +
	`{"code":"ServiceUnavailable","message":"The server has too many connections."}` + "\n"

// Accept returns the next connection that there is room for.
func (l *boundedListener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.open.Add(1) <= l.most {
			b := &boundedConn{Conn: c, l: l}
			l.mu.Lock()
			l.conns[b] = struct{}{}
			l.mu.Unlock()
			return b, nil
		}
		l.open.Add(-1)
		if l.speak {
			// It fits the empty buffer of a new connection and does not block.
			_ = c.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = c.Write([]byte(tooManyConnections))
		}
		_ = c.Close() // it was not wanted
	}
}

type boundedConn struct {
	net.Conn
	l    *boundedListener
	once sync.Once
}

// Close closes the connection and makes room for another one.
func (c *boundedConn) Close() error {
	c.once.Do(func() {
		c.l.mu.Lock()
		delete(c.l.conns, c)
		c.l.mu.Unlock()
		c.l.open.Add(-1)
	})
	return c.Conn.Close()
}

// closeAll closes all connections.
func (l *boundedListener) closeAll() {
	l.mu.Lock()
	all := slices.Collect(maps.Keys(l.conns))
	l.mu.Unlock()
	for _, c := range all {
		_ = c.Conn.Close() // whoever reads from it gets to know
	}
}
