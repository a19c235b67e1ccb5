package blob

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
)

// fail turns an error of the service, or of the way to it, into one that says
// what to do about it.
func (b *azure) fail(doing string, err error) error {
	what := doing + " " + b.Describe()
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("%s: %w", what, err)
	}
	var denied *azidentity.AuthenticationFailedError
	var resp *azcore.ResponseError
	switch {
	case errors.As(err, &denied):
		return &connector.Hinted{Hint: "sign in with `az login`, or use a connection string with a key",
			Err: fmt.Errorf("%s: Entra ID gives no token: %w", what, err)}
	case !errors.As(err, &resp):
		if _, ok := errors.AsType[interface {
			error
			NonRetriable()
		}](err); ok {
			// No credential is configured at all.
			return &connector.Hinted{Hint: "sign in with `az login`, or use a connection string with a key",
				Err: fmt.Errorf("%s: %w", what, err)}
		}
		return connector.Retryable(&connector.Unreachable{What: b.Describe(),
			Hint: "check the address in " + EnvConnectionString + " and the network", Err: err}, 0)
	}
	short := fmt.Errorf("%s: %w", what, brief(err))
	switch {
	case bloberror.HasCode(err, bloberror.BlobNotFound, bloberror.ContainerNotFound, bloberror.ResourceNotFound),
		resp.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%w: %w", short, ErrNotFound)
	case bloberror.HasCode(err, bloberror.AuthenticationFailed, bloberror.InvalidAuthenticationInfo),
		resp.StatusCode == http.StatusUnauthorized,
		// Emulators answer so to a wrong key, accounts behind a closed
		// firewall.
		!b.limited && resp.StatusCode == http.StatusForbidden:
		return &connector.Hinted{Hint: "the account does not accept the credentials or this address: check " + b.signed + ", and the account's firewall", Err: short}
	case bloberror.HasCode(err, bloberror.ContainerBeingDeleted),
		resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout, resp.StatusCode >= 500:
		return connector.Retryable(short, retryAfter(resp.RawResponse))
	case resp.StatusCode == http.StatusForbidden:
		return &connector.Hinted{Hint: "the credentials lack a right, or the account's firewall is closed; reading needs the role " +
			"Storage Blob Data Reader, writing Storage Blob Data Contributor", Err: short}
	}
	return short
}

// brief shows an error of the service in one line: the library's own text has
// about twenty, with the whole answer.
func brief(err error) error {
	var resp *azcore.ResponseError
	if !errors.As(err, &resp) {
		return err
	}
	return &serviceError{resp}
}

type serviceError struct{ *azcore.ResponseError }

func (e *serviceError) Error() string {
	if e.ErrorCode == "" {
		return "the service answered " + strconv.Itoa(e.StatusCode) + " " + http.StatusText(e.StatusCode)
	}
	return "the service answered " + strconv.Itoa(e.StatusCode) + " " + e.ErrorCode
}

func (e *serviceError) Unwrap() error { return e.ResponseError }

func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	for _, h := range []struct {
		name string
		unit time.Duration
	}{{"x-ms-retry-after-ms", time.Millisecond}, {"retry-after-ms", time.Millisecond}, {"Retry-After", time.Second}} {
		if n, err := strconv.Atoi(resp.Header.Get(h.name)); err == nil && n > 0 {
			return min(time.Duration(n)*h.unit, time.Minute)
		}
	}
	return 0
}
