package kafkaface

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// keepBuffer is the largest buffer that is kept between answers.
	keepBuffer = maxFetch + 1<<20
	writeStep  = 64 << 10
)

// answerPool holds buffers of answers: idle connections have none.
var answerPool = sync.Pool{New: func() any { return new([]byte) }}

// conn is one client's connection. Its reader reads one request ahead, which
// is also how it notices that the client has gone while its last request is
// still waiting; its worker does everything else.
type conn struct {
	srv *Server
	raw net.Conn // the socket; net is it or TLS over it
	net net.Conn
	log *slog.Logger

	// ctx ends when the client has gone or the server is closed.
	ctx    context.Context
	cancel context.CancelFunc

	frames   chan frame
	why      error // why the reader ended; for the worker once frames is closed
	signedIn atomic.Bool
	busy     atomic.Bool // a request is being worked on

	// The rest is the worker's.
	host      string // what this client is told to connect to
	port      int32
	mechanism string // chosen by SaslHandshake
	rawToken  bool   // the next frame is a token without a header
	scope     *scope
	backend   *backend
	pause     time.Time // reading goes on at this time, see fetch

	complained bool // a refusal of events was logged
}

// frame is a request as it came, or the outline of one that is too large.
type frame struct {
	buf     *[]byte
	body    []byte
	outline *outline
}

func newConn(s *Server, raw net.Conn) *conn {
	c := &conn{srv: s, raw: raw, net: raw, frames: make(chan frame), log: s.log.With("client", raw.RemoteAddr().String())}
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	return c
}

// serve works until the client goes, breaks the rules, or the server closes.
func (c *conn) serve() {
	defer func() {
		c.cancel()
		_ = c.raw.Close()
		for f := range c.frames { // ends when the reader does
			c.release(f)
		}
		if c.backend != nil {
			c.backend.close()
		}
	}()
	r := bufio.NewReaderSize(c.net, 4<<10)
	if err := c.secure(&r); err != nil {
		close(c.frames)
		c.said(err)
		return
	}
	c.address()
	c.srv.done.Go(func() {
		defer close(c.frames)
		defer c.cancel()
		c.why = c.read(r)
	})
	for f := range c.frames {
		c.busy.Store(true)
		err := c.answer(f)
		c.release(f)
		c.busy.Store(false)
		if err != nil {
			c.said(err)
			return
		}
	}
	c.said(c.why)
}

// said logs why a connection ends, unless the client just left or the server
// is being closed.
func (c *conn) said(err error) {
	var g *garbage
	var large *tooLarge
	switch {
	case err == nil, errors.Is(err, io.EOF), c.srv.ctx.Err() != nil, errors.Is(err, context.Canceled):
		return
	case errors.As(err, &g):
		c.log.Warn("the Kafka endpoint closes a connection that does not speak Kafka", "reason", g.what)
	case errors.As(err, &large) && !c.signedIn.Load():
		c.log.Warn("the Kafka endpoint closes a connection: a request of that size before sign-in is not Kafka's protocol", "bytes", large.size)
	case errors.As(err, &large):
		c.log.Warn("the Kafka endpoint closes a connection: the request is too large",
			"bytes", large.size, "limit", large.limit, "hint", "lower the client's max.request.size (Java), message.max.bytes (librdkafka) or BrokerMaxWriteBytes (franz-go)")
	case errors.Is(err, errIdle):
		c.log.Info("the Kafka endpoint closes an idle connection", "reason", err.Error())
	default:
		c.log.Info("the Kafka endpoint closes a connection", "reason", err.Error())
	}
}

var errIdle = errors.New("nothing came for too long")

// secure waits for the first byte and, if it begins a TLS handshake, does that.
func (c *conn) secure(r **bufio.Reader) error {
	_ = c.net.SetDeadline(time.Now().Add(c.srv.patience.signIn))
	first, err := (*r).Peek(1)
	if err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return errIdle
		}
		return err
	}
	if first[0] != 0x16 { // a TLS record of the type handshake
		return nil
	}
	if c.srv.opts.TLS == nil {
		return &garbage{"it speaks TLS, but the endpoint has no certificate: use security.protocol=SASL_PLAINTEXT"}
	}
	conf := c.srv.opts.TLS
	t := tls.Server(&peeked{Conn: c.raw, r: *r}, conf)
	if err := t.HandshakeContext(c.ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	c.net = t
	*r = bufio.NewReaderSize(t, 4<<10)
	return nil
}

// peeked is a connection whose first bytes are in a reader already.
type peeked struct {
	net.Conn
	r *bufio.Reader
}

func (p *peeked) Read(b []byte) (int, error) { return p.r.Read(b) }

// address finds out where this client can reach the server again: what is
// advertised, or the name or address it has used now.
func (c *conn) address() {
	addr := c.srv.opts.Advertise
	if addr == "" {
		addr = c.raw.LocalAddr().String()
	}
	host, port, err := splitAddress(addr)
	if err != nil {
		host, port, _ = splitAddress(c.srv.Address())
	}
	c.host, c.port = host, port
	if t, ok := c.net.(*tls.Conn); ok && c.srv.opts.Advertise == "" {
		if name := t.ConnectionState().ServerName; name != "" {
			c.host = name // the one that its certificate check has passed
		}
	}
}

// read hands frames to the worker until there is no sensible next one.
func (c *conn) read(r *bufio.Reader) error {
	for {
		if err := c.await(r); err != nil {
			return err
		}
		limit := maxSignInFrame
		if c.signedIn.Load() {
			limit = c.srv.opts.MaxRequestBytes
		}
		_ = c.net.SetReadDeadline(time.Now().Add(c.srv.patience.frame))
		size, err := readSize(r, limit)
		var large *tooLarge
		var f frame
		switch {
		case errors.As(err, &large) && c.signedIn.Load():
			if f.outline, err = readOutline(r, large); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			f.buf = framePool.Get().(*[]byte)
			f.body, err = readBody(r, *f.buf, size)
			*f.buf = f.body
			if err != nil {
				return fmt.Errorf("a request of %d bytes ended after %d: %w", size, len(f.body), err)
			}
		}
		select {
		case c.frames <- f:
		case <-c.ctx.Done():
			return c.ctx.Err()
		}
	}
}

// await waits for the first byte of a frame. Silence while a request is being
// worked on is no idleness.
func (c *conn) await(r *bufio.Reader) error {
	began := time.Now()
	for {
		wait := c.srv.patience.idle
		if !c.signedIn.Load() {
			wait = min(wait, c.srv.patience.signIn)
		}
		_ = c.net.SetReadDeadline(time.Now().Add(wait))
		_, err := r.Peek(1)
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return err
		}
		if !c.busy.Load() {
			return fmt.Errorf("%w (%s)", errIdle, time.Since(began).Round(time.Second))
		}
	}
}

// release gives a frame's buffer back. While ctx is alive every request that
// used it has been answered; after that one may still be on its way to the
// log, so the buffer is left to the collector.
func (c *conn) release(f frame) {
	if f.buf == nil || c.ctx.Err() != nil || cap(f.body) > MaxRequestBytes+readStep {
		return
	}
	framePool.Put(f.buf)
}

// answer works on one frame and writes the answer. An error ends the
// connection.
func (c *conn) answer(f frame) error {
	if c.rawToken {
		return c.answerToken(f.body)
	}
	if f.outline != nil {
		resp, err := f.outline.refuse()
		if err != nil {
			return err
		}
		c.log.Warn("the Kafka endpoint refuses events that are too large", "bytes", f.outline.size, "limit", c.srv.opts.MaxRequestBytes)
		return c.send(f.outline.correlation, resp)
	}
	h, rest, err := readHeader(f.body)
	if err != nil {
		return err
	}
	api := c.srv.api(h.key)
	if api == nil {
		return &garbage{fmt.Sprintf("it asks for %s, which is not offered", kmsg.NameForKey(h.key))}
	}
	if h.version < api.min || h.version > api.max {
		if api.key == kmsg.ApiVersions {
			return c.send(h.correlation, unsupportedVersion())
		}
		return &garbage{fmt.Sprintf("it asks for %s version %d, offered are %d to %d", kmsg.NameForKey(h.key), h.version, api.min, api.max)}
	}
	if !c.signedIn.Load() && !api.open {
		return fmt.Errorf("it sends %s without having signed in: use sasl.mechanism=PLAIN with the user $ConnectionString", kmsg.NameForKey(h.key))
	}
	req := kmsg.RequestForKey(h.key)
	req.SetVersion(h.version)
	if req.IsFlexible() {
		if rest, err = skipTags(rest); err != nil {
			return err
		}
	}
	if err := c.srv.decode(req, rest); err != nil {
		return &garbage{fmt.Sprintf("a %s request of version %d cannot be read: %v", kmsg.NameForKey(h.key), h.version, err)}
	}
	resp, err := api.handle(c, req)
	if err == nil && c.ctx.Err() != nil {
		err = c.ctx.Err()
	}
	if err != nil || resp == nil {
		return err
	}
	resp.SetVersion(h.version)
	if err := c.send(h.correlation, resp); err != nil {
		return err
	}
	if end, ok := resp.(*kmsg.SASLAuthenticateResponse); ok && end.ErrorCode != 0 {
		return errRefused
	}
	return nil
}

// errRefused ends a connection whose sign-in was refused; auth.go has logged
// why.
var errRefused = fmt.Errorf("sign-in refused: %w", io.EOF)

// send encodes and writes an answer.
func (c *conn) send(correlation int32, resp kmsg.Response) error {
	buf := answerPool.Get().(*[]byte)
	b := (*buf)[:0]
	if f, ok := resp.(*kmsg.FetchResponse); ok {
		b = slices.Grow(b, fetchSize(f))
	}
	b = append(b, 0, 0, 0, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(correlation))
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		b = append(b, 0) // no tags
	}
	b = resp.AppendTo(b)
	err := c.write(b)
	if *buf = b; cap(b) <= keepBuffer {
		answerPool.Put(buf)
	}
	return err
}

// write writes b, whose first four bytes become its size. A client that does
// not read is cut off.
func (c *conn) write(b []byte) error {
	binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	for len(b) > 0 {
		n := min(len(b), writeStep)
		_ = c.net.SetWriteDeadline(time.Now().Add(c.srv.patience.write))
		if _, err := c.net.Write(b[:n]); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return fmt.Errorf("the client does not read its answers: %w", err)
			}
			return err
		}
		b = b[n:]
	}
	return nil
}

// sleep waits, and tells whether the client is still there.
func (c *conn) sleep(d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}
