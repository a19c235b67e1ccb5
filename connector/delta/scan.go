package delta

import (
	"context"
	"sync"

	"golang.org/x/sync/errgroup"

	"millrace/connector/delta/data"
	"millrace/connector/delta/txlog"
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

// Scan implements connector.Store: it reads the newest version, in several files
// at once. Fingerprints are taken of the events rebuilt from the columns.
func (s *Store) Scan(ctx context.Context, fn func(*record.Stored) error) error {
	t := s.now()
	snap, err := t.snapshot(ctx, "reading "+t.Describe())
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	files, read := make(chan *txlog.Add), make(chan *page, 1)
	g.Go(func() error {
		defer close(files)
		for a := range snap.Files() {
			select {
			case files <- a:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	var readers sync.WaitGroup
	for range s.cfg.Threads {
		readers.Add(1)
		g.Go(func() error {
			defer readers.Done()
			for a := range files {
				if err := t.scanFile(ctx, snap, a, read); err != nil {
					return err
				}
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(read)
		readers.Wait()
		return nil
	})
	g.Go(func() error {
		for p := range read {
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

// scanFile reads the rows of a file.
func (t *Table) scanFile(ctx context.Context, snap *txlog.Snapshot, a *txlog.Add, to chan<- *page) (err error) {
	f, err := t.open(ctx, a)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.close(); err == nil {
			err = cerr
		}
	}()
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
	err = f.ReadEvents(ctx, data.MemberColumns(snap.Metadata.Schema), a.PartitionValues, func(r *record.Stored) error {
		if p.add(r); len(p.rows) < pageRows {
			return nil
		}
		return send()
	})
	if err == nil && len(p.rows) > 0 {
		err = send()
	}
	if err != nil && ctx.Err() == nil {
		return t.unreadable(a, err)
	}
	return err
}
