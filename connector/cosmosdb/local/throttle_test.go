package local_test

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local"
)

// clock is a time that only tests move.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Now()} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	c.now = c.now.Add(d)
	c.mu.Unlock()
}

// upsert writes an item with a partition key, and returns the answer.
func (w *world) upsert(t *testing.T, container, id, pk string) answer {
	t.Helper()
	return w.raw(t, "POST", "dbs/db/colls/"+container+"/docs", fmt.Sprintf(`{"id":%q,"a":%q}`, id, pk),
		"x-ms-documentdb-partitionkey", `["`+pk+`"]`, "x-ms-documentdb-is-upsert", "True")
}

func stats(t *testing.T, w *world, container string) local.Stats {
	t.Helper()
	for _, s := range w.srv.Stats() {
		if s.Container == container {
			return s
		}
	}
	t.Fatalf("no counters of %s", container)
	return local.Stats{}
}

func TestRequestsBeyondTheThroughputAreRefused(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := newWorld(t, func(o *local.Options) { o.Throughput, o.Now = 0, c.Now })
	w.raw(t, "POST", "dbs/db/colls", `{"id":"c","partitionKey":{"paths":["/a"]}}`).want(t, 201, "")
	spent, n := 0.0, 0
	var a answer
	for ; n < 1000; n++ {
		if a = w.upsert(t, "c", fmt.Sprint(n), "x"); a.status != 201 {
			break
		}
		ru, err := strconv.ParseFloat(a.header.Get("x-ms-request-charge"), 64)
		if err != nil || ru <= 0 {
			t.Fatalf("charge %q", a.header.Get("x-ms-request-charge"))
		}
		spent += ru
	}
	a.want(t, 429, "3200").mentions(t, `"code":"429"`, "Request rate is large")
	// 400 RU/s is what a container has that nobody asked more for; the last
	// request may go beyond.
	if spent < 400 || spent > 420 {
		t.Errorf("%d writes of %.2f RU in all are taken at once by 400 RU/s", n, spent)
	}
	wait, err := strconv.Atoi(a.header.Get("x-ms-retry-after-ms"))
	if err != nil || wait < 1 || wait > 100 {
		t.Errorf("x-ms-retry-after-ms %q", a.header.Get("x-ms-retry-after-ms"))
	}
	if got := a.header.Get("x-ms-request-charge"); got != "0" {
		t.Errorf("a refused request costs %s", got)
	}
	w.upsert(t, "c", "again", "x").want(t, 429, "3200")
	w.raw(t, "GET", "dbs/db/colls/c/docs/0", "", "x-ms-documentdb-partitionkey", `["x"]`).want(t, 429, "3200")
	// What is not about items is not throttled.
	w.raw(t, "GET", "dbs/db/colls/c", "").want(t, 200, "")
	w.raw(t, "GET", "dbs/db/colls/c/pkranges", "").want(t, 200, "")
	if s := stats(t, w, "c"); s.Throttled != 3 || s.Failed != 0 || s.Charge < spent-0.01 {
		t.Errorf("counters %+v", s)
	}

	c.advance(time.Duration(wait) * time.Millisecond)
	w.upsert(t, "c", "again", "x").want(t, 201, "")
	w.upsert(t, "c", "too soon", "x").want(t, 429, "3200")

	// More throughput counts at once.
	o := w.raw(t, "GET", "offers", "").offers(t)[0]
	w.raw(t, "PUT", "offers/"+o.RID, `{"content":{"offerThroughput":10000}}`).want(t, 200, "")
	c.advance(10 * time.Millisecond)
	for i := range 5 {
		w.upsert(t, "c", fmt.Sprint("more", i), "x").want(t, 201, "")
	}
}

func TestEachRangeHasItsShare(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := newWorld(t, func(o *local.Options) { o.Throughput, o.Now = 400, c.Now })
	w.raw(t, "POST", "dbs/db/colls", `{"id":"c","partitionKey":{"paths":["/a"]}}`, "x-ms-offer-throughput", "20000").want(t, 201, "")
	rangeOf := func(pk string) string {
		a := w.raw(t, "GET", "dbs/db/colls/c/docs/none", "", "x-ms-documentdb-partitionkey", `["`+pk+`"]`)
		r, _, _ := strings.Cut(a.header.Get("x-ms-session-token"), ":")
		return r
	}
	keys := map[string]string{}
	for i := 0; i < 50 && len(keys) < 2; i++ {
		k := fmt.Sprint("k", i)
		keys[rangeOf(k)] = k
	}
	c.advance(time.Second)
	n := 0
	for ; n < 1000 && w.upsert(t, "c", fmt.Sprint(n), keys["0"]).status == 201; n++ {
	}
	if n < 20 || n > 40 {
		t.Errorf("a range with 200 RU/s takes %d writes at once", n)
	}
	w.upsert(t, "c", "x", keys["0"]).want(t, 429, "3200")
	w.upsert(t, "c", "x", keys["1"]).want(t, 201, "")
}

func TestContainersOfADatabaseShareItsThroughput(t *testing.T) {
	t.Parallel()
	c := newClock()
	w := newWorld(t, func(o *local.Options) { o.Throughput, o.Now = 0, c.Now })
	w.raw(t, "DELETE", "dbs/db", "").want(t, 204, "")
	w.raw(t, "POST", "dbs", `{"id":"db"}`, "x-ms-offer-throughput", "400").want(t, 201, "")
	for _, id := range []string{"one", "two"} {
		w.raw(t, "POST", "dbs/db/colls", `{"id":"`+id+`","partitionKey":{"paths":["/a"]}}`).want(t, 201, "")
	}
	w.raw(t, "POST", "dbs/db/colls", `{"id":"own","partitionKey":{"paths":["/a"]}}`, "x-ms-offer-throughput", "400").want(t, 201, "")
	n := 0
	for ; n < 1000 && w.upsert(t, "one", fmt.Sprint(n), "x").status == 201; n++ {
	}
	w.upsert(t, "two", "x", "x").want(t, 429, "3200")
	w.upsert(t, "own", "x", "x").want(t, 201, "")
}
