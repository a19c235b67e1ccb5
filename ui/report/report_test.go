package report

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"millrace/internal/metrics"
)

func each(t *testing.T, fn func(t *testing.T, name string, r *Report)) {
	for name, r := range map[string]*Report{"pass": passing(t), "fail": failing(t), "broken": broken(), "unverified": unverified(), "continued": continued(t), "archive": archive(t, true), "archive-flawed": archive(t, false), "charged": charged(t)} {
		t.Run(name, func(t *testing.T) { fn(t, name, r) })
	}
}

func TestJSON(t *testing.T) {
	each(t, func(t *testing.T, name string, r *Report) {
		var b bytes.Buffer
		if err := r.Write(&b); err != nil {
			t.Fatal(err)
		}
		if n := bytes.Count(b.Bytes(), []byte("\n")); n != 1 {
			t.Errorf("%d lines, want one object on one line", n)
		}
		var pretty bytes.Buffer
		if err := json.Indent(&pretty, b.Bytes(), "", "  "); err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", pretty.Bytes())
		back, err := Read(&b)
		if err != nil {
			t.Fatal(err)
		}
		again, _ := json.Marshal(back)
		first, _ := json.Marshal(r)
		if !bytes.Equal(again, first) {
			t.Errorf("read back\n%s\nwritten\n%s", again, first)
		}
	})
}

// TestJSONFields: the names that users rely on.
func TestJSONFields(t *testing.T) {
	data, err := json.Marshal(passing(t))
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(data, &got); err != nil {
		t.Fatal(err)
	}
	for _, path := range strings.Fields(`schema solution engine ingest serve started wallSeconds
		machine.cpus machine.go machine.commit
		events.offered events.unsent events.sent events.unique events.injectedDuplicates events.stored events.missing
		events.duplicates events.unexpected events.corrupted events.outOfSequence events.deadLettered events.droppedByPolicy
		throughput.sentPerSecond throughput.storedPerSecond throughput.minPerSecond
		throughput.perInterval.0.at throughput.perInterval.0.in throughput.perInterval.0.out
		throughput.perInterval.0.throttled throughput.perInterval.0.backlog
		latencyMs.endToEnd.p50 latencyMs.endToEnd.p95 latencyMs.endToEnd.p99 latencyMs.endToEnd.max
		latencyMs.ingest.p99 latencyMs.process.p99 latencyMs.serve.p99
		resources.cpuSeconds resources.cpuSecondsPerMillionEvents resources.peakRSSBytes
		thresholds.0.name thresholds.0.expected thresholds.0.actual thresholds.0.pass pass`) {
		at := got
		for _, key := range strings.Split(path, ".") {
			switch v := at.(type) {
			case map[string]any:
				at = v[key]
			case []any:
				at = v[0]
			}
		}
		if at == nil {
			t.Errorf("%s is not there", path)
		}
	}
}

func TestJSONSchema(t *testing.T) {
	c := jsonschema.NewCompiler()
	schema, err := c.Compile("report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	check := func(t *testing.T, data []byte) error {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(v)
	}
	each(t, func(t *testing.T, _ string, r *Report) {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := check(t, data); err != nil {
			t.Errorf("%v", err)
		}
		for _, bend := range [][2]string{
			{`"schema":"millrace.report/1"`, `"schema":"millrace.report/2"`},
			{`"stored":`, `"stored":-1,"was":`},
			{`"pass":`, `"passed":`},
			{`"cpus":2`, `"cpus":"2"`},
		} {
			bent := bytes.Replace(data, []byte(bend[0]), []byte(bend[1]), 1)
			if bytes.Equal(bent, data) {
				t.Fatalf("%s is not in the report", bend[0])
			}
			if bend[0] == `"pass":` {
				bent = bytes.ReplaceAll(data, []byte(bend[0]), []byte(bend[1]))
			}
			if check(t, bent) == nil {
				t.Errorf("the schema accepts %s", bend[1])
			}
		}
	})
	// Every field of the report is described.
	text, err := os.ReadFile("report.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	data, _ := json.Marshal(failing(t))
	var v any
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for k, x := range v {
				if k != "byReason" && !bytes.Contains(text, []byte(`"`+k+`"`)) {
					t.Errorf("the schema does not name %q", k)
				}
				if k != "byReason" {
					walk(x)
				}
			}
		case []any:
			for _, x := range v {
				walk(x)
			}
		}
	}
	walk(v)
}

func TestReadRefuses(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "it is empty",
		"  \n":                            "it is empty",
		"{":                               "unexpected end",
		"[]":                              "does not say",
		"7":                               "does not say",
		`{"schema":7}`:                    "does not say",
		"<!DOCTYPE html>":                 "it is a page",
		`{"schema":"millrace.compare/1"}`: "it is a comparison",
		`{"schema":"millrace.report/1","events":[]}`: "cannot unmarshal",
		"{}":                               "does not say that it is one",
		`{"schema":"millrace.report/2"}`:   `its format is "millrace.report/2"`,
		`{"schema":"other"}`:               "does not say",
		`{"schema":"millrace.report/1"} x`: "invalid character",
	} {
		_, err := Read(strings.NewReader(text))
		ok := false
		for _, w := range strings.Split(want, "|") {
			ok = ok || err != nil && strings.Contains(err.Error(), w)
		}
		if !ok {
			t.Errorf("%q: error %v, want %s", text, err, want)
		}
	}
	if _, err := Load(t.TempDir() + "/none.json"); err == nil {
		t.Error("a file that does not exist was read")
	}
	if r, err := Load("testdata/fail.json"); err != nil || r.Events.Missing != 312 {
		t.Errorf("testdata/fail.json: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"schema":"millrace.report/1","seed":"7","verified":true,"thresholds":[{"name":"missing","expected":"== 0","actual":"3"}],` +
		`"throughput":{"intervalSeconds":5,"perInterval":[{"at":"2026-05-04T10:00:00Z","seconds":5,"in":1,"p99Ms":2.5},{"in":-1,"seconds":1e300}]},` +
		`"examples":[{"kind":"missing","detail":"x"}],"started":"2026-05-04T10:00:00Z","latencyMs":{"endToEnd":{"p50":1e308}}}`))
	for _, name := range []string{"testdata/pass.json", "testdata/fail.json", "testdata/broken.json"} {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Read(bytes.NewReader(data))
		if err != nil {
			return
		}
		// Whatever is read can be shown, as plain ASCII.
		var b bytes.Buffer
		if err := Summary(&b, r, Style{}); err != nil {
			t.Fatal(err)
		}
		for _, c := range b.String() {
			if c != '\n' && (c < ' ' || c > '~') {
				t.Fatalf("%q in the summary", c)
			}
		}
		if err := HTML(&b, r); err != nil {
			t.Fatal(err)
		}
	})
}

func TestSummary(t *testing.T) {
	each(t, func(t *testing.T, name string, r *Report) {
		for suffix, s := range map[string]Style{".txt": {Unicode: true}, ".ascii.txt": {}, ".color.txt": {Color: true, Unicode: true}} {
			var b bytes.Buffer
			if err := Summary(&b, r, s); err != nil {
				t.Fatal(err)
			}
			golden(t, name+suffix, b.Bytes())
			narrow(t, b.String(), !s.Unicode)
			if has := strings.Contains(b.String(), "\x1b["); has != s.Color {
				t.Errorf("colours: %v", has)
			}
		}
		var b bytes.Buffer
		_ = Summary(&b, r, Style{})
		text := strings.TrimSpace(b.String())
		last := text[strings.LastIndex(text, "\n\n")+2:]
		if want := map[string]string{"pass": "PASS  ", "continued": "PASS  ", "archive": "PASS  ", "unverified": "DONE  not verified"}[name]; !strings.HasPrefix(last, cmp.Or(want, "FAIL  ")) {
			t.Errorf("the end is %q", last)
		}
	})
}

// narrow checks that nothing is wider than a terminal.
func narrow(t *testing.T, text string, ascii bool) {
	t.Helper()
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		for _, code := range []string{bold, faint, red, green, bold + ";" + green, bold + ";" + red, "0"} {
			line = strings.ReplaceAll(line, "\x1b["+code+"m", "")
		}
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
		for _, c := range line {
			if c < ' ' || ascii && c > '~' {
				t.Errorf("%q in %q", c, line)
			}
		}
	}
}

// TestSummaryOfExtremes: long names and large numbers stay within the width.
func TestSummaryOfExtremes(t *testing.T) {
	r := failing(t)
	long := strings.Repeat("ü\x1b[31m", 90)
	r.Solution, r.Ingest, r.Serve, r.Engine, r.Run, r.Reason = long, long, long, long, long, long+" "+long
	r.Imbalances = []string{long}
	e := &r.Events
	for _, p := range []*int64{&e.Sent, &e.Unsent, &e.InjectedDuplicates, &e.Malformed, &e.Stored, &e.Missing, &e.Duplicates,
		&e.Unexpected, &e.DeadLettered, &r.Fates.ServedOnce, &r.Fates.Lost} {
		*p = 123_456_789_012
	}
	r.LatencyMs.EndToEnd = Percentiles{1e9, 1e9, 1e9, 1e9, 1e9, 1e9}
	r.Throughput.SentPerSecond, r.Throughput.StoredPerSecond = 1e8, 1e8
	for _, s := range []Style{{}, {Unicode: true}, {Unicode: true, Color: true}} {
		var b bytes.Buffer
		if err := Summary(&b, r, s); err != nil {
			t.Fatal(err)
		}
		narrow(t, b.String(), !s.Unicode)
	}
}

func TestMetricsTable(t *testing.T) {
	r := failing(t)
	var b bytes.Buffer
	if err := MetricsTable(&b, r.Throughput.PerInterval, r.Throughput.IntervalSeconds, r.Limits, Style{}); err != nil {
		t.Fatal(err)
	}
	golden(t, "table.txt", b.Bytes())
	narrow(t, b.String(), true)
	x := Interval{At: began, In: 1e13, Out: 1e13, BytesIn: 1e15, BytesOut: 1e15, Throttled: 1e10, Backlog: 1e13}
	narrow(t, TableRow(&x, 5, r.Limits), true)
	if row := TableRow(&Interval{At: began, Backlog: -1}, 5, nil); !strings.Contains(row, "unknown") {
		t.Errorf("row %q", row)
	}
}

// TestIntervalsAddUp: what the samples counted is spread over the intervals
// without loss.
func TestIntervalsAddUp(t *testing.T) {
	run, v := sampleRun()
	// A first sample that is late has counted something already.
	run.Samples[0].Acked, run.Samples[0].Processed, run.Samples[0].SentBytes = 3, 2, 3000
	for name, list := range map[string][]Interval{"with a verdict": intervals(run.Samples, v), "without": intervals(run.Samples, nil)} {
		var in, processed, bytesIn int64
		for _, x := range list {
			in, processed, bytesIn = in+x.In, processed+x.Processed, bytesIn+x.BytesIn
		}
		last := run.Samples[len(run.Samples)-1]
		if in != last.Acked || processed != last.Processed || bytesIn != last.SentBytes {
			t.Errorf("%s: in %d of %d, processed %d of %d, bytes %d of %d", name,
				in, last.Acked, processed, last.Processed, bytesIn, last.SentBytes)
		}
	}
	if got := intervals(nil, nil); got == nil || len(got) != 0 {
		t.Errorf("no samples, no verdict: %v", got)
	}
}

func TestCountersBetweenSamples(t *testing.T) {
	s := []metrics.Sample{{At: began, Acked: 100, Backlog: -1}, {At: began.Add(10 * time.Second), Acked: 200, Backlog: 50}}
	for after, want := range map[time.Duration]int64{-time.Second: 100, 0: 100, 5 * time.Second: 150, 10 * time.Second: 200, time.Minute: 200} {
		if got := at(s, began.Add(after)); got.Acked != want {
			t.Errorf("after %s: %d, want %d", after, got.Acked, want)
		}
	}
	if got := at(s, began.Add(5*time.Second)).Backlog; got != -1 {
		t.Errorf("backlog %d between unknown and 50", got)
	}
}

func TestMask(t *testing.T) {
	for in, want := range map[string]string{
		"postgres://app:s3cret@db:5432/x":                      "postgres://app:***@db:5432/x",
		"postgres://db:5432/x":                                 "postgres://db:5432/x",
		"kafka 127.0.0.1:9092 topic telemetry":                 "kafka 127.0.0.1:9092 topic telemetry",
		"contoso://device-id-1 at 10:00:00 <me@x.org>":         "contoso://device-id-1 at 10:00:00 <me@x.org>",
		"Endpoint=sb://n/;SharedAccessKey=abc+/=;EntityPath=h": "Endpoint=sb://n/;SharedAccessKey=***;EntityPath=h",
		"AccountKey = abc==;x":                                 "AccountKey = ***;x",
		"host=h password=hunter2 user=u":                       "host=h password=*** user=u",
	} {
		if got := Mask(in); got != want {
			t.Errorf("%s\n got %s\nwant %s", in, got, want)
		}
	}
	data, _ := json.Marshal(broken())
	if bytes.Contains(data, []byte("hunter2")) {
		t.Errorf("a password is in the report: %s", data)
	}
}

func TestThisMachine(t *testing.T) {
	m := ThisMachine()
	if m.CPUs < 1 || !strings.HasPrefix(m.Go, "go") || m.Commit == "" {
		t.Errorf("%+v", m)
	}
}

func TestStyle(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if s := StyleFor(f, env(map[string]string{"LANG": "C", "LC_ALL": "de_DE.utf8"})); s != (Style{Unicode: true}) {
		t.Errorf("file, UTF-8: %+v", s)
	}
	if s := StyleFor(f, env(map[string]string{"LANG": "en_US.UTF-8", "LC_ALL": "C"})); s != (Style{}) {
		t.Errorf("file, C: %+v", s)
	}
}

// TestNotVerified: what nobody compared has not passed, and is no failure.
func TestNotVerified(t *testing.T) {
	r := unverified()
	var text, page bytes.Buffer
	if err := errors.Join(Summary(&text, r, Style{}), HTML(&page, r)); err != nil {
		t.Fatal(err)
	}
	if r.Pass || r.Verified || r.Word() != "DONE" || !strings.HasPrefix(r.Reason, "not verified") {
		t.Errorf("pass %v, verified %v, %s: %s", r.Pass, r.Verified, r.Word(), r.Reason)
	}
	for _, where := range []string{text.String(), page.String()} {
		if regexp.MustCompile(`\b(PASS|FAIL)\b`).MatchString(where) || !strings.Contains(where, "DONE") {
			t.Errorf("%s", where)
		}
	}
	if !strings.Contains(page.String(), `class="verdict done"`) {
		t.Error("the page shows a verdict")
	}
	if broken().Word() != "FAIL" {
		t.Error("a run that failed is not FAIL")
	}
}

// TestContinuedSaysSo: what was not judged is in the reason, of runs that pass
// and of others.
func TestContinuedSaysSo(t *testing.T) {
	const note = "; the run was interrupted and continued, so not judged: throughput.stored"
	r := continued(t)
	if !r.Pass || !strings.HasSuffix(r.Reason, note) || r.Throughput.StoredPerSecond != 5000 || len(r.Notes) != 1 {
		t.Errorf("pass %v, %v: %s", r.Pass, r.Throughput.StoredPerSecond, r.Reason)
	}
	r.Events.Missing, r.Pass = 1, false
	r.Thresholds[0].Pass, r.Thresholds[0].Actual = false, "1"
	if text := reason(r); text != "1 event is missing"+note {
		t.Errorf("reason %q", text)
	}
}
