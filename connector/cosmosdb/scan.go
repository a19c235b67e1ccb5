package cosmosdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"golang.org/x/sync/errgroup"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/data/azcosmos"
)

const (
	// scanReaders is how many partition key ranges are read at once.
	scanReaders = 4
	// scanWorkers is how many goroutines take documents apart, which is what
	// reading back spends its time on.
	scanWorkers = 2
	// pageItems is how many documents a page may have; the service ends it at
	// 4 MB in any case.
	pageItems = 2000
)

const headerRange = "X-Ms-Documentdb-Partitionkeyrangeid"

// keyRange is a range of partition keys that the service holds in one place.
type keyRange struct {
	id       string
	min, max string // of effective partition keys
}

// parseRanges reads the list of ranges. Ids are strings; there is a server
// that gives numbers.
func parseRanges(body []byte) ([]keyRange, error) {
	var ranges []keyRange
	list := memberOf(body, "PartitionKeyRanges")
	ok := list != nil && eachElement(list, func(v []byte) bool {
		text := func(name string) string { return unquote(bytes.Trim(memberOf(v, name), `"`)) }
		ranges = append(ranges, keyRange{text("id"), text("minInclusive"), text("maxExclusive")})
		return true
	})
	if !ok || len(ranges) == 0 {
		return nil, errors.New("the list of partition key ranges cannot be read")
	}
	return ranges, nil
}

// ranges reads the container's partition key ranges.
func (s *Store) ranges(ctx context.Context) ([]keyRange, error) {
	e := &errand{ranges: true, instead: "{}"}
	doing := fmt.Sprintf("reading the partition key ranges of the container %q", s.name)
	err := s.account.repeat(ctx, doing, nil, func() error {
		_, err := s.container.Read(e.context(ctx), nil)
		return err
	})
	if err != nil {
		return nil, err
	}
	ranges, err := parseRanges(e.body)
	if err != nil {
		return nil, fmt.Errorf("asking Cosmos DB at %s: %s: %w", s.account.host, doing, err)
	}
	return ranges, nil
}

// page asks for one page of a query over one range, or over all that the query
// concerns if rangeID is "". Throttling is waited out. It returns the body of
// the answer and where the next page begins, "" after the last.
func (s *Store) page(ctx context.Context, query, rangeID, from string, items int32) (body []byte, next string, err error) {
	doing := fmt.Sprintf("reading the container %q", s.name)
	err = s.account.repeat(ctx, doing, nil, func() error {
		e := &errand{instead: "{}"}
		if rangeID != "" {
			e.header = http.Header{headerRange: {rangeID}}
		}
		o := &azcosmos.QueryOptions{PageSizeHint: items}
		if from != "" {
			o.ContinuationToken = &from
		}
		answer, err := s.container.NewQueryItemsPager(query, azcosmos.NewPartitionKey(), o).NextPage(e.context(ctx))
		if err != nil {
			return err
		}
		body, next = e.body, ""
		if answer.ContinuationToken != nil {
			next = *answer.ContinuationToken
		}
		return nil
	})
	return body, next, err
}

// errSplit is a range that the service has split while it was being read.
var errSplit = errors.New("the service has divided a partition while it was being read")

// read reads all pages of a query over one range.
func (s *Store) read(ctx context.Context, query, rangeID string, fn func(body []byte) error) error {
	for from, first := "", true; first || from != ""; first = false {
		body, next, err := s.page(ctx, query, rangeID, from, pageItems)
		if err != nil {
			if faultOf(err) == moved {
				return connector.Retryable(fmt.Errorf("reading the container %q: %w", s.name, errSplit), 0)
			}
			return err
		}
		if err := fn(body); err != nil {
			return err
		}
		from = next
	}
	return nil
}

// documents calls fn for every element of a page's Documents.
func documents(body []byte, fn func(doc []byte) bool) error {
	list := memberOf(body, "Documents")
	if list == nil || !eachElement(list, fn) {
		return errors.New("a page of documents cannot be read")
	}
	return nil
}

// parsed is the events of one page.
type parsed struct {
	events []record.Stored
	room   []byte // scratch: one document without what is not the event's
	text   []byte // memory of the events' device names
}

var parsedPages = sync.Pool{New: func() any { return new(parsed) }}

// parse takes a page apart.
func parsePage(body []byte) (*parsed, error) {
	p := parsedPages.Get().(*parsed)
	p.events, p.text = p.events[:0], p.text[:0]
	var d stored
	var bad error
	err := documents(body, func(doc []byte) bool {
		if p.room, bad = d.parse(doc, p.room); bad != nil {
			bad = fmt.Errorf("a document in the container is not an event: %w", bad)
			return false
		}
		start := len(p.text)
		// Growing leaves what was kept before where it is.
		p.text = append(p.text, d.DeviceID...)
		d.DeviceID = p.text[start:len(p.text):len(p.text)]
		p.events = append(p.events, d.Stored)
		return true
	})
	return p, errors.Join(bad, err)
}

// Scan implements connector.Store. It reads the partition key ranges at the
// same time; documents that are written meanwhile may or may not be seen.
func (s *Store) Scan(ctx context.Context, fn func(*record.Stored) error) error {
	ranges, err := s.ranges(ctx)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	read, finished := make(chan []byte, 1), make(chan *parsed, 1)
	g.Go(func() error {
		defer close(read)
		readers, ctx := errgroup.WithContext(ctx)
		readers.SetLimit(scanReaders)
		for _, r := range ranges {
			readers.Go(func() error {
				return s.read(ctx, "SELECT * FROM c", r.id, func(body []byte) error { return hand(ctx, read, body) })
			})
		}
		return readers.Wait()
	})
	g.Go(func() error {
		defer close(finished)
		var workers errgroup.Group
		for range scanWorkers {
			workers.Go(func() error {
				for body := range read {
					p, err := parsePage(body)
					if err != nil {
						return err
					}
					if err := hand(ctx, finished, p); err != nil {
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
			for i := range p.events {
				if err := fn(&p.events[i]); err != nil {
					return err
				}
			}
			parsedPages.Put(p)
		}
		return ctx.Err()
	})
	return g.Wait()
}

func hand[T any](ctx context.Context, to chan<- T, v T) error {
	select {
	case to <- v:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
