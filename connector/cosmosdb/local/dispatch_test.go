package local

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/valyala/fasthttp"
)

// FuzzRequest sends whole requests: each gets an answer in HTTP with a JSON
// body, and none an internal error.
func FuzzRequest(f *testing.F) {
	for _, s := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"POST /dbs/db/colls/c/docs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 23\r\nx-ms-documentdb-partitionkey: [\"x\"]\r\n\r\n{\"id\":\"1\",\"deviceId\":1}",
		"POST /dbs/db/colls/c/docs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/query+json\r\nContent-Length: 27\r\n\r\n{\"query\":\"SELECT * FROM c\"}",
		"POST /dbs/db/colls/c/docs HTTP/1.1\r\nHost: localhost\r\nx-ms-cosmos-is-batch-request: True\r\nContent-Length: 2\r\n\r\n[]",
		"PATCH /dbs/db/colls/c/docs/1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
		"GET /dbs/db/colls/c/pkranges HTTP/1.1\r\nHost: localhost\r\nA-IM: Incremental feed\r\nIf-None-Match: *\r\n\r\n",
		"GET /dbs/db/colls/c/docs HTTP/1.1\r\nHost: localhost\r\nA-IM: Incremental feed\r\nx-ms-documentdb-partitionkeyrangeid: 7\r\n\r\n",
		"POST /offers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/query+json\r\nContent-Length: 44\r\n\r\n{\"query\":\"SELECT * FROM c WHERE c.x = '/'\"}",
		"PUT /dbs/db/colls/c HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{\"id\":\"c\"}",
		"POST /dbs HTTP/1.1\r\nHost: localhost\r\nx-ms-offer-throughput: 401\r\nContent-Length: 10\r\n\r\n{\"id\":\"e\"}",
		"BREW /dbs/%zz HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	} {
		f.Add([]byte(s))
	}
	s := serveStore(f, Options{Throughput: unlimited})
	f.Fuzz(func(t *testing.T, raw []byte) {
		var r fasthttp.RequestCtx
		if err := r.Request.ReadLimitBody(bufio.NewReaderSize(bytes.NewReader(raw), maxHeaders), maxBody); err != nil {
			s.refuseUnread(&r, err)
		} else {
			// A browser's word is looked at elsewhere, and deleting what the
			// other inputs need would make them all alike.
			r.Request.Header.SetHost(s.hostPort)
			if r.IsDelete() {
				r.Request.Header.SetMethod(http.MethodGet)
			}
			body := bytes.Clone(r.Request.Body())
			r.Request.SetBodyStream(bytes.NewReader(body), len(body))
			s.serveHTTP(&r)
		}
		status := r.Response.StatusCode()
		if status == http.StatusInternalServerError || status < 200 || status > 503 {
			t.Errorf("%q gets %d: %s", raw, status, r.Response.Body())
		}
		if body := r.Response.Body(); len(body) > 0 && !json.Valid(body) {
			t.Errorf("%q gets what is no JSON: %s", raw, body)
		}
		if status >= 400 && len(r.Response.Body()) == 0 {
			t.Errorf("%q gets %d and no reason", raw, status)
		}
		var again bytes.Buffer
		w := bufio.NewWriter(&again)
		if err := r.Response.Write(w); err != nil {
			t.Fatal(err)
		}
		w.Flush()
		resp, err := http.ReadResponse(bufio.NewReader(&again), nil)
		if err != nil {
			t.Fatalf("%q gets what is no HTTP: %v", raw, err)
		}
		resp.Body.Close()
	})
}

// A handler that panics is answered for, and the server goes on.
func TestPanics(t *testing.T) {
	t.Parallel()
	s := serveStore(t, Options{})
	s.table[opDatabaseRead] = func(c *call) error { panic("as a test") }
	s.table[opOfferFeed] = func(c *call) error { return fmt.Errorf("as a test") }
	get := func(path string) (int, string) {
		var r fasthttp.RequestCtx
		r.Request.SetRequestURI("http://" + s.hostPort + path)
		s.serveHTTP(&r)
		return r.Response.StatusCode(), string(r.Response.Body())
	}
	for _, path := range []string{"/dbs/db", "/offers"} {
		if status, body := get(path); status != 500 || !strings.Contains(body, `"code":"InternalServerError"`) || strings.Contains(body, "as a test") {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := get("/dbs/db/colls"); status != 200 {
		t.Errorf("afterwards: %d %s", status, body)
	}
}
