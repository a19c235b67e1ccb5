package value

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"
	"unicode/utf8"
)

var badJSON = []string{
	"", " ", "{", "}", "[", "]", `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{"a":1 "b":2}`, `[1,]`, `[,1]`, `[1 2]`, "nul", "tru", "falsy", "nan", "NaN",
	"Infinity", "01", "-", "+1", "1.", ".5", "1e", "1e+", "0x10", "1_000", "--1", "1.2.3", `"`, `"a`, "\"a\nb\"", `"\x"`, `"\u12"`, `"\ud800"`, `"\udc00"`,
	`"\ud800\u0041"`, "\"\xff\"", "\"\xc3\"", `{"a":1}}`, `{"a":1} x`, `'a'`, "\ufeff{}", "{\"a\":\"\x00\"}", `{"a":1]`, `[1}`, `{"a\":1}`, "\"\xed\xa0\x80\"",
	strings.Repeat("[", 600) + strings.Repeat("]", 600),
}

var goodJSON = []string{
	"{}", "[]", " { } ", "null", "true", "false", "0", "-0", "-1", "1.5", "1e5", "1E-5", "1.25e+10", `""`, `"a"`, `"\""`, `"\u0041"`, `"\ud83d\ude00"`, `"日本"`,
	`{"a":1}`, "{\"a\" :\t1\r\n, \"b\":[1 , 2] }", `[[],{},"",0]`, `{"":""}`, `"\/\b\f\n\r\t\\"`, "9223372036854775807", "-9223372036854775808",
	"1e-400", "0.0000000000000000000000000000000000000001", strings.Repeat("[", MaxDepth) + strings.Repeat("]", MaxDepth),
	`{"long name with more than eight letters":"and a long value 0123456789"}`,
}

var outOfRange = []string{
	"9223372036854775808", "-9223372036854775809", "123456789012345678901234567890", "1e400", "-1e309", "1" + strings.Repeat("0", 400) + ".5",
}

func TestValid(t *testing.T) {
	t.Parallel()
	for _, s := range badJSON {
		_, err := Parse([]byte(s))
		if !errors.Is(err, ErrNotJSON) {
			t.Errorf("Parse(%.40q): error %v, want ErrNotJSON", s, err)
		}
		if Valid([]byte(s)) {
			t.Errorf("%.40q is said to be valid", s)
		}
	}
	for _, s := range goodJSON {
		if _, err := Parse([]byte(s)); err != nil {
			t.Errorf("Parse(%.40q): %v", s, err)
		}
		if !Valid([]byte(s)) {
			t.Errorf("%.40q is said not to be valid", s)
		}
	}
	for _, s := range outOfRange {
		for _, doc := range []string{s, "[" + s + "]", `{"a":[{"b":` + s + `}]}`} {
			if _, err := Parse([]byte(doc)); !errors.Is(err, ErrRange) {
				t.Errorf("Parse(%.60q): error %v, want ErrRange", doc, err)
			}
		}
	}
}

// verdict is what encoding/json says of a text, with the rules that are ours
// beyond its own: UTF-8, whole surrogate pairs, numbers that fit, depth.
func verdict(b []byte) (valid, sure bool) {
	if !json.Valid(b) || !utf8.Valid(b) {
		return false, true
	}
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.UseNumber()
	depth := 0
	for {
		token, err := d.Token()
		if err != nil {
			return true, true
		}
		switch x := token.(type) {
		case json.Delim:
			if x == '{' || x == '[' {
				depth++
			} else {
				depth--
			}
			if depth > MaxDepth {
				return false, true
			}
		case json.Number:
			if strings.ContainsAny(x.String(), ".eE") {
				_, err = x.Float64()
			} else {
				_, err = x.Int64()
			}
			if err != nil {
				return false, true
			}
		case string:
			// A lone surrogate is read as U+FFFD by encoding/json.
			if strings.ContainsRune(x, utf8.RuneError) {
				return false, false
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, list := range [][]string{badJSON, goodJSON, outOfRange} {
		for _, s := range list {
			f.Add([]byte(s))
		}
	}
	f.Add(telemetryEvent())
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := Parse(b)
		if valid, sure := verdict(b); sure && valid != (err == nil) {
			t.Fatalf("%q: error %v, want valid %v", b, err, valid)
		}
		if (err == nil) != Valid(b) {
			t.Fatalf("%q: Parse and Valid do not agree", b)
		}
		_ = RawAt(b, Level11).String() // must not panic, whatever it is
		if err != nil {
			if !errors.Is(err, ErrNotJSON) && !errors.Is(err, ErrRange) {
				t.Fatalf("%q: error %v of no known kind", b, err)
			}
			return
		}
		for level := range Level(3) {
			w, err := ParseAt(b, level)
			if err != nil {
				t.Fatalf("%q: valid, but not at level %d: %v", b, level, err)
			}
			checkJSON(t, w, 2)
		}
		if v.IsRaw() && string(v.AppendJSON(nil)) != strings.Trim(string(b), " \t\r\n") {
			t.Fatalf("%q did not pass through", b)
		}
	})
}

// checkJSON fails the test unless a value's JSON is valid and reads back as
// the same value (of the kinds that JSON has). It looks into records and arrays
// to the given depth.
func checkJSON(t *testing.T, v Value, depth int) {
	t.Helper()
	b := v.AppendJSON(nil)
	if !json.Valid(b) {
		t.Fatalf("%q is not valid JSON", b)
	}
	back, err := Parse(b)
	if err != nil {
		t.Fatalf("%q does not read back: %v", b, err)
	}
	if again := back.AppendJSON(nil); string(again) != string(b) {
		t.Fatalf("%q reads back as %q", b, again)
	}
	switch v.Kind() {
	case BigInt, Float, String, Bit, Null:
		if !identical(back, v) {
			t.Fatalf("%q reads back as %s %v", b, back.Kind(), back)
		}
	case Record, Array:
		if depth > 0 && v.form == raw12 {
			n := 0
			for _, e := range back.Elements {
				checkJSON(t, e, depth-1)
				n++
			}
			for name, m := range back.Members {
				checkJSON(t, m, depth-1)
				if back.Get(name).Kind() != m.Kind() && n == 0 && !hasTwins(back) {
					t.Fatalf("Get(%q) of %q finds another member", name, b)
				}
				n++
			}
			if n != back.Len() {
				t.Fatalf("%q has %d parts, Len says %d", b, n, back.Len())
			}
		}
	}
}

// hasTwins reports whether a record has a name more than once.
func hasTwins(v Value) bool {
	ms := v.sorted()
	for i := 1; i < len(ms); i++ {
		if ms[i-1].Name == ms[i].Name {
			return true
		}
	}
	return false
}

func TestJSONRoundTrip(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for range 5000 {
		checkJSON(t, randomValue(r, 3), 3)
	}
}

func TestAppendJSON(t *testing.T) {
	t.Parallel()
	nested := []byte(`{"Flag":true,"at":"2026-01-02T03:04:05+01:00","x":[false,1.50]}`)
	for _, c := range []struct {
		v    Value
		want string
	}{
		{Value{}, "null"},
		{Int(math.MinInt64), "-9223372036854775808"},
		{Bool(true), "true"},
		{Bool(false), "false"},
		// The results of ROUND in the documentation: 1.0, 120.0, 0.0, 1.23.
		{Double(1), "1.0"},
		{Double(120), "120.0"},
		{Double(0), "0.0"},
		{Double(1.23), "1.23"},
		{Double(-10.2), "-10.2"},
		{Double(math.Copysign(0, -1)), "-0.0"},
		{Double(0.1), "0.1"},
		{Double(123456789012345), "123456789012345.0"},
		{Double(1e15), "1E+15"},
		{Double(1e21), "1E+21"},
		{Double(0.0001), "0.0001"},
		{Double(0.00001), "1E-05"},
		{Double(math.MaxFloat64), "1.7976931348623157E+308"},
		{Double(math.NaN()), `"NaN"`},
		{Double(math.Inf(1)), `"Infinity"`},
		{Double(math.Inf(-1)), `"-Infinity"`},
		{Text("a\"b\\c\n\x01é\u2028"), "\"a\\\"b\\\\c\\n\\u0001é\u2028\""},
		{Text("a\xffb"), "\"a\ufffdb\""},
		{Time(0), `"1970-01-01T00:00:00.0000000Z"`},
		{NewArray([]Value{Int(1), {}, NewArray(nil)}), "[1,null,[]]"},
		{NewRecord([]Member{{"a", Int(1)}, {"b\n", NewRecord(nil)}}), `{"a":1,"b\n":{}}`},
		{Raw([]byte(" {\"a\" : 1.50 }\n")), `{"a" : 1.50 }`},
		{RawAt(nested, Level12), string(nested)},
		{RawAt(nested, Level11), `{"Flag":1,"at":"2026-01-02T03:04:05+01:00","x":[0,1.5]}`},
		{RawAt(nested, Level10), `{"flag":1,"at":"2026-01-02T02:04:05.0000000Z","x":[0,1.5]}`},
		{Raw([]byte(" 12 ")), "12"},
		{Raw([]byte("oops")), "null"},
		{Raw(nil), "null"},
	} {
		if got := string(c.v.AppendJSON(nil)); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

// The text of an event must not be kept alive by what Clone returns, nor
// change with it.
func TestCloneIndependence(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for range 2000 {
		v := randomValue(r, 3)
		text := v.AppendState(nil)
		owned := append([]byte(nil), text...)
		view, _, err := readState(owned, 0)
		if err != nil {
			t.Fatal(err)
		}
		clone := v.Clone()
		if !identical(clone, v) || !identical(view, v) || clone.MemSize() != v.MemSize() {
			t.Fatalf("a clone of %v is %v", v, clone)
		}
		clear(owned)
		if !identical(view, v) {
			t.Fatalf("ReadState kept a view of its input for %v", v)
		}
	}
	b := []byte(`{"a":"text","b":[1,2],"c":{"d":"x"}}`)
	v, err := Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	list := []Value{v.Get("a"), v.Get("b"), v.Get("c"), NewArray([]Value{v.Get("a"), v}), NewRecord([]Member{{view(b[2:3]), v}})}
	var clones, before []Value
	for _, e := range list {
		clones = append(clones, e.Clone())
		s := e.AppendState(nil)
		w, _, _ := ReadState(s)
		before = append(before, w)
	}
	for i := range b {
		b[i] = 'z'
	}
	for i := range clones {
		if !identical(clones[i], before[i]) {
			t.Errorf("clone %d changed with its origin: %v", i, clones[i])
		}
	}
}

func TestTree(t *testing.T) {
	t.Parallel()
	raw := []byte(`{"a":1,"B":{"c":[10,"x",null,{"d":true}]},"a":2,"A":3,"\u0062":4,"e\"f":5}`)
	built := NewRecord([]Member{{"a", Int(1)}, {"B", NewRecord([]Member{{"c", NewArray([]Value{Int(10), Text("x"), {}, NewRecord([]Member{{"d", Bool(true)}})})}})},
		{"a", Int(2)}, {"A", Int(3)}, {"b", Int(4)}, {`e"f`, Int(5)}})
	for name, v := range map[string]Value{"raw": Raw(raw), "built": built} {
		for _, c := range []struct {
			name string
			want Value
		}{
			{"a", Int(2)}, {"A", Int(3)}, {"b", Int(4)}, {`E"F`, Int(5)}, {"missing", Value{}}, {"", Value{}},
		} {
			if got := v.Get(c.name); !identical(got, c.want) {
				t.Errorf("%s: Get(%q) = %v, want %v", name, c.name, got, c.want)
			}
		}
		if v.Len() != 6 {
			t.Errorf("%s: Len() = %d, want 6", name, v.Len())
		}
		c := v.Get("B").Get("C")
		if c.Kind() != Array || c.Len() != 4 || c.At(0).Int() != 10 || c.At(1).Str() != "x" || !c.At(2).IsNull() || !c.At(3).Get("d").Bool() {
			t.Errorf("%s: the array is %v", name, c)
		}
		if !c.At(4).IsNull() || !c.At(-1).IsNull() || !v.At(0).IsNull() || !c.Get("d").IsNull() || !Int(1).Get("a").IsNull() || Text("x").Len() != 0 {
			t.Errorf("%s: something is found where nothing is", name)
		}
		for i, e := range c.Elements {
			if i == 1 && e.Str() == "x" {
				break
			}
		}
		for n := range v.Members {
			if n == "B" {
				break
			}
		}
	}
}

// Reading what is not JSON stops at the fault and never panics.
func TestRawOfBadText(t *testing.T) {
	t.Parallel()
	for _, s := range append([]string{"{", "[", `{"a`, `{"a"`, `{"a":`, `{"a":1`, `{"a":1,`, "[1", "[1,", "[1,x]", "[]]", "{}{"}, badJSON...) {
		v := Raw([]byte(s))
		v.Len()
		v.At(1)
		v.Get("a")
		_ = v.String()
		v.AppendKey(nil)
		v.Clone()
	}
}
