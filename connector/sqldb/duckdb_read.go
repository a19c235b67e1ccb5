package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"millrace/connector"
	"millrace/connector/internal/duckread"
	"millrace/record"
)

// scanStretch is how many rows are read at once: a result is held in memory.
const scanStretch = 4 * rowGroup

// scan reads stretches of rows on as many connections as DuckDB has threads:
// the driver hands over values one by one, which takes longer than finding
// them.
func (d *duckDB) scan(ctx context.Context, emit func(*page) error) error {
	err := d.scanPages(ctx, emit)
	return d.classify("reading "+d.describe(), err)
}

func (d *duckDB) scanPages(ctx context.Context, emit func(*page) error) error {
	f, err := d.opened(ctx, false)
	if err != nil {
		return err
	}
	var rows, next atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	start := make(chan struct{})
	read := func(first bool) error {
		c, err := f.connect(ctx)
		if err != nil {
			return err
		}
		defer func() { _ = hangUp(c) }()
		if first {
			var n int64
			if err := c.QueryRowContext(ctx, d.sql["rows"]).Scan(&n); err != nil {
				return err
			}
			rows.Store(n)
			close(start)
		}
		select {
		case <-start:
		case <-ctx.Done():
			return ctx.Err()
		}
		return c.Raw(func(raw any) error {
			for {
				from := next.Add(scanStretch) - scanStretch
				if from >= rows.Load() {
					return nil
				}
				if err := d.readStretch(ctx, raw.(driver.QueryerContext), from, min(from+scanStretch, rows.Load()), emit); err != nil {
					return err
				}
			}
		})
	}
	for i := range d.cfg.Threads {
		g.Go(func() error { return read(i == 0) })
	}
	return g.Wait()
}

func (d *duckDB) readStretch(ctx context.Context, c driver.QueryerContext, from, to int64, emit func(*page) error) (err error) {
	rows, err := c.QueryContext(ctx, d.sql["page"], []driver.NamedValue{{Ordinal: 1, Value: from}, {Ordinal: 2, Value: to}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	values := make([]driver.Value, len(rows.Columns()))
	p := newPage()
	for {
		if err := rows.Next(values); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
		if err := p.next().fromDuck(values); err != nil {
			return err
		}
		if len(p.rows) == pageRows {
			if err := emit(p); err != nil {
				return err
			}
			p = newPage()
		}
	}
	return emit(p)
}

// fromDuck fills a row with the values of the statement `page`.
func (r *row) fromDuck(v []driver.Value) error {
	e := &r.event
	id, ok := v[0].([]byte)
	if !ok || len(id) != len(e.ID) {
		return fmt.Errorf("eventId is %T, not a UUID", v[0])
	}
	copy(e.ID[:], id)
	var c converter
	e.DeviceID = c.text(v[1])
	e.Sequence = number[int64](&c, v[2])
	e.Type = c.text(v[3])
	if e.HasValue = v[4] != nil; e.HasValue {
		e.Value = number[float64](&c, v[4])
	}
	e.ComplexData = c.text(v[5])
	e.CreatedAt = number[int64](&c, v[6])
	r.EnqueuedAt = c.time(v[7])
	r.ProcessedAt = c.time(v[8])
	r.StoredAt = number[int64](&c, v[9])
	r.Partition = number[int32](&c, v[10])
	r.Offset = number[int64](&c, v[11])
	e.Extra = members(c.text(v[12]))
	return c.err
}

// members takes the braces off an object.
func members(object []byte) []byte {
	if len(object) < 2 {
		return nil
	}
	return object[1 : len(object)-1]
}

// converter takes the driver's values for what they must be.
type converter struct{ err error }

func (c *converter) wrong(v driver.Value) {
	if c.err == nil {
		c.err = fmt.Errorf("a column holds a %T, which it never should", v)
	}
}

func (c *converter) text(v driver.Value) []byte {
	switch v := v.(type) {
	case nil:
		return nil
	case string:
		return []byte(v)
	default:
		c.wrong(v)
		return nil
	}
}

func (c *converter) time(v driver.Value) int64 {
	if v == nil {
		return record.NoTime
	}
	return number[int64](c, v)
}

func number[T int32 | int64 | float64](c *converter, v driver.Value) T {
	n, ok := v.(T)
	if !ok {
		c.wrong(v)
	}
	return n
}

// hangUp closes a connection for good instead of returning it to the pool:
// its views and transactions are its own.
func hangUp(c *sql.Conn) error {
	err := c.Raw(func(any) error { return driver.ErrBadConn })
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

func (d *duckDB) query(ctx context.Context, text string) (connector.Rows, error) {
	const doing = "running the query"
	f, err := d.opened(ctx, false)
	if err != nil {
		return nil, d.classify("opening "+d.path, err)
	}
	c, err := f.connect(ctx)
	if err != nil {
		return nil, d.classify(doing, err)
	}
	rows, err := d.queryOn(ctx, c, text)
	if err != nil {
		return nil, errors.Join(d.classify(doing, err), hangUp(c))
	}
	return rows, nil
}

func (d *duckDB) queryOn(ctx context.Context, c *sql.Conn, text string) (connector.Rows, error) {
	var before []string
	if !d.names.plainTable() {
		before = append(before, "view")
	}
	for _, name := range append(before, "readOnly") {
		if _, err := c.ExecContext(ctx, d.sql[name]); err != nil {
			return nil, err
		}
	}
	return duckread.Query(ctx, c, text, duckread.Reading{End: func() error { return hangUp(c) }})
}
