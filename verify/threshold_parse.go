package verify

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"millrace/connector"
)

// ConditionError says where in a check something else was expected.
type ConditionError struct {
	// Column counts characters from 1.
	Column int
	// Problem is one sentence.
	Problem string
}

func (e *ConditionError) Error() string { return fmt.Sprintf("column %d: %s", e.Column, e.Problem) }

// ParseCondition reads a check such as `latency.endToEnd.p99 < 1s`, `stored ==
// unique` or `throughput.stored >= 99% of rate`. Errors are *ConditionError.
func ParseCondition(text string) (*Condition, error) {
	p := &parser{text: text}
	c := &Condition{text: text, share: 1}
	var err error
	if c.figure, err = p.figure("a figure such as missing or latency.endToEnd.p99"); err != nil {
		return nil, err
	}
	if c.op, err = p.operator(); err != nil {
		return nil, err
	}
	if err := p.value(c); err != nil {
		return nil, err
	}
	if w := p.next(); w.text != "" {
		return nil, p.fail(w, "nothing more is expected after the value, but found %q", w.text)
	}
	return c, nil
}

type parser struct {
	text string
	pos  int
}

// word is one token and where it begins.
type word struct {
	text string
	at   int
}

func (p *parser) fail(w word, format string, args ...any) error {
	return &ConditionError{Column: len([]rune(p.text[:w.at])) + 1, Problem: fmt.Sprintf(format, args...)}
}

// next returns the next token: a run of operator characters, or a run of
// others up to white space or an operator, a % closing it.
func (p *parser) next() word {
	for p.pos < len(p.text) && (p.text[p.pos] == ' ' || p.text[p.pos] == '\t' || p.text[p.pos] == '\n') {
		p.pos++
	}
	w := word{at: p.pos}
	operator := false
	for ; p.pos < len(p.text); p.pos++ {
		c := p.text[p.pos]
		is := strings.IndexByte("=<>!", c) >= 0
		if p.pos == w.at {
			operator = is
		}
		if is != operator || c == ' ' || c == '\t' || c == '\n' {
			break
		}
		if c == '%' {
			p.pos++
			break
		}
	}
	w.text = p.text[w.at:p.pos]
	return w
}

func (p *parser) figure(expected string) (*metric, error) {
	w := p.next()
	if w.text == "" {
		return nil, p.fail(w, "expected %s", expected)
	}
	if m := findMetric(w.text); m != nil {
		return m, nil
	}
	return nil, p.fail(w, "expected %s, but found %q%s", expected, w.text, suggestion(w.text))
}

func (p *parser) operator() (string, error) {
	w := p.next()
	switch w.text {
	case "==", "!=", "<", "<=", ">", ">=":
		return w.text, nil
	case "":
		return "", p.fail(w, "expected a comparison: == != < <= > >=")
	case "=":
		return "", p.fail(w, "expected a comparison, but found %q; write ==", w.text)
	}
	return "", p.fail(w, "expected a comparison (== != < <= > >=), but found %q", w.text)
}

// value reads what follows the operator into c.
func (p *parser) value(c *Condition) error {
	w := p.next()
	if w.text == "" {
		return p.fail(w, "expected %s, another figure, or a share such as 99%% of rate", c.figure.unit)
	}
	if first := w.text[0]; first != '-' && first != '+' && first != '.' && (first < '0' || first > '9') {
		p.pos = w.at
		return p.compared(c, "another figure or "+c.figure.unit.String())
	}
	if share, ok := strings.CutSuffix(w.text, "%"); ok {
		v, err := finite(share)
		if err != nil {
			return p.fail(w, "%q is not a percentage such as 99%%", w.text)
		}
		if of := p.next(); of.text != "of" {
			return p.fail(of, "expected `of` and a figure after %s, as in 99%% of rate", w.text)
		}
		c.share = v / 100
		return p.compared(c, "a figure such as rate")
	}
	var err error
	if c.value, err = constant(w.text, c.figure.unit); err != nil {
		return p.fail(w, "%s is measured as %s, but found %q", c.figure.name, c.figure.unit, w.text)
	}
	return nil
}

// compared reads the figure that c's is compared with.
func (p *parser) compared(c *Condition, expected string) error {
	at := p.pos
	var err error
	if c.other, err = p.figure(expected); err != nil {
		return err
	}
	if c.other.unit != c.figure.unit {
		for at < len(p.text) && p.text[at] == ' ' {
			at++
		}
		return p.fail(word{at: at}, "%s is %s and cannot be compared with %s, which is %s",
			c.other.name, c.other.unit, c.figure.name, c.figure.unit)
	}
	return nil
}

// constant reads a value of the unit.
func constant(text string, u unit) (float64, error) {
	switch u {
	case duration:
		d, err := time.ParseDuration(text)
		return float64(d) / float64(time.Microsecond), err
	case size:
		var b connector.Bytes
		err := b.UnmarshalText([]byte(text))
		return float64(b), err
	case perSecond:
		text = strings.TrimSuffix(text, "/s")
	}
	return finite(text)
}

// finite reads a plain decimal number.
func finite(text string) (float64, error) {
	if strings.ContainsAny(text, "xXpP_") {
		return 0, strconv.ErrSyntax
	}
	v, err := strconv.ParseFloat(text, 64)
	if err == nil && (math.IsInf(v, 0) || math.IsNaN(v)) {
		err = strconv.ErrRange
	}
	return v, err
}

// suggestion names the figure that was probably meant, else all of them.
func suggestion(name string) string {
	best, distance := "", len(name)/3+2
	for _, m := range metrics {
		if d := edits(strings.ToLower(name), strings.ToLower(m.name)); d < distance {
			best, distance = m.name, d
		}
	}
	var names []string
	for _, m := range metrics {
		names = append(names, m.name)
	}
	known := "; known figures: " + strings.Join(names, ", ")
	if best != "" {
		return fmt.Sprintf("; did you mean %s?%s", best, known)
	}
	return known
}

// edits is the number of insertions, deletions and replacements that turn a
// into b.
func edits(a, b string) int {
	if len(a) > 100 {
		return len(a)
	}
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for k := range len(b) {
			change := diagonal
			if a[i] != b[k] {
				change++
			}
			diagonal = row[k+1]
			row[k+1] = min(change, diagonal+1, row[k]+1)
		}
	}
	return row[len(b)]
}
