package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/partition"

	"github.com/cockroachdb/pebble/v2"
)

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 1)
	if _, err := Open(w.dir, Options{}); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("opened twice: %v", err)
	}
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	set := func(dir string, key, value []byte) {
		db, err := pebble.Open(dir, &pebble.Options{FormatMajorVersion: pebble.FormatValueSeparation, Logger: storeLog{}})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Set(key, value, pebble.Sync), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	set(w.dir, metaKey("format"), binary.BigEndian.AppendUint32(nil, formatVersion+1))
	if _, err := Open(w.dir, Options{}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("version %d of the format", formatVersion+1)) {
		t.Errorf("a newer format: %v", err)
	}
	set(w.dir, metaKey("format"), []byte("x"))
	if _, err := Open(w.dir, Options{}); err == nil || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("a damaged format: %v", err)
	}
	other := t.TempDir()
	set(other, []byte("somebody's"), []byte("value"))
	if _, err := Open(other, Options{}); err == nil || !strings.Contains(err.Error(), "not a store of Cosmos DB") {
		t.Errorf("somebody else's directory: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(file, Options{}); err == nil {
		t.Error("a file was opened as a directory")
	}
}

func TestDamaged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 1)
	w.upsert("p", "a", "")
	if err := w.s.Close(); err != nil {
		t.Fatal(err)
	}
	manifests, err := filepath.Glob(filepath.Join(w.dir, "MANIFEST-*"))
	if err != nil || len(manifests) == 0 {
		t.Fatal(manifests, err)
	}
	for _, name := range manifests {
		if err := os.WriteFile(name, []byte("this is no manifest at all"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if s, err := Open(w.dir, Options{}); err == nil {
		s.Close()
		t.Error("a damaged store was opened")
	} else if !strings.Contains(err.Error(), w.dir) {
		t.Errorf("the error does not say where: %v", err)
	}
}

func TestCatalogue(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 2)
	ctx := t.Context()
	d, err := w.s.Database("streaming")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.s.CreateDatabase(ctx, "streaming", nil); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if _, err := w.s.CreateContainer(ctx, d, sampleProperties(), 1, nil); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	bad := sampleProperties()
	bad.ID, bad.Indexing = "bad", []byte(`{"includedPaths":[{"path":"nothing"}]}`)
	if _, err := w.s.CreateContainer(ctx, d, bad, 1, nil); !errors.Is(err, ErrInvalid) {
		t.Error(err)
	}
	p := sampleProperties()
	p.ID, p.Other = "second", []byte(`{"geospatialConfig":{"type":"Geography"}}`)
	second, err := w.s.CreateContainer(ctx, d, p, 3, &Offer{Throughput: 30000})
	if err != nil {
		t.Fatal(err)
	}
	shared, err := w.s.CreateDatabase(ctx, "shared", &Offer{Throughput: 400, Max: 4000})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.RID) != 8 || len(second.RID()) != 12 || second.RID()[:5] != d.RID[:5] || len(second.Ranges()) != 3 {
		t.Errorf("%s, %s, %v", d.RID, second.RID(), second.Ranges())
	}
	offer, err := w.s.OfferOf(second.RID())
	if err != nil || offer.Throughput != 30000 || offer.Database || len(offer.RID) != 4 {
		t.Errorf("%+v, %v", offer, err)
	}
	if _, err := w.s.ReplaceOffer(ctx, offer.RID, 500, 0, `"other"`); !errors.Is(err, ErrPrecondition) {
		t.Error(err)
	}
	if offer, err = w.s.ReplaceOffer(ctx, offer.RID, 500, 0, offer.ETag); err != nil || offer.Throughput != 500 {
		t.Error(offer, err)
	}
	etag := second.ETag()
	if err := w.s.ReplaceContainer(ctx, second, p, `"other"`); !errors.Is(err, ErrPrecondition) {
		t.Error(err)
	}
	if err := w.s.ReplaceContainer(ctx, second, p, etag); err != nil || second.ETag() == etag {
		t.Error(err)
	}
	rid, etag := second.RID(), second.ETag()
	w.reopen()
	if second, err = w.s.ContainerByRID(rid); err != nil || second.ETag() != etag || string(second.Properties().Other) != string(p.Other) || second.ID() != "second" {
		t.Fatal(second, err)
	}
	if again, err := w.s.DatabaseByRID(shared.RID); err != nil || again.ID != "shared" || again.ETag != shared.ETag {
		t.Error(again, err)
	}
	if again, err := w.s.Offer(offer.RID); err != nil || again.Throughput != 500 || len(w.s.Offers()) != 2 {
		t.Error(again, err)
	}
	if err := w.s.DeleteContainer(ctx, second, `"other"`); !errors.Is(err, ErrPrecondition) {
		t.Error(err)
	}
	if err := w.s.DeleteContainer(ctx, second, ""); err != nil {
		t.Error(err)
	}
	if _, err := w.s.OfferOf(rid); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if err := w.s.DeleteContainer(ctx, second, ""); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if got := len(w.s.Databases()); got != 2 {
		t.Errorf("%d databases", got)
	}
}

// TestDeleteDatabase wants nothing to be left of a deleted database, and a new
// one of its name to be empty.
func TestDeleteDatabase(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 2)
	ctx := t.Context()
	for i := range 50 {
		w.upsert(fmt.Sprint("p", i%5), fmt.Sprint(i), fmt.Sprintf(`"eventId":"%d","ttl":5`, i))
	}
	d, _ := w.s.Database("streaming")
	old, rid, number := w.c, d.RID, w.c.number
	if err := w.s.DeleteDatabase(ctx, d, d.ETag); err != nil {
		t.Fatal(err)
	}
	if _, err := old.Apply(ctx, w.key("p"), []Op{{Kind: OpUpsert, ID: "x", Body: doc("p", "x", "")}}); !errors.Is(err, ErrGone) {
		t.Errorf("a write to a deleted container: %v", err)
	}
	if _, err := old.Get(ctx, w.key("p1"), "1"); !errors.Is(err, ErrGone) {
		t.Errorf("a read from a deleted container: %v", err)
	}
	low, high := containerSpan(number)
	iter, err := w.s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		t.Fatal(err)
	}
	if iter.First() {
		t.Errorf("key %q is left", iter.Key())
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	if d, err = w.s.CreateDatabase(ctx, "streaming", nil); err != nil || d.RID == rid {
		t.Fatal(d, err)
	}
	if _, err := w.s.Container(d, "events"); !errors.Is(err, ErrNotFound) {
		t.Error(err)
	}
	if w.c, err = w.s.CreateContainer(ctx, d, sampleProperties(), 1, nil); err != nil {
		t.Fatal(err)
	}
	if got := w.ids(Access{}); len(got) != 0 {
		t.Errorf("a new container has %v", got)
	}
}

// TestConcurrent writes, reads and follows the change feed at once, and wants
// the feed to have every change when its LSN comes up, in order.
func TestConcurrent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 2)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	const writers, each = 4, 60
	var writing, following sync.WaitGroup
	for n := range w.c.Ranges() {
		following.Go(func() {
			after, seen := int64(0), map[string]bool{}
			for {
				over := ctx.Err() != nil
				changes, next, err := w.c.Changes(t.Context(), ChangeRequest{Range: n, After: after, Max: 7})
				if err != nil {
					t.Error(err)
					return
				}
				for _, change := range changes {
					id := string(change.Body[:20])
					if change.LSN <= after || seen[id] {
						t.Errorf("change %d after %d: %s", change.LSN, after, change.Body)
					}
					after, seen[id] = change.LSN, true
				}
				if next < after {
					t.Errorf("next is %d after %d", next, after)
				}
				after = next
				if over && len(changes) == 0 {
					if items, _ := w.c.Count(n); int(items) != len(seen) {
						t.Errorf("range %d: the change feed gave %d items of %d", n, len(seen), items)
					}
					return
				}
			}
		})
	}
	for writer := range writers {
		writing.Go(func() {
			for i := range each {
				id := fmt.Sprintf("%06d-%06d", writer, i)
				key, err := partition.New(w.c.Definition(), fmt.Sprint("p", i%10))
				if err != nil {
					t.Error(err)
					return
				}
				res, err := w.c.Apply(ctx, key, []Op{{Kind: OpUpsert, ID: id, Body: doc(fmt.Sprint("p", i%10), id, fmt.Sprintf(`"eventId":%q`, id))}})
				if err != nil || res[0].Status != Created {
					t.Error(res, err)
					return
				}
				if got, err := w.c.Get(ctx, key, id); err != nil || got.ETag != res[0].ETag || w.c.LSN(w.c.RangeOf(key)) < got.LSN {
					t.Error(got, err)
				}
				if i%50 == 0 {
					w.ids(Access{Index: &IndexScan{Path: "/deviceId"}})
				}
			}
		})
	}
	writing.Wait()
	cancel()
	following.Wait()
	checkConsistent(t, w.c)
}

// TestSnapshot wants an iterator to see nothing of what comes after it, and
// Close to wait for it.
func TestSnapshot(t *testing.T) {
	t.Parallel()
	for name, a := range map[string]Access{"items": {}, "index": {Index: &IndexScan{Path: "/type"}}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, sampleProperties(), 3)
			for i := range 30 {
				w.upsert(fmt.Sprint("p", i), fmt.Sprint("a", i), fmt.Sprintf(`"type":"T%d","eventId":%d`, i%3, i))
			}
			it, err := w.c.Open(t.Context(), a)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 30 {
				if i%2 == 0 {
					w.one(fmt.Sprint("p", i), Op{Kind: OpDelete, ID: fmt.Sprint("a", i)})
				}
				w.upsert(fmt.Sprint("p", i), fmt.Sprint("b", i), fmt.Sprintf(`"type":"T%d","eventId":%d`, i%3, 100+i))
			}
			closed := make(chan error)
			n := 0
			for it.Next() {
				if n++; n == 10 {
					go func() { closed <- w.s.Close() }()
				}
				if strings.Contains(string(it.Item()), `"id":"b`) {
					t.Errorf("seen %s", it.Item())
				}
			}
			if n != 30 || it.Err() != nil {
				t.Errorf("%d items, %v", n, it.Err())
			}
			select {
			case err := <-closed:
				t.Errorf("closed under an iterator: %v", err)
			case <-time.After(20 * time.Millisecond):
			}
			if err := it.Close(); err != nil {
				t.Error(err)
			}
			if err := <-closed; err != nil {
				t.Error(err)
			}
			if _, err := w.c.Open(context.Background(), a); !errors.Is(err, ErrClosed) {
				t.Errorf("opened after Close: %v", err)
			}
		})
	}
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, sampleProperties(), 1)
	for i := range 2 * checkEvery {
		w.upsert("p", fmt.Sprint(i), fmt.Sprintf(`"eventId":%d`, i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	it, err := w.c.Open(ctx, Access{})
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	it.Next()
	cancel()
	for it.Next() {
	}
	if !errors.Is(it.Err(), context.Canceled) {
		t.Errorf("error %v", it.Err())
	}
	if _, err := w.c.Apply(ctx, w.key("p"), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

// TestSyncWrites only wants it to work: what it does is the disk's.
func TestSyncWrites(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, Options{SyncWrites: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CreateDatabase(t.Context(), "db", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if !slices.ContainsFunc(s.Databases(), func(d *Database) bool { return d.ID == "db" }) {
		t.Error("the database is gone")
	}
}
