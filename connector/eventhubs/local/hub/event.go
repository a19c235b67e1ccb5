package hub

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"millrace/connector/eventhubs/local/amqp"
)

// Event is an event of a partition. It is valid until the next Reader.Next, and
// what its methods return is, where they say so, a part of it.
type Event struct {
	// Sequence is the event's sequence number, which is its offset as well.
	Sequence int64
	// Enqueued is when the event came in, in milliseconds since the Unix
	// epoch.
	Enqueued int64

	key, value  []byte // nil: null
	headers     []byte
	headerCount int
	marker      []byte // the content of the marker header, nil: there is none
	markerAt    int    // where that header begins in headers
}

// marker is what the marker header says, see appendMarker.
type marker struct {
	kind       byte
	properties int // application properties in headers, -1: no such section
	lengths    []byte
	sections   int // data sections, with their lengths above
	message    amqp.Message
}

// AMQP tells whether the event was written through AMQP, not by a Kafka client.
func (e *Event) AMQP() bool {
	var m marker
	return e.open(&m)
}

// open decodes the marker. Without one, or with something else under its name,
// the event came from a Kafka client.
func (e *Event) open(m *marker) bool {
	d := e.marker
	if len(d) < 3 || d[0] != markerVersion || d[1] > bodySections {
		return false
	}
	m.kind = d[1]
	n, width := binary.Uvarint(d[2:])
	if width <= 0 || n > uint64(e.headerCount) { // the marker itself is no property
		return false
	}
	m.properties, d = int(n)-1, d[2+width:]
	if m.kind == bodyMoreData {
		k, width := binary.Uvarint(d)
		if width <= 0 || k > uint64(len(d)) {
			return false
		}
		d = d[width:]
		m.sections, m.lengths = int(k), d
		sum := uint64(0)
		for range k {
			length, width := binary.Uvarint(d)
			if width <= 0 || length > uint64(len(e.value)) {
				return false
			}
			sum, d = sum+length, d[width:]
		}
		if sum != uint64(len(e.value)) {
			return false
		}
	}
	if len(d) > 0 && amqp.ParseMessage(d, &m.message) != nil {
		return false
	}
	return m.message.Body == nil && e.bodyFits(m.kind)
}

// bodyFits tells whether the value can be a body of that kind.
func (e *Event) bodyFits(kind byte) bool {
	switch kind {
	case bodyNone:
		return e.value == nil
	case bodyValue, bodySequence:
		rest, err := amqp.CheckValue(e.value)
		if err != nil || len(rest) > 0 {
			return false
		}
		return kind == bodyValue || e.value[0] == 0x45 || e.value[0] == 0xc0 || e.value[0] == 0xd0
	case bodySections:
		var m amqp.Message
		return amqp.ParseMessage(e.value, &m) == nil && len(m.Body) == len(e.value)
	}
	return e.value != nil
}

// Body returns the content of the body, a part of the event: that of the data
// sections one after the other; of another AMQP body its encoding; nil if there is
// none.
func (e *Event) Body() []byte { return e.value }

// Size is about how many bytes the event takes.
func (e *Event) Size() int { return len(e.key) + len(e.value) + len(e.headers) }

// AppendMessage appends the event as an encoded AMQP message: the sections that
// its sender gave, the delivery annotations given (an encoded section, or nil),
// and among the message annotations those of the service: sequence number, offset
// and enqueued time. An event of a Kafka client gets its key as the annotation
// x-opt-kafka-key, and its headers as application properties with binary values.
func (e *Event) AppendMessage(dst []byte, deliveryAnnotations []byte) []byte {
	var m marker
	if !e.open(&m) {
		return e.appendForeign(dst, deliveryAnnotations)
	}
	dst = append(dst, m.message.Header...)
	dst = append(dst, deliveryAnnotations...)
	dst, start := amqp.OpenMap(dst, amqp.SectionMessageAnnotations)
	dst = e.appendServiceAnnotations(dst)
	n, entries, err := cutMap(m.message.MessageAnnotations)
	if err == nil && n > 0 {
		dst = append(dst, entries...)
	}
	dst = amqp.CloseMap(dst, start, 3+n)
	dst = append(dst, m.message.Properties...)
	if m.properties >= 0 {
		dst, start = amqp.OpenMap(dst, amqp.SectionApplicationProperties)
		h := headerWalk{e.headers}
		for range m.properties {
			key, value, _ := h.next()
			dst = appendKey(dst, key)
			if rest, err := amqp.CheckValue(value); err == nil && len(rest) == 0 {
				dst = append(dst, value...)
			} else {
				dst = amqp.AppendValue(dst, value)
			}
		}
		dst = amqp.CloseMap(dst, start, m.properties)
	}
	dst = append(dst, m.message.ApplicationProperties...)
	dst = e.appendBody(dst, &m)
	return append(dst, m.message.Footer...)
}

// appendKey appends a header's key as the key of an application property.
func appendKey(dst, key []byte) []byte {
	if utf8.Valid(key) {
		return amqp.AppendString(dst, key)
	}
	return amqp.AppendString(dst, strings.ToValidUTF8(string(key), "\uFFFD"))
}

func (e *Event) appendServiceAnnotations(dst []byte) []byte {
	dst = amqp.AppendSymbol(dst, annotationSequence)
	dst = amqp.AppendLong(dst, e.Sequence)
	dst = amqp.AppendSymbol(dst, annotationOffset)
	var digits [20]byte
	dst = amqp.AppendString(dst, strconv.AppendInt(digits[:0], e.Sequence, 10))
	dst = amqp.AppendSymbol(dst, annotationEnqueued)
	return amqp.AppendTimestamp(dst, amqp.Timestamp(e.Enqueued))
}

func (e *Event) appendBody(dst []byte, m *marker) []byte {
	switch m.kind {
	case bodyNone:
		return dst
	case bodyMoreData:
		value, lengths := e.value, m.lengths
		for range m.sections {
			n, width := binary.Uvarint(lengths)
			dst = amqp.AppendData(dst, value[:n])
			value, lengths = value[n:], lengths[width:]
		}
		return dst
	case bodyValue:
		return append(append(dst, 0x00, 0x53, 0x77), e.value...)
	case bodySequence:
		return append(append(dst, 0x00, 0x53, 0x76), e.value...)
	case bodySections:
		return append(dst, e.value...)
	}
	return amqp.AppendData(dst, e.value)
}

// appendForeign is AppendMessage for an event of a Kafka client.
func (e *Event) appendForeign(dst, deliveryAnnotations []byte) []byte {
	dst = append(dst, deliveryAnnotations...)
	dst, start := amqp.OpenMap(dst, amqp.SectionMessageAnnotations)
	dst = e.appendServiceAnnotations(dst)
	n := 3
	if e.key != nil {
		dst = amqp.AppendSymbol(dst, annotationKafkaKey)
		dst = amqp.AppendValue(dst, e.key)
		n++
	}
	dst = amqp.CloseMap(dst, start, n)
	if headers := e.kafkaHeaders(); len(headers) > 0 {
		dst, start = amqp.OpenMap(dst, amqp.SectionApplicationProperties)
		for _, h := range headers {
			dst = amqp.AppendString(dst, h.key)
			dst = amqp.AppendValue(dst, h.value)
		}
		dst = amqp.CloseMap(dst, start, len(headers))
	}
	if e.value != nil {
		dst = amqp.AppendData(dst, e.value)
	}
	return dst
}

type kafkaHeader struct {
	key   string
	value []byte
}

// kafkaHeaders returns the headers of an event of a Kafka client as application
// properties: of several with one key, the last one counts.
func (e *Event) kafkaHeaders() []kafkaHeader {
	if e.headerCount == 0 {
		return nil
	}
	headers := make([]kafkaHeader, 0, e.headerCount)
	at := map[string]int{}
	h := headerWalk{e.headers}
	for range e.headerCount {
		key, value, _ := h.next()
		k := strings.ToValidUTF8(string(key), "\uFFFD")
		if i, there := at[k]; there {
			headers[i].value = value
			continue
		}
		at[k] = len(headers)
		headers = append(headers, kafkaHeader{k, value})
	}
	return headers
}

// PartitionKey returns the key that the sender chose the partition by, "" if none.
func (e *Event) PartitionKey() string {
	var m marker
	if !e.open(&m) {
		return ""
	}
	text, _ := amqp.ReadText(amqp.FindEntry(m.message.MessageAnnotations, annotationKey))
	return string(text)
}

// Properties returns the application properties, nil if there are none. It
// decodes them anew at each call, and shares no memory with the event.
func (e *Event) Properties() amqp.Map {
	var m marker
	if !e.open(&m) {
		var out amqp.Map
		for _, h := range e.kafkaHeaders() {
			out = append(out, amqp.Pair{Key: h.key, Value: binaryOrNull(h.value)})
		}
		return out
	}
	if m.message.ApplicationProperties != nil {
		out, _ := amqp.ReadMap(m.message.ApplicationProperties)
		return out
	}
	var out amqp.Map
	h := headerWalk{e.headers}
	for range m.properties {
		key, value, _ := h.next()
		v, rest, err := amqp.ReadValue(value)
		if err != nil || len(rest) > 0 {
			v = binaryOrNull(value)
		}
		out = append(out, amqp.Pair{Key: strings.ToValidUTF8(string(key), "\uFFFD"), Value: v})
	}
	return out
}

func binaryOrNull(b []byte) any {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// SystemProperties returns the message annotations and those of the message's
// properties that are set, under their names on the wire (message-id, to, ...);
// without the sequence number, the offset and the enqueued time, which the event
// itself has. It decodes them anew at each call, and shares no memory with the
// event.
func (e *Event) SystemProperties() amqp.Map {
	var m marker
	if !e.open(&m) {
		if e.key == nil {
			return nil
		}
		return amqp.Map{{Key: annotationKafkaKey, Value: slices.Clone(e.key)}}
	}
	var out amqp.Map
	annotations, _ := amqp.ReadMap(m.message.MessageAnnotations)
	for _, a := range annotations {
		if s, ok := a.Key.(amqp.Symbol); ok {
			a.Key = string(s)
		}
		out = append(out, a)
	}
	if m.message.Properties == nil {
		return out
	}
	p, err := amqp.ReadProperties(m.message.Properties)
	if err != nil {
		return out
	}
	add := func(name string, set bool, v any) {
		if set {
			out = append(out, amqp.Pair{Key: name, Value: v})
		}
	}
	add("message-id", p.MessageID != nil, p.MessageID)
	add("user-id", len(p.UserID) > 0, p.UserID)
	add("to", p.To != "", p.To)
	add("subject", p.Subject != "", p.Subject)
	add("reply-to", p.ReplyTo != "", p.ReplyTo)
	add("correlation-id", p.CorrelationID != nil, p.CorrelationID)
	add("content-type", p.ContentType != "", string(p.ContentType))
	add("content-encoding", p.ContentEncoding != "", string(p.ContentEncoding))
	if p.AbsoluteExpiryTime != nil {
		add("absolute-expiry-time", true, *p.AbsoluteExpiryTime)
	}
	if p.CreationTime != nil {
		add("creation-time", true, *p.CreationTime)
	}
	add("group-id", p.GroupID != "", p.GroupID)
	if p.GroupSequence != nil {
		add("group-sequence", true, *p.GroupSequence)
	}
	add("reply-to-group-id", p.ReplyToGroupID != "", p.ReplyToGroupID)
	return out
}
