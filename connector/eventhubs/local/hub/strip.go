package hub

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

// StripMarker returns the record batches of a fetch answer without the marker
// headers, as a Kafka client should see them. What has none, is compressed, or is
// cut short stays as it is; without any marker, records itself is returned, and it
// is never written to. Checksums are made anew where something changed. It never
// fails: what is not well-formed stays for the client to judge.
func StripMarker(records []byte) []byte {
	if !bytes.Contains(records, []byte(MarkerHeader)) {
		return records
	}
	var out []byte
	kept := 0 // how much of records is in out
	for raw := records; ; {
		h, rest, ok, err := cutHead(raw)
		if err != nil || !ok {
			break
		}
		batch := raw[:len(raw)-len(rest)]
		raw = rest
		if h.attrs&(attrCompression|attrControl) != 0 || !bytes.Contains(h.records, []byte(MarkerHeader)) {
			continue
		}
		if out == nil {
			out = make([]byte, 0, len(records))
		}
		at := len(records) - len(raw) - len(batch)
		out = append(out, records[kept:at]...)
		kept = at
		if longer, ok := appendStripped(out, batch, h.count); ok {
			out, kept = longer, at+len(batch)
		}
	}
	if kept == 0 {
		return records
	}
	return append(out, records[kept:]...)
}

// appendStripped appends a batch without its markers. If the batch is not
// well-formed, ok is false and dst is as it was.
func appendStripped(dst, batch []byte, count int32) (_ []byte, ok bool) {
	start := len(dst)
	dst = append(dst, batch[:batchHeaderSize]...)
	var e Event
	for b := batch[batchHeaderSize:]; len(b) > 0; count-- {
		rest, r, err := cutRecord(b, &e)
		if err != nil || count == 0 {
			return dst[:start], false
		}
		whole := b[:len(b)-len(rest)]
		b = rest
		if e.marker == nil || !e.AMQP() {
			dst = append(dst, whole...)
			continue
		}
		dst = e.appendRecord(dst, r)
	}
	if count != 0 {
		return dst[:start], false
	}
	out := dst[start:]
	binary.BigEndian.PutUint32(out[batchLengthAt:], uint32(len(out)-batchLengthAt-4))
	binary.BigEndian.PutUint32(out[batchCRCAt:], crc32.Checksum(out[batchAttrsAt:], castagnoli))
	return dst, true
}

// appendRecord appends the event's record without its last header, the marker.
func (e *Event) appendRecord(dst []byte, r recordHead) []byte {
	headers := e.headers[:e.markerAt]
	length := 1 + varintSize(r.time) + varintSize(r.offset) + bytesSize(e.key) + bytesSize(e.value) +
		varintSize(int64(e.headerCount-1)) + len(headers)
	dst = binary.AppendVarint(dst, int64(length))
	dst = append(dst, r.attrs)
	dst = binary.AppendVarint(dst, r.time)
	dst = binary.AppendVarint(dst, r.offset)
	dst = appendBytes(dst, e.key)
	dst = appendBytes(dst, e.value)
	dst = binary.AppendVarint(dst, int64(e.headerCount-1))
	return append(dst, headers...)
}

func bytesSize(b []byte) int {
	if b == nil {
		return varintSize(-1)
	}
	return varintSize(int64(len(b))) + len(b)
}

func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}
