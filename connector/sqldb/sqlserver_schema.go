package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"millrace/connector"
)

// serverColumn is a column that a table must have.
type serverColumn struct {
	name, kind string
	// size is the characters of an nvarchar (0: max), or the digits of a
	// second of a datetime2.
	size int
	null bool
}

// declared is the column's type as it is written.
func (c serverColumn) declared() string {
	switch {
	case c.kind == "nvarchar" && c.size == 0:
		return "nvarchar(max)"
	case c.kind == "nvarchar", c.kind == "datetime2":
		return fmt.Sprintf("%s(%d)", c.kind, c.size)
	}
	return c.kind
}

// Most characters of texts.
const (
	mostName          = 256  // deviceId, type
	mostWarehouseText = 4000 // complexData, extra in a dedicated SQL pool
)

// eventColumns are the columns of the table of events in their order.
func eventColumns(layout string) []serverColumn {
	text := 0
	if layout == Warehouse {
		text = mostWarehouseText
	}
	return []serverColumn{
		{name: "eventId", kind: "uniqueidentifier"},
		{name: "deviceId", kind: "nvarchar", size: mostName},
		{name: "deviceSequenceNumber", kind: "bigint"},
		{name: "type", kind: "nvarchar", size: mostName, null: true},
		{name: "value", kind: "float", null: true},
		{name: "complexData", kind: "nvarchar", size: text, null: true},
		{name: "createdAt", kind: "datetime2", size: 6},
		{name: "enqueuedAt", kind: "datetime2", size: 6, null: true},
		{name: "processedAt", kind: "datetime2", size: 6, null: true},
		{name: "storedAt", kind: "datetime2", size: 6},
		{name: "partitionId", kind: "int"},
		{name: "logOffset", kind: "bigint"},
		{name: "extra", kind: "nvarchar", size: text, null: true},
	}
}

var positionColumns = []serverColumn{
	{name: "partitionId", kind: "int"},
	{name: "worker", kind: "nvarchar", size: mostName},
	{name: "epoch", kind: "bigint"},
	{name: "position", kind: "bigint"},
}

// foundColumn is a column that a table has.
type foundColumn struct {
	name, kind string
	// bytes is -1 for max.
	bytes, scale int
	null         bool
	// fills: a row that does not mention the column can be inserted.
	fills bool
}

func (f foundColumn) declared() string {
	switch {
	case f.kind == "nvarchar" && f.bytes == -1:
		return "nvarchar(max)"
	case f.kind == "nvarchar":
		return fmt.Sprintf("nvarchar(%d)", f.bytes/2)
	case f.kind == "datetime2":
		return fmt.Sprintf("datetime2(%d)", f.scale)
	}
	return f.kind
}

// takes tells whether the column holds whatever c would.
func (f foundColumn) takes(c serverColumn) bool {
	switch c.kind {
	case "nvarchar":
		return f.kind == c.kind && (f.bytes == -1 || c.size != 0 && f.bytes >= 2*c.size)
	case "datetime2":
		return f.kind == c.kind && f.scale >= c.size
	case "int":
		return f.kind == "int" || f.kind == "bigint"
	}
	return f.kind == c.kind
}

// compareColumns says which columns a table lacks that can be added, and what
// about the others does not fit.
func compareColumns(found []foundColumn, want []serverColumn) (add []serverColumn, faults []string) {
	known := make(map[string]bool)
	for _, c := range want {
		known[strings.ToLower(c.name)] = true
		at := -1
		for i, f := range found {
			if strings.EqualFold(f.name, c.name) {
				at = i
			}
		}
		switch {
		case at < 0 && c.null:
			add = append(add, c)
		case at < 0:
			faults = append(faults, fmt.Sprintf("there is no column %s", c.name))
		case !found[at].takes(c):
			faults = append(faults, fmt.Sprintf("column %s is %s and must be %s", c.name, found[at].declared(), c.declared()))
		case c.null && !found[at].null:
			faults = append(faults, fmt.Sprintf("column %s must allow NULL", c.name))
		}
	}
	for _, f := range found {
		if !known[strings.ToLower(f.name)] && !f.null && !f.fills {
			faults = append(faults, fmt.Sprintf("column %s is not Millrace's, and needs a default or must allow NULL", f.name))
		}
	}
	return add, faults
}

// execer runs statements: a connection or a transaction on it.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// upgrade brings an existing table to the columns that it must have.
func (s *sqlServer) upgrade(ctx context.Context, db execer, table string, want []serverColumn) error {
	found, err := s.columns(ctx, db, table)
	if err != nil {
		return err
	}
	add, faults := compareColumns(found, want)
	if len(faults) > 0 {
		return &connector.Hinted{Hint: "name another table in the store's options, or move this one out of the way",
			Err: fmt.Errorf("table %s at %s does not fit: %s", table, s.where, strings.Join(faults, "; "))}
	}
	for _, c := range add {
		if _, err := db.ExecContext(ctx, addColumn(table, c)); err != nil {
			return fmt.Errorf("adding column %s to %s: %w", c.name, table, err)
		}
	}
	return nil
}

func (s *sqlServer) columns(ctx context.Context, db execer, table string) (found []foundColumn, err error) {
	rows, err := db.QueryContext(ctx, s.sql["columns"], sql.Named("table", table))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var f foundColumn
		var identity, computed bool
		var defaulted int64
		if err := rows.Scan(&f.name, &f.kind, &f.bytes, &f.scale, &f.null, &identity, &computed, &defaulted); err != nil {
			return nil, err
		}
		f.kind = strings.ToLower(f.kind)
		f.fills = identity || computed || defaulted != 0 || f.kind == "timestamp"
		found = append(found, f)
	}
	return found, rows.Err()
}

// prepare implements dialect. Everything happens in one transaction, which
// workers enter one after the other.
func (s *sqlServer) prepare(ctx context.Context) error {
	return s.classify("preparing "+s.describe(), s.session(ctx, func(conn *sql.Conn) error {
		if err := s.checkEdition(ctx, conn); err != nil {
			return err
		}
		return s.locked(ctx, conn, func(tx *sql.Tx) error {
			var steps []string
			if s.names.Schema != "" {
				steps = append(steps, "createSchema")
			}
			if s.names.Layout == Rowstore {
				steps = append(steps, "createPartitionFunction", "createPartitionScheme")
			}
			if err := s.exec(ctx, tx, append(steps, "createEvents", "createPositions")...); err != nil {
				return err
			}
			return s.upgradeAll(ctx, tx)
		})
	}))
}

func (s *sqlServer) upgradeAll(ctx context.Context, db execer) error {
	if err := s.upgrade(ctx, db, s.names.Events, eventColumns(s.names.Layout)); err != nil {
		return err
	}
	return s.upgrade(ctx, db, s.names.Positions, positionColumns)
}

// synapse is the edition of a dedicated SQL pool.
const synapse = 6

func (s *sqlServer) checkEdition(ctx context.Context, conn *sql.Conn) error {
	var edition int
	if err := conn.QueryRowContext(ctx, s.sql["edition"]).Scan(&edition); err != nil {
		return err
	}
	if edition == synapse {
		return &connector.Hinted{Hint: "set layout: warehouse in the store's options",
			Err: fmt.Errorf("%s is a dedicated SQL pool, which does not know the layout %s", s.where, s.names.Layout)}
	}
	return nil
}

// locked runs fn in a transaction that no other worker's may overlap.
func (s *sqlServer) locked(ctx context.Context, conn *sql.Conn, fn func(*sql.Tx) error) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, s.sql["lockSchema"], sql.Named("name", s.lockName("schema")))
	if err == nil {
		err = fn(tx)
	}
	if err != nil {
		// What counts is why; a rollback that fails ends with the connection.
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// lockName names an application lock of this table.
func (s *sqlServer) lockName(what string) string { return "millrace " + what + " " + s.names.Events }

// drop implements dialect.
func (s *sqlServer) drop(ctx context.Context) error {
	return s.classify("dropping "+s.describe(), s.session(ctx, func(conn *sql.Conn) error {
		return s.locked(ctx, conn, func(tx *sql.Tx) error {
			return s.exec(ctx, tx, "dropEvents", "dropPositions", "dropPartitionScheme", "dropPartitionFunction")
		})
	}))
}
