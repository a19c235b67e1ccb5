package filequery

import (
	"context"
	"iter"
	"sync"

	"golang.org/x/sync/errgroup"

	"millrace/record"
)

// pageRows is how many rows go from goroutine to goroutine at once.
const pageRows = 2048

// page is a stretch of rows with memory of their own.
type page struct {
	rows []record.Stored
	text []byte
}

// pages are recycled; how many there are at once is bounded by the goroutines
// and the channel between them.
var pages = sync.Pool{New: func() any { return new(page) }}

func newPage() *page {
	p := pages.Get().(*page)
	p.rows, p.text = p.rows[:0], p.text[:0]
	return p
}

// add copies a row.
func (p *page) add(r *record.Stored) {
	p.rows = append(p.rows, *r)
	start := len(p.text)
	// Growing leaves what was kept before where it is.
	p.text = append(p.text, r.DeviceID...)
	p.rows[len(p.rows)-1].DeviceID = p.text[start:len(p.text):len(p.text)]
}

// Scan reads files, so many at once, and calls fn with every row, one at a time,
// in no particular order. read reads one file and calls emit with every row of
// it; emit copies the row.
func Scan[F any](ctx context.Context, readers int, files iter.Seq[F],
	read func(ctx context.Context, file F, emit func(*record.Stored) error) error, fn func(*record.Stored) error) error {
	g, ctx := errgroup.WithContext(ctx)
	next, full := make(chan F), make(chan *page, 1)
	g.Go(func() error {
		defer close(next)
		for f := range files {
			select {
			case next <- f:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	var reading sync.WaitGroup
	for range readers {
		reading.Add(1)
		g.Go(func() error {
			defer reading.Done()
			for f := range next {
				if err := scanFile(ctx, f, read, full); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(full)
		reading.Wait()
		return nil
	})
	g.Go(func() error {
		for p := range full {
			for i := range p.rows {
				if err := fn(&p.rows[i]); err != nil {
					return err
				}
			}
			pages.Put(p)
		}
		return ctx.Err()
	})
	return g.Wait()
}

// scanFile sends the rows of a file in pages.
func scanFile[F any](ctx context.Context, file F,
	read func(ctx context.Context, file F, emit func(*record.Stored) error) error, to chan<- *page) error {
	p := newPage()
	send := func() error {
		select {
		case to <- p:
			p = newPage()
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	err := read(ctx, file, func(r *record.Stored) error {
		if p.add(r); len(p.rows) < pageRows {
			return nil
		}
		return send()
	})
	if err == nil && len(p.rows) > 0 {
		err = send()
	}
	return err
}
