package delta

import (
	"context"
	"errors"
	"fmt"
	"os"

	"millrace/connector/blob"
	"millrace/connector/delta/data"
	"millrace/connector/delta/txlog"
	"millrace/connector/internal/filequery"
)

// opened is a data file that is being read.
type opened struct {
	*data.File
	close func() error
}

// open opens a file of the table.
func (t *Table) open(ctx context.Context, a *txlog.Add) (o opened, err error) {
	name, err := t.log.Object(a.Path)
	if err != nil {
		return o, err
	}
	r, closer, err := filequery.Open(ctx, t.bucket, filequery.Wanted{Name: name, Size: a.Size}, filequery.ScratchIn(t.env.DataDir))
	if err != nil {
		return o, t.unreadable(a, err)
	}
	o.close = closer
	if o.File, err = data.Open(r, a.Size); err != nil {
		return o, errors.Join(t.unreadable(a, err), closer())
	}
	return o, nil
}

func (t *Table) unreadable(a *txlog.Add, err error) error {
	if errors.Is(err, blob.ErrNotFound) || errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("it is missing (%w): VACUUM has deleted it, or somebody else", err)
	}
	return fmt.Errorf("file %s of %s: %w", a.Path, t.Describe(), err)
}
