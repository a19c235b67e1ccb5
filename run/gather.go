package run

import (
	"context"
	"sync/atomic"
	"time"

	"millrace/internal/metrics"
	"millrace/simulate"
)

// gatherer reads the counters of whatever stages run in this process.
type gatherer struct {
	started    time.Time
	target     int64
	rate       float64
	simulator  *simulate.Simulator // nil: none here
	processing processing          // nil: none here
	throttled  func() int64        // of the log; nil: it does not count
	phase      atomic.Value        // metrics.Phase
	verified   atomic.Int64
}

func newGatherer() *gatherer {
	g := &gatherer{started: time.Now()}
	g.phase.Store(metrics.Preparing)
	return g
}

func (g *gatherer) enter(p metrics.Phase) { g.phase.Store(p) }

// sample reads all counters.
func (g *gatherer) sample(ctx context.Context) metrics.Sample {
	now := time.Now()
	s := metrics.Sample{At: now, Elapsed: now.Sub(g.started), Phase: g.phase.Load().(metrics.Phase),
		Target: g.target, Rate: g.rate, Verified: g.verified.Load(), Backlog: -1,
		CPUSeconds: metrics.CPUSeconds(), RSSBytes: metrics.RSSBytes()}
	if g.simulator != nil {
		c := g.simulator.Stats()
		s.Offered, s.Unique, s.Sent, s.Acked, s.SentBytes = c.Offered, c.Unique, c.Sent, c.Acked, c.Bytes
		s.InjectedDuplicates, s.Malformed, s.Lag, s.SendErrors = c.Duplicates, c.Malformed, c.Behind, c.Errors
	}
	if g.throttled != nil {
		s.Throttled = g.throttled()
	}
	if g.processing != nil {
		g.processing.sample(ctx, &s)
	}
	return s
}
