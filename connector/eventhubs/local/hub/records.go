package hub

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var (
	errRecord   = errors.New("the log has a record batch that is not well-formed")
	errChecksum = errors.New("the log has a record batch whose checksum is wrong")
)

// maxInflated bounds what a gzipped record batch may hold.
const maxInflated = 64 << 20

// batchHead is the header of a record batch.
type batchHead struct {
	base      int64
	attrs     uint16
	last      int32 // offset difference of the last record
	time, max int64 // ms: of the first record, the greatest one
	producer  int64
	count     int32
	records   []byte // maybe compressed
}

// cutBatch is cutHead with a look at the checksum.
func cutBatch(raw []byte) (h batchHead, rest []byte, ok bool, err error) {
	h, rest, ok, err = cutHead(raw)
	if ok && crc32.Checksum(raw[batchAttrsAt:len(raw)-len(rest)], castagnoli) != binary.BigEndian.Uint32(raw[batchCRCAt:]) {
		return h, nil, false, errChecksum
	}
	return h, rest, ok, err
}

// cutHead cuts the first record batch off raw. ok is false if raw ends before
// the batch does, which is how the log ends an answer.
func cutHead(raw []byte) (h batchHead, rest []byte, ok bool, err error) {
	if len(raw) < batchHeaderSize {
		return h, nil, false, nil
	}
	length := int64(int32(binary.BigEndian.Uint32(raw[batchLengthAt:])))
	if length < batchHeaderSize-batchLengthAt-4 {
		return h, nil, false, errRecord
	}
	if int64(len(raw)) < length+12 {
		return h, nil, false, nil
	}
	b, rest := raw[:length+12], raw[length+12:]
	if b[batchMagicAt] != 2 {
		return h, nil, false, fmt.Errorf("the log has a record batch of the old format %d", b[batchMagicAt])
	}
	h = batchHead{
		base:     int64(binary.BigEndian.Uint64(b)),
		attrs:    binary.BigEndian.Uint16(b[batchAttrsAt:]),
		last:     int32(binary.BigEndian.Uint32(b[batchLastAt:])),
		time:     int64(binary.BigEndian.Uint64(b[batchTimeAt:])),
		max:      int64(binary.BigEndian.Uint64(b[batchMaxTimeAt:])),
		producer: int64(binary.BigEndian.Uint64(b[batchProducerAt:])),
		count:    int32(binary.BigEndian.Uint32(b[batchCountAt:])),
		records:  b[batchHeaderSize:],
	}
	if h.last < 0 || h.count < 0 || h.base < 0 {
		return h, nil, false, errRecord
	}
	return h, rest, true, nil
}

// inflate returns the records of a batch as they were before compression.
func (h *batchHead) inflate() ([]byte, error) {
	codec := h.attrs & attrCompression
	if codec == 0 {
		return h.records, nil
	}
	var records []byte
	var err error
	if kgo.CompressionCodecType(codec) == kgo.CodecGzip {
		records, err = gunzip(h.records)
	} else {
		records, err = decompressor.Decompress(h.records, kgo.CompressionCodecType(codec))
	}
	if err != nil {
		return nil, fmt.Errorf("decompressing a record batch of the log: %w", err)
	}
	return records, nil
}

// gunzip decompresses what came from anybody: of the codecs, gzip is what the
// Kafka endpoint takes. A few bytes must not become all of the memory.
func gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(io.LimitReader(z, maxInflated+1))
	if err == nil && len(out) > maxInflated {
		err = fmt.Errorf("it becomes more than %d bytes", maxInflated)
	}
	return out, err
}

var decompressor = kgo.DefaultDecompressor()

// answer walks the events in what a fetch brought: those of transactions that
// were not aborted, from a position on.
type answer struct {
	raw     []byte
	at      int64 // no event before this one
	next    int64 // where the log goes on after what was walked
	aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
	ended   map[int64]bool // producers in an aborted transaction
	err     error          // what is wrong with it, once that was met

	// The batch that is being walked.
	head    batchHead
	records []byte
	left    int32
}

func newAnswer(at int64, f *kmsg.FetchResponseTopicPartition) *answer {
	a := &answer{raw: f.RecordBatches, at: at, next: at}
	if len(f.AbortedTransactions) > 0 {
		a.aborted = slices.Clone(f.AbortedTransactions)
		slices.SortFunc(a.aborted, func(x, y kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
			return int(min(1, max(-1, x.FirstOffset-y.FirstOffset)))
		})
		a.ended = map[int64]bool{}
	}
	return a
}

// event decodes the next event into e; ok is false at the end.
func (a *answer) event(e *Event) (ok bool, err error) {
	if a.err == nil {
		ok, a.err = a.step(e)
	}
	return ok, a.err
}

func (a *answer) step(e *Event) (ok bool, err error) {
	for {
		for a.left > 0 {
			a.left--
			delta, err := a.record(e)
			if err != nil {
				return false, err
			}
			e.Sequence = a.head.base + delta
			if a.left == 0 {
				a.next = max(a.next, a.head.base+int64(a.head.last)+1)
			} else {
				a.next = max(a.next, e.Sequence+1)
			}
			if e.Sequence >= a.at {
				return true, nil
			}
		}
		more, err := a.batch()
		if err != nil || !more {
			return false, err
		}
	}
}

// batch begins the next batch that has events to be seen.
func (a *answer) batch() (more bool, err error) {
	for {
		h, rest, ok, err := cutBatch(a.raw)
		if err != nil || !ok {
			return false, err
		}
		a.raw = rest
		end := h.base + int64(h.last) + 1
		for len(a.aborted) > 0 && a.aborted[0].FirstOffset < end {
			a.ended[a.aborted[0].ProducerID] = true
			a.aborted = a.aborted[1:]
		}
		switch {
		case h.attrs&attrControl != 0:
			// The marker that ends a transaction. The one of an aborted
			// transaction lets the producer's next one be seen.
			if a.ended[h.producer] && abortMarker(&h) {
				delete(a.ended, h.producer)
			}
		case h.attrs&attrTransactional != 0 && a.ended[h.producer]:
		case h.count == 0:
		default:
			if a.records, err = h.inflate(); err != nil {
				return false, err
			}
			a.head, a.left = h, h.count
			return true, nil
		}
		a.next = max(a.next, end)
	}
}

// abortMarker tells whether a control batch ends an aborted transaction.
func abortMarker(h *batchHead) bool {
	records, err := h.inflate()
	if err != nil {
		return false
	}
	var e Event
	_, _, err = cutRecord(records, &e)
	return err == nil && len(e.key) >= 4 && e.key[2] == 0 && e.key[3] == 0
}

// record decodes the next record of the batch.
func (a *answer) record(e *Event) (delta int64, err error) {
	rest, r, err := cutRecord(a.records, e)
	if err != nil {
		return 0, err
	}
	a.records = rest
	e.Enqueued = a.head.time + r.time
	if a.head.attrs&attrAppendTime != 0 {
		e.Enqueued = a.head.max
	}
	return r.offset, nil
}

// recordHead is what a record says of its place.
type recordHead struct {
	attrs        byte
	time, offset int64 // differences
}

// cutRecord cuts the first record off the records of a batch, into e.
func cutRecord(b []byte, e *Event) (rest []byte, r recordHead, err error) {
	length, n := binary.Varint(b)
	if n <= 0 || length < 0 || length > int64(len(b)-n) {
		return nil, r, errRecord
	}
	rest, b = b[n+int(length):], b[n:n+int(length)]
	if len(b) < 1 {
		return nil, r, errRecord
	}
	r.attrs, b = b[0], b[1:]
	if r.time, n = binary.Varint(b); n <= 0 {
		return nil, r, errRecord
	}
	b = b[n:]
	if r.offset, n = binary.Varint(b); n <= 0 || r.offset < 0 || r.offset > 1<<31 {
		return nil, r, errRecord
	}
	b = b[n:]
	var ok bool
	if e.key, b, ok = cutBytes(b); !ok {
		return nil, r, errRecord
	}
	if e.value, b, ok = cutBytes(b); !ok {
		return nil, r, errRecord
	}
	count, n := binary.Varint(b)
	if n <= 0 || count < 0 || count > int64(len(b)) {
		return nil, r, errRecord
	}
	e.headers, e.headerCount = b[n:], int(count)
	e.marker = nil
	// The marker is the last header.
	h := headerWalk{e.headers}
	for i := range e.headerCount {
		at := len(e.headers) - len(h.rest)
		key, value, ok := h.next()
		if !ok {
			return nil, r, errRecord
		}
		if i == e.headerCount-1 && string(key) == MarkerHeader {
			e.marker, e.markerAt = value, at
		}
	}
	if len(h.rest) > 0 {
		return nil, r, errRecord
	}
	return rest, r, nil
}

// CheckRecord cuts the first record off the records of a batch that is not
// compressed, and fails where a Reader would: one record that cannot be read makes
// its partition end there for everybody. place is the record's place in the batch,
// from 0.
func CheckRecord(records []byte, place int) (rest []byte, err error) {
	var e Event
	rest, r, err := cutRecord(records, &e)
	if err == nil && r.offset != int64(place) {
		err = errRecord
	}
	return rest, err
}

// cutBytes cuts bytes with their length off b; nil stands for null.
func cutBytes(b []byte) (content, rest []byte, ok bool) {
	n, width := binary.Varint(b)
	if width <= 0 || n > int64(len(b)-width) {
		return nil, nil, false
	}
	b = b[width:]
	if n < 0 {
		return nil, b, true
	}
	return b[:n:n], b[n:], true
}

// headerWalk walks a record's headers.
type headerWalk struct{ rest []byte }

// next returns the next header; a null value is nil.
func (h *headerWalk) next() (key, value []byte, ok bool) {
	if key, h.rest, ok = cutBytes(h.rest); !ok {
		return nil, nil, false
	}
	value, h.rest, ok = cutBytes(h.rest)
	return key, value, ok
}
