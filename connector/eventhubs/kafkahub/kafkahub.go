// Package kafkahub reaches Azure Event Hubs through its Kafka endpoint, as a log
// and as a place for dead letters. Who has the namespace's connection string
// needs nothing else: where the endpoint is, how it is encrypted and how a
// client proves who it is follow from it. What speaks Kafka is connector/kafka.
package kafkahub

import (
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"

	"millrace/connector"
	"millrace/connector/eventhubs"
	"millrace/connector/kafka"
)

// Kind is the name of this kind of log in a solution.
const Kind = "eventhubskafka"

const (
	// user is the user name that says that the password is a connection
	// string.
	user = "$ConnectionString"
	// The ports of the Kafka endpoint of Azure, which is encrypted, and of
	// the service's emulator, which is not.
	azurePort    = "9093"
	emulatorPort = "9092"
	// endpointKey is a member that a connection string may have in addition
	// to the service's own: where the Kafka endpoint is, if not at the usual
	// port.
	endpointKey = "KafkaEndpoint"
	maxUnits    = 40
)

// TLS says what certificates are accepted. Azure needs none of it.
type TLS struct {
	CAFile             string `yaml:"caFile" file:"true" env:"EVENTHUBS_CA_FILE" doc:"PEM file of the authority that signed the service's certificate; empty: the system's"`
	InsecureSkipVerify bool   `yaml:"insecureSkipVerify" doc:"accept any certificate (for tests only)"`
}

// Config is an event hub as a Kafka topic. The zero value is not useful; see
// NewConfig.
type Config struct {
	ConnectionString string `yaml:"connectionString" env:"EVENTHUBS_CONNECTION_STRING,EVENTHUB_CONNECTION_STRING" secret:"true" doc:"connection string of the namespace; KafkaEndpoint=host:port in it names another Kafka endpoint than the usual one; empty: the embedded Event Hubs"`
	TLS              TLS    `yaml:"tls" doc:"certificates, for services other than Azure's"`

	Hub             string             `yaml:"hub" doc:"event hub that devices send to"`
	Partitions      int                `yaml:"partitions" doc:"partitions of the hub"`
	Retention       connector.Duration `yaml:"retention" doc:"how long the hub keeps events; 0: the service's default"`
	Group           string             `yaml:"group" doc:"consumer group; empty: the solution's own"`
	ThroughputUnits int                `yaml:"throughputUnits" doc:"throughput units of the namespace; the embedded Event Hubs holds to them; 0: no limit known"`

	MaxInFlight      int                `yaml:"maxInFlight" doc:"unacknowledged events a producer holds before it blocks"`
	MaxInFlightBytes connector.Bytes    `yaml:"maxInFlightBytes" doc:"the same bound in bytes"`
	Linger           connector.Duration `yaml:"linger" doc:"how long a producer waits for a batch to fill"`
	SessionTimeout   connector.Duration `yaml:"sessionTimeout" doc:"after which silence the group gives a member's partitions to others; the service takes 6s to 5m"`
	RebalanceTimeout connector.Duration `yaml:"rebalanceTimeout" doc:"how long a member may take to give up partitions in good order"`

	Log eventhubs.Backing `yaml:"log" doc:"what the embedded Event Hubs keeps its events in"`
}

// NewConfig returns the defaults, which are those of connector/kafka.
func NewConfig() *Config {
	k := kafka.NewConfig()
	return &Config{Hub: "telemetry", Partitions: k.Partitions, MaxInFlight: k.MaxInFlight, MaxInFlightBytes: k.MaxInFlightBytes,
		Linger: k.Linger, SessionTimeout: k.SessionTimeout, RebalanceTimeout: k.RebalanceTimeout}
}

var _ connector.LogConfig = (*Config)(nil)

// ours are the names under which a user knows what connector/kafka calls
// otherwise.
var ours = strings.NewReplacer("topic:", "hub:", "sasl.", "connectionString: ", "brokers[0]:", "connectionString: "+endpointKey)

// Validate implements connector.LogConfig.
func (c *Config) Validate() []error {
	var problems []error
	k, err := c.kafka()
	if err != nil {
		// What cannot be parsed may still hold a key: it is not shown.
		problems = append(problems, fmt.Errorf("connectionString: %w", err))
		k = c.topic()
	}
	for _, p := range k.Validate() {
		problems = append(problems, errors.New(ours.Replace(p.Error())))
	}
	if c.ThroughputUnits < 0 || c.ThroughputUnits > maxUnits {
		problems = append(problems, fmt.Errorf("throughputUnits: must be between 0 and %d, is %d", maxUnits, c.ThroughputUnits))
	}
	if c.SessionTimeout.D() < 6*time.Second {
		problems = append(problems, fmt.Errorf("sessionTimeout: must be at least 6s, which is the service's least, is %s", c.SessionTimeout))
	}
	return problems
}

// Address implements connector.LogConfig. It may hold a key.
func (c *Config) Address() string { return c.ConnectionString }

// SetAddress implements connector.LogConfig; addr is a connection string.
func (c *Config) SetAddress(addr string) { c.ConnectionString = addr }

// AddressOf is what SetAddress takes for a service whose Kafka endpoint is not
// at the usual port.
func AddressOf(connectionString, endpoint string) string {
	return strings.TrimSuffix(connectionString, ";") + ";" + endpointKey + "=" + endpoint
}

// RateLimits implements connector.RateLimited: they are the namespace's, however
// it is entered.
func (c *Config) RateLimits() connector.RateLimits {
	return (&eventhubs.Config{ThroughputUnits: c.ThroughputUnits}).RateLimits()
}

// HubOf is the name of a run's hub.
func (c *Config) HubOf(run string) string {
	if run == "" {
		return c.Hub
	}
	return c.Hub + "-" + run
}

// Open implements connector.LogConfig.
func (c *Config) Open(ctx context.Context, env connector.Env) (connector.Log, error) {
	k, err := c.reachable()
	if err != nil {
		return nil, err
	}
	l, err := k.Open(ctx, env)
	if err != nil {
		return nil, err
	}
	return hubLog{l}, nil
}

// OpenDeadLetters implements connector.LogConfig: a hub of one partition named
// after the configured one.
func (c *Config) OpenDeadLetters(ctx context.Context, env connector.Env, suffix string) (connector.DeadLetters, error) {
	k, err := c.reachable()
	if err != nil {
		return nil, err
	}
	return k.OpenDeadLetters(ctx, env, suffix)
}

// Ping tells whether the namespace answers Kafka clients and lets this one in.
func (c *Config) Ping(ctx context.Context, env connector.Env) error {
	k, err := c.reachable()
	if err != nil {
		return err
	}
	return k.Ping(ctx, env)
}

func (c *Config) reachable() (*kafka.Config, error) {
	if c.ConnectionString == "" {
		return nil, &connector.Hinted{Err: errors.New("no Event Hubs namespace is configured"),
			Hint: "set EVENTHUBS_CONNECTION_STRING in the environment"}
	}
	k, err := c.kafka()
	if err != nil {
		return nil, fmt.Errorf("connectionString: %w", err)
	}
	return k, nil
}

// topic is the topic that the hub is to Kafka clients.
func (c *Config) topic() *kafka.Config {
	k := kafka.NewConfig()
	k.Topic, k.Partitions, k.Retention, k.Group = c.Hub, c.Partitions, c.Retention, c.Group
	k.MaxInFlight, k.MaxInFlightBytes, k.Linger = c.MaxInFlight, c.MaxInFlightBytes, c.Linger
	k.SessionTimeout, k.RebalanceTimeout = c.SessionTimeout, c.RebalanceTimeout
	return k
}

var hostPort = regexp.MustCompile(`^\[?[A-Za-z0-9.:-]+\]?:[0-9]{1,5}$`)

// kafka is how a Kafka client enters the namespace. Its errors never show the
// connection string.
func (c *Config) kafka() (*kafka.Config, error) {
	k := c.topic()
	if c.ConnectionString == "" {
		return k, nil
	}
	text, endpoint := cutEndpoint(c.ConnectionString)
	p, err := azeventhubs.ParseConnectionString(text)
	switch {
	case err != nil:
		return nil, &connector.Hinted{Hint: "copy it from the namespace's shared access policies; it begins with Endpoint=sb://",
			Err: errors.New("it is not a connection string of Event Hubs")}
	case p.EntityPath != nil:
		return nil, &connector.Hinted{Hint: "use one of the namespace, without EntityPath",
			Err: errors.New("it is for one hub only, and this kind of log creates its own")}
	case endpoint != "" && !hostPort.MatchString(endpoint):
		return nil, fmt.Errorf("%s=%q is not host:port", endpointKey, endpoint)
	case endpoint == "":
		host, _, err := net.SplitHostPort(p.FullyQualifiedNamespace)
		if err != nil {
			host = p.FullyQualifiedNamespace
		}
		port := azurePort
		if p.Emulator {
			port = emulatorPort
		}
		endpoint = net.JoinHostPort(host, port)
	}
	k.Brokers = []string{endpoint}
	k.Named(fmt.Sprintf("EVENTHUBS_CONNECTION_STRING leads to %s; %s=host:port in it leads elsewhere", endpoint, endpointKey))
	k.SASL = kafka.SASL{Mechanism: "PLAIN", Username: user, Password: text}
	if !p.Emulator {
		k.TLS = kafka.TLS{Enabled: true, CAFile: c.TLS.CAFile, InsecureSkipVerify: c.TLS.InsecureSkipVerify}
	}
	return k, nil
}

// cutEndpoint takes the Kafka endpoint out of a connection string, which the
// service knows nothing of.
func cutEndpoint(s string) (rest, endpoint string) {
	var keep []string
	for part := range strings.SplitSeq(s, ";") {
		key, value, _ := strings.Cut(part, "=")
		switch {
		case strings.EqualFold(strings.TrimSpace(key), endpointKey):
			endpoint = strings.TrimSpace(value)
		case part != "":
			keep = append(keep, part)
		}
	}
	return strings.Join(keep, ";"), endpoint
}

// hubLog calls the log what its users call it.
type hubLog struct{ connector.Log }

// Describe implements connector.Log.
func (l hubLog) Describe() string { return "event hub through " + l.Log.Describe() }

// Throttled implements connector.Throttled.
func (l hubLog) Throttled() int64 {
	if t, ok := l.Log.(connector.Throttled); ok {
		return t.Throttled()
	}
	return 0
}
