package files

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/delta/data"
)

// Kind is the name of this kind of store in a solution file.
const Kind = "files"

// The formats of files.
const (
	Parquet = "parquet"
	JSONL   = "jsonl"
)

// The compressions that are not Parquet's.
const (
	// auto is snappy for Parquet, none for JSON lines.
	auto = "auto"
	// gzip is for JSON lines.
	gzipped = "gzip"
)

// Config is the `serve` section of a solution for plain files.
type Config struct {
	Storage      string             `yaml:"storage" env:"STORAGE_CONNECTION_STRING" secret:"true" doc:"where the files are: a folder, a connection string or the https address of a storage account; empty: a folder in the data folder"`
	Container    string             `yaml:"container" required:"true" doc:"container of the files; in a folder, a folder"`
	Path         string             `yaml:"path" required:"true" doc:"folder of the files in the container"`
	ExactPath    bool               `yaml:"exactPath" doc:"the files are in this very folder: the run's name is not added; --cleanup leaves them alone"`
	Format       string             `yaml:"format" enum:"parquet,jsonl" doc:"what the files are: Parquet, or one JSON event per line; it cannot change in a folder that has files"`
	Compression  string             `yaml:"compression" enum:"auto,snappy,zstd,gzip,none" doc:"snappy, zstd or none for Parquet; gzip or none for JSON lines; auto: snappy, and none for JSON lines"`
	RollInterval connector.Duration `yaml:"rollInterval" min:"10ms" doc:"how long results wait for company before a file is written; each partition gets a file of its own"`
	MaxRows      int                `yaml:"maxRows" min:"1" max:"500000" doc:"most events of one write, which is one file for each partition in it"`
	Writers      int                `yaml:"writers" min:"1" max:"16" doc:"writes at once, each of other partitions"`
	MemoryLimit  connector.Bytes    `yaml:"memoryLimit" min:"64MB" doc:"memory of the DuckDB that answers a query; it continues on disk beyond it"`
	Threads      int                `yaml:"threads" min:"1" max:"64" doc:"threads of a query, and of reading the files back"`
	CacheSize    connector.Bytes    `yaml:"cacheSize" min:"1MB" doc:"most that queries keep, in the data folder, of files from a storage account"`
}

// NewConfig returns the defaults.
func NewConfig() *Config {
	return &Config{Container: "streamingatscale", Path: "events", Format: Parquet, Compression: auto,
		RollInterval: connector.Duration(2 * time.Second), MaxRows: 50_000, Writers: 2,
		MemoryLimit: 256 << 20, Threads: 2, CacheSize: 4 << 30}
}

var _ connector.StoreConfig = (*Config)(nil)

// Validate implements connector.StoreConfig.
func (c *Config) Validate() []error {
	problems := c.place().Check()
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	switch fitting, known := compressions[c.Format]; {
	case !known:
		bad("format: %q must be parquet or jsonl", c.Format)
	case !slices.Contains(fitting, c.Compression):
		bad("compression: %q must be %s for %s", c.Compression, strings.Join(fitting, ", "), c.Format)
	}
	between := func(name string, v, low, high int) {
		if v < low || v > high {
			bad("%s: must be between %d and %d", name, low, high)
		}
	}
	between("maxRows", c.MaxRows, 1, 500_000)
	between("writers", c.Writers, 1, 16)
	between("threads", c.Threads, 1, 64)
	if c.RollInterval.D() < 10*time.Millisecond {
		bad("rollInterval: must be at least 10ms")
	}
	if c.MemoryLimit < 64<<20 {
		bad("memoryLimit: must be at least 64MB")
	}
	if c.CacheSize < 1<<20 {
		bad("cacheSize: must be at least 1MB")
	}
	return problems
}

// compressions are those of each format; auto stands for the second one.
var compressions = map[string][]string{
	Parquet: {auto, data.Snappy, data.Zstd, data.None},
	JSONL:   {auto, data.None, gzipped},
}

// codec is the compression that is used.
func (c *Config) codec() string {
	if c.Compression == auto {
		return compressions[c.Format][1]
	}
	return c.Compression
}

// Address implements connector.StoreConfig.
func (c *Config) Address() string { return c.Storage }

// SetAddress implements connector.StoreConfig.
func (c *Config) SetAddress(addr string) { c.Storage = addr }

// place is where the files are.
func (c *Config) place() blob.Place {
	return blob.Place{What: "the files", Address: c.Storage, Container: c.Container, Default: "files",
		Path: c.Path, ExactPath: c.ExactPath}
}

// PathOf is the folder of a run's files.
func (c *Config) PathOf(run string) string { return c.place().PathOf(run) }

// bucket opens the container.
func (c *Config) bucket(ctx context.Context, env connector.Env) (blob.Bucket, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("the options of the files: %w", errors.Join(problems...))
	}
	return c.place().Open(ctx, env)
}

// Ping tells whether the place of the files can be reached and read, without
// creating anything. A container that is missing has no files.
func (c *Config) Ping(ctx context.Context, env connector.Env) error {
	b, err := c.bucket(ctx, env)
	if err != nil {
		return err
	}
	_, err = blob.Any(ctx, b, c.PathOf(env.Run)+"/")
	return errors.Join(err, b.Close())
}
