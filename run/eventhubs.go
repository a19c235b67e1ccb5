package run

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/eventhubs/local/emulator"
	"millrace/connector/eventhubs/local/web"
	kafkalocal "millrace/connector/kafka/local"
)

// eventHubsOptions say how to start Event Hubs of one's own.
type eventHubsOptions struct {
	// DataDir holds everything: kafka/ is the embedded log, eventhubs/ what
	// the log cannot hold, capture/ the archive unless Storage is another
	// place. Required.
	DataDir string
	// Brokers are the Kafka cluster that holds the events; none: an embedded
	// one.
	Brokers []string
	// Namespaces are those to serve; none: one with the default name.
	Namespaces []emulator.NamespaceConfig
	// The ports are those of emulator.Options.
	Port, KafkaPort, HTTPPort int
	// Key is the shared access key that clients must know; "": any.
	Key string
	TLS *tls.Config
	// Storage is where Capture writes to: a folder, or a storage account as
	// blob.Open takes it; "": a folder in the data directory.
	Storage string
	// Checkpoints is where clients keep their checkpoints, for the explorer
	// to show how far they are: a folder, or the name of a container if
	// Storage is an account. "": a folder in the data directory, or the
	// container "checkpoints".
	Checkpoints string
	Getenv      func(string) string
	Log         *slog.Logger
}

// eventHubs is Event Hubs with the log below it.
type eventHubs struct {
	*emulator.Server
	log *kafkalocal.Server // nil if the log is somebody else's
}

// startEventHubs starts the log, unless there is one, and Event Hubs over it.
// ctx bounds the start only.
func startEventHubs(ctx context.Context, o eventHubsOptions) (s *eventHubs, err error) {
	s = &eventHubs{}
	brokers := o.Brokers
	if len(brokers) == 0 {
		if s.log, err = kafkalocal.Start(ctx, kafkalocal.Options{DataDir: filepath.Join(o.DataDir, "kafka"), Log: o.Log}); err != nil {
			return nil, fmt.Errorf("starting the embedded log: %w", err)
		}
		brokers = []string{s.log.Address()}
	}
	storage := o.Storage
	if storage == "" {
		storage = filepath.Join(o.DataDir, "capture")
	}
	s.Server, err = emulator.Start(ctx, emulator.Options{Brokers: brokers, DataDir: filepath.Join(o.DataDir, "eventhubs"),
		Namespaces: o.Namespaces, Port: o.Port, KafkaPort: o.KafkaPort, HTTPPort: o.HTTPPort, Key: o.Key, TLS: o.TLS, Log: o.Log,
		Progress: o.progress(storage),
		Storage: func(container string) (blob.Bucket, error) {
			return blob.Open(context.Background(), storage, container, o.Getenv)
		}})
	if err != nil {
		return nil, errors.Join(err, s.closeLog())
	}
	return s, nil
}

// progress reads the checkpoints of clients.
func (o *eventHubsOptions) progress(storage string) func(context.Context, string, string) ([]web.Progress, error) {
	place := o.Checkpoints
	switch account := !blob.IsFolder(storage); {
	case account && place == "":
		return emulator.Checkpoints(storage, "checkpoints", o.Getenv)
	case account && !strings.ContainsAny(place, `/\`):
		return emulator.Checkpoints(storage, place, o.Getenv)
	case place == "":
		place = filepath.Join(o.DataDir, "checkpoints")
	}
	return emulator.Checkpoints(place, "", o.Getenv)
}

func (s *eventHubs) closeLog() error {
	if s.log == nil {
		return nil
	}
	return s.log.Close()
}

// Close implements connector.Standin: first what stands in front of the log.
func (s *eventHubs) Close() error { return errors.Join(s.Server.Close(), s.closeLog()) }

var _ connector.Standin = (*eventHubs)(nil)
