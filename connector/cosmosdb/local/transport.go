package local

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/valyala/fasthttp"
)

// What lies between the network and the handlers. fasthttp reads requests and
// writes answers: net/http takes 25 microseconds of processor time more for
// each, which is as much as storing an item.

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
	// maxHeaders bounds the headers of a request: partition keys and
	// continuation tokens are in them.
	maxHeaders = 32 << 10
	// keptBuffer is the largest buffer that is kept for later requests.
	keptBuffer = 256 << 10
)

// exchange is what one request needs, used again for later ones.
type exchange struct {
	call call
	read []byte
	// value is where the values of headers are put together.
	value []byte
	// done tells that the request's body has been read, or given up.
	done bool
}

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

// serveHTTP answers one request. It never panics and always answers.
func (s *Server) serveHTTP(r *fasthttp.RequestCtx) {
	if !s.gate.enter() {
		s.refuse(r, &failure{status: http.StatusServiceUnavailable, message: "The server is being stopped."})
		return
	}
	defer s.gate.leave()
	defer func() {
		if p := recover(); p != nil {
			s.opts.Log.Error("a request made the Cosmos DB server stumble", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			s.refuse(r, &failure{status: http.StatusInternalServerError, message: "The server failed to answer; its log says why."})
		}
	}()
	if !s.fromSDK(r) && s.forPeople(r) {
		return
	}
	x := exchanges.Get().(*exchange)
	c := &x.call
	c.begin(s, r)
	release := s.answer(x, r)
	if !x.done {
		c.skipBody(r)
	}
	s.count(c)
	x.write(r)
	x.recycle()
	if release != nil {
		release()
	}
}

// fromSDK tells whether a request is surely none of a browser's: it says what
// browsers would have to ask for first, and names the server by its address.
func (s *Server) fromSDK(r *fasthttp.RequestCtx) bool {
	h := &r.Request.Header
	return len(h.Peek("Authorization")) > 0 && (!s.auth.open || string(h.Host()) == s.hostPort) &&
		!(s.web != nil && isExplorer(r.URI().PathOriginal()))
}

const explorerPath = "/_explorer"

func isExplorer[T string | []byte](path T) bool {
	return len(path) >= len(explorerPath) && string(path[:len(explorerPath)]) == explorerPath
}

// forPeople answers requests for the pages, and those that pages of other sites
// have made; false: the request is for the API.
func (s *Server) forPeople(r *fasthttp.RequestCtx) bool {
	h := &r.Request.Header
	local, _ := r.LocalAddr().(*net.TCPAddr)
	f := s.foreign(&asking{verb: string(r.Method()), host: string(h.Host()), origin: string(h.Peek("Origin")), site: string(h.Peek("Sec-Fetch-Site")),
		authorization: len(h.Peek("Authorization")) > 0, loopback: local == nil || local.IP.IsLoopback()})
	if f != nil {
		s.refuse(r, f)
		return true
	}
	if s.web == nil || !forBrowser(r) {
		return false
	}
	if n := h.ContentLength(); n > maxBody || n == -1 {
		s.refuse(r, tooLarge())
		return true
	}
	s.web(r)
	return true
}

// forBrowser tells whether a request is for the pages rather than for the API.
func forBrowser(r *fasthttp.RequestCtx) bool {
	if isExplorer(r.Path()) {
		return true
	}
	h := &r.Request.Header
	return r.IsGet() && string(r.Path()) == "/" && len(h.Peek("Authorization")) == 0 && bytes.Contains(h.Peek("Accept"), htmlType)
}

var htmlType = []byte("text/html")

// refuse answers a request that is looked at no further, and ends the
// connection.
func (s *Server) refuse(r *fasthttp.RequestCtx, f *failure) {
	r.Response.Reset()
	id := newActivityID()
	h := &r.Response.Header
	h.SetContentType("application/json")
	h.SetCanonical([]byte("x-ms-activity-id"), []byte(id))
	r.SetStatusCode(f.status)
	r.SetConnectionClose()
	r.SetBody(appendFailure(nil, f, id, clip(strings.TrimPrefix(string(r.RequestURI()), "/"))))
}

// refuseUnread answers what could not be read as a request.
func (s *Server) refuseUnread(r *fasthttp.RequestCtx, err error) {
	var small *fasthttp.ErrSmallBuffer
	var broken net.Error
	f := badRequest("The request could not be read as HTTP.")
	if errors.As(err, &small) || errors.Is(err, bufio.ErrBufferFull) {
		f = &failure{status: http.StatusRequestHeaderFieldsTooLarge, message: "The headers of the request are too large: at most " + strconv.Itoa(maxHeaders) + " bytes."}
	} else if errors.As(err, &broken) && broken.Timeout() {
		f = &failure{status: http.StatusRequestTimeout, message: "The request did not arrive in time."}
	}
	s.refuse(r, f)
}

func (c *call) begin(s *Server, r *fasthttp.RequestCtx) {
	c.srv, c.ctx, c.now, c.verb = s, s.ctx, s.opts.Now(), verbName(r.Method())
	c.out.items = -1
	c.in.fill(r.Request.Header.All())
	if len(c.in.activityID) == 0 || len(c.in.activityID) > 64 {
		c.in.activityID = newActivityID()
	}
	if host := r.Host(); string(host) == s.hostPort {
		c.host = s.self
	} else {
		c.host = s.scheme + "://" + string(host)
	}
}

// verbName is a method as a string that is there already.
func verbName(method []byte) string {
	for _, name := range []string{http.MethodPost, http.MethodGet, http.MethodPut, http.MethodDelete, http.MethodPatch, http.MethodHead} {
		if string(method) == name {
			return name
		}
	}
	return string(method)
}

// recycle gives x back for other requests.
func (x *exchange) recycle() {
	body, session, extra := x.call.out.body[:0], x.call.out.session[:0], x.call.out.extra[:0]
	if cap(body) > keptBuffer {
		body = nil
	}
	if cap(x.read) > keptBuffer {
		x.read = nil
	}
	clear(extra[:cap(extra)])
	x.call, x.done = call{}, false
	x.call.out.body, x.call.out.session, x.call.out.extra = body, session, extra
	exchanges.Put(x)
}

// readBody reads the body into x.read, whole.
func (s *Server) readBody(x *exchange, r *fasthttp.RequestCtx) (release func(), f *failure) {
	c, size, body := &x.call, r.Request.Header.ContentLength(), r.RequestBodyStream()
	if size == 0 || size < -1 || body == nil {
		x.done = true
		return nil, nil
	}
	if size > maxBody {
		return nil, tooLarge()
	}
	if size < 0 || size > smallBody {
		want := int64(size)
		if size < 0 {
			want = maxBody
		}
		if err := s.bodies.Acquire(c.ctx, want); err != nil {
			return nil, &failure{status: http.StatusServiceUnavailable, message: "The server is being stopped."}
		}
		release = func() { s.bodies.Release(want) }
	}
	if cap(x.read) < size {
		x.read = make([]byte, 0, max(size, 4<<10))
	}
	var err error
	if size > 0 {
		x.read = x.read[:size]
		_, err = io.ReadFull(body, x.read)
	} else {
		x.read, err = readUpTo(body, x.read[:0], maxBody)
	}
	switch {
	case errors.Is(err, errTooLarge):
		return release, tooLarge()
	case err != nil:
		c.closing, x.done = true, true
		return release, &failure{status: http.StatusRequestTimeout, message: "The request's body did not arrive whole."}
	}
	c.body, x.done = x.read, true
	return release, nil
}

// skipBody reads over a body that nobody wants. Of a large one it reads a part
// only, so that the client gets to read the answer, and ends the connection.
func (c *call) skipBody(r *fasthttp.RequestCtx) {
	size, body := r.Request.Header.ContentLength(), r.RequestBodyStream()
	if body == nil || size == 0 || size < -1 {
		return
	}
	if size < 0 || size > smallBody {
		c.closing = true
	}
	_, err := io.CopyN(io.Discard, body, drain)
	if !errors.Is(err, io.EOF) {
		c.closing = true
	}
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

// quietLog takes what fasthttp reports of connections that clients broke.
type quietLog struct{ log *slog.Logger }

// Printf implements fasthttp.Logger.
func (l quietLog) Printf(format string, args ...any) {
	l.log.Debug("Cosmos DB server: " + fmt.Sprintf(format, args...))
}

// newHTTP makes the server of connections.
func (s *Server) newHTTP() *fasthttp.Server {
	t := &s.opts.Timing
	return &fasthttp.Server{
		Handler:      s.serveHTTP,
		ErrorHandler: s.refuseUnread,
		ReadTimeout:  t.Request,
		WriteTimeout: t.Answer,
		IdleTimeout:  t.Idle,
		// Headers must fit the buffer.
		ReadBufferSize: maxHeaders,
		// Bodies are read by readBody, which bounds their memory.
		StreamRequestBody:            true,
		DisablePreParseMultipartForm: true,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		CloseOnShutdown:              true,
		MaxIdleWorkerDuration:        time.Minute,
		Logger:                       quietLog{s.opts.Log},
	}
}
