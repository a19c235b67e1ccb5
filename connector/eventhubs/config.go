// Package eventhubs reaches Azure Event Hubs, and whatever speaks its AMQP
// protocol, as a log and as a place for dead letters. It uses the official SDK:
// azeventhubs for events, azidentity for Entra ID, and the SDK's checkpoint
// store, so that other programs on the same hub see who owns what.
//
// The stand-in for tests and for runs without an Azure account is in the folder
// local; this package does not know of it.
package eventhubs

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
)

// Kind is the name of this kind of log in a solution.
const Kind = "eventhubs"

// The ways to divide partitions among workers.
const (
	greedy   = "greedy"
	balanced = "balanced"
)

// Limits of the service that a configuration is checked against.
const (
	maxPartitions = 1024
	maxUnits      = 40
)

// TLS says what certificates are accepted. Connections to Azure need none of
// it; a connection string with UseDevelopmentEmulator=true is not encrypted.
type TLS struct {
	CAFile             string `yaml:"caFile" file:"true" env:"EVENTHUBS_CA_FILE" doc:"PEM file of the authority that signed the service's certificate; empty: the system's"`
	InsecureSkipVerify bool   `yaml:"insecureSkipVerify" doc:"accept any certificate (for tests only)"`
}

// Checkpoints is where workers say which partitions they own and how far they
// have come. All workers of one group must share it.
type Checkpoints struct {
	Storage   string `yaml:"storage" secret:"true" env:"EVENTHUBS_CHECKPOINT_STORAGE,STORAGE_CONNECTION_STRING" doc:"a folder, a connection string of a storage account, or an account's https URL (Entra ID); empty: a folder in the data directory"`
	Container string `yaml:"container" doc:"container for checkpoints; created if it is missing"`
}

// Backing is the log that the stand-in keeps its events in.
type Backing struct {
	Brokers []string `yaml:"brokers" env:"KAFKA_BROKERS" doc:"Kafka cluster, without encryption and users, that the embedded Event Hubs keeps its events in; empty: an embedded log"`
}

// Config is an event hub as a log. The zero value is not useful; see NewConfig.
type Config struct {
	ConnectionString string `yaml:"connectionString" env:"EVENTHUBS_CONNECTION_STRING,EVENTHUB_CONNECTION_STRING" secret:"true" doc:"connection string of the namespace, or of one hub (with EntityPath: that hub is used as it is); empty: the embedded Event Hubs, unless a namespace is given"`
	Namespace        string `yaml:"namespace" env:"EVENTHUBS_NAMESPACE" doc:"namespace to enter with Entra ID, such as name.servicebus.windows.net; the connection string goes first"`
	WebSockets       bool   `yaml:"webSockets" doc:"AMQP over WebSockets on port 443, where 5671 is closed"`
	TLS              TLS    `yaml:"tls" doc:"certificates, for services other than Azure's"`

	Hub             string             `yaml:"hub" doc:"event hub that devices send to"`
	Partitions      int                `yaml:"partitions" doc:"partitions of the hub"`
	Retention       connector.Duration `yaml:"retention" doc:"how long the hub keeps events, in whole days; 0: the service's default"`
	Group           string             `yaml:"group" doc:"consumer group; empty: the solution's own"`
	ReplayGroup     string             `yaml:"replayGroup" doc:"consumer group for reading outside the workers' ownership: recovery, verification"`
	ThroughputUnits int                `yaml:"throughputUnits" doc:"throughput units of the namespace; the embedded Event Hubs holds to them; 0: no limit known"`

	Balancing      string             `yaml:"balancing" enum:"greedy,balanced" doc:"greedy: a worker takes its whole share of partitions at once; balanced: one at each update"`
	UpdateInterval connector.Duration `yaml:"updateInterval" doc:"how often a worker renews its ownership and looks for partitions to take"`
	Expiration     connector.Duration `yaml:"expiration" doc:"after which silence a worker's partitions go to others"`
	Checkpoints    Checkpoints        `yaml:"checkpoints" doc:"where ownership and positions are kept"`

	MaxInFlight      int                `yaml:"maxInFlight" doc:"unacknowledged events a producer holds before it blocks"`
	MaxInFlightBytes connector.Bytes    `yaml:"maxInFlightBytes" doc:"the same bound in bytes"`
	Linger           connector.Duration `yaml:"linger" doc:"how long a producer waits for a batch to fill"`

	Log Backing `yaml:"log" doc:"what the embedded Event Hubs keeps its events in"`
}

// NewConfig returns the defaults. Ownership is renewed every 2 s and ends after
// 10 s, not the SDK's 10 s and 60 s, and taken greedily: a worker reads within
// a second or two of its start instead of claiming a partition every ten
// seconds, and one that was killed is replaced in seconds. The price is one
// listing and one write per partition every 2 s, far below what a storage
// account takes.
func NewConfig() *Config {
	return &Config{
		Hub:              "telemetry",
		Partitions:       4,
		ReplayGroup:      defaultGroup,
		Balancing:        greedy,
		UpdateInterval:   connector.Duration(2 * time.Second),
		Expiration:       connector.Duration(10 * time.Second),
		Checkpoints:      Checkpoints{Container: "checkpoints"},
		MaxInFlight:      20_000,
		MaxInFlightBytes: 32 << 20,
		Linger:           connector.Duration(5 * time.Millisecond),
	}
}

// Validate implements connector.LogConfig.
func (c *Config) Validate() []error {
	var p problems
	if c.ConnectionString != "" {
		// What cannot be parsed may still hold a key: it is not shown.
		_, err := parseAddress(c)
		p.check(err == nil, "connectionString: %v", err)
	} else if c.Namespace != "" {
		p.check(hostPattern.MatchString(c.Namespace), "namespace: %q is not a host such as name.servicebus.windows.net", c.Namespace)
	}
	p.name("hub", c.Hub, 200)
	p.check(c.Partitions >= 1 && c.Partitions <= maxPartitions, "partitions: must be between 1 and %d, is %d", maxPartitions, c.Partitions)
	p.check(c.Retention >= 0 && c.Retention.D() <= 90*24*time.Hour, "retention: must be between 0s and 2160h (90 days), is %s", c.Retention)
	p.group("group", c.Group, true)
	p.group("replayGroup", c.ReplayGroup, false)
	p.check(c.ThroughputUnits >= 0 && c.ThroughputUnits <= maxUnits, "throughputUnits: must be between 0 and %d, is %d", maxUnits, c.ThroughputUnits)
	p.check(c.Balancing == greedy || c.Balancing == balanced, "balancing: must be greedy or balanced, not %q", c.Balancing)
	p.check(c.UpdateInterval.D() >= 50*time.Millisecond, "updateInterval: must be at least 50ms, is %s", c.UpdateInterval)
	p.check(c.Expiration >= 3*c.UpdateInterval && c.Expiration.D() <= time.Hour,
		"expiration: must be at least three times updateInterval (%s) and at most 1h, is %s", c.UpdateInterval, c.Expiration)
	if s := c.Checkpoints.Storage; s != "" && !blob.IsFolder(s) {
		if err := blob.CheckContainer(c.Checkpoints.Container); err != nil {
			p.check(false, "checkpoints.container: %v", err)
		}
	}
	p.check(c.MaxInFlight >= 1, "maxInFlight: must be at least 1, is %d", c.MaxInFlight)
	p.check(c.MaxInFlightBytes >= 1<<20, "maxInFlightBytes: must be at least 1MB, is %s", c.MaxInFlightBytes)
	p.check(c.Linger >= 0 && c.Linger.D() <= time.Minute, "linger: must be between 0s and 1m, is %s", c.Linger)
	return p
}

// Address implements connector.LogConfig. It may hold a key.
func (c *Config) Address() string {
	if c.ConnectionString != "" {
		return c.ConnectionString
	}
	return c.Namespace
}

// SetAddress implements connector.LogConfig; addr is a connection string.
func (c *Config) SetAddress(addr string) { c.ConnectionString = addr }

// RateLimits implements connector.RateLimited with the service's figures per
// throughput unit.
func (c *Config) RateLimits() connector.RateLimits {
	if c.ThroughputUnits == 0 {
		return connector.RateLimits{}
	}
	n := float64(c.ThroughputUnits)
	return connector.RateLimits{MessagesIn: 1000 * n, BytesIn: n * (1 << 20), MessagesOut: 4096 * n, BytesOut: 2 * n * (1 << 20),
		Units: c.ThroughputUnits, Unit: "throughput unit", Setting: "throughputUnits"}
}

// Open implements connector.LogConfig.
func (c *Config) Open(_ context.Context, env connector.Env) (connector.Log, error) {
	e, err := c.endpoint(env)
	if err != nil {
		return nil, err
	}
	return newHubLog(*c, e, env), nil
}

// OpenDeadLetters implements connector.LogConfig: a hub of one partition named
// after the configured one. A connection string for one hub has no room for
// another: it has no place for dead letters.
func (c *Config) OpenDeadLetters(_ context.Context, env connector.Env, suffix string) (connector.DeadLetters, error) {
	e, err := c.endpoint(env)
	if err != nil {
		return nil, err
	}
	if e.address.hub != "" {
		return nil, nil
	}
	return newDeadLetters(*c, e, env, withRun(c.Hub, env.Run)+"-"+strings.TrimPrefix(suffix, "-")), nil
}

// FixedHub is the hub that the connection string names (EntityPath), which is
// used whatever the configuration and the run are called; "" if it names none.
func (c *Config) FixedHub() string {
	if c.ConnectionString == "" {
		return ""
	}
	a, err := parseAddress(c)
	if err != nil {
		return ""
	}
	return a.hub
}

// HubOf is the name of a run's hub, unless the connection string fixes one.
func (c *Config) HubOf(run string) string { return withRun(c.Hub, run) }

// hubName is the hub that is used, and whether it is fixed: given by the
// connection string, to be neither created nor deleted.
func (c *Config) hubName(e *endpoint, run string) (name string, fixed bool) {
	if e.address.hub != "" {
		return e.address.hub, true
	}
	return withRun(c.Hub, run), false
}

// withRun is the name of what a run creates: hubs of different runs do not
// meet. Consumer groups need no such name, they belong to their hub.
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

var (
	hostPattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?$`)
	namePattern = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
)

// name checks a name by the service's rules; most leaves room for the run's
// name and the dead letters' suffix (the service takes 256 characters).
func (p *problems) name(field, name string, most int) {
	p.check(namePattern.MatchString(name) && len(name) <= most,
		"%s: %q is not a name (letters, digits, '.', '_' and '-', beginning and ending with a letter or digit, at most %d)", field, name, most)
}

func (p *problems) group(field, name string, optional bool) {
	if name == "" && optional || strings.EqualFold(name, defaultGroup) {
		return
	}
	p.name(field, name, maxGroupName)
}

// caFile reads a certificate authority.
func caFile(path string) ([]byte, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, &connector.Hinted{Hint: "check tls.caFile", Err: fmt.Errorf("reading the certificate authority: %w", err)}
	}
	return pem, nil
}
