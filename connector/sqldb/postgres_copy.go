package sqldb

import (
	"encoding/binary"
	"io"
	"math"

	"millrace/record"
)

// copyReader encodes results in PostgreSQL's binary COPY format while they
// are being sent: no copy of the batch, no value in an interface. The columns
// are those of the staging table.
type copyReader struct {
	results []record.Result
	buf     []byte
	at      int // of buf, up to where it has been read
	next    int
	ended   bool
	bytes   int64
}

const (
	// copyBlock is how much is encoded before it is handed over.
	copyBlock = 64 << 10
	// postgresEpoch is 2000-01-01 in microseconds: where its times begin.
	postgresEpoch = 946_684_800_000_000
	stagedColumns = 12
)

func newCopyReader(results []record.Result) *copyReader {
	// Signature, flags, and the length of a header extension.
	head := append(make([]byte, 0, copyBlock+8<<10), "PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00"...)
	return &copyReader{results: results, buf: head}
}

// Read implements io.Reader.
func (c *copyReader) Read(p []byte) (int, error) {
	if c.at == len(c.buf) {
		c.buf, c.at = c.buf[:0], 0
	}
	for c.next < len(c.results) && len(c.buf) < copyBlock {
		c.buf = appendCopyRow(c.buf, &c.results[c.next])
		c.next++
	}
	if c.next == len(c.results) && !c.ended {
		c.buf = append(c.buf, 0xff, 0xff) // trailer
		c.ended = true
	}
	n := copy(p, c.buf[c.at:])
	c.at += n
	c.bytes += int64(n)
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

func appendCopyRow(b []byte, r *record.Result) []byte {
	b = binary.BigEndian.AppendUint16(b, stagedColumns)
	b = append(binary.BigEndian.AppendUint32(b, uint32(len(r.ID))), r.ID[:]...)
	b = appendCopyText(b, r.DeviceID, false)
	b = appendCopyInt64(b, r.Sequence)
	b = appendCopyText(b, r.Type, r.Type == nil)
	if r.HasValue {
		b = appendCopyInt64(b, int64(math.Float64bits(r.Value)))
	} else {
		b = appendCopyNull(b)
	}
	b = appendCopyText(b, r.ComplexData, r.ComplexData == nil)
	b = appendCopyTime(b, r.CreatedAt)
	b = appendCopyTime(b, r.EnqueuedAt)
	b = appendCopyTime(b, r.ProcessedAt)
	b = binary.BigEndian.AppendUint32(b, 4)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Partition))
	b = appendCopyInt64(b, r.Offset)
	if r.Extra == nil {
		return appendCopyNull(b)
	}
	b = binary.BigEndian.AppendUint32(b, uint32(len(r.Extra)+2))
	return append(append(append(b, '{'), r.Extra...), '}')
}

func appendCopyNull(b []byte) []byte { return append(b, 0xff, 0xff, 0xff, 0xff) }

func appendCopyText(b, text []byte, null bool) []byte {
	if null {
		return appendCopyNull(b)
	}
	return append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
}

func appendCopyInt64(b []byte, v int64) []byte {
	return binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(b, 8), uint64(v))
}

// appendCopyTime appends a timestamptz. PostgreSQL itself refuses what is out
// of its range; what would wrap around is sent as a time that it refuses.
func appendCopyTime(b []byte, micros int64) []byte {
	if micros == record.NoTime {
		return appendCopyNull(b)
	}
	if micros < math.MinInt64+2*postgresEpoch {
		// One above the value that means -infinity.
		return appendCopyInt64(b, math.MinInt64+1)
	}
	return appendCopyInt64(b, micros-postgresEpoch)
}
