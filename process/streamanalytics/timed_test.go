package streamanalytics_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"millrace/process"
	"millrace/process/streamanalytics"
	"millrace/record"
)

// counts is the query of the solutions over shorter windows.
const counts = `SELECT deviceId, System.Timestamp() AS createdAt, COUNT(*) AS n,
	MIN(deviceSequenceNumber) AS firstSequence, MAX(deviceSequenceNumber) AS lastSequence
	INTO output FROM input TIMESTAMP BY createdAt OVER deviceId GROUP BY deviceId, TumblingWindow(second, 1)`

// unruly is a log of a few devices: in order for each of them, with pauses, late
// events, copies, and payloads that are none.
func unruly(seed uint64, n int) []record.Record {
	rnd := rand.New(rand.NewPCG(seed, 7))
	log := make([]record.Record, 0, n)
	at := start
	for i := range n {
		at += rnd.Int64N(60_000)
		if rnd.IntN(80) == 0 {
			at += rnd.Int64N(9_000_000)
		}
		r := event(i)
		created := at - rnd.Int64N(1_000_000)
		if rnd.IntN(30) == 0 {
			created -= 7_000_000
		}
		r.Timestamp = at
		r.Value = fmt.Appendf(nil, `{"eventId":"00000000-0000-4000-8000-%012x","value":%d,"deviceId":"d-%d","deviceSequenceNumber":%d,"type":"%s","createdAt":"%s"}`,
			i, rnd.IntN(9), i%4, i/4, []string{"TEMP", "CO2"}[rnd.IntN(2)], time.UnixMicro(created).UTC().Format("2006-01-02T15:04:05.000000Z"))
		switch rnd.IntN(25) {
		case 0:
			if i > 0 {
				r.Value = log[rnd.IntN(i)].Value
			}
		case 1:
			r.Value = []byte(`{"eventId":`)
		case 2:
			r.Value = []byte(`{"eventId":"00000000-0000-4000-8000-000000000012","deviceId":"d-1","deviceSequenceNumber":3,"createdAt":"now"}`)
		}
		log = append(log, r)
	}
	return log
}

// place is what stores know a result by.
type place struct {
	offset int64
	index  int32
}

// gathered are results by their place. One that comes again must be the same.
type gathered map[place]string

func (g gathered) add(t *testing.T, out *process.Output) {
	t.Helper()
	for i := range out.Results {
		r := &out.Results[i]
		at := place{r.Offset, r.Index}
		text := string(r.Raw) + time.UnixMicro(r.EnqueuedAt).String()
		if before, again := g[at]; again && before != text {
			t.Fatalf("the result at %+v was %s, and is %s now", at, before, text)
		}
		g[at] = text
	}
	*out = process.Output{}
}

// TestTicks: whether, when and how often a task is told the time, wherever it is
// stopped and however it is brought back, its results are the same, each at the
// same place.
func TestTicks(t *testing.T) {
	t.Parallel()
	for name, query := range map[string]string{
		"counts": counts,
		"keys": `SELECT deviceId, type, System.Window().Id AS span, COUNT(*) AS n, AVG(value) AS mean INTO output FROM input TIMESTAMP BY createdAt OVER deviceId
			GROUP BY deviceId, type, Windows(Window('short', TumblingWindow(second, 1)), Window('long', HoppingWindow(second, 4, 2)))`,
		"sliding": `SELECT deviceId, COUNT(*) AS n INTO output FROM input TIMESTAMP BY createdAt GROUP BY deviceId, SlidingWindow(second, 2) HAVING COUNT(*) > 3`,
		"session": `SELECT deviceId, COUNT(*) AS n, MIN(value) AS least INTO output FROM input TIMESTAMP BY createdAt OVER deviceId GROUP BY deviceId, SessionWindow(second, 1, 5) OVER (PARTITION BY deviceId)`,
		"twice": `WITH each AS (SELECT deviceId, COUNT(*) AS n FROM input TIMESTAMP BY createdAt OVER deviceId GROUP BY deviceId, TumblingWindow(second, 1))
			SELECT deviceId, MAX(n) AS most INTO output FROM each GROUP BY deviceId, TumblingWindow(second, 4)`,
		"left join": `SELECT a.deviceId AS deviceId, a.deviceSequenceNumber AS number, b.value AS next INTO output FROM input a TIMESTAMP BY createdAt
			LEFT JOIN input b TIMESTAMP BY createdAt ON a.deviceId = b.deviceId AND b.deviceSequenceNumber = a.deviceSequenceNumber + 1 AND DATEDIFF(second, a, b) BETWEEN 0 AND 2`,
		"union": `WITH e AS (SELECT * FROM input TIMESTAMP BY createdAt OVER deviceId),
			a AS (SELECT deviceId, value AS v FROM e WHERE value > 5), b AS (SELECT deviceId, SUM(value) AS v FROM e GROUP BY deviceId, TumblingWindow(second, 2))
			SELECT * INTO output FROM (SELECT deviceId, v FROM a UNION SELECT deviceId, v FROM b) u`,
		"lag": `SELECT eventId, deviceId, deviceSequenceNumber, createdAt, LAG(value) OVER (PARTITION BY deviceId LIMIT DURATION(second, 3)) AS before
			INTO output FROM input TIMESTAMP BY createdAt OVER deviceId`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := makeEngine(query, 4, nil)
			if err != nil {
				t.Fatal(err)
			}
			for seed := range uint64(4) {
				ticked(t, e, unruly(seed, 500), rand.New(rand.NewPCG(seed, 8)))
			}
		})
	}
}

func ticked(t *testing.T, e *streamanalytics.Engine, log []record.Record, rnd *rand.Rand) {
	t.Helper()
	part := func(from, to int) *record.Batch {
		return &record.Batch{Partition: 3, Records: log[from:to], Next: int64(to)}
	}
	forever := log[len(log)-1].Timestamp + time.Hour.Microseconds()
	tick := func(task process.Task, at int64, out *process.Output) {
		if err := task.(process.Clocked).Tick(at, out); err != nil {
			t.Fatal(err)
		}
	}
	want, got := gathered{}, gathered{}
	out := processed(t, e.NewTask(3), part(0, len(log)))
	want.add(t, &out)
	task := e.NewTask(3)
	for at := 0; at < len(log); {
		next := min(at+1+rnd.IntN(40), len(log))
		if err := task.Process(part(at, next), &out); err != nil {
			t.Fatal(err)
		}
		got.add(t, &out)
		at = next
		state := task.Snapshot(nil)
		end := forever
		if at < len(log) {
			end = log[at].Timestamp
		}
		now := log[at-1].Timestamp
		for range rnd.IntN(4) {
			now += rnd.Int64N(max(end-now, 0) + 1)
			tick(task, now, &out)
			got.add(t, &out)
		}
		switch rnd.IntN(6) {
		case 0:
			task = e.NewTask(3)
			if err := task.Restore(state); err != nil {
				t.Fatal(err)
			}
		case 1:
			state = task.Snapshot(nil) // with what the ticks did
			task = e.NewTask(3)
			if err := task.Restore(state); err != nil {
				t.Fatal(err)
			}
		case 2:
			task = e.NewTask(3)
			if err := task.Replay(part(0, at)); err != nil {
				t.Fatal(err)
			}
		}
	}
	whole := e.NewTask(3)
	if err := whole.Replay(part(0, len(log))); err != nil {
		t.Fatal(err)
	}
	for _, end := range []struct {
		task process.Task
		in   gathered
	}{{whole, want}, {task, got}} {
		tick(end.task, forever, &out)
		end.in.add(t, &out)
		if end.task.(process.Clocked).Waiting() {
			t.Fatal("the task waits for more when all is done: ", streamanalytics.States(end.task))
		}
	}
	if len(want) < 10 {
		t.Fatalf("no more than %d results", len(want))
	}
	for at, text := range want {
		if got[at] != text {
			t.Fatalf("the result at %+v is %s, want %s", at, got[at], text)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("%d results, want %d", len(got), len(want))
	}
}

// TestCounts: what a row of a window looks like as an event.
func TestCounts(t *testing.T) {
	t.Parallel()
	e := engineOf(t, counts, nil)
	task := e.NewTask(3)
	b := batch(0, 1500)
	b.Records[7].Value = b.Records[2].Value // sent again
	out := processed(t, task, b)
	if len(out.Results) != 0 || out.Duplicates != 1 {
		t.Fatalf("%d results, %d duplicates", len(out.Results), out.Duplicates)
	}
	if err := task.(process.Clocked).Tick(start+6_000_000, &out); err != nil {
		t.Fatal(err)
	}
	if len(out.Results) != 1 || !task.(process.Clocked).Waiting() { // event 0 is the end of a window
		t.Fatalf("%d results before the late tolerance is over", len(out.Results))
	}
	if err := task.(process.Clocked).Tick(start+6_000_001, &out); err != nil {
		t.Fatal(err)
	}
	// Events 1 to 1000 lie behind the start.
	want := map[string]string{
		"d-0": `"createdAt":"2023-11-14T22:13:21.000000Z","n":200,"firstSequence":1,"lastSequence":200}`,
		"d-2": `"createdAt":"2023-11-14T22:13:21.000000Z","n":199,"firstSequence":0,"lastSequence":199}`,
	}
	found := 0
	for i := range out.Results {
		r := &out.Results[i]
		if r.CreatedAt != start+1_000_000 {
			continue
		}
		found++
		if r.Sequence != r.CreatedAt || r.EnqueuedAt != r.CreatedAt || r.Offset != 1500 || r.ID[6]>>4 != 8 {
			t.Errorf("%+v", r)
		}
		if tail := want[string(r.DeviceID)]; !strings.HasSuffix(string(r.Raw), tail) {
			t.Errorf("%s\nwant %s", r.Raw, tail)
		}
	}
	if found != 5 || len(out.Results) != 6 {
		t.Errorf("%d rows of the window, %d in all, want 5 and 6", found, len(out.Results))
	}
	if got := e.Settling(); got != 6*time.Second {
		t.Errorf("it settles in %s, want the window and the late tolerance, 6 s", got)
	}
}

// TestUntimed: results that follow from events alone lie at theirs, and no task
// is told the time.
func TestUntimed(t *testing.T) {
	t.Parallel()
	e := engineOf(t, `SELECT e.deviceId, e.value, a.ArrayValue AS item INTO output FROM input e CROSS APPLY GetArrayElements(e.more) a`, nil)
	task := e.NewTask(3)
	if _, clocked := task.(process.Clocked); clocked || e.Settling() != 0 {
		t.Error("a query without windows is told the time")
	}
	out := processed(t, task, batch(5, 8))
	ids := map[record.ID]bool{}
	for i := range out.Results {
		r := &out.Results[i]
		if r.Offset != int64(5+i/2) || r.Index != int32(i%2) || ids[r.ID] {
			t.Errorf("result %d: offset %d, index %d, id %s", i, r.Offset, r.Index, r.ID)
		}
		ids[r.ID] = true
	}
	if len(ids) != 6 {
		t.Errorf("%d results, want 6", len(ids))
	}
}
