package report

import (
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// MetricsTable writes what went in and out per interval, at most 80 columns
// wide. If limits is not nil a last line tells what they allow in an interval,
// and figures above it are marked with an asterisk.
func MetricsTable(w io.Writer, intervals []Interval, intervalSeconds float64, limits *Limits, s Style) error {
	var b strings.Builder
	for _, l := range TableHeader(s) {
		b.WriteString(l)
		b.WriteByte('\n')
	}
	for i := range intervals {
		b.WriteString(TableRow(&intervals[i], intervalSeconds, limits))
		b.WriteByte('\n')
	}
	if limits != nil {
		b.WriteString(limitsRow(limits, intervalSeconds))
		b.WriteByte('\n')
	}
	_, err := io.WriteString(w, b.String())
	return err
}

const rowFormat = "%-10s%13s%12s%13s%12s%9s%11s"

// TableHeader returns the lines above the rows of the metrics table.
func TableHeader(s Style) []string {
	line := "-"
	if s.Unicode {
		line = "─"
	}
	return []string{
		s.paint(bold, fmt.Sprintf("%-10s%25s%25s", "", "incoming", "outgoing")),
		s.paint(bold, fmt.Sprintf(rowFormat, "time", "messages", "bytes", "messages", "bytes", "thrott.", "backlog")),
		s.paint(faint, strings.Repeat(line, width80)),
	}
}

// TableRow returns the line of one interval.
func TableRow(x *Interval, intervalSeconds float64, limits *Limits) string {
	var l Limits
	if limits != nil {
		l = *limits
	}
	over := func(v, limit float64) string {
		if limit > 0 && v > limit*intervalSeconds {
			return "*"
		}
		return ""
	}
	backlog := "unknown"
	if x.Backlog >= 0 {
		backlog = short(x.Backlog, 10)
	}
	return fmt.Sprintf(rowFormat, x.At.Format("15:04:05"),
		short(x.In, 11)+over(float64(x.In), l.MessagesInPerSecond),
		known(x.BytesIn)+over(float64(x.BytesIn), l.BytesInPerSecond),
		short(x.Out, 11)+over(float64(x.Out), l.MessagesOutPerSecond),
		known(x.BytesOut)+over(float64(x.BytesOut), l.BytesOutPerSecond),
		short(x.Throttled, 8), backlog)
}

// known is a size in bytes that may not be known (-1).
func known(n int64) string {
	if n < 0 {
		return "unknown"
	}
	return size(float64(n))
}

func limitsRow(l *Limits, intervalSeconds float64) string {
	messages := func(v float64) string {
		if v <= 0 {
			return "-"
		}
		return short(int64(v*intervalSeconds), 11)
	}
	size := func(v float64) string {
		if v <= 0 {
			return "-"
		}
		return size(v * intervalSeconds)
	}
	return strings.TrimRight(fmt.Sprintf(rowFormat, "MAX", messages(l.MessagesInPerSecond), size(l.BytesInPerSecond),
		messages(l.MessagesOutPerSecond), size(l.BytesOutPerSecond), "", ""), " ")
}

// short writes a count in at most n columns, with M or G if need be.
func short(v int64, n int) string {
	if s := number(v); len(s) <= n {
		return s
	}
	if math.Abs(float64(v)) < 1e10 {
		return strconv.FormatFloat(float64(v)/1e6, 'f', 1, 64) + "M"
	}
	return strconv.FormatFloat(float64(v)/1e9, 'f', 1, 64) + "G"
}
