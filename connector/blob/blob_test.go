package blob_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/internal/testservice"
)

// bucket is one kind of bucket under test; open opens one of its containers,
// a new one for each name.
type bucket struct {
	name string
	open func(t *testing.T) blob.Bucket
}

func buckets(t *testing.T) []bucket {
	return []bucket{
		{"folder", func(t *testing.T) blob.Bucket { return open(t, t.TempDir(), "stuff") }},
		{"azure", func(t *testing.T) blob.Bucket { return openAzurite(t) }},
	}
}

func open(t *testing.T, address, container string) blob.Bucket {
	t.Helper()
	b, err := blob.Open(t.Context(), address, container, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

func openAzurite(t *testing.T) blob.Bucket {
	t.Helper()
	address, name := testservice.Azurite(t), fmt.Sprintf("t-%016x", rand.Uint64())
	c, err := blob.ContainerClient(address, name, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Delete(context.Background(), nil) }) //nolint:errcheck // a test's remains
	return open(t, address, name)
}

// The contract, for every kind of bucket.
func TestBucket(t *testing.T) {
	t.Parallel()
	for _, kind := range buckets(t) {
		for name, test := range map[string]func(*testing.T, blob.Bucket){
			"empty": testEmpty, "put and get": testPutGet, "put new": testPutNew, "put new race": testPutNewRace,
			"ranges": testRanges, "listing": testListing, "large": testLarge, "failing body": testFailingBody,
			"names": testNames, "file": testFile, "cancelled": testCancelled, "delete": testDelete,
		} {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				test(t, kind.open(t))
			})
		}
	}
}

func put(t *testing.T, b blob.Bucket, name, body string) blob.Info {
	t.Helper()
	info, err := b.Put(t.Context(), name, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func get(t *testing.T, b blob.Bucket, name string, r blob.Range) (string, blob.Info) {
	t.Helper()
	rc, info, err := b.Get(t.Context(), name, r)
	if err != nil {
		t.Fatal(err)
	}
	defer rc.Close()
	body, err := io.ReadAll(rc)
	if err != nil {
		t.Fatal(err)
	}
	return string(body), info
}

func list(t *testing.T, b blob.Bucket, prefix string) []string {
	t.Helper()
	var names []string
	if err := b.List(t.Context(), prefix, func(i blob.Info) error { names = append(names, i.Name); return nil }); err != nil {
		t.Fatal(err)
	}
	return names
}

func testEmpty(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	// Nothing is there, not even the container.
	if got := list(t, b, ""); len(got) != 0 {
		t.Errorf("an empty bucket lists %v", got)
	}
	if _, err := b.Stat(ctx, "a/b"); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Stat: %v", err)
	}
	if _, _, err := b.Get(ctx, "a/b", blob.Range{}); !errors.Is(err, blob.ErrNotFound) {
		t.Errorf("Get: %v", err)
	}
	if err := b.Delete(ctx, "a/b"); err != nil {
		t.Errorf("Delete: %v", err)
	}
	for range 2 {
		if err := b.Prepare(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if got := list(t, b, ""); len(got) != 0 {
		t.Errorf("a prepared bucket lists %v", got)
	}
	if _, err := b.Stat(ctx, "a/b"); !errors.Is(err, blob.ErrNotFound) || connector.ActionOf(err) != connector.Fail {
		t.Errorf("Stat: %v", err)
	}
}

func testPutGet(t *testing.T, b blob.Bucket) {
	before := time.Now().Add(-time.Hour)
	first := put(t, b, "a/b.txt", "hello")
	if got, info := get(t, b, "a/b.txt", blob.Range{}); got != "hello" || info.Name != "a/b.txt" || info.Size != 5 || info.ETag != first.ETag {
		t.Errorf("got %q, %+v, put %+v", got, info, first)
	}
	second := put(t, b, "a/b.txt", "")
	if second.Size != 0 || second.ETag == first.ETag || second.ETag == "" || second.Modified.Before(before) {
		t.Errorf("replaced: %+v after %+v", second, first)
	}
	if got, info := get(t, b, "a/b.txt", blob.Range{}); got != "" || info.Size != 0 {
		t.Errorf("got %q, %+v", got, info)
	}
	put(t, b, "a/b.txt", "third")
	body, err := blob.ReadAll(t.Context(), b, "a/b.txt")
	if err != nil || string(body) != "third" {
		t.Errorf("ReadAll: %q, %v", body, err)
	}
	st, err := b.Stat(t.Context(), "a/b.txt")
	if err != nil || st.Size != 5 || st.Name != "a/b.txt" {
		t.Errorf("Stat: %+v, %v", st, err)
	}
	if d := b.Describe(); !strings.Contains(d, "folder ") && !strings.Contains(d, "blob storage ") || strings.Contains(d, "Eby8") {
		t.Errorf("Describe: %s", d)
	}
}

func testPutNew(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	info, err := b.PutNew(ctx, "x/1", strings.NewReader("one"))
	if err != nil || info.Size != 3 {
		t.Fatalf("%+v, %v", info, err)
	}
	for _, size := range []int{0, 3, 20 << 20} {
		_, err := b.PutNew(ctx, "x/1", bytes.NewReader(make([]byte, size)))
		if !errors.Is(err, blob.ErrExists) || connector.ActionOf(err) != connector.Fail {
			t.Errorf("a second one of %d bytes: %v", size, err)
		}
	}
	if got, now := get(t, b, "x/1", blob.Range{}); got != "one" || now.ETag != info.ETag {
		t.Errorf("it was changed: %q", got)
	}
}

// Of many that want the same name, one gets it, and it is whole.
func testPutNewRace(t *testing.T, b blob.Bucket) {
	const writers = 8
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			_, errs[i] = b.PutNew(t.Context(), "race/x", strings.NewReader(strings.Repeat(fmt.Sprint(i), 100_000)))
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		switch {
		case err == nil && winner < 0:
			winner = i
		case err == nil:
			t.Errorf("%d and %d both wrote it", winner, i)
		case !errors.Is(err, blob.ErrExists):
			t.Error(err)
		}
	}
	if got, _ := get(t, b, "race/x", blob.Range{}); winner < 0 || got != strings.Repeat(fmt.Sprint(winner), 100_000) {
		t.Errorf("%d won, but that is not its body", winner)
	}
}

func testRanges(t *testing.T, b blob.Bucket) {
	put(t, b, "r", "0123456789")
	for _, tt := range []struct {
		r    blob.Range
		want string
	}{
		{blob.Range{}, "0123456789"}, {blob.Range{Offset: 3}, "3456789"}, {blob.Range{Offset: 3, Length: 2}, "34"},
		{blob.Range{Length: 4}, "0123"}, {blob.Range{Offset: 8, Length: 10}, "89"}, {blob.Range{Offset: 9, Length: 1}, "9"},
		{blob.Range{Offset: 10}, ""}, {blob.Range{Offset: 99, Length: 3}, ""},
	} {
		if got, info := get(t, b, "r", tt.r); got != tt.want || info.Size != 10 {
			t.Errorf("%+v: %q, size %d", tt.r, got, info.Size)
		}
	}
}

func testListing(t *testing.T, b blob.Bucket) {
	names := []string{"a", "a.b", "a/c", "a/b/x", "a0", "b/1", "b/10", "b/2", "ab/c", "z/y/x/w", "ü/ö"}
	// A folder cannot have a file and a folder of one name.
	names = slices.DeleteFunc(names, func(n string) bool { return n == "a" })
	for _, n := range rand.Perm(len(names)) {
		put(t, b, names[n], names[n])
	}
	slices.Sort(names)
	for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "b/1", "z/y/x/w", "z/y/x/w/v", "nothing", "z/none/", "/", "..", "../", "ü/"} {
		var want []string
		for _, n := range names {
			if strings.HasPrefix(n, prefix) {
				want = append(want, n)
			}
		}
		if got := list(t, b, prefix); !slices.Equal(got, want) {
			t.Errorf("prefix %q: %v, want %v", prefix, got, want)
		}
	}
	stop := errors.New("enough")
	n := 0
	err := b.List(t.Context(), "", func(i blob.Info) error {
		if n++; i.Size != int64(len(i.Name)) || i.ETag == "" || i.Modified.IsZero() {
			t.Errorf("listed as %+v", i)
		}
		if n == 3 {
			return stop
		}
		return nil
	})
	if n != 3 || err != stop { //nolint:errorlint // returned as it is
		t.Errorf("stopped after %d: %v", n, err)
	}
}

func testLarge(t *testing.T, b blob.Bucket) {
	// Around the size of one block, and of several.
	for _, size := range []int{8<<20 - 1, 8 << 20, 8<<20 + 1, 25_000_000} {
		body := make([]byte, size)
		r := rand.NewChaCha8([32]byte{byte(size)})
		r.Read(body) //nolint:errcheck // never fails
		name := fmt.Sprintf("large/%d", size)
		info, err := b.PutNew(t.Context(), name, iotest.HalfReader(bytes.NewReader(body)))
		if err != nil || info.Size != int64(size) {
			t.Fatalf("%d bytes: %+v, %v", size, info, err)
		}
		got, err := blob.ReadAll(t.Context(), b, name)
		if err != nil || !bytes.Equal(got, body) {
			t.Errorf("%d bytes: %v, equal %v", size, err, bytes.Equal(got, body))
		}
	}
}

// What was not written to its end does not appear, and harms nothing.
func testFailingBody(t *testing.T, b blob.Bucket) {
	put(t, b, "old", "old")
	broken := errors.New("broken")
	for _, size := range []int64{0, 100, 20 << 20} {
		for _, name := range []string{"old", "new"} {
			body := io.MultiReader(io.LimitReader(zeros{}, size), iotest.ErrReader(broken))
			if _, err := b.Put(t.Context(), name, body); !errors.Is(err, broken) {
				t.Errorf("%d bytes into %s: %v", size, name, err)
			}
		}
	}
	if got := list(t, b, ""); !slices.Equal(got, []string{"old"}) {
		t.Errorf("there is %v", got)
	}
	if got, _ := get(t, b, "old", blob.Range{}); got != "old" {
		t.Errorf("it was changed")
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func testNames(t *testing.T, b blob.Bucket) {
	ctx := t.Context()
	for _, name := range []string{"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "./a", `a\b`, "a\x00b", "a/.", "a./b",
		strings.Repeat("a/", 600) + "a", strings.Repeat("x", 256), ".incomplete/x"} {
		if _, err := b.Put(ctx, name, strings.NewReader("")); err == nil || !strings.Contains(err.Error(), "cannot be the name") {
			t.Errorf("Put %q: %v", name, err)
		}
		if _, _, err := b.Get(ctx, name, blob.Range{}); err == nil || errors.Is(err, blob.ErrNotFound) {
			t.Errorf("Get %q: %v", name, err)
		}
		if b.Delete(ctx, name) == nil {
			t.Errorf("Delete %q", name)
		}
	}
	for _, name := range []string{"a b", "a+b%20c", "q?x=y&z#f", "ns/hub/0/2026/01/02/03/04/05.avro", "…/é", "a:b;c=d", ".hidden", "x'y\"z", strings.Repeat("x", 255)} {
		put(t, b, name, name)
		if got, info := get(t, b, name, blob.Range{}); got != name || info.Name != name {
			t.Errorf("%q: %q, %+v", name, got, info)
		}
		if got := list(t, b, name); !slices.Equal(got, []string{name}) {
			t.Errorf("%q lists as %q", name, got)
		}
	}
}

func testFile(t *testing.T, b blob.Bucket) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte("from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	info, err := blob.PutFileNew(t.Context(), b, "d/f", path)
	if err != nil || info.Size != 11 {
		t.Fatalf("%+v, %v", info, err)
	}
	if _, err := blob.PutFileNew(t.Context(), b, "d/f", path); !errors.Is(err, blob.ErrExists) {
		t.Errorf("a second time: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got, _ := get(t, b, "d/f", blob.Range{}); got != "from a file" {
		t.Errorf("got %q", got)
	}
	if _, err := blob.PutFileNew(t.Context(), b, "d/g", path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func testCancelled(t *testing.T, b blob.Bucket) {
	put(t, b, "x", "x")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := b.Put(ctx, "y", strings.NewReader("y")); !errors.Is(err, context.Canceled) || connector.ActionOf(err) != connector.Fail {
		t.Errorf("Put: %v", err)
	}
	if err := b.List(ctx, "", func(blob.Info) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("List: %v", err)
	}
	if got := list(t, b, ""); !slices.Equal(got, []string{"x"}) {
		t.Errorf("there is %v", got)
	}
}

func testDelete(t *testing.T, b blob.Bucket) {
	put(t, b, "a/b/c", "")
	put(t, b, "a/d", "")
	for _, name := range []string{"a/b/c", "a/b/c", "a/b", "a", "a/d/e"} {
		if err := b.Delete(t.Context(), name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := list(t, b, ""); !slices.Equal(got, []string{"a/d"}) {
		t.Errorf("there is %v", got)
	}
	// Where its folder went away with the last object, another may come.
	put(t, b, "a/b", "")
	if got := list(t, b, ""); !slices.Equal(got, []string{"a/b", "a/d"}) {
		t.Errorf("there is %v", got)
	}
}
