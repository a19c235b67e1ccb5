// Package streamanalytics is the engine that runs a Stream Analytics query over
// the log of a solution. The packages below it are the language: syntax reads
// the text, check makes a plan of it, exec runs the plan, offline runs a query
// over files; this one joins them to process.Runtime, a task for each
// partition.
package streamanalytics

import (
	"errors"
	"fmt"
	"time"

	"millrace/connector"
	"millrace/process"
	"millrace/process/streamanalytics/value"
)

// Kind is the name of this kind of engine in a solution.
const Kind = "streamanalytics"

// The policies for events that come late or out of order.
const (
	adjust = "adjust"
	drop   = "drop"
	retry  = "retry"
	now    = "now"
)

// Config is the `process` section of a solution for this engine.
type Config struct {
	Query         string `yaml:"query" required:"true" doc:"file with the query: in the solution's folder, else a path"`
	Functions     string `yaml:"functions" doc:"JavaScript file with the query's functions and aggregates; empty: none"`
	Compatibility string `yaml:"compatibility" enum:"1.0,1.1,1.2" doc:"compatibility level of the language"`
	PartitionKey  string `yaml:"partitionKey" doc:"member of the events by which devices choose a partition: groups by it are worked on in parallel"`

	Late       connector.Duration `yaml:"late" doc:"how much later than its own time an event may arrive (with TIMESTAMP BY)"`
	OutOfOrder connector.Duration `yaml:"outOfOrder" doc:"how long events wait to be put in order (with TIMESTAMP BY)"`
	Start      string             `yaml:"start" doc:"rows with an earlier time are not given out: a time, or now, which is when the run began; empty: all that the log holds, or what follows the last output"`
	LatePolicy string             `yaml:"latePolicy" enum:"adjust,drop" doc:"what becomes of events beyond these tolerances: adjust their time, or drop them (they go to the dead letters)"`

	OutputErrors string `yaml:"outputErrors" enum:"drop,retry" doc:"what becomes of a row that the store refuses or that is no event: drop it into the dead letters, or let nothing go on until it is taken"`

	Dedupe        process.DedupeConfig `yaml:"dedupe" doc:"removal, before the query, of events that the log holds more than once"`
	CountOnce     bool                 `yaml:"countOnce" doc:"with windows, joins and patterns, where no key of a store makes up for copies: a dedupe.horizon of 10m if none is set"`
	MaxEventBytes connector.Bytes      `yaml:"maxEventBytes" doc:"larger events go to the dead letters"`
	MaxStateBytes connector.Bytes      `yaml:"maxStateBytes" doc:"memory for the query's state over all partitions of one worker; beyond it the job stops and says what needs it"`
}

// NewConfig returns the defaults: those of the service, and no dedupe step.
func NewConfig() *Config {
	return &Config{Compatibility: "1.2", PartitionKey: "deviceId", Late: connector.Duration(5 * time.Second), LatePolicy: adjust, OutputErrors: drop, CountOnce: true,
		Dedupe: process.DedupeConfig{MaxBytes: 512 << 20}, MaxEventBytes: 1 << 20, MaxStateBytes: 512 << 20}
}

// Validate returns every problem.
func (c *Config) Validate() []error {
	relay := process.RelayConfig{Dedupe: c.Dedupe, MaxEventBytes: c.MaxEventBytes}
	errs := relay.Validate()
	if c.Query == "" {
		errs = append(errs, errors.New("query: must name a file"))
	}
	if _, ok := levels[c.Compatibility]; !ok {
		errs = append(errs, fmt.Errorf("compatibility: must be 1.0, 1.1 or 1.2, not %q", c.Compatibility))
	}
	if c.LatePolicy != adjust && c.LatePolicy != drop {
		errs = append(errs, fmt.Errorf("latePolicy: must be adjust or drop, not %q", c.LatePolicy))
	}
	if c.Late < 0 || c.Late.D() > 20*24*time.Hour {
		errs = append(errs, fmt.Errorf("late: must be between 0s and 480h (20 days), is %s", c.Late))
	}
	if c.OutOfOrder < 0 || c.OutOfOrder.D() >= time.Hour {
		errs = append(errs, fmt.Errorf("outOfOrder: must be between 0s and 59m59s, is %s", c.OutOfOrder))
	}
	if c.OutputErrors != drop && c.OutputErrors != retry {
		errs = append(errs, fmt.Errorf("outputErrors: must be drop or retry, not %q", c.OutputErrors))
	}
	if _, ok := value.ParseTime(c.Start); !ok && c.Start != "" && c.Start != now {
		errs = append(errs, fmt.Errorf("start: must be now or a time such as 2026-01-02T15:04:05Z, not %q", c.Start))
	}
	if c.MaxStateBytes < 1<<20 {
		errs = append(errs, errors.New("maxStateBytes: must be at least 1MB"))
	}
	return errs
}

// Begin says when the run began, which is what now means.
func (c *Config) Begin(at time.Time) {
	if c.Start == now {
		c.Start = at.UTC().Format(time.RFC3339Nano)
	}
}

// RetriesRejected tells whether what the store refuses is to be tried again until
// it is taken.
func (c *Config) RetriesRejected() bool { return c.OutputErrors == retry }

var levels = map[string]value.Level{"1.0": value.Level10, "1.1": value.Level11, "1.2": value.Level12}
