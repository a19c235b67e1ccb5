package report

import (
	"slices"
	"time"

	"millrace/internal/metrics"
	"millrace/verify"
)

// Run is what is known of a run besides the verdict.
type Run struct {
	Solution, Title, ID   string
	Seed                  uint64
	Scale                 int
	Engine, Ingest, Serve string
	Layout                string
	Partitions            int
	Started               time.Time
	Wall                  time.Duration
	Machine               Machine
	Limits, StoreLimits   *Limits
	// Configuration is the printed configuration, secrets already as ***.
	Configuration string
	// Samples are readings of the stages' counters, oldest first.
	Samples  []metrics.Sample
	Measured verify.Measured
	// Rate is the offered rate in events per second, 0 if unpaced. It is for
	// runs without a verdict, which has the rate from the ledger.
	Rate float64
	// Failure is why the run failed, if it did; a run that failed does not
	// pass, whatever the verdict on what it did says.
	Failure error
}

// New makes the report of a run. v is nil if ledger and store were not
// compared; it must have been judged (verify.Verdict.Judge) otherwise.
func New(run Run, v *verify.Verdict) *Report {
	r := &Report{
		Schema: Schema, Solution: run.Solution, Title: run.Title, Run: run.ID, Seed: run.Seed, Scale: run.Scale,
		Engine: Mask(run.Engine), Ingest: Mask(run.Ingest), Serve: Mask(run.Serve), Layout: run.Layout,
		Partitions: run.Partitions, Started: run.Started.UTC(), WallSeconds: run.Wall.Seconds(),
		Machine: run.Machine, Limits: run.Limits, StoreLimits: run.StoreLimits, Configuration: Mask(run.Configuration),
		Thresholds: []Threshold{}, Verified: v != nil,
	}
	r.Throughput.PerInterval = []Interval{}
	if run.Failure != nil {
		r.Failure = Mask(run.Failure.Error())
	}
	if v != nil {
		r.judged(v)
	} else {
		r.counted(run)
	}
	r.resources(run)
	r.Hints = hints(r, run.Samples)
	r.Throughput.PerInterval = intervals(run.Samples, v)
	if v == nil && len(run.Samples) > 1 {
		r.Throughput.IntervalSeconds = width(run.Samples).Seconds()
	}
	r.Pass = r.Failure == "" && v != nil && v.Pass
	r.Reason = reason(r)
	return r
}

// judged fills in what the verdict says.
func (r *Report) judged(v *verify.Verdict) {
	e := &v.Events
	r.Events = Events{
		Offered: e.Offered, Unsent: e.Unsent, Sent: e.Sent, Unique: e.Unique, InDoubt: e.InDoubt,
		InDoubtServed: e.InDoubtServed, Retried: e.Retried, InjectedDuplicates: e.InjectedDuplicates,
		Malformed: e.Malformed, LateSent: e.LateSent, Stored: e.Stored, Missing: e.Missing,
		Duplicates: e.Duplicates, Unexpected: e.Unexpected, Corrupted: e.Corrupted,
		OutOfSequence: e.OutOfSequence, Untimed: e.Untimed, DeadLettered: e.DeadLettered,
		DroppedByPolicy: e.DroppedByPolicy,
	}
	r.Fates = Fates(v.Fates)
	r.DeadLetters = DeadLetters(v.DeadLetters)
	if v.Raw != nil {
		raw := Raw(*v.Raw)
		r.Raw = &raw
	}
	t := &v.Throughput
	r.Throughput = Throughput{
		RatePerSecond: t.Rate, SentPerSecond: t.SentPerSecond, StoredPerSecond: t.StoredPerSecond,
		MinPerSecond: t.MinPerSecond, WarmupSeconds: t.Warmup.Seconds(), IntervalSeconds: t.Interval.Seconds(),
	}
	l := &v.Latency
	r.LatencyMs = Latency{
		EndToEnd: milliseconds(l.EndToEnd), Ingest: milliseconds(l.Ingest), Process: milliseconds(l.Process),
		Serve: milliseconds(l.Serve), Backwards: l.Backwards,
	}
	r.Imbalances, r.Notes = v.Imbalances, v.Notes
	for _, x := range v.Examples {
		r.Examples = append(r.Examples, Example(x))
	}
	for _, x := range v.Thresholds {
		r.Thresholds = append(r.Thresholds, Threshold(x))
	}
}

// counted fills in what the stages counted themselves.
func (r *Report) counted(run Run) {
	r.Throughput.RatePerSecond = run.Rate
	if len(run.Samples) == 0 {
		return
	}
	s := run.Samples[len(run.Samples)-1]
	r.Events = Events{
		Offered: s.Offered, Sent: s.Acked, Unsent: max(0, s.Offered-s.Acked), Unique: s.Unique,
		InjectedDuplicates: s.InjectedDuplicates, Malformed: s.Malformed, Stored: s.Stored, DeadLettered: s.DeadLettered,
	}
	if took := s.At.Sub(run.Samples[0].At).Seconds(); took > 0 {
		r.Throughput.SentPerSecond = float64(s.Acked-run.Samples[0].Acked) / took
		r.Throughput.StoredPerSecond = float64(s.Stored-run.Samples[0].Stored) / took
	}
}

func (r *Report) resources(run Run) {
	m := &run.Measured
	r.Resources = Resources{
		CPUSeconds: m.CPUSeconds, PeakRSSBytes: m.PeakRSSBytes, StateBytes: m.StateBytes, Retries: m.Retries, Throttled: m.Throttled,
	}
	if r.Events.Stored > 0 {
		r.Resources.CPUSecondsPerMillionEvents = m.CPUSeconds * 1e6 / float64(r.Events.Stored)
	}
	if m.Commit.Count > 0 {
		p := milliseconds(m.Commit)
		r.LatencyMs.Commit = &p
	}
	if m.Watermark.Count > 0 {
		p := milliseconds(m.Watermark)
		r.LatencyMs.Watermark = &p
	}
	if n := len(run.Samples); n > 0 {
		r.served(&run.Samples[n-1])
	}
}

// served fills in what the last sample says of the work between log and store.
func (r *Report) served(last *metrics.Sample) {
	p := &r.Resources
	p.ThrottledByStore, p.RequestUnits = last.StoreThrottled, last.Charge
	if last.Charge > 0 && last.Stored > 0 {
		p.RequestUnitsPerEvent = last.Charge / float64(last.Stored)
		p.RequestUnitsPerSecond = p.RequestUnitsPerEvent * r.Throughput.RatePerSecond
	}
	if last.Processed == 0 && r.Raw == nil {
		return
	}
	h := Handled{Process: last.Duplicates, Store: last.StoreDuplicates}
	if r.Raw != nil {
		h.View = max(0, r.Raw.Rows-r.Raw.Malformed-r.Events.Stored)
	}
	r.DuplicatesHandled = &h
}

func milliseconds(p verify.Percentiles) Percentiles {
	return Percentiles{Mean: ms(p.Mean), P50: ms(p.P50), P95: ms(p.P95), P99: ms(p.P99), P999: ms(p.P999), Max: ms(p.Max)}
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// intervals puts the stages' counters into the verdict's intervals, or into
// intervals of their own if there is no verdict.
func intervals(samples []metrics.Sample, v *verify.Verdict) []Interval {
	out := []Interval{}
	var step time.Duration
	var end time.Time
	if v != nil && len(v.Throughput.Intervals) > 0 {
		step, end = v.Throughput.Interval, time.UnixMicro(v.Throughput.LastStored)
		for _, x := range v.Throughput.Intervals {
			out = append(out, Interval{
				At: time.UnixMicro(x.At).UTC(), In: x.In, Out: x.Out, Backlog: -1, Warm: x.Warm,
				P50Ms: ms(x.P50), P99Ms: ms(x.P99),
			})
		}
	} else if len(samples) > 1 {
		step, end = width(samples), samples[len(samples)-1].At
		for at := samples[0].At; at.Before(samples[len(samples)-1].At); at = at.Add(step) {
			out = append(out, Interval{At: at.UTC(), Backlog: -1, Warm: true})
		}
	}
	for i := range out {
		out[i].Seconds = max(0, min(step, end.Sub(out[i].At))).Seconds()
	}
	if len(samples) < 2 {
		return out
	}
	last := samples[len(samples)-1]
	simulated := last.Acked > 0
	for i := range out {
		x := &out[i]
		from, to := at(samples, x.At), at(samples, x.At.Add(step))
		if i == 0 {
			from = metrics.Sample{} // what was counted before the first event was noted
		}
		if i == len(out)-1 {
			to = last // what was counted after the last row was stored
		}
		if simulated || v == nil {
			x.In = to.Acked - from.Acked
		}
		if v == nil {
			x.Out = to.Stored - from.Stored
		}
		x.Processed = to.Processed - from.Processed
		x.Throttled = to.Throttled - from.Throttled
		x.BytesIn, x.BytesOut = to.AckedBytes()-from.AckedBytes(), to.StoredBytes-from.StoredBytes
		if last.StoredBytes == 0 && last.Stored > 0 {
			x.BytesOut = -1 // a store that others fill
		}
		x.Backlog, x.Waiting = to.Backlog, to.Waiting()
	}
	return out
}

// width is the length of intervals for a run that was not verified.
func width(samples []metrics.Sample) time.Duration {
	run := samples[len(samples)-1].At.Sub(samples[0].At)
	step := time.Second
	for _, longer := range []time.Duration{5 * time.Second, 10 * time.Second, time.Minute, 10 * time.Minute, time.Hour} {
		if run/step > 30 {
			step = longer
		}
	}
	return step
}

// at reads the counters at a moment, between two samples in proportion.
func at(samples []metrics.Sample, t time.Time) metrics.Sample {
	i, exact := slices.BinarySearchFunc(samples, t, func(s metrics.Sample, t time.Time) int { return s.At.Compare(t) })
	switch {
	case exact || i == 0:
		return samples[i]
	case i == len(samples):
		return samples[i-1]
	}
	a, b := &samples[i-1], &samples[i]
	share := float64(t.Sub(a.At)) / float64(b.At.Sub(a.At))
	between := func(x, y int64) int64 { return x + int64(share*float64(y-x)+0.5) }
	s := *a
	s.At = t
	s.Acked, s.SentBytes = between(a.Acked, b.Acked), between(a.SentBytes, b.SentBytes)
	s.Offered, s.Sent, s.Unique = between(a.Offered, b.Offered), between(a.Sent, b.Sent), between(a.Unique, b.Unique)
	s.Processed, s.Throttled = between(a.Processed, b.Processed), between(a.Throttled, b.Throttled)
	s.Stored, s.StoredBytes = between(a.Stored, b.Stored), between(a.StoredBytes, b.StoredBytes)
	if a.Backlog >= 0 && b.Backlog >= 0 {
		s.Backlog = between(a.Backlog, b.Backlog)
	}
	return s
}
