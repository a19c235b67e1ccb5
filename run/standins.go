package run

import (
	"context"
	"log/slog"
	"path/filepath"
	"time"

	"millrace/connector"
	"millrace/connector/archive"
	"millrace/connector/cosmosdb"
	cosmosdblocal "millrace/connector/cosmosdb/local"
	"millrace/connector/eventhubs"
	"millrace/connector/eventhubs/kafkahub"
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
		cfg := q.Solution.Ingest.(*eventhubs.Config)
		spec := hub.Spec{Name: cfg.HubOf(d.manifest.Run), Partitions: cfg.Partitions, Retention: cfg.Retention.D()}
		o := eventHubsOptions{DataDir: d.path, Brokers: cfg.Log.Brokers, Getenv: q.Getenv, Log: log,
			KafkaPort: emulator.NoPort, HTTPPort: emulator.NoPort}
		return eventHubsOf(ctx, q.Solution, d, o, spec, cfg.ThroughputUnits)
	},
	kafkahub.Kind: func(ctx context.Context, q *cli.Request, d *dataDir, log *slog.Logger) (connector.Standin, error) {
		cfg := q.Solution.Ingest.(*kafkahub.Config)
		spec := hub.Spec{Name: cfg.HubOf(d.manifest.Run), Partitions: cfg.Partitions, Retention: cfg.Retention.D()}
		o := eventHubsOptions{DataDir: d.path, Brokers: cfg.Log.Brokers, Getenv: q.Getenv, Log: log, HTTPPort: emulator.NoPort}
		hubs, err := eventHubsOf(ctx, q.Solution, d, o, spec, cfg.ThroughputUnits)
		if err != nil {
			return nil, err
		}
		return throughKafka{hubs}, nil
	},
	cosmosdb.Kind: func(ctx context.Context, q *cli.Request, d *dataDir, log *slog.Logger) (connector.Standin, error) {
		o := cosmosdblocal.Options{DataDir: filepath.Join(d.path, "cosmosdb"), Log: log}
		if q.Solution.Serve.(*cosmosdb.Config).Throughput == 0 {
			o.Throughput = -1 // nothing was bought, so nothing is held to it
		}
		return cosmosdblocal.Start(ctx, o)
	},
}

// outNamespace is the embedded namespace of a hub that results are served from.
const outNamespace = "millrace-out"

// outAddress is implemented by a stand-in in which stores have another address
// than logs.
type outAddress interface{ OutAddress() string }

// OutAddress implements outAddress.
func (s *eventHubs) OutAddress() string { return s.Server.Endpoints(outNamespace).AMQP }

// throughKafka is Event Hubs for those who enter by the Kafka endpoint.
type throughKafka struct{ *eventHubs }

// Address implements connector.Standin.
func (s throughKafka) Address() string {
	return kafkahub.AddressOf(s.eventHubs.Address(), s.Server.Endpoints(s.Namespaces()[0]).Kafka)
}

// eventHubsOf starts Event Hubs with the run's hub, and with the Capture that
// the solution describes.
func eventHubsOf(ctx context.Context, sol *solution.Solution, d *dataDir, o eventHubsOptions, spec hub.Spec, units int) (*eventHubs, error) {
	namespace := hub.NamespaceSpec{Name: hub.DefaultNamespace, ThroughputUnits: units}
	if capture, ok := sol.Process.(*process.CaptureConfig); ok {
		if store, ok := sol.Serve.(*archive.Config); ok {
			o.Storage = store.StorageAddress(d.file("store"))
			spec.Capture = captured(capture, store)
		}
	}
	// The run's hub is there from the start: a client that looks for it is
	// not told that there is none.
	namespace.Hubs = []hub.Spec{spec}
	o.Namespaces = []emulator.NamespaceConfig{{NamespaceSpec: namespace}}
	if out, ok := sol.Serve.(*eventhubs.StoreConfig); ok {
		// Results go to a namespace with throughput units of its own.
		o.Namespaces = append(o.Namespaces, emulator.NamespaceConfig{NamespaceSpec: hub.NamespaceSpec{Name: outNamespace,
			ThroughputUnits: out.ThroughputUnits,
			Hubs:            []hub.Spec{{Name: out.HubOf(d.manifest.Run), Partitions: out.Partitions, Retention: out.Retention.D()}}}})
	}
	return startEventHubs(ctx, o)
}

// captured is how the service is told to archive a hub.
func captured(c *process.CaptureConfig, store *archive.Config) *hub.CaptureSpec {
	return &hub.CaptureSpec{Enabled: true, SkipEmpty: c.SkipEmpty, Interval: time.Duration(c.Interval), SizeLimit: int64(c.SizeLimit),
		NameFormat: c.NameFormat, Codec: c.AvroCodec(), Container: store.Container}
}
