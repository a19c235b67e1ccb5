package tds

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"millrace/connector/sqldb/local/value"
)

// Handler decides who may enter.
type Handler interface {
	// Login makes the session of a connection, or says what the client is
	// told. ctx ends with the connection.
	Login(ctx context.Context, l *Login) (Session, *value.Error)
}

// Session answers the requests of one connection, one at a time. The error of
// a method ends the connection, without an answer if it is ErrDrop; what the
// client is to know goes into the Reply. The ctx of a request ends when the
// client cancels it.
type Session interface {
	// Database is the current database.
	Database() string
	// Descriptor is that of the transaction in progress, 0 if there is none.
	Descriptor() uint64
	Batch(ctx context.Context, text string, r *Reply) error
	// Call returns the procedure's status and its output parameters.
	Call(ctx context.Context, c *Call, r *Reply) (status int32, outputs []Param, err error)
	Transaction(ctx context.Context, t *Transaction, r *Reply) error
	// Bulk takes the rows that the INSERT BULK before has announced.
	Bulk(ctx context.Context, b *Bulk, r *Reply) error
	// Reset brings the session back to where it was after the login, but for
	// its transaction, if that is to be kept.
	Reset(keepTransaction bool)
	// Close is called once, after the last request.
	Close()
}

// ErrDrop ends a connection at once, with no answer to the request.
var ErrDrop = errors.New("the connection is to be dropped")

// Config says how connections are spoken on.
type Config struct {
	// TLS, if set, is offered to clients, and used with those that ask.
	TLS *tls.Config
	// Server is the name that errors come from.
	Server string
	// LoginTimeout is how long a client may take to log in: 15 s if 0.
	LoginTimeout time.Duration
	Log          *slog.Logger
}

// queued packets of a connection: what is read ahead.
const queued = 8

// conn is one connection.
type conn struct {
	cfg     Config
	net     net.Conn
	in      io.Reader // what packets are read from
	out     *bufio.Writer
	size    int // agreed packet size
	session Session

	packets chan packet
	free    chan []byte
	broken  error // why packets was closed

	mu        sync.Mutex
	cancel    context.CancelFunc // of the request in progress
	attention int                // cancellations that were not answered yet
}

// Serve speaks with one client until it leaves, or ctx or nc ends. It closes
// nc. The error says why if that was not the client's will.
func Serve(ctx context.Context, nc net.Conn, cfg Config, h Handler) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })()
	if cfg.LoginTimeout <= 0 {
		cfg.LoginTimeout = 15 * time.Second
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := &conn{cfg: cfg, net: nc, size: defaultPacketSize, packets: make(chan packet, queued), free: make(chan []byte, queued+2)}
	if err := nc.SetDeadline(time.Now().Add(cfg.LoginTimeout)); err != nil {
		return fmt.Errorf("setting the time for a login: %w", err)
	}
	accepted, err := c.open(ctx, h)
	if err != nil || !accepted {
		return left(err)
	}
	defer c.session.Close()
	if err := nc.SetDeadline(time.Time{}); err != nil {
		return fmt.Errorf("ending the time for a login: %w", err)
	}
	if ctx.Err() != nil {
		return nil
	}
	var reader sync.WaitGroup
	reader.Go(c.read)
	defer reader.Wait()
	defer nc.Close()
	defer c.unblock()
	return left(c.serve(ctx))
}

// left takes the ways in which clients and servers leave for no error.
func left(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) || errors.Is(err, ErrDrop) ||
		errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// read takes packets off the connection, so that a cancellation is seen while
// a request is at work.
func (c *conn) read() {
	defer close(c.packets)
	for {
		var buf []byte
		select {
		case buf = <-c.free:
		default:
		}
		p, err := readPacket(c.in, buf, c.size)
		if err != nil {
			c.broken = err
			c.stop()
			return
		}
		if p.kind == packAttention {
			c.mu.Lock()
			c.attention++
			c.mu.Unlock()
			c.stop()
		}
		c.packets <- p
	}
}

// unblock lets read go on until it sees that the connection is closed.
func (c *conn) unblock() {
	_ = c.net.Close()
	go func() {
		for range c.packets {
		}
	}()
}

// stop cancels the request in progress.
func (c *conn) stop() {
	c.mu.Lock()
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
}

// begin makes the context of a request.
func (c *conn) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	c.mu.Lock()
	c.cancel = cancel
	if c.attention > 0 {
		cancel()
	}
	c.mu.Unlock()
	return ctx, cancel
}

func (c *conn) cancelled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.attention > 0
}

// next waits for a packet.
func (c *conn) next() (packet, error) {
	p, ok := <-c.packets
	if !ok {
		return packet{}, c.broken
	}
	return p, nil
}

// errAttention says that a client has cancelled a request it was sending.
var errAttention = errors.New("cancelled by the client")

func (c *conn) serve(ctx context.Context) error {
	w := newPacketWriter(c.out, packReply, c.size)
	for {
		p, err := c.next()
		if err != nil {
			return err
		}
		r := &Reply{w: w, server: c.cfg.Server}
		if p.kind == packAttention {
			c.answered()
			if err = r.attention(); err == nil {
				err = c.out.Flush()
			}
		} else {
			err = c.request(ctx, p, r)
		}
		if err != nil {
			return err
		}
	}
}

func (c *conn) answered() {
	c.mu.Lock()
	c.attention--
	c.mu.Unlock()
}

// request answers one request. An answer that was cut short stays open: the
// cancellation that cut it comes next, and ends it.
func (c *conn) request(ctx context.Context, first packet, r *Reply) error {
	ctx, cancel := c.begin(ctx)
	defer cancel()
	current := first.data
	m := newMessage(first, func() (packet, error) {
		select {
		case c.free <- current:
		default:
		}
		p, err := c.next()
		if err == nil && p.kind == packAttention {
			c.answered()
			err = errAttention
		}
		current = p.data
		return p, err
	})
	err := c.dispatch(ctx, m, first.status, r)
	if rest := m.discard(); err == nil || errors.Is(err, errProtocol) {
		err = errors.Join(err, rest)
	}
	switch {
	case errors.Is(err, ErrDrop):
		return err
	case errors.Is(m.err, errAttention):
		if err = r.attention(); err == nil {
			err = c.out.Flush()
		}
		return err
	case errors.Is(err, errProtocol):
		return errors.Join(c.fatal(r, err), err)
	case err != nil && c.cancelled() && errors.Is(err, context.Canceled):
		return nil
	case err != nil:
		return err
	case m.ignored:
		return nil
	}
	if err := r.finish(); err != nil {
		return err
	}
	return c.out.Flush()
}

// fatal tells a client why its connection ends.
func (c *conn) fatal(r *Reply, cause error) error {
	e := &value.Error{Number: 4014, State: 1, Class: 20, Message: "A fatal error occurred while reading the input stream from the network: " + cause.Error()}
	r.call = false
	if err := r.Error(e); err != nil {
		return err
	}
	if err := r.finish(); err != nil {
		return err
	}
	return c.out.Flush()
}

func (c *conn) dispatch(ctx context.Context, m *message, status byte, r *Reply) (err error) {
	defer func() {
		if p := recover(); p != nil {
			c.cfg.Log.Error("the TDS server has failed at a request", slog.Any("panic", p), slog.String("stack", string(debug.Stack())))
			err = protocolErrorf("the server failed: %v", p)
		}
	}()
	if status&(statusReset|statusResetKeep) != 0 {
		if err := c.reset(status&statusResetKeep != 0, r); err != nil {
			return err
		}
		m.anyTransaction = true
	}
	return c.answer(ctx, m, r)
}

// answer reads a request and has the session answer it.
func (c *conn) answer(ctx context.Context, m *message, r *Reply) error {
	if m.kind == packBulk {
		b := newBulk(m)
		if m.err != nil {
			return m.err
		}
		return c.session.Bulk(ctx, b, r)
	}
	var descriptor uint64
	switch m.kind {
	case packBatch, packRPC, packTransaction:
		descriptor = m.headers()
	default:
		return protocolErrorf("a request of type %d", m.kind)
	}
	if ours := c.session.Descriptor(); descriptor != ours && m.err == nil && !m.anyTransaction {
		if err := m.discard(); err != nil {
			return err
		}
		return r.Error(&value.Error{Number: 3989, State: 1, Class: 16,
			Message: "New request is not allowed to start because it should come with valid transaction descriptor."})
	}
	switch m.kind {
	case packBatch:
		text := m.rest()
		if m.err != nil || m.ignored {
			return m.err
		}
		return c.session.Batch(ctx, text, r)
	case packTransaction:
		t := m.transaction()
		if m.err != nil || m.ignored {
			return m.err
		}
		return c.session.Transaction(ctx, t, r)
	}
	return c.calls(ctx, m, r)
}

// reset brings the session back to its beginning. A client that left a
// transaction open names it once more in this very request, and is told that
// it is gone.
func (c *conn) reset(keepTransaction bool, r *Reply) error {
	before := c.session.Descriptor()
	c.session.Reset(keepTransaction)
	if err := r.environment(changeReset, []byte{0, 0}); err != nil {
		return err
	}
	if before != 0 && c.session.Descriptor() == 0 {
		return r.RolledBack(before)
	}
	return nil
}

// calls runs the procedure calls of one request, one after the other.
func (c *conn) calls(ctx context.Context, m *message, r *Reply) error {
	var all []*Call
	for {
		call, another := m.call()
		all = append(all, call)
		if m.err != nil {
			return m.err
		}
		if !another {
			break
		}
	}
	if m.ignored {
		return nil
	}
	r.call = true
	for i, call := range all {
		status, outputs, err := c.session.Call(ctx, call, r)
		if err != nil {
			return err
		}
		if err := r.returned(status, outputs, i < len(all)-1); err != nil {
			return err
		}
	}
	return nil
}
