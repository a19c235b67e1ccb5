package delta

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"millrace/connector/delta/txlog"
)

// OptimizeOptions say what OPTIMIZE merges.
type OptimizeOptions struct {
	// TargetSize is the size of the files that it makes, in bytes; 0: as
	// the solution says, else 128 MB. Larger files are left alone.
	TargetSize int64
}

// Optimized says what OPTIMIZE has done.
type Optimized struct {
	// Version is that of the table afterwards.
	Version      int64 `json:"version"`
	FilesRemoved int   `json:"filesRemoved"`
	BytesRemoved int64 `json:"bytesRemoved"`
	FilesAdded   int   `json:"filesAdded"`
	BytesAdded   int64 `json:"bytesAdded"`
	// NumFiles is how many files the table has now.
	NumFiles int `json:"numFiles"`
	// Commits it took, and how many more were lost to writers that removed
	// the same files.
	Commits   int `json:"commits"`
	Conflicts int `json:"conflicts"`
}

// maxConflicts is how often OPTIMIZE starts again when others remove the files
// that it has merged.
const maxConflicts = 10

// Optimize merges small files, those of one partition with each other, into
// files of about the target size. The rows stay what they are, so that readers
// of the stream of changes need not look, and writers are not in its way: each
// merge is a commit that only fails if somebody else removes one of its files.
// The merged files go with VACUUM.
func (t *Table) Optimize(ctx context.Context, o OptimizeOptions) (*Optimized, error) {
	if o.TargetSize == 0 {
		o.TargetSize = int64(t.cfg.TargetFileSize)
	}
	done := &Optimized{}
	for {
		snap, err := t.snapshot(ctx, "OPTIMIZE")
		if err != nil {
			return nil, err
		}
		if err := t.log.Writable(snap); err != nil {
			return nil, fmt.Errorf("OPTIMIZE: %w", err)
		}
		done.Version, done.NumFiles = snap.Version, snap.NumFiles()
		conflict := false
		for _, bin := range bins(snap, o.TargetSize) {
			err := t.merge(ctx, snap, bin, o.TargetSize, done)
			var c *txlog.ConflictError
			if errors.As(err, &c) {
				conflict = true
				break
			}
			if err != nil {
				return nil, fmt.Errorf("OPTIMIZE of %s: %w", t.Describe(), err)
			}
		}
		if !conflict {
			return done, nil
		}
		if done.Conflicts++; done.Conflicts > maxConflicts {
			return nil, fmt.Errorf("OPTIMIZE of %s: others remove the same files all the time", t.Describe())
		}
	}
}

// bins are groups of small files to merge, each of one partition and of about
// the target size together.
func bins(snap *txlog.Snapshot, target int64) [][]*txlog.Add {
	var out [][]*txlog.Add
	for _, files := range partitions(snap, target) {
		// Files of about the same age go together: the statistics of
		// time stay narrow.
		slices.SortFunc(files, func(a, b *txlog.Add) int {
			return cmp.Or(cmp.Compare(a.Modified, b.Modified), cmp.Compare(a.Path, b.Path))
		})
		var bin []*txlog.Add
		size := int64(0)
		flush := func() {
			if len(bin) > 1 {
				out = append(out, bin)
			}
			bin, size = nil, 0
		}
		for _, a := range files {
			if size+a.Size > target {
				flush()
			}
			bin, size = append(bin, a), size+a.Size
		}
		flush()
	}
	return out
}

// partitions are the files below a size, by partition, in a stable order. Files
// that are named by whole addresses belong to another table.
func partitions(snap *txlog.Snapshot, below int64) [][]*txlog.Add {
	byKey := map[string][]*txlog.Add{}
	var keys []string
	for a := range snap.Files() {
		if a.Size >= below || a.Absolute() {
			continue
		}
		key := partitionKey(a.PartitionValues)
		if byKey[key] == nil {
			keys = append(keys, key)
		}
		byKey[key] = append(byKey[key], a)
	}
	slices.Sort(keys)
	var out [][]*txlog.Add
	for _, key := range keys {
		out = append(out, byKey[key])
	}
	return out
}

// merge rewrites files of one partition as larger ones and commits that. On an
// error nothing has changed.
func (t *Table) merge(ctx context.Context, snap *txlog.Snapshot, bin []*txlog.Add, target int64, done *Optimized) error {
	adds, err := t.rewrite(ctx, snap, bin, target)
	if err != nil {
		return err
	}
	now := time.Now()
	c := txlog.Change{Operation: "OPTIMIZE", Add: adds, Parameters: map[string]string{"predicate": "[]", "auto": "false",
		"targetSize": strconv.FormatInt(target, 10)}}
	before, after := int64(0), int64(0)
	for _, a := range bin {
		c.Remove = append(c.Remove, a.Remove(now, false))
		before += a.Size
	}
	for _, a := range adds {
		after += a.Size
	}
	c.Metrics = map[string]string{"numAddedFiles": strconv.Itoa(len(adds)), "numRemovedFiles": strconv.Itoa(len(bin)),
		"numAddedBytes": strconv.FormatInt(after, 10), "numRemovedBytes": strconv.FormatInt(before, 10)}
	next, err := t.log.Commit(ctx, snap, c)
	var conflict *txlog.ConflictError
	if errors.As(err, &conflict) {
		t.discard(ctx, adds)
	}
	if err != nil {
		return err
	}
	done.Version, done.NumFiles = next.Version, next.NumFiles()
	done.FilesRemoved += len(bin)
	done.BytesRemoved += before
	done.FilesAdded += len(adds)
	done.BytesAdded += after
	done.Commits++
	return nil
}

// discard deletes files that are known not to be a part of the table. Those
// that it does not get are left to VACUUM.
func (t *Table) discard(ctx context.Context, adds []*txlog.Add) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanup)
	defer cancel()
	var errs []error
	for _, a := range adds {
		errs = append(errs, t.bucket.Delete(ctx, t.log.Prefix()+a.Path))
	}
	if err := errors.Join(errs...); err != nil && t.env.Log != nil {
		t.env.Log.Debug("files that are not in the table were not deleted", "table", t.Describe(), "error", err)
	}
}
