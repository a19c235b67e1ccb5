// Package kafka reaches Apache Kafka, and whatever speaks its protocol, as a
// log, as a place for dead letters and as a transactional store. It uses
// franz-go and nothing else.
//
// The stand-in for tests and for runs without a cluster is in the folder
// local; this package does not know of it.
package kafka

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kversion"
)

// Kind is the name of this kind of log and of store in a solution.
const Kind = "kafka"

// TLS says how connections are encrypted. CertFile and KeyFile are a pair for
// clusters that want client certificates.
type TLS struct {
	Enabled  bool   `yaml:"enabled" env:"KAFKA_TLS" doc:"encrypt connections"`
	CAFile   string `yaml:"caFile" file:"true" env:"KAFKA_CA_FILE" doc:"PEM file of the authority that signed the brokers' certificates; empty: the system's"`
	CertFile string `yaml:"certFile" file:"true" doc:"PEM file of the client's certificate, for clusters that want one"`
	KeyFile  string `yaml:"keyFile" file:"true" doc:"PEM file of the client's private key"`
	// ServerName overrides the name that the certificate must carry.
	ServerName         string `yaml:"serverName" doc:"name that the brokers' certificates carry; empty: the host connected to"`
	InsecureSkipVerify bool   `yaml:"insecureSkipVerify" doc:"accept any certificate (for tests only)"`
}

// SASL says how the client proves who it is.
type SASL struct {
	Mechanism string `yaml:"mechanism" env:"KAFKA_SASL_MECHANISM" doc:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty: PLAIN if a user name is given, else none"`
	Username  string `yaml:"username" env:"KAFKA_USERNAME" doc:"user name"`
	Password  string `yaml:"password" env:"KAFKA_PASSWORD" secret:"true" doc:"password"`
}

// Config is a Kafka topic as a log. The zero value is not useful; see
// NewConfig.
type Config struct {
	Brokers []string `yaml:"brokers" env:"KAFKA_BROKERS" doc:"brokers to start from, host:port; empty: the embedded log"`
	TLS     TLS      `yaml:"tls" doc:"encryption"`
	SASL    SASL     `yaml:"sasl" doc:"authentication"`

	Topic             string             `yaml:"topic" doc:"topic that devices send to"`
	Partitions        int                `yaml:"partitions" doc:"partitions of the topic"`
	ReplicationFactor int                `yaml:"replicationFactor" doc:"copies of each partition; 0: three, or as many as there are brokers"`
	Retention         connector.Duration `yaml:"retention" doc:"how long the topic keeps events; 0: the cluster's default"`
	SegmentBytes      connector.Bytes    `yaml:"segmentBytes" doc:"size of the topic's segment files; small ones are read back quickly after a crash"`
	MaxMessageBytes   connector.Bytes    `yaml:"maxMessageBytes" doc:"largest batch that the topic takes, and with it the largest event"`
	Group             string             `yaml:"group" doc:"consumer group; empty: the solution's own"`

	MaxInFlight      int                `yaml:"maxInFlight" doc:"unacknowledged events a producer holds before it blocks"`
	MaxInFlightBytes connector.Bytes    `yaml:"maxInFlightBytes" doc:"the same bound in bytes"`
	Linger           connector.Duration `yaml:"linger" doc:"how long a producer waits for a batch to fill"`
	RecordTimeout    connector.Duration `yaml:"recordTimeout" doc:"how long a producer tries to deliver an event; 0: until it is closed"`
	SessionTimeout   connector.Duration `yaml:"sessionTimeout" doc:"after which silence the group gives a member's partitions to others; clusters refuse less than 6s unless told otherwise"`
	RebalanceTimeout connector.Duration `yaml:"rebalanceTimeout" doc:"how long a member may take to give up partitions in good order"`
	MaxVersion       string             `yaml:"maxVersion" doc:"newest Kafka version to speak, such as 3.8; empty: what the brokers offer"`

	// named is set by Named.
	named string
	// dial replaces the network, in tests.
	dial func(ctx context.Context, network, addr string) (net.Conn, error)
}

// NewConfig returns the defaults.
func NewConfig() *Config {
	return &Config{
		Topic:            "telemetry",
		Partitions:       4,
		SegmentBytes:     16 << 20,
		MaxMessageBytes:  1 << 20,
		MaxInFlight:      20_000,
		MaxInFlightBytes: 32 << 20,
		Linger:           connector.Duration(5 * time.Millisecond),
		SessionTimeout:   connector.Duration(10 * time.Second),
		RebalanceTimeout: connector.Duration(60 * time.Second),
	}
}

// Validate implements connector.LogConfig.
func (c *Config) Validate() []error {
	var p problems
	p.connection(c.Brokers, &c.TLS, &c.SASL, c.MaxVersion)
	p.topic("topic", c.Topic)
	p.check(c.Partitions >= 1, "partitions: must be at least 1, is %d", c.Partitions)
	p.check(c.ReplicationFactor >= 0, "replicationFactor: must not be negative, is %d", c.ReplicationFactor)
	p.check(c.Retention >= 0, "retention: must not be negative, is %s", c.Retention)
	p.check(c.SegmentBytes >= 1<<20, "segmentBytes: must be at least 1MB, is %s", c.SegmentBytes)
	p.check(c.MaxMessageBytes >= 1<<10 && c.MaxMessageBytes <= 256<<20,
		"maxMessageBytes: must be between 1KB and 256MB, is %s", c.MaxMessageBytes)
	p.check(c.MaxInFlight >= 1, "maxInFlight: must be at least 1, is %d", c.MaxInFlight)
	p.check(c.MaxInFlightBytes >= c.MaxMessageBytes,
		"maxInFlightBytes: must be at least maxMessageBytes (%s), is %s", c.MaxMessageBytes, c.MaxInFlightBytes)
	p.check(c.Linger >= 0 && c.Linger.D() <= time.Minute, "linger: must be between 0s and 1m, is %s", c.Linger)
	p.check(c.RecordTimeout == 0 || c.RecordTimeout.D() >= time.Second,
		"recordTimeout: must be 0s or at least 1s, is %s", c.RecordTimeout)
	p.check(c.SessionTimeout.D() >= time.Second && c.SessionTimeout.D() <= 5*time.Minute,
		"sessionTimeout: must be between 1s and 5m, is %s", c.SessionTimeout)
	p.check(c.RebalanceTimeout.D() >= time.Second, "rebalanceTimeout: must be at least 1s, is %s", c.RebalanceTimeout)
	return p
}

// Address implements connector.LogConfig.
func (c *Config) Address() string { return strings.Join(c.Brokers, ",") }

// SetAddress implements connector.LogConfig.
func (c *Config) SetAddress(addr string) { c.Brokers = splitAddresses(addr) }

// Open implements connector.LogConfig.
func (c *Config) Open(_ context.Context, env connector.Env) (connector.Log, error) {
	conn, err := c.connection(env)
	if err != nil {
		return nil, err
	}
	return newTopicLog(*c, conn, env), nil
}

// OpenDeadLetters implements connector.LogConfig: a topic of one partition
// named after the configured one.
func (c *Config) OpenDeadLetters(_ context.Context, env connector.Env, suffix string) (connector.DeadLetters, error) {
	conn, err := c.connection(env)
	if err != nil {
		return nil, err
	}
	return newDeadLetters(*c, conn, env, withRun(c.Topic, env.Run)+"-"+strings.TrimPrefix(suffix, "-")), nil
}

func (c *Config) connection(env connector.Env) (*connection, error) {
	conn, err := newConnection(c.Brokers, c.TLS, c.SASL, c.MaxVersion, c.dial, env.Log)
	if err == nil && c.named != "" {
		conn.where = c.named
	}
	return conn, err
}

// Ping tells whether the cluster answers and lets this user in. A topic that a
// run would make need not be there.
func (c *Config) Ping(ctx context.Context, env connector.Env) error {
	conn, err := c.connection(env)
	if err != nil {
		return err
	}
	cl, err := conn.client()
	if err != nil {
		return err
	}
	defer cl.Close()
	return conn.reach(ctx, cl)
}

// Named says by which setting a user has named the brokers, for the hints of
// what is opened afterwards, if that is not KAFKA_BROKERS.
func (c *Config) Named(by string) { c.named = by }

func splitAddresses(addr string) []string {
	var list []string
	for _, s := range strings.Split(addr, ",") {
		if s = strings.TrimSpace(s); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// withRun is the name of what a run creates: topics and groups of different
// runs do not meet.
func withRun(name, run string) string {
	if run == "" {
		return name
	}
	return name + "-" + run
}

// problems collects what is wrong with a configuration.
type problems []error

func (p *problems) check(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

func (p *problems) connection(brokers []string, t *TLS, s *SASL, maxVersion string) {
	for i, b := range brokers {
		host, port, err := net.SplitHostPort(b)
		n, perr := strconv.ParseUint(port, 10, 16)
		p.check(err == nil && host != "" && perr == nil && n > 0, "brokers[%d]: %q is not host:port", i, b)
	}
	p.check((t.CertFile == "") == (t.KeyFile == ""), "tls.certFile and tls.keyFile: give both or neither")
	p.check(t.Enabled || (t.CAFile == "" && t.CertFile == "" && t.ServerName == ""),
		"tls.enabled: must be true for the other tls settings to have an effect")
	switch s.Mechanism {
	case "":
	case mechanismPlain, mechanismScram256, mechanismScram512:
		p.check(s.Username != "", "sasl.username: is missing (KAFKA_USERNAME), which %s needs", s.Mechanism)
	default:
		p.check(false, "sasl.mechanism: %q is not PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512", s.Mechanism)
	}
	p.check(s.Username == "" || s.Password != "", "sasl.password: is missing (KAFKA_PASSWORD)")
	p.check(maxVersion == "" || kversion.FromString(maxVersion) != nil,
		"maxVersion: %q is not a Kafka version such as 3.8", maxVersion)
}

// topic checks a name by Kafka's rules, leaving room for the run's name and
// the dead letters' suffix (Kafka: at most 249 characters).
func (p *problems) topic(field, name string) {
	ok := name != "" && name != "." && name != ".." && len(name) <= 180
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' ||
			r == '.' || r == '_' || r == '-')
	}
	p.check(ok, "%s: %q is not a topic name (letters, digits, '.', '_' and '-', at most 180)", field, name)
}
