package run

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"time"

	"millrace/connector"
	"millrace/internal/metrics"
	"millrace/simulate"
	"millrace/ui/cli"
	"millrace/ui/progress"
	"millrace/ui/report"
	"millrace/verify"
)

// Stages are what the command line starts.
func Stages() cli.Stages {
	return cli.Stages{Run: Run, Simulate: Simulate, Process: Process, Verify: Verify, Metrics: Metrics,
		Query: Query, DeltaTable: DeltaTable, Queries: Queries, Locals: locals}
}

// A step is one letter of --steps.
const (
	stepCommon    = 'C'
	stepIngestion = 'I'
	stepDatabase  = 'D'
	stepProcess   = 'P'
	stepTest      = 'T'
	stepMetrics   = 'M'
	stepVerify    = 'V'
)

// session is one run of some of the stages in this process.
type session struct {
	q          cli.Request
	steps      string
	dir        *dataDir
	services   *services
	processing processing
	sim        *simulate.Simulator
	gather     *gatherer
	sampler    *metrics.Sampler
	display    *progress.Display
	life       lifecycle
	cpu0       float64
}

func (s *session) has(step rune) bool { return strings.ContainsRune(s.steps, step) }

// Run runs the steps of a solution in this process: services and stages are
// started in the order in which data flows, stopped in the opposite order,
// and the verdict is given on what the store then serves.
func Run(ctx context.Context, q cli.Request) (out *cli.Outcome, err error) {
	s, err := begin(ctx, q, q.Steps, true)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.end(out, err)) }()
	if err := s.stream(ctx); err != nil {
		return nil, err
	}
	rep, err := s.report(ctx)
	if err != nil {
		return nil, err
	}
	if s.has(stepTest) && s.has(stepVerify) {
		s.dir.manifest.Finished, s.dir.manifest.Passed = time.Now().UTC(), rep.Pass
		err = s.dir.save()
	}
	return outcome(s.q.Getenv, rep, s.has(stepMetrics)), err
}

// begin opens the data directory and the services that the steps need.
func begin(ctx context.Context, q cli.Request, steps string, exclusive bool) (*session, error) {
	s := &session{q: q, steps: steps, gather: newGatherer(), cpu0: metrics.CPUSeconds()}
	s.display = progress.New(q.Progress, q.Live, 5*time.Second)
	if q.Progress != io.Discard { // warnings must not tear the display
		level := slog.LevelWarn
		if q.Log.Enabled(ctx, slog.LevelDebug) {
			level = slog.LevelDebug
		}
		s.q.Log = slog.New(progress.NewLogHandler(s.display, level))
	}
	var err error
	if s.dir, err = openDataDir(q.DataDir, q.Run, q.Solution.Name, exclusive); err != nil {
		return nil, err
	}
	s.life.started("the data directory", s.dir.close)
	if err := s.open(ctx, exclusive); err != nil {
		return nil, errors.Join(err, s.life.stop(), s.dir.remove())
	}
	return s, nil
}

func (s *session) open(ctx context.Context, exclusive bool) (err error) {
	if m := &s.dir.manifest; s.has(stepTest) && exclusive && !m.Finished.IsZero() {
		return usage("verify it again with `millrace verify`, or choose another --data-dir",
			"the data directory %s holds run %s, which is finished", s.dir.path, m.Run)
	}
	if s.has(stepTest) || s.has(stepProcess) {
		if err := needArchive(s.q.Solution); err != nil {
			return err
		}
	}
	if s.services, err = open(ctx, &s.q, s.dir); err != nil {
		return err
	}
	s.life.started("the services", s.services.life.stop)
	if s.has(stepTest) {
		// Before anything is created: a ledger of another run is refused.
		if s.sim, err = newSimulator(&s.q, s.dir); err != nil {
			return err
		}
		s.life.started("the simulator", s.sim.Close)
	}
	return s.prepare(ctx)
}

// newSimulator begins the run's ledger, or continues it.
func newSimulator(q *cli.Request, d *dataDir) (*simulate.Simulator, error) {
	sim, err := simulate.New(*simConfig(q), d.file("ledger"), d.manifest.Run)
	switch {
	case errors.Is(err, simulate.ErrLedgerDiffers):
		return nil, usage("continue it with the settings it began with, or choose another --data-dir", "%w", err)
	case errors.Is(err, simulate.ErrLedgerFinished):
		return nil, usage("choose another --data-dir", "%w", err)
	}
	return sim, err
}

// prepare creates what the stages need. A stage that runs alone prepares what
// it uses too: creating is idempotent, and whoever comes first does it.
func (s *session) prepare(ctx context.Context) error {
	if s.has(stepIngestion) || s.has(stepTest) || s.has(stepProcess) || s.has(stepMetrics) {
		if err := s.services.prepareLog(ctx); err != nil {
			return err
		}
	}
	if s.has(stepDatabase) || s.has(stepProcess) || s.has(stepVerify) {
		return s.services.prepareStore(ctx)
	}
	return nil
}

// end stops what is still running, and removes what should not stay.
func (s *session) end(out *cli.Outcome, err error) error {
	s.display.Close()
	var errs []error
	if s.q.Cleanup && s.services != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		errs = append(errs, s.services.drop(ctx))
	}
	errs = append(errs, s.life.stop())
	switch {
	case out != nil && out.Pass && err == nil:
		errs = append(errs, s.dir.remove())
	case s.dir.temporary && !errors.Is(err, context.Canceled):
		s.kept()
	default:
		errs = append(errs, s.dir.remove())
	}
	return errors.Join(errs...)
}

// kept tells where the data of a run that did not pass is.
func (s *session) kept() {
	if s.q.Progress == io.Discard {
		s.q.Log.Warn("the run's data is kept", "folder", s.dir.path)
		return
	}
	fmt.Fprintf(s.q.Progress, "the run's data is kept in %s\n", s.dir.path)
}

// stream runs simulator and worker until everything sent is stored.
func (s *session) stream(ctx context.Context) error {
	if !s.has(stepTest) && !s.has(stepProcess) {
		return nil
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	var stages lifecycle
	defer func() { _ = stages.stop() }() // after a failure, which counts more
	if err := s.startStages(ctx, fail, &stages); err != nil {
		return err
	}
	if err := s.simulate(ctx); err != nil {
		return firstCause(ctx, err)
	}
	if s.processing != nil {
		s.gather.enter(metrics.Draining)
		if err := s.processing.drained(ctx); err != nil {
			return firstCause(ctx, err)
		}
	}
	s.sampler.Take(ctx)
	if err := stages.stop(); err != nil {
		return err
	}
	return ctx.Err()
}

// startStages starts everything but the simulator, which sets the pace.
func (s *session) startStages(ctx context.Context, fail func(error), stages *lifecycle) (err error) {
	if s.sim != nil {
		s.gather.simulator = s.sim
		s.gather.target, s.gather.rate = s.sim.Target(), simConfig(&s.q).Rate
	}
	if log, ok := s.services.log.(connector.Throttled); ok {
		s.gather.throttled = log.Throttled
	}
	s.display.Begin(s.header())
	if s.has(stepProcess) {
		if s.processing, err = newProcessing(&s.q, s.dir, s.services); err != nil {
			return err
		}
		s.gather.processing = s.processing
		stages.started("the worker", background(ctx, fail, s.processing.run))
	}
	s.sampler = metrics.NewSampler(time.Second, s.gather.sample, s.display.Update)
	stages.started("the sampler", background(ctx, fail, func(ctx context.Context) error { s.sampler.Run(ctx); return nil }))
	if s.q.MetricsAddr != "" {
		srv, err := metrics.Serve(s.q.MetricsAddr, s.q.Solution.Name, s.dir.manifest.Run, s.sampler.Last)
		if err != nil {
			return err
		}
		fmt.Fprintf(s.display, "metrics at http://%s/metrics\n", srv.Addr())
		stages.started("the metrics endpoint", srv.Close)
	}
	if s.processing != nil && len(s.steps) > 1 {
		s.processing.ready(ctx, s.services.partitions)
	}
	s.gather.started = time.Now()
	s.gather.enter(metrics.Streaming)
	s.sampler.Take(ctx)
	return nil
}

func (s *session) simulate(ctx context.Context) error {
	if s.sim == nil {
		return nil
	}
	sum, err := s.sim.Run(ctx, func(ctx context.Context, acked func(*connector.Message, error)) (connector.Producer, error) {
		return s.services.log.Producer(ctx, acked)
	})
	if err != nil {
		return fmt.Errorf("simulating devices: %w", err)
	}
	if sum.Interrupted {
		return context.Cause(ctx)
	}
	return nil
}

// firstCause prefers the stage's failure that ended ctx over its echoes.
func firstCause(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		return cause
	}
	return err
}

func (s *session) header() progress.Header {
	h := progress.Header{Solution: s.q.Solution.Name, Run: s.dir.manifest.Run, Ingest: s.services.ingest,
		Process: s.q.Solution.ProcessKind, Serve: s.services.store.Describe(),
		Simulates: s.has(stepTest), Runs: s.has(stepProcess), Judges: s.has(stepVerify)}
	if cfg := simConfig(&s.q); s.sim != nil && cfg.Rate > 0 {
		h.Duration = time.Duration(float64(s.sim.Target()) / cfg.Rate * float64(time.Second))
	}
	return h
}

// report gives the verdict, if asked for, and puts the run's figures
// together.
func (s *session) report(ctx context.Context) (*report.Report, error) {
	wall := time.Since(s.gather.started)
	measured := verify.Measured{Wall: wall, CPUSeconds: metrics.CPUSeconds() - s.cpu0}
	r := report.Run{Solution: s.q.Solution.Name, Title: s.q.Solution.Title, ID: s.dir.manifest.Run,
		Scale: s.q.Solution.Scale, Engine: engineName(&s.q),
		Ingest: s.services.ingest, Serve: s.services.store.Describe(), Layout: s.services.store.Traits().Layout,
		Partitions: s.services.partitions, Started: s.gather.started, Wall: wall, Machine: report.ThisMachine()}
	if c, ok := s.q.Solution.Ingest.(connector.RateLimited); ok {
		r.Limits = reportLimits("ingest", c.RateLimits())
	}
	if c, ok := s.q.Solution.Serve.(connector.RateLimited); ok {
		r.StoreLimits = reportLimits("serve", c.RateLimits())
	}
	if s.sim != nil {
		r.Seed, r.Rate = s.sim.Seed(), s.gather.rate
	}
	var config strings.Builder
	if err := s.q.Solution.PrintConfig(&config); err != nil {
		return nil, fmt.Errorf("printing the configuration: %w", err)
	}
	r.Configuration = config.String()
	if s.gather.throttled != nil {
		measured.Throttled = s.gather.throttled()
	}
	if s.processing != nil {
		s.processing.measured(&measured)
	}
	if s.sampler != nil {
		r.Samples = s.sampler.History()
	}
	var v *verify.Verdict
	if s.has(stepVerify) {
		var err error
		if v, err = s.verify(ctx); err != nil {
			return nil, err
		}
	}
	measured.PeakRSSBytes = metrics.PeakRSSBytes()
	r.Measured = measured
	if v != nil {
		if err := v.Judge(verifyConfig(&s.q).Thresholds, measured); err != nil {
			return nil, err
		}
	}
	return report.New(r, v), nil
}
