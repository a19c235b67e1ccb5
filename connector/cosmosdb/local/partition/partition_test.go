package partition

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
)

var (
	hashV1 = Definition{Paths: []string{"/pk"}, Kind: Hash, Version: 1}
	hashV2 = Definition{Paths: []string{"/pk"}, Kind: Hash, Version: 2}
	multi  = Definition{Paths: []string{"/tenant", "/user", "/session"}, Kind: MultiHash, Version: 2}
)

// TestVectors compares with what the service's clients compute.
func TestVectors(t *testing.T) {
	t.Parallel()
	x99, y100, z150 := strings.Repeat("x", 99), strings.Repeat("y", 100), strings.Repeat("z", 150)
	for _, c := range []struct {
		value  any
		v1, v2 string
	}{
		{"redmond", "05C1EFE313830C087366656E706F6500", "22E342F38A486A088463DFF7838A5963"},
		{"device-1", "05C1EB9517599A086566776A64662E3200", "2674BE86EC7D9E62AD3C60A86E0FFF8B"},
		{"d1", "05C1D781B12FCC08653200", "3542108BEFB55AB4BD766507310FEBA8"},
		{"", "05C1CF33970FF80800", "32E9366E637A71B4E710384B2F4970A0"},
		{1.0, "05C1ED172B6B2605BFF0", "20CD98B339BA78A5D0CF6953B87070B0"},
		{0.0, "05C1BF6DA11560058000", "155B95BEDAC4B1E9EC1CDC9BB0DDDE58"},
		{-1.5, "05C1E901090F44054008", "151793206780805FF6E1DCAE6C787B6A"},
		{1e300, "05C1AB5FCFAF8005FE37F30F918103D738", "1234CB21048B20039B22F11DBB13CD7B"},
		{5e-324, "05C1E5C91F4D3005800101010101010102", "0E6CBA63A280927DE485DEF865800139"},
		{true, "05C1D7C5A903D803", "0E711127C5B5A8E4726AC6DD306A3E59"},
		{false, "05C1DB857D857C02", "2FE1BE91E90A3439635E0E9E37361EF2"},
		{nil, "05C1ED45D7475601", "378867E4430E67857ACE5C908374FE16"},
		{Undefined{}, "05C1D529E345DC00", "11622DAA78F835834610ABE56EFF5CB5"},
		{x99, "05C1D58F89476408" + strings.Repeat("79", 99) + "00", "306F0D7B5A6F7CDF0EA30D793E921470"},
		{y100, "05C1E3136DF12808" + strings.Repeat("7A", 100) + "00", "3F8B5AACCEB1CA7C956363CA2B77D33C"},
		{z150, "05C1B577E3BD6008" + strings.Repeat("7B", 100) + "00", "3FD3267D49FCEA257694128EC0A0335C"},
		// The clients for JavaScript and for Python do not agree on version 2 of
		// a text that is not ASCII; this is Python's, and Murmur3's.
		{"äöü€😀", "05C1EB2FB3AF7008C4A5C4B7C4BDE383ADF1A0998100", "07B48AD62E35ECA7782593925A283539"},
	} {
		for _, v := range []struct {
			def  Definition
			want string
		}{{hashV1, c.v1}, {hashV2, c.v2}} {
			k, err := New(v.def, c.value)
			if err != nil {
				t.Fatal(err)
			}
			if k.EPK() != v.want {
				t.Errorf("version %d of %v: %s, want %s", v.def.Version, c.value, k.EPK(), v.want)
			}
		}
	}
	for _, c := range []struct {
		header, want string
	}{
		{`["a","b"]`, "3A5381E1114EB8D3FCC90795045B49B7195644569A78B1E22D200348AF9416CE"},
		{`["a",1,null]`, "3A5381E1114EB8D3FCC90795045B49B720CD98B339BA78A5D0CF6953B87070B0378867E4430E67857ACE5C908374FE16"},
		{`["tenant",{},true]`, "3B67F777541374F849FC7793DE5DF91511622DAA78F835834610ABE56EFF5CB50E711127C5B5A8E4726AC6DD306A3E59"},
	} {
		k, err := ParseHeader(multi, c.header)
		if err != nil || k.EPK() != c.want {
			t.Errorf("%s: %s, %v, want %s", c.header, k.EPK(), err, c.want)
		}
	}
}

func TestParseHeader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		def      Definition
		header   string
		same     []any // values of the key; nil: an error
		complete bool
	}{
		{hashV2, `["d1"]`, []any{"d1"}, true},
		{hashV2, ` [ "d1" ] `, []any{"d1"}, true},
		{hashV2, `["d\u00fc\"\\"]`, []any{`dü"\`}, true},
		{hashV2, `["😀"]`, []any{"😀"}, true},
		{hashV2, `["\ud83d\ude00"]`, []any{"😀"}, true},
		{hashV2, `[""]`, []any{""}, true},
		{hashV2, `[1]`, []any{1.0}, true},
		{hashV2, `[1.0e0]`, []any{1.0}, true},
		{hashV2, `[true]`, []any{true}, true},
		{hashV2, `[null]`, []any{nil}, true},
		{hashV2, `[{}]`, []any{Undefined{}}, true},
		{hashV2, `[]`, nil, false},
		{hashV2, ``, nil, false},
		{hashV2, `"d1"`, nil, false},
		{hashV2, `null`, nil, false},
		{hashV2, `["a","b"]`, nil, false},
		{hashV2, `["a"]x`, nil, false},
		{hashV2, `["a"`, nil, false},
		{hashV2, `[["a"]]`, nil, false},
		{hashV2, `[{"a":1}]`, nil, false},
		{hashV2, `[1e999]`, nil, false},
		{multi, `["a"]`, []any{"a"}, false},
		{multi, `["a",2]`, []any{"a", 2.0}, false},
		{multi, `["a",2,null]`, []any{"a", 2.0, nil}, true},
		{multi, `["a",2,null,3]`, nil, false},
	} {
		k, err := ParseHeader(c.def, c.header)
		if c.same == nil {
			if err == nil {
				t.Errorf("%s: no error", c.header)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.header, err)
			continue
		}
		want, err := New(c.def, c.same...)
		if err != nil {
			t.Fatal(err)
		}
		if !k.Equal(want) || k.EPK() != want.EPK() || k.Complete() != c.complete {
			t.Errorf("%s: %s, complete %v", c.header, k.EPK(), k.Complete())
		}
	}
	if _, err := ParseHeader(hashV2, `["a","b"]`); !errors.Is(err, ErrMismatch) {
		t.Errorf("two values for one path: %v", err)
	}
}

func TestFromDocument(t *testing.T) {
	t.Parallel()
	deep := Definition{Paths: []string{`/a/"b c"/d`}, Kind: Hash, Version: 2}
	for _, c := range []struct {
		def  Definition
		doc  string
		same []any
	}{
		{hashV2, `{"pk":"x"}`, []any{"x"}},
		{hashV2, `{"pk":1}`, []any{1.0}},
		{hashV2, `{"pk":null}`, []any{nil}},
		{hashV2, `{"pk":false}`, []any{false}},
		{hashV2, `{"id":"x"}`, []any{Undefined{}}},
		{hashV2, `{"pk":{"a":1}}`, []any{Undefined{}}},
		{hashV2, `{"pk":["a"]}`, []any{Undefined{}}},
		{deep, `{"a":{"b c":{"d":"e"}}}`, []any{"e"}},
		{deep, `{"a":{"b c":"d"}}`, []any{Undefined{}}},
		{multi, `{"tenant":"t","session":true}`, []any{"t", Undefined{}, true}},
	} {
		k, err := FromDocument(c.def, []byte(c.doc))
		if err != nil {
			t.Fatal(err)
		}
		want, err := New(c.def, c.same...)
		if err != nil {
			t.Fatal(err)
		}
		if !k.Equal(want) || !k.Complete() {
			t.Errorf("%s: %s, want %s", c.doc, k.EPK(), want.EPK())
		}
	}
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, d := range []Definition{hashV1, hashV2, multi, {Paths: []string{"/a/b"}, Kind: Hash}} {
		if err := d.Validate(); err != nil {
			t.Errorf("%+v: %v", d, err)
		}
	}
	for _, d := range []Definition{
		{}, {Kind: Hash}, {Paths: []string{"/a", "/b"}, Kind: Hash}, {Paths: []string{"a"}, Kind: Hash},
		{Paths: []string{"/"}, Kind: Hash}, {Paths: []string{`/"a`}, Kind: Hash}, {Paths: []string{"/a//b"}, Kind: Hash},
		{Paths: []string{`/"a"b`}, Kind: Hash}, {Paths: []string{"/a"}, Kind: "Range"}, {Paths: []string{"/a"}, Kind: Hash, Version: 3},
		{Paths: []string{"/a", "/b", "/c", "/d"}, Kind: MultiHash, Version: 2}, {Paths: []string{"/a", "/b"}, Kind: MultiHash, Version: 1},
	} {
		if err := d.Validate(); err == nil {
			t.Errorf("%+v is valid", d)
		}
	}
}

// TestSplit checks that every key is in one range, and that the ranges get
// about as many.
func TestSplit(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for _, def := range []Definition{hashV1, hashV2, multi} {
		for _, n := range []int{-1, 1, 2, 3, 7, 10, 100} {
			ranges := def.Split(n)
			if len(ranges) != max(n, 1) || ranges[0].Low != "" || ranges[len(ranges)-1].High != End {
				t.Fatalf("%d ranges: %v", n, ranges)
			}
			for i := 1; i < len(ranges); i++ {
				if ranges[i].Low != ranges[i-1].High || ranges[i].Low >= ranges[i].High {
					t.Fatalf("%d ranges: %v", n, ranges)
				}
			}
			counts := make([]int, len(ranges))
			for range 200 * len(ranges) {
				values := []any{fmt.Sprintf("device-%d", random.IntN(1e9))}
				if def.Kind == MultiHash {
					values = append(values, random.Float64())
				}
				k, err := New(def, values...)
				if err != nil {
					t.Fatal(err)
				}
				at := sort.Search(len(ranges), func(i int) bool { return k.EPK() < ranges[i].High })
				if at == len(ranges) || !ranges[at].Contains(k.EPK()) || !ranges[at].Overlaps(k.Range()) {
					t.Fatalf("%s is in no range", k.EPK())
				}
				counts[at]++
			}
			for i, count := range counts {
				if count < 100 || count > 320 {
					t.Errorf("range %d of %d of version %d has %d keys of 200", i, n, def.Version, count)
				}
			}
		}
	}
}

// TestPrefix checks that a prefix's range holds the keys that begin with it.
func TestPrefix(t *testing.T) {
	t.Parallel()
	prefix, err := New(multi, "a", 1.0)
	if err != nil {
		t.Fatal(err)
	}
	in, _ := New(multi, "a", 1.0, "s")
	out, _ := New(multi, "a", 2.0, "s")
	if !prefix.Range().Contains(in.EPK()) || prefix.Range().Contains(out.EPK()) || !in.Range().Contains(in.EPK()) {
		t.Error("the range of a prefix is wrong")
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, s := range []string{`["a"]`, `[1,{},null]`, `[true]`, `[]`, `["\ud83d"]`, `[0]]`, `[1e999]`, "[\"\xff\"]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		for _, def := range []Definition{hashV1, hashV2, multi} {
			k, err := ParseHeader(def, header)
			if err != nil {
				continue
			}
			if epk := k.EPK(); epk >= End || epk == "" || len(k.Bytes()) > 255 {
				t.Errorf("%q: %s", header, epk)
			}
			raw, err := ParseEPK(k.EPK())
			if err != nil || string(raw) != k.Raw() {
				t.Errorf("%q: %s is read as %x", header, k.EPK(), raw)
			}
			if !json.Valid([]byte(header)) {
				t.Errorf("%q is taken", header)
			}
			// The item that has the values has the key.
			var values []json.RawMessage
			if err := json.Unmarshal([]byte(header), &values); err != nil {
				t.Fatal(err)
			}
			if def.Kind != Hash || strings.ContainsRune(header, '\\') {
				continue
			}
			own, err := FromDocument(def, fmt.Appendf(nil, `{"pk":%s}`, values[0]))
			if err != nil || !own.Equal(k) && !strings.ContainsRune(string(values[0]), '\uFFFD') && json.Valid(values[0]) && isText(header) {
				t.Errorf("%q: %s in the header, %s in the item, %v", header, k.EPK(), own.EPK(), err)
			}
		}
	})
}

func isText(s string) bool { return strings.ToValidUTF8(s, "") == s }

func FuzzSplitPath(f *testing.F) {
	for _, s := range []string{"/a", `/"a b"/c`, "//", `/"`, "/a/[]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, path string) {
		names, err := SplitPath(path)
		if err == nil && len(names) == 0 {
			t.Errorf("%q: no names", path)
		}
	})
}
