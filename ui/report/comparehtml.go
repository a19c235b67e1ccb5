package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
)

//go:embed compare.html.tmpl
var comparePageText string

//go:embed compare.css
var comparePageStyle string

// comparePage shares the chart and its marks with the page of one run.
var comparePage = template.Must(template.Must(page.Clone()).New("compare").Funcs(template.FuncMap{
	"machine": func(m Machine) string { return machineWords(&m) },
}).Parse(comparePageText))

// compareView is what the page of a comparison shows.
type compareView struct {
	*Comparison
	Style    template.CSS
	Script   template.JS
	JSON     template.JS
	Groups   []compareGroup
	Bars     []barChart
	Overlay  chart
	Overlaid int
	// Failed has the runs that missed or failed something.
	Failed []failedRun
}

type compareGroup struct {
	Name string
	Rows []compareRow
}

// compareRow is a figure; Part says that it is a part of the one above.
type compareRow struct {
	Label string
	Part  bool
	Cells []compareCell
}

// compareCell is a figure of a run; Ratio and Judged are empty for the first.
type compareCell struct {
	Value, Ratio string
	Judged       Judgement
}

type failedRun struct {
	*Compared
	Failure string
}

// CompareHTML writes the comparison as one page that needs nothing else: no
// network, no other file, and JavaScript only for conveniences. It holds the
// JSON, too.
func CompareHTML(w io.Writer, c *Comparison) error {
	data, err := json.MarshalIndent(c, "", " ")
	if err != nil {
		return fmt.Errorf("write the comparison's page: %w", err)
	}
	v := compareView{
		Comparison: c, Style: template.CSS(pageStyle + comparePageStyle), Script: template.JS(pageScript),
		JSON:   template.JS(data), // <, > and & are escaped in it
		Groups: c.groups(), Bars: c.bars(), Overlaid: min(len(c.Runs), len(overlayClasses)),
	}
	v.Overlay = c.overlay(v.Overlaid)
	for i := range c.Runs {
		r := failedRun{&c.Runs[i], c.reports[i].Failure}
		if len(r.Missed) > 0 || r.Failure != "" {
			v.Failed = append(v.Failed, r)
		}
	}
	var b bytes.Buffer
	if err := comparePage.Execute(&b, v); err != nil {
		return fmt.Errorf("write the comparison's page: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the comparison's page: %w", err)
	}
	return nil
}

func (c *Comparison) groups() []compareGroup {
	var out []compareGroup
	for i := range c.Figures {
		f := &c.Figures[i]
		row := compareRow{Label: strings.TrimSpace(f.Label), Part: strings.HasPrefix(f.Label, " ")}
		for n, v := range f.Values {
			cell := compareCell{Value: "–", Judged: f.Judged[n]}
			if v != nil {
				cell.Value = f.Unit.write(*v)
			}
			if r := f.Ratios[n]; r != nil {
				cell.Ratio = times(*r)
			}
			row.Cells = append(row.Cells, cell)
		}
		if n := len(out); n == 0 || out[n-1].Name != f.Group {
			out = append(out, compareGroup{Name: f.Group})
		}
		last := &out[len(out)-1]
		last.Rows = append(last.Rows, row)
	}
	return out
}

// Where bars lie within a chart of 480 units' width (compare.html.tmpl draws
// them): the runs' letters are to their left, their figures above them.
const (
	barLeft  = 34
	barRight = 460
	barPitch = 42
	barTop   = 22
)

// barChart shows the latency of one stage: a bar up to p50, a lighter one up to
// p95, one lighter still up to p99, for each run that knows it.
type barChart struct {
	ID, Title, Summary string
	Height             float64
	Bars               []bar
}

type bar struct {
	Key           string
	Y, TextY      float64
	P50, P95, P99 float64 // widths
	Text          string
}

// bars are the charts of the stages that any run knows the latency of.
func (c *Comparison) bars() []barChart {
	var out []barChart
	for _, s := range stageLatencies {
		top := 0.0
		for _, r := range c.reports {
			if p := s.of(r); p != nil {
				top = max(top, p.P50, p.P95, p.P99)
			}
		}
		if !(top > 0) {
			continue
		}
		b := barChart{ID: s.name, Title: strings.ToUpper(s.label[:1]) + s.label[1:]}
		var words []string
		// A bar that is too short to be seen would look like none.
		width := func(v float64) float64 { return round(max(2, (barRight-barLeft)*(v/top))) }
		for i, r := range c.reports {
			p := s.of(r)
			if p == nil {
				continue
			}
			y := float64(barTop + barPitch*len(b.Bars))
			text := fmt.Sprintf("p50 %s, p95 %s, p99 %s", millis(p.P50), millis(p.P95), millis(p.P99))
			b.Bars = append(b.Bars, bar{Key: c.Runs[i].Key, Y: y, TextY: y - 5,
				P50: width(p.P50), P95: width(p.P95), P99: width(p.P99), Text: text})
			words = append(words, c.Runs[i].Key+": "+text)
		}
		b.Height, b.Summary = float64(barTop+barPitch*len(b.Bars)-10), strings.Join(words, "; ")+"."
		out = append(out, b)
	}
	return out
}

// overlayClasses are the lines' styles; more lines than that in one chart could
// not be told from each other.
var overlayClasses = []string{"a", "c", "b", "d", "e", "f"}

// overlay draws what the first n runs stored per second, each from its own
// beginning.
func (c *Comparison) overlay(n int) chart {
	out := chart{ID: "overlay", Title: "Stored, events per second"}
	rate := func(step float64) func(x *Interval) float64 {
		return func(x *Interval) float64 {
			if x.Seconds < step/4 || x.Seconds <= 0 { // too short for a rate
				return math.NaN()
			}
			return float64(x.Out) / x.Seconds
		}
	}
	top, span := 0.0, 0.0
	for _, r := range c.reports[:n] {
		step, list := r.Throughput.IntervalSeconds, r.Throughput.PerInterval
		span = max(span, step*float64(len(list)))
		for i := range list {
			if v := rate(step)(&list[i]); !math.IsNaN(v) {
				top = max(top, v)
			}
		}
	}
	if !(span > 0 && span < 1e10 && top > 1e-9 && top < 1e30) {
		out.Empty = true
		return out
	}
	top, out.Y = axis(top, compact)
	x := func(seconds float64) float64 { return round(plotLeft + (plotRight-plotLeft)*seconds/span) }
	y := func(v float64) float64 { return round(plotBottom - (plotBottom-plotTop)*max(0, v)/top) }
	for i := range out.Y {
		out.Y[i].At = y(out.Y[i].At)
	}
	out.X = timeAxis(span, x)
	var words []string
	for i, r := range c.reports[:n] {
		step, list := r.Throughput.IntervalSeconds, r.Throughput.PerInterval
		if !(step > 0) {
			continue
		}
		l := lineOf{c.Runs[i].Key, overlayClasses[i], rate(step)}
		line := draw(l, list, func(i int) float64 { return x(step * (float64(i) + 0.5)) }, y)
		if len(line.Points) == 0 {
			continue
		}
		out.Lines = append(out.Lines, line)
		words = append(words, strings.TrimSuffix(summarize(list, compact, []lineOf{l}), "."))
	}
	out.Summary = strings.Join(words, "; ") + "."
	return out
}
