package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"millrace/connector"
	"millrace/record"
)

func (d *duckDB) claim(ctx context.Context, worker string, partitions []int32) (map[int32]ownership, error) {
	var owned map[int32]ownership
	err := d.transaction(ctx, func(f *duckFile) error {
		if _, err := d.exec(ctx, f, "addPartitions", partitions); err != nil {
			return err
		}
		if _, err := d.exec(ctx, f, "claim", partitions, worker); err != nil {
			return err
		}
		var err error
		owned, err = d.readOwners(ctx, f.conn, partitions)
		return err
	})
	return owned, d.classify("claiming partitions in "+d.describe(), err)
}

func (d *duckDB) owners(ctx context.Context, partitions []int32) (map[int32]ownership, error) {
	f, err := d.opened(ctx, true)
	if err != nil {
		return nil, err
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	owned, err := d.readOwners(ctx, f.conn, partitions)
	return owned, d.classify("reading positions of "+d.describe(), err)
}

func (d *duckDB) readOwners(ctx context.Context, c *sql.Conn, partitions []int32) (_ map[int32]ownership, err error) {
	rows, err := c.QueryContext(ctx, d.sql["owners"], partitions)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	owned := make(map[int32]ownership, len(partitions))
	for rows.Next() {
		var p int32
		var o ownership
		if err := rows.Scan(&p, &o.worker, &o.epoch, &o.position); err != nil {
			return nil, err
		}
		owned[p] = o
	}
	return owned, rows.Err()
}

func (d *duckDB) write(ctx context.Context, u *unit) (connector.Receipt, error) {
	var r connector.Receipt
	err := d.merging(ctx, func(f *duckFile) (*batch, error) {
		// First, because it is the cheapest to refuse.
		if err := d.advance(ctx, f, u.advances); err != nil {
			return nil, err
		}
		b, err := newBatch(u.results)
		if err != nil {
			return nil, err
		}
		r.StoredAt = time.Now().UnixMicro()
		if r.Stored, err = d.merge(ctx, f, b, r.StoredAt); err != nil {
			return b, err
		}
		r.Duplicates = len(u.results) - r.Stored
		r.Bytes = b.bytes
		return b, nil
	})
	if err != nil {
		return connector.Receipt{}, d.classify("writing to "+d.describe(), err)
	}
	return r, nil
}

func (d *duckDB) advance(ctx context.Context, f *duckFile, moves []move) error {
	if len(moves) == 0 {
		return nil
	}
	n := len(moves)
	partitions, epochs, from, to := make([]int32, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, m := range moves {
		partitions[i], epochs[i], from[i], to[i] = m.Partition, m.epoch, m.From, m.To
	}
	moved, err := d.exec(ctx, f, "advance", partitions, epochs, from, to)
	if err == nil && moved != int64(n) {
		return errMoved
	}
	return err
}

// merge inserts the rows of b that are not in the table, in pieces if there
// was no memory for all at once.
func (d *duckDB) merge(ctx context.Context, f *duckFile, b *batch, storedAt int64) (stored int, err error) {
	if len(b.rows) == 0 {
		return 0, nil
	}
	for _, piece := range b.pieces(f.most) {
		err := f.reading(piece, func() error {
			n, err := d.exec(ctx, f, "merge", storedAt)
			stored += int(n)
			return err
		})
		if err != nil {
			return 0, err
		}
	}
	return stored, nil
}

// reading runs a statement that reads a batch.
func (f *duckFile) reading(b *batch, run func() error) error {
	f.batch = b
	defer func() {
		f.batch = nil
		b.done()
	}()
	return b.cause(run())
}

// leastPiece is the smallest bound of what is merged at once: below it, memory
// is not what more pieces could save.
const leastPiece = 256 << 10

// merging is a transaction that merges a batch, which fn returns, nil if it did
// not come to that. If DuckDB's memory is exhausted it is repeated in smaller
// pieces: all of a write is one transaction all the same.
func (d *duckDB) merging(ctx context.Context, fn func(f *duckFile) (*batch, error)) error {
	for {
		again := false
		err := d.transaction(ctx, func(f *duckFile) error {
			b, err := fn(f)
			again = b != nil && f.fit(b.bytes, err)
			return err
		})
		if !again || ctx.Err() != nil {
			return err
		}
	}
}

// fit learns from the outcome of merging so many bytes how much to merge at
// once, and tells whether to try again with less.
func (f *duckFile) fit(bytes int64, err error) bool {
	switch {
	case outOfMemory(err):
		most := bytes
		if f.most > 0 {
			most = min(f.most, bytes)
		}
		if most <= leastPiece {
			return false
		}
		f.most = max(most/4, leastPiece)
		return true
	case err == nil && f.most > 0 && bytes > f.most:
		// Memory may have been short because of a query.
		f.most += f.most / 16
	}
	return false
}

func (d *duckDB) count(ctx context.Context, results []record.Result) (n int, storedAt int64, err error) {
	err = d.transaction(ctx, func(f *duckFile) error {
		b, err := newBatch(results)
		if err != nil || len(b.rows) == 0 {
			return err
		}
		return f.reading(b, func() error { return f.conn.QueryRowContext(ctx, d.sql["count"]).Scan(&n, &storedAt) })
	})
	return n, storedAt, d.classify("counting rows of "+d.describe(), err)
}

// errTakeBack rolls a probe back.
var errTakeBack = errors.New("taken back")

func (d *duckDB) probe(ctx context.Context, results []record.Result) error {
	err := d.merging(ctx, func(f *duckFile) (*batch, error) {
		b, err := newBatch(results)
		if err != nil {
			return nil, err
		}
		if _, err := d.merge(ctx, f, b, 0); err != nil {
			return b, err
		}
		return b, errTakeBack
	})
	if errors.Is(err, errTakeBack) {
		return nil
	}
	return d.classify(fmt.Sprintf("probing %d rows", len(results)), err)
}
