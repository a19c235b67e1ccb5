package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs"
	"millrace/connector/eventhubs/kafkahub"
	kafkalocal "millrace/connector/kafka/local"
	"millrace/internal/metrics"
	"millrace/internal/solution"
	"millrace/process"
	"millrace/serve"
	"millrace/simulate"
	"millrace/ui/cli"
	"millrace/ui/report"
	"millrace/verify"
)

// locals are the stand-ins that `millrace local` serves.
var locals = []cli.Local{{
	Name: "kafka", Short: "an Apache Kafka broker", Port: 9092, Address: "KAFKA_BROKERS",
	Start: func(ctx context.Context, o cli.LocalOptions) (connector.Standin, error) {
		return kafkalocal.Start(ctx, kafkalocal.Options{DataDir: o.DataDir, Port: o.Port, Log: o.Log,
			Username: o.Getenv("KAFKA_USERNAME"), Password: o.Getenv("KAFKA_PASSWORD"),
			Mechanism: o.Getenv("KAFKA_SASL_MECHANISM")})
	},
}, localEventHubs, localCosmosDB}

func simConfig(q *cli.Request) *simulate.Config { return q.Solution.Simulate.(*simulate.Config) }

func verifyConfig(q *cli.Request) *verify.Config { return q.Solution.Verify.(*verify.Config) }

// stageDir is the data directory of a stage that runs alone: stages meet
// there (the ledger), so there must be one.
func stageDir(q *cli.Request) error {
	if q.DataDir == "" {
		return usage("for example: --data-dir ./data", "a stage that runs alone needs the run's --data-dir")
	}
	return nil
}

// needAddress refuses an embedded log or store to stages that run in several
// processes: each would start one of its own.
func needAddress(q *cli.Request) error {
	return errors.Join(needService(q.Solution.IngestKind, q.Solution.Ingest), needService(q.Solution.ServeKind, q.Solution.Serve))
}

func needService(kind string, cfg addressed) error {
	if cfg.Address() != "" || standins[kind] == nil {
		return nil
	}
	if kind == kafkahub.Kind {
		kind = eventhubs.Kind // one service, two ways in
	}
	return usage("start one with `millrace local "+kind+"` and set its address, or use `millrace run --steps`",
		"a stage that runs alone needs a running %s", kind)
}

// Simulate sends events until the schedule ends.
func Simulate(ctx context.Context, q cli.Request) (out *cli.Outcome, err error) {
	if err := errors.Join(stageDir(&q), needService(q.Solution.IngestKind, q.Solution.Ingest)); err != nil {
		return nil, err
	}
	return alone(ctx, q, "T", func(s *session) (*cli.Outcome, error) {
		if err := s.stream(ctx); err != nil {
			return nil, err
		}
		rep, err := s.report(ctx)
		return outcome(q.Getenv, rep, false), err
	})
}

// Process works as a member of the consumer group until ctx ends.
func Process(ctx context.Context, q cli.Request) error {
	if q.Solution.ProcessKind == captureKind {
		return usage("`millrace run "+q.Solution.Name+"` sets it up and watches it; `millrace simulate` and `millrace verify` work alone",
			"there is no worker to start: Capture is the work of Event Hubs itself")
	}
	if err := needAddress(&q); err != nil {
		return err
	}
	if q.Solution.DeadLetters.(*solution.DeadLetters).To == solution.ToFile || q.DataDir != "" {
		if err := stageDir(&q); err != nil {
			return err
		}
	}
	_, err := alone(ctx, q, "P", func(s *session) (*cli.Outcome, error) { return nil, s.work(ctx) })
	return err
}

// work processes until ctx ends, and then in good order: that is how a worker
// is stopped, so it is no failure.
func (s *session) work(ctx context.Context) error {
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var stages lifecycle
	if err := s.startStages(running, fail, &stages); err != nil {
		return errors.Join(err, stages.stop())
	}
	if s.q.Drain {
		s.gather.enter(metrics.Draining)
		err := s.processing.drained(running)
		if running.Err() == nil {
			return errors.Join(err, stages.stop())
		}
	}
	<-running.Done()
	err := stages.stop()
	if cause := context.Cause(running); ctx.Err() == nil && cause != nil {
		return cause
	}
	return err
}

// Verify compares the ledger in the data directory with the store.
func Verify(ctx context.Context, q cli.Request) (*cli.Outcome, error) {
	if err := stageDir(&q); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(q.DataDir, "ledger")); err != nil {
		return nil, usage("say where `millrace run` or `simulate` kept it", "there is no ledger in %s", q.DataDir)
	}
	return alone(ctx, q, "V", func(s *session) (*cli.Outcome, error) {
		s.display.Begin(s.header())
		rep, err := s.report(ctx)
		return outcome(q.Getenv, rep, false), err
	})
}

// Query asks the serving store.
func Query(ctx context.Context, q cli.Request, text string) (connector.Rows, error) {
	env, err := storeEnv(&q)
	if err != nil {
		return nil, err
	}
	fixArchive(q.Solution)
	r := &ownedRows{}
	if err := r.open(ctx, &q, env, text); err != nil {
		return nil, errors.Join(err, r.owned.stop())
	}
	return r, nil
}

// ownedRows close what they came from with them.
type ownedRows struct {
	connector.Rows
	owned lifecycle
}

// open asks the store, over a stand-in for it if it is an embedded one that is
// a service.
func (r *ownedRows) open(ctx context.Context, q *cli.Request, env connector.Env, text string) error {
	services := &services{standins: make(map[string]connector.Standin)}
	_, err := services.standin(ctx, q.Solution.ServeKind, q.Solution.Serve, q, &dataDir{path: q.DataDir})
	r.owned.started("the embedded service", services.life.stop)
	if err != nil {
		return err
	}
	store, err := q.Solution.Serve.Open(ctx, env)
	if err != nil {
		return fmt.Errorf("opening the store: %w", err)
	}
	r.owned.started("the store", store.Close)
	if r.Rows, err = ask(ctx, store, text, q.At); err != nil {
		return fmt.Errorf("asking the store: %w", err)
	}
	r.owned.started("the answer", r.Rows.Close)
	return nil
}

func (r *ownedRows) Close() error { return r.owned.stop() }

// alone runs one stage.
func alone(ctx context.Context, q cli.Request, steps string, fn func(*session) (*cli.Outcome, error)) (out *cli.Outcome, err error) {
	s, err := begin(ctx, q, steps, false)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.end(out, err)) }()
	return fn(s)
}

// verify compares ledger and store, and shows how far it is.
func (s *session) verify(ctx context.Context) (*verify.Verdict, error) {
	s.gather.enter(metrics.Verifying)
	cfg := verifyConfig(&s.q)
	last := time.Now()
	in := verify.Input{Ledgers: []verify.LedgerSource{verify.LedgerDir(s.dir.file("ledger"))},
		Scan: s.services.store.Scan, DeadLetters: s.services.dead.Scan,
		Interval: cfg.Interval.D(), Warmup: cfg.Warmup.D(), Tail: cfg.Tail.D(), Aggregate: cfg.Aggregate,
		Progress: func(_ string, done, _ int64) {
			s.gather.verified.Store(done)
			if time.Since(last) >= time.Second {
				last = time.Now()
				s.display.Update(s.gather.sample(ctx))
			}
		}}
	in.LastWins = s.services.store.Traits().Kind == connector.Idempotent
	if archive, ok := s.services.store.(archived); ok {
		in.RawScan = archive.ScanRaw
	}
	if log, ok := s.services.log.(connector.Resent); ok {
		in.Resends = log.Resent()
	}
	v, err := verify.Check(ctx, in)
	if err != nil {
		return nil, fmt.Errorf("verifying: %w", err)
	}
	return v, nil
}

func commitLag(s *serve.Stats) verify.Percentiles {
	lag, c := s.CommitLag(), s.Counts()
	micros := func(us float64) time.Duration { return time.Duration(us) * time.Microsecond }
	at := func(q float64) time.Duration { return micros(float64(lag.Quantile(q))) }
	return verify.Percentiles{Count: c.Stored, Mean: micros(lag.Mean()), P50: at(50), P95: at(95), P99: at(99), P999: at(99.9),
		Max: micros(float64(lag.Max()))}
}

func watermarkDelay(s *process.Stats) verify.Percentiles {
	n, mean, q, longest := s.Delay.Quantiles(50, 95, 99, 99.9)
	return verify.Percentiles{Count: n, Mean: mean, P50: q[0], P95: q[1], P99: q[2], P999: q[3], Max: longest}
}

// outcome is a report for the command line.
func outcome(getenv func(string) string, r *report.Report, table bool) *cli.Outcome {
	if r == nil {
		return nil
	}
	// What nobody wanted to have verified has missed nothing.
	o := &cli.Outcome{Pass: r.Pass || !r.Verified && r.Failure == "",
		JSON: r.Write,
		HTML: func(w io.Writer) error { return report.HTML(w, r) },
		Text: func(w io.Writer, _ int) error {
			style := report.Style{}
			if f, ok := w.(*os.File); ok {
				style = report.StyleFor(f, getenv)
			}
			if table && len(r.Throughput.PerInterval) > 0 {
				if err := report.MetricsTable(w, r.Throughput.PerInterval, r.Throughput.IntervalSeconds, r.Limits, style); err != nil {
					return err
				}
			}
			return report.Summary(w, r, style)
		}}
	for _, t := range r.Thresholds {
		if !t.Pass {
			o.Missed++
		}
	}
	return o
}

// reportLimits shows what the service behind a section of the solution lets
// through; nil if nothing is known to limit it.
func reportLimits(section string, l connector.RateLimits) *report.Limits {
	if l == (connector.RateLimits{}) {
		return nil
	}
	return &report.Limits{MessagesInPerSecond: l.MessagesIn, BytesInPerSecond: l.BytesIn,
		MessagesOutPerSecond: l.MessagesOut, BytesOutPerSecond: l.BytesOut,
		Units: l.Units, Unit: l.Unit, Setting: section + "." + l.Setting, Step: l.Step}
}

// engineName says what does the work here, and for which engine of the real
// architecture.
func engineName(q *cli.Request) string {
	if q.Solution.Engine == "" {
		return "embedded"
	}
	return "embedded (for " + q.Solution.Engine + ")"
}
