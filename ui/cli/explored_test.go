package cli

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"millrace/connector"
)

// fakeExplored is a service with a page.
type fakeExplored struct {
	fakeStandin
	connection string
}

func (s *fakeExplored) Address() string    { return "not to be printed" }
func (s *fakeExplored) Connection() string { return s.connection }
func (s *fakeExplored) Endpoint() string   { return "http://127.0.0.1:8081/" }
func (s *fakeExplored) Explorer() string   { return "http://127.0.0.1:8081/_explorer/" }

func TestLocalWithAPage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args       []string
		connection string
		want       []string
		not        string
	}{
		"any key": {nil, "AccountEndpoint=http://127.0.0.1:8081/;AccountKey=any;", []string{"store is ready, data in millrace-store; Ctrl-C stops it\n",
			"  Explorer   http://127.0.0.1:8081/_explorer/\n", "\nexport STORE_CONNECTION_STRING='AccountEndpoint=http://127.0.0.1:8081/;AccountKey=any;'\n"}, "***"},
		"a key": {nil, "AccountEndpoint=x;AccountKey=***;", []string{"export STORE_CONNECTION_STRING='AccountEndpoint=x;AccountKey=***;'\n(with the key in place of ***)\n"}, "not to be printed"},
		"JSON": {[]string{"--json"}, "AccountEndpoint=x;AccountKey=***;",
			[]string{`{"service":"store","dataDir":"millrace-store","address":"AccountEndpoint=x;AccountKey=***;","explorer":"http://127.0.0.1:8081/_explorer/"}` + "\n"}, "not to be printed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, out, errs := testEnv(append([]string{"local", "store"}, c.args...)...)
			ctx, cancel := context.WithCancel(t.Context())
			s := &fakeExplored{connection: c.connection}
			e.Stages.Locals = []Local{{Name: "store", Short: "a store", Port: 8081, Address: "STORE_CONNECTION_STRING",
				Start: func(context.Context, LocalOptions) (connector.Standin, error) {
					time.AfterFunc(10*time.Millisecond, cancel)
					return s, nil
				}}}
			if code := Run(ctx, e); code != 0 || !s.closed {
				t.Errorf("exit %d, closed %v: %s", code, s.closed, errs)
			}
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q is not in %s", want, out)
				}
			}
			if strings.Contains(out.String(), c.not) {
				t.Errorf("%s in %s", c.not, out)
			}
			if len(c.args) > 0 && (!json.Valid(out.Bytes()) || strings.Count(out.String(), "\n") != 1) {
				t.Errorf("no line of JSON: %s", out)
			}
		})
	}
}

func TestLocalFlags(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want map[string]string
		say  string
	}{
		"defaults":    {nil, 0, map[string]string{"limit": "0", "sync": "false"}, ""},
		"given":       {[]string{"--limit", "-1", "--sync"}, 0, map[string]string{"limit": "-1", "sync": "true"}, ""},
		"too low":     {[]string{"--limit", "-2"}, 2, nil, "--limit must be a whole number of at least -1, not -2"},
		"no switch":   {[]string{"--sync=maybe"}, 2, nil, "maybe"},
		"no argument": {[]string{"--sync", "true"}, 2, nil, "true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, _, errs := testEnv(append([]string{"local", "store"}, c.args...)...)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var got map[string]string
			e.Stages.Locals = []Local{{Name: "store", Short: "a store",
				Flags: []LocalFlag{{Name: "limit", Doc: "a limit", Default: "0", Kind: NumberFlag, Min: -1}, {Name: "sync", Doc: "sync", Kind: SwitchFlag}},
				Start: func(_ context.Context, o LocalOptions) (connector.Standin, error) {
					got = o.Values
					cancel()
					return &fakeStandin{}, nil
				}}}
			if code := Run(ctx, e); code != c.code || !strings.Contains(errs.String(), c.say) {
				t.Errorf("exit %d: %s", code, errs)
			}
			for k, want := range c.want {
				if got[k] != want {
					t.Errorf("%s is %q, want %q", k, got[k], want)
				}
			}
		})
	}
}
