package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
)

// file is one object of the archive.
type file struct {
	info      blob.Info
	partition int32
	window    time.Time
	// number is its place in the listing it came from.
	number int
}

// emptySize is the size up to which a file of Capture cannot hold a record:
// a header and an empty block.
const emptySize = 508

// list finds the hub's files, in the order of partitions and windows.
func (s *Store) list(ctx context.Context) ([]*file, error) {
	var files []*file
	namespaces := make(map[string]bool)
	err := s.bucket.List(ctx, s.names.prefix, func(i blob.Info) error {
		if p, ok := s.names.parse(i.Name); ok {
			files = append(files, &file{info: i, partition: p.partition, window: p.window})
			namespaces[p.namespace] = true
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing %s: %w", s.Describe(), err)
	}
	if len(namespaces) > 1 {
		names := make([]string, 0, len(namespaces))
		for n := range namespaces {
			names = append(names, n)
		}
		slices.Sort(names)
		return nil, &connector.Hinted{Hint: "set namespace of the archive to one of them",
			Err: fmt.Errorf("%s holds a hub %s of several namespaces: %s", s.bucket.Describe(), s.hub, strings.Join(names, ", "))}
	}
	slices.SortFunc(files, func(a, b *file) int {
		if a.partition != b.partition {
			return int(a.partition) - int(b.partition)
		}
		if c := a.window.Compare(b.window); c != 0 {
			return c
		}
		return strings.Compare(a.info.Name, b.info.Name)
	})
	for i, f := range files {
		f.number = i
	}
	return files, nil
}

// page is what is read of a file at once: the content of one block.
type page struct {
	file   *file
	layout layout
	block  block
	rest   cursor
	left   int64
	// entries are those of a foreign file, decoded already.
	entries []entry
}

// read takes the next record out of the page; false after the last.
func (p *page) read(e *entry) (bool, error) {
	if p.layout == foreign {
		if len(p.entries) == 0 {
			return false, nil
		}
		*e, p.entries = p.entries[0], p.entries[1:]
		return true, nil
	}
	if p.left == 0 {
		if len(p.rest.b) > 0 {
			return false, fmt.Errorf("reading %s: %w", p.file.info.Name, damaged("a block has bytes behind its records"))
		}
		return false, nil
	}
	p.left--
	if err := p.rest.entry(e, p.layout); err != nil {
		return false, fmt.Errorf("reading %s: %w", p.file.info.Name, err)
	}
	return true, nil
}

// fileReader reads a file page by page. Not safe for concurrent use.
type fileReader struct {
	file      *file
	body      io.ReadCloser
	container *container
	layout    layout
	foreign   *foreignReader
}

// open begins to read a file.
func (s *Store) open(ctx context.Context, f *file) (*fileReader, error) {
	body := &resuming{ctx: ctx, bucket: s.bucket, info: f.info}
	r := &fileReader{file: f, body: body}
	var err error
	if r.container, err = openContainer(body); err == nil {
		if r.layout = layoutOf(r.container.schema, r.container.codec); r.layout == foreign {
			r.foreign, err = newForeignReader(r.container)
		}
		r.container.seen = nil
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading %s in %s: %w", f.info.Name, s.bucket.Describe(), err), body.Close())
	}
	return r, nil
}

// next reads the next page, reusing its memory; io.EOF after the last.
func (r *fileReader) next(p *page) (err error) {
	p.file, p.layout, p.entries = r.file, r.layout, p.entries[:0]
	if r.layout == foreign {
		err = r.foreign.next(p)
	} else {
		err = r.container.next(&p.block)
		p.rest, p.left = cursor{b: p.block.data}, p.block.count
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("reading %s: %w", r.file.info.Name, err)
	}
	return err
}

func (r *fileReader) close() error { return r.body.Close() }

// How a read that broke off is taken up again.
const (
	resumeAttempts = 6
	resumeWait     = 250 * time.Millisecond
)

// resuming reads an object, and goes on where it was when a connection breaks.
type resuming struct {
	ctx    context.Context
	bucket blob.Bucket
	info   blob.Info
	at     int64
	body   io.ReadCloser
	failed int
}

func (r *resuming) Read(b []byte) (int, error) {
	for {
		if r.at >= r.info.Size {
			return 0, io.EOF
		}
		n, err := r.read(b)
		if n > 0 {
			r.failed = 0
			r.at += int64(n)
			return n, nil
		}
		if err == nil {
			continue
		}
		if r.failed++; r.failed >= resumeAttempts || r.ctx.Err() != nil || !mayResume(err) {
			return 0, err
		}
		if err := r.Close(); err != nil && r.ctx.Err() != nil {
			return 0, err
		}
		select {
		case <-time.After(resumeWait << r.failed):
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		}
	}
}

// read opens the object if it must and reads from it.
func (r *resuming) read(b []byte) (int, error) {
	if r.body == nil {
		body, info, err := r.bucket.Get(r.ctx, r.info.Name, blob.Range{Offset: r.at})
		if err != nil {
			return 0, err
		}
		if a, b := plainTag(info.ETag), plainTag(r.info.ETag); a != b && a != "" && b != "" {
			return 0, errors.Join(errors.New("it was replaced while it was read, which Capture never does"), body.Close())
		}
		r.body = body
	}
	n, err := r.body.Read(b)
	if n == 0 && errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// plainTag is an ETag without quotes: the service lists it without, and answers
// with them.
func plainTag(tag string) string { return strings.Trim(tag, `"`) }

// mayResume tells whether another attempt may help: the service says so, or a
// connection ended before the object did.
func mayResume(err error) bool {
	return connector.ActionOf(err) == connector.Retry || errors.Is(err, io.ErrUnexpectedEOF)
}

// Close may be called more than once.
func (r *resuming) Close() error {
	if r.body == nil {
		return nil
	}
	body := r.body
	r.body = nil
	return body.Close()
}
