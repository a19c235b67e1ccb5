package kafkaface

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
	"sync"

	"millrace/connector/eventhubs/local/hub"

	"github.com/twmb/franz-go/pkg/kerr"
)

// The layout of a record batch (Kafka's message format, magic 2), as far as it
// is needed here.
const (
	batchLengthAt     = 8
	batchMagicAt      = 16
	batchChecksumAt   = 17
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
// events. What every log checks by itself (checksum, sequence numbers, offsets)
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
	}
	no = checkRecords(b[batchRecordsAt:], events)
	if no != nil && crc32.Checksum(b[batchAttributesAt:], castagnoli) != binary.BigEndian.Uint32(b[batchChecksumAt:]) {
		// It was damaged on its way, and is worth sending again.
		no = refuse(kerr.CorruptMessage, "the checksum of a record batch is wrong")
	}
	return events, no
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// checkRecords looks at records that are not compressed. Not every log does: what
// cannot be read would end the partition for all its readers.
func checkRecords(b []byte, events int) *refusal {
	for i := range events {
		rest, err := hub.CheckRecord(b, i)
		if err != nil {
			return unreadable
		}
		if n := len(b) - len(rest); n > maxEvent && recordSize(b) > maxEvent {
			return tooLargeEvent(recordSize(b))
		}
		b = rest
	}
	if len(b) > 0 {
		return unreadable
	}
	return nil
}

var unreadable = &refusal{kerr.InvalidRecord.Code, "the records cannot be read, or are not as many as the batch says"}

func tooLargeEvent(n int64) *refusal {
	return refuse(kerr.MessageTooLarge, "an event has %d bytes, more than %d", n, maxEvent)
}

// recordSize is what a record says of its size.
func recordSize(b []byte) int64 {
	n, _ := binary.Varint(b)
	return n
}

// inflater decompresses record by record.
type inflater struct {
	gzip   gzip.Reader
	r      *bufio.Reader
	record []byte
}

var inflaters = sync.Pool{New: func() any { return &inflater{r: bufio.NewReaderSize(nil, 16<<10)} }}

// checkGzip looks at the events of a compressed batch without keeping them: it
// is stored as it came, and its readers must not be surprised by it, nor by its
// size.
func checkGzip(b []byte, events int) *refusal {
	z := inflaters.Get().(*inflater)
	defer inflaters.Put(z)
	if err := z.gzip.Reset(bytes.NewReader(b)); err != nil {
		return refuse(kerr.CorruptMessage, "gzip: %v", err)
	}
	z.r.Reset(io.LimitReader(&z.gzip, maxInflated+1))
	total := 0
	for i := range events {
		n, err := binary.ReadVarint(z.r)
		switch {
		case err == nil && n > maxEvent:
			return tooLargeEvent(n)
		case err == nil && n >= 0:
			total += int(n)
			err = z.read(int(n))
		}
		switch {
		case err != nil && total > maxInflated-maxEvent:
			return refuse(kerr.MessageTooLarge, "a compressed batch holds more than %d bytes", maxInflated)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return unreadable
		case err != nil:
			return refuse(kerr.CorruptMessage, "gzip: %v", err)
		}
		if rest, err := hub.CheckRecord(z.record, i); n < 0 || err != nil || len(rest) > 0 {
			return unreadable
		}
	}
	switch _, err := z.r.ReadByte(); {
	case err == nil:
		return unreadable
	case !errors.Is(err, io.EOF):
		return refuse(kerr.CorruptMessage, "gzip: %v", err)
	}
	return nil
}

// read reads a record of n bytes and puts its size in front of it.
func (z *inflater) read(n int) error {
	z.record = binary.AppendVarint(z.record[:0], int64(n))
	at := len(z.record)
	z.record = slices.Grow(z.record, n)[:at+n]
	_, err := io.ReadFull(z.r, z.record[at:])
	return err
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
