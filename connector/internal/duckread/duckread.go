// Package duckread runs queries of DuckDB that only read: it tells them from all
// others, gives them a database within limits, and makes plain values of what
// they return.
package duckread

import (
	"database/sql/driver"
	"errors"
	"regexp"

	"github.com/duckdb/duckdb-go/v2"
)

// ErrOnlyReads refuses a query.
var ErrOnlyReads = errors.New("a query must be one statement that reads (SELECT, SHOW, EXPLAIN)")

// Check refuses everything but one statement that reads: COPY and SET reach
// beyond the tables that a transaction or a database in memory protects. It
// runs nothing, but binds the statement's table functions, with a context of
// the driver's own. An error of DuckDB's about the text is returned as it is.
func Check(c driver.Conn, text string) error {
	kind, err := kindOf(c, text)
	if err != nil {
		return err
	}
	if kind == duckdb.STATEMENT_TYPE_EXPLAIN {
		// EXPLAIN ANALYZE runs what it explains.
		explained := explain.FindStringSubmatch(text)
		if explained == nil {
			return ErrOnlyReads
		}
		if kind, err = kindOf(c, explained[1]); err != nil {
			return err
		}
	}
	if kind != duckdb.STATEMENT_TYPE_SELECT {
		return ErrOnlyReads
	}
	return nil
}

// explain finds what is explained. What it does not know is refused: the
// statement must be what DuckDB takes it for.
var explain = regexp.MustCompile(`(?is)^\s*EXPLAIN\s+(?:ANALYZE\s+|\([\s\w,]*\)\s*)?([^\s;].*)$`)

// kindOf tells what kind of statement text is. Prepare, unlike PrepareContext,
// takes one statement only; that one would run all but the last of several.
func kindOf(c driver.Conn, text string) (kind duckdb.StmtType, err error) {
	stmt, err := c.Prepare(text)
	var said *duckdb.Error
	switch {
	case errors.As(err, &said):
		return kind, err
	case err != nil:
		// The driver's own words: there is none, or there are several.
		return kind, ErrOnlyReads
	}
	defer func() { err = errors.Join(err, stmt.Close()) }()
	return stmt.(*duckdb.Stmt).StatementType()
}
