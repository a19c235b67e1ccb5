package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Condition is a parsed threshold: figure, comparison, value.
//
//	check := figure op value
//	op    := "==" | "!=" | "<=" | ">=" | "<" | ">"
//	value := [number "%" "of"] figure | number | rate | duration | size
//
// A rate is a number followed by /s, a duration is one of Go (1.5s), a size is
// one of connector.Bytes (700MB). A plain number fits every unit but
// durations, of which only 0 is clear without one.
type Condition struct {
	text   string
	figure *metric
	op     string
	// share of other, or the constant value if other is nil.
	share float64
	other *metric
	value float64
}

// String returns the check as it was written.
func (c *Condition) String() string { return c.text }

// NeedsRate says that the check can be judged in paced runs only.
func (c *Condition) NeedsRate() bool {
	return c.figure.name == rateMetric || c.other != nil && c.other.name == rateMetric
}

// Result is a threshold and what came of it.
type Result struct {
	// Name is the figure; Expected what was asked of it.
	Name, Expected string
	// Actual is its value, or a sentence if it was not measured.
	Actual string
	Pass   bool
}

// judge compares. A figure that was not measured never passes.
func (c *Condition) judge(v *Verdict, m *Measured) Result {
	r := Result{Name: c.figure.name, Expected: c.expected(v, m)}
	a, ok := c.figure.value(v, m)
	if !ok {
		r.Actual = "not measured"
		return r
	}
	r.Actual = c.figure.unit.format(a)
	b := c.value
	if c.other != nil {
		if b, ok = c.other.value(v, m); !ok {
			r.Actual += fmt.Sprintf(" (%s was not measured)", c.other.name)
			return r
		}
		b *= c.share
	}
	switch c.op {
	case "==":
		r.Pass = a == b
	case "!=":
		r.Pass = a != b
	case "<":
		r.Pass = a < b
	case "<=":
		r.Pass = a <= b
	case ">":
		r.Pass = a > b
	case ">=":
		r.Pass = a >= b
	}
	return r
}

// expected says what the figure is compared with, the present value of another
// figure included.
func (c *Condition) expected(v *Verdict, m *Measured) string {
	if c.other == nil {
		return c.op + " " + c.figure.unit.format(c.value)
	}
	text := c.op + " "
	if c.share != 1 {
		text += strconv.FormatFloat(c.share*100, 'g', 6, 64) + "% of "
	}
	text += c.other.name
	if b, ok := c.other.value(v, m); ok {
		text += " (" + c.figure.unit.format(b*c.share) + ")"
	}
	return text
}

// inherent are the thresholds of every run: nothing lost, nothing twice,
// nothing altered, nothing from nowhere, order kept, dead letters exact.
var inherent = []string{
	"missing == 0",
	"duplicates == 0",
	"unexpected == 0",
	"corrupted == 0",
	"outOfSequence == 0",
	"untimed == 0",
	"deadLetters.missing == 0",
	"deadLetters.wellFormed == 0",
	"deadLetters.wrongReason == 0",
	"deadLetters.unknown == 0",
	"deadLetters.repeated == 0",
	"imbalances == 0",
}

// inherentRaw are those of every run with a raw archive.
var inherentRaw = []string{
	"raw.missing == 0",
	"raw.surplus == 0",
	"raw.gaps == 0",
	"raw.overlaps == 0",
}

// Judge evaluates the thresholds that hold for every run and then those given,
// and sets v.Thresholds, v.Notes and v.Pass. Thresholds for paced runs are left
// out if v was measured without a rate, and if the run was interrupted: nobody
// stored anything in the meantime, and what waited for it is as late as the
// interruption was long. What only the engine's own process knows is left out
// where that is another one. It fails on a threshold that Validate would have
// refused.
func (v *Verdict) Judge(thresholds []Threshold, m Measured) error {
	v.Thresholds, v.Notes, v.Pass = nil, nil, true
	var skipped, elsewhere []string
	seen := make(map[string]bool)
	judge := func(t Threshold) error {
		c, err := ParseCondition(t.Check)
		if err != nil {
			return fmt.Errorf("threshold %q: %w", t.Check, err)
		}
		key := strings.Join(strings.Fields(t.Check), "")
		paced := t.When == Paced || t.When == OnWindows
		if seen[key] || paced && (v.Throughput.Rate == 0 || (t.When == OnWindows) != (v.Windowed != nil)) {
			return nil
		}
		seen[key] = true
		if _, measured := c.figure.value(v, &m); !measured && c.figure.ofEngine() {
			elsewhere = append(elsewhere, c.figure.name)
			return nil
		}
		if paced && v.Continued {
			skipped = append(skipped, c.figure.name)
			return nil
		}
		r := c.judge(v, &m)
		v.Thresholds = append(v.Thresholds, r)
		v.Pass = v.Pass && r.Pass
		return nil
	}
	texts := inherent
	if v.Raw != nil {
		texts = slices.Concat(texts, inherentRaw)
	}
	for _, text := range texts {
		if err := judge(Threshold{Check: text}); err != nil {
			return err
		}
	}
	for _, t := range thresholds {
		if err := judge(t); err != nil {
			return err
		}
	}
	if w := v.Windowed; w != nil {
		v.Notes = append(v.Notes, w.note(v.Events.Unique))
	}
	if len(elsewhere) > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("%s not judged: only the process in which the engine runs knows", strings.Join(elsewhere, ", ")))
	}
	if len(skipped) > 0 {
		v.Notes = append(v.Notes, "the run was interrupted and continued, so not judged: "+strings.Join(skipped, ", "))
	}
	return nil
}
