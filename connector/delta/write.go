package delta

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"millrace/connector"
	"millrace/connector/delta/data"
	"millrace/connector/delta/txlog"
	"millrace/record"
)

// buffers are what files are encoded into.
var buffers = sync.Pool{New: func() any { return new([]byte) }}

// Write implements connector.Store. The results become a file (one for each
// partition of the table), which is put in place first; then a commit, which
// several writes share, makes it a part of the table and moves the positions.
// What is left of a write that was not committed is a file that nobody sees,
// until VACUUM deletes it.
func (s *Store) Write(ctx context.Context, w *connector.Write) (connector.Receipt, error) {
	if len(w.Results) == 0 && len(w.Advances) == 0 {
		return connector.Receipt{}, ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return connector.Receipt{}, err
	}
	moves, err := s.moves(w)
	if err != nil {
		return connector.Receipt{}, err
	}
	if s.suspicious(moves) {
		if made, err := s.settle(ctx, moves); made || err != nil {
			return connector.Receipt{Stored: len(w.Results), StoredAt: time.Now().UnixMicro()}, err
		}
	}
	if err := s.gate.pass(ctx, 2*len(w.Results) >= s.cfg.MaxRows); err != nil {
		return connector.Receipt{}, err
	}
	storedAt := time.Now().UnixMicro()
	p := &pending{moves: moves, rows: len(w.Results), done: make(chan struct{})}
	if p.form, p.add, err = s.files(ctx, w.Results, storedAt); err != nil {
		s.gate.arrive()
		return connector.Receipt{}, err
	}
	unused, err := s.commit(ctx, p)
	if unused {
		s.now().discard(ctx, p.add)
	}
	if err != nil {
		return connector.Receipt{}, err
	}
	r := connector.Receipt{Stored: len(w.Results), StoredAt: storedAt}
	for _, a := range p.add {
		r.Bytes += a.Size
	}
	return r, nil
}

// suspicious tells whether a write does not go on from where this worker is: it
// is the repetition of one of which the outcome was not known, or too late.
func (s *Store) suspicious(moves []move) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range moves {
		if at, ok := s.at[m.Partition]; ok && at != connector.Unknown && at != m.From {
			return true
		}
	}
	return false
}

// settle asks the table what became of a write.
func (s *Store) settle(ctx context.Context, moves []move) (made bool, err error) {
	snap, err := s.log().Snapshot(ctx)
	if err != nil {
		return false, fmt.Errorf("writing to %s: %w", s.Describe(), err)
	}
	return s.judge(snap, moves)
}

// files writes the results in the form of the table, which it returns with what
// to commit.
func (s *Store) files(ctx context.Context, results []record.Result, storedAt int64) (f *form, adds []*txlog.Add, err error) {
	if len(results) == 0 {
		return nil, nil, nil
	}
	if f, err = s.formed(ctx); err != nil {
		return nil, nil, err
	}
	w, err := f.writer()
	if err != nil {
		return nil, nil, err
	}
	defer f.writers.Put(w)
	for _, part := range split(results, f.table.PartitionBy) {
		a, err := s.file(ctx, w, results, part, storedAt)
		if err != nil {
			s.now().discard(ctx, adds)
			return nil, nil, err
		}
		adds = append(adds, a)
	}
	return f, adds, nil
}

// file writes the results of one partition of the table.
func (s *Store) file(ctx context.Context, w *data.EventWriter, results []record.Result, part part, storedAt int64) (*txlog.Add, error) {
	buf := buffers.Get().(*[]byte)
	defer buffers.Put(buf)
	body, written, err := w.Encode((*buf)[:0], results, part.indexes, storedAt)
	if err != nil {
		return nil, fmt.Errorf("encoding %d events for %s: %w", len(results), s.Describe(), err)
	}
	*buf = body
	t := s.now()
	name := part.folder + fileName(s.cfg.Compression)
	info, err := t.bucket.PutNew(ctx, t.log.Prefix()+name, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("writing to %s: %w", s.Describe(), err)
	}
	return &txlog.Add{Path: name, PartitionValues: part.values, Size: written.Size,
		Modified: info.Modified.UnixMilli(), DataChange: true, Stats: written.Stats}, nil
}

// fileName is a name that no file has yet. Nothing in it needs escaping.
func fileName(compression string) string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	suffix := ""
	if compression != data.None {
		suffix = "." + compression
	}
	return fmt.Sprintf("part-00000-%s-c000%s.parquet", record.ID(id), suffix)
}

// cleanup is how long deleting files may take that nobody will miss.
const cleanup = 5 * time.Second
