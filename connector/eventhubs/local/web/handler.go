// Package web answers HTTP in front of the entities of Event Hubs: the
// service's own management API (Atom entries), sending events over HTTP, the
// health check of the official emulator, and an explorer page with the small
// JSON API behind it.
//
//	/health                              health check
//	/                                    the explorer
//	/api/...                             its JSON API (api.go)
//	/$Resources/EventHubs                list of hubs (hubs.go)
//	/HUB                                 create, get, delete (hubs.go)
//	/HUB/consumergroups[/GROUP]          list, create, get, delete (groups.go)
//	/HUB[/consumergroups/GROUP]/partitions[/N]  runtime information (partitions.go)
//	/HUB[/partitions/N|/publishers/P]/messages  send (messages.go)
//
// A request with an api-version is one for the management API, so that a hub
// may be called "api" or "health".
package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/sas"
)

// requestTimeout bounds how long a request may work on the log.
const requestTimeout = 30 * time.Second

// Options says what to serve.
type Options struct {
	Cluster *hub.Cluster
	// Key is the shared access key that requests must be signed with, named
	// KeyName (any if empty). With no key everybody is let in.
	Key, KeyName string
	// NamespaceOf names the namespace of the port that a request came by, ""
	// for the default one, from the request's context. It decides if the Host
	// header does not. Nil: always the default.
	NamespaceOf func(context.Context) string
	// Hosts are names under which this machine is reached by, besides
	// loopback addresses, names without dots and those of the service.
	Hosts []string
	// Endpoints are how clients reach a namespace; nil: unknown.
	Endpoints func(namespace string) Endpoints
	// Progress tells how far the readers of a hub have come, by any means
	// besides Kafka's own groups; nil: nothing else is known.
	Progress func(ctx context.Context, namespace, hub string) ([]Progress, error)
	// NoCapture says that hubs cannot be captured here.
	NoCapture bool
	// Log receives what an operator may need to know; nil: nobody does.
	Log *slog.Logger
}

// Endpoints are the addresses of one namespace for clients, without keys.
type Endpoints struct {
	// AMQP is a connection string, Kafka a bootstrap server (host:port),
	// HTTP a URL. Empty: there is none.
	AMQP  string `json:"amqp,omitempty"`
	Kafka string `json:"kafka,omitempty"`
	HTTP  string `json:"http,omitempty"`
}

// Handler answers the requests. It is safe for concurrent use.
type Handler struct {
	o      Options
	origin *http.CrossOriginProtection
	page   page
	mux    *http.ServeMux // the JSON API
	log    *kgo.Client    // of the log behind, for its groups
}

// New makes a handler. Its owner closes it.
func New(o Options) (*Handler, error) {
	if o.Cluster == nil {
		return nil, errors.New("the HTTP endpoint needs a cluster")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p, err := newPage()
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(o.Cluster.Brokers()...), kgo.ClientID("millrace"),
		kgo.DisableClientMetrics()}, o.Cluster.ClientOptions()...)...)
	if err != nil {
		return nil, fmt.Errorf("setting up a client of the log: %w", err)
	}
	h := &Handler{o: o, origin: http.NewCrossOriginProtection(), page: p, log: client}
	h.mux = h.routes()
	return h, nil
}

// Close lets go of the log. No request may be under way.
func (h *Handler) Close() error {
	h.log.Close()
	return nil
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	if !h.ownHost(r) {
		http.Error(w, "this address is not known here under the name "+clip(r.Host, 100), http.StatusMisdirectedRequest)
		return
	}
	// Pages of other sites can make a browser send requests here; they say
	// where they come from.
	if err := h.origin.Check(r); err != nil {
		http.Error(w, "requests from other sites are refused", http.StatusForbidden)
		return
	}
	path := r.URL.Path
	switch manage := r.URL.Query().Has("api-version"); {
	case !manage && path == "/health":
		h.health(w, r)
	case !manage && (path == "/api" || strings.HasPrefix(path, "/api/")):
		h.api(w, r)
	case path == "/":
		h.page.serve(w, r)
	case !manage && path == "/favicon.ico":
		w.WriteHeader(http.StatusNoContent)
	default:
		h.manage(w, r)
	}
}

// health answers as the official emulator does: healthy while the log behind
// the hubs answers.
func (h *Handler) health(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if err := h.log.Ping(ctx); err != nil {
		h.o.Log.Warn("the log does not answer", "error", err)
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = w.Write([]byte(`{"status":"unhealthy","message":"Service is unhealthy."}`))
		return
	}
	_, _ = w.Write([]byte(`{"status":"healthy","message":"Service is healthy."}`))
}

// ownHost refuses names that may belong to somebody else when the request came
// by a loopback address: a web site may let its own name point there, and its
// pages would then be of the same origin as this server.
func (h *Handler) ownHost(r *http.Request) bool {
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		if tcp, ok := a.(*net.TCPAddr); ok && !tcp.IP.IsLoopback() {
			return true
		}
	}
	name := strings.TrimSuffix(hostName(r.Host), ".")
	if ip := net.ParseIP(name); ip != nil {
		return ip.IsLoopback()
	}
	if name == "" || !strings.Contains(name, ".") || strings.HasSuffix(name, ".localhost") || strings.HasSuffix(name, ".servicebus.windows.net") {
		return true
	}
	for _, own := range h.o.Hosts {
		if strings.EqualFold(own, name) {
			return true
		}
	}
	return false
}

// hostName is the host of a Host header, in lower case, without port and
// brackets.
func hostName(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	return strings.ToLower(strings.Trim(host, "[]"))
}

// namespace is the one that a request is for: the one that the host's first
// label names, or the one of the port, or the default one.
func (h *Handler) namespace(r *http.Request) *hub.Namespace {
	label, _, _ := strings.Cut(hostName(r.Host), ".")
	names := []string{label}
	if h.o.NamespaceOf != nil {
		names = append(names, h.o.NamespaceOf(r.Context()))
	}
	for _, name := range names {
		if ns, ok := h.o.Cluster.Namespace(name); ok {
			return ns
		}
	}
	return h.o.Cluster.Default()
}

// allowed checks the Authorization header if a key is configured. The error is
// what the service says.
func (h *Handler) allowed(r *http.Request) error {
	if h.o.Key == "" {
		return nil
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return errors.New("MissingToken: The authorization header was not found")
	}
	token, err := sas.Verify(header, h.o.KeyName, h.o.Key, time.Now())
	switch {
	case errors.Is(err, sas.ErrExpired):
		return errors.New("ExpiredToken: The token has expired")
	case errors.Is(err, sas.ErrSignature):
		return errors.New("InvalidSignature: The token has an invalid signature")
	case err != nil:
		return errors.New("MalformedToken: The provided token is not a shared access signature")
	case !token.Covers(r.URL.Path):
		return errors.New("InvalidAudience: The authorization header contains a token for another resource")
	}
	return nil
}

// manage answers the service's own API.
func (h *Handler) manage(w http.ResponseWriter, r *http.Request) {
	if err := h.allowed(r); err != nil {
		writeError(w, r, http.StatusUnauthorized, sentence(err.Error()))
		return
	}
	parts, err := segments(r.URL.EscapedPath())
	if err != nil {
		h.refuse(w, r, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
	defer cancel()
	q := &request{h: h, w: w, r: r, ctx: ctx, ns: h.namespace(r)}
	if err := q.route(parts); err != nil {
		h.refuse(w, r, err)
	}
}

// segments are the parts of a path, unescaped, without empty ones.
func segments(path string) ([]string, error) {
	var out []string
	for s := range strings.SplitSeq(path, "/") {
		if s == "" {
			continue
		}
		plain, err := url.PathUnescape(s)
		if err != nil {
			return nil, invalid("%q is not escaped as paths are", clip(s, 100))
		}
		out = append(out, plain)
	}
	return out, nil
}

// request is one of the management API.
type request struct {
	h   *Handler
	w   http.ResponseWriter
	r   *http.Request
	ctx context.Context
	ns  *hub.Namespace
}

// route finds the operation of a path.
func (q *request) route(parts []string) error {
	is := func(i int, name string) bool { return i < len(parts) && strings.EqualFold(parts[i], name) }
	switch n := len(parts); {
	case n == 2 && is(0, "$Resources") && is(1, "EventHubs"):
		return q.method(map[string]func() error{http.MethodGet: q.listHubs})
	case n == 0 || strings.HasPrefix(parts[0], "$"):
		return notFound("there is nothing at %s", clip(q.r.URL.Path, 100))
	case n == 1:
		return q.method(q.hubOperations(parts[0]))
	case n == 2 && is(1, "consumergroups"):
		return q.method(map[string]func() error{http.MethodGet: func() error { return q.listGroups(parts[0]) }})
	case n == 3 && is(1, "consumergroups"):
		return q.method(q.groupOperations(parts[0], parts[2]))
	case n == 2 && is(1, "partitions"):
		return q.method(map[string]func() error{http.MethodGet: func() error { return q.listPartitions(parts[0], "") }})
	case n == 3 && is(1, "partitions"):
		return q.method(map[string]func() error{http.MethodGet: func() error { return q.getPartition(parts[0], "", parts[2]) }})
	case n == 4 && is(1, "consumergroups") && is(3, "partitions"):
		return q.method(map[string]func() error{http.MethodGet: func() error { return q.listPartitions(parts[0], parts[2]) }})
	case n == 5 && is(1, "consumergroups") && is(3, "partitions"):
		return q.method(map[string]func() error{http.MethodGet: func() error { return q.getPartition(parts[0], parts[2], parts[4]) }})
	case n == 2 && is(1, "messages"):
		return q.method(map[string]func() error{http.MethodPost: func() error { return q.send(parts[0], "", "") }})
	case n == 4 && is(1, "partitions") && is(3, "messages"):
		return q.method(map[string]func() error{http.MethodPost: func() error { return q.send(parts[0], parts[2], "") }})
	case n == 4 && is(1, "publishers") && is(3, "messages"):
		return q.method(map[string]func() error{http.MethodPost: func() error { return q.send(parts[0], "", parts[2]) }})
	}
	return notFound("there is nothing at %s", clip(q.r.URL.Path, 100))
}

// method runs the operation of the request's method.
func (q *request) method(operations map[string]func() error) error {
	name := q.r.Method
	if name == http.MethodHead {
		name = http.MethodGet
	}
	if do := operations[name]; do != nil {
		return do()
	}
	for name := range operations {
		q.w.Header().Add("Allow", name)
	}
	return &refusal{http.StatusMethodNotAllowed, "The specified HTTP verb (" + clip(q.r.Method, 20) + ") is not valid."}
}
