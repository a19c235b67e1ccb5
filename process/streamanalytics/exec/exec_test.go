package exec

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"millrace/process/streamanalytics/check"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/udf"
	"millrace/process/streamanalytics/value"
)

// second is a second in ticks.
const second = value.TicksPerSecond

// base is the time of second 0 in tests: a whole minute.
const base = 1_700_000_040 * second

// compile makes a plan of a query. Unknown inputs are streams; those that begin
// with ref are reference data.
func compile(t testing.TB, query string) *plan.Job {
	t.Helper()
	script, diags := syntax.Parse(query)
	if len(diags) > 0 {
		t.Fatalf("parsing %q: %v", query, diags)
	}
	job, diags := check.Check(script, check.Options{AnyInput: true, Inputs: map[string]check.Input{"ref": {Kind: plan.Reference}}})
	if len(diags) > 0 {
		t.Fatalf("checking %q: %v", query, diags)
	}
	return job
}

// event is an event of a test.
type event struct {
	input     string
	partition int32
	at        int64 // in ticks
	arrival   int64 // in ticks; 0: unknown
	json      string
}

// at makes an event of input "input" whose member t is the time, in seconds
// from base, and whose other members are given.
func at(seconds float64, members string) event {
	return event{input: "input", at: base + int64(seconds*float64(second)), json: members}
}

func (e event) from(input string) event {
	e.input = input
	return e
}

func (e event) raw() []byte {
	b := append([]byte(`{"t":"`), value.AppendTime(nil, e.at)...)
	b = append(b, '"')
	if e.json != "" {
		b = append(append(b, ','), e.json...)
	}
	return append(b, '}')
}

// harness runs a task and collects what it gives out.
type harness struct {
	t      testing.TB
	job    *plan.Job
	o      Options
	task   *Task
	rows   []string
	drops  []string
	offset int64
}

func newHarness(t testing.TB, query string, o Options) *harness {
	t.Helper()
	h := &harness{t: t, job: compile(t, query), o: o}
	h.o.OnRow = h.onRow
	h.o.OnDropped = func(d *Dropped) { h.drops = append(h.drops, d.Reason.String()) }
	h.renew()
	return h
}

func (h *harness) renew() {
	h.t.Helper()
	task, err := New(h.job, h.o)
	if err != nil {
		h.t.Fatal(err)
	}
	h.task = task
}

func (h *harness) onRow(r *Row) error {
	flag := ""
	if r.Early {
		flag = "early "
	}
	if r.Correction {
		flag = "correction "
	}
	output := ""
	if len(h.job.Outputs) > 1 {
		output = h.job.Outputs[r.Output].Name + " "
	}
	seconds := float64(r.Time-base) / float64(second)
	h.rows = append(h.rows, fmt.Sprintf("%s%s%g %s", output, flag, seconds, r.AppendJSON(nil)))
	return nil
}

func (h *harness) push(e event) error {
	input := -1
	for i, in := range h.job.Inputs {
		if strings.EqualFold(in.Name, e.input) {
			input = i
		}
	}
	if input < 0 {
		return nil
	}
	arrival := e.arrival
	if arrival == 0 {
		arrival = NoTime
	}
	h.offset++
	raw := slices.Clone(e.raw())
	err := h.task.Push(&Event{Input: input, Partition: e.partition, Offset: h.offset, Arrival: arrival, Enqueued: NoTime, Raw: raw})
	// The bytes are the caller's again: what was kept must have been copied.
	for i := range raw {
		raw[i] = '#'
	}
	return err
}

// restart saves the state and goes on with a new task.
func (h *harness) restart() {
	h.t.Helper()
	state, err := h.task.AppendState(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	bytes := h.task.StateBytes()
	h.renew()
	if err := h.task.ReadState(state); err != nil {
		h.t.Fatal(err)
	}
	again, err := h.task.AppendState(nil)
	if err != nil {
		h.t.Fatal(err)
	}
	if string(again) != string(state) {
		i := 0
		for i < min(len(state), len(again)) && state[i] == again[i] {
			i++
		}
		h.t.Fatalf("a state of %d bytes that was read is written with %d bytes; they differ from byte %d on:\n%x\n%x", len(state), len(again), i, state[i:], again[i:])
	}
	if now := h.task.StateBytes(); now < bytes/3-4096 || now > bytes*3+4096 {
		h.t.Fatalf("the state took %d bytes, and %d after a restart", bytes, now)
	}
}

// run gives the rows of a query over events, to the end of the input.
func run(t testing.TB, query string, o Options, events ...event) []string {
	t.Helper()
	h := newHarness(t, query, o)
	for _, e := range events {
		if err := h.push(e); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.task.Finish(); err != nil {
		t.Fatal(err)
	}
	return h.rows
}

func expect(t testing.TB, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("rows:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// replay takes all times as they are.
var replay = Options{Replay: true}

// table is reference data that change at given times.
type table []struct {
	from int64
	rows string
}

func (r table) At(t int64) ([]value.Value, int64, error) {
	version := int64(-1)
	var rows []value.Value
	for i, s := range r {
		if s.from > t {
			break
		}
		version = int64(i)
		var list []json.RawMessage
		if err := json.Unmarshal([]byte(s.rows), &list); err != nil {
			return nil, 0, err
		}
		rows = rows[:0]
		for _, raw := range list {
			rows = append(rows, value.Raw(raw))
		}
	}
	return rows, version, nil
}

func library(t testing.TB, source string) *udf.Library {
	t.Helper()
	l, err := udf.Load(udf.Options{}, udf.File{Name: "udf.js", Source: source})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestQueries(t *testing.T) {
	t.Parallel()
	const by = "FROM input TIMESTAMP BY t "
	k := func(s float64, key string, v float64) event { return at(s, fmt.Sprintf(`"k":%q,"v":%g`, key, v)) }
	stream := []event{k(1, "a", 1), k(2, "b", 10), k(5, "a", 2), k(6, "a", 3), k(12, "b", 20), k(12, "a", 4), k(31, "c", 7)}
	for _, tt := range []struct {
		name, query string
		events      []event
		want        []string
	}{
		{"all fields", "SELECT * " + by, stream[:1], []string{`1 {"t":"2023-11-14T22:14:01.0000000Z","k":"a","v":1}`}},
		{"projection and filter", "SELECT k AS key, v * 2 AS twice " + by + "WHERE v > 3 AND k <> 'c'", stream,
			[]string{`2 {"key":"b","twice":20}`, `12 {"key":"b","twice":40}`, `12 {"key":"a","twice":8}`}},
		{"tumbling", "SELECT k, COUNT(*) AS n, SUM(v) AS s " + by + "GROUP BY k, TumblingWindow(second, 5)", stream,
			[]string{`5 {"k":"a","n":2,"s":3}`, `5 {"k":"b","n":1,"s":10}`, `10 {"k":"a","n":1,"s":3}`, `15 {"k":"b","n":1,"s":20}`, `15 {"k":"a","n":1,"s":4}`, `35 {"k":"c","n":1,"s":7}`}},
		{"hopping", "SELECT COUNT(*) AS n, MAX(v) AS m " + by + "GROUP BY HoppingWindow(second, 10, 5)", stream,
			[]string{`5 {"n":3,"m":10}`, `10 {"n":4,"m":10}`, `15 {"n":3,"m":20}`, `20 {"n":2,"m":20}`, `35 {"n":1,"m":7}`, `40 {"n":1,"m":7}`}},
		{"sliding", "SELECT COUNT(*) AS n " + by + "GROUP BY SlidingWindow(second, 5)", stream[:4],
			[]string{`1 {"n":1}`, `2 {"n":2}`, `5 {"n":3}`, `6 {"n":3}`, `7 {"n":2}`, `10 {"n":1}`}},
		{"session", "SELECT k, COUNT(*) AS n " + by + "GROUP BY k, SessionWindow(second, 5, 60) OVER (PARTITION BY k)", stream,
			[]string{`7 {"k":"b","n":1}`, `11 {"k":"a","n":3}`, `17 {"k":"b","n":1}`, `17 {"k":"a","n":1}`, `36 {"k":"c","n":1}`}},
		{"snapshot", "SELECT COUNT(*) AS n " + by + "GROUP BY System.Timestamp()", stream[4:],
			[]string{`12 {"n":2}`, `31 {"n":1}`}},
		{"several windows", "SELECT System.Window().Id AS w, COUNT(*) AS n " + by + "GROUP BY Windows(Window('five', TumblingWindow(second, 5)), Window('ten', TumblingWindow(second, 10)))", stream[:4],
			[]string{`5 {"w":"five","n":3}`, `10 {"w":"five","n":1}`, `10 {"w":"ten","n":4}`}},
		{"lag", "SELECT v, LAG(v, 1, -1) OVER (PARTITION BY k LIMIT DURATION(second, 5)) AS b " + by, stream,
			[]string{`1 {"v":1,"b":-1}`, `2 {"v":10,"b":-1}`, `5 {"v":2,"b":1}`, `6 {"v":3,"b":2}`, `12 {"v":20,"b":-1}`, `12 {"v":4,"b":-1}`, `31 {"v":7,"b":-1}`}},
		{"last", "SELECT v, LAST(v) OVER (LIMIT DURATION(minute, 1) WHEN k = 'b') AS b " + by, stream,
			[]string{`1 {"v":1,"b":null}`, `2 {"v":10,"b":10}`, `5 {"v":2,"b":10}`, `6 {"v":3,"b":10}`, `12 {"v":20,"b":20}`, `12 {"v":4,"b":20}`, `31 {"v":7,"b":20}`}},
		{"is first", "SELECT v " + by + "WHERE ISFIRST(second, 10) OVER (PARTITION BY k) = 1", stream,
			[]string{`1 {"v":1}`, `2 {"v":10}`, `12 {"v":20}`, `12 {"v":4}`, `31 {"v":7}`}},
		{"running sum", "SELECT SUM(v) OVER (PARTITION BY k LIMIT DURATION(second, 5)) AS s " + by, stream,
			[]string{`1 {"s":1}`, `2 {"s":10}`, `5 {"s":3}`, `6 {"s":5}`, `12 {"s":20}`, `12 {"s":4}`, `31 {"s":7}`}},
		{"join", "SELECT a.v AS l, b.v AS r FROM input a TIMESTAMP BY t JOIN input b TIMESTAMP BY t ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 1 AND 5", stream,
			[]string{`5 {"l":1,"r":2}`, `6 {"l":1,"r":3}`, `6 {"l":2,"r":3}`}},
		{"left join", "SELECT a.v AS l, b.v AS r FROM input a TIMESTAMP BY t LEFT JOIN input b TIMESTAMP BY t ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN 1 AND 5", stream,
			[]string{`5 {"l":1,"r":2}`, `6 {"l":1,"r":3}`, `6 {"l":2,"r":3}`, `7 {"l":10,"r":null}`, `11 {"l":3,"r":null}`, `17 {"l":20,"r":null}`, `17 {"l":4,"r":null}`, `36 {"l":7,"r":null}`}},
		{"union in order", "WITH u AS (SELECT v " + by + "UNION SELECT v + 100 AS v FROM other TIMESTAMP BY t) SELECT v, LAG(v) OVER (LIMIT DURATION(minute, 1)) AS b FROM u",
			[]event{k(1, "", 1), k(4, "", 4), k(2, "", 2).from("other"), k(3, "", 3).from("other"), k(9, "", 9)},
			[]string{`1 {"v":1,"b":null}`, `2 {"v":102,"b":1}`, `3 {"v":103,"b":102}`, `4 {"v":4,"b":103}`, `9 {"v":9,"b":4}`}},
		{"apply", "SELECT e.ArrayIndex AS i, e.ArrayValue AS x FROM input i TIMESTAMP BY t CROSS APPLY GetArrayElements(i.list) AS e",
			[]event{at(1, `"list":[5,"x"]`), at(2, `"list":[]`), at(3, `"v":1`)}, []string{`1 {"i":0,"x":5}`, `1 {"i":1,"x":"x"}`}},
		{"outer apply", "SELECT e.PropertyName AS n, e.PropertyValue AS x FROM input i TIMESTAMP BY t OUTER APPLY GetRecordProperties(i.r) AS e",
			[]event{at(1, `"r":{"p":1}`), at(2, `"r":{}`)}, []string{`1 {"n":"p","x":1}`, `2 {"n":null,"x":null}`}},
		{"top one", "SELECT TOPONE() OVER (ORDER BY v DESC) AS top " + by + "GROUP BY TumblingWindow(minute, 1)", []event{at(1, `"v":3`), at(2, `"v":9`), at(3, `"v":4`)},
			[]string{`60 {"top":{"t":"2023-11-14T22:14:02.0000000Z","v":9}}`}},
		{"two outputs", "SELECT v INTO one " + by + "WHERE k = 'a' SELECT COUNT(*) AS n INTO two " + by + "GROUP BY TumblingWindow(minute, 1)", stream[:3],
			[]string{`one 1 {"v":1}`, `one 5 {"v":2}`, `two 60 {"n":3}`}},
		{"having", "SELECT k, COUNT(*) AS n " + by + "GROUP BY k, TumblingWindow(minute, 1) HAVING COUNT(*) > 1", stream,
			[]string{`60 {"k":"a","n":4}`, `60 {"k":"b","n":2}`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			expect(t, run(t, tt.query, replay, tt.events...), tt.want...)
		})
	}
}
