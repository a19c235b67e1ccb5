package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// number writes a count with separators: 1,000,000.
func number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		sign, s = "-", s[1:]
	}
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return sign + s
}

// perSecond writes a rate.
func perSecond(v float64) string { return number(int64(math.Round(v))) + "/s" }

// millis writes milliseconds with about three digits, and seconds from 10 s.
func millis(v float64) string {
	switch {
	case v >= 9999.5:
		return number(int64(math.Round(v/1000))) + " s"
	case v >= 99.95:
		return number(int64(math.Round(v))) + " ms"
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64) + " ms"
	}
	return strconv.FormatFloat(v, 'f', 2, 64) + " ms"
}

// size writes a size in binary units, as memory limits are.
func size(v float64) string {
	for _, u := range []struct {
		name string
		size float64
	}{{"GB", 1 << 30}, {"MB", 1 << 20}, {"KB", 1 << 10}} {
		if v >= u.size {
			digits := 0
			if v < 100*u.size {
				digits = 1
			}
			return strconv.FormatFloat(v/u.size, 'f', digits, 64) + " " + u.name
		}
	}
	return number(int64(v)) + " B"
}

func seconds(v float64) string {
	d := time.Duration(v * float64(time.Second))
	switch {
	case d >= time.Minute:
		return d.Round(time.Second).String()
	case d >= 10*time.Second:
		return strconv.FormatFloat(v, 'f', 0, 64) + " s"
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0") + " s"
}

// plural writes "1 row", "2 rows".
func plural(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return number(n) + " " + many
}

// The verdicts in a word.
const (
	passed = "PASS"
	failed = "FAIL"
	done   = "DONE"
)

// Word is the verdict in a word: PASS, FAIL, or DONE for a run that ended in
// good order and was not verified.
func (r *Report) Word() string {
	switch {
	case r.Failure == "" && !r.Verified:
		return done
	case r.Pass:
		return passed
	}
	return failed
}

// reason says in words why a run passed or failed, and what was not judged.
func reason(r *Report) string {
	switch {
	case r.Failure != "":
		return "the run failed: " + r.Failure
	case !r.Verified:
		return "not verified: the figures are what the stages counted themselves"
	case !r.Pass:
		return strings.Join(append([]string{failures(r)}, r.Notes...), "; ")
	}
	served := r.Fates.ServedOnce
	text := fmt.Sprintf("%s served exactly once, unaltered and in order", plural(served, "event", "events"))
	if served == 0 {
		text = "nothing was sent, and nothing is there"
	}
	if r.Fates.DroppedByPolicy > 0 {
		text += fmt.Sprintf("; %s dropped by policy", number(r.Fates.DroppedByPolicy))
	}
	if r.DeadLetters.Matched > 0 {
		text += fmt.Sprintf("; %s malformed in the dead letters", number(r.DeadLetters.Matched))
	}
	if r.Raw != nil {
		text += fmt.Sprintf("; the archive holds what was sent, in %s", plural(r.Raw.Rows, "record", "records"))
	}
	return strings.Join(append([]string{text}, r.Notes...), "; ")
}

// archived says in one line what the raw archive holds.
func (r *Raw) archived() string {
	text := fmt.Sprintf("%s for %s", plural(r.Rows, "record", "records"), plural(r.Expected, "send", "sends"))
	for _, x := range []struct {
		n    int64
		what string
	}{{r.Missing, "missing"}, {r.Surplus, "surplus"}, {r.InDoubt, "in doubt"}, {r.Retried, "retried"}, {r.Gaps, "gaps"}, {r.Overlaps, "overlaps"}} {
		if x.n > 0 || x.what == "missing" || x.what == "surplus" {
			text += fmt.Sprintf(", %s %s", number(x.n), x.what)
		}
	}
	return text
}

// flawed says that something is wrong with the archive.
func (r *Raw) flawed() bool { return r.Missing+r.Surplus+r.Gaps+r.Overlaps > 0 }

// handled says in one line where copies of events were taken out; "" if there
// were none.
func (r *Report) handled() string {
	h := r.DuplicatesHandled
	if h == nil {
		return ""
	}
	var parts []string
	for _, x := range []struct {
		n    int64
		what string
	}{{h.Process, "dropped in process"}, {h.Store, "met by the store"}, {h.View, "left out by the view"}} {
		if x.n > 0 {
			parts = append(parts, number(x.n)+" "+x.what)
		}
	}
	return strings.Join(parts, ", ")
}

// charged says in one line what the store charged; "" if it does not charge.
func (r *Report) charged() string {
	p := &r.Resources
	if p.RequestUnits <= 0 {
		return ""
	}
	text := fmt.Sprintf("%s request units, %s for each event", requestUnits(p.RequestUnits), requestUnits(p.RequestUnitsPerEvent))
	if p.RequestUnitsPerSecond > 0 {
		text += fmt.Sprintf("; the rate takes %s/s", requestUnits(p.RequestUnitsPerSecond))
		if l := r.StoreLimits; l != nil && l.Units > 0 {
			text += fmt.Sprintf(" of %s/s", number(int64(l.Units)))
		}
	}
	return text
}

// flaws says what a figure that should be zero means.
var flaws = map[string][2]string{
	"missing":                 {"event is missing", "events are missing"},
	"duplicates":              {"row too many", "rows too many"},
	"unexpected":              {"row that nobody sent", "rows that nobody sent"},
	"corrupted":               {"row is not what was sent", "rows are not what was sent"},
	"outOfSequence":           {"event is out of order", "events are out of order"},
	"untimed":                 {"row has no plausible times", "rows have no plausible times"},
	"unsent":                  {"message was not sent", "messages were not sent"},
	"deadLetters.missing":     {"malformed input is not in the dead letters", "malformed inputs are not in the dead letters"},
	"deadLetters.wellFormed":  {"good event is in the dead letters", "good events are in the dead letters"},
	"deadLetters.wrongReason": {"dead letter has the wrong reason", "dead letters have the wrong reason"},
	"deadLetters.unknown":     {"dead letter is of something nobody sent", "dead letters are of something nobody sent"},
	"deadLetters.repeated":    {"dead letter too many", "dead letters too many"},
	"raw.missing":             {"acknowledged send is not in the archive", "acknowledged sends are not in the archive"},
	"raw.surplus":             {"record of the archive is not explained", "records of the archive are not explained"},
	"raw.gaps":                {"gap in the archive", "gaps in the archive"},
	"raw.overlaps":            {"overlap in the archive", "overlaps in the archive"},
	"imbalances":              {"sum does not add up", "sums do not add up"},
}

func failures(r *Report) string {
	var parts []string
	for _, t := range r.Thresholds {
		if t.Pass {
			continue
		}
		words, known := flaws[t.Name]
		n, err := strconv.ParseInt(t.Actual, 10, 64)
		if known && err == nil && t.Expected == "== 0" {
			parts = append(parts, plural(n, words[0], words[1]))
		} else {
			parts = append(parts, fmt.Sprintf("%s is %s, must be %s", t.Name, t.Actual, t.Expected))
		}
	}
	const most = 4
	if len(parts) > most {
		parts = append(parts[:most], plural(int64(len(parts)-most), "more threshold missed", "more thresholds missed"))
	}
	return strings.Join(parts, "; ")
}

// stage is one of the five stages of the picture.
type stage struct {
	Name string
	// What does the work; Figures is one line.
	What, Figures string
	// Latency is the stage's p99, "" where it has none.
	Latency string
}

// stages are the five stages and their figures.
func stages(r *Report) []stage {
	e, t := &r.Events, &r.Throughput
	sent := fmt.Sprintf("%s sent at %s", number(e.Sent), perSecond(t.SentPerSecond))
	if e.Unsent > 0 {
		sent += fmt.Sprintf(", %s unsent", number(e.Unsent))
	}
	if e.InjectedDuplicates > 0 {
		sent += fmt.Sprintf(", %s twice", number(e.InjectedDuplicates))
	}
	if e.Malformed > 0 {
		sent += fmt.Sprintf(", %s malformed", number(e.Malformed))
	}
	var processed, most, waiting int64
	for _, x := range t.PerInterval {
		processed += x.Processed
		most, waiting = max(most, x.Backlog), max(waiting, x.Waiting)
	}
	// More than a second's worth at once is what a log that cannot keep up
	// (or a throttled one) makes of a steady rate.
	if t.RatePerSecond > 0 && float64(waiting) > t.RatePerSecond {
		sent += fmt.Sprintf(", up to %s waiting", number(waiting))
	}
	process := number(processed) + " processed"
	if processed == 0 {
		process = "events in order, per partition"
	}
	if e.DeadLettered > 0 {
		process += fmt.Sprintf(", %s to dead letters", number(e.DeadLettered))
	}
	log := "backlog at most " + number(most)
	if r.Partitions > 0 {
		log = plural(int64(r.Partitions), "partition", "partitions") + ", " + log
	}
	verified := "not verified"
	if r.Verified {
		verified = fmt.Sprintf("%s rows against %s events", number(e.Stored), number(e.Unique+e.InDoubt))
	}
	p99 := func(p Percentiles) string {
		if !r.Verified || p.Max == 0 {
			return ""
		}
		return "p99 " + millis(p.P99)
	}
	return []stage{
		{Name: "simulate", What: "devices", Figures: sent},
		{Name: "ingest", What: r.Ingest, Figures: log, Latency: p99(r.LatencyMs.Ingest)},
		{Name: "process", What: r.Engine, Figures: process, Latency: p99(r.LatencyMs.Process)},
		{Name: "serve", What: storeName(r), Figures: fmt.Sprintf("%s stored at %s", number(e.Stored), perSecond(t.StoredPerSecond)), Latency: p99(r.LatencyMs.Serve)},
		{Name: "verify", What: "ledger against store", Figures: verified, Latency: p99(r.LatencyMs.EndToEnd)},
	}
}

// storeName names the store and its layout.
func storeName(r *Report) string {
	if r.Layout == "" {
		return r.Serve
	}
	return r.Serve + ", " + r.Layout
}

// figure is a name and a count, for people.
type figure struct {
	Name  string
	Count int64
	// Flaw says that the count should be 0 and is not.
	Flaw bool
}

// fates lists the fates of events.
func fates(r *Report) []figure {
	f := &r.Fates
	list := []figure{{Name: "served once", Count: f.ServedOnce}}
	add := func(name string, n int64, flaw bool) {
		list = append(list, figure{name, n, flaw && n > 0})
	}
	add("served more than once", f.ServedMany, true)
	add("dead-lettered", f.DeadLettered, true)
	add("dropped by policy", f.DroppedByPolicy, false)
	add("lost", f.Lost, true)
	if f.NotArrived > 0 || r.Events.InDoubt > 0 {
		add("in doubt, not arrived", f.NotArrived, false)
	}
	return list
}

// defects lists what else can be wrong with rows and dead letters.
func defects(r *Report) []figure {
	e, d := &r.Events, &r.DeadLetters
	list := []figure{
		{"rows too many", e.Duplicates, e.Duplicates > 0},
		{"rows nobody sent", e.Unexpected, e.Unexpected > 0},
		{"rows altered", e.Corrupted, e.Corrupted > 0},
		{"events out of order", e.OutOfSequence, e.OutOfSequence > 0},
	}
	if e.Untimed > 0 {
		list = append(list, figure{"rows without times", e.Untimed, true})
	}
	if r.Raw != nil && e.DeadLettered == 0 {
		return list // malformed inputs belong into the archive
	}
	if e.Malformed > 0 || e.DeadLettered > 0 {
		wrong := d.WrongReason + d.WellFormed + d.Unknown + d.Repeated + d.Missing
		list = append(list,
			figure{"dead letters as expected", d.Matched, false},
			figure{"dead letters wrong or absent", wrong, wrong > 0})
	}
	return list
}

// latencies lists the rows of the latency table.
func latencies(r *Report) []latencyRow {
	rows := []latencyRow{{"end to end", "created to stored", r.LatencyMs.EndToEnd}}
	if r.Raw != nil {
		return rows // an archive knows nothing of stages
	}
	rows = append(rows, []latencyRow{
		{"ingest", "created to in the log", r.LatencyMs.Ingest},
		{"process", "in the log to processed", r.LatencyMs.Process},
		{"serve", "processed to stored", r.LatencyMs.Serve},
	}...)
	if c := r.LatencyMs.Commit; c != nil {
		rows = append(rows, latencyRow{"commit", "stored to committed", *c})
	}
	if w := r.LatencyMs.Watermark; w != nil {
		rows = append(rows, latencyRow{"watermark", "clock ahead of it", *w})
	}
	return rows
}

type latencyRow struct {
	Name, What string
	P          Percentiles
}

// missed are the thresholds that did not hold first, then the others.
func missed(list []Threshold) []Threshold {
	out := make([]Threshold, 0, len(list))
	for _, pass := range []bool{false, true} {
		for _, t := range list {
			if t.Pass == pass {
				out = append(out, t)
			}
		}
	}
	return out
}
