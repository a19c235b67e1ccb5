package run

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"millrace/connector"
	"millrace/connector/archive"
	"millrace/connector/eventhubs"
	"millrace/connector/eventhubs/local/emulator"
	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/kafka"
	kafkalocal "millrace/connector/kafka/local"
	"millrace/internal/solution"
	"millrace/process"
	"millrace/ui/cli"
)

// standins start the stand-in of a kind of log or store that needs one, set up
// as somebody would have set up the service for the solution. Kinds that are
// not here are embedded in their connector (SQL on DuckDB).
var standins = map[string]func(ctx context.Context, q *cli.Request, d *dataDir, log *slog.Logger) (connector.Standin, error){
	kafka.Kind: func(ctx context.Context, _ *cli.Request, d *dataDir, log *slog.Logger) (connector.Standin, error) {
		return kafkalocal.Start(ctx, kafkalocal.Options{DataDir: filepath.Join(d.path, "kafka"), Log: log})
	},
	eventhubs.Kind: func(ctx context.Context, q *cli.Request, d *dataDir, log *slog.Logger) (connector.Standin, error) {
		return eventHubsOf(ctx, q.Solution, d, q.Getenv, log)
	},
}

// eventHubsOf starts Event Hubs with the throughput units, the backing log and
// the Capture that a solution describes.
func eventHubsOf(ctx context.Context, sol *solution.Solution, d *dataDir, getenv func(string) string, log *slog.Logger) (connector.Standin, error) {
	cfg := sol.Ingest.(*eventhubs.Config)
	namespace := hub.NamespaceSpec{Name: hub.DefaultNamespace, ThroughputUnits: cfg.ThroughputUnits}
	o := eventHubsOptions{DataDir: d.path, Brokers: cfg.Log.Brokers, Getenv: getenv, Log: log,
		KafkaPort: emulator.NoPort, HTTPPort: emulator.NoPort}
	// The run's hub is there from the start: a client that looks for it is
	// not told that there is none.
	spec := hub.Spec{Name: cfg.HubOf(d.manifest.Run), Partitions: cfg.Partitions, Retention: cfg.Retention.D()}
	if capture, ok := sol.Process.(*process.CaptureConfig); ok {
		if store, ok := sol.Serve.(*archive.Config); ok {
			o.Storage = store.StorageAddress(d.file("store"))
			spec.Capture = captured(capture, store)
		}
	}
	namespace.Hubs = []hub.Spec{spec}
	o.Namespaces = []emulator.NamespaceConfig{{NamespaceSpec: namespace}}
	return startEventHubs(ctx, o)
}

// captured is how the service is told to archive a hub.
func captured(c *process.CaptureConfig, store *archive.Config) *hub.CaptureSpec {
	return &hub.CaptureSpec{Enabled: true, SkipEmpty: c.SkipEmpty, Interval: time.Duration(c.Interval), SizeLimit: int64(c.SizeLimit),
		NameFormat: c.NameFormat, Codec: c.AvroCodec(), Container: store.Container}
}
