package delta

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/delta/data"
	"millrace/connector/delta/schema"
)

// Kind is the name of this kind of store in a solution file.
const Kind = "delta"

// Config is the `serve` section of a solution for a Delta table.
type Config struct {
	Storage        string             `yaml:"storage" env:"STORAGE_CONNECTION_STRING" secret:"true" doc:"where the table is: a folder, a connection string or the https address of a storage account; empty: a folder in the data folder"`
	Container      string             `yaml:"container" required:"true" doc:"container of the table; in a folder, a folder"`
	Path           string             `yaml:"path" required:"true" doc:"folder of the table in the container"`
	ExactPath      bool               `yaml:"exactPath" doc:"the table is in this very folder: the run's name is not added, as for a table that others use as well; --cleanup leaves it alone"`
	Columns        map[string]string  `yaml:"columns" doc:"top-level members of events that get a column of their own, with its type: string, long, double or boolean; columns that an existing table lacks are added to it"`
	Properties     map[string]string  `yaml:"properties" doc:"properties of the table, such as delta.logRetentionDuration, set when it is created, besides those that it gets anyway"`
	PartitionBy    []string           `yaml:"partitionBy" doc:"columns that the files are sorted by into folders: type, partitionId, createdDate (the day of createdAt)"`
	Compression    string             `yaml:"compression" enum:"snappy,zstd,none" doc:"codec of the files"`
	CommitInterval connector.Duration `yaml:"commitInterval" min:"10ms" doc:"how long results wait for company before they are committed; large writes do not wait"`
	MaxRows        int                `yaml:"maxRows" min:"1" max:"500000" doc:"most events of one file of a commit"`
	Writers        int                `yaml:"writers" min:"1" max:"16" doc:"files that are written at once; they share commits"`
	TargetFileSize connector.Bytes    `yaml:"targetFileSize" min:"64KB" doc:"size of the files that compaction makes"`
	CompactAfter   int                `yaml:"compactAfter" min:"0" doc:"how many small files of about the same size the worker merges while it writes; 0: none, OPTIMIZE is left to others"`
	MemoryLimit    connector.Bytes    `yaml:"memoryLimit" min:"64MB" doc:"memory of the DuckDB that answers a query; it continues on disk beyond it"`
	Threads        int                `yaml:"threads" min:"1" max:"64" doc:"threads of a query, and of reading the table back"`
	CacheSize      connector.Bytes    `yaml:"cacheSize" min:"1MB" doc:"most that queries keep, in the data folder, of files from a storage account"`
}

// NewConfig returns the defaults.
func NewConfig() *Config {
	return &Config{Container: "streamingatscale", Path: "streaming_events", Compression: data.Snappy,
		CommitInterval: connector.Duration(time.Second), MaxRows: 32_768, Writers: 2,
		TargetFileSize: 128 << 20, CompactAfter: 40, MemoryLimit: 256 << 20, Threads: 2, CacheSize: 4 << 30}
}

var _ connector.StoreConfig = (*Config)(nil)

// Validate implements connector.StoreConfig.
func (c *Config) Validate() []error {
	problems := c.place().Check()
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if !slices.Contains([]string{data.Snappy, data.Zstd, data.None}, c.Compression) {
		bad("compression: %q must be snappy, zstd or none", c.Compression)
	}
	if _, err := c.form().Schema(); err != nil {
		problems = append(problems, flatten(err)...)
	}
	problems = append(problems, c.checkProperties()...)
	between := func(name string, v, low, high int) {
		if v < low || v > high {
			bad("%s: must be between %d and %d", name, low, high)
		}
	}
	between("maxRows", c.MaxRows, 1, 500_000)
	between("writers", c.Writers, 1, 16)
	between("threads", c.Threads, 1, 64)
	if c.CommitInterval.D() < 10*time.Millisecond {
		bad("commitInterval: must be at least 10ms")
	}
	if c.TargetFileSize < 64<<10 {
		bad("targetFileSize: must be at least 64KB")
	}
	if c.CompactAfter != 0 && c.CompactAfter < 2 {
		bad("compactAfter: must be 0 (never) or at least 2")
	}
	if c.MemoryLimit < 64<<20 {
		bad("memoryLimit: must be at least 64MB")
	}
	if c.CacheSize < 1<<20 {
		bad("cacheSize: must be at least 1MB")
	}
	return problems
}

// flatten takes errors apart that were joined.
func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// form is the form of the table of events.
func (c *Config) form() data.Table {
	t := data.Table{PartitionBy: c.PartitionBy}
	for _, name := range slices.Sorted(maps.Keys(c.Columns)) {
		t.Columns = append(t.Columns, data.Column{Name: name, Type: schema.Primitive(c.Columns[name])})
	}
	return t
}

// Address implements connector.StoreConfig.
func (c *Config) Address() string { return c.Storage }

// SetAddress implements connector.StoreConfig.
func (c *Config) SetAddress(addr string) { c.Storage = addr }

// place is where the table is.
func (c *Config) place() blob.Place {
	return blob.Place{What: "the Delta table", Address: c.Storage, Container: c.Container, Default: "delta",
		Path: c.Path, ExactPath: c.ExactPath}
}

// PathOf is the folder of a run's table.
func (c *Config) PathOf(run string) string { return c.place().PathOf(run) }

// bucket opens the container.
func (c *Config) bucket(ctx context.Context, env connector.Env) (blob.Bucket, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("the Delta table's options: %w", errors.Join(problems...))
	}
	return c.place().Open(ctx, env)
}
