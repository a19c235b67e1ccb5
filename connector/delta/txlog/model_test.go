package txlog

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector/blob"
)

// model is what a table should be, kept without any of the log's means.
type model struct {
	files   map[string]*Add
	removed map[string]*Remove
	txns    map[string]int64
	config  map[string]string
}

func (m *model) clone() *model {
	return &model{maps.Clone(m.files), maps.Clone(m.removed), maps.Clone(m.txns), maps.Clone(m.config)}
}

// compare says in what a snapshot differs from the model. Removals older than
// the retention may be forgotten.
func (m *model) compare(s *Snapshot, now time.Time) error {
	size := int64(0)
	for a := range s.Files() {
		want, ok := m.files[a.Path]
		if !ok || want.Size != a.Size || want.Stats != a.Stats || want.PartitionValues["p"] != a.PartitionValues["p"] || want.Modified != a.Modified {
			return fmt.Errorf("file %+v is not %+v", a, want)
		}
		size += a.Size
	}
	if s.NumFiles() != len(m.files) || s.Size() != size {
		return fmt.Errorf("%d files of %d bytes, not %d of %d", s.NumFiles(), s.Size(), len(m.files), size)
	}
	for r := range s.Tombstones() {
		if want, ok := m.removed[r.Path]; !ok || want.Deleted != r.Deleted || want.Size != r.Size {
			return fmt.Errorf("tombstone %+v is not %+v", r, want)
		}
	}
	for path, r := range m.removed {
		if _, ok := s.Tombstone(path); !ok && r.Deleted >= now.Add(-s.Metadata.FileRetention()).UnixMilli() {
			return fmt.Errorf("tombstone %s is forgotten", path)
		}
	}
	for id, v := range m.txns {
		if got, ok := s.Txn(id); !ok || got != v {
			return fmt.Errorf("txn %s is at %d, not %d", id, got, v)
		}
	}
	if n := len(slices.Collect(s.Txns())); n != len(m.txns) || !maps.Equal(s.Metadata.Configuration, m.config) {
		return fmt.Errorf("%d txns, configuration %v; not %d, %v", n, s.Metadata.Configuration, len(m.txns), m.config)
	}
	return nil
}

// walk makes random commits, checkpoints and clean-ups over what the clock says
// are months, and compares old and new versions with the model all the time.
type walk struct {
	t      *testing.T
	r      *rand.Rand
	dir    string
	bucket blob.Bucket
	clock  time.Time
	writer *Table
	// s is the newest snapshot, models are by version.
	s      *Snapshot
	models []*model
	// written is when each version was.
	written []time.Time
	name    int
}

func TestRandomHistories(t *testing.T) {
	t.Parallel()
	for i := range 2 {
		seed := uint64(time.Now().UnixNano()) + uint64(i)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			b, dir := folder(t)
			w := &walk{t: t, r: rand.New(rand.NewPCG(seed, 1)), dir: dir, bucket: b, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
			w.run(80)
		})
	}
}

func (w *walk) open() *Table {
	return open(w.t, w.bucket, "", Options{Now: func() time.Time { return w.clock }, NoCheckpoints: true})
}

func (w *walk) run(steps int) {
	w.writer = w.open()
	s, err := w.writer.Create(w.t.Context(), Metadata{Schema: all(w.t), PartitionColumns: []string{"p"}, Configuration: map[string]string{
		PropLogRetention: "interval 20 days", PropFileRetention: "interval 10 days"}}, "CREATE TABLE")
	if err != nil {
		w.t.Fatal(err)
	}
	w.note(s, &model{files: map[string]*Add{}, removed: map[string]*Remove{}, txns: map[string]int64{}, config: s.Metadata.Configuration})
	for range steps {
		w.clock = w.clock.Add(time.Duration(w.r.Int64N(int64(36 * time.Hour))))
		switch n := w.r.IntN(20); {
		case n < 14:
			w.commit()
		case n < 16:
			if _, err := w.writer.Checkpoint(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
			w.touch(checkpointFile(w.s.Version))
		case n == 16:
			if _, err := w.writer.CleanUp(w.t.Context()); err != nil {
				w.t.Fatal(err)
			}
		case n == 17:
			w.writer = w.open()
			w.s = newest(w.t, w.writer)
		case n == 18:
			// A pointer that leads astray, or nowhere.
			put(w.t, w.dir, "_last_checkpoint", []string{"", `{"version":0}`, fmt.Sprintf(`{"version":%d}`, w.r.IntN(200)), "{"}[w.r.IntN(4)])
		}
		w.check()
	}
}

// commit makes a random commit; now and then from an old base.
func (w *walk) commit() {
	base, m := w.s, w.models[len(w.models)-1].clone()
	ch := Change{Operation: "WRITE"}
	for range w.r.IntN(4) {
		w.name++
		a := &Add{Path: fmt.Sprintf("p=%d%%/f %d.parquet", w.name%3, w.name), PartitionValues: map[string]string{"p": []string{"", "1", "ü x"}[w.name%3]},
			Size: w.r.Int64N(1000), Modified: w.clock.UnixMilli(), DataChange: true}
		if w.r.IntN(3) > 0 {
			a.Stats = fmt.Sprintf(`{"numRecords":%d}`, w.r.IntN(100))
		}
		ch.Add = append(ch.Add, a)
		m.files[a.Path] = a
		delete(m.removed, a.Path)
	}
	for path, a := range m.files {
		if _, there := base.File(path); !there || w.r.IntN(5) > 0 {
			continue
		}
		r := a.Remove(w.clock, w.r.IntN(2) == 0)
		ch.Remove = append(ch.Remove, r)
		delete(m.files, path)
		m.removed[path] = r
	}
	if w.r.IntN(2) == 0 {
		id := fmt.Sprint("app ", w.r.IntN(4))
		m.txns[id] = w.r.Int64N(1000)
		ch.Txns = append(ch.Txns, Txn{AppID: id, Version: m.txns[id]})
	}
	if w.r.IntN(8) == 0 {
		ch.Metadata = base.Metadata.Clone()
		ch.Metadata.Configuration["x"] = fmt.Sprint(w.r.IntN(10))
		m.config = ch.Metadata.Configuration
	}
	s, err := w.writer.Commit(w.t.Context(), base, ch)
	if err != nil {
		w.t.Fatal(err)
	}
	w.note(s, m)
}

func (w *walk) note(s *Snapshot, m *model) {
	if s.Version != int64(len(w.models)) {
		w.t.Fatalf("version %d follows %d", s.Version, len(w.models)-1)
	}
	w.s, w.models, w.written = s, append(w.models, m), append(w.written, w.clock)
	w.touch(commitFile(s.Version))
}

// touch makes an object as old as the clock says.
func (w *walk) touch(name string) { age(w.t, w.dir, name, w.clock) }

func (w *walk) check() {
	w.t.Helper()
	last := len(w.models) - 1
	if err := w.models[last].compare(w.s, w.clock); err != nil {
		w.t.Fatal("after the commit: ", err)
	}
	for _, tb := range []*Table{w.writer, w.open()} {
		s := newest(w.t, tb)
		if s.Version != int64(last) {
			w.t.Fatalf("version %d, not %d", s.Version, last)
		}
		if err := w.models[last].compare(s, w.clock); err != nil {
			w.t.Fatal("newest: ", err)
		}
	}
	// What must be readable: all that was the table's state within the
	// retention. What need not be is right or an error.
	v := w.r.IntN(len(w.models))
	s, err := w.writer.At(w.t.Context(), int64(v))
	needed := v == last || w.written[v+1].After(w.clock.Add(-20*24*time.Hour))
	switch {
	case err == nil:
		if err := w.models[v].compare(s, w.clock); err != nil {
			w.t.Fatalf("at %d of %d: %v", v, last, err)
		}
	case needed || !errors.Is(err, ErrNoVersion):
		w.t.Fatalf("at %d of %d: %v", v, last, err)
	}
	if at := w.written[v].Add(time.Minute); v == last || w.written[v+1].After(at) {
		if s, err := w.writer.AtTime(w.t.Context(), at); err == nil && s.Version != int64(v) || err != nil && (needed || !errors.Is(err, ErrNoVersion)) {
			w.t.Fatalf("at %v: %v, %v; not %d", at, s, err, v)
		}
	}
}

func TestCleanUp(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	list := func(dir string) (commits, checkpoints []string) {
		found, err := filepath.Glob(filepath.Join(dir, "_delta_log", "*"))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			switch o := parseName(filepath.Base(f)); o.kind {
			case isCommit:
				commits = append(commits, fmt.Sprint(o.version))
			case isCheckpoint:
				checkpoints = append(checkpoints, fmt.Sprint(o.version))
			}
		}
		return commits, checkpoints
	}
	for name, tt := range map[string]struct {
		// damage happens before; old is the number of versions that were
		// written before the retention.
		damage               func(dir string)
		old                  int
		commits, checkpoints string
	}{
		"nothing is old":       {nil, 0, "0 1 2 3 4 5 6 7", "3 6"},
		"before a checkpoint":  {nil, 3, "0 1 2 3 4 5 6 7", "3 6"},
		"with a checkpoint":    {nil, 4, "3 4 5 6 7", "3 6"},
		"between checkpoints":  {nil, 6, "3 4 5 6 7", "3 6"},
		"everything":           {nil, 8, "6 7", "6"},
		"checkpoint is broken": {func(dir string) { cut(t, dir, checkpointFile(6), 0.6) }, 8, "3 4 5 6 7", "3 6"},
		"all are broken": {func(dir string) {
			cut(t, dir, checkpointFile(6), 0.6)
			cut(t, dir, checkpointFile(3), 0.6)
		}, 8, "0 1 2 3 4 5 6 7", "3 6"},
		"no checkpoint": {func(dir string) { remove(t, dir, checkpointFile(6)); remove(t, dir, checkpointFile(3)) }, 8, "0 1 2 3 4 5 6 7", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := sevenFiles(t)
			for v := range 8 {
				at := now.Add(-time.Duration(8-v) * time.Hour)
				if v < tt.old {
					at = at.AddDate(0, 0, -31)
				}
				age(t, dir, commitFile(int64(v)), at)
				if v == 3 || v == 6 {
					age(t, dir, checkpointFile(int64(v)), at)
				}
			}
			if tt.damage != nil {
				tt.damage(dir)
			}
			put(t, dir, "00000000000000000001.crc", "{}")
			put(t, dir, "something-else", "{}")
			tb := open(t, bucketAt(t, dir), "", Options{Now: func() time.Time { return now }})
			before := state(newest(t, tb))
			n, err := tb.CleanUp(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			commits, checkpoints := list(dir)
			if got := strings.Join(commits, " "); got != tt.commits {
				t.Errorf("commits %q, not %q", got, tt.commits)
			}
			if got := strings.Join(checkpoints, " "); got != tt.checkpoints {
				t.Errorf("checkpoints %q, not %q", got, tt.checkpoints)
			}
			if (n > 0) != (tt.commits[0] != '0') {
				t.Errorf("%d deleted", n)
			}
			if _, err := os.Stat(filepath.Join(dir, "_delta_log", "something-else")); err != nil {
				t.Error(err)
			}
			if got := state(newest(t, open(t, bucketAt(t, dir), "", Options{Now: func() time.Time { return now }}))); got != before {
				t.Errorf("%s\nnot\n%s", got, before)
			}
		})
	}
}
