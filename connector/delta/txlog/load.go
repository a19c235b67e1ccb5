package txlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"millrace/connector/blob"

	"golang.org/x/sync/errgroup"
)

// behind is by how many versions a snapshot may be behind before it is cheaper
// to look for a checkpoint than to read one version after the other.
const behind = 64

// Snapshot returns the table at its newest version. It costs two or three small
// requests if nothing or little has changed since the last one.
//
// Errors: ErrNoTable, *UnsupportedError, *CorruptError, and those of the bucket.
func (t *Table) Snapshot(ctx context.Context) (*Snapshot, error) {
	if err := acquire(ctx, t.loading); err != nil {
		return nil, err
	}
	defer func() { <-t.loading }()
	if s := t.known(); s != nil {
		next, err := t.follow(ctx, s)
		if err != nil {
			return nil, err
		}
		if next != nil {
			t.learn(next, false)
			return t.handOut(next)
		}
	}
	s, err := t.load(ctx)
	if err != nil {
		return nil, err
	}
	t.learn(s, true)
	return t.handOut(s)
}

// handOut returns the snapshot, or why it must not be used.
func (t *Table) handOut(s *Snapshot) (*Snapshot, error) {
	if err := s.check(t.Describe()); err != nil {
		return nil, err
	}
	return s, nil
}

// follow reads the versions after s. It returns nil if the log has to be read
// from a checkpoint: because much has happened, because the log was cleaned up
// to beyond s, or because there is another table now.
func (t *Table) follow(ctx context.Context, s *Snapshot) (*Snapshot, error) {
	for range behind {
		c, err := t.readCommit(ctx, s.Version+1)
		if isNotFound(err) {
			same, err := t.still(ctx, s)
			if err != nil || !same {
				return nil, err
			}
			// A version that is missing while the next one is there is
			// a gap; unless both have come just now.
			if _, err := t.bucket.Stat(ctx, t.commitName(s.Version+2)); isNotFound(err) {
				return s, nil
			} else if err != nil {
				return nil, err
			}
			c, err = t.readCommit(ctx, s.Version+1)
			if isNotFound(err) {
				return nil, nil // load finds the gap, or a checkpoint beyond it
			}
			if err != nil {
				return nil, err
			}
			if s, err = s.apply(c, t.Describe()); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, err
		}
		if s, err = s.apply(c, t.Describe()); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// still tells whether the object of the snapshot's version is the one that it
// was made from.
func (t *Table) still(ctx context.Context, s *Snapshot) (bool, error) {
	info, err := t.bucket.Stat(ctx, t.commitName(s.Version))
	if isNotFound(err) {
		return s.etag == "", nil // never had one: there was a checkpoint only
	}
	return err == nil && (s.etag == "" || etag(info) == s.etag), err
}

// listing is what the log's folder holds.
type listing struct {
	// commits are by version, growing.
	commits []logObject
	// checkpoints are those that are complete, by version, growing.
	checkpoints []checkpointObjects
	// rest are checksums and incomplete checkpoints.
	rest []logObject
}

type logObject struct {
	object
	info blob.Info
}

type checkpointObjects struct {
	version int64
	parts   []logObject
}

// newest is the highest version in it, -1 if there is none.
func (l *listing) newest() int64 {
	v := int64(-1)
	if n := len(l.commits); n > 0 {
		v = l.commits[n-1].version
	}
	if n := len(l.checkpoints); n > 0 {
		v = max(v, l.checkpoints[n-1].version)
	}
	return v
}

// commit returns the object of a version.
func (l *listing) commit(version int64) (logObject, bool) {
	i, ok := slices.BinarySearchFunc(l.commits, version, func(o logObject, v int64) int { return int(o.version - v) })
	if !ok {
		return logObject{}, false
	}
	return l.commits[i], true
}

// span is how many versions are listed at once if it is known where to start:
// a log of a month of commits every second has millions of objects.
const span = 10_000

// list reads the log's folder, from a version on that is known to have been
// there, or everything if from is negative.
func (t *Table) list(ctx context.Context, from int64) (*listing, error) {
	var all []logObject
	folder := t.prefix + logFolder
	read := func(prefix string) (found bool, err error) {
		err = t.bucket.List(ctx, folder+prefix, func(i blob.Info) error {
			o := parseName(i.Name[len(folder):])
			if o.kind != foreign && o.version >= from {
				all = append(all, logObject{o, i})
				found = true
			}
			return nil
		})
		if err != nil {
			err = fmt.Errorf("listing the log of %s: %w", t.Describe(), err)
		}
		return found, err
	}
	if from < 0 {
		if _, err := read(""); err != nil {
			return nil, err
		}
		return sortListing(all), nil
	}
	for block := from / span; ; block++ {
		found, err := read(fmt.Sprintf("%016d", block))
		if err != nil {
			return nil, err
		}
		if !found {
			return sortListing(all), nil
		}
	}
}

func sortListing(all []logObject) *listing {
	l := &listing{}
	type group struct{ version, parts int64 }
	groups := map[group][]logObject{}
	for _, o := range all {
		switch o.kind {
		case isCommit:
			l.commits = append(l.commits, o)
		case isCheckpoint:
			g := group{o.version, o.parts}
			groups[g] = append(groups[g], o)
		default:
			l.rest = append(l.rest, o)
		}
	}
	for g, parts := range groups {
		if int64(len(parts)) != g.parts {
			l.rest = append(l.rest, parts...)
			continue
		}
		l.checkpoints = append(l.checkpoints, checkpointObjects{g.version, parts})
	}
	slices.SortFunc(l.commits, func(a, b logObject) int { return int(a.version - b.version) })
	// Of several checkpoints of one version that in fewer parts is tried
	// first: the loop goes backwards.
	slices.SortFunc(l.checkpoints, func(a, b checkpointObjects) int {
		if a.version != b.version {
			return int(a.version - b.version)
		}
		return len(b.parts) - len(a.parts)
	})
	return l
}

// load reads the newest version by way of the newest checkpoint.
func (t *Table) load(ctx context.Context) (*Snapshot, error) {
	return t.retryGone(func(first bool) (*Snapshot, error) {
		// The pointer is a hint: where it leads nowhere, everything is
		// listed.
		if hint, ok := t.lastCheckpoint(ctx); ok && first {
			l, err := t.list(ctx, hint)
			if err != nil {
				return nil, err
			}
			if len(l.checkpoints) > 0 {
				s, err := t.replay(ctx, l, l.newest())
				if _, broken := errors.AsType[*CorruptError](err); !broken {
					return s, err
				}
			}
		}
		l, err := t.list(ctx, -1)
		if err != nil {
			return nil, err
		}
		if l.newest() < 0 {
			return nil, fmt.Errorf("%w in %s", ErrNoTable, t.where())
		}
		return t.replay(ctx, l, l.newest())
	})
}

// where names the table's place, for errors that say that there is no table.
func (t *Table) where() string {
	if t.prefix == "" {
		return t.bucket.Describe()
	}
	return t.prefix[:len(t.prefix)-1] + " in " + t.bucket.Describe()
}

// retryGone repeats fn if an object that had been listed is gone: another
// writer has cleaned the log up meanwhile.
func (t *Table) retryGone(fn func(first bool) (*Snapshot, error)) (*Snapshot, error) {
	var s *Snapshot
	var err error
	for i := range 3 {
		s, err = fn(i == 0)
		if !isNotFound(err) {
			return s, err
		}
	}
	return nil, fmt.Errorf("reading the log of %s, of which objects vanish all the time: %w", t.Describe(), err)
}

// At returns the table at an earlier version, or the newest.
//
// Errors: ErrNoVersion if the log does not have it (any more), and those of
// Snapshot.
func (t *Table) At(ctx context.Context, version int64) (*Snapshot, error) {
	if s := t.known(); s != nil && s.Version == version {
		if same, err := t.still(ctx, s); err == nil && same {
			return t.handOut(s)
		}
	}
	return t.retryGone(func(bool) (*Snapshot, error) {
		l, err := t.list(ctx, -1)
		if err != nil {
			return nil, err
		}
		return t.at(ctx, l, version)
	})
}

func (t *Table) at(ctx context.Context, l *listing, version int64) (*Snapshot, error) {
	newest := l.newest()
	if newest < 0 {
		return nil, fmt.Errorf("%w in %s", ErrNoTable, t.where())
	}
	oldest := l.oldest()
	if version > newest || version < oldest {
		return nil, fmt.Errorf("%w: %s has versions %d to %d, not %d", ErrNoVersion, t.Describe(), max(oldest, 0), newest, version)
	}
	s, err := t.replay(ctx, l, version)
	if err != nil {
		return nil, err
	}
	return t.handOut(s)
}

// oldest is the first version from which on the log can be replayed: 0, or that
// of a checkpoint.
func (l *listing) oldest() int64 {
	if len(l.commits) > 0 && l.commits[0].version == 0 {
		return 0
	}
	if len(l.checkpoints) > 0 {
		return l.checkpoints[0].version
	}
	return 0 // which is missing, as replaying finds
}

// AtTime returns the table as it was at a time: the last version that was
// written then or before.
//
// Errors: as At; ErrNoVersion if the log begins later.
func (t *Table) AtTime(ctx context.Context, at time.Time) (*Snapshot, error) {
	return t.retryGone(func(bool) (*Snapshot, error) {
		l, err := t.list(ctx, -1)
		if err != nil {
			return nil, err
		}
		if l.newest() < 0 {
			return nil, fmt.Errorf("%w in %s", ErrNoTable, t.where())
		}
		oldest := l.oldest()
		version := int64(-1)
		for _, v := range l.times() {
			if v.version < oldest {
				continue
			}
			if v.time.After(at) {
				if version < 0 {
					return nil, fmt.Errorf("%w: the log of %s begins with version %d of %s", ErrNoVersion, t.Describe(), v.version,
						v.time.UTC().Format(time.RFC3339Nano))
				}
				break
			}
			version = v.version
		}
		if version < 0 {
			return nil, fmt.Errorf("%w: the log of %s does not tell when versions were written", ErrNoVersion, t.Describe())
		}
		s, err := t.at(ctx, l, version)
		if err == nil && s.Metadata.flag("delta.enableInCommitTimestamps", false) {
			return nil, &UnsupportedError{Table: t.Describe(), Doing: "travel in time in",
				Why: "its commits carry their own times (delta.enableInCommitTimestamps); name a version instead"}
		}
		return s, err
	})
}

type versionTime struct {
	version int64
	time    time.Time
}

// times returns when versions were written, made to grow: clocks of storages
// go back at times, versions do not.
func (l *listing) times() []versionTime {
	out := make([]versionTime, len(l.commits))
	for i, c := range l.commits {
		out[i] = versionTime{c.version, c.info.Modified}
		if i > 0 && !out[i].time.After(out[i-1].time) {
			out[i].time = out[i-1].time.Add(time.Millisecond)
		}
	}
	return out
}

// replay returns the state at a version that the listing has: from the newest
// checkpoint up to there that can be read, and the commits after it.
func (t *Table) replay(ctx context.Context, l *listing, version int64) (*Snapshot, error) {
	var broken error
	for _, c := range slices.Backward(l.checkpoints) {
		if c.version > version {
			continue
		}
		s, err := t.readCheckpoint(ctx, c)
		if err == nil {
			return t.replayFrom(ctx, l, s, version)
		}
		if _, ok := errors.AsType[*CorruptError](err); !ok {
			return nil, err
		}
		// An earlier checkpoint, or the commits alone, say the same.
		t.opts.Log.Warn("a checkpoint cannot be read; going on without it", "error", err)
		broken = errors.Join(broken, err)
	}
	s, err := t.replayFrom(ctx, l, newSnapshot(), version)
	if err != nil && broken != nil {
		if _, ok := errors.AsType[*CorruptError](err); ok {
			return nil, broken
		}
	}
	return s, err
}

// replayFrom applies the versions after s.
func (t *Table) replayFrom(ctx context.Context, l *listing, s *Snapshot, version int64) (*Snapshot, error) {
	if o, ok := l.commit(s.Version); ok && s.Time.IsZero() {
		s.Time = o.info.Modified
	}
	for v := s.Version + 1; v <= version; v++ {
		if _, ok := l.commit(v); !ok {
			return nil, &CorruptError{Object: t.commitName(v), Missing: true, Err: fmt.Errorf("version %d is there", version)}
		}
	}
	if s.Version == version && s.etag == "" {
		if info, err := t.bucket.Stat(ctx, t.commitName(version)); err == nil {
			s.etag = etag(info)
		} else if !isNotFound(err) {
			return nil, err
		}
	}
	const window = 32
	for s.Version < version {
		n := min(window, version-s.Version)
		commits := make([]*commit, n)
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(8)
		for i := range n {
			g.Go(func() (err error) {
				commits[i], err = t.readCommit(gctx, s.Version+1+i)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		for _, c := range commits {
			if s.Version < 0 && (c.protocol == nil || c.metadata == nil) {
				return nil, &CorruptError{Object: t.commitName(0), Err: errors.New("the first version has no protocol or no metaData action")}
			}
			next, err := s.apply(c, t.Describe())
			if err != nil {
				return nil, err
			}
			s = next
		}
	}
	return s.finish(t.Describe(), t.now())
}
