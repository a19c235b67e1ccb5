package run

import (
	"context"
	"sync"
	"time"

	"millrace/connector"
	"millrace/ingest"
	"millrace/internal/metrics"
	"millrace/record"
	"millrace/verify"
)

// archived is a store that a service fills by itself, and that can say how far
// it is.
type archived interface {
	// Positions returns the next sequence number of each partition that the
	// archive does not hold yet.
	Positions(ctx context.Context) (map[int32]int64, error)
	// ScanRaw reads back everything that the log had, copies and malformed
	// inputs included.
	ScanRaw(ctx context.Context, fn func(*record.Batch) error) error
}

// watchArchive is how often the archive is asked how far it is. Listing it
// costs requests, and its windows are seconds at least.
const watchArchive = time.Second

// capturing watches the log's service write its events to an archive: the
// work between log and store is the service's own (Event Hubs Capture).
type capturing struct {
	archive archived
	backlog *ingest.Backlog

	mu        sync.Mutex
	positions map[int32]int64
}

func newCapturing(log connector.Log, archive archived) *capturing {
	return &capturing{archive: archive, backlog: ingest.NewBacklog(log)}
}

// run implements processing.
func (c *capturing) run(ctx context.Context) error {
	for {
		if err := c.look(ctx); err != nil && ctx.Err() == nil && !away(err) {
			return err
		}
		select {
		case <-time.After(watchArchive):
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *capturing) look(ctx context.Context) error {
	positions, err := c.archive.Positions(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.positions = positions
	return nil
}

func (c *capturing) at() map[int32]int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.positions
}

// ready implements processing: the service works already.
func (c *capturing) ready(context.Context, int) {}

// drained implements processing: the last windows close by themselves.
func (c *capturing) drained(ctx context.Context) error {
	for {
		behind, _, err := c.backlog.Measure(ctx, c.at())
		switch {
		case err != nil && !away(err):
			return err
		case err == nil && behind == 0:
			return nil
		}
		select {
		case <-time.After(watchArchive / 4):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// sample implements processing. Nothing lies between reading and storing.
func (c *capturing) sample(ctx context.Context, s *metrics.Sample) {
	positions := c.at()
	for _, p := range positions {
		s.Stored += p
	}
	s.Processed = s.Stored
	if s.Phase == metrics.Verifying {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if behind, total, err := c.backlog.Measure(ctx, positions); err == nil {
		s.Backlog, s.LogEntries = behind, total
	}
}

// measured implements processing.
func (c *capturing) measured(*verify.Measured) {}
