package sqldb

import (
	"context"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"millrace/record"
)

// pageRows is how many rows go from goroutine to goroutine at once.
const pageRows = 2048

// scanWorkers is how many goroutines rebuild events and take fingerprints;
// it is what a scan spends its time on.
const scanWorkers = 2

// page is a stretch of rows that were read back. Its slices point into its
// own memory or into strings that nobody else changes.
type page struct {
	rows []row
	text []byte // memory of the rows' texts
	json []byte // scratch: one event rebuilt
}

// row is one row as its columns say it.
type row struct {
	record.Stored
	event record.Event
}

// keep copies b into the page's memory. An empty b stays apart from nil.
func (p *page) keep(b []byte) []byte {
	start := len(p.text)
	// Growing leaves what was kept before where it is.
	p.text = append(p.text, b...)
	return p.text[start:len(p.text):len(p.text)]
}

// pages are recycled; how many there are at once is bounded by the channels
// that they go through.
var pages = sync.Pool{New: func() any { return new(page) }}

// newPage returns an empty page.
func newPage() *page {
	p := pages.Get().(*page)
	p.rows, p.text = p.rows[:0], p.text[:0]
	return p
}

// next appends an empty row.
func (p *page) next() *row {
	p.rows = append(p.rows, row{})
	return &p.rows[len(p.rows)-1]
}

// finish rebuilds the events from their columns and takes their fingerprints.
func (p *page) finish() error {
	for i := range p.rows {
		r := &p.rows[i]
		e := &r.event
		r.ID, r.DeviceID, r.Sequence, r.CreatedAt = e.ID, e.DeviceID, e.Sequence, e.CreatedAt
		p.json = record.AppendOriginal(p.json[:0], e)
		var err error
		if r.Fingerprint, err = record.Fingerprint(p.json); err != nil {
			return fmt.Errorf("the row of event %s (partition %d, offset %d) is not an event: %w", e.ID, r.Partition, r.Offset, err)
		}
	}
	return nil
}

// Scan implements connector.Store. Fingerprints are taken of the events
// rebuilt from the table's columns.
func (s *Store) Scan(ctx context.Context, fn func(*record.Stored) error) error {
	g, ctx := errgroup.WithContext(ctx)
	read, finished := make(chan *page, 1), make(chan *page, 1)
	send := func(to chan *page, p *page) error {
		select {
		case to <- p:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	g.Go(func() error {
		defer close(read)
		return s.d.scan(ctx, func(p *page) error { return send(read, p) })
	})
	g.Go(func() error {
		defer close(finished)
		var workers errgroup.Group
		for range scanWorkers {
			workers.Go(func() error {
				for p := range read {
					if err := p.finish(); err != nil {
						return err
					}
					if err := send(finished, p); err != nil {
						return err
					}
				}
				return nil
			})
		}
		return workers.Wait()
	})
	g.Go(func() error {
		for p := range finished {
			for i := range p.rows {
				if err := fn(&p.rows[i].Stored); err != nil {
					return err
				}
			}
			pages.Put(p)
		}
		return ctx.Err()
	})
	return g.Wait()
}
