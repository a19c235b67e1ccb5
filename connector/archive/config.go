package archive

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"millrace/connector"
	"millrace/connector/blob"
)

// Kind is the name of this kind of store in a solution file.
const Kind = "archive"

// Config is the `serve` section of a solution for a Capture archive.
type Config struct {
	Storage     string          `yaml:"storage" env:"STORAGE_CONNECTION_STRING" secret:"true" doc:"where Capture writes: a folder, a connection string or the https address of a storage account; empty: a folder in the data folder"`
	Container   string          `yaml:"container" required:"true" doc:"container of the archive; in a folder, a folder"`
	NameFormat  string          `yaml:"nameFormat" doc:"names of the files as Capture is configured, without .avro"`
	Namespace   string          `yaml:"namespace" doc:"Event Hubs namespace whose files are read; empty: whichever is there"`
	Hub         string          `yaml:"hub" required:"true" doc:"event hub whose files are read"`
	ExactHub    bool            `yaml:"exactHub" doc:"the hub has this very name: the run's is not added, as for a hub that the connection string names (EntityPath)"`
	MemoryLimit connector.Bytes `yaml:"memoryLimit" min:"64MB" doc:"memory of the DuckDB that answers a query; it continues on disk beyond it"`
	Threads     int             `yaml:"threads" min:"1" max:"64" doc:"threads of a query"`
}

// NewConfig returns the defaults.
func NewConfig() *Config {
	return &Config{Container: "capture", NameFormat: DefaultNameFormat, Hub: "telemetry", MemoryLimit: 256 << 20, Threads: 2}
}

var _ connector.StoreConfig = (*Config)(nil)

// Validate implements connector.StoreConfig.
func (c *Config) Validate() []error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if c.Container == "" {
		bad("container: must be set")
	}
	if c.Hub == "" || strings.ContainsAny(c.Hub, "/\\") {
		bad("hub: %q must be the name of an event hub", c.Hub)
	}
	if strings.ContainsAny(c.Namespace, "/\\") {
		bad("namespace: %q must be the name of a namespace, without .servicebus.windows.net", c.Namespace)
	}
	if _, err := newNaming(c.NameFormat, c.Namespace, c.Hub); err != nil {
		bad("nameFormat: %w", err)
	}
	if c.MemoryLimit < 64<<20 {
		bad("memoryLimit: must be at least 64MB")
	}
	if c.Threads < 1 || c.Threads > 64 {
		bad("threads: must be between 1 and 64")
	}
	return problems
}

// Address implements connector.StoreConfig.
func (c *Config) Address() string { return c.Storage }

// SetAddress implements connector.StoreConfig.
func (c *Config) SetAddress(addr string) { c.Storage = addr }

// StorageAddress is where the archive is for a run whose files are in dataDir:
// the configured address, else a folder in dataDir. A Capture that is to write
// this archive writes there, into Container.
func (c *Config) StorageAddress(dataDir string) string { return c.place().AddressIn(dataDir) }

func (c *Config) place() blob.Place {
	return blob.Place{What: "the archive", Address: c.Storage, Container: c.Container, Default: "archive"}
}

// HubOf is the name of the hub of a run.
func (c *Config) HubOf(run string) string {
	if run == "" || c.ExactHub {
		return c.Hub
	}
	return c.Hub + "-" + run
}

// Open implements connector.StoreConfig. Nothing is connected to before the
// store is used.
func (c *Config) Open(ctx context.Context, env connector.Env) (connector.Store, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("the archive's options: %w", errors.Join(problems...))
	}
	bucket, err := c.place().Open(ctx, env)
	if err != nil {
		return nil, err
	}
	hub := c.HubOf(env.Run)
	names, err := newNaming(c.NameFormat, c.Namespace, hub)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("the archive's options: nameFormat: %w", err), bucket.Close())
	}
	return &Store{cfg: *c, hub: hub, names: names, bucket: bucket, env: env, ends: make(map[string]end)}, nil
}

// Ping tells whether the archive can be reached and read, without creating
// anything. A container that is missing is an empty archive.
func (c *Config) Ping(ctx context.Context, env connector.Env) error {
	store, err := c.Open(ctx, env)
	if err != nil {
		return err
	}
	s := store.(*Store)
	_, err = blob.Any(ctx, s.bucket, s.names.prefix)
	return errors.Join(err, s.Close())
}
