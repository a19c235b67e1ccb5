package kafka

import (
	"encoding/binary"
	"hash/crc32"
	"math/bits"
	"strconv"
	"sync"
	"time"

	"millrace/record"
)

// batch is a transactional record batch in Kafka's format (magic 2), built in
// place: results are encoded once, straight into what is sent.
type batch struct {
	buf   []byte
	count int32
}

const (
	batchHeaderSize = 61
	batchLengthAt   = 8
	batchMagicAt    = 16
	batchCRCAt      = 17
	batchAttrsAt    = 21
	batchLastAt     = 23
	batchTimesAt    = 27
	batchProducerAt = 43
	batchEpochAt    = 51
	batchSequenceAt = 53
	batchCountAt    = 57

	attrTransactional = 1 << 4
)

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	batchPool  = sync.Pool{New: func() any { return new(batch) }}
)

func newBatch(producerID int64, epoch int16) *batch {
	b := batchPool.Get().(*batch)
	b.count = 0
	b.buf = append(b.buf[:0], make([]byte, batchHeaderSize)...)
	binary.BigEndian.PutUint32(b.buf[12:], ^uint32(0)) // leader epoch: not known
	b.buf[batchMagicAt] = 2
	binary.BigEndian.PutUint16(b.buf[batchAttrsAt:], attrTransactional)
	binary.BigEndian.PutUint64(b.buf[batchProducerAt:], uint64(producerID))
	binary.BigEndian.PutUint16(b.buf[batchEpochAt:], uint16(epoch))
	return b
}

// release gives the buffer back; b must not be used any more.
func (b *batch) release() { batchPool.Put(b) }

// recordSize is at least what add needs for a key and a value.
func recordSize(key, value []byte) int { return len(key) + len(value) + 128 }

// add appends a record. With a result, its input position becomes the header
// "from"; next, if not negative, the header "next".
func (b *batch) add(key, value []byte, r *record.Result, next int64) {
	var h [96]byte
	headers := appendHeaders(h[:0], r, next)
	// attributes, time difference 0, offset difference, key, value, headers
	length := 2 + varintSize(int64(b.count)) + varintSize(int64(len(key))) + len(key) +
		varintSize(int64(len(value))) + len(value) + len(headers)
	buf := binary.AppendVarint(b.buf, int64(length))
	buf = append(buf, 0, 0)
	buf = binary.AppendVarint(buf, int64(b.count))
	buf = binary.AppendVarint(buf, int64(len(key)))
	buf = append(buf, key...)
	buf = binary.AppendVarint(buf, int64(len(value)))
	buf = append(buf, value...)
	b.buf = append(buf, headers...)
	b.count++
}

func appendHeaders(dst []byte, r *record.Result, next int64) []byte {
	n := 0
	if r != nil {
		n++
	}
	if next >= 0 {
		n++
	}
	dst = binary.AppendVarint(dst, int64(n))
	var v [40]byte
	if r != nil {
		from := strconv.AppendInt(v[:0], int64(r.Partition), 10)
		from = append(from, '/')
		from = strconv.AppendInt(from, r.Offset, 10)
		dst = appendHeader(dst, headerFrom, from)
	}
	if next >= 0 {
		dst = appendHeader(dst, headerNext, strconv.AppendInt(v[:0], next, 10))
	}
	return dst
}

func appendHeader(dst []byte, key string, value []byte) []byte {
	dst = binary.AppendVarint(dst, int64(len(key)))
	dst = append(dst, key...)
	dst = binary.AppendVarint(dst, int64(len(value)))
	return append(dst, value...)
}

// varintSize is the length of v as a zigzag varint.
func varintSize(v int64) int {
	return (bits.Len64(uint64(v<<1^v>>63)|1) + 6) / 7
}

// seal completes the header and returns the bytes to send.
func (b *batch) seal(sequence int32) []byte {
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint32(b.buf[batchLengthAt:], uint32(len(b.buf)-batchLengthAt-4))
	binary.BigEndian.PutUint32(b.buf[batchLastAt:], uint32(b.count-1))
	binary.BigEndian.PutUint64(b.buf[batchTimesAt:], now)
	binary.BigEndian.PutUint64(b.buf[batchTimesAt+8:], now)
	binary.BigEndian.PutUint32(b.buf[batchSequenceAt:], uint32(sequence))
	binary.BigEndian.PutUint32(b.buf[batchCountAt:], uint32(b.count))
	binary.BigEndian.PutUint32(b.buf[batchCRCAt:], crc32.Checksum(b.buf[batchAttrsAt:], castagnoli))
	return b.buf
}
