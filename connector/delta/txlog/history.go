package txlog

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Version is one entry of a table's history.
type Version struct {
	Version int64
	// Time is when it was written, by the storage's clock, as AtTime
	// counts it.
	Time time.Time
	Info CommitInfo
	// Added and Removed are the numbers of files.
	Added, Removed int
}

// History calls fn for the versions that the log has, the newest first, until
// limit (0: no limit), and returns the first error of fn as it is.
//
// Errors: ErrNoTable, *CorruptError, those of the bucket.
func (t *Table) History(ctx context.Context, limit int, fn func(Version) error) error {
	l, err := t.list(ctx, -1)
	if err != nil {
		return err
	}
	if l.newest() < 0 {
		return fmt.Errorf("%w in %s", ErrNoTable, t.where())
	}
	n := 0
	for _, v := range slices.Backward(l.times()) {
		if limit > 0 && n == limit {
			return nil
		}
		c, err := t.readCommit(ctx, v.version)
		if isNotFound(err) {
			return nil // cleaned up meanwhile, and all before it
		}
		if err != nil {
			return err
		}
		out := Version{Version: v.version, Time: v.time, Info: c.info}
		for _, f := range c.files {
			if f.add != nil {
				out.Added++
			} else {
				out.Removed++
			}
		}
		if err := fn(out); err != nil {
			return err
		}
		n++
	}
	return nil
}
