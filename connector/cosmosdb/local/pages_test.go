package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/store"
)

// send sends a request about the items of serveStore's container.
func send(t *testing.T, s *Server, verb, body string, headers ...string) (status int, answer []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), verb, s.Endpoint()+"dbs/db/colls/c/docs", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, answer
}

const keyHeader = "x-ms-documentdb-partitionkey"

func TestMemoryOfPages(t *testing.T) {
	t.Parallel()
	s := serveStore(t, Options{Throughput: unlimited, Timing: Timing{Work: 8 * time.Second}})
	text := strings.Repeat("x", 300<<10)
	for i := range 5 {
		if status, _ := send(t, s, "POST", fmt.Sprintf(`{"id":"%d","deviceId":"p","text":%q}`, i, text), keyHeader, `["p"]`); status != 201 {
			t.Fatal(status)
		}
	}
	for range 3 {
		if status, page := send(t, s, "GET", ""); status != 200 || bytes.Count(page, []byte(text)) != 5 || !bytes.HasSuffix(page, []byte("}")) {
			t.Fatalf("%d, %d bytes", status, len(page))
		}
	}
	// All of it comes back when clients have read their pages.
	for !s.pages.TryAcquire(sharedPages) {
		if t.Context().Err() != nil {
			t.Fatal("memory is kept")
		}
		time.Sleep(time.Millisecond)
	}
	if status, answer := send(t, s, "GET", ""); status != 503 {
		t.Errorf("%d %s while there is none", status, answer)
	}
	s.pages.Release(sharedPages)
	if status, _ := send(t, s, "GET", ""); status != 200 {
		t.Errorf("%d when there is some again", status)
	}
}

// A request that has found its container just before it was deleted leaves
// nothing behind.
func TestDeletedContainersAreForgotten(t *testing.T) {
	t.Parallel()
	s := serveStore(t, Options{Throughput: unlimited})
	d, err := s.known.database("db")
	if err != nil {
		t.Fatal(err)
	}
	c, err := s.known.container(d, "c")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.known.deleteContainer(t.Context(), c, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := s.known.of(d, c.Container); !errors.Is(err, store.ErrNotFound) || len(s.known.known) != 0 {
		t.Errorf("%v, %d containers are kept", err, len(s.known.known))
	}
}

// Operations of bulk requests that are refused are counted one by one.
func TestRefusedOperationsAreCounted(t *testing.T) {
	t.Parallel()
	now := time.Now()
	s := serveStore(t, Options{Throughput: 400, Now: func() time.Time { return now }})
	var b strings.Builder
	for i := range 10 {
		fmt.Fprintf(&b, `,{"operationType":"Upsert","partitionKey":"[\"p\"]","resourceBody":{"id":"%d","deviceId":"p","t":%q}}`, i, strings.Repeat("x", 20<<10))
	}
	bulk := func() int {
		status, _ := send(t, s, "POST", "["+b.String()[1:]+"]", "x-ms-cosmos-is-batch-request", "True",
			"x-ms-cosmos-batch-continue-on-error", "True", "x-ms-documentdb-partitionkeyrangeid", "0")
		return status
	}
	for n := 0; s.Stats()[0].Throttled == 0 && n < 1000; n++ {
		bulk()
	}
	if n := s.Stats()[0].Throttled; n != 10 {
		t.Errorf("%d operations were refused, counted are %d", 10, n)
	}
}

// A small batch that asks for many large items is refused as a whole.
func TestBatchesThatAskForTooMuch(t *testing.T) {
	t.Parallel()
	s := serveStore(t, Options{Throughput: unlimited})
	item := fmt.Sprintf(`{"id":"1","deviceId":"p","text":%q}`, strings.Repeat("x", 1<<20))
	if status, _ := send(t, s, "POST", item, keyHeader, `["p"]`); status != 201 {
		t.Fatal(status)
	}
	read := `{"operationType":"Read","id":"1","partitionKey":"[\"p\"]"}`
	for _, atomic := range []string{"True", "False"} {
		for n, want := range map[int]int{3: 200, 90: 207} {
			status, answer := send(t, s, "POST", "["+strings.Repeat(read+",", n-1)+read+"]", keyHeader, `["p"]`, "x-ms-cosmos-is-batch-request", "True",
				"x-ms-cosmos-batch-atomic", atomic, "x-ms-cosmos-batch-continue-on-error", "True")
			if status != want || want == 207 && !bytes.Contains(answer, []byte(`"statusCode":413`)) || len(answer) > 20<<20 {
				t.Errorf("%d reads, atomic %s: %d, %d bytes", n, atomic, status, len(answer))
			}
		}
	}
}
