package function

import (
	"fmt"
	"math"
	"math/bits"

	"millrace/process/streamanalytics/value"
)

func mathFunctions() []*Scalar {
	f, same := value.Float, value.Null
	return []*Scalar{
		numberFunc("ABS", same, abs),
		numberFunc("CEILING", same, wholeOrFloat(math.Ceil)),
		numberFunc("EXP", f, floatFunc("EXP", math.Exp)),
		numberFunc("FLOOR", same, wholeOrFloat(math.Floor)),
		{Name: "POWER", MinArgs: 2, MaxArgs: 2, Params: []value.Kind{f}, Result: same, compile: always(strict(power))},
		{Name: "ROUND", MinArgs: 2, MaxArgs: 2, Params: []value.Kind{f, value.BigInt}, Result: same, compile: always(strict(round))},
		numberFunc("SIGN", same, sign),
		numberFunc("SQRT", f, floatFunc("SQRT", math.Sqrt)),
		numberFunc("SQUARE", f, floatFunc("SQUARE", func(x float64) float64 { return x * x })),
	}
}

// numberFunc is a function of one number, which f gets as a bigint or a float.
func numberFunc(name string, result value.Kind, f func(value.Value) (value.Value, error)) *Scalar {
	return &Scalar{Name: name, MinArgs: 1, MaxArgs: 1, Params: []value.Kind{value.Float}, Result: result,
		compile: always(strict(func(args []value.Value) (value.Value, error) {
			x, err := number(name, args[0])
			if err != nil {
				return value.Value{}, err
			}
			return f(x)
		}))}
}

// finite is a result of name as a value, if a float can hold it.
func finite(name string, r float64, args ...value.Value) (value.Value, error) {
	if math.IsNaN(r) || math.IsInf(r, 0) {
		of := describe(args[0])
		if len(args) > 1 {
			of += " and " + describe(args[1])
		}
		if math.IsNaN(r) {
			return value.Value{}, fmt.Errorf("%s has no result for %s", name, of)
		}
		return value.Value{}, fmt.Errorf("%s of %s does not fit a float: %w", name, of, value.ErrOverflow)
	}
	return value.Double(r), nil
}

func floatFunc(name string, f func(float64) float64) func(value.Value) (value.Value, error) {
	return func(x value.Value) (value.Value, error) { return finite(name, f(x.Double()), x) }
}

// wholeOrFloat leaves bigints as they are.
func wholeOrFloat(f func(float64) float64) func(value.Value) (value.Value, error) {
	return func(x value.Value) (value.Value, error) {
		if x.Kind() == value.BigInt {
			return x, nil
		}
		return value.Double(noMinus(f(x.Double()))), nil
	}
}

func abs(x value.Value) (value.Value, error) {
	if x.Kind() == value.Float {
		return value.Double(math.Abs(x.Double())), nil
	}
	n := x.Int()
	if n == math.MinInt64 {
		return value.Value{}, fmt.Errorf("ABS of %d does not fit a bigint: %w", n, value.ErrOverflow)
	}
	return value.Int(max(n, -n)), nil
}

func sign(x value.Value) (value.Value, error) {
	if x.Kind() == value.BigInt {
		return value.Int(max(-1, min(1, x.Int()))), nil
	}
	switch f := x.Double(); {
	case f > 0:
		return value.Double(1), nil
	case f < 0:
		return value.Double(-1), nil
	case f == 0:
		return value.Double(0), nil
	}
	return finite("SIGN", x.Double(), x)
}

// power is POWER(x, y). Its result has the kind of x: of a bigint the fraction
// is cut off.
func power(args []value.Value) (value.Value, error) {
	x, err := number("POWER", args[0])
	if err != nil {
		return value.Value{}, err
	}
	y, err := number("POWER", args[1])
	if err != nil {
		return value.Value{}, err
	}
	if x.Double() == 0 && y.Double() < 0 {
		return value.Value{}, fmt.Errorf("POWER of 0 and %s: %w", describe(y), value.ErrDivideByZero)
	}
	if x.Kind() == value.Float {
		return finite("POWER", math.Pow(x.Double(), y.Double()), x, y)
	}
	if y.Kind() == value.BigInt && y.Int() >= 0 {
		n, ok := powInt(x.Int(), y.Int())
		if !ok {
			return value.Value{}, fmt.Errorf("POWER of %s and %s does not fit a bigint: %w", describe(x), describe(y), value.ErrOverflow)
		}
		return value.Int(n), nil
	}
	r, err := finite("POWER", math.Pow(x.Double(), y.Double()), x, y)
	if err != nil {
		return value.Value{}, err
	}
	n := value.TryCast(r, value.BigInt)
	if n.IsNull() {
		return value.Value{}, fmt.Errorf("POWER of %s and %s does not fit a bigint: %w", describe(x), describe(y), value.ErrOverflow)
	}
	return n, nil
}

// powInt is x to the power of y >= 0, if a bigint can hold it.
func powInt(x, y int64) (int64, bool) {
	switch {
	case y == 0 || x == 1:
		return 1, true
	case x == 0:
		return 0, true
	case x == -1:
		return 1 - 2*(y&1), true
	case y > 63:
		return 0, false
	}
	r, ok := int64(1), true
	for range y {
		if r, ok = mulInt(r, x); !ok {
			return 0, false
		}
	}
	return r, true
}

// mulInt multiplies, if a bigint can hold the product.
func mulInt(a, b int64) (int64, bool) {
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	negative := (a < 0) != (b < 0)
	switch {
	case hi != 0:
		return 0, false
	case negative && lo <= 1<<63:
		return -int64(lo), true
	case !negative && lo < 1<<63:
		return int64(lo), true
	}
	return 0, false
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

// round is ROUND(x, length): halves are rounded away from zero.
func round(args []value.Value) (value.Value, error) {
	x, err := number("ROUND", args[0])
	if err != nil {
		return value.Value{}, err
	}
	digits, err := whole("ROUND", "a bigint as length", args[1])
	if err != nil {
		return value.Value{}, err
	}
	if x.Kind() == value.BigInt {
		n, ok := roundInt(x.Int(), digits)
		if !ok {
			return value.Value{}, fmt.Errorf("ROUND of %s to %d does not fit a bigint: %w", describe(x), digits, value.ErrOverflow)
		}
		return value.Int(n), nil
	}
	r := roundFloat(x.Double(), digits)
	if math.IsInf(r, 0) && !math.IsInf(x.Double(), 0) {
		return finite("ROUND", r, x)
	}
	return value.Double(r), nil
}

func roundInt(n, digits int64) (int64, bool) {
	switch {
	case digits >= 0:
		return n, true
	case digits < -19:
		return 0, true
	case digits == -19:
		// 10^19 does not fit, so neither does what is rounded up to it.
		return 0, magnitude(n) < 5e18
	}
	unit := uint64(1)
	for range -digits {
		unit *= 10
	}
	m := magnitude(n)
	rest := m % unit
	m -= rest
	if rest >= unit-rest {
		m += unit
	}
	if n < 0 {
		return -int64(m), m <= 1<<63
	}
	return int64(m), m < 1<<63
}

func roundFloat(x float64, digits int64) float64 {
	switch {
	case digits > 308+17 || math.IsInf(x, 0) || math.IsNaN(x):
		return x
	case digits < -309:
		return 0
	case digits <= 0:
		unit := math.Pow10(int(-digits))
		if math.IsInf(unit, 0) {
			return 0
		}
		return noMinus(math.Round(x/unit) * unit)
	}
	unit := math.Pow10(int(min(digits, 308)))
	scaled := x * unit
	// From 2^52 on there are no fractions to round.
	if math.Abs(scaled) >= 1<<52 {
		return x
	}
	return noMinus(math.Round(scaled) / unit)
}

// noMinus makes -0 to 0: nobody wants to read it.
func noMinus(x float64) float64 {
	if x == 0 {
		return 0
	}
	return x
}
