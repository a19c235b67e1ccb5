package report

import (
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/term"
)

// width80 is how wide terminal output may be.
const width80 = 80

// Style is how text is written.
type Style struct {
	// Color uses ANSI colours; without it the words say everything, too.
	Color bool
	// Unicode allows marks and lines beyond ASCII.
	Unicode bool
}

// StyleFor returns the style for a file: colour only on a terminal that knows
// it and not if NO_COLOR is set, Unicode only where the locale is UTF-8.
func StyleFor(f *os.File, getenv func(string) string) Style {
	var s Style
	s.Color = getenv("NO_COLOR") == "" && getenv("TERM") != "dumb" && term.IsTerminal(int(f.Fd()))
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if v := strings.ToUpper(getenv(name)); v != "" {
			s.Unicode = strings.Contains(v, "UTF-8") || strings.Contains(v, "UTF8")
			break
		}
	}
	return s
}

// The colours, as ANSI codes.
const (
	green = "32"
	red   = "31"
	bold  = "1"
	faint = "2"
)

func (s Style) paint(code, text string) string {
	if !s.Color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s Style) mark(pass bool) string {
	switch {
	case pass && s.Unicode:
		return s.paint(green, "✓")
	case pass:
		return s.paint(green, "ok")
	case s.Unicode:
		return s.paint(red, "✗")
	}
	return s.paint(red, "NO")
}

// clean makes text from outside safe for a terminal and, without Unicode,
// plain ASCII.
func (s Style) clean(text string) string {
	return strings.Map(func(c rune) rune {
		switch {
		case c == '\n' || c == '\t':
			return ' '
		case c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0:
			return -1
		case c > 0x7f && !s.Unicode:
			return '?'
		}
		return c
	}, text)
}

// cut shortens text to n columns.
func (s Style) cut(text string, n int) string {
	text = s.clean(text)
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	dots := "..."
	if s.Unicode {
		dots = "…"
	}
	runes := []rune(text)
	return string(runes[:max(0, n-utf8.RuneCountInString(dots))]) + dots
}

// Summary writes the run and its verdict for a terminal, at most 80 columns
// wide; the last sentence begins with Report.Word.
func Summary(w io.Writer, r *Report, s Style) error {
	var b strings.Builder
	line := func(format string, args ...any) {
		b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " "))
		b.WriteByte('\n')
	}
	head := r.Solution
	if r.Run != "" {
		head += "  run " + r.Run
	}
	line("%s", s.paint(bold, s.cut(head, width80)))
	line("%s", s.cut(fmt.Sprintf("started %s, took %s, %d CPUs, %s", r.Started.Format("2006-01-02 15:04:05 MST"),
		seconds(r.WallSeconds), r.Machine.CPUs, r.Machine.Go), width80))
	line("")
	for _, x := range [][2]string{{"log", r.Ingest}, {"engine", r.Engine}, {"store", storeName(r)}} {
		if x[1] != "" {
			line("%s", s.paint(faint, fmt.Sprintf("%-7s %s", x[0], s.cut(x[1], width80-8))))
		}
	}
	line("")
	for _, x := range stages(r) {
		room := width80 - 11
		if x.Latency != "" {
			room -= len(x.Latency) + 2
		}
		figures := s.cut(x.Figures, room)
		pad := strings.Repeat(" ", max(0, width80-11-len(x.Latency)-utf8.RuneCountInString(figures)))
		line(" %s %s%s%s", s.paint(bold, fmt.Sprintf("%-9s", x.Name)), figures, pad, x.Latency)
	}
	if r.Verified {
		s.verdict(line, r)
	}
	if p := r.Resources; p.CPUSeconds > 0 {
		line("")
		line("resources  %.1f CPU seconds, %.1f per million events, peak memory %s",
			p.CPUSeconds, p.CPUSecondsPerMillionEvents, size(float64(p.PeakRSSBytes)))
		if p.StateBytes > 0 {
			line("           the engine's state at most %s of it", size(float64(p.StateBytes)))
		}
	}
	if text := r.charged(); text != "" {
		for i, text := range wrap(text, width80-11) {
			line("%-9s  %s", map[bool]string{true: "charge"}[i == 0], text)
		}
	}
	for _, h := range r.Hints {
		line("")
		for i, text := range wrap(s.clean(h), width80-6) {
			line("%-6s%s", map[bool]string{true: "hint"}[i == 0], text)
		}
	}
	line("")
	word := s.paint(map[string]string{passed: bold + ";" + green, failed: bold + ";" + red, done: bold}[r.Word()], r.Word())
	for i, text := range wrap(s.clean(r.Reason), width80-6) {
		if i > 0 {
			word = "    "
		}
		line("%s  %s", word, text)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict writes fates, rates, latencies and thresholds.
func (s Style) verdict(line func(string, ...any), r *Report) {
	line("")
	left, right := fates(r), defects(r)
	line("%s", s.paint(bold, fmt.Sprintf("%-41s%s", "fate of each event", "rows and dead letters")))
	for i := range max(len(left), len(right)) {
		var l, m string
		if i < len(left) {
			l = s.figure(left[i])
		} else {
			l = strings.Repeat(" ", figureWidth)
		}
		if i < len(right) {
			m = s.figure(right[i])
		}
		line(" %s  %s", l, m)
	}
	if r.Raw != nil {
		line("")
		for i, text := range wrap(s.clean(r.Raw.archived()), width80-13) {
			if r.Raw.flawed() {
				text = s.paint(red, text)
			}
			line("%s  %s", s.paint(bold, fmt.Sprintf("%-11s", map[bool]string{true: "raw archive"}[i == 0])), text)
		}
	}
	if text := r.handled(); text != "" {
		line("")
		for i, text := range wrap(text, width80-13) {
			line("%s  %s", s.paint(bold, fmt.Sprintf("%-11s", map[bool]string{true: "duplicates"}[i == 0])), text)
		}
	}
	t := &r.Throughput
	line("")
	rates := fmt.Sprintf("sent %s, stored %s", perSecond(t.SentPerSecond), perSecond(t.StoredPerSecond))
	if t.RatePerSecond > 0 {
		rates += ", asked for " + perSecond(t.RatePerSecond)
	}
	line("%s  %s", s.paint(bold, "throughput"), rates)
	line("%s", s.paint(faint, fmt.Sprintf("            slowest %s: %s; all after %s of warm-up", seconds(t.IntervalSeconds),
		perSecond(t.MinPerSecond), seconds(t.WarmupSeconds))))
	line("")
	line("%s", s.paint(bold, fmt.Sprintf("%-12s%11s%11s%11s%11s%11s%11s", "latency", "mean", "p50", "p95", "p99", "p99.9", "max")))
	for _, x := range latencies(r) {
		line(" %-11s%11s%11s%11s%11s%11s%11s", x.Name, millis(x.P.Mean), millis(x.P.P50), millis(x.P.P95),
			millis(x.P.P99), millis(x.P.P999), millis(x.P.Max))
	}
	s.thresholds(line, r)
}

// figureWidth is the width of each of the two columns of figures.
const figureWidth = 38

func (s Style) figure(f figure) string {
	text := fmt.Sprintf("%s%*s", f.Name, max(1, figureWidth-utf8.RuneCountInString(f.Name)), number(f.Count))
	if f.Flaw {
		return s.paint(red, text)
	}
	return text
}

// thresholds writes those that failed and those of the solution on a line
// each; the ones that hold for every run share a line if they hold.
func (s Style) thresholds(line func(string, ...any), r *Report) {
	var held int
	line("")
	line("%s", s.paint(bold, "thresholds"))
	for _, t := range missed(r.Thresholds) {
		if t.Pass && t.Expected == "== 0" {
			held++
			continue
		}
		line(" %s %-26s %-31s %s", s.mark(t.Pass), s.cut(t.Name, 26), s.cut(t.Expected, 31), s.cut(t.Actual, 17))
	}
	if held > 0 {
		line(" %s %s", s.mark(true), plural(int64(held), "count that must be 0 is 0", "counts that must be 0 are 0"))
	}
	n := 0
	for _, x := range r.Imbalances {
		line(" %s %s", s.mark(false), s.cut(x, width80-4))
	}
	for _, x := range r.Examples {
		if n++; n > 5 {
			line("   and %s in the report", plural(int64(len(r.Examples)-5), "more example", "more examples"))
			break
		}
		line("   %s", s.cut(exampleLine(x), width80-4))
	}
}

// exampleLine says where an example is found.
func exampleLine(x Example) string {
	text := string(x.Kind)
	if x.EventID != "" {
		text += " " + x.EventID
	}
	if x.Offset >= 0 {
		text += fmt.Sprintf(" (partition %d, offset %d)", x.Partition, x.Offset)
	}
	return text + ": " + x.Detail
}

// wrap breaks text at spaces; a longer word stands alone, cut.
func wrap(text string, columns int) []string {
	var lines []string
	current := ""
	for _, word := range strings.Fields(text) {
		for utf8.RuneCountInString(word) > columns {
			if current != "" {
				lines, current = append(lines, current), ""
			}
			runes := []rune(word)
			lines, word = append(lines, string(runes[:columns])), string(runes[columns:])
		}
		switch {
		case current == "":
			current = word
		case utf8.RuneCountInString(current)+1+utf8.RuneCountInString(word) <= columns:
			current += " " + word
		default:
			lines, current = append(lines, current), word
		}
	}
	return append(lines, current)
}
