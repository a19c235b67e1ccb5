package cosmosdb

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
)

// items gives a query's results one by one, io.EOF after the last. What it
// returns is valid until the next call.
type items interface {
	next(ctx context.Context) ([]byte, error)
}

// columnSample is how many results decide what columns there are.
const columnSample = 1000

// scalarColumn is the column of results that are no objects (SELECT VALUE).
const scalarColumn = "value"

// rows makes rows of a query's results. Its columns are the members of the
// first results, in the order in which they occur; those that only later
// results have are not shown, which is logged.
type rows struct {
	from    items
	log     *slog.Logger
	columns []string
	index   map[string]int
	sample  [][]any
	taken   int // of sample
	unknown bool
	ended   bool
}

func newRows(ctx context.Context, from items, log *slog.Logger) (*rows, error) {
	r := &rows{from: from, log: log, index: make(map[string]int)}
	for len(r.sample) < columnSample {
		item, err := from.next(ctx)
		if err == io.EOF {
			r.ended = true
			break
		}
		if err != nil {
			return nil, err
		}
		row, err := r.row(item, true)
		if err != nil {
			return nil, err
		}
		r.sample = append(r.sample, row)
	}
	return r, nil
}

// Columns implements connector.Rows.
func (r *rows) Columns() []string { return r.columns }

// Next implements connector.Rows.
func (r *rows) Next(ctx context.Context) ([]any, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.taken < len(r.sample) {
		row := r.sample[r.taken]
		r.sample[r.taken] = nil
		r.taken++
		// Rows of the sample were made before all columns were known.
		return append(row, make([]any, len(r.columns)-len(row))...), nil
	}
	if r.ended {
		return nil, io.EOF
	}
	item, err := r.from.next(ctx)
	if err != nil {
		r.ended = true
		return nil, err
	}
	return r.row(item, false)
}

func (r *rows) Close() error { return nil }

// row spreads one result over the columns.
func (r *rows) row(item []byte, learn bool) ([]any, error) {
	out := make([]any, len(r.columns))
	set := func(name string, value []byte) {
		i, ok := r.index[name]
		switch {
		case ok:
		case learn:
			i = len(r.columns)
			r.index[name] = i
			r.columns = append(r.columns, name)
			out = append(out, nil)
		default:
			if !r.unknown {
				r.unknown = true
				r.log.Warn("later results have members that the first ones lack; they are not shown. Name the members in the query", "member", name)
			}
			return
		}
		out[i] = cellOf(value)
	}
	if len(item) == 0 || item[0] != '{' {
		set(scalarColumn, item)
		return out, nil
	}
	if !eachMember(item, func(name, value []byte, _ int) bool {
		set(unquote(name), value)
		return true
	}) {
		return nil, fmt.Errorf("a result of the query cannot be read: %.100q", item)
	}
	return out, nil
}

// unquote is the text of a JSON string given without its quotes.
func unquote(s []byte) string {
	if !strings.ContainsRune(string(s), '\\') {
		return string(s)
	}
	var text string
	if json.Unmarshal([]byte(`"`+string(s)+`"`), &text) != nil {
		return string(s)
	}
	return text
}

// textOf is the text of a JSON string.
func textOf(v []byte) string {
	if len(v) < 2 {
		return ""
	}
	return unquote(v[1 : len(v)-1])
}

// cellOf is a JSON value as a cell: arrays and objects stay JSON text.
func cellOf(v []byte) any {
	if len(v) == 0 {
		return nil
	}
	switch v[0] {
	case 'n':
		return nil
	case 't', 'f':
		return v[0] == 't'
	case '"':
		return textOf(v)
	case '{', '[':
		return string(v)
	}
	text := string(v)
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return int64(f)
	}
	return f
}
