package local

import (
	"encoding/hex"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
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

// Names of headers, as they go out.
var (
	nameGateway      = []byte("x-ms-gatewayversion")
	nameService      = []byte("x-ms-serviceversion")
	nameSchema       = []byte("x-ms-schemaversion")
	nameActivity     = []byte("x-ms-activity-id")
	nameCharge       = []byte("x-ms-request-charge")
	nameSession      = []byte("x-ms-session-token")
	nameLSN          = []byte("lsn")
	nameETag         = []byte("etag")
	nameItems        = []byte("x-ms-item-count")
	nameContinuation = []byte("x-ms-continuation")
	nameSubstatus    = []byte("x-ms-substatus")
	nameRetryAfter   = []byte("x-ms-retry-after-ms")
	nameAltPath      = []byte("x-ms-alt-content-path")
	nameContentPath  = []byte("x-ms-content-path")
	nameQuota        = []byte("x-ms-resource-quota")
	nameUsage        = []byte("x-ms-resource-usage")

	contentJSON = []byte("application/json")
	version     = []byte("version=2.14.0")
	schema      = []byte("1.18")
)

// write hands the answer over. Names are in lower case, as the service writes
// them.
func (x *exchange) write(r *fasthttp.RequestCtx) {
	c, h := &x.call, &r.Response.Header
	o := &c.out
	r.Response.SetStatusCode(o.status)
	h.SetContentTypeBytes(contentJSON)
	h.SetCanonical(nameGateway, version)
	h.SetCanonical(nameService, version)
	h.SetCanonical(nameSchema, schema)
	x.text(h, nameActivity, c.in.activityID)
	x.value = strconv.AppendFloat(x.value[:0], o.charge, 'f', -1, 64)
	h.SetCanonical(nameCharge, x.value)
	if len(o.session) > 0 {
		h.SetCanonical(nameSession, o.session)
		x.number(h, nameLSN, o.lsn)
	}
	if o.etag != "" {
		x.text(h, nameETag, o.etag)
	}
	if o.items >= 0 {
		x.number(h, nameItems, int64(o.items))
	}
	if o.continuation != "" {
		x.text(h, nameContinuation, o.continuation)
	}
	if o.substatus != 0 {
		x.number(h, nameSubstatus, int64(o.substatus))
	}
	if o.retryAfter > 0 {
		x.number(h, nameRetryAfter, int64((o.retryAfter+time.Millisecond-1)/time.Millisecond))
	}
	if c.coll != nil {
		alt, content := c.coll.altPath, c.coll.contentPath
		if c.op == opContainerCreate || c.op == opContainerRead || c.op == opContainerReplace {
			alt, content = c.coll.ownerAltPath, c.coll.ownerContentPath
		}
		h.SetCanonical(nameAltPath, alt)
		h.SetCanonical(nameContentPath, content)
		q := c.coll.usage(c.now)
		h.SetCanonical(nameQuota, quotaLimits)
		h.SetCanonical(nameUsage, q.used)
	}
	for _, e := range o.extra {
		x.text(h, []byte(e.name), cleanValue(e.value))
	}
	if c.closing {
		h.SetConnectionClose()
	}
	c.hand(r)
}

func (x *exchange) text(h *fasthttp.ResponseHeader, name []byte, v string) {
	x.value = append(x.value[:0], v...)
	h.SetCanonical(name, x.value)
}

func (x *exchange) number(h *fasthttp.ResponseHeader, name []byte, n int64) {
	x.value = strconv.AppendInt(x.value[:0], n, 10)
	h.SetCanonical(name, x.value)
}

// cleanValue takes line ends out of a header's value.
func cleanValue(v string) string {
	if strings.ContainsAny(v, "\r\n") {
		return strings.NewReplacer("\r", " ", "\n", " ").Replace(v)
	}
	return v
}
