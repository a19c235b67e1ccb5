package archive

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"millrace/connector"
	"millrace/record"
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
		out[i] = plain(v, r.types[i])
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

// plain makes one of the types that connector.Rows allows of a driver's value.
// Exact numbers stay exact as long as they fit; nested values become JSON text.
func plain(v any, typeName string) any {
	if typeName == "JSON" && v != nil {
		return asJSON(v)
	}
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v
	case int8:
		return int64(v)
	case int16:
		return int64(v)
	case int32:
		return int64(v)
	case uint8:
		return int64(v)
	case uint16:
		return int64(v)
	case uint32:
		return int64(v)
	case uint64:
		return plain(new(big.Int).SetUint64(v), typeName)
	case float32:
		return float64(v)
	case *big.Int:
		if v.IsInt64() {
			return v.Int64()
		}
		return v.String()
	case duckdb.Decimal:
		return v.Float64()
	case []byte:
		if typeName == "UUID" && len(v) == len(record.ID{}) {
			return record.ID(v).String()
		}
		return v
	case time.Time:
		if typeName == "TIME" || typeName == "TIMETZ" {
			return v.Format("15:04:05.999999")
		}
		return v.UTC()
	case duckdb.Interval:
		return fmt.Sprintf("%d months %d days %s", v.Months, v.Days, time.Duration(v.Micros)*time.Microsecond)
	}
	return asJSON(v)
}

func asJSON(v any) any {
	if text, err := json.Marshal(v); err == nil {
		return string(text)
	}
	return fmt.Sprint(v)
}
