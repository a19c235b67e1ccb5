// Package progress shows a person what a run is doing: a block that redraws
// itself on a terminal, a plain line now and then anywhere else.
package progress

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"millrace/internal/metrics"
)

// Header is what stays the same during a run.
type Header struct {
	Solution, Run           string
	Ingest, Process, Serve  string
	Duration                time.Duration // of the schedule; 0 if unknown
	Simulates, Runs, Judges bool          // which stages run here
}

// Display shows samples. Update is called about once a second. Lines written
// to it (log messages) appear above the live block. Safe for concurrent use.
type Display struct {
	mu     sync.Mutex
	w      io.Writer
	live   bool
	every  time.Duration // between plain lines
	header Header
	prev   metrics.Sample
	shown  metrics.Sample // the newest sample
	speeds rates
	lines  int // of the block on screen
	last   time.Time
	phase  metrics.Phase
	// throttled is what the last plain line has told.
	throttled int64
}

// New returns a display. live redraws in place (w must be a terminal);
// otherwise a line is written at most every interval and at each new phase.
func New(w io.Writer, live bool, every time.Duration) *Display {
	return &Display{w: w, live: live, every: every}
}

// Begin sets the header.
func (d *Display) Begin(h Header) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.header = h
	fmt.Fprintf(d.w, "%s  run %s\n", h.Solution, h.Run)
}

// rates are smoothed over the last few samples, so that digits can be read.
type rates struct{ sent, processed, stored, bytes float64 }

// Update shows a sample.
func (d *Display) Update(s metrics.Sample) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if dt := s.At.Sub(d.prev.At).Seconds(); !d.prev.At.IsZero() && dt > 0 {
		smooth(&d.speeds.sent, float64(s.Acked-d.prev.Acked)/dt)
		smooth(&d.speeds.processed, float64(s.Processed-d.prev.Processed)/dt)
		smooth(&d.speeds.stored, float64(s.Stored-d.prev.Stored)/dt)
		smooth(&d.speeds.bytes, float64(s.SentBytes-d.prev.SentBytes)/dt)
	}
	d.prev, d.shown = s, s
	if d.live {
		d.erase()
		d.draw()
		return
	}
	if s.Phase != d.phase || s.At.Sub(d.last) >= d.every {
		d.phase, d.last = s.Phase, s.At
		fmt.Fprintln(d.w, d.plainLine())
	}
}

func smooth(v *float64, now float64) {
	if *v == 0 {
		*v = now
		return
	}
	*v = 0.6**v + 0.4*now
}

// Write implements io.Writer for log lines.
func (d *Display) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.erase()
	n, err := d.w.Write(p)
	if d.live && !d.shown.At.IsZero() {
		d.draw()
	}
	return n, err
}

// Close leaves the last state on the screen.
func (d *Display) Close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = 0
	if d.live {
		fmt.Fprintln(d.w)
	}
	d.live = false
	d.shown = metrics.Sample{}
}

func (d *Display) erase() {
	if d.lines > 0 {
		fmt.Fprintf(d.w, "\x1b[%dA\r\x1b[J", d.lines)
		d.lines = 0
	}
}

func (d *Display) draw() {
	var b bytes.Buffer
	for _, line := range d.block() {
		b.WriteString(clip(line, 79))
		b.WriteByte('\n')
		d.lines++
	}
	_, _ = d.w.Write(b.Bytes()) // a terminal that is gone is noticed elsewhere
}

func clip(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// block is the live view: a clock line and one line per stage.
func (d *Display) block() []string {
	s, h := &d.shown, &d.header
	lines := []string{fmt.Sprintf("%-10s %s%s", s.Phase, clock(s.Elapsed), d.eta())}
	if h.Simulates {
		note := "on schedule"
		if s.Lag >= 100*time.Millisecond {
			note = "behind by " + s.Lag.Round(100*time.Millisecond).String()
		} else if s.Rate == 0 {
			note = mega(d.speeds.bytes) + "/s"
		}
		lines = append(lines, stage("simulate", bar(s.Unique, s.Target), s.Acked, "sent", d.speeds.sent, note))
	}
	if h.Runs {
		lines = append(lines, stage("ingest", h.Ingest, s.LogEntries, "in log", 0, "backlog "+count(s.Backlog)))
		lines = append(lines, stage("process", h.Process, s.Processed, "events", d.speeds.processed,
			fmt.Sprintf("%s dup %s dead", count(s.Duplicates), count(s.DeadLettered))))
		note := ""
		switch {
		case s.Outage != "":
			note = "OUTAGE, retrying"
		case s.Throttled > 0:
			note = count(s.Throttled) + " throttled"
		case s.Retries > 0:
			note = count(s.Retries) + " retries"
		}
		lines = append(lines, stage("serve", h.Serve, s.Stored, "rows", d.speeds.stored, note))
	}
	if h.Judges {
		where := "waiting"
		if s.Phase == metrics.Verifying {
			where = bar(s.Verified, s.Target)
		}
		lines = append(lines, stage("verify", where, s.Verified, "checked", 0, ""))
	}
	return lines
}

func stage(name, what string, n int64, unit string, rate float64, note string) string {
	speed := ""
	if rate > 0 {
		speed = count(int64(rate)) + "/s"
	}
	return strings.TrimRight(fmt.Sprintf("%-8s %-22s %12s %-7s %10s  %s", name, clip(what, 22), count(n), unit, speed, note), " ")
}

func bar(n, of int64) string {
	if of <= 0 {
		return ""
	}
	const width = 16
	full := int(min(n*width/of, width))
	return strings.Repeat("█", full) + strings.Repeat("░", width-full) + fmt.Sprintf(" %3d%%", min(n*100/of, 100))
}

// eta estimates from the slower of the schedule and the store.
func (d *Display) eta() string {
	s := &d.shown
	if s.Phase != metrics.Streaming && s.Phase != metrics.Draining {
		return ""
	}
	var left time.Duration
	if d.header.Duration > 0 && s.Phase == metrics.Streaming {
		left = d.header.Duration - s.Elapsed
	}
	if s.Target > 0 && d.speeds.stored > 1 {
		left = max(left, time.Duration(float64(s.Target-s.Stored)/d.speeds.stored*float64(time.Second)))
	}
	if left <= 0 {
		return ""
	}
	return "  about " + clock(left) + " left"
}

func (d *Display) plainLine() string {
	s, h := &d.shown, &d.header
	parts := []string{fmt.Sprintf("%s %-9s", clock(s.Elapsed), s.Phase)}
	if s.Phase == metrics.Verifying {
		return parts[0] + "  checked " + count(s.Verified) + " rows"
	}
	if h.Simulates {
		parts = append(parts, fmt.Sprintf("sent %s (%s/s)", count(s.Acked), short(d.speeds.sent)))
		if waiting := s.Waiting(); s.Rate > 0 && float64(waiting) > s.Rate {
			parts = append(parts, "waiting "+count(waiting))
		}
	}
	if h.Runs {
		parts = append(parts, fmt.Sprintf("stored %s (%s/s)", count(s.Stored), short(d.speeds.stored)),
			"backlog "+count(s.Backlog))
		if s.DeadLettered > 0 {
			parts = append(parts, "dead "+count(s.DeadLettered))
		}
		if s.Outage != "" {
			parts = append(parts, "store away")
		}
	}
	line := clip(strings.Join(parts, "  "), 79)
	if s.Throttled > d.throttled {
		// On a line of its own: it is what explains the rest of this one.
		line += fmt.Sprintf("\n%17s%s requests throttled so far", "", count(s.Throttled))
		d.throttled = s.Throttled
	}
	return line
}

func clock(d time.Duration) string {
	d = d.Round(time.Second)
	if d >= time.Hour {
		return fmt.Sprintf("%d:%02d:%02d", d/time.Hour, d/time.Minute%60, d/time.Second%60)
	}
	return fmt.Sprintf("%02d:%02d", d/time.Minute, d/time.Second%60)
}

// count writes n with thousands separated; a negative one is not known.
func count(n int64) string {
	if n < 0 {
		return "?"
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// short writes a rate in few columns.
func short(v float64) string {
	switch {
	case v >= 1e6:
		return fmt.Sprintf("%.1fM", v/1e6)
	case v >= 1e4:
		return fmt.Sprintf("%.1fk", v/1e3)
	}
	return count(int64(v))
}

func mega(bytes float64) string { return fmt.Sprintf("%.1f MB", bytes/1e6) }
