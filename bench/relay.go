package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"millrace/connector"
	"millrace/internal/solution"
	"millrace/run"
	"millrace/solutions"
	"millrace/ui/cli"
	"millrace/ui/report"
)

// stages runs some steps of the solution in this process, with the data
// directory that a case's processes share, and returns its report.
func stages(ctx context.Context, c *child, steps string, env map[string]string, set ...string) (*report.Report, error) {
	return stagesInto(ctx, c, nil, steps, env, set...)
}

// stagesInto is stages with a store that forgets.
func stagesInto(ctx context.Context, c *child, store *forgetfulStore, steps string, env map[string]string, set ...string) (*report.Report, error) {
	set = append([]string{fmt.Sprintf("ingest.partitions=%d", partitions), fmt.Sprintf("simulate.events=%d", c.events),
		"simulate.rate=0", "simulate.duplicates=0", "simulate.seed=1", fmt.Sprintf("simulate.devices=%d", devices)}, set...)
	o := solution.Options{Getenv: func(k string) string { return env[k] }}
	for _, s := range set {
		over, err := solution.ParseSet(s)
		if err != nil {
			return nil, err
		}
		o.Set = append(o.Set, over)
	}
	sol, err := solution.Loader{Builtin: solutions.FS, Registry: registry(store)}.Load("hdinsightkafka-databricks-sqldw", o)
	if err != nil {
		return nil, err
	}
	out, err := run.Run(ctx, cli.Request{Solution: sol, Steps: steps, DataDir: c.dir, Cleanup: !strings.Contains(steps, "T"), Instance: 1, Instances: 1,
		Getenv: o.Getenv, Log: slog.New(slog.DiscardHandler), Out: io.Discard, Progress: io.Discard})
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := out.JSON(&text); err != nil {
		return nil, err
	}
	r := &report.Report{}
	if err := json.Unmarshal(text.Bytes(), r); err != nil {
		return nil, fmt.Errorf("reading the report: %w", err)
	}
	return r, nil
}

// registry is the catalogue with the store that forgets.
func registry(store *forgetfulStore) solution.Registry {
	r := run.Registry()
	r.Serve[forgetful] = func() connector.StoreConfig { return &forgetfulConfig{store} }
	return r
}

func figures(r *report.Report, events int64) measured {
	return measured{Events: events, Seconds: r.WallSeconds, CPUSeconds: r.Resources.CPUSeconds}
}

func preload(ctx context.Context, c *child) (measured, error) {
	r, err := stages(ctx, c, "CIT", nil)
	if err != nil {
		return measured{}, err
	}
	return figures(r, r.Events.Unique), nil
}

func relay(ctx context.Context, c *child, env map[string]string, set ...string) (measured, error) {
	r, err := stages(ctx, c, "CIDP", env, set...)
	if err != nil {
		return measured{}, err
	}
	return figures(r, r.Events.Stored), nil
}

func relayKafka(ctx context.Context, c *child) (measured, error) {
	return relay(ctx, c, nil, "serve.kind=kafka")
}

func relayDuckDB(ctx context.Context, c *child) (measured, error) { return relay(ctx, c, nil) }

func relayPostgres(ctx context.Context, c *child) (measured, error) {
	return relay(ctx, c, map[string]string{"SQL_URL": c.postgres})
}

func relayDelta(ctx context.Context, c *child) (measured, error) {
	return relay(ctx, c, nil, "serve.kind=delta")
}

func relayParquet(ctx context.Context, c *child) (measured, error) {
	return relay(ctx, c, nil, "serve.kind=files", "serve.format=parquet")
}

func simulatorKafka(ctx context.Context, c *child) (measured, error) { return preload(ctx, c) }
