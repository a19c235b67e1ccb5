package streamanalytics_test

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"millrace/connector"
	"millrace/process"
	"millrace/process/streamanalytics"
	"millrace/record"
)

const start = int64(1_700_000_000_000_000) // microseconds

// event is the i-th event of a few devices.
func event(i int) record.Record {
	at := start + int64(i)*1000
	return record.Record{Offset: int64(i), Timestamp: at + 500, Value: fmt.Appendf(nil,
		`{"eventId":"00000000-0000-4000-8000-%012x","complexData":{"moreData0":%d.5},"value":%d,"deviceId":"d-%d","deviceSequenceNumber":%d,"type":"TEMP","createdAt":"%s","more":[1,{"a":null}]}`,
		i, i%90+10, i%7, i%5, i/5, time.UnixMicro(at).UTC().Format("2006-01-02T15:04:05.000000Z"))}
}

func batch(from, to int) *record.Batch {
	b := &record.Batch{Partition: 3, Next: int64(to)}
	for i := from; i < to; i++ {
		b.Records = append(b.Records, event(i))
	}
	return b
}

// engineOf makes the engine of a query.
func engineOf(t testing.TB, query string, change func(*streamanalytics.Config)) *streamanalytics.Engine {
	t.Helper()
	e, err := makeEngine(query, 4, change)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func makeEngine(query string, partitions int, change func(*streamanalytics.Config)) (*streamanalytics.Engine, error) {
	c := streamanalytics.NewConfig()
	c.Query = "q.asaql"
	if change != nil {
		change(c)
	}
	files := fstest.MapFS{"q.asaql": {Data: []byte(query)},
		"f.js": {Data: []byte("function half(x) { return x / 2 }")}}
	return streamanalytics.New(*c, files, partitions, slog.New(slog.DiscardHandler))
}

func processed(t testing.TB, task process.Task, batches ...*record.Batch) process.Output {
	t.Helper()
	var out process.Output
	for _, b := range batches {
		if err := task.Process(b, &out); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// solution returns the query of a built-in solution.
func solution(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile("../../solutions/eventhubs-streamanalytics-" + file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// TestSolutions runs the queries of the solutions: every event comes out as it
// went in, with its times, and malformed ones are dead letters.
func TestSolutions(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file string
		// extra is what the query leaves of members that an event need not have.
		extra string
	}{
		{"cosmosdb/query.asaql", `"more":[1,{"a":null}]`},
		{"azuresql/query.asaql", ""},
		{"eventhubs/relay.asaql", `"more":[1,{"a":null}]`},
		{"eventhubs/anomalydetection.asaql", "isAnomaly"},
	} {
		t.Run(c.file, func(t *testing.T) {
			t.Parallel()
			b := batch(0, 400)
			b.Records[17].Value = []byte(`{"eventId":`)
			b.Records[18].Value = []byte(`{"eventId":"00000000-0000-4000-8000-000000000012","deviceId":"d-1","createdAt":"2026-01-02T15:04:05Z"}`)
			before := time.Now().UnixMicro()
			out := processed(t, engineOf(t, solution(t, c.file), nil).NewTask(3), b)
			if len(out.Results) != 398 || len(out.Dead) != 2 {
				t.Fatalf("%d results and %d dead letters, want 398 and 2: %+v", len(out.Results), len(out.Dead), out.Dead)
			}
			if out.Dead[0].Offset != 17 || out.Dead[0].Reason != record.NotJSON || out.Dead[1].Offset != 18 || out.Dead[1].Reason != record.MissingField {
				t.Errorf("dead letters %+v", out.Dead)
			}
			for i := range out.Results {
				r := &out.Results[i]
				var want record.Event
				if err := want.Decode(event(int(r.Offset)).Value); err != nil {
					t.Fatal(err)
				}
				if r.ID != want.ID || string(r.DeviceID) != string(want.DeviceID) || r.Sequence != want.Sequence || r.CreatedAt != want.CreatedAt ||
					r.Value != want.Value || string(r.Type) != string(want.Type) || string(r.ComplexData) != string(want.ComplexData) {
					t.Fatalf("offset %d: %+v", r.Offset, r.Event)
				}
				if c.extra != "isAnomaly" && string(r.Extra) != c.extra || !strings.Contains(string(r.Extra), c.extra) {
					t.Fatalf("offset %d: the members beside are %s, want %s", r.Offset, r.Extra, c.extra)
				}
				if r.Partition != 3 || r.EnqueuedAt != start+r.Offset*1000+500 || r.ProcessedAt < before {
					t.Fatalf("offset %d: partition %d, enqueued at %d, processed at %d", r.Offset, r.Partition, r.EnqueuedAt, r.ProcessedAt)
				}
			}
		})
	}
}

// TestRestarts cuts the input anywhere, restores the task from a snapshot or
// replays the log, and wants the results of an undisturbed run.
func TestRestarts(t *testing.T) {
	t.Parallel()
	const n = 600
	query := `SELECT eventId, deviceId, deviceSequenceNumber, createdAt,
		LAG(value) OVER (PARTITION BY deviceId LIMIT DURATION(second, 1)) AS before,
		COUNT(*) OVER (PARTITION BY deviceId LIMIT DURATION(second, 2)) AS n
		INTO output FROM input TIMESTAMP BY createdAt`
	dedupe := func(c *streamanalytics.Config) { c.Dedupe.Horizon = connector.Duration(time.Minute) }
	text := func(out process.Output) []string {
		lines := []string{fmt.Sprint("duplicates ", out.Duplicates)}
		for i := range out.Results {
			lines = append(lines, fmt.Sprint(out.Results[i].Offset, " ", string(out.Results[i].Raw)))
		}
		return lines
	}
	log := batch(0, n)
	for i := 50; i < n; i += 50 {
		log.Records[i].Value = log.Records[i-7].Value // sent again
	}
	part := func(from, to int) *record.Batch {
		return &record.Batch{Partition: 3, Records: log.Records[from:to], Next: int64(to)}
	}
	e := engineOf(t, query, dedupe)
	want := text(processed(t, e.NewTask(3), part(0, n)))
	if want[0] != "duplicates 11" {
		t.Fatal(want[0])
	}
	for seed := range uint64(30) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		var out process.Output
		task := e.NewTask(3)
		for at := 0; at < n; {
			next := min(at+1+rnd.IntN(120), n)
			if err := task.Process(part(at, next), &out); err != nil {
				t.Fatal(err)
			}
			at = next
			switch rnd.IntN(3) {
			case 0:
				state := task.Snapshot(nil)
				task = e.NewTask(3)
				if err := task.Restore(state); err != nil {
					t.Fatal(err)
				}
			case 1:
				task = e.NewTask(3)
				if err := task.Replay(part(0, at)); err != nil {
					t.Fatal(err)
				}
			}
		}
		got := text(out)
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d lines, want %d", seed, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("seed %d: line %d is %s, want %s", seed, i, got[i], want[i])
			}
		}
	}
	if err := e.NewTask(3).Restore([]byte("torn")); err == nil {
		t.Error("a torn state is taken")
	}
	if err := engineOf(t, solution(t, "cosmosdb/query.asaql"), dedupe).NewTask(3).Restore(e.NewTask(3).Snapshot(nil)); err == nil {
		t.Error("the state of another query is taken")
	}
}

// TestFailing: a CAST that cannot be done stops the job and names the event.
func TestFailing(t *testing.T) {
	t.Parallel()
	e := engineOf(t, "SELECT *, CAST(type AS bigint) AS n INTO output FROM input", nil)
	var out process.Output
	err := e.NewTask(3).Process(batch(7, 9), &out)
	if err == nil || !strings.Contains(err.Error(), "event 7 of partition 3") || !strings.Contains(err.Error(), "line 1, column 11") {
		t.Errorf("the error is %v", err)
	}
}

// TestRefused lists queries that a solution cannot run, and what is said.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ query, want string }{
		{"SELECT * INTO output FORM input", "FROM"},
		{"SELECT eventID, udf.half(value) AS h INTO output FROM input", "half"},
		{"SELECT * INTO a FROM input; SELECT * INTO b FROM input", "2 outputs"},
		{"SELECT a.* INTO output FROM one a JOIN two b ON a.x = b.x AND DATEDIFF(second, a, b) BETWEEN 0 AND 5", "2 inputs"},
		{"SELECT COUNT(*) AS n INTO output FROM input GROUP BY TumblingWindow(second, 5)", "partitions"},
		{"SELECT deviceId, COUNT(*) AS n INTO output FROM input GROUP BY deviceId, type, TumblingWindow(second, 5)", "key 2 of GROUP BY"},
		{"SELECT deviceId, COUNT(*) AS n INTO output FROM input GROUP BY deviceId, Windows(TumblingWindow(second, 5), TumblingWindow(second, 10))", "different windows"},
		{"SELECT eventId INTO output FROM input; SELECT deviceId INTO output FROM input", "2 statements"},
	} {
		_, err := makeEngine(c.query, 4, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v, want it to say %q", c.query, err, c.want)
		}
	}
	if _, err := makeEngine("SELECT *, udf.half(value) AS h INTO output FROM input", 4, func(c *streamanalytics.Config) { c.Functions = "f.js" }); err != nil {
		t.Error(err)
	}
	if _, err := makeEngine("", 4, func(c *streamanalytics.Config) { c.Query = "absent.asaql" }); err == nil {
		t.Error("a query that is not there is taken")
	}
}
