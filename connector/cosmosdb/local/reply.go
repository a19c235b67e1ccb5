package local

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// What the server says of itself in every answer.
const (
	gatewayVersion = "version=2.14.0"
	schemaVersion  = "1.18"
)

// Values that do not change, in the form that header maps hold.
var (
	fixedJSON    = []string{"application/json"}
	fixedGateway = []string{gatewayVersion}
	fixedSchema  = []string{schemaVersion}
	fixedService = []string{gatewayVersion}
	fixedClose   = []string{"close"}
)

// ok answers with a resource: c.out.body holds its JSON, and its etag is that of
// the header.
func (c *call) ok(status int, etag string) error {
	c.out.status, c.out.etag = status, etag
	return nil
}

// empty answers without a body: 204, 304.
func (c *call) empty(status int) error {
	c.out.status, c.out.body = status, c.out.body[:0]
	return nil
}

// page answers with a feed: c.out.body holds the whole envelope of n resources;
// continuation is "" on the last page.
func (c *call) page(n int, continuation string) error {
	c.out.status, c.out.items, c.out.continuation = http.StatusOK, n, continuation
	return nil
}

// failed turns the answer into that of an error, and keeps what it has cost and
// how far the ranges are.
func (c *call) failed(f *failure) {
	o := &c.out
	o.status, o.substatus, o.retryAfter = f.status, f.substatus, f.retryAfter
	o.etag, o.items, o.continuation = "", -1, ""
	o.body = appendFailure(o.body[:0], f, c.in.activityID, c.path.link)
	if f.allow != "" {
		c.header("allow", f.allow)
	}
}

// appendSession appends the session token of a range to those of others.
func appendSession(dst []byte, rangeID int, lsn int64) []byte {
	if len(dst) > 0 {
		dst = append(dst, ',')
	}
	dst = strconv.AppendInt(dst, int64(rangeID), 10)
	dst = append(dst, ":-1#"...)
	return strconv.AppendInt(dst, lsn, 10)
}

// newActivityID makes a random UUID.
func newActivityID() string {
	var u [16]byte
	for i := 0; i < 16; i += 8 {
		r := rand.Uint64()
		for j := range 8 {
			u[i+j] = byte(r >> (8 * j))
		}
	}
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80
	var text [36]byte
	hex.Encode(text[0:8], u[0:4])
	hex.Encode(text[9:13], u[4:6])
	hex.Encode(text[14:18], u[6:8])
	hex.Encode(text[19:23], u[8:10])
	hex.Encode(text[24:36], u[10:16])
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	return string(text[:])
}

// headerWriter sets headers of an answer in a header map with few allocations:
// the texts of one answer share one string, the slices one array.
type headerWriter struct {
	text   []byte
	ends   []int
	keys   []string
	values []string
}

// begin starts the value of a header; the caller appends it to w.text and calls
// end.
func (w *headerWriter) end(key string) {
	w.keys = append(w.keys, key)
	w.ends = append(w.ends, len(w.text))
}

func (w *headerWriter) str(key, value string) {
	w.text = append(w.text, value...)
	w.end(key)
}

func (w *headerWriter) number(key string, n int64) {
	w.text = strconv.AppendInt(w.text, n, 10)
	w.end(key)
}

// flush moves the headers into h. The map keeps slices of w.values until the
// answer has been written; w must not be reset before.
func (w *headerWriter) flush(h http.Header) {
	all, from := string(w.text), 0
	if cap(w.values) < len(w.keys) {
		w.values = make([]string, 0, 2*len(w.keys))
	}
	w.values = w.values[:0]
	for i, key := range w.keys {
		w.values = append(w.values, all[from:w.ends[i]])
		from = w.ends[i]
		h[key] = w.values[i : i+1 : i+1]
	}
}

func (w *headerWriter) reset() {
	w.text, w.ends, w.keys = w.text[:0], w.ends[:0], w.keys[:0]
}

// writeHeaders sets the headers of the answer. Keys that net/http does not look
// at are in lower case as the service writes them, which also saves making them
// canonical.
func (c *call) writeHeaders(h http.Header, w *headerWriter) {
	o := &c.out
	h["Content-Type"] = fixedJSON
	h["x-ms-gatewayversion"] = fixedGateway
	h["x-ms-serviceversion"] = fixedService
	h["x-ms-schemaversion"] = fixedSchema
	h["x-ms-activity-id"] = []string{c.in.activityID}
	w.text = strconv.AppendFloat(w.text, o.charge, 'f', -1, 64)
	w.end("x-ms-request-charge")
	if len(o.session) > 0 {
		w.text = append(w.text, o.session...)
		w.end("x-ms-session-token")
		w.number("lsn", o.lsn)
	}
	if o.etag != "" {
		w.str("Etag", o.etag)
	}
	if o.items >= 0 {
		w.number("x-ms-item-count", int64(o.items))
	}
	if o.continuation != "" {
		w.str("x-ms-continuation", o.continuation)
	}
	if o.substatus != 0 {
		w.number("x-ms-substatus", int64(o.substatus))
	}
	if o.retryAfter > 0 {
		w.number("x-ms-retry-after-ms", int64((o.retryAfter+time.Millisecond-1)/time.Millisecond))
	}
	if c.coll != nil {
		h["x-ms-alt-content-path"] = c.coll.altPath
		h["x-ms-content-path"] = c.coll.contentPath
		if quota := c.coll.usage(c.now); quota != nil {
			h["x-ms-resource-quota"] = quota.limits
			h["x-ms-resource-usage"] = quota.used
		}
	}
	for _, e := range o.extra {
		w.str(e.name, cleanValue(e.value))
	}
	w.number("Content-Length", int64(len(o.body)))
	w.flush(h)
}

// cleanValue takes line ends out of a header's value.
func cleanValue(v string) string {
	if strings.ContainsAny(v, "\r\n") {
		return strings.NewReplacer("\r", " ", "\n", " ").Replace(v)
	}
	return v
}
