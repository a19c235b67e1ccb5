package ingest

import (
	"context"
	"fmt"
	"sync"
)

// Ends is the part of connector.Log that tells how long the log is.
type Ends interface {
	Ends(ctx context.Context) ([]int64, error)
}

// Backlog measures how many entries the log holds past given positions. Safe
// for concurrent use.
type Backlog struct {
	log Ends

	mu    sync.Mutex
	known map[int32]int64
}

// NewBacklog starts with no position known, so that everything in the log is
// backlog.
func NewBacklog(log Ends) *Backlog { return &Backlog{log: log, known: make(map[int32]int64)} }

// Measure sums End - position over all partitions and reports it together
// with the number of entries past which nothing is left. Positions that are
// missing from the argument (a partition between two owners) keep their last
// known value.
func (b *Backlog) Measure(ctx context.Context, positions map[int32]int64) (behind, total int64, err error) {
	ends, err := b.log.Ends(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("asking the log for its end: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for p, pos := range positions {
		b.known[p] = max(b.known[p], pos)
	}
	for p, end := range ends {
		total += end
		behind += max(end-b.known[int32(p)], 0)
	}
	return behind, total, nil
}
