package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
)

// end is what the end of a file says: the sequence number behind its last
// record; none is set if it has no records.
type end struct {
	next int64
	none bool
}

// Positions returns, for each partition, the sequence number behind the last
// record that the archive holds. Partitions without records are left out.
//
// It lists the archive, and reads the last file of a partition that has
// records; what it has read once it remembers, since files never change. That
// the files before are there, too, is not checked; reading the whole archive
// shows it.
func (s *Store) Positions(ctx context.Context) (map[int32]int64, error) {
	files, err := s.list(ctx)
	if err != nil {
		return nil, err
	}
	positions := make(map[int32]int64)
	for i := len(files) - 1; i >= 0; i-- {
		f := files[i]
		if _, done := positions[f.partition]; done || f.info.Size <= emptySize {
			continue
		}
		e, err := s.endOf(ctx, f)
		if err != nil {
			return nil, err
		}
		if !e.none {
			positions[f.partition] = e.next
		}
	}
	return positions, nil
}

// endOf reads the end of a file, or remembers it.
func (s *Store) endOf(ctx context.Context, f *file) (end, error) {
	key := f.info.Name + "\x00" + f.info.ETag
	s.mu.Lock()
	e, known := s.ends[key]
	s.mu.Unlock()
	if known {
		return e, nil
	}
	e, err := s.readEnd(ctx, f)
	if err != nil {
		return e, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[key] = e
	return e, nil
}

// readEnd goes through the blocks of a file and decodes the last one only.
func (s *Store) readEnd(ctx context.Context, f *file) (e end, err error) {
	r, err := s.open(ctx, f)
	if err != nil {
		return e, err
	}
	defer func() {
		if err2 := r.close(); err == nil && err2 != nil {
			err = fmt.Errorf("closing %s: %w", f.info.Name, err2)
		}
	}()
	e.none = true
	var now, before page
	for {
		if err := r.next(&now); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return e, err
		}
		if now.left > 0 || len(now.entries) > 0 {
			now, before = before, now
		}
	}
	var last entry
	for {
		more, err := before.read(&last)
		if err != nil {
			return e, err
		}
		if !more {
			return e, nil
		}
		e = end{next: last.sequence + 1}
	}
}
