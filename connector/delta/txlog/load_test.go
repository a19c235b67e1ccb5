package txlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector/blob"

	"github.com/parquet-go/parquet-go"
)

// sevenFiles makes a table of versions 0 to 7, each but the first of which adds
// a file, f1 to f7. Checkpoints are at versions 3 and 6.
func sevenFiles(t testing.TB) (dir string) {
	t.Helper()
	b, dir := folder(t)
	tb := open(t, b, "", Options{NoCheckpoints: true})
	s := created(t, tb)
	for i := range 7 {
		s = commitTo(t, tb, s, Change{Add: files(fmt.Sprint("f", i+1)), Txns: []Txn{{AppID: "app", Version: int64(i)}}})
		if v := s.Version; v == 3 || v == 6 {
			if got, err := tb.Checkpoint(t.Context()); err != nil || got != v {
				t.Fatal(got, err)
			}
		}
	}
	return dir
}

// What the log is found with, and what is to come of it: the same table, or an
// error that names what is wrong.
func TestDamagedLogs(t *testing.T) {
	t.Parallel()
	whole := sevenFiles(t)
	for name, tt := range map[string]struct {
		damage func(t *testing.T, dir string)
		// want is a part of the error, or "" for the table as it was.
		want string
	}{
		"nothing":               {func(*testing.T, string) {}, ""},
		"no pointer":            {func(t *testing.T, dir string) { remove(t, dir, "_last_checkpoint") }, ""},
		"pointer is torn":       {func(t *testing.T, dir string) { put(t, dir, "_last_checkpoint", `{"version":6,"si`) }, ""},
		"pointer is old":        {func(t *testing.T, dir string) { put(t, dir, "_last_checkpoint", `{"version":3,"size":6}`) }, ""},
		"pointer leads nowhere": {func(t *testing.T, dir string) { put(t, dir, "_last_checkpoint", `{"version":5,"size":6}`) }, ""},
		"pointer is beyond":     {func(t *testing.T, dir string) { put(t, dir, "_last_checkpoint", `{"version":5000000,"size":6}`) }, ""},
		"pointer is negative":   {func(t *testing.T, dir string) { put(t, dir, "_last_checkpoint", `{"version":-6}`) }, ""},
		"no checkpoints": {func(t *testing.T, dir string) {
			remove(t, dir, checkpointFile(3))
			remove(t, dir, checkpointFile(6))
		}, ""},
		"newest checkpoint is torn":  {func(t *testing.T, dir string) { cut(t, dir, checkpointFile(6), 0.7) }, ""},
		"newest checkpoint is empty": {func(t *testing.T, dir string) { put(t, dir, checkpointFile(6), "") }, ""},
		"both checkpoints are torn": {func(t *testing.T, dir string) {
			cut(t, dir, checkpointFile(3), 0.3)
			cut(t, dir, checkpointFile(6), 0.99)
		}, ""},
		"no commits before the checkpoint": {func(t *testing.T, dir string) {
			for v := range int64(6) {
				remove(t, dir, commitFile(v))
			}
			remove(t, dir, checkpointFile(3))
		}, ""},
		"gap before the checkpoint": {func(t *testing.T, dir string) { remove(t, dir, commitFile(4)) }, ""},
		"checkpoint alone is torn": {func(t *testing.T, dir string) {
			for v := range int64(6) {
				remove(t, dir, commitFile(v))
			}
			remove(t, dir, checkpointFile(3))
			cut(t, dir, checkpointFile(6), 0.5)
		}, checkpointFile(6)},
		"foreign objects": {func(t *testing.T, dir string) {
			for _, name := range []string{"00000000000000000008.json.tmp", ".00000000000000000008.json.crc", "00000000000000000007.crc",
				"00000000000000000008.0000000000000012.compacted.json", "_staged_commits/00000000000000000008.json", "_sidecars/x.parquet",
				"00000000000000000009.checkpoint.0b2a.json", "00000000000000000009.checkpoint.0000000001.0000000002.parquet",
				"8.json", "00000000000000000008.JSON", "0000000000000000000a.json", "000000000000000000008.json", "commit.json"} {
				put(t, dir, name, "{}")
			}
		}, ""},
		"gap":             {func(t *testing.T, dir string) { put(t, dir, commitFile(9), someAdd) }, commitFile(8) + " is missing"},
		"gap inside":      {func(t *testing.T, dir string) { remove(t, dir, commitFile(7)); put(t, dir, commitFile(8), someAdd) }, commitFile(7) + " is missing"},
		"newest is torn":  {func(t *testing.T, dir string) { cut(t, dir, commitFile(7), 0.9) }, commitFile(7) + ": line"},
		"newest is empty": {func(t *testing.T, dir string) { put(t, dir, commitFile(7), "") }, commitFile(7) + ": it is empty"},
		"newest is zeros": {func(t *testing.T, dir string) { put(t, dir, commitFile(7), strings.Repeat("\x00", 700)) }, commitFile(7)},
		"no first version": {func(t *testing.T, dir string) {
			remove(t, dir, checkpointFile(3))
			remove(t, dir, checkpointFile(6))
			remove(t, dir, commitFile(0))
		}, commitFile(0) + " is missing"},
		"first version without metaData": {func(t *testing.T, dir string) {
			remove(t, dir, checkpointFile(3))
			remove(t, dir, checkpointFile(6))
			put(t, dir, commitFile(0), someProtocol)
		}, commitFile(0)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(whole)); err != nil {
				t.Fatal(err)
			}
			tt.damage(t, dir)
			s, err := open(t, bucketAt(t, dir), "", Options{}).Snapshot(t.Context())
			if tt.want != "" {
				if broken, ok := errors.AsType[*CorruptError](err); !ok || !strings.Contains(err.Error(), tt.want) || !strings.Contains(tt.want, filepath.Base(broken.Object)) {
					t.Fatalf("%v, %v; want %s", s, err, tt.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := names(s); s.Version != 7 || !slices.Equal(got, []string{"f1", "f2", "f3", "f4", "f5", "f6", "f7"}) {
				t.Errorf("version %d, files %v", s.Version, got)
			}
			if v, ok := s.Txn("app"); !ok || v != 6 {
				t.Errorf("txn %d, %v", v, ok)
			}
		})
	}
}

func cut(t *testing.T, dir, name string, part float64) {
	t.Helper()
	path := filepath.Join(dir, "_delta_log", name)
	body, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, name, string(body[:int(float64(len(body))*part)]))
}

func TestNoTable(t *testing.T) {
	t.Parallel()
	b, dir := folder(t)
	for range 2 {
		tb := open(t, b, "deep/table", Options{})
		if _, err := tb.Snapshot(t.Context()); !errors.Is(err, ErrNoTable) || !strings.Contains(err.Error(), "deep/table") {
			t.Errorf("%v", err)
		}
		if _, err := tb.At(t.Context(), 0); !errors.Is(err, ErrNoTable) {
			t.Errorf("%v", err)
		}
		if _, err := tb.AtTime(t.Context(), time.Now()); !errors.Is(err, ErrNoTable) {
			t.Errorf("%v", err)
		}
		if err := tb.History(t.Context(), 0, func(Version) error { return nil }); !errors.Is(err, ErrNoTable) {
			t.Errorf("%v", err)
		}
		put(t, dir, "../deep/table/_delta_log/readme.txt", "nothing")
	}
}

// A running reader sees what others do with few requests, and notices when the
// log under it is not the same any more.
func TestSnapshotsFollowTheLog(t *testing.T) {
	t.Parallel()
	b, dir := folder(t)
	writer := open(t, b, "", Options{NoCheckpoints: true})
	created(t, writer)
	h := &hooked{Bucket: b}
	reader := open(t, h, "", Options{})
	newest(t, reader)
	lists := h.count("List")
	for i := range 5 {
		s := commitTo(t, writer, newest(t, writer), Change{Add: files(fmt.Sprint("f", i))})
		if got := newest(t, reader); got.Version != s.Version || got.NumFiles() != i+1 || got.Size() != s.Size() {
			t.Fatalf("%v, not %v", got, s)
		}
	}
	if n := h.count("List"); n != lists {
		t.Errorf("the log was listed %d times more", n-lists)
	}
	// A version that is missing while the next is there.
	put(t, dir, commitFile(7), someAdd)
	if s, err := reader.Snapshot(t.Context()); err == nil || !strings.Contains(err.Error(), commitFile(6)+" is missing") {
		t.Errorf("%v, %v", s, err)
	}
	remove(t, dir, commitFile(7))
	// Far behind, it starts from a checkpoint.
	s := newest(t, writer)
	for i := range behind + 5 {
		s = commitTo(t, writer, s, Change{Add: files(fmt.Sprint("g", i))})
	}
	if _, err := writer.Checkpoint(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := newest(t, reader); state(got) != state(s) || got.checkpoint != s.Version {
		t.Errorf("%v from checkpoint %d", got, got.checkpoint)
	}
	// The table is deleted, and another one is made.
	if err := os.RemoveAll(filepath.Join(dir, "_delta_log")); err != nil {
		t.Fatal(err)
	}
	if s, err := reader.Snapshot(t.Context()); !errors.Is(err, ErrNoTable) {
		t.Errorf("%v, %v", s, err)
	}
	again := created(t, open(t, b, "", Options{}))
	for range 3 {
		if got := newest(t, reader); got.Metadata.ID != again.Metadata.ID || got.Version != 0 {
			t.Errorf("%v", got)
		}
	}
	// Who still has a snapshot of the old one cannot write to the new one,
	// unless it was sure of its table a moment ago.
	writer.mu.Lock()
	writer.seen = time.Time{}
	writer.mu.Unlock()
	if _, err := writer.Commit(t.Context(), s, Change{Operation: "WRITE", Add: files("lost")}); err == nil || !strings.Contains(err.Error(), "made anew") {
		t.Errorf("%v", err)
	}
}

// A writer that does not write its object at once is waited for.
func TestObjectsThatAppearInPieces(t *testing.T) {
	t.Parallel()
	dir := sevenFiles(t)
	h := &hooked{Bucket: bucketAt(t, dir)}
	body := `{"commitInfo":{}}` + "\n" + someAdd + "\n"
	put(t, dir, commitFile(8), body[:30])
	reads := 0
	h.get = func(name string, next func() (io.ReadCloser, blob.Info, error)) (io.ReadCloser, blob.Info, error) {
		if filepath.Base(name) == commitFile(8) {
			if reads++; reads == 3 {
				put(t, dir, commitFile(8), body)
			}
		}
		return next()
	}
	if s := newest(t, open(t, h, "", Options{})); s.Version != 8 || s.NumFiles() != 8 || reads != 3 {
		t.Errorf("%v after %d reads", s, reads)
	}
}

// An object that was listed may be gone when it is read, as others clean up.
func TestCleanUpBesideAReader(t *testing.T) {
	t.Parallel()
	dir := sevenFiles(t)
	h := &hooked{Bucket: bucketAt(t, dir)}
	done := false
	h.get = func(name string, next func() (io.ReadCloser, blob.Info, error)) (io.ReadCloser, blob.Info, error) {
		if filepath.Base(name) == checkpointFile(3) && !done {
			done = true
			for v := range int64(6) {
				remove(t, dir, commitFile(v))
			}
			remove(t, dir, checkpointFile(3))
		}
		return next()
	}
	put(t, dir, "_last_checkpoint", `{"version":3}`)
	tb := open(t, h, "", Options{})
	// Version 5 was there when it was looked for.
	if s, err := tb.At(t.Context(), 5); !errors.Is(err, ErrNoVersion) || !done {
		t.Errorf("%v, %v", s, err)
	}
	if s := newest(t, tb); s.Version != 7 || s.NumFiles() != 7 {
		t.Errorf("%v", s)
	}
}

func TestTimeTravel(t *testing.T) {
	t.Parallel()
	dir := sevenFiles(t)
	at := func(minute int) time.Time { return time.Date(2026, 11, 22, 10, minute, 0, 0, time.UTC) }
	for v, minute := range []int{0, 1, 2, 3, 3, 1, 6, 20} { // clocks go back at times
		age(t, dir, commitFile(int64(v)), at(minute))
	}
	tb := open(t, bucketAt(t, dir), "", Options{})
	for _, tt := range []struct {
		at   time.Time
		want int64
	}{{at(0), 0}, {at(1).Add(-1), 0}, {at(1), 1}, {at(2), 2}, {at(3), 3}, {at(3).Add(time.Millisecond), 4}, {at(3).Add(2 * time.Millisecond), 5},
		{at(5), 5}, {at(6), 6}, {at(19), 6}, {at(59), 7}} {
		s, err := tb.AtTime(t.Context(), tt.at)
		if err != nil || s.Version != tt.want || s.NumFiles() != int(tt.want) {
			t.Errorf("%v: %v, %v; want %d", tt.at, s, err, tt.want)
		}
	}
	if s, err := tb.AtTime(t.Context(), at(-1)); !errors.Is(err, ErrNoVersion) || !strings.Contains(err.Error(), "2026-11-22T10:00:00Z") {
		t.Errorf("%v, %v", s, err)
	}
	for v := range int64(8) {
		if s, err := tb.At(t.Context(), v); err != nil || s.Version != v || s.NumFiles() != int(v) {
			t.Errorf("%v, %v", s, err)
		}
	}
	for _, v := range []int64{-1, 8, 1 << 40} {
		if s, err := tb.At(t.Context(), v); !errors.Is(err, ErrNoVersion) || !strings.Contains(err.Error(), "versions 0 to 7") {
			t.Errorf("%v, %v", s, err)
		}
	}
	// Where the log begins with a checkpoint, so does the past.
	for v := range int64(4) {
		remove(t, dir, commitFile(v))
	}
	if s, err := tb.At(t.Context(), 3); err != nil || s.NumFiles() != 3 {
		t.Errorf("%v, %v", s, err)
	}
	if s, err := tb.At(t.Context(), 2); !errors.Is(err, ErrNoVersion) {
		t.Errorf("%v, %v", s, err)
	}
	if s, err := tb.AtTime(t.Context(), at(2)); !errors.Is(err, ErrNoVersion) {
		t.Errorf("%v, %v", s, err)
	}
}

// Others leave columns out, put them in another order, or split checkpoints.
func TestCheckpointsInOtherShapes(t *testing.T) {
	t.Parallel()
	dir := sevenFiles(t)
	want := state(newest(t, open(t, bucketAt(t, dir), "", Options{})))
	s, err := open(t, bucketAt(t, dir), "", Options{}).At(t.Context(), 6)
	if err != nil {
		t.Fatal(err)
	}
	parts := make([]bytes.Buffer, 3)
	writers := []*parquet.GenericWriter[checkpointRow]{}
	for i := range parts {
		writers = append(writers, parquet.NewGenericWriter[checkpointRow](&parts[i], parquet.DataPageVersion(2-i%2), parquet.MaxRowsPerRowGroup(2)))
	}
	n := 0
	_ = s.actions(time.Now(), func(r checkpointRow) error {
		_, err := writers[n%2].Write([]checkpointRow{r}) // the third stays empty
		n++
		return err
	})
	for v := range int64(6) {
		remove(t, dir, commitFile(v))
	}
	remove(t, dir, checkpointFile(3))
	remove(t, dir, checkpointFile(6))
	for i, w := range writers {
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if i == 2 {
			if _, err := open(t, bucketAt(t, dir), "", Options{}).Snapshot(t.Context()); err == nil {
				t.Error("a checkpoint of which a part is missing was used")
			}
		}
		put(t, dir, fmt.Sprintf("%020d.checkpoint.%010d.%010d.parquet", 6, i+1, 3), parts[i].String())
	}
	if got := state(newest(t, open(t, bucketAt(t, dir), "", Options{}))); got != want {
		t.Errorf("%s\nnot\n%s", got, want)
	}

	// Only what must be there, in another order and with a map that is
	// named as writers did long ago.
	type add struct {
		Extra map[string]int64 `parquet:"extra"`
		Size  int64            `parquet:"size"`
		Path  string           `parquet:"path"`
	}
	type meta struct {
		Schema string `parquet:"schemaString"`
		ID     string `parquet:"id"`
	}
	type protocol struct {
		MinWriter int32 `parquet:"minWriterVersion"`
		MinReader int32 `parquet:"minReaderVersion"`
	}
	type row struct {
		Unknown  *string   `parquet:"unknown,optional"`
		Protocol *protocol `parquet:"protocol,optional"`
		Add      *add      `parquet:"add,optional"`
		Meta     *meta     `parquet:"metaData,optional"`
	}
	var buf bytes.Buffer
	if err := parquet.Write(&buf, []row{{Add: &add{Path: "a%20b", Size: 5, Extra: map[string]int64{"x": 1, "y": 2}}}, {}, {Protocol: &protocol{2, 1}},
		{Meta: &meta{ID: "i", Schema: idColumn.Text()}}, {Add: &add{Path: "c", Size: 7}}}); err != nil {
		t.Fatal(err)
	}
	got := newSnapshot()
	if err := readCheckpointFile(buf.Bytes(), got, false); err != nil || !slices.Equal(names(got), []string{"a b", "c"}) || got.Size() != 12 || got.Metadata.ID != "i" {
		t.Errorf("%v, %v", got, err)
	}
}

func FuzzReadCheckpoint(f *testing.F) {
	s := newSnapshot()
	s.Protocol, s.Metadata = newProtocol, &Metadata{ID: "i", Schema: idColumn}
	for _, a := range files("a", "b") {
		s.file(fileAction{add: a})
	}
	var buf bytes.Buffer
	if _, _, err := writeCheckpoint(&buf, s, time.Now()); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte("PAR1PAR1"))
	f.Fuzz(func(_ *testing.T, body []byte) {
		// A damaged file is an error, not the end of the program.
		_ = readCheckpointFile(body, newSnapshot(), false)
	})
}
