package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"millrace/connector"
	"millrace/ingest"
	"millrace/ui/cli"
	"millrace/ui/report"
)

// watchEvery is the interval of the metrics table of running services.
const watchEvery = 5 * time.Second

// Metrics prints what goes into and out of a running solution's log, until ctx
// ends. It looks from outside, at the log's ends and the positions that the
// workers' group commits (or those that the archive of Capture has), so sizes in bytes are not known to it.
func Metrics(ctx context.Context, q cli.Request) (err error) {
	if err := needService(q.Solution.IngestKind, q.Solution.Ingest); err != nil {
		return err
	}
	env := connector.Env{Run: q.Run, Getenv: q.Getenv, Log: q.Log}
	if q.DataDir != "" {
		d := &dataDir{path: q.DataDir}
		if err := d.read(q.Run, q.Solution.Name); err != nil {
			return err
		}
		env.Run, env.DataDir = d.manifest.Run, d.file("store")
	}
	log, err := q.Solution.Ingest.Open(ctx, env)
	if err != nil {
		return fmt.Errorf("opening the log: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	positions := func(ctx context.Context) (map[int32]int64, error) { return log.Committed(ctx, groupName(&q)) }
	if q.Solution.ProcessKind == captureKind {
		if err := errors.Join(checkCapture(q.Solution), needArchive(q.Solution)); err != nil {
			return err
		}
		fixArchive(q.Solution)
		store, err := q.Solution.Serve.Open(ctx, env)
		if err != nil {
			return fmt.Errorf("opening the archive: %w", err)
		}
		defer func() { _ = store.Close() }() // only read from
		positions = store.(archived).Positions
	}
	return watch(ctx, log, positions, watchEvery, q.Out)
}

func watch(ctx context.Context, log connector.Log, positions func(context.Context) (map[int32]int64, error),
	every time.Duration, out io.Writer) error {
	backlog := ingest.NewBacklog(log)
	var was, stored int64
	for first := true; ; first = false {
		at, err := positions(ctx)
		if err != nil {
			return err
		}
		behind, end, err := backlog.Measure(ctx, at)
		if err != nil {
			return err
		}
		if first {
			for _, line := range report.TableHeader(report.Style{}) {
				fmt.Fprintln(out, line)
			}
		} else {
			row := report.Interval{At: time.Now().UTC(), In: end - was, Out: end - behind - stored,
				BytesIn: -1, BytesOut: -1, Backlog: behind}
			if _, err := fmt.Fprintln(out, report.TableRow(&row, every.Seconds(), nil)); err != nil {
				return fmt.Errorf("printing the metrics: %w", err)
			}
		}
		was, stored = end, end-behind
		select {
		case <-time.After(every):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
