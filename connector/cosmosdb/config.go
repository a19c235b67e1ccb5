// Package cosmosdb reaches Azure Cosmos DB for NoSQL, and whatever speaks its
// REST protocol, as a store that makes retries harmless by upserting: an
// event's document has the eventId as its id, so that writing it again
// replaces it by itself. It uses the official SDK: azcosmos for requests,
// azidentity for Entra ID.
//
// The stand-in for tests and for runs without an Azure account is in the folder
// local; this package does not know of it.
package cosmosdb

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"millrace/connector"
)

// Kind is the name of this kind of store in a solution.
const Kind = "cosmosdb"

// Limits of the service that a configuration is checked against.
const (
	minThroughput  = 400
	throughputStep = 100
	minAutoscale   = 1000
	autoscaleStep  = 1000
	maxThroughput  = 10_000_000
	// maxBatchOps is how many operations one transactional batch may have.
	maxBatchOps = 100
)

// TLS says what certificates are accepted. Azure's need none of it.
type TLS struct {
	CAFile             string `yaml:"caFile" file:"true" env:"COSMOSDB_CA_FILE" doc:"PEM file of the authority that signed the service's certificate; empty: the system's"`
	InsecureSkipVerify bool   `yaml:"insecureSkipVerify" doc:"accept any certificate (for tests only)"`
}

// Indexing says which paths of a document the service indexes. Every indexed
// path makes each write dearer.
type Indexing struct {
	Included []string `yaml:"included" doc:"paths that are indexed, such as /type/?"`
	Excluded []string `yaml:"excluded" doc:"paths that are not; /* is everything that is not included"`
}

// Config is the serve section of a solution for Cosmos DB. The zero value is
// not useful; see NewConfig.
type Config struct {
	ConnectionString string `yaml:"connectionString" env:"COSMOSDB_CONNECTION_STRING" secret:"true" doc:"connection string of the account (AccountEndpoint=...;AccountKey=...); empty: the embedded Cosmos DB, unless an endpoint is given"`
	Endpoint         string `yaml:"endpoint" env:"COSMOSDB_ENDPOINT" doc:"account to enter with Entra ID, such as https://name.documents.azure.com:443/; the connection string goes first"`
	TLS              TLS    `yaml:"tls" doc:"certificates, for services other than Azure's"`

	Database     string   `yaml:"database" doc:"database, created if it is missing"`
	Container    string   `yaml:"container" doc:"container of events, created if it is missing; the run's name is added"`
	PartitionKey string   `yaml:"partitionKey" doc:"path of the partition key"`
	UniqueKey    string   `yaml:"uniqueKey" doc:"path that is unique within a partition key; empty: none"`
	Throughput   int      `yaml:"throughput" doc:"request units per second of the container; 0: do not ask for any (serverless accounts, throughput shared in the database)"`
	Autoscale    bool     `yaml:"autoscale" doc:"throughput is the most that the service scales to by itself, down to a tenth of it"`
	Indexing     Indexing `yaml:"indexing" doc:"what is indexed"`

	Concurrency int                `yaml:"concurrency" min:"1" max:"1024" doc:"requests at once"`
	Bulk        bool               `yaml:"bulk" doc:"requests hold events of many devices, each stored for itself; off: a transactional batch for each device"`
	MaxBatch    int                `yaml:"maxBatch" min:"1" max:"100" doc:"most events in one request; 1: one request per event, for services without batches"`
	MaxRows     int                `yaml:"maxRows" min:"1" max:"200000" doc:"most events in one write, which is cut into requests"`
	Linger      connector.Duration `yaml:"linger" doc:"how long an event waits for others: longer waits make fuller requests and cost latency"`
}

// NewConfig returns the defaults. Linger is chosen so that requests are full: at
// 1000 events a second and 20,000 request units, which are two partition key
// ranges, as well as at 10,000 and 100,000, which are ten.
func NewConfig() *Config {
	return &Config{
		Database:     "streaming",
		Container:    "events",
		PartitionKey: "/deviceId",
		UniqueKey:    "/eventId",
		Throughput:   20_000,
		Indexing:     Indexing{Included: []string{"/type/?", "/deviceId/?", "/createdAt/?"}, Excluded: []string{"/*"}},
		Concurrency:  32,
		MaxBatch:     maxBatchOps,
		MaxRows:      10_000,
		Linger:       connector.Duration(200 * time.Millisecond),
	}
}

var (
	_ connector.StoreConfig = (*Config)(nil)
	_ connector.RateLimited = (*Config)(nil)
)

// Validate implements connector.StoreConfig.
func (c *Config) Validate() []error {
	var p problems
	if c.ConnectionString != "" {
		// What cannot be parsed may still hold a key: it is not shown.
		_, err := parseConnectionString(c.ConnectionString)
		p.check(err == nil, "connectionString: %v", err)
	} else if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		p.check(err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil,
			"endpoint: %q is not an address such as https://name.documents.azure.com:443/", c.Endpoint)
	}
	p.name("database", c.Database, 255)
	p.name("container", c.Container, 200)
	p.path("partitionKey", c.PartitionKey)
	if c.UniqueKey != "" {
		p.path("uniqueKey", c.UniqueKey)
	}
	p.throughput(c.Throughput, c.Autoscale)
	p.check(len(c.Indexing.Included)+len(c.Indexing.Excluded) > 0, "indexing: must include or exclude a path, at least /*")
	for _, path := range c.Indexing.Included {
		p.indexPath("indexing.included", path)
	}
	for _, path := range c.Indexing.Excluded {
		p.indexPath("indexing.excluded", path)
	}
	between := func(name string, v, low, high int) {
		p.check(v >= low && v <= high, "%s: must be between %d and %d, is %d", name, low, high, v)
	}
	between("concurrency", c.Concurrency, 1, 1024)
	between("maxBatch", c.MaxBatch, 1, maxBatchOps)
	between("maxRows", c.MaxRows, 1, 200_000)
	p.check(c.Linger >= 0 && c.Linger.D() <= time.Minute, "linger: must be between 0s and 1m, is %s", c.Linger)
	return p
}

// Address implements connector.StoreConfig. It may hold a key.
func (c *Config) Address() string {
	if c.ConnectionString != "" {
		return c.ConnectionString
	}
	return c.Endpoint
}

// SetAddress implements connector.StoreConfig; addr is a connection string.
func (c *Config) SetAddress(addr string) { c.ConnectionString = addr }

// RateLimits implements connector.RateLimited. How many events a request unit
// takes depends on the events, so no rate of messages is given.
func (c *Config) RateLimits() connector.RateLimits {
	if c.Throughput == 0 {
		return connector.RateLimits{}
	}
	step := throughputStep
	if c.Autoscale {
		step = autoscaleStep
	}
	return connector.RateLimits{Units: c.Throughput, Unit: "request unit", Setting: "throughput", Step: step}
}

// ContainerOf is the name of a run's container.
func (c *Config) ContainerOf(run string) string {
	if run == "" {
		return c.Container
	}
	return c.Container + "-" + run
}

// Open implements connector.StoreConfig.
func (c *Config) Open(_ context.Context, env connector.Env) (connector.Store, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("the options of Cosmos DB: %w", errors.Join(problems...))
	}
	a, err := c.account(env)
	if err != nil {
		return nil, err
	}
	return newStore(*c, a, env)
}

// Ping tells whether the account answers and lets this user in. The database
// and the container, which a run would make, need not be there.
func (c *Config) Ping(ctx context.Context, env connector.Env) error {
	if problems := c.Validate(); len(problems) > 0 {
		return errors.Join(problems...)
	}
	a, err := c.account(env)
	if err != nil {
		return err
	}
	defer a.close()
	db, err := a.client.NewDatabase(c.Database)
	if err != nil {
		return fmt.Errorf("the database %q: %w", c.Database, err)
	}
	return a.repeat(ctx, fmt.Sprintf("looking for the database %q", c.Database), nil, func() error {
		_, err := db.Read(ctx, nil)
		if err != nil && faultOf(err) == missing {
			return nil
		}
		return err
	})
}

// problems collects what is wrong with a configuration.
type problems []error

func (p *problems) check(ok bool, format string, args ...any) {
	if !ok {
		*p = append(*p, fmt.Errorf(format, args...))
	}
}

// name checks a name by the service's rules; most leaves room for the run's.
func (p *problems) name(field, name string, most int) {
	ok := name != "" && len(name) <= most && utf8.ValidString(name) && !strings.ContainsAny(name, "/\\?#\"\n\r\t") && !strings.HasSuffix(name, " ")
	p.check(ok, "%s: %q is not a name (1 to %d characters without / \\ ? # \", not ending with a space)", field, name, most)
}

var pathPattern = regexp.MustCompile(`^(/[A-Za-z0-9_][A-Za-z0-9_-]*)+$`)

func (p *problems) path(field, path string) {
	p.check(pathPattern.MatchString(path), "%s: %q is not a path such as /deviceId", field, path)
}

func (p *problems) indexPath(field, path string) {
	ok := strings.HasPrefix(path, "/") && (strings.HasSuffix(path, "/?") || strings.HasSuffix(path, "/*"))
	p.check(ok, "%s: %q is not a path such as /type/? (this value) or /complexData/* (all below)", field, path)
}

func (p *problems) throughput(ru int, autoscale bool) {
	switch {
	case ru == 0:
		p.check(!autoscale, "autoscale: needs throughput, the most to scale to")
	case autoscale:
		p.check(ru >= minAutoscale && ru <= maxThroughput && ru%autoscaleStep == 0,
			"throughput: must be a multiple of %d, at least %d, with autoscale; is %d", autoscaleStep, minAutoscale, ru)
	default:
		p.check(ru >= minThroughput && ru <= maxThroughput && ru%throughputStep == 0,
			"throughput: must be 0 or a multiple of %d, at least %d; is %d", throughputStep, minThroughput, ru)
	}
}
