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
	started   time.Time
	target    int64
	rate      float64
	simulator *simulate.Simulator // nil: none here
	worker    *worker             // nil: none here
	phase     atomic.Value        // metrics.Phase
	verified  atomic.Int64
}

func newGatherer() *gatherer {
	g := &gatherer{started: time.Now()}
	g.phase.Store(metrics.Preparing)
	return g
}

func (g *gatherer) enter(p metrics.Phase) { g.phase.Store(p) }

// sample reads all counters. The backlog asks the log, so it is left unknown
// when the log does not answer in time.
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
	if w := g.worker; w != nil {
		p, v := w.processed.Counts(), w.served.Counts()
		s.Processed, s.ProcessedBytes, s.Duplicates, s.DeadLettered = p.Inputs, p.InputBytes, p.Duplicates, p.Dead
		s.Replayed = p.Replayed
		s.Sessions, s.Fenced = w.reader.Counts()
		s.Stored, s.StoreDuplicates, s.StoredBytes, s.Writes = v.Stored, v.Duplicates, v.Bytes, v.Writes
		s.Retries, s.Throttled, s.Charge, s.Outage = v.Retries, v.Throttled, v.Charge, v.Outage
		if s.Phase != metrics.Verifying {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			if behind, total, err := w.behind(ctx); err == nil {
				s.Backlog, s.LogEntries = behind, total
			}
		}
	}
	return s
}
