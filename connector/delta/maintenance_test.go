package delta_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/delta"
	"millrace/record"
)

// world is a table in a folder, with a worker that owns two partitions.
type world struct {
	*testing.T
	cfg   *delta.Config
	env   connector.Env
	store *delta.Store
	at    map[int32]int64
}

func newWorld(t *testing.T, change func(c *delta.Config)) *world {
	t.Helper()
	w := &world{T: t, cfg: quick(), env: connectortest.Env(t.TempDir(), ""), at: map[int32]int64{0: 0, 1: 0}}
	w.cfg.CompactAfter = 0
	if change != nil {
		change(w.cfg)
	}
	w.begin()
	return w
}

// begin opens the store anew.
func (w *world) begin() {
	w.Helper()
	w.store = open(w, w.cfg, w.env)
	w.Cleanup(func() { _ = w.store.Close() })
	if err := w.store.Prepare(w.Context()); err != nil {
		w.Fatal(err)
	}
	if _, err := w.store.Claim(w.Context(), "w", []int32{0, 1}); err != nil {
		w.Fatal(err)
	}
}

// write writes the next n results of a partition.
func (w *world) write(p int32, n int64) {
	w.Helper()
	u := connectortest.Stretch(p, w.at[p], w.at[p]+n)
	if _, err := w.store.Write(w.Context(), u); err != nil {
		w.Fatal(err)
	}
	w.at[p] += n
}

// table opens the table as those do who look after it.
func (w *world) table() *delta.Table {
	w.Helper()
	t, err := w.cfg.OpenTable(w.Context(), w.env)
	if err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = t.Close() })
	return t
}

// folder is where the table is.
func (w *world) folder() string {
	return filepath.Join(w.env.DataDir, "delta", w.cfg.Container, w.cfg.Path)
}

// files are the data files that there are, in the table or not.
func (w *world) files() (names []string) {
	w.Helper()
	err := filepath.WalkDir(w.folder(), func(path string, d os.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, ".parquet") && !strings.Contains(path, "_delta_log") {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		w.Fatal(err)
	}
	return names
}

// ask returns the rows of a query's answer, each as a text.
func (w *world) ask(text, at string) []string {
	w.Helper()
	rows, err := w.store.QueryAt(w.Context(), text, at)
	if err != nil {
		w.Fatalf("%s: %v", text, err)
	}
	return collect(w, rows)
}

func collect(t testing.TB, rows connector.Rows) (out []string) {
	t.Helper()
	defer func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		row, err := rows.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, strings.Trim(fmt.Sprint(row), "[]"))
	}
}

func TestOptimizeAndVacuum(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for range 6 {
		w.write(0, 40)
		w.write(1, 30)
	}
	table := w.table()
	done, err := table.Optimize(t.Context(), delta.OptimizeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if done.FilesRemoved != 12 || done.FilesAdded != 1 || done.NumFiles != 1 || done.Commits != 1 {
		t.Errorf("12 files were merged: %+v", done)
	}
	connectortest.Exact(t, w.store, w.at)
	if again, err := table.Optimize(t.Context(), delta.OptimizeOptions{}); err != nil || again.FilesRemoved != 0 || again.Version != done.Version {
		t.Errorf("merged again: %+v %v", again, err)
	}
	// Nothing is old enough to go.
	v, err := table.Vacuum(t.Context(), delta.VacuumOptions{})
	if err != nil || len(v.Files) != 0 || v.Kept != 12 || v.Retention != 24*time.Hour {
		t.Errorf("VACUUM with everything young: %+v %v", v, err)
	}
	// Less than the table's retention is refused.
	_, err = table.Vacuum(t.Context(), delta.VacuumOptions{Retention: time.Hour})
	if hinted := (*connector.Hinted)(nil); !errors.As(err, &hinted) || !strings.Contains(hinted.Hint, "--allow-short-retention") {
		t.Errorf("VACUUM with a retention of an hour: %v", err)
	}
	// A file that no commit knows, old enough; one that is none of the
	// table's; and one that is young.
	age := time.Now().Add(-10 * 24 * time.Hour)
	for _, name := range []string{"orphan.parquet", "_mine.parquet", ".mine.parquet"} {
		path := filepath.Join(w.folder(), name)
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, age, age); err != nil {
			t.Fatal(err)
		}
	}
	v, err = table.Vacuum(t.Context(), delta.VacuumOptions{DryRun: true})
	if err != nil || fmt.Sprint(v.Files) != "[orphan.parquet]" || v.Bytes != 1 || len(w.files()) != 16 {
		t.Errorf("VACUUM that only tells: %+v %v, %d files", v, err, len(w.files()))
	}
	v, err = table.Vacuum(t.Context(), delta.VacuumOptions{})
	if err != nil || fmt.Sprint(v.Files) != "[orphan.parquet]" || len(w.files()) != 15 {
		t.Errorf("VACUUM of an orphan: %+v %v, %d files", v, err, len(w.files()))
	}
	// Everything that is not in the newest version.
	v, err = table.Vacuum(t.Context(), delta.VacuumOptions{AllowShort: true})
	if err != nil || len(v.Files) != 12 || v.Kept != 0 || len(w.files()) != 3 {
		t.Errorf("VACUUM of all: %+v %v, %d files", v, err, len(w.files()))
	}
	connectortest.Exact(t, w.store, w.at)
	// The past is gone, and that is said.
	rows, err := w.store.QueryAt(t.Context(), "SELECT sum(value) FROM events", "5")
	if err == nil {
		_, err = rows.Next(t.Context())
		rows.Close()
	}
	if hinted := (*connector.Hinted)(nil); !errors.As(err, &hinted) || !strings.Contains(hinted.Hint, "VACUUM") {
		t.Errorf("a version whose files are gone: %v", err)
	}
	w.write(0, 10)
	connectortest.Exact(t, w.store, w.at)
}

// Writers, a compaction in the background and OPTIMIZE by hand work on one
// table at the same time.
func TestOptimizeWhileWriting(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *delta.Config) {
		c.CompactAfter, c.TargetFileSize, c.CommitInterval = 3, 64<<10, connector.Duration(10*time.Millisecond)
		c.PartitionBy = []string{"partitionId"}
	})
	other := open(t, w.cfg, w.env)
	defer other.Close()
	if err := other.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := other.Claim(t.Context(), "other", []int32{1}); err != nil {
		t.Fatal(err)
	}
	const writes, size = 25, 60
	var writers, optimizers sync.WaitGroup
	for p, s := range []*delta.Store{w.store, other} {
		writers.Go(func() {
			for i := range int64(writes) {
				if _, err := s.Write(t.Context(), connectortest.Stretch(int32(p), i*size, (i+1)*size)); err != nil {
					t.Errorf("partition %d: %v", p, err)
					return
				}
			}
		})
	}
	stop := make(chan struct{})
	table := w.table()
	optimizers.Go(func() {
		for {
			if _, err := table.Optimize(t.Context(), delta.OptimizeOptions{TargetSize: 256 << 10}); err != nil {
				t.Errorf("OPTIMIZE: %v", err)
			}
			select {
			case <-stop:
				return
			default:
			}
		}
	})
	writers.Wait()
	close(stop)
	optimizers.Wait()
	w.at = map[int32]int64{0: writes * size, 1: writes * size}
	connectortest.Exact(t, w.store, w.at)
	connectortest.Exact(t, other, w.at)
	d, err := table.Detail(t.Context())
	if err != nil || d.NumRows == nil || *d.NumRows != 2*writes*size {
		t.Errorf("%+v %v", d, err)
	}
}

// Writes that come together share commits.
func TestSharedCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *delta.Config) { c.CommitInterval, c.Writers = connector.Duration(300*time.Millisecond), 8 })
	before := w.version()
	const writers, writes = 8, 4
	if _, err := w.store.Claim(t.Context(), "w", []int32{0, 1, 2, 3, 4, 5, 6, 7}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for p := range int32(writers) {
		wg.Go(func() {
			for i := range int64(writes) {
				if _, err := w.store.Write(t.Context(), connectortest.Stretch(p, i*10, i*10+10)); err != nil {
					t.Errorf("partition %d: %v", p, err)
				}
			}
		})
	}
	wg.Wait()
	if n := w.version() - before - 1; n >= writers*writes {
		t.Errorf("%d writes took %d commits", writers*writes, n)
	}
	want := map[int32]int64{}
	for p := range int32(writers) {
		want[p] = writes * 10
	}
	connectortest.Exact(t, w.store, want)
}

func (w *world) version() int64 {
	w.Helper()
	d, err := w.table().Detail(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return d.Version
}

func TestHistoryAndTimeTravel(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *delta.Config) { c.Properties = map[string]string{"delta.checkpointInterval": "1000"} })
	for range 3 {
		w.write(0, 10)
	}
	table := w.table()
	commits, err := table.History(t.Context(), 3)
	if err != nil || len(commits) != 3 {
		t.Fatalf("%+v %v", commits, err)
	}
	c := commits[0]
	if c.Version != 4 || c.Operation != "STREAMING UPDATE" || c.Added != 1 || c.Removed != 0 || c.Rows == nil || *c.Rows != 10 ||
		c.Engine == "" || time.Since(c.Time) > time.Hour {
		t.Errorf("%+v", c)
	}
	if got := w.ask("SELECT count(*) FROM events", ""); got[0] != "30" {
		t.Errorf("now there are %v", got)
	}
	if got := w.ask("SELECT count(*) FROM events", "3"); got[0] != "20" {
		t.Errorf("at version 3 there were %v", got)
	}
	if got := w.ask("SELECT count(*) FROM events", commits[1].Time.Format(time.RFC3339Nano)); got[0] != "20" {
		t.Errorf("at the time of version 3 there were %v", got)
	}
	if got := w.ask("SELECT count(*), max(extra) FROM events", "0"); got[0] != "0 <nil>" {
		t.Errorf("at version 0 there were %v", got)
	}
	for at, want := range map[string]string{"99": "versions 0 to 4", "2001-01-01": "begins with version 0", "yesterday": "neither a version nor a time", "-1": "neither"} {
		if rows, err := w.store.QueryAt(t.Context(), "SELECT 1", at); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("at %s: %v %v", at, rows, err)
		}
	}
	if v, err := table.Checkpoint(t.Context()); err != nil || v != 4 {
		t.Errorf("the checkpoint of version %d: %v", v, err)
	}
	d, err := w.table().Detail(t.Context())
	if err != nil || d.Checkpoint == nil || *d.Checkpoint != 4 || d.NumFiles != 3 || *d.NumRows != 30 || d.MinWriterVersion != 2 ||
		len(d.Columns) != 13 || fmt.Sprint(d.Streams) != "[{millrace/0 30}]" {
		t.Errorf("%+v %v", d, err)
	}
}

// A table gets the columns that it lacks, and keeps its rows.
func TestEvolution(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.write(0, 20)
	first := w.store
	w.cfg.Columns = map[string]string{"note": "string", "humidity": "double"}
	w.begin()
	w.write(0, 20)
	if got := w.ask("SELECT count(note), count(extra), count(humidity), count(*) FROM events", ""); got[0] != "20 20 0 40" {
		t.Errorf("the rows with a note, with extra, with humidity, all: %v", got)
	}
	connectortest.Exact(t, w.store, w.at)
	// A worker that knew the table before goes on.
	if _, err := first.Claim(t.Context(), "first", []int32{1}); err != nil {
		t.Fatal(err)
	}
	if _, err := first.Write(t.Context(), connectortest.Stretch(1, 0, 15)); err != nil {
		t.Fatal(err)
	}
	w.at[1] = 15
	connectortest.Exact(t, first, w.at)
	if _, err := w.table().Optimize(t.Context(), delta.OptimizeOptions{}); err != nil {
		t.Fatal(err)
	}
	connectortest.Exact(t, w.store, w.at)
	// What cannot be is refused.
	w.cfg.Columns = map[string]string{"note": "long"}
	s := open(t, w.cfg, w.env)
	defer s.Close()
	if err := s.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "column note is of type string in the table, not long") {
		t.Errorf("Prepare with another type: %v", err)
	}
	w.cfg.Columns, w.cfg.PartitionBy = nil, []string{"type"}
	s = open(t, w.cfg, w.env)
	defer s.Close()
	if err := s.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "is not partitioned, but serve.partitionBy asks for one that is partitioned by type") {
		t.Errorf("Prepare with other partitions: %v", err)
	}
}

// A log that is broken is an error, and no wrong answer.
func TestBrokenTable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		harm func(w *world) error
		want string
	}{
		"missing version": {func(w *world) error {
			return os.Remove(filepath.Join(w.folder(), "_delta_log", "00000000000000000002.json"))
		}, "00000000000000000002.json is missing"},
		"torn version": {func(w *world) error {
			return os.Truncate(filepath.Join(w.folder(), "_delta_log", "00000000000000000003.json"), 100)
		}, "00000000000000000003.json"},
		"missing file": {func(w *world) error { return os.Remove(w.files()[0]) }, "it is missing"},
		"torn file":    {func(w *world) error { return os.Truncate(w.files()[0], 1000) }, "it has 1000 bytes, not the"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.write(0, 50)
			w.write(1, 50)
			if err := c.harm(w); err != nil {
				t.Fatal(err)
			}
			s := open(t, w.cfg, w.env)
			defer s.Close()
			err := s.Scan(t.Context(), func(*record.Stored) error { return nil })
			if err == nil || !strings.Contains(err.Error(), c.want) || connector.ActionOf(err) == connector.Retry {
				t.Errorf("Scan: %v", err)
			}
		})
	}
}
