package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"millrace/connector/blob"
)

// blobFiles are the objects of a container, or of a folder, as files of reference
// data. It implements refdata.Files.
type blobFiles struct{ bucket blob.Bucket }

// List implements refdata.Files.
func (b blobFiles) List(ctx context.Context, prefix string, fn func(name string) error) error {
	return b.bucket.List(ctx, prefix, func(i blob.Info) error { return fn(i.Name) })
}

// Open implements refdata.Files.
func (b blobFiles) Open(ctx context.Context, name string) (io.ReadCloser, error) {
	r, _, err := b.bucket.Get(ctx, name, blob.Range{})
	if errors.Is(err, blob.ErrNotFound) {
		err = fmt.Errorf("%s: %w", name, fs.ErrNotExist)
	}
	return r, err
}
