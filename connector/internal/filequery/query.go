// Package filequery is what stores of data files have in common: it asks DuckDB
// about files, keeps copies of those that are in a storage account, and reads
// many files at once.
package filequery

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	duckdb "github.com/duckdb/duckdb-go/v2"

	"millrace/connector"
	"millrace/connector/internal/duckread"
)

// query is one query: a DuckDB of its own in memory, with files as views.
type query struct {
	// spill is the folder that DuckDB continues in beyond its memory.
	spill string
	db    *sql.DB
	conn  *sql.Conn
	// explain makes an error one that says what to do.
	explain func(error) error
}

// Options bound what a query takes.
type Options struct {
	Memory  connector.Bytes
	Threads int
	// Folder is where temporary files go; "": where the system keeps them.
	Folder string
	// Explain makes an error of DuckDB's one that says what to do.
	Explain func(error) error
}

// Ask runs a statement that reads, over what the statement view has made of
// files. The rows must be closed.
func Ask(ctx context.Context, o Options, view, text string) (connector.Rows, error) {
	q := &query{explain: o.Explain}
	rows, err := q.run(ctx, o, view, text)
	if err != nil {
		if !errors.Is(err, duckread.ErrOnlyReads) {
			err = o.Explain(err)
		}
		return nil, errors.Join(err, q.end())
	}
	return rows, nil
}

func (q *query) run(ctx context.Context, o Options, view, text string) (connector.Rows, error) {
	if err := q.begin(ctx, o); err != nil {
		return nil, err
	}
	if _, err := q.conn.ExecContext(ctx, view); err != nil {
		return nil, fmt.Errorf("opening the files: %w", err)
	}
	if err := q.conn.Raw(func(raw any) error { return duckread.Check(raw.(driver.Conn), text) }); err != nil {
		return nil, err
	}
	rows, err := q.conn.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, errors.Join(err, rows.Close())
	}
	return newResult(q, rows, types), nil
}

// begin opens the database.
func (q *query) begin(ctx context.Context, o Options) error {
	c, err := duckdb.NewConnector("", nil)
	if err != nil {
		return err
	}
	q.db = sql.OpenDB(c)
	if q.conn, err = q.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(o.Folder); err != nil {
		o.Folder = "" // nothing was kept there yet
	}
	if q.spill, err = os.MkdirTemp(o.Folder, "query-"); err != nil {
		return fmt.Errorf("making a folder for what does not fit into memory: %w", err)
	}
	for _, statement := range []string{
		fmt.Sprintf("SET memory_limit = '%dMiB'", o.Memory>>20),
		fmt.Sprintf("SET threads = %d", o.Threads),
		"SET temp_directory = " + Quoted(filepath.Join(q.spill, "duckdb")),
		// Rows come from several files at once; an order has to be asked for.
		"SET preserve_insertion_order = false",
		// Times are moments; they are shown in UTC.
		"SET TimeZone = 'UTC'",
		// Nothing is ever fetched from the network.
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
	} {
		if _, err := q.conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// end closes the database.
func (q *query) end() error {
	var errs []error
	if q.conn != nil {
		errs = append(errs, q.conn.Close())
	}
	if q.db != nil {
		errs = append(errs, q.db.Close())
	}
	if q.spill != "" {
		errs = append(errs, os.RemoveAll(q.spill))
	}
	return errors.Join(errs...)
}

// Quoted makes a text of SQL.
func Quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// Named makes a name of SQL.
func Named(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// Paths makes a list of SQL of the paths of files. DuckDB takes paths for
// patterns; these match one file only.
func Paths(paths []string) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, path := range paths {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(Quoted(escapeGlob(path)))
	}
	b.WriteByte(']')
	return b.String()
}

// escapeGlob makes a pattern that matches one name only.
func escapeGlob(path string) string {
	if !strings.ContainsAny(path, "*?[") {
		return path
	}
	return strings.NewReplacer("[", "[[]", "*", "[*]", "?", "[?]").Replace(path)
}
