package sas

import (
	"errors"
	"strings"
	"testing"
	"time"
)

var now = time.Unix(1_700_000_000, 0)

func TestSignedTokensAreVerified(t *testing.T) {
	t.Parallel()
	token := Sign("sb://host:5672/my hub", "Root+1", "k+/=", now.Add(time.Hour))
	got, err := Verify(token, "Root+1", "k+/=", now)
	if err != nil || got.Resource != "sb://host:5672/my hub" || got.KeyName != "Root+1" || !got.Expires.Equal(now.Add(time.Hour)) {
		t.Fatalf("%+v, %v", got, err)
	}
	if _, err := Verify(token, "", "k+/=", now); err != nil {
		t.Errorf("any name: %v", err)
	}
}

// A token made by another implementation: the text of its resource is escaped
// in lower case.
func TestForeignToken(t *testing.T) {
	t.Parallel()
	sr := "sb%3a%2f%2fns.servicebus.windows.net%2fhub"
	sig := strings.NewReplacer("+", "%2b", "/", "%2f", "=", "%3d").Replace(signature(sr, "1800000000", "key"))
	got, err := Verify("SharedAccessSignature sr="+sr+"&sig="+sig+"&se=1800000000&skn=n", "n", "key", now)
	if err != nil || got.Resource != "sb://ns.servicebus.windows.net/hub" {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestBadTokens(t *testing.T) {
	t.Parallel()
	good := Sign("sb://h/hub", "n", "key", now.Add(time.Hour))
	for name, c := range map[string]struct {
		token, keyName, key string
		want                error
	}{
		"nothing":        {"", "n", "key", ErrMalformed},
		"another scheme": {"Bearer abc", "n", "key", ErrMalformed},
		"no fields":      {"SharedAccessSignature ", "n", "key", ErrMalformed},
		"no signature":   {"SharedAccessSignature sr=a&se=1&skn=n", "n", "key", ErrMalformed},
		"twice":          {good + "&skn=n", "n", "key", ErrMalformed},
		"escape":         {"SharedAccessSignature sr=%zz&sig=a&se=1&skn=n", "n", "key", ErrMalformed},
		"time":           {"SharedAccessSignature sr=a&sig=a&se=soon&skn=n", "n", "key", ErrMalformed},
		"another key":    {good, "n", "other", ErrSignature},
		"another name":   {good, "m", "key", ErrSignature},
		"changed":        {strings.Replace(good, "hub", "hut", 1), "n", "key", ErrSignature},
		"later":          {strings.Replace(good, "&se=1", "&se=2", 1), "n", "key", ErrSignature},
		"expired":        {Sign("sb://h/hub", "n", "key", now), "n", "key", ErrExpired},
	} {
		_, err := Verify(c.token, c.keyName, c.key, now)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
		if err != nil && c.token != "" && strings.Contains(err.Error(), c.token) {
			t.Errorf("%s: the token is shown: %v", name, err)
		}
	}
}

func TestCovers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		resource, path string
		want           bool
	}{
		{"sb://host", "/hub", true},
		{"sb://host/", "/hub/messages", true},
		{"host", "/hub", true},
		{"https://host/hub", "/hub", true},
		{"https://host/HUB/", "hub/consumergroups/a", true},
		{"sb://host/hub?timeout=60", "/hub", true},
		{"sb://host/hub", "/hub2", false},
		{"sb://host/hub/partitions/0", "/hub", false},
		{"host/hub", "/other", false},
	} {
		if got := (Token{Resource: c.resource}).Covers(c.path); got != c.want {
			t.Errorf("%s covers %s: %v", c.resource, c.path, got)
		}
	}
}

func FuzzVerify(f *testing.F) {
	f.Add(Sign("sb://h/hub", "n", "key", now.Add(time.Hour)))
	f.Add("SharedAccessSignature sr=%&sig==&se=-1&skn=")
	f.Fuzz(func(t *testing.T, token string) {
		if got, err := Verify(token, "", "key", now); err == nil && !got.Expires.After(now) {
			t.Errorf("%q is accepted", token)
		}
	})
}
