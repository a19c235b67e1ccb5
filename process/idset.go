package process

import (
	"encoding/binary"
	"errors"
	"math/bits"

	"millrace/record"
)

// IDSet remembers event IDs for a horizon of event time, in bounded memory:
// open addressing, 20 bytes a slot at a load of 0.5 to 0.8, so 25 to 40 bytes
// an ID. Each slot carries the ID's time bucket; a slot whose bucket has
// fallen behind the horizon counts as free, so expiry costs nothing until the
// next rehash, which drops what has expired.
//
// A Go map of [16]byte would need about the same memory, but cannot expire
// without walking it or keeping a second list of IDs per bucket.
type IDSet struct {
	width    int64 // of a bucket, in microseconds
	horizon  int64 // in microseconds
	maxSlots int

	watermark int64  // highest event time seen
	floor     uint32 // buckets below it have expired

	ids     []record.ID
	buckets []uint32 // 0: never used
	used    int      // slots with a bucket, expired ones included

	// cut counts the IDs that were given up early because the memory
	// bound was reached; onCut, if set, is told.
	cut   int64
	onCut func(ids int)
}

const (
	slotBytes   = 20
	minSlots    = 1 << 10
	horizonBins = 64
	// maxEarly is how far an event's own clock may run ahead of the log's
	// append time and still move the watermark: one device with a clock in
	// the future must not expire everybody's history.
	maxEarly = int64(5 * 60 * 1e6)
)

func newIDSet(horizonMicros, maxBytes int64) *IDSet {
	s := &IDSet{
		horizon:   horizonMicros,
		width:     max(horizonMicros/horizonBins, 1e6),
		maxSlots:  int(max(maxBytes/slotBytes, minSlots)),
		watermark: record.NoTime,
	}
	s.alloc(minSlots)
	return s
}

func (s *IDSet) alloc(slots int) {
	s.ids = make([]record.ID, slots)
	s.buckets = make([]uint32, slots)
	s.used = 0
}

// bucketOf never returns 0, which marks a free slot. Times before 1970 share
// the first bucket.
func (s *IDSet) bucketOf(micros int64) uint32 {
	if micros < 0 {
		return 1
	}
	return uint32(min(micros/s.width, 1<<32-3)) + 1
}

// Add remembers id and reports whether it was there already. An event older
// than the horizon is neither remembered nor recognised: the store's key is
// what catches it then.
func (s *IDSet) Add(id record.ID, createdAt, enqueuedAt int64) (duplicate bool) {
	at := min(createdAt, enqueuedAt+maxEarly)
	if at > s.watermark {
		s.watermark = at
		s.floor = max(s.floor, s.bucketOf(at-s.horizon))
	}
	bucket := s.bucketOf(at)
	if bucket < s.floor {
		return false
	}
	free := -1
	n := len(s.ids)
	for i := slotOf(id, n); ; {
		b := s.buckets[i]
		switch {
		case b == 0:
			if free < 0 {
				free = i
				s.used++
			}
			s.ids[free], s.buckets[free] = id, bucket
			if s.used*5 > n*4 {
				s.rehash()
			}
			return false
		case b < s.floor:
			if free < 0 {
				free = i
			}
		case s.ids[i] == id:
			return true
		}
		if i++; i == n {
			i = 0
		}
	}
}

// slotOf maps an ID onto n slots. UUIDs of version 7 share their leading
// bytes, so both halves are mixed before the multiply-shift.
func slotOf(id record.ID, n int) int {
	h := binary.LittleEndian.Uint64(id[8:]) ^ binary.LittleEndian.Uint64(id[:8])*0x9e3779b97f4a7c15
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	hi, _ := bits.Mul64(h, uint64(n))
	return int(hi)
}

// rehash drops what has expired and sizes the table to what is left; when
// that would pass the memory bound, the oldest buckets go early.
func (s *IDSet) rehash() {
	live, perBucket := s.census()
	for b := s.floor; slotsFor(live) > s.maxSlots; b++ {
		if n := perBucket[b]; n > 0 {
			live -= n
			s.cut += int64(n)
			if s.onCut != nil {
				s.onCut(n)
			}
		}
		s.floor = b + 1
	}
	ids, buckets := s.ids, s.buckets
	s.alloc(slotsFor(live))
	for i, b := range buckets {
		if b >= s.floor && b != 0 {
			s.put(ids[i], b)
		}
	}
}

// slotsFor leaves room to grow by a quarter before the next rehash.
func slotsFor(live int) int { return max(live*8/5, minSlots) }

// census counts the live IDs, in all and by bucket.
func (s *IDSet) census() (live int, perBucket map[uint32]int) {
	perBucket = make(map[uint32]int, 2*horizonBins)
	var last uint32
	run := 0
	for _, b := range s.buckets {
		if b == 0 || b < s.floor {
			continue
		}
		live++
		if b != last {
			perBucket[last] += run
			last, run = b, 0
		}
		run++
	}
	perBucket[last] += run
	return live, perBucket
}

func (s *IDSet) live() int {
	n := 0
	for _, b := range s.buckets {
		if b != 0 && b >= s.floor {
			n++
		}
	}
	return n
}

// put inserts an ID that is known to be absent.
func (s *IDSet) put(id record.ID, bucket uint32) {
	i := slotOf(id, len(s.ids))
	for s.buckets[i] != 0 {
		if i++; i == len(s.ids) {
			i = 0
		}
	}
	s.ids[i], s.buckets[i] = id, bucket
	s.used++
}

// bytes is the memory held by the table.
// Bytes is the memory that the set takes.
func (s *IDSet) Bytes() int64 { return int64(len(s.ids)) * slotBytes }

const idSetHeader = 8 + 8 + 4 + 4

// AppendState writes the live entries (docs/formats/snapshot.md).
func (s *IDSet) AppendState(dst []byte) []byte {
	le := binary.LittleEndian
	dst = le.AppendUint64(dst, uint64(s.watermark))
	dst = le.AppendUint64(dst, uint64(s.width))
	dst = le.AppendUint32(dst, s.floor)
	count := len(dst)
	dst = le.AppendUint32(dst, 0)
	n := uint32(0)
	for i, b := range s.buckets {
		if b != 0 && b >= s.floor {
			dst = le.AppendUint32(dst, b)
			dst = append(dst, s.ids[i][:]...)
			n++
		}
	}
	le.PutUint32(dst[count:], n)
	return dst
}

var errSnapshotShape = errors.New("the snapshot's ID table has an impossible size")

// ReadState replaces the set by one that AppendState wrote.
func (s *IDSet) ReadState(src []byte) error {
	le := binary.LittleEndian
	if len(src) < idSetHeader {
		return errSnapshotShape
	}
	watermark, width, floor := int64(le.Uint64(src)), int64(le.Uint64(src[8:])), le.Uint32(src[16:])
	n := int(le.Uint32(src[20:]))
	body := src[idSetHeader:]
	if width != s.width || len(body) != n*slotBytes {
		return errSnapshotShape
	}
	s.watermark, s.floor = watermark, floor
	s.alloc(slotsFor(n))
	for ; len(body) > 0; body = body[slotBytes:] {
		if b := le.Uint32(body); b != 0 {
			s.put(record.ID(body[4:slotBytes]), b)
		}
	}
	if s.used > s.maxSlots*4/5 {
		s.rehash()
	}
	return nil
}
