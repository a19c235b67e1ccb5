package exec

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// randomValue is most often a plain number.
func randomValue(rng *rand.Rand) value.Value {
	switch rng.IntN(24) {
	case 0:
		return value.Value{}
	case 1:
		return value.Text(fmt.Sprint(rng.IntN(9)))
	case 2:
		return value.Int(math.MaxInt64 - rng.Int64N(2))
	case 3:
		return value.Int(math.MinInt64 + rng.Int64N(2))
	case 4:
		return value.Double(math.Ldexp(rng.Float64(), rng.IntN(2000)-1000))
	case 5:
		return value.Double([]float64{math.Inf(1), math.Inf(-1), math.MaxFloat64, math.Copysign(0, -1)}[rng.IntN(4)])
	case 6:
		return value.Bool(rng.IntN(2) == 0)
	case 7:
		return value.Text("pear")
	}
	return value.Value{}
}

// The compact columns give what package function's states give: for all kinds of
// values, merged in any way, saved and restored.
func TestCompactColumns(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"SUM", "AVG", "MIN", "MAX"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for seed := range uint64(3000) {
				compareColumns(t, name, seed)
			}
		})
	}
}

func compareColumns(t *testing.T, name string, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 29))
	c := &compiler{}
	call, err := c.aggregate(&plan.AggregateCall{Function: name, Args: []plan.Expr{&plan.Slot{}}}, false)
	if err != nil {
		t.Fatal(err)
	}
	const places = 3
	col := call.column()
	if _, ok := col.(*stateColumn); ok {
		t.Fatalf("%s has no compact column", name)
	}
	var plain []function.State
	for i := range places {
		col.leave()
		if _, err := col.renew(i); err != nil {
			t.Fatal(err)
		}
		plain = append(plain, call.function.New(call.options))
	}
	ints, dates := rng.IntN(2) == 0, rng.IntN(4) == 0
	for range rng.IntN(30) {
		v := randomValue(rng)
		switch {
		case rng.IntN(6) > 0 && dates && name[0] == 'M':
			v = value.Time(rng.Int64N(1000))
		case rng.IntN(6) > 0 && ints:
			v = value.Int(rng.Int64N(2000) - 1000)
		case rng.IntN(6) > 0:
			v = value.Double(rng.NormFloat64() * 100)
		}
		i := rng.IntN(places)
		_, errCompact := col.add(i, []value.Value{v}, 0)
		errPlain := plain[i].Add([]value.Value{v}, 0)
		if (errCompact == nil) != (errPlain == nil) || errPlain != nil && errCompact.Error() != errPlain.Error() {
			t.Fatalf("seed %d: adding %s: %v, want %v", seed, shown(v), errCompact, errPlain)
		}
		if rng.IntN(8) == 0 {
			j := (i + 1) % places
			if _, err := col.merge(i, col, j); err != nil {
				t.Fatal(err)
			}
			plain[i].Merge(plain[j])
		}
		if rng.IntN(8) == 0 {
			col = again(t, call, col, places)
		}
	}
	for i := range places {
		got, errGot := col.result(i)
		want, errWant := plain[i].Result()
		if (errGot == nil) != (errWant == nil) || got.Kind() != want.Kind() || shown(got) != shown(want) {
			t.Fatalf("seed %d: %s is %s (%v), want %s (%v)", seed, name, shown(got), errGot, shown(want), errWant)
		}
	}
}

// again saves and restores a column.
func again(t *testing.T, call *aggregateCall, col column, places int) column {
	t.Helper()
	out := call.column()
	for i := range places {
		state, err := col.appendState(nil, i)
		if err != nil {
			t.Fatal(err)
		}
		out.leave()
		if _, err := out.renew(i); err != nil {
			t.Fatal(err)
		}
		d := newDecoder(state)
		out.readState(i, d)
		if err := d.end(); err != nil {
			t.Fatal(err)
		}
	}
	return out
}
