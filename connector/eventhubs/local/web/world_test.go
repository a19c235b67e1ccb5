package web

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	kafkalocal "millrace/connector/kafka/local"

	"millrace/connector/eventhubs/local/hub"
)

// world is a handler over a log of its own, and a client of it.
type world struct {
	t       *testing.T
	cluster *hub.Cluster
	server  *httptest.Server
	// header is sent with every request; host replaces the Host header.
	header http.Header
	host   string
}

func newWorld(t *testing.T, change func(*Options, *hub.Options)) *world {
	t.Helper()
	log, err := kafkalocal.Start(t.Context(), kafkalocal.Options{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	ho := hub.Options{Brokers: []string{log.Address()}}
	o := Options{}
	if change != nil {
		change(&o, &ho)
	}
	cluster, err := hub.Open(t.Context(), ho)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	o.Cluster = cluster
	h, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	w := &world{t: t, cluster: cluster, server: httptest.NewServer(h), header: http.Header{}}
	t.Cleanup(w.server.Close)
	return w
}

// request sends a request and returns its answer.
func (w *world) request(method, path, contentType, body string) (status int, answer string, header http.Header) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	for k, v := range w.header {
		r.Header[k] = v
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if w.host != "" {
		r.Host = w.host
	}
	resp, err := w.server.Client().Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var b bytes.Buffer
	if _, err := io.Copy(&b, resp.Body); err != nil {
		w.t.Fatal(err)
	}
	return resp.StatusCode, b.String(), resp.Header
}

// want sends a request and fails the test unless the status is right.
func (w *world) want(status int, method, path, body string) string {
	w.t.Helper()
	contentType := ""
	if strings.HasPrefix(path, "/api") {
		contentType = "application/json"
	}
	got, answer, _ := w.request(method, path, contentType, body)
	if got != status {
		w.t.Fatalf("%s %s: %d, want %d: %s", method, path, got, status, answer)
	}
	return answer
}

// api sends a request to the JSON API and reads the answer into v.
func (w *world) api(status int, method, path, body string, v any) {
	w.t.Helper()
	answer := w.want(status, method, path, body)
	if v != nil {
		if err := json.Unmarshal([]byte(answer), v); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
}
