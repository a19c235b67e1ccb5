// Package run wires the stages of a solution together: it opens the log and
// the store (starting a stand-in for what has no address), starts the stages
// in order, watches them, stops them in the opposite order, and gives the
// verdict. It is the only package that knows all stages.
package run

import (
	"errors"
	"log/slog"
	"sync"

	"millrace/connector"
	"millrace/connector/archive"
	"millrace/connector/cosmosdb"
	"millrace/connector/delta"
	"millrace/connector/eventhubs"
	"millrace/connector/eventhubs/kafkahub"
	"millrace/connector/files"
	"millrace/connector/kafka"
	"millrace/connector/sqldb"
	"millrace/internal/solution"
	"millrace/process"
	"millrace/process/streamanalytics"
	"millrace/simulate"
	"millrace/verify"
)

// Registry is the catalogue of what solutions are made of: one line for each
// connector and engine.
func Registry() solution.Registry {
	return solution.Registry{
		Ingest: map[string]func() connector.LogConfig{
			kafka.Kind:     func() connector.LogConfig { return kafka.NewConfig() },
			eventhubs.Kind: func() connector.LogConfig { return eventhubs.NewConfig() },
			kafkahub.Kind:  func() connector.LogConfig { return kafkahub.NewConfig() },
		},
		Process: map[string]func() any{
			"relay":              func() any { return process.NewRelayConfig() },
			captureKind:          func() any { return process.NewCaptureConfig() },
			streamanalytics.Kind: func() any { return streamanalytics.NewConfig() },
		},
		Serve: map[string]func() connector.StoreConfig{
			"sqldb":        func() connector.StoreConfig { return sqldb.NewConfig() },
			kafka.Kind:     func() connector.StoreConfig { return kafka.NewStoreConfig() },
			eventhubs.Kind: func() connector.StoreConfig { return eventhubs.NewStoreConfig() },
			archive.Kind:   func() connector.StoreConfig { return archive.NewConfig() },
			cosmosdb.Kind:  func() connector.StoreConfig { return cosmosdb.NewConfig() },
			delta.Kind:     func() connector.StoreConfig { return delta.NewConfig() },
			files.Kind:     func() connector.StoreConfig { return files.NewConfig() },
		},
		Simulate:    func() any { c := simulate.Defaults(); return &c },
		DeadLetters: func() any { return solution.NewDeadLetters() },
		Verify:      func() any { c := verify.Defaults(); return &c },
	}
}

// engines make the processing engine of a solution.
var engines = map[string]func(s *solution.Solution, partitions int, log *slog.Logger) (process.Engine, error){
	streamanalytics.Kind: func(s *solution.Solution, partitions int, log *slog.Logger) (process.Engine, error) {
		e, err := streamanalytics.New(*s.Process.(*streamanalytics.Config), s.Files, partitions, log)
		if err != nil {
			hint := "try the query with `millrace streamanalytics check`"
			if h, ok := errors.AsType[*connector.Hinted](err); ok {
				hint = h.Hint
			}
			return nil, usage(hint, "%w", err)
		}
		return e, nil
	},
	"relay": func(s *solution.Solution, partitions int, log *slog.Logger) (process.Engine, error) {
		relay := process.NewRelay(*s.Process.(*process.RelayConfig), partitions)
		var once sync.Once
		relay.OnForgotten = func(int) {
			once.Do(func() {
				log.Warn("dedupe.maxBytes is reached: events are recognised for less than the horizon")
			})
		}
		return relay, nil
	},
}
