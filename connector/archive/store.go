package archive

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"millrace/connector"
	"millrace/connector/blob"
)

// Store is a connector.Store over a Capture archive. Safe for concurrent use.
type Store struct {
	cfg    Config
	hub    string
	names  *naming
	bucket blob.Bucket
	env    connector.Env

	mu sync.Mutex
	// ends are those of files that Positions has read: they never change.
	ends map[string]end
}

var _ connector.Store = (*Store)(nil)

// Describe implements connector.Store.
func (s *Store) Describe() string {
	return fmt.Sprintf("capture archive of hub %s in %s", s.hub, s.bucket.Describe())
}

// Traits implements connector.Store: the service appends, each file once.
func (s *Store) Traits() connector.Traits {
	return connector.Traits{Kind: connector.AppendOnce, Writers: 1, MaxRows: 1, Shared: true}
}

// Prepare implements connector.Store: it makes sure that the place can be
// reached, and creates the container if it is missing, so that Capture finds
// it.
func (s *Store) Prepare(ctx context.Context) error {
	if err := s.bucket.Prepare(ctx); err != nil {
		return fmt.Errorf("preparing %s: %w", s.Describe(), err)
	}
	return nil
}

// errReadOnly refuses what a writer wants.
var errReadOnly = &connector.Hinted{Hint: "say process.kind: capture, or choose another serve.kind",
	Err: errors.New("a capture archive is written by Event Hubs Capture only; it takes no results")}

// Claim implements connector.Store; it is refused.
func (s *Store) Claim(context.Context, string, []int32) (map[int32]int64, error) {
	return nil, errReadOnly
}

// Write implements connector.Store; it is refused.
func (s *Store) Write(context.Context, *connector.Write) (connector.Receipt, error) {
	return connector.Receipt{}, errReadOnly
}

// Drop implements connector.Store: it deletes the files of this hub, unless
// ExactHub says that the hub is not the run's: others may have sent to it, and
// nothing of it is ours to delete.
func (s *Store) Drop(ctx context.Context) error {
	if s.cfg.ExactHub {
		return nil
	}
	files, err := s.list(ctx)
	if err != nil {
		return err
	}
	for _, f := range files {
		if err := s.bucket.Delete(ctx, f.info.Name); err != nil {
			return fmt.Errorf("deleting %s of %s: %w", f.info.Name, s.Describe(), err)
		}
	}
	return nil
}

// Close implements connector.Store.
func (s *Store) Close() error { return s.bucket.Close() }
