package cosmosdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// fault is what an error asks for.
type fault int

const (
	// passing: no answer, or the service has a bad moment.
	passing fault = iota
	// busy: the service throttles.
	busy
	// moved: the partition was split or moved; what it was called by is gone.
	moved
	// conflict: it exists already.
	conflict
	// missing: there is no such database, container or item.
	missing
	// unplanned: the query needs the client to work over several ranges.
	unplanned
	// unauthorized: the key or identity is wrong, or lacks a right.
	unauthorized
	// full: the partition key's share of the service is used up.
	full
	// unacceptable: the service does not take this, whatever is tried.
	unacceptable
	// refused: anything else that repeating cannot mend.
	refused
)

// Sub-statuses of the service.
const (
	subUnplanned    = 1004
	subWriteRegion  = 3
	subNotYet       = 1002
	subNoAccount    = 1008
	subPartitionBig = 1014
)

// faultOf classifies an error of the SDK.
func faultOf(err error) fault {
	var (
		answer    *azcore.ResponseError
		operation *operationError
		host      *unknownHost
		cert      *tls.CertificateVerificationError
		auth      *azidentity.AuthenticationFailedError
	)
	switch {
	case errors.As(err, &operation):
		return statusFault(operation.status, operation.sub)
	case errors.As(err, &answer):
		return statusFault(answer.StatusCode, subStatus(answer.RawResponse))
	case errors.As(err, &auth) && auth.RawResponse != nil && auth.RawResponse.StatusCode >= http.StatusInternalServerError:
		return passing // Entra ID has a bad moment, not this identity
	case errors.As(err, &cert), errors.As(err, &auth):
		return refused
	case errors.As(err, &host) && !host.temporary:
		return passing
	}
	return passing
}

// statusFault classifies an answer, or the answer to one operation of a batch.
func statusFault(status, sub int) fault {
	switch status {
	case http.StatusTooManyRequests:
		return busy
	case http.StatusGone:
		return moved
	case http.StatusConflict:
		return conflict
	case http.StatusNotFound:
		if sub == subNotYet {
			return passing // a replica that is behind, or a container made a moment ago
		}
		return missing
	case http.StatusUnauthorized:
		return unauthorized
	case http.StatusForbidden:
		switch sub {
		case subPartitionBig:
			return full
		case subWriteRegion, subNoAccount:
			return passing // regions are changing places
		}
		return unauthorized
	case http.StatusBadRequest:
		if sub == subUnplanned {
			return unplanned
		}
		return unacceptable
	case http.StatusRequestEntityTooLarge:
		return unacceptable
	case http.StatusRequestTimeout, 449, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return passing
	}
	return refused
}

func subStatus(r *http.Response) int {
	if r == nil {
		return 0
	}
	n, _ := strconv.Atoi(r.Header.Get("x-ms-substatus"))
	return n
}

// chargeOf is the charge that an answer names, refused or not.
func chargeOf(r *http.Response) float64 {
	if r == nil {
		return 0
	}
	f, _ := strconv.ParseFloat(r.Header.Get("x-ms-request-charge"), 64)
	return f
}

// answerOf is the service's answer that err was made of, or nil.
func answerOf(err error) *http.Response {
	var answer *azcore.ResponseError
	if errors.As(err, &answer) {
		return answer.RawResponse
	}
	return nil
}

// defaultWait is what a throttled request waits if the service does not say.
const defaultWait = 100 * time.Millisecond

// waitOf is how long the service asks to wait.
func waitOf(r *http.Response) time.Duration {
	if r != nil {
		if ms, err := strconv.ParseFloat(r.Header.Get("x-ms-retry-after-ms"), 64); err == nil && ms >= 0 {
			return time.Duration(ms * float64(time.Millisecond))
		}
		if s, err := strconv.Atoi(r.Header.Get("Retry-After")); err == nil && s >= 0 {
			return time.Duration(s) * time.Second
		}
	}
	return defaultWait
}

// backoff is how long to wait before the nth retry, with jitter.
func backoff(n int) time.Duration {
	d := min(20*time.Millisecond<<min(max(n-1, 0), 6), time.Second)
	return d/2 + rand.N(d)
}

// sleep waits, and returns the context's error if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// tries is how often what may pass is tried before the caller hears of it.
const tries = 5

// firstLook tells the error of the SDK's first look at the account, which it
// takes before the client's first request and once. It keeps only the text of
// what went wrong (v1.4.1); the next request, which goes without, shows it.
func firstLook(err error) bool {
	return err != nil && strings.HasPrefix(err.Error(), "failed to retrieve account properties")
}

// repeat runs an administrative step, or one page of a reading, until it
// succeeds, fails for good, or has been tried often enough. Throttling does not
// count as a try. Before the service was reached for the first time a
// connection that fails is not repeated: a wrong address must show at once.
func (a *account) repeat(ctx context.Context, doing string, throttled func(), step func() error) error {
	for n := 1; ; n++ {
		err := step()
		if firstLook(err) {
			err = step()
		}
		if err == nil {
			a.answered()
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", doing, context.Cause(ctx))
		}
		var wait time.Duration
		switch f := faultOf(err); {
		case f == busy:
			a.answered()
			if throttled != nil {
				throttled()
			}
			n--
			wait = waitOf(answerOf(err)) + backoff(1)
		case f == passing && n < tries && (a.reached.Load() || answerOf(err) != nil):
			a.log.Debug("Cosmos DB: repeating after a failure", "while", doing, "error", err)
			wait = backoff(n)
		default:
			return a.explain(err, doing)
		}
		if err := sleep(ctx, wait); err != nil {
			return fmt.Errorf("%s: %w", doing, err)
		}
	}
}

// explain turns an error of the SDK into one that says what to do: an
// *Unreachable or *Hinted where the user can mend it. What passes is Retryable
// in addition once the service has been reached.
func (a *account) explain(err error, doing string) error {
	if err == nil {
		return nil
	}
	f := faultOf(err)
	said := a.say(err, f, doing)
	if (f == passing || f == busy || f == moved) && (a.reached.Load() || answerOf(err) != nil) && !errors.Is(err, context.Canceled) {
		return connector.Retryable(said, 0)
	}
	return said
}

// say puts an error into words.
func (a *account) say(err error, f fault, doing string) error {
	at := "Cosmos DB at " + a.host
	hinted := func(hint, format string, args ...any) error {
		return &connector.Hinted{Hint: hint, Err: &plainError{fmt.Sprintf(format, args...), err}}
	}
	switch f {
	case unauthorized:
		return hinted(a.credentialHint(), "%s refuses the %s: %s (%s)", at, a.credentialName(), doing, detail(err))
	case missing:
		return hinted("create it with `millrace run` or step C, name the run with --run, or check serve.database and serve.container",
			"%s: %s: it does not exist (%s)", at, doing, detail(err))
	case full:
		return hinted("choose a partition key with more values: one value takes 20 GB", "%s: %s: a partition key is full (%s)", at, doing, detail(err))
	case busy:
		return hinted("raise serve.throughput, or send less", "%s: %s: the service throttles (%s)", at, doing, detail(err))
	case conflict:
		return fmt.Errorf("%s: %s: %w", at, doing, &plainError{"it conflicts with what exists (" + detail(err) + ")", err})
	}
	if answerOf(err) == nil {
		if cause, hint := a.network(err); cause != "" {
			return &connector.Unreachable{What: at, Hint: hint, Err: &plainError{cause, err}}
		}
	}
	return fmt.Errorf("%s: %s: %w", at, doing, &plainError{detail(err), err})
}

// network names what keeps the service from being reached.
func (a *account) network(err error) (cause, hint string) {
	var (
		host  *unknownHost
		errno syscall.Errno
		cert  *tls.CertificateVerificationError
		netOp net.Error
		auth  *azidentity.AuthenticationFailedError
	)
	text := err.Error()
	switch {
	case errors.As(err, &auth):
		return "Entra ID gives no token", entraHint
	case errors.As(err, &cert), strings.Contains(text, "x509:"):
		return "its certificate is not trusted", "set tls.caFile to the authority's certificate"
	case strings.Contains(text, "first record does not look like a TLS handshake"), strings.Contains(text, "server gave HTTP response to HTTPS client"):
		return "it does not speak TLS on this port", "a local service without TLS needs http:// in AccountEndpoint"
	case errors.As(err, &host):
		return "no such host", "check AccountEndpoint in COSMOSDB_CONNECTION_STRING"
	case errors.As(err, &errno):
		return errno.Error(), "is it running? " + a.where()
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &netOp) && netOp.Timeout():
		return "no answer in time", "is it running, and is there a firewall between? " + a.where()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), strings.Contains(text, "EOF"), strings.Contains(text, "connection reset"):
		return "it closed the connection", "is it a Cosmos DB endpoint? " + a.where()
	}
	return "", ""
}

func (a *account) where() string {
	if a.entra {
		return "COSMOSDB_ENDPOINT points at " + a.host
	}
	return "COSMOSDB_CONNECTION_STRING points at " + a.host
}

func (a *account) credentialName() string {
	if a.entra {
		return "identity"
	}
	return "key"
}

func (a *account) credentialHint() string {
	if a.entra {
		return "give the identity the role Cosmos DB Built-in Data Contributor; it cannot create databases and containers, a key can"
	}
	return "check COSMOSDB_CONNECTION_STRING; the key must be a read-write one, and the account's firewall must let this machine in"
}

// detail is the service's own words, short enough for a line.
func detail(err error) string {
	text := err.Error()
	var answer *azcore.ResponseError
	if errors.As(err, &answer) {
		text = fmt.Sprintf("%d", answer.StatusCode)
		if sub := subStatus(answer.RawResponse); sub != 0 {
			text += fmt.Sprintf("/%d", sub)
		}
		if said := messageOf(answer.RawResponse); said != "" {
			text += ": " + said
		}
	}
	text = strings.Join(strings.Fields(text), " ")
	if r := []rune(text); len(r) > 300 {
		text = string(r[:300]) + "..."
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
