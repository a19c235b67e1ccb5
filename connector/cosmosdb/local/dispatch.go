package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"

	"millrace/connector/cosmosdb/local/store"
)

const (
	// maxBody is 2 MB for an item or a batch, and room for what is around
	// them.
	maxBody = 2<<20 + 256<<10
	// smallBody is a body that may be held for every connection at once;
	// larger ones share Server.bodies.
	smallBody = 64 << 10
	// sharedBodies bounds the memory of all larger bodies.
	sharedBodies = 64 << 20
	// drain is how much of a body that is too large is still read, so that
	// the client sees the answer rather than a broken connection.
	drain = 16 << 20
	// keptBuffer is the largest buffer that is kept for later requests.
	keptBuffer = 256 << 10
)

// exchange is what one request needs, used again for later ones.
type exchange struct {
	call   call
	writer headerWriter
	read   []byte
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// ServeHTTP answers one request. It never panics and always answers.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f := s.foreign(r); f != nil {
		s.refuse(w, r, f)
		return
	}
	if s.web != nil && forBrowser(r) {
		s.web.ServeHTTP(w, r)
		return
	}
	if !s.gate.enter() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	defer s.gate.leave()
	x := exchanges.Get().(*exchange)
	c := &x.call
	c.begin(s, r)
	release := s.answer(x, r)
	if release != nil {
		defer release()
	}
	s.count(c)
	h := w.Header()
	c.writeHeaders(h, &x.writer)
	if c.closing {
		h["Connection"] = fixedClose
	}
	w.WriteHeader(c.out.status)
	if len(c.out.body) > 0 && r.Method != http.MethodHead {
		_, _ = w.Write(c.out.body) // the client is gone: nothing to do about it
	}
	x.recycle()
}

// forBrowser tells whether a request is for the pages rather than for the API.
func forBrowser(r *http.Request) bool {
	if strings.HasPrefix(r.URL.Path, "/_explorer") {
		return true
	}
	return r.Method == http.MethodGet && r.URL.Path == "/" && r.Header.Get("Authorization") == "" &&
		strings.Contains(r.Header.Get("Accept"), "text/html")
}

func (c *call) begin(s *Server, r *http.Request) {
	c.srv, c.ctx, c.now, c.verb = s, r.Context(), s.opts.Now(), r.Method
	c.out.items = -1
	c.host = s.scheme + "://" + r.Host
	if r.Host == "" {
		c.host = s.scheme + "://" + s.HostPort()
	}
	c.in.fill(r.Header)
	if len(c.in.activityID) == 0 || len(c.in.activityID) > 64 {
		c.in.activityID = newActivityID()
	}
}

// recycle gives x back for other requests. The header map of net/http does not
// outlive ServeHTTP.
func (x *exchange) recycle() {
	x.writer.reset()
	body, session, extra := x.call.out.body[:0], x.call.out.session[:0], x.call.out.extra[:0]
	if cap(body) > keptBuffer {
		body = nil
	}
	if cap(x.read) > keptBuffer {
		x.read = nil
	}
	clear(x.writer.values)
	x.call = call{}
	x.call.out.body, x.call.out.session, x.call.out.extra = body, session, extra
	exchanges.Put(x)
}

// answer fills x.call.out. release, if not nil, is to be called when the
// request's body is not needed any more.
func (s *Server) answer(x *exchange, r *http.Request) (release func()) {
	c := &x.call
	var ok bool
	if c.path, ok = parsePath(r.URL.EscapedPath()); !ok {
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

// readBody reads the body into x.read, whole.
func (s *Server) readBody(x *exchange, r *http.Request) (release func(), f *failure) {
	c, size := &x.call, r.ContentLength
	if size == 0 || r.Body == nil {
		return nil, nil
	}
	if size > maxBody {
		c.refuseBody(r)
		return nil, tooLarge()
	}
	if size < 0 || size > smallBody {
		want := max(size, smallBody)
		if size < 0 {
			want = maxBody
		}
		if err := s.bodies.Acquire(c.ctx, want); err != nil {
			c.closing = true
			return nil, &failure{status: http.StatusServiceUnavailable, message: "The server has too many large requests in progress."}
		}
		release = func() { s.bodies.Release(want) }
	}
	if cap(x.read) < int(size) {
		x.read = make([]byte, 0, max(int(size), 4<<10))
	}
	var err error
	if size > 0 {
		x.read = x.read[:size]
		_, err = io.ReadFull(r.Body, x.read)
	} else {
		x.read, err = readUpTo(r.Body, x.read[:0], maxBody)
	}
	switch {
	case errors.Is(err, errTooLarge):
		c.refuseBody(r)
		return release, tooLarge()
	case err != nil:
		c.closing = true
		return release, &failure{status: http.StatusRequestTimeout, message: "The request's body did not arrive whole."}
	}
	c.body = x.read
	return release, nil
}

// refuseBody reads a part of a body that is not wanted, so that the client gets
// to read the answer, and ends the connection.
func (c *call) refuseBody(r *http.Request) {
	c.closing = true
	_, _ = io.CopyN(io.Discard, r.Body, drain) // whatever comes of it, the answer is 413
}

var errTooLarge = fmt.Errorf("more than %d bytes", maxBody)

// readUpTo appends what is left of r to dst, or fails with errTooLarge.
func readUpTo(r io.Reader, dst []byte, limit int) ([]byte, error) {
	for {
		if len(dst) == cap(dst) {
			dst = append(dst, 0)[:len(dst)]
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		dst = dst[:len(dst)+n]
		switch {
		case len(dst) > limit:
			return dst, errTooLarge
		case errors.Is(err, io.EOF):
			return dst, nil
		case err != nil:
			return dst, err
		}
	}
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
