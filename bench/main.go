// Command bench measures what each part of Millrace reaches on this machine,
// in one run, and prints it as ratios to a limit measured in the same run: a
// bare client loop on the same log, a bare bulk load into the same store.
//
// Each case runs in a process of its own, one after the other, so that peak
// memory and processor time are the case's alone. Nothing else should run
// meanwhile.
//
//	go run ./bench                       the whole table
//	go run ./bench -only relay-duckdb    one case and its limit
//	go run ./bench -case amqp-pipe -dir D -cpuprofile P
//
// PostgreSQL cases run if MILLRACE_TEST_POSTGRES names a server (`make bench`
// starts one).
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"runtime/pprof"
	"slices"
	"strings"
	"syscall"
	"time"

	"millrace/ui/report"
)

// benchCase is one measurement.
type benchCase struct {
	name, what string
	// limits are the cases that this one is a ratio of.
	limits []string
	// preload fills the data directory's log in a process of its own.
	preload bool
	// events overrides how many there are, for cases that take their time.
	events int64
	// cores bounds the processors that the case may use, 0 for all.
	cores int
	run   func(ctx context.Context, c *child) (measured, error)
}

// measured is what a case's process says of itself.
type measured struct {
	Events     int64   `json:"events"`
	Seconds    float64 `json:"seconds"`
	CPUSeconds float64 `json:"cpuSeconds"`
	// P50Ms and P99Ms are latencies, where the case is about them.
	P50Ms float64 `json:"p50Ms,omitempty"`
	P99Ms float64 `json:"p99Ms,omitempty"`
	// BytesPerKey is state, where the case is about it.
	BytesPerKey float64 `json:"bytesPerKey,omitempty"`
}

// child is what a case gets.
type child struct {
	events   int64
	dir      string
	postgres string
}

var cases = []benchCase{
	{name: "raw-kafka", what: "bare franz-go loops, produce and consume at once", run: rawKafka},
	{name: "relay-kafka", what: "relay + dedupe, transactions into Kafka", limits: []string{"raw-kafka"}, preload: true, run: relayKafka},
	{name: "appender-duckdb", what: "textbook loop: appender, staging table, merge", run: appenderDuckDB},
	{name: "bare-duckdb", what: "bare loop: bulk load and merge", run: bareDuckDB},
	{name: "relay-duckdb", what: "relay + dedupe into DuckDB", limits: []string{"appender-duckdb", "bare-duckdb"}, preload: true, run: relayDuckDB},
	{name: "bare-postgres", what: "bare loop: COPY and merge", run: barePostgres},
	{name: "relay-postgres", what: "relay + dedupe into PostgreSQL", limits: []string{"bare-postgres"}, preload: true, run: relayPostgres},
	{name: "relay-delta", what: "relay + dedupe into a Delta table", limits: []string{"raw-kafka"}, preload: true, run: relayDelta},
	{name: "relay-parquet", what: "relay + dedupe into Parquet files", limits: []string{"raw-kafka"}, preload: true, run: relayParquet},
	{name: "backbone", what: "relay + dedupe, results dropped", limits: []string{"raw-kafka"}, preload: true, run: backbone},
	{name: "sa-relay-kafka", what: "query: relay with all fields, transactions into Kafka", limits: []string{"raw-kafka", "relay-kafka"}, preload: true, run: queryKafka("sa-relay")},
	{name: "sa-relay", what: "query: relay with all fields, results dropped", limits: []string{"raw-kafka", "backbone"}, preload: true, run: query("sa-relay")},
	{name: "sa-relay-1c", what: "the same on one core", limits: []string{"sa-relay"}, preload: true, cores: 1, run: query("sa-relay")},
	{name: "sa-filter", what: "query: projection and filter", limits: []string{"backbone"}, preload: true, run: query("sa-filter")},
	{name: "sa-tumbling", what: "query: count per device, tumbling 10 s", limits: []string{"backbone"}, preload: true, run: query("sa-tumbling")},
	{name: "sa-tumbling-1c", what: "the same on one core", limits: []string{"sa-tumbling"}, preload: true, cores: 1, run: query("sa-tumbling")},
	{name: "sa-hopping", what: "query: average per device, hopping 60 s / 5 s", limits: []string{"backbone"}, preload: true, run: query("sa-hopping")},
	{name: "sa-hopping-1c", what: "the same on one core", limits: []string{"sa-hopping"}, preload: true, cores: 1, run: query("sa-hopping")},
	{name: "sa-sliding", what: "query: count per device, sliding 1 s", limits: []string{"backbone"}, preload: true, run: query("sa-sliding")},
	{name: "sa-session", what: "query: count per device, sessions of 5 s", limits: []string{"backbone"}, preload: true, run: query("sa-session")},
	{name: "sa-join", what: "query: join of two streams within 1 s", limits: []string{"backbone"}, preload: true, run: query("sa-join")},
	{name: "sa-topone", what: "query: TopOne per device, tumbling 10 s", limits: []string{"backbone"}, preload: true, run: query("sa-topone")},
	{name: "sa-lag", what: "query: LAG per device", limits: []string{"backbone"}, preload: true, run: query("sa-lag")},
	{name: "sa-anomaly", what: "query: SpikeAndDip per device, history of 60", limits: []string{"backbone"}, preload: true, run: query("sa-anomaly")},
	{name: "sa-state-1k", what: "query: state of a count of 1,000 keys", events: 5000, run: stateOf(1000)},
	{name: "sa-state-100k", what: "the same of 100,000 keys", events: 500_000, run: stateOf(100_000)},
	{name: "sa-state-1m", what: "the same of 1,000,000 keys", events: 5_000_000, run: stateOf(1_000_000)},
	{name: "cosmos-http", what: "bare loop: signed requests, a device's batch each", events: 300_000, run: cosmosLoop(httpUpserts)},
	{name: "cosmos-sdk", what: "the same through the Cosmos DB SDK", limits: []string{"cosmos-http"}, events: 300_000, run: cosmosLoop(sdkUpserts)},
	{name: "relay-cosmosdb", what: "relay into the embedded Cosmos DB", limits: []string{"cosmos-sdk"}, preload: true, events: 300_000, run: relayCosmosDB},
	{name: "cosmosdb-10k", what: "a whole run, Kafka to Cosmos DB, at 10,000 events/s", events: 200_000, run: pacedCosmosDB("kafka", 10_000)},
	{name: "cosmosdb-10k-eh", what: "the same from Event Hubs", events: 200_000, run: pacedCosmosDB("eventhubs", 10_000)},
	{name: "simulator", what: "generate, encode, fingerprint, ledger", run: simulator},
	{name: "simulator-kafka", what: "the same into the embedded Kafka", limits: []string{"raw-kafka"}, run: simulatorKafka},
	{name: "kafka-pipe", what: "franz-go at both ends, partition by partition", run: throughput("kafka")},
	{name: "amqp-pipe", what: "the Event Hubs SDK at both ends, over the same log", limits: []string{"kafka-pipe"}, run: throughput("amqp")},
	{name: "kafka-10k", what: "latency at 10,000 events/s, franz-go", events: 200_000, run: latency("kafka", 10_000)},
	{name: "amqp-10k", what: "latency at 10,000 events/s, the Event Hubs SDK", events: 200_000, run: latency("amqp", 10_000)},
}

// result is one line of the table and of the results file.
type result struct {
	Name                       string  `json:"name"`
	Events                     int64   `json:"events"`
	EventsPerSecond            float64 `json:"eventsPerSecond"`
	CPUSecondsPerMillionEvents float64 `json:"cpuSecondsPerMillionEvents"`
	PeakRSSBytes               int64   `json:"peakRSSBytes"`
	// Ratios are to the speed of the cases named.
	Ratios map[string]float64 `json:"ratios,omitempty"`
	P50Ms  float64            `json:"p50Ms,omitempty"`
	P99Ms  float64            `json:"p99Ms,omitempty"`
	// BytesPerKey is what the state of one key takes.
	BytesPerKey float64 `json:"bytesPerKey,omitempty"`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	events := flag.Int64("events", 1_000_000, "events of each case")
	times := flag.Int("n", 1, "runs of each case; the median counts")
	only := flag.String("only", "", "run these cases (separated by commas) and their limits only")
	out := flag.String("out", "", "write the results as JSON to this file")
	as := flag.String("case", "", "run one case in this process, and print its figures as JSON")
	profile := flag.String("cpuprofile", "", "with -case: write a CPU profile of it to this file")
	dir := flag.String("dir", "", "folder for data; default: a temporary one")
	flag.Parse()
	c := &child{events: *events, dir: *dir, postgres: os.Getenv("MILLRACE_TEST_POSTGRES")}
	var err error
	if *as != "" {
		err = profiled(*profile, func() error { return asChild(ctx, *as, c) })
	} else {
		err = table(ctx, c, max(*times, 1), *only, *out)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// profiled runs fn under the CPU profiler if a file is named.
func profiled(file string, fn func() error) (err error) {
	if file == "" {
		return fn()
	}
	f, err := os.Create(file)
	if err != nil {
		return fmt.Errorf("writing the profile: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return fmt.Errorf("profiling: %w", err)
	}
	defer pprof.StopCPUProfile()
	return fn()
}

func asChild(ctx context.Context, name string, c *child) error {
	var m measured
	var err error
	if name == "preload" {
		m, err = preload(ctx, c)
	} else if i := slices.IndexFunc(cases, func(b benchCase) bool { return b.name == name }); i >= 0 {
		m, err = cases[i].run(ctx, c)
	} else {
		return fmt.Errorf("no case %q", name)
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(m)
}

// table runs the cases and prints them.
func table(ctx context.Context, c *child, times int, only, out string) error {
	if c.dir == "" {
		dir, err := os.MkdirTemp("", "millrace-bench-")
		if err != nil {
			return fmt.Errorf("making a folder for the data: %w", err)
		}
		defer os.RemoveAll(dir)
		c.dir = dir
	}
	m := report.ThisMachine()
	if m.Commit == "" || m.Commit == "unknown" { // built without version control stamps
		if head, err := exec.CommandContext(ctx, "git", "rev-parse", "--short", "HEAD").Output(); err == nil {
			m.Commit = strings.TrimSpace(string(head))
		}
	}
	fmt.Printf("%d events a case, median of %d; %d cores, %s, %s, commit %s\n\n", c.events, times, m.CPUs, m.Model, m.Go, m.Commit)
	fmt.Printf("%-16s %12s %9s %9s  %s\n", "case", "events/s", "CPU s/M", "peak MB", "of its limit")
	var results []result
	for _, b := range cases {
		if !wanted(b, only) {
			continue
		}
		if strings.HasSuffix(b.name, "postgres") && c.postgres == "" {
			fmt.Printf("%-16s %12s  (MILLRACE_TEST_POSTGRES is not set)\n", b.name, "-")
			continue
		}
		r, err := median(ctx, c, b, times)
		if err != nil {
			return fmt.Errorf("case %s: %w", b.name, err)
		}
		line := fmt.Sprintf("%-16s %12.0f %9.1f %9.0f", r.Name, r.EventsPerSecond, r.CPUSecondsPerMillionEvents, float64(r.PeakRSSBytes)/1e6)
		for _, limit := range b.limits {
			i := slices.IndexFunc(results, func(l result) bool { return l.Name == limit })
			if i < 0 {
				continue
			}
			if r.Ratios == nil {
				r.Ratios = make(map[string]float64)
			}
			r.Ratios[limit] = r.EventsPerSecond / results[i].EventsPerSecond
			line += fmt.Sprintf("  %.0f %% of %s", r.Ratios[limit]*100, limit)
		}
		if r.BytesPerKey > 0 {
			line += fmt.Sprintf("  %.0f bytes a key", r.BytesPerKey)
		}
		if r.P99Ms > 0 {
			line += fmt.Sprintf("  p50 %.1f ms, p99 %.1f ms", r.P50Ms, r.P99Ms)
		}
		fmt.Println(line)
		results = append(results, r)
	}
	if out == "" {
		return nil
	}
	return save(out, m, results)
}

// wanted tells whether a case is to be run: only names some, separated by
// commas, whose limits are run with them.
func wanted(b benchCase, only string) bool {
	if only == "" {
		return true
	}
	names := strings.Split(only, ",")
	return slices.Contains(names, b.name) || slices.ContainsFunc(cases, func(o benchCase) bool {
		return slices.Contains(names, o.name) && slices.Contains(o.limits, b.name)
	})
}

// median runs a case several times and returns the run with the median speed.
func median(ctx context.Context, c *child, b benchCase, times int) (result, error) {
	var runs []result
	for range times {
		r, err := spawn(ctx, c, b)
		if err != nil {
			return result{}, err
		}
		runs = append(runs, r)
	}
	slices.SortFunc(runs, func(x, y result) int { return cmp.Compare(x.EventsPerSecond, y.EventsPerSecond) })
	return runs[len(runs)/2], nil
}

// runName keeps the tables of a case apart from those of any other process.
func runName() string { return fmt.Sprintf("bench%d", os.Getpid()) }

// spawn runs one case in its own process.
func spawn(ctx context.Context, c *child, b benchCase) (result, error) {
	dir := filepath.Join(c.dir, b.name)
	defer os.RemoveAll(dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return result{}, fmt.Errorf("making a folder: %w", err)
	}
	if b.preload {
		if _, _, err := self(ctx, "preload", cmp.Or(b.events, c.events), dir, 0); err != nil {
			return result{}, fmt.Errorf("filling the log: %w", err)
		}
	}
	syscall.Sync() // what was written before must not be this case's to wait for
	m, rss, err := self(ctx, b.name, cmp.Or(b.events, c.events), dir, b.cores)
	if err != nil {
		return result{}, err
	}
	return result{Name: b.name, Events: m.Events, EventsPerSecond: float64(m.Events) / m.Seconds,
		CPUSecondsPerMillionEvents: m.CPUSeconds * 1e6 / float64(m.Events), PeakRSSBytes: rss,
		P50Ms: m.P50Ms, P99Ms: m.P99Ms, BytesPerKey: m.BytesPerKey}, nil
}

func self(ctx context.Context, name string, events int64, dir string, cores int) (m measured, rss int64, err error) {
	exe, err := os.Executable()
	if err != nil {
		return m, 0, fmt.Errorf("finding this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, exe, "-case", name, "-events", fmt.Sprint(events), "-dir", dir)
	cmd.Stderr = os.Stderr
	if cores > 0 {
		cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", cores))
	}
	stdout, err := cmd.Output()
	if err != nil {
		return m, 0, fmt.Errorf("its process: %w", err)
	}
	if err := json.Unmarshal(stdout, &m); err != nil {
		return m, 0, fmt.Errorf("its answer %q: %w", stdout, err)
	}
	if m.Events != events {
		return m, 0, fmt.Errorf("it counted %d events, not %d", m.Events, events)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return m, 0, errors.New("no resource usage of the process")
	}
	return m, usage.Maxrss << 10, nil
}

func save(path string, m report.Machine, results []result) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing the results: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return write(f, m, results)
}

func write(w io.Writer, m report.Machine, results []result) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	var modified string
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.modified" && s.Value == "true" {
				modified = "with local changes"
			}
		}
	}
	return enc.Encode(map[string]any{"at": time.Now().UTC().Format(time.RFC3339), "machine": m,
		"modified": modified, "results": results})
}
