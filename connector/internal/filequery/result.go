package filequery

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"

	"millrace/connector"
	"millrace/connector/internal/duckread"
)

// result is a query's rows; the query is theirs.
type result struct {
	query   *query
	rows    *sql.Rows
	columns []string
	types   []string
	values  []any
	into    []any
	closed  bool
}

var _ connector.Rows = (*result)(nil)

func newResult(q *query, rows *sql.Rows, types []*sql.ColumnType) *result {
	r := &result{query: q, rows: rows, values: make([]any, len(types)), into: make([]any, len(types))}
	for i, t := range types {
		r.columns = append(r.columns, t.Name())
		r.types = append(r.types, t.DatabaseTypeName())
		r.into[i] = &r.values[i]
	}
	return r
}

// Columns implements connector.Rows.
func (r *result) Columns() []string { return r.columns }

// Next implements connector.Rows.
func (r *result) Next(ctx context.Context) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return nil, r.query.explain(err)
		}
		return nil, io.EOF
	}
	if err := r.rows.Scan(r.into...); err != nil {
		return nil, fmt.Errorf("reading the query's rows: %w", err)
	}
	out := make([]any, len(r.values))
	for i, v := range r.values {
		out[i] = duckread.Plain(v, r.types[i])
	}
	return out, nil
}

// Close may be called more than once.
func (r *result) Close() error {
	if r.closed {
		return nil
	}
	r.closed = true
	return errors.Join(r.rows.Close(), r.query.end())
}
