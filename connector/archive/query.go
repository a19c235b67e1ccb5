package archive

import (
	"context"
	_ "embed" // for the macros
	"errors"
	"fmt"
	"strings"
	"sync"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"millrace/connector"
	"millrace/connector/internal/duckread"
)

//go:embed macros.sql
var macros string

// query is one query: a DuckDB of its own in memory, and one listing of the
// archive, so that all parts of the query see the same files.
type query struct {
	store   *Store
	threads int
	// ctx is that of Query, for listing the archive.
	ctx     context.Context
	session *duckread.Session // nil until it is opened

	mu sync.Mutex
	// files are listed by the first part of the query that needs them.
	files  []*file
	listed bool
	// readers are open; a query that ends early leaves some.
	readers map[*fileReader]struct{}
	// failed is the first error of reading. DuckDB passes on its text only.
	failed error
}

// Query implements connector.Store. The text is one SQL statement that reads,
// in DuckDB's dialect; README.md has its tables. The result is made by a
// DuckDB of its own, whose memory is bounded by memoryLimit; the rows of the
// result are held in memory besides.
func (s *Store) Query(ctx context.Context, text string) (connector.Rows, error) {
	threads := s.cfg.Threads
	for {
		q := &query{store: s, ctx: ctx, threads: threads, readers: make(map[*fileReader]struct{})}
		rows, err := q.run(ctx, text)
		if err == nil {
			return rows, nil
		}
		explained, closing := q.explain(err), q.end()
		if errors.Is(explained, errMemory) && threads > 1 && closing == nil {
			// What several threads hold at once cannot go to disk; one gets
			// by with much less.
			threads = 1
			continue
		}
		return nil, errors.Join(explained, closing)
	}
}

// errMemory says that a query needs more memory than it may have.
var errMemory = errors.New("the query needs more memory than it may have")

func (q *query) run(ctx context.Context, text string) (connector.Rows, error) {
	if err := q.begin(ctx); err != nil {
		return nil, err
	}
	return duckread.Query(ctx, q.session.Conn, text, duckread.Reading{Value: value, Explain: q.explain, End: q.end})
}

// value makes a plain value. Texts in JSON stay JSON here, with their quotation
// marks.
func value(v any, typeName string) any {
	if typeName == "JSON" && v != nil {
		return duckread.JSON(v)
	}
	return duckread.Plain(v, typeName)
}

// begin opens the database and makes the archive known to it.
func (q *query) begin(ctx context.Context) (err error) {
	limits := duckread.Limits{Memory: q.store.cfg.MemoryLimit, Threads: q.threads, Folder: q.store.env.DataDir}
	if q.session, err = duckread.Open(ctx, limits); err != nil {
		return err
	}
	if err := q.register(); err != nil {
		return err
	}
	_, err = q.session.Conn.ExecContext(ctx, macros)
	return err
}

// register makes archive_rows(pattern) known to the database.
func (q *query) register() error {
	var columns []duckdb.ColumnInfo
	for _, c := range columnTypes {
		t, err := duckdb.NewTypeInfo(c.t)
		if err != nil {
			return fmt.Errorf("describing column %s: %w", c.name, err)
		}
		columns = append(columns, duckdb.ColumnInfo{Name: c.name, T: t})
	}
	text, err := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR)
	if err != nil {
		return fmt.Errorf("describing a pattern: %w", err)
	}
	return duckdb.RegisterTableUDF(q.session.Conn, "archive_rows", duckdb.ParallelChunkTableFunction{
		Config: duckdb.TableFunctionConfig{Arguments: []duckdb.TypeInfo{text}},
		BindArgumentsContext: func(ctx context.Context, _ map[string]any, args ...any) (duckdb.ParallelChunkTableSource, error) {
			// A statement that is only looked at is bound without the
			// context of the query.
			files, err := q.choose(q.ctx, args[0])
			if err != nil {
				return nil, q.fail(err)
			}
			return &rows{query: q, ctx: ctx, columns: columns, files: files}, nil
		},
	})
}

// nullPattern is what macros.sql makes of NULL.
const nullPattern = "//NULL"

// choose lists the files that a pattern takes.
func (q *query) choose(ctx context.Context, arg any) ([]*file, error) {
	text, ok := arg.(string)
	if !ok || text == nullPattern {
		return nil, &connector.Hinted{Hint: "for example: SELECT count(*) FROM archive('2026/11/22/*')",
			Err: errors.New("archive() takes a pattern for names of files")}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.listed {
		files, err := q.store.list(ctx)
		if err != nil {
			return nil, err
		}
		q.files, q.listed = files, true
	}
	p := newPattern(text)
	var chosen []*file
	for _, f := range q.files {
		if p.takes(f) {
			chosen = append(chosen, f)
		}
	}
	return chosen, nil
}

func (q *query) open(ctx context.Context, f *file) (*fileReader, error) {
	r, err := q.store.open(ctx, f)
	if err != nil {
		return nil, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.readers[r] = struct{}{}
	return r, nil
}

func (q *query) close(r *fileReader) error {
	q.mu.Lock()
	delete(q.readers, r)
	q.mu.Unlock()
	return r.close()
}

// fail keeps the first error.
func (q *query) fail(err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.failed == nil {
		q.failed = err
	}
	return err
}

// end closes the database, then what it left open.
func (q *query) end() error {
	var errs []error
	if q.session != nil {
		errs = append(errs, q.session.Close())
	}
	for r := range q.readers {
		errs = append(errs, r.close())
	}
	q.readers = nil
	return errors.Join(errs...)
}

// advice is what to do about queries that fail.
var advice = duckread.Advice{Doing: "asking the archive",
	Memory: "raise memoryLimit of the archive, choose fewer columns, or add LIMIT",
	Disk:   "free some space, or choose less of the archive: archive('2026/11/22/*')",
	Names:  "there are the views events and unique_events, and archive('2026/11/22/*'); DESCRIBE events shows the columns",
	More:   unquoted}

// unquoted is the hint for the column that has the name of a keyword.
func unquoted(message string) string {
	if strings.Contains(message, "parser error") && strings.Contains(message, "offset") {
		return `OFFSET is a word of SQL: write the column as "Offset"`
	}
	return ""
}

// explain makes an error of a query one that says what to do.
func (q *query) explain(err error) error {
	q.mu.Lock()
	if q.failed != nil && !errors.Is(err, context.Canceled) {
		err = q.failed
	}
	q.mu.Unlock()
	if duckread.OutOfMemory(err) {
		err = fmt.Errorf("%w: %w", errMemory, err)
	}
	return advice.Explain(err)
}
