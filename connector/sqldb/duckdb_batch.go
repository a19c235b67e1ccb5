package sqldb

import (
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	duckdb "github.com/duckdb/duckdb-go/v2"

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
			b.bytes += int64(len(text))
		}
		b.bytes += fixedBytes
		if _, again := seen[r.ID]; !again {
			seen[r.ID] = struct{}{}
			b.rows = append(b.rows, int32(i))
		}
	}
	return b, nil
}

// fixedBytes is the size of a row's columns that are not text.
const fixedBytes = 16 + 8 + 8 + 3*8 + 4 + 8

// batchColumns are the columns of millrace_batch(). Times go as microseconds
// and become timestamps in SQL: the driver would make them of a time.Time.
var batchColumns = sync.OnceValues(func() ([]duckdb.ColumnInfo, error) {
	var infos []duckdb.ColumnInfo
	for _, c := range []struct {
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

// threadState is one thread's scratch memory.
type threadState struct{ text []byte }

func (s *batchSource) NewLocalState() any { return new(threadState) }

// FillChunk hands over the next rows; none at the end.
func (s *batchSource) FillChunk(local any, chunk duckdb.DataChunk) error {
	state := local.(*threadState)
	size := int64(duckdb.GetDataChunkCapacity())
	start := s.next.Add(size) - size
	rows := s.rows[min(start, int64(len(s.rows))):min(start+size, int64(len(s.rows)))]
	w := chunkWriter{chunk: chunk}
	for i, at := range rows {
		w.row = i
		w.event(&s.results[at], state)
	}
	if w.err != nil {
		return w.err
	}
	return chunk.SetSize(len(rows))
}

// chunkWriter sets the columns of a row; the first error stays. A column that
// the statement does not ask for is skipped by the driver.
type chunkWriter struct {
	chunk    duckdb.DataChunk
	row, col int
	err      error
}

func (w *chunkWriter) event(r *record.Result, state *threadState) {
	w.col = 0
	put(w, duckdb.UUID(r.ID))
	put(w, r.DeviceID)
	put(w, r.Sequence)
	w.text(r.Type)
	if r.HasValue {
		put(w, r.Value)
	} else {
		w.null()
	}
	w.text(r.ComplexData)
	put(w, r.CreatedAt)
	w.time(r.EnqueuedAt)
	w.time(r.ProcessedAt)
	put(w, r.Partition)
	put(w, r.Offset)
	if r.Extra == nil {
		w.null()
		return
	}
	state.text = append(append(append(state.text[:0], '{'), r.Extra...), '}')
	put(w, state.text)
}

func put[T any](w *chunkWriter, v T) {
	if err := duckdb.SetChunkValue(w.chunk, w.col, w.row, v); err != nil && w.err == nil {
		w.err = err
	}
	w.col++
}

func (w *chunkWriter) null() {
	if err := w.chunk.SetValue(w.col, w.row, nil); err != nil && w.err == nil {
		w.err = err
	}
	w.col++
}

// text sets a text that may be absent.
func (w *chunkWriter) text(b []byte) {
	if b == nil {
		w.null()
		return
	}
	put(w, b)
}

func (w *chunkWriter) time(micros int64) {
	if micros == record.NoTime {
		w.null()
		return
	}
	put(w, micros)
}
