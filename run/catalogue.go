// Package run wires the stages of a solution together: it opens the log and
// the store (starting a stand-in for what has no address), starts the stages
// in order, watches them, stops them in the opposite order, and gives the
// verdict. It is the only package that knows all stages.
package run

import (
	"context"
	"log/slog"
	"path/filepath"
	"sync"

	"millrace/connector"
	"millrace/connector/kafka"
	kafkalocal "millrace/connector/kafka/local"
	"millrace/connector/sqldb"
	"millrace/internal/solution"
	"millrace/process"
	"millrace/simulate"
	"millrace/verify"
)

// Registry is the catalogue of what solutions are made of: one line for each
// connector and engine.
func Registry() solution.Registry {
	return solution.Registry{
		Ingest: map[string]func() connector.LogConfig{
			"kafka": func() connector.LogConfig { return kafka.NewConfig() },
		},
		Process: map[string]func() any{
			"relay": func() any { return process.NewRelayConfig() },
		},
		Serve: map[string]func() connector.StoreConfig{
			"sqldb": func() connector.StoreConfig { return sqldb.NewConfig() },
			"kafka": func() connector.StoreConfig { return kafka.NewStoreConfig() },
		},
		Simulate:    func() any { c := simulate.Defaults(); return &c },
		DeadLetters: func() any { return solution.NewDeadLetters() },
		Verify:      func() any { c := verify.Defaults(); return &c },
	}
}

// standins start the stand-in of a kind of log or store that needs one. Kinds
// that are not here are embedded in their connector (SQL on DuckDB).
var standins = map[string]func(ctx context.Context, dataDir string, log *slog.Logger) (connector.Standin, error){
	"kafka": func(ctx context.Context, dataDir string, log *slog.Logger) (connector.Standin, error) {
		return kafkalocal.Start(ctx, kafkalocal.Options{DataDir: filepath.Join(dataDir, "kafka"), Log: log})
	},
}

// engines make the processing engine of a kind from its configuration.
var engines = map[string]func(cfg any, partitions int, log *slog.Logger) process.Engine{
	"relay": func(cfg any, partitions int, log *slog.Logger) process.Engine {
		relay := process.NewRelay(*cfg.(*process.RelayConfig), partitions)
		var once sync.Once
		relay.OnForgotten = func(int) {
			once.Do(func() {
				log.Warn("dedupe.maxBytes is reached: events are recognised for less than the horizon")
			})
		}
		return relay
	},
}
