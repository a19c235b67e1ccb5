package eventhubs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/coder/websocket"
)

const (
	// defaultGroup exists in every hub.
	defaultGroup = azeventhubs.DefaultConsumerGroup
	// maxGroupName is the service's limit.
	maxGroupName = 50

	// reachTimeout is how long the first use of a namespace may take before
	// it counts as unreachable.
	reachTimeout = 10 * time.Second
	// adminTimeout bounds one administrative step.
	adminTimeout = 30 * time.Second
	// closeTimeout bounds taking leave of a service that may be gone.
	closeTimeout = 3 * time.Second
)

// address is what a configuration says about where the service is.
type address struct {
	// host is the namespace's name, with a port if one is given.
	host string
	// hub is EntityPath of the connection string.
	hub string
	// emulator: plain AMQP and HTTP.
	emulator     bool
	keyName, key string
	signature    string // instead of a key
}

// parseAddress reads the connection string or the namespace. Its errors never
// show what it read.
func parseAddress(c *Config) (address, error) {
	if c.ConnectionString == "" {
		return address{host: c.Namespace}, nil
	}
	p, err := azeventhubs.ParseConnectionString(c.ConnectionString)
	if err != nil {
		return address{}, &connector.Hinted{Hint: "copy it from the namespace's shared access policies; it begins with Endpoint=sb://",
			Err: errors.New("it is not a connection string of Event Hubs")}
	}
	a := address{host: p.FullyQualifiedNamespace, emulator: p.Emulator}
	for _, f := range []struct {
		from *string
		to   *string
	}{{p.EntityPath, &a.hub}, {p.SharedAccessKeyName, &a.keyName}, {p.SharedAccessKey, &a.key}, {p.SharedAccessSignature, &a.signature}} {
		if f.from != nil {
			*f.to = *f.from
		}
	}
	return a, nil
}

// endpoint is what every client of one namespace shares.
type endpoint struct {
	address
	connection string                 // connection string without EntityPath, or ""
	credential azcore.TokenCredential // if there is no connection string
	tls        *tls.Config            // nil: the SDK's own
	websockets bool
	log        *slog.Logger
	// reached is set once the service has answered and let us in: from then
	// on the address and the key are right, and what it does not answer is
	// worth repeating.
	reached atomic.Bool
}

func (c *Config) endpoint(env connector.Env) (*endpoint, error) {
	if c.ConnectionString == "" && c.Namespace == "" {
		return nil, &connector.Hinted{Err: errors.New("no Event Hubs namespace is configured"),
			Hint: "set EVENTHUBS_CONNECTION_STRING in the environment, or namespace in the solution"}
	}
	a, err := parseAddress(c)
	if err != nil {
		return nil, fmt.Errorf("connectionString: %w", err)
	}
	e := &endpoint{address: a, websockets: c.WebSockets, log: env.Log}
	if c.ConnectionString != "" {
		e.connection = withoutEntityPath(c.ConnectionString)
	} else if e.credential, err = azidentity.NewDefaultAzureCredential(nil); err != nil {
		return nil, &connector.Hinted{Err: fmt.Errorf("looking for an identity for Entra ID: %w", err),
			Hint: "run az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"}
	}
	e.tls, err = c.TLS.client(a)
	return e, err
}

// withoutEntityPath leaves a connection string for the whole namespace, which
// is what names hubs one by one.
func withoutEntityPath(s string) string {
	var keep []string
	for part := range strings.SplitSeq(s, ";") {
		if key, _, _ := strings.Cut(part, "="); part != "" && !strings.EqualFold(strings.TrimSpace(key), "EntityPath") {
			keep = append(keep, part)
		}
	}
	return strings.Join(keep, ";")
}

func (t *TLS) client(a address) (*tls.Config, error) {
	if t.CAFile == "" && !t.InsecureSkipVerify || a.emulator {
		return nil, nil
	}
	conf := &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: t.InsecureSkipVerify} //nolint:gosec // asked for by the user
	conf.ServerName, _, _ = net.SplitHostPort(a.host)
	if conf.ServerName == "" {
		conf.ServerName = a.host
	}
	if t.CAFile != "" {
		pem, err := caFile(t.CAFile)
		if err != nil {
			return nil, err
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &connector.Hinted{Hint: "check tls.caFile", Err: fmt.Errorf("%s holds no PEM certificate", t.CAFile)}
		}
	}
	return conf, nil
}

// once tells the SDK not to repeat what failed: this package does, since it
// knows what else there is to do (count, look for lost ownership, give up).
// The SDK still mends its links and connections after a failure.
var once = azeventhubs.RetryOptions{MaxRetries: -1}

const applicationID = "millrace"

// consumer makes a client for reading with a consumer group. It does not
// connect yet. instance names it as owner of partitions; empty: anything.
func (e *endpoint) consumer(hub, group, instance string) (*azeventhubs.ConsumerClient, error) {
	o := &azeventhubs.ConsumerClientOptions{ApplicationID: applicationID, InstanceID: instance, RetryOptions: once, TLSConfig: e.tls}
	if e.websockets {
		o.NewWebSocketConn = e.dialWebSocket
	}
	var c *azeventhubs.ConsumerClient
	var err error
	if e.connection != "" {
		c, err = azeventhubs.NewConsumerClientFromConnectionString(e.connection, hub, group, o)
	} else {
		c, err = azeventhubs.NewConsumerClient(e.host, hub, group, e.credential, o)
	}
	if err != nil {
		return nil, fmt.Errorf("setting up a client for hub %s: %w", hub, err)
	}
	return c, nil
}

// producer makes a client for sending. It does not connect yet.
func (e *endpoint) producer(hub string) (*azeventhubs.ProducerClient, error) {
	o := &azeventhubs.ProducerClientOptions{ApplicationID: applicationID, RetryOptions: once, TLSConfig: e.tls}
	if e.websockets {
		o.NewWebSocketConn = e.dialWebSocket
	}
	var c *azeventhubs.ProducerClient
	var err error
	if e.connection != "" {
		c, err = azeventhubs.NewProducerClientFromConnectionString(e.connection, hub, o)
	} else {
		c, err = azeventhubs.NewProducerClient(e.host, hub, e.credential, o)
	}
	if err != nil {
		return nil, fmt.Errorf("setting up a client for hub %s: %w", hub, err)
	}
	return c, nil
}

// dialWebSocket opens the tunnel that AMQP goes through. p.Host is a URL.
func (e *endpoint) dialWebSocket(ctx context.Context, p azeventhubs.WebSocketConnParams) (net.Conn, error) {
	u, err := url.Parse(p.Host)
	if err != nil {
		return nil, err
	}
	if e.emulator {
		u.Scheme = "ws"
	}
	c, resp, err := websocket.Dial(ctx, u.String(), &websocket.DialOptions{Subprotocols: []string{"AMQPWSB10"}, HTTPClient: e.httpClient()})
	if resp != nil && resp.Body != nil {
		_ = resp.Body.Close()
	}
	if err != nil {
		return nil, err
	}
	c.SetReadLimit(-1) // frames are bounded by AMQP itself
	// The connection outlives the context that it was dialled with.
	return websocket.NetConn(context.WithoutCancel(ctx), c, websocket.MessageBinary), nil
}

// admin is a client of one hub for everything but producing and owning. It
// connects on first use.
type admin struct {
	e   *endpoint
	hub string

	mu     sync.Mutex
	groups map[string]*azeventhubs.ConsumerClient
	closed bool
}

var errClosed = errors.New("is closed")

// client returns the client that reads with a group.
func (a *admin) client(group string) (*azeventhubs.ConsumerClient, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, fmt.Errorf("hub %s at %s: %w", a.hub, a.e.host, errClosed)
	}
	if c := a.groups[group]; c != nil {
		return c, nil
	}
	c, err := a.e.consumer(a.hub, group, "")
	if err != nil {
		return nil, err
	}
	if a.groups == nil {
		a.groups = map[string]*azeventhubs.ConsumerClient{}
	}
	a.groups[group] = c
	return c, nil
}

func (a *admin) close() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	for _, c := range a.groups {
		closeClient(c)
	}
	a.groups = nil
}

// closeClient takes leave of the service, which may be gone.
func closeClient(c interface{ Close(context.Context) error }) {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = c.Close(ctx)
}

// bounded runs a call of the SDK that does not end with its context (reading a
// partition's properties waits for its answer regardless).
func bounded[T any](ctx context.Context, call func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := call()
		done <- result{v, err}
	}()
	select {
	case r := <-done:
		return r.v, r.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// properties reads the hub's partitions.
func (a *admin) properties(ctx context.Context) (azeventhubs.EventHubProperties, error) {
	c, err := a.client(defaultGroup)
	if err != nil {
		return azeventhubs.EventHubProperties{}, err
	}
	return bounded(ctx, func() (azeventhubs.EventHubProperties, error) { return c.GetEventHubProperties(ctx, nil) })
}

// extent is the range of sequence numbers that a partition has, and when and
// where the last one came.
type extent struct {
	first, end   int64
	lastEnqueued time.Time
	lastOffset   string
}

func (a *admin) extent(ctx context.Context, p int32) (extent, error) {
	c, err := a.client(defaultGroup)
	if err != nil {
		return extent{}, err
	}
	return extentOf(ctx, c, p)
}

func extentOf(ctx context.Context, c *azeventhubs.ConsumerClient, p int32) (extent, error) {
	props, err := bounded(ctx, func() (azeventhubs.PartitionProperties, error) {
		return c.GetPartitionProperties(ctx, partitionID(p), nil)
	})
	if err != nil {
		if ctx.Err() == nil && faultOf(err) == passing {
			// After this question the SDK (v2.0.2) does not mend a broken
			// link: it hides the error from itself. After a question
			// about the hub, which takes the same link, it does.
			_, _ = bounded(ctx, func() (azeventhubs.EventHubProperties, error) { return c.GetEventHubProperties(ctx, nil) })
		}
		return extent{}, err
	}
	x := extent{first: max(props.BeginningSequenceNumber, 0), end: props.LastEnqueuedSequenceNumber + 1, lastEnqueued: props.LastEnqueuedOn,
		lastOffset: props.LastEnqueuedOffset}
	if props.IsEmpty || x.first > x.end {
		x.first = x.end
	}
	return x, nil
}
