package verify

import (
	"errors"
	"strings"
	"testing"
	"time"

	"millrace/connector"
)

func TestParseErrors(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"":                                 "column 1: expected a figure",
		"   ":                              "column 4: expected a figure",
		"mising == 0":                      `column 1: expected a figure such as missing or latency.endToEnd.p99, but found "mising"; did you mean missing?`,
		"latency.endtoend.p9 < 1s":         "did you mean latency.endToEnd.p9",
		"zzzzzzzzzzzz == 0":                "; known figures: offered, unsent",
		"missing":                          "column 8: expected a comparison",
		"missing = 0":                      `column 9: expected a comparison, but found "="; write ==`,
		"missing => 0":                     `column 9: expected a comparison (== != < <= > >=), but found "=>"`,
		"missing ==":                       "column 11: expected a number, another figure",
		"missing == lots":                  `column 12: expected another figure or a number, but found "lots"`,
		"missing == 0 0":                   `column 14: nothing more is expected after the value, but found "0"`,
		"latency.endToEnd.p99 < 1":         `column 24: latency.endToEnd.p99 is measured as a duration such as 250ms or 1s, but found "1"`,
		"missing == 1s":                    `column 12: missing is measured as a number, but found "1s"`,
		"missing == 0x10":                  "column 12: missing is measured as a number",
		"missing == 1e999":                 "column 12: missing is measured as a number",
		"memory.peak < fast":               "column 15: expected another figure or a size",
		"memory.peak < -1MB":               "column 15: memory.peak is measured as a size",
		"throughput.stored >= 99%":         "column 25: expected `of` and a figure after 99%",
		"throughput.stored >= 99% off":     "column 26: expected `of` and a figure after 99%",
		"throughput.stored >= x% of rate":  `column 22: expected another figure or a rate such as 9900/s, but found "x%"`,
		"throughput.stored >= 9x% of rate": `column 22: "9x%" is not a percentage such as 99%`,
		"throughput.stored >= 99% of":      "column 28: expected a figure such as rate",
		"throughput.stored >= 99% of raet": "did you mean rate?",
		"throughput.stored >= missing":     "column 22: missing is a number and cannot be compared with throughput.stored, which is a rate such as 9900/s",
		"fehlt-für == 0":                   "column 1: expected a figure",
		"missing ≤ 0":                      "column 9: expected a comparison",
	} {
		_, err := ParseCondition(text)
		var ce *ConditionError
		if !errors.As(err, &ce) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

// figures is a run with one value of each unit.
func figures() (*Verdict, Measured) {
	v := &Verdict{}
	v.Events.Missing, v.Events.Unique, v.Events.Stored = 3, 1000, 997
	v.Events.DeadLettered, v.Events.Malformed = 5, 5
	v.Throughput.Rate, v.Throughput.StoredPerSecond = 10000, 9912.5
	v.Latency.EndToEnd = Percentiles{Count: 1, P99: 312_400 * time.Microsecond}
	return v, Measured{PeakRSSBytes: 650 << 20}
}

func TestConditions(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Result{
		"missing == 0":                        {"missing", "== 0", "3", false},
		"missing != 0":                        {"missing", "!= 0", "3", true},
		"missing<=3":                          {"missing", "<= 3", "3", true},
		"missing < 0.5% of unique":            {"missing", "< 0.5% of unique (5)", "3", true},
		"missing > 3":                         {"missing", "> 3", "3", false},
		"stored == unique":                    {"stored", "== unique (1000)", "997", false},
		"deadLettered == malformed":           {"deadLettered", "== malformed (5)", "5", true},
		"latency.endToEnd.p99 < 1s":           {"latency.endToEnd.p99", "< 1s", "312.4ms", true},
		"latency.endToEnd.p99 < 0":            {"latency.endToEnd.p99", "< 0s", "312.4ms", false},
		"latency.endToEnd.p99 < 300ms":        {"latency.endToEnd.p99", "< 300ms", "312.4ms", false},
		"latency.serve.p99 < 1s":              {"latency.serve.p99", "< 1s", "not measured", false},
		"throughput.stored >= 99% of rate":    {"throughput.stored", ">= 99% of rate (9900/s)", "9912/s", true},
		"throughput.stored >= 99.5 % of rate": {},
		"throughput.stored >= 9950/s":         {"throughput.stored", ">= 9950/s", "9912/s", false},
		"throughput.stored >= 9900":           {"throughput.stored", ">= 9900/s", "9912/s", true},
		"memory.peak < 700MB":                 {"memory.peak", "< 700MB", "650MB", true},
		"memory.peak < 0.5GB":                 {},
		"cpu.seconds < 10":                    {"cpu.seconds", "< 10", "not measured", false},
	} {
		c, err := ParseCondition(text)
		if want == (Result{}) {
			if err == nil {
				t.Errorf("%q was accepted", text)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		v, m := figures()
		wantEqual(t, text, c.judge(v, &m), want)
		wantEqual(t, "text", c.String(), text)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	v, m := figures()
	v.Events.Missing = 0
	thresholds := []Threshold{
		{Check: "missing == 0"}, // holds for every run, and counts once
		{Check: "throughput.stored >= 99% of rate", When: Paced},
		{Check: "memory.peak < 700MB"},
	}
	if err := v.Judge(thresholds, m); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "thresholds", len(v.Thresholds), len(inherent)+2)
	wantEqual(t, "pass", v.Pass, true)

	v.Throughput.Rate = 0
	if err := v.Judge(thresholds, m); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "thresholds without a rate", len(v.Thresholds), len(inherent)+1)

	m.PeakRSSBytes = 701 << 20
	if err := v.Judge(thresholds, m); err != nil {
		t.Fatal(err)
	}
	wantEqual(t, "pass with too much memory", v.Pass, false)
	if err := v.Judge([]Threshold{{Check: "nonsense"}}, m); err == nil {
		t.Error("nonsense was accepted")
	}
}

// TestInherentThresholds: every kind of flaw fails a run that lists nothing.
func TestInherentThresholds(t *testing.T) {
	t.Parallel()
	for name, flaw := range map[string]func(v *Verdict){
		"missing":                 func(v *Verdict) { v.Events.Missing = 1 },
		"duplicates":              func(v *Verdict) { v.Events.Duplicates = 1 },
		"unexpected":              func(v *Verdict) { v.Events.Unexpected = 1 },
		"corrupted":               func(v *Verdict) { v.Events.Corrupted = 1 },
		"outOfSequence":           func(v *Verdict) { v.Events.OutOfSequence = 1 },
		"untimed":                 func(v *Verdict) { v.Events.Untimed = 1 },
		"deadLetters.missing":     func(v *Verdict) { v.DeadLetters.Missing = 1 },
		"deadLetters.wellFormed":  func(v *Verdict) { v.DeadLetters.WellFormed = 1 },
		"deadLetters.wrongReason": func(v *Verdict) { v.DeadLetters.WrongReason = 1 },
		"deadLetters.unknown":     func(v *Verdict) { v.DeadLetters.Unknown = 1 },
		"deadLetters.repeated":    func(v *Verdict) { v.DeadLetters.Repeated = 1 },
		"imbalances":              func(v *Verdict) { v.Imbalances = []string{"1 is not 2"} },
	} {
		v := &Verdict{}
		flaw(v)
		if err := v.Judge(nil, Measured{}); err != nil {
			t.Fatal(err)
		}
		for _, r := range v.Thresholds {
			wantEqual(t, name+": "+r.Name, r.Pass, r.Name != name)
		}
		wantEqual(t, name, v.Pass, false)
	}
}

func TestConfigNamesEveryProblem(t *testing.T) {
	t.Parallel()
	c := Config{Interval: connector.Duration(time.Millisecond), Warmup: -1, Thresholds: []Threshold{
		{Check: "missing == 0"},
		{Check: "latency.endToEnd.p99 < 1"},
		{Check: "throughput.stored >= 99% of rate"},
		{Check: "throughput.stored >= 99% of rate", When: Paced},
		{Check: "missing == 0", When: "sometimes"},
	}}
	want := []string{
		"interval: must be at least 100ms",
		"warmup: must not be negative",
		"thresholds[1].check: column 24: ",
		"thresholds[2].check: \"throughput.stored >= 99% of rate\" compares with the rate, which only a paced run has; add `when: paced`",
		`thresholds[4].when: "sometimes" is none of always, paced and windowed`,
	}
	got := c.Validate()
	wantEqual(t, "problems", len(got), len(want))
	for i := range min(len(got), len(want)) {
		if !strings.HasPrefix(got[i].Error(), want[i]) {
			t.Errorf("problem %d\n got %v\nwant %s", i, got[i], want[i])
		}
	}
	d := Defaults()
	wantEqual(t, "problems of the defaults", len(d.Validate()), 0)
}

func TestMetricNamesAreUnique(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, m := range MetricNames() {
		if seen[m[0]] || m[1] == "" {
			t.Errorf("%s: twice, or not described", m[0])
		}
		seen[m[0]] = true
	}
}

// FuzzParseCondition: whatever is accepted can be judged and parsed again.
func FuzzParseCondition(f *testing.F) {
	for _, s := range append([]string{
		"latency.endToEnd.p99 < 1s", "throughput.stored >= 99% of rate", "deadLettered == malformed",
		"memory.peak < 700MB", "unsent == 0", "cpu.seconds<1e3", "throughput.min > 10/s", "missing == -0",
		"missing == ", "missing ~ 1", "% of", "missing\t==\n0", "wall < 1h2m", "\xff == 0",
	}, inherent...) {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := ParseCondition(text)
		if err != nil {
			var ce *ConditionError
			if !errors.As(err, &ce) || ce.Column < 1 || ce.Column > len(text)+1 {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		v, m := figures()
		first := c.judge(v, &m)
		again, err := ParseCondition(" " + text + " ")
		if err != nil {
			t.Fatalf("%q is accepted, with spaces around it is not: %v", text, err)
		}
		if second := again.judge(v, &m); second != first {
			t.Fatalf("%q: %+v, with spaces around it %+v", text, first, second)
		}
	})
}

// TestEngineElsewhere: verify alone does not know how far the engine's time was
// behind, and says so instead of failing; a run knows.
func TestEngineElsewhere(t *testing.T) {
	t.Parallel()
	thresholds := []Threshold{{Check: "latency.watermark.max < 2s"}, {Check: "state.peak < 1MB"}}
	v := newWorld(10, 2).check(t)
	if err := v.Judge(thresholds, Measured{}); err != nil {
		t.Fatal(err)
	}
	if !v.Pass || len(v.Notes) != 1 || !strings.Contains(v.Notes[0], "latency.watermark.max, state.peak") {
		t.Errorf("pass %v, notes %q", v.Pass, v.Notes)
	}
	late := Measured{Watermark: Percentiles{Count: 1, Max: 3 * time.Second}, StateBytes: 10}
	if err := v.Judge(thresholds, late); err != nil {
		t.Fatal(err)
	}
	if v.Pass || len(v.Notes) != 0 {
		t.Errorf("pass %v, notes %q", v.Pass, v.Notes)
	}
}
