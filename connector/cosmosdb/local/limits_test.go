package local_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local"
)

// dial opens a connection without a client.
func (w *world) dial(t *testing.T) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", w.srv.HostPort())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask sends bytes and reads one answer.
func ask(t *testing.T, conn net.Conn, r *bufio.Reader, text string) *http.Response {
	t.Helper()
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	resp.Body = io.NopCloser(strings.NewReader(string(body)))
	return resp
}

func TestBodies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	large := `{"id":"1","pk":"x","text":"` + strings.Repeat("x", 5<<20) + `"}`
	a := w.raw(t, "POST", "dbs/db/colls/c/docs", large, "x-ms-documentdb-partitionkey", `["x"]`)
	a.want(t, 413, "").mentions(t, `"code":"RequestEntityTooLarge"`)
	chunked := func(body string) *http.Response {
		conn := w.dial(t)
		return ask(t, conn, bufio.NewReader(conn), fmt.Sprintf("POST /dbs/db/colls/c/docs HTTP/1.1\r\nHost: %s\r\nTransfer-Encoding: chunked\r\n"+
			"x-ms-documentdb-partitionkey: [\"x\"]\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", w.srv.HostPort(), len(body), body))
	}
	if r := chunked(`{"id":"chunked","pk":"x"}`); r.StatusCode != 201 {
		t.Errorf("an item in chunks: %s", r.Status)
	}
	if r := chunked(large); r.StatusCode != 413 || !r.Close {
		t.Errorf("too much in chunks: %s", r.Status)
	}
	// What is refused unread does not spoil the connection.
	conn := w.dial(t)
	r := bufio.NewReader(conn)
	for range 2 {
		if a := ask(t, conn, r, fmt.Sprintf("POST /nonsense HTTP/1.1\r\nHost: %s\r\nContent-Length: 5\r\n\r\nhello", w.srv.HostPort())); a.StatusCode != 404 {
			t.Fatalf("status %s", a.Status)
		}
	}
	// Keep-alive, pipelining and continue.
	get := fmt.Sprintf("GET /dbs/db HTTP/1.1\r\nHost: %s\r\n\r\n", w.srv.HostPort())
	if a := ask(t, conn, r, get+get); a.StatusCode != 200 {
		t.Fatal(a.Status)
	}
	if a := ask(t, conn, r, ""); a.StatusCode != 200 {
		t.Fatal(a.Status)
	}
	if a := ask(t, conn, r, fmt.Sprintf("POST /dbs HTTP/1.1\r\nHost: %s\r\nExpect: 100-continue\r\nContent-Length: 13\r\n\r\n", w.srv.HostPort())); a.StatusCode != 100 {
		t.Fatal(a.Status)
	}
	if a := ask(t, conn, r, `{"id":"other"}`[:13]); a.StatusCode != 400 {
		t.Fatal(a.Status)
	}
}

func TestWhatIsNoHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for text, status := range map[string]int{
		"hello\r\n\r\n": 400,
		"GET / HTTP/1.1\r\nHost: x\r\nno colon here\r\n\r\n":                              400,
		"GET / HTTP/1.1\r\nHost: x\r\nx-long: " + strings.Repeat("x", 70000) + "\r\n\r\n": 431,
	} {
		conn := w.dial(t)
		resp := ask(t, conn, bufio.NewReader(conn), text)
		if resp.StatusCode != status || !resp.Close || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%.30q: %s %v", text, resp.Status, resp.Header)
		}
	}
}

// A client that does not get on with its request is told so, and let go.
func TestSlowClients(t *testing.T) {
	t.Parallel()
	// Long enough for the clients that are not meant to be slow.
	w := newWorld(t, func(o *local.Options) { o.Timing.Request = 2 * time.Second })
	for name, text := range map[string]string{
		"head": "GET / HT", "body": "POST /dbs HTTP/1.1\r\nHost: " + w.srv.HostPort() + "\r\nContent-Length: 100\r\n\r\n{",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := w.dial(t)
			resp := ask(t, conn, bufio.NewReader(conn), text)
			if resp.StatusCode != 408 || !resp.Close {
				t.Error(resp.Status)
			}
			if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("the connection goes on: %v", err)
			}
		})
	}
}

// What a client does not wait for any more ends by itself.
func TestLongQueries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *local.Options) { o.Timing.Work = 200 * time.Millisecond })
	w.container(t, "c", shape{})
	item := `{"id":"1","pk":"x","a":[0` + strings.Repeat(",1", 2000) + `]}`
	w.raw(t, "POST", "dbs/db/colls/c/docs", item, "x-ms-documentdb-partitionkey", `["x"]`).want(t, 201, "")
	ask := func(query string) answer {
		return w.raw(t, "POST", "dbs/db/colls/c/docs", `{"query":"`+query+`"}`, "content-type", "application/query+json", "x-ms-documentdb-partitionkey", `["x"]`)
	}
	for range 3 {
		ask("SELECT VALUE COUNT(1) FROM c JOIN a IN c.a JOIN b IN c.a JOIN d IN c.a").want(t, 408, "").mentions(t, "RequestTimeout")
	}
}

func TestTooManyConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *local.Options) { o.MaxConnections = 4 })
	get := fmt.Sprintf("GET /dbs HTTP/1.1\r\nHost: %s\r\n\r\n", w.srv.HostPort())
	var open []net.Conn
	refused := false
	for range 6 {
		conn := w.dial(t)
		_, _ = io.WriteString(conn, get) // it may have been closed already
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			refused = true // its request crossed the refusal
			continue
		}
		switch resp.StatusCode {
		case 200:
			open = append(open, conn)
		case 503:
			refused = true
		default:
			t.Fatal(resp.Status)
		}
	}
	if len(open) > 4 || !refused {
		t.Errorf("%d connections are served, refused: %v", len(open), refused)
	}
	for _, c := range open {
		c.Close()
	}
	// There is room again.
	ctx := soon(t)
	for {
		req, err := http.NewRequestWithContext(ctx, "GET", w.srv.Endpoint(), nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == 200 {
				return
			}
		}
		if ctx.Err() != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	issuer := httptest.NewUnstartedServer(nil)
	issuer.StartTLS()
	defer issuer.Close()
	srv, err := local.Start(soon(t), local.Options{DataDir: t.TempDir(), TLS: &tls.Config{Certificates: issuer.TLS.Certificates}})
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	if !strings.HasPrefix(srv.Endpoint(), "https://") {
		t.Error(srv.Endpoint())
	}
	req, err := http.NewRequestWithContext(soon(t), "GET", srv.Endpoint(), nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := issuer.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), `"databaseAccountEndpoint":"`+srv.Endpoint()+`"`) {
		t.Errorf("%s %v", body, err)
	}
}

// Close waits for what is running, and leaves nothing behind.
func TestCloseFinishesWhatRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.container(t, "c", shape{})
	ctx, stop := context.WithCancel(soon(t))
	defer stop()
	acknowledged := make(chan []string, 4)
	for n := range 4 {
		go func() {
			var ids []string
			defer func() { acknowledged <- ids }()
			for i := 0; ctx.Err() == nil; i++ {
				id := fmt.Sprintf("%d-%d", n, i)
				req, err := http.NewRequestWithContext(ctx, "POST", w.srv.Endpoint()+"dbs/db/colls/c/docs", strings.NewReader(`{"id":"`+id+`","pk":"x"}`))
				if err != nil {
					return
				}
				req.Header.Set("x-ms-documentdb-partitionkey", `["x"]`)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
				if resp.StatusCode != 201 {
					return
				}
				ids = append(ids, id)
			}
		}()
	}
	for stats(t, w, "c").Requests < 50 {
		time.Sleep(time.Millisecond)
	}
	if err := w.srv.Close(); err != nil {
		t.Fatal(err)
	}
	var ids []string
	for range 4 {
		ids = append(ids, <-acknowledged...)
	}
	if conn, err := net.Dial("tcp", w.srv.HostPort()); err == nil {
		conn.Close()
		t.Error("the port still answers")
	}
	w.start(t)
	for _, id := range ids {
		w.raw(t, "GET", "dbs/db/colls/c/docs/"+id, "", "x-ms-documentdb-partitionkey", `["x"]`).want(t, 200, "")
	}
}

func TestPortsThatAreTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var port int
	if _, err := fmt.Sscanf(w.srv.HostPort(), "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	_, err := local.Start(soon(t), local.Options{DataDir: t.TempDir(), Port: port})
	if err == nil || !strings.Contains(err.Error(), "is taken") {
		t.Error(err)
	}
	for _, o := range []local.Options{{}, {DataDir: t.TempDir(), Port: 70000}, {DataDir: t.TempDir(), Key: "?"}, {DataDir: t.TempDir(), Throughput: -2}} {
		if _, err := local.Start(soon(t), o); err == nil {
			t.Errorf("%+v is taken", o)
		}
	}
}
