package local

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// accept takes connections until the listener is closed.
func (s *Server) accept(l *listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || s.isClosing() {
				return
			}
			// Most likely too many open files: those that are open go on.
			s.opts.Log.Warn("cannot accept a connection", "address", l.Addr().String(), "error", err)
			select {
			case <-s.ctx.Done():
				return
			case <-time.After(100 * time.Millisecond):
			}
			continue
		}
		if !s.enter() {
			_ = c.Close() // the server is closing
			return
		}
		if c = s.count(c); c == nil {
			s.wg.Done()
			continue
		}
		go func() {
			defer s.wg.Done()
			s.sniff(l, c)
		}()
	}
}

// spareSockets is how many sockets there may be beyond the AMQP connections that
// all namespaces together may have: for HTTP, and for those that have not said yet
// what they want.
const spareSockets = 1000

// count counts a socket until it is closed; nil: there are too many, and it has
// been closed.
func (s *Server) count(c net.Conn) net.Conn {
	limit := int64(s.opts.MaxConnections*len(s.opts.Cluster.Namespaces()) + spareSockets)
	if s.sockets.Add(1) <= limit {
		return &socket{Conn: c, n: &s.sockets}
	}
	s.sockets.Add(-1)
	_ = c.Close() // it was not served
	// They come in crowds; a line per second says it all.
	if now := time.Now().Unix(); s.refused.Swap(now) != now {
		s.opts.Log.Warn("connections are refused: too many are open", "limit", limit, "client", c.RemoteAddr().String())
	}
	return nil
}

// socket is a connection that is counted.
type socket struct {
	net.Conn
	once sync.Once
	n    *atomic.Int64
}

// Close implements net.Conn.
func (c *socket) Close() error {
	c.once.Do(func() { c.n.Add(-1) })
	return c.Conn.Close()
}

// enter notes that something begins that Close has to wait for (wg.Done ends
// it); false: the server is closing.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.wg.Add(1)
	return true
}

func (s *Server) isClosing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closing
}

// sniff looks at the first byte of a connection to see what it speaks, and
// serves it. The three protocols cannot be mistaken for each other: AMQP begins
// with "AMQP", TLS with 0x16, and HTTP with the letters of a method.
func (s *Server) sniff(l *listener, nc net.Conn) {
	s.mu.Lock()
	s.pending[nc] = struct{}{}
	s.mu.Unlock()
	c, kind, err := s.peek(l, nc)
	s.mu.Lock()
	delete(s.pending, nc)
	closing := s.closing
	s.mu.Unlock()
	log := s.opts.Log.With("client", nc.RemoteAddr().String())
	switch {
	case closing:
	case err != nil:
		if !errors.Is(err, io.EOF) { // a port check
			log.Warn("a connection was closed before it said what it speaks", "error", err)
		}
	case kind == speaksAMQP:
		s.serveAMQP(l, c, "amqp")
		return
	case kind == speaksHTTP:
		if s.handoff.give(c) {
			return // net/http owns it now
		}
	default:
		log.Warn("a connection speaks neither AMQP nor HTTP", "byte", fmt.Sprintf("0x%02x", c.first[0]), "listener", l.Addr().String())
	}
	_ = nc.Close() // nobody waits for it
}

type protocol int

const (
	speaksOther protocol = iota
	speaksAMQP
	speaksHTTP
)

// peek reads the first byte, behind TLS if there is any.
func (s *Server) peek(l *listener, nc net.Conn) (*sniffed, protocol, error) {
	if err := nc.SetReadDeadline(time.Now().Add(s.opts.Timing.Handshake)); err != nil {
		return nil, 0, fmt.Errorf("setting a deadline: %w", err)
	}
	c := &sniffed{Conn: nc, on: l}
	for {
		c.first = make([]byte, 1)
		if _, err := io.ReadFull(c.Conn, c.first); err != nil {
			return nil, 0, err
		}
		b := c.first[0]
		switch _, secure := c.Conn.(*tls.Conn); {
		case b == 'A':
			return c, speaksAMQP, c.Conn.SetReadDeadline(time.Time{})
		case b >= 'B' && b <= 'Z':
			return c, speaksHTTP, c.Conn.SetReadDeadline(time.Time{})
		case b != 0x16 || secure:
			return c, speaksOther, nil
		case s.opts.TLS == nil:
			return nil, 0, errors.New("it wants TLS, for which this server has no certificate (connection strings of an emulator say UseDevelopmentEmulator=true)")
		}
		t := tls.Server(&sniffed{Conn: nc, on: l, first: c.first}, s.opts.TLS)
		if err := t.HandshakeContext(s.ctx); err != nil {
			return nil, 0, fmt.Errorf("TLS: %w", err)
		}
		c.Conn = t
	}
}

// sniffed is a connection whose first byte has been read already.
type sniffed struct {
	net.Conn
	on    *listener
	first []byte
}

// Read implements net.Conn.
func (c *sniffed) Read(p []byte) (int, error) {
	if len(c.first) > 0 && len(p) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

// handoff is the listener through which net/http gets the connections that
// speak HTTP.
type handoff struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (h *handoff) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		return false
	}
}

func (h *handoff) close() { h.once.Do(func() { close(h.done) }) }

// Accept implements net.Listener.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handoff) Close() error { h.close(); return nil }

// Addr implements net.Listener.
func (h *handoff) Addr() net.Addr { return h.addr }

type onKey struct{}

// NamespaceOf returns the namespace of the port on which an HTTP request has
// come in, "" for the port of all namespaces.
func NamespaceOf(ctx context.Context) string {
	if l, ok := ctx.Value(onKey{}).(*listener); ok {
		return l.namespace
	}
	return ""
}

func (s *Server) startHTTP() {
	s.handoff = &handoff{addr: s.listeners[0].Addr(), conns: make(chan net.Conn), done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           http.HandlerFunc(s.serveHTTP),
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       time.Minute,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelWarn),
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if c, ok := c.(*sniffed); ok {
				return context.WithValue(ctx, onKey{}, c.on)
			}
			return ctx
		},
	}
	s.wg.Go(func() {
		if err := s.http.Serve(s.handoff); err != nil && !errors.Is(err, http.ErrServerClosed) && !errors.Is(err, net.ErrClosed) {
			s.opts.Log.Warn("HTTP is not answered any more", "error", err)
		}
	})
}

func (s *Server) serveHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.enter() {
		http.Error(w, "closing", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()
	if isWebSocket(r) {
		s.serveWebSocket(w, r)
		return
	}
	s.opts.HTTP.ServeHTTP(w, r)
}
