package kafkaface

import (
	"errors"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// decodeAlone is the size from which on requests other than Produce are taken
// apart one at a time.
const decodeAlone = 64 << 10

var errParts = errors.New("it names too many partitions")

// decode takes a request's body apart. The decoder makes room for as many
// elements as an array claims to have, which may be a hundred times the
// request's size; so a Produce request, whose size is usual, is looked through
// before, and other large ones come one at a time.
func (s *Server) decode(req kmsg.Request, b []byte) error {
	if req.Key() == int16(kmsg.Produce) {
		if err := checkParts(b, req.GetVersion()); err != nil {
			return err
		}
	} else if len(b) > decodeAlone {
		s.decoding.Lock()
		defer s.decoding.Unlock()
	}
	return req.ReadFrom(b)
}

// checkParts walks the body of a Produce request without keeping anything.
func checkParts(b []byte, version int16) error {
	s := &skimmer{b: b, left: len(b), flexible: version >= 9}
	s.skip(max(s.length(), 0)) // transactional id
	s.int16()                  // acks
	s.int32()                  // timeout
	parts := 0
	for range s.count() {
		s.skip(max(s.length(), 0))
		for range s.count() {
			s.int32()
			s.skip(max(s.bytesLength(), 0))
			s.tags()
			if parts++; s.err != nil || parts > maxOutlineParts {
				break
			}
		}
		s.tags()
		if parts++; s.err != nil || parts > maxOutlineParts {
			break
		}
	}
	if s.err == nil && parts > maxOutlineParts {
		return errParts
	}
	return s.err
}
