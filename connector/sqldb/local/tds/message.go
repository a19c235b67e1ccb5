package tds

import (
	"encoding/binary"
	"io"
	"math"

	"millrace/connector/sqldb/local/value"
)

// message reads one request, whose fields may be split over packets at any
// byte. The first failure stays in err, and everything read after it is zero,
// so that decoders need to look only where they loop or allocate.
type message struct {
	// fetch returns the next packet; the one before is not used any more.
	fetch   func() (packet, error)
	kind    byte
	cur     []byte
	last    bool
	ignored bool // the client took the request back
	err     error
	scratch []byte
	budget  int // bytes that may still be kept
	// anyTransaction accepts a request whatever transaction it names.
	anyTransaction bool
	long           bool // a value of a bulk load was longer than its column
}

// maxRequest bounds what one request may hold in memory: texts and parameters.
// Rows of a bulk load are handed on one by one and do not count together.
const maxRequest = 256 << 20

func newMessage(first packet, fetch func() (packet, error)) *message {
	m := &message{fetch: fetch, kind: first.kind, budget: maxRequest}
	m.take(first)
	return m
}

func (m *message) take(p packet) {
	m.cur = p.data
	m.last = p.status&statusEnd != 0
	m.ignored = m.last && p.status&statusIgnore != 0
}

// more makes sure that there is a byte to read; false at the end of the
// message and after an error.
func (m *message) more() bool {
	for len(m.cur) == 0 {
		if m.last || m.err != nil {
			return false
		}
		p, err := m.fetch()
		if err != nil {
			m.fail(noEOF(err))
			return false
		}
		if p.kind != m.kind {
			m.fail(protocolErrorf("a packet of type %d within a message of type %d", p.kind, m.kind))
			return false
		}
		m.take(p)
	}
	return m.err == nil
}

func (m *message) fail(err error) {
	if m.err == nil {
		m.err = err
		m.cur = nil
	}
}

var zeros [math.MaxUint16]byte

// bytes returns the next n bytes (n fits 16 bits), valid until the next read.
func (m *message) bytes(n int) []byte {
	if len(m.cur) >= n && m.err == nil {
		b := m.cur[:n:n]
		m.cur = m.cur[n:]
		return b
	}
	m.scratch = m.appendBytes(m.scratch[:0], n)
	if m.err != nil {
		return zeros[:n]
	}
	return m.scratch
}

// appendBytes appends the next n bytes, however many, to buf.
func (m *message) appendBytes(buf []byte, n int) []byte {
	for n > 0 {
		if !m.more() {
			if m.err == nil {
				m.fail(protocolErrorf("a message ends within a field: %w", io.ErrUnexpectedEOF))
			}
			return buf
		}
		part := m.cur[:min(n, len(m.cur))]
		buf = append(buf, part...)
		m.cur = m.cur[len(part):]
		n -= len(part)
	}
	return buf
}

// keep accounts for n bytes that stay in memory.
func (m *message) keep(n int) bool {
	if m.budget -= n; m.budget < 0 {
		m.fail(protocolErrorf("a request of more than %d bytes", maxRequest))
	}
	return m.err == nil
}

// discard reads the rest of the message and forgets it.
func (m *message) discard() error {
	for m.more() {
		m.cur = nil
	}
	return m.err
}

func (m *message) u8() byte    { return m.bytes(1)[0] }
func (m *message) u16() uint16 { return binary.LittleEndian.Uint16(m.bytes(2)) }
func (m *message) u32() uint32 { return binary.LittleEndian.Uint32(m.bytes(4)) }
func (m *message) u64() uint64 { return binary.LittleEndian.Uint64(m.bytes(8)) }

// text8 reads a text of up to 255 characters behind its count.
func (m *message) text8() string { return string(value.AppendUTF8(nil, m.bytes(2*int(m.u8())))) }

// headers reads ALL_HEADERS and returns the transaction descriptor.
func (m *message) headers() (descriptor uint64) {
	total := int64(m.u32())
	if total < 4 || total > 1<<16 {
		m.fail(protocolErrorf("headers of %d bytes", total))
		return 0
	}
	for left := total - 4; left > 0 && m.err == nil; {
		size, kind := int64(m.u32()), m.u16()
		if size < 6 || size > left {
			m.fail(protocolErrorf("a header of %d bytes where %d are left", size, left))
			return 0
		}
		data := m.bytes(int(size - 6))
		if kind == 2 {
			if len(data) != 12 {
				m.fail(protocolErrorf("a transaction header of %d bytes", len(data)))
				return 0
			}
			descriptor = binary.LittleEndian.Uint64(data)
		}
		left -= size
	}
	return descriptor
}

// rest reads what is left as a text.
func (m *message) rest() string {
	var utf16 []byte
	for m.more() && m.keep(len(m.cur)) {
		utf16 = append(utf16, m.cur...)
		m.cur = nil
	}
	if len(utf16)%2 != 0 {
		m.fail(protocolErrorf("a text of %d bytes", len(utf16)))
		return ""
	}
	return string(value.AppendUTF8(nil, utf16))
}
