package value

import (
	"math"
	"math/rand/v2"
	"testing"
)

// newRand returns a source of random values whose seed is shown on failure.
func newRand(t *testing.T) *rand.Rand {
	t.Helper()
	a, b := rand.Uint64(), rand.Uint64()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("seed %#x, %#x", a, b)
		}
	})
	return rand.New(rand.NewPCG(a, b))
}

var (
	someInts   = []int64{0, 1, -1, 2, 10, 255, 1 << 53, 1<<53 + 1, -(1<<53 + 1), math.MaxInt64, math.MaxInt64 - 1, math.MinInt64}
	someFloats = []float64{0, math.Copysign(0, -1), 1, -1, 0.5, 2, 1e15, 1e21, 1e-7, 123.4, 1 << 53, 1<<53 + 2, 1 << 63, -1 << 63, math.MaxFloat64, math.SmallestNonzeroFloat64}
	someTexts  = []string{"", "a", "A", "b", "ab", "AB", "deviceId", "DEVICEID", "é", "É", "ß", "ſ", "S", "\u212a", "k", "日本", "\U0001f600", "a\"\\\n\x00", "1", "1.0", "true", "2026-01-02T03:04:05Z", "eight888", "EIGHT888x"}
	someTimes  = []int64{0, 1, -1, MinTicks, MaxTicks, 1767323045_0000000, 1767323045_1234567}
	names      = []string{"a", "A", "b", "deviceId", "DeviceID", "é", "É", "with\"quote", ""}
)

// scalar is a random value that is no record or array; deep values follow
// randomValue.
func randomScalar(r *rand.Rand) Value {
	switch r.IntN(12) {
	case 0:
		return Value{}
	case 1:
		return Bool(r.IntN(2) == 0)
	case 2:
		return Int(someInts[r.IntN(len(someInts))])
	case 3:
		return Int(int64(r.IntN(5)) - 2)
	case 4:
		return Double(someFloats[r.IntN(len(someFloats))])
	case 5:
		return Double(float64(r.IntN(10))/2 - 2)
	case 6:
		if f := math.Float64frombits(r.Uint64()); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return Double(f)
		}
		return Double(0.1)
	case 7:
		return Time(someTimes[r.IntN(len(someTimes))])
	case 8:
		return Time(MinTicks + r.Int64N(MaxTicks-MinTicks))
	case 9:
		return Text(randomText(r))
	}
	return Text(someTexts[r.IntN(len(someTexts))])
}

// randomText is valid UTF-8 of a few letters.
func randomText(r *rand.Rand) string {
	letters := []rune("aAbBkK\u212asSſéÉ%_[]^-xyz09 \\\"\n日")
	s := make([]rune, r.IntN(12))
	for i := range s {
		s[i] = letters[r.IntN(len(letters))]
	}
	return string(s)
}

// randomValue is a random value of any kind; records and arrays are built or
// are JSON text of a random level.
func randomValue(r *rand.Rand, depth int) Value {
	if depth == 0 || r.IntN(3) > 0 {
		return randomScalar(r)
	}
	var v Value
	if r.IntN(2) == 0 {
		es := make([]Value, r.IntN(4))
		for i := range es {
			es[i] = randomValue(r, depth-1)
		}
		v = NewArray(es)
	} else {
		ms := make([]Member, r.IntN(4))
		for i := range ms {
			ms[i] = Member{Name: names[r.IntN(len(names))], Value: randomValue(r, depth-1)}
		}
		v = NewRecord(ms)
	}
	if r.IntN(2) == 0 {
		return RawAt(v.AppendJSON(nil), Level(r.IntN(3)))
	}
	return v
}

// twin is a value that must be equal to v: another kind of number, another
// case, another order of members, built for raw.
func twin(r *rand.Rand, v Value) Value {
	switch v.Kind() {
	case BigInt:
		if f := float64(v.Int()); f < 1<<63 && int64(f) == v.Int() && r.IntN(2) == 0 {
			return Double(f)
		}
		if n := v.Int(); (n == 0 || n == 1) && r.IntN(2) == 0 {
			return Bool(n == 1)
		}
	case Float:
		if f := v.Double(); f >= -1<<63 && f < 1<<63 && f == math.Trunc(f) {
			return Int(int64(f))
		}
	case Bit:
		return Int(v.Int())
	case String:
		b := []byte(v.Str())
		for i, c := range b {
			if c >= 'a' && c <= 'z' && r.IntN(2) == 0 {
				b[i] = c - 32
			}
		}
		return TextBytes(b)
	case Array:
		var es []Value
		for _, e := range v.Elements {
			es = append(es, twin(r, e))
		}
		return NewArray(es)
	case Record:
		var ms []Member
		for name, m := range v.Members {
			ms = append(ms, Member{Name: name, Value: twin(r, m)})
		}
		return NewRecord(ms)
	}
	return v
}

// identical reports whether two values are of the same kinds and hold the
// same, which is more than Equal asks for.
func identical(a, b Value) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case Null:
		return true
	case BigInt, Bit, DateTime:
		return a.num == b.num
	case Float:
		return math.Float64bits(a.Double()) == math.Float64bits(b.Double())
	case String:
		return a.Str() == b.Str()
	case Array:
		x, y := a.all(), b.all()
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !identical(x[i], y[i]) {
				return false
			}
		}
		return true
	}
	var x, y []Member
	for name, m := range a.Members {
		x = append(x, Member{Name: name, Value: m})
	}
	for name, m := range b.Members {
		y = append(y, Member{Name: name, Value: m})
	}
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i].Name != y[i].Name || !identical(x[i].Value, y[i].Value) {
			return false
		}
	}
	return true
}
