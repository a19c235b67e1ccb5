package duckread

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/duckdb/duckdb-go/v2"

	"millrace/connector"
)

// Limits bound what a session takes.
type Limits struct {
	// Memory is what it may hold, in bytes; it continues on disk beyond it.
	Memory  connector.Bytes
	Threads int
	// Folder is where its temporary files go. If it is not there, they go where
	// the system keeps them.
	Folder string
}

// Session is a database of its own, in memory, for one query.
type Session struct {
	// Conn is the only connection that is used.
	Conn *sql.Conn
	db   *sql.DB
	// spill is the folder that DuckDB continues in beyond its memory.
	spill string
}

// Open opens a database, and runs statements that set more than its limits. It
// leaves nothing behind if it fails.
func Open(ctx context.Context, l Limits, set ...string) (*Session, error) {
	c, err := duckdb.NewConnector("", nil)
	if err != nil {
		return nil, err
	}
	s := &Session{db: sql.OpenDB(c)}
	if err := s.set(ctx, l, set); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Session) set(ctx context.Context, l Limits, more []string) (err error) {
	if s.Conn, err = s.db.Conn(ctx); err != nil {
		return err
	}
	if _, err := os.Stat(l.Folder); err != nil {
		l.Folder = "" // nothing was kept there yet
	}
	if s.spill, err = os.MkdirTemp(l.Folder, "query-"); err != nil {
		return fmt.Errorf("making a folder for what does not fit into memory: %w", err)
	}
	for _, statement := range append([]string{
		fmt.Sprintf("SET memory_limit = '%dMiB'", l.Memory>>20),
		fmt.Sprintf("SET threads = %d", l.Threads),
		"SET temp_directory = " + Quoted(filepath.Join(s.spill, "duckdb")),
		// Rows come from several files at once; an order has to be asked for.
		"SET preserve_insertion_order = false",
		// Nothing is ever fetched from the network.
		"SET autoinstall_known_extensions = false",
		"SET autoload_known_extensions = false",
	}, more...) {
		if _, err := s.Conn.ExecContext(ctx, statement); err != nil {
			return err
		}
	}
	return nil
}

// Close closes the database and deletes its temporary files. Rows that were read
// with it must be closed before.
func (s *Session) Close() error {
	var errs []error
	if s.Conn != nil {
		errs = append(errs, s.Conn.Close())
	}
	errs = append(errs, s.db.Close())
	if s.spill != "" {
		errs = append(errs, os.RemoveAll(s.spill))
	}
	return errors.Join(errs...)
}

// Quoted makes a text of SQL, where SQL takes no parameter.
func Quoted(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
