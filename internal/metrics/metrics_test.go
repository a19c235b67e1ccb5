package metrics

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"millrace/connector"
)

func TestSamplerBoundsItsHistory(t *testing.T) {
	t.Parallel()
	var n int64
	s := NewSampler(time.Hour, func(context.Context) Sample { n++; return Sample{Stored: n} })
	for range 3*maxKept + 17 {
		s.Take(t.Context())
	}
	h := s.History()
	if len(h) > maxKept || len(h) < maxKept/3 {
		t.Fatalf("%d samples kept, the bound is %d", len(h), maxKept)
	}
	for i := 2; i < len(h); i++ {
		if h[i].Stored-h[i-1].Stored != h[1].Stored-h[0].Stored {
			t.Fatalf("samples %d and %d are not as far apart as the first two", i-1, i)
		}
	}
}

func TestPrometheusShowsEveryStage(t *testing.T) {
	t.Parallel()
	srv, err := Serve("127.0.0.1:0", "a-solution", "r1", func() Sample { return Sample{Stored: 42, Outage: "x"} })
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	resp, err := http.Get("http://" + srv.Addr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`millrace_serve_stored_rows_total{run="r1",solution="a-solution"} 42`, "millrace_serve_outage",
		"millrace_simulate_", "millrace_ingest_", "millrace_process_", "millrace_verify_", "go_goroutines",
	} {
		if !strings.Contains(string(body), want) {
			t.Errorf("%s is missing", want)
		}
	}
	var taken *connector.Unreachable
	if _, err := Serve(srv.Addr(), "s", "r", nil); !errors.As(err, &taken) {
		t.Errorf("a taken port gives %v", err)
	}
}

// TestProfilesOnLoopbackOnly: who can reach the metrics from elsewhere cannot
// take profiles.
func TestProfilesOnLoopbackOnly(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]int{"127.0.0.1:0": http.StatusOK, "0.0.0.0:0": http.StatusNotFound} {
		srv, err := Serve(listen, "s", "r", func() Sample { return Sample{} })
		if err != nil {
			t.Fatal(err)
		}
		defer srv.Close()
		_, port, err := net.SplitHostPort(srv.Addr())
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]int{"/metrics": http.StatusOK, "/debug/pprof/": want, "/debug/pprof/goroutine": want} {
			resp, err := http.Get("http://127.0.0.1:" + port + path)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("listening on %s, %s gives %d, want %d", listen, path, resp.StatusCode, want)
			}
		}
	}
}
