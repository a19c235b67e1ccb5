package local

import (
	"bytes"
	"context"
	"net/http"

	"github.com/valyala/fasthttp"
)

// sharedPages bounds the memory of pages that are being made, or that clients
// have not read yet.
const sharedPages = 64 * maxPageBytes

// pageOf bounds the time and the memory of what answers with a page of items.
func pageOf(fn func(*call) error) handler {
	return func(c *call) error {
		ctx, cancel := context.WithTimeout(c.ctx, c.srv.opts.Timing.Work)
		defer cancel()
		pages := c.srv.pages // the call will be another's when its answer has been read
		if pages.Acquire(ctx, maxPageBytes) != nil {
			return &failure{status: http.StatusServiceUnavailable, message: "The server has too many pages that nobody has read yet."}
		}
		release := func() { pages.Release(maxPageBytes) }
		defer func() {
			if cap(c.out.body) <= keptBuffer {
				release()
			} else {
				c.release = release
			}
		}()
		outer := c.ctx
		c.ctx = ctx
		defer func() { c.ctx = outer }()
		return fn(c)
	}
}

// unread is an answer that keeps its part of the memory for pages until the
// client has read it, or the connection has ended.
type unread struct {
	bytes.Reader
	release func()
}

// Close implements io.Closer.
func (u *unread) Close() error {
	if u.release != nil {
		u.release()
		u.release = nil
	}
	return nil
}

// hand gives the body of the answer to the connection.
func (c *call) hand(r *fasthttp.RequestCtx) {
	if c.release == nil {
		c.out.body = r.Response.SwapBody(c.out.body)
		return
	}
	u := &unread{release: c.release}
	u.Reset(c.out.body)
	r.Response.SetBodyStream(u, len(c.out.body))
	c.out.body, c.release = nil, nil
}
