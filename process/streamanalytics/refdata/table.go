// Package refdata holds reference data: tables that streams are joined with.
//
// A table is one file, which holds at all times, or a sequence of snapshots,
// files with the time from which they hold in their path
// (rates/{date}/{time}/rates.csv). Which snapshot a row of a stream meets is
// decided by the row's own time, so that a replay meets the same ones. Before
// the first snapshot the table is empty.
//
// Files may lie in a folder or wherever a [Files] reads them from.
package refdata

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"millrace/process/streamanalytics/files"
	"millrace/process/streamanalytics/value"
)

// Files is where reference data is kept. Names are paths with slashes. It is
// safe for concurrent use.
type Files interface {
	// List calls fn for every file whose name starts with prefix, in any
	// order. A folder that does not exist is empty.
	List(ctx context.Context, prefix string, fn func(name string) error) error
	// Open opens a file for reading; fs.ErrNotExist if there is none.
	Open(ctx context.Context, name string) (io.ReadCloser, error)
}

// Options say what a table is made of.
type Options struct {
	// File names the table, the file or the path pattern, and its format.
	File files.File
	// From is where the files are; nil stands for this machine.
	From Files
	// DateFormat and TimeFormat say how {date} and {time} are written:
	// YYYY, MM, DD, HH, mm and ss with separators.
	DateFormat, TimeFormat string
	// Level decides how values are read.
	Level value.Level
	// MaxBytes bounds the memory that one snapshot may take, 0 for 1 GiB.
	MaxBytes int64
}

// Table is reference data. It is safe for concurrent use.
type Table struct {
	o       Options
	pattern *pattern

	mu sync.Mutex
	// snapshots are in the order of their times.
	snapshots []snapshot
	// loaded are the snapshots in memory, the last used one first.
	loaded []loaded
}

// snapshot is a file and the time from which it holds.
type snapshot struct {
	from int64
	name string
	// version tells it from all others, also from what the file held before.
	version int64
}

type loaded struct {
	version int64
	rows    []value.Value
}

// keep is how many snapshots stay in memory: tasks that work on different
// partitions may be on both sides of a change.
const keep = 3

// Open finds the snapshots of a table, and reads the file if it is one only.
func Open(ctx context.Context, o Options) (*Table, error) {
	if o.From == nil {
		o.From = machine{}
		o.File.Path = filepath.Clean(o.File.Path)
	}
	if o.MaxBytes == 0 {
		o.MaxBytes = 1 << 30
	}
	t := &Table{o: o}
	if IsPattern(o.File.Path) {
		p, err := newPattern(filepath.ToSlash(o.File.Path), o.DateFormat, o.TimeFormat)
		if err != nil {
			return nil, fmt.Errorf("reference data %s: %w", o.File.Name, err)
		}
		t.pattern = p
	}
	if _, err := t.Refresh(ctx); err != nil {
		return nil, err
	}
	if t.pattern == nil {
		_, _, err := t.At(0)
		return t, err
	}
	if len(t.snapshots) == 0 {
		return nil, files.Misuse("the formats are set with --date-format and --time-format",
			"there is no snapshot of reference data %s: no file matches %s", o.File.Name, o.File.Path)
	}
	return t, nil
}

// Refresh looks for new snapshots, and reads a table of one file again. It
// returns whether anything was found that was not known. Snapshots that are in
// use stay as they are.
func (t *Table) Refresh(ctx context.Context) (bool, error) {
	if t.pattern == nil {
		t.mu.Lock()
		defer t.mu.Unlock()
		version := int64(1)
		if len(t.snapshots) > 0 {
			version = t.snapshots[0].version + 1
		}
		t.snapshots = []snapshot{{math.MinInt64, t.o.File.Path, version}}
		return true, nil
	}
	var found []snapshot
	err := t.o.From.List(ctx, t.pattern.prefix, func(name string) error {
		if from, ok := t.pattern.timeOf(name); ok {
			found = append(found, snapshot{from, name, from})
		}
		return nil
	})
	if err != nil {
		return false, fmt.Errorf("looking for snapshots of reference data %s: %w", t.o.File.Name, err)
	}
	slices.SortFunc(found, func(a, b snapshot) int { return cmp.Or(cmp.Compare(a.from, b.from), cmp.Compare(a.name, b.name)) })
	found = slices.CompactFunc(found, func(a, b snapshot) bool { return a.from == b.from })
	t.mu.Lock()
	defer t.mu.Unlock()
	fresh := !slices.Equal(found, t.snapshots)
	t.snapshots = found
	return fresh, nil
}

// At implements exec.Reference.
func (t *Table) At(ticks int64) (rows []value.Value, version int64, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i, exact := slices.BinarySearchFunc(t.snapshots, ticks, func(s snapshot, at int64) int { return cmp.Compare(s.from, at) })
	if !exact {
		i--
	}
	if i < 0 {
		return nil, math.MinInt64, nil
	}
	s := t.snapshots[i]
	for j, l := range t.loaded {
		if l.version == s.version {
			copy(t.loaded[1:j+1], t.loaded[:j])
			t.loaded[0] = l
			return l.rows, l.version, nil
		}
	}
	if rows, err = t.read(s.name); err != nil {
		return nil, 0, fmt.Errorf("reference data %s: %w", t.o.File.Name, err)
	}
	t.loaded = slices.Insert(t.loaded, 0, loaded{s.version, rows})
	t.loaded = t.loaded[:min(len(t.loaded), keep)]
	return rows, s.version, nil
}

// From is when the first snapshot begins to hold; false if there is only one
// file, which always holds.
func (t *Table) From() (int64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pattern == nil || len(t.snapshots) == 0 {
		return 0, false
	}
	return t.snapshots[0].from, true
}

// read reads a snapshot into memory.
func (t *Table) read(name string) (rows []value.Value, err error) {
	f := t.o.File
	f.Path = name
	r, err := files.Open(f, func(path string) (io.ReadCloser, error) { return t.o.From.Open(context.Background(), path) })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	size := int64(0)
	for {
		rec, err := r.Next()
		if err == io.EOF {
			return rows, nil
		}
		if err == nil {
			err = rec.Err
		}
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, rec.Line, err)
		}
		v, err := value.ParseAt(slices.Clone(rec.JSON), t.o.Level)
		if err != nil {
			return nil, fmt.Errorf("%s:%d: %w", name, rec.Line, err)
		}
		if v.Kind() != value.Record {
			return nil, fmt.Errorf("%s:%d: a row must be a JSON object, not %s", name, rec.Line, v.Kind())
		}
		if size += int64(len(rec.JSON)) + 64; size > t.o.MaxBytes {
			return nil, fmt.Errorf("%s takes more than %d MB of memory", name, t.o.MaxBytes>>20)
		}
		rows = append(rows, v)
	}
}

// machine is the files of this machine.
type machine struct{}

func (machine) Open(_ context.Context, name string) (io.ReadCloser, error) {
	f, err := os.Open(filepath.FromSlash(name))
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		_ = f.Close()
		return nil, files.Misuse("say where date and time stand in the path, as in "+strings.TrimSuffix(name, "/")+"/{date}/{time}/rates.csv", "%s is a folder", name)
	}
	return f, nil
}

func (machine) List(ctx context.Context, prefix string, fn func(name string) error) error {
	dir := "."
	if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
		dir = prefix[:i+1]
	}
	err := filepath.WalkDir(filepath.FromSlash(dir), func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil || d.IsDir() {
			return err
		}
		if name := filepath.ToSlash(p); strings.HasPrefix(name, prefix) {
			return fn(name)
		}
		return nil
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
