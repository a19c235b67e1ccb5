// Package cli is the command line. It parses, resolves the configuration,
// calls the stages it was given, and turns what they return into text and an
// exit code. Everything outside the process is reached through Env, so that
// the whole command line runs inside a test.
package cli

import (
	"context"
	"io"
	"io/fs"
	"log/slog"

	"millrace/connector"
	"millrace/connector/delta"
	"millrace/internal/solution"
)

// Env is the world as the command line sees it.
type Env struct {
	// Args are the arguments without the program's name.
	Args           []string
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// Getenv reads an environment variable.
	Getenv func(string) string
	// Columns is the width of the terminal behind Stdout, or 0 if there is no
	// terminal; StderrColumns the same for Stderr.
	Columns, StderrColumns int
	// Builtin holds the built-in solutions, a folder each.
	Builtin fs.FS
	// Registry is the catalogue of what solutions are made of.
	Registry solution.Registry
	// Stages are the things that commands start. A command whose function is
	// nil does not exist.
	Stages Stages
	// Version describes the build.
	Version Version
}

// Version describes a build of the program.
type Version struct{ Version, Commit, Go string }

// Stages are what the commands start. Every function blocks until its work is
// done or ctx ends, and reports an interrupted run as an error for which
// errors.Is(err, context.Canceled) holds. An error for which
// errors.As(err, *UsageError) holds exits with 2, *connector.Unreachable with
// 3, any other with 1.
type Stages struct {
	// Run runs all stages, or those that Request.Steps names.
	Run func(ctx context.Context, r Request) (*Outcome, error)
	// Simulate sends events until its schedule ends.
	Simulate func(ctx context.Context, r Request) (*Outcome, error)
	// Process works as a member of the consumer group until ctx ends (it
	// then drains and returns nil) or an error.
	Process func(ctx context.Context, r Request) error
	// Verify compares the ledger with the store.
	Verify func(ctx context.Context, r Request) (*Outcome, error)
	// Metrics prints the metrics table of running services to r.Out until ctx
	// ends.
	Metrics func(ctx context.Context, r Request) error
	// Query asks the serving store in its own language.
	Query func(ctx context.Context, r Request, text string) (connector.Rows, error)
	// DeltaTable opens the Delta table that a solution writes, for those who
	// look after it.
	DeltaTable func(ctx context.Context, r Request) (*delta.Table, error)
	// Queries makes the tools for authors of Stream Analytics queries.
	Queries func() Queries
	// Locals are the stand-ins that `millrace local` serves.
	Locals []Local
}

// Request is one command with everything resolved.
type Request struct {
	// Solution is loaded; the flags that stand for options (--rate,
	// --duration, --seed ...) are already in it.
	Solution *solution.Solution
	// Steps are the steps wanted, in the order CIDPTMV, each once.
	Steps string
	// DataDir is the folder for embedded services, ledger and state; "" for
	// one of the run's own that goes away with it.
	DataDir string
	// Run names the run; "" for a name made up.
	Run string
	// Instance of Instances: which part of the devices to simulate, from 1.
	Instance, Instances int
	// MetricsAddr is where to serve Prometheus metrics, "" for nowhere.
	MetricsAddr string
	// Cleanup deletes what the run created in the services when it ends.
	Cleanup bool
	// At is the version or the time of which Query asks a store that keeps
	// its past; "" for now.
	At string
	// Drain ends Process when everything in the log has been stored.
	Drain  bool
	Getenv func(string) string
	Log    *slog.Logger
	// Out is for results, Progress for what happens meanwhile. Progress
	// discards with --quiet. Live says that Progress is a terminal of
	// Columns columns that may be redrawn.
	Out, Progress io.Writer
	Live          bool
	Columns       int
}

// Outcome is what a run or a stage came to. Functions that are nil have
// nothing to say.
type Outcome struct {
	// Pass is false if a threshold was missed: exit code 99.
	Pass bool
	// Missed is how many thresholds were missed.
	Missed int
	// Text writes the summary for people, at most columns wide.
	Text func(w io.Writer, columns int) error
	// JSON writes the report as one object; HTML as one self-contained page.
	JSON, HTML func(w io.Writer) error
}

// Local is a stand-in that `millrace local` serves.
type Local struct {
	// Name is the argument ("kafka"), Short one line about it.
	Name, Short string
	// Long and Example are the longer help; "": there is none.
	Long, Example string
	// Port is the default port.
	Port int
	// Address is the environment variable that points Millrace's own client
	// at it.
	Address string
	// Flags are what it can be told besides data directory and port.
	Flags []LocalFlag
	// Start starts it; it runs until it is closed.
	Start func(ctx context.Context, o LocalOptions) (connector.Standin, error)
	// Explore makes a client of a running one, for the commands that look
	// into its hubs; nil: there are no such commands.
	Explore func(o ExploreOptions) (Hubs, error)
}

// LocalFlag is a flag of one stand-in.
type LocalFlag struct {
	// Name is without dashes; Doc is one line, in which a word in backquotes
	// names the value.
	Name, Doc string
	// Default is the value without the flag.
	Default string
	// Kind says what values there are.
	Kind LocalFlagKind
	// Min is the least that a NumberFlag may be.
	Min int
}

// LocalFlagKind is a kind of values.
type LocalFlagKind int

// The kinds of values: a port (0 to 65535), a whole number, the name of a file
// that must exist, any text, "true" or "false" by a flag without a value.
const (
	PortFlag LocalFlagKind = iota
	NumberFlag
	FileFlag
	TextFlag
	SwitchFlag
)

// LocalOptions are the flags of `millrace local`.
type LocalOptions struct {
	// DataDir is where it keeps its data, never empty.
	DataDir string
	// Port to listen on, 0 for a free one.
	Port int
	// Values are those of its own flags, checked by their kind.
	Values map[string]string
	// Given tells whether a flag was given, by its name.
	Given  func(flag string) bool
	Getenv func(string) string
	Log    *slog.Logger
}

// Endpoint is one address of a stand-in that has several.
type Endpoint struct {
	// Namespace is what is behind it.
	Namespace string `json:"namespace"`
	// Connection is the connection string, with *** for a key that clients
	// must know; Kafka a bootstrap server, HTTP a URL; "": there is none.
	Connection string `json:"connectionString"`
	Kafka      string `json:"kafkaBootstrapServers,omitempty"`
	HTTP       string `json:"http,omitempty"`
}

// Endpoints is implemented by stand-ins with several addresses, the first of
// which is the usual one.
type Endpoints interface{ Endpoints() []Endpoint }

// Explored is implemented by stand-ins with one address that holds a key, and a
// page to look at what is in them.
type Explored interface {
	// Connection is the connection string, with *** for a key that clients
	// must know.
	Connection() string
	// Endpoint and Explorer are the URLs of the service and of the page.
	Endpoint() string
	Explorer() string
}
