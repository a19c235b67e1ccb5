package main

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"path/filepath"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"millrace/record"
)

// appenderDuckDB is the textbook way into DuckDB: its appender into a staging
// table, then a merge that leaves out what is there. It is here as a reference
// for the way that the store takes (docs/decisions.md).
func appenderDuckDB(ctx context.Context, c *child) (m measured, err error) {
	connector, err := duckdb.NewConnector(filepath.Join(c.dir, "appender.duckdb"), nil)
	if err != nil {
		return m, fmt.Errorf("opening DuckDB: %w", err)
	}
	defer connector.Close()
	db := sql.OpenDB(connector)
	defer db.Close()
	conn, err := db.Conn(ctx)
	if err != nil {
		return m, fmt.Errorf("connecting: %w", err)
	}
	defer conn.Close()
	const columns = `eventId UUID, deviceId VARCHAR, deviceSequenceNumber BIGINT, type VARCHAR, value DOUBLE, complexData VARCHAR,
		createdAt TIMESTAMPTZ, enqueuedAt TIMESTAMPTZ, processedAt TIMESTAMPTZ, storedAt TIMESTAMPTZ, partitionId INTEGER, logOffset BIGINT`
	for _, text := range []string{"SET memory_limit = '512MB'", "SET threads = 2",
		"CREATE TABLE events (" + columns + ")", "CREATE TABLE staging (" + columns + ")"} {
		if _, err := conn.ExecContext(ctx, text); err != nil {
			return m, fmt.Errorf("%s: %w", text, err)
		}
	}
	events, err := prepared(batchRows)
	if err != nil {
		return m, err
	}
	results := make([]record.Result, batchRows)
	for m.Events < c.events {
		rows := nextRound(results, events, c.events, m.Events)
		var part measured
		t := start()
		if err := appendRows(conn, rows); err != nil {
			return m, err
		}
		for _, text := range []string{"BEGIN", "INSERT INTO events SELECT * FROM staging s ANTI JOIN events e ON e.eventId = s.eventId",
			"DELETE FROM staging", "COMMIT"} {
			if _, err := conn.ExecContext(ctx, text); err != nil {
				return m, fmt.Errorf("%s: %w", text, err)
			}
		}
		t.stop(&part)
		m.add(part, len(rows))
	}
	return m, nil
}

func appendRows(conn *sql.Conn, rows []record.Result) error {
	return conn.Raw(func(dc any) error {
		a, err := duckdb.NewAppenderFromConn(dc.(driver.Conn), "", "staging")
		if err != nil {
			return fmt.Errorf("making an appender: %w", err)
		}
		at := func(us int64) time.Time { return time.UnixMicro(us) }
		now := time.Now()
		for i := range rows {
			r := &rows[i]
			err := a.AppendRow(duckdb.UUID(r.ID), string(r.DeviceID), r.Sequence, string(r.Type), r.Value, string(r.ComplexData),
				at(r.CreatedAt), at(r.EnqueuedAt), at(r.ProcessedAt), now, r.Partition, r.Offset)
			if err != nil {
				return fmt.Errorf("appending a row: %w", err)
			}
		}
		return a.Close()
	})
}
