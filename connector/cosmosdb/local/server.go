package local

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"sync"
	"syscall"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fasthttp/fasthttpadaptor"
	"golang.org/x/sync/semaphore"

	"millrace/connector"
	"millrace/connector/cosmosdb/local/store"
)

// Server is a running stand-in. It is safe for concurrent use.
type Server struct {
	opts     Options
	scheme   string
	store    *store.Store
	auth     *authorizer
	table    [opCount]handler
	bodies   *semaphore.Weighted // the memory of large request bodies
	pages    *semaphore.Weighted // that of pages
	known    *catalogue
	listener *boundedListener
	hostPort string // as HostPort says
	self     string // scheme and hostPort
	http     *fasthttp.Server
	web      fasthttp.RequestHandler // nil: there are no pages
	ctx      context.Context         // of requests: ends when Close waits no longer
	cancel   context.CancelFunc
	total    counters
	wg       sync.WaitGroup
	gate     gate
	queries  queryLimit

	closeOnce sync.Once
	closeErr  error
}

// Start opens the store and serves until Close. It returns when clients are
// answered; ctx bounds the start only. Errors about ports are
// connector.Unreachable.
func Start(ctx context.Context, o Options) (*Server, error) {
	key, err := o.defaults()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: o, scheme: "http", auth: newAuthorizer(key), bodies: semaphore.NewWeighted(sharedBodies), pages: semaphore.NewWeighted(sharedPages)}
	if o.TLS != nil {
		s.scheme = "https"
	}
	// The port comes first: a store that another process has open fails more
	// slowly and less clearly than a port that is taken.
	if err := s.listen(ctx); err != nil {
		return nil, err
	}
	s.store, err = store.Open(o.DataDir, store.Options{SyncWrites: o.SyncWrites, CacheBytes: o.CacheBytes, Log: o.Log, Now: o.Now})
	if err != nil {
		_ = s.listener.Close() // nobody was served yet
		return nil, fmt.Errorf("opening the data of Cosmos DB in %s: %w", o.DataDir, err)
	}
	s.known = newCatalogue(s.store, o.Throughput, o.Now)
	s.table = s.handlers()
	if o.Web != nil {
		pages := o.Web(s)
		s.web = fasthttpadaptor.NewFastHTTPHandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			// A request's own context is used again for other requests, even
			// while one that came of it is still being ended.
			pages.ServeHTTP(w, r.WithContext(s.ctx))
		})
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.serve()
	return s, nil
}

func (s *Server) listen(ctx context.Context) error {
	addr := net.JoinHostPort(s.opts.Host, strconv.Itoa(s.opts.Port))
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err == nil {
		s.listener = newBoundedListener(l, s.opts.MaxConnections, s.opts.TLS == nil)
		s.hostPort = hostPort(l.Addr())
		s.self = s.scheme + "://" + s.hostPort
		return nil
	}
	var op *net.OpError
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &connector.Unreachable{What: addr, Hint: "choose another port, or stop what uses this one",
			Err: fmt.Errorf("port %d is taken", s.opts.Port)}
	case errors.As(err, &op):
		return &connector.Unreachable{What: addr, Hint: "choose an address of this machine and a port above 1023", Err: op.Err}
	}
	return fmt.Errorf("listening on %s: %w", addr, err)
}

func (s *Server) serve() {
	s.http = s.newHTTP()
	s.wg.Go(func() {
		var l net.Listener = s.listener
		if s.opts.TLS != nil {
			config := s.opts.TLS.Clone()
			config.NextProtos = []string{"http/1.1"}
			l = tls.NewListener(l, config)
		}
		if err := s.http.Serve(l); err != nil {
			s.opts.Log.Error("the Cosmos DB server has stopped accepting connections", slog.Any("error", err))
		}
	})
}

// Address returns the connection string for SDKs.
func (s *Server) Address() string {
	key := s.opts.Key
	if key == "" {
		key = WellKnownKey
	}
	return "AccountEndpoint=" + s.Endpoint() + ";AccountKey=" + key + ";"
}

// Endpoint returns the account's URL, as a client on this machine reaches it,
// with a final slash.
func (s *Server) Endpoint() string { return s.scheme + "://" + s.hostPort + "/" }

// HostPort returns the address of the port, as a client on this machine reaches
// it.
func (s *Server) HostPort() string { return s.hostPort }

func hostPort(a net.Addr) string {
	addr, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	ip := addr.IP
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(addr.Port))
}

// Close stops accepting requests, waits for those in progress (up to
// Timing.Close, then their connections are closed), and closes the store. What
// has been acknowledged is kept.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), s.opts.Timing.Close)
		defer cancel()
		if s.http.ShutdownWithContext(ctx) != nil {
			s.cancel() // they have had their time
			s.listener.closeAll()
		}
		_ = s.listener.Close() // for one that begins to serve only now; the others have closed it
		s.gate.close()
		s.cancel()
		s.wg.Wait()
		if err := s.store.Close(); err != nil {
			s.closeErr = fmt.Errorf("closing the data of Cosmos DB in %s: %w", s.opts.DataDir, err)
		}
	})
	return s.closeErr
}

// gate keeps the store open for as long as a handler may use it: handlers of
// connections that were cut off are still running for a moment.
type gate struct {
	mu     sync.RWMutex
	closed bool
}

// enter lets a handler in until leave; false: the server is closed.
func (g *gate) enter() bool {
	g.mu.RLock()
	if g.closed {
		g.mu.RUnlock()
		return false
	}
	return true
}

func (g *gate) leave() { g.mu.RUnlock() }

// close waits for the handlers that are inside.
func (g *gate) close() {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
}
