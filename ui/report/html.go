package report

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html.tmpl
var pageText string

//go:embed page.css
var pageStyle string

//go:embed page.js
var pageScript string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"number": number, "perSecond": perSecond, "millis": millis, "seconds": seconds,
	"bytes": known, "requestUnits": requestUnits,
	"limit": func(v float64) string {
		if v <= 0 {
			return "none"
		}
		return perSecond(v)
	},
	"place": func(n int64) string {
		if n < 0 {
			return ""
		}
		return strconv.FormatInt(n, 10)
	},
	"clock": func(t time.Time) string { return t.UTC().Format("15:04:05") },
	"stamp": func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
	"minus": func(a, b float64) float64 { return a - b },
}).Parse(pageText))

// view is what the page shows.
type view struct {
	*Report
	Style     template.CSS
	Script    template.JS
	JSON      template.JS
	Stages    []stage
	FateList  []figure
	Defects   []figure
	Latencies []latencyRow
	Missed    []Threshold
	Charts    []chart
	Sum       int64
	// ArchiveLine is about the raw archive, "" if there is none.
	ArchiveLine   string
	ArchiveFlawed bool
	// HandledLine says where duplicates were taken out, "" if there were none.
	HandledLine string
}

// HTML writes the report as one page that needs nothing else: no network, no
// other file, and JavaScript only for conveniences. It holds the JSON, too.
func HTML(w io.Writer, r *Report) error {
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return fmt.Errorf("write the report's page: %w", err)
	}
	v := view{
		Report: r, Style: template.CSS(pageStyle), Script: template.JS(pageScript),
		// json.Marshal escapes <, > and &, so that nothing in it can end
		// the element that it is embedded in.
		JSON:   template.JS(data),
		Stages: stages(r), FateList: fates(r), Defects: defects(r), Latencies: latencies(r),
		Missed: missed(r.Thresholds), Charts: charts(r), HandledLine: r.handled(),
	}
	if r.Raw != nil {
		v.ArchiveLine, v.ArchiveFlawed = r.Raw.archived(), r.Raw.flawed()
	}
	for _, f := range v.FateList {
		v.Sum += f.Count
	}
	var b bytes.Buffer
	if err := page.Execute(&b, v); err != nil {
		return fmt.Errorf("write the report's page: %w", err)
	}
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write the report's page: %w", err)
	}
	return nil
}

// charts are those of throughput, backlog and latency over time.
func charts(r *Report) []chart {
	step := r.Throughput.IntervalSeconds
	rate := func(f func(x *Interval) int64) func(x *Interval) float64 {
		return func(x *Interval) float64 {
			// The last moments of a run are too short for a rate.
			if x.Seconds < step/4 {
				return math.NaN()
			}
			return float64(f(x)) / x.Seconds
		}
	}
	lines := []lineOf{{"sent", "a", rate(func(x *Interval) int64 { return x.In })}}
	for i := range r.Throughput.PerInterval {
		if r.Throughput.PerInterval[i].Processed > 0 {
			lines = append(lines, lineOf{"processed", "b", rate(func(x *Interval) int64 { return x.Processed })})
			break
		}
	}
	lines = append(lines, lineOf{"stored", "c", rate(func(x *Interval) int64 { return x.Out })})
	latency := func(f func(x *Interval) float64) func(x *Interval) float64 {
		return func(x *Interval) float64 {
			if v := f(x); v > 0 {
				return v
			}
			return math.NaN()
		}
	}
	out := []chart{newChart("throughput", "Throughput, events per second", r, compact, lines...)}
	out = append(out, newChart("backlog", "Backlog, messages in the log and not yet stored", r, compact,
		lineOf{"backlog", "c area", func(x *Interval) float64 {
			if x.Backlog < 0 {
				return math.NaN()
			}
			return float64(x.Backlog)
		}}))
	return append(out, newChart("latency", "End-to-end latency by time of storing", r, millisShort,
		lineOf{"p50", "a", latency(func(x *Interval) float64 { return x.P50Ms })},
		lineOf{"p99", "c", latency(func(x *Interval) float64 { return x.P99Ms })}))
}

// compact writes a figure for an axis: 950, 10k, 1.5M.
func compact(v float64) string {
	switch {
	case v >= 1e6:
		return strconv.FormatFloat(math.Round(v/1e4)/100, 'f', -1, 64) + "M"
	case v >= 1e4:
		return strconv.FormatFloat(math.Round(v/10)/100, 'f', -1, 64) + "k"
	}
	return strings.TrimSuffix(strconv.FormatFloat(v, 'f', 1, 64), ".0")
}

// millisShort is millis without decimals where there are none.
func millisShort(v float64) string {
	if v >= 1000 {
		return strconv.FormatFloat(math.Round(v/10)/100, 'f', -1, 64) + " s"
	}
	return strconv.FormatFloat(math.Round(v*100)/100, 'f', -1, 64) + " ms"
}
