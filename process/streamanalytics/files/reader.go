package files

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/klauspost/compress/gzip"
)

// Record is one record of a file as JSON text.
type Record struct {
	// JSON is the text; it stays as it is until the next call of Next. It may
	// be no valid JSON: the engine finds that out and counts it.
	JSON []byte
	// Line is where the record begins, counted from 1: a line of a text, a
	// row of a binary format.
	Line int64
	// Err says why the record could not be read although the file goes on
	// behind it. JSON then is what was there, for people.
	Err error
}

// Reader reads the records of a file one by one, in bounded memory.
type Reader interface {
	// Next returns the next record, io.EOF behind the last one. Other errors
	// mean that the file can not be read further.
	Next() (Record, error)
	io.Closer
}

// maxRecord is the longest record that a reader takes, in bytes.
const maxRecord = 256 << 20

// Opener opens the files of a run by their paths.
type Opener func(path string) (io.ReadCloser, error)

// openFile opens a file of the machine.
func openFile(path string) (io.ReadCloser, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		_ = f.Close()
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("it is a folder")}
	}
	return f, nil
}

// OpenRaw opens a file for reading what is in it. An error says in a sentence
// what is wrong with the path.
func OpenRaw(path string, open Opener) (io.ReadCloser, error) {
	if open == nil {
		open = openFile
	}
	in, err := open(path)
	if err != nil {
		return nil, fileProblem(path, err)
	}
	return in, nil
}

// Open opens a file for reading its records.
func Open(f File, open Opener) (Reader, error) {
	in, err := OpenRaw(f.Path, open)
	if err != nil {
		return nil, err
	}
	r, err := newReader(f, in)
	if err != nil {
		return nil, errors.Join(err, in.Close())
	}
	return r, nil
}

func newReader(f File, in io.ReadCloser) (Reader, error) {
	format, delimiter, compressed := f.resolved()
	body := &owned{Reader: in, closers: []io.Closer{in}}
	if compressed {
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, Misuse("its name ends in .gz", "%s is not compressed with gzip: %w", f.Path, err)
		}
		body.Reader, body.closers = z, append(body.closers, z)
	}
	switch format {
	case CSV:
		return newCSVReader(f.Path, body, delimiter)
	case Avro:
		return newAvroReader(f.Path, body)
	case Parquet:
		return newParquetReader(f.Path, in, body, compressed)
	}
	return newJSONReader(f.Path, body), nil
}

// owned is a reader with all that is to be closed after it.
type owned struct {
	io.Reader
	closers []io.Closer
}

func (o *owned) Close() error {
	var errs []error
	for i := len(o.closers) - 1; i >= 0; i-- {
		errs = append(errs, o.closers[i].Close())
	}
	return errors.Join(errs...)
}

// fileProblem says in one sentence why a file could not be opened.
func fileProblem(path string, err error) error {
	if use := (*UseError)(nil); errors.As(err, &use) {
		return err
	}
	if errors.Is(err, fs.ErrNotExist) {
		return Misuse("", "there is no file %s", path)
	}
	if errors.Is(err, fs.ErrPermission) {
		return Misuse("", "%s may not be read", path)
	}
	if p := (*fs.PathError)(nil); errors.As(err, &p) {
		err = p.Err
	}
	return Misuse("", "%s can not be read: %w", path, err)
}

// bom takes the mark of UTF-8 off the front of a text; texts of another
// encoding are an error.
func bom(path string, b []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return b[3:], nil
	case bytes.HasPrefix(b, []byte("\xff\xfe")), bytes.HasPrefix(b, []byte("\xfe\xff")):
		return nil, Misuse("save it as UTF-8", "%s is not written in UTF-8 but in UTF-16", path)
	}
	return b, nil
}

// at names a place in a file.
func at(path string, line int64) string { return fmt.Sprintf("%s:%d", path, line) }
