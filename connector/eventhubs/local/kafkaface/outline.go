package kafkaface

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// maxOutlined is the largest request that is looked at at all when it is
	// above the limit: what Kafka's brokers take by default.
	maxOutlined = 100 << 20
	// maxOutlineParts bounds the partitions named in it.
	maxOutlineParts = 10_000
)

// outline is a Produce request above the limit without its events: enough to
// answer it.
type outline struct {
	header
	tooLarge
	acks    int16
	req     *kmsg.ProduceRequest // with empty records
	largest int                  // size of the largest batch
}

// refuse answers an outlined request. If one batch alone is above the limit,
// Kafka would say so, and clients know what to do about it. A request that is
// only too large as a whole ends the connection, as with the service.
func (o *outline) refuse() (kmsg.Response, error) {
	if o.largest <= o.limit || o.acks == 0 {
		return nil, &o.tooLarge
	}
	message := fmt.Sprintf("the request has %d bytes, more than %d", o.size, o.limit)
	resp := produceError(o.req, kerr.MessageTooLarge.Code, message)
	resp.SetVersion(o.version)
	return resp, nil
}

// readOutline reads past the rest of a frame that is too large. If that is no
// Produce request, the error is large.
func readOutline(r *bufio.Reader, large *tooLarge) (*outline, error) {
	if large.size > maxOutlined {
		return nil, large
	}
	o := &outline{tooLarge: *large}
	s := &skimmer{r: r, left: large.size}
	o.key, o.version, o.correlation = s.int16(), s.int16(), s.int32()
	if n := s.int16(); n > 0 {
		s.skip(int(n))
	}
	if s.err == nil && (o.key != int16(kmsg.Produce) || o.version < 3 || o.version > 9) {
		return nil, large
	}
	o.read(s)
	if s.err == nil {
		s.skip(s.left)
	}
	if s.err != nil {
		return nil, fmt.Errorf("%w, and cannot be read: %w", large, s.err)
	}
	return o, nil
}

// read reads the body of a Produce request, versions 3 to 9.
func (o *outline) read(s *skimmer) {
	s.flexible = o.version >= 9
	s.tags() // of the header
	o.req = kmsg.NewPtrProduceRequest()
	o.req.Version = o.version
	s.skip(max(s.length(), 0)) // transactional id
	o.acks = s.int16()
	s.int32() // timeout
	parts := 0
	for range s.count() {
		t := kmsg.NewProduceRequestTopic()
		t.Topic = s.name()
		for range s.count() {
			if parts++; parts > maxOutlineParts {
				s.fail()
			}
			if s.err != nil {
				return
			}
			p := kmsg.NewProduceRequestTopicPartition()
			p.Partition = s.int32()
			n := max(s.bytesLength(), 0)
			o.largest = max(o.largest, n)
			s.skip(n)
			s.tags()
			t.Partitions = append(t.Partitions, p)
		}
		s.tags()
		if parts++; parts > maxOutlineParts {
			s.fail()
		}
		if s.err != nil {
			return
		}
		o.req.Topics = append(o.req.Topics, t)
	}
	s.tags()
}

// skimmer reads Kafka's basic types from a stream or a slice. After the first
// error all reads return zero.
type skimmer struct {
	r        *bufio.Reader
	b        []byte // instead of r
	left     int    // bytes that are still to come
	flexible bool
	err      error
}

func (s *skimmer) fail() {
	if s.err == nil {
		s.err = io.ErrUnexpectedEOF
	}
}

// take returns the next n bytes, n at most 8.
func (s *skimmer) take(n int) []byte {
	var b [8]byte
	if s.err == nil && n > s.left {
		s.fail()
	}
	if s.err == nil {
		s.fill(b[:n])
	}
	if s.err != nil {
		clear(b[:])
	}
	return b[:n]
}

func (s *skimmer) fill(b []byte) {
	if s.left -= len(b); s.r == nil {
		s.b = s.b[copy(b, s.b):]
		return
	}
	_, s.err = io.ReadFull(s.r, b)
}

func (s *skimmer) int16() int16 { return int16(binary.BigEndian.Uint16(s.take(2))) }
func (s *skimmer) int32() int32 { return int32(binary.BigEndian.Uint32(s.take(4))) }

func (s *skimmer) uvarint() uint32 {
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := s.take(1)[0]
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	s.fail()
	return 0
}

func (s *skimmer) skip(n int) {
	if s.err == nil && n > s.left {
		s.fail()
	}
	if s.err != nil {
		return
	}
	if s.left -= n; s.r == nil {
		s.b = s.b[n:]
		return
	}
	_, s.err = s.r.Discard(n)
}

// compact is the length of a string, array or bytes in flexible versions.
func (s *skimmer) compact() int { return int(s.uvarint()) - 1 }

// length is the length of a string, -1 if there is none.
func (s *skimmer) length() int {
	if s.flexible {
		return s.compact()
	}
	return int(s.int16())
}

// bytesLength is the length of bytes, -1 if there are none.
func (s *skimmer) bytesLength() int {
	if s.flexible {
		return s.compact()
	}
	return int(s.int32())
}

// count is the length of an array: as many elements as there could be.
func (s *skimmer) count() int {
	n := s.bytesLength()
	if n > s.left {
		s.fail()
	}
	if s.err != nil {
		return 0
	}
	return max(n, 0)
}

func (s *skimmer) name() string {
	n := s.length()
	if n < 0 || n > 249 || n > s.left {
		s.fail()
	}
	if s.err != nil {
		return ""
	}
	b := make([]byte, n)
	s.fill(b)
	return string(b)
}

func (s *skimmer) tags() {
	if !s.flexible {
		return
	}
	for range s.uvarint() {
		s.uvarint()
		s.skip(int(s.uvarint()))
		if s.err != nil {
			return
		}
	}
}
