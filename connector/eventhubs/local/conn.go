package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

// What the endpoint tells clients about itself; the service's own figures where
// they are known.
const (
	maxFrameSize   = 65536
	channelMax     = 4999
	handleMax      = 255
	sessionWindow  = 5000
	maxMessageSize = 1 << 20
)

// conn is one AMQP connection.
//
// One goroutine reads frames and does what they ask for (serve), another one
// writes what is in out (writeLoop), and every consumer link has its own. The
// fields below mu are shared by them.
type conn struct {
	srv  *Server
	on   *listener
	log  *slog.Logger
	nc   net.Conn
	name string // in container ids and errors

	ctx    context.Context // ends with the connection
	cancel context.CancelFunc
	born   time.Time
	done   chan struct{} // closed when nothing of it runs any more
	links  sync.WaitGroup

	reader *amqp.Reader // of the reading goroutine

	// Set when the connection is opened, then constant.
	hostname      string
	namespace     *hub.Namespace
	admitted      bool // it counts for the namespace's limit
	peerFrameSize uint32

	mu        sync.Mutex
	opened    bool
	heartbeat time.Duration
	sessions  map[uint16]*session
	claims    claims
	named     map[linkName]link // the links that are attached
	handles   int               // of all sessions, those of links that have ended on our side included
	partial   int               // bytes of messages that have arrived in part
	queued    int               // bytes of answers that wait for credit
	appends   int               // given to the log and not yet acknowledged
	appended  sync.Cond
	// stopping: nothing is accepted any more; closing: our close has been
	// sent; ended: nothing is sent any more.
	stopping, closing, ended bool
	// everLinked and idleSince say since when the connection has no links.
	linked     int
	everLinked bool
	idleSince  time.Time
	output
}

// serveAMQP serves a connection until it is closed.
func (s *Server) serveAMQP(l *listener, nc net.Conn, over string) {
	id := s.nextID.Add(1)
	c := &conn{srv: s, on: l, nc: nc, name: fmt.Sprintf("C%d", id), done: make(chan struct{}),
		log:      s.opts.Log.With("connection", id, "client", nc.RemoteAddr().String()),
		sessions: map[uint16]*session{}, named: map[linkName]link{}, born: time.Now(), idleSince: time.Now(), peerFrameSize: amqp.MinMaxFrameSize, heartbeat: s.opts.Timing.Heartbeat}
	c.appended.L = &c.mu
	c.output.init(&c.mu)
	c.ctx, c.cancel = context.WithCancel(s.ctx)
	defer close(c.done)
	defer c.cancel()
	if !s.add(c) {
		_ = nc.Close() // the server is closing
		return
	}
	defer s.remove(c)
	c.reader = amqp.NewReader(&alive{c}, maxFrameSize)
	written := make(chan struct{})
	go func() { defer close(written); c.writeLoop() }()
	c.log.Debug("a client has connected", "over", over)
	err := c.handshake()
	if err == nil {
		err = c.readLoop()
	}
	c.explainEnd(err)
	c.end(written)
}

// alive is the connection as it is read: reading fails when the connection is not
// opened in time, and later when nothing comes for twice the idle timeout. The
// time that the connection itself is busy does not count then.
type alive struct{ c *conn }

func (a *alive) Read(p []byte) (int, error) {
	deadline := a.c.born.Add(a.c.srv.opts.Timing.Handshake)
	if a.c.isOpen() {
		deadline = time.Now().Add(2 * a.c.srv.opts.Timing.IdleTimeout)
	}
	if err := a.c.nc.SetReadDeadline(deadline); err != nil {
		return 0, err
	}
	return a.c.nc.Read(p)
}

func (c *conn) isOpen() bool { return c.namespace != nil } // set by the reading goroutine itself

// handshake goes from the first protocol header to open.
func (c *conn) handshake() error {
	p, err := c.reader.ReadProtocolHeader()
	if err == nil && p == amqp.ProtocolSASL {
		if err = c.authenticate(); err != nil {
			return err
		}
		p, err = c.reader.ReadProtocolHeader()
	}
	if err == nil && p != amqp.ProtocolAMQP {
		err = &amqp.Error{Condition: amqp.ErrorNotImplemented, Description: "TLS is to begin before AMQP, not within it"}
	}
	var wrong *amqp.Error
	if errors.As(err, &wrong) {
		// What is spoken here is the answer to any other header.
		c.write(func(dst []byte) []byte { return amqp.AppendProtocolHeader(dst, amqp.ProtocolAMQP) })
		return err
	}
	if err != nil {
		return err
	}
	c.write(func(dst []byte) []byte { return amqp.AppendProtocolHeader(dst, amqp.ProtocolAMQP) })
	f, err := c.reader.ReadFrame()
	for err == nil && f.Body == nil {
		f, err = c.reader.ReadFrame()
	}
	if err != nil {
		return err
	}
	open, ok := f.Body.(*amqp.Open)
	if !ok {
		return &amqp.Error{Condition: amqp.ErrorIllegalState, Description: fmt.Sprintf("the first frame is to be open, not %T", f.Body)}
	}
	return c.open(open)
}

// errFull says that the namespace takes no more connections.
var errFull = errors.New("too many connections")

func (c *conn) open(o *amqp.Open) error {
	c.hostname = clip(o.Hostname, 300)
	if o.MaxFrameSize != nil {
		c.peerFrameSize = max(*o.MaxFrameSize, amqp.MinMaxFrameSize)
	} else {
		c.peerFrameSize = 1 << 20 // it sets no limit
	}
	// Larger frames than ours gain nothing.
	c.peerFrameSize = min(c.peerFrameSize, maxFrameSize)
	c.namespace = c.srv.namespace(c.on, o.Hostname)
	c.admitted = c.srv.admit(c.namespace.Name())
	frame, channels := uint32(maxFrameSize), uint16(channelMax)
	idle := uint32(c.srv.opts.Timing.IdleTimeout / time.Millisecond)
	c.mu.Lock()
	c.log = c.log.With("namespace", c.namespace.Name())
	c.opened = true
	if o.IdleTimeout != nil && *o.IdleTimeout > 0 {
		half := time.Duration(*o.IdleTimeout) * time.Millisecond / 2
		c.heartbeat = min(c.heartbeat, max(half, 10*time.Millisecond))
	}
	c.send(0, &amqp.Open{ContainerID: "millrace_" + c.name, Hostname: o.Hostname, MaxFrameSize: &frame,
		ChannelMax: &channels, IdleTimeout: &idle})
	hurry := c.heartbeat < c.srv.opts.Timing.Heartbeat
	if !c.admitted {
		c.log.Warn("a connection was refused: the namespace has as many as it may", "limit", c.srv.opts.MaxConnections)
		c.sendClose(amqpError(amqp.ErrorResourceLimitExceeded,
			"The namespace '%s' has %d connections, which is the limit.", c.namespace.Name(), c.srv.opts.MaxConnections))
	}
	c.mu.Unlock()
	if !c.admitted {
		return errFull
	}
	if hurry {
		select {
		case c.srv.hurry <- struct{}{}:
		default:
		}
	}
	c.log.Debug("a connection was opened", "hostname", clip(o.Hostname, 100), "container", clip(o.ContainerID, 60))
	return nil
}

// errClosed says that the client has closed the connection in good order.
var errClosed = errors.New("closed by the client")

// readLoop does what frames ask for until the connection ends.
func (c *conn) readLoop() error {
	for {
		f, err := c.reader.ReadFrame()
		if err != nil {
			return err
		}
		if f.Body == nil {
			continue // a heartbeat
		}
		if f.Type != amqp.FrameAMQP {
			return &amqp.Error{Condition: amqp.ErrorConnectionFraming, Description: "a SASL frame after the handshake"}
		}
		if err := c.handle(&f); err != nil {
			return err
		}
		c.waitForWriter()
	}
}

// handle does what one frame asks for. An error ends the connection.
func (c *conn) handle(f *amqp.Frame) error {
	switch body := f.Body.(type) {
	case *amqp.Close:
		if body.Error != nil {
			c.log.Warn("a client closed its connection with an error", "error", body.Error)
		}
		return errClosed
	case *amqp.Open:
		return &amqp.Error{Condition: amqp.ErrorIllegalState, Description: "the connection is open already"}
	case *amqp.Begin:
		return c.begin(f.Channel, body)
	}
	c.mu.Lock()
	s, closing := c.sessions[f.Channel], c.closing
	c.mu.Unlock()
	if closing {
		return nil // only close counts now
	}
	if s == nil {
		switch f.Body.(type) {
		case *amqp.Detach, *amqp.End:
			// The Python client detaches links of a session that it has ended.
			return nil
		}
		return &amqp.Error{Condition: amqp.ErrorNotAllowed, Description: fmt.Sprintf("channel %d has no session", f.Channel)}
	}
	return s.handle(f)
}

// explainEnd logs why the connection ends, and tells the client if it is its
// fault and can still be told.
func (c *conn) explainEnd(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var wrong *amqp.Error
	switch {
	case c.closing:
		// It was our wish.
	case errors.Is(err, errClosed):
		c.sendClose(nil)
		c.log.Debug("the client closed the connection")
	case errors.As(err, &wrong):
		c.log.Warn("a connection is closed for what the client sent", "error", wrong)
		c.sendClose(wrong)
	case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed):
		c.log.Debug("the client has gone")
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		c.log.Warn("a connection is closed because the client is silent", "idle", c.srv.opts.Timing.IdleTimeout)
		c.sendClose(&amqp.Error{Condition: amqp.ErrorConnectionForced, Description: "the connection was silent for too long"})
	case err != nil:
		c.log.Info("a connection broke", "error", err)
	}
}

// sendClose sends our close, once. c.mu is held.
func (c *conn) sendClose(err *amqp.Error) {
	if c.opened && !c.closing {
		c.settleAll()
		c.send(0, &amqp.Close{Error: err})
	}
	c.closing = true
}

// end lets everything of the connection end.
func (c *conn) end(written chan struct{}) {
	c.mu.Lock()
	c.closing = true
	sessions := c.sessions
	c.sessions = map[uint16]*session{}
	c.mu.Unlock()
	for _, s := range sessions {
		s.drop()
	}
	c.cancel()
	c.links.Wait()
	// What has been written goes out if the client takes it soon.
	soon := time.AfterFunc(2*time.Second, func() { _ = c.nc.Close() })
	defer soon.Stop()
	c.mu.Lock()
	c.ended = true
	c.wakeWriter()
	c.mu.Unlock()
	<-written
	_ = c.nc.Close() // nothing is to be read any more
}

// forced closes the connection from outside the reading goroutine, which then
// ends when the client has answered, and after two seconds at the latest.
func (c *conn) forced(reason string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closing {
		return
	}
	c.sendClose(&amqp.Error{Condition: amqp.ErrorConnectionForced, Description: reason})
	time.AfterFunc(2*time.Second, func() { _ = c.nc.Close() })
}

// shutdown waits for the log to acknowledge what this connection has given to
// it, tells the client, closes the connection and returns when it has ended.
func (c *conn) shutdown(deadline time.Time) {
	timer := time.AfterFunc(time.Until(deadline), func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.appended.Broadcast()
	})
	defer timer.Stop()
	c.mu.Lock()
	c.stopping = true
	for c.appends > 0 && time.Now().Before(deadline) {
		c.appended.Wait()
	}
	c.mu.Unlock()
	c.forced("the server is shutting down")
	select {
	case <-c.done:
	case <-time.After(time.Second):
		c.cancel()
		_ = c.nc.Close() // it has had its time
		<-c.done
	}
}
