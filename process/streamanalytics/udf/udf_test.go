package udf

import (
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"millrace/process/streamanalytics/value"
)

// load compiles one file and returns an engine for it.
func load(t testing.TB, source string) *Runtime {
	t.Helper()
	return loadWith(t, Options{}, source)
}

func loadWith(t testing.TB, options Options, source string) *Runtime {
	t.Helper()
	l, err := Load(options, File{Name: "funcs.js", Source: source})
	if err != nil {
		t.Fatal(err)
	}
	r, err := l.NewRuntime()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func function(t testing.TB, r *Runtime, name string) *Function {
	t.Helper()
	f, err := r.Function(name)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// eval calls a function of no parameters whose body returns an expression.
func eval(t testing.TB, expression string, args ...value.Value) (value.Value, error) {
	t.Helper()
	r := load(t, "function f(x, y) { return "+expression+"; }")
	r.SetTime(1_600_000_000 * value.TicksPerSecond)
	return function(t, r, "f").Call(args)
}

// show is the kind of a value and its text.
func show(v value.Value) string {
	if v.Kind() == value.Float && math.IsNaN(v.Double()) {
		return "float NaN"
	}
	return v.Kind().String() + " " + v.String()
}

func TestResults(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`parseInt("1F", 16)`:                "bigint 31",
		`1.5`:                               "float 1.5",
		`6 / 2`:                             "bigint 3",
		`-0`:                                "bigint 0",
		`1e18`:                              "bigint 1000000000000000000",
		`Math.pow(2, 63)`:                   "float 9.223372036854776E+18",
		`-Math.pow(2, 63)`:                  "bigint -9223372036854775808",
		`9223372036854775807n`:              "bigint 9223372036854775807",
		`0 / 0`:                             "float NaN",
		`"a" + "é"`:                         `nvarchar(max) "aé"`,
		`null`:                              "null NULL",
		`undefined`:                         "null NULL",
		`[].x`:                              "null NULL",
		`true`:                              "bit true",
		`new Date(Date.UTC(2020, 1, 29))`:   `datetime "2020-02-29T00:00:00.0000000Z"`,
		`new Date("x")`:                     "null NULL",
		`[1, "a", null, [2.5]]`:             `array [1,"a",null,[2.5]]`,
		`({b: 1, a: {c: undefined}})`:       `record {"b":1,"a":{"c":null}}`,
		`[,1]`:                              `array [null,1]`,
		`new Number(4)`:                     "bigint 4",
		`Object.create({inherited: 1})`:     `record {}`,
		`({get a() { return 7; }})`:         `record {"a":7}`,
		`JSON.stringify({a: [1, 2]})`:       `nvarchar(max) "{\"a\":[1,2]}"`,
		`"x".repeat(3)`:                     `nvarchar(max) "xxx"`,
		`[3, 1, 2].sort().join("-")`:        `nvarchar(max) "1-2-3"`,
		`Array.from({length: 2}).length`:    "bigint 2",
		`JSON.parse("[1,{\"a\":\"[\"}]")`:   `array [1,{"a":"["}]`,
		`typeof console`:                    `nvarchar(max) "undefined"`,
		`(result = 5, result)`:              "bigint 5",
		`(class { constructor() {} }).name`: `nvarchar(max) ""`,
	} {
		got, err := eval(t, expression)
		if err != nil {
			t.Errorf("%s: %v", expression, err)
		} else if show(got) != want {
			t.Errorf("%s = %s, want %s", expression, show(got), want)
		}
	}
}

func TestArguments(t *testing.T) {
	t.Parallel()
	record := value.Raw([]byte(`{"a": 1, "A": 2.5, "s": "é\n", "b": true, "n": null, "list": [1, [2], {"x": "y"}], "deep": {"er": {"x": 7}}}`))
	at, _ := value.ParseTime("2021-03-04T05:06:07.8912345Z")
	for _, tt := range []struct {
		expression string
		arg        value.Value
		want       string
	}{
		{"x + 1", value.Int(41), "bigint 42"},
		{"x / 2", value.Double(5), "float 2.5"},
		{"x.length", value.Text("é€😀"), "bigint 4"},
		{"x === null", value.Value{}, "bit true"},
		{"!x", value.Bool(true), "bit false"},
		{"y === undefined", value.Int(1), "bit true"},
		{"x instanceof Date && x.getTime()", value.Time(at), "bigint 1614834367891"},
		{"x.getTime()", value.Time(-1), "bigint -1"},
		{"x", value.Time(at), `datetime "2021-03-04T05:06:07.8910000Z"`},
		{"x.a + x.A", record, "float 3.5"},
		{"x.S", record, "null NULL"},
		{"x.s", record, `nvarchar(max) "é\n"`},
		{"x.list.length + x.list[1][0]", record, "bigint 5"},
		{"x.list[2].x", record, `nvarchar(max) "y"`},
		{"x.deep.er.x", record, "bigint 7"},
		{"x.missing", record, "null NULL"},
		{"Object.keys(x).join()", record, `nvarchar(max) "a,A,s,b,n,list,deep"`},
		{"'a' in x && !('z' in x) && x.hasOwnProperty('s') && !x.hasOwnProperty('toString')", record, "bit true"},
		{"Array.isArray(x.list) && !Array.isArray(x)", record, "bit true"},
		{"JSON.stringify(x)", record, `nvarchar(max) "{\"a\":1,\"A\":2.5,\"s\":\"é\\n\",\"b\":true,\"n\":null,\"list\":[1,[2],{\"x\":\"y\"}],\"deep\":{\"er\":{\"x\":7}}}"`},
		{"x.list.map(function (e) { return typeof e; })", record, `array ["number","object","object"]`},
		{"x.list.concat([9]).length", record, "bigint 4"},
		{"x.list.slice(1)", record, `array [[2],{"x": "y"}]`},
		{"[...x.list].length + Object.assign({}, x).a", record, "bigint 4"},
		{"(x.list.push(4), x.list.reverse()[0])", record, "bigint 4"},
		{"(x.list.pop(), x.list.length)", record, "bigint 2"},
		{"(delete x.list, delete x.s, delete x.deep, x.a = 9, x.z = [1], x)", record, `record {"a":9,"A":2.5,"b":true,"n":null,"z":[1]}`},
		// What was not changed keeps its bytes, what was changed below does not.
		{"x", record, "record " + record.String()},
		{"(x.deep.er.x, x)", record, "record " + record.String()},
		{"x.list", record, `array [1, [2], {"x": "y"}]`},
		{"(x.deep.er.x = 8, x.deep)", record, `record {"er":{"x":8}}`},
		{"(x.list[1].push(3), x.list)", record, `array [1,[2,3],{"x": "y"}]`},
		{"({keep: x.list})", record, `record {"keep":[1, [2], {"x": "y"}]}`},
		{"x.a", value.Raw([]byte(`{"a":1,"a":2}`)), "bigint 2"},
		{"Object.keys(x).length", value.Raw([]byte(`{"a":1,"b":1,"c":1,"d":1,"e":1,"f":1,"g":1,"h":1,"a":2,"i":3}`)), "bigint 9"},
		{"x.d.getUTCFullYear()", value.NewRecord([]value.Member{{Name: "d", Value: value.Time(at)}}), "bigint 2021"},
	} {
		got, err := eval(t, tt.expression, tt.arg)
		if err != nil {
			t.Errorf("%s: %v", tt.expression, err)
		} else if show(got) != tt.want {
			t.Errorf("%s = %s, want %s", tt.expression, show(got), tt.want)
		}
	}
	if s := record.String(); !strings.HasPrefix(s, `{"a": 1, "A"`) {
		t.Errorf("the argument was changed: %s", s)
	}
}

func TestBooleansBelowLevel12AreNumbers(t *testing.T) {
	t.Parallel()
	r := loadWith(t, Options{Level: value.Level11}, "function f() { return [true, false]; }")
	if got, err := function(t, r, "f").Call(nil); err != nil || show(got) != "array [1,0]" {
		t.Errorf("got %s, %v", show(got), err)
	}
}

// What a function keeps must not change when the event's memory is reused.
func TestArgumentsOutliveTheEvent(t *testing.T) {
	t.Parallel()
	r := load(t, `
		var kept = [];
		function keep(text, record) { kept.push(text, record); }
		function show() { return JSON.stringify(kept); }`)
	text, record := []byte("hello"), []byte(`{"a":"world"}`)
	if _, err := function(t, r, "keep").Call([]value.Value{value.TextBytes(text), value.Raw(record)}); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{text, record} {
		for i := range b {
			b[i] = '#'
		}
	}
	got, err := function(t, r, "show").Call(nil)
	if want := `["hello",{"a":"world"}]`; err != nil || got.Str() != want {
		t.Errorf("got %s, %v; want %s", got, err, want)
	}
}

func TestResultsWithoutAType(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		`f`:                        "udf.f: it returned a Function, which is no type of the query; return a Number",
		`new Error("x")`:           "it returned an Error, which",
		`new Map()`:                "it returned a Map, which",
		`/x/`:                      "it returned a RegExp, which",
		`Symbol("s")`:              "it returned a symbol, which",
		`Promise.resolve(1)`:       "it returned a Promise; a function of a query can not be async",
		`2n ** 64n`:                "it returned a BigInt beyond 64 bits",
		`({a: [1, function(){}]})`: "the result's a.1 is a Function",
		`(function () { var a = {}; a.a = a; return a; })()`:                                  "an object that nests deeper than 100 or holds itself",
		`(function () { var a = []; a[4e9] = 1; return a; })()`:                               "an array of more than 1048576 elements",
		`(function () { var a = [1]; for (var i = 0; i < 30; i++) a = [a, a]; return a; })()`: "an object with more than 1048576 parts",
		`new Date(8.64e15)`: "a Date outside the years 1 to 9999",
		`new Proxy({}, {ownKeys: function () { throw new TypeError("no keys"); }})`: "TypeError: no keys",
	} {
		got, err := eval(t, expression)
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s = %s, error %v; want %q", expression, got, err, want)
		}
	}
}

func TestErrorsNameThePlace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ source, want string }{
		{"function f(x) {\n  return x.a.b;\n}", "udf.f: TypeError: Cannot read property 'b' of undefined (funcs.js:2:14)"},
		{"function f(x) {\n  return nope;\n}", "udf.f: ReferenceError: nope is not defined (funcs.js:2:10)"},
		{"function g() {\n  throw new RangeError('bad')\n}\nfunction f(x) { return g(); }", "udf.f: RangeError: bad (funcs.js:2:9)"},
		{"function f(x) { throw 'text'; }", "udf.f: text (funcs.js:1:17)"},
		{"function f(x) { throw {code: 7}; }", `udf.f: {"code":7} (funcs.js:1:17)`},
		{"function f(x) { throw {message: 'm'}; }", `udf.f: m (funcs.js:1:17)`},
		{"function f(x) { throw undefined; }", `udf.f: undefined (funcs.js:1:17)`},
		{"function f(x) { throw {toString: function () { throw 1; }, get message() { throw 2; }}; }", `udf.f: an exception that has no text was thrown (funcs.js:1:17)`},
		{"function f(x) { return JSON.parse('{'); }", "udf.f: SyntaxError: "},
		{"function f(x) {\n\n return 'x'.repeat(1e9); }", "udf.f: RangeError: repeat: the result would be too large (funcs.js:3:"},
		{"function f(x) { return new Array(1e9).fill(0); }", "RangeError: fill: the result would be too large"},
		{"function f(x) { return JSON.parse('[[[[['.repeat(100000)); }", "SyntaxError: JSON.parse: the text nests too deeply"},
		{"function f(x) { throw 'long'.repeat(1000); }", "…"},
	} {
		r := load(t, tt.source)
		_, err := function(t, r, "f").Call([]value.Value{value.Raw([]byte(`{"b":1}`))})
		var e *Error
		if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s\n got %v\nwant %s", tt.source, err, tt.want)
			continue
		}
		if len(err.Error()) > maxMessage+100 || strings.Contains(err.Error(), "goja") || strings.Contains(err.Error(), ".go:") {
			t.Errorf("the message tells of the machinery: %v", err)
		}
		// The engine is as good as new afterwards.
		if _, err := function(t, r, "f").Call([]value.Value{{}}); !errors.As(err, &e) {
			t.Errorf("second call: %v", err)
		}
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	options := Options{TimeLimit: 200 * time.Millisecond, MaxDepth: 500}
	for _, tt := range []struct {
		source, want string
		cause        error
	}{
		{"function f(x) {\n for (;;) x++;\n}", "udf.f: it ran longer than allowed (200ms); look for a loop without end (funcs.js:2:", ErrTimeLimit},
		{"function f() {\n try { for (;;) {} } catch (e) {} finally { for (;;) {} }\n}", "it ran longer", ErrTimeLimit},
		{"function f() { return {get a() { for (;;) {} }}; }", "it ran longer", ErrTimeLimit},
		{"function f() { throw {toString: function() { for (;;) {} }}; }", "udf.f", nil},
		{"function f() {\n return f() + 1;\n}", "udf.f: its calls nest too deeply; look for a recursion without end (limit 500) (funcs.js:2:", ErrDepth},
		{"function f() { return [1].map(f); }", "its calls nest too deeply", ErrDepth},
		{"function f() { return JSON.stringify({toJSON: f}); }", "its calls nest too deeply", ErrDepth},
		{"function f() { var o = {}; Object.defineProperty(o, 'a', {get: f}); return o.a; }", "its calls nest too deeply", ErrDepth},
	} {
		r := loadWith(t, options, tt.source+"\nfunction ok() { return 1; }")
		for range 2 {
			_, err := function(t, r, "f").Call(nil)
			var e *Error
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || tt.cause != nil && !errors.Is(err, tt.cause) {
				t.Errorf("%s\n got %v\nwant %s", tt.source, err, tt.want)
			}
			if v, err := function(t, r, "ok").Call(nil); err != nil || v.Int() != 1 {
				t.Errorf("%s\nleaves the engine unusable: %v, %v", tt.source, v, err)
			}
		}
	}
}

func TestMemoryLimit(t *testing.T) {
	t.Parallel()
	r := loadWith(t, Options{TimeLimit: time.Minute, MemoryLimit: 64 << 20},
		"function f() { var a = []; for (;;) a.push({n: a.length}); }\nfunction ok() { return 1; }")
	_, err := function(t, r, "f").Call(nil)
	if !errors.Is(err, ErrMemoryLimit) || !strings.Contains(err.Error(), "64 MB") {
		t.Errorf("got %v", err)
	}
	if v, err := function(t, r, "ok").Call(nil); err != nil || v.Int() != 1 {
		t.Errorf("the engine is unusable: %v, %v", v, err)
	}
}

// Calls are interrupted at random moments, many of them when they have just
// ended: the interrupt must not hit the call after it.
func TestNoCallIsInterruptedForAnother(t *testing.T) {
	t.Parallel()
	r := load(t, "function f(n) { var sum = 0; for (var i = 0; i < n; i++) sum += i; return sum; }")
	f := function(t, r, "f")
	g := &f.script.guard
	const calls = 3000
	var hit [calls + 2]atomic.Bool
	stop := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if state := g.state.Load(); state&running != 0 && state&fired == 0 && state>>flagBits%3 == 0 {
				hit[state>>flagBits].Store(true)
				g.interrupt(state, ErrTimeLimit)
			}
			runtime.Gosched()
		}
	}()
	first := g.call
	for i := range calls - int(first) {
		v, err := f.Call([]value.Value{value.Int(int64(i % 100))})
		switch {
		case err == nil && v.IsNull():
			t.Fatalf("call %d returned nothing", g.call)
		case err != nil && (!errors.Is(err, ErrTimeLimit) || !hit[g.call].Load()):
			t.Fatalf("call %d was ended, and nobody wanted it: %v", g.call, err)
		}
	}
	close(stop)
	<-stopped
}

func TestClockAndRandomRepeat(t *testing.T) {
	t.Parallel()
	source := `function f() { return [Date.now(), new Date(), Math.random(), Math.random()]; }`
	run := func(ticks ...int64) string {
		r := load(t, source)
		f := function(t, r, "f")
		var out []string
		for _, at := range ticks {
			r.SetTime(at)
			v, err := f.Call(nil)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, v.String())
		}
		return strings.Join(out, "\n")
	}
	at := int64(1_600_000_000) * value.TicksPerSecond
	a := run(at, at, at+1)
	if b := run(at, at, at+1); a != b {
		t.Errorf("two runs differ:\n%s\n%s", a, b)
	}
	if c := run(at+5, at+1); strings.Split(a, "\n")[2] != strings.Split(c, "\n")[1] {
		t.Errorf("an event's numbers depend on those before it:\n%s\n%s", a, c)
	}
	if !strings.HasPrefix(a, `[1600000000000,"2020-09-13T12:26:40.0000000Z",0.`) {
		t.Errorf("got %s", a)
	}
	lines := strings.Split(a, "\n")
	if lines[0] == lines[1] {
		t.Error("two calls at the same time draw the same numbers")
	}
	r := load(t, "function f() { var n = 0; for (var i = 0; i < 10000; i++) n += Math.random(); return n / 10000; }")
	if v, err := function(t, r, "f").Call(nil); err != nil || math.Abs(v.Double()-0.5) > 0.02 {
		t.Errorf("the mean of 10000 random numbers is %v, %v", v, err)
	}
}

func TestNames(t *testing.T) {
	t.Parallel()
	l, err := Load(Options{},
		File{"hex2Int.js", "\ufeff// Convert.\nfunction main(hexValue) { return parseInt(hexValue, 16); }"},
		File{"lib/more.js", `
			var arrow = (a, b) => a + b;
			const constant = function (a) { return a; };
			let Twice = function Other() {}, twice = () => 2;
			assigned = function () {};
			class Klass { init() {} accumulate(v, t) {} computeResult() {} }
			var number = 5;
			function main() { return "more"; }
			function helper() { return number; }`},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(l.Names()), "[Klass Twice arrow assigned constant helper hex2Int more twice]"; got != want {
		t.Errorf("names %s, want %s", got, want)
	}
	if i, ok := l.Function("HEX2INT"); !ok || i.Name != "hex2Int" || i.Params != 1 || i.File != "hex2Int.js" || i.Line != 2 {
		t.Errorf("hex2Int is %+v, %v", i, ok)
	}
	for _, name := range []string{"TWICE", "number", "main", "Klass", "", "toString"} {
		if i, ok := l.Function(name); ok {
			t.Errorf("%s is %+v", name, i)
		}
	}
	if i, err := l.Aggregate("Klass"); err != nil || i.Params != 2 {
		t.Errorf("Klass is %+v, %v", i, err)
	}
	r, err := l.NewRuntime()
	if err != nil {
		t.Fatal(err)
	}
	if v, err := function(t, r, "hex2int").Call([]value.Value{value.Text("ff")}); err != nil || v.Int() != 255 {
		t.Errorf("got %v, %v", v, err)
	}
	if v, err := function(t, r, "more").Call(nil); err != nil || v.Str() != "more" {
		t.Errorf("got %v, %v", v, err)
	}
	if _, err := r.Function("nope"); err == nil || err.Error() != "udf.nope is not defined in the JavaScript files" {
		t.Errorf("got %v", err)
	}
	if _, err := r.Function("Klass"); err == nil || !strings.Contains(err.Error(), "is a class, not a function (lib/more.js:6)") {
		t.Errorf("got %v", err)
	}
	var none *Library
	if _, ok := none.Function("f"); ok || none.Names() != nil {
		t.Error("a nil library has functions")
	}
	empty, err := none.NewRuntime()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := empty.Function("f"); err == nil || !strings.Contains(err.Error(), "no JavaScript file was given") {
		t.Errorf("got %v", err)
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ source, want string }{
		{"function f( {\n return 1;\n}", "f.js:2:"},
		{"function f() {\n  return 1 +;\n}", "(f.js:2:13)"},
		{"var a = 1;\nlet a = 2;", "(f.js:2:5)"},
		{"\nthrow new Error('at load')", "Error: at load (f.js:2:7)"},
		{"for (;;) {}", "it ran longer than allowed"},
		{strings.Repeat("(", 100_000), "brackets nest deeper than 500 (f.js:1:1)"},
		{"var a = " + strings.Repeat("!", 100_000) + "1", ""},
		{"//# sourceMappingURL=file:///etc/hostname\nfunction f() {}", ""},
	} {
		_, err := Load(Options{TimeLimit: 200 * time.Millisecond}, File{"f.js", tt.source})
		var e *Error
		if tt.want == "" && err == nil {
			continue
		}
		if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s\n got %v\nwant %s", tt.source, err, tt.want)
		}
	}
	_, err := Load(Options{}, File{"a.js", "function f() {}"}, File{"b.js", "function f() {}"})
	if err == nil || err.Error() != "the function f is defined in both a.js and b.js; rename one of them" {
		t.Errorf("got %v", err)
	}
}
