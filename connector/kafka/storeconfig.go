package kafka

import (
	"context"
	"strings"
	"time"

	"millrace/connector"
)

// StoreConfig is a Kafka topic as a transactional store, for relays from one
// topic to another. The zero value is not useful; see NewStoreConfig.
type StoreConfig struct {
	Brokers []string `yaml:"brokers" env:"KAFKA_BROKERS" doc:"brokers to start from, host:port; empty: the embedded log"`
	TLS     TLS      `yaml:"tls" doc:"encryption"`
	SASL    SASL     `yaml:"sasl" doc:"authentication"`

	Topic              string             `yaml:"topic" doc:"topic that results are written to"`
	Partitions         int                `yaml:"partitions" doc:"partitions of the topic; as many as the input has keeps tasks out of each other's way"`
	ReplicationFactor  int                `yaml:"replicationFactor" doc:"copies of each partition; 0: three, or as many as there are brokers"`
	Retention          connector.Duration `yaml:"retention" doc:"how long the topic keeps results; 0: the cluster's default"`
	SegmentBytes       connector.Bytes    `yaml:"segmentBytes" doc:"size of the topic's segment files"`
	MaxMessageBytes    connector.Bytes    `yaml:"maxMessageBytes" doc:"largest batch that the topic takes"`
	Writers            int                `yaml:"writers" doc:"concurrent transactions"`
	MaxRows            int                `yaml:"maxRows" doc:"results in one transaction"`
	TransactionTimeout connector.Duration `yaml:"transactionTimeout" doc:"after which the cluster gives up the transaction of a worker that is gone"`
}

// NewStoreConfig returns the defaults.
func NewStoreConfig() *StoreConfig {
	return &StoreConfig{
		Topic:              "telemetry-out",
		Partitions:         4,
		SegmentBytes:       16 << 20,
		MaxMessageBytes:    4 << 20,
		Writers:            4,
		MaxRows:            3000,
		TransactionTimeout: connector.Duration(30 * time.Second),
	}
}

// Validate implements connector.StoreConfig.
func (c *StoreConfig) Validate() []error {
	var p problems
	p.connection(c.Brokers, &c.TLS, &c.SASL, "")
	p.topic("topic", c.Topic)
	p.check(c.Partitions >= 1, "partitions: must be at least 1, is %d", c.Partitions)
	p.check(c.ReplicationFactor >= 0, "replicationFactor: must not be negative, is %d", c.ReplicationFactor)
	p.check(c.Retention >= 0, "retention: must not be negative, is %s", c.Retention)
	p.check(c.SegmentBytes >= 1<<20, "segmentBytes: must be at least 1MB, is %s", c.SegmentBytes)
	p.check(c.MaxMessageBytes >= 64<<10 && c.MaxMessageBytes <= 64<<20,
		"maxMessageBytes: must be between 64KB and 64MB, is %s", c.MaxMessageBytes)
	p.check(c.Writers >= 1, "writers: must be at least 1, is %d", c.Writers)
	p.check(c.MaxRows >= 1, "maxRows: must be at least 1, is %d", c.MaxRows)
	p.check(c.TransactionTimeout.D() >= time.Second && c.TransactionTimeout.D() <= 15*time.Minute,
		"transactionTimeout: must be between 1s and 15m, is %s", c.TransactionTimeout)
	return p
}

// Address implements connector.StoreConfig.
func (c *StoreConfig) Address() string { return strings.Join(c.Brokers, ",") }

// SetAddress implements connector.StoreConfig.
func (c *StoreConfig) SetAddress(addr string) { c.Brokers = splitAddresses(addr) }

// Open implements connector.StoreConfig.
func (c *StoreConfig) Open(_ context.Context, env connector.Env) (connector.Store, error) {
	// Newer versions of these requests end a transaction by handing out
	// another producer epoch, which would make a repeated request one of
	// somebody else's.
	conn, err := newConnection(c.Brokers, c.TLS, c.SASL, "3.8", nil, env.Log)
	if err != nil {
		return nil, err
	}
	return newStore(*c, conn, env), nil
}
