package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/big"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"millrace/connector"
	"millrace/record"
)

// scanReaders is how many partitions are read at once.
const scanReaders = 3

// scan reads the table by partitions, several at once, each in one stream.
func (s *sqlServer) scan(ctx context.Context, emit func(*page) error) error {
	doing := "reading " + s.describe()
	partitions, err := s.partitions(ctx)
	if err != nil {
		return s.classify(doing, err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(scanReaders)
	for _, p := range partitions {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err() // another reader has failed
			}
			return s.session(ctx, func(conn *sql.Conn) error { return s.scanPartition(ctx, conn, p, emit) })
		})
	}
	return s.classify(doing, g.Wait())
}

func (s *sqlServer) partitions(ctx context.Context) (out []int32, err error) {
	err = s.session(ctx, func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(ctx, s.sql["partitions"])
		return drain(rows, err, func() error {
			out = append(out, 0)
			return rows.Scan(&out[len(out)-1])
		})
	})
	return out, err
}

func (s *sqlServer) scanPartition(ctx context.Context, conn *sql.Conn, partition int32, emit func(*page) error) error {
	pg := newPage()
	rows, err := conn.QueryContext(ctx, s.sql["scan"], sql.Named("partition", int64(partition)))
	err = drain(rows, err, func() error {
		if err := pg.fromSQLServer(rows); err != nil {
			return err
		}
		if len(pg.rows) < pageRows {
			return nil
		}
		full := pg
		pg = newPage()
		return emit(full)
	})
	if err != nil {
		return err
	}
	return emit(pg)
}

// fromSQLServer appends the row of the statement `scan` that rows stands on.
func (p *page) fromSQLServer(rows *sql.Rows) error {
	r := p.next()
	e := &r.event
	var id, device, kind, complexData, extra sql.RawBytes
	var value sql.NullFloat64
	var created, stored time.Time
	var enqueued, processed sql.NullTime
	if err := rows.Scan(&id, &device, &e.Sequence, &kind, &value, &complexData, &created, &enqueued, &processed, &stored,
		&r.Partition, &r.Offset, &extra); err != nil {
		return err
	}
	if len(id) != len(e.ID) {
		return fmt.Errorf("an eventId has %d bytes instead of %d", len(id), len(e.ID))
	}
	e.ID = guid(record.ID(id)) // its own inverse
	e.DeviceID, e.Type, e.ComplexData = p.keep(device), p.optional(kind), p.optional(complexData)
	e.Value, e.HasValue = value.Float64, value.Valid
	e.CreatedAt, r.StoredAt = created.UnixMicro(), stored.UnixMicro()
	r.EnqueuedAt, r.ProcessedAt = optionalTime(enqueued), optionalTime(processed)
	e.Extra = members(p.optional(extra))
	return nil
}

func optionalTime(t sql.NullTime) int64 {
	if !t.Valid {
		return record.NoTime
	}
	return t.Time.UnixMicro()
}

// query runs a text that was found to only read, in a transaction that is
// rolled back whatever happens: two locks on one door.
func (s *sqlServer) query(ctx context.Context, text string) (connector.Rows, error) {
	text, err := readingQuery(text, s.names.names)
	if err != nil {
		return nil, err
	}
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return nil, s.classify(askingQuery, err)
	}
	q := &serverRows{tx: tx, classify: func(err error) error { return s.classify(askingQuery, err) }}
	if err := q.open(ctx, text); err != nil {
		return nil, errors.Join(q.classify(err), q.Close())
	}
	return q, nil
}

// serverRows are a query's rows. The first one is read with the query: an
// error of the statement itself shows with it.
type serverRows struct {
	tx       *sql.Tx
	rows     *sql.Rows
	classify func(error) error
	columns  []string
	kinds    []string
	more     bool // rows stands on a row that was not handed over yet
}

func (q *serverRows) open(ctx context.Context, text string) (err error) {
	if q.rows, err = q.tx.QueryContext(ctx, text); err != nil {
		return err
	}
	types, err := q.rows.ColumnTypes()
	if err != nil {
		return err
	}
	for _, t := range types {
		q.columns, q.kinds = append(q.columns, t.Name()), append(q.kinds, t.DatabaseTypeName())
	}
	q.more = q.rows.Next()
	return q.rows.Err()
}

func (q *serverRows) Columns() []string { return q.columns }

func (q *serverRows) Next(ctx context.Context) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !q.more {
		if err := q.rows.Err(); err != nil {
			return nil, q.classify(err)
		}
		return nil, io.EOF
	}
	out := make([]any, len(q.columns))
	into := make([]any, len(out))
	for i := range out {
		into[i] = &out[i]
	}
	if err := q.rows.Scan(into...); err != nil {
		return nil, q.classify(err)
	}
	for i := range out {
		out[i] = plainServer(out[i], q.kinds[i])
	}
	q.more = q.rows.Next()
	return out, nil
}

func (q *serverRows) Close() error {
	if q.rows != nil {
		_ = q.rows.Close() // what was not read does not matter
	}
	// If this fails the connection ends, and with it the transaction.
	_ = q.tx.Rollback()
	return nil
}

// plainServer makes one of the types that connector.Rows allows of a value of
// the driver's.
func plainServer(v any, kind string) any {
	switch v := v.(type) {
	case []byte:
		switch kind {
		case "UNIQUEIDENTIFIER":
			if len(v) == 16 {
				return record.ID(guid(record.ID(v))).String()
			}
		case "DECIMAL", "NUMERIC", "MONEY", "SMALLMONEY":
			return plainDecimal(string(v))
		}
		return v
	case time.Time:
		if kind == "TIME" {
			return v.Format("15:04:05.9999999")
		}
		return v.UTC()
	case nil, bool, int64, float64, string:
		return v
	}
	return fmt.Sprint(v)
}

// plainDecimal makes a whole number of a decimal that is one, else a double.
func plainDecimal(text string) any {
	if n, ok := new(big.Int).SetString(text, 10); ok {
		if n.IsInt64() {
			return n.Int64()
		}
		return text
	}
	if f, err := strconv.ParseFloat(strings.TrimSpace(text), 64); err == nil {
		return f
	}
	return text
}
