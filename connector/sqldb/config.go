package sqldb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"

	"millrace/connector"
)

// Kind is the name of this kind of store in a solution file.
const Kind = "sqldb"

// Layouts of a table.
const (
	Columnstore = "columnstore"
	Rowstore    = "rowstore"
	// Warehouse is for a dedicated SQL pool, which has its own kind of SQL.
	Warehouse = "warehouse"
)

// Config is the `serve` section of a solution for an SQL store.
type Config struct {
	URL         string          `yaml:"url" env:"SQL_URL" doc:"postgres://user:password@host:5432/database, sqlserver://user:password@host:1433?database=NAME, or duckdb:FILE; empty: an embedded DuckDB in the data folder"`
	Table       string          `yaml:"table" required:"true" doc:"table of events; its positions are kept in TABLE_positions"`
	Schema      string          `yaml:"schema" doc:"schema of the tables, created if missing; empty: the database's default"`
	Layout      string          `yaml:"layout" enum:"columnstore,rowstore,warehouse" doc:"how rows are laid out, where the database has the choice; warehouse is for a dedicated SQL pool (Azure Synapse)"`
	MaxRows     int             `yaml:"maxRows" min:"1" max:"200000" doc:"most events in one transaction"`
	Writers     int             `yaml:"writers" min:"1" max:"16" doc:"transactions at once (PostgreSQL, SQL Server; DuckDB has one writer)"`
	MemoryLimit connector.Bytes `yaml:"memoryLimit" min:"64MB" doc:"memory of the embedded DuckDB"`
	Threads     int             `yaml:"threads" min:"1" max:"64" doc:"threads of the embedded DuckDB"`
	Checkpoint  connector.Bytes `yaml:"checkpoint" min:"1MB" doc:"DuckDB moves its write-ahead log into the table, between two writes, when it has grown to this size"`
}

// NewConfig returns the defaults.
func NewConfig() *Config {
	return &Config{Table: "events", Layout: Columnstore, MaxRows: 24_576, Writers: 2,
		MemoryLimit: 160 << 20, Threads: 2, Checkpoint: 16 << 20}
}

var _ connector.StoreConfig = (*Config)(nil)

// identifier is a name that needs no quotes and, with the name of a run and
// "_positions" behind it, fits PostgreSQL's 63 bytes.
var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,27}$`)

// Validate implements connector.StoreConfig.
func (c *Config) Validate() []error {
	var problems []error
	bad := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if _, _, err := c.target(""); err != nil {
		bad("url: %w", err)
	}
	if !identifier.MatchString(c.Table) {
		bad("table: %q must be letters, digits and underscores, not begin with a digit, and have at most 28 characters", c.Table)
	}
	if c.Schema != "" && !identifier.MatchString(c.Schema) {
		bad("schema: %q must be letters, digits and underscores, not begin with a digit, and have at most 28 characters", c.Schema)
	}
	if c.Layout != Columnstore && c.Layout != Rowstore && c.Layout != Warehouse {
		bad("layout: %q must be %s, %s or %s", c.Layout, Columnstore, Rowstore, Warehouse)
	}
	between := func(name string, v, low, high int) {
		if v < low || v > high {
			bad("%s: must be between %d and %d", name, low, high)
		}
	}
	between("maxRows", c.MaxRows, 1, 200_000)
	between("writers", c.Writers, 1, 16)
	between("threads", c.Threads, 1, 64)
	if c.MemoryLimit < 64<<20 {
		bad("memoryLimit: must be at least 64MB")
	}
	if c.Checkpoint < 1<<20 {
		bad("checkpoint: must be at least 1MB")
	}
	return problems
}

// Address implements connector.StoreConfig.
func (c *Config) Address() string { return c.URL }

// SetAddress implements connector.StoreConfig.
func (c *Config) SetAddress(addr string) { c.URL = addr }

type target int

const (
	toDuckDB target = iota
	toPostgres
	toSQLServer
)

// DefaultFile is the embedded database's name in the data folder.
const DefaultFile = "events.duckdb"

// target says which database is meant; for DuckDB also the file's path.
func (c *Config) target(dataDir string) (target, string, error) {
	if c.URL == "" {
		return toDuckDB, filepath.Join(cmp.Or(dataDir, "."), DefaultFile), nil
	}
	scheme, rest, ok := strings.Cut(c.URL, ":")
	supported := errors.New("supported are postgres://user:password@host:5432/database, sqlserver://user:password@host:1433?database=NAME and duckdb:FILE")
	switch {
	case !ok:
		return 0, "", fmt.Errorf("it does not begin with the kind of database; %w", supported)
	case scheme == "duckdb":
		rest = strings.TrimPrefix(rest, "//")
		if rest == "" {
			rest = DefaultFile
		}
		if !filepath.IsAbs(rest) {
			rest = filepath.Join(dataDir, rest)
		}
		return toDuckDB, rest, nil
	case scheme == "postgres" || scheme == "postgresql":
		if _, err := url.Parse(c.URL); err != nil {
			// The parser's error repeats the whole address, password included.
			return 0, "", errors.New("it is not a valid URL; characters such as / @ # % in a password must be percent-encoded")
		}
		return toPostgres, "", nil
	case scheme == "sqlserver":
		_, err := parseSQLServer(c.URL)
		return toSQLServer, "", err
	}
	return 0, "", fmt.Errorf("%q is an unknown kind of database; %w", scheme, supported)
}

// Open implements connector.StoreConfig. Nothing is connected to or created
// before the store is used.
func (c *Config) Open(_ context.Context, env connector.Env) (connector.Store, error) {
	if problems := c.Validate(); len(problems) > 0 {
		return nil, fmt.Errorf("the SQL store's options: %w", errors.Join(problems...))
	}
	kind, path, err := c.target(env.DataDir)
	if err != nil {
		return nil, err
	}
	names := newNames(c.Schema, c.Table, env.Run)
	var d dialect
	switch kind {
	case toPostgres:
		d, err = newPostgres(c, names, env)
	case toSQLServer:
		d, err = newSQLServer(c, names)
	default:
		d, err = newDuckDB(c, path, names)
	}
	if err != nil {
		return nil, err
	}
	return newStore(d), nil
}

// names are the names that statements are filled in with.
type names struct {
	// Schema is empty for the database's default.
	Schema string
	// Table is the bare name of the table of events.
	Table string
	// Events and Positions are the tables, with their schema.
	Events, Positions string
}

// plainTable tells whether `events` means the table without further help.
func (n names) plainTable() bool { return n.Schema == "" && strings.EqualFold(n.Table, "events") }

func newNames(schema, table, run string) names {
	if run != "" {
		table += "_" + cleanRun(run)
	}
	prefix := ""
	if schema != "" {
		prefix = schema + "."
	}
	return names{Schema: schema, Table: table, Events: prefix + table, Positions: prefix + table + "_positions"}
}

// maxRun keeps table, run and "_positions" within PostgreSQL's 63 bytes.
const maxRun = 24

// cleanRun makes a part of a name of a run's name. A name that had to be
// changed gets a hash of its own, so that two runs never share a table.
func cleanRun(run string) string {
	clean := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '_':
			return r
		}
		return '_'
	}, run)
	if clean == run && len(run) <= maxRun {
		return run
	}
	h := fnv.New32a()
	h.Write([]byte(run))
	return fmt.Sprintf("%.*s_%08x", maxRun-9, clean, h.Sum32())
}
