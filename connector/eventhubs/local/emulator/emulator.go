// Package emulator is Event Hubs in one piece: namespaces and hubs over a Kafka
// log, with the AMQP, Kafka and HTTP endpoints in front of them. It reads the
// configuration files of the official emulator, and starts and stops the parts
// in their order.
package emulator

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/capture"
	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"
	"millrace/connector/eventhubs/local/web"
)

// The ports of the official emulator.
const (
	DefaultPort      = 5672
	DefaultKafkaPort = 9092
	DefaultHTTPPort  = 5300
)

// NoPort as a port leaves an endpoint out.
const NoPort = -1

// Options say what to serve and where.
type Options struct {
	// Brokers are the Kafka cluster with the events, Client options of its
	// clients (TLS, SASL).
	Brokers []string
	Client  []kgo.Opt
	// DataDir keeps what the log cannot: consumer groups, Capture's progress.
	// "": they are kept in memory and end with the Server.
	DataDir string
	// Namespaces are those to serve; none: one with the default name.
	Namespaces []NamespaceConfig
	// Host is the address to listen on, 127.0.0.1 if empty.
	Host string
	// Port (AMQP) and KafkaPort are those of the first namespace, 0: a free
	// one. Further namespaces have the ports after it, or free ones, unless
	// their configuration names others. HTTPPort serves all namespaces.
	// KafkaPort and HTTPPort may be NoPort.
	Port, KafkaPort, HTTPPort int
	// Key, if set, is the shared access key that clients must know, KeyName
	// its name ("": RootManageSharedAccessKey).
	Key, KeyName string
	// TLS, if set, is offered on the AMQP and Kafka ports beside plain
	// connections.
	TLS *tls.Config
	// Storage opens the container of a hub's Capture; nil: hubs cannot be
	// captured. It needs a DataDir.
	Storage func(container string) (blob.Bucket, error)
	// Progress tells how far readers have come that keep their checkpoints
	// elsewhere; nil: nothing is known.
	Progress func(ctx context.Context, namespace, hub string) ([]web.Progress, error)
	// Log receives what an operator may need to know; nil: nobody does.
	Log *slog.Logger
}

// Server is a running Event Hubs. It is safe for concurrent use.
type Server struct {
	cluster   *hub.Cluster
	amqp      *local.Server
	capture   *capture.Service
	names     []string
	addresses map[string]web.Endpoints
	httpURL   string
	// ready is set when the addresses are known; requests may come before.
	ready atomic.Bool
	stops []stop
}

// stop is how one part ends.
type stop struct {
	name string
	fn   func() error
}

// Start starts all endpoints; ctx bounds the start only. It returns when clients
// are answered. Errors about ports and the log are *connector.Unreachable.
func Start(ctx context.Context, o Options) (s *Server, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if len(o.Namespaces) == 0 {
		o.Namespaces = []NamespaceConfig{{NamespaceSpec: hub.NamespaceSpec{Name: hub.DefaultNamespace}}}
	}
	s = &Server{addresses: map[string]web.Endpoints{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if err := s.openCluster(ctx, o); err != nil {
		return s, err
	}
	if err := s.startCapture(ctx, o); err != nil {
		return s, err
	}
	handler, err := web.New(web.Options{Cluster: s.cluster, Key: o.Key, KeyName: keyName(o.KeyName), NamespaceOf: local.NamespaceOf,
		Endpoints: s.endpoints, Progress: o.Progress, NoCapture: s.capture == nil, Log: o.Log})
	if err != nil {
		return s, err
	}
	s.started("the HTTP interface", handler.Close)
	if err := s.startKafka(ctx, o); err != nil {
		return s, err
	}
	if o.HTTPPort != NoPort {
		if err := s.startHTTP(ctx, o, handler); err != nil {
			return s, err
		}
	}
	return s, s.startAMQP(ctx, o, handler)
}

func keyName(name string) string {
	if name == "" {
		return local.DefaultKeyName
	}
	return name
}

func (s *Server) started(name string, fn func() error) { s.stops = append(s.stops, stop{name, fn}) }

// openCluster opens the hubs, creating those that are configured.
func (s *Server) openCluster(ctx context.Context, o Options) error {
	ho := hub.Options{Brokers: o.Brokers, Client: o.Client, Log: o.Log}
	for _, ns := range o.Namespaces {
		ho.Namespaces = append(ho.Namespaces, ns.NamespaceSpec)
		s.names = append(s.names, ns.Name)
	}
	if o.DataDir != "" {
		if err := os.MkdirAll(o.DataDir, 0o755); err != nil {
			return unwritable(o.DataDir, err)
		}
		ho.StateFile = filepath.Join(o.DataDir, "hubs.json")
	}
	var err error
	if s.cluster, err = hub.Open(ctx, ho); err != nil {
		return fmt.Errorf("opening the hubs: %w", err)
	}
	s.started("the hubs", s.cluster.Close)
	return nil
}

func unwritable(dir string, err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return &connector.Hinted{Err: fmt.Errorf("cannot use the data directory %s: %w", dir, err), Hint: "choose a writable one with --data-dir"}
}

// startCapture archives the hubs whose description says so, now or later.
func (s *Server) startCapture(ctx context.Context, o Options) error {
	if o.Storage == nil || o.DataDir == "" {
		for _, ns := range o.Namespaces {
			for _, h := range ns.Hubs {
				if h.Capture != nil && h.Capture.Enabled {
					return &connector.Hinted{Err: fmt.Errorf("hub %s is to be captured, but there is no storage", h.Name),
						Hint: "name a folder or a storage account, and a data directory"}
				}
			}
		}
		return nil
	}
	var err error
	if s.capture, err = capture.Start(ctx, capture.Options{Cluster: s.cluster, Storage: o.Storage,
		StateDir: filepath.Join(o.DataDir, "capture"), Log: o.Log}); err != nil {
		return fmt.Errorf("starting Capture: %w", err)
	}
	s.started("Capture", s.capture.Close)
	return nil
}

// portOf is the port of the i-th namespace.
func portOf(own, first, i int) int {
	switch {
	case own != 0:
		return own
	case first == 0:
		return 0
	}
	return first + i
}

func (s *Server) startKafka(ctx context.Context, o Options) error {
	if o.KafkaPort == NoPort {
		return nil
	}
	for i, ns := range o.Namespaces {
		k, err := kafkaface.Start(ctx, kafkaface.Options{Cluster: s.cluster, Namespace: ns.Name, Host: o.Host,
			Port: portOf(ns.KafkaPort, o.KafkaPort, i), Key: o.Key, KeyName: keyName(o.KeyName), TLS: o.TLS, Log: o.Log})
		if err != nil {
			return fmt.Errorf("starting the Kafka endpoint of namespace %s: %w", ns.Name, err)
		}
		s.started("the Kafka endpoint", k.Close)
		e := s.addresses[ns.Name]
		e.Kafka = reachable(k.Address())
		s.addresses[ns.Name] = e
	}
	return nil
}

// reachable is an address as a client on this machine may use it.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

func (s *Server) startHTTP(ctx context.Context, o Options, handler http.Handler) error {
	addr := net.JoinHostPort(o.Host, strconv.Itoa(o.HTTPPort))
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		if errors.Is(err, syscall.EADDRINUSE) {
			return &connector.Unreachable{What: addr, Hint: "choose another port, or stop what uses this one",
				Err: fmt.Errorf("port %d is taken", o.HTTPPort)}
		}
		return &connector.Unreachable{What: addr, Hint: "choose an address of this machine and a port above 1023", Err: err}
	}
	s.httpURL = "http://" + reachable(l.Addr().String()) + "/"
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Warn("the HTTP port is not served any more", "error", err)
		}
	}()
	s.started("the HTTP port", func() error {
		// Questions to the log take milliseconds; who takes longer is cut off.
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if server.Shutdown(ctx) != nil {
			_ = server.Close()
		}
		<-done
		return nil
	})
	return nil
}

// startAMQP comes last: who waits for this port to answer finds everything.
func (s *Server) startAMQP(ctx context.Context, o Options, handler http.Handler) error {
	ports := map[string]int{}
	for i, ns := range o.Namespaces {
		if i > 0 {
			ports[ns.Name] = portOf(ns.Port, o.Port, i)
		}
	}
	a, err := local.Start(ctx, local.Options{Cluster: s.cluster, Host: o.Host, Port: portOf(o.Namespaces[0].Port, o.Port, 0),
		NamespacePorts: ports, Key: o.Key, KeyName: keyName(o.KeyName), TLS: o.TLS, HTTP: handler, Log: o.Log})
	if err != nil {
		return fmt.Errorf("starting the AMQP endpoint: %w", err)
	}
	s.amqp = a
	s.started("the AMQP endpoint", a.Close)
	for _, name := range s.names {
		e := s.addresses[name]
		e.AMQP, e.HTTP = a.NamespaceAddress(name), s.httpURL
		s.addresses[name] = e
	}
	s.ready.Store(true)
	return nil
}

// Address implements connector.Standin: the connection string of the first
// namespace. It holds the key if there is one.
func (s *Server) Address() string { return s.amqp.Address() }

// Cluster returns the hubs.
func (s *Server) Cluster() *hub.Cluster { return s.cluster }

// HTTPAddress returns the URL of the explorer, "" if there is no HTTP port.
func (s *Server) HTTPAddress() string { return s.httpURL }

// Capture returns the service that archives hubs, nil if there is none.
func (s *Server) Capture() *capture.Service { return s.capture }

// Namespaces returns the names of all namespaces, the default one first.
func (s *Server) Namespaces() []string { return s.names }

// Endpoints returns the addresses of a namespace. The connection string holds
// the key if there is one.
func (s *Server) Endpoints(namespace string) web.Endpoints { return s.addresses[namespace] }

// endpoints is Endpoints for the explorer, which shows no key.
func (s *Server) endpoints(namespace string) web.Endpoints {
	if !s.ready.Load() {
		return web.Endpoints{}
	}
	e := s.addresses[namespace]
	e.AMQP = HideKey(e.AMQP)
	return e
}

// Close stops everything in the order opposite to the start.
func (s *Server) Close() error {
	var errs []error
	for len(s.stops) > 0 {
		last := s.stops[len(s.stops)-1]
		s.stops = s.stops[:len(s.stops)-1]
		if err := last.fn(); err != nil {
			errs = append(errs, fmt.Errorf("stopping %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}
