package run

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"millrace/connector"
	"millrace/connector/archive"
	"millrace/connector/eventhubs"
	"millrace/ingest"
	"millrace/internal/metrics"
	"millrace/internal/solution"
	"millrace/process"
	"millrace/record"
	"millrace/verify"
)

// archived is a store that a service fills by itself, and that can say how far
// it is.
type archived interface {
	Describe() string
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
	log     *slog.Logger
	// patience is how long a drained log may wait for its first file before
	// somebody is told.
	patience time.Duration

	mu        sync.Mutex
	positions map[int32]int64
}

func newCapturing(log connector.Log, archive archived, interval time.Duration, logger *slog.Logger) *capturing {
	return &capturing{archive: archive, backlog: ingest.NewBacklog(log), log: logger, patience: 2*interval + 30*time.Second}
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
	began, told := time.Now(), false
	for {
		behind, _, err := c.backlog.Measure(ctx, c.at())
		switch {
		case err != nil && !away(err):
			return err
		case err == nil && behind == 0:
			return nil
		case err == nil && !told && len(c.at()) == 0 && time.Since(began) > c.patience:
			told = true
			c.log.Warn("nothing that was sent is in the archive yet; is Capture enabled on the hub, and does it write to this place under these names?",
				"archive", c.archive.Describe())
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

// checkCapture refuses sections that do not fit together: the service writes
// what the store is to read.
func checkCapture(sol *solution.Solution) error {
	capture, ok := sol.Process.(*process.CaptureConfig)
	if !ok {
		return nil
	}
	log, fromHub := sol.Ingest.(*eventhubs.Config)
	store, toArchive := sol.Serve.(*archive.Config)
	switch {
	case !fromHub:
		return usage("say ingest.kind: eventhubs", "process.kind capture needs Event Hubs, not %s", sol.IngestKind)
	case !toArchive:
		return usage("say serve.kind: archive", "process.kind capture writes an archive, not %s", sol.ServeKind)
	case log.FixedHub() == "" && log.Hub != store.Hub:
		return usage("give both the same name", "ingest.hub is %q but serve.hub is %q: the archive would be another hub's", log.Hub, store.Hub)
	case capture.NameFormat != store.NameFormat:
		return usage("give both the same format", "process.nameFormat and serve.nameFormat differ: the files would not be found")
	}
	return nil
}

// fixArchive has the archive read the hub that the log's connection string
// names, if it names one: its files carry that very name.
func fixArchive(sol *solution.Solution) {
	log, fromHub := sol.Ingest.(*eventhubs.Config)
	store, toArchive := sol.Serve.(*archive.Config)
	if !fromHub || !toArchive || sol.ProcessKind != captureKind {
		return
	}
	if hub := log.FixedHub(); hub != "" {
		store.Hub, store.ExactHub = hub, true
	}
}

// needArchive refuses to wait for an archive that nobody writes: a service that
// runs elsewhere does not know of a folder of this run.
func needArchive(sol *solution.Solution) error {
	if sol.ProcessKind != captureKind || sol.Ingest.Address() == "" || sol.Serve.Address() != "" {
		return nil
	}
	return usage("set STORAGE_CONNECTION_STRING to the storage account or folder that its Capture writes to",
		"it is not known where the Capture of the configured %s writes its archive", sol.IngestKind)
}

// capturedHub refuses to make a hub in a service that this run does not set
// up: a hub made on the way has no Capture, and would never be archived.
func (s *services) capturedHub(ctx context.Context) error {
	log, ok := s.log.(interface {
		Exists(ctx context.Context) (bool, error)
	})
	if !ok {
		return nil
	}
	exists, err := log.Exists(ctx)
	if err != nil {
		return fmt.Errorf("preparing the log: %w", err)
	}
	if !exists {
		return usage("make it with Capture enabled, or have EVENTHUBS_CONNECTION_STRING name one that has it (EntityPath)",
			"%s does not exist, and Capture has to be enabled on a hub before anything is sent to it", s.log.Describe())
	}
	return nil
}
