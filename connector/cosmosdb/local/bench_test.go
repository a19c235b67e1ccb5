package local

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// serveStore starts a server with a container c in a database db.
func serveStore(tb testing.TB, o Options) *Server {
	tb.Helper()
	o.DataDir = tb.TempDir()
	s, err := Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	ctx := tb.Context()
	d, err := s.known.createDatabase(ctx, "db", throughput{})
	if err != nil {
		tb.Fatal(err)
	}
	wanted, f := parseSettings([]byte(`{"id":"c","partitionKey":{"paths":["/deviceId"]}}`))
	if f != nil {
		tb.Fatal(f)
	}
	p, err := wanted.properties()
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := s.known.createContainer(ctx, d, p, throughput{}); err != nil {
		tb.Fatal(err)
	}
	return s
}

// serveEcho starts a server with a key whose item creation answers with the body
// it got, without a store behind it.
func serveEcho(tb testing.TB) *Server {
	tb.Helper()
	s := serveStore(tb, Options{Key: WellKnownKey, Throughput: unlimited})
	s.table[opItemCreate] = func(c *call) error {
		if err := c.admit(0); err != nil {
			return err
		}
		c.spend(0, 7.8)
		c.session(0, 12345)
		c.out.body = append(c.out.body, c.body...)
		return c.ok(http.StatusCreated, `"0000-0000-0000-000000000000"`)
	}
	return s
}

// createRequest is a request as the Go SDK sends it, with a body of size bytes.
func createRequest(host string, size int) []byte {
	date := time.Now().UTC().Format(http.TimeFormat)
	body := bytes.Repeat([]byte("x"), size)
	var b bytes.Buffer
	fmt.Fprintf(&b, "POST /dbs/db/colls/c/docs HTTP/1.1\r\nHost: %s\r\n", host)
	for _, h := range [][2]string{
		{"User-Agent", "azsdk-go-azcosmos/v1.4.1 (go1.26; linux)"}, {"Content-Length", fmt.Sprint(size)}, {"Accept", "application/json"},
		{"Authorization", sign(WellKnownKey, "POST", "docs", "dbs/db/colls/c", date)}, {"Content-Type", "application/json"},
		{"Prefer", "return=minimal"}, {"X-Ms-Client-Request-Id", "11111111-2222-3333-4444-555555555555"},
		{"X-Ms-Cosmos-Sdk-Supportedcapabilities", "1"}, {"X-Ms-Date", date}, {"X-Ms-Documentdb-Is-Upsert", "false"},
		{"X-Ms-Documentdb-Partitionkey", `["contoso://device-id-154"]`}, {"X-Ms-Version", "2020-11-05"}, {"Accept-Encoding", "gzip"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	b.Write(body)
	return b.Bytes()
}

// client sends the same request again and again over one connection, and reads
// the answers with as little work as can be.
type client struct {
	conn    net.Conn
	r       *bufio.Reader
	request []byte
	scratch []byte
}

func (c *client) do() (status string, err error) {
	if _, err := c.conn.Write(c.request); err != nil {
		return "", err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.r.ReadSlice('\n')
		if err != nil {
			return "", err
		}
		if first {
			status = string(line[9:12])
		}
		if v, ok := bytes.CutPrefix(line, []byte("Content-Length: ")); ok {
			fmt.Sscan(string(v), &length)
		}
		if len(line) == 2 {
			break
		}
	}
	if cap(c.scratch) < length {
		c.scratch = make([]byte, length)
	}
	_, err = io.ReadFull(c.r, c.scratch[:length])
	return status, err
}

func dial(tb testing.TB, s *Server, request []byte) *client {
	tb.Helper()
	conn, err := net.Dial("tcp", s.HostPort())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return &client{conn: conn, r: bufio.NewReaderSize(conn, 16<<10), request: request}
}

// BenchmarkEmptyPath is everything that a request costs but the store: reading
// it, its signature, the way to its handler, headers, the answer. Both ends are
// in the process; the client's part is small.
func BenchmarkEmptyPath(b *testing.B) {
	for _, conns := range []int{1, 16} {
		b.Run(fmt.Sprintf("conns=%d", conns), func(b *testing.B) {
			s := serveEcho(b)
			request := createRequest(s.HostPort(), 1000)
			clients := make([]*client, conns)
			for i := range clients {
				clients[i] = dial(b, s, request)
				if status, err := clients[i].do(); err != nil || status != "201" {
					b.Fatal(status, err)
				}
			}
			before := cpu()
			b.ReportAllocs()
			b.ResetTimer()
			var wg sync.WaitGroup
			for i, c := range clients {
				wg.Go(func() {
					for range (b.N + i) / conns {
						if status, err := c.do(); err != nil || status != "201" {
							b.Error(status, err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(cpu()-before)/float64(time.Microsecond)/float64(b.N), "cpu-us/op")
		})
	}
}

// BenchmarkUpsert is all of an upsert of a new item of 1 KB with three indexed
// paths and a unique key, one per request, through 16 connections.
func BenchmarkUpsert(b *testing.B) {
	s := serveStore(b, Options{Key: WellKnownKey, Throughput: unlimited})
	wanted, f := parseSettings([]byte(`{"id":"e","partitionKey":{"paths":["/deviceId"]},"uniqueKeyPolicy":{"uniqueKeys":[{"paths":["/eventId"]}]},
		"indexingPolicy":{"includedPaths":[{"path":"/type/?"},{"path":"/deviceId/?"},{"path":"/createdAt/?"}],"excludedPaths":[{"path":"/*"}]}}`))
	if f != nil {
		b.Fatal(f)
	}
	p, err := wanted.properties()
	if err != nil {
		b.Fatal(err)
	}
	d, err := s.known.database("db")
	if err != nil {
		b.Fatal(err)
	}
	if _, err := s.known.createContainer(b.Context(), d, p, throughput{manual: 40000}); err != nil {
		b.Fatal(err)
	}
	date := time.Now().UTC().Format(http.TimeFormat)
	token := sign(WellKnownKey, "POST", "docs", "dbs/db/colls/e", date)
	filler := string(bytes.Repeat([]byte("x"), 800))
	const conns = 16
	clients := make([]*client, conns)
	for i := range clients {
		clients[i] = dial(b, s, nil)
	}
	before := cpu()
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for i, c := range clients {
		wg.Go(func() {
			for n := range (b.N + i) / conns {
				device := fmt.Sprintf("contoso://device-id-%d", (n*conns+i)%1000)
				body := fmt.Sprintf(`{"id":"%d-%d","eventId":"%d-%d","deviceId":"%s","type":"CO2","createdAt":"2026-03-04T05:06:07.%06dZ","filler":"%s"}`,
					i, n, i, n, device, n%1e6, filler)
				c.request = fmt.Appendf(c.request[:0], "POST /dbs/db/colls/e/docs HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\nAuthorization: %s\r\n"+
					"X-Ms-Date: %s\r\nX-Ms-Documentdb-Is-Upsert: true\r\nPrefer: return=minimal\r\nX-Ms-Documentdb-Partitionkey: [\"%s\"]\r\n\r\n%s",
					s.HostPort(), len(body), token, date, device, body)
				if status, err := c.do(); err != nil || status != "201" {
					b.Error(status, err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "upserts/s")
	b.ReportMetric(float64(cpu()-before)/float64(time.Microsecond)/float64(b.N), "cpu-us/op")
}

// BenchmarkHandler is the same without the network and reading HTTP.
func BenchmarkHandler(b *testing.B) {
	s := serveEcho(b)
	raw := createRequest(s.HostPort(), 1000)
	var r fasthttp.RequestCtx
	if err := r.Request.Read(bufio.NewReader(bytes.NewReader(raw))); err != nil {
		b.Fatal(err)
	}
	content := bytes.Clone(r.Request.Body())
	body := bytes.NewReader(nil)
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(content)
		r.Request.SetBodyStream(body, len(content))
		r.Response.Reset()
		s.serveHTTP(&r)
	}
	if r.Response.StatusCode() != http.StatusCreated {
		b.Fatalf("status %d", r.Response.StatusCode())
	}
}

// cpu is the processor time of this process so far.
func cpu() time.Duration {
	if runtime.GOOS == "windows" {
		return 0
	}
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
