package udf

import (
	"math"
	"math/rand/v2"
	"strconv"
	"testing"

	"millrace/process/streamanalytics/value"
)

// randomValue makes a tree with whatever is hard to print.
func randomValue(r *rand.Rand, depth int) value.Value {
	switch k := r.IntN(10); {
	case k == 0:
		return value.Value{}
	case k == 1:
		return value.Int(int64(r.Uint64()) >> r.IntN(64))
	case k == 2:
		return value.Double(math.Float64frombits(r.Uint64()))
	case k == 3:
		return value.Double(float64(r.IntN(1000)) * math.Pow10(r.IntN(60)-30))
	case k == 4:
		return value.Bool(r.IntN(2) == 0)
	case k == 5:
		return value.Time(r.Int64N(4e16) * 10)
	case k <= 7 || depth == 0:
		text := []rune{}
		for range r.IntN(8) {
			text = append(text, []rune{'a', '"', '\\', '\n', 1, '\b', 0x7f, 'é', '\u2028', '😀', '/', '<'}[r.IntN(12)])
		}
		return value.Text(string(text))
	case k == 8:
		var elements []value.Value
		for range r.IntN(4) {
			elements = append(elements, randomValue(r, depth-1))
		}
		return value.NewArray(elements)
	}
	var members []value.Member
	for i := range r.IntN(6) {
		members = append(members, value.Member{Name: string(rune('a'+i)) + strconv.Itoa(r.IntN(3)), Value: randomValue(r, depth-1)})
	}
	return value.NewRecord(members)
}

// The quick way gives what the engine's own JSON.stringify gives.
func TestStringifyAsTheEngineDoes(t *testing.T) {
	t.Parallel()
	r := load(t, `
		function quick(x) { return JSON.stringify(x); }
		// With a space argument the engine does it; none is put in.
		function engine(x) { return JSON.stringify(x, undefined, ""); }`)
	quick, engine := function(t, r, "quick"), function(t, r, "engine")
	random := rand.New(rand.NewPCG(5, 5))
	check := func(v value.Value) {
		t.Helper()
		a, err := quick.Call([]value.Value{v})
		if err != nil {
			t.Fatal(err)
		}
		b, err := engine.Call([]value.Value{v})
		if err != nil {
			t.Fatal(err)
		}
		if a.Str() != b.Str() {
			t.Fatalf("of %v\nquickly   %s\nengine    %s", v, a, b)
		}
	}
	for range 3000 {
		check(value.NewArray([]value.Value{randomValue(random, 3)}))
	}
	for _, s := range []string{`{"a":1,"a":2}`, `{"2":1,"1":2,"x":3}`, `{"a": 1.0, "b": 1e-7, "c": 123456789012345678, "d": -0.0, "e": 1e21, "f": 1e20}`, `{"a":{"toString":1}}`, `[]`, `{}`} {
		check(raw(s))
	}
}

func TestStringifyOfWhatWasChanged(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`(x.a.b = 2, JSON.stringify(x))`:                          `{"a":{"b":2},"c":[1]}`,
		`(x.c.push(x.a), JSON.stringify(x.c))`:                    `[1,{"b":1}]`,
		`JSON.stringify(x, ["c"])`:                                `{"c":[1]}`,
		`JSON.stringify(x.c, null, 1)`:                            "[\n 1\n]",
		`JSON.stringify([x])`:                                     `[{"a":{"b":1},"c":[1]}]`,
		`JSON.stringify()`:                                        ``,
		`JSON.stringify(null) + JSON.stringify(function () {})`:   `nullundefined`,
		`JSON.stringify({toJSON: function () { return x.a.b; }})`: `1`,
	} {
		got, err := eval(t, expression, raw(`{"a":{"b":1},"c":[1]}`))
		if err != nil || got.Str() != want {
			t.Errorf("%s = %v, %v; want %s", expression, got, err, want)
		}
	}
}
