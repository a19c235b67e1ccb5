package txlog

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"millrace/connector/blob"
)

// keepEvery is how far checkpoints are apart that are kept for as long as the
// log: those in between only make time travel faster.
const keepEvery = 1000

// CleanUp deletes what the log does not need any more, and returns how many
// objects that were. All versions of the last delta.logRetentionDuration stay
// readable, as do the newest one and its checkpoint; checkpoints in between are
// thinned out after delta.checkpointRetentionDuration. It does not delete
// files with rows: VACUUM does.
//
// Errors: as Snapshot; *UnsupportedError for tables that must not be written to.
func (t *Table) CleanUp(ctx context.Context) (deleted int, err error) {
	s, err := t.Snapshot(ctx)
	if err != nil {
		return 0, err
	}
	if err := t.Writable(s); err != nil {
		return 0, err
	}
	l, err := t.list(ctx, -1)
	if err != nil {
		return 0, err
	}
	names, err := t.dispensable(ctx, l, s.Metadata)
	if err != nil {
		return 0, err
	}
	// Oldest first: whatever is left if this ends halfway is a log that
	// begins later, without gaps.
	for _, name := range names {
		if err := t.bucket.Delete(ctx, name); err != nil {
			return deleted, fmt.Errorf("cleaning up the log of %s: %w", t.Describe(), err)
		}
		deleted++
	}
	return deleted, nil
}

// dispensable returns the names of what can be deleted, oldest first.
func (t *Table) dispensable(ctx context.Context, l *listing, m *Metadata) ([]string, error) {
	// The first version that must stay readable: the newest that was
	// written before the retention, as it was the table's state then.
	before := t.now().Add(-m.LogRetention())
	needed := int64(-1)
	for _, v := range l.times() {
		if v.time.After(before) && needed >= 0 {
			break
		}
		needed = v.version
		if v.time.After(before) {
			break
		}
	}
	base, err := t.baseFor(ctx, l, needed)
	if err != nil || base < 0 {
		return nil, err
	}
	var gone []logObject
	for _, o := range slices.Concat(l.commits, l.rest) {
		if o.version < base {
			gone = append(gone, o)
		}
	}
	thin := t.now().Add(-m.checkpointRetention())
	kept, reach := base, l.reach(base)
	for i, c := range l.checkpoints {
		old := i+1 < len(l.checkpoints) && c.parts[0].info.Modified.Before(thin)
		if c.version < base || old && c.version > base && c.version < kept+keepEvery && c.version <= reach {
			gone = append(gone, c.parts...)
			continue
		}
		kept = c.version
	}
	slices.SortStableFunc(gone, func(a, b logObject) int { return int(a.version - b.version) })
	names := make([]string, len(gone))
	for i, o := range gone {
		names[i] = o.info.Name
	}
	return names, nil
}

// reach is the last version up to which all commits after from are there.
func (l *listing) reach(from int64) int64 {
	i, ok := slices.BinarySearchFunc(l.commits, from, func(o logObject, v int64) int { return int(o.version - v) })
	if ok {
		i++
	}
	for ; i < len(l.commits) && l.commits[i].version == from+1; i++ {
		from++
	}
	return from
}

// baseFor returns the version of the newest checkpoint from which version
// needed can be reached, and which was tried, as all before it will be gone; -1
// if there is none.
func (t *Table) baseFor(ctx context.Context, l *listing, needed int64) (int64, error) {
	for _, c := range slices.Backward(l.checkpoints) {
		if c.version > needed {
			continue
		}
		if l.reach(c.version) < l.newest() {
			continue
		}
		err := t.tryCheckpoint(ctx, c)
		if err == nil {
			return c.version, nil
		}
		if _, ok := errors.AsType[*CorruptError](err); !ok && !errors.Is(err, blob.ErrNotFound) {
			return 0, err
		}
	}
	return -1, nil
}
