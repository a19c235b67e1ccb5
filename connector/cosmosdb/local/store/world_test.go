package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/value"
)

// clock is a clock that stands still until it is moved.
type clock struct{ now atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.now.Store(1_700_000_000)
	return c
}

func (c *clock) time() time.Time         { return time.Unix(c.now.Load(), 0) }
func (c *clock) forward(d time.Duration) { c.now.Add(int64(d / time.Second)) }

// world is a store with one container.
type world struct {
	t     testing.TB
	dir   string
	cache int64
	clock *clock
	s     *Store
	c     *Container
}

const sampleIndexing = `{"indexingMode":"consistent","includedPaths":[{"path":"/type/?"},{"path":"/deviceId/?"},{"path":"/createdAt/?"}],"excludedPaths":[{"path":"/*"}]}`

// sampleProperties are those of the sample container.
func sampleProperties() Properties {
	return Properties{ID: "events", PartitionKey: partition.Definition{Paths: []string{"/deviceId"}, Kind: partition.Hash, Version: 2},
		UniqueKeys: [][]string{{"/eventId"}}, Indexing: json.RawMessage(sampleIndexing)}
}

func newWorld(t testing.TB, p Properties, ranges int) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir(), clock: newClock(), cache: 4 << 20}
	if _, ok := t.(*testing.B); ok {
		w.cache = 0 // the default
	}
	w.open()
	t.Cleanup(func() { w.s.Close() })
	ctx := context.Background()
	d, err := w.s.CreateDatabase(ctx, "streaming", nil)
	if err != nil {
		t.Fatal(err)
	}
	if w.c, err = w.s.CreateContainer(ctx, d, p, ranges, nil); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.s, err = Open(w.dir, Options{Now: w.clock.time, CacheBytes: w.cache}); err != nil {
		w.t.Fatal(err)
	}
}

// reopen closes the store and opens it again.
func (w *world) reopen() {
	w.t.Helper()
	id := w.c.ID()
	if err := w.s.Close(); err != nil {
		w.t.Fatal(err)
	}
	w.open()
	d, err := w.s.Database("streaming")
	if err != nil {
		w.t.Fatal(err)
	}
	if w.c, err = w.s.Container(d, id); err != nil {
		w.t.Fatal(err)
	}
}

// key makes a key of the container.
func (w *world) key(values ...any) partition.Key {
	w.t.Helper()
	k, err := partition.New(w.c.Definition(), values...)
	if err != nil {
		w.t.Fatal(err)
	}
	return k
}

// one does one operation.
func (w *world) one(pk string, op Op) OpResult {
	w.t.Helper()
	res, err := w.c.Apply(context.Background(), w.key(pk), []Op{op})
	if err != nil {
		w.t.Fatal(err)
	}
	return res[0]
}

// upsert stores an item and wants it to be stored.
func (w *world) upsert(pk, id, rest string) OpResult {
	w.t.Helper()
	res := w.one(pk, Op{Kind: OpUpsert, ID: id, Body: doc(pk, id, rest)})
	if !res.Status.Done() {
		w.t.Fatalf("upsert of %s/%s: status %d, %v", pk, id, res.Status, res.Err)
	}
	return res
}

func doc(pk, id, rest string) []byte {
	if rest != "" {
		rest = "," + rest
	}
	return fmt.Appendf(nil, `{"id":%q,"deviceId":%q%s}`, id, pk, rest)
}

// ids reads an access to its end.
func (w *world) ids(a Access) []string {
	w.t.Helper()
	it, err := w.c.Open(context.Background(), a)
	if err != nil {
		w.t.Fatal(err)
	}
	defer it.Close()
	ids := []string{}
	for it.Next() {
		id, _ := value.Trusted(it.Item()).Get("id").AsString()
		ids = append(ids, strings.Clone(id)) // the item is the iterator's
	}
	if err := it.Err(); err != nil {
		w.t.Fatal(err)
	}
	return ids
}

func valueKey(v value.Value) []byte { return value.AppendKey(nil, v) }
