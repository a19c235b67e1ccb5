package capture

import (
	"crypto/sha256"
	"encoding/binary"
	"math"
	"strconv"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

// schema is the schema of the service's files, byte for byte.
const schema = `{"type":"record","name":"EventData","namespace":"Microsoft.ServiceBus.Messaging","fields":[` +
	`{"name":"SequenceNumber","type":"long"},{"name":"Offset","type":"string"},{"name":"EnqueuedTimeUtc","type":"string"},` +
	`{"name":"SystemProperties","type":{"type":"map","values":["long","double","string","bytes"]}},` +
	`{"name":"Properties","type":{"type":"map","values":["long","double","string","bytes","null"]}},` +
	`{"name":"Body","type":["null","bytes"]}]}`

// Branches of the unions in maps, in the order of the schema.
const (
	branchLong = iota
	branchDouble
	branchString
	branchBytes
	branchNull // of Properties only
)

const syncSize = 16

// syncMarker is what separates the blocks of a file. It follows from what the
// file holds, so that the same file is made again after a crash; that it looks
// random is what readers need to find blocks.
func syncMarker(hubID string, partition int32, from int64) (m [syncSize]byte) {
	h := sha256.New()
	h.Write([]byte(hubID))
	var n [12]byte
	binary.BigEndian.PutUint32(n[:], uint32(partition))
	binary.BigEndian.PutUint64(n[4:], uint64(from))
	h.Write(n[:])
	copy(m[:], h.Sum(nil))
	return m
}

// appendHeader appends the head of a file. The order of its two entries is that
// of the service.
func appendHeader(dst []byte, codec string, sync [syncSize]byte) []byte {
	dst = append(dst, 'O', 'b', 'j', 1)
	dst = appendLong(dst, 2)
	dst = appendString(dst, "avro.codec")
	dst = appendString(dst, codec)
	dst = appendString(dst, "avro.schema")
	dst = appendString(dst, schema)
	dst = appendLong(dst, 0)
	return append(dst, sync[:]...)
}

// appendLong appends Avro's long: zigzag, seven bits at a time.
func appendLong(dst []byte, v int64) []byte { return binary.AppendVarint(dst, v) }

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendVarint(dst, int64(len(s))), s...)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func appendDouble(dst []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

// event is an event as a file holds it.
type event struct {
	sequence int64
	enqueued int64 // milliseconds since the epoch
	system   amqp.Map
	custom   amqp.Map
	body     []byte // nil: none
}

// encoder encodes events. It is for one goroutine at a time.
type encoder struct {
	// Most events have the second of the one before them.
	second int64
	clock  []byte

	entries []entry
	text    []byte
}

func newEncoder() *encoder { return &encoder{second: math.MinInt64} }

// event appends e to dst as one record.
func (enc *encoder) event(dst []byte, e *event) []byte {
	dst = appendLong(dst, e.sequence)
	var digits [20]byte
	dst = appendBytes(dst, strconv.AppendInt(digits[:0], e.sequence, 10))
	if second := floorDiv(e.enqueued, 1000); second != enc.second {
		enc.second, enc.clock = second, appendClock(enc.clock[:0], time.Unix(second, 0).UTC())
	}
	dst = appendBytes(dst, enc.clock)
	dst = enc.properties(dst, e.system, false)
	dst = enc.properties(dst, e.custom, true)
	if e.body == nil {
		return append(dst, 0)
	}
	return appendBytes(append(dst, 2), e.body) // the branch 1, zigzag
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// appendClock appends .NET's general form of a time in the culture en-US:
// "M/d/yyyy h:mm:ss tt".
func appendClock(dst []byte, t time.Time) []byte { return t.AppendFormat(dst, "1/2/2006 3:04:05 PM") }
