package cosmosdb_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/cosmosdb"
	"millrace/connector/cosmosdb/local"
	"millrace/record"
)

// faulty puts a proxy before the account of c: fault says what to do with the
// nth request that writes documents, "" is nothing, "lose" hangs up after the
// service has answered, "drop" hangs up before, a number is answered as status.
func faulty(t testing.TB, c cosmosdb.Config, fault func(n int64) string) cosmosdb.Config {
	t.Helper()
	_, rest, _ := strings.Cut(c.ConnectionString, "AccountEndpoint=")
	endpoint, rest, _ := strings.Cut(rest, ";")
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	var n atomic.Int64
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		what := ""
		if r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/docs") && r.Header.Get("Content-Type") != "application/query+json" {
			what = fault(n.Add(1))
		}
		status := 0
		switch {
		case what == "":
			proxy.ServeHTTP(w, r)
		case what == "lose":
			proxy.ServeHTTP(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		case what == "drop":
			panic(http.ErrAbortHandler)
		default:
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = fmt.Sscan(what, &status)
			w.Header().Set("x-ms-request-charge", "0.38")
			w.Header().Set("x-ms-retry-after-ms", "3")
			w.WriteHeader(status)
			fmt.Fprintf(w, `{"code":"%d","message":"said for the test\r\nActivityId: x"}`, status)
		}
	}))
	t.Cleanup(front.Close)
	c.ConnectionString = "AccountEndpoint=" + front.URL + "/;" + rest
	return c
}

// TestFaults runs the suite with a service that hangs up before and after it
// has done what it was asked, throttles, and has other bad moments.
func TestFaults(t *testing.T) {
	t.Parallel()
	kinds := []string{"lose", "drop", "408", "410", "449", "429", "500", "503"}
	c := faulty(t, standin(t, local.Options{Throughput: -1}), func(int64) string {
		if rand.IntN(8) == 0 {
			return kinds[rand.IntN(len(kinds))]
		}
		return ""
	})
	c.Throughput, c.Concurrency = 30_000, 4
	make := factory(c)
	t.Run("Suite", func(t *testing.T) { connectortest.RunLossyStore(t, features, make) })
}

// TestFaultsThatLast: a service that does not come back is the caller's to wait
// for, and what it refuses for good is no reason to wait.
func TestFaultsThatLast(t *testing.T) {
	t.Parallel()
	base := standin(t, local.Options{Throughput: -1})
	results := events(t, 20, func(i int) (int, int) { return i % 5, i / 5 })
	for what, want := range map[string]struct {
		action connector.Action
		says   string
	}{
		"503":  {connector.Retry, "said for the test"},
		"410":  {connector.Retry, "said for the test"},
		"drop": {connector.Retry, "cannot reach Cosmos DB"},
		"401":  {connector.Fail, "refuses the key"},
		"403":  {connector.Fail, "refuses the key"},
		"404":  {connector.Fail, "does not exist"},
		"405":  {connector.Fail, "said for the test"},
	} {
		var broken atomic.Bool
		c := faulty(t, base, func(int64) string {
			if broken.Load() {
				return what
			}
			return ""
		})
		s := prepared(t, &c)
		broken.Store(true)
		_, err := s.Write(t.Context(), &connector.Write{Results: results})
		if err == nil || connector.ActionOf(err) != want.action || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%s: %v (action %d)", what, err, connector.ActionOf(err))
		}
		var hinted *connector.Hinted
		var unreachable *connector.Unreachable
		if want.action == connector.Fail && what != "405" && !errors.As(err, &hinted) || what == "drop" && !errors.As(err, &unreachable) {
			t.Errorf("%s: %v has no hint", what, err)
		}
		broken.Store(false)
		if r, err := s.Write(t.Context(), &connector.Write{Results: results}); err != nil || r.Stored+r.Duplicates != 20 {
			t.Errorf("after %s: %+v, %v", what, r, err)
		}
	}
}

// TestRefusedDocument: a batch that the service does not take is cut down to
// the document that it does not like.
func TestRefusedDocument(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1})
	s := prepared(t, &c)
	results := events(t, 40, func(i int) (int, int) { return 1, i })
	// Just below 2 MB as an event, above as a document.
	pad := 2<<20 - len(results[17].Raw) - 20
	large := strings.Replace(string(results[17].Raw), `"type"`, `"text":"`+strings.Repeat("x", pad)+`","type"`, 1)
	if err := results[17].Decode([]byte(large)); err != nil {
		t.Fatal(err)
	}
	_, err := s.Write(t.Context(), &connector.Write{Results: results})
	var e *connector.Error
	if !errors.As(err, &e) || e.Action != connector.Reject || fmt.Sprint(e.Items) != "[17]" {
		t.Fatalf("Write: %v, want item 17 rejected", err)
	}
	n := 0
	if err := s.Scan(t.Context(), func(*record.Stored) error { n++; return nil }); err != nil || n != 39 {
		t.Errorf("%d documents are stored, want 39 (%v)", n, err)
	}
}
