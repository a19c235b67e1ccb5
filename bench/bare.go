package main

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"millrace/connector"
	"millrace/connector/sqldb"
	"millrace/record"
)

// batchRows is the size of the bare loops' batches, the size at which the
// stores were seen to be fastest, and the default bound of a unit.
const batchRows = 50_000

// bare loads prepared rows in a loop. Making the rows is not measured.
func bare(ctx context.Context, c *child, url string) (m measured, err error) {
	cfg := sqldb.NewConfig()
	cfg.URL = url
	loader, err := sqldb.OpenBare(ctx, cfg, connector.Env{Run: runName(), DataDir: c.dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return m, err
	}
	defer loader.Close()
	defer func() { _ = loader.Drop(context.WithoutCancel(ctx)) }()
	events, err := prepared(batchRows)
	if err != nil {
		return m, err
	}
	results := make([]record.Result, batchRows)
	for m.Events < c.events {
		rows := nextRound(results, events, c.events, m.Events)
		var part measured
		t := start()
		n, err := loader.Load(ctx, rows, time.Now().UnixMicro())
		if err != nil {
			return m, err
		}
		t.stop(&part)
		if n != len(rows) {
			return m, fmt.Errorf("%d of %d rows are new: the table is not this case's own", n, len(rows))
		}
		m.add(part, n)
	}
	return m, nil
}

func (m *measured) add(part measured, rows int) {
	m.Events += int64(rows)
	m.Seconds += part.Seconds
	m.CPUSeconds += part.CPUSeconds
}

// nextRound fills results with the next rows of a bare loop: the same payloads
// each round under other identities, or the merge would drop them.
func nextRound(results []record.Result, events []record.Event, total, done int64) []record.Result {
	rows := results[:min(total-done, batchRows)]
	now, round := time.Now().UnixMicro(), done/batchRows
	for i := range rows {
		rows[i] = record.Result{Event: events[i], Offset: done + int64(i), EnqueuedAt: now, ProcessedAt: now}
		rows[i].ID[0], rows[i].ID[1] = byte(round), byte(round>>8)
	}
	return rows
}

func bareDuckDB(ctx context.Context, c *child) (measured, error) { return bare(ctx, c, "") }

func barePostgres(ctx context.Context, c *child) (measured, error) { return bare(ctx, c, c.postgres) }
