package duckread

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	"millrace/connector"
)

// Reading is what queries differ in.
type Reading struct {
	// Value makes one of the types that connector.Rows allows of a driver's
	// value, whose column has a type of that name; nil: Plain.
	Value func(v any, typeName string) any
	// Explain makes an error that ends the rows one that says what to do; nil:
	// it says only what was being done.
	Explain func(error) error
	// End releases what the query ran on, once its rows are closed.
	End func() error
}

// Query runs one statement that reads; it refuses others with ErrOnlyReads. If
// it fails, End was not called and is the caller's to call.
func Query(ctx context.Context, c *sql.Conn, text string, r Reading) (connector.Rows, error) {
	if err := c.Raw(func(raw any) error { return Check(raw.(driver.Conn), text) }); err != nil {
		return nil, err
	}
	rows, err := c.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return newResult(rows, types, r), nil
}

// result is the rows of a query, and what it ran on.
type result struct {
	reading Reading
	rows    *sql.Rows
	columns []string
	types   []string
	values  []any
	into    []any
	closed  bool
}

func newResult(rows *sql.Rows, types []*sql.ColumnType, reading Reading) *result {
	r := &result{reading: reading, rows: rows, values: make([]any, len(types)), into: make([]any, len(types))}
	if reading.Value == nil {
		r.reading.Value = Plain
	}
	if reading.Explain == nil {
		r.reading.Explain = failed
	}
	for i, t := range types {
		r.columns = append(r.columns, t.Name())
		r.types = append(r.types, t.DatabaseTypeName())
		r.into[i] = &r.values[i]
	}
	return r
}

func failed(err error) error { return fmt.Errorf("reading the query's rows: %w", err) }

// Columns implements connector.Rows.
func (r *result) Columns() []string { return r.columns }

// Next implements connector.Rows.
func (r *result) Next(ctx context.Context) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return nil, r.reading.Explain(err)
		}
		return nil, io.EOF
	}
	if err := r.rows.Scan(r.into...); err != nil {
		return nil, failed(err)
	}
	out := make([]any, len(r.values))
	for i, v := range r.values {
		out[i] = r.reading.Value(v, r.types[i])
	}
	return out, nil
}

// Close implements connector.Rows. It may be called more than once.
func (r *result) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	return errors.Join(r.rows.Close(), r.reading.End())
}
