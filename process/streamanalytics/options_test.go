package streamanalytics_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/process"
	"millrace/process/streamanalytics"
	"millrace/record"
)

// TestOutOfOrder: events wait to be put in order; time gives out the last ones.
func TestOutOfOrder(t *testing.T) {
	t.Parallel()
	e := engineOf(t, "SELECT eventId, deviceId, deviceSequenceNumber, createdAt INTO output FROM input TIMESTAMP BY createdAt",
		func(c *streamanalytics.Config) { c.OutOfOrder = connector.Duration(50 * time.Millisecond) })
	b := batch(0, 40)
	for i := 0; i < 40; i += 4 { // four at a time come in the opposite order
		for j := range 2 {
			b.Records[i+j].Value, b.Records[i+3-j].Value = b.Records[i+3-j].Value, b.Records[i+j].Value
		}
	}
	task := e.NewTask(3)
	out := processed(t, task, b)
	if len(out.Results) == 40 {
		t.Fatal("nothing waits to be put in order")
	}
	clocked, ok := task.(process.Clocked)
	if !ok || !clocked.Waiting() {
		t.Fatalf("a task in which events wait is not told the time, or says that nothing waits: %v", ok)
	}
	if err := clocked.Tick(start+3_600_000_000, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Results) != 40 || clocked.Waiting() {
		t.Fatalf("%d results of 40", len(out.Results))
	}
	for i := range out.Results {
		if at := start + int64(i)*1000; out.Results[i].CreatedAt != at {
			t.Fatalf("result %d is of %d, want %d", i, out.Results[i].CreatedAt, at)
		}
	}
}

// TestStart: rows with an earlier time are not given out.
func TestStart(t *testing.T) {
	t.Parallel()
	from := time.UnixMicro(start + 250_000).UTC()
	e := engineOf(t, solution(t, "cosmosdb/query.asaql"), func(c *streamanalytics.Config) { c.Start = from.Format(time.RFC3339Nano) })
	out := processed(t, e.NewTask(3), batch(0, 400))
	if len(out.Results) != 150 || out.Results[0].EnqueuedAt < from.UnixMicro() {
		t.Errorf("%d results, the first of %d", len(out.Results), out.Results[0].EnqueuedAt)
	}
	c := streamanalytics.NewConfig()
	c.Query, c.Start = "q", "now"
	if errs := c.Validate(); len(errs) > 0 {
		t.Error(errs)
	}
	if c.Begin(from); c.Start != from.Format(time.RFC3339Nano) {
		t.Errorf("now is %s, want when the run began, %s", c.Start, from)
	}
}

// TestOutputErrors: a row that is no event goes to the dead letters, or stops the
// job.
func TestOutputErrors(t *testing.T) {
	t.Parallel()
	const query = "SELECT eventId, deviceId, deviceSequenceNumber, type AS createdAt INTO output FROM input"
	out := processed(t, engineOf(t, query, nil).NewTask(3), batch(0, 3))
	if len(out.Results) != 0 || len(out.Dead) != 3 || out.Dead[0].Reason != record.WrongType {
		t.Errorf("%d results and dead letters %+v", len(out.Results), out.Dead)
	}
	e := engineOf(t, query, func(c *streamanalytics.Config) { c.OutputErrors = "retry" })
	if err := e.NewTask(3).Process(batch(0, 3), &process.Output{}); err == nil || !strings.Contains(err.Error(), "event 0 of partition 3") {
		t.Errorf("the job goes on, or says no place: %v", err)
	}
}

// TestState: what a task keeps is told, and bounded.
func TestState(t *testing.T) {
	t.Parallel()
	const query = "SELECT eventId, deviceId, deviceSequenceNumber, createdAt, LAG(value) OVER (PARTITION BY deviceId, eventId LIMIT DURATION(day, 1)) AS v INTO output FROM input"
	task := engineOf(t, query, nil).NewTask(3)
	small := task.(process.Sized).StateBytes()
	processed(t, task, batch(0, 2000))
	if grown := task.(process.Sized).StateBytes(); grown < small+2000*8 {
		t.Errorf("the state of 2000 keys takes %d bytes", grown-small)
	}
	bounded := engineOf(t, query, func(c *streamanalytics.Config) { c.MaxStateBytes = 1 << 20 }).NewTask(3)
	var err error
	for i := 0; i < 100_000 && err == nil; i += 1000 {
		err = bounded.Process(batch(i, i+1000), &process.Output{})
	}
	if err == nil || !strings.Contains(err.Error(), "allowed") || !strings.Contains(err.Error(), "keys") {
		t.Errorf("a state without bound: %v", err)
	}
}

// TestConfig lists settings that are refused.
func TestConfig(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		change func(*streamanalytics.Config)
		want   string
	}{
		{func(c *streamanalytics.Config) { c.Query = "" }, "query: "},
		{func(c *streamanalytics.Config) { c.Compatibility = "1.3" }, "compatibility: "},
		{func(c *streamanalytics.Config) { c.LatePolicy = "wait" }, "latePolicy: "},
		{func(c *streamanalytics.Config) { c.Late = connector.Duration(500 * time.Hour) }, "late: "},
		{func(c *streamanalytics.Config) { c.OutOfOrder = connector.Duration(time.Hour) }, "outOfOrder: "},
		{func(c *streamanalytics.Config) { c.OutputErrors = "ignore" }, "outputErrors: "},
		{func(c *streamanalytics.Config) { c.Start = "yesterday" }, "start: "},
		{func(c *streamanalytics.Config) { c.MaxStateBytes = 1 }, "maxStateBytes: "},
	} {
		cfg := streamanalytics.NewConfig()
		cfg.Query = "q"
		if errs := cfg.Validate(); len(errs) > 0 {
			t.Fatal(errs)
		}
		c.change(cfg)
		if got := fmt.Sprint(cfg.Validate()); !strings.Contains(got, c.want) {
			t.Errorf("the problems are %s, want one of %s", got, c.want)
		}
	}
}

// TestReasons: what a row lacks is told by what the log holds: a member that is
// null is of the wrong type, an absent one is missing.
func TestReasons(t *testing.T) {
	t.Parallel()
	b := batch(0, 2)
	for i, device := range []string{`"deviceId":null,`, ``} {
		b.Records[i].Value = fmt.Appendf(nil,
			`{"eventId":"00000000-0000-4000-8000-00000000000%d",%s"deviceSequenceNumber":1,"createdAt":"2026-01-02T15:04:05.000000Z"}`, i, device)
	}
	out := processed(t, engineOf(t, solution(t, "azuresql/query.asaql"), nil).NewTask(3), b)
	if len(out.Dead) != 2 || out.Dead[0].Reason != record.WrongType || out.Dead[1].Reason != record.MissingField {
		t.Errorf("dead letters %+v, want one of the wrong type and one that lacks a field", out.Dead)
	}
}

// TestLate: an event that is dropped because it is late says so.
func TestLate(t *testing.T) {
	t.Parallel()
	b := batch(0, 10)
	b.Records[9].Timestamp += 60_000_000
	e := engineOf(t, "SELECT eventId, deviceId, deviceSequenceNumber, createdAt INTO output FROM input TIMESTAMP BY createdAt",
		func(c *streamanalytics.Config) { c.LatePolicy = "drop" })
	out := processed(t, e.NewTask(3), b)
	if len(out.Results) != 9 || len(out.Dead) != 1 || out.Dead[0].Reason != record.DroppedByPolicy || !strings.Contains(out.Dead[0].Detail, "late") {
		t.Errorf("%d results and dead letters %+v", len(out.Results), out.Dead)
	}
}
