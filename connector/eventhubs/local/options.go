package local

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"millrace/connector/eventhubs/local/hub"
)

// DefaultKeyName is the name of the shared access key if Options name none: the
// one that every namespace of the service has.
const DefaultKeyName = "RootManageSharedAccessKey"

// anyKey stands in connection strings where any key is accepted; SDKs want one.
const anyKey = "SAS_KEY_VALUE"

// Options says how to run the endpoint.
type Options struct {
	// Cluster holds the namespaces and hubs. Required. The caller closes it,
	// after the Server.
	Cluster *hub.Cluster
	// Host is the address to listen on, 127.0.0.1 if empty.
	Host string
	// Port is the port to listen on; 0 chooses a free one.
	Port int
	// NamespacePorts are further ports, each of which belongs to the
	// namespace named; 0 chooses a free one. On Port, a connection belongs
	// to the namespace that its host name begins with, else to the first.
	NamespacePorts map[string]int
	// Key, if set, must have signed every token; "" accepts any token, and
	// clients that send none.
	Key string
	// KeyName is the name of Key, DefaultKeyName if empty.
	KeyName string
	// TLS, if set, is used for connections that begin with a TLS handshake,
	// on the same ports.
	TLS *tls.Config
	// MaxConnections is how many AMQP connections a namespace takes; those
	// beyond are opened and closed with amqp:resource-limit-exceeded. 5000 if
	// 0, as the service has it.
	MaxConnections int
	// HTTP answers requests on the same ports that are HTTP but do not open
	// a WebSocket for AMQP; nil answers them with "not found". The namespace
	// of the port is in their context, see NamespaceOf.
	HTTP http.Handler
	// Timing changes the service's waiting times; the zero value keeps them.
	Timing Timing
	// Log receives what an operator may need to know; nil: nobody does.
	Log *slog.Logger
}

// Timing are the waiting times of the endpoint. Zero values are replaced by
// those of the service.
type Timing struct {
	// Handshake is how long a connection may take to be opened: 60 s.
	Handshake time.Duration
	// IdleTimeout is the idle-time-out told to clients: a connection that is
	// silent for twice as long is closed. 120 s.
	IdleTimeout time.Duration
	// Heartbeat is how often an otherwise silent connection sends an empty
	// frame at least, if the client does not ask for more: 15 s.
	Heartbeat time.Duration
	// NoLinks is how long a connection may stay without ever having had a
	// link: 60 s. AfterLinks is how long after its last link has gone: 5 min.
	NoLinks, AfterLinks time.Duration
	// IdleLink is how long a link may stay without traffic: 30 min.
	IdleLink time.Duration
	// Write is how long a client may take to read what is written at once,
	// up to a few hundred KB: 60 s.
	Write time.Duration
	// Lookup is how long questions to the log may take, such as whether a
	// hub exists: 15 s.
	Lookup time.Duration
	// Close is how long Close waits for the log to acknowledge what it has
	// been given: 10 s.
	Close time.Duration
}

func (t *Timing) defaults() {
	for _, d := range []struct {
		v *time.Duration
		d time.Duration
	}{
		{&t.Handshake, time.Minute}, {&t.IdleTimeout, 2 * time.Minute}, {&t.Heartbeat, 15 * time.Second},
		{&t.NoLinks, time.Minute}, {&t.AfterLinks, 5 * time.Minute}, {&t.IdleLink, 30 * time.Minute},
		{&t.Write, time.Minute}, {&t.Lookup, 15 * time.Second}, {&t.Close, 10 * time.Second},
	} {
		if *d.v <= 0 {
			*d.v = d.d
		}
	}
}

func (o *Options) defaults() error {
	if o.Cluster == nil {
		return errors.New("the Event Hubs endpoint needs a cluster of hubs")
	}
	if len(o.Cluster.Namespaces()) == 0 {
		return errors.New("the Event Hubs endpoint needs at least one namespace")
	}
	if o.Port < 0 || o.Port > 65535 {
		return fmt.Errorf("%d is not a port", o.Port)
	}
	for name, port := range o.NamespacePorts {
		if _, ok := o.Cluster.Namespace(name); !ok {
			return fmt.Errorf("port %d is for namespace %q, which does not exist", port, name)
		}
		if port < 0 || port > 65535 {
			return fmt.Errorf("%d is not a port", port)
		}
	}
	if o.Host == "" {
		o.Host = "127.0.0.1"
	}
	if o.KeyName == "" {
		o.KeyName = DefaultKeyName
	}
	if o.MaxConnections <= 0 {
		o.MaxConnections = 5000
	}
	if o.HTTP == nil {
		o.HTTP = http.NotFoundHandler()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.Timing.defaults()
	return nil
}
