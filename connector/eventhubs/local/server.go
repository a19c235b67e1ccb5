package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"
)

// Server is a running endpoint. It is safe for concurrent use.
type Server struct {
	opts      Options
	listeners []*listener
	http      *http.Server
	handoff   *handoff
	receivers *receivers
	producers *numberedProducers

	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	nextID atomic.Uint64
	hurry  chan struct{} // has one place, see watch

	sockets atomic.Int64 // that are open, whatever they speak
	refused atomic.Int64 // when the log last told that there are too many, in Unix seconds

	mu      sync.Mutex
	open    map[string]int // AMQP connections by namespace
	conns   map[*conn]struct{}
	pending map[net.Conn]struct{} // whose protocol is not known yet
	closing bool

	closeOnce sync.Once
}

// listener is one port and the namespace it belongs to, "" for the port of all.
type listener struct {
	net.Listener
	namespace string
}

// Start listens and serves until Close. It returns when clients are answered;
// ctx bounds the start only. Errors about ports are connector.Unreachable.
func Start(ctx context.Context, o Options) (*Server, error) {
	if err := o.defaults(); err != nil {
		return nil, err
	}
	s := &Server{opts: o, open: map[string]int{}, conns: map[*conn]struct{}{}, pending: map[net.Conn]struct{}{},
		receivers: newReceivers(), producers: newNumberedProducers(), hurry: make(chan struct{}, 1)}
	if err := s.listen(ctx, "", o.Port); err != nil {
		return nil, err
	}
	for name, port := range o.NamespacePorts {
		if err := s.listen(ctx, name, port); err != nil {
			s.closeListeners()
			return nil, err
		}
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.startHTTP()
	for _, l := range s.listeners {
		s.wg.Go(func() { s.accept(l) })
	}
	s.wg.Go(s.watch)
	return s, nil
}

func (s *Server) listen(ctx context.Context, namespace string, port int) error {
	addr := net.JoinHostPort(s.opts.Host, strconv.Itoa(port))
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		var op *net.OpError
		switch {
		case errors.Is(err, syscall.EADDRINUSE):
			return &connector.Unreachable{What: addr, Hint: "choose another port, or stop what uses this one",
				Err: fmt.Errorf("port %d is taken", port)}
		case errors.As(err, &op):
			return &connector.Unreachable{What: addr, Hint: "choose an address of this machine and a port above 1023", Err: op.Err}
		}
		return fmt.Errorf("listening on %s: %w", addr, err)
	}
	s.listeners = append(s.listeners, &listener{Listener: l, namespace: namespace})
	return nil
}

func (s *Server) closeListeners() {
	for _, l := range s.listeners {
		_ = l.Close() // nothing is lost with it
	}
}

// Address returns the connection string of the namespace of Port's clients that
// name no other one, in the form that SDKs use for the emulator: without TLS.
func (s *Server) Address() string { return s.connectionString(s.listeners[0]) }

// NamespaceAddress returns the connection string of a namespace: by its own port
// if it has one, else by Port for the first namespace; "" if neither holds.
func (s *Server) NamespaceAddress(namespace string) string {
	for _, l := range s.listeners[1:] {
		if l.namespace == namespace {
			return s.connectionString(l)
		}
	}
	if s.opts.Cluster.Namespaces()[0].Name() == namespace {
		return s.Address()
	}
	return ""
}

// HostPort returns the address of Port, as a client on this machine reaches it.
func (s *Server) HostPort() string { return hostPort(s.listeners[0]) }

func (s *Server) connectionString(l *listener) string {
	key := s.opts.Key
	if key == "" {
		key = anyKey
	}
	return fmt.Sprintf("Endpoint=sb://%s;SharedAccessKeyName=%s;SharedAccessKey=%s;UseDevelopmentEmulator=true",
		hostPort(l), s.opts.KeyName, key)
}

func hostPort(l *listener) string {
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return l.Addr().String()
	}
	ip := addr.IP
	if ip.IsUnspecified() {
		ip = net.IPv4(127, 0, 0, 1)
	}
	return net.JoinHostPort(ip.String(), strconv.Itoa(addr.Port))
}

// namespace returns the namespace of a connection: the one that hostname begins
// with, else that of its port, else the first.
func (s *Server) namespace(l *listener, hostname string) *hub.Namespace {
	for _, name := range []string{firstLabel(hostname), l.namespace} {
		if name == "" {
			continue
		}
		if ns, ok := s.opts.Cluster.Namespace(name); ok {
			return ns
		}
	}
	return s.opts.Cluster.Namespaces()[0]
}

// add registers a connection; false: the server is closing.
func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		return false
	}
	s.conns[c] = struct{}{}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	delete(s.conns, c)
	if c.admitted {
		s.open[c.namespace.Name()]--
	}
	s.mu.Unlock()
}

// admit counts a connection to a namespace; false: it has as many as it may.
func (s *Server) admit(namespace string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[namespace] >= s.opts.MaxConnections {
		return false
	}
	s.open[namespace]++
	return true
}

func (s *Server) connections() []*conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*conn, 0, len(s.conns))
	for c := range s.conns {
		all = append(all, c)
	}
	return all
}

// Close stops listening, waits for the log to acknowledge what it was given (up
// to Timing.Close), tells clients so, and closes their connections with
// amqp:connection:forced. It returns when nothing runs any more.
func (s *Server) Close() error {
	s.closeOnce.Do(func() {
		s.mu.Lock()
		s.closing = true
		for c := range s.pending {
			_ = c.Close() // it has not said anything yet
		}
		s.mu.Unlock()
		s.closeListeners()
		var closing sync.WaitGroup
		deadline := time.Now().Add(s.opts.Timing.Close)
		for _, c := range s.connections() {
			closing.Go(func() { c.shutdown(deadline) })
		}
		closing.Wait()
		_ = s.http.Close() // requests in progress are cut off
		s.handoff.close()
		s.cancel()
		s.wg.Wait()
	})
	return nil
}

// Connections returns how many AMQP connections are open.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
