package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"millrace/record"
)

// scanWorkers is how many goroutines decode; scanAhead is how many blocks may
// wait for it or for the one who takes them.
const (
	scanWorkers = 2
	scanAhead   = 4
)

// decoded is a block on its way: read, then decoded by some worker, then taken
// in the order of reading.
type decoded struct {
	page
	done chan struct{}
	err  error
	// batch are the records; events and reasons go with them if events were
	// asked for. reasons hold why a record is no event, "" if it is one.
	batch   record.Batch
	events  []record.Stored
	reasons []record.Reason
	clock   clock
	event   record.Event
}

// decode takes the records out of the block.
func (d *decoded) decode(events bool) error {
	d.batch = record.Batch{Partition: d.file.partition, Records: d.batch.Records[:0]}
	d.events, d.reasons = d.events[:0], d.reasons[:0]
	stored := storedAt(d.file.info.Modified)
	for {
		var e entry
		more, err := d.page.read(&e)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		r := record.Record{Offset: e.sequence, Timestamp: d.clock.read(e.enqueued), Value: e.body}
		d.batch.Records = append(d.batch.Records, r)
		if events {
			if err := d.decodeEvent(&r, stored); err != nil {
				return err
			}
		}
	}
	if n := len(d.batch.Records); n > 0 {
		d.batch.Next = d.batch.Records[n-1].Offset + 1
		d.batch.End = d.batch.Next
	}
	return nil
}

func (d *decoded) decodeEvent(r *record.Record, stored int64) error {
	s := record.Stored{Partition: d.file.partition, Offset: r.Offset, EnqueuedAt: r.Timestamp,
		ProcessedAt: record.NoTime, StoredAt: stored}
	reason := record.Reason("")
	if err := d.event.Decode(r.Value); err != nil {
		var why *record.DecodeError
		if !errors.As(err, &why) {
			return fmt.Errorf("reading %s: %w", d.file.info.Name, err)
		}
		reason = why.Reason
	} else {
		s.ID, s.DeviceID, s.Sequence, s.CreatedAt = d.event.ID, d.event.DeviceID, d.event.Sequence, d.event.CreatedAt
		if s.Fingerprint, err = record.Fingerprint(r.Value); err != nil {
			return fmt.Errorf("reading %s: %w", d.file.info.Name, err)
		}
	}
	d.events, d.reasons = append(d.events, s), append(d.reasons, reason)
	return nil
}

// walk hands over every block of the archive, in the order of partitions and
// windows, decoded by several goroutines ahead of take.
func (s *Store) walk(ctx context.Context, events bool, take func(*decoded) error) error {
	files, err := s.list(ctx)
	if err != nil {
		return err
	}
	pool := sync.Pool{New: func() any { return new(decoded) }}
	g, ctx := errgroup.WithContext(ctx)
	work, inOrder := make(chan *decoded, scanAhead), make(chan *decoded, scanAhead)
	send := func(to chan *decoded, d *decoded) error {
		select {
		case to <- d:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	g.Go(func() error {
		defer close(work)
		defer close(inOrder)
		for _, f := range files {
			if f.info.Size <= emptySize {
				continue
			}
			err := s.readFile(ctx, f, &pool, func(d *decoded) error {
				if err := send(work, d); err != nil {
					return err
				}
				return send(inOrder, d)
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	for range scanWorkers {
		g.Go(func() error {
			for d := range work {
				d.err = d.decode(events)
				close(d.done)
			}
			return nil
		})
	}
	g.Go(func() error {
		for d := range inOrder {
			select {
			case <-d.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			if d.err != nil {
				return d.err
			}
			if err := take(d); err != nil {
				return err
			}
			pool.Put(d)
		}
		return ctx.Err()
	})
	return g.Wait()
}

// readFile reads the blocks of one file.
func (s *Store) readFile(ctx context.Context, f *file, pool *sync.Pool, emit func(*decoded) error) (err error) {
	r, err := s.open(ctx, f)
	if err != nil {
		return err
	}
	defer func() {
		if err2 := r.close(); err == nil && err2 != nil {
			err = fmt.Errorf("closing %s: %w", f.info.Name, err2)
		}
	}()
	for {
		d := pool.Get().(*decoded)
		d.done, d.err = make(chan struct{}), nil
		if err := r.next(&d.page); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if err := emit(d); err != nil {
			return err
		}
	}
}

// Scan implements connector.Store: it gives each event of the archive once. Of
// several copies the first counts, in the order of partitions and sequence
// numbers. Records that are no events are left out, counted, and mentioned in
// the log; ScanRaw gives them.
//
// EnqueuedAt has whole seconds and ProcessedAt is record.NoTime; see the
// package's comment. It needs up to 36 bytes of memory per event. Events come
// in the order of partitions, and of sequence numbers within one.
func (s *Store) Scan(ctx context.Context, fn func(*record.Stored) error) error {
	var seen idSet
	var copies, bad int64
	var example string
	err := s.walk(ctx, true, func(d *decoded) error {
		for i := range d.events {
			e := &d.events[i]
			if d.reasons[i] != "" {
				if bad++; bad == 1 {
					example = fmt.Sprintf("%s, sequence number %d: %s", d.file.info.Name, e.Offset, d.reasons[i])
				}
				continue
			}
			if !seen.add(e.ID) {
				copies++
				continue
			}
			if err := fn(e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if bad > 0 {
		s.env.Log.Info("records of the archive are no events", "records", bad, "first", example)
	}
	s.env.Log.Debug("the archive was read", "copies", copies)
	return nil
}

// ScanRaw gives every record of the archive, as the log had it: batches of one
// partition in the order of their files, one partition after the other. Offset
// is the sequence number, Timestamp EnqueuedTimeUtc, Value the body, nil if the
// record has none; there are no keys. A batch is valid until fn returns.
//
// Files of one partition hold sequence numbers without gaps. Where they do not,
// or where two files hold the same ones, the log names the files; the batches
// show it to whoever compares Next with the Offset that follows.
func (s *Store) ScanRaw(ctx context.Context, fn func(*record.Batch) error) error {
	var last *decodedEnd
	told := 0
	return s.walk(ctx, false, func(d *decoded) error {
		if len(d.batch.Records) == 0 {
			return nil
		}
		first := d.batch.Records[0].Offset
		if last != nil && last.partition == d.batch.Partition && first != last.next && told < 20 {
			told++
			s.env.Log.Warn("files of the archive do not follow each other", "partition", d.batch.Partition,
				"file", last.file, "ends before", last.next, "next", d.file.info.Name, "begins with", first)
		}
		last = &decodedEnd{partition: d.batch.Partition, next: d.batch.Next, file: d.file.info.Name}
		return fn(&d.batch)
	})
}

// decodedEnd is where a block ended.
type decodedEnd struct {
	partition int32
	next      int64
	file      string
}
