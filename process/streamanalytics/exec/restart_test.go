package exec

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/udf"
)

const script = `
function twice(x) { return 2 * x; }
function Mean() {
	this.init = function () { this.n = 0; this.sum = 0; };
	this.accumulate = function (v, at) { this.n++; this.sum += v; };
	this.computeResult = function () { return this.sum / this.n; };
}
function Sum() {
	this.init = function () { this.sum = 0; };
	this.accumulate = function (v, at) { this.sum += v; };
	this.deaccumulate = function (v, at) { this.sum -= v; };
	this.computeResult = function () { return this.sum; };
}
`

// queries use every operator that has a state.
var queries = []string{
	"SELECT k, COUNT(*) AS n, SUM(v) AS s, COLLECT() AS c FROM input TIMESTAMP BY t GROUP BY k, TumblingWindow(second, 10)",
	"SELECT k, v, COUNT(*) AS n, AVG(v / 3.0) AS a, MIN(k) AS m FROM input TIMESTAMP BY t GROUP BY k, v, HoppingWindow(second, 12, 5)",
	"SELECT COUNT(*) AS n, PERCENTILE_CONT(0.3) WITHIN GROUP (ORDER BY v) AS p FROM input TIMESTAMP BY t GROUP BY HoppingWindow(second, 60, 2)",
	"SELECT k, COUNT(DISTINCT v) AS n, MAX(v) AS m, STDEV(v) AS d, TOPONE() OVER (ORDER BY v) AS f FROM input TIMESTAMP BY t GROUP BY k, SlidingWindow(second, 6)",
	"SELECT k, SUM(v) AS s, COLLECTTOP(2) OVER (ORDER BY v DESC) AS c FROM input TIMESTAMP BY t GROUP BY k, SessionWindow(second, 4, 12) OVER (PARTITION BY k)",
	"SELECT k, v, COUNT(*) AS n FROM input TIMESTAMP BY t GROUP BY k, v, SessionWindow(second, 4, 12)",
	"SELECT System.Window().Id AS w, SUM(v) AS s FROM input TIMESTAMP BY t GROUP BY Windows(Window('a', TumblingWindow(second, 7)), Window('b', HoppingWindow(second, 9, 3)), Window('c', SlidingWindow(second, 2)), Window('d', SessionWindow(second, 3, 30)))",
	"SELECT k, MIN(v) AS m FROM input TIMESTAMP BY t GROUP BY k, System.Timestamp()",
	"SELECT v, LAG(v, 3) OVER (PARTITION BY k LIMIT DURATION(second, 20)) AS l, LAST(v) OVER (LIMIT DURATION(second, 20) WHEN v > 10) AS o, ISFIRST(second, 10) AS f, AVG(v) OVER (PARTITION BY k LIMIT DURATION(second, 9)) AS a FROM input TIMESTAMP BY t",
	"SELECT AnomalyDetection_SpikeAndDip(v, 90, 20, 'spikesanddips') OVER (PARTITION BY k LIMIT DURATION(second, 60)) AS s, AnomalyDetection_ChangePoint(v, 90, 20) OVER (LIMIT DURATION(second, 60)) AS c FROM input TIMESTAMP BY t",
	"SELECT a.k AS k, a.v AS l, b.v AS r FROM input a TIMESTAMP BY t LEFT JOIN other b TIMESTAMP BY t ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN -2 AND 4",
	"SELECT a.v AS l, b.v AS r FROM input a TIMESTAMP BY t JOIN input b TIMESTAMP BY t ON DATEDIFF(second, a, b) BETWEEN 0 AND 3 AND a.v < b.v",
	"WITH u AS (SELECT k, v FROM input TIMESTAMP BY t UNION SELECT k, v + 100 AS v FROM other TIMESTAMP BY t) SELECT k, v, LAG(v) OVER (PARTITION BY k LIMIT DURATION(second, 30)) AS b FROM u",
	"WITH j AS (SELECT a.k AS k, a.v + b.v AS v FROM input a TIMESTAMP BY t JOIN other b TIMESTAMP BY t ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN -5 AND 5) SELECT k, COLLECT() AS c FROM j GROUP BY k, TumblingWindow(second, 20)",
	"WITH w AS (SELECT k, COUNT(*) AS n FROM input TIMESTAMP BY t GROUP BY k, TumblingWindow(second, 5)) SELECT k, MAX(n) AS n FROM w GROUP BY k, HoppingWindow(second, 30, 10)",
	"SELECT * FROM input TIMESTAMP BY t MATCH_RECOGNIZE (LIMIT DURATION(second, 20) PARTITION BY k MEASURES First(Low.v) AS f, Last(High.v) AS l, COUNT(High.v) AS n AFTER MATCH SKIP TO NEXT ROW PATTERN (Low+ (High | Top)* Low?) DEFINE Low AS Low.v < 8, High AS High.v >= 8 AND High.v < 16, Top AS Top.v >= 16) AS m",
	"SELECT * FROM input TIMESTAMP BY t MATCH_RECOGNIZE (LIMIT DURATION(second, 20) PARTITION BY k MEASURES First(Up.v) AS f, Last(Up.v) AS l AFTER MATCH SKIP TO NEXT ROW PATTERN (Start Up+) DEFINE Up AS Up.v > Start.v) AS m",
	"SELECT k, udf.twice(v) AS x, uda.Mean(v) OVER (PARTITION BY k LIMIT DURATION(second, 9)) AS m FROM input TIMESTAMP BY t",
	"SELECT k, uda.Mean(v) AS m, uda.Sum(v) AS s FROM input TIMESTAMP BY t GROUP BY k, HoppingWindow(second, 10, 5)",
	"SELECT k, uda.Mean(v) AS m, uda.Sum(v) AS s FROM input TIMESTAMP BY t GROUP BY k, SlidingWindow(second, 5)",
	"SELECT k, uda.Sum(v) AS s FROM input TIMESTAMP BY t GROUP BY k, SessionWindow(second, 4, 12) OVER (PARTITION BY k)",
	"SELECT k, COUNT(*) AS n FROM input TIMESTAMP BY t OVER k GROUP BY k, TumblingWindow(second, 5)",
	"SELECT k, v, LAG(v) OVER (PARTITION BY k LIMIT DURATION(second, 30)) AS b FROM input TIMESTAMP BY t OVER k",
	"SELECT k, COUNT(*) OVER (PARTITION BY k LIMIT DURATION(second, 5) WHEN v > 5) AS n INTO one FROM input TIMESTAMP BY t SELECT COUNT(*) AS n INTO two FROM other GROUP BY TumblingWindow(second, 30)",
}

func testLibrary(t testing.TB) *udf.Library { return library(t, script) }

// numbered notes rows with their ordinals.
func numbered(h *harness) {
	h.o.OnRow = func(r *Row) error {
		if err := h.onRow(r); err != nil {
			return err
		}
		last := len(h.rows) - 1
		h.rows[last] = fmt.Sprintf("%d@%d/%d ", r.Ordinal, r.Partition, r.Offset) + h.rows[last]
		return nil
	}
	h.renew()
}

// The same events give the same rows wherever the state was saved and restored
// in between.
func TestRestarts(t *testing.T) {
	t.Parallel()
	lib := testLibrary(t)
	for i, query := range queries {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			rows := 0
			for seed := range uint64(6) {
				rng := rand.New(rand.NewPCG(seed, 17))
				partitions := 1 + rng.IntN(3)
				events := randomStream(rng, 20+rng.IntN(100), partitions, "input", "input", "other")
				o := randomOptions(rng, partitions)
				o.Partitions["other"] = o.Partitions["input"]
				o.Functions = lib
				if seed%3 == 0 {
					o.EmitEarly = 7 * second
				}
				straight, cut := newHarness(t, query, o), newHarness(t, query, o)
				numbered(straight)
				numbered(cut)
				for _, e := range events {
					for _, h := range []*harness{straight, cut} {
						if err := h.push(e); err != nil {
							t.Fatal(err)
						}
					}
					if rng.IntN(15) == 0 {
						cut.restart()
					}
				}
				cut.restart()
				for _, h := range []*harness{straight, cut} {
					if err := h.task.Finish(); err != nil {
						t.Fatal(err)
					}
				}
				if diff := firstDifference(cut.rows, straight.rows); diff != "" {
					t.Fatalf("seed %d of %s\nafter restarts: %s", seed, query, diff)
				}
				if a, b := straight.task.Stats(), cut.task.Stats(); a != b {
					t.Fatalf("seed %d: counts are %+v, after restarts %+v", seed, a, b)
				}
				if n := straight.task.StateBytes(); n < 0 || n > 200_000 {
					t.Errorf("seed %d of %s: the state takes %d bytes at the end", seed, query, n)
				}
				rows += len(straight.rows)
			}
			if rows == 0 {
				t.Errorf("%s: no rows at all", query)
			}
		})
	}
}

// When all is closed nothing is left of the state but keys that linger.
func TestStateIsGivenBack(t *testing.T) {
	t.Parallel()
	lib := testLibrary(t)
	for _, query := range queries {
		o := replay
		o.Functions = lib
		h := newHarness(t, query, o)
		rng := rand.New(rand.NewPCG(3, 3))
		events := randomStream(rng, 200, 1, "input", "other")
		// Long after, a few lone events: what was there has gone.
		for i := range 4 {
			for _, input := range []string{"input", "other"} {
				late := at(100_000+float64(i)*10_000, fmt.Sprintf(`"k":"z","v":%d`, i)).from(input)
				events = append(events, late)
			}
		}
		for _, e := range events {
			if err := h.push(e); err != nil {
				t.Fatal(err)
			}
		}
		if n := h.task.StateBytes(); n < 0 || n > 16_000 {
			t.Errorf("%s:\nthe state takes %d bytes: %+v", query, n, h.task.States())
		}
	}
}

func TestStateOfOtherQueries(t *testing.T) {
	t.Parallel()
	state := func(query string) []byte {
		h := newHarness(t, query, replay)
		if err := h.push(at(1, `"k":"a","v":1`)); err != nil {
			t.Fatal(err)
		}
		b, err := h.task.AppendState([]byte("before"))
		if err != nil {
			t.Fatal(err)
		}
		return b[len("before"):]
	}
	one := state("SELECT k, COUNT(*) AS n FROM input TIMESTAMP BY t GROUP BY k, TumblingWindow(second, 5)")
	for _, tt := range []struct{ query, want string }{
		{"SELECT k, COUNT(*) AS n FROM input TIMESTAMP BY t GROUP BY k, TumblingWindow(second, 6)", "another query"},
		{"SELECT k, COUNT(v) AS n FROM input TIMESTAMP BY t GROUP BY k, TumblingWindow(second, 5)", "another query"},
		{"SELECT  k, COUNT(*) AS n -- laid out anew\nFROM input TIMESTAMP BY t\n\nGROUP BY k, TumblingWindow(second, 5)", ""},
	} {
		h := newHarness(t, tt.query, replay)
		err := h.task.ReadState(one)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", tt.query, err)
		}
		if err != nil && h.task.Push(&Event{Raw: []byte("{}")}) == nil {
			t.Error("a task without its state went on")
		}
	}
	for i := range one {
		bad := slices.Clone(one)
		bad[i] ^= 0x40
		h := newHarness(t, "SELECT k, COUNT(*) AS n FROM input TIMESTAMP BY t GROUP BY k, TumblingWindow(second, 5)", replay)
		if err := h.task.ReadState(bad); err == nil {
			t.Fatalf("a state with byte %d changed was taken", i)
		}
	}
}

// FuzzReadState hands damaged states to tasks of all kinds: they are refused, or
// taken and worked with, but nothing panics.
func FuzzReadState(f *testing.F) {
	lib := testLibrary(f)
	o := Options{Late: 5 * second, OutOfOrder: second, Functions: lib}
	for i, query := range queries {
		h := newHarness(f, query, o)
		for _, e := range randomStream(rand.New(rand.NewPCG(5, 5)), 30, 2, "input", "other") {
			if err := h.push(e); err != nil {
				f.Fatal(err)
			}
		}
		state, err := h.task.AppendState(nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(i, state[bodyStart:len(state)-4])
	}
	f.Fuzz(func(t *testing.T, i int, body []byte) {
		if i < 0 || i >= len(queries) {
			return
		}
		readDamaged(t, queries[i], o, body)
	})
}

const bodyStart = len(stateMagic) + 1 + 16

// readDamaged restores a state with that body and a good checksum, and goes on
// if it is taken.
func readDamaged(t testing.TB, query string, o Options, body []byte) {
	t.Helper()
	h := newHarness(t, query, o)
	state := append([]byte(stateMagic), stateVersion)
	state = append(append(state, h.task.hash[:]...), body...)
	state = binary.LittleEndian.AppendUint32(state, checksum(state))
	if err := h.task.ReadState(state); err != nil {
		return
	}
	for _, e := range randomStream(rand.New(rand.NewPCG(6, 6)), 10, 2, "input", "other") {
		if err := h.push(e); err != nil {
			return
		}
	}
	_ = h.task.Finish()
}

// TestDamagedStates does a little of the above in every run.
func TestDamagedStates(t *testing.T) {
	t.Parallel()
	lib := testLibrary(t)
	o := Options{Late: 5 * second, OutOfOrder: second, Functions: lib}
	rng := rand.New(rand.NewPCG(8, 8))
	for _, query := range queries {
		h := newHarness(t, query, o)
		for _, e := range randomStream(rng, 30, 2, "input", "other") {
			if err := h.push(e); err != nil {
				t.Fatal(err)
			}
		}
		state, err := h.task.AppendState(nil)
		if err != nil {
			t.Fatal(err)
		}
		body := state[bodyStart : len(state)-4]
		for range 20 {
			bad := slices.Clone(body)
			for range 1 + rng.IntN(3) {
				bad[rng.IntN(len(bad))] = byte(rng.Uint32())
			}
			if rng.IntN(3) == 0 {
				bad = bad[:rng.IntN(len(bad))]
			}
			readDamaged(t, query, o, bad)
		}
	}
}

func TestStateLimit(t *testing.T) {
	t.Parallel()
	o := replay
	o.MaxStateBytes = 20_000
	h := newHarness(t, "WITH counts AS (SELECT k, COUNT(*) AS n FROM input TIMESTAMP BY t GROUP BY k, TumblingWindow(day, 1)) SELECT * FROM counts", o)
	var err error
	n := 0
	for ; err == nil && n < 10_000; n++ {
		err = h.push(at(1, fmt.Sprintf(`"k":"key-%d"`, n)))
	}
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("no error: %v", err)
	}
	for _, want := range []string{"counts", "GROUP BY", "keys", "20000", "input"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the message does not say %q: %s", want, err)
		}
	}
	if n < 100 || n > 1000 {
		t.Errorf("%d keys fit into 20,000 bytes", n)
	}
	if again := h.push(at(1, `"k":"a"`)); again == nil {
		t.Error("the task went on after an error")
	}
}

// What a window holds depends on its keys, not on the number of events.
func TestMemoryDependsOnKeys(t *testing.T) {
	t.Parallel()
	for _, query := range []string{queries[1], "SELECT k, COUNT(*) AS n, SUM(v) AS s, MAX(v) AS m FROM input TIMESTAMP BY t GROUP BY k, SessionWindow(minute, 1, 60) OVER (PARTITION BY k)"} {
		h := newHarness(t, query, Options{Late: 5 * second, LatePolicy: timing.Adjust})
		var after [2]int64
		for i := range 40_000 {
			if err := h.push(at(float64(i)/1000, fmt.Sprintf(`"k":"key-%d","v":%d`, i%10, i%3))); err != nil {
				t.Fatal(err)
			}
			if i == 15_000 {
				after[0] = h.task.StateBytes()
			}
		}
		if after[1] = h.task.StateBytes(); after[1] > after[0]*3/2 {
			t.Errorf("%s: %d bytes after 15,000 events, %d after 40,000", query, after[0], after[1])
		}
	}
}
