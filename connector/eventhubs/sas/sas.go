// Package sas makes and checks shared access signatures, the tokens with which
// clients of Event Hubs show that they know a key. The connector signs with
// it, the stand-in checks with it.
package sas

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// scheme is the first word of a token.
const scheme = "SharedAccessSignature"

// What can be wrong with a token.
var (
	// ErrMalformed: it is not a shared access signature.
	ErrMalformed = errors.New("malformed shared access signature")
	// ErrSignature: it was signed with another key, or for another key name.
	ErrSignature = errors.New("the token has an invalid signature")
	// ErrExpired: its time is over.
	ErrExpired = errors.New("the token has expired")
)

// Token is what a checked token says.
type Token struct {
	// Resource is the address it is for, unescaped ("sb://host/hub").
	Resource string
	// KeyName is the name of the key that signed it.
	KeyName string
	// Expires is when it ends.
	Expires time.Time
}

// Sign makes a token for resource (a URL) that is valid until expires.
func Sign(resource, keyName, key string, expires time.Time) string {
	sr := url.QueryEscape(resource)
	se := strconv.FormatInt(expires.Unix(), 10)
	return scheme + " sr=" + sr + "&sig=" + url.QueryEscape(signature(sr, se, key)) + "&se=" + se + "&skn=" + url.QueryEscape(keyName)
}

// signature signs the resource as it is written in the token.
func signature(sr, se, key string) string {
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(sr + "\n" + se))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// Verify checks that token was signed with key and has not ended at now. An
// empty keyName accepts any name. The error wraps ErrMalformed, ErrSignature or
// ErrExpired and never shows the token.
func Verify(token, keyName, key string, now time.Time) (Token, error) {
	word, fields, ok := strings.Cut(strings.TrimSpace(token), " ")
	if !ok || !strings.EqualFold(word, scheme) {
		return Token{}, fmt.Errorf("%w: it does not begin with %s", ErrMalformed, scheme)
	}
	raw := map[string]string{}
	for field := range strings.SplitSeq(strings.TrimSpace(fields), "&") {
		name, value, _ := strings.Cut(field, "=")
		if _, twice := raw[name]; twice {
			return Token{}, fmt.Errorf("%w: %q is there twice", ErrMalformed, name)
		}
		raw[name] = value
	}
	plain := map[string]string{}
	for _, name := range []string{"sr", "sig", "se", "skn"} {
		value, err := url.QueryUnescape(raw[name])
		if err != nil || value == "" {
			return Token{}, fmt.Errorf("%w: %s is missing or not escaped", ErrMalformed, name)
		}
		plain[name] = value
	}
	seconds, err := strconv.ParseInt(plain["se"], 10, 64)
	if err != nil {
		return Token{}, fmt.Errorf("%w: se is not a number of seconds", ErrMalformed)
	}
	// Clients escape in their own ways (some in lower case), so the resource
	// is signed as it came. Base64 may have lost a + to a space on its way.
	want := signature(raw["sr"], raw["se"], key)
	got := strings.ReplaceAll(plain["sig"], " ", "+")
	if !hmac.Equal([]byte(want), []byte(got)) || keyName != "" && plain["skn"] != keyName {
		return Token{}, ErrSignature
	}
	t := Token{Resource: plain["sr"], KeyName: plain["skn"], Expires: time.Unix(seconds, 0)}
	if !t.Expires.After(now) {
		return t, ErrExpired
	}
	return t, nil
}

// Covers tells whether the token is good for path ("/hub/messages"): tokens are
// for a path and everything below it. Hosts and schemes are not compared, since
// one endpoint has many names; upper and lower case are the same.
func (t Token) Covers(path string) bool {
	have, want := pathOf(t.Resource), strings.Trim(strings.ToLower(path), "/")
	return have == "" || have == want || strings.HasPrefix(want, have+"/")
}

// pathOf is the path of an address that may lack a scheme, without slashes at
// its ends.
func pathOf(resource string) string {
	if _, rest, ok := strings.Cut(resource, "://"); ok {
		resource = rest
	}
	_, path, _ := strings.Cut(resource, "/")
	path, _, _ = strings.Cut(path, "?")
	return strings.Trim(strings.ToLower(path), "/")
}
