package connector

import "context"

// LogConfig is the `ingest` section of a solution for one kind of log. Its
// implementation is a plain struct in the connector's folder whose fields
// carry these tags, from which strict decoding, defaults, documentation, the
// JSON Schema, environment variables and --print-config all follow:
//
//	Topic    string `yaml:"topic" doc:"topic that devices send to"`
//	Brokers  string `yaml:"brokers" env:"KAFKA_BROKERS" doc:"..."`
//	Password string `yaml:"password" env:"KAFKA_PASSWORD" secret:"true" doc:"..."`
//
// The value given to decoding holds the defaults. Durations are Duration.
type LogConfig interface {
	// Validate returns every problem, each naming the field by its path
	// inside the section ("partitions: must be at least 1").
	Validate() []error
	// Address is where the service is; empty means that the stand-in is to
	// be used.
	Address() string
	// SetAddress points the configuration at a started stand-in.
	SetAddress(addr string)
	// Open connects lazily: an unreachable service shows on first use.
	Open(ctx context.Context, env Env) (Log, error)
	// OpenDeadLetters opens the log's own place for dead letters (a topic
	// beside the configured one, named by the suffix), or returns nil, nil
	// if this kind of log has none.
	OpenDeadLetters(ctx context.Context, env Env, suffix string) (DeadLetters, error)
}

// StoreConfig is the `serve` section of a solution for one kind of store; see
// LogConfig for the tags.
type StoreConfig interface {
	Validate() []error
	// Address is where the service is; empty means embedded or stand-in.
	Address() string
	SetAddress(addr string)
	Open(ctx context.Context, env Env) (Store, error)
}

// Standin is a running stand-in for a service, in this process, on loopback.
type Standin interface {
	// Address is what a client's configuration needs.
	Address() string
	// Close stops it; what it acknowledged is on disk.
	Close() error
}
