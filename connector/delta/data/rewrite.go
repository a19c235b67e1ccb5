package data

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/parquet-go/parquet-go/format"

	"millrace/connector/delta/schema"
)

// Rewriter copies the rows of files into a larger one, for tables of any schema,
// with statistics taken anew. The rows stay in their order. What is in memory is
// bounded by a row group, about 64 MB, whatever the sizes of the files. It is
// not safe for concurrent use.
type Rewriter struct {
	layout *layout
	file   *fileWriter
	stats  *statsLayout
}

// NewRewriter returns a rewriter for files of a table of schema s. partitionBy
// are the columns that the table is partitioned by; they are not in its files,
// and files that go into one must not differ in them.
func NewRewriter(s *schema.Struct, partitionBy []string, o WriterOptions) (*Rewriter, error) {
	c, err := newCodec(o.Compression)
	if err != nil {
		return nil, err
	}
	l, err := newLayout(s, func(name string) bool {
		return slices.ContainsFunc(partitionBy, func(p string) bool { return strings.EqualFold(p, name) })
	})
	if err != nil {
		return nil, err
	}
	if len(l.leaves) == 0 {
		return nil, errors.New("all columns of the table are ones that it is partitioned by: its files have none")
	}
	return &Rewriter{layout: l, stats: newStatsLayout(s, l, partitionBy, o.StatsColumns),
		file: newFileWriter(l, c, func(*leaf) bool { return true })}, nil
}

// Reset begins a file, which is written to out as it grows.
func (r *Rewriter) Reset(out io.Writer) { r.file.start(out) }

// Append adds all rows of f. After an error, the file is spoilt, and Reset begins
// another one.
func (r *Rewriter) Append(ctx context.Context, f *File) error {
	b, err := f.batches(r.layout)
	if err != nil {
		return err
	}
	return b.each(ctx, func(rows int) error {
		for i := range b.cells {
			r.file.columns[i].addCells(&b.cells[i])
		}
		return r.file.endRows(rows)
	})
}

// Size is about how many bytes the file has become so far.
func (r *Rewriter) Size() int64 {
	n := r.file.offset
	for _, c := range r.file.columns {
		n += int64(c.size())
	}
	return n
}

// Finish ends the file.
func (r *Rewriter) Finish() (Written, error) {
	size, err := r.file.finish()
	if err != nil {
		return Written{}, fmt.Errorf("rewriting files: %w", err)
	}
	return Written{Rows: r.file.total, Size: size, Stats: r.stats.text(r.file)}, nil
}

// addCells adds values of any leaf, whole rows of them.
func (c *column) addCells(in *cells) {
	for i := range in.vals {
		def := in.defs[i]
		rep := uint8(0)
		if c.rep > 0 {
			rep = in.reps[i]
		}
		if rep == 0 {
			c.makeRoom()
			if c.outer > 0 && def < c.outer {
				c.outers++
			}
		}
		if c.rep > 0 {
			c.reps.add(rep)
		}
		if def != c.def {
			c.null(def)
			continue
		}
		c.defs.add(def)
		c.addCell(&in.vals[i])
	}
}

func (c *column) addCell(v *cell) {
	switch c.physical {
	case format.Boolean:
		c.addBoolean(v.bits != 0)
	case format.Int32:
		c.values = appendUint32(c.values, uint32(v.bits))
	case format.Int64, format.Double:
		c.values = appendUint64(c.values, v.bits)
	case format.Float:
		c.values = appendUint32(c.values, floatBits(v.double()))
	case format.ByteArray:
		c.addBytes(v.bytes)
	case format.FixedLenByteArray:
		c.values = append(c.values, v.bytes...)
	}
}
