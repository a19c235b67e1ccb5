package hub

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math/bits"
	"strconv"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

// MarkerHeader is the name of the last header of every record that was written
// through AMQP. It holds what Kafka has no place for, see appendMarker; records
// without it came from a Kafka client. Kafka clients should not see it, see
// StripMarker.
const MarkerHeader = "x-opt-amqp"

const markerVersion = 1

// Kinds of bodies, as the marker says them.
const (
	bodyNone     = iota
	bodyData     // the value is the content of one data section
	bodyMoreData // of several; the marker says their lengths
	bodyValue    // the value is the encoding of the AMQP value
	bodySequence // the value is the encoding of the one sequence
	bodySections // the value is all body sections with their descriptors
)

// Annotations that the service sets: a sender's own are not kept.
const (
	annotationSequence = "x-opt-sequence-number"
	annotationOffset   = "x-opt-offset"
	annotationEnqueued = "x-opt-enqueued-time"
	annotationKey      = "x-opt-partition-key"
	annotationKafkaKey = "x-opt-kafka-key"
)

// recordBatch is a record batch of Kafka's format (magic 2), built in place:
// events are encoded once, straight into what is sent.
type recordBatch struct {
	buf     []byte
	count   int32
	appends []waiting
	since   time.Time

	headers, marker []byte // scratch
}

// waiting is one append of a batch.
type waiting struct {
	first int32 // the place of its first event in the batch
	size  int   // its part of the bound of unacknowledged bytes
	done  func(first int64, err error)
}

const (
	batchHeaderSize = 61
	batchLengthAt   = 8
	batchMagicAt    = 16
	batchCRCAt      = 17
	batchAttrsAt    = 21
	batchLastAt     = 23
	batchTimeAt     = 27
	batchMaxTimeAt  = 35
	batchProducerAt = 43
	batchEpochAt    = 51
	batchSequenceAt = 53
	batchCountAt    = 57

	attrCompression   = 7
	attrAppendTime    = 1 << 3
	attrTransactional = 1 << 4
	attrControl       = 1 << 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// add appends an event. If it fails, the batch is as it was.
func (b *recordBatch) add(m *amqp.Message) error {
	if len(b.buf) == 0 {
		b.buf = append(b.buf, make([]byte, batchHeaderSize)...)
	}
	kind, value, err := b.body(m)
	if err != nil {
		return err
	}
	if err := b.collect(m, kind); err != nil {
		return err
	}
	length := 2 + varintSize(int64(b.count)) + varintSize(-1) + len(b.headers)
	valueLength := -1
	if kind == bodyMoreData {
		valueLength = 0
		for rest := value; len(rest) > 0; {
			var data []byte
			if data, rest, err = cutData(rest); err != nil {
				return err
			}
			valueLength += len(data)
		}
	} else if kind != bodyNone {
		valueLength = len(value)
	}
	length += varintSize(int64(valueLength)) + max(0, valueLength)

	buf := binary.AppendVarint(b.buf, int64(length))
	buf = append(buf, 0, 0) // attributes, time difference
	buf = binary.AppendVarint(buf, int64(b.count))
	buf = binary.AppendVarint(buf, -1) // no key, even with a partition key
	buf = binary.AppendVarint(buf, int64(valueLength))
	if kind == bodyMoreData {
		for rest := value; len(rest) > 0; {
			var data []byte
			data, rest, _ = cutData(rest)
			buf = append(buf, data...)
		}
	} else {
		buf = append(buf, value...)
	}
	b.buf = append(buf, b.headers...)
	b.count++
	return nil
}

// body says what becomes of the body, and which bytes are, or hold, the value.
func (b *recordBatch) body(m *amqp.Message) (kind byte, value []byte, err error) {
	switch m.Kind() {
	case amqp.BodyNone:
		return bodyNone, nil, nil
	case amqp.BodyData:
		data, rest, err := cutData(m.Body)
		if err != nil {
			return 0, nil, err
		}
		if len(rest) > 0 {
			return bodyMoreData, m.Body, nil
		}
		return bodyData, data, nil
	case amqp.BodyValue:
		return bodyValue, m.Body[3:], nil
	}
	rest, err := amqp.SkipValue(m.Body[3:])
	if err != nil {
		return 0, nil, badEvent(err)
	}
	if len(rest) > 0 {
		return bodySections, m.Body, nil
	}
	return bodySequence, m.Body[3:], nil
}

// collect encodes the headers of an event: the application properties, the
// system properties as texts, and the marker.
func (b *recordBatch) collect(m *amqp.Message, kind byte) error {
	count := 1
	b.headers = append(b.headers[:0], 0) // the number of headers, see below
	properties, entries, err := cutMap(m.ApplicationProperties)
	if err != nil {
		return err
	}
	inHeaders := true
	for rest := entries; len(rest) > 0 && inHeaders; {
		var key, value []byte
		if key, value, rest, err = cutEntry(rest); err != nil {
			return err
		}
		var text bool
		if key, text = amqp.ReadText(key); !text {
			// Such keys are against the rules. Keep them, out of sight.
			inHeaders = false
			break
		}
		b.headers = appendHeader(b.headers, key, value)
	}
	if inHeaders {
		count += properties
	} else {
		b.headers = b.headers[:1]
	}
	if m.Properties != nil {
		n, err := b.systemProperties(m.Properties)
		if err != nil {
			return err
		}
		count += n
	}
	if err := b.appendMarker(m, kind, properties, inHeaders); err != nil {
		return err
	}
	b.headers = appendHeader(b.headers, []byte(MarkerHeader), b.marker)
	if n := varintSize(int64(count)); n > 1 {
		b.headers = append(b.headers, make([]byte, n-1)...)
		copy(b.headers[n:], b.headers[1:])
	}
	binary.PutVarint(b.headers, int64(count))
	return nil
}

// systemProperties appends those properties that Kafka consumers are shown, as
// plain texts, and returns how many.
func (b *recordBatch) systemProperties(section []byte) (int, error) {
	p, err := amqp.ReadProperties(section)
	if err != nil {
		return 0, badEvent(err)
	}
	n := 0
	add := func(name string, value []byte) {
		b.headers = appendHeader(b.headers, []byte(name), value)
		n++
	}
	var text [64]byte
	switch id := p.MessageID.(type) {
	case string:
		add("message-id", []byte(id))
	case []byte:
		add("message-id", id)
	case uint64:
		add("message-id", strconv.AppendUint(text[:0], id, 10))
	case amqp.UUID:
		add("message-id", fmt.Appendf(text[:0], "%x-%x-%x-%x-%x", id[:4], id[4:6], id[6:8], id[8:10], id[10:]))
	}
	if len(p.UserID) > 0 {
		add("user-id", p.UserID)
	}
	for _, s := range [...]struct{ name, value string }{
		{"to", p.To}, {"reply-to", p.ReplyTo},
		{"content-type", string(p.ContentType)}, {"content-encoding", string(p.ContentEncoding)},
	} {
		if s.value != "" {
			add(s.name, []byte(s.value))
		}
	}
	if p.CreationTime != nil {
		add("creation-time", time.UnixMilli(int64(*p.CreationTime)).UTC().AppendFormat(text[:0], "2006-01-02T15:04:05.000Z"))
	}
	return n, nil
}

// appendMarker makes the marker: version, kind of body, number of application
// properties in headers plus 1 (0: no such section), for a body of several data
// sections their number and lengths, and then, as they were sent, the sections
// that Kafka cannot hold.
func (b *recordBatch) appendMarker(m *amqp.Message, kind byte, properties int, inHeaders bool) error {
	d := append(b.marker[:0], markerVersion, kind)
	if m.ApplicationProperties == nil || !inHeaders {
		d = append(d, 0)
	} else {
		d = binary.AppendUvarint(d, uint64(properties)+1)
	}
	if kind == bodyMoreData {
		n := 0
		for rest := m.Body; len(rest) > 0; n++ {
			_, rest, _ = cutData(rest) // add has checked it
		}
		d = binary.AppendUvarint(d, uint64(n))
		for rest := m.Body; len(rest) > 0; {
			var data []byte
			data, rest, _ = cutData(rest)
			d = binary.AppendUvarint(d, uint64(len(data)))
		}
	}
	d = append(d, m.Header...)
	var err error
	if d, err = appendForeign(d, m.MessageAnnotations); err != nil {
		return err
	}
	d = append(d, m.Properties...)
	if !inHeaders {
		d = append(d, m.ApplicationProperties...)
	}
	b.marker = append(d, m.Footer...)
	return nil
}

// appendForeign appends the annotations without those that the service sets.
func appendForeign(dst, section []byte) ([]byte, error) {
	n, entries, err := cutMap(section)
	if err != nil || n == 0 {
		return dst, err
	}
	kept := n
	for rest := entries; len(rest) > 0; {
		var key []byte
		if key, _, rest, err = cutEntry(rest); err != nil {
			return dst, err
		}
		if serviceSets(key) {
			kept--
		}
	}
	if kept == n {
		return append(dst, section...), nil
	}
	if kept == 0 {
		return dst, nil
	}
	dst, start := amqp.OpenMap(dst, amqp.SectionMessageAnnotations)
	for rest := entries; len(rest) > 0; {
		var key, value []byte
		key, value, rest, _ = cutEntry(rest)
		if !serviceSets(key) {
			dst = append(append(dst, key...), value...)
		}
	}
	return amqp.CloseMap(dst, start, kept), nil
}

func serviceSets(key []byte) bool {
	text, _ := amqp.ReadText(key)
	switch string(text) {
	case annotationSequence, annotationOffset, annotationEnqueued:
		return true
	}
	return false
}

func appendHeader(dst, key, value []byte) []byte {
	dst = binary.AppendVarint(dst, int64(len(key)))
	dst = append(dst, key...)
	dst = binary.AppendVarint(dst, int64(len(value)))
	return append(dst, value...)
}

// varintSize is the length of v as a zigzag varint.
func varintSize(v int64) int {
	return (bits.Len64(uint64(v<<1^v>>63)|1) + 6) / 7
}

// seal completes the header.
func (b *recordBatch) seal(producer int64, epoch int16, sequence int32) {
	now := uint64(time.Now().UnixMilli())
	binary.BigEndian.PutUint32(b.buf[batchLengthAt:], uint32(len(b.buf)-batchLengthAt-4))
	binary.BigEndian.PutUint32(b.buf[12:], ^uint32(0)) // leader epoch: not known
	b.buf[batchMagicAt] = 2
	binary.BigEndian.PutUint32(b.buf[batchLastAt:], uint32(b.count-1))
	binary.BigEndian.PutUint64(b.buf[batchTimeAt:], now)
	binary.BigEndian.PutUint64(b.buf[batchMaxTimeAt:], now)
	binary.BigEndian.PutUint64(b.buf[batchProducerAt:], uint64(producer))
	binary.BigEndian.PutUint16(b.buf[batchEpochAt:], uint16(epoch))
	binary.BigEndian.PutUint32(b.buf[batchSequenceAt:], uint32(sequence))
	binary.BigEndian.PutUint32(b.buf[batchCountAt:], uint32(b.count))
	binary.BigEndian.PutUint32(b.buf[batchCRCAt:], crc32.Checksum(b.buf[batchAttrsAt:], castagnoli))
}
