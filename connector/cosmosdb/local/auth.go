package local

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"hash"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// maxSkew is how far a request's date may be from the server's clock.
const maxSkew = 15 * time.Minute

// authorizer checks master-key signatures. It is safe for concurrent use.
type authorizer struct {
	// macs holds HMACs of the key: making one hashes the key twice, which is
	// half of the work for texts as short as these.
	macs sync.Pool
	open bool // no key: any well-formed token will do, and none
	// seen are tokens that were found good. The same one comes again and
	// again: what is signed of a request that creates an item is the container
	// and the second.
	seen [seenTokens]atomic.Pointer[seenToken]
}

const seenTokens = 256 // a power of two

// seenToken is a token with everything that it was good for.
type seenToken struct {
	authorization, verb, word, link, date string
	at                                    time.Time
}

// slot is where a token is remembered: the end of its signature chooses.
func (a *authorizer) slot(authorization string) *atomic.Pointer[seenToken] {
	h := uint32(0)
	for i := max(0, len(authorization)-12); i < len(authorization); i++ {
		h = h*31 + uint32(authorization[i])
	}
	return &a.seen[(h^h>>8)%seenTokens]
}

// sameText compares in a time that does not tell how much is the same.
func sameText(a, b string) bool {
	differs := byte(0)
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		differs |= a[i] ^ b[i]
	}
	return subtle.ConstantTimeByteEq(differs, 0) == 1
}

func tooFar(now, date time.Time) bool {
	skew := now.Sub(date)
	return skew > maxSkew || skew < -maxSkew
}

// newAuthorizer checks with key; nil checks the form only.
func newAuthorizer(key []byte) *authorizer {
	a := &authorizer{open: len(key) == 0}
	a.macs.New = func() any { return &mac{Hash: hmac.New(sha256.New, key)} }
	return a
}

type mac struct {
	hash.Hash
	text []byte
	sum  [sha256.Size]byte
}

// unauthorized is what the gateway answers itself: a message that is not wrapped
// like those from behind it.
func unauthorized(message string) *failure {
	return &failure{status: http.StatusUnauthorized, detail: message}
}

// check returns nil if the request may be answered.
func (a *authorizer) check(c *call) *failure {
	if c.in.authorization == "" {
		if a.open {
			return nil
		}
		return unauthorized("Required Header authorization is missing. Ensure a valid Authorization token is passed.")
	}
	slot := a.slot(c.in.authorization)
	if k := slot.Load(); k != nil && sameText(k.authorization, c.in.authorization) && k.verb == c.verb && k.word == c.path.word &&
		k.link == link(c) && k.date == c.in.date && !tooFar(c.now, k.at) {
		return nil
	}
	t, ok := parseToken(c.in.authorization)
	if !ok {
		return unauthorized("The input authorization token is not in the form type=master&ver=1.0&sig=SIGNATURE, url-encoded.")
	}
	if a.open {
		return nil
	}
	if t.kind != "master" {
		return unauthorized("Tokens of type " + t.kind + " are not accepted here: sign with the account's key.")
	}
	if t.version != "1.0" {
		return unauthorized("The version of the input authorization token is not 1.0.")
	}
	date, ok := parseDate(c.in.date)
	if !ok {
		return unauthorized("The header x-ms-date is missing or is not a date such as Tue, 15 Nov 1994 08:12:31 GMT.")
	}
	if tooFar(c.now, date) {
		return &failure{status: http.StatusForbidden, detail: "The authorization token is not valid at the current time. " +
			"Please create another token and retry (token start time: " + date.UTC().Format(http.TimeFormat) +
			", current server time: " + c.now.UTC().Format(http.TimeFormat) + ")."}
	}
	if a.signed(c, t.signature) {
		k := seenToken{c.in.authorization, c.verb, c.path.word, link(c), c.in.date, date}
		if len(k.authorization)+len(k.link) < 1<<10 { // what is remembered is bounded
			slot.Store(&k)
		}
		return nil
	}
	return unauthorized("The input authorization token can't serve the request. The wrong key is being used or the expected payload is not built " +
		"as per the protocol. For more info: https://aka.ms/cosmosdb-tsg-unauthorized. Server used the following payload to sign: '" +
		string(a.payload(nil, c, link(c))) + "'")
}

// signed tells whether the signature is that of the request. Names are signed
// as they are, ids of resources (_rid) in lower case and without the path
// around them.
func (a *authorizer) signed(c *call, signature []byte) bool {
	if len(signature) != sha256.Size {
		return false
	}
	l := link(c)
	if a.matches(c, l, signature) {
		return true
	}
	rid := l[strings.LastIndexByte(l, '/')+1:]
	return looksLikeRID(rid) && a.matches(c, strings.ToLower(rid), signature)
}

func link(c *call) string {
	if c.path.feed {
		return c.path.parent
	}
	return c.path.link
}

func (a *authorizer) matches(c *call, link string, signature []byte) bool {
	m := a.macs.Get().(*mac)
	defer a.macs.Put(m)
	m.Reset()
	m.text = a.payload(m.text[:0], c, link)
	m.Write(m.text) // a hash does not fail
	return subtle.ConstantTimeCompare(m.Sum(m.sum[:0]), signature) == 1
}

// payload appends what is signed.
func (a *authorizer) payload(dst []byte, c *call, link string) []byte {
	dst = append(appendLower(dst, c.verb), '\n')
	dst = append(append(dst, c.path.word...), '\n')
	dst = append(append(dst, link...), '\n')
	dst = append(appendLower(dst, c.in.date), '\n')
	return append(dst, '\n')
}

func appendLower(dst []byte, s string) []byte {
	for i := range len(s) {
		b := s[i]
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		dst = append(dst, b)
	}
	return dst
}

// token is an authorization header taken apart.
type token struct {
	kind, version string
	signature     []byte
}

const maxToken = 16 << 10

// parseToken reads "type=master&ver=1.0&sig=...", percent-encoded as a whole or
// not. The signature is nil for tokens that are not signed with a key.
func parseToken(s string) (t token, ok bool) {
	if len(s) > maxToken {
		return t, false
	}
	if strings.IndexByte(s, '%') >= 0 {
		// Not QueryUnescape: an unescaped plus is a plus in base64.
		decoded, err := url.PathUnescape(s)
		if err != nil {
			return t, false
		}
		s = decoded
	}
	signature := ""
	for part := range strings.SplitSeq(s, "&") {
		name, value, ok := strings.Cut(part, "=")
		if !ok {
			return t, false
		}
		switch name {
		case "type":
			t.kind = strings.ToLower(value)
		case "ver":
			t.version = value
		case "sig":
			signature = value
		}
	}
	if t.kind == "" || t.version == "" || signature == "" {
		return t, false
	}
	if t.kind != "master" {
		return t, true
	}
	sig, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		return t, false
	}
	t.signature = sig
	return t, true
}

// parseDate reads an HTTP date, in any case of letters.
func parseDate(s string) (time.Time, bool) {
	d, err := time.Parse(http.TimeFormat, s)
	if err != nil {
		if d, err = time.Parse(http.TimeFormat, strings.Replace(s, "gmt", "GMT", 1)); err != nil {
			return time.Time{}, false
		}
	}
	return d, true
}
