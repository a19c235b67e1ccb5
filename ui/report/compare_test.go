package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// sampleComparison has runs of everything: one that passes, one that was
// throttled, one with something of everything wrong, and one into an archive.
func sampleComparison(t testing.TB) *Comparison {
	t.Helper()
	return comparison(t, Input{"base.json", passing(t)}, Input{"runs/charged.json", charged(t)},
		Input{"runs/flawed.json", failing(t)}, Input{"capture.json", archive(t, true)})
}

func comparison(t testing.TB, in ...Input) *Comparison {
	t.Helper()
	c, err := Compare(in)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func comparisonPage(t testing.TB, c *Comparison) string {
	t.Helper()
	var b bytes.Buffer
	if err := CompareHTML(&b, c); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func comparisonText(t testing.TB, c *Comparison, columns int, s Style) string {
	t.Helper()
	var b bytes.Buffer
	if err := CompareText(&b, c, columns, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// eachComparison has those that the golden files show.
func eachComparison(t *testing.T, fn func(t *testing.T, name string, c *Comparison)) {
	other := failing(t)
	other.Machine = Machine{CPUs: 16, Model: "Other CPU", MemoryBytes: 64 << 30, OS: "linux/arm64", Go: "go1.26.0", Commit: "ba9876543210"}
	other.Throughput.RatePerSecond, other.Events.Offered = 5000, 300000
	for name, c := range map[string]*Comparison{
		"four": sampleComparison(t),
		"two":  comparison(t, Input{"a.json", charged(t)}, Input{"standard input", charged(t)}),
		"unlike": comparison(t, Input{"a.json", passing(t)}, Input{"b.json", other}, Input{"c.json", broken()},
			Input{"d.json", unverified()}, Input{"e.json", passing(t)}, Input{"e.json", continued(t)}),
	} {
		t.Run(name, func(t *testing.T) { fn(t, name, c) })
	}
}

func TestCompareText(t *testing.T) {
	eachComparison(t, func(t *testing.T, name string, c *Comparison) {
		for suffix, s := range map[string]Style{".txt": {Unicode: true}, ".ascii.txt": {}, ".color.txt": {Color: true, Unicode: true}} {
			text := comparisonText(t, c, 80, s)
			golden(t, "compare-"+name+suffix, []byte(text))
			narrow(t, text, !s.Unicode)
			if has := strings.Contains(text, "\x1b["); has != s.Color {
				t.Errorf("colours: %v", has)
			}
		}
	})
}

// TestCompareBlocks: as many runs beside each other as fit, the others below
// them, each once beside the first.
func TestCompareBlocks(t *testing.T) {
	var in []Input
	for i := range MaxCompared {
		in = append(in, Input{fmt.Sprintf("%d.json", i), passing(t)})
	}
	c := comparison(t, in...)
	head := regexp.MustCompile(`(?m)^ {16} +A( +[A-Z])+$`)
	for columns, want := range map[int]int{60: 2, 80: 4, 200: 10, 1000: 26} {
		text := comparisonText(t, c, columns, Style{})
		seen := map[string]int{}
		for i, line := range head.FindAllString(text, -1) {
			keys := strings.Fields(line)
			if i == 0 && len(keys) != want {
				t.Errorf("%d columns have room for %q, want %d", columns, keys, want)
			}
			for _, k := range keys[1:] {
				seen[k]++
			}
			if len(line) > columns {
				t.Errorf("%d columns: %s", columns, line)
			}
		}
		for _, r := range c.Runs[1:] {
			if seen[r.Key] != 1 {
				t.Errorf("%d columns: %s is there %d times", columns, r.Key, seen[r.Key])
			}
		}
	}
}

// TestCompareExtremes: no text and no figure breaks the lines.
func TestCompareExtremes(t *testing.T) {
	r := failing(t)
	long := strings.Repeat("ü\x1b[31m", 90)
	r.Solution, r.Ingest, r.Serve, r.Engine, r.Run, r.Reason, r.Failure = long, long, long, long, long, long, long+" "+long
	r.Machine.Model, r.Machine.Commit, r.Hints = long, long, []string{long}
	r.Thresholds = []Threshold{{Name: long, Expected: long, Actual: long}}
	r.LatencyMs.EndToEnd = Percentiles{1e9, 1e9, 1e9, 1e9, 1e9, math.MaxFloat64}
	r.Throughput.SentPerSecond, r.Throughput.StoredPerSecond, r.Throughput.MinPerSecond = 1e8, math.MaxFloat64, -math.MaxFloat64
	r.Resources = Resources{1e300, 1e300, math.MaxInt64, math.MinInt64, math.MinInt64, math.MaxInt64, 1, 1e300, 1e300, 1e300}
	r.Events.Missing, r.Events.Duplicates = 123_456_789_012, math.MaxInt64
	for _, in := range [][]Input{{{long, r}, {"b", passing(t)}}, {{"a", passing(t)}, {long, r}, {"c", &Report{}}}} {
		c := comparison(t, in...)
		for _, s := range []Style{{}, {Unicode: true}, {Unicode: true, Color: true}} {
			narrow(t, comparisonText(t, c, 80, s), !s.Unicode)
		}
		if err := c.Write(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
		comparisonPage(t, c)
	}
	for i := range comparedFigures {
		d := &comparedFigures[i]
		if n := utf8.RuneCountInString(d.label); n >= labelWidth {
			t.Errorf("the label %q has %d characters", d.label, n)
		}
		for _, v := range []float64{0, 1, 99.949, 99.95, 9999.49, 9999.5, 1e6 - 1, 1e6, 123456789, 1e9, 1e12, 1 << 50, 1e15, 1e18, 1e300, math.MaxFloat64, -1, -1e300} {
			if text := d.unit.write(v); utf8.RuneCountInString(text) >= valueWidth {
				t.Errorf("%s: %g is %q", d.name, v, text)
			}
		}
	}
	for _, v := range []float64{0, 0.004, 1, 9.994, 9.996, 99.94, 99.96, 9998.7, 1e300} {
		if text := times(v); len(text) > ratioWidth-2 {
			t.Errorf("%g is %q", v, text)
		}
	}
}

func TestComparisonJSON(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("compare.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("compare.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	eachComparison(t, func(t *testing.T, name string, c *Comparison) {
		var b, pretty bytes.Buffer
		if err := c.Write(&b); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b.Bytes(), []byte("\n")); n != 1 {
			t.Errorf("%d lines, want one object on one line", n)
		}
		if err := json.Indent(&pretty, b.Bytes(), "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, "compare-"+name+".json", pretty.Bytes())
		check := func(data []byte) error {
			v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
			if err != nil {
				t.Fatal(err)
			}
			return schema.Validate(v)
		}
		if err := check(b.Bytes()); err != nil {
			t.Error(err)
		}
		for _, bend := range [][2]string{{`"schema":"millrace.compare/1"`, `"schema":"millrace.compare/2"`}, {`"key":"A"`, `"key":7`}, {`"values":`, `"was":`}} {
			bent := bytes.Replace(b.Bytes(), []byte(bend[0]), []byte(bend[1]), 1)
			if check(bent) == nil {
				t.Errorf("the schema accepts %s", bend[1])
			}
		}
		var v any
		if err := json.Unmarshal(b.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		described(t, v, text)
		for _, f := range c.Figures {
			if len(f.Values) != len(c.Runs) || len(f.Ratios) != len(c.Runs) || len(f.Judged) != len(c.Runs) {
				t.Errorf("%s has %d values, %d ratios, %d judgements of %d runs", f.Name, len(f.Values), len(f.Ratios), len(f.Judged), len(c.Runs))
			}
		}
	})
}

// described checks that the schema names every member.
func described(t *testing.T, v any, schema []byte) {
	t.Helper()
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			if !bytes.Contains(schema, []byte(`"`+k+`"`)) {
				t.Errorf("the schema does not name %q", k)
			}
			described(t, x, schema)
		}
	case []any:
		for _, x := range v {
			described(t, x, schema)
		}
	}
}

func TestCompareJudges(t *testing.T) {
	a, b := passing(t), passing(t)
	a.LatencyMs.EndToEnd.P99, b.LatencyMs.EndToEnd.P99 = 100, 50
	a.Throughput.StoredPerSecond, b.Throughput.StoredPerSecond = 9000, 9100
	a.Resources.PeakRSSBytes, b.Resources.PeakRSSBytes = 100<<20, 200<<20
	a.Resources.Throttled, b.Resources.Throttled = 0, 7
	find := func(c *Comparison, name string) Figure {
		for _, f := range c.Figures {
			if f.Name == name {
				return f
			}
		}
		t.Fatalf("no %s", name)
		return Figure{}
	}
	c := comparison(t, Input{"a", a}, Input{"b", b})
	for name, want := range map[string]Judgement{"latency.endToEnd.p99": IsBetter, "rate.stored": IsSame, "resources.peakMemory": IsWorse,
		"requests.throttled": IsWorse, "rate.offered": Unjudged} {
		f := find(c, name)
		if f.Judged[0] != Unjudged || f.Judged[1] != want {
			t.Errorf("%s: %q, want %q", name, f.Judged, want)
		}
	}
	if f := find(c, "latency.endToEnd.p99"); *f.Ratios[1] != 0.5 || f.Ratios[0] != nil {
		t.Errorf("ratios %v", f.Ratios)
	}
	if f := find(c, "requests.throttled"); f.Ratios[1] != nil {
		t.Errorf("a ratio to 0 is %v", *f.Ratios[1])
	}
	b.Machine.CPUs = 8
	c = comparison(t, Input{"a", a}, Input{"b", b})
	if f := find(c, "latency.endToEnd.p99"); f.Judged[1] != Unjudged || *f.Ratios[1] != 0.5 {
		t.Errorf("on another machine: %q, %v", f.Judged, f.Ratios[1])
	}
	if d := c.Runs[1].Differs; len(d) != 1 || !strings.HasPrefix(d[0], "another machine (8 CPUs Example CPU") {
		t.Errorf("differs %q", d)
	}
}

func TestCompareNamesRuns(t *testing.T) {
	r := func(solution string) *Report { return &Report{Solution: solution} }
	c := comparison(t, Input{"x/a.json", r("one")}, Input{"x/b.json", r("two")}, Input{"y/b.json", r("two")},
		Input{"x/c.json", r("two")}, Input{"x/c.json", r("two")})
	var got []string
	for _, run := range c.Runs {
		got = append(got, run.Key+" "+run.Name)
	}
	if want := "A one|B two (x/b.json)|C two (y/b.json)|D two (x/c.json, report 4)|E two (x/c.json, report 5)"; strings.Join(got, "|") != want {
		t.Errorf("%q", got)
	}
	if _, err := Compare([]Input{{"a", r("one")}}); err == nil {
		t.Error("one report was compared")
	}
	if _, err := Compare(make([]Input, MaxCompared+1)); err == nil {
		t.Error("too many reports were compared")
	}
}

func TestComparisonPage(t *testing.T) {
	eachComparison(t, func(t *testing.T, name string, c *Comparison) {
		text := comparisonPage(t, c)
		if name == "four" {
			golden(t, "compare-four.html", []byte(text))
		}
		head, rest, _ := strings.Cut(text, `<script type="application/json" id="report">`)
		for _, pattern := range []string{`(?i)\bsrc\s*=`, `(?i)\bhref\s*=`, `(?i)<link`, `(?i)<iframe`, `(?i)<img`, `(?i)@import`,
			`(?i)url\(`, `(?i)https?://`, `(?i)\son[a-z]+\s*=`, `ZgotmplZ`, `%!`, `NaN`, `Inf`} {
			if m := regexp.MustCompile(pattern).FindString(head); m != "" {
				t.Errorf("the page has %q", m)
			}
		}
		if !strings.Contains(text, `content="default-src 'none';`) {
			t.Error("the page has no policy against fetching")
		}
		data, _, _ := strings.Cut(rest, "</script>")
		var got, want bytes.Buffer
		b, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Compact(&got, []byte(data)); err != nil {
			t.Fatal(err)
		}
		want.Write(b)
		if got.String() != want.String() {
			t.Errorf("embedded\n%s\nwant\n%s", got.String(), want.String())
		}
		if n := strings.Count(text, `<span class="runkey">A</span>`); n < 2 {
			t.Errorf("the first run is named %d times", n)
		}
	})
}

// TestComparisonIsOnlyText: whatever a report holds stays text.
func TestComparisonIsOnlyText(t *testing.T) {
	r := failing(t)
	evil := `</script><script>alert(1)</script>"'><img src=x onerror=alert(1)>` + "\u2028{{.}}"
	r.Solution, r.Run, r.Ingest, r.Serve, r.Engine, r.Reason, r.Failure, r.Layout, r.Title = evil, evil, evil, evil, evil, evil, evil, evil, evil
	r.Thresholds[0] = Threshold{Name: evil, Expected: evil, Actual: evil}
	r.Hints, r.Machine = []string{evil}, Machine{Model: evil, Commit: evil, Go: evil, OS: evil}
	text := comparisonPage(t, comparison(t, Input{evil, r}, Input{"b", r}))
	if strings.Contains(text, "<img") || strings.Contains(text, "<script>alert") {
		t.Error("text became markup")
	}
	if n := strings.Count(text, "</script>"); n != 2 {
		t.Errorf("%d script ends, want 2", n)
	}
}

// FuzzCompare: whatever can be read as a report can be compared and shown.
func FuzzCompare(f *testing.F) {
	for _, name := range []string{"testdata/pass.json", "testdata/charged.json", "testdata/broken.json", "testdata/archive.json"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"schema":"millrace.report/1","verified":true,"resources":{"requestUnits":1e308,"requestUnitsPerEvent":5e-324},` +
		`"throughput":{"intervalSeconds":1e-300,"perInterval":[{"seconds":1e-300,"out":9223372036854775807,"bytesIn":-5},{"seconds":-1}]},"latencyMs":{"serve":{"p50":-3,"max":1}}}`))
	f.Add([]byte(`{"schema":"millrace.report/1","duplicatesHandled":{},"storeLimits":{"units":-4},"thresholds":[{}],"hints":["\u001b[31m"]}`))
	base := passing(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		for _, in := range [][]Input{{{"a", base}, {"b", r}}, {{"a", r}, {"b", base}, {"c", r}}} {
			c, err := Compare(in)
			if err != nil {
				t.Fatal(err)
			}
			narrow(t, comparisonText(t, c, 80, Style{}), true)
			if err := c.Write(&bytes.Buffer{}); err != nil {
				t.Fatal(err)
			}
			comparisonPage(t, c)
		}
	})
}
