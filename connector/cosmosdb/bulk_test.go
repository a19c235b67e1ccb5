package cosmosdb

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"millrace/connector"
	"millrace/connector/cosmosdb/local"
	"millrace/connector/cosmosdb/local/partition"
	"millrace/record"
)

// TestEffectiveKeys: keys lie where the service puts them.
func TestEffectiveKeys(t *testing.T) {
	t.Parallel()
	def := partition.Definition{Paths: []string{"/k"}, Kind: partition.Hash, Version: 2}
	values := []string{`"contoso://device-id-1"`, `""`, `"é 😀 \u0001 \"q\\"`, `"` + strings.Repeat("long", 300) + `"`,
		`1`, `-1.5e10`, `0`, `true`, `false`, `null`, `{}`}
	for range 200 {
		values = append(values, fmt.Sprintf(`"device-%d"`, rand.Uint32()), fmt.Sprint(rand.NormFloat64()))
	}
	for _, v := range values {
		want, err := partition.ParseHeader(def, "["+v+"]")
		if err != nil {
			t.Fatal(err)
		}
		text := []byte(v)
		if v == "{}" {
			text = nil
		}
		if got := newKeyPath("/k").effective(text); string(got[:]) != want.Raw() {
			t.Errorf("%s: %x, want %x", v, got, want.Raw())
		}
		if text != nil && text[0] == '"' {
			if got := newKeyPath("/deviceId").effective([]byte(textOf(text))); string(got[:]) != want.Raw() {
				t.Errorf("the device %s: %x, want %x", v, got, want.Raw())
			}
		}
	}
}

// TestBulkHeads: the partition key of an operation is JSON text in a string.
func TestBulkHeads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ path, text, want string }{
		{"/deviceId", `d"1\ é`, `["d\"1\\ é"]`}, {"/k", `"a\u0001"`, `["a\u0001"]`}, {"/k", `1.50`, `[1.50]`}, {"/k", "", `[{}]`},
	} {
		var text []byte
		if c.text != "" {
			text = []byte(c.text)
		}
		var op struct {
			OperationType, PartitionKey string
			ResourceBody                map[string]any
		}
		if err := json.Unmarshal(append(newKeyPath(c.path).bulkHead(text), `{"id":"x"}}`...), &op); err != nil ||
			op.PartitionKey != c.want || op.OperationType != "Upsert" || op.ResourceBody["id"] != "x" {
			t.Errorf("%s: %+v, %v; want %s", c.text, op, err, c.want)
		}
	}
}

// TestRangeMap finds ranges, and refuses what covers not everything.
func TestRangeMap(t *testing.T) {
	t.Parallel()
	m, err := newRangeMap([]keyRange{{"2", "1555", "2AAA"}, {"0", "", "1555"}, {"7", "2AAA", "FF"}})
	if err != nil {
		t.Fatal(err)
	}
	for first, want := range map[byte]string{0: "0", 0x14: "0", 0x16: "2", 0x3F: "7"} {
		if got := m.header[m.place([]byte{first, 0})].Get(headerRange); got != want {
			t.Errorf("%x lies in %s, want %s", first, got, want)
		}
	}
	for _, wrong := range [][]keyRange{{{"0", "15", "FF"}}, {{"0", "", "15"}, {"1", "16", "FF"}}, {{"0", "x", "FF"}}} {
		if _, err := newRangeMap(wrong); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}

// TestSeen: events are told from each other, however alike they look.
func TestSeen(t *testing.T) {
	t.Parallel()
	var s seen
	var ids []record.ID
	for i := range maxBatchOps {
		id := record.ID{7: 0x40, 8: 0x80, 15: byte(i)}
		ids = append(ids, id)
	}
	for _, again := range []bool{false, true} {
		for _, id := range ids {
			if s.add(id) == again {
				t.Errorf("%s: %v", id, !again)
			}
		}
	}
}

// TestAttempt reads answers to bulk requests. The first and the third event are
// of one key.
func TestAttempt(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`[{"statusCode":201},{"statusCode":200},{"statusCode":201}]`:                            "3 1 0 [] [] false 0s false false",
		`[{"statusCode":201},{"statusCode":429,"retryAfterMilliseconds":7},{"statusCode":424}]`: "1 0 0 [] [1 2] true 7ms false false",
		`[{"statusCode":429,"retryAfterMilliseconds":7},{"statusCode":201},{"statusCode":429}]`: "1 0 0 [] [0 2] true 7ms false false",
		`[{"statusCode":429},{"statusCode":201},{"statusCode":201}]`:                            "1 0 0 [] [0 2] true 0s false false",
		`[{"statusCode":449},{"statusCode":409},{"statusCode":409}]`:                            "0 0 1 [] [0 2] false 0s false true",
		`[{"statusCode":409},{"statusCode":400},{"statusCode":424}]`:                            "0 0 1 [1] [2] false 0s false false",
		`[{"statusCode":400},{"statusCode":424},{"statusCode":424}]`:                            "0 0 0 [0] [1 2] false 0s false false",
		`[{"statusCode":424},{"statusCode":424},{"statusCode":424}]`:                            "0 0 0 [] [0 1 2] false 0s false true",
		`[{"statusCode":410,"subStatusCode":1002},{"statusCode":201},{"statusCode":449}]`:       "1 0 0 [] [0 2] false 0s true true",
		`[{"statusCode":201},{"statusCode":403,"subStatusCode":1014},{"statusCode":201}]`:       "2 0 0 [] [1] false 0s false false fatal",
		`[{"statusCode":201}]`: "0 0 0 [] [0 1 2] false 0s false true",
		`nonsense`:             "0 0 0 [] [0 1 2] false 0s false true",
		``:                     "0 0 0 [] [0 1 2] false 0s false true",
	} {
		r := &request{items: []item{{result: 0, key: 7}, {result: 1, key: 3}, {result: 2, key: 7}}}
		var a attempt
		a.read([]byte(body), r)
		got := fmt.Sprint(a.stored, a.replaced, a.conflicts, a.rejected, a.left, a.busy, a.wait, a.moved, a.err != nil)
		if a.fatal != nil {
			got += " fatal"
		}
		if got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

// bulkWorld is a store over a stand-in of five ranges, behind a proxy that
// looks at what is written.
func bulkWorld(t *testing.T, see func(http.ResponseWriter, *http.Request) (answered bool)) *Store {
	t.Helper()
	return bulkWorldBehind(t, func(proxy http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/docs") || !see(w, r) {
				proxy.ServeHTTP(w, r)
			}
		})
	})
}

// bulkWorldBehind is a store over a stand-in of five ranges, which it reaches
// through what before makes.
func bulkWorldBehind(t *testing.T, before func(http.Handler) http.Handler) *Store {
	t.Helper()
	server, err := local.Start(t.Context(), local.Options{DataDir: t.TempDir(), Throughput: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Error(err)
		}
	})
	target, err := url.Parse(server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = log.New(io.Discard, "", 0)
	front := httptest.NewServer(before(proxy))
	t.Cleanup(front.Close)
	c := NewConfig()
	c.ConnectionString = "AccountEndpoint=" + front.URL + "/;AccountKey=" + local.WellKnownKey + ";"
	c.Throughput, c.Bulk = 50_000, true
	opened, err := c.Open(t.Context(), connector.Env{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	s := opened.(*Store)
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// bulkEvents are one event each of so many devices.
func bulkEvents(t *testing.T, n int) []record.Result {
	t.Helper()
	results := make([]record.Result, n)
	for i := range results {
		text := fmt.Sprintf(`{"eventId":"%08x-0000-4000-8000-000000000000","deviceId":"d%d","deviceSequenceNumber":0,"createdAt":"2026-01-02T03:04:05.000000Z"}`, i, i)
		if err := results[i].Decode([]byte(text)); err != nil {
			t.Fatal(err)
		}
		results[i].Offset = int64(i)
	}
	return results
}

func write(t *testing.T, s *Store, results []record.Result) connector.Receipt {
	t.Helper()
	r, err := s.Write(t.Context(), &connector.Write{Results: results})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBulk: events of many devices go in few requests, and one that comes twice
// is stored as it came last.
func TestBulk(t *testing.T) {
	t.Parallel()
	var requests, single atomic.Int64
	s := bulkWorld(t, func(_ http.ResponseWriter, r *http.Request) bool {
		requests.Add(1)
		if r.Header.Get(headerBatchAtomic) == "True" || r.Header.Get(headerPartitionKey) != "" {
			single.Add(1)
		}
		return false
	})
	results := append(bulkEvents(t, 400), bulkEvents(t, 400)[:3]...)
	for i := range results[400:] {
		results[400+i].Offset = 1000
	}
	if r := write(t, s, results); r.Stored != 400 || r.Duplicates != 3 {
		t.Errorf("receipt %+v", r)
	}
	// About 80 events for each of five ranges; a copy begins a new request,
	// which is a plain upsert if it ends there.
	if n, u := requests.Load(), s.Usage(); n > 13 || single.Load() > 3 || u.Requests != n || u.Written != 403 {
		t.Errorf("%d requests, %d of them for one key; usage %+v", n, single.Load(), u)
	}
	last := 0
	if err := s.Scan(t.Context(), func(e *record.Stored) error {
		if e.Offset == 1000 {
			last++
		}
		return nil
	}); err != nil || last != 3 {
		t.Errorf("%d events are as they came last, want 3 (%v)", last, err)
	}
}

// TestNoBulk: a service that takes no bulk requests is asked once.
func TestNoBulk(t *testing.T) {
	t.Parallel()
	var bulk atomic.Int64
	s := bulkWorld(t, func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get(headerBatchAtomic) != "False" {
			return false
		}
		bulk.Add(1)
		w.WriteHeader(http.StatusBadRequest)
		return true
	})
	if r := write(t, s, bulkEvents(t, 60)); r.Stored != 60 {
		t.Errorf("receipt %+v", r)
	}
	asked := bulk.Load()
	if r := write(t, s, bulkEvents(t, 60)); r.Duplicates != 60 || asked == 0 || bulk.Load() != asked {
		t.Errorf("receipt %+v; bulk requests: %d, then %d", r, asked, bulk.Load())
	}
}

// TestRangesMoved: the service divides ranges while they are written to.
func TestRangesMoved(t *testing.T) {
	t.Parallel()
	s := bulkWorld(t, func(http.ResponseWriter, *http.Request) bool { return false })
	for name, ranges := range map[string][]keyRange{
		"one before":   {{"0", "", "FF"}},
		"others":       {{"17", "", "20"}, {"18", "20", "FF"}},
		"other bounds": {{"1", "", "30"}, {"0", "30", "FF"}},
	} {
		m, err := newRangeMap(ranges)
		if err != nil {
			t.Fatal(err)
		}
		s.places.Store(m)
		if r := write(t, s, bulkEvents(t, 100)); r.Stored+r.Duplicates != 100 {
			t.Errorf("%s: %+v", name, r)
		}
		if s.places.Load() == m {
			t.Errorf("%s: the ranges are not looked at again", name)
		}
		if r := write(t, s, bulkEvents(t, 100)); r.Duplicates != 100 || len(s.places.Load().lows) != 5 {
			t.Errorf("%s, then: %+v", name, r)
		}
	}
}

// TestLanes: all results are in the lanes, once, those of a key in one lane and
// in their order.
func TestLanes(t *testing.T) {
	t.Parallel()
	m, err := newRangeMap([]keyRange{{"0", "", "10"}, {"1", "10", "20"}, {"2", "20", "FF"}})
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		cfg := *NewConfig()
		cfg.Bulk, cfg.Concurrency, cfg.MaxBatch = true, 1+rand.IntN(40), 1+rand.IntN(20)
		s := &Store{cfg: cfg, keys: newKeyPath(cfg.PartitionKey)}
		results := bulkEvents(t, 1+rand.IntN(300))
		for i := range results {
			results[i].DeviceID = fmt.Appendf(nil, "d%d", rand.IntN(1+len(results)/3))
		}
		for _, places := range []*rangeMap{m, nil} {
			b := s.group(results)
			b.places = places
			b.link()
			lanes, total := map[string]int{}, 0
			for n, l := range b.lanes {
				last := int32(-1)
				for at := l.first; at >= 0; at = b.after[at] {
					device := string(results[at].DeviceID)
					if was, ok := lanes[device]; ok && was != n || at <= last {
						t.Fatalf("%s is in lanes %d and %d, result %d after %d", device, was, n, at, last)
					}
					lanes[device], last = n, at
					total++
				}
			}
			if total != len(results) {
				t.Fatalf("%d of %d results are in lanes", total, len(results))
			}
		}
	}
}

// FuzzAttempt: whatever a server says to a bulk request, every event is settled
// or left.
func FuzzAttempt(f *testing.F) {
	f.Add([]byte(`[{"statusCode":201},{"statusCode":429,"retryAfterMilliseconds":3}]`))
	f.Add([]byte(`[{"statusCode":410},{"statusCode":403,"subStatusCode":1014}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r := &request{items: []item{{result: 0}, {result: 1}}}
		var a attempt
		a.read(body, r)
		if n := a.stored + a.conflicts + len(a.rejected) + len(a.left); n != 2 || a.wait < 0 {
			t.Errorf("%q: %d of 2 are accounted for", body, n)
		}
	})
}
