package capture

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"millrace/connector/blob"

	"github.com/cespare/xxhash/v2"
)

// endInterval ends a window whose interval is over at a time t that lies behind
// it, and begins the one that t is in. Windows that passed while nobody watched
// (the service was stopped, the storage or the log away) and that have no events
// leave no files.
func (a *archive) endInterval(ctx context.Context, t time.Time) error {
	n := max(1, t.Sub(a.st.Start)/a.set.interval)
	next := a.st.Start.Add(n * a.set.interval)
	if a.file == nil && n > 1 {
		return a.skip(next)
	}
	return a.end(ctx, next)
}

// skip goes on to the window that begins at next, without a file.
func (a *archive) skip(next time.Time) error {
	a.st.Start = next
	return a.states.save(&a.st)
}

// end ends the window: its file is put into the bucket, and the next window
// begins.
func (a *archive) end(ctx context.Context, next time.Time) error {
	if a.file == nil {
		if a.set.skipEmpty {
			return a.skip(next)
		}
		if err := a.begin(a.set.codec); err != nil {
			return err
		}
	}
	if err := a.file.finish(); err != nil {
		return fmt.Errorf("writing to %s: %w", a.path(), err)
	}
	a.st.Pending = &pending{Container: a.set.container, Format: a.set.format, Codec: a.set.codec,
		Named: a.nextName(), To: a.pos, NextStart: next,
		Events: a.file.events, Size: a.file.size, Hash: a.file.sum()}
	if err := a.name(); err != nil {
		return err
	}
	return a.put(ctx)
}

// nextName is the second that the next file shows: that in which its window
// began, or the next one that is free. A name is never used twice, and names
// are in the order of events.
func (a *archive) nextName() time.Time {
	t := a.st.Start.UTC().Truncate(time.Second)
	if free := a.st.Last.Add(time.Second); !a.st.Last.IsZero() && t.Before(free) {
		return free
	}
	return t
}

// name gives the pending file its name, and writes down what is pending.
func (a *archive) name() error {
	p := a.st.Pending
	f, err := parseFormat(p.Format)
	if err != nil {
		return err
	}
	p.Name = f.name(a.namespace, a.hub, a.partition, p.Named)
	return a.states.save(&a.st)
}

// put puts the file at hand, which is the pending one, into the bucket, and
// tries until it is there.
func (a *archive) put(ctx context.Context) error {
	for {
		bucket, err := a.storage(a.st.Pending.Container)
		if err == nil {
			_, err = blob.PutFileNew(ctx, bucket, a.st.Pending.Name, a.path())
		}
		if errors.Is(err, blob.ErrExists) {
			// Ours, if an answer got lost. Else another's: the next
			// second is for us.
			var ours bool
			if ours, err = a.isThere(ctx, bucket); err == nil && !ours {
				if err := a.rename(); err != nil {
					return err
				}
				continue
			}
		}
		if err == nil {
			return a.complete()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !a.rest(ctx, "writing "+a.st.Pending.Name, err) {
			return ctx.Err()
		}
	}
}

func (a *archive) rename() error {
	p := a.st.Pending
	a.logger.Warn("another file has the name of a Capture file; taking the next second", "name", p.Name)
	p.Named = p.Named.Add(time.Second)
	return a.name()
}

// isThere tells whether the bucket holds the pending file. If another has its
// name, or none, it is false.
func (a *archive) isThere(ctx context.Context, bucket blob.Bucket) (bool, error) {
	p := a.st.Pending
	r, info, err := bucket.Get(ctx, p.Name, blob.Range{})
	if err != nil {
		return false, err
	}
	defer r.Close()
	if info.Size != p.Size {
		return false, nil
	}
	h := xxhash.New()
	if _, err := io.Copy(h, r); err != nil {
		return false, fmt.Errorf("reading %s back: %w", p.Name, err)
	}
	return h.Sum64() == p.Hash, nil
}

// complete goes on to the next window: the pending file is in the bucket.
func (a *archive) complete() error {
	p := a.st.Pending
	next := a.st
	next.Pending = nil
	next.Next, next.Start, next.Last = p.To, p.NextStart, p.Named
	next.Files++
	next.Events += p.Events
	next.Bytes += p.Size
	next.LastName = p.Name
	if err := a.states.save(&next); err != nil {
		return err
	}
	a.st = next
	a.dropFile()
	// It may be an object by now, which stays under its other name.
	if err := os.Remove(a.path()); err != nil && !errors.Is(err, os.ErrNotExist) {
		a.logger.Warn("a file that is in the archive now cannot be removed", "error", err)
	}
	a.well()
	a.tell()
	return nil
}

// settle finishes what was pending when the service ended: if the file is in
// the bucket, that was all; else it is made again.
func (a *archive) settle(ctx context.Context) error {
	p := a.st.Pending
	bucket, err := a.storage(p.Container)
	if err != nil {
		return err
	}
	ours, err := a.isThere(ctx, bucket)
	switch {
	case err == nil && ours:
		return a.complete()
	case err != nil && !errors.Is(err, blob.ErrNotFound):
		return err
	}
	a.pos = a.st.Next
	if err := a.begin(p.Codec); err != nil {
		return err
	}
	if err := a.refill(ctx); err != nil {
		return err
	}
	if err := a.file.finish(); err != nil {
		return fmt.Errorf("writing to %s: %w", a.path(), err)
	}
	if a.file.size != p.Size || a.file.sum() != p.Hash {
		// Events have expired since, or this is another version of the
		// program: nobody has seen the other bytes.
		a.logger.Warn("a Capture file is not what it would have been before the restart", "name", p.Name,
			"events", a.file.events, "before", p.Events)
		p.Events, p.Size, p.Hash = a.file.events, a.file.size, a.file.sum()
		if err := a.states.save(&a.st); err != nil {
			return err
		}
	}
	return a.put(ctx)
}

// refill reads the events of the pending file again.
func (a *archive) refill(ctx context.Context) error {
	to := a.st.Pending.To
	for a.pos < to {
		for len(a.batch) > 0 && a.pos < to {
			e := &a.batch[0]
			if e.sequence > a.pos {
				if err := a.missing(ctx, min(e.sequence, to)); err != nil {
					return err
				}
			}
			if e.sequence >= to {
				a.pos = to
				break
			}
			if err := a.write(e); err != nil {
				return err
			}
			a.batch = a.batch[1:]
		}
		if a.pos >= to {
			break
		}
		if all, err := a.reached(ctx, to); err != nil {
			return err
		} else if all {
			if err := a.missing(ctx, to); err != nil {
				return err
			}
			a.pos = to
			break
		}
		if err := a.wait(ctx, time.Now().Add(lookAgain)); err != nil {
			return err
		}
	}
	return nil
}
