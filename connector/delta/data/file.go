package data

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
)

// A row group ends with so many bytes of values, or so many rows. All of it is
// in memory until it is written.
const (
	groupBytes = 64 << 20
	groupRows  = 1 << 20
)

// createdBy is in the form that readers look for in a file.
const createdBy = "millrace version 1.0.0 (build 1)"

// fileWriter writes a Parquet file. Values are added through columns, then rows
// are counted by endRows.
type fileWriter struct {
	*layout
	columns []*column
	out     io.Writer
	offset  int64
	// most is how many bytes a row group may have.
	most int
	// rows are those of the row group at hand, total those of the file.
	rows, total int64
	groups      []format.RowGroup
	notes       []format.KeyValue
	err         error
}

// newFileWriter returns a writer of files in this layout; start begins one.
func newFileWriter(l *layout, c *codec, dictionary func(*leaf) bool) *fileWriter {
	w := &fileWriter{layout: l, most: groupBytes}
	for _, f := range l.leaves {
		w.columns = append(w.columns, newColumn(f, c, dictionary(f)))
	}
	return w
}

// start begins a new file; one that is at hand is forgotten.
func (w *fileWriter) start(out io.Writer) {
	w.out, w.offset, w.rows, w.total, w.groups, w.notes, w.err = out, 0, 0, 0, nil, nil, nil
	for _, c := range w.columns {
		c.startFile()
	}
	w.write([]byte("PAR1"))
}

func (w *fileWriter) write(b []byte) {
	if w.err != nil {
		return
	}
	n, err := w.out.Write(b)
	w.offset += int64(n)
	if err != nil {
		w.err = fmt.Errorf("writing a Parquet file: %w", err)
	}
}

// endRows counts rows whose values were added to all columns. It ends pages and
// row groups that are full, so it should be called every few hundred rows.
func (w *fileWriter) endRows(n int) error {
	w.rows += int64(n)
	size := 0
	for _, c := range w.columns {
		if c.full() && w.err == nil {
			w.err = c.endPage()
		}
		if c.err != nil && w.err == nil {
			w.err = c.err
		}
		size += c.size()
	}
	if w.err == nil && (size >= w.most || w.rows >= groupRows) {
		w.endGroup()
	}
	return w.err
}

func (w *fileWriter) endGroup() {
	if w.rows == 0 || w.err != nil {
		return
	}
	g := format.RowGroup{NumRows: w.rows, FileOffset: w.offset, Ordinal: int16(len(w.groups)),
		Columns: make([]format.ColumnChunk, len(w.columns))}
	if len(w.groups) == 1<<15 {
		w.err = errors.New("a Parquet file cannot have more than 32768 row groups")
		return
	}
	for i, c := range w.columns {
		dictBytes, err := c.endChunk()
		if err != nil {
			w.err = err
			return
		}
		if dictBytes > 0 {
			// The dictionary is complete last, but goes first.
			c.meta.DictionaryPageOffset = w.offset
			w.write(c.chunk[len(c.chunk)-dictBytes:])
		}
		c.meta.DataPageOffset = w.offset
		w.write(c.chunk[:len(c.chunk)-dictBytes])
		g.Columns[i].MetaData = c.meta
		g.TotalByteSize += c.meta.TotalUncompressedSize
		g.TotalCompressedSize += c.meta.TotalCompressedSize
		c.startChunk()
	}
	w.groups = append(w.groups, g)
	w.total += w.rows
	w.rows = 0
}

// finish ends the file and returns its size.
func (w *fileWriter) finish() (size int64, err error) {
	w.endGroup()
	if w.err != nil {
		return 0, w.err
	}
	orders := make([]format.ColumnOrder, len(w.columns))
	for i := range orders {
		orders[i].TypeOrder = &format.TypeDefinedOrder{}
	}
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &format.FileMetaData{
		Version: 1, Schema: w.elements, NumRows: w.total, RowGroups: w.groups,
		KeyValueMetadata: w.notes, CreatedBy: createdBy, ColumnOrders: orders})
	if err != nil {
		return 0, fmt.Errorf("encoding the footer of a Parquet file: %w", err)
	}
	w.write(footer)
	w.write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(footer))), "PAR1"...))
	return w.offset, w.err
}
