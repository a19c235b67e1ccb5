package report

import "math"

// definition says how a figure is had of a report. Labels have at most 15
// characters, so that four runs fit side by side.
type definition struct {
	name, group, label string
	unit               Unit
	better             Better
	// silent figures are left out if they are 0 in all runs, too.
	silent bool
	// value is NaN where the report does not know it.
	value func(r *Report) float64
}

// The groups of figures.
const (
	groupRate       = "rate held"
	groupLatency    = "latency"
	groupResources  = "resources"
	groupCharge     = "request units"
	groupDuplicates = "duplicates taken out"
	groupFlaws      = "events and rows gone wrong"
)

// stageLatency is a stage whose latency is compared.
type stageLatency struct {
	name, label string
	// of returns its percentiles; nil if the report has none.
	of func(r *Report) *Percentiles
}

// stageLatencies are the stages whose latency is compared, the sum last.
var stageLatencies = []stageLatency{
	{"ingest", "ingest", func(r *Report) *Percentiles { return measured(r, &r.LatencyMs.Ingest, true) }},
	{"process", "process", func(r *Report) *Percentiles { return measured(r, &r.LatencyMs.Process, true) }},
	{"serve", "serve", func(r *Report) *Percentiles { return measured(r, &r.LatencyMs.Serve, true) }},
	{"endToEnd", "end to end", func(r *Report) *Percentiles { return measured(r, &r.LatencyMs.EndToEnd, false) }},
}

// measured returns p if it was measured: an archive knows nothing of stages,
// and only verify knows latencies.
func measured(r *Report, p *Percentiles, ofStage bool) *Percentiles {
	if !r.Verified || p.Max <= 0 || ofStage && r.Raw != nil {
		return nil
	}
	return p
}

// comparedFigures are all figures of a comparison, in their order.
var comparedFigures = defineFigures()

func defineFigures() []definition {
	list := []definition{
		{"rate.offered", groupRate, "offered", UnitRate, Neither, false, positive(func(r *Report) float64 { return r.Throughput.RatePerSecond })},
		{"rate.sent", groupRate, "sent", UnitRate, More, false, positive(func(r *Report) float64 { return r.Throughput.SentPerSecond })},
		{"rate.stored", groupRate, "stored", UnitRate, More, false, positive(func(r *Report) float64 { return r.Throughput.StoredPerSecond })},
		{"rate.slowest", groupRate, "slowest", UnitRate, More, false, ofVerified(func(r *Report) float64 { return r.Throughput.MinPerSecond })},
		{"rate.held", groupRate, "stored/offered", UnitPercent, More, false, positive(func(r *Report) float64 {
			return 100 * r.Throughput.StoredPerSecond / r.Throughput.RatePerSecond
		})},
	}
	for _, s := range stageLatencies {
		for _, p := range []struct {
			name string
			of   func(p *Percentiles) float64
		}{
			{"p50", func(p *Percentiles) float64 { return p.P50 }},
			{"p95", func(p *Percentiles) float64 { return p.P95 }},
			{"p99", func(p *Percentiles) float64 { return p.P99 }},
			{"max", func(p *Percentiles) float64 { return p.Max }},
		} {
			list = append(list, definition{"latency." + s.name + "." + p.name, groupLatency, s.label + " " + p.name, UnitMillis, Less, false,
				func(r *Report) float64 {
					if of := s.of(r); of != nil {
						return p.of(of)
					}
					return math.NaN()
				}})
		}
	}
	return append(list, costs()...)
}

// costs are the figures of what a run took and of what became of the events.
func costs() []definition {
	list := []definition{
		{"resources.cpuPerMillion", groupResources, "CPU s/M events", UnitSeconds, Less, false, positive(func(r *Report) float64 { return r.Resources.CPUSecondsPerMillionEvents })},
		{"resources.peakMemory", groupResources, "peak memory", UnitBytes, Less, false, positive(func(r *Report) float64 { return float64(r.Resources.PeakRSSBytes) })},
		{"bytes.log", groupResources, "into the log", UnitBytes, Neither, false, bytesOf(func(x *Interval) int64 { return x.BytesIn })},
		{"bytes.store", groupResources, "into the store", UnitBytes, Less, false, bytesOf(func(x *Interval) int64 { return x.BytesOut })},
		{"requests.throttled", groupResources, "throttled", UnitCount, Less, false, func(r *Report) float64 { return float64(r.Resources.Throttled) }},
		{"requests.throttledByStore", groupResources, " by the store", UnitCount, Less, true, func(r *Report) float64 { return float64(r.Resources.ThrottledByStore) }},
		{"requests.retries", groupResources, "retries", UnitCount, Less, true, func(r *Report) float64 { return float64(r.Resources.Retries) }},

		{"charge.total", groupCharge, "in total", UnitCharge, Less, false, positive(func(r *Report) float64 { return r.Resources.RequestUnits })},
		{"charge.perEvent", groupCharge, "for each event", UnitCharge, Less, false, positive(func(r *Report) float64 { return r.Resources.RequestUnitsPerEvent })},
		{"charge.needed", groupCharge, "the rate takes", UnitPerSecRU, Less, false, positive(func(r *Report) float64 { return r.Resources.RequestUnitsPerSecond })},
		{"charge.configured", groupCharge, "configured", UnitPerSecRU, Neither, false, positive(func(r *Report) float64 {
			if r.StoreLimits == nil || r.Resources.RequestUnits <= 0 {
				return 0
			}
			return float64(r.StoreLimits.Units)
		})},

		{"duplicates.sent", groupDuplicates, "sent on purpose", UnitCount, Neither, false, func(r *Report) float64 { return float64(r.Events.InjectedDuplicates) }},
		{"duplicates.process", groupDuplicates, "by process", UnitCount, Neither, false, handledBy(func(h *Handled) int64 { return h.Process })},
		{"duplicates.store", groupDuplicates, "by the store", UnitCount, Neither, false, handledBy(func(h *Handled) int64 { return h.Store })},
		{"duplicates.view", groupDuplicates, "by the view", UnitCount, Neither, true, handledBy(func(h *Handled) int64 { return h.View })},
	}
	for _, x := range []struct {
		name, label string
		of          func(e *Events) int64
	}{
		{"lost", "lost", func(e *Events) int64 { return e.Missing }},
		{"rowsTooMany", "rows too many", func(e *Events) int64 { return e.Duplicates }},
		{"unexpected", "nobody sent", func(e *Events) int64 { return e.Unexpected }},
		{"corrupted", "altered", func(e *Events) int64 { return e.Corrupted }},
		{"outOfSequence", "out of order", func(e *Events) int64 { return e.OutOfSequence }},
		{"untimed", "without times", func(e *Events) int64 { return e.Untimed }},
		{"unsent", "not sent", func(e *Events) int64 { return e.Unsent }},
	} {
		list = append(list, definition{"flaws." + x.name, groupFlaws, x.label, UnitCount, Less, x.name != "lost" && x.name != "rowsTooMany",
			ofVerified(func(r *Report) float64 { return float64(x.of(&r.Events)) })})
	}
	return list
}

// positive is for figures that are not known if they are 0.
func positive(of func(r *Report) float64) func(r *Report) float64 {
	return func(r *Report) float64 {
		if v := of(r); v > 0 {
			return v
		}
		return math.NaN()
	}
}

// ofVerified is for figures that only verify knows.
func ofVerified(of func(r *Report) float64) func(r *Report) float64 {
	return func(r *Report) float64 {
		if !r.Verified {
			return math.NaN()
		}
		return of(r)
	}
}

// bytesOf adds up what the intervals know.
func bytesOf(of func(x *Interval) int64) func(r *Report) float64 {
	return positive(func(r *Report) float64 {
		sum := 0.0
		for i := range r.Throughput.PerInterval {
			n := of(&r.Throughput.PerInterval[i])
			if n < 0 {
				return math.NaN()
			}
			sum += float64(n)
		}
		return sum
	})
}

func handledBy(of func(h *Handled) int64) func(r *Report) float64 {
	return func(r *Report) float64 {
		if r.DuplicatesHandled == nil {
			return math.NaN()
		}
		return float64(of(r.DuplicatesHandled))
	}
}
