package amqp

import (
	"errors"
	"io"
)

const (
	// firstBuffer is what an idle connection costs; lastBuffer is where the
	// buffer stops growing, unless a frame is larger.
	firstBuffer = 2 << 10
	lastBuffer  = 128 << 10
)

// Reader reads protocol headers and frames of one connection.
type Reader struct {
	r          io.Reader
	buf        []byte
	start, end int
	max        uint32
	hot        hot
}

// NewReader returns a Reader that refuses frames of more than maxFrameSize
// bytes. Its buffer grows with what arrives, not with what a frame claims.
func NewReader(r io.Reader, maxFrameSize uint32) *Reader {
	return &Reader{r: r, max: max(maxFrameSize, MinMaxFrameSize)}
}

// Buffered tells whether a whole frame has arrived already, so that ReadFrame
// will not wait.
func (r *Reader) Buffered() bool {
	b := r.buf[r.start:r.end]
	return len(b) >= 8 && uint64(be.Uint32(b)) <= uint64(len(b))
}

// ReadProtocolHeader reads the eight bytes that begin a connection or one of
// its layers. A header of something else than AMQP 1.0 is an *Error with the
// condition amqp:connection:framing-error.
func (r *Reader) ReadProtocolHeader() (Protocol, error) {
	b, err := r.peek(8)
	if err != nil {
		return 0, err
	}
	if string(b[:4]) != "AMQP" {
		return 0, framingError("the connection does not begin with AMQP but with %q", b[:4])
	}
	if b[5] != 1 || b[6] != 0 || b[7] != 0 {
		return 0, framingError("AMQP %d.%d.%d is not spoken here, only 1.0.0", b[5], b[6], b[7])
	}
	r.start += 8
	return Protocol(b[4]), nil
}

// ReadFrame reads the next frame. Its Payload and the bodies *Transfer, *Flow
// and *Disposition with all that they point to are valid until the next call;
// other bodies are the caller's to keep.
//
// The error is io.EOF at the end between two frames, io.ErrUnexpectedEOF within
// one, an *Error (framing-error, decode-error) for what is not a frame, else
// that of the underlying reader. After an *Error there is no way back into the
// stream: close the connection.
func (r *Reader) ReadFrame() (Frame, error) {
	b, err := r.peek(8)
	if err != nil {
		return Frame{}, err
	}
	size, offset := be.Uint32(b), 4*int(b[4])
	f := Frame{Type: b[5], Channel: be.Uint16(b[6:])}
	switch {
	case size > r.max:
		return Frame{}, framingError("a frame of %d bytes is larger than the %d agreed", size, r.max)
	case offset < 8 || offset > int(size):
		return Frame{}, framingError("a frame of %d bytes with its data at %d", size, offset)
	case f.Type > FrameSASL:
		return Frame{}, framingError("frame type %d is unknown", f.Type)
	}
	if b, err = r.peek(int(size)); err != nil {
		return Frame{}, err
	}
	r.start += int(size)
	if b = b[offset:size]; len(b) == 0 {
		return f, nil
	}
	f.Body, f.Payload, err = readPerformative(b, &r.hot)
	if err != nil {
		return Frame{}, err
	}
	return f, nil
}

// peek returns the next n bytes at least, without consuming them.
func (r *Reader) peek(n int) ([]byte, error) {
	idle := 0
	for r.end-r.start < n {
		r.makeRoom()
		m, err := r.r.Read(r.buf[r.end:])
		r.end += m
		switch {
		case m > 0:
			idle = 0
		case err == nil:
			if idle++; idle > 100 {
				return nil, io.ErrNoProgress
			}
		case errors.Is(err, io.EOF) && r.end > r.start:
			return nil, io.ErrUnexpectedEOF
		default:
			return nil, err
		}
	}
	return r.buf[r.start:r.end], nil
}

// makeRoom makes room for at least one byte. What was handed out before is
// overwritten.
func (r *Reader) makeRoom() {
	if r.start == r.end {
		r.start, r.end = 0, 0
	}
	switch {
	case r.end < len(r.buf):
	case r.start > 0 && len(r.buf) >= lastBuffer:
		r.end = copy(r.buf, r.buf[r.start:r.end])
		r.start = 0
	default:
		// All of it is filled with what has arrived, so the peer sends much.
		buf := make([]byte, max(firstBuffer, 2*len(r.buf)))
		r.end = copy(buf, r.buf[r.start:r.end])
		r.start, r.buf = 0, buf
	}
}
