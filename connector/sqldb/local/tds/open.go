package tds

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
)

// open goes through prelogin and login; false: the client was turned away.
func (c *conn) open(ctx context.Context, h Handler) (bool, error) {
	in := bufio.NewReaderSize(c.net, 1<<16)
	c.in, c.out = in, bufio.NewWriterSize(c.net, 1<<16)
	first, err := in.Peek(1)
	if err != nil {
		return false, err
	}
	const tlsHandshake = 0x16
	strict := first[0] == tlsHandshake
	if strict {
		if err := c.strict(ctx, in); err != nil {
			return false, err
		}
	}
	afterLogin, err := c.prelogin(ctx, in, strict)
	if err != nil {
		return false, err
	}
	body, err := c.whole(packLogin, maxLogin)
	if err != nil {
		return false, fmt.Errorf("reading a login: %w", err)
	}
	l, err := parseLogin(body)
	if err != nil {
		return false, err
	}
	afterLogin()
	return c.welcome(ctx, h, l)
}

// buffered is a connection whose first bytes were read ahead.
type buffered struct {
	net.Conn
	in io.Reader
}

func (b buffered) Read(p []byte) (int, error) { return b.in.Read(p) }

// strict is TDS 8: TLS comes first, and everything is inside.
func (c *conn) strict(ctx context.Context, in *bufio.Reader) error {
	if c.cfg.TLS == nil {
		return protocolErrorf("a client that wants TLS, which this server was not given")
	}
	config := c.cfg.TLS.Clone()
	config.NextProtos = []string{"tds/8.0"}
	t := tls.Server(buffered{c.net, in}, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	c.in, c.out = bufio.NewReaderSize(t, 1<<16), bufio.NewWriterSize(t, 1<<16)
	return nil
}

// prelogin answers the first exchange and sets up TLS. The function that it
// returns is to be called when the login has been read: it ends a TLS that was
// for the login only.
func (c *conn) prelogin(ctx context.Context, in *bufio.Reader, strict bool) (afterLogin func(), err error) {
	body, err := c.whole(packPrelogin, defaultPacketSize)
	if err != nil {
		return nil, fmt.Errorf("reading a prelogin: %w", err)
	}
	options, err := parsePrelogin(body)
	if err != nil {
		return nil, err
	}
	wish := byte(encryptNotSupported)
	if e := options[preloginEncryption]; len(e) > 0 {
		wish = e[0]
	}
	answer, inside, lasting := negotiate(wish, c.cfg.TLS != nil)
	if strict {
		answer, inside, lasting = encryptOn, false, true
	}
	reply := map[byte][]byte{preloginVersion: serverVersion, preloginEncryption: {answer}}
	if f := options[preloginFedAuth]; len(f) > 0 {
		reply[preloginFedAuth] = []byte{f[0]}
	}
	w := newPacketWriter(c.out, packReply, defaultPacketSize)
	if _, err = w.Write(appendPrelogin(nil, reply)); err == nil {
		err = w.end()
	}
	if err == nil {
		err = c.out.Flush()
	}
	if err != nil || !inside {
		return func() {}, err
	}
	under := &tunnel{Conn: c.net, in: in}
	config := c.cfg.TLS.Clone()
	// SQL Server speaks no more than 1.2 within TDS 7, and tickets that follow
	// a handshake of 1.3 would stand where a login is expected.
	config.MaxVersion = tls.VersionTLS12
	config.SessionTicketsDisabled = true
	t := tls.Server(under, config)
	if err := t.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	if err := under.finish(); err != nil {
		return nil, err
	}
	plainIn, plainOut := c.in, c.out
	c.in, c.out = t, bufio.NewWriterSize(t, 1<<16)
	if lasting {
		c.in = bufio.NewReaderSize(t, 1<<16)
		return func() {}, nil
	}
	return func() { c.in, c.out = plainIn, plainOut }, nil
}

// whole reads a message of at most most bytes.
func (c *conn) whole(kind byte, most int) ([]byte, error) {
	var body []byte
	for {
		p, err := readPacket(c.in, nil, maxPacketSize)
		if err != nil {
			return nil, err
		}
		if p.kind != kind {
			return nil, protocolErrorf("a packet of type %d where one of type %d is due", p.kind, kind)
		}
		if len(body)+len(p.data) > most {
			return nil, protocolErrorf("a message of more than %d bytes", most)
		}
		body = append(body, p.data...)
		if p.status&statusEnd != 0 {
			return body, nil
		}
		if len(p.data) == 0 {
			return nil, protocolErrorf("an empty packet: %w", io.ErrUnexpectedEOF)
		}
	}
}

// welcome asks the handler and answers the login.
func (c *conn) welcome(ctx context.Context, h Handler, l *Login) (bool, error) {
	r := &Reply{w: newPacketWriter(c.out, packReply, defaultPacketSize), server: c.cfg.Server}
	s, refused := h.Login(ctx, l)
	if refused != nil {
		return false, errors.Join(r.Error(refused), r.finish(), c.out.Flush())
	}
	c.session, c.size = s, defaultPacketSize
	if l.packetSize != 0 {
		c.size = min(max(l.packetSize, minPacketSize), maxPacketSize)
	}
	if err := errors.Join(r.login(l, s.Database(), c.size), r.finish(), c.out.Flush()); err != nil {
		s.Close()
		return false, err
	}
	return true, nil
}
