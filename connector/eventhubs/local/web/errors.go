package web

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"
)

// refusal is an error with its HTTP status.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

func invalid(format string, args ...any) error {
	return &refusal{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &refusal{http.StatusNotFound, fmt.Sprintf(format, args...)}
}

// statusOf is the HTTP status for an error of the hubs.
func statusOf(err error) int {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r.status
	case errors.Is(err, hub.ErrNotFound):
		return http.StatusNotFound
	case errors.Is(err, hub.ErrExists):
		return http.StatusConflict
	case errors.Is(err, hub.ErrTooLarge):
		return http.StatusRequestEntityTooLarge
	case errors.Is(err, hub.ErrInvalid), errors.Is(err, hub.ErrOutOfRange):
		return http.StatusBadRequest
	case errors.Is(err, hub.ErrClosed):
		return http.StatusServiceUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout
	case connector.ActionOf(err) == connector.Retry:
		return http.StatusServiceUnavailable // the log is away
	}
	return http.StatusInternalServerError
}

// subCodes are the service's own words for its statuses.
var subCodes = map[int]string{
	http.StatusBadRequest:            "SubCode=40000. Bad Request.",
	http.StatusNotFound:              "SubCode=40400. Not Found.",
	http.StatusConflict:              "SubCode=40900. Conflict.",
	http.StatusRequestEntityTooLarge: "SubCode=41300. Request Entity Too Large.",
}

// failed logs what is not the client's doing.
func (h *Handler) failed(r *http.Request, status int, err error) {
	if r.Context().Err() == nil && (status == http.StatusInternalServerError || connector.ActionOf(err) == connector.Retry) {
		h.o.Log.Warn("a request failed", "method", r.Method, "path", r.URL.Path, "error", err)
	}
}

// refuse answers a management request that failed.
func (h *Handler) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status := statusOf(err)
	h.failed(r, status, err)
	writeError(w, r, status, strings.TrimSpace(subCodes[status]+" "+sentence(err.Error())))
}

// sentence makes text one.
func sentence(s string) string {
	if s == "" || strings.HasSuffix(s, ".") {
		return s
	}
	return s + "."
}

// clip keeps what a client sent from filling logs and answers.
func clip(s string, n int) string {
	if len(s) > n {
		return s[:n] + "..."
	}
	return s
}

// newID is a random id for support to look for.
func newID() string { return strings.ToLower(rand.Text()) }
