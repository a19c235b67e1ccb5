package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// How wide the parts of a line of figures are. Four runs fit into 80 columns.
const (
	labelWidth = 16
	valueWidth = 10
	// ratioWidth is that of a ratio and its mark: " 0.50x +".
	ratioWidth = 8
)

// CompareText writes runs side by side for a terminal of the given width, at
// least 60 columns: what each run is, the figures with their ratios to the
// first run's, and the thresholds that were missed. Runs that do not fit beside
// each other follow in further blocks, each with the first run.
func CompareText(w io.Writer, c *Comparison, columns int, s Style) error {
	columns = max(columns, 60)
	var b strings.Builder
	line := func(text string) {
		b.WriteString(strings.TrimRight(text, " "))
		b.WriteByte('\n')
	}
	for i := range c.Runs {
		s.compared(line, &c.Runs[i], min(columns, width80+20))
		line("")
	}
	for i := range c.Runs {
		if r := &c.Runs[i]; len(r.Differs) > 0 {
			text := fmt.Sprintf("%s cannot be compared with %s: %s", r.Key, c.Runs[0].Key, strings.Join(r.Differs, "; "))
			s.paragraph(line, "warning", text, columns)
			line("")
		}
	}
	beside := max(1, (columns-labelWidth-valueWidth)/(valueWidth+ratioWidth))
	for from := 1; from < len(c.Runs); from += beside {
		shown := []int{0}
		for i := from; i < min(from+beside, len(c.Runs)); i++ {
			shown = append(shown, i)
		}
		s.block(line, c, shown)
		if from+beside < len(c.Runs) {
			line("")
		}
	}
	s.failed(line, c, columns)
	line("")
	line(s.paint(faint, s.legend(c)))
	_, err := io.WriteString(w, b.String())
	return err
}

// compared says what a run is.
func (s Style) compared(line func(string), r *Compared, columns int) {
	line(s.paint(bold, r.Key+"  "+s.cut(r.Name, columns-3)))
	machine := "commit " + r.Machine.Commit + ", " + machineWords(&r.Machine)
	run := r.File
	if r.Run != "" {
		run += ", run " + r.Run
	}
	// What tells runs apart comes first, as long names are cut.
	log := r.Ingest
	if r.Partitions > 0 {
		log = plural(int64(r.Partitions), "partition", "partitions") + ", " + log
	}
	store := r.Serve
	if r.Layout != "" {
		store = r.Layout + ", " + store
	}
	for _, x := range [][2]string{{"from", run}, {"log", log}, {"engine", r.Engine}, {"store", store}, {"on", machine}} {
		line(s.paint(faint, fmt.Sprintf("   %-7s %s", x[0], s.cut(x[1], columns-11))))
	}
}

// paragraph writes a text that is wrapped beside its heading.
func (s Style) paragraph(line func(string), heading, text string, columns int) {
	for i, part := range wrap(s.clean(text), columns-9) {
		if i > 0 {
			heading = ""
		}
		line(s.paint(red, fmt.Sprintf("%-9s", heading)) + part)
	}
}

// block writes the table of some of the runs, the first one of which is what
// the others are compared with.
func (s Style) block(line func(string), c *Comparison, shown []int) {
	head := strings.Repeat(" ", labelWidth)
	verdict := fmt.Sprintf("%-*s", labelWidth, "verdict")
	missed := fmt.Sprintf("%-*s", labelWidth, "missed")
	for n, i := range shown {
		rest := ""
		if n > 0 {
			rest = strings.Repeat(" ", ratioWidth)
		}
		r := &c.Runs[i]
		head += fmt.Sprintf("%*s", valueWidth, r.Key) + rest
		code := map[string]string{passed: bold + ";" + green, failed: bold + ";" + red, done: bold}[r.Verdict]
		verdict += strings.Repeat(" ", max(0, valueWidth-len(r.Verdict))) + s.paint(code, r.Verdict) + rest
		missed += fmt.Sprintf("%*s", valueWidth, number(int64(len(r.Missed)))) + rest
	}
	line(s.paint(bold, head))
	line(verdict)
	line(missed)
	group := ""
	for i := range c.Figures {
		f := &c.Figures[i]
		if !f.knownTo(shown) {
			continue
		}
		if f.Group != group {
			group = f.Group
			line("")
			line(s.paint(bold, group))
		}
		text := fmt.Sprintf(" %-*s", labelWidth-1, f.Label)
		for n, i := range shown {
			text += fmt.Sprintf("%*s", valueWidth, f.cell(i))
			if n > 0 {
				text += s.ratio(f.Ratios[i], f.Judged[i])
			}
		}
		line(text)
	}
}

// knownTo tells whether any of the runs knows the figure.
func (f *Figure) knownTo(shown []int) bool {
	for _, i := range shown {
		if f.Values[i] != nil {
			return true
		}
	}
	return false
}

// cell writes a run's value in at most valueWidth columns.
func (f *Figure) cell(i int) string {
	v := f.Values[i]
	if v == nil {
		return "-"
	}
	return f.Unit.write(*v)
}

// write writes a value of the unit in at most valueWidth-1 columns.
func (u Unit) write(v float64) string {
	if text := u.words(v); len(text) < valueWidth {
		return text
	}
	return strconv.FormatFloat(v, 'e', 1, 64) // nothing that a run can have
}

func (u Unit) words(v float64) string {
	const room = valueWidth - 1
	switch u {
	case UnitRate:
		return short(whole(v), room-2) + "/s"
	case UnitPercent:
		return strconv.FormatFloat(min(v, 1e6), 'f', 1, 64) + "%"
	case UnitMillis:
		return millis(v)
	case UnitSeconds:
		if v < 1e5 {
			return strconv.FormatFloat(v, 'f', 1, 64)
		}
		return short(whole(v), room)
	case UnitBytes:
		return size(v)
	case UnitCharge, UnitPerSecRU:
		if v < 99.95 {
			return requestUnits(v)
		}
	}
	return short(whole(v), room)
}

// whole rounds, within what a count can be.
func whole(v float64) int64 { return int64(math.Round(max(-9e15, min(9e15, v)))) }

// ratio writes a ratio and how it is judged, ratioWidth columns wide.
func (s Style) ratio(ratio *float64, judged Judgement) string {
	text, mark, code := "", " ", ""
	if ratio != nil {
		text = times(*ratio)
	}
	switch judged {
	case IsBetter:
		mark, code = "+", green
	case IsWorse:
		mark, code = "!", red
	case IsSame:
		mark = "="
	}
	if code != "" {
		return fmt.Sprintf("%*s ", ratioWidth-2, text) + s.paint(code, mark)
	}
	return fmt.Sprintf("%*s ", ratioWidth-2, text) + mark
}

// times writes a ratio in at most six columns: 0.97x, 12.5x, 340x.
func times(v float64) string {
	switch {
	case v >= 9999:
		return ">9999x"
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64) + "x"
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64) + "x"
	}
	return strconv.FormatFloat(v, 'f', 2, 64) + "x"
}

// failed writes what failed, run by run.
func (s Style) failed(line func(string), c *Comparison, columns int) {
	headed := false
	for i := range c.Runs {
		r := &c.Runs[i]
		failure := c.reports[i].Failure
		if len(r.Missed) == 0 && failure == "" {
			continue
		}
		if !headed {
			headed = true
			line("")
			line(s.paint(bold, fmt.Sprintf("%-31s %-*s %s", "what failed", columns-52, "must be", "is")))
		}
		if failure != "" {
			for n, part := range wrap(s.clean("the run failed: "+failure), columns-5) {
				key := r.Key
				if n > 0 {
					key = " "
				}
				line(fmt.Sprintf(" %s %s", key, part))
			}
		}
		for _, t := range r.Missed {
			line(fmt.Sprintf(" %s %s %-26s %-*s %s", r.Key, s.mark(false), s.cut(t.Name, 26), columns-52, s.cut(t.Expected, columns-52), s.cut(t.Actual, 18)))
		}
	}
	for i := range c.Runs {
		for _, h := range c.Runs[i].Hints {
			line("")
			for n, part := range wrap(s.clean(h), columns-8) {
				line(fmt.Sprintf("%-8s%s", map[bool]string{true: "hint " + c.Runs[i].Key}[n == 0], part))
			}
		}
	}
}

// legend says what the ratios and marks mean.
func (s Style) legend(c *Comparison) string {
	return fmt.Sprintf("ratios are to %s: + better, ! worse, = the same within %.0f %%; - is not known", c.Runs[0].Key, 100*sameWithin)
}
