package value

import (
	"errors"
	"math"
	"strings"
	"testing"
)

func TestCast(t *testing.T) {
	t.Parallel()
	failed := Text("(no cast)")
	list, rec := Raw([]byte(`[1, "a"]`)), Raw([]byte(`{"a":1.50}`))
	at := Time(1_767_323_045_1234567)
	for _, c := range []struct {
		v    Value
		to   Kind
		want Value
	}{
		{Value{}, BigInt, Value{}},
		{Value{}, Array, Value{}},
		// The documentation's examples.
		{Text("this is a string"), BigInt, failed},
		{Text("1000"), BigInt, Int(1000)},
		{Text("NaN"), Float, failed},
		{Raw([]byte("{}")), Array, failed},
		{Text("2021-12-10T10:00:00"), DateTime, Time(1639130400 * TicksPerSecond)},
		{Bool(true), Float, Double(1)},
		{Bool(false), Float, Double(0)},
		{Double(0), Bit, Bool(false)},
		{Double(0.5), Bit, Bool(true)},
		{Double(75), Bit, Bool(true)},
		{Int(0), Bit, Bool(false)},
		{Int(1), Bit, Bool(true)},
		{Text("true"), Bit, Bool(true)},
		{Text("False"), Bit, Bool(false)},
		{Text("null"), Bit, Value{}},
		{Bool(true), String, Text("true")},
		{Bool(false), String, Text("false")},

		{Text(" -12 "), BigInt, Int(-12)},
		{Text("+12"), BigInt, Int(12)},
		{Text(""), BigInt, failed},
		{Text("1.5"), BigInt, failed},
		{Text("1_0"), BigInt, failed},
		{Text("0x10"), BigInt, failed},
		{Text("9223372036854775808"), BigInt, failed},
		{Double(2.9), BigInt, Int(2)},
		{Double(-2.9), BigInt, Int(-2)},
		{Double(1 << 63), BigInt, failed},
		{Double(-1 << 63), BigInt, Int(math.MinInt64)},
		{Double(math.NaN()), BigInt, failed},
		{Bool(true), BigInt, Int(1)},
		{at, BigInt, failed},
		{list, BigInt, failed},

		{Text(" 1.5e3 "), Float, Double(1500)},
		{Text("-.5"), Float, Double(-0.5)},
		{Text("1"), Float, Double(1)},
		{Text("0x1p3"), Float, failed},
		{Text("1_0"), Float, failed},
		{Text("Infinity"), Float, failed},
		{Text("1e400"), Float, failed},
		{Text(""), Float, failed},
		{Int(3), Float, Double(3)},
		{at, Float, failed},

		{Int(-5), String, Text("-5")},
		{Double(5), String, Text("5")},
		{Double(1.25), String, Text("1.25")},
		{Double(1e21), String, Text("1E+21")},
		{Double(math.NaN()), String, Text("NaN")},
		{at, String, Text("2026-01-02T03:04:05.1234567Z")},
		{rec, String, Text(`{"a":1.50}`)},
		{list, String, Text(`[1, "a"]`)},

		{Text("2026-01-02 03:04:05.1234567"), DateTime, at},
		{Text("soon"), DateTime, failed},
		{Int(0), DateTime, failed},
		{Double(0), DateTime, failed},

		{Text("1"), Bit, Bool(true)},
		{Text("0"), Bit, Bool(false)},
		{Text("0.0"), Bit, Bool(false)},
		{Text("maybe"), Bit, failed},
		{at, Bit, failed},

		{Text("{}"), Record, failed},
		{Text("[]"), Array, failed},
		{rec, Record, rec},
		{list, Array, list},
		{list, Record, failed},
		{Int(1), Array, failed},
	} {
		got, err := Cast(c.v, c.to)
		try := TryCast(c.v, c.to)
		if identical(c.want, failed) {
			var e *CastError
			if !errors.As(err, &e) || !errors.Is(err, ErrType) || e.From != c.v.Kind() || e.To != c.to {
				t.Errorf("Cast(%v, %s) = %v, %v, want an error", c.v, c.to, got, err)
			}
			if !try.IsNull() {
				t.Errorf("TryCast(%v, %s) = %v, want NULL", c.v, c.to, try)
			}
			continue
		}
		if err != nil || !identical(got, c.want) || !identical(try, c.want) {
			t.Errorf("Cast(%v, %s) = %v, %v, want %v", c.v, c.to, got, err, c.want)
		}
	}
}

func TestCastError(t *testing.T) {
	t.Parallel()
	_, err := Cast(Text(strings.Repeat("é", 1000)), BigInt)
	for _, part := range []string{"nvarchar(max)", "bigint", "TRY_CAST", "…"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not mention %s", err, part)
		}
	}
	if len(err.Error()) > 250 || strings.ContainsRune(err.Error(), '\ufffd') {
		t.Errorf("the message is not well shortened: %q", err)
	}
}

// What is cast to text and back is the same.
func TestCastRoundTrip(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for range 5000 {
		v := randomScalar(r)
		if v.IsNull() {
			continue
		}
		text, err := Cast(v, String)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Cast(text, v.Kind())
		if err != nil || !identical(back, v) {
			t.Fatalf("%s %v to %v to %v, %v", v.Kind(), v, text, back, err)
		}
	}
}
