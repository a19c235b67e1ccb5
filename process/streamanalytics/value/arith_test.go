package value

import (
	"errors"
	"math"
	"math/big"
	"testing"
)

func TestArithmetic(t *testing.T) {
	t.Parallel()
	const least, most = math.MinInt64, math.MaxInt64
	null := Value{}
	for _, c := range []struct {
		name string
		op   func(a, b Value) (Value, error)
		a, b Value
		want Value
		err  error
	}{
		{"+", Add, Int(1), Int(2), Int(3), nil},
		{"+", Add, Int(1), Double(0.5), Double(1.5), nil},
		{"+", Add, Text("a"), Text("b"), Text("ab"), nil},
		{"+", Add, Bool(true), Int(1), Int(2), nil},
		{"+", Add, Bool(true), Bool(true), Int(2), nil},
		{"+", Add, null, Text("b"), null, nil},
		{"+", Add, Text("a"), null, null, nil},
		{"+", Add, Text("a"), Int(1), null, ErrType},
		{"+", Add, Time(0), Int(1), null, ErrType},
		{"+", Add, NewArray(nil), NewArray(nil), null, ErrType},
		{"+", Add, Int(most), Int(1), null, ErrOverflow},
		{"+", Add, Int(least), Int(-1), null, ErrOverflow},
		{"+", Add, Double(math.MaxFloat64), Double(math.MaxFloat64), null, ErrOverflow},
		{"+", Add, Double(math.Inf(1)), Int(1), Double(math.Inf(1)), nil},
		{"-", Sub, Int(1), Int(2), Int(-1), nil},
		{"-", Sub, Int(least), Int(1), null, ErrOverflow},
		{"-", Sub, Int(0), Int(least), null, ErrOverflow},
		{"-", Sub, Int(-1), Int(least), Int(most), nil},
		{"*", Mul, Int(-3), Int(4), Int(-12), nil},
		{"*", Mul, Int(least), Int(-1), null, ErrOverflow},
		{"*", Mul, Int(-1), Int(least), null, ErrOverflow},
		{"*", Mul, Int(0), Int(least), Int(0), nil},
		{"*", Mul, Int(1 << 32), Int(1 << 31), null, ErrOverflow},
		{"/", Div, Int(7), Int(2), Int(3), nil},
		{"/", Div, Int(-7), Int(2), Int(-3), nil},
		{"/", Div, Int(7), Double(2), Double(3.5), nil},
		{"/", Div, Int(1), Int(0), null, ErrDivideByZero},
		{"/", Div, Double(1), Double(0), null, ErrDivideByZero},
		{"/", Div, null, Int(0), null, nil},
		{"/", Div, Int(least), Int(-1), null, ErrOverflow},
		{"%", Mod, Int(7), Int(3), Int(1), nil},
		{"%", Mod, Int(-7), Int(3), Int(-1), nil},
		{"%", Mod, Int(7), Int(-3), Int(1), nil},
		{"%", Mod, Int(least), Int(-1), Int(0), nil},
		{"%", Mod, Double(7.5), Int(2), Double(1.5), nil},
		{"%", Mod, Int(7), Int(0), null, ErrDivideByZero},
		// The results of the documentation's bitwise operators.
		{"&", BitAnd, Int(170), Int(75), Int(10), nil},
		{"|", BitOr, Int(170), Int(75), Int(235), nil},
		{"^", BitXor, Int(170), Int(75), Int(225), nil},
		{"&", BitAnd, Bool(true), Bool(false), Bool(false), nil},
		{"&", BitAnd, Bool(true), Bool(true), Bool(true), nil},
		{"|", BitOr, Bool(true), Bool(false), Bool(true), nil},
		{"^", BitXor, Bool(true), Bool(true), Bool(false), nil},
		{"&", BitAnd, Bool(true), Int(3), Int(1), nil},
		{"&", BitAnd, null, Bool(false), null, nil},
		{"&", BitAnd, Int(170), Double(75), null, ErrType},
		{"|", BitOr, Text("1"), Int(1), null, ErrType},
	} {
		got, err := c.op(c.a, c.b)
		if !errors.Is(err, c.err) || err == nil && !identical(got, c.want) {
			t.Errorf("%v %s %v = %v, %v, want %v, %v", c.a, c.name, c.b, got, err, c.want, c.err)
		}
		if err != nil && !got.IsNull() {
			t.Errorf("%v %s %v: a value beside an error", c.a, c.name, c.b)
		}
	}
	for _, c := range []struct {
		name    string
		op      func(Value) (Value, error)
		a, want Value
		err     error
	}{
		{"-", Neg, Int(5), Int(-5), nil},
		{"-", Neg, Double(5), Double(-5), nil},
		{"-", Neg, null, null, nil},
		{"-", Neg, Int(least), null, ErrOverflow},
		{"-", Neg, Text("5"), null, ErrType},
		{"~", BitNot, Int(170), Int(-171), nil},
		{"~", BitNot, Bool(true), Bool(false), nil},
		{"~", BitNot, null, null, nil},
		{"~", BitNot, Double(1), null, ErrType},
	} {
		got, err := c.op(c.a)
		if !errors.Is(err, c.err) || err == nil && !identical(got, c.want) {
			t.Errorf("%s%v = %v, %v, want %v, %v", c.name, c.a, got, err, c.want, c.err)
		}
	}
}

// Arithmetic of bigints against that of unbounded numbers.
func TestBigintArithmetic(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	ops := []struct {
		op  func(a, b Value) (Value, error)
		big func(z, x, y *big.Int) *big.Int
	}{
		{Add, (*big.Int).Add}, {Sub, (*big.Int).Sub}, {Mul, (*big.Int).Mul}, {Div, (*big.Int).Quo}, {Mod, (*big.Int).Rem},
	}
	for range 20_000 {
		pick := func() int64 {
			if r.IntN(2) == 0 {
				return someInts[r.IntN(len(someInts))] + int64(r.IntN(3)) - 1
			}
			return int64(r.Uint64()) >> r.IntN(64)
		}
		x, y := pick(), pick()
		for i, o := range ops {
			got, err := o.op(Int(x), Int(y))
			if y == 0 && i >= 3 {
				if !errors.Is(err, ErrDivideByZero) {
					t.Fatalf("operator %d of %d and 0: %v", i, x, err)
				}
				continue
			}
			want := o.big(new(big.Int), big.NewInt(x), big.NewInt(y))
			if want.IsInt64() != (err == nil) || err == nil && got.Int() != want.Int64() {
				t.Fatalf("operator %d of %d and %d = %v, %v, want %v", i, x, y, got, err, want)
			}
		}
	}
}
