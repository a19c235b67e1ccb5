package cosmosdb

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"millrace/connector"
)

// TestSilentAnswers: an answer that begins and then falls silent ends with its
// time, and is the caller's to ask for again.
func TestSilentAnswers(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var account []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			w.Write(account)
			return
		}
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(http.StatusOK)
		fmt.Fprint(w, `{"_rid":"x","Documents":[`)
		w.(http.Flusher).Flush()
		<-release
	}))
	defer server.Close()
	defer close(release)
	account = fmt.Appendf(nil, `{"id":"a","writableLocations":[{"name":"h","databaseAccountEndpoint":%[1]q}],"readableLocations":[{"name":"h","databaseAccountEndpoint":%[1]q}]}`, server.URL)
	c := NewConfig()
	c.ConnectionString = "AccountEndpoint=" + server.URL + "/;AccountKey=a2V5;"
	opened, err := c.Open(t.Context(), connector.Env{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	s := opened.(*Store)
	if s.account.wire.Timeout != wholeTimeout {
		t.Errorf("requests have %s", s.account.wire.Timeout)
	}
	s.account.wire.Timeout = 50 * time.Millisecond
	s.account.answered()
	for what, ask := range map[string]func(context.Context) error{
		"reading": func(ctx context.Context) error {
			return s.read(ctx, "SELECT * FROM c", "0", func([]byte) error { return nil })
		},
		"writing": func(ctx context.Context) error {
			_, err := s.Write(ctx, &connector.Write{Results: bulkEvents(t, 2)})
			return err
		},
		"reading the ranges": func(ctx context.Context) error {
			_, err := s.rangeMap(ctx)
			return err
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		err := ask(ctx)
		if err == nil || ctx.Err() != nil || connector.ActionOf(err) != connector.Retry || !strings.Contains(err.Error(), "no answer in time") {
			t.Errorf("%s: %v", what, err)
		}
		cancel()
	}
}
