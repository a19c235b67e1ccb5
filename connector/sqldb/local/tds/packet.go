package tds

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Types of packets.
const (
	packBatch       = 1
	packRPC         = 3
	packReply       = 4
	packAttention   = 6
	packBulk        = 7
	packTransaction = 14
	packLogin       = 16
	packPrelogin    = 18
)

// Bits of a packet's status.
const (
	statusEnd       = 0x01
	statusIgnore    = 0x02
	statusReset     = 0x08
	statusResetKeep = 0x10 // as statusReset, but a transaction stays
)

const (
	headerSize    = 8
	minPacketSize = 512
	maxPacketSize = 32767
	// defaultPacketSize holds until the login has agreed on another.
	defaultPacketSize = 4096
)

// packet is one packet without its header.
type packet struct {
	kind, status byte
	data         []byte
}

// errProtocol marks what a client should never send.
var errProtocol = errors.New("TDS protocol error")

func protocolErrorf(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{errProtocol}, args...)...)
}

// readPacket reads one packet of at most most bytes. buf is used again if it
// is large enough.
func readPacket(r io.Reader, buf []byte, most int) (packet, error) {
	var h [headerSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return packet{}, err
	}
	size := int(binary.BigEndian.Uint16(h[2:])) - headerSize
	if size < 0 || size+headerSize > most {
		return packet{}, protocolErrorf("a packet of %d bytes where at most %d were agreed", size+headerSize, most)
	}
	if cap(buf) < size {
		buf = make([]byte, size, max(size, defaultPacketSize))
	}
	buf = buf[:size]
	if _, err := io.ReadFull(r, buf); err != nil {
		return packet{}, noEOF(err)
	}
	return packet{kind: h[0], status: h[1], data: buf}, nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// packetWriter cuts a message into packets.
type packetWriter struct {
	w      io.Writer
	size   int // of whole packets
	kind   byte
	spid   uint16
	number byte
	buf    []byte // the packet in work, with room for its header in front
	// sent counts the packets, the fault of a lost connection needs it.
	sent int
}

func newPacketWriter(w io.Writer, kind byte, size int) *packetWriter {
	p := &packetWriter{w: w, kind: kind, size: size, number: 1}
	p.buf = make([]byte, headerSize, maxPacketSize)
	return p
}

func (p *packetWriter) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		room := p.size - len(p.buf)
		if room <= 0 {
			if err := p.emit(0); err != nil {
				return 0, err
			}
			continue
		}
		part := b[:min(room, len(b))]
		p.buf = append(p.buf, part...)
		b = b[len(part):]
	}
	return n, nil
}

// end sends the last packet of the message.
func (p *packetWriter) end() error {
	err := p.emit(statusEnd)
	p.number = 1
	return err
}

func (p *packetWriter) emit(status byte) error {
	h := p.buf[:headerSize]
	h[0], h[1] = p.kind, status
	binary.BigEndian.PutUint16(h[2:], uint16(len(p.buf)))
	binary.BigEndian.PutUint16(h[4:], p.spid)
	h[6], h[7] = p.number, 0
	p.number++
	p.sent++
	_, err := p.w.Write(p.buf)
	p.buf = p.buf[:headerSize]
	return err
}
