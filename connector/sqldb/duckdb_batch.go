package sqldb

import (
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"millrace/connector/internal/ducktext"
	"millrace/record"
)

// batch is what the table function millrace_batch() hands over to DuckDB: the
// results of one write, each eventId once. Against an appender this saves the
// staging copy of every row, and it feeds as many threads as DuckDB has.
type batch struct {
	results []record.Result
	// rows are the indexes of the results to hand over.
	rows  []int32
	bytes int64

	mu     sync.Mutex
	states []*threadState // of the statement that reads the batch
	failed error          // the first error of handing over
}

// pieces cuts a batch into such of about most bytes each; 0 leaves it whole.
func (b *batch) pieces(most int64) []*batch {
	if most <= 0 || b.bytes <= most {
		return []*batch{b}
	}
	var out []*batch
	start, bytes := 0, int64(0)
	for i, at := range b.rows {
		size := rowBytes(&b.results[at])
		if i > start && bytes+size > most {
			out = append(out, &batch{results: b.results, rows: b.rows[start:i], bytes: bytes})
			start, bytes = i, 0
		}
		bytes += size
	}
	return append(out, &batch{results: b.results, rows: b.rows[start:], bytes: bytes})
}

func rowBytes(r *record.Result) int64 {
	return int64(len(r.DeviceID)+len(r.Type)+len(r.ComplexData)+len(r.Extra)) + fixedBytes
}

// seenIDs are the eventIds of a batch; recycled, since a batch has many.
var seenIDs = sync.Pool{New: func() any { return make(map[record.ID]struct{}) }}

// newBatch checks the texts, which DuckDB itself takes on trust, and leaves
// out repeated eventIds: the first stays.
func newBatch(results []record.Result) (*batch, error) {
	b := &batch{results: results, rows: make([]int32, 0, len(results))}
	seen := seenIDs.Get().(map[record.ID]struct{})
	defer func() {
		clear(seen)
		seenIDs.Put(seen)
	}()
	for i := range results {
		r := &results[i]
		for _, text := range [...][]byte{r.DeviceID, r.Type, r.ComplexData, r.Extra} {
			if !utf8.Valid(text) {
				return nil, &refusedError{fmt.Errorf("event %s holds text that is not valid UTF-8", r.ID)}
			}
		}
		b.bytes += rowBytes(r)
		if _, again := seen[r.ID]; !again {
			seen[r.ID] = struct{}{}
			b.rows = append(b.rows, int32(i))
		}
	}
	return b, nil
}

// fixedBytes is the size of a row's columns that are not text.
const fixedBytes = 16 + 8 + 8 + 3*8 + 4 + 8

// The columns of millrace_batch(), in their order.
const (
	colEventID = iota
	colDevice
	colSequence
	colType
	colValue
	colComplex
	colCreated
	colEnqueued
	colProcessed
	colPartition
	colOffset
	colExtra
	columnCount
)

var textColumns = [...]int{colDevice, colType, colComplex, colExtra}

// batchColumns are the columns of millrace_batch(). Times go as microseconds
// and become timestamps in SQL: the driver would make them of a time.Time.
var batchColumns = sync.OnceValues(func() ([]duckdb.ColumnInfo, error) {
	var infos []duckdb.ColumnInfo
	for _, c := range [columnCount]struct {
		name string
		t    duckdb.Type
	}{
		{"eventId", duckdb.TYPE_UUID},
		{"deviceId", duckdb.TYPE_VARCHAR},
		{"deviceSequenceNumber", duckdb.TYPE_BIGINT},
		{"type", duckdb.TYPE_VARCHAR},
		{"value", duckdb.TYPE_DOUBLE},
		{"complexData", duckdb.TYPE_VARCHAR},
		{"createdAt", duckdb.TYPE_BIGINT},
		{"enqueuedAt", duckdb.TYPE_BIGINT},
		{"processedAt", duckdb.TYPE_BIGINT},
		{"partitionId", duckdb.TYPE_INTEGER},
		{"logOffset", duckdb.TYPE_BIGINT},
		{"extra", duckdb.TYPE_VARCHAR},
	} {
		t, err := duckdb.NewTypeInfo(c.t)
		if err != nil {
			return nil, fmt.Errorf("describing column %s: %w", c.name, err)
		}
		infos = append(infos, duckdb.ColumnInfo{Name: c.name, T: t})
	}
	return infos, nil
})

// register makes millrace_batch() known to the database.
func (f *duckFile) register(c *sql.Conn) error {
	columns, err := batchColumns()
	if err != nil {
		return err
	}
	return duckdb.RegisterTableUDF(c, "millrace_batch", duckdb.ParallelChunkTableFunction{
		BindArguments: func(map[string]any, ...any) (duckdb.ParallelChunkTableSource, error) {
			// The statement runs within the hold of f.writing that set it.
			if f.batch == nil {
				return nil, errors.New("millrace_batch() is for Millrace's own writes")
			}
			return &batchSource{batch: f.batch, columns: columns}, nil
		},
	})
}

// batchSource is one reading of a batch. DuckDB's threads call it at once.
type batchSource struct {
	*batch
	columns []duckdb.ColumnInfo
	next    atomic.Int64
}

func (s *batchSource) ColumnInfos() []duckdb.ColumnInfo { return s.columns }

// Cardinality makes DuckDB hash the batch and stream the table, not the other
// way round.
func (s *batchSource) Cardinality() *duckdb.CardinalityInfo {
	return &duckdb.CardinalityInfo{Cardinality: uint(len(s.rows)), Exact: true}
}

func (s *batchSource) Init() duckdb.ParallelTableSourceInfo {
	chunk := duckdb.GetDataChunkCapacity()
	return duckdb.ParallelTableSourceInfo{MaxThreads: max(1, (len(s.rows)+chunk-1)/chunk)}
}

// chunkBytes is how much text a chunk holds: with large events it gets fewer
// rows.
const chunkBytes = 4 << 20

// threadState is one thread's.
type threadState struct {
	// rows are those that this thread has taken and not handed over yet.
	rows  []int32
	texts [columnCount]ducktext.Column
	// wanted are the columns of texts that the statement asks for.
	wanted [columnCount]bool
}

// threadStates keep their memory from one write to the next.
var threadStates = sync.Pool{New: func() any { return new(threadState) }}

func (s *batchSource) NewLocalState() any {
	state := threadStates.Get().(*threadState)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.states = append(s.states, state)
	return state
}

// done is called when no statement reads the batch any more.
func (b *batch) done() {
	for _, state := range b.states {
		state.rows = nil
		held := 0
		for i := range state.texts {
			held += state.texts[i].Cap()
		}
		if held <= 2*chunkBytes {
			threadStates.Put(state)
		}
	}
	b.states = nil
}

// fail keeps the first error: DuckDB passes on its text only, as one of a
// wrong input.
func (b *batch) fail(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failed == nil {
		b.failed = err
	}
	return err
}

// cause returns what was wrong with handing over, if that is why a statement
// has failed.
func (b *batch) cause(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil && b.failed != nil {
		return b.failed
	}
	return err
}

// FillChunk hands over the next rows; none at the end.
func (s *batchSource) FillChunk(local any, chunk duckdb.DataChunk) error {
	if err := s.fill(local.(*threadState), &chunk); err != nil {
		return s.fail(err)
	}
	return nil
}

func (s *batchSource) fill(state *threadState, chunk *duckdb.DataChunk) error {
	if len(state.rows) == 0 {
		size := int64(duckdb.GetDataChunkCapacity())
		start := s.next.Add(size) - size
		state.rows = s.rows[min(start, int64(len(s.rows))):min(start+size, int64(len(s.rows)))]
	}
	shape, err := ducktext.Open(chunk, columnCount)
	if err != nil {
		return err
	}
	for _, col := range textColumns {
		state.texts[col].Reset()
		state.wanted[col] = shape.Wants(col)
	}
	w := chunkWriter{chunk: *chunk, state: state}
	for w.row < len(state.rows) && w.bytes < chunkBytes && w.err == nil {
		w.event(&s.results[state.rows[w.row]])
		w.row++
	}
	state.rows = state.rows[w.row:]
	for _, col := range textColumns {
		if w.err == nil && state.wanted[col] {
			w.err = shape.Put(col, &state.texts[col])
		}
	}
	if w.err != nil {
		return w.err
	}
	return chunk.SetSize(w.row)
}

// chunkWriter sets the columns of a row; the first error stays. A column that
// the statement does not ask for is left out.
type chunkWriter struct {
	chunk duckdb.DataChunk
	state *threadState
	row   int
	// bytes is how much text the chunk has got.
	bytes int
	err   error
}

func (w *chunkWriter) event(r *record.Result) {
	put(w, colEventID, duckdb.UUID(r.ID))
	w.text(colDevice, r.DeviceID, false)
	put(w, colSequence, r.Sequence)
	w.text(colType, r.Type, r.Type == nil)
	if r.HasValue {
		put(w, colValue, r.Value)
	} else {
		w.null(colValue)
	}
	w.text(colComplex, r.ComplexData, r.ComplexData == nil)
	put(w, colCreated, r.CreatedAt)
	w.time(colEnqueued, r.EnqueuedAt)
	w.time(colProcessed, r.ProcessedAt)
	put(w, colPartition, r.Partition)
	put(w, colOffset, r.Offset)
	if !w.state.wanted[colExtra] {
		return
	}
	extra := &w.state.texts[colExtra]
	if r.Extra != nil {
		extra.Bytes = append(append(append(extra.Bytes, '{'), r.Extra...), '}')
		w.bytes += len(r.Extra)
	}
	extra.End(r.Extra == nil)
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

func (w *chunkWriter) text(col int, b []byte, null bool) {
	if w.state.wanted[col] {
		c := &w.state.texts[col]
		c.Bytes = append(c.Bytes, b...)
		c.End(null)
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
