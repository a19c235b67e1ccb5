package kafka

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

const (
	mechanismPlain    = "PLAIN"
	mechanismScram256 = "SCRAM-SHA-256"
	mechanismScram512 = "SCRAM-SHA-512"

	// reachTimeout is how long the first use of a cluster may take before
	// it counts as unreachable.
	reachTimeout = 10 * time.Second
	// adminTimeout bounds one administrative step.
	adminTimeout = 30 * time.Second
)

// connection is what every client of one cluster shares.
type connection struct {
	brokers string
	// where says by which setting the brokers are named, for hints.
	where string
	user  string
	tls   bool
	opts  []kgo.Opt
	// reached is set once the cluster has answered and let us in: from then
	// on its address and our settings are right, and what it does not
	// answer is worth repeating.
	reached atomic.Bool
	// throttled counts the answers that came with a wait.
	throttled atomic.Int64
}

// OnBrokerThrottle implements kgo.HookBrokerThrottle.
func (c *connection) OnBrokerThrottle(kgo.BrokerMetadata, time.Duration, bool) { c.throttled.Add(1) }

func newConnection(brokers []string, t TLS, s SASL, maxVersion string,
	dial func(context.Context, string, string) (net.Conn, error), log *slog.Logger) (*connection, error) {
	if len(brokers) == 0 {
		return nil, &connector.Hinted{Err: errors.New("no Kafka brokers are configured"),
			Hint: "set brokers in the solution or KAFKA_BROKERS=host:port in the environment"}
	}
	c := &connection{brokers: strings.Join(brokers, ","), user: s.Username, tls: t.Enabled}
	c.where = "KAFKA_BROKERS=" + c.brokers
	if c.eventHubs() && maxVersion == "" {
		maxVersion = eventHubsVersion
	}
	c.opts = []kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("millrace"),
		kgo.WithLogger(quietLogger{log}),
		kgo.DialTimeout(5 * time.Second),
		kgo.MetadataMaxAge(time.Minute),
		// A broker that restarts is looked for again at once, not after
		// the default of five seconds.
		kgo.MetadataMinAge(250 * time.Millisecond),
		kgo.RetryBackoffFn(backoff),
		kgo.DisableClientMetrics(),
		kgo.WithHooks(c),
	}
	if c.eventHubs() {
		c.opts = append(c.opts, kgo.BrokerMaxWriteBytes(eventHubsMaxRequest))
	}
	if maxVersion != "" {
		c.opts = append(c.opts, kgo.MaxVersions(kversion.FromString(maxVersion)))
	}
	if t.Enabled {
		conf, err := t.client()
		if err != nil {
			return nil, err
		}
		c.opts = append(c.opts, kgo.DialTLSConfig(conf))
	} else if dial != nil {
		c.opts = append(c.opts, kgo.Dialer(dial))
	}
	switch mech := s.Mechanism; {
	case mech == "" && s.Username == "":
	case mech == "" || mech == mechanismPlain:
		c.opts = append(c.opts, kgo.SASL(plain.Auth{User: s.Username, Pass: s.Password}.AsMechanism()))
	case mech == mechanismScram256:
		c.opts = append(c.opts, kgo.SASL(scram.Auth{User: s.Username, Pass: s.Password}.AsSha256Mechanism()))
	case mech == mechanismScram512:
		c.opts = append(c.opts, kgo.SASL(scram.Auth{User: s.Username, Pass: s.Password}.AsSha512Mechanism()))
	default:
		return nil, fmt.Errorf("unknown SASL mechanism %q", mech)
	}
	return c, nil
}

// What the Kafka endpoint of Azure Event Hubs wants of its clients (its
// documentation's recommended configurations): it closes connections on larger
// requests, and resets those that ask for the versions of newer clients.
const (
	eventHubsUser       = "$ConnectionString"
	eventHubsMaxRequest = 1_046_528
	eventHubsMaxBatch   = 1_000_000
	eventHubsVersion    = "3.8"
)

// eventHubs tells the Kafka endpoint of Azure Event Hubs by its user's name.
func (c *connection) eventHubs() bool { return c.user == eventHubsUser }

// batches bounds the batches that a producing client sends.
func (c *connection) batches(size int64) kgo.Opt {
	if c.eventHubs() {
		size = min(size, eventHubsMaxBatch)
	}
	return kgo.ProducerBatchMaxBytes(int32(size))
}

// backoff is how long a request waits before its nth retry.
func backoff(n int) time.Duration {
	d := 100 * time.Millisecond << min(max(n-1, 0), 5)
	return min(d, 2*time.Second)
}

func (t *TLS) client() (*tls.Config, error) {
	conf := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         t.ServerName,
		InsecureSkipVerify: t.InsecureSkipVerify, //nolint:gosec // asked for by the user
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, &connector.Hinted{Hint: "check tls.caFile", Err: fmt.Errorf("reading the certificate authority: %w", err)}
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &connector.Hinted{Hint: "check tls.caFile", Err: fmt.Errorf("%s holds no PEM certificate", t.CAFile)}
		}
	}
	if t.CertFile != "" {
		pair, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, &connector.Hinted{Hint: "check tls.certFile and tls.keyFile", Err: fmt.Errorf("reading the client certificate: %w", err)}
		}
		conf.Certificates = []tls.Certificate{pair}
	}
	return conf, nil
}

// client makes a client of the cluster. It does not connect yet.
//
// A connection that ends at its first answer may mean a wrong configuration,
// and the client reports it as that. Once the cluster has been reached, it can
// only mean that the broker went away, which is worth repeating.
func (c *connection) client(opts ...kgo.Opt) (*kgo.Client, error) {
	opts = append(c.opts[:len(c.opts):len(c.opts)], opts...)
	if c.reached.Load() {
		opts = append(opts, kgo.AlwaysRetryEOF())
	}
	cl, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("setting up a Kafka client: %w", err)
	}
	return cl, nil
}

// reach fails with one clear sentence unless the cluster answers and lets us
// in.
func (c *connection) reach(ctx context.Context, cl *kgo.Client) error {
	rctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	err := cl.Ping(rctx)
	if err == nil {
		c.reached.Store(true)
		return nil
	}
	if ctx.Err() != nil {
		return fmt.Errorf("reaching Kafka at %s: %w", c.brokers, ctx.Err())
	}
	var eof *kgo.ErrFirstReadEOF
	if c.user != "" && hungUp(err) && !(errors.As(err, &eof) && c.tls) {
		// Some brokers answer a wrong password by hanging up.
		hint := "check KAFKA_USERNAME, KAFKA_PASSWORD and sasl.mechanism"
		if c.eventHubs() {
			hint = "check EVENTHUBS_CONNECTION_STRING, or the password if you have set it yourself"
		}
		return &connector.Hinted{Hint: hint,
			Err: &plainError{"Kafka at " + c.brokers + " hung up when given the user name and password of " + quoted(c.user), err}}
	}
	return c.explain(err, "reaching it")
}

// explain turns an error of the client into one that says what to do: an
// *Unreachable or *Hinted where the user can mend it, else a plain one. doing
// completes "while ...". What passes, like a broker that restarts, is Retryable
// in addition once the cluster has been reached.
func (c *connection) explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	said := c.say(err, doing)
	if c.reached.Load() && (retriable(err) || isUnreachable(said)) && !errors.Is(err, context.Canceled) {
		return connector.Retryable(said, 0)
	}
	return said
}

func isUnreachable(err error) bool {
	var u *connector.Unreachable
	return errors.As(err, &u)
}

// say puts an error into words.
func (c *connection) say(err error, doing string) error {
	at := "Kafka at " + c.brokers
	unreachable := func(cause, hint string) error {
		return &connector.Unreachable{What: at, Hint: hint, Err: &plainError{cause, err}}
	}
	hinted := func(text, hint string) error {
		return &connector.Hinted{Hint: hint, Err: &plainError{text, err}}
	}
	var (
		eof   *kgo.ErrFirstReadEOF
		dns   *net.DNSError
		errno syscall.Errno
		cert  *tls.CertificateVerificationError
		netOp net.Error
	)
	text := err.Error()
	switch {
	case errors.Is(err, kerr.SaslAuthenticationFailed) && c.eventHubs():
		return hinted(at+" refuses the connection string", "check EVENTHUBS_CONNECTION_STRING, or the password if you have set it yourself")
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return hinted(at+" refuses the user name or password of "+quoted(c.user), "check KAFKA_USERNAME and KAFKA_PASSWORD")
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return hinted(at+" does not offer the SASL mechanism", "set sasl.mechanism to PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512, whichever the cluster has")
	case errors.Is(err, kerr.IllegalSaslState):
		return hinted(at+" does not want a user name and password on this port", "unset KAFKA_USERNAME, or use the cluster's SASL port")
	case errors.Is(err, kerr.TopicAuthorizationFailed), errors.Is(err, kerr.GroupAuthorizationFailed),
		errors.Is(err, kerr.ClusterAuthorizationFailed), errors.Is(err, kerr.TransactionalIDAuthorizationFailed):
		return hinted(fmt.Sprintf("%s does not allow %s %s (%s)", at, quoted(c.user), doing, code(err)),
			"ask the cluster's owner for the right, or use another user")
	case errors.Is(err, kerr.OffsetOutOfRange):
		return hinted(doing+": the log has no such position: entries were deleted or the topic was created anew",
			"raise the topic's retention; to go on without the missing entries, use a new group and an empty store")
	case errors.As(err, &cert):
		return unreachable("its certificate is not trusted: "+cert.Err.Error(), "set tls.caFile to the authority's certificate, or tls.serverName")
	case errors.As(err, &eof) && c.tls && !c.reached.Load(), strings.Contains(text, "does not look like a TLS handshake"):
		return unreachable("it does not speak TLS on this port", "set tls.enabled: false, or use the cluster's TLS port")
	case (errors.As(err, &eof) || errors.Is(err, syscall.ECONNRESET)) && c.user == "" && !c.reached.Load():
		return unreachable("it closed the connection at once", "does it want TLS (tls.enabled: true) or a user (KAFKA_USERNAME, KAFKA_PASSWORD)?")
	case strings.Contains(text, "tls alert"), strings.Contains(text, "tls endpoint"):
		return unreachable("it speaks TLS on this port", "set tls.enabled: true and tls.caFile, or use the cluster's plain port")
	case strings.Contains(text, "invalid large response size"):
		return unreachable("what answers is not Kafka", "check the host and port in "+c.where)
	case errors.As(err, &dns):
		return unreachable("no such host "+dns.Name, "check the host in "+c.where)
	case errors.As(err, &errno):
		return unreachable(errno.Error(), "is it running? "+c.where)
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netOp) && netOp.Timeout():
		return unreachable("no answer in time", "is it running, and is there a firewall between? "+c.where)
	case hungUp(err), lostBroker(err):
		return unreachable("it closed the connection", "is it running? "+c.where)
	}
	return fmt.Errorf("%s: %s: %w", at, doing, err)
}

// hungUp tells that the other side closed the connection.
func hungUp(err error) bool {
	var eof *kgo.ErrFirstReadEOF
	return errors.Is(err, io.EOF) || errors.As(err, &eof) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// lostBroker tells the client's own, unexported errors for a connection that
// ended under a request, which it gives in place of the socket's when its
// retries are used up. No broker has said them.
func lostBroker(err error) bool {
	var k *kerr.Error
	return kgo.IsRetryableBrokerErr(err) && !errors.As(err, &k)
}

// plainError says what err means in plain words and keeps err for errors.Is.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }

func quoted(user string) string {
	if user == "" {
		return "an anonymous user"
	}
	return fmt.Sprintf("%q", user)
}

func code(err error) string {
	var k *kerr.Error
	if errors.As(err, &k) {
		return k.Message
	}
	return err.Error()
}

// quietLogger passes the client's warnings on. A broker that is away makes
// the client repeat itself, which is noise to an operator: those lines are
// kept for debugging.
type quietLogger struct{ log *slog.Logger }

func (l quietLogger) Level() kgo.LogLevel {
	if l.log == nil {
		return kgo.LogLevelNone
	}
	if l.log.Enabled(context.Background(), slog.LevelDebug) {
		return kgo.LogLevelInfo
	}
	return kgo.LogLevelNone
}

func (l quietLogger) Log(_ kgo.LogLevel, msg string, keyvals ...any) {
	l.log.Debug("kafka client: "+msg, keyvals...)
}

// isNetwork tells failures of the connection, which a later attempt may not
// meet.
func isNetwork(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}
