package data

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/format"

	"millrace/connector/delta/schema"
)

// Pair is a key of a map with its value.
type Pair struct{ Key, Value any }

// ReadRows calls fn with every row of the file, in order, in the columns of a
// table: s is the table's schema, and partition has the texts of the columns
// that it is partitioned by, as the log has them for this file ("" is null).
// Columns that the file lacks are null; those that the table lacks are left out.
//
// Values are nil, bool, int64 (of all integers), float32, float64, string (also
// of decimals, with all their digits), []byte, time.Time in UTC (of dates as
// well), []any (of an array, or of a struct's members in their order) or []Pair.
// The row is fn's own.
func (f *File) ReadRows(ctx context.Context, s *schema.Struct, partition map[string]string, fn func(row []any) error) error {
	constants, err := partitionValues(s, partition)
	if err != nil {
		return err
	}
	l, err := newLayout(s, func(name string) bool {
		_, ok := constants[name]
		return ok
	})
	if err != nil {
		return err
	}
	b, err := f.batches(l)
	if err != nil {
		return err
	}
	a := assembler{at: make([]int, len(l.leaves))}
	return b.each(ctx, func(rows int) error {
		a.cells = b.cells
		clear(a.at)
		for range rows {
			row, err := a.row(s, l, constants)
			if err != nil {
				return err
			}
			if err := fn(row); err != nil {
				return err
			}
		}
		return nil
	})
}

// row builds the next row.
func (a *assembler) row(s *schema.Struct, l *layout, constants map[string]any) ([]any, error) {
	row := make([]any, 0, len(s.Fields))
	next := 0
	for _, field := range s.Fields {
		if v, ok := constants[field.Name]; ok {
			row = append(row, v)
			continue
		}
		n := l.top[next]
		next++
		if err := guard(func() error {
			row = append(row, a.build(n))
			return nil
		}); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// partitionValues reads the texts of the columns of s that a table is
// partitioned by.
func partitionValues(s *schema.Struct, partition map[string]string) (map[string]any, error) {
	out := map[string]any{}
	for name, text := range partition {
		f, ok := s.Field(name)
		if !ok {
			return nil, fmt.Errorf("the table is partitioned by %s, but has no such column", name)
		}
		v, err := ParsePartition(f.Type, text)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", f.Name, err)
		}
		out[f.Name] = v
	}
	return out, nil
}

// ParsePartition reads the text of a value that a table is partitioned by, as
// ReadRows gives it. "" is null.
func ParsePartition(t schema.Type, text string) (v any, err error) {
	if text == "" {
		return nil, nil
	}
	switch t {
	case schema.String:
		return text, nil
	case schema.Long, schema.Integer, schema.Short, schema.Byte:
		v, err = strconv.ParseInt(text, 10, 64)
	case schema.Float:
		var f float64
		f, err = strconv.ParseFloat(text, 32)
		v = float32(f)
	case schema.Double:
		v, err = strconv.ParseFloat(text, 64)
	case schema.Boolean:
		v, err = strconv.ParseBool(text)
	case schema.Binary:
		v = []byte(text)
	case schema.Date:
		v, err = time.Parse(time.DateOnly, text)
	case schema.Timestamp, schema.TimestampNTZ:
		v, err = parsePartitionTime(text)
	default:
		d, ok := t.(schema.Decimal)
		if !ok {
			return nil, fmt.Errorf("a table cannot be partitioned by a column of type %s", t)
		}
		v, err = rescale(text, d)
	}
	if err != nil {
		return nil, fmt.Errorf("%q is no value of type %s", text, t)
	}
	return v, nil
}

// parsePartitionTime reads a time as writers give it: with a zone, or in UTC.
func parsePartitionTime(text string) (time.Time, error) {
	for _, form := range []string{"2006-01-02 15:04:05", time.RFC3339, "2006-01-02T15:04:05"} {
		// Decimals of the seconds may follow in any form.
		if t, err := time.Parse(form, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("no time")
}

// rescale writes a decimal's text with all the digits of its type.
func rescale(text string, d schema.Decimal) (string, error) {
	r, ok := new(big.Rat).SetString(text)
	if !ok || strings.ContainsAny(text, "/eExX_") {
		return "", errors.New("no decimal")
	}
	return r.FloatString(d.Scale), nil
}

// assembler makes values of rows from the values of leaves.
type assembler struct {
	cells []cells
	// at is the next value of each leaf.
	at []int
}

// build takes the next value of a field.
func (a *assembler) build(n *node) any {
	if n.leaf != nil {
		c := &a.cells[n.leaf.index]
		i := a.at[n.leaf.index]
		a.at[n.leaf.index]++
		if c.null(i) {
			return nil
		}
		return plainValue(n.leaf, &c.vals[i])
	}
	first := firstLeaf(n)
	def := a.cells[first.index].defs[a.at[first.index]]
	if def < n.def {
		a.skip(n)
		return nil
	}
	if _, ok := n.typ.(*schema.Struct); ok {
		members := make([]any, len(n.children))
		for i, m := range n.children {
			members[i] = a.build(m)
		}
		return members
	}
	_, isMap := n.typ.(*schema.Map)
	list, pairs := []any{}, []Pair{}
	if def == n.def {
		a.skip(n)
	} else {
		for {
			if isMap {
				pairs = append(pairs, Pair{Key: a.build(n.children[0]), Value: a.build(n.children[1])})
			} else {
				list = append(list, a.build(n.children[0]))
			}
			reps := a.cells[first.index].reps
			if i := a.at[first.index]; i >= len(reps) || reps[i] != n.rep+1 {
				break
			}
		}
	}
	if isMap {
		return pairs
	}
	return list
}

// skip takes what stands for a field that is null or empty: one value of each
// leaf.
func (a *assembler) skip(n *node) {
	if n.leaf != nil {
		a.at[n.leaf.index]++
	}
	for _, m := range n.children {
		a.skip(m)
	}
}

func firstLeaf(n *node) *leaf {
	for n.leaf == nil {
		n = n.children[0]
	}
	return n.leaf
}

// plainValue is a value as ReadRows gives it.
func plainValue(f *leaf, c *cell) any {
	switch t := f.typ.(type) {
	case schema.Decimal:
		n := big.NewInt(c.int())
		if f.physical == format.FixedLenByteArray {
			n = bigInt(c.bytes)
		}
		return string(appendDecimal(nil, n, t.Scale))
	case schema.Primitive:
		switch t {
		case schema.Boolean:
			return c.bits != 0
		case schema.Float:
			return float32(c.double())
		case schema.Double:
			return c.double()
		case schema.String:
			return string(c.bytes)
		case schema.Binary:
			return slices.Clone(c.bytes)
		case schema.Date:
			return time.Unix(c.int()*24*60*60, 0).UTC()
		case schema.Timestamp, schema.TimestampNTZ:
			return time.UnixMicro(c.int()).UTC()
		}
	}
	return c.int()
}
