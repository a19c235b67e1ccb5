// Package web is the explorer of the Cosmos DB stand-in: a page with the
// databases, containers and items, a box for queries, and the small JSON API
// behind it. It looks only; nothing here changes anything.
//
//	/                                    leads to the page
//	/_explorer/                          the page
//	/_explorer/api                       what this is, and whether a key is needed
//	/_explorer/api/databases             everything there is, without items
//	/_explorer/api/container?database=D&container=C           its settings
//	/_explorer/api/items?database=D&container=C&after=A&count=N
//	/_explorer/api/query                 POST {database, container, query, ...}
//
// The server in front keeps pages of other sites out, and asks for the account's
// key if it has one: the page signs what it asks for, as SDKs do.
package web

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"mime"
	"net/http"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"

	"millrace/connector/cosmosdb/local"
	"millrace/connector/cosmosdb/local/query"
	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/store"
)

// Path is where the page is.
const Path = "/_explorer/"

const (
	// requestTimeout bounds how long one question may take.
	requestTimeout = 30 * time.Second
	// readers is how many requests may read items at once: each may take the
	// memory of a query.
	readers = 4
	// maxBody bounds the body of a request: a query and where to go on.
	maxBody = 1 << 20
)

// Options are how the explorer is made. The zero value is ready for use.
type Options struct {
	// Log receives what an operator may need to know; nil: nobody does.
	Log *slog.Logger
}

// Handler answers the requests. It is safe for concurrent use.
type Handler struct {
	server  *local.Server
	log     *slog.Logger
	page    page
	mux     *http.ServeMux
	reading *semaphore.Weighted
}

// New makes the explorer of a server.
func New(server *local.Server, o Options) *Handler {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	h := &Handler{server: server, log: o.Log, page: newPage(), mux: http.NewServeMux(), reading: semaphore.NewWeighted(readers)}
	h.routes()
	return h
}

func (h *Handler) routes() {
	h.mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, Path, http.StatusFound)
	})
	h.mux.HandleFunc("GET "+Path+"{$}", h.page.serve)
	handle := func(pattern string, fn func(ctx context.Context, r *http.Request) (any, error)) {
		method, path, _ := strings.Cut(pattern, " ")
		h.mux.HandleFunc(method+" "+Path+path, func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithTimeout(r.Context(), requestTimeout)
			defer cancel()
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			v, err := fn(ctx, r)
			h.answer(w, r, v, err)
		})
	}
	// That a key is needed is told to everybody, so that the page can ask.
	handle("GET api", h.about)
	handle("GET api/databases", h.signed(h.databases))
	handle("GET api/container", h.signed(h.container))
	handle("GET api/items", h.signed(h.oneOfFew(h.items)))
	handle("POST api/query", h.signed(h.oneOfFew(h.query)))
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	h.mux.ServeHTTP(w, r)
}

type operation = func(ctx context.Context, r *http.Request) (any, error)

// signed lets in who knows the account's key.
func (h *Handler) signed(fn operation) operation {
	return func(ctx context.Context, r *http.Request) (any, error) {
		if err := h.server.Signed(r); err != nil {
			return nil, &refusal{http.StatusUnauthorized, err.Error()}
		}
		return fn(ctx, r)
	}
}

// oneOfFew waits for its turn among those who read items.
func (h *Handler) oneOfFew(fn operation) operation {
	return func(ctx context.Context, r *http.Request) (any, error) {
		if err := h.reading.Acquire(ctx, 1); err != nil {
			return nil, &refusal{http.StatusServiceUnavailable, "too many others are reading items at the moment"}
		}
		defer h.reading.Release(1)
		return fn(ctx, r)
	}
}

// refusal is an error with its HTTP status.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return e.text }

// problem is the answer to what failed.
type problem struct {
	Error problemText `json:"error"`
}

// problemText says what is wrong. Of a query's text it has a code, and where:
// from start up to end, in UTF-16 code units.
type problemText struct {
	Message string `json:"message"`
	Code    string `json:"code,omitempty"`
	Start   *int   `json:"start,omitempty"`
	End     *int   `json:"end,omitempty"`
}

func (h *Handler) problem(r *http.Request, err error) (int, problemText) {
	var (
		refused *refusal
		syntax  *sql.SyntaxError
		wrong   *query.Error
	)
	switch {
	case errors.As(err, &refused):
		return refused.status, problemText{Message: refused.text}
	case errors.As(err, &syntax):
		return http.StatusBadRequest, problemText{Message: syntax.Message, Code: syntax.Code, Start: &syntax.Start, End: &syntax.End}
	case errors.As(err, &wrong):
		return http.StatusBadRequest, problemText{Message: wrong.Message}
	case errors.Is(err, local.ErrNotFound), errors.Is(err, store.ErrGone):
		return http.StatusNotFound, problemText{Message: err.Error()}
	case errors.Is(err, store.ErrInvalid):
		return http.StatusBadRequest, problemText{Message: err.Error()}
	case errors.Is(err, context.DeadlineExceeded):
		return http.StatusGatewayTimeout, problemText{Message: "it took longer than " + requestTimeout.String() + " and was given up"}
	case errors.Is(err, store.ErrClosed):
		return http.StatusServiceUnavailable, problemText{Message: "the server is stopping"}
	}
	if r.Context().Err() == nil {
		h.log.Warn("the explorer could not answer a request", "path", r.URL.Path, "error", err)
	}
	return http.StatusInternalServerError, problemText{Message: err.Error()}
}

// answer writes a value or an error as JSON.
func (h *Handler) answer(w http.ResponseWriter, r *http.Request, v any, err error) {
	status := http.StatusOK
	if err != nil {
		var text problemText
		status, text = h.problem(r, err)
		v = problem{text}
	}
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(body) // the page is gone: nothing to do about it
}

// isJSON tells whether the body is said to be JSON, which forms of other sites
// cannot send.
func isJSON(r *http.Request) bool {
	mediaType, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return mediaType == "application/json"
}
