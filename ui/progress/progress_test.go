package progress

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"millrace/internal/metrics"
)

var header = Header{Solution: "hdinsightkafka-databricks-sqldw", Run: "r1", Ingest: "kafka 127.0.0.1:43210 topic telemetry-r1",
	Process: "relay", Serve: "duckdb /tmp/x/store/events.duckdb", Duration: time.Minute, Simulates: true, Runs: true, Judges: true}

func samples() []metrics.Sample {
	at := time.Unix(1_700_000_000, 0)
	var all []metrics.Sample
	for i := range int64(5) {
		all = append(all, metrics.Sample{At: at.Add(time.Duration(i) * time.Second), Elapsed: time.Duration(i) * time.Second,
			Phase: metrics.Streaming, Target: 600_000, Rate: 10_000, Unique: i * 10_000, Acked: i * 10_010, Processed: i * 10_000,
			Stored: i * 9_990, Duplicates: i * 10, Backlog: 200, LogEntries: i * 10_010})
	}
	all[3].Outage = "connection refused"
	last := all[4]
	last.At, last.Phase, last.Verified = last.At.Add(time.Second), metrics.Verifying, 300_000
	return append(all, last)
}

func TestPlainLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := New(&out, false, 2*time.Second)
	d.Begin(header)
	for _, s := range samples() {
		d.Update(s)
	}
	d.Close()
	want := `hdinsightkafka-databricks-sqldw  run r1
00:00 streaming  sent 0 (0/s)  stored 0 (0/s)  backlog 200
00:02 streaming  sent 20,020 (10.0k/s)  stored 19,980 (9,990/s)  backlog 200
00:04 streaming  sent 40,040 (10.0k/s)  stored 39,960 (9,990/s)  backlog 200
00:04 verifying  checked 300,000 rows
`
	got := out.String()
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestPlainThrottled: who watches a run without a terminal sees that requests
// are refused while they are, within a line's width.
func TestPlainThrottled(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := New(&out, false, time.Second)
	d.Begin(header)
	s := samples()[4]
	s.Phase, s.Acked, s.Stored, s.Backlog, s.Throttled = metrics.Streaming, 612_345, 162_345, 450_000, 12_750
	d.Update(s)
	s.At = s.At.Add(2 * time.Second)
	d.Update(s)
	d.Close()
	if got := out.String(); strings.Count(got, "\n                 12,750 requests throttled so far\n") != 1 {
		t.Errorf("got\n%s", got)
	}
}

// TestLiveFits: no line is wider than 80 columns, and what is redrawn is
// exactly what was drawn.
func TestLiveFits(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := New(&out, true, time.Second)
	d.Begin(header)
	for _, s := range samples() {
		d.Update(s)
		fmt.Fprintln(d, "a log line")
	}
	d.Close()
	for line := range strings.Lines(out.String()) {
		line = strings.TrimSuffix(line, "\n")
		if i := strings.LastIndex(line, "\x1b[J"); i >= 0 {
			line = line[i+3:]
		}
		if n := utf8.RuneCountInString(line); n > 80 {
			t.Errorf("%d columns: %s", n, line)
		}
	}
	if !strings.Contains(out.String(), "OUTAGE") {
		t.Error("the outage is not shown")
	}
	if got, want := strings.Count(out.String(), "a log line"), len(samples()); got != want {
		t.Errorf("%d log lines, want %d", got, want)
	}
}

func TestLogHandler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := slog.New(NewLogHandler(&out, slog.LevelWarn)).With("store", "events")
	log.Info("not shown")
	log.Warn("store does not answer; trying until it does", "what", "writing to the store", "error", errors.New("connection\nrefused"))
	want := `warning: store does not answer; trying until it does (store: events) (what:
  writing to the store) (error: connection refused)
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}
