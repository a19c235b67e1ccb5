package cosmosdb

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

// BenchmarkClient measures what the SDK costs: the processor time, per event,
// of a client that sends upserts and of the server that swallows them, both in
// this process. "raw" is a bare net/http client that signs and sends the same
// bytes, "sdk" the SDK as its documentation shows it, "store" the SDK as this
// connector uses it. The ratios to raw are what the SDK adds.
//
//	go test -run '^$' -bench Client ./connector/cosmosdb
func BenchmarkClient(b *testing.B) {
	for _, size := range []int{1, 4, 10, 100} {
		raw := 0.0
		for _, c := range []struct {
			name string
			make func(w *benchWorld) func(*request) error
		}{{"raw", (*benchWorld).raw}, {"sdk", (*benchWorld).sdk}, {"store", (*benchWorld).store}} {
			b.Run(fmt.Sprintf("batch=%d/%s", size, c.name), func(b *testing.B) {
				w := newBenchWorld(b, size)
				cost := w.measure(b, c.make(w))
				if c.name == "raw" {
					raw = cost
				}
				b.ReportMetric(cost, "us-cpu/event")
				if raw > 0 {
					b.ReportMetric(cost/raw, "x-raw")
				}
			})
		}
	}
}

// benchWorld is a server that accepts everything, and what is sent to it.
type benchWorld struct {
	store_ *Store
	host   string
	key    []byte
	client *http.Client
	size   int
	events []record.Result
}

func newBenchWorld(b *testing.B, size int) *benchWorld {
	answer := []byte("[" + strings.Repeat(`{"statusCode":201,"requestCharge":7.8,"eTag":"\"00000000-0000-0000-0000-000000000000\""},`, size-1) + `{"statusCode":201,"requestCharge":7.8}]`)
	var account []byte
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		buf := swallow.Get().(*[]byte)
		for {
			if _, err := r.Body.Read(*buf); err != nil {
				break
			}
		}
		swallow.Put(buf)
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("x-ms-request-charge", "7.8")
		switch {
		case r.Method == http.MethodGet:
			w.Write(account)
		case r.Header.Get("x-ms-cosmos-is-batch-request") != "":
			w.Write(answer)
		default:
			w.WriteHeader(http.StatusCreated)
		}
	}))
	b.Cleanup(server.Close)
	account = fmt.Appendf(nil, `{"id":"bench","writableLocations":[{"name":"here","databaseAccountEndpoint":%q}],"readableLocations":[{"name":"here","databaseAccountEndpoint":%q}]}`, server.URL, server.URL)
	key := bytes.Repeat([]byte("k"), 64)
	c := NewConfig()
	c.ConnectionString = "AccountEndpoint=" + server.URL + "/;AccountKey=" + base64.StdEncoding.EncodeToString(key) + ";"
	s, err := c.Open(b.Context(), connector.Env{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	w := &benchWorld{store_: s.(*Store), host: server.URL, key: key, size: size}
	w.client = &http.Client{Transport: w.store_.account.transport}
	w.events = benchEvents(b, size)
	return w
}

var swallow = sync.Pool{New: func() any { b := make([]byte, 128<<10); return &b }}

// benchEvents are events of the usual size, of one device.
func benchEvents(b testing.TB, n int) []record.Result {
	var members []string
	for i := range 23 {
		members = append(members, fmt.Sprintf(`"moreData%d":%d.%013d`, i, 10+i, 1234567890123-i))
	}
	events := make([]record.Result, n)
	for i := range events {
		text := fmt.Sprintf(`{"eventId":"00000000-0000-4000-8000-%012x","complexData":{%s},"value":45.6789012345678,"deviceId":"contoso://device-id-154","deviceSequenceNumber":%d,"type":"CO2","createdAt":"2026-01-02T03:04:05.%06dZ"}`,
			i, strings.Join(members, ","), i, i)
		if err := events[i].Decode([]byte(text)); err != nil {
			b.Fatal(err)
		}
		events[i].EnqueuedAt, events[i].ProcessedAt, events[i].Offset = 1, 2, int64(i)
	}
	return events
}

func (w *benchWorld) burst() *burst {
	u := w.store_.group(w.events)
	u.link()
	return u
}

// measure sends requests from a few goroutines and returns the processor time
// per event in microseconds.
func (w *benchWorld) measure(b *testing.B, send func(*request) error) float64 {
	const senders = 8
	work := make(chan struct{})
	var wg sync.WaitGroup
	u := w.burst()
	for range senders {
		wg.Go(func() {
			r := new(request)
			for range work {
				r.fill(u, 0)
				r.stamp(time.Now().UnixMicro())
				if err := send(r); err != nil {
					b.Error(err)
				}
			}
		})
	}
	before := cpu(b)
	b.SetBytes(int64(w.size * len(w.events[0].Raw)))
	b.ResetTimer()
	for range b.N {
		work <- struct{}{}
	}
	close(work)
	wg.Wait()
	b.StopTimer()
	return float64((cpu(b) - before).Nanoseconds()) / 1000 / float64(b.N*w.size)
}

func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// raw sends a request without the SDK.
func (w *benchWorld) raw() func(*request) error {
	link := "dbs/" + w.store_.cfg.Database + "/colls/" + w.store_.name
	return func(r *request) error {
		body := r.buf
		if len(r.items) == 1 {
			body = r.buf[r.items[0].start:r.items[0].end]
		}
		req, err := http.NewRequest(http.MethodPost, w.host+"/"+link+"/docs", bytes.NewReader(body))
		if err != nil {
			return err
		}
		date := time.Now().UTC().Format(http.TimeFormat)
		sign := hmac.New(sha256.New, w.key)
		io.WriteString(sign, "post\ndocs\n"+link+"\n"+strings.ToLower(date)+"\n\n")
		h := req.Header
		h.Set("Authorization", url.QueryEscape("type=master&ver=1.0&sig="+base64.StdEncoding.EncodeToString(sign.Sum(nil))))
		h.Set("Content-Type", "application/json")
		h.Set("Prefer", "return=minimal")
		h.Set("x-ms-date", date)
		h.Set("x-ms-version", "2020-11-05")
		h.Set("x-ms-documentdb-partitionkey", `["contoso://device-id-154"]`)
		if len(r.items) == 1 {
			h.Set("x-ms-documentdb-is-upsert", "True")
		} else {
			h.Set("x-ms-cosmos-is-batch-request", "True")
			h.Set("x-ms-cosmos-batch-atomic", "True")
		}
		resp, err := w.client.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode/100 != 2 {
			return fmt.Errorf("status %d: %w", resp.StatusCode, err)
		}
		return nil
	}
}

// sdk sends a request as the SDK's documentation shows it.
func (w *benchWorld) sdk() func(*request) error {
	c := w.store_.container
	return func(r *request) error {
		ctx := context.Background()
		if len(r.items) == 1 {
			_, err := c.UpsertItem(ctx, r.key.sdk, r.buf[r.items[0].start:r.items[0].end], &azcosmos.ItemOptions{})
			return err
		}
		batch := c.NewTransactionalBatch(r.key.sdk)
		for _, it := range r.items {
			batch.UpsertItem(r.buf[it.start:it.end], nil)
		}
		_, err := c.ExecuteTransactionalBatch(ctx, batch, &azcosmos.TransactionalBatchOptions{})
		return err
	}
}

// store sends a request as Write does.
func (w *benchWorld) store() func(*request) error {
	return func(r *request) error { return w.store_.try(context.Background(), r).err }
}
