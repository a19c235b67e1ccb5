package eventhubs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"github.com/Azure/go-amqp"
)

// fault is what an error of the SDK asks for.
type fault int

const (
	// passing: the connection was lost, or the service has a bad moment.
	passing fault = iota
	// busy: the service throttles.
	busy
	// stolen: another receiver has taken the partition.
	stolen
	// oversized: the message is larger than the service takes.
	oversized
	// crowded: a quota of the service is used up, which others may free.
	crowded
	// missing: there is no such hub, group or partition.
	missing
	// unauthorized: the key is wrong, or lacks a right.
	unauthorized
	// refused: anything else that repeating cannot mend.
	refused
)

// Conditions of the service's own.
const (
	condBusy       = amqp.ErrCond("com.microsoft:server-busy")
	condArgument   = amqp.ErrCond("com.microsoft:argument-error")
	condOutOfRange = amqp.ErrCond("com.microsoft:argument-out-of-range")
	condDisabled   = amqp.ErrCond("com.microsoft:entity-disabled")
)

// faultOf classifies an error. The SDK wraps some errors so that only a code
// and a text are left of them.
func faultOf(err error) fault {
	var (
		sdk *azeventhubs.Error
		rpc interface{ RPCCode() int }
	)
	if errors.As(err, &sdk) {
		switch sdk.Code {
		case azeventhubs.ErrorCodeOwnershipLost:
			return stolen
		case azeventhubs.ErrorCodeUnauthorizedAccess:
			return unauthorized
		}
		return passing
	}
	switch condition(err) {
	case condBusy:
		return busy
	case amqp.ErrCondStolen:
		return stolen
	case amqp.ErrCondMessageSizeExceeded:
		return oversized
	case amqp.ErrCondResourceLimitExceeded:
		return crowded
	case amqp.ErrCondNotFound, condOutOfRange:
		return missing
	case amqp.ErrCondUnauthorizedAccess:
		return unauthorized
	case condDisabled, amqp.ErrCondNotAllowed:
		return refused
	}
	if errors.As(err, &rpc) {
		switch rpc.RPCCode() {
		case http.StatusNotFound:
			return missing
		case http.StatusUnauthorized, http.StatusForbidden:
			return unauthorized
		case http.StatusServiceUnavailable:
			return busy
		case http.StatusBadRequest:
			return refused
		}
	}
	var cert *tls.CertificateVerificationError
	var auth *azidentity.AuthenticationFailedError
	if errors.As(err, &cert) || errors.As(err, &auth) {
		return refused
	}
	return passing
}

func condition(err error) amqp.ErrCond {
	var a *amqp.Error
	if errors.As(err, &a) {
		return a.Condition
	}
	return ""
}

// lasting tells faults that repeating cannot mend.
func (f fault) lasting() bool { return f >= missing }

// beyondEnd tells a position that the service does not have yet. The SDK keeps
// only the text of this one.
func beyondEnd(err error) bool { return strings.Contains(err.Error(), string(condArgument)) }

var waitPattern = regexp.MustCompile(`(?i)wait (\d{1,3}) seconds?`)

// defaultBusyWait is what the service's clients wait when it does not say.
const defaultBusyWait = 4 * time.Second

// busyWait is how long the service asks to wait.
func busyWait(err error) time.Duration {
	if m := waitPattern.FindStringSubmatch(err.Error()); m != nil {
		n, _ := strconv.Atoi(m[1])
		return time.Duration(n) * time.Second
	}
	return defaultBusyWait
}

// backoff is how long to wait before the nth retry, with jitter.
func backoff(n int) time.Duration {
	d := min(50*time.Millisecond<<min(max(n-1, 0), 6), 2*time.Second)
	return d/2 + rand.N(d)
}

// sleep waits, or returns early when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// repeat runs an administrative step until it succeeds, fails for good, or
// adminTimeout is over. Before the service was reached for the first time
// nothing is repeated: a wrong address must show at once.
func (e *endpoint) repeat(ctx context.Context, doing string, step func(context.Context) error) error {
	limit := adminTimeout
	if !e.reached.Load() {
		limit = reachTimeout
	}
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for n := 1; ; n++ {
		err := step(within)
		switch {
		case err == nil:
			e.reached.Store(true)
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%s: %w", doing, ctx.Err())
		case within.Err() != nil, faultOf(err).lasting(), !e.reached.Load() && faultOf(err) != busy, errors.Is(err, errClosed):
			return e.explain(err, doing)
		case faultOf(err) == busy:
			sleep(within, max(backoff(n), min(busyWait(err), time.Second)))
		default:
			e.log.Debug("Event Hubs: repeating after a failure", "while", doing, "error", err)
			sleep(within, backoff(n))
		}
	}
}

// explain turns an error of the SDK into one that says what to do: an
// *Unreachable or *Hinted where the user can mend it, else a plain one. doing
// completes "while ...". What passes is Retryable in addition once the service
// has been reached.
func (e *endpoint) explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	said := e.say(err, doing)
	var u *connector.Unreachable
	if e.reached.Load() && (!faultOf(err).lasting() || errors.As(said, &u)) && !errors.Is(err, context.Canceled) && !errors.Is(err, errClosed) {
		return connector.Retryable(said, 0)
	}
	return said
}

// say puts an error into words.
func (e *endpoint) say(err error, doing string) error {
	at := "Event Hubs at " + e.host
	hinted := func(hint, format string, args ...any) error {
		return &connector.Hinted{Hint: hint, Err: &plainError{fmt.Sprintf(format, args...), err}}
	}
	switch faultOf(err) {
	case unauthorized:
		return hinted(e.credentialHint(), "%s refuses the %s: %s (%s)", at, e.credentialName(), doing, detail(err))
	case missing:
		return hinted("check the name; EVENTHUBS_CONNECTION_STRING must be of the namespace that has it", "%s: %s: it does not exist (%s)", at, doing, detail(err))
	case crowded:
		return hinted("close other readers, or use a consumer group of your own", "%s: %s: a quota is used up (%s)", at, doing, detail(err))
	case stolen:
		return hinted("it belongs to another reader of the same consumer group", "%s: %s: another reader has taken it (%s)", at, doing, detail(err))
	case busy:
		return hinted("raise the namespace's throughput units, or send less", "%s: %s: the service throttles (%s)", at, doing, detail(err))
	}
	if cause, hint := e.network(err); cause != "" {
		return &connector.Unreachable{What: at, Hint: hint, Err: &plainError{cause, err}}
	}
	return fmt.Errorf("%s: %s: %w", at, doing, err)
}

// network names what keeps the service from being reached. The SDK hides some
// causes behind a text, so the text counts as well.
func (e *endpoint) network(err error) (cause, hint string) {
	var (
		dns   *net.DNSError
		errno syscall.Errno
		cert  *tls.CertificateVerificationError
		netOp net.Error
		auth  *azidentity.AuthenticationFailedError
	)
	text := err.Error()
	has := func(parts ...string) bool {
		for _, p := range parts {
			if strings.Contains(text, p) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &auth):
		return "Entra ID gives no token", "run az login, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"
	case errors.As(err, &cert), has("x509:", "tls: failed to verify"):
		return "its certificate is not trusted", "set tls.caFile to the authority's certificate"
	case has("first record does not look like a TLS handshake"):
		return "it does not speak TLS on this port", "add UseDevelopmentEmulator=true to the connection string of a local service"
	case errors.As(err, &dns), has("no such host"):
		return "no such host", "check Endpoint in EVENTHUBS_CONNECTION_STRING"
	case !e.reached.Load() && !e.emulator && hungUp(err):
		return "it closed the connection at once", "a local service without TLS needs UseDevelopmentEmulator=true in the connection string"
	case errors.As(err, &errno):
		return errno.Error(), "is it running? " + e.where()
	case has("connection refused"):
		return "connection refused", "is it running? " + e.where()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netOp) && netOp.Timeout(), has("deadline exceeded", "i/o timeout"):
		return "no answer in time", "is it running, and is there a firewall between? webSockets: true goes through port 443; " + e.where()
	case hungUp(err), has("unexpected protocol version", "amqp: connection closed", "amqp:connection:forced"):
		return "it closed the connection", "is it an Event Hubs endpoint (port 5671, or 5672 of a local service)? " + e.where()
	}
	return "", ""
}

// hungUp tells that the other side closed the connection.
func hungUp(err error) bool {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
		return true
	}
	text := err.Error()
	return strings.Contains(text, "EOF") || strings.Contains(text, "connection reset") || strings.Contains(text, "broken pipe") ||
		strings.Contains(text, "use of closed network connection")
}

func (e *endpoint) where() string { return "EVENTHUBS_CONNECTION_STRING points at " + e.host }

func (e *endpoint) credentialName() string {
	switch {
	case e.connection == "":
		return "identity"
	case e.signature != "":
		return "shared access signature"
	}
	return "key of " + e.keyName
}

func (e *endpoint) credentialHint() string {
	if e.connection == "" {
		return "give the identity the roles Azure Event Hubs Data Sender and Data Receiver"
	}
	return "check EVENTHUBS_CONNECTION_STRING; the policy needs Send and Listen, and Manage to create hubs"
}

// detail is the service's own words, short enough for a line.
func detail(err error) string {
	var a *amqp.Error
	text := err.Error()
	if errors.As(err, &a) && a.Description != "" {
		text = a.Description
	}
	text = strings.Join(strings.Fields(text), " ")
	if _, said, ok := strings.Cut(text, " and description: "); ok && strings.HasPrefix(text, "rpc: failed, status code ") {
		text = said // the number says less than what follows
	}
	if r := []rune(text); len(r) > 200 {
		text = string(r[:200]) + "..."
	}
	return text
}

// plainError says what err means in plain words and keeps err for errors.Is.
type plainError struct {
	text string
	err  error
}

func (e *plainError) Error() string { return e.text }
func (e *plainError) Unwrap() error { return e.err }
