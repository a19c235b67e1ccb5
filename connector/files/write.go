package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/record"
)

// buffers are what files are encoded into.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// noteEvery is after how many files of a partition position.json is written, so
// that the end of a long chain is found soon.
const noteEvery = 64

// move is what a write does to one partition.
type move struct {
	connector.Advance
	// indexes are its results in the write.
	indexes []int32
	// chain is the partition as it is before.
	chain chain
	// done: it is the repetition of one that has been made.
	done bool
	// err is what became of it, bytes the size of its file.
	err   error
	bytes int64
}

// Write implements connector.Store: a file for each partition that has results.
func (s *Store) Write(ctx context.Context, w *connector.Write) (connector.Receipt, error) {
	if err := ctx.Err(); err != nil || len(w.Results) == 0 && len(w.Advances) == 0 {
		return connector.Receipt{}, err
	}
	moves, err := s.moves(w)
	if err != nil {
		return connector.Receipt{}, err
	}
	if err := s.owned(ctx, moves); err != nil {
		return connector.Receipt{}, err
	}
	r := connector.Receipt{StoredAt: time.Now().UnixMicro()}
	var g errgroup.Group
	g.SetLimit(requests)
	for i := range moves {
		m := &moves[i]
		if m.done {
			continue
		}
		g.Go(func() error {
			m.err = s.append(ctx, w.Results, m, r.StoredAt)
			return nil
		})
	}
	_ = g.Wait() // each move has its own outcome
	var fenced []int32
	for i := range moves {
		m := &moves[i]
		r.Bytes += m.bytes
		switch {
		case m.err == nil:
			r.Stored += len(m.indexes)
		case connector.ActionOf(m.err) == connector.Fenced:
			fenced = append(fenced, m.Partition)
		case err == nil:
			err = m.err
		}
	}
	if len(fenced) > 0 {
		return connector.Receipt{}, connector.FencedError(fenced, "another worker has written where this one would have gone on")
	}
	if err != nil {
		return connector.Receipt{}, fmt.Errorf("writing to %s: %w", s.Describe(), err)
	}
	return r, nil
}

// moves checks that w is well formed, and that it goes on from where this worker
// is. They are in the order of partitions.
func (s *Store) moves(w *connector.Write) ([]move, error) {
	if len(w.Results) > s.cfg.MaxRows {
		return nil, fmt.Errorf("a write of %d results to %s, which takes %d at once", len(w.Results), s.Describe(), s.cfg.MaxRows)
	}
	indexes := make([][]int32, len(w.Advances)) // the results of each advance
	advances, err := w.Check(false, func(result, advance int) {
		indexes[advance] = append(indexes[advance], int32(result))
	})
	if err != nil {
		return nil, err
	}
	moves := make([]move, len(advances))
	for i, a := range advances {
		moves[i].Advance, moves[i].indexes = a, indexes[i]
	}
	var unclaimed, elsewhere []int32
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range moves {
		m := &moves[i]
		c := s.chains[m.Partition]
		if c == nil {
			unclaimed = append(unclaimed, m.Partition)
			continue
		}
		m.chain = *c
		m.done = c.last == m.Advance && c.rows == len(m.indexes)
		if !m.done && c.at != connector.Unknown && c.at != m.From {
			elsewhere = append(elsewhere, m.Partition)
		}
	}
	if len(unclaimed) > 0 {
		return nil, connector.FencedError(unclaimed, "this worker has not claimed them")
	}
	if len(elsewhere) > 0 {
		return nil, connector.FencedError(elsewhere, "they are at other positions")
	}
	return moves, nil
}

// owned asks whether this worker's claims are the last ones.
func (s *Store) owned(ctx context.Context, moves []move) error {
	owned := make([]bool, len(moves))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(requests)
	for i := range moves {
		m := &moves[i]
		g.Go(func() (err error) {
			owned[i], err = s.owns(gctx, m.Partition, m.chain.claim)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("writing to %s: %w", s.Describe(), err)
	}
	var lost []int32
	for i, mine := range owned {
		if !mine {
			lost = append(lost, moves[i].Partition)
		}
	}
	if len(lost) > 0 {
		s.forget(lost)
		return connector.FencedError(lost, "it has claimed them")
	}
	return nil
}

// forget ends this worker's claims.
func (s *Store) forget(partitions []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range partitions {
		delete(s.chains, p)
	}
}

// append makes a move.
func (s *Store) append(ctx context.Context, results []record.Result, m *move, storedAt int64) error {
	c := m.chain
	c.last, c.rows, c.at = m.Advance, len(m.indexes), m.To
	if len(m.indexes) == 0 {
		if err := s.put(ctx, s.metaOf(m.Partition, "position"), positionNote{End: c.end, At: c.at}); err != nil {
			return err
		}
		c.unnoted = 0
		s.appended(m, &c)
		return nil
	}
	buf := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buf)
	buf.Reset()
	if err := s.encoder.encode(buf, results, m.indexes, storedAt, m.To); err != nil {
		return fmt.Errorf("encoding %d events: %w", len(m.indexes), err)
	}
	name := s.nameOf(m.Partition, c.end)
	_, err := s.bucket.PutNew(ctx, name, bytes.NewReader(buf.Bytes()))
	if errors.Is(err, blob.ErrExists) {
		err = s.settle(ctx, m)
	}
	if err != nil {
		return err
	}
	m.bytes = int64(buf.Len())
	c.end = m.To
	if c.unnoted++; c.unnoted >= noteEvery {
		// It only saves work, so that the next file will do as well.
		if err := s.put(ctx, s.metaOf(m.Partition, "position"), positionNote{End: c.end, At: c.at}); err == nil {
			c.unnoted = 0
		}
	}
	s.appended(m, &c)
	return nil
}

// settle finds out what it means that a move's file is there: that the move was
// made, by this worker before its answer was lost, or that another worker has
// gone on from here.
func (s *Store) settle(ctx context.Context, m *move) error {
	o, ok, err := s.find(ctx, m.Partition, m.chain.end)
	if err != nil {
		return err
	}
	if ok {
		end, err := endOf(ctx, s.bucket, o)
		if err != nil {
			return err
		}
		if end == m.To {
			return nil
		}
	}
	s.forget([]int32{m.Partition})
	return connector.FencedError([]int32{m.Partition}, "its next file is there")
}

// appended notes that a move was made, unless the partition was claimed anew
// meanwhile.
func (s *Store) appended(m *move, c *chain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.chains[m.Partition]; now != nil && now.claim == c.claim {
		*now = *c
	}
}
