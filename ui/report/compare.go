package report

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"time"
)

// CompareSchema names the format of a comparison. Fields are added to it, never
// renamed or removed; compare.schema.json describes it.
const CompareSchema = "millrace.compare/1"

// MaxCompared is how many runs a comparison can have: as many as there are
// letters to name them by.
const MaxCompared = 26

// Input is a report to be compared and the file that it comes from.
type Input struct {
	File   string
	Report *Report
}

// Comparison is runs side by side. The first one is what the others are
// compared with.
type Comparison struct {
	Schema string     `json:"schema"`
	Runs   []Compared `json:"runs"`
	// Figures have a value for each run, in the order of Runs. One that no
	// run knows is left out.
	Figures []Figure `json:"figures"`

	reports []*Report
}

// Compared is one of the runs.
type Compared struct {
	// Key is the letter that stands for the run, A for the first. Name is
	// the solution, with the file if the solution is there twice.
	Key  string `json:"key"`
	Name string `json:"name"`
	File string `json:"file"`

	Solution    string    `json:"solution"`
	Title       string    `json:"title,omitempty"`
	Run         string    `json:"run,omitempty"`
	Scale       int       `json:"scale,omitempty"`
	Engine      string    `json:"engine"`
	Ingest      string    `json:"ingest"`
	Serve       string    `json:"serve"`
	Layout      string    `json:"layout,omitempty"`
	Partitions  int       `json:"partitions,omitempty"`
	Started     time.Time `json:"started"`
	WallSeconds float64   `json:"wallSeconds"`
	Machine     Machine   `json:"machine"`

	// Verdict is Report.Word; Missed are the thresholds that did not hold.
	Verdict string      `json:"verdict"`
	Pass    bool        `json:"pass"`
	Reason  string      `json:"reason"`
	Missed  []Threshold `json:"missed"`
	Hints   []string    `json:"hints,omitempty"`
	// Differs says in words why the figures cannot be compared with those of
	// the first run; empty if they can.
	Differs []string `json:"differs,omitempty"`
}

// Figure is one figure of all runs.
type Figure struct {
	// Name is for programs (latency.endToEnd.p99), Group and Label for people.
	Name  string `json:"name"`
	Group string `json:"group"`
	Label string `json:"label"`
	Unit  Unit   `json:"unit"`
	// Better says whether more or less of it is better; Neither if neither.
	Better Better `json:"better"`
	// Values are in Unit. Ratios are to the first run's value. Null is what
	// is not known, or cannot be told.
	Values []*float64 `json:"values"`
	Ratios []*float64 `json:"ratios"`
	// Judged compares each run with the first; Unjudged for the first itself,
	// and where it cannot be told.
	Judged []Judgement `json:"judged"`
}

// Unit is what a figure is counted in.
type Unit string

// The units.
const (
	UnitRate     Unit = "events/s"
	UnitPercent  Unit = "%"
	UnitMillis   Unit = "ms"
	UnitSeconds  Unit = "s"
	UnitBytes    Unit = "bytes"
	UnitCount    Unit = "count"
	UnitCharge   Unit = "RU"
	UnitPerSecRU Unit = "RU/s"
)

// Better says which way a figure is better.
type Better string

// More is better, less is better, or neither.
const (
	More    Better = "more"
	Less    Better = "less"
	Neither Better = ""
)

// Judgement compares a figure with the first run's.
type Judgement string

// A figure is the same if it is within 2 %, which runs of one program on one
// machine can differ by.
const (
	IsBetter Judgement = "better"
	IsWorse  Judgement = "worse"
	IsSame   Judgement = "same"
	Unjudged Judgement = ""
)

// sameWithin is the share by which figures may differ and still be the same.
const sameWithin = 0.02

// Compare puts runs side by side, at most MaxCompared of them.
func Compare(in []Input) (*Comparison, error) {
	if len(in) < 2 {
		return nil, fmt.Errorf("a comparison needs at least two reports, not %d", len(in))
	}
	if len(in) > MaxCompared {
		return nil, fmt.Errorf("a comparison has room for %d reports, not for %d", MaxCompared, len(in))
	}
	c := &Comparison{Schema: CompareSchema, Figures: []Figure{}}
	names := namesOf(in)
	for i, x := range in {
		r := x.Report
		c.reports = append(c.reports, r)
		run := Compared{
			Key: string(rune('A' + i)), Name: names[i], File: x.File, Solution: r.Solution, Title: r.Title, Run: r.Run,
			Scale: r.Scale, Engine: r.Engine, Ingest: r.Ingest, Serve: r.Serve, Layout: r.Layout, Partitions: r.Partitions,
			Started: r.Started, WallSeconds: r.WallSeconds, Machine: r.Machine,
			Verdict: r.Word(), Pass: r.Pass, Reason: r.Reason, Missed: []Threshold{}, Hints: r.Hints,
		}
		for _, t := range r.Thresholds {
			if !t.Pass {
				run.Missed = append(run.Missed, t)
			}
		}
		if i > 0 {
			run.Differs = differences(r, in[0].Report)
		}
		c.Runs = append(c.Runs, run)
	}
	for _, d := range comparedFigures {
		if f, known := c.figure(&d); known {
			c.Figures = append(c.Figures, f)
		}
	}
	return c, nil
}

// Write writes the comparison as JSON on one line, as --json does.
func (c *Comparison) Write(w io.Writer) error {
	if err := json.NewEncoder(w).Encode(c); err != nil {
		return fmt.Errorf("write the comparison: %w", err)
	}
	return nil
}

// namesOf names runs by their solutions, and by as much of their files as it
// takes to tell them apart.
func namesOf(in []Input) []string {
	names := make([]string, len(in))
	for _, name := range []func(x Input) string{
		func(x Input) string { return x.Report.Solution },
		func(x Input) string { return x.Report.Solution + " (" + filepath.Base(x.File) + ")" },
		func(x Input) string { return x.Report.Solution + " (" + x.File + ")" },
	} {
		times := make(map[string]int)
		for _, x := range in {
			times[name(x)]++
		}
		for i, x := range in {
			if n := name(x); names[i] == "" && times[n] == 1 {
				names[i] = n
			}
		}
	}
	for i, x := range in {
		if names[i] == "" { // a file that was given twice
			names[i] = fmt.Sprintf("%s (%s, report %d)", x.Report.Solution, x.File, i+1)
		}
	}
	return names
}

// differences says why the figures of a run cannot be compared with those of
// another one, the base.
func differences(r, base *Report) []string {
	var out []string
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if a, b := machineWords(&r.Machine), machineWords(&base.Machine); a != b {
		add("another machine (%s, not %s)", a, b)
	}
	rate := func(v float64) string {
		if v <= 0 {
			return "as fast as it can"
		}
		return perSecond(v)
	}
	if a, b := r.Throughput.RatePerSecond, base.Throughput.RatePerSecond; apart(a, b, 0.01) {
		add("another rate (%s, not %s)", rate(a), rate(b))
	}
	if a, b := float64(r.Events.Offered), float64(base.Events.Offered); apart(a, b, 0.01) {
		add("another number of events (%s, not %s)", number(r.Events.Offered), number(base.Events.Offered))
	}
	switch {
	case r.Failure != "":
		add("it did not end: its figures are of what it did until then")
	case base.Failure != "":
		add("the first run did not end")
	case r.Verified != base.Verified:
		add("only one of them was verified")
	}
	out = append(out, r.Notes...)
	for _, note := range base.Notes {
		add("of the first one: %s", note)
	}
	return out
}

// machineWords describes a machine; equal machines have equal words. Memory is
// in whole gigabytes, as systems keep varying parts of it for themselves.
func machineWords(m *Machine) string {
	text := plural(int64(m.CPUs), "CPU", "CPUs")
	if m.Model != "" {
		text += " " + m.Model
	}
	if m.MemoryBytes > 0 {
		text += fmt.Sprintf(", %.0f GB", float64(m.MemoryBytes)/(1<<30))
	}
	if m.OS != "" {
		text += ", " + m.OS
	}
	return text
}

// apart tells whether two figures differ by more than a share of the larger.
func apart(a, b, share float64) bool { return math.Abs(a-b) > share*max(math.Abs(a), math.Abs(b)) }

// figure fills in a figure; known is false if no run knows it.
func (c *Comparison) figure(d *definition) (f Figure, known bool) {
	f = Figure{Name: d.name, Group: d.group, Label: d.label, Unit: d.unit, Better: d.better}
	for i, r := range c.reports {
		v := pointer(d.value(r))
		f.Values = append(f.Values, v)
		known = known || v != nil && (!d.silent || *v > 0)
		var ratio *float64
		judged := Unjudged
		if base := f.Values[0]; i > 0 && v != nil && base != nil {
			if *base > 0 && *v >= 0 {
				ratio = pointer(*v / *base)
			}
			if len(c.Runs[i].Differs) == 0 {
				judged = judge(d.better, *v, *base)
			}
		}
		f.Ratios, f.Judged = append(f.Ratios, ratio), append(f.Judged, judged)
	}
	return f, known
}

// pointer returns nil for what is no number that JSON knows.
func pointer(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	return &v
}

func judge(better Better, v, base float64) Judgement {
	switch {
	case better == Neither:
		return Unjudged
	case !apart(v, base, sameWithin):
		return IsSame
	case (v > base) == (better == More):
		return IsBetter
	}
	return IsWorse
}
