package archive

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"millrace/connector/internal/ducktext"
	"millrace/record"
)

// The columns of archive_rows, in their order.
const (
	colSequence = iota
	colOffset
	colEnqueued
	colSystem
	colProperties
	colBody
	colPartition
	colFile
	colStored
	colEventID
	colDevice
	colDeviceSequence
	colType
	colValue
	colComplex
	colCreated
	colBodyError
	colRaw
	colRow
	columnCount
)

var columnTypes = [columnCount]struct {
	name string
	t    duckdb.Type
}{
	{"SequenceNumber", duckdb.TYPE_BIGINT},
	{"Offset", duckdb.TYPE_VARCHAR},
	{"enqueued", duckdb.TYPE_BIGINT},
	{"SystemProperties", duckdb.TYPE_VARCHAR},
	{"Properties", duckdb.TYPE_VARCHAR},
	{"Body", duckdb.TYPE_VARCHAR},
	{"PartitionId", duckdb.TYPE_INTEGER},
	{"FileName", duckdb.TYPE_VARCHAR},
	{"stored", duckdb.TYPE_BIGINT},
	{"eventId", duckdb.TYPE_UUID},
	{"deviceId", duckdb.TYPE_VARCHAR},
	{"deviceSequenceNumber", duckdb.TYPE_BIGINT},
	{"type", duckdb.TYPE_VARCHAR},
	{"value", duckdb.TYPE_DOUBLE},
	{"complexData", duckdb.TYPE_VARCHAR},
	{"created", duckdb.TYPE_BIGINT},
	{"BodyError", duckdb.TYPE_VARCHAR},
	{"RawBody", duckdb.TYPE_BLOB},
	{"ArchiveRow", duckdb.TYPE_BIGINT},
}

// rowBits is how many records a file may hold for ArchiveRow to tell them
// apart: a trillion.
const rowBits = 40

// rows is one reading of the files that a pattern chose. DuckDB's threads take
// one file after the other.
type rows struct {
	query   *query
	ctx     context.Context
	columns []duckdb.ColumnInfo
	files   []*file
	next    atomic.Int64
}

var _ duckdb.ParallelChunkTableSource = (*rows)(nil)

// ColumnInfos implements duckdb.ParallelChunkTableSource.
func (r *rows) ColumnInfos() []duckdb.ColumnInfo { return r.columns }

// bytesPerRecord is what a record of the standard event takes in a file; it
// only guides the plan.
const bytesPerRecord = 1000

// Cardinality implements duckdb.ParallelChunkTableSource.
func (r *rows) Cardinality() *duckdb.CardinalityInfo {
	var size int64
	for _, f := range r.files {
		size += f.info.Size
	}
	return &duckdb.CardinalityInfo{Cardinality: uint(size/bytesPerRecord) + 1}
}

// Init implements duckdb.ParallelChunkTableSource.
func (r *rows) Init() duckdb.ParallelTableSourceInfo {
	return duckdb.ParallelTableSourceInfo{MaxThreads: max(1, min(r.query.threads, len(r.files)))}
}

// rowThread is what one of DuckDB's threads reads and remembers.
type rowThread struct {
	reader *fileReader
	page   page
	// row counts the records of the file.
	row    int64
	stored int64
	name   []byte
	clock  clock
	event  record.Event
	// texts are the columns of texts in the chunk that is being filled.
	texts [columnCount]ducktext.Column
	// wanted are the columns that the statement asks for.
	wanted [columnCount]bool
	// body tells that one of those that come out of the body is wanted.
	body bool
}

// NewLocalState implements duckdb.ParallelChunkTableSource.
func (r *rows) NewLocalState() any { return new(rowThread) }

// FillChunk implements duckdb.ParallelChunkTableSource.
func (r *rows) FillChunk(local any, chunk duckdb.DataChunk) error {
	if err := r.fill(local.(*rowThread), &chunk); err != nil {
		return r.query.fail(err)
	}
	return nil
}

// chunkBytes is how much text a chunk holds, and by how much memory may be
// exceeded per thread: with large bodies it gets fewer rows.
const chunkBytes = 4 << 20

func (r *rows) fill(t *rowThread, chunk *duckdb.DataChunk) error {
	shape, err := ducktext.Open(chunk, columnCount)
	if err != nil {
		return err
	}
	t.begin(&shape)
	w := chunkWriter{chunk: *chunk, thread: t}
	for size := duckdb.GetDataChunkCapacity(); w.row < size && w.bytes < chunkBytes; {
		if t.reader == nil {
			more, err := r.nextFile(t)
			if err != nil {
				return err
			}
			if !more {
				break
			}
			continue // a file may hold nothing
		}
		var e entry
		more, err := t.page.read(&e)
		if err != nil {
			return err
		}
		if !more {
			if err := r.nextPage(t); err != nil {
				return err
			}
			continue
		}
		t.write(&w, &e)
		if w.err != nil {
			return w.err
		}
		t.row++
		w.row++
	}
	for col := range t.texts {
		if t.wanted[col] {
			if err := shape.Put(col, &t.texts[col]); err != nil {
				return err
			}
		}
	}
	return chunk.SetSize(w.row)
}

// begin prepares for a chunk.
func (t *rowThread) begin(shape *ducktext.Chunk) {
	t.body = false
	for col := range t.wanted {
		t.texts[col].Reset()
		t.wanted[col] = shape.Wants(col)
		if t.wanted[col] && (col == colBody || col >= colEventID && col <= colBodyError) {
			t.body = true
		}
	}
}

// nextFile opens the next file that nobody reads yet.
func (r *rows) nextFile(t *rowThread) (bool, error) {
	for {
		if err := r.ctx.Err(); err != nil {
			return false, err
		}
		i := int(r.next.Add(1) - 1)
		if i >= len(r.files) {
			return false, nil
		}
		f := r.files[i]
		if f.info.Size <= emptySize {
			continue
		}
		reader, err := r.query.open(r.ctx, f)
		if err != nil {
			return false, err
		}
		t.reader, t.row, t.stored = reader, 0, storedAt(f.info.Modified)
		t.name = cleanText([]byte(f.info.Name))
		return true, r.nextPage(t)
	}
}

// nextPage reads on; at the end of the file it closes it.
func (r *rows) nextPage(t *rowThread) error {
	if err := r.ctx.Err(); err != nil {
		return err
	}
	err := t.reader.next(&t.page)
	if errors.Is(err, io.EOF) {
		reader := t.reader
		t.reader, t.page.left, t.page.rest = nil, 0, cursor{}
		return r.query.close(reader)
	}
	return err
}

// write sets the columns of a row.
func (t *rowThread) write(w *chunkWriter, e *entry) {
	f := t.reader.file
	put(w, colSequence, e.sequence)
	put(w, colPartition, f.partition)
	put(w, colStored, t.stored)
	put(w, colRow, int64(f.number)<<rowBits|t.row)
	w.text(colFile, t.name)
	if t.wanted[colOffset] {
		w.text(colOffset, cleanText(e.offset))
	}
	if t.wanted[colEnqueued] {
		w.time(colEnqueued, t.clock.read(e.enqueued))
	}
	if t.wanted[colSystem] {
		c := &t.texts[colSystem]
		c.Bytes = e.appendSystem(c.Bytes)
		c.End(false)
	}
	if t.wanted[colProperties] {
		c := &t.texts[colProperties]
		c.Bytes = e.appendProperties(c.Bytes)
		c.End(false)
	}
	w.text(colRaw, e.body)
	if t.body {
		t.writeBody(w, e)
	}
}

// writeBody sets the columns that come out of the body.
func (t *rowThread) writeBody(w *chunkWriter, e *entry) {
	ev := &t.event
	if err := ev.Decode(e.body); err != nil {
		t.writeBad(w, e, err)
		return
	}
	w.text(colBody, e.body)
	put(w, colEventID, duckdb.UUID(ev.ID))
	w.text(colDevice, ev.DeviceID)
	put(w, colDeviceSequence, ev.Sequence)
	w.text(colType, ev.Type)
	if ev.HasValue {
		put(w, colValue, ev.Value)
	} else {
		w.null(colValue)
	}
	w.text(colComplex, ev.ComplexData)
	put(w, colCreated, ev.CreatedAt)
	w.text(colBodyError, nil)
}

// writeBad sets the columns of a body that is no event; as long as it is JSON,
// queries can still look into it.
func (t *rowThread) writeBad(w *chunkWriter, e *entry, why error) {
	for _, c := range [...]int{colEventID, colDeviceSequence, colValue, colCreated} {
		w.null(c)
	}
	for _, c := range [...]int{colDevice, colType, colComplex} {
		w.text(c, nil)
	}
	body := e.body
	if _, err := record.Fingerprint(body); err != nil {
		body = nil
	}
	w.text(colBody, body)
	text := why.Error()
	if e.body == nil {
		text = fmt.Sprintf("%s: the record has no body", record.NotJSON)
	}
	w.text(colBodyError, cleanText([]byte(text)))
}

// chunkWriter sets the columns of a row; the first error stays. A column that
// the statement does not ask for is left out.
type chunkWriter struct {
	chunk  duckdb.DataChunk
	thread *rowThread
	row    int
	// bytes is how much text the chunk has got.
	bytes int
	err   error
}

func put[T any](w *chunkWriter, col int, v T) {
	if err := duckdb.SetChunkValue(w.chunk, col, w.row, v); err != nil && w.err == nil {
		w.err = err
	}
}

func (w *chunkWriter) null(col int) {
	if err := w.chunk.SetValue(col, w.row, nil); err != nil && w.err == nil {
		w.err = err
	}
}

// text sets a text or bytes; nil is NULL.
func (w *chunkWriter) text(col int, b []byte) {
	if w.thread.wanted[col] {
		w.thread.texts[col].Add(b)
		w.bytes += len(b)
	}
}

func (w *chunkWriter) time(col int, micros int64) {
	if micros == record.NoTime {
		w.null(col)
		return
	}
	put(w, col, micros)
}
