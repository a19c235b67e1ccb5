package delta

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"millrace/connector/blob"
	"millrace/connector/delta/data"
	"millrace/connector/delta/txlog"
	"millrace/connector/internal/filequery"
)

// inMemory is the size up to which a file of a storage account is read into
// memory; a larger one goes to a temporary file.
const inMemory = 32 << 20

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
	r, closer, err := t.reader(ctx, name, a.Size)
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

// reader makes a file readable in any order.
func (t *Table) reader(ctx context.Context, name string, size int64) (io.ReaderAt, func() error, error) {
	if path, ok := blob.LocalPath(t.bucket, name); ok {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		st, err := f.Stat()
		if err == nil && st.Size() != size {
			err = fmt.Errorf("it has %d bytes, the log says %d", st.Size(), size)
		}
		if err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		return f, f.Close, nil
	}
	c := filequery.Cache{Bucket: t.bucket}
	if size <= inMemory {
		b := bytes.NewBuffer(make([]byte, 0, size))
		_, err := c.Read(ctx, filequery.Wanted{Name: name, Size: size}, b)
		return bytes.NewReader(b.Bytes()), func() error { return nil }, err
	}
	f, err := os.CreateTemp(t.scratch(), "file-")
	if err != nil {
		return nil, nil, err
	}
	// It needs no name, and goes away with the process at the latest.
	err = os.Remove(f.Name())
	if err == nil {
		_, err = c.Read(ctx, filequery.Wanted{Name: name, Size: size}, f)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, f.Close, nil
}

// scratch is the folder for temporary files: the data folder, or "" for that of
// the system.
func (t *Table) scratch() string {
	if _, err := os.Stat(t.env.DataDir); err != nil {
		return ""
	}
	return t.env.DataDir
}
