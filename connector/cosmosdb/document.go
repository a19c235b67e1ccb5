package cosmosdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"millrace/record"
)

// The members that a document has besides the event's own. They follow the
// event's, in this order, after enqueuedAt and processedAt.
const (
	memberID        = "id"           // the eventId, in lower case
	memberStoredAt  = "storedAt"     // when the write was sent
	memberPartition = "logPartition" // where in the log the event was
	memberOffset    = "logOffset"
	// memberOriginal is there only for an event that has members of these or
	// the service's names, or one name twice, which no document can have: it
	// holds the event's text, as a string.
	memberOriginal = "originalEvent"
)

// added tells the names that do not belong to the event: those above and those
// that the service adds.
func added(name []byte) bool {
	switch string(name) {
	case memberID, memberStoredAt, memberPartition, memberOffset, memberOriginal,
		"_rid", "_self", "_etag", "_ts", "_attachments", "_lsn":
		return true
	}
	return false
}

// stampLen is the length of a time as record.AppendTime writes it.
const stampLen = len("2026-01-02T15:04:05.123456Z")

// emptyStamp stands where storedAt is filled in when the document is sent.
const emptyStamp = "0000-00-00T00:00:00.000000Z"

// appendDocument appends r's document and returns the index in the result at
// which the time of storedAt begins.
func appendDocument(dst []byte, r *record.Result) (doc []byte, stamp int) {
	original := false
	if r.Extra != nil && collides(r.Raw) {
		dst, original = appendFree(dst, r), true
	} else {
		dst = record.AppendDocument(dst, r)
		dst = dst[:len(dst)-1] // the closing brace
	}
	dst = append(dst, `,"`+memberID+`":"`...)
	dst = record.AppendID(dst, r.ID)
	dst = append(dst, `","`+memberStoredAt+`":"`...)
	stamp = len(dst)
	dst = append(dst, emptyStamp+`","`+memberPartition+`":`...)
	dst = strconv.AppendInt(dst, int64(r.Partition), 10)
	dst = append(dst, `,"`+memberOffset+`":`...)
	dst = strconv.AppendInt(dst, r.Offset, 10)
	if original {
		dst = append(dst, `,"`+memberOriginal+`":`...)
		dst = record.AppendString(dst, r.Raw)
	}
	return append(dst, '}'), stamp
}

// collides tells an event with a name that the document needs, or with one
// name twice. Names with escapes are taken for such: what they stand for is
// not worth finding out.
func collides(raw []byte) bool {
	var seen [24][]byte
	n, bad := 0, false
	eachMember(raw, func(name, _ []byte, _ int) bool {
		bad = n == len(seen) || added(name) || string(name) == record.NameEnqueuedAt || string(name) == record.NameProcessedAt
		for i := 0; i < n && !bad; i++ {
			bad = bytes.Equal(seen[i], name)
		}
		for i := 0; i < len(name) && !bad; i++ {
			bad = name[i] == '\\'
		}
		if !bad {
			seen[n] = name
			n++
		}
		return !bad
	})
	return bad
}

// appendFree appends the members of an event that the document has room for,
// the first of each name, and the times that the pipeline adds; without the
// closing brace.
func appendFree(dst []byte, r *record.Result) []byte {
	dst = append(dst, '{')
	seen := map[string]bool{record.NameEnqueuedAt: true, record.NameProcessedAt: true}
	eachMember(r.Raw, func(name, value []byte, _ int) bool {
		var text string
		if json.Unmarshal([]byte(`"`+string(name)+`"`), &text) != nil || seen[text] || added([]byte(text)) {
			return true
		}
		seen[text] = true
		dst = append(dst, '"')
		dst = append(dst, name...)
		dst = append(dst, `":`...)
		dst = append(dst, value...)
		dst = append(dst, ',')
		return true
	})
	// The times are written as everywhere.
	times := record.AppendDocument(nil, &record.Result{Event: record.Event{Raw: []byte("{}")}, EnqueuedAt: r.EnqueuedAt, ProcessedAt: r.ProcessedAt})
	return append(dst, times[1:len(times)-1]...)
}

// stored is a document that was read back.
type stored struct {
	record.Stored
	at        int64 // storedAt, 0 if it has none
	timestamp int64 // _ts in seconds
	partition []byte
	offset    []byte
	original  []byte
}

// parse reads a document. The room is scratch memory, returned for the next
// one; what d holds points into it or into doc.
func (d *stored) parse(doc, room []byte) ([]byte, error) {
	*d = stored{Stored: record.Stored{Partition: -1, Offset: -1}}
	room = append(room[:0], '{')
	copied := 0 // up to where doc has been copied, while it is all the event's
	ok := eachMember(doc, func(name, value []byte, at int) bool {
		if !added(name) {
			if copied == 0 {
				copied = at
			}
			return true
		}
		if copied > 0 {
			room = append(room, doc[copied:at]...)
			copied = 0
		}
		d.take(name, value)
		return true
	})
	if !ok {
		return room, errors.New("a document that is no JSON object")
	}
	if copied > 0 {
		end := len(doc) - 1
		for end > copied && doc[end] != '}' {
			end--
		}
		room = append(room, doc[copied:end]...)
	}
	for len(room) > 1 && (room[len(room)-1] == ',' || room[len(room)-1] <= ' ') {
		room = room[:len(room)-1]
	}
	room = append(room, '}')
	if err := d.event(room); err != nil {
		return room, err
	}
	return room, d.position()
}

// take keeps a member that is not the event's.
func (d *stored) take(name, value []byte) {
	switch string(name) {
	case memberStoredAt:
		if len(value) > 2 && value[0] == '"' {
			if micros, err := record.ParseTime(value[1 : len(value)-1]); err == nil {
				d.at = micros
			}
		}
	case memberPartition:
		d.partition = value
	case memberOffset:
		d.offset = value
	case memberOriginal:
		d.original = value
	case "_ts":
		d.timestamp, _ = strconv.ParseInt(string(value), 10, 64)
	}
}

// event reads the event's members and the pipeline's times.
func (d *stored) event(members []byte) error {
	if d.original == nil {
		return record.ParseDocument(members, &d.Stored)
	}
	var raw string
	if err := json.Unmarshal(d.original, &raw); err != nil {
		return fmt.Errorf("reading %s: %w", memberOriginal, err)
	}
	// The times are the members', all else the original's.
	var times []byte
	times = append(times, raw[:len(raw)-1-trailing(raw)]...)
	for _, name := range []string{record.NameEnqueuedAt, record.NameProcessedAt} {
		value := memberOf(members, name)
		if value == nil {
			value = []byte("null")
		}
		times = append(times, `,"`+name+`":`...)
		times = append(times, value...)
	}
	return record.ParseDocument(append(times, '}'), &d.Stored)
}

// trailing counts what stands behind an object's last brace.
func trailing(object string) int {
	n := 0
	for n < len(object)-1 && object[len(object)-1-n] != '}' {
		n++
	}
	return n
}

// position reads where in the log the event was, and when it was stored: never
// before the second that the service itself gives.
func (d *stored) position() error {
	if d.partition != nil && d.offset != nil {
		p, err := strconv.ParseInt(string(d.partition), 10, 32)
		if err != nil {
			return fmt.Errorf("the document of event %s: %s is %q", d.ID, memberPartition, d.partition)
		}
		o, err := strconv.ParseInt(string(d.offset), 10, 64)
		if err != nil {
			return fmt.Errorf("the document of event %s: %s is %q", d.ID, memberOffset, d.offset)
		}
		d.Partition, d.Offset = int32(p), o
	}
	d.StoredAt = max(d.at, d.timestamp*1_000_000)
	return nil
}
