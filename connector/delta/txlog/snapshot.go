package txlog

import (
	"fmt"
	"iter"
	"maps"
	"time"
)

// Snapshot is the table at one version. It never changes and is safe for
// concurrent use; snapshots of neighbouring versions share most of their
// memory.
type Snapshot struct {
	// Version is that of the newest commit in it.
	Version int64
	// Time is when that commit was written, by the storage's clock.
	Time     time.Time
	Protocol Protocol
	Metadata *Metadata

	files   layers[*Add]
	removed layers[*Remove]
	txns    layers[Txn]
	domains map[string]domain
	size    int64
	// vectors is the number of files with a deletion vector. Only replay
	// sees snapshots with any: they are not handed out.
	vectors int

	// etag is that of the newest commit's object: if it is another one,
	// someone has made a new table in the same place.
	etag string
	// checkpoint is the newest version known to have a checkpoint; -1.
	checkpoint int64
	// unknown is a column type that is not known; see commit.
	unknown error
	// cannotWrite is why nothing can be written, "" if it can.
	cannotWrite string
}

// Files yields the files that the table consists of, in no particular order.
func (s *Snapshot) Files() iter.Seq[*Add] {
	return func(yield func(*Add) bool) {
		for _, a := range s.files.all() {
			if !yield(a) {
				return
			}
		}
	}
}

// File returns the file at that (decoded) path, if the table has it.
func (s *Snapshot) File(path string) (*Add, bool) { return s.files.get(path) }

// NumFiles is the number of Files.
func (s *Snapshot) NumFiles() int { return s.files.len() }

// Size is how many bytes the files have together.
func (s *Snapshot) Size() int64 { return s.size }

// Tombstones yields the files that were removed and that the log still
// remembers, in no particular order. A file that was removed and is back is not
// among them.
func (s *Snapshot) Tombstones() iter.Seq[*Remove] {
	return func(yield func(*Remove) bool) {
		for _, r := range s.removed.all() {
			if !yield(r) {
				return
			}
		}
	}
}

// Tombstone returns the removal of the file at that (decoded) path.
func (s *Snapshot) Tombstone(path string) (*Remove, bool) { return s.removed.get(path) }

// Txn is how far the application has written; ok is false if it never has.
func (s *Snapshot) Txn(appID string) (version int64, ok bool) {
	t, ok := s.txns.get(appID)
	return t.Version, ok
}

// Txns yields how far each application has written.
func (s *Snapshot) Txns() iter.Seq[Txn] {
	return func(yield func(Txn) bool) {
		for _, t := range s.txns.all() {
			if !yield(t) {
				return
			}
		}
	}
}

// newSnapshot returns the state before version 0, to be replayed on.
func newSnapshot() *Snapshot {
	return &Snapshot{Version: -1, checkpoint: -1, files: newLayers[*Add](), removed: newLayers[*Remove](), txns: newLayers[Txn]()}
}

// finish ends replaying: from now on the snapshot does not change.
func (s *Snapshot) finish(table string, now time.Time) (*Snapshot, error) {
	if err := s.checkTable(table); err != nil {
		return nil, err
	}
	s.files.seal()
	s.removed.seal()
	s.txns.seal()
	return s.forget(now), nil
}

// Checkpoint is the newest version known to have a checkpoint; ok is false if
// none is known.
func (s *Snapshot) Checkpoint() (version int64, ok bool) { return s.checkpoint, s.checkpoint >= 0 }

// apply returns the snapshot after commit c, which must be that of the next
// version. table is for errors.
func (s *Snapshot) apply(c *commit, table string) (*Snapshot, error) {
	if c.version != s.Version+1 {
		return nil, fmt.Errorf("reading %s: version %d cannot follow version %d", table, c.version, s.Version)
	}
	out := *s
	out.Version, out.Time, out.etag = c.version, c.time, c.etag
	if !out.Time.After(s.Time) {
		// Time travel needs times that grow, whatever clocks do.
		out.Time = s.Time.Add(time.Millisecond)
	}
	if c.protocol != nil {
		out.Protocol = *c.protocol
	}
	if c.metadata != nil {
		out.Metadata = c.metadata
	}
	if c.metadata != nil {
		out.unknown = c.unknown
	}
	// While replaying, what matters is what the table ends up with.
	if (c.protocol != nil || c.metadata != nil) && !s.files.private {
		if err := out.checkTable(table); err != nil {
			return nil, err
		}
	}
	if len(c.files) > 0 {
		many := len(c.files)*8 > s.files.len()
		out.files = s.files.change(many)
		out.removed = s.removed.change(len(c.files)*8 > s.removed.len())
		for _, f := range c.files {
			out.file(f)
		}
		if !s.files.private {
			out.files.seal()
			out.removed.seal()
		}
	}
	if len(c.txns) > 0 {
		out.txns = s.txns.change(false)
		for _, t := range c.txns {
			out.txns.set(t.AppID, t)
		}
		if !s.txns.private {
			out.txns.seal()
		}
	}
	if len(c.domains) > 0 {
		out.domains = maps.Clone(s.domains)
		if out.domains == nil {
			out.domains = map[string]domain{}
		}
		for _, d := range c.domains {
			if d.Removed {
				delete(out.domains, d.Domain)
			} else {
				out.domains[d.Domain] = d
			}
		}
	}
	return &out, nil
}

// file applies an add or a remove to a snapshot under construction.
func (s *Snapshot) file(f fileAction) {
	switch {
	case f.add != nil:
		key := f.add.key()
		s.dropFile(key)
		s.size += f.add.Size
		if f.add.vector != "" {
			s.vectors++
		}
		s.files.set(key, f.add)
		s.removed.drop(key)
	case f.remove != nil:
		key := f.remove.key()
		s.dropFile(key)
		s.removed.set(key, f.remove)
	}
}

func (s *Snapshot) dropFile(key string) {
	if old, ok := s.files.get(key); ok {
		s.size -= old.Size
		if old.vector != "" {
			s.vectors--
		}
		s.files.drop(key)
	}
}

// check returns an error if the snapshot must not be handed out.
func (s *Snapshot) check(table string) error {
	if s.vectors > 0 {
		return &UnsupportedError{Table: table, Doing: "read",
			Why: fmt.Sprintf("%d of its files have deletion vectors, which are not supported; REORG TABLE ... APPLY (PURGE) removes them", s.vectors)}
	}
	return nil
}

// Writable returns an *UnsupportedError if the table, as it is in s, asks for
// more of its writers than this package knows. It is for who does much before a
// commit, or deletes files: Commit checks it by itself.
func (t *Table) Writable(s *Snapshot) error {
	if s.cannotWrite == "" {
		return nil
	}
	return &UnsupportedError{Table: t.Describe(), Doing: "write to", Why: s.cannotWrite}
}

// checkTable looks at what the table asks of its readers and writers. Only
// what readers have to know is an error here.
func (s *Snapshot) checkTable(table string) error {
	if why := cannotRead(s.Protocol, s.Metadata); why != "" {
		return &UnsupportedError{Table: table, Doing: "read", Why: why}
	}
	if s.unknown != nil {
		return &UnsupportedError{Table: table, Doing: "read", Why: s.unknown.Error()}
	}
	s.cannotWrite = cannotWrite(s.Protocol, s.Metadata)
	return nil
}

// forget returns the snapshot without tombstones older than the retention, so
// that they do not pile up in memory. A reader of the log from its start would
// still see them, but nothing may depend on them.
func (s *Snapshot) forget(now time.Time) *Snapshot {
	before := now.Add(-s.Metadata.FileRetention()).UnixMilli()
	old := 0
	for _, r := range s.removed.all() {
		if r.Deleted < before {
			old++
		}
	}
	if old == 0 {
		return s
	}
	out := *s
	out.removed = layers[*Remove]{base: make(map[string]*Remove, s.removed.len()-old)}
	for path, r := range s.removed.all() {
		if r.Deleted >= before {
			out.removed.base[path] = r
		}
	}
	out.removed.n = len(out.removed.base)
	return &out
}

func (s *Snapshot) String() string {
	return fmt.Sprintf("version %d with %d files", s.Version, s.files.len())
}
