package local

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/valyala/fasthttp"

	"millrace/connector/cosmosdb/local/store"
)

// answer fills x.call.out. release, if not nil, is to be called when the
// request's body is not needed any more.
func (s *Server) answer(x *exchange, r *fasthttp.RequestCtx) (release func()) {
	c := &x.call
	var ok bool
	if c.path, ok = parsePath(string(r.URI().PathOriginal())); !ok {
		c.failed(&failure{status: http.StatusNotFound, message: "The requested resource path is not one of this service: it begins with /dbs or /offers."})
		return nil
	}
	c.op = operationOf(c.verb, &c.path, &c.in)
	if c.op == opNone {
		c.failed(&failure{status: http.StatusMethodNotAllowed, allow: allowed(&c.path),
			message: "The requested verb is not supported on this resource."})
		return nil
	}
	if f := s.auth.check(c); f != nil {
		c.failed(f)
		return nil
	}
	release, f := s.readBody(x, r)
	if f == nil {
		f = s.resolve(c)
	}
	if f == nil && c.in.badNumber != "" {
		f = badRequest("The value of the header %s is not a number.", c.in.badNumber)
	}
	if f != nil {
		c.failed(f)
		return release
	}
	s.handle(c)
	return release
}

// handle calls the handler, and answers for it if it fails.
func (s *Server) handle(c *call) {
	defer func() {
		if p := recover(); p != nil {
			s.opts.Log.Error("a request made the Cosmos DB server stumble", slog.Any("panic", p),
				slog.String("request", c.verb+" "+c.path.link), slog.String("stack", string(debug.Stack())))
			c.failed(internalError(c))
		}
	}()
	fn := s.table[c.op]
	if fn == nil {
		c.failed(badRequest("This operation is not supported by the server."))
		return
	}
	err := fn(c)
	if err == nil {
		return
	}
	if f := asFailure(err); f != nil {
		c.failed(f)
		return
	}
	if errors.Is(err, store.ErrGone) {
		f := notFound()
		f.substatus = subOwnerNotFound
		c.failed(f)
		return
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		c.failed(&failure{status: http.StatusRequestTimeout, message: "The request was given up before it was done."})
		return
	}
	s.opts.Log.Error("the Cosmos DB server could not answer a request", slog.Any("error", err),
		slog.String("request", c.verb+" "+c.path.link), slog.String("activity", c.in.activityID))
	c.failed(internalError(c))
}

func internalError(c *call) *failure {
	return &failure{status: http.StatusInternalServerError,
		message: "The server failed to answer; its log says why, under activity " + c.in.activityID + "."}
}

// allowed lists the verbs of a path for the header "allow".
func allowed(p *path) string {
	var verbs []string
	for _, verb := range []string{http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		if operationOf(verb, p, &headers{}) != opNone {
			verbs = append(verbs, verb)
		}
	}
	return strings.Join(verbs, ", ")
}
