package eventhubs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs"
	"millrace/connector/eventhubs/local/emulator"
	"millrace/connector/eventhubs/local/web"
	kafkalocal "millrace/connector/kafka/local"
)

// hubsOfOwn starts Event Hubs with a key of its own.
func hubsOfOwn(t *testing.T) *emulator.Server {
	t.Helper()
	log, err := kafkalocal.Start(t.Context(), kafkalocal.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	s, err := emulator.Start(t.Context(), emulator.Options{Brokers: []string{log.Address()}, Key: "hush", KafkaPort: emulator.NoPort, HTTPPort: emulator.NoPort})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func explore(t *testing.T, connection string) *eventhubs.Explorer {
	t.Helper()
	c := eventhubs.NewConfig()
	c.ConnectionString = connection
	x, err := eventhubs.Explore(c, connector.Env{Getenv: func(string) string { return "" }, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.Close() })
	return x
}

func sendAll(t *testing.T, x *eventhubs.Explorer, s eventhubs.Send, bodies ...string) {
	t.Helper()
	events := make(chan []byte, len(bodies))
	for _, b := range bodies {
		events <- []byte(b)
	}
	close(events)
	if n, err := x.Send(t.Context(), s, events); err != nil || n != len(bodies) {
		t.Fatalf("sent %d, %v", n, err)
	}
}

func TestExplorerManages(t *testing.T) {
	t.Parallel()
	s := hubsOfOwn(t)
	// The other service has only what Azure's has: no JSON API.
	handler, err := web.New(web.Options{Cluster: s.Cluster(), Key: "hush"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = handler.Close() })
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/api") {
			http.NotFound(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(plain.Close)
	own := s.Address()
	other := strings.Replace(own, own[len("Endpoint=sb://"):strings.Index(own, ";")], strings.TrimPrefix(plain.URL, "http://"), 1)
	for i, connection := range []string{own, other} {
		x, ctx := explore(t, connection), t.Context()
		name := fmt.Sprintf("hub-%d", i)
		if err := errors.Join(x.CreateHub(ctx, name, 3, 48*time.Hour), x.CreateGroup(ctx, name, "g")); err != nil {
			t.Fatal(err)
		}
		for doing, c := range map[string]struct {
			err  error
			want string
		}{
			"hub again":   {x.CreateHub(ctx, name, 3, 0), "exists already"},
			"group again": {x.CreateGroup(ctx, name, "G"), "exists already"},
			"no hub":      {x.DeleteHub(ctx, "none"), "hub none does not exist"},
			"no group":    {x.DeleteGroup(ctx, name, "none"), "consumer group none of hub " + name + " does not exist"},
			"not its hub": {x.CreateGroup(ctx, "none", "g"), "hub none does not exist"},
			"a bad name":  {x.CreateHub(ctx, "-", 3, 0), "not a name for a hub"},
		} {
			if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
				t.Errorf("%s: %v", doing, c.err)
			}
		}
		hubs, err := x.Hubs(ctx)
		if err != nil || len(hubs) != i+1 || hubs[i].Name != name || hubs[i].PartitionCount != 3 || hubs[i].RetentionInHours != 48 || (hubs[i].Events != nil) != (i == 0) {
			t.Errorf("%+v, %v", hubs, err)
		}
		groups, err := x.Groups(ctx, name)
		if err != nil || len(groups) != 2 || groups[0].Name != "$Default" || groups[1].Name != "g" {
			t.Errorf("%+v, %v", groups, err)
		}
		if _, err := x.Groups(ctx, "none"); err == nil || !strings.Contains(err.Error(), "does not exist") {
			t.Errorf("groups of no hub: %v", err)
		}
		if err := x.DeleteGroup(ctx, name, "g"); err != nil {
			t.Error(err)
		}
	}
	var hinted *connector.Hinted
	x := explore(t, strings.Replace(own, "hush", "guess", 1))
	if _, err := x.Hubs(t.Context()); !errors.As(err, &hinted) || !strings.Contains(err.Error(), "refuses the key") || strings.Contains(err.Error(), "guess") {
		t.Errorf("another key: %v", err)
	}
	var away *connector.Unreachable
	// An address of its own: something else may have the emulator's port on the usual one.
	x = explore(t, "Endpoint=sb://127.0.0.97:1;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true")
	if _, err := x.Hubs(t.Context()); !errors.As(err, &away) {
		t.Errorf("nobody there: %v", err)
	}
	if err := x.CreateHub(t.Context(), "h", 1, 0); !errors.As(err, &away) {
		t.Errorf("nobody there: %v", err)
	}
}

func TestExplorerPeeks(t *testing.T) {
	t.Parallel()
	s := hubsOfOwn(t)
	x := explore(t, s.Address())
	if err := x.CreateHub(t.Context(), "h", 2, 0); err != nil {
		t.Fatal(err)
	}
	peek := func(p eventhubs.Peek) string {
		t.Helper()
		p.Hub = "h"
		var all []string
		if err := x.Peek(t.Context(), p, func(e eventhubs.PeekedEvent) error { all = append(all, string(e.Body)); return nil }); err != nil {
			t.Fatal(err)
		}
		return strings.Join(all, " ")
	}
	if got := peek(eventhubs.Peek{Count: 5}); got != "" {
		t.Errorf("an empty hub has %q", got)
	}
	sendAll(t, x, eventhubs.Send{Hub: "h", Partition: "0"}, "a0", "a1", "a2", "a3")
	time.Sleep(5 * time.Millisecond) // events of one millisecond have no order
	between := time.Now()
	time.Sleep(5 * time.Millisecond)
	sendAll(t, x, eventhubs.Send{Hub: "h", Partition: "1", Properties: map[string]any{"n": "1"}}, "b0", "b1")
	two := int64(2)
	later := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		p    eventhubs.Peek
		want string
	}{
		"newest":            {eventhubs.Peek{Count: 3}, "a3 b0 b1"},
		"all":               {eventhubs.Peek{Count: 100}, "a0 a1 a2 a3 b0 b1"},
		"one partition":     {eventhubs.Peek{Count: 2, Partition: "0"}, "a2 a3"},
		"oldest":            {eventhubs.Peek{Count: 2, From: eventhubs.PeekFrom{Earliest: true}}, "a0 a1"},
		"by number":         {eventhubs.Peek{Count: 9, From: eventhubs.PeekFrom{Sequence: &two}}, "a2 a3"},
		"by time":           {eventhubs.Peek{Count: 9, From: eventhubs.PeekFrom{At: &between}}, "b0 b1"},
		"after all of them": {eventhubs.Peek{Count: 9, From: eventhubs.PeekFrom{At: &later}}, ""},
	} {
		began := time.Now()
		if got := peek(c.p); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		t.Logf("%s took %s", name, time.Since(began))
	}
	for name, p := range map[string]eventhubs.Peek{"no such hub": {Hub: "none", Count: 1}, "no such partition": {Hub: "h", Count: 1, Partition: "2"}, "no such group": {Hub: "h", Count: 1, Group: "none"}} {
		var hinted *connector.Hinted
		if err := x.Peek(t.Context(), p, func(eventhubs.PeekedEvent) error { return nil }); !errors.As(err, &hinted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestExplorerFollows(t *testing.T) {
	t.Parallel()
	s := hubsOfOwn(t)
	x := explore(t, s.Address())
	if err := x.CreateHub(t.Context(), "h", 3, 0); err != nil {
		t.Fatal(err)
	}
	sendAll(t, x, eventhubs.Send{Hub: "h", Partition: "2"}, "old", "older")
	ctx, stop := context.WithTimeout(t.Context(), 60*time.Second)
	defer stop()
	var seen []string
	err := x.Peek(ctx, eventhubs.Peek{Hub: "h", Count: 1, Follow: true}, func(e eventhubs.PeekedEvent) error {
		seen = append(seen, e.Partition+string(e.Body))
		switch len(seen) {
		case 1:
			// Sending here blocks the peek, which is what fn may do.
			sendAll(t, x, eventhubs.Send{Hub: "h", Partition: "0"}, "new")
		case 2:
			sendAll(t, x, eventhubs.Send{Hub: "h", Partition: "2"}, "newer")
		case 3:
			stop()
		}
		return nil
	})
	if got := strings.Join(seen, " "); err != nil || got != "2older 0new 2newer" {
		t.Errorf("%q, %v", got, err)
	}
	stopped := errors.New("enough")
	if err := x.Peek(t.Context(), eventhubs.Peek{Hub: "h", Count: 5, Follow: true}, func(eventhubs.PeekedEvent) error { return stopped }); !errors.Is(err, stopped) {
		t.Errorf("an error of the caller: %v", err)
	}
}

func TestExplorerSends(t *testing.T) {
	t.Parallel()
	s := hubsOfOwn(t)
	x := explore(t, s.Address())
	if err := x.CreateHub(t.Context(), "h", 4, 0); err != nil {
		t.Fatal(err)
	}
	big := strings.Repeat("x", 300<<10)
	sendAll(t, x, eventhubs.Send{Hub: "h", Key: "abc"}, big, big, big, big, big, big, big, "last")
	var keys, sizes int
	if err := x.Peek(t.Context(), eventhubs.Peek{Hub: "h", Count: 100, Partition: "1"}, func(e eventhubs.PeekedEvent) error {
		if e.PartitionKey != nil && *e.PartitionKey == "abc" {
			keys++
		}
		sizes += len(e.Body)
		return nil
	}); err != nil || keys != 8 || sizes != 7*300<<10+4 {
		t.Errorf("%d events, %d bytes, %v", keys, sizes, err)
	}
	for name, c := range map[string]struct {
		s    eventhubs.Send
		body string
		want string
	}{
		"too large":    {eventhubs.Send{Hub: "h"}, strings.Repeat("x", 2<<20), "too large"},
		"no hub":       {eventhubs.Send{Hub: "none"}, "x", "does not exist"},
		"no partition": {eventhubs.Send{Hub: "h", Partition: "9"}, "x", "partition"},
	} {
		events := make(chan []byte, 1)
		events <- []byte(c.body)
		close(events)
		if n, err := x.Send(t.Context(), c.s, events); err == nil || n != 0 || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}
