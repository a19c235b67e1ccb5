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
	err := d.transaction(ctx, func(f *duckFile) error {
		// First, because it is the cheapest to refuse.
		if err := d.advance(ctx, f, u.advances); err != nil {
			return err
		}
		b, err := newBatch(u.results)
		if err != nil {
			return err
		}
		r.StoredAt = time.Now().UnixMicro()
		if r.Stored, err = d.merge(ctx, f, b, r.StoredAt); err != nil {
			return err
		}
		r.Duplicates = len(u.results) - r.Stored
		r.Bytes = b.bytes
		return nil
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

// merge inserts the rows of b that are not in the table.
func (d *duckDB) merge(ctx context.Context, f *duckFile, b *batch, storedAt int64) (stored int, err error) {
	if len(b.rows) == 0 {
		return 0, nil
	}
	f.batch = b
	defer func() { f.batch = nil }()
	n, err := d.exec(ctx, f, "merge", storedAt)
	return int(n), err
}

func (d *duckDB) count(ctx context.Context, results []record.Result) (n int, storedAt int64, err error) {
	err = d.transaction(ctx, func(f *duckFile) error {
		b, err := newBatch(results)
		if err != nil || len(b.rows) == 0 {
			return err
		}
		f.batch = b
		defer func() { f.batch = nil }()
		return f.conn.QueryRowContext(ctx, d.sql["count"]).Scan(&n, &storedAt)
	})
	return n, storedAt, d.classify("counting rows of "+d.describe(), err)
}

// errTakeBack rolls a probe back.
var errTakeBack = errors.New("taken back")

func (d *duckDB) probe(ctx context.Context, results []record.Result) error {
	err := d.transaction(ctx, func(f *duckFile) error {
		b, err := newBatch(results)
		if err != nil {
			return err
		}
		if _, err := d.merge(ctx, f, b, 0); err != nil {
			return err
		}
		return errTakeBack
	})
	if errors.Is(err, errTakeBack) {
		return nil
	}
	return d.classify(fmt.Sprintf("probing %d rows", len(results)), err)
}
