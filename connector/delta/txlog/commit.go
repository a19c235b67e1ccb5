package txlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
)

// Change is what a commit does, and what it was decided on.
type Change struct {
	// Operation is what the log calls it: WRITE, STREAMING UPDATE, DELETE,
	// OPTIMIZE, SET TBLPROPERTIES, ADD COLUMNS, UPGRADE PROTOCOL ...
	Operation string
	// Parameters and Metrics are for people; texts.
	Parameters, Metrics map[string]string

	// Add are files that are there already, each path once, with a value
	// for each partition column. Remove are files of the base snapshot,
	// made by Add.Remove.
	Add    []*Add
	Remove []*Remove
	// Txns are how far applications have got with this commit, each once.
	Txns []Txn
	// Metadata is the new description of the table, a changed copy of the
	// base's, or nil.
	Metadata *Metadata
	// Protocol is the new protocol, or nil.
	Protocol *Protocol

	// ReadsAll says that the change depends on all rows of the table,
	// ReadsFiles that it depends on those of some files (by path), besides
	// those in Remove. ReadsTxns are applications whose Txn it depends on,
	// besides those in Txns. A change that reads nothing is never in
	// conflict with what others write, except to Txns.
	ReadsAll   bool
	ReadsFiles []string
	ReadsTxns  []string
}

// Create makes a table: version 0. The protocol is that of readers of version 1
// and writers of version 2. The operation is what the log calls it, usually
// CREATE TABLE.
//
// Errors: ErrTableExists, a plain error if no table can be like that, those of
// the bucket, and an unclear outcome as in Commit.
func (t *Table) Create(ctx context.Context, m Metadata, operation string) (*Snapshot, error) {
	if m.ID == "" {
		m.ID = newID()
	}
	if m.Created == 0 {
		m.Created = t.now().UnixMilli()
	}
	if err := checkMetadata(&m); err != nil {
		return nil, fmt.Errorf("creating %s: %w", t.Describe(), err)
	}
	p := newProtocol
	if why := cannotWrite(p, &m); why != "" {
		return nil, fmt.Errorf("creating %s: %s", t.Describe(), why)
	}
	if err := acquire(ctx, t.committing); err != nil {
		return nil, err
	}
	defer func() { <-t.committing }()
	// Version 0 may be gone from a table that is there.
	switch _, err := t.Snapshot(ctx); {
	case err == nil:
		return nil, fmt.Errorf("%w: %s", ErrTableExists, t.Describe())
	case !errors.Is(err, ErrNoTable):
		return nil, err
	}
	c := &commit{protocol: &p, metadata: &m, info: t.info(&Change{Operation: operation})}
	c.info.BlindAppend = true
	won, err := t.put(ctx, c, -1)
	if err != nil {
		return nil, err
	}
	if won != nil {
		return nil, fmt.Errorf("%w: %s", ErrTableExists, t.Describe())
	}
	s, err := newSnapshot().apply(c, t.Describe())
	if err == nil {
		s, err = s.finish(t.Describe(), t.now())
	}
	if err != nil {
		return nil, err
	}
	t.learn(s, true)
	return s, nil
}

func checkMetadata(m *Metadata) error {
	if m.Schema == nil {
		return errors.New("a table needs a schema")
	}
	if err := m.Schema.Check(); err != nil {
		return err
	}
	for i, name := range m.PartitionColumns {
		if f, ok := m.Schema.Field(name); !ok || f.Name != name {
			return fmt.Errorf("there is no partition column %s", name)
		}
		for _, other := range m.PartitionColumns[:i] {
			if other == name {
				return fmt.Errorf("partition column %s is named twice", name)
			}
		}
	}
	if len(m.PartitionColumns) == len(m.Schema.Fields) {
		return errors.New("all columns are partition columns, so that the files would have none")
	}
	for _, key := range sortedKeys(m.Configuration) {
		if err := CheckProperty(key, m.Configuration[key]); err != nil {
			return err
		}
	}
	return nil
}

func (t *Table) info(ch *Change) CommitInfo {
	return CommitInfo{Timestamp: t.now().UnixMilli(), Operation: ch.Operation, Parameters: ch.Parameters, Metrics: ch.Metrics,
		Engine: t.opts.Engine, TxnID: newID()}
}

// Commit makes the next version of the table, which base is a snapshot of. If
// others were faster, it takes the version after theirs, unless what they did
// contradicts the change. It returns the snapshot with the change and with all
// that came before it.
//
// The files of the change must be complete and durable. They stay where they
// are if the commit fails.
//
// Errors: *ConflictError; *UnsupportedError for tables that must not be written
// to; a *connector.Error with the action Retry if nothing was written, or, with
// an *UnclearError inside, if that is not known; context errors, after which it
// is not known either; a plain error for a change that makes no sense. In all
// cases the log is whole, and it alone tells what has happened.
func (t *Table) Commit(ctx context.Context, base *Snapshot, ch Change) (*Snapshot, error) {
	if err := t.Writable(base); err != nil {
		return nil, err
	}
	if err := ch.check(base); err != nil {
		return nil, fmt.Errorf("committing to %s: %w", t.Describe(), err)
	}
	if err := acquire(ctx, t.committing); err != nil {
		return nil, err
	}
	defer func() { <-t.committing }()
	r := newReads(&ch, base.Metadata)
	c := &commit{protocol: ch.Protocol, metadata: ch.Metadata, txns: ch.Txns, info: t.info(&ch)}
	c.info.BlindAppend = r.blind() && len(ch.Add) > 0 && ch.Metadata == nil && ch.Protocol == nil
	c.info.IsolationLevel = isolation(r, len(ch.Add)+len(ch.Remove))
	c.files = make([]fileAction, 0, len(ch.Add)+len(ch.Remove))
	for _, f := range ch.Remove {
		c.files = append(c.files, fileAction{remove: f})
	}
	for _, f := range ch.Add {
		c.files = append(c.files, fileAction{add: f})
	}
	s, err := t.rebase(ctx, base, r)
	if err != nil {
		return nil, err
	}
	for lost := 0; ; lost++ {
		c.version = s.Version + 1
		winner, err := t.put(ctx, c, base.Version)
		if err != nil {
			return nil, err
		}
		if winner == nil {
			break
		}
		if s, err = t.pass(ctx, s, winner, r); err != nil {
			return nil, err
		}
		if lost >= 3 {
			// Many want the same: not all at the same moment.
			wait := time.Duration(rand.Int64N(int64(5*time.Millisecond) << min(lost, 6)))
			if err := sleep(ctx, wait); err != nil {
				return nil, err
			}
		}
	}
	out, err := s.apply(c, t.Describe())
	if err != nil {
		return nil, err
	}
	t.learn(out, false)
	t.maintain(out)
	return out, nil
}

// isolation is the level that the log names for the commit: rearranging rows
// needs less.
func isolation(r *reads, files int) string {
	switch {
	case files > 0 && !r.dataChange:
		return "SnapshotIsolation"
	case r.serializable:
		return "Serializable"
	}
	return "WriteSerializable"
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// rebase brings the base up to what is known of the log, so that the first
// attempt has a chance, and makes sure that the table is still the same.
func (t *Table) rebase(ctx context.Context, base *Snapshot, r *reads) (*Snapshot, error) {
	s := base
	if !t.confirmed(base) {
		// Someone may have put another table there, in which a commit
		// at our version would leave a gap.
		newest := t.newer(base)
		same, err := t.still(ctx, newest)
		switch {
		case err != nil:
			return nil, err
		case same:
			t.learn(newest, false)
		default:
			if err := t.reload(ctx); err != nil {
				return nil, err
			}
		}
	}
	if k := t.known(); k != nil && (k.Metadata.ID != base.Metadata.ID || k.Version < base.Version) {
		return nil, fmt.Errorf("%s is not the table that was read: it was deleted and made anew, or put back to an earlier version", t.Describe())
	}
	for latest := t.newer(base); s.Version < latest.Version; {
		w, err := t.readCommit(ctx, s.Version+1)
		if err != nil {
			return nil, t.lost(err, base)
		}
		if conflict := r.conflict(w); conflict != nil {
			return nil, conflict
		}
		if s.Version+1 == latest.Version {
			s = latest
			break
		}
		if s, err = s.apply(w, t.Describe()); err != nil {
			return nil, err
		}
	}
	// Others may have put vectors on files since: what follows from here
	// must not be taken for a table without.
	return s, s.check(t.Describe())
}

// newer returns the newest known snapshot, at least base.
func (t *Table) newer(base *Snapshot) *Snapshot {
	if s := t.known(); s != nil && s.Version > base.Version {
		return s
	}
	return base
}

// reload forgets what is known and reads the log anew.
func (t *Table) reload(ctx context.Context) error {
	s, err := t.load(ctx)
	if err != nil {
		return err
	}
	t.learn(s, true)
	return nil
}

// lost is the error for a base that is so old that the versions after it are
// gone, or for any other error of reading those.
func (t *Table) lost(err error, base *Snapshot) error {
	if !isNotFound(err) {
		return err
	}
	return &ConflictError{Kind: ConflictRead, Winner: base.Version + 1, What: "the log does not have that version any more",
		Info: CommitInfo{Operation: "unknown"}}
}

// pass returns the state after winner, and after those that have come since, if
// the change goes together with them.
func (t *Table) pass(ctx context.Context, s *Snapshot, winner *commit, r *reads) (*Snapshot, error) {
	for {
		if conflict := r.conflict(winner); conflict != nil {
			return nil, conflict
		}
		next, err := s.apply(winner, t.Describe())
		if err != nil {
			return nil, err
		}
		s = next
		t.learn(s, false)
		winner, err = t.readCommit(ctx, s.Version+1)
		if isNotFound(err) {
			return s, s.check(t.Describe())
		}
		if err != nil {
			return nil, err
		}
	}
}

// putAttempts bounds how often one version is tried while the storage does not
// answer; the caller goes on from there.
const putAttempts = 4

// put creates the object of c's version. If another writer has it already, it
// returns what that one did. Time and etag of c are set if it is ours.
func (t *Table) put(ctx context.Context, c *commit, readVersion int64) (winner *commit, err error) {
	body, err := c.encode(readVersion)
	if err != nil {
		return nil, err
	}
	name := t.commitName(c.version)
	open := false // whether an attempt may still turn out to have been made
	for attempt := 0; ; attempt++ {
		info, err := t.bucket.PutNew(ctx, name, bytes.NewReader(body))
		if err == nil {
			c.time, c.etag = info.Modified, etag(info)
			return nil, nil
		}
		if !errors.Is(err, blob.ErrExists) && !open && connector.ActionOf(err) != connector.Retry && ctx.Err() == nil {
			return nil, err // refused: no right, no such folder ...
		}
		w, rerr := t.readCommit(ctx, c.version)
		switch {
		case rerr == nil && w.info.TxnID == c.info.TxnID:
			c.time, c.etag = w.time, w.etag
			return nil, nil
		case rerr == nil:
			return w, nil
		case !isNotFound(rerr):
			if _, ok := errors.AsType[*CorruptError](rerr); ok {
				return nil, rerr
			}
		}
		open = true
		if ctx.Err() != nil || attempt+1 >= putAttempts {
			return nil, unclear(c.version, c.info.TxnID, err)
		}
		if err := sleep(ctx, 50*time.Millisecond<<(2*attempt)); err != nil {
			return nil, unclear(c.version, c.info.TxnID, err)
		}
	}
}

// check returns an error if the change makes no sense on base.
func (ch *Change) check(base *Snapshot) error {
	m := base.Metadata
	if ch.Metadata != nil {
		m = ch.Metadata
		if err := checkMetadata(m); err != nil {
			return err
		}
		if m.ID != base.Metadata.ID || strings.Join(m.PartitionColumns, "\n") != strings.Join(base.Metadata.PartitionColumns, "\n") {
			return errors.New("the id and the partition columns of a table do not change")
		}
	}
	p := base.Protocol
	if ch.Protocol != nil {
		if p = *ch.Protocol; p.MinReader < base.Protocol.MinReader || p.MinWriter < base.Protocol.MinWriter {
			return errors.New("the protocol of a table does not go back")
		}
		if err := checkProtocol(p); err != nil {
			return err
		}
	}
	for _, why := range []string{cannotRead(p, m), cannotWrite(p, m)} {
		if why != "" {
			return fmt.Errorf("the table would be one that cannot be written to: %s", why)
		}
	}
	if err := ch.checkFiles(base, m); err != nil {
		return err
	}
	txns := map[string]bool{}
	for _, x := range ch.Txns {
		if x.AppID == "" || txns[x.AppID] {
			return fmt.Errorf("application %q is named twice, or has no name", x.AppID)
		}
		txns[x.AppID] = true
	}
	return nil
}

func (ch *Change) checkFiles(base *Snapshot, m *Metadata) error {
	seen := make(map[string]bool, len(ch.Add)+len(ch.Remove))
	once := func(path string) error {
		if path == "" || seen[path] {
			return fmt.Errorf("file %q is named twice, or has no name", path)
		}
		seen[path] = true
		return nil
	}
	for _, a := range ch.Add {
		if err := once(a.Path); err != nil {
			return err
		}
		if _, there := base.files.get(a.key()); there || isAbsolute(a.Path) || a.Size < 0 {
			return fmt.Errorf("file %s cannot be added: it is a part of the table, outside of it, or of no size", a.Path)
		}
		if len(a.PartitionValues) != len(m.PartitionColumns) {
			return fmt.Errorf("file %s has values of %d partition columns, the table has %d", a.Path, len(a.PartitionValues), len(m.PartitionColumns))
		}
		for _, name := range m.PartitionColumns {
			if _, ok := a.PartitionValues[name]; !ok {
				return fmt.Errorf("file %s has no value of partition column %s", a.Path, name)
			}
		}
	}
	for _, f := range ch.Remove {
		if err := once(f.Path); err != nil {
			return err
		}
		if _, there := base.files.get(f.key()); !there {
			return fmt.Errorf("file %s cannot be removed: it is no part of the table", f.Path)
		}
		if f.DataChange && m.AppendOnly() {
			return &connector.Hinted{Hint: "unset the property " + PropAppendOnly,
				Err: errors.New("the table is append-only: rows are only added to it")}
		}
	}
	return nil
}

// Clone returns a copy that may be changed, for Change.Metadata.
func (m *Metadata) Clone() *Metadata {
	out := *m
	out.Configuration = maps.Clone(m.Configuration)
	if out.Configuration == nil {
		out.Configuration = map[string]string{}
	}
	return &out
}
