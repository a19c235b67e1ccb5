package delta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"millrace/connector"
	"millrace/connector/delta/txlog"
)

// pending is a write whose file is in place and that waits for its commit.
type pending struct {
	moves []move
	// add is empty for a write of positions only. Its files have the form.
	add  []*txlog.Add
	form *form
	rows int

	// done is closed when err says what became of it. unused tells that its
	// files are not in the table, for sure: the write must not be made, or
	// an earlier try of it was found to be there.
	done   chan struct{}
	err    error
	unused bool
}

// maxShared is how many writes one commit takes.
const maxShared = 64

// commit brings a write into the table, together with others that are ready.
// Whoever gets the turn commits for all. unused tells that the files of the
// write are not in the table, for sure.
func (s *Store) commit(ctx context.Context, p *pending) (unused bool, err error) {
	s.mu.Lock()
	s.queue = append(s.queue, p)
	s.mu.Unlock()
	s.gate.arrive()
	for {
		select {
		case <-p.done:
			return p.unused, p.err
		case s.turn <- struct{}{}:
			s.gate.gather(ctx)
			s.lead(ctx)
			s.release()
		case <-ctx.Done():
			// Unless it is withdrawn in time, another one is committing
			// it at this moment.
			return s.withdraw(p), fmt.Errorf("committing to %s: %w", s.Describe(), ctx.Err())
		}
	}
}

// withdraw takes a write out of the queue; false if it is being committed.
func (s *Store) withdraw(p *pending) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := len(s.queue)
	s.queue = slices.DeleteFunc(s.queue, func(q *pending) bool { return q == p })
	return len(s.queue) < before
}

// lead commits what is in the queue. It has the turn.
func (s *Store) lead(ctx context.Context) {
	s.mu.Lock()
	n := min(len(s.queue), maxShared)
	batch := slices.Clone(s.queue[:n])
	s.queue = slices.Delete(s.queue, 0, n)
	s.mu.Unlock()
	if len(batch) == 0 {
		return // another one was faster, and took ours along
	}
	snap, err := s.together(ctx, batch)
	for _, p := range batch {
		select {
		case <-p.done:
		default:
			p.finish(err)
		}
	}
	if err == nil && snap != nil {
		s.consider(snap)
	}
}

func (p *pending) finish(err error) {
	p.err = err
	close(p.done)
}

// together makes one commit of a batch, without those that turn out to be
// fenced off, or to be there already. It finishes these; the outcome of the
// others is what it returns.
func (s *Store) together(ctx context.Context, batch []*pending) (*txlog.Snapshot, error) {
	for {
		base, err := s.base(ctx)
		if err != nil {
			return nil, s.unfinished(err)
		}
		if err := s.fits(base); err != nil {
			return nil, err
		}
		var ready []*pending
		for _, p := range batch {
			select {
			case <-p.done:
				continue
			default:
			}
			made, err := s.judge(base, p.moves)
			if !made && err == nil && !p.form.holds(base.Metadata) {
				err = connector.Retryable(fmt.Errorf("writing to %s: its columns have changed meanwhile", s.Describe()), 0)
			}
			if made || err != nil {
				p.unused = true
				p.finish(err)
				continue
			}
			ready = append(ready, p)
		}
		if len(ready) == 0 {
			return nil, nil
		}
		snap, err := s.log().Commit(ctx, base, s.change(ready))
		s.known(snap, err)
		var conflict *txlog.ConflictError
		switch {
		case errors.As(err, &conflict):
			continue // a newer snapshot tells what that means for each
		case err != nil:
			return nil, s.unfinished(err)
		}
		s.mu.Lock()
		for _, p := range ready {
			for _, m := range p.moves {
				s.at[m.Partition] = m.To
			}
		}
		s.mu.Unlock()
		return snap, nil
	}
}

// base is what the next commit starts from: the table as this worker left it,
// if that is known. What others did since shows in the commit.
func (s *Store) base(ctx context.Context) (*txlog.Snapshot, error) {
	s.mu.Lock()
	last := s.last
	s.mu.Unlock()
	if last != nil {
		return last, nil
	}
	return s.log().Snapshot(ctx)
}

// known notes what became of a commit.
func (s *Store) known(snap *txlog.Snapshot, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last = snap; err != nil {
		s.last = nil
	}
}

// unfinished is the error of a commit of which nothing is known: all that were
// in it try again, and find out by the positions.
func (s *Store) unfinished(err error) error {
	err = fmt.Errorf("committing to %s: %w", s.Describe(), err)
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		// The context is that of one of several.
		return connector.Retryable(err, 0)
	}
	return err
}

// change is the commit of several writes.
func (s *Store) change(ready []*pending) txlog.Change {
	c := txlog.Change{Operation: "STREAMING UPDATE",
		Parameters: map[string]string{"outputMode": "Append"}}
	now, rows, bytes := time.Now().UnixMilli(), 0, int64(0)
	for _, p := range ready {
		rows += p.rows
		for _, a := range p.add {
			bytes += a.Size
		}
		c.Add = append(c.Add, p.add...)
		for _, m := range p.moves {
			c.Txns = append(c.Txns, txlog.Txn{AppID: s.apps.positionID(m.Partition), Version: m.To, LastUpdated: now})
			c.ReadsTxns = append(c.ReadsTxns, s.apps.epochID(m.Partition))
		}
	}
	c.Metrics = map[string]string{"numAddedFiles": strconv.Itoa(len(c.Add)), "numRemovedFiles": "0",
		"numOutputRows": strconv.Itoa(rows), "numOutputBytes": strconv.FormatInt(bytes, 10)}
	return c
}

// judge tells whether a write has been made, by this very worker, or why it
// must not be made.
func (s *Store) judge(snap *txlog.Snapshot, moves []move) (made bool, err error) {
	var lost []int32
	detail, n, steps := "", 0, 0
	for _, m := range moves {
		if m.From != m.To {
			steps++
		}
		epoch, position := s.apps.epoch(snap, m.Partition), s.apps.position(snap, m.Partition)
		switch {
		case epoch != m.epoch:
			lost = append(lost, m.Partition)
			detail = fmt.Sprintf("partition %d was claimed again since", m.Partition)
		case position == m.To && m.From != m.To:
			n++
		case position != m.From && position != connector.Unknown:
			lost = append(lost, m.Partition)
			detail = fmt.Sprintf("partition %d is at %d, the write starts at %d", m.Partition, position, m.From)
		}
	}
	switch {
	case len(lost) > 0:
		return false, connector.FencedError(lost, detail)
	case n > 0 && n < steps:
		// Never by this program: a write is one commit.
		return false, fmt.Errorf("%s: %d of the %d partitions of a write are past it", s.Describe(), n, steps)
	}
	return n > 0, nil
}
