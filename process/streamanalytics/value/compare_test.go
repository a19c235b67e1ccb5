package value

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestThreeValuedLogic(t *testing.T) {
	t.Parallel()
	F, T, U := False, True, Unknown
	for _, c := range []struct{ a, b, and, or Tri }{
		{F, F, F, F}, {F, T, F, T}, {F, U, F, U},
		{T, F, F, T}, {T, T, T, T}, {T, U, U, T},
		{U, F, F, U}, {U, T, U, T}, {U, U, U, U},
	} {
		if got := c.a.And(c.b); got != c.and {
			t.Errorf("%v and %v = %v, want %v", c.a, c.b, got, c.and)
		}
		if got := c.a.Or(c.b); got != c.or {
			t.Errorf("%v or %v = %v, want %v", c.a, c.b, got, c.or)
		}
		// De Morgan.
		if c.a.And(c.b).Not() != c.a.Not().Or(c.b.Not()) {
			t.Errorf("not (%v and %v) is not the or of the opposites", c.a, c.b)
		}
	}
	for in, want := range map[Tri]Value{False: Bool(false), True: Bool(true), Unknown: {}} {
		if got := in.Value(); !identical(got, want) {
			t.Errorf("%v.Value() = %v", in, got)
		}
		if got := Truth(in.Value()); got != in {
			t.Errorf("Truth(%v) = %v", in.Value(), got)
		}
	}
	if Truth(Int(2)) != True || Truth(Int(0)) != False || Truth(Text("true")) != Unknown {
		t.Error("the truth of a number or a string is wrong")
	}
}

func TestCompare(t *testing.T) {
	t.Parallel()
	day := Time(20454 * TicksPerDay) // 2026-01-01
	const unknown = 99
	for _, c := range []struct {
		a, b Value
		want int
	}{
		{Int(1), Int(2), -1},
		{Int(1), Double(1), 0},
		{Int(1), Double(1.5), -1},
		{Int(-1), Double(-1.5), 1},
		{Double(2), Int(1), 1},
		{Int(1<<53 + 1), Double(1 << 53), 1}, // exact, not rounded
		{Int(math.MaxInt64), Double(1 << 63), -1},
		{Int(math.MinInt64), Double(-1 << 63), 0},
		{Int(0), Double(math.Inf(-1)), 1},
		{Int(0), Double(math.NaN()), unknown},
		{Double(math.NaN()), Double(math.NaN()), unknown},
		{Double(0), Double(math.Copysign(0, -1)), 0},
		{Bool(true), Int(1), 0},
		{Bool(false), Double(0.5), -1},
		{Bool(false), Bool(true), -1},
		// The pattern "detect the duration between events" of the
		// documentation finds events of the type Start with 'start'.
		{Text("Start"), Text("start"), 0},
		{Text("Honda"), Text("Toyota"), -1},
		{Text("a"), Text("B"), -1},
		{Text("straße"), Text("STRAẞE"), 0},
		{Text("a"), Text("a "), -1},
		{Text(""), Text("a"), -1},
		{Text("abcdefgh"), Text("ABCDEFGHI"), -1},
		{Text("abcdefgé"), Text("ABCDEFGÉ"), 0},
		{Text("abcdefghiJ"), Text("ABCDEFGHIj"), 0},
		// Similar values of different types are not matched: reference
		// data join.
		{Text("1"), Double(1), unknown},
		{Text("1"), Int(1), unknown},
		{Text("true"), Bool(true), unknown},
		{day, Text("2026-01-01"), 0},
		{Text("2025-12-31T23:59:59.9999999Z"), day, -1},
		{day, Text("soon"), unknown},
		{day, Int(0), unknown},
		{Value{}, Int(1), unknown},
		{Value{}, Value{}, unknown},
		{NewArray(nil), NewArray(nil), unknown},
		{NewRecord(nil), Raw([]byte("{}")), unknown},
	} {
		got, ok := Compare(c.a, c.b)
		if !ok {
			got = unknown
		}
		if got != c.want {
			t.Errorf("Compare(%v, %v) = %d, want %d", c.a, c.b, got, c.want)
		}
		back, ok := Compare(c.b, c.a)
		if ok != (c.want != unknown) || ok && back != -c.want {
			t.Errorf("Compare(%v, %v) = %d, %v, not the opposite", c.b, c.a, back, ok)
		}
		for i, op := range []Tri{Eq(c.a, c.b), Ne(c.a, c.b), Lt(c.a, c.b), Le(c.a, c.b), Gt(c.a, c.b), Ge(c.a, c.b)} {
			want := Unknown
			if c.want != unknown {
				want = TriOf([]bool{c.want == 0, c.want != 0, c.want < 0, c.want <= 0, c.want > 0, c.want >= 0}[i])
			}
			if op != want {
				t.Errorf("operator %d of %v and %v = %v, want %v", i, c.a, c.b, op, want)
			}
		}
	}
}

// Order must be a total order that agrees with Compare and with Equal, and
// keys must be equal exactly where values are.
func TestOrderAndKeys(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	var vs []Value
	for range 250 {
		v := randomValue(r, 2)
		vs = append(vs, v, twin(r, v))
	}
	vs = append(vs, Double(math.NaN()), Double(math.Inf(1)), Double(math.Inf(-1)))
	keys := make([][]byte, len(vs))
	for i, v := range vs {
		keys[i] = v.AppendKey(nil)
		if v.IsNull() != (Order(v, Value{}) == 0) || Order(Value{}, v) > 0 {
			t.Fatalf("NULL is not the lowest beside %v", v)
		}
	}
	for i, a := range vs {
		for j, b := range vs {
			o := Order(a, b)
			if o != -Order(b, a) {
				t.Fatalf("Order(%v, %v) = %d is not the opposite of %d", a, b, o, Order(b, a))
			}
			if c, ok := Compare(a, b); ok && rank(a.Kind()) == rank(b.Kind()) && c != o {
				t.Fatalf("Compare(%v, %v) = %d, Order %d", a, b, c, o)
			}
			if same := bytes.Equal(keys[i], keys[j]); same != Equal(a, b) {
				t.Fatalf("%v and %v: equal keys %v, Equal %v", a, b, same, Equal(a, b))
			}
			if i != j && Order(a, b) != 0 && bytes.HasPrefix(keys[i], keys[j]) {
				t.Fatalf("the key of %v begins with that of %v", a, b)
			}
		}
		// Twins are the pairs 0 and 1, 2 and 3, and so on.
		if i%2 == 0 && i+1 < 500 && !Equal(a, vs[i+1]) {
			t.Fatalf("%v and %v should be equal", a, vs[i+1])
		}
	}
	slices.SortFunc(vs, Order)
	for i := range vs {
		for j := i; j < len(vs); j++ {
			if Order(vs[i], vs[j]) > 0 {
				t.Fatalf("Order is not transitive: %v sorted before %v", vs[i], vs[j])
			}
		}
	}
}

// The collation is that of strings.EqualFold.
func TestTextFolding(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for range 20_000 {
		a := randomText(r)
		b := randomText(r)
		if r.IntN(2) == 0 {
			b = strings.ToUpper(a)
		}
		want := strings.EqualFold(a, b)
		if got := compareText(a, b) == 0; got != want {
			t.Fatalf("compareText(%q, %q) == 0 is %v, want %v", a, b, got, want)
		}
		if got := bytes.Equal(Text(a).AppendKey(nil), Text(b).AppendKey(nil)); got != want {
			t.Fatalf("keys of %q and %q are equal: %v, want %v", a, b, got, want)
		}
	}
}

func FuzzTextKey(f *testing.F) {
	f.Add("Start", "start")
	f.Add("abcdefgh\xff", "ABCDEFGH\xfe")
	f.Add("ſtraße", "STRAẞE")
	f.Fuzz(func(t *testing.T, a, b string) {
		same := compareText(a, b) == 0
		if got := bytes.Equal(Text(a).AppendKey(nil), Text(b).AppendKey(nil)); got != same {
			t.Fatalf("%q and %q: equal %v, keys %v", a, b, same, got)
		}
		if compareText(a, b) != -compareText(b, a) {
			t.Fatalf("comparing %q and %q depends on their order", a, b)
		}
	})
}

func TestScalarsDoNotAllocate(t *testing.T) {
	a, b := Text("contoso://device-id-154"), Text("contoso://DEVICE-ID-154")
	at := Time(0)
	dst := make([]byte, 0, 256)
	like := CompileLike("%device-id-1_4")
	if n := testing.AllocsPerRun(100, func() {
		dst = b.AppendKey(a.AppendKey(dst[:0]))
		dst = at.AppendJSON(Double(1.25).AppendJSON(dst))
		dst = b.AppendState(dst)
		if Eq(a, b) != True || !like.Match(a.Str()) {
			panic("not equal")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
