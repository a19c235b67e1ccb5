package txlog

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"millrace/connector/blob"
	"millrace/connector/delta/schema"
)

// folder returns a bucket in a new folder, and the folder.
func folder(t testing.TB) (blob.Bucket, string) {
	t.Helper()
	dir := t.TempDir()
	return bucketAt(t, dir), dir
}

func bucketAt(t testing.TB, dir string) blob.Bucket {
	t.Helper()
	b, err := blob.Open(context.Background(), dir, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// open returns a table that is closed with the test.
func open(t testing.TB, b blob.Bucket, path string, o Options) *Table {
	t.Helper()
	tb := Open(b, path, o)
	t.Cleanup(func() {
		if err := tb.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return tb
}

var idColumn = schema.New(schema.Column("id", schema.Long))

// created makes a table with properties given as keys and values.
func created(t testing.TB, tb *Table, properties ...string) *Snapshot {
	t.Helper()
	config := map[string]string{}
	for i := 0; i+1 < len(properties); i += 2 {
		config[properties[i]] = properties[i+1]
	}
	s, err := tb.Create(context.Background(), Metadata{Schema: idColumn, Configuration: config}, "CREATE TABLE")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func file(name string) *Add {
	return &Add{Path: name, Size: int64(100 + len(name)), Modified: 1_795_391_424_503, DataChange: true,
		Stats: `{"numRecords":3,"minValues":{"id":1},"maxValues":{"id":3},"nullCount":{"id":0}}`}
}

func files(names ...string) []*Add {
	out := make([]*Add, len(names))
	for i, n := range names {
		out[i] = file(n)
	}
	return out
}

// commitTo commits and fails the test if that fails.
func commitTo(t testing.TB, tb *Table, base *Snapshot, ch Change) *Snapshot {
	t.Helper()
	if ch.Operation == "" {
		ch.Operation = "WRITE"
	}
	s, err := tb.Commit(context.Background(), base, ch)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newest(t testing.TB, tb *Table) *Snapshot {
	t.Helper()
	s, err := tb.Snapshot(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// names are the paths of a snapshot's files, sorted.
func names(s *Snapshot) []string {
	out := []string{}
	for a := range s.Files() {
		out = append(out, a.Path)
	}
	slices.Sort(out)
	return out
}

// state is all that a snapshot says, as text that does not depend on the way it
// came about.
func state(s *Snapshot) string {
	out := fmt.Sprintf("version %d protocol %v schema %s partitions %q config %v size %d\n", s.Version, s.Protocol,
		s.Metadata.Schema.Text(), s.Metadata.PartitionColumns, s.Metadata.Configuration, s.Size())
	var lines []string
	for a := range s.Files() {
		lines = append(lines, fmt.Sprintf("add %q %v %d %d %s %v %s\n", a.Path, a.PartitionValues, a.Size, a.Modified, a.Stats, a.Tags, a.rawPath()))
	}
	for r := range s.Tombstones() {
		lines = append(lines, fmt.Sprintf("remove %q %d %v %d %v %s\n", r.Path, r.Deleted, r.PartitionValues, r.Size, r.DataChange, r.rawPath()))
	}
	for x := range s.Txns() {
		lines = append(lines, fmt.Sprintf("txn %v\n", x))
	}
	for _, d := range slices.Sorted(maps.Keys(s.domains)) {
		lines = append(lines, fmt.Sprintf("domain %v\n", s.domains[d]))
	}
	slices.Sort(lines)
	for _, l := range lines {
		out += l
	}
	return out
}

// put writes an object of the log as it is.
func put(t testing.TB, dir, name, body string) {
	t.Helper()
	path := filepath.Join(dir, "_delta_log", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t testing.TB, dir, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(dir, "_delta_log", name)); err != nil {
		t.Fatal(err)
	}
}

// age sets when an object of the log was written.
func age(t testing.TB, dir, name string, at time.Time) {
	t.Helper()
	if err := os.Chtimes(filepath.Join(dir, "_delta_log", name), at, at); err != nil {
		t.Fatal(err)
	}
}

func commitFile(version int64) string     { return fmt.Sprintf("%020d.json", version) }
func checkpointFile(version int64) string { return fmt.Sprintf("%020d.checkpoint.parquet", version) }

// hooked is a bucket of which single calls can be made to fail.
type hooked struct {
	blob.Bucket
	mu sync.Mutex
	// putNew and get are called in place of the bucket's, if not nil; they
	// get the call to go on with.
	putNew func(name string, next func() (blob.Info, error)) (blob.Info, error)
	get    func(name string, next func() (io.ReadCloser, blob.Info, error)) (io.ReadCloser, blob.Info, error)
	calls  []string
}

func (h *hooked) PutNew(ctx context.Context, name string, body io.Reader) (blob.Info, error) {
	h.mu.Lock()
	fn := h.putNew
	h.calls = append(h.calls, "PutNew "+filepath.Base(name))
	h.mu.Unlock()
	next := func() (blob.Info, error) { return h.Bucket.PutNew(ctx, name, body) }
	if fn == nil {
		return next()
	}
	return fn(name, next)
}

func (h *hooked) Get(ctx context.Context, name string, r blob.Range) (io.ReadCloser, blob.Info, error) {
	h.mu.Lock()
	fn := h.get
	h.calls = append(h.calls, "Get "+filepath.Base(name))
	h.mu.Unlock()
	next := func() (io.ReadCloser, blob.Info, error) { return h.Bucket.Get(ctx, name, r) }
	if fn == nil {
		return next()
	}
	return fn(name, next)
}

func (h *hooked) List(ctx context.Context, prefix string, fn func(blob.Info) error) error {
	h.mu.Lock()
	h.calls = append(h.calls, "List "+filepath.Base(prefix))
	h.mu.Unlock()
	return h.Bucket.List(ctx, prefix, fn)
}

func (h *hooked) count(prefix string) (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, c := range h.calls {
		if len(c) >= len(prefix) && c[:len(prefix)] == prefix {
			n++
		}
	}
	return n
}
