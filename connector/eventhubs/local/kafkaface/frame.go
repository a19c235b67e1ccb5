package kafkaface

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

const (
	// minFrame is a request's header with an absent client id.
	minFrame = 10
	// maxSignInFrame bounds requests of clients that have not signed in.
	maxSignInFrame = 64 << 10
	// readStep is how much of a frame is made room for at a time, so that
	// an announced size costs nothing before its bytes are there.
	readStep = 64 << 10
)

// header is a request's header.
type header struct {
	key, version int16
	correlation  int32
}

// tooLarge is a frame above the limit.
type tooLarge struct {
	size, limit int
}

func (e *tooLarge) Error() string {
	return fmt.Sprintf("a request of %d bytes is above the limit of %d", e.size, e.limit)
}

// garbage is something that no client of Kafka sends.
type garbage struct{ what string }

func (e *garbage) Error() string { return e.what }

// framePool holds buffers of frames. See conn.release for who may put one back.
var framePool = sync.Pool{New: func() any { return new([]byte) }}

// readSize reads the size of the next frame and judges it. It returns a
// *tooLarge with the size, or a *garbage.
func readSize(r *bufio.Reader, limit int) (int, error) {
	var b [4]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, err
	}
	size := int(int32(binary.BigEndian.Uint32(b[:])))
	switch {
	case size >= 0 && size <= limit:
		return size, nil
	case looksLikeText(b[:]):
		next, _ := r.Peek(r.Buffered())
		return 0, &garbage{fmt.Sprintf("%q is not Kafka's protocol", clip(append(b[:], next...), 24))}
	case size < 0:
		return 0, &garbage{fmt.Sprintf("%x is not Kafka's protocol", b)}
	}
	return size, &tooLarge{size: size, limit: limit}
}

// looksLikeText tells the beginning of something like HTTP or AMQP: a frame
// with such a size would be of hundreds of megabytes.
func looksLikeText(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return true
}

func clip(b []byte, n int) []byte {
	if len(b) > n {
		return b[:n]
	}
	return b
}

// readBody reads size bytes into buf, which grows as they come.
func readBody(r io.Reader, buf []byte, size int) ([]byte, error) {
	buf = buf[:0]
	for len(buf) < size {
		n := min(size-len(buf), readStep)
		if cap(buf)-len(buf) < n {
			grown := make([]byte, len(buf), min(size, max(2*cap(buf), len(buf)+n)))
			copy(grown, buf)
			buf = grown
		}
		// What there is room for is read at once.
		n = min(size, cap(buf)) - len(buf)
		at := len(buf)
		buf = buf[:at+n]
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return buf[:at], err
		}
	}
	return buf, nil
}

// readHeader cuts the header off a request up to the client id, and reports
// where the rest begins.
func readHeader(b []byte) (h header, rest []byte, err error) {
	if len(b) < minFrame {
		return h, nil, &garbage{fmt.Sprintf("a request of %d bytes has no header", len(b))}
	}
	h.key = int16(binary.BigEndian.Uint16(b))
	h.version = int16(binary.BigEndian.Uint16(b[2:]))
	h.correlation = int32(binary.BigEndian.Uint32(b[4:]))
	n := int(int16(binary.BigEndian.Uint16(b[8:])))
	b = b[minFrame:]
	if n > len(b) || n < -1 {
		return h, nil, &garbage{"a request's client id is longer than the request"}
	}
	return h, b[max(n, 0):], nil
}

var errTags = &garbage{"a request's tags are not well formed"}

// skipTags cuts the tags of a flexible header off.
func skipTags(b []byte) ([]byte, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, errTags
	}
	b = b[n:]
	for range count {
		_, n = binary.Uvarint(b)
		if n <= 0 {
			return nil, errTags
		}
		size, m := binary.Uvarint(b[n:])
		if m <= 0 || size > uint64(len(b)-n-m) {
			return nil, errTags
		}
		b = b[n+m+int(size):]
	}
	return b, nil
}
