package value

import (
	"bytes"
	"cmp"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestEqualityAndOrderOfTheOperators(t *testing.T) {
	t.Parallel()
	const no = -9 // not defined
	for _, tt := range []struct {
		a, b         string
		equal, order int
	}{
		{"1", "1.0", 1, 0}, {"0", "-0", 1, 0}, {"1", "2", 0, -1}, {"true", "false", 0, 1}, {"null", "null", 1, 0},
		{`"a"`, `"b"`, 0, -1}, {`"\u0061"`, `"a"`, 1, 0}, {`"Z"`, `"a"`, 0, -1}, {`"a"`, `"aa"`, 0, -1},
		{"1", `"1"`, 0, no}, {"null", "0", 0, no}, {"true", "1", 0, no}, {"[]", "{}", 0, no}, {"undefined", "undefined", no, no},
		{"undefined", "null", no, no}, {"[1,2]", "[1,2]", 1, no}, {"[1,2]", "[2,1]", 0, no}, {"[1,[2]]", "[1.0,[2e0]]", 1, no},
		{`{"a":1,"b":[{}]}`, `{"b":[{}],"a":1}`, 1, no}, {`{"a":1}`, `{"a":1,"b":null}`, 0, no}, {`{"a":2,"a":1}`, `{"\u0061":1}`, 1, no},
		{`[1,"1"]`, `[1,1]`, 0, no},
	} {
		a, b := Undefined(), Undefined()
		if tt.a != "undefined" {
			a = parse(t, tt.a)
		}
		if tt.b != "undefined" {
			b = parse(t, tt.b)
		}
		equal, defined := Equal(a, b)
		if defined != (tt.equal != no) || equal != (tt.equal == 1) {
			t.Errorf("%s = %s: %v, defined %v", tt.a, tt.b, equal, defined)
		}
		order, defined := Order(a, b)
		if defined != (tt.order != no) || defined && order != tt.order {
			t.Errorf("%s ordered to %s: %v, defined %v", tt.a, tt.b, order, defined)
		}
		if less, ok := Less(a, b); ok != defined || less != (defined && order < 0) {
			t.Errorf("%s < %s: %v, defined %v", tt.a, tt.b, less, ok)
		}
	}
}

// ascending is a list of values of all kinds, each larger than the one before.
func ascending(t testing.TB) []Value {
	list := []Value{Undefined(), Null(), Bool(false), Bool(true), Number(math.NaN()), Number(math.Inf(-1))}
	for _, s := range []string{
		"-1e308", "-1", "-1e-300", "0", "5e-324", "0.1", "1", "1.5", "9007199254740993", "1e308",
		`""`, `"\u0000"`, `"\u0000\u0000"`, `"\u0000a"`, `"\u0001"`, `"A"`, `"a"`, `"a\u0000"`, `"a\u0000b"`, `"a\u0001"`, `"aa"`, `"b"`, `"é"`, `"日"`, `"😀"`,
		`[]`, `[null]`, `[null,null]`, `[1]`, `[1,1]`, `[2]`, `["a"]`, `["a",1]`, `["aa"]`, `[[]]`, `[[1]]`, `[{}]`,
		`{}`, `{"a":1}`, `{"a":1,"b":1}`, `{"a":1,"b":2}`, `{"a":1,"c":null}`, `{"a":2}`, `{"aa":0}`, `{"b":null}`,
	} {
		list = append(list, parse(t, s))
	}
	return list
}

func TestOrderOverAllKinds(t *testing.T) {
	t.Parallel()
	list := ascending(t)
	for i, a := range list {
		for j, b := range list {
			checkPair(t, a, b)
			if got := Compare(a, b); got != cmp.Compare(i, j) {
				t.Errorf("%v to %v: %d", a, b, got)
			}
		}
	}
	if checkPair(t, Number(0), Number(math.Copysign(0, -1))); Compare(Number(0), parse(t, "-0")) != 0 {
		t.Error("0 is not -0")
	}
}

// checkPair checks that everything that compares two values agrees.
func checkPair(t testing.TB, a, b Value) {
	t.Helper()
	c := Compare(a, b)
	if Compare(b, a) != -c {
		t.Fatalf("%v to %v is %d, and back %d", a, b, c, Compare(b, a))
	}
	if Same(a, b) != (c == 0) {
		t.Fatalf("%v the same as %v: %v, compared %d", a, b, Same(a, b), c)
	}
	if c == 0 && Hash(a) != Hash(b) {
		t.Fatalf("%v and %v have two hashes", a, b)
	}
	ia, ib := AppendIdentity(nil, a), AppendIdentity(nil, b)
	if got := bytes.Compare(ia, ib); got != c {
		t.Fatalf("identities of %v and %v: %d, compared %d\n%x\n%x", a, b, got, c, ia, ib)
	}
	ka, kb := AppendKey(nil, a), AppendKey(nil, b)
	got := bytes.Compare(ka, kb)
	if got != c && (got != 0 || !IsCut(ka) || !IsCut(kb)) {
		t.Fatalf("keys of %v and %v: %d, compared %d\n%x\n%x", a, b, got, c, ka, kb)
	}
	if got != 0 && (bytes.HasPrefix(ka, kb) || bytes.HasPrefix(kb, ka)) {
		t.Fatalf("of %v and %v one key is the beginning of the other\n%x\n%x", a, b, ka, kb)
	}
	if !IsCut(ka) && !bytes.Equal(ka, ia) {
		t.Fatalf("the key of %v is not cut, and not its identity", a)
	}
	for _, v := range []Value{a, b} {
		low, high := KindKeys(v.Kind())
		if k := AppendKey(nil, v); bytes.Compare(k, low) < 0 || bytes.Compare(k, high) >= 0 {
			t.Fatalf("the key of %v is not among its kind's", v)
		}
	}
	if sa, ok := a.AsString(); ok {
		sb, ok := b.AsString()
		low, high := PrefixKeys(sa)
		within := bytes.Compare(kb, low) >= 0 && bytes.Compare(kb, high) < 0
		if want := ok && strings.HasPrefix(sb, sa); within != want && (!within || len(sa) < MaxKeyText/2) {
			t.Fatalf("%v among the strings that begin with %v: %v", b, a, within)
		}
	}
}

func TestRandomValuesCompareAsTheirKeys(t *testing.T) {
	t.Parallel()
	r := newRandom(2)
	var list []Value
	for range 100 {
		v := r.any(3)
		a, b := parse(t, r.json(v)), parse(t, r.json(v))
		if !Same(a, b) {
			t.Fatalf("%v is not %v", a, b)
		}
		list = append(list, a, b, made(v))
	}
	list = append(list, Undefined())
	for _, a := range list[:40] {
		for _, b := range list {
			checkPair(t, a, b)
		}
	}
	slices.SortFunc(list, Compare)
	for i := 1; i < len(list); i++ {
		if Compare(list[i-1], list[i]) > 0 {
			t.Fatalf("the order is not transitive at %v", list[i])
		}
	}
}

// Values beyond the limit share a key with those that begin alike, and sort
// rightly among all others.
func TestLongKeysAreCut(t *testing.T) {
	t.Parallel()
	x := strings.Repeat("x", MaxKeyText-1)
	var list []Value
	for _, s := range []string{x[:10], x[1:], x, x + "a", x + "b", x + x, x[1:] + "\x00", x[1:] + "\x00b", x[2:] + "\x00", x[1:] + "a", x[1:] + "y"} {
		list = append(list, String(s), Array(String(s)), Array(String(s), Number(1)), Array(Number(1), String(s), Null()),
			Object(Member{s, Number(1)}), Object(Member{"a", String(s)}, Member{"b", Null()}))
	}
	many := make([]Value, 300)
	for i := range many {
		many[i] = Number(float64(i))
	}
	list = append(list, Array(many...), Array(many[:200]...), Array(append(many, Null())...))
	cut := 0
	for _, a := range list {
		key := AppendKey(nil, a)
		if IsCut(key) {
			cut++
		}
		if len(key) > MaxKeyText+20 {
			t.Errorf("a key of %d bytes", len(key))
		}
		for _, b := range list {
			checkPair(t, a, b)
		}
	}
	if cut == 0 || cut == len(list) {
		t.Errorf("%d of %d keys are cut", cut, len(list))
	}
	// A value after other ones has the same key.
	if v := String(x + "a"); !bytes.Equal(AppendKey([]byte(x), v)[len(x):], AppendKey(nil, v)) {
		t.Error("the key depends on what is before it")
	}
}

func TestKeysOfThePrefixOfNothing(t *testing.T) {
	t.Parallel()
	low, high := PrefixKeys("")
	for _, v := range ascending(t) {
		k := AppendKey(nil, v)
		if within := bytes.Compare(k, low) >= 0 && bytes.Compare(k, high) < 0; within != (v.Kind() == KindString) {
			t.Errorf("%v among all strings: %v", v, within)
		}
	}
}
