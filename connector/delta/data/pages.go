package data

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding"
)

// The values of pages are taken as the library decodes them, in slices, and not
// as its Values: this is several times faster, and its readers of values do not
// come back if a broken page has fewer values than it says.

// pageValues are the values of a page that are not null.
type pageValues struct {
	kind    encoding.Kind
	n       int
	bits    []byte
	int32s  []int32
	int64s  []int64
	int96s  []deprecated.Int96
	floats  []float32
	doubles []float64
	bytes   []byte
	offsets []uint32
	size    int
	// index holds numbers of values in dict; nil if the values are here.
	index []int32
	dict  *pageValues
}

// set takes the values of a page.
func (v *pageValues) set(data encoding.Values) error {
	*v = pageValues{kind: data.Kind(), dict: v.dict}
	switch v.kind {
	case encoding.Boolean:
		v.bits = data.Boolean()
		v.n = 8 * len(v.bits)
	case encoding.Int32:
		v.int32s = data.Int32()
		v.n = len(v.int32s)
	case encoding.Int64:
		v.int64s = data.Int64()
		v.n = len(v.int64s)
	case encoding.Int96:
		v.int96s = data.Int96()
		v.n = len(v.int96s)
	case encoding.Float:
		v.floats = data.Float()
		v.n = len(v.floats)
	case encoding.Double:
		v.doubles = data.Double()
		v.n = len(v.doubles)
	case encoding.ByteArray:
		v.bytes, v.offsets = data.ByteArray()
		v.n = max(0, len(v.offsets)-1)
	case encoding.FixedLenByteArray:
		v.bytes, v.size = data.FixedLenByteArray()
		if v.size <= 0 {
			return errors.New("values of a fixed size of 0")
		}
		v.n = len(v.bytes) / v.size
	default:
		v.n = 0
	}
	return nil
}

// page takes the values of p, with its dictionary if it has one.
func (v *pageValues) page(p parquet.Page) error {
	if err := v.set(p.Data()); err != nil {
		return err
	}
	d := p.Dictionary()
	if d == nil {
		return nil
	}
	if v.kind != encoding.Int32 {
		return errors.New("a dictionary's numbers are no integers")
	}
	if v.dict == nil {
		v.dict = &pageValues{}
	}
	if err := v.dict.set(d.Page().Data()); err != nil {
		return err
	}
	v.index = v.int32s
	return nil
}

// get returns a value. It panics on a number that the dictionary does not have.
func (v *pageValues) get(i int, c *cell) {
	if v.index != nil {
		v.dict.get(int(v.index[i]), c)
		return
	}
	switch v.kind {
	case encoding.Boolean:
		c.bits = uint64(v.bits[i/8]>>(i%8)) & 1
	case encoding.Int32:
		c.bits = uint64(int64(v.int32s[i]))
	case encoding.Int64:
		c.bits = uint64(v.int64s[i])
	case encoding.Int96:
		c.bits = uint64(int96Micros(v.int96s[i]))
	case encoding.Float:
		c.bits = doubleBits(float64(v.floats[i]))
	case encoding.Double:
		c.bits = doubleBits(v.doubles[i])
	case encoding.ByteArray:
		start, end := v.offsets[i], v.offsets[i+1]
		c.bytes = v.bytes[start:end:end]
	case encoding.FixedLenByteArray:
		c.bytes = v.bytes[i*v.size : (i+1)*v.size : (i+1)*v.size]
	}
}

// cells are the values of a leaf in some rows. Nulls have a level below the
// leaf's and an empty cell. Without arrays around the leaf there is one for each
// row, and reps is empty.
type cells struct {
	leaf *leaf
	defs []uint8
	reps []uint8
	vals []cell
}

func (c *cells) reset() { c.defs, c.reps, c.vals = c.defs[:0], c.reps[:0], c.vals[:0] }

// null tells whether value i is null.
func (c *cells) null(i int) bool { return c.defs[i] != c.leaf.def }

// leafReader reads the values of one source in one row group.
type leafReader struct {
	source
	pages parquet.Pages
	page  parquet.Page
	defs  []byte
	reps  []byte
	// n values are on the page; at is the next one, value the next of those
	// that are not null.
	n, at, value int
	values       pageValues
	most         uint8 // the column's largest definition level
	// held are pages whose values have been handed out.
	held []parquet.Page
}

// open begins reading the column's part of a row group.
func (r *leafReader) open(f *File, group int) error {
	r.close()
	r.n, r.at = 0, 0
	if r.column < 0 {
		return nil
	}
	chunk := f.file.RowGroups()[group].ColumnChunks()[r.column]
	r.most = uint8(len(r.levels) - 1)
	r.values.dict = nil
	r.pages = chunk.Pages()
	return nil
}

func (r *leafReader) close() {
	r.release()
	if r.page != nil {
		parquet.Release(r.page)
		r.page = nil
	}
	if r.pages != nil {
		_ = r.pages.Close()
		r.pages = nil
	}
}

func (r *leafReader) release() {
	for _, p := range r.held {
		parquet.Release(p)
	}
	r.held = r.held[:0]
}

// nextPage goes to the next page that has values; io.EOF after the last one.
func (r *leafReader) nextPage() error {
	for {
		if r.page != nil {
			r.held = append(r.held, r.page)
			r.page = nil
		}
		p, err := r.pages.ReadPage()
		if err != nil {
			return err
		}
		r.page = p
		r.defs, r.reps = p.DefinitionLevels(), p.RepetitionLevels()
		r.n, r.at, r.value = int(p.NumValues()), 0, 0
		if r.most > 0 && len(r.defs) != r.n || r.rep > 0 && len(r.reps) != r.n {
			return errors.New("a page has not as many levels as values")
		}
		if err := r.values.page(p); err != nil {
			return err
		}
		if r.n > 0 {
			return nil
		}
	}
}

// next reads the values of the next rows, all of which must be there. They are
// valid until the next call.
func (r *leafReader) next(rows int, out *cells) error {
	out.reset()
	out.leaf = r.leaf
	if r.column < 0 {
		for range rows {
			out.defs = append(out.defs, 0)
			out.vals = append(out.vals, cell{})
			if r.leaf.rep > 0 {
				out.reps = append(out.reps, 0)
			}
		}
		return nil
	}
	r.release()
	for seen := 0; ; {
		if r.at == r.n {
			if err := r.nextPage(); errors.Is(err, io.EOF) {
				if seen < rows {
					return fmt.Errorf("the column has fewer rows than its row group: %w", io.ErrUnexpectedEOF)
				}
				return nil
			} else if err != nil {
				return err
			}
		}
		done, err := r.take(rows, &seen, out)
		if err != nil {
			return fmt.Errorf("column %s: %w", r.leaf.path[0], err)
		}
		if done {
			return nil
		}
	}
}

// take takes values of the page at hand, until seen is rows and the last of them
// has ended.
func (r *leafReader) take(rows int, seen *int, out *cells) (done bool, err error) {
	flat := len(r.reps) == 0
	for r.at < r.n {
		rep := uint8(0)
		if !flat {
			rep = r.reps[r.at]
		}
		if rep == 0 {
			if *seen == rows {
				return true, nil
			}
			*seen++
		}
		def := r.most
		if r.most > 0 {
			def = r.defs[r.at]
		}
		r.at++
		value := r.value
		there := def == r.most
		if there {
			r.value++
		}
		if rep > r.rep {
			continue // deeper down in what only shows where its struct is
		}
		if !r.same {
			if def = r.levels[def]; def == forbidden {
				return false, errors.New("a value is null that must not be")
			}
		}
		out.vals = append(out.vals, cell{})
		if there && !r.proxy {
			c := &out.vals[len(out.vals)-1]
			r.values.get(value, c)
			if r.convert != nil {
				if err := r.convert(c); err != nil {
					return false, err
				}
			}
		}
		out.defs = append(out.defs, def)
		if r.leaf.rep > 0 {
			out.reps = append(out.reps, rep)
		}
	}
	return flat && *seen == rows, nil
}

// batchReader reads all leaves of a file, some rows at a time.
type batchReader struct {
	file    *File
	leaves  []leafReader
	cells   []cells
	group   int
	left    int64 // rows of the row group at hand that are not read
	most    int64 // rows to read at once
	started bool
}

func (f *File) batches(l *layout) (*batchReader, error) {
	sources, err := f.resolve(l)
	if err != nil {
		return nil, err
	}
	b := &batchReader{file: f, leaves: make([]leafReader, len(sources)), cells: make([]cells, len(sources))}
	for i := range sources {
		b.leaves[i].source = sources[i]
	}
	return b, nil
}

// How many rows are read at once: as many as take some memory, if their row group
// tells the truth about its size, but not more than make no difference.
const (
	batchRows  = 1024
	batchBytes = 8 << 20
)

// next reads the next rows into b.cells; io.EOF at the end.
func (b *batchReader) next() (rows int, err error) {
	err = guard(func() error {
		for b.left == 0 {
			groups := b.file.file.RowGroups()
			if b.started {
				b.group++
			}
			b.started = true
			if b.group >= len(groups) {
				return io.EOF
			}
			b.left = groups[b.group].NumRows()
			size := b.file.file.Metadata().RowGroups[b.group].TotalByteSize
			b.most = min(batchRows, max(1, batchBytes/max(1, size/max(1, b.left))))
			for i := range b.leaves {
				if err := b.leaves[i].open(b.file, b.group); err != nil {
					return err
				}
			}
		}
		rows = int(min(b.left, b.most))
		for i := range b.leaves {
			if err := b.leaves[i].next(rows, &b.cells[i]); err != nil {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return b.file.broken(err)
			}
		}
		b.left -= int64(rows)
		return nil
	})
	return rows, err
}

// each calls fn with the number of rows in b.cells until there are no more, and
// ends the reader. An error of fn ends it, too, and is returned as it is.
func (b *batchReader) each(ctx context.Context, fn func(rows int) error) error {
	defer b.close()
	for {
		rows, err := b.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			err = fn(rows)
		}
		if err != nil {
			return err
		}
	}
}

func (b *batchReader) close() {
	for i := range b.leaves {
		b.leaves[i].close()
	}
}
