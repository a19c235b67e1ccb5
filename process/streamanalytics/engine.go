package streamanalytics

import (
	"errors"
	"fmt"
	"hash/crc64"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"millrace/connector"
	"millrace/process"
	"millrace/process/streamanalytics/check"
	"millrace/process/streamanalytics/exec"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/udf"
	"millrace/process/streamanalytics/value"
)

// Engine implements process.Engine: a task of the query for each partition. It
// is safe for concurrent use.
type Engine struct {
	cfg        Config
	partitions int
	log        *slog.Logger
	job        *plan.Job
	functions  *udf.Library
	output     output
	name       string
	lookback   time.Duration
	// timed: results can follow from time; plain: the plan is a chain of
	// operators, so that it does not matter whether an event moves the time
	// by itself or the time has been moved before it.
	timed, plain bool
	// start is the time before which rows are not given out, in ticks; 0: none.
	start int64
}

// New reads and checks the query of a solution, whose folder is files. An error
// lists everything that is wrong with the query, each with its place. partitions
// is the number of the log's.
func New(cfg Config, files fs.FS, partitions int, log *slog.Logger) (*Engine, error) {
	text, err := read(files, cfg.Query)
	if err != nil {
		return nil, fmt.Errorf("process.query: %w", err)
	}
	e := &Engine{cfg: cfg, partitions: max(partitions, 1), log: log}
	if cfg.Start != "" {
		e.start, _ = value.ParseTime(cfg.Start) // Validate has seen to it that it is one
	}
	script := ""
	if cfg.Functions != "" {
		if script, err = read(files, cfg.Functions); err != nil {
			return nil, fmt.Errorf("process.functions: %w", err)
		}
		if e.functions, err = udf.Load(udf.Options{Level: levels[cfg.Compatibility]}, udf.File{Name: cfg.Functions, Source: script}); err != nil {
			return nil, &connector.Hinted{Err: err, Hint: "try functions with `millrace streamanalytics run --udf`"}
		}
	}
	if e.job, err = e.compile(text); err != nil {
		return nil, err
	}
	e.timed, e.plain = timed(e.job) || cfg.OutOfOrder > 0 && byEventTime(e.job), chain(e.job)
	if e.timed && e.cfg.Dedupe.Horizon == 0 && e.cfg.CountOnce {
		e.cfg.Dedupe.Horizon = connector.Duration(countOnce)
	}
	sum := crc64.Checksum([]byte(text+"\x00"+script), crc64.MakeTable(crc64.ECMA))
	e.name = fmt.Sprintf("streamanalytics/2 query=%016x level=%s late=%s/%s/%s dedupe=%s start=%s", sum, cfg.Compatibility, cfg.Late, cfg.OutOfOrder,
		cfg.LatePolicy, e.cfg.Dedupe.Horizon, cfg.Start)
	e.lookback = e.memory()
	// What a task cannot do shows before the first event.
	_, err = e.newTask(0)
	return e, err
}

// read returns a file of the solution's folder, or one anywhere else.
func read(files fs.FS, name string) (string, error) {
	if files != nil && fs.ValidPath(name) {
		b, err := fs.ReadFile(files, name)
		if !errors.Is(err, fs.ErrNotExist) {
			return string(b), err
		}
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return "", &connector.Hinted{Err: err, Hint: "name a file in the solution's folder, or the path of one"}
	}
	return string(b), nil
}

// compile makes the plan, and sees to it that it is one for a log, partition by
// partition, with one output.
func (e *Engine) compile(text string) (*plan.Job, error) {
	script, wrong := syntax.Parse(text)
	var job *plan.Job
	if len(wrong) == 0 {
		o := check.Options{Level: levels[e.cfg.Compatibility], AnyInput: true, Inputs: e.inputs(script)}
		if e.functions != nil {
			o.Functions = e.functions
		} else {
			o.Functions = none{}
		}
		job, wrong = check.Check(script, o)
	}
	if len(wrong) > 0 {
		return nil, &connector.Hinted{Err: &QueryError{File: e.cfg.Query, Text: text, Diagnostics: wrong},
			Hint: "`millrace streamanalytics check` shows each with its line"}
	}
	if err := e.serves(job); err != nil {
		return nil, fmt.Errorf("%s: %w", e.cfg.Query, err)
	}
	return job, nil
}

// inputs says of each input that the query names what is known of the log: all
// of them are the log.
func (e *Engine) inputs(script *syntax.Script) map[string]check.Input {
	known := map[string]check.Input{}
	syntax.Inspect(script, func(n syntax.Node) bool {
		if in, ok := n.(*syntax.Input); ok {
			known[in.Name.Name] = check.Input{Kind: plan.Stream, PartitionKey: e.cfg.PartitionKey, Partitions: e.partitions}
		}
		return true
	})
	return known
}

// none are no functions.
type none struct{}

func (none) HasFunction(string) bool  { return false }
func (none) HasAggregate(string) bool { return false }

// QueryError lists what is wrong with a query.
type QueryError struct {
	File, Text  string
	Diagnostics []syntax.Diagnostic
}

// Error has a line for each problem.
func (e *QueryError) Error() string {
	lines := make([]string, len(e.Diagnostics))
	for i, d := range e.Diagnostics {
		lines[i] = e.File + ": " + d.Error()
	}
	return strings.Join(lines, "\n")
}

// serves checks that a solution can run the plan.
func (e *Engine) serves(job *plan.Job) error {
	streams := 0
	for _, in := range job.Inputs {
		if in.Kind == plan.Stream {
			streams++
		}
	}
	if streams != 1 || len(job.Inputs) != 1 {
		return &connector.Hinted{Err: fmt.Errorf("the query reads %d inputs; a solution has one, its log", len(job.Inputs)),
			Hint: "run queries over several inputs with `millrace streamanalytics run`"}
	}
	if len(job.Outputs) != 1 {
		return &connector.Hinted{Err: fmt.Errorf("the query has %d outputs; a solution has one, its store", len(job.Outputs)),
			Hint: "leave one INTO, or run it with `millrace streamanalytics run`"}
	}
	if !job.Parallel.OK && e.partitions > 1 {
		return &connector.Hinted{Err: fmt.Errorf("the query needs all %d partitions of the log in one place: %s", e.partitions, strings.Join(job.Parallel.Reasons, "; ")),
			Hint: "group or PARTITION BY " + e.cfg.PartitionKey + ", or --set ingest.partitions=1"}
	}
	var sinks []*plan.Sink
	for _, n := range job.Nodes {
		if sink, ok := n.(*plan.Sink); ok {
			sinks = append(sinks, sink)
		}
	}
	if len(sinks) != 1 {
		return &connector.Hinted{Err: fmt.Errorf("the query has %d statements that feed %s; a solution has one", len(sinks), job.Outputs[0].Name),
			Hint: "put them together with UNION"}
	}
	var err error
	e.output, err = outputOf(sinks[0])
	return err
}

// Name implements process.Engine.
func (e *Engine) Name() string { return e.name }

// Lookback implements process.Engine.
func (e *Engine) Lookback() time.Duration { return e.lookback }

// Settling is how long after the last event of a log its last results may come:
// 0 if results follow from events alone. A query that never forgets has no such
// time, and gets that of its tolerances.
func (e *Engine) Settling() time.Duration {
	if !e.timed {
		return 0
	}
	spans := int64(0)
	for _, n := range e.job.Nodes {
		if span, bounded := spanOf(n); bounded {
			spans += span // steps feed each other
		}
	}
	return time.Duration(spans)*100 + e.cfg.Late.D() + e.cfg.OutOfOrder.D()
}

// timed tells whether results of a plan can follow from time: windows close,
// joins and patterns wait, and so do rows that have to be put in order.
func timed(job *plan.Job) bool {
	disorder, ordering := false, false
	for _, n := range job.Nodes {
		switch n := n.(type) {
		case *plan.Aggregate, *plan.Join, *plan.Match, *plan.Union:
			return true
		case *plan.Source:
			disorder = disorder || n.Over != nil
		case *plan.Analytic:
			ordering = true
		}
	}
	return disorder && ordering
}

// byEventTime tells whether events have times of their own.
func byEventTime(job *plan.Job) bool {
	return slices.ContainsFunc(job.Nodes, func(n plan.Node) bool {
		s, ok := n.(*plan.Source)
		return ok && s.TimestampBy != nil
	})
}

// chain tells whether each operator feeds one other.
func chain(job *plan.Job) bool {
	for i, n := range job.Nodes {
		in := n.Head().Inputs
		if i == 0 && len(in) != 0 || i > 0 && (len(in) != 1 || in[0] != job.Nodes[i-1]) {
			return false
		}
	}
	return true
}

// countOnce is the horizon of the dedupe step for results that count.
const countOnce = 10 * time.Minute

// forever stands for the memory of a query that never forgets.
const forever = 100 * 365 * 24 * time.Hour

// memory is how much of the log the state of a task depends on.
func (e *Engine) memory() time.Duration {
	longest, timed := int64(0), byEventTime(e.job)
	for _, n := range e.job.Nodes {
		span, bounded := spanOf(n)
		if !bounded {
			return forever
		}
		longest += span // steps feed each other
	}
	if longest == 0 && !timed {
		return e.cfg.Dedupe.Lookback()
	}
	const early = 5 * time.Minute // how far an event's time may be ahead of its arrival
	ours := time.Duration(longest)*100 + e.cfg.Late.D() + e.cfg.OutOfOrder.D() + early
	return max(ours, e.cfg.Dedupe.Lookback())
}

// spanOf is how far back in time an operator looks; false if there is no bound.
func spanOf(n plan.Node) (ticks int64, bounded bool) {
	switch n := n.(type) {
	case *plan.Analytic:
		for _, c := range n.Calls {
			switch {
			case c.Kind == plan.IsFirst:
				ticks = max(ticks, c.Every)
			case c.Limit == 0:
				return 0, false
			default:
				ticks = max(ticks, c.Limit)
			}
		}
	case *plan.Aggregate:
		for _, w := range n.Windows {
			span := w.Spec.Lookback()
			if w.Spec.Kind == timing.Session && w.Spec.MaxDuration == 0 {
				return 0, false
			}
			ticks = max(ticks, span)
		}
	case *plan.Join:
		ticks = max(n.High, 0) - min(n.Low, 0)
	case *plan.Match:
		if n.Limit == 0 {
			return 0, false
		}
		ticks = n.Limit
	}
	return ticks, true
}

// NewTask implements process.Engine.
func (e *Engine) NewTask(partition int32) process.Task {
	t, err := e.newTask(partition)
	if err != nil {
		// New has made one like it.
		t = &task{engine: e, broken: err}
	}
	if e.timed {
		return &timedTask{t}
	}
	return t
}

func (e *Engine) newTask(partition int32) (*task, error) {
	t := &task{engine: e, partition: partition, at: unknown, seen: e.cfg.Dedupe.NewIDSet(e.partitions, e.forgotten)}
	mode := timing.Adjust
	if e.cfg.LatePolicy == drop {
		mode = timing.Drop
	}
	var err error
	t.exec, err = exec.New(e.job, exec.Options{Now: func() int64 { return value.FromGoTime(time.Now()) },
		Late: ticks(e.cfg.Late.D()), OutOfOrder: ticks(e.cfg.OutOfOrder.D()), LatePolicy: mode, Start: e.start, MaxStateBytes: int64(e.cfg.MaxStateBytes) / int64(e.partitions),
		Functions: e.functions, OnRow: t.row, OnDropped: t.dropped})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", e.cfg.Query, err)
	}
	return t, nil
}

func (e *Engine) forgotten(int) {
	e.log.Warn("dedupe.maxBytes is reached: events are recognised for less than the horizon")
}

func ticks(d time.Duration) int64 { return int64(d / 100) }
