package local

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// sign makes the authorization header of a request as the service's reference
// has it.
func sign(key, verb, kind, link, date string) string {
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		panic(err)
	}
	m := hmac.New(sha256.New, raw)
	m.Write([]byte(strings.ToLower(verb) + "\n" + strings.ToLower(kind) + "\n" + link + "\n" + strings.ToLower(date) + "\n\n"))
	return url.QueryEscape("type=master&ver=1.0&sig=" + base64.StdEncoding.EncodeToString(m.Sum(nil)))
}

// A signature that the service's documentation shows.
func TestSignatureOfTheDocumentation(t *testing.T) {
	t.Parallel()
	const key = "dsZQi3KtZmCv1ljt3VNWNm7sQUF1y5rJfC6kv5JiwvW0EndXdDku/dkKBp8/ufDToSxLzR4y+O/0H/t4bQtVNw=="
	const date = "Thu, 27 Apr 2017 00:51:12 GMT"
	now, ok := parseDate(date)
	if !ok {
		t.Fatal("the date is not read")
	}
	raw, _ := base64.StdEncoding.DecodeString(key)
	p, _ := parsePath("/dbs/ToDoList")
	c := &call{verb: "GET", path: p, now: now, in: headers{date: date,
		authorization: "type%3dmaster%26ver%3d1.0%26sig%3dc09PEVJrgp2uQRkr934kFbTqhByc7TVr3OHyqlu%2bc%2bc%3d"}}
	if f := newAuthorizer(raw).check(c); f != nil {
		t.Error(f)
	}
}

func TestAuthorization(t *testing.T) {
	t.Parallel()
	raw, _ := base64.StdEncoding.DecodeString(WellKnownKey)
	other := base64.StdEncoding.EncodeToString([]byte("another key"))
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	date := now.Format(http.TimeFormat)
	for _, tt := range []struct {
		name, path, token, date string
		status                  int // 0: let in
	}{
		{"item by name", "/dbs/D/colls/C/docs/a%20b", sign(WellKnownKey, "GET", "docs", "dbs/D/colls/C/docs/a b", date), date, 0},
		{"feed by its parent", "/dbs/D/colls/C/docs", sign(WellKnownKey, "GET", "docs", "dbs/D/colls/C", date), date, 0},
		{"account", "/", sign(WellKnownKey, "GET", "", "", date), date, 0},
		{"databases", "/dbs", sign(WellKnownKey, "GET", "dbs", "", date), date, 0},
		{"offer by rid, in lower case", "/offers/AbCd", sign(WellKnownKey, "GET", "offers", "abcd", date), date, 0},
		{"container by rid", "/dbs/AbCdEf==/colls/AbCdEfGhIj0=/docs", sign(WellKnownKey, "GET", "docs", "abcdefghij0=", date), date, 0},
		{"date in lower case", "/dbs", sign(WellKnownKey, "GET", "dbs", "", date), strings.ToLower(date), 0},
		{"not escaped", "/dbs", "type=master&ver=1.0&sig=" + rawSignature(t, "GET", "dbs", "", date), date, 0},
		{"another key", "/dbs", sign(other, "GET", "dbs", "", date), date, 401},
		{"another verb", "/dbs", sign(WellKnownKey, "POST", "dbs", "", date), date, 401},
		{"another case of the name", "/dbs/D", sign(WellKnownKey, "GET", "dbs", "dbs/d", date), date, 401},
		{"another date", "/dbs", sign(WellKnownKey, "GET", "dbs", "", now.Add(time.Second).Format(http.TimeFormat)), date, 401},
		{"no token", "/dbs", "", date, 401},
		{"nonsense", "/dbs", "Bearer abc", date, 401},
		{"no date", "/dbs", sign(WellKnownKey, "GET", "dbs", "", ""), "", 401},
		{"resource token", "/dbs", "type%3dresource%26ver%3d1.0%26sig%3dabc", date, 401},
		{"Entra token", "/dbs", "type%3daad%26ver%3d1.0%26sig%3deyJ0.eyJ0.abc", date, 401},
		{"old", "/dbs", sign(WellKnownKey, "GET", "dbs", "", now.Add(-16*time.Minute).Format(http.TimeFormat)),
			now.Add(-16 * time.Minute).Format(http.TimeFormat), 403},
		{"from the future", "/dbs", sign(WellKnownKey, "GET", "dbs", "", now.Add(16*time.Minute).Format(http.TimeFormat)),
			now.Add(16 * time.Minute).Format(http.TimeFormat), 403},
		{"old, but not too old", "/dbs", sign(WellKnownKey, "GET", "dbs", "", now.Add(-14*time.Minute).Format(http.TimeFormat)),
			now.Add(-14 * time.Minute).Format(http.TimeFormat), 0},
	} {
		p, ok := parsePath(tt.path)
		if !ok {
			t.Fatalf("%s is no path", tt.path)
		}
		c := &call{verb: "GET", path: p, now: now, in: headers{authorization: tt.token, date: tt.date}}
		status := 0
		if f := newAuthorizer(raw).check(c); f != nil {
			status = f.status
		}
		if status != tt.status {
			t.Errorf("%s: status %d, want %d", tt.name, status, tt.status)
		}
	}
}

func rawSignature(t *testing.T, verb, kind, link, date string) string {
	t.Helper()
	s, err := url.QueryUnescape(sign(WellKnownKey, verb, kind, link, date))
	if err != nil {
		t.Fatal(err)
	}
	return s[strings.Index(s, "sig=")+4:]
}

// Without a key, any token of a known form will do, and none; not a broken one.
func TestWithoutAKey(t *testing.T) {
	t.Parallel()
	a := newAuthorizer(nil)
	for token, in := range map[string]bool{
		"": true, sign(WellKnownKey, "GET", "x", "y", "z"): true, "type=aad&ver=1.0&sig=abc": true,
		"Bearer x": false, "type=master&ver=1.0": false, "type=master&ver=1.0&sig=%%%": false,
	} {
		if f := a.check(&call{in: headers{authorization: token}}); (f == nil) != in {
			t.Errorf("%q: %v", token, f)
		}
	}
}

func FuzzToken(f *testing.F) {
	f.Add("type%3dmaster%26ver%3d1.0%26sig%3dc09PEVJrgp2uQRkr934kFbTqhByc7TVr3OHyqlu%2bc%2bc%3d", "/dbs/x", "Thu, 27 Apr 2017 00:51:12 GMT")
	f.Add("type=aad&ver=1.0&sig=a.b.c", "/", "")
	f.Add("%", "/offers/AAAA", "x")
	raw, _ := base64.StdEncoding.DecodeString(WellKnownKey)
	a := newAuthorizer(raw)
	f.Fuzz(func(t *testing.T, token, escaped, date string) {
		p, ok := parsePath(escaped)
		if !ok {
			return
		}
		now, _ := parseDate(date)
		c := &call{verb: "GET", path: p, now: now, in: headers{authorization: token, date: date}}
		// Nobody guesses a signature.
		if f := a.check(c); f == nil {
			t.Errorf("%q lets in %q", token, escaped)
		}
	})
}
