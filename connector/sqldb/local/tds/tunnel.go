package tds

import (
	"encoding/binary"
	"io"
	"net"
)

// tunnel carries the records of a TLS handshake as the payload of prelogin
// packets, as clients do it; after the handshake they stand on the connection
// as they are. One goroutine uses it.
type tunnel struct {
	net.Conn
	in      io.Reader
	open    bool   // the handshake is over
	pending []byte // what is to be sent before the next read
	unread  []byte // the rest of a packet
	record  int    // bytes left of the record that is being read
	header  []byte // the part of a record's header that was read ahead
}

// Read hands over handshake packets, later bytes of the connection: never
// beyond the end of a TLS record, since the next bytes may be plain TDS if
// only the login is encrypted.
func (t *tunnel) Read(b []byte) (int, error) {
	if !t.open {
		if err := t.flush(); err != nil {
			return 0, err
		}
		if len(t.unread) == 0 {
			p, err := readPacket(t.in, nil, maxPacketSize)
			if err != nil {
				return 0, err
			}
			if p.kind != packPrelogin {
				return 0, protocolErrorf("a packet of type %d within the TLS handshake", p.kind)
			}
			t.unread = p.data
		}
	}
	if len(t.unread) > 0 {
		n := copy(b, t.unread)
		t.unread = t.unread[n:]
		return n, nil
	}
	return t.readRecord(b)
}

func (t *tunnel) readRecord(b []byte) (int, error) {
	const recordHeader = 5
	if t.record == 0 && len(t.header) == 0 {
		h := make([]byte, recordHeader)
		if _, err := io.ReadFull(t.in, h); err != nil {
			return 0, err
		}
		t.header, t.record = h, int(binary.BigEndian.Uint16(h[3:]))
	}
	if len(t.header) > 0 {
		n := copy(b, t.header)
		t.header = t.header[n:]
		return n, nil
	}
	n, err := t.in.Read(b[:min(len(b), t.record)])
	t.record -= n
	return n, err
}

// Write gathers what the handshake sends, so that it goes out as one packet.
func (t *tunnel) Write(b []byte) (int, error) {
	if t.open {
		return t.Conn.Write(b)
	}
	t.pending = append(t.pending, b...)
	return len(b), nil
}

func (t *tunnel) flush() error {
	if len(t.pending) == 0 {
		return nil
	}
	w := newPacketWriter(t.Conn, packPrelogin, defaultPacketSize)
	_, err := w.Write(t.pending)
	if err == nil {
		err = w.end()
	}
	t.pending = t.pending[:0]
	return err
}

// finish ends the handshake.
func (t *tunnel) finish() error {
	err := t.flush()
	t.open = true
	return err
}
