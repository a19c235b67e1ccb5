package report

import (
	"bytes"
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"
)

func pageOf(t testing.TB, r *Report) string {
	t.Helper()
	var b bytes.Buffer
	if err := HTML(&b, r); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestPageNeedsNothingElse: no address, no other file, and a policy that
// forbids the browser to fetch any.
func TestPageNeedsNothingElse(t *testing.T) {
	each(t, func(t *testing.T, _ string, r *Report) {
		text := pageOf(t, r)
		head, _, _ := strings.Cut(text, `<script type="application/json"`)
		for _, pattern := range []string{`(?i)\bsrc\s*=`, `(?i)\bhref\s*=`, `(?i)<link`, `(?i)<iframe`, `(?i)<img`, `(?i)@import`,
			`(?i)url\(`, `(?i)https?://`, `(?i)\bfetch\(`, `XMLHttpRequest`, `(?i)\son[a-z]+\s*=`, `ZgotmplZ`, `%!`, `NaN`, `Inf`} {
			if m := regexp.MustCompile(pattern).FindString(head); m != "" {
				t.Errorf("the page has %q", m)
			}
		}
		if !strings.Contains(text, `content="default-src 'none';`) {
			t.Error("the page has no policy against fetching")
		}
	})
}

// TestPageEmbedsTheReport: the JSON in the page is the report.
func TestPageEmbedsTheReport(t *testing.T) {
	each(t, func(t *testing.T, _ string, r *Report) {
		text := pageOf(t, r)
		_, rest, _ := strings.Cut(text, `<script type="application/json" id="report">`)
		data, _, ok := strings.Cut(rest, "</script>")
		if !ok {
			t.Fatal("no JSON")
		}
		back, err := Read(strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(back)
		want, _ := json.Marshal(r)
		if !bytes.Equal(got, want) {
			t.Errorf("embedded\n%s\nwant\n%s", got, want)
		}
	})
}

func TestPageText(t *testing.T) {
	text := pageOf(t, failing(t))
	golden(t, "fail.html", []byte(text))
	for _, want := range []string{"<title>FAIL: hdinsightkafka-databricks-sqldw", "312 events are missing", ">599,650<",
		"4b1f6f0e-6b0e-4b6c-9a51-0f0b8d1f2a33", "contoso://device-id-&lt;b&gt;12&lt;/b&gt;", "password: &#39;***&#39;",
		`<desc id="d-throughput">sent between`, "throughput.stored", "embedded (for databricks)", "Example CPU"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not have %q", want)
		}
	}
	if strings.Contains(text, "<b>12") {
		t.Error("text of an event became markup")
	}
	if strings.Contains(pageOf(t, broken()), "hunter2") {
		t.Error("a password is on the page")
	}
}

// TestHostileText: whatever a name or a sentence holds stays text.
func TestHostileText(t *testing.T) {
	r := failing(t)
	evil := `</script><script>alert(1)</script>"'><img src=x onerror=alert(1)>` + "\u2028{{.}}"
	r.Solution, r.Run, r.Ingest, r.Serve, r.Engine, r.Reason, r.Configuration = evil, evil, evil, evil, evil, evil, evil
	r.Examples[0].Detail, r.Examples[0].Device = evil, evil
	text := pageOf(t, r)
	if strings.Contains(text, "<img") || strings.Contains(text, "<script>alert") {
		t.Error("text became markup")
	}
	if n := strings.Count(text, "</script>"); n != 2 {
		t.Errorf("%d script ends, want 2", n)
	}
}

func TestChart(t *testing.T) {
	r := &Report{}
	r.Throughput.IntervalSeconds = 10
	for i, v := range []float64{10, 20, math.NaN(), 40, 35} {
		r.Throughput.PerInterval = append(r.Throughput.PerInterval,
			Interval{At: began.Add(time.Duration(i) * 10 * time.Second), P50Ms: v, Warm: i > 1})
	}
	c := newChart("x", "X", r, compact, lineOf{"v", "a", func(x *Interval) float64 { return x.P50Ms }})
	if got, want := string(c.Lines[0].Path), `d="M98.2 150L178.6 104M339.4 12L419.8 35"`; got != want {
		t.Errorf("path %s, want %s", got, want)
	}
	if len(c.Lines[0].Points) != 4 || len(c.Spots) != 5 || c.Warm != 218.8 {
		t.Errorf("%d points, %d spots, warm at %g", len(c.Lines[0].Points), len(c.Spots), c.Warm)
	}
	if c.Summary != "v between 10 and 40." {
		t.Errorf("summary %q", c.Summary)
	}
	if c := newChart("x", "X", &Report{}, compact); !c.Empty {
		t.Error("a chart of nothing is not empty")
	}
}

func TestAxis(t *testing.T) {
	for top, want := range map[float64]string{
		1: "0 0.2 0.4 0.6 0.8 1", 9: "0 2 4 6 8 10", 10110: "0 2500 5000 7500 10k 12.5k", 50: "0 10 20 30 40 50", 3e6: "0 1M 2M 3M",
	} {
		end, ticks := axis(top, compact)
		var labels []string
		for _, x := range ticks {
			labels = append(labels, x.Label)
		}
		if got := strings.Join(labels, " "); got != want || end < top {
			t.Errorf("%g: %s to %g, want %s", top, got, end, want)
		}
	}
}

func TestTimeLabels(t *testing.T) {
	for s, want := range map[float64]string{0: "0s", 5: "5s", 60: "1m", 70: "1m10s", 90: "1m30s", 600: "10m", 3600: "1h", 4200: "1h10m", 5400: "1h30m", 7230: "2h0m30s"} {
		if got := clockAt(s); got != want {
			t.Errorf("%g: %s, want %s", s, got, want)
		}
	}
}
