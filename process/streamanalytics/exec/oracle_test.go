package exec

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// The oracles below know nothing of panes, heaps or watermarks: they compute
// results by definition from all rows. Which rows there are, with what times, is
// what a query without any state gives out; package timing has its own oracles
// for that.

// delivered is a row as the operators get it.
type delivered struct {
	at   int64
	k    string
	v    int64
	list int // its place
}

// randomStream makes events of three keys whose times jump back and forth, some
// twice, some late, in several partitions.
func randomStream(rng *rand.Rand, n, partitions int, inputs ...string) []event {
	var out []event
	clock := base
	for range n {
		clock += rng.Int64N(2 * second)
		if rng.IntN(20) == 0 {
			clock += rng.Int64N(40 * second)
		}
		e := event{input: inputs[rng.IntN(len(inputs))], partition: int32(rng.IntN(partitions)), at: clock, arrival: clock}
		switch rng.IntN(6) {
		case 0:
			e.at -= rng.Int64N(3 * second)
		case 1:
			e.at -= rng.Int64N(20 * second)
		case 2:
			// On a whole second, where windows end.
			e.at -= e.at % second
		}
		e.json = fmt.Sprintf(`"k":%q,"v":%d`, string(rune('a'+rng.IntN(3))), rng.IntN(20))
		out = append(out, e)
		if rng.IntN(12) == 0 {
			out = append(out, e)
		}
	}
	return out
}

func randomOptions(rng *rand.Rand, partitions int) Options {
	o := Options{Late: rng.Int64N(15 * second), LatePolicy: timing.Mode(rng.IntN(2)), Replay: rng.IntN(3) == 0}
	if rng.IntN(2) == 0 {
		o.OutOfOrder = rng.Int64N(5 * second)
	}
	ids := []int32{}
	for i := range partitions {
		ids = append(ids, int32(i))
	}
	o.Partitions = map[string][]int32{"input": ids, "a": ids, "b": ids}
	return o
}

// rowsOf is what the operators get of an input.
func rowsOf(t *testing.T, o Options, input string, events []event, over ...string) []delivered {
	t.Helper()
	var out []delivered
	for i, line := range run(t, "SELECT k, v, System.Timestamp() AS at FROM "+input+" TIMESTAMP BY t"+strings.Join(over, ""), o, events...) {
		_, text, _ := strings.Cut(line, " ")
		var r struct {
			K  string
			V  int64
			At string
		}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			t.Fatal(err)
		}
		ticks, _ := value.ParseTime(r.At)
		out = append(out, delivered{at: ticks, k: r.K, v: r.V, list: i})
	}
	return out
}

// line is a row as the harness notes it.
func line(at int64, format string, args ...any) string {
	return fmt.Sprintf("%g ", float64(at-base)/float64(second)) + fmt.Sprintf(format, args...)
}

// group gives the aggregates of rows as oracleCalls does.
func group(at int64, rows []delivered) string {
	sum, low, high := int64(0), rows[0].v, rows[0].v
	distinct := map[int64]bool{}
	for _, r := range rows {
		sum += r.v
		low, high = min(low, r.v), max(high, r.v)
		distinct[r.v] = true
	}
	avg := string(value.Double(float64(sum) / float64(len(rows))).AppendJSON(nil))
	return line(at, `{"k":%q,"n":%d,"s":%d,"a":%s,"l":%d,"h":%d,"d":%d}`, rows[0].k, len(rows), sum, avg, low, high, len(distinct))
}

const oracleCalls = "SELECT k, COUNT(*) AS n, SUM(v) AS s, AVG(v) AS a, MIN(v) AS l, MAX(v) AS h, COUNT(DISTINCT v) AS d FROM input TIMESTAMP BY t GROUP BY k, "

// byKey splits rows by key, in the order in which keys appear.
func byKey(rows []delivered) [][]delivered {
	at := map[string]int{}
	var out [][]delivered
	for _, r := range rows {
		i, ok := at[r.k]
		if !ok {
			i = len(out)
			at[r.k] = i
			out = append(out, nil)
		}
		out[i] = append(out[i], r)
	}
	return out
}

// ends are the multiples of hop, moved by offset, that windows of rows may have
// as their ends.
func hoppingOracle(rows []delivered, size, hop, offset int64) []string {
	if len(rows) == 0 {
		return nil
	}
	first, last := rows[0].at, rows[len(rows)-1].at
	var out []string
	for end := (first/hop-2)*hop + offset; end < last+size+2*hop; end += hop {
		var in []delivered
		for _, r := range rows {
			if r.at > end-size && r.at <= end {
				in = append(in, r)
			}
		}
		for _, g := range byKey(in) {
			out = append(out, group(end, g))
		}
	}
	return out
}

func slidingOracle(rows []delivered, size int64) []string {
	var instants []int64
	for _, r := range rows {
		instants = append(instants, r.at, r.at+size)
	}
	slices.Sort(instants)
	var out []string
	for _, at := range slices.Compact(instants) {
		for _, g := range byKey(rows) {
			var in []delivered
			changed := false
			for _, r := range g {
				if r.at > at-size && r.at <= at {
					in = append(in, r)
				}
				changed = changed || r.at == at || r.at+size == at
			}
			if changed && len(in) > 0 {
				out = append(out, group(at, in))
			}
		}
	}
	return out
}

// sessionOracle cuts each key's rows into sessions: by silence, and at the first
// multiple of longest at which a session is that long.
func sessionOracle(rows []delivered, timeout, longest int64) []string {
	type found struct {
		end   int64
		first int
		text  string
	}
	var all []found
	for _, g := range byKey(rows) {
		for len(g) > 0 {
			// A stretch without a silence.
			n := 1
			for n < len(g) && g[n].at <= g[n-1].at+timeout {
				n++
			}
			stretch, over := g[:n], g[n-1].at+timeout
			g = g[n:]
			start := stretch[0].at
			for len(stretch) > 0 {
				test := start - start%longest
				for test-start < longest {
					test += longest
				}
				k := 0
				for k < len(stretch) && stretch[k].at <= test {
					k++
				}
				if k > 0 {
					end := min(test, stretch[k-1].at+timeout)
					if k == len(stretch) {
						end = min(test, over)
					}
					all = append(all, found{end, stretch[0].list, group(end, stretch[:k])})
				}
				stretch, start = stretch[k:], test
			}
		}
	}
	slices.SortFunc(all, func(a, b found) int {
		if a.end != b.end {
			return int(min(max(a.end-b.end, -1), 1))
		}
		return a.first - b.first
	})
	var out []string
	for _, f := range all {
		out = append(out, f.text)
	}
	return out
}

func snapshotOracle(rows []delivered) []string {
	var out []string
	for i := 0; i < len(rows); {
		n := i
		for n < len(rows) && rows[n].at == rows[i].at {
			n++
		}
		for _, g := range byKey(rows[i:n]) {
			out = append(out, group(rows[i].at, g))
		}
		i = n
	}
	return out
}

func TestWindowsAgainstDefinition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, window string
		oracle       func([]delivered) []string
		anyOrder     bool
	}{
		{"tumbling", "TumblingWindow(second, 10)", func(r []delivered) []string { return hoppingOracle(r, 10*second, 10*second, 0) }, false},
		{"tumbling with offset", "TumblingWindow(Duration(second, 7), Offset(millisecond, -1))", func(r []delivered) []string { return hoppingOracle(r, 7*second, 7*second, -second/1000) }, false},
		{"hopping", "HoppingWindow(second, 12, 4)", func(r []delivered) []string { return hoppingOracle(r, 12*second, 4*second, 0) }, false},
		{"hopping, not a multiple", "HoppingWindow(second, 10, 4)", func(r []delivered) []string { return hoppingOracle(r, 10*second, 4*second, 0) }, false},
		{"hopping, long", "HoppingWindow(second, 60, 1)", func(r []delivered) []string { return hoppingOracle(r, 60*second, second, 0) }, false},
		{"sliding", "SlidingWindow(second, 6)", func(r []delivered) []string { return slidingOracle(r, 6*second) }, true},
		{"session", "SessionWindow(second, 4, 20) OVER (PARTITION BY k)", func(r []delivered) []string { return sessionOracle(r, 4*second, 20*second) }, false},
		{"session, often cut", "SessionWindow(second, 15, 5) OVER (PARTITION BY k)", func(r []delivered) []string { return sessionOracle(r, 15*second, 5*second) }, false},
		{"snapshot", "System.Timestamp()", snapshotOracle, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(25) {
				rng := rand.New(rand.NewPCG(seed, 7))
				partitions := 1 + rng.IntN(3)
				events := randomStream(rng, 20+rng.IntN(120), partitions, "input")
				o := randomOptions(rng, partitions)
				got := run(t, oracleCalls+tt.window, o, events...)
				want := tt.oracle(rowsOf(t, o, "input", events))
				if tt.anyOrder {
					slices.Sort(got)
					slices.Sort(want)
				}
				if diff := firstDifference(got, want); diff != "" {
					t.Fatalf("seed %d: %s", seed, diff)
				}
			}
		})
	}
}

// Substreams are in order each, but not among each other: windows hold the same
// rows nevertheless.
func TestSubstreamsAgainstDefinition(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, window string
		oracle       func([]delivered) []string
	}{
		{"hopping", "HoppingWindow(second, 10, 4)", func(r []delivered) []string { return hoppingOracle(r, 10*second, 4*second, 0) }},
		{"sliding", "SlidingWindow(second, 6)", func(r []delivered) []string { return slidingOracle(r, 6*second) }},
		{"session", "SessionWindow(second, 4, 20) OVER (PARTITION BY k)", func(r []delivered) []string { return sessionOracle(r, 4*second, 20*second) }},
		{"snapshot", "System.Timestamp()", snapshotOracle},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(15) {
				rng := rand.New(rand.NewPCG(seed, 31))
				partitions := 1 + rng.IntN(2)
				events := randomStream(rng, 20+rng.IntN(80), partitions, "input")
				o := randomOptions(rng, partitions)
				rows := rowsOf(t, o, "input", events, " OVER k")
				slices.SortStableFunc(rows, func(a, b delivered) int { return cmp.Compare(a.at, b.at) })
				got := run(t, strings.Replace(oracleCalls, "BY t ", "BY t OVER k ", 1)+tt.window, o, events...)
				want := tt.oracle(rows)
				slices.Sort(got)
				slices.Sort(want)
				if diff := firstDifference(got, want); diff != "" {
					t.Fatalf("seed %d: %s", seed, diff)
				}
			}
		})
	}
}

func firstDifference(got, want []string) string {
	for i := range max(len(got), len(want)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			return fmt.Sprintf("row %d of %d (want %d):\n%s\nwant\n%s", i, len(got), len(want), g, w)
		}
	}
	return ""
}

func TestJoinsAgainstDefinition(t *testing.T) {
	t.Parallel()
	for _, outer := range []bool{false, true} {
		for _, tt := range []struct{ low, high int64 }{{0, 5}, {-3, 3}, {2, 6}, {-6, -2}} {
			t.Run(fmt.Sprint(outer, tt.low, tt.high), func(t *testing.T) {
				t.Parallel()
				for seed := range uint64(15) {
					rng := rand.New(rand.NewPCG(seed, 11))
					partitions := 1 + rng.IntN(2)
					events := randomStream(rng, 20+rng.IntN(80), partitions, "a", "b")
					o := randomOptions(rng, partitions)
					kind := ""
					if outer {
						kind = "LEFT "
					}
					query := fmt.Sprintf("SELECT a.k AS k, a.v AS l, b.v AS r FROM a TIMESTAMP BY t %sJOIN b TIMESTAMP BY t ON a.k = b.k AND DATEDIFF(second, a, b) BETWEEN %d AND %d AND b.v <> 3", kind, tt.low, tt.high)
					got := run(t, query, o, events...)
					want := joinOracle(rowsOf(t, o, "a", events), rowsOf(t, o, "b", events), tt.low, tt.high, outer)
					slices.Sort(got)
					slices.Sort(want)
					if diff := firstDifference(got, want); diff != "" {
						t.Fatalf("seed %d: %s", seed, diff)
					}
				}
			})
		}
	}
}

func joinOracle(as, bs []delivered, low, high int64, outer bool) []string {
	var out []string
	for _, a := range as {
		partner := false
		for _, b := range bs {
			crossed := b.at/second - a.at/second
			if a.k == b.k && crossed >= low && crossed <= high && b.v != 3 {
				partner = true
				out = append(out, line(max(a.at, b.at), `{"k":%q,"l":%d,"r":%d}`, a.k, a.v, b.v))
			}
		}
		if outer && !partner {
			out = append(out, line(a.at+max(high, 0)*second, `{"k":%q,"l":%d,"r":null}`, a.k, a.v))
		}
	}
	return out
}

func TestAnalyticAgainstDefinition(t *testing.T) {
	t.Parallel()
	const over = "OVER (PARTITION BY k LIMIT DURATION(second, 9)"
	query := "SELECT v, LAG(v, 2, -1) " + over + ") AS lag, LAG(v) " + over + " WHEN v > 5) AS lagged, LAST(v) " + over + " WHEN v > 12) AS last, " +
		"ISFIRST(second, 8) OVER (PARTITION BY k) AS first, SUM(v) " + over + ") AS sum, MAX(v) " + over + " WHEN v < 9) AS most, COUNT(*) OVER (PARTITION BY k LIMIT DURATION(second, 3)) AS n FROM input TIMESTAMP BY t"
	for seed := range uint64(30) {
		rng := rand.New(rand.NewPCG(seed, 13))
		partitions := 1 + rng.IntN(3)
		events := randomStream(rng, 20+rng.IntN(120), partitions, "input")
		o := randomOptions(rng, partitions)
		got := run(t, query, o, events...)
		want := analyticOracle(rowsOf(t, o, "input", events))
		if diff := firstDifference(got, want); diff != "" {
			t.Fatalf("seed %d: %s", seed, diff)
		}
	}
}

func analyticOracle(rows []delivered) []string {
	const limit = 9 * second
	var out []string
	for i, r := range rows {
		// before are the rows of the key up to this one, the latest first.
		var before []delivered
		for j := i; j >= 0; j-- {
			if rows[j].k == r.k {
				before = append(before, rows[j])
			}
		}
		back := func(n int, within int64, when func(int64) bool) string {
			for _, b := range before {
				if when(b.v) {
					if n == 0 {
						if r.at-b.at < within {
							return fmt.Sprint(b.v)
						}
						return "null"
					}
					n--
				}
			}
			return "null"
		}
		all := func(int64) bool { return true }
		lag := back(2, limit, all)
		if lag == "null" {
			lag = "-1"
		}
		more := func(v int64) bool { return v > 5 }
		n := 1
		if !more(r.v) {
			n = 0
		}
		lagged := back(n, limit, more)
		last := back(0, limit, func(v int64) bool { return v > 12 })
		first, sum, most, count := 1, int64(0), "null", 0
		interval := func(at int64) int64 { return (at + 8*second - 1) / (8 * second) }
		for j, b := range before {
			if j > 0 && interval(b.at) == interval(r.at) {
				first = 0
			}
			if r.at-b.at < limit {
				sum += b.v
				var have int64 = -1
				fmt.Sscan(most, &have)
				if b.v < 9 && b.v > have {
					most = fmt.Sprint(b.v)
				}
			}
			if r.at-b.at < 3*second {
				count++
			}
		}
		out = append(out, line(r.at, `{"v":%d,"lag":%s,"lagged":%s,"last":%s,"first":%d,"sum":%d,"most":%s,"n":%d}`, r.v, lag, lagged, last, first, sum, most, count))
	}
	return out
}
