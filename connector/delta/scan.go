package delta

import (
	"context"
	"errors"

	"millrace/connector/delta/data"
	"millrace/connector/delta/txlog"
	"millrace/connector/internal/filequery"
	"millrace/record"
)

// Scan implements connector.Store: it reads the newest version, in several files
// at once. Fingerprints are taken of the events rebuilt from the columns.
func (s *Store) Scan(ctx context.Context, fn func(*record.Stored) error) error {
	t := s.now()
	snap, err := t.snapshot(ctx, "reading "+t.Describe())
	if err != nil {
		return err
	}
	read := func(ctx context.Context, a *txlog.Add, emit func(*record.Stored) error) error {
		return t.scanFile(ctx, snap, a, emit)
	}
	return filequery.Scan(ctx, s.cfg.Threads, snap.Files(), read, fn)
}

// scanFile reads the rows of a file.
func (t *Table) scanFile(ctx context.Context, snap *txlog.Snapshot, a *txlog.Add, emit func(*record.Stored) error) error {
	f, err := t.open(ctx, a)
	if err != nil {
		return err
	}
	err = f.ReadEvents(ctx, data.MemberColumns(snap.Metadata.Schema), a.PartitionValues, emit)
	if err != nil && ctx.Err() == nil {
		err = t.unreadable(a, err)
	}
	return errors.Join(err, f.close())
}
