package verify

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"millrace/connector"
)

// unit is what a figure is measured in.
type unit int

const (
	number unit = iota
	perSecond
	duration // microseconds
	size     // bytes
)

func (u unit) String() string {
	switch u {
	case perSecond:
		return "a rate such as 9900/s"
	case duration:
		return "a duration such as 250ms or 1s"
	case size:
		return "a size such as 700MB"
	}
	return "a number"
}

// format writes a value of the unit for people.
func (u unit) format(v float64) string {
	switch u {
	case perSecond:
		return strconv.FormatFloat(v, 'f', decimals(v), 64) + "/s"
	case duration:
		return shortDuration(time.Duration(v * float64(time.Microsecond)))
	case size:
		return shortSize(v)
	}
	return strconv.FormatFloat(v, 'f', decimals(v), 64)
}

// decimals keeps about four digits of a figure, and all of a whole one.
func decimals(v float64) int {
	switch {
	case v == float64(int64(v)) || v >= 1000 || v <= -1000:
		return 0
	case v >= 10 || v <= -10:
		return 1
	}
	return 3
}

// shortDuration keeps three or four digits.
func shortDuration(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return d.Round(100 * time.Millisecond).String()
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

func shortSize(v float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if v >= u.size {
			v /= u.size
			return strconv.FormatFloat(v, 'f', decimals(v), 64) + u.name
		}
	}
	return connector.Bytes(v).String() + "B"
}

// Measured is what a run knows that ledger and store do not.
type Measured struct {
	// Wall is how long the run took.
	Wall time.Duration
	// PeakRSSBytes is the most memory its process ever held.
	PeakRSSBytes int64
	CPUSeconds   float64
	// Throttled counts the requests that services refused for their rate,
	// Retries the writes that were tried again.
	Throttled, Retries int64
	// Commit is how long after their storedAt rows were committed; Count 0
	// if not measured.
	Commit Percentiles
	// Watermark is how far the engine's watermarks were behind the clock;
	// Count 0 if it has none.
	Watermark Percentiles
	// StateBytes is the most memory that the engine's state took, roughly.
	StateBytes int64
}

// metric is a figure that thresholds may name.
type metric struct {
	name string
	unit unit
	doc  string
	// value reports false if the figure was not measured.
	value func(v *Verdict, m *Measured) (float64, bool)
}

// ofEngine tells figures that only the process knows in which the engine runs.
func (m *metric) ofEngine() bool {
	return strings.HasPrefix(m.name, "latency.watermark.") || strings.HasPrefix(m.name, "state.")
}

func count(name, doc string, f func(v *Verdict) int64) metric {
	return metric{name, number, doc, func(v *Verdict, _ *Measured) (float64, bool) { return float64(f(v)), true }}
}

// raw is a figure of the raw archive, which not every run has.
func raw(name, doc string, f func(r *Raw) int64) metric {
	return metric{"raw." + name, number, doc, func(v *Verdict, _ *Measured) (float64, bool) {
		if v.Raw == nil {
			return 0, false
		}
		return float64(f(v.Raw)), true
	}}
}

func percentiles(stage, doc string, f func(v *Verdict, m *Measured) Percentiles) []metric {
	part := func(name, of string, g func(Percentiles) time.Duration) metric {
		return metric{"latency." + stage + "." + name, duration, of + " of " + doc,
			func(v *Verdict, m *Measured) (float64, bool) {
				p := f(v, m)
				return float64(g(p).Microseconds()), p.Count > 0
			}}
	}
	return []metric{
		part("mean", "mean", func(p Percentiles) time.Duration { return p.Mean }),
		part("p50", "median", func(p Percentiles) time.Duration { return p.P50 }),
		part("p95", "95th percentile", func(p Percentiles) time.Duration { return p.P95 }),
		part("p99", "99th percentile", func(p Percentiles) time.Duration { return p.P99 }),
		part("p999", "99.9th percentile", func(p Percentiles) time.Duration { return p.P999 }),
		part("max", "longest", func(p Percentiles) time.Duration { return p.Max }),
	}
}

// rateMetric is the offered rate; a check that uses it holds for paced runs.
const rateMetric = "rate"

// metrics are all figures that thresholds may name.
var metrics = func() []metric {
	all := []metric{
		count("offered", "events that the schedule asked for", func(v *Verdict) int64 { return v.Events.Offered }),
		count("unsent", "events that were due and not handed to the log", func(v *Verdict) int64 { return v.Events.Unsent }),
		count("sent", "acknowledged sends, resends and malformed inputs included", func(v *Verdict) int64 { return v.Events.Sent }),
		count("unique", "distinct events acknowledged", func(v *Verdict) int64 { return v.Events.Unique }),
		count("inDoubt", "distinct events sent and never acknowledged", func(v *Verdict) int64 { return v.Events.InDoubt }),
		count("injectedDuplicates", "acknowledged resends", func(v *Verdict) int64 { return v.Events.InjectedDuplicates }),
		count("malformed", "malformed inputs that reached the log", func(v *Verdict) int64 { return v.Events.Malformed }),
		count("stored", "rows read back from the store", func(v *Verdict) int64 { return v.Events.Stored }),
		count("missing", "acknowledged events that are nowhere", func(v *Verdict) int64 { return v.Events.Missing }),
		count("duplicates", "rows beyond the first of an event", func(v *Verdict) int64 { return v.Events.Duplicates }),
		count("unexpected", "rows that nobody sent", func(v *Verdict) int64 { return v.Events.Unexpected }),
		count("corrupted", "rows that are not what was sent", func(v *Verdict) int64 { return v.Events.Corrupted }),
		count("outOfSequence", "events stored before an earlier one of their device", func(v *Verdict) int64 { return v.Events.OutOfSequence }),
		count("untimed", "rows without plausible times", func(v *Verdict) int64 { return v.Events.Untimed }),
		count("deadLettered", "distinct dead letters", func(v *Verdict) int64 { return v.Events.DeadLettered }),
		count("droppedByPolicy", "events dropped by a stated rule", func(v *Verdict) int64 { return v.Events.DroppedByPolicy }),
		count("deadLetters.missing", "malformed inputs not in the dead letters", func(v *Verdict) int64 { return v.DeadLetters.Missing }),
		count("deadLetters.wellFormed", "well-formed events in the dead letters", func(v *Verdict) int64 { return v.DeadLetters.WellFormed }),
		count("deadLetters.wrongReason", "dead letters with another reason than theirs", func(v *Verdict) int64 { return v.DeadLetters.WrongReason }),
		count("deadLetters.unknown", "dead letters that nobody sent", func(v *Verdict) int64 { return v.DeadLetters.Unknown }),
		count("deadLetters.repeated", "dead letters beyond those sent", func(v *Verdict) int64 { return v.DeadLetters.Repeated }),
		raw("rows", "records in the raw archive", func(r *Raw) int64 { return r.Rows }),
		raw("missing", "acknowledged sends that are not in the raw archive", func(r *Raw) int64 { return r.Missing }),
		raw("surplus", "records in the raw archive that no send explains", func(r *Raw) int64 { return r.Surplus }),
		raw("altered", "records in the raw archive that are not what was sent", func(r *Raw) int64 { return r.Altered }),
		raw("unknown", "records in the raw archive that nobody sent", func(r *Raw) int64 { return r.Unknown }),
		raw("inDoubt", "records in the raw archive whose send was never acknowledged", func(r *Raw) int64 { return r.InDoubt }),
		raw("retried", "further copies in the raw archive that tries after an unknown outcome explain", func(r *Raw) int64 { return r.Retried }),
		raw("malformed", "malformed inputs in the raw archive", func(r *Raw) int64 { return r.Malformed }),
		raw("gaps", "places in the raw archive where sequence numbers are left out", func(r *Raw) int64 { return r.Gaps }),
		raw("overlaps", "places in the raw archive where sequence numbers come again", func(r *Raw) int64 { return r.Overlaps }),
		count("imbalances", "sums that do not add up", func(v *Verdict) int64 { return int64(len(v.Imbalances)) }),
		{"throughput.sent", perSecond, "events sent per second, over the whole run", func(v *Verdict, _ *Measured) (float64, bool) {
			return v.Throughput.SentPerSecond, v.Throughput.SentPerSecond > 0
		}},
		{"throughput.stored", perSecond, "events stored per second, over the whole run after the warm-up", func(v *Verdict, _ *Measured) (float64, bool) {
			return v.Throughput.StoredPerSecond, v.Throughput.StoredPerSecond > 0
		}},
		{"throughput.min", perSecond, "the same in the slowest whole interval", func(v *Verdict, _ *Measured) (float64, bool) {
			return v.Throughput.MinPerSecond, v.Throughput.StoredPerSecond > 0
		}},
		{rateMetric, perSecond, "the rate that the schedule asked for", func(v *Verdict, _ *Measured) (float64, bool) {
			return v.Throughput.Rate, v.Throughput.Rate > 0
		}},
		{"memory.peak", size, "most memory held by the process", func(_ *Verdict, m *Measured) (float64, bool) {
			return float64(m.PeakRSSBytes), m.PeakRSSBytes > 0
		}},
		{"state.peak", size, "most memory that the engine's state took", func(_ *Verdict, m *Measured) (float64, bool) {
			return float64(m.StateBytes), m.StateBytes > 0
		}},
		{"cpu.seconds", number, "processor time used", func(_ *Verdict, m *Measured) (float64, bool) {
			return m.CPUSeconds, m.CPUSeconds > 0
		}},
		{"cpu.secondsPerMillionEvents", number, "processor time per million rows stored", func(v *Verdict, m *Measured) (float64, bool) {
			if v.Events.Stored == 0 {
				return 0, false
			}
			return m.CPUSeconds * 1e6 / float64(v.Events.Stored), m.CPUSeconds > 0
		}},
		{"wall", duration, "how long the run took", func(_ *Verdict, m *Measured) (float64, bool) {
			return float64(m.Wall.Microseconds()), m.Wall > 0
		}},
		{"throttled", number, "requests refused for their rate", func(_ *Verdict, m *Measured) (float64, bool) { return float64(m.Throttled), true }},
		{"retries", number, "writes tried again", func(_ *Verdict, m *Measured) (float64, bool) { return float64(m.Retries), true }},
	}
	all = append(all, percentiles("endToEnd", "storedAt - createdAt", func(v *Verdict, _ *Measured) Percentiles { return v.Latency.EndToEnd })...)
	all = append(all, percentiles("ingest", "enqueuedAt - createdAt", func(v *Verdict, _ *Measured) Percentiles { return v.Latency.Ingest })...)
	all = append(all, percentiles("process", "processedAt - enqueuedAt", func(v *Verdict, _ *Measured) Percentiles { return v.Latency.Process })...)
	all = append(all, percentiles("serve", "storedAt - processedAt", func(v *Verdict, _ *Measured) Percentiles { return v.Latency.Serve })...)
	all = append(all, percentiles("watermark", "how far behind the clock the engine's watermarks were", func(_ *Verdict, m *Measured) Percentiles { return m.Watermark })...)
	return append(all, percentiles("commit", "time from storedAt until the commit was answered", func(_ *Verdict, m *Measured) Percentiles { return m.Commit })...)
}()

// MetricNames lists the figures that thresholds may name, each with one
// sentence and its unit, for documentation.
func MetricNames() [][2]string {
	out := make([][2]string, 0, len(metrics))
	for _, m := range metrics {
		out = append(out, [2]string{m.name, fmt.Sprintf("%s (%s)", m.doc, m.unit)})
	}
	return out
}

func findMetric(name string) *metric {
	for i := range metrics {
		if metrics[i].name == name {
			return &metrics[i]
		}
	}
	return nil
}
