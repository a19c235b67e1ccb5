package sqldb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"millrace/connector"
	"millrace/record"
)

// Store is a connector.Store in an SQL database. It is one worker: the epochs
// of the partitions it claimed are kept here, and a second worker needs a
// Store of its own. Safe for concurrent use.
type Store struct {
	d dialect

	mu     sync.Mutex
	epochs map[int32]int64
}

var _ connector.Store = (*Store)(nil)

func newStore(d dialect) *Store { return &Store{d: d, epochs: make(map[int32]int64)} }

// Describe implements connector.Store.
func (s *Store) Describe() string { return s.d.describe() }

// Traits implements connector.Store.
func (s *Store) Traits() connector.Traits { return s.d.traits() }

// Prepare implements connector.Store.
func (s *Store) Prepare(ctx context.Context) error { return s.d.prepare(ctx) }

// Drop implements connector.Store.
func (s *Store) Drop(ctx context.Context) error { return s.d.drop(ctx) }

// Close implements connector.Store.
func (s *Store) Close() error { return s.d.close() }

// Query implements connector.Store. The text is one statement that reads;
// `events` in it stands for the table of this run.
func (s *Store) Query(ctx context.Context, text string) (connector.Rows, error) {
	return s.d.query(ctx, text)
}

// Claim implements connector.Store.
func (s *Store) Claim(ctx context.Context, worker string, partitions []int32) (map[int32]int64, error) {
	if len(partitions) == 0 {
		return map[int32]int64{}, nil
	}
	// In one order everywhere, so that two claims cannot lock each other out.
	partitions = slices.Clone(partitions)
	slices.Sort(partitions)
	partitions = slices.Compact(partitions)
	owned, err := s.d.claim(ctx, worker, partitions)
	if err != nil {
		return nil, err
	}
	positions := make(map[int32]int64, len(owned))
	s.mu.Lock()
	defer s.mu.Unlock()
	for p, o := range owned {
		// Two claims of this very store may overlap; the later epoch counts.
		s.epochs[p] = max(s.epochs[p], o.epoch)
		positions[p] = o.position
	}
	return positions, nil
}

// Write implements connector.Store.
func (s *Store) Write(ctx context.Context, w *connector.Write) (connector.Receipt, error) {
	if len(w.Results) == 0 && len(w.Advances) == 0 {
		return connector.Receipt{}, ctx.Err()
	}
	u, err := s.unit(w)
	if err != nil {
		return connector.Receipt{}, err
	}
	r, err := s.d.write(ctx, u)
	var refused *refusedError
	switch {
	case err == nil:
		return r, nil
	case errors.Is(err, errMoved):
		return s.settle(ctx, u)
	case errors.As(err, &refused):
		return connector.Receipt{}, s.reject(ctx, u.results, refused)
	}
	return connector.Receipt{}, err
}

// unit checks that w is well formed and adds the epochs.
func (s *Store) unit(w *connector.Write) (*unit, error) {
	if most := s.d.traits().MaxRows; len(w.Results) > most {
		return nil, fmt.Errorf("a write of %d results to %s, which takes %d at once", len(w.Results), s.Describe(), most)
	}
	advances, err := w.Check(s.d.traits().Timed, nil)
	if err != nil {
		return nil, err
	}
	u := &unit{results: w.Results, advances: make([]move, len(advances))}
	var unclaimed []int32
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range advances {
		epoch, ok := s.epochs[a.Partition]
		if !ok {
			unclaimed = append(unclaimed, a.Partition)
		}
		u.advances[i] = move{a, epoch}
	}
	if len(unclaimed) > 0 {
		return nil, connector.FencedError(unclaimed, "this worker has not claimed them")
	}
	return u, nil
}

// settle explains positions that are not what a unit expected. Either its
// earlier attempt did get through, although its outcome was lost with the
// connection: then the positions show it and the answer is success. Or
// another worker has claimed the partitions.
func (s *Store) settle(ctx context.Context, u *unit) (connector.Receipt, error) {
	owners, err := s.d.owners(ctx, u.partitions())
	if err != nil {
		return connector.Receipt{}, err
	}
	var lost []int32
	detail, made := "", 0
	for _, m := range u.advances {
		o := owners[m.Partition]
		switch {
		case m.made(o):
			made++
		case o.epoch != m.epoch:
			lost = append(lost, m.Partition)
			detail = fmt.Sprintf("partition %d is held by %q", m.Partition, o.worker)
		case !m.ready(o):
			lost = append(lost, m.Partition)
			detail = fmt.Sprintf("partition %d is at %d, the write starts at %d", m.Partition, o.position, m.From)
		}
	}
	switch {
	case made > 0 && made == len(u.advances):
		n, storedAt, err := s.d.count(ctx, u.results)
		if err != nil {
			return connector.Receipt{}, err
		}
		return connector.Receipt{Stored: n, Duplicates: len(u.results) - n, StoredAt: storedAt}, nil
	case len(lost) > 0:
		return connector.Receipt{}, connector.FencedError(lost, detail)
	}
	// Another transaction of this worker was under way and has been rolled
	// back since.
	return connector.Receipt{}, connector.Retryable(fmt.Errorf("writing to %s: %w", s.Describe(), errMoved), 0)
}

// maxRefused bounds how many refused results one error names; the caller
// learns of further ones when it writes the rest.
const maxRefused = 64

// reject finds the results that the database refuses, by halving.
func (s *Store) reject(ctx context.Context, results []record.Result, cause *refusedError) error {
	var items []int
	var search func(lo, hi int, known bool) error
	search = func(lo, hi int, known bool) error {
		if lo == hi || len(items) >= maxRefused {
			return nil
		}
		if !known {
			err := s.d.probe(ctx, results[lo:hi])
			var refused *refusedError
			if err == nil {
				return nil
			} else if !errors.As(err, &refused) {
				return err
			}
			cause = refused
		}
		if hi-lo == 1 {
			items = append(items, lo)
			return nil
		}
		mid := (lo + hi) / 2
		before := len(items)
		if err := search(lo, mid, false); err != nil {
			return err
		}
		// If the left half is clean, the fault is known to be in the right
		// one, unless it is single: then it must prove it.
		return search(mid, hi, len(items) == before && hi-mid > 1)
	}
	if err := search(0, len(results), len(results) > 1); err != nil {
		return fmt.Errorf("looking for the rows that %s refuses: %w", s.Describe(), err)
	}
	if len(items) == 0 {
		return fmt.Errorf("%s refuses a write, but none of its rows alone: %w", s.Describe(), cause.err)
	}
	return &connector.Error{Action: connector.Reject, Items: items,
		Err: fmt.Errorf("%s refuses %d of %d events: %w", s.Describe(), len(items), len(results), cause.err)}
}
