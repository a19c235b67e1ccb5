package local

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"millrace/connector"
	"millrace/connector/sqldb/local/tds"
	"millrace/connector/sqldb/local/tsql"
	"millrace/connector/sqldb/local/value"
)

// Server is a running server. It is safe for concurrent use.
type Server struct {
	opts     Options
	engine   *tsql.Engine
	listener net.Listener
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup
	slots    chan struct{}
	faults   faults

	mu    sync.Mutex
	conns map[net.Conn]bool
}

// Start listens and serves until Close. It returns when clients are answered;
// ctx bounds the start only. Errors about ports are connector.Unreachable.
func Start(ctx context.Context, o Options) (*Server, error) {
	o.defaults()
	if o.Port < 0 || o.Port > 65535 {
		return nil, fmt.Errorf("%d is not a port", o.Port)
	}
	s := &Server{opts: o, engine: tsql.New(o.Now, o.Databases...), slots: make(chan struct{}, o.MaxConnections), conns: make(map[net.Conn]bool)}
	addr := net.JoinHostPort(o.Host, strconv.Itoa(o.Port))
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, &connector.Unreachable{What: addr, Hint: "choose another port, or stop what uses this one", Err: fmt.Errorf("port %d is taken", o.Port)}
	}
	if err != nil {
		return nil, fmt.Errorf("listening on %s: %w", addr, err)
	}
	s.listener = l
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.wg.Go(s.accept)
	return s, nil
}

func (s *Server) accept() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return // Close has closed it
		}
		select {
		case s.slots <- struct{}{}:
		default:
			_ = c.Close()
			continue
		}
		if !s.track(c) {
			_ = c.Close()
			return
		}
		s.wg.Go(func() {
			defer func() { s.untrack(c); <-s.slots }()
			cfg := tds.Config{TLS: s.opts.TLS, Server: "millrace", Log: s.opts.Log}
			if err := tds.Serve(s.ctx, c, cfg, handler{s}); err != nil && s.ctx.Err() == nil {
				s.opts.Log.Warn("a connection to the TDS server has ended", slog.Any("error", err))
			}
		})
	}
}

// track notes an open connection; false: the server is closing.
func (s *Server) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return false
	}
	s.conns[c] = true
	return true
}

func (s *Server) untrack(c net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// Address returns the URL for drivers on this machine, its password included.
func (s *Server) Address() string { return s.address(s.opts.Password) }

// Redacted is Address for people: a password that was chosen is ***.
func (s *Server) Redacted() string {
	if s.opts.Password == wellKnownPassword {
		return s.Address()
	}
	return strings.Replace(s.address("HIDDEN"), ":HIDDEN@", ":***@", 1)
}

func (s *Server) address(password string) string {
	u := url.URL{Scheme: "sqlserver", User: url.UserPassword(s.opts.User, password), Host: s.HostPort()}
	q := url.Values{"database": {s.opts.Databases[0]}, "encrypt": {"disable"}}
	if s.opts.TLS != nil {
		q.Set("encrypt", "true")
		q.Set("TrustServerCertificate", "true")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// HostPort returns the address of the port, as a client on this machine reaches
// it.
func (s *Server) HostPort() string {
	a, ok := s.listener.Addr().(*net.TCPAddr)
	if !ok {
		return s.listener.Addr().String()
	}
	ip := a.IP
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(a.Port))
}

// Rows counts the rows of a table ("name" or "schema.name") of the first
// database, without regard to transactions: for tests, when nobody writes.
func (s *Server) Rows(table string) int { return s.engine.Rows(s.opts.Databases[0], table) }

// Drop closes all connections, as a server that restarts does: what is not
// committed is rolled back, what is committed stays.
func (s *Server) Drop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		_ = c.Close()
	}
}

// Close closes all connections and stops. The tables are gone.
func (s *Server) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.Drop()
	s.wg.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the TDS server: %w", err)
	}
	return nil
}

// handler lets clients in.
type handler struct{ s *Server }

func (h handler) Login(_ context.Context, l *tds.Login) (tds.Session, *value.Error) {
	o := h.s.opts
	same := func(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }
	ok := l.User == o.User && same(l.Password, o.Password)
	if l.Token != "" {
		ok = o.Token != "" && same(l.Token, o.Token)
	}
	if !ok {
		return nil, &value.Error{Number: 18456, State: 1, Class: 14, Message: fmt.Sprintf("Login failed for user '%s'.", l.User)}
	}
	database := l.Database
	if database == "" {
		database = o.Databases[0]
	}
	e, failed := h.s.engine.Session(database, l.User)
	if failed != nil {
		return nil, failed
	}
	return &session{s: h.s, Session: e}, nil
}
