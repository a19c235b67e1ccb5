package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"

	"millrace/connector/blob"
	"millrace/connector/delta/data"
	"millrace/connector/internal/filequery"
	"millrace/record"
)

// The ends of files' names.
const (
	suffixParquet = ".parquet"
	suffixJSONL   = ".jsonl"
	suffixGzip    = ".jsonl.gz"
)

// suffix is how the names of the files end that this configuration writes.
func (c *Config) suffix() string {
	switch {
	case c.Format == Parquet:
		return suffixParquet
	case c.codec() == gzipped:
		return suffixGzip
	}
	return suffixJSONL
}

// noteEnd is the key under which a Parquet file says where it ends.
const noteEnd = "millrace.end"

// encoder makes files. It is safe for concurrent use.
type encoder struct {
	suffix  string
	parquet sync.Pool // of *data.EventWriter
	gzip    sync.Pool // of *gzip.Writer
	lines   sync.Pool // of *[]byte
}

func newEncoder(c *Config) (*encoder, error) {
	e := &encoder{suffix: c.suffix()}
	options := data.WriterOptions{Compression: c.codec(), StatsColumns: 0}
	if e.suffix == suffixParquet {
		w, err := data.NewEventWriter(data.Table{}, nil, options)
		if err != nil {
			return nil, err
		}
		e.parquet.Put(w)
	}
	e.parquet.New = func() any {
		// The same options were good before.
		w, _ := data.NewEventWriter(data.Table{}, nil, options)
		return w
	}
	e.gzip.New = func() any {
		w, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // a level that there is
		return w
	}
	e.lines.New = func() any { return new([]byte) }
	return e, nil
}

// encode writes the file that holds the results at the indexes, of which there
// is at least one, and that ends at the position end.
func (e *encoder) encode(to *bytes.Buffer, results []record.Result, indexes []int32, storedAt, end int64) error {
	switch e.suffix {
	case suffixParquet:
		w := e.parquet.Get().(*data.EventWriter)
		defer e.parquet.Put(w)
		w.Reset(to)
		w.Note(noteEnd, strconv.FormatInt(end, 10))
		if err := w.WriteSome(results, indexes, storedAt); err != nil {
			return err
		}
		_, err := w.Finish()
		return err
	case suffixGzip:
		w := e.gzip.Get().(*gzip.Writer)
		defer e.gzip.Put(w)
		w.Reset(to)
		if err := e.writeLines(w, results, indexes, storedAt, end); err != nil {
			return err
		}
		return w.Close()
	}
	return e.writeLines(to, results, indexes, storedAt, end)
}

// linesAtOnce is about how many bytes of lines are gathered before they are
// compressed.
const linesAtOnce = 64 << 10

func (e *encoder) writeLines(to io.Writer, results []record.Result, indexes []int32, storedAt, end int64) error {
	buf := e.lines.Get().(*[]byte)
	defer e.lines.Put(buf)
	b := (*buf)[:0]
	for k, i := range indexes {
		next := results[i].Offset + 1
		if k == len(indexes)-1 {
			next = end
		}
		b = appendLine(b, &results[i], storedAt, next)
		if len(b) >= linesAtOnce || k == len(indexes)-1 {
			if _, err := to.Write(b); err != nil {
				return err
			}
			b = b[:0]
		}
	}
	*buf = b
	return nil
}

// errBroken says that a file is not one of this package's, or has been changed.
var errBroken = errors.New("the file was not written by this store, or was changed")

// endOf reads where a file ends. Reading a gzip file takes reading all of it.
func endOf(ctx context.Context, b blob.Bucket, o object) (end int64, err error) {
	switch o.suffix {
	case suffixParquet:
		end, err = endOfParquet(&ranged{ctx, b, o.name}, o.size)
	case suffixJSONL:
		end, err = endOfLines(&ranged{ctx, b, o.name}, o.size)
	default:
		err = readLines(ctx, b, o, "", func(l *line) error {
			end = l.next
			return nil
		})
	}
	if err == nil && end <= o.start {
		err = fmt.Errorf("%w: it starts at %d and ends at %d", errBroken, o.start, end)
	}
	if err != nil {
		return 0, fmt.Errorf("reading the end of %s in %s: %w", o.name, b.Describe(), err)
	}
	return end, nil
}

func endOfParquet(r io.ReaderAt, size int64) (int64, error) {
	f, err := data.Open(r, size)
	if err != nil {
		return 0, err
	}
	text, ok := f.Note(noteEnd)
	if !ok {
		return 0, fmt.Errorf("%w: its metadata has no %s", errBroken, noteEnd)
	}
	end, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: its %s is %q", errBroken, noteEnd, text)
	}
	return end, nil
}

// endOfLines reads the last line, from the end of the file.
func endOfLines(r io.ReaderAt, size int64) (int64, error) {
	for stretch := int64(16 << 10); ; stretch *= 4 {
		stretch = min(stretch, size)
		tail := make([]byte, stretch)
		if _, err := r.ReadAt(tail, size-stretch); err != nil && !errors.Is(err, io.EOF) {
			return 0, err
		}
		text, ended := bytes.CutSuffix(tail, []byte("\n"))
		if !ended {
			return 0, fmt.Errorf("%w: its last line has no end", errBroken)
		}
		at := bytes.LastIndexByte(text, '\n')
		if at < 0 && stretch < size {
			continue
		}
		var l line
		if err := l.parse(text[at+1:]); err != nil {
			return 0, err
		}
		return l.next, nil
	}
}

// ranged reads parts of an object.
type ranged struct {
	ctx    context.Context
	bucket blob.Bucket
	name   string
}

// ReadAt implements io.ReaderAt.
func (r *ranged) ReadAt(p []byte, off int64) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	body, _, err := r.bucket.Get(r.ctx, r.name, blob.Range{Offset: off, Length: int64(len(p))})
	if err != nil {
		return 0, err
	}
	defer body.Close()
	n, err := io.ReadFull(body, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

// readObject calls fn with every row of a file; the value is reused.
func readObject(ctx context.Context, b blob.Bucket, o object, scratch string, fn func(*record.Stored) error) error {
	var s record.Stored
	var err error
	if o.suffix == suffixParquet {
		err = readParquet(ctx, b, o, scratch, fn)
	} else {
		err = readLines(ctx, b, o, scratch, func(l *line) error {
			if err := l.stored(&s); err != nil {
				return err
			}
			return fn(&s)
		})
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("reading %s in %s: %w", o.name, b.Describe(), err)
	}
	return err
}

func readParquet(ctx context.Context, b blob.Bucket, o object, scratch string, fn func(*record.Stored) error) error {
	r, closer, err := filequery.Open(ctx, b, filequery.Wanted{Name: o.name, Size: o.size}, scratch)
	if err != nil {
		return err
	}
	f, err := data.Open(r, o.size)
	if err == nil {
		err = f.ReadEvents(ctx, nil, nil, fn)
	}
	return errors.Join(err, closer())
}
