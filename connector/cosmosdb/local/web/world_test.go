package web

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"

	"millrace/connector/cosmosdb/local"
)

// world is a server with the explorer, and a client of each.
type world struct {
	t      *testing.T
	server *local.Server
	sdk    *azcosmos.Client
	// key signs requests to the explorer; "" does not.
	key string
}

func newWorld(t *testing.T, key string) *world {
	t.Helper()
	s, err := local.Start(t.Context(), local.Options{DataDir: t.TempDir(), Key: key,
		Web: func(s *local.Server) http.Handler { return New(s, Options{}) }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	w := &world{t: t, server: s}
	if w.sdk, err = azcosmos.NewClientFromConnectionString(s.Address(), nil); err != nil {
		t.Fatal(err)
	}
	return w
}

// container makes a container, in a database that is made if it is not there.
func (w *world) container(database, id string, ru int32, p azcosmos.ContainerProperties) *azcosmos.ContainerClient {
	w.t.Helper()
	_, _ = w.sdk.CreateDatabase(w.t.Context(), azcosmos.DatabaseProperties{ID: database}, nil) // it may be there
	d, err := w.sdk.NewDatabase(database)
	if err != nil {
		w.t.Fatal(err)
	}
	p.ID = id
	if p.PartitionKeyDefinition.Paths == nil {
		p.PartitionKeyDefinition = azcosmos.PartitionKeyDefinition{Paths: []string{"/pk"}, Version: 2}
	}
	tp := azcosmos.NewManualThroughputProperties(ru)
	if _, err := d.CreateContainer(w.t.Context(), p, &azcosmos.CreateContainerOptions{ThroughputProperties: &tp}); err != nil {
		w.t.Fatal(err)
	}
	c, err := d.NewContainer(id)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// add stores an item whose partition key is /pk.
func (w *world) add(c *azcosmos.ContainerClient, pk, item string) {
	w.t.Helper()
	if _, err := c.UpsertItem(w.t.Context(), azcosmos.NewPartitionKeyString(pk), []byte(item), nil); err != nil {
		w.t.Fatal(err)
	}
}

// request sends a request to the server and returns its answer.
func (w *world) request(method, path, body string, change func(*http.Request)) (status int, answer string, header http.Header) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, w.server.Endpoint()+strings.TrimPrefix(path, "/"), strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if w.key != "" {
		sign(w.t, r, w.key)
	}
	if change != nil {
		change(r)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(r)
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

// sign does what the page does.
func sign(t *testing.T, r *http.Request, key string) {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(key)
	if err != nil {
		t.Fatal(err)
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	m := hmac.New(sha256.New, raw)
	fmt.Fprintf(m, "%s\nexplorer\n%s\n%s\n\n", strings.ToLower(r.Method), strings.TrimPrefix(r.URL.RequestURI(), "/"), strings.ToLower(date))
	r.Header.Set("X-Ms-Date", date)
	r.Header.Set("Authorization", url.QueryEscape("type=master&ver=1.0&sig="+base64.StdEncoding.EncodeToString(m.Sum(nil))))
}

// api sends a request to the JSON API and reads the answer into v.
func (w *world) api(status int, method, path, body string, v any) string {
	w.t.Helper()
	got, answer, _ := w.request(method, "/_explorer/api"+path, body, nil)
	if got != status {
		w.t.Fatalf("%s %s: %d, want %d: %s", method, path, got, status, answer)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(answer), v); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, answer)
		}
	}
	return answer
}

// ask asks a query of the container db/c.
func (w *world) ask(status int, text string, count int, continuation string, v any) string {
	w.t.Helper()
	body, err := json.Marshal(question{"db", "c", text, count, continuation})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.api(status, "POST", "/query", string(body), v)
}
