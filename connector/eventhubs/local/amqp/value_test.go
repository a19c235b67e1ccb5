package amqp

import (
	"bytes"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

// What the specification shows, and the forms that clients insist on.
func TestEncodings(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 256)
	for _, tt := range []struct {
		v    any
		want string
	}{
		{nil, "40"},
		{true, "41"},
		{false, "42"},
		{uint8(7), "5007"},
		{int8(-1), "51ff"},
		{uint16(0x1234), "601234"},
		{int16(-2), "61fffe"},
		{uint32(0), "43"},
		{uint32(255), "52ff"},
		{uint32(256), "7000000100"},
		{int32(-128), "5480"},
		{int32(200), "71000000c8"},
		{uint64(0), "44"},
		{uint64(0x10), "5310"},
		{uint64(0x468C00000004), "800000468c00000004"},
		{int64(127), "557f"},
		{int64(-129), "81ffffffffffffff7f"},
		{float32(1), "723f800000"},
		{float64(1), "823ff0000000000000"},
		{Char('a'), "7300000061"},
		{Timestamp(1), "830000000000000001"},
		{UUID{1, 15: 2}, "9801000000000000000000000000000002"},
		{[]byte{1, 2}, "a0020102"},
		{[]byte{}, "a000"},
		{[]byte(nil), "40"},
		{"é", "a102c3a9"},
		{long, "b100000100" + hex.EncodeToString([]byte(long))},
		{Symbol("ab"), "a3026162"},
		{List{}, "c00100"},
		{List(nil), "40"},
		{List{nil, uint32(0)}, "c003024043"},
		{Map{}, "c10100"},
		{Map{{Symbol("k"), int32(1)}}, "c10602a3016b5401"},
		{[]Symbol{"a", "bc"}, "e00702a30161026263"},
		{[]string{"0", "1"}, "e00602a101300131"},
		{[]string{}, "e00200a1"},
		{Array{int32(1), int32(-1)}, "e00a027100000001ffffffff"},
		{Described{uint64(0x24), List{}}, "005324c00100"},
	} {
		got := AppendValue([]byte{0xee}, tt.v)
		if h := hex.EncodeToString(got[1:]); h != tt.want {
			t.Errorf("%#v: %s, want %s", tt.v, h, tt.want)
		}
	}
}

// Forms that we do not write but clients may.
func TestOtherForms(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		in   string
		want any
	}{
		{"5601", true},
		{"5600", false},
		{"7000000001", uint32(1)},
		{"8000000000000000ff", uint64(255)},
		{"7100000001", int32(1)},
		{"810000000000000001", int64(1)},
		{"b000000001aa", []byte{0xaa}},
		{"b30000000161", Symbol("a")},
		{"45", List{}},
		{"d00000000400000000", List{}},
		{"d100000004 00000000", Map{}},
		{"f00000000a 00000001 b1 00000001 61", []string{"a"}},
		{"e0030341", nil}, // a size beyond the end
		{"e0020241", Array{true, true}},
		{"e003025507", nil},
		{"e004025507f9", Array{int64(7), int64(-7)}},
		{"e00702 005301 a0 0108", nil},
		{"e00801 00a30161 a1 0162", Array{Described{Symbol("a"), "b"}}},
		{"7401020304", Decimal32{1, 2, 3, 4}},
		{"840102030405060708", Decimal64{1, 2, 3, 4, 5, 6, 7, 8}},
		{"00 00 a30161 5301 40", Described{Described{Symbol("a"), uint64(1)}, nil}},
	} {
		b, err := hex.DecodeString(strings.ReplaceAll(tt.in, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		got, rest, err := ReadValue(b)
		if tt.want == nil {
			if err == nil {
				t.Errorf("%s: no error but %#v", tt.in, got)
			}
			continue
		}
		if err != nil || len(rest) > 0 || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %#v, rest %x, error %v, want %#v", tt.in, got, rest, err, tt.want)
		}
	}
}

func TestMapGet(t *testing.T) {
	t.Parallel()
	m := Map{{"a", int32(1)}, {Symbol("b"), "two"}, {int64(3), nil}}
	if v, ok := m.Get("a"); !ok || v != int32(1) {
		t.Error(v, ok)
	}
	if v, ok := m.Get("b"); !ok || v != "two" {
		t.Error(v, ok)
	}
	if v, ok := m.Get("3"); ok || v != nil {
		t.Error(v, ok)
	}
}

func TestAppendValuePanicsOnUnknownTypes(t *testing.T) {
	t.Parallel()
	for _, v := range []any{1, struct{}{}, map[string]any{}, &Open{}, Array{int32(1), int64(1)}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%T was encoded", v)
				}
			}()
			AppendValue(nil, v)
		}()
	}
}

// Every value survives encoding and decoding, followed by anything, and no part
// of its encoding is taken for a whole value.
func TestRandomValues(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 5000 {
		v := randomValue(rnd, 0)
		tail := []byte{0x40, byte(i)}
		enc := AppendValue(nil, v)
		got, rest, err := ReadValue(append(bytes.Clone(enc), tail...))
		if err != nil || !bytes.Equal(rest, tail) || !reflect.DeepEqual(got, v) {
			t.Fatalf("%#v\nbecame %#v\nrest %x, error %v, encoded %x", v, got, rest, err, enc)
		}
		for _, skip := range []func([]byte) ([]byte, error){SkipValue, CheckValue} {
			if rest, err := skip(append(bytes.Clone(enc), tail...)); err != nil || !bytes.Equal(rest, tail) {
				t.Fatalf("%#v: skipping leaves %x, error %v, encoded %x", v, rest, err, enc)
			}
		}
		cut := enc[:rnd.IntN(len(enc))]
		if v, _, err := ReadValue(cut); err == nil {
			t.Fatalf("%x, cut from %x, is %#v", cut, enc, v)
		}
	}
}

func TestDepthIsBounded(t *testing.T) {
	t.Parallel()
	nest := func(wrap func([]byte) []byte, n int) []byte {
		b := []byte{codeNull}
		for range n {
			b = wrap(b)
		}
		return b
	}
	list := func(b []byte) []byte {
		return append(append(be.AppendUint32([]byte{codeList32}, uint32(len(b)+4)), 0, 0, 0, 1), b...)
	}
	array := func(b []byte) []byte {
		// An array of one element: its constructor is that of the inner value.
		return append(append(be.AppendUint32([]byte{codeArray32}, uint32(len(b)+4)), 0, 0, 0, 1), b...)
	}
	described := func(b []byte) []byte { return append([]byte{0, codeUlong0}, b...) }
	descriptor := func(b []byte) []byte { return append(append([]byte{0}, b...), codeNull) }
	for name, wrap := range map[string]func([]byte) []byte{
		"list": list, "array": array, "described": described, "descriptor": descriptor,
	} {
		if _, _, err := ReadValue(nest(wrap, MaxDepth)); err != nil {
			t.Errorf("%s at the limit: %v", name, err)
		}
		for _, n := range []int{MaxDepth + 1, 3000} {
			b := nest(wrap, n)
			if _, _, err := ReadValue(b); err == nil {
				t.Errorf("%s %d deep is read", name, n)
			}
			if _, err := CheckValue(b); err == nil {
				t.Errorf("%s %d deep is accepted", name, n)
			}
			_, _ = SkipValue(b) // must return, whatever it says
			if n > 1000 {
				break
			}
		}
	}
}

// A claim of much is no reason to set much aside. Not parallel: it measures
// what the process allocates.
func TestClaimsAllocateNothing(t *testing.T) {
	for name, b := range map[string][]byte{
		"list":        {codeList32, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff},
		"map":         {codeMap32, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xfe},
		"array":       {codeArray32, 0, 0, 0, 5, 0x7f, 0xff, 0xff, 0xff, codeUbyte},
		"nothings":    {codeArray32, 0, 0, 0, 5, 0x7f, 0xff, 0xff, 0xff, codeNull},
		"empty lists": {codeArray8, 3, 0xff, codeList0},
		"strings":     {codeArray32, 0, 0, 0, 5, 0x7f, 0xff, 0xff, 0xff, codeStr32},
		"binary":      {codeBin32, 0xff, 0xff, 0xff, 0xff},
		"negative":    {codeList32, 0, 0, 0, 4, 0xff, 0xff, 0xff, 0xff},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range 100 {
			if _, _, err := ReadValue(b); err == nil {
				t.Fatalf("%s is read", name)
			}
		}
		runtime.ReadMemStats(&after)
		if n := (after.TotalAlloc - before.TotalAlloc) / 100; n > 4096 {
			t.Errorf("%s: %d bytes allocated", name, n)
		}
		if _, err := CheckValue(b); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

const letters = "abcdefghijklmnopqrstuvwxyz-:.éß漢"

func randomText(rnd *rand.Rand) string {
	n := rnd.IntN(12)
	if rnd.IntN(20) == 0 {
		n = 200 + rnd.IntN(200)
	}
	rs := []rune(letters)
	out := make([]rune, n)
	for i := range out {
		out[i] = rs[rnd.IntN(len(rs))]
	}
	return string(out)
}

func randomBytes(rnd *rand.Rand) []byte {
	n := rnd.IntN(12)
	if rnd.IntN(20) == 0 {
		n = 200 + rnd.IntN(200)
	}
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

// edge returns small, large and border numbers about equally often.
func edge(rnd *rand.Rand) uint64 {
	switch rnd.IntN(4) {
	case 0:
		return uint64(rnd.IntN(3))
	case 1:
		return uint64(126 + rnd.IntN(132))
	case 2:
		return -uint64(rnd.IntN(132))
	}
	return rnd.Uint64()
}

func randomScalar(rnd *rand.Rand, kind int) any {
	switch kind {
	case 0:
		return rnd.IntN(2) == 0
	case 1:
		return uint8(edge(rnd))
	case 2:
		return int8(edge(rnd))
	case 3:
		return uint16(edge(rnd))
	case 4:
		return int16(edge(rnd))
	case 5:
		return uint32(edge(rnd))
	case 6:
		return int32(edge(rnd))
	case 7:
		return edge(rnd)
	case 8:
		return int64(edge(rnd))
	case 9:
		return math.Float32frombits(rnd.Uint32() &^ 0x40000000)
	case 10:
		return math.Float64frombits(rnd.Uint64() &^ (1 << 62))
	case 11:
		return Char(rnd.IntN(0x10000))
	case 12:
		return Timestamp(edge(rnd))
	case 13:
		return UUID{0: byte(edge(rnd)), 15: byte(edge(rnd))}
	case 14:
		return Decimal128{3: byte(edge(rnd))}
	case 15:
		return Decimal64{3: byte(edge(rnd))}
	case 16:
		return Decimal32{3: byte(edge(rnd))}
	case 17:
		return randomBytes(rnd)
	case 18:
		return randomText(rnd)
	case 19:
		return Symbol(randomText(rnd))
	}
	return nil
}

const scalars = 21

func randomValue(rnd *rand.Rand, depth int) any {
	if depth > 4 || rnd.IntN(3) > 0 {
		return randomScalar(rnd, rnd.IntN(scalars))
	}
	n := rnd.IntN(6)
	if rnd.IntN(30) == 0 && depth < 2 {
		n = 250 + rnd.IntN(20)
	}
	switch rnd.IntN(6) {
	case 0:
		l := make(List, n)
		for i := range l {
			l[i] = randomValue(rnd, depth+1)
		}
		return l
	case 1:
		m := make(Map, n)
		for i := range m {
			m[i] = Pair{randomScalar(rnd, rnd.IntN(scalars)), randomValue(rnd, depth+1)}
		}
		return m
	case 2:
		s := make([]Symbol, n)
		for i := range s {
			s[i] = Symbol(randomText(rnd))
		}
		return s
	case 3:
		s := make([]string, n)
		for i := range s {
			s[i] = randomText(rnd)
		}
		return s
	case 4:
		return randomArray(rnd, n, depth)
	}
	return Described{randomScalar(rnd, 7+12*rnd.IntN(2)), randomValue(rnd, depth+1)}
}

func randomArray(rnd *rand.Rand, n, depth int) any {
	a := make(Array, n)
	kind := rnd.IntN(18)
	inner := rnd.IntN(8)
	for i := range a {
		switch inner {
		case 0:
			a[i] = List{randomValue(rnd, depth+1), nil}
		case 1:
			a[i] = Map{{randomText(rnd), randomValue(rnd, depth+1)}}
		case 2:
			a[i] = []string{randomText(rnd)}
		case 3:
			a[i] = Described{Symbol("d"), randomText(rnd)}
		case 4:
			a[i] = randomArray(rnd, rnd.IntN(3), depth+1)
		default:
			a[i] = randomScalar(rnd, kind)
		}
	}
	return a
}
