package store

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/value"
)

// TestExpiry walks through what a time to live does.
func TestExpiry(t *testing.T) {
	t.Parallel()
	p := sampleProperties()
	seconds := 100
	p.DefaultTTL = &seconds
	w := newWorld(t, p, 2)
	w.upsert("p", "default", `"eventId":1`)
	w.upsert("p", "short", `"eventId":2,"ttl":10`)
	w.upsert("p", "never", `"eventId":3,"ttl":-1`)
	if res := w.one("p", Op{Kind: OpUpsert, ID: "bad", Body: doc("p", "bad", `"ttl":0`)}); res.Status != Refused || res.Err == nil {
		t.Errorf("a ttl of 0: %+v", res)
	}
	wait := func(d time.Duration, want ...string) {
		t.Helper()
		w.clock.forward(d)
		if got := w.ids(Access{}); !slices.Equal(got, want) {
			t.Errorf("items %v, want %v", got, want)
		}
		if got := w.ids(Access{Index: &IndexScan{Path: "/id"}}); !slices.Equal(got, want) {
			t.Errorf("items by id %v, want %v", got, want)
		}
		n := w.c.RangeOf(w.key("p"))
		changes, _, err := w.c.Changes(t.Context(), ChangeRequest{Range: n})
		if err != nil || len(changes) != len(want) {
			t.Errorf("%d changes, want %d, %v", len(changes), len(want), err)
		}
	}
	w.s.upkeep.Lock() // nothing is purged
	wait(9*time.Second, "default", "never", "short")
	wait(time.Second, "default", "never")
	if res := w.one("p", Op{Kind: OpReplace, ID: "short", Body: doc("p", "short", "")}); res.Status != NotFound {
		t.Errorf("an expired item was replaced: %+v", res)
	}
	// Its unique key is free, and taking it removes what is left of the item.
	w.upsert("p", "heir", `"eventId":2,"ttl":1000`)
	wait(89*time.Second, "default", "heir", "never")
	wait(time.Second, "heir", "never")
	if res := w.one("p", Op{Kind: OpCreate, ID: "default", Body: doc("p", "default", `"eventId":1`)}); res.Status != Created || res.OldSize != 0 {
		t.Errorf("an expired item is in the way: %+v", res)
	}
	wait(100*time.Second, "heir", "never")
	w.s.upkeep.Unlock()

	if err := w.s.tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkConsistent(t, w.c)
	if items, _ := w.c.Count(w.c.RangeOf(w.key("p"))); items != 2 {
		t.Errorf("%d items after the purge", items)
	}

	// Without a default of the container no item expires, with -1 only those
	// that say so.
	p = w.c.Properties()
	p.DefaultTTL = nil
	if err := w.s.ReplaceContainer(t.Context(), w.c, p, ""); err != nil {
		t.Fatal(err)
	}
	wait(5000*time.Second, "heir", "never")
	never := -1
	p.DefaultTTL = &never
	if err := w.s.ReplaceContainer(t.Context(), w.c, p, ""); err != nil {
		t.Fatal(err)
	}
	wait(0, "never")
	if err := w.s.tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkConsistent(t, w.c)
}

// TestPurgeMany wants the purge to find everything, in steps.
func TestPurgeMany(t *testing.T) {
	t.Parallel()
	p := sampleProperties()
	seconds := 50
	p.DefaultTTL = &seconds
	w := newWorld(t, p, 3)
	const n = 10 * atOnce
	for i := range n {
		ttl := ""
		if i%3 == 0 {
			ttl = fmt.Sprintf(`,"ttl":%d`, []int{-1, 20, 200}[i/3%3])
		}
		w.upsert(fmt.Sprint("p", i%7), fmt.Sprint(i), fmt.Sprintf(`"eventId":%d%s`, i, ttl))
	}
	w.clock.forward(60 * time.Second)
	want := len(w.ids(Access{}))
	if err := w.s.tend(t.Context()); err != nil {
		t.Fatal(err)
	}
	left := int64(0)
	for n := range w.c.Ranges() {
		items, _ := w.c.Count(n)
		left += items
	}
	if int(left) != want || want >= n || want == 0 {
		t.Errorf("%d items are left of %d, want %d", left, n, want)
	}
	checkConsistent(t, w.c)
}

// TestReindex changes the policy while there are items.
func TestReindex(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 2)
	for i := range 3 * atOnce {
		w.upsert(fmt.Sprint("p", i%5), fmt.Sprint(i), fmt.Sprintf(`"eventId":%d,"n":%d,"type":"T"`, i, i%10))
	}
	replace := func(indexing string) {
		t.Helper()
		p := w.c.Properties()
		p.Indexing = []byte(indexing)
		if err := w.s.ReplaceContainer(t.Context(), w.c, p, ""); err != nil {
			t.Fatal(err)
		}
	}
	w.s.upkeep.Lock()
	replace(`{"includedPaths":[{"path":"/n/?"}],"excludedPaths":[{"path":"/*"}]}`)
	if w.c.Indexed("/n") || w.c.Indexed("/type") {
		t.Error("a path is indexed before all items are")
	}
	w.upsert("p1", "1", `"eventId":1,"n":77`)
	w.one("p2", Op{Kind: OpDelete, ID: "2"})
	replace(`{"includedPaths":[{"path":"/n/?"},{"path":"/deviceId/?"}],"excludedPaths":[{"path":"/*"}]}`)
	w.upsert("p1", "1", `"eventId":1,"n":78`)
	if w.c.Indexed("/deviceId") {
		t.Error("a path is indexed that the policy before did not have")
	}
	w.s.upkeep.Unlock()
	w.reopen() // which begins anew
	for len(w.c.settings.Load().previous) > 0 {
		if err := w.s.tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if !w.c.Indexed("/n") || !w.c.Indexed("/deviceId") || w.c.Indexed("/type") {
		t.Error("the index is not the policy's")
	}
	checkConsistent(t, w.c)
	at := valueKey(value.Number(78))
	if got := w.ids(Access{Index: &IndexScan{Path: "/n", Low: at, High: at}}); !slices.Equal(got, []string{"1"}) {
		t.Errorf("by the new index: %v", got)
	}
	w.reopen()
	if !w.c.Indexed("/n") {
		t.Error("the index is made anew again")
	}
}

// TestSince reads the change feed from a time on.
func TestSince(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 1)
	begin := w.clock.time()
	for i := range 100 {
		w.upsert("p", fmt.Sprint(i), fmt.Sprintf(`"eventId":%d`, i))
		if i%2 == 1 {
			w.clock.forward(time.Second)
		}
	}
	for _, id := range []string{"3", "50", "98"} { // gaps
		w.one("p", Op{Kind: OpDelete, ID: id})
	}
	for second := range 52 {
		changes, _, err := w.c.Changes(t.Context(), ChangeRequest{Since: begin.Add(time.Duration(second) * time.Second)})
		if err != nil {
			t.Fatal(err)
		}
		want := 100 - 2*second
		for _, id := range []int{3, 50, 98} {
			if id >= 2*second {
				want--
			}
		}
		if want = max(want, 0); len(changes) != want {
			t.Errorf("%d changes since second %d, want %d", len(changes), second, want)
		}
	}
	some, next, err := w.c.Changes(t.Context(), ChangeRequest{MaxBytes: 1})
	if err != nil || len(some) != 1 || next >= w.c.LSN(0) {
		t.Errorf("%d changes in one byte, next %d, %v", len(some), next, err)
	}
	k := w.key("q").Range()
	if some, next, err = w.c.Changes(t.Context(), ChangeRequest{Low: k.Low, High: k.High}); err != nil || len(some) != 0 || next != w.c.LSN(0) {
		t.Errorf("%d changes of another partition, next %d, %v", len(some), next, err)
	}
}

// TestHierarchical reads by the prefix of a key.
func TestHierarchical(t *testing.T) {
	t.Parallel()
	p := sampleProperties()
	p.PartitionKey = partition.Definition{Paths: []string{"/a", "/b"}, Kind: partition.MultiHash, Version: 2}
	w := newWorld(t, p, 4)
	for i := range 40 {
		id := fmt.Sprintf("%02d", i)
		res, err := w.c.Apply(t.Context(), w.key(fmt.Sprint("t", i%4), float64(i)), []Op{{Kind: OpCreate, ID: id,
			Body: fmt.Appendf(nil, `{"id":%q,"a":"t%d","b":%d,"eventId":%d,"type":"T"}`, id, i%4, i, i)}})
		if err != nil || res[0].Status != Created {
			t.Fatal(res, err)
		}
	}
	if _, err := w.c.Apply(t.Context(), w.key("t1"), nil); err == nil {
		t.Error("an operation with a part of a key")
	}
	k := w.key("t1").Range()
	for _, a := range []Access{{Low: k.Low, High: k.High}, {Low: k.Low, High: k.High, Index: &IndexScan{Path: "/type"}}} {
		got := w.ids(a)
		slices.Sort(got)
		if len(got) != 10 || got[0] != "01" || got[9] != "37" {
			t.Errorf("items of a prefix: %v", got)
		}
	}
	checkConsistent(t, w.c)
}
