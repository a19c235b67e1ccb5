package exec

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

func kv(s float64, key string, v int) event { return at(s, fmt.Sprintf(`"k":%q,"v":%d`, key, v)) }

func TestEarly(t *testing.T) {
	t.Parallel()
	o := replay
	o.EmitEarly = 10 * second
	const by = " FROM input TIMESTAMP BY t GROUP BY "
	events := []event{kv(1, "a", 1), kv(2, "b", 1), kv(11, "a", 1), kv(22, "a", 1), kv(23, "c", 1), kv(65, "b", 1)}
	t.Run("tumbling", func(t *testing.T) {
		t.Parallel()
		expect(t, run(t, "SELECT k, COUNT(*) AS n"+by+"k, TumblingWindow(minute, 1)", o, events...),
			`early 60 {"k":"a","n":1}`, `early 60 {"k":"b","n":1}`,
			`early 60 {"k":"a","n":2}`,
			`correction 60 {"k":"a","n":3}`, `60 {"k":"b","n":1}`, `60 {"k":"c","n":1}`,
			`120 {"k":"b","n":1}`)
	})
	t.Run("hopping and having", func(t *testing.T) {
		t.Parallel()
		expect(t, run(t, "SELECT COUNT(*) AS n"+by+"HoppingWindow(second, 60, 30) HAVING COUNT(*) > 2", o, events...),
			`early 30 {"n":3}`, `early 60 {"n":3}`, `correction 30 {"n":5}`, `correction 60 {"n":5}`)
	})
	t.Run("session", func(t *testing.T) {
		t.Parallel()
		expect(t, run(t, "SELECT k, COUNT(*) AS n"+by+"k, SessionWindow(second, 15, 300) OVER (PARTITION BY k)", o, events...),
			`early 16 {"k":"a","n":1}`, `early 17 {"k":"b","n":1}`, `17 {"k":"b","n":1}`, `early 26 {"k":"a","n":2}`,
			`correction 37 {"k":"a","n":3}`, `38 {"k":"c","n":1}`, `80 {"k":"b","n":1}`)
	})
	t.Run("what keeps state waits for the final row", func(t *testing.T) {
		t.Parallel()
		query := "WITH w AS (SELECT k, COUNT(*) AS n" + by + "k, TumblingWindow(second, 30)) SELECT SUM(n) AS n FROM w GROUP BY TumblingWindow(minute, 1)"
		rows := run(t, query, o, events...)
		for _, r := range rows {
			if !strings.HasPrefix(r, "early") && !strings.HasSuffix(r, `{"n":5}`) && !strings.HasSuffix(r, `{"n":1}`) {
				t.Errorf("row %s", r)
			}
		}
	})
}

// Whatever the period, rows that are not early are those without it.
func TestEarlyChangesNothingElse(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 19))
		events := randomStream(rng, 60, 1, "input")
		o := randomOptions(rng, 1)
		query := queries[rng.IntN(8)]
		plain := run(t, query, o, events...)
		o.EmitEarly = 1 + rng.Int64N(20*second)
		var final []string
		for _, r := range run(t, query, o, events...) {
			if !strings.HasPrefix(r, "early") {
				final = append(final, strings.TrimPrefix(r, "correction "))
			}
		}
		if diff := firstDifference(final, plain); diff != "" {
			t.Fatalf("seed %d of %s: %s", seed, query, diff)
		}
	}
}

func TestErrorsSayWhere(t *testing.T) {
	t.Parallel()
	lib := library(t, "function fails(x) { throw new Error('no luck'); }")
	for _, tt := range []struct {
		query string
		pos   syntax.Pos
		words []string
	}{
		{"SELECT 1 AS a,\n  CAST(k AS bigint) AS b FROM input TIMESTAMP BY t", syntax.Pos{Line: 2, Column: 3}, []string{"TRY_CAST", "line 2, column 3", "event 2 of partition 0 of input input"}},
		{"SELECT udf.fails(v) AS a FROM input TIMESTAMP BY t WHERE v > 1", syntax.Pos{Line: 1, Column: 8}, []string{"no luck", "event 2"}},
		{"SELECT v / (v - 2) AS a FROM input TIMESTAMP BY t", syntax.Pos{}, []string{"zero", "event 2"}},
		{"SELECT SUM(v * 9000000000000000000) AS a FROM input TIMESTAMP BY t WHERE v > 1 GROUP BY TumblingWindow(second, 5)", syntax.Pos{}, []string{"overflow", "event 2"}},
	} {
		o := replay
		o.Functions = lib
		h := newHarness(t, tt.query, o)
		var err error
		for _, e := range []event{kv(1, "1", 1), kv(2, "x", 2), kv(3, "3", 3)} {
			if err = h.push(e); err != nil {
				break
			}
		}
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%s: error %v", tt.query, err)
			continue
		}
		if !e.Pos.IsValid() || tt.pos.IsValid() && (e.Pos.Line != tt.pos.Line || e.Pos.Column != tt.pos.Column) {
			t.Errorf("%s: the error is at %s", tt.query, e.Pos)
		}
		if e.Offset != 2 || e.Input != "input" {
			t.Errorf("%s: the error is at event %d of %q", tt.query, e.Offset, e.Input)
		}
		for _, w := range tt.words {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("%s: the message does not say %q: %s", tt.query, w, err)
			}
		}
		if h.push(kv(4, "1", 1)) == nil || h.task.Finish() == nil {
			t.Errorf("%s: the task went on", tt.query)
		}
		if _, err := h.task.AppendState(nil); err == nil {
			t.Errorf("%s: the state of a failed task was saved", tt.query)
		}
	}
}

func TestEventsThatAreNotUsed(t *testing.T) {
	t.Parallel()
	query := "CREATE TABLE input (t datetime, v bigint); SELECT v FROM input TIMESTAMP BY t"
	o := Options{Late: 5 * second, LatePolicy: timing.Drop}
	h := newHarness(t, query, o)
	push := func(raw string, arrival float64) {
		t.Helper()
		if err := h.task.Push(&Event{Arrival: base + int64(arrival*float64(second)), Enqueued: NoTime, Raw: []byte(raw)}); err != nil {
			t.Fatal(err)
		}
	}
	stamp := func(s float64) string { return string(at(s, `"v":1`).raw()) }
	push(`{`, 1)
	push(`[]`, 1)
	push(`{"t":"2023-11-14T22:14:00Z","v":123456789012345678901234567890}`, 1)
	push(`{"t":"2023-11-14T22:14:00Z","v":"x"}`, 1)
	push(`{"v":1}`, 1)
	push(stamp(1000), 1)
	push(stamp(10), 10)
	push(stamp(10), 20)
	push(stamp(9), 11)
	push(stamp(12), 12.5)
	push(`{"t":"2023-11-14T22:14:20Z","v":"17"}`, 20)
	expect(t, h.drops, "input deserialization error", "input deserialization error", "input deserialization error", "data conversion error", "no event time", "early", "late", "out of order", "out of order")
	expect(t, h.rows, `10 {"v":1}`, `20 {"v":17}`)
	s := h.task.Stats()
	if s.InputEvents != 11 || s.InputDeserializationErrors != 4 || s.DataConversionErrors != 1 || s.EarlyInputEvents != 1 || s.LateInputEvents != 1 || s.OutOfOrderEvents != 2 || s.OutputEvents != 2 || s.InputEventBytes == 0 {
		t.Errorf("counts are %+v", s)
	}
}

func TestStart(t *testing.T) {
	t.Parallel()
	o := replay
	o.Start = base + 10*second
	expect(t, run(t, "SELECT COUNT(*) AS n FROM input TIMESTAMP BY t GROUP BY HoppingWindow(second, 10, 5)", o, kv(1, "", 1), kv(6, "", 1), kv(11, "", 1)),
		`10 {"n":2}`, `15 {"n":2}`, `20 {"n":1}`)
}

func TestArrivalTimeAndMetadata(t *testing.T) {
	t.Parallel()
	h := newHarness(t, "SELECT v, System.Timestamp() AS at, EventEnqueuedUtcTime AS q, EventProcessedUtcTime AS p, PartitionId AS i, GetMetadataPropertyValue(input, '[User].[x]') AS x FROM input", Options{Now: func() int64 { return base + 99*second }})
	err := h.task.Push(&Event{Partition: 3, Arrival: base + second, Enqueued: base, Raw: []byte(`{"v":1}`),
		Property: func(name string) value.Value { return value.Text(name) }})
	if err != nil {
		t.Fatal(err)
	}
	if len(h.rows) != 1 || !strings.Contains(h.rows[0], `"at":"2023-11-14T22:14:01.0000000Z","q":"2023-11-14T22:14:00.0000000Z","p":"2023-11-14T22:15:39.0000000Z","i":3,"x":"[User].[x]"`) {
		t.Errorf("rows %q", h.rows)
	}
	if err := h.task.Push(&Event{Arrival: NoTime, Raw: []byte(`{"v":1}`)}); err != nil {
		t.Fatal(err)
	}
	expect(t, h.drops, "no event time")
}

func TestReferenceData(t *testing.T) {
	t.Parallel()
	o := replay
	o.Reference = map[string]Reference{"ref": table{
		{base, `[{"k":"a","name":"first"},{"k":"A","name":"second"},{"k":null,"name":"none"}]`},
		{base + 10*second, `[{"k":"b","name":"third"}]`},
	}}
	events := []event{kv(1, "a", 1), kv(2, "b", 2), kv(11, "b", 3), kv(12, "a", 4), at(13, `"v":5`)}
	const on = " JOIN ref r ON i.k = r.k"
	expect(t, run(t, "SELECT i.v, r.name FROM input i TIMESTAMP BY t"+on, o, events...),
		`1 {"v":1,"name":"first"}`, `1 {"v":1,"name":"second"}`, `11 {"v":3,"name":"third"}`)
	expect(t, run(t, "SELECT i.v, r.name FROM input i TIMESTAMP BY t LEFT"+on+" AND r.name <> 'first'", o, events...),
		`1 {"v":1,"name":"second"}`, `2 {"v":2,"name":null}`, `11 {"v":3,"name":"third"}`, `12 {"v":4,"name":null}`, `13 {"v":5,"name":null}`)
	expect(t, run(t, "SELECT i.v, r.* FROM input i TIMESTAMP BY t CROSS JOIN ref r WHERE i.v > 2", o, events...),
		`11 {"v":3,"k":"b","name":"third"}`, `12 {"v":4,"k":"b","name":"third"}`, `13 {"v":5,"k":"b","name":"third"}`)
	h := newHarness(t, "SELECT i.v FROM input i TIMESTAMP BY t"+on, o)
	o.Reference = nil
	if _, err := New(h.job, o); err == nil || !strings.Contains(err.Error(), "ref") {
		t.Errorf("a task without its reference data: %v", err)
	}
}

// Results wait for the slowest partition; one that is silent is not waited for
// longer than the late arrival tolerance.
func TestPartitions(t *testing.T) {
	t.Parallel()
	o := Options{Late: 5 * second, Partitions: map[string][]int32{"input": {0, 1}}}
	h := newHarness(t, "SELECT COUNT(*) AS n FROM input TIMESTAMP BY t GROUP BY TumblingWindow(second, 10)", o)
	push := func(s float64, partition int32) {
		t.Helper()
		e := kv(s, "", 1)
		e.partition, e.arrival = partition, e.at
		if err := h.push(e); err != nil {
			t.Fatal(err)
		}
	}
	push(1, 0)
	push(12, 0)
	expect(t, h.rows)
	push(2, 1)
	expect(t, h.rows)
	if err := h.task.Idle(0, 1, base+15*second); err != nil {
		t.Fatal(err)
	}
	expect(t, h.rows)
	if err := h.task.Idle(0, 1, base+15*second+1); err != nil {
		t.Fatal(err)
	}
	expect(t, h.rows, `10 {"n":2}`)
	if w := h.task.Watermark(); w != base+10*second+1 {
		t.Errorf("the watermark is at %g", float64(w-base)/float64(second))
	}
	if err := h.task.FinishPartition(0, 1); err != nil {
		t.Fatal(err)
	}
	push(31, 0)
	expect(t, h.rows, `10 {"n":2}`, `20 {"n":1}`)
}

func TestMatchAgainstRegexp(t *testing.T) {
	t.Parallel()
	const limit = 12 * second
	for _, tt := range []struct{ pattern, expr string }{
		{"Low+ (High | Top)* Low?", "^L+(?:H|T)*L?"},
		{"Low High", "^LH"},
		{"Low* Top", "^L*T"},
		{"(Low High?)+", "^(?:LH?)+"},
		{"Low (High | High Top)", "^L(?:H|HT)"},
		{"(Low* High*)* Top", "^(?:L*H*)*T"},
	} {
		t.Run(tt.pattern, func(t *testing.T) {
			t.Parallel()
			expr := regexp.MustCompile(tt.expr)
			var define []string
			for _, d := range []string{"Low AS Low.v < 9", "High AS High.v >= 9 AND High.v < 15", "Top AS Top.v >= 15"} {
				if name, _, _ := strings.Cut(d, " "); strings.Contains(tt.pattern, name) {
					define = append(define, d)
				}
			}
			for seed := range uint64(25) {
				rng := rand.New(rand.NewPCG(seed, 23))
				events := randomStream(rng, 20+rng.IntN(80), 1, "input")
				o := randomOptions(rng, 1)
				got := run(t, "SELECT * FROM input TIMESTAMP BY t MATCH_RECOGNIZE (LIMIT DURATION(second, 12) PARTITION BY k MEASURES First(v) AS f, Last(v) AS l, COUNT(*) AS n "+
					"AFTER MATCH SKIP TO NEXT ROW PATTERN ("+tt.pattern+") DEFINE "+strings.Join(define, ", ")+") AS m", o, events...)
				want := matchOracle(rowsOf(t, o, "input", events), expr, limit)
				slices.Sort(got)
				slices.Sort(want)
				if diff := firstDifference(got, want); diff != "" {
					t.Fatalf("seed %d: %s", seed, diff)
				}
			}
		})
	}
}

func matchOracle(rows []delivered, expr *regexp.Regexp, limit int64) []string {
	var out []string
	for _, g := range byKey(rows) {
		for i := range g {
			text := ""
			for j := i; j < len(g) && g[j].at-g[i].at <= limit; j++ {
				switch {
				case g[j].v < 9:
					text += "L"
				case g[j].v < 15:
					text += "H"
				default:
					text += "T"
				}
			}
			if m := expr.FindString(text); m != "" {
				last := g[i+len(m)-1]
				out = append(out, line(last.at, `{"k":%q,"f":%d,"l":%d,"n":%d}`, g[i].k, g[i].v, last.v, len(m)))
			}
		}
	}
	return out
}

func TestOptionsOutOfRange(t *testing.T) {
	t.Parallel()
	job := compile(t, "SELECT * FROM input")
	for _, o := range []Options{{EmitEarly: -1}, {Late: -1}, {OutOfOrder: -1}} {
		if _, err := New(job, o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	task, err := New(job, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if task.Push(&Event{Input: 1, Raw: []byte("{}")}) == nil || task.Idle(-1, 0, 0) == nil {
		t.Error("an input that is not there was taken")
	}
	if err := task.Finish(); err != nil {
		t.Fatal(err)
	}
	if task.Push(&Event{Raw: []byte("{}")}) == nil {
		t.Error("an event came after the end")
	}
}

// A plan that is wrong is an error and not a panic.
func TestWrongPlans(t *testing.T) {
	t.Parallel()
	in, out := &plan.Input{Name: "i"}, &plan.Output{Name: "o"}
	source := &plan.Source{Common: plan.Common{Width: 1}, Input: in, Payload: 0}
	for _, job := range []*plan.Job{
		{Inputs: []*plan.Input{in}, Nodes: []plan.Node{&plan.Filter{Common: plan.Common{Inputs: []plan.Node{source}}}}},
		{Nodes: []plan.Node{source}},
		{Inputs: []*plan.Input{in}, Nodes: []plan.Node{source, &plan.Sink{Common: plan.Common{ID: 1, Inputs: []plan.Node{source}}, Output: out}}},
		{Inputs: []*plan.Input{in}, Nodes: []plan.Node{&plan.Source{Common: plan.Common{ID: 4}, Input: in}}},
		{Inputs: []*plan.Input{in}, Nodes: []plan.Node{source, &plan.Project{Common: plan.Common{ID: 1, Inputs: []plan.Node{source}}, Columns: []plan.Column{{Name: "x"}}}}},
	} {
		if _, err := New(job, Options{}); err == nil {
			t.Errorf("a wrong plan was taken: %+v", job.Nodes)
		}
	}
}
