package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/parquet-go/parquet-go"
)

// File is an open Parquet file, whoever wrote it. It holds no more than its
// footer; values are read when they are asked for. It is safe for concurrent
// use if the reader it was opened with is.
type File struct {
	file   *parquet.File
	reader *errorKeeper
	size   int64
}

// BrokenError says that a file is not a Parquet file, or not one that can be
// read to its end.
type BrokenError struct{ Err error }

func (e *BrokenError) Error() string { return "the Parquet file is broken: " + e.Err.Error() }

// Unwrap returns what was found.
func (e *BrokenError) Unwrap() error { return e.Err }

// guard runs fn and makes an error of a panic: the library panics on some broken
// files.
func guard(fn func() error) (err error) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case error:
			err = &BrokenError{r}
		default:
			err = &BrokenError{fmt.Errorf("%v", r)}
		}
	}()
	return fn()
}

// broken marks an error of the library, unless it comes from reading.
func (f *File) broken(err error) error {
	if err == nil {
		return nil
	}
	if read := f.reader.failed(); read != nil {
		return fmt.Errorf("reading a Parquet file: %w", read)
	}
	return &BrokenError{err}
}

// errorKeeper remembers why reading failed, so that this is not taken for a
// broken file.
type errorKeeper struct {
	io.ReaderAt
	mu  sync.Mutex
	err error
}

func (r *errorKeeper) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.ReaderAt.ReadAt(p, off)
	if err != nil && !errors.Is(err, io.EOF) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err == nil {
			r.err = err
		}
	}
	return n, err
}

func (r *errorKeeper) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// leastFile is the size of the marks at both ends and of the footer's length.
const leastFile = 12

// Open opens a Parquet file of so many bytes. The error is a *BrokenError if it
// is none.
func Open(r io.ReaderAt, size int64) (*File, error) {
	if size < leastFile {
		return nil, &BrokenError{fmt.Errorf("it has only %d bytes", size)}
	}
	var end [8]byte
	if _, err := r.ReadAt(end[:], size-8); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("reading the end of a Parquet file: %w", err)
	}
	if string(end[4:]) == "PARE" {
		return nil, errors.New("the Parquet file is encrypted, which is not supported")
	}
	if n := int64(binary.LittleEndian.Uint32(end[:4])); string(end[4:]) != "PAR1" || n > size-leastFile {
		return nil, &BrokenError{errors.New("it does not end like one")}
	}
	f := &File{size: size, reader: &errorKeeper{ReaderAt: r}}
	err := guard(func() error {
		var err error
		f.file, err = parquet.OpenFile(f.reader, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true),
			parquet.OptimisticRead(true), parquet.ReadBufferSize(64<<10))
		if err == nil {
			err = f.check()
		}
		return f.broken(err)
	})
	if err != nil {
		return nil, err
	}
	return f, nil
}

// check looks whether the footer speaks of this file.
func (f *File) check() error {
	m := f.file.Metadata()
	rows := int64(0)
	for g := range m.RowGroups {
		group := &m.RowGroups[g]
		if group.NumRows < 0 {
			return fmt.Errorf("row group %d has %d rows", g, group.NumRows)
		}
		rows += group.NumRows
		for c := range group.Columns {
			chunk := &group.Columns[c].MetaData
			start := chunk.DataPageOffset
			if chunk.DictionaryPageOffset > 0 {
				start = min(start, chunk.DictionaryPageOffset)
			}
			if start < 0 || chunk.TotalCompressedSize < 0 || chunk.TotalCompressedSize > f.size-start || chunk.NumValues < 0 {
				return fmt.Errorf("column %v of row group %d lies outside of the file", chunk.PathInSchema, g)
			}
			if group.Columns[c].FilePath != "" {
				return fmt.Errorf("column %v of row group %d is in another file", chunk.PathInSchema, g)
			}
			if first := &m.RowGroups[0].Columns[c].MetaData; first.Codec != chunk.Codec {
				return fmt.Errorf("column %v is compressed by %v in one row group and by %v in another, which is not supported",
					chunk.PathInSchema, first.Codec, chunk.Codec)
			}
		}
	}
	if rows != m.NumRows {
		return fmt.Errorf("it has %d rows, its row groups have %d", m.NumRows, rows)
	}
	return nil
}

// Rows is the number of rows.
func (f *File) Rows() int64 { return f.file.NumRows() }

// Note returns what the file's metadata says under a key, as EventWriter.Note
// put it there.
func (f *File) Note(key string) (value string, ok bool) { return f.file.Lookup(key) }
