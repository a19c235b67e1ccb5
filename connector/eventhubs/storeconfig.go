package eventhubs

import (
	"context"
	"time"

	"millrace/connector"
)

// StoreConfig is an event hub as a store: the output of a job that hands its
// results on. The zero value is not useful; see NewStoreConfig.
type StoreConfig struct {
	ConnectionString string `yaml:"connectionString" env:"EVENTHUBS_OUT_CONNECTION_STRING,EVENTHUBS_CONNECTION_STRING" secret:"true" doc:"connection string of the namespace, or of one hub (with EntityPath: that hub is used as it is); empty: the embedded Event Hubs, unless a namespace is given"`
	Namespace        string `yaml:"namespace" env:"EVENTHUBS_OUT_NAMESPACE" doc:"namespace to enter with Entra ID, such as name.servicebus.windows.net; the connection string goes first"`
	WebSockets       bool   `yaml:"webSockets" doc:"AMQP over WebSockets on port 443, where 5671 is closed"`
	TLS              TLS    `yaml:"tls" doc:"certificates, for services other than Azure's"`

	Hub             string             `yaml:"hub" doc:"event hub that results are sent to"`
	Partitions      int                `yaml:"partitions" doc:"partitions of the hub; as many as the input has keeps each one's results in a partition of their own"`
	Retention       connector.Duration `yaml:"retention" doc:"how long the hub keeps results, in whole days; 0: the service's default"`
	ReplayGroup     string             `yaml:"replayGroup" doc:"consumer group for reading back: recovery, verification"`
	ThroughputUnits int                `yaml:"throughputUnits" doc:"throughput units of the namespace; the embedded Event Hubs holds to them; 0: no limit known"`
	MaxRows         int                `yaml:"maxRows" doc:"results in one write"`
	Writers         int                `yaml:"writers" doc:"concurrent writes, of different partitions"`
	Linger          connector.Duration `yaml:"linger" doc:"how long a result may wait for company"`
	Added           []string           `yaml:"added" doc:"members that the query adds to an event, beside enqueuedAt and processedAt: verification takes them off before it compares"`
}

// NewStoreConfig returns the defaults.
func NewStoreConfig() *StoreConfig {
	return &StoreConfig{Hub: "telemetry-out", Partitions: 4, ReplayGroup: defaultGroup, MaxRows: 2000, Writers: 2,
		Linger: connector.Duration(100 * time.Millisecond)}
}

// log is the configuration of the same hub as a log, which this store writes
// and reads.
func (c *StoreConfig) log() *Config {
	l := NewConfig()
	l.ConnectionString, l.Namespace, l.WebSockets, l.TLS = c.ConnectionString, c.Namespace, c.WebSockets, c.TLS
	l.Hub, l.Partitions, l.Retention, l.ReplayGroup, l.ThroughputUnits = c.Hub, c.Partitions, c.Retention, c.ReplayGroup, c.ThroughputUnits
	return l
}

// Validate implements connector.StoreConfig.
func (c *StoreConfig) Validate() []error {
	p := problems(c.log().Validate())
	p.check(c.MaxRows >= 1 && c.MaxRows <= 100_000, "maxRows: must be between 1 and 100000, is %d", c.MaxRows)
	p.check(c.Writers >= 1 && c.Writers <= 64, "writers: must be between 1 and 64, is %d", c.Writers)
	p.check(c.Linger >= 0 && c.Linger.D() <= time.Minute, "linger: must be between 0s and 1m, is %s", c.Linger)
	for _, name := range c.Added {
		p.check(name != "", "added: a member's name is empty")
	}
	return p
}

// Address implements connector.StoreConfig. It may hold a key.
func (c *StoreConfig) Address() string { return c.log().Address() }

// SetAddress implements connector.StoreConfig; addr is a connection string.
func (c *StoreConfig) SetAddress(addr string) { c.ConnectionString = addr }

// HubOf is the name of a run's hub, unless the connection string fixes one.
func (c *StoreConfig) HubOf(run string) string { return withRun(c.Hub, run) }

// SameHub tells whether results would go to the very hub that they come from.
func (c *StoreConfig) SameHub(from *Config) bool {
	out := c.log()
	if out.Address() != from.Address() || out.Address() == "" {
		return false
	}
	return out.FixedHub() != "" || out.Hub == from.Hub
}

// RateLimits implements connector.RateLimited.
func (c *StoreConfig) RateLimits() connector.RateLimits { return c.log().RateLimits() }

// Open implements connector.StoreConfig.
func (c *StoreConfig) Open(_ context.Context, env connector.Env) (connector.Store, error) {
	cfg := c.log()
	e, err := cfg.endpoint(env)
	if err != nil {
		return nil, err
	}
	return newStore(*c, newHubLog(*cfg, e, env)), nil
}
