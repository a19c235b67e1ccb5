package local

import (
	"net"
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
}

func newBoundedListener(l net.Listener, most int, speak bool) *boundedListener {
	return &boundedListener{Listener: l, most: int64(most), speak: speak}
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
			return &boundedConn{Conn: c, l: l}, nil
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
	c.once.Do(func() { c.l.open.Add(-1) })
	return c.Conn.Close()
}
