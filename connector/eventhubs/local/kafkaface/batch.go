package kafkaface

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
)

// The layout of a record batch (Kafka's message format, magic 2), as far as it
// is needed here.
const (
	batchLengthAt     = 8
	batchMagicAt      = 16
	batchAttributesAt = 21
	batchCountAt      = 57
	batchRecordsAt    = 61

	attributeCodec         = 7
	attributeTransactional = 1 << 4
	attributeControl       = 1 << 5

	codecNone = 0
	codecGzip = 1

	// maxEvent is the largest event, maxInflated the largest batch when it
	// is not compressed any more.
	maxEvent    = 1 << 20
	maxInflated = 32 << 20
)

// refusal is why a batch is not taken.
type refusal struct {
	code int16
	text string
}

func refuse(e *kerr.Error, format string, args ...any) *refusal {
	return &refusal{e.Code, fmt.Sprintf(format, args...)}
}

// checkBatch judges what a client wants to append to a partition and counts its
// events. What the log checks by itself (checksum, sequence numbers, offsets)
// is left to it.
func checkBatch(b []byte) (events int, no *refusal) {
	if len(b) < batchRecordsAt {
		return 0, refuse(kerr.CorruptMessage, "a record batch of %d bytes", len(b))
	}
	if magic := b[batchMagicAt]; magic != 2 {
		return 0, refuse(kerr.UnsupportedForMessageFormat, "message format %d; only 2 is taken", magic)
	}
	if length := int32(binary.BigEndian.Uint32(b[batchLengthAt:])); int(length) != len(b)-batchLengthAt-4 {
		return 0, refuse(kerr.InvalidRecord, "there must be one record batch for a partition")
	}
	attributes := binary.BigEndian.Uint16(b[batchAttributesAt:])
	if attributes&(attributeTransactional|attributeControl) != 0 {
		return 0, refuse(kerr.InvalidRecord, noTransactions)
	}
	events = int(int32(binary.BigEndian.Uint32(b[batchCountAt:])))
	if events < 1 {
		return 0, refuse(kerr.InvalidRecord, "a record batch of %d records", events)
	}
	switch codec := attributes & attributeCodec; {
	case codec > codecGzip:
		return 0, refuse(kerr.UnsupportedCompressionType, "compression.type must be none or gzip")
	case codec == codecGzip:
		return events, checkGzip(b[batchRecordsAt:], events)
	case len(b) > maxEvent:
		return events, checkSizes(bufio.NewReader(bytes.NewReader(b[batchRecordsAt:])), events)
	}
	return events, nil
}

var inflaters = sync.Pool{New: func() any { return new(gzip.Reader) }}

// checkGzip looks at the events of a compressed batch without keeping them: it
// is stored as it came, and its readers must not be surprised by its size.
func checkGzip(b []byte, events int) *refusal {
	z := inflaters.Get().(*gzip.Reader)
	defer inflaters.Put(z)
	if err := z.Reset(bytes.NewReader(b)); err != nil {
		return refuse(kerr.CorruptMessage, "gzip: %v", err)
	}
	return checkSizes(bufio.NewReaderSize(io.LimitReader(z, maxInflated+1), 16<<10), events)
}

var errSize = errors.New("size")

// checkSizes walks records by their lengths.
func checkSizes(r *bufio.Reader, events int) *refusal {
	total := 0
	for range events {
		n, err := binary.ReadVarint(r)
		if err == nil && (n < 0 || n > maxEvent) {
			err = errSize
		}
		if err == nil {
			total += int(n)
			_, err = r.Discard(int(n))
		}
		switch {
		case errors.Is(err, errSize) && n > 0:
			return refuse(kerr.MessageTooLarge, "an event has %d bytes, more than %d", n, maxEvent)
		case err != nil && total > maxInflated-maxEvent:
			return refuse(kerr.MessageTooLarge, "a compressed batch holds more than %d bytes", maxInflated)
		case err != nil:
			return refuse(kerr.CorruptMessage, "the records cannot be read: %v", err)
		}
	}
	return nil
}

// countEvents counts the events of fetched batches by their headers. The last
// one may be cut off; it does not count.
func countEvents(b []byte) (events int) {
	for len(b) >= batchRecordsAt {
		size := int(int32(binary.BigEndian.Uint32(b[batchLengthAt:]))) + batchLengthAt + 4
		if size < batchRecordsAt || size > len(b) {
			return events
		}
		events += max(0, int(int32(binary.BigEndian.Uint32(b[batchCountAt:]))))
		b = b[size:]
	}
	return events
}
