package cosmosdb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// address is what a connection string says.
type address struct {
	endpoint *url.URL
	key      string
}

// parseConnectionString reads AccountEndpoint and AccountKey, in any order and
// among other parts. The SDK's own reader takes these two in this order only.
// Its errors never show what it read.
func parseConnectionString(s string) (address, error) {
	hinted := func(text string) (address, error) {
		return address{}, &connector.Hinted{Err: errors.New(text),
			Hint: "copy it from the account's page Keys; it reads AccountEndpoint=https://...;AccountKey=...;"}
	}
	var a address
	for part := range strings.SplitSeq(s, ";") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		switch {
		case name == "":
		case !ok:
			return hinted("it is not a connection string of Cosmos DB")
		case strings.EqualFold(name, "AccountEndpoint"):
			u, err := url.Parse(value)
			if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil {
				return hinted("its AccountEndpoint is not an http or https address")
			}
			a.endpoint = u
		case strings.EqualFold(name, "AccountKey"):
			if _, err := base64.StdEncoding.DecodeString(value); err != nil || value == "" {
				return hinted("its AccountKey is not a key (base64)")
			}
			a.key = value
		}
	}
	if a.endpoint == nil {
		return hinted("it has no AccountEndpoint")
	}
	if a.key == "" {
		return hinted("it has no AccountKey")
	}
	return a, nil
}

// account is one Cosmos DB account and the client for it.
type account struct {
	// host names the account for people.
	host string
	// entra: entered with Entra ID instead of a key.
	entra     bool
	client    *azcosmos.Client
	transport *http.Transport
	wire      *transporter
	log       *slog.Logger
	// reached is set once the service has answered and let us in: from then
	// on the address and the key are right, and what it does not answer is
	// worth repeating.
	reached atomic.Bool
}

const (
	dialTimeout = 10 * time.Second
	// answerTimeout is longer than the service itself takes for a query (5 s)
	// or a write; what takes longer has been lost on the way.
	answerTimeout = 60 * time.Second
	// wholeTimeout is for a request and all of its answer: a connection that
	// falls silent in the middle of a page of 4 MB would be waited for for ever.
	wholeTimeout = 2 * answerTimeout
)

// account makes the client; it connects when it is used.
func (c *Config) account(env connector.Env) (*account, error) {
	if c.Address() == "" {
		return nil, &connector.Hinted{Err: errors.New("no Cosmos DB account is configured"),
			Hint: "set COSMOSDB_CONNECTION_STRING in the environment, or endpoint in the solution"}
	}
	t, err := c.newTransport()
	if err != nil {
		return nil, err
	}
	a := &account{transport: t, wire: &transporter{http.Client{Transport: t, Timeout: wholeTimeout}}, log: env.Log}
	o := &azcosmos.ClientOptions{ClientOptions: azcore.ClientOptions{
		// Each answer is ours to see: the SDK's retries would hide what
		// throttled and lost requests cost, and would not be counted.
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{ApplicationID: "millrace"},
		Transport: a.wire,
	}}
	if c.ConnectionString != "" {
		addr, err := parseConnectionString(c.ConnectionString)
		if err != nil {
			return nil, fmt.Errorf("connectionString: %w", err)
		}
		a.host = addr.endpoint.Host
		o.PerRetryPolicies = []policy.Policy{&detour{key: addr.key}}
		cred, err := azcosmos.NewKeyCredential(addr.key)
		if err != nil {
			return nil, errors.New("connectionString: its AccountKey is not a key (base64)")
		}
		if a.client, err = azcosmos.NewClientWithKey(addr.endpoint.String(), cred, o); err != nil {
			return nil, fmt.Errorf("making a client for Cosmos DB at %s: %w", a.host, err)
		}
		return a, nil
	}
	return a, a.enter(c.Endpoint, o)
}

// enter makes a client that uses Entra ID.
func (a *account) enter(endpoint string, o *azcosmos.ClientOptions) error {
	u, err := url.Parse(endpoint)
	if err != nil {
		return fmt.Errorf("endpoint: %w", err)
	}
	a.host, a.entra = u.Host, true
	cred, err := azidentity.NewDefaultAzureCredential(nil)
	if err != nil {
		return &connector.Hinted{Err: fmt.Errorf("looking for an identity for Entra ID: %w", err), Hint: entraHint}
	}
	o.PerRetryPolicies = []policy.Policy{&detour{}}
	if a.client, err = azcosmos.NewClient(endpoint, cred, o); err != nil {
		return fmt.Errorf("making a client for Cosmos DB at %s: %w", a.host, err)
	}
	return nil
}

const entraHint = "run az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"

// newTransport makes the connections' pool. Every request under way has a
// connection, and all of them are kept for the next ones. Documents are not
// compressed: what that costs is more than what it saves near the service.
func (c *Config) newTransport() (*http.Transport, error) {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}).DialContext,
		MaxIdleConnsPerHost:   c.Concurrency + scanReaders,
		IdleConnTimeout:       90 * time.Second,
		TLSHandshakeTimeout:   dialTimeout,
		ResponseHeaderTimeout: answerTimeout,
		ExpectContinueTimeout: time.Second,
		DisableCompression:    true,
		WriteBufferSize:       64 << 10,
		ReadBufferSize:        16 << 10,
	}
	if c.TLS.CAFile == "" && !c.TLS.InsecureSkipVerify {
		return t, nil
	}
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.TLS.InsecureSkipVerify}
	if c.TLS.CAFile != "" {
		pem, err := os.ReadFile(c.TLS.CAFile)
		if err != nil {
			return nil, &connector.Hinted{Hint: "check tls.caFile", Err: fmt.Errorf("reading the certificate authority: %w", err)}
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &connector.Hinted{Hint: "check tls.caFile", Err: fmt.Errorf("%s holds no certificate (PEM)", c.TLS.CAFile)}
		}
	}
	return t, nil
}

// transporter sends requests. It keeps the kind of an error about a host's name
// from the SDK, which on seeing one would try again for two minutes without
// looking at the context.
type transporter struct{ http.Client }

func (t *transporter) Do(req *http.Request) (*http.Response, error) {
	resp, err := t.Client.Do(req)
	var dns *net.DNSError
	if err != nil && errors.As(err, &dns) {
		return resp, &unknownHost{text: dns.Error(), temporary: dns.IsTimeout || dns.IsTemporary}
	}
	return resp, err
}

// unknownHost is a net.DNSError that the SDK does not recognise.
type unknownHost struct {
	text      string
	temporary bool
}

func (e *unknownHost) Error() string { return e.text }

func (a *account) close() { a.transport.CloseIdleConnections() }

// answered notes that the service let us in.
func (a *account) answered() {
	if !a.reached.Load() {
		a.reached.Store(true)
	}
}

// within ends ctx after the time that one administrative step may take.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, adminTimeout)
}

const adminTimeout = 60 * time.Second
