package udf

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"millrace/process/streamanalytics/value"
)

// twa is the time-weighted average of the service's documentation, both ways.
const twa = `
function TWA() {
    this.init = function () { this.totalValue = 0.0; this.totalWeight = 0.0; }
    this.accumulate = function (value, timestamp) {
        this.totalValue += value.level * value.weight;
        this.totalWeight += value.weight;
    }
    this.deaccumulate = function (value, timestamp) {
        this.totalValue -= value.level * value.weight;
        this.totalWeight -= value.weight;
    }
    this.deaccumulateState = function (otherState) {
        this.totalValue -= otherState.totalValue;
        this.totalWeight -= otherState.totalWeight;
    }
    this.computeResult = function () {
        if (this.totalValue == 0) {
            result = 0;
        } else {
            result = this.totalValue / this.totalWeight;
        }
        return result;
    }
}
`

func aggregate(t testing.TB, r *Runtime, name string) *Aggregate {
	t.Helper()
	a, err := r.Aggregate(name)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func state(t testing.TB, a *Aggregate) *State {
	t.Helper()
	st, err := a.New()
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func add(t testing.TB, st *State, at int64, args ...value.Value) {
	t.Helper()
	if err := st.Accumulate(args, at); err != nil {
		t.Fatal(err)
	}
}

func result(t testing.TB, st *State) value.Value {
	t.Helper()
	v, err := st.Result()
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func raw(json string) value.Value { return value.Raw([]byte(json)) }

func TestTimeWeightedAverage(t *testing.T) {
	t.Parallel()
	a := aggregate(t, load(t, twa), "TWA")
	if i := a.Info(); !i.Deaccumulates || !i.DeaccumulatesState || i.Params != 2 || i.Line != 2 {
		t.Errorf("info %+v", i)
	}
	all, first, empty := state(t, a), state(t, a), state(t, a)
	events := []value.Value{raw(`{"level":80,"weight":22}`), raw(`{"level":81,"weight":37.8}`), raw(`{"level":85,"weight":26.3}`), raw(`{"level":95,"weight":13.7}`)}
	for i, e := range events {
		add(t, all, int64(i), e)
	}
	want := (80*22 + 81*37.8 + 85*26.3 + 95*13.7) / (22 + 37.8 + 26.3 + 13.7)
	if got := result(t, all); math.Abs(got.Double()-want) > 1e-9 {
		t.Errorf("got %v, want %v", got, want)
	}
	add(t, first, 0, events[0])
	add(t, first, 1, events[1])
	if err := all.DeaccumulateState(first); err != nil {
		t.Fatal(err)
	}
	if err := all.Deaccumulate(events[2:3], 2); err != nil {
		t.Fatal(err)
	}
	if got := result(t, all); math.Abs(got.Double()-95) > 1e-9 {
		t.Errorf("after taking three away: %v", got)
	}
	if got := result(t, empty); show(got) != "bigint 0" {
		t.Errorf("of nothing: %v", show(got))
	}
}

func TestAccumulateGetsTheTime(t *testing.T) {
	t.Parallel()
	a := aggregate(t, load(t, `class Span {
		init() { this.first = this.last = null; }
		accumulate(v, at) { if (!this.first) this.first = at; this.last = at; }
		computeResult() { return [this.first, this.last - this.first]; }
	}`), "span")
	st := state(t, a)
	at := 1_600_000_000 * value.TicksPerSecond
	add(t, st, at, value.Int(1))
	add(t, st, at+15*value.TicksPerSecond, value.Int(1))
	if got, want := result(t, st).String(), `["2020-09-13T12:26:40.0000000Z",15000]`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if a.Info().Deaccumulates {
		t.Error("it has no deaccumulate")
	}
	if err := st.Deaccumulate(nil, 0); err == nil || err.Error() != "uda.Span has no method deaccumulate" {
		t.Errorf("got %v", err)
	}
}

func TestWrongAggregates(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ source, want string }{
		{"function other() {}", "uda.A is not defined in the JavaScript files"},
		{"var A = () => 1;", "uda.A is not a constructor (funcs.js:1): an aggregate is a function that sets this.init"},
		{"function A() { this.init = function () {}; this.accumulate = 5; }", "uda.A has no method accumulate (funcs.js:1)"},
		{"function A() { this.init = this.accumulate = function () {}; }", "uda.A has no method computeResult"},
		{"function A() { throw new Error('no') }", "uda.A: Error: no (funcs.js:1:"},
		{"function A() { Object.defineProperty(this, 'init', {get: function () { throw new Error('no'); }}); }", "uda.A: Error: no"},
	} {
		l, err := Load(Options{}, File{"funcs.js", tt.source})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := l.Aggregate("A"); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n got %v\nwant %s", tt.source, err, tt.want)
		}
	}
}

func TestAggregateErrors(t *testing.T) {
	t.Parallel()
	r := loadWith(t, Options{TimeLimit: 200 * time.Millisecond}, `function A() {
  this.init = function () { if (typeof fail !== 'undefined') throw new Error('in init'); };
  this.accumulate = function (v) {
    if (v === null) for (;;) {}
    this.x = v.x.y; };
  this.computeResult = function () { return this.init; };
}
function arm() { fail = true; }`)
	a := aggregate(t, r, "A")
	st := state(t, a)
	err := st.Accumulate([]value.Value{value.Int(1)}, 0)
	if err == nil || err.Error() != "uda.A.accumulate: TypeError: Cannot read property 'y' of undefined (funcs.js:5:18)" {
		t.Errorf("got %v", err)
	}
	if err := st.Accumulate([]value.Value{{}}, 0); !errors.Is(err, ErrTimeLimit) {
		t.Errorf("got %v", err)
	}
	if _, err := st.Result(); err == nil || !strings.Contains(err.Error(), "uda.A.computeResult: it returned a Function") {
		t.Errorf("got %v", err)
	}
	if _, err := function(t, r, "arm").Call(nil); err != nil {
		t.Fatal(err)
	}
	if _, err := a.New(); err == nil || !strings.Contains(err.Error(), "uda.A.init: Error: in init (funcs.js:2:") {
		t.Errorf("got %v", err)
	}
}

// keeper collects what it is given, in every shape a state may have.
const keeper = `
function Keeper() {
	this.init = function () {
		this.list = []; this.seen = new Set(); this.count = new Map(); this.bare = Object.create(null);
		this.at = null; this.nothing = undefined; this.nan = 0 / 0; this.inf = -1 / 0; this.zero = -0; this.big = 2n ** 70n;
		this.text = "é\u{1F600}"; this.half = "\uD800x"; this.re = /a(b)?/gi; this.sparse = [1,,3]; this.bad = new Date(NaN);
		this.shared = {n: 0}; this.again = this.shared; this.cycle = {}; this.cycle.self = this; this.no = false;
		this.deep = {"__proto__x": {a: [{}, []]}, "": 1};
	};
	this.accumulate = function (v, at) {
		this.list.push(v); this.seen.add(v); this.at = at; this.shared.n++;
		this.count.set(typeof v, (this.count.get(typeof v) || 0) + 1);
		this.bare["k" + this.list.length] = [v];
	};
	this.computeResult = function () {
		var bare = [];
		for (var k in this.bare) bare.push(k);
		return [JSON.stringify(this.list), this.seen.size, JSON.stringify([...this.count]), bare.join(), this.at && this.at.getTime(),
			"nothing" in this && this.nothing === undefined, this.nan !== this.nan, this.inf, 1 / this.zero, String(this.big), this.text,
			this.half.charCodeAt(0), this.half.length, String(this.re), this.re instanceof RegExp, this.sparse.length, 1 in this.sparse,
			isNaN(this.bad.getTime()), this.again === this.shared, this.shared.n, this.cycle.self === this, this.no,
			JSON.stringify(this.deep), Object.getPrototypeOf(this.bare) === null, this.at === null || this.at instanceof Date];
	};
}`

func TestStateSurvives(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	l, err := Load(Options{}, File{"keeper.js", keeper})
	if err != nil {
		t.Fatal(err)
	}
	fresh := func() *State {
		r, err := l.NewRuntime()
		if err != nil {
			t.Fatal(err)
		}
		return state(t, aggregate(t, r, "Keeper"))
	}
	values := []value.Value{value.Int(5), value.Double(2.5), value.Text("tök"), {}, value.Bool(true), value.Time(value.TicksPerSecond),
		raw(`{"a": [1, {"b": null}]}`), raw(`[1, [2]]`), value.NewRecord([]value.Member{{Name: "x", Value: value.Int(1)}})}
	for round := range 20 {
		undisturbed, disturbed := fresh(), fresh()
		for i := range 30 {
			v, at := values[random.IntN(len(values))], int64(i)*value.TicksPerSecond
			add(t, undisturbed, at, v)
			add(t, disturbed, at, v)
			if random.IntN(5) > 0 {
				continue
			}
			// A restart: the state goes to another engine.
			saved, err := disturbed.AppendState([]byte("before"))
			if err != nil {
				t.Fatal(err)
			}
			disturbed = fresh()
			rest, err := disturbed.ReadState(append(bytes.TrimPrefix(saved, []byte("before")), "after"...))
			if err != nil || string(rest) != "after" {
				t.Fatalf("rest %q, %v", rest, err)
			}
			again, err := disturbed.AppendState([]byte("before"))
			if err != nil || !bytes.Equal(saved, again) {
				t.Fatalf("saved again it differs: %v\n%q\n%q", err, saved, again)
			}
		}
		if a, b := result(t, undisturbed).String(), result(t, disturbed).String(); a != b {
			t.Fatalf("round %d: the results differ\n%s\n%s", round, a, b)
		}
	}
}

// What can be saved can be read again, whatever its size and sign.
func TestLargeBigIntsSurvive(t *testing.T) {
	t.Parallel()
	const source = `function Big() {
	this.init = function () { this.all = [0n, -1n, 1n << 200000n, -(1n << 200000n) + 7n]; };
	this.accumulate = function () { this.all[2]++; };
	this.computeResult = function () { return this.all.map(function (n) { return n.toString(16); }).join(); };
}`
	a := aggregate(t, load(t, source), "Big")
	st, restored := state(t, a), state(t, a)
	add(t, st, 0, value.Int(1))
	saved, err := st.AppendState(nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := restored.ReadState(saved); err != nil {
		t.Fatal(err)
	}
	if want, got := result(t, st).Str(), result(t, restored).Str(); got != want || len(want) < 100_000 {
		t.Errorf("the numbers differ: %d and %d digits", len(want), len(got))
	}
}

func TestStateThatCanNotBeSaved(t *testing.T) {
	t.Parallel()
	for set, want := range map[string]string{
		"this.a = {b: [0, function () {}]}":                                   "uda.A can not be saved: this.a.b.1 is a Function; keep Numbers,",
		"this.a = new Point()":                                                "this.a is an object of a class",
		"this.a = Symbol('x')":                                                "this.a is a symbol",
		"this.a = new Uint8Array(4)":                                          "this.a is a typed array",
		"this.a = new Map([[1, [2, Promise.resolve(1)]]])":                    "this.a.value.1 is a Promise",
		"this.a = []; this.a[4e9] = 1":                                        "this.a is an array of more than",
		"var o = this.a = {}; for (var i = 0; i < 5000; i++) o = o.next = {}": "this.a is nested deeper than 2000",
		"Object.defineProperty(this, 'a', {enumerable: true, get: function () { throw new Error('no'); }})": "uda.A: Error: no",
	} {
		r := load(t, "class Point {}\nfunction A() { this.init = function () { "+set+" }; this.accumulate = this.computeResult = function () {}; }")
		b, err := state(t, aggregate(t, r, "A")).AppendState([]byte("x"))
		if err == nil || !strings.Contains(err.Error(), want) || string(b) != "x" {
			t.Errorf("%s\n got %v, %q\nwant %s", set, err, b, want)
		}
	}
}

func TestSizeFollowsTheState(t *testing.T) {
	t.Parallel()
	st := state(t, aggregate(t, load(t, keeper), "Keeper"))
	empty := st.Size()
	for i := range 1000 {
		add(t, st, 0, value.Text(strings.Repeat("x", 100)+string(rune(i))))
		st.Size()
	}
	if full := st.Size(); empty < 1000 || full < empty+1000*100 || full > empty+1000*10_000 {
		t.Errorf("empty %d bytes, with 1000 texts of 100 bytes %d", empty, full)
	}
}

func FuzzReadState(f *testing.F) {
	l, err := Load(Options{}, File{"keeper.js", keeper})
	if err != nil {
		f.Fatal(err)
	}
	r, err := l.NewRuntime()
	if err != nil {
		f.Fatal(err)
	}
	a := aggregate(f, r, "Keeper")
	st := state(f, a)
	for _, v := range []value.Value{value.Int(1), value.Text("é"), raw(`{"a":[1]}`), value.Time(1)} {
		add(f, st, 0, v)
	}
	saved, err := st.AppendState(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(saved)
	f.Add([]byte{3, 0, 0, 0, stateVersion, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		// An engine is for one goroutine.
		r, err := l.NewRuntime()
		if err != nil {
			t.Fatal(err)
		}
		st := state(t, aggregate(t, r, "Keeper"))
		if _, err := st.ReadState(b); err != nil {
			return
		}
		again, err := st.AppendState(nil)
		if err != nil {
			t.Fatalf("what was read can not be saved: %v", err)
		}
		if _, err := st.ReadState(again); err != nil {
			t.Fatalf("what was saved can not be read: %v", err)
		}
	})
}

func FuzzLoad(f *testing.F) {
	f.Add("function f(x) { return x + 1; }")
	f.Add(keeper)
	f.Add("class A { #p = 1; static { } get x() { return `a${this.#p}`; } }\nasync function* g() { for await (const x of y) yield* x; }")
	f.Add("var {a, ...b} = {a: 1}; label: for (;;) break label; /re/.test('x') ? a?.b ?? 1 : new.target")
	f.Fuzz(func(t *testing.T, source string) {
		l, err := Load(Options{TimeLimit: 20 * time.Millisecond}, File{"f.js", source})
		if err != nil {
			return
		}
		r, err := l.NewRuntime()
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range l.Names() {
			if f, err := r.Function(name); err == nil {
				_, _ = f.Call([]value.Value{value.Int(1)})
			}
		}
	})
}
