package kafkaface

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// MaxRequestBytes is the largest request that the service takes. It closes
// connections that send more.
const MaxRequestBytes = 1_046_528

// maxConnections bounds what clients can make the server hold.
const maxConnections = 4096

// patience is how long the server waits for its clients.
type patience struct {
	signIn time.Duration // to sign in
	idle   time.Duration // between requests: more than the service's 240 s
	frame  time.Duration // for a request to arrive once it has begun
	write  time.Duration // to read 64 KiB of an answer
}

func usualPatience() patience {
	return patience{signIn: 60 * time.Second, idle: 300 * time.Second, frame: 60 * time.Second, write: 30 * time.Second}
}

// Options say what to serve and where.
type Options struct {
	// Cluster is the hubs, over any Kafka log. Required; it stays the
	// caller's.
	Cluster *hub.Cluster
	// Namespace is the namespace of connections whose connection string
	// names no other one; "": the cluster's default namespace.
	Namespace string
	// Host is the address to listen on, 127.0.0.1 if empty; Port the port, 0
	// for a free one.
	Host string
	Port int
	// Advertise is the host:port that clients are told to connect to. "":
	// each is told the address that it has used.
	Advertise string
	// Key is the shared access key that connection strings must carry, and
	// KeyName its name ("": any). With no Key every key is accepted.
	Key, KeyName string
	// TLS, if not nil, is offered on the same port beside plain connections.
	TLS *tls.Config
	// MaxRequestBytes bounds requests; 0: MaxRequestBytes, as the service
	// does. Each connection may hold two requests of that size.
	MaxRequestBytes int
	// Log receives what an operator may need to know; nil: nobody does.
	Log *slog.Logger
}

// Server is a running Kafka endpoint. It is safe for concurrent use.
type Server struct {
	opts      Options
	namespace *hub.Namespace
	listener  net.Listener
	log       *slog.Logger
	apis      []*api
	patience  patience
	// decoding is held while a large request is taken apart: one that lies
	// about its lengths costs many times its size for that moment.
	decoding sync.Mutex

	// ctx ends when the server is closed; done waits for everything that it
	// started.
	ctx    context.Context
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu       sync.Mutex
	conns    map[*conn]struct{}
	troubled time.Time // when trouble with the log was logged
}

// Start listens and serves until the server is closed; ctx bounds the start
// only. A port that is taken is a *connector.Unreachable.
func Start(ctx context.Context, o Options) (*Server, error) {
	return start(ctx, o, usualPatience())
}

func start(ctx context.Context, o Options, p patience) (*Server, error) {
	if o.Cluster == nil {
		return nil, errors.New("the Kafka endpoint needs a cluster of hubs")
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.MaxRequestBytes <= 0 {
		o.MaxRequestBytes = MaxRequestBytes
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Advertise != "" {
		if _, _, err := splitAddress(o.Advertise); err != nil {
			return nil, &connector.Hinted{Hint: "name a host and a port that clients can reach, such as localhost:9092",
				Err: fmt.Errorf("%q is no address to advertise: %w", o.Advertise, err)}
		}
	}
	ns := o.Cluster.Default()
	if o.Namespace != "" {
		var ok bool
		if ns, ok = o.Cluster.Namespace(o.Namespace); !ok {
			return nil, &connector.Hinted{Hint: "add it to the configuration, or serve another one",
				Err: fmt.Errorf("there is no namespace %s", o.Namespace)}
		}
	}
	addr := net.JoinHostPort(o.Host, strconv.Itoa(o.Port))
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, listenError(addr, o.Port, err)
	}
	s := &Server{opts: o, namespace: ns, listener: l, log: o.Log, apis: byKey(), patience: p, conns: map[*conn]struct{}{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.done.Go(s.accept)
	return s, nil
}

func listenError(addr string, port int, err error) error {
	if errors.Is(err, syscall.EADDRINUSE) {
		return &connector.Unreachable{What: addr, Hint: "choose another port, or stop what uses this one",
			Err: fmt.Errorf("port %d is taken", port)}
	}
	return &connector.Unreachable{What: addr, Hint: "choose an address of this machine and a port above 1023", Err: err}
}

func splitAddress(addr string) (host string, port int32, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil || host == "" {
		return "", 0, fmt.Errorf("%q is not host:port", addr)
	}
	return host, int32(n), nil
}

// Address is where the server listens, host:port.
func (s *Server) Address() string { return s.listener.Addr().String() }

// Close stops listening, cuts all connections off, and returns when nothing of
// the server runs any more.
func (s *Server) Close() error {
	s.cancel()
	err := s.listener.Close()
	s.mu.Lock()
	for c := range s.conns {
		_ = c.raw.Close()
	}
	s.mu.Unlock()
	s.done.Wait()
	if errors.Is(err, net.ErrClosed) {
		err = nil // closed before
	}
	return err
}

// accept takes connections until the listener is closed.
func (s *Server) accept() {
	for {
		raw, err := s.listener.Accept()
		if err != nil {
			if s.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			// Out of file descriptors, most likely: others may end soon.
			s.log.Warn("the Kafka endpoint cannot accept a connection", "error", err)
			select {
			case <-time.After(100 * time.Millisecond):
				continue
			case <-s.ctx.Done():
				return
			}
		}
		c := s.add(raw)
		if c == nil {
			_ = raw.Close()
			continue
		}
		s.done.Go(func() {
			defer s.remove(c)
			c.serve()
		})
	}
}

// add notes a new connection, or returns nil if there are too many or the
// server is being closed.
func (s *Server) add(raw net.Conn) *conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() != nil {
		return nil
	}
	if len(s.conns) >= maxConnections {
		s.log.Warn("the Kafka endpoint refuses a connection: too many are open", "client", raw.RemoteAddr().String(), "open", len(s.conns))
		return nil
	}
	c := newConn(s, raw)
	s.conns[c] = struct{}{}
	return c
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
}

// trouble logs what went wrong with the log, once in a while: every client
// notices.
func (s *Server) trouble(key int16, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ctx.Err() == nil && time.Since(s.troubled) > 5*time.Second {
		s.troubled = time.Now()
		s.log.Warn("the Kafka endpoint gets no answer from the log", "request", kmsg.NameForKey(key), "error", err)
	}
}

// open returns how many connections there are.
func (s *Server) open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}
