package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// Where the plot lies within the chart's 480 by 230 units (page.html.tmpl draws
// them). A chart is narrow, so that its text stays readable on a phone.
const (
	plotLeft   = 58
	plotRight  = 460
	plotTop    = 12
	plotBottom = 196
)

// chart is a line chart over time, ready to be drawn.
type chart struct {
	ID, Title string
	// Summary is for those who cannot see it.
	Summary string
	Lines   []chartLine
	X, Y    []tick
	// Warm is where the warm-up ends, 0 if nowhere inside.
	Warm float64
	// Spots are invisible columns that tell an interval's figures.
	Spots []spot
	Empty bool
}

// chartLine is one line; Class chooses colour, dash and marker, so that lines
// differ by more than colour.
type chartLine struct {
	Name, Class string
	Path        template.HTMLAttr
	Points      []point
}

type point struct{ X, Y float64 }

type tick struct {
	At    float64
	Label string
}

type spot struct {
	X, Width float64
	Text     string
}

// lineOf is what a line shows; NaN is a gap.
type lineOf struct {
	name, class string
	value       func(x *Interval) float64
}

// newChart draws lines over the intervals. format writes a value for people.
func newChart(id, title string, r *Report, format func(float64) string, lines ...lineOf) chart {
	c := chart{ID: id, Title: title}
	list := r.Throughput.PerInterval
	step := r.Throughput.IntervalSeconds
	top := 0.0
	for i := range list {
		for _, l := range lines {
			if v := l.value(&list[i]); !math.IsNaN(v) {
				top = max(top, v)
			}
		}
	}
	span := step * float64(len(list))
	// A chart of nothing is a sentence instead; so is one of a span that no
	// run can have, which a report read from a file may claim.
	if !(span > 0 && span < 1e10 && top > 1e-9 && top < 1e30) {
		c.Empty = true
		return c
	}
	top, c.Y = axis(top, format)
	x := func(seconds float64) float64 { return round(plotLeft + (plotRight-plotLeft)*seconds/span) }
	y := func(v float64) float64 { return round(plotBottom - (plotBottom-plotTop)*v/top) }
	for i := range c.Y {
		c.Y[i].At = y(c.Y[i].At)
	}
	c.X = timeAxis(span, x)
	for i := range list {
		if list[i].Warm {
			if i > 0 {
				c.Warm = x(step * float64(i))
			}
			break
		}
	}
	for _, l := range lines {
		c.Lines = append(c.Lines, draw(l, list, func(i int) float64 { return x(step * (float64(i) + 0.5)) }, y))
	}
	for i := range list {
		text := "at " + clockAt(step*float64(i))
		for _, l := range lines {
			if v := l.value(&list[i]); !math.IsNaN(v) {
				text += fmt.Sprintf("\n%s %s", l.name, format(v))
			}
		}
		from := x(step * float64(i))
		c.Spots = append(c.Spots, spot{X: from, Width: round(x(step*float64(i+1)) - from), Text: text})
	}
	c.Summary = summarize(list, format, lines)
	return c
}

// draw makes one line, broken where there is nothing to show.
func draw(l lineOf, list []Interval, x func(int) float64, y func(float64) float64) chartLine {
	out := chartLine{Name: l.name, Class: l.class}
	var path strings.Builder
	pen := "M"
	for i := range list {
		v := l.value(&list[i])
		if math.IsNaN(v) {
			pen = "M"
			continue
		}
		p := point{x(i), y(v)}
		fmt.Fprintf(&path, "%s%g %g", pen, p.X, p.Y)
		pen = "L"
		out.Points = append(out.Points, p)
	}
	// Markers on every point of a long run would be a smear.
	if n := (len(out.Points) + 23) / 24; n > 1 {
		kept := out.Points[:0]
		for i, p := range out.Points {
			if i%n == 0 {
				kept = append(kept, p)
			}
		}
		out.Points = kept
	}
	out.Path = template.HTMLAttr(fmt.Sprintf(`d="%s"`, path.String()))
	return out
}

// summarize says in words what a chart shows.
func summarize(list []Interval, format func(float64) string, lines []lineOf) string {
	var parts []string
	for _, l := range lines {
		low, high := math.Inf(1), math.Inf(-1)
		for i := range list {
			if v := l.value(&list[i]); !math.IsNaN(v) {
				low, high = min(low, v), max(high, v)
			}
		}
		if high >= low {
			parts = append(parts, fmt.Sprintf("%s between %s and %s", l.name, format(low), format(high)))
		}
	}
	return strings.Join(parts, "; ") + "."
}

// axis chooses a round upper end and the marks below it.
func axis(top float64, format func(float64) string) (float64, []tick) {
	unit := math.Pow(10, math.Floor(math.Log10(top)))
	step := unit
	for _, s := range []float64{0.2, 0.25, 0.5, 1, 2, 2.5, 5} {
		if step = unit * s; top/step <= 5 {
			break
		}
	}
	n := math.Ceil(top/step - 1e-9)
	var ticks []tick
	for i := 0.0; i <= n; i++ {
		ticks = append(ticks, tick{At: i * step, Label: format(i * step)})
	}
	return n * step, ticks
}

// timeAxis marks about six round moments.
func timeAxis(span float64, x func(float64) float64) []tick {
	step := span / 6
	for _, s := range []float64{1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400} {
		if s >= span/7 {
			step = s
			break
		}
	}
	var ticks []tick
	for at := 0.0; at <= span+1e-9; at += step {
		ticks = append(ticks, tick{At: x(at), Label: clockAt(at)})
	}
	return ticks
}

// clockAt writes seconds since the first send: 5s, 1m30s, 2h.
func clockAt(s float64) string {
	d := time.Duration(s * float64(time.Second)).Round(100 * time.Millisecond)
	if d == 0 {
		return "0s"
	}
	text := d.String()
	for _, zero := range []string{"0s", "0m"} {
		// Of 1h10m0s and 10m0s the zero goes, of 10s and 10m it does not.
		if rest, ok := strings.CutSuffix(text, zero); ok && strings.HasSuffix(rest, map[string]string{"0s": "m", "0m": "h"}[zero]) {
			text = rest
		}
	}
	return text
}

func round(v float64) float64 { return math.Round(v*10) / 10 }
