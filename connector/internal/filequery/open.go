package filequery

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"millrace/connector/blob"
)

// inMemory is the size up to which a file of a storage account is read into
// memory; a larger one goes to a temporary file.
const inMemory = 32 << 20

// Open makes a file readable in any order. What does not fit into memory is
// kept in scratch, "" being the system's folder for temporary files. It fails if
// the file has another size.
func Open(ctx context.Context, b blob.Bucket, w Wanted, scratch string) (io.ReaderAt, func() error, error) {
	if path, ok := blob.LocalPath(b, w.Name); ok {
		f, err := os.Open(path)
		if err != nil {
			return nil, nil, err
		}
		st, err := f.Stat()
		if err == nil && st.Size() != w.Size {
			err = fmt.Errorf("it has %d bytes, not the %d that are expected", st.Size(), w.Size)
		}
		if err != nil {
			return nil, nil, errors.Join(err, f.Close())
		}
		return f, f.Close, nil
	}
	c := Cache{Bucket: b}
	if w.Size <= inMemory {
		b := bytes.NewBuffer(make([]byte, 0, w.Size))
		_, err := c.Read(ctx, w, b)
		return bytes.NewReader(b.Bytes()), func() error { return nil }, err
	}
	f, err := os.CreateTemp(scratch, "file-")
	if err != nil {
		return nil, nil, err
	}
	// It needs no name, and goes away with the process at the latest.
	err = os.Remove(f.Name())
	if err == nil {
		_, err = c.Read(ctx, w, f)
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, f.Close, nil
}

// ScratchIn is the folder for temporary files: the data folder if it is there,
// else "" for that of the system.
func ScratchIn(dataDir string) string {
	if _, err := os.Stat(dataDir); err != nil {
		return ""
	}
	return dataDir
}
