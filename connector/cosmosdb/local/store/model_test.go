package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/value"
)

// model is what a container should be: a table.
type model struct {
	items  map[[2]string]*modelItem
	ttl    *int
	writes int
}

type modelItem struct {
	body    map[string]any // without system properties
	etag    string
	rid     string
	lsn     int64
	seconds int64
	n       int // of the write, in order
}

func (m *model) live(i *modelItem, now int64) bool {
	if i == nil || m.ttl == nil {
		return i != nil
	}
	ttl := float64(*m.ttl)
	if own, ok := i.body["ttl"].(float64); ok {
		ttl = own
	}
	return ttl < 0 || i.seconds+int64(ttl) > now
}

// get is the live item, nil if there is none.
func (m *model) get(pk, id string, now int64) *modelItem {
	if i := m.items[[2]string{pk, id}]; m.live(i, now) {
		return i
	}
	return nil
}

// taken tells whether another item of the partition has the unique key.
func (m *model) taken(pk, id string, body map[string]any, now int64) bool {
	for key, other := range m.items {
		if key[0] == pk && key[1] != id && m.live(other, now) && fmt.Sprint(other.body["u"]) == fmt.Sprint(body["u"]) {
			return true
		}
	}
	return false
}

// do does what Apply should do for one operation, on a copy of the items.
func (m *model) do(pk string, op Op, res OpResult, now int64) Status {
	old := m.get(pk, op.ID, now)
	key := [2]string{pk, op.ID}
	var body map[string]any
	if op.Body != nil {
		_ = json.Unmarshal(op.Body, &body)
	}
	status := Created
	switch {
	case old == nil && op.Kind != OpCreate && op.Kind != OpUpsert:
		return NotFound
	case old == nil && op.IfMatch != "":
		return PreconditionFailed
	case old == nil:
	case op.Kind == OpRead:
		return Found
	case op.Kind == OpCreate:
		return Conflict
	case op.IfMatch != "" && op.IfMatch != old.etag:
		return PreconditionFailed
	case op.Kind == OpDelete:
		delete(m.items, key)
		return Deleted
	default:
		status = Replaced
	}
	if op.Kind == OpPatch {
		body = map[string]any{}
		for k, v := range old.body {
			body[k] = v
		}
		body["patched"] = true
	}
	if m.taken(pk, op.ID, body, now) {
		return UniqueConflict
	}
	m.writes++
	i := &modelItem{body: body, etag: res.ETag, lsn: res.LSN, seconds: now, n: m.writes}
	if old != nil {
		i.rid = old.rid
	}
	m.items[key] = i
	return status
}

// walk is a random walk over a container and its model.
type walk struct {
	*world
	m      *model
	random *rand.Rand
	etags  map[string]bool
}

const modelIndexing = `{"includedPaths":[{"path":"/v/?"},{"path":"/tags/[]/?"},{"path":"/deep/*"}],"excludedPaths":[{"path":"/*"},{"path":"/deep/not/?"}]}`

func (w *walk) body(pk, id string) []byte {
	doc := map[string]any{"id": id, "deviceId": pk}
	r := w.random
	switch r.IntN(6) {
	case 0: // without v
	case 1:
		doc["v"] = []any{nil, true, false, map[string]any{"a": 1}, []any{1, "x"}}[r.IntN(5)]
	case 2:
		doc["v"] = strings.Repeat("long ", 300) + fmt.Sprint(r.IntN(3))
	case 3:
		doc["v"] = fmt.Sprint("text\x00", r.IntN(9))
	default:
		doc["v"] = r.IntN(20) - 10
	}
	if r.IntN(2) == 0 {
		doc["u"] = r.IntN(12)
	} else {
		doc["u"] = id
	}
	if r.IntN(3) == 0 {
		doc["tags"] = []any{"a", r.IntN(3), "a"}
	}
	if r.IntN(3) == 0 {
		doc["deep"] = map[string]any{"x": r.IntN(3), "not": 1, "list": []any{1, map[string]any{"y": "z"}}}
	}
	if r.IntN(6) == 0 {
		doc["ttl"] = []int{-1, 5, 50}[r.IntN(3)]
	}
	if r.IntN(8) == 0 {
		doc["_etag"], doc["_ts"] = "mine", 1
	}
	text, _ := json.Marshal(doc)
	return text
}

func (w *walk) op(pk string) Op {
	r := w.random
	op := Op{Kind: OpKind(r.IntN(6)), ID: fmt.Sprintf("item-%d", r.IntN(8))}
	switch op.Kind {
	case OpCreate, OpUpsert, OpReplace:
		op.Body = w.body(pk, op.ID)
	case OpPatch:
		op.Mutate = func(old []byte) ([]byte, error) {
			return append(bytes.TrimSuffix(bytes.Clone(old), []byte("}")), `,"patched":true}`...), nil
		}
	}
	if op.Kind != OpRead && op.Kind != OpCreate && r.IntN(6) == 0 {
		op.IfMatch = `"other"`
		if old := w.m.get(pk, op.ID, w.now()); old != nil && r.IntN(2) == 0 {
			op.IfMatch = old.etag
		}
	}
	return op
}

func (w *walk) now() int64 { return w.clock.now.Load() }

func (w *walk) pk() string { return fmt.Sprintf("p%d", w.random.IntN(5)) }

// check compares an operation's result with the model's.
func (w *walk) check(pk string, op Op, res OpResult) {
	w.t.Helper()
	if want := w.m.do(pk, op, res, w.now()); res.Status != want {
		w.t.Fatalf("%d of %s/%s: status %d (%v), want %d", op.Kind, pk, op.ID, res.Status, res.Err, want)
	}
	item := w.m.items[[2]string{pk, op.ID}]
	switch res.Status {
	case Created, Replaced:
		if w.etags[res.ETag] {
			w.t.Fatalf("the etag %s was given twice", res.ETag)
		}
		w.etags[res.ETag] = true
		item.body = w.compare(res.Body, item)
	case Found:
		w.compare(res.Body, item)
	}
}

// compare wants a stored item to be the model's, and gives it without system
// properties.
func (w *walk) compare(body []byte, item *modelItem) map[string]any {
	w.t.Helper()
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		w.t.Fatalf("%s: %v", body, err)
	}
	if fmt.Sprint(got["_etag"]) != item.etag || int64(got["_ts"].(float64)) != item.seconds {
		w.t.Fatalf("%s: want the etag %s and the second %d", body, item.etag, item.seconds)
	}
	rid := got["_rid"].(string)
	if item.rid == "" {
		item.rid = rid
	}
	if self := w.c.Self() + "docs/" + rid + "/"; len(rid) != 24 || rid != item.rid || got["_self"] != self || got["_attachments"] != "attachments/" {
		w.t.Fatalf("%s: want the rid %s", body, item.rid)
	}
	for _, name := range systemNames {
		delete(got, name)
		delete(item.body, name)
	}
	a, _ := json.Marshal(got)
	b, _ := json.Marshal(item.body)
	if !bytes.Equal(a, b) {
		w.t.Fatalf("stored %s, want %s", a, b)
	}
	return got
}

// batch does several operations at once, atomically or not.
func (w *walk) batch() {
	w.t.Helper()
	pk, n := w.pk(), 1+w.random.IntN(6)
	if w.random.IntN(2) == 0 {
		var ops []KeyedOp
		var pks []string
		for range n {
			pks = append(pks, w.pk())
			ops = append(ops, KeyedOp{Key: w.key(pks[len(pks)-1]), Op: w.op(pks[len(pks)-1])})
		}
		res, err := w.c.ApplyEach(context.Background(), ops)
		if err != nil {
			w.t.Fatal(err)
		}
		for i := range ops {
			w.check(pks[i], ops[i].Op, res[i])
		}
		return
	}
	var ops []Op
	for range n {
		ops = append(ops, w.op(pk))
	}
	res, err := w.c.Apply(context.Background(), w.key(pk), ops)
	if err != nil {
		w.t.Fatal(err)
	}
	failed := slices.IndexFunc(res, func(r OpResult) bool { return !r.Status.Done() && r.Status != FailedDependency })
	if failed < 0 {
		for i := range ops {
			w.check(pk, ops[i], res[i])
		}
		return
	}
	for i, r := range res {
		if i != failed && (r.Status != FailedDependency || r.ETag != "") {
			w.t.Fatalf("operation %d of a failed batch: %+v", i, r)
		}
	}
	// On a copy of the model the operations before it succeed, and it fails.
	was := &model{items: map[[2]string]*modelItem{}, ttl: w.m.ttl}
	for k, v := range w.m.items {
		was.items[k] = v
	}
	for i := range failed {
		if s := was.do(pk, ops[i], OpResult{ETag: fmt.Sprint("unknown", i)}, w.now()); !s.Done() {
			w.t.Fatalf("operation %d fails with %d, before %d, which is said to", i, s, failed)
		}
	}
	if s := was.do(pk, ops[failed], OpResult{}, w.now()); s != res[failed].Status && ops[failed].IfMatch == "" {
		w.t.Fatalf("operation %d: status %d, want %d", failed, res[failed].Status, s)
	}
}

// verify compares everything that can be read with the model.
func (w *walk) verify() {
	w.t.Helper()
	checkConsistent(w.t, w.c)
	live := map[[2]string]*modelItem{}
	for key, item := range w.m.items {
		if w.m.live(item, w.now()) {
			live[key] = item
			got, err := w.c.Get(context.Background(), w.key(key[0]), key[1])
			if err != nil || got.ETag != item.etag {
				w.t.Fatalf("%v: %v", key, err)
			}
			w.compare(got.Body, item)
		} else if _, err := w.c.Get(context.Background(), w.key(key[0]), key[1]); !errors.Is(err, ErrNotFound) {
			w.t.Fatalf("%v has expired: %v", key, err)
		}
	}
	if got := w.ids(Access{}); len(got) != len(live) {
		w.t.Fatalf("%d items, want %d", len(got), len(live))
	}
	w.verifyIndex(live, "/v", func(v value.Value) []value.Value { return []value.Value{v.Get("v")} })
	w.verifyIndex(live, "/tags/[]", func(v value.Value) []value.Value {
		var all []value.Value
		v.Get("tags").EachElement(func(e value.Value) bool {
			if !slices.ContainsFunc(all, func(o value.Value) bool { return value.Same(o, e) }) {
				all = append(all, e)
			}
			return true
		})
		if all == nil {
			all = []value.Value{value.Undefined()}
		}
		return all
	})
	w.verifyIndex(live, "/deep/x", func(v value.Value) []value.Value {
		if x := v.Get("deep").Get("x"); !x.IsUndefined() {
			return []value.Value{x}
		}
		return nil
	})
	w.verifyFeed(live)
}

// verifyIndex reads by an index, whole and in part, and compares.
func (w *walk) verifyIndex(live map[[2]string]*modelItem, path string, values func(value.Value) []value.Value) {
	w.t.Helper()
	type entry struct {
		key, epk, id string
		number       uint64
	}
	var all []entry
	for key, item := range live {
		text, _ := json.Marshal(item.body)
		for _, v := range values(value.Trusted(text)) {
			all = append(all, entry{string(valueKey(v)), w.key(key[0]).Raw(), key[1], ridNumber(w.t, item.rid)})
		}
	}
	slices.SortFunc(all, func(a, b entry) int {
		return cmp.Or(strings.Compare(a.key, b.key), cmp.Compare(a.number, b.number))
	})
	probe := func() []byte {
		if len(all) == 0 || w.random.IntN(4) == 0 {
			return nil
		}
		return []byte(all[w.random.IntN(len(all))].key)
	}
	scan := &IndexScan{Path: path, Low: probe(), High: probe(), LowOpen: w.random.IntN(2) == 0, HighOpen: w.random.IntN(2) == 0,
		Reverse: w.random.IntN(2) == 0}
	if w.random.IntN(3) == 0 {
		scan.High, scan.LowOpen, scan.HighOpen = scan.Low, false, false
	}
	a := Access{Index: scan}
	if w.random.IntN(2) == 0 {
		a.Low, a.High = w.key(w.pk()).EPK(), w.key(w.pk()).EPK()
		if a.Low == a.High {
			a.High += partition.End
		}
	}
	low, high, err := bounds(a.Low, a.High)
	if err != nil {
		w.t.Fatal(err)
	}
	want := []string{}
	for _, e := range all {
		l, h := strings.Compare(e.key, string(scan.Low)), strings.Compare(e.key, string(scan.High))
		if scan.Low != nil && (l < 0 || l == 0 && scan.LowOpen && !value.IsCut(scan.Low)) ||
			scan.High != nil && (h > 0 || h == 0 && scan.HighOpen && !value.IsCut(scan.High)) ||
			e.epk < string(low) || e.epk >= string(high) {
			continue
		}
		want = append(want, e.id)
	}
	if scan.Reverse {
		slices.Reverse(want)
	}
	if got := w.ids(a); !slices.Equal(got, want) {
		w.t.Fatalf("index %s, %+v of %+v: %v, want %v", path, scan, a, got, want)
	}
	if got := w.resumed(a); !slices.Equal(got, want) {
		w.t.Fatalf("index %s, resumed, %+v of %+v: %v, want %v", path, scan, a, got, want)
	}
}

// ridNumber is the number that clients read out of the _rid of an item.
func ridNumber(t testing.TB, rid string) uint64 {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(strings.ReplaceAll(rid, "-", "/"))
	if err != nil || len(raw) != 16 {
		t.Fatalf("%q is not the _rid of an item: %v", rid, err)
	}
	return binary.LittleEndian.Uint64(raw[8:])
}

// resumed reads an access with a new iterator for every few items.
func (w *walk) resumed(a Access) []string {
	w.t.Helper()
	ids := []string{}
	for {
		it, err := w.c.Open(context.Background(), a)
		if err != nil {
			w.t.Fatal(err)
		}
		n := 0
		for n < 2 && it.Next() {
			id, _ := value.Trusted(it.Item()).Get("id").AsString()
			ids = append(ids, strings.Clone(id))
			a.After = append(a.After[:0:0], it.Position()...)
			n++
		}
		if err := errors.Join(it.Err(), it.Close()); err != nil {
			w.t.Fatal(err)
		}
		if n < 2 {
			return ids
		}
	}
}

// verifyFeed wants the change feed to be the items in the order of their
// changes, range by range.
func (w *walk) verifyFeed(live map[[2]string]*modelItem) {
	w.t.Helper()
	seen := 0
	for n := range w.c.Ranges() {
		last := 0
		for after := int64(0); ; {
			changes, next, err := w.c.Changes(context.Background(), ChangeRequest{Range: n, After: after, Max: 3})
			if err != nil {
				w.t.Fatal(err)
			}
			for _, change := range changes {
				v := value.Trusted(change.Body)
				pk, _ := v.Get("deviceId").AsString()
				id, _ := v.Get("id").AsString()
				item := live[[2]string{pk, id}]
				if item == nil || item.lsn != change.LSN || item.n <= last || w.c.RangeOf(w.key(pk)) != n {
					w.t.Fatalf("change %d of range %d is %s", change.LSN, n, change.Body)
				}
				w.compare(change.Body, item)
				last = item.n
				seen++
			}
			if after = next; len(changes) == 0 {
				if next != w.c.LSN(n) {
					w.t.Fatalf("the change feed of range %d ends at %d, its LSN is %d", n, next, w.c.LSN(n))
				}
				break
			}
		}
	}
	if seen != len(live) {
		w.t.Fatalf("the change feed has %d items, want %d", seen, len(live))
	}
}

// TestModel does random things to a container and to a table, and compares what
// can be read.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(5) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			p := sampleProperties()
			p.Indexing = json.RawMessage(modelIndexing)
			p.UniqueKeys = [][]string{{"/u"}}
			if seed%2 == 1 {
				ttl := []int{-1, 20}[seed/2%2]
				p.DefaultTTL = &ttl
			}
			if seed == 4 {
				p.PartitionKey.Version = 1
			}
			w := &walk{world: newWorld(t, p, 1+int(seed)), m: &model{items: map[[2]string]*modelItem{}, ttl: p.DefaultTTL},
				random: rand.New(rand.NewPCG(seed, 42)), etags: map[string]bool{}}
			for i := range 200 {
				switch n := w.random.IntN(30); {
				case n == 0:
					w.clock.forward(time.Duration(w.random.IntN(15)) * time.Second)
				case n == 1:
					if err := w.s.tend(context.Background()); err != nil {
						t.Fatal(err)
					}
				case n == 2:
					w.reopen()
				default:
					w.batch()
				}
				if i%20 == 0 {
					w.verify()
				}
			}
			w.verify()
		})
	}
}
