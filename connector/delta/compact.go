package delta

import (
	"cmp"
	"context"
	"errors"
	"math/bits"
	"slices"
	"sync"

	"millrace/connector"
	"millrace/connector/delta/txlog"
)

// background is the work that a store does besides its callers'.
type background struct {
	life context.Context //nolint:containedctx // ends what Close waits for
	end  context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	busy bool
}

func (b *background) init() { b.life, b.end = context.WithCancel(context.Background()) }

// stop ends the work and waits for its end.
func (b *background) stop() {
	b.mu.Lock()
	b.end()
	b.mu.Unlock()
	b.wg.Wait()
}

// start does fn, unless the last one is still at work, or all is over.
func (b *background) start(fn func(ctx context.Context)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.busy || b.life.Err() != nil {
		return
	}
	b.busy = true
	b.wg.Go(func() {
		fn(b.life)
		b.mu.Lock()
		b.busy = false
		b.mu.Unlock()
	})
}

// consider merges small files, if there are enough of them, while the writing
// goes on. Of several workers the owner of the first partition of the log does
// it. snap is the table after a commit.
func (s *Store) consider(snap *txlog.Snapshot) {
	if s.cfg.CompactAfter == 0 || snap.NumFiles() < s.cfg.CompactAfter {
		return
	}
	s.mu.Lock()
	epoch, ok := s.epochs[0]
	s.mu.Unlock()
	if !ok || epoch != s.apps.epoch(snap, 0) {
		return
	}
	bin := tier(snap, int64(s.cfg.TargetFileSize), s.cfg.CompactAfter)
	if bin == nil {
		return
	}
	s.background.start(func(ctx context.Context) { s.compact(ctx, snap, bin) })
}

// compact merges files. That they are still many is all that a failure means.
func (s *Store) compact(ctx context.Context, snap *txlog.Snapshot, bin []*txlog.Add) {
	var done Optimized
	err := s.now().merge(ctx, snap, bin, int64(s.cfg.TargetFileSize), &done)
	var conflict *txlog.ConflictError
	switch {
	case err == nil:
		s.env.Log.Debug("small files were merged", "table", s.Describe(), "version", done.Version,
			"files", done.FilesRemoved, "bytes", done.BytesRemoved, "into", done.FilesAdded)
	case errors.As(err, &conflict), connector.ActionOf(err) == connector.Retry, ctx.Err() != nil:
		s.env.Log.Debug("small files were not merged; they will be with the next ones", "table", s.Describe(), "error", err)
	default:
		s.env.Log.Warn("small files could not be merged", "table", s.Describe(), "error", err)
	}
}

// tier chooses files to merge: as many of about the same size, of one
// partition, as are wanted, or as fill a file of the target size. As files meet
// only their like, each row is rewritten a few times on its way to a large
// file, and not each time that something new comes.
func tier(snap *txlog.Snapshot, target int64, many int) []*txlog.Add {
	for _, files := range partitions(snap, target/2) {
		byRank := map[int][]*txlog.Add{}
		for _, a := range files {
			rank := bits.Len64(uint64(max(a.Size, 1<<14))) / 3 // eight times the size is one more
			byRank[rank] = append(byRank[rank], a)
		}
		for _, like := range byRank {
			size := int64(0)
			for _, a := range like {
				size += a.Size
			}
			if len(like) < many && (size < target || len(like) < 2) {
				continue
			}
			return oldest(like, target)
		}
	}
	return nil
}

// oldest are the oldest files that fill a file of the target size, two at least.
func oldest(files []*txlog.Add, target int64) []*txlog.Add {
	slices.SortFunc(files, func(a, b *txlog.Add) int {
		return cmp.Or(cmp.Compare(a.Modified, b.Modified), cmp.Compare(a.Path, b.Path))
	})
	size := int64(0)
	for i, a := range files {
		if size += a.Size; size > target && i >= 2 {
			return files[:i]
		}
	}
	return files
}
