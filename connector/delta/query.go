package delta

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

// query is one query: a DuckDB of its own in memory, with the files of one
// snapshot as the view events.
type query struct {
	// spill is the folder that DuckDB continues in beyond its memory.
	spill string
	db    *sql.DB
	conn  *sql.Conn
}

// queryOptions bound what a query takes.
type queryOptions struct {
	memory  connector.Bytes
	threads int
	// folder is where temporary files go; "": where the system keeps them.
	folder string
}

// ask runs a statement that reads over a snapshot whose files are views.
func ask(ctx context.Context, o queryOptions, view, text string) (connector.Rows, error) {
	q := &query{}
	rows, err := q.run(ctx, o, view, text)
	if err != nil {
		return nil, errors.Join(explain(err), q.end())
	}
	return rows, nil
}

func (q *query) run(ctx context.Context, o queryOptions, view, text string) (connector.Rows, error) {
	if err := q.begin(ctx, o); err != nil {
		return nil, err
	}
	if _, err := q.conn.ExecContext(ctx, view); err != nil {
		return nil, fmt.Errorf("opening the table's files: %w", err)
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
func (q *query) begin(ctx context.Context, o queryOptions) error {
	c, err := duckdb.NewConnector("", nil)
	if err != nil {
		return err
	}
	q.db = sql.OpenDB(c)
	if q.conn, err = q.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(o.folder); err != nil {
		o.folder = "" // nothing was kept there yet
	}
	if q.spill, err = os.MkdirTemp(o.folder, "query-"); err != nil {
		return fmt.Errorf("making a folder for what does not fit into memory: %w", err)
	}
	for _, statement := range []string{
		fmt.Sprintf("SET memory_limit = '%dMiB'", o.memory>>20),
		fmt.Sprintf("SET threads = %d", o.threads),
		"SET temp_directory = " + quoted(filepath.Join(q.spill, "duckdb")),
		// Rows come from several files at once; an order has to be asked for.
		"SET preserve_insertion_order = false",
		// Times in Delta tables are moments; they are shown in UTC.
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

// quoted makes a text of SQL.
func quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// named makes a name of SQL.
func named(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// explain makes an error of a query one that says what to do.
func explain(err error) error {
	if errors.Is(err, duckread.ErrOnlyReads) {
		return err
	}
	hint := ""
	switch message := strings.ToLower(err.Error()); {
	case strings.Contains(message, "out of memory"):
		hint = "raise serve.memoryLimit, choose fewer columns, or add LIMIT"
	case strings.Contains(message, "no space left"):
		hint = "free some space in the data folder"
	case strings.Contains(message, "no files found"), strings.Contains(message, "no such file"), strings.Contains(message, "could not open file"):
		hint = "an old version's files are gone after VACUUM; ask for a newer one, or again if the table was vacuumed just now"
	case strings.Contains(message, "binder error"), strings.Contains(message, "catalog error"):
		hint = "the table is the view events; DESCRIBE events shows its columns"
	case strings.Contains(message, "parser error"):
		hint = "a query is one SELECT in DuckDB's SQL"
	}
	err = fmt.Errorf("asking the Delta table: %w", err)
	if hint == "" {
		return err
	}
	return &connector.Hinted{Hint: hint, Err: err}
}
