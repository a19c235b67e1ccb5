package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// An expired item that holds two unique keys which a new item wants goes once.
func TestExpiredHolderOfSeveralUniqueKeys(t *testing.T) {
	t.Parallel()
	p := sampleProperties()
	p.UniqueKeys = [][]string{{"/a"}, {"/b"}}
	never := -1
	p.DefaultTTL = &never
	w := newWorld(t, p, 1)
	body := func(id string) []byte { return fmt.Appendf(nil, `{"id":%q,"deviceId":"p","a":1,"b":2,"ttl":10}`, id) }
	// Kept from the background: only writes purge.
	w.s.upkeep.Lock()
	w.one("p", Op{Kind: OpCreate, ID: "old", Body: body("old")})
	w.clock.forward(11 * time.Second)
	if r := w.one("p", Op{Kind: OpCreate, ID: "new", Body: body("new")}); r.Status != Created {
		t.Fatalf("%+v", r)
	}
	w.s.upkeep.Unlock()
	items, bytes := w.c.Count(0)
	if it, err := w.c.Get(t.Context(), w.key("p"), "new"); err != nil || items != 1 || bytes != int64(len(it.Body)) {
		t.Errorf("%d items of %d bytes, %v", items, bytes, err)
	}
	checkConsistent(t, w.c)
}

// A change that is not in the log yet must not hide the one before: a reader
// would go past both, and after a crash nobody would show the first again.
func TestFeedWaitsForWhatHidesOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 1)
	op := Op{Kind: OpUpsert, ID: "1", Body: []byte(`{"id":"1","deviceId":"p","eventId":1}`)}
	w.one("p", op)
	work := newWork(1)
	defer work.free()
	work.epks, work.ops = append(work.epks, w.key("p").Raw()), append(work.ops, &op)
	// It is applied, but nobody has waited for the log.
	if err := w.c.run(w.c.ranges[0], work, work.order, make([]OpResult, 1), undo); err != nil {
		t.Fatal(err)
	}
	changes, next, err := w.c.Changes(t.Context(), ChangeRequest{})
	if err != nil || len(changes) != 1 || changes[0].LSN != 2 || next != 2 || w.c.LSN(0) != 2 {
		t.Errorf("%d changes, next %d of %d, %v", len(changes), next, w.c.LSN(0), err)
	}
	if err := work.wait(); err != nil {
		t.Fatal(err)
	}
}

// The feed is searched by time, also when the clock was set back meanwhile.
func TestClockIsSetBackBetweenProcesses(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 1)
	begin := w.clock.time()
	w.one("p", Op{Kind: OpCreate, ID: "1", Body: []byte(`{"id":"1","deviceId":"p","eventId":1}`)})
	w.clock.forward(-100 * time.Second)
	w.reopen()
	w.one("p", Op{Kind: OpCreate, ID: "2", Body: []byte(`{"id":"2","deviceId":"p","eventId":2}`)})
	changes, _, err := w.c.Changes(t.Context(), ChangeRequest{Since: begin})
	if err != nil || len(changes) != 2 {
		t.Errorf("%d changes, %v", len(changes), err)
	}
}

// Whoever reads an index while the policy changes gets all items, or is told
// that there is none.
func TestIndexIsReadWhilePolicyChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 2)
	const items = 150
	for i := range items {
		id := fmt.Sprint(i)
		w.one("p"+id, Op{Kind: OpCreate, ID: id, Body: fmt.Appendf(nil, `{"id":%q,"deviceId":"p%s","eventId":%s,"type":"T"}`, id, id, id)})
	}
	ctx, stop := context.WithCancel(t.Context())
	var readers sync.WaitGroup
	for range 2 {
		readers.Go(func() {
			for ctx.Err() == nil {
				if n, err := countIndex(w.c); err == nil && n != items {
					t.Errorf("%d of %d items", n, items)
					return
				} else if err != nil && !errors.Is(err, ErrInvalid) {
					t.Error(err)
					return
				}
			}
		})
	}
	without := json.RawMessage(`{"includedPaths":[{"path":"/deviceId/?"}],"excludedPaths":[{"path":"/*"}]}`)
	for i := range 12 {
		p := w.c.Properties()
		if p.Indexing = without; i%2 == 1 {
			p.Indexing = json.RawMessage(sampleIndexing)
		}
		if err := w.s.ReplaceContainer(t.Context(), w.c, p, ""); err != nil {
			t.Fatal(err)
		}
		if err := w.s.tend(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	readers.Wait()
	checkConsistent(t, w.c)
}

// A small batch cannot ask for more than fits the memory.
func TestWhatABatchGivesIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 1)
	body := fmt.Appendf(nil, `{"id":"1","deviceId":"p","eventId":1,"text":%q}`, strings.Repeat("x", 1<<20))
	w.one("p", Op{Kind: OpCreate, ID: "1", Body: body})
	mutate := func(old []byte) ([]byte, error) { return old, nil }
	ops := []Op{{Kind: OpRead, ID: "1"}, {Kind: OpPatch, ID: "1", Mutate: mutate}, {Kind: OpRead, ID: "1"}, {Kind: OpPatch, ID: "1", Mutate: mutate}}
	res, err := w.c.Apply(t.Context(), w.key("p"), ops)
	if err != nil || !errors.Is(res[3].Err, ErrTooMuch) || res[0].Status != FailedDependency {
		t.Fatalf("%+v %v", res, err)
	}
	ops[3].NoBody = true
	if res, err = w.c.Apply(t.Context(), w.key("p"), ops); err != nil || !res[3].Status.Done() {
		t.Errorf("without an answer: %v %v", res[3].Err, err)
	}
	each := make([]KeyedOp, len(ops))
	for i := range ops {
		ops[i].NoBody = false
		each[i] = KeyedOp{w.key("p"), ops[i]}
	}
	if res, err = w.c.ApplyEach(t.Context(), each); err != nil || !errors.Is(res[3].Err, ErrTooMuch) || len(res[2].Body) < len(body) {
		t.Errorf("one by one: %v %v", res[3].Err, err)
	}
	checkConsistent(t, w.c)
}

// TestApplyUntil: what comes before the first failure is done, what comes after
// it is not.
func TestApplyUntil(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 1)
	put := func(kind OpKind, id string) KeyedOp {
		return KeyedOp{w.key("p"), Op{Kind: kind, ID: id, Body: fmt.Appendf(nil, `{"id":%q,"deviceId":"p","eventId":%q}`, id, id)}}
	}
	res, err := w.c.ApplyUntil(t.Context(), []KeyedOp{put(OpCreate, "1"), put(OpUpsert, "2"), put(OpCreate, "2"), put(OpUpsert, "3"), put(OpUpsert, "1")})
	var got []Status
	for _, r := range res {
		got = append(got, r.Status)
	}
	if want := []Status{Created, Created, Conflict, FailedDependency, FailedDependency}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, want %v (%v)", got, want, err)
	}
	for id, there := range map[string]bool{"1": true, "2": true, "3": false} {
		if _, err := w.c.Get(t.Context(), w.key("p"), id); (err == nil) != there {
			t.Errorf("%s: %v", id, err)
		}
	}
	checkConsistent(t, w.c)
	several := newWorld(t, sampleProperties(), 8)
	var spread []KeyedOp
	for i := range 20 {
		pk := fmt.Sprint("p", i)
		spread = append(spread, KeyedOp{several.key(pk), Op{Kind: OpUpsert, ID: "1", Body: fmt.Appendf(nil, `{"id":"1","deviceId":%q}`, pk)}})
	}
	if _, err := several.c.ApplyUntil(t.Context(), spread); err == nil {
		t.Error("operations on several ranges are taken")
	}
}

func countIndex(c *Container) (n int, err error) {
	it, err := c.Open(context.Background(), Access{Index: &IndexScan{Path: "/type"}})
	if err != nil {
		return 0, err
	}
	for it.Next() {
		n++
	}
	return n, errors.Join(it.Err(), it.Close())
}
