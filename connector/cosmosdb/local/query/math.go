package query

import (
	"math"
	"math/rand/v2"

	"millrace/connector/cosmosdb/local/value"
)

var mathFunctions = map[string]function{
	"ABS":       numeric(math.Abs),
	"ACOS":      numeric(math.Acos),
	"ASIN":      numeric(math.Asin),
	"ATAN":      numeric(math.Atan),
	"ATN2":      numeric2(math.Atan2),
	"CEILING":   numeric(math.Ceil),
	"COS":       numeric(math.Cos),
	"COT":       numeric(func(x float64) float64 { return 1 / math.Tan(x) }),
	"DEGREES":   numeric(func(x float64) float64 { return x * 180 / math.Pi }),
	"EXP":       numeric(math.Exp),
	"FLOOR":     numeric(math.Floor),
	"LOG":       variadic(1, 2, logarithm),
	"LOG10":     numeric(math.Log10),
	"NUMBERBIN": variadic(1, 2, numberBin),
	"PI":        variadic(0, 0, func(*frame, []value.Value) value.Value { return value.Number(math.Pi) }),
	"POWER":     numeric2(math.Pow),
	"RADIANS":   numeric(func(x float64) float64 { return x * math.Pi / 180 }),
	"RAND": {volatile: true, many: func(*frame, []value.Value) value.Value {
		return value.Number(rand.Float64())
	}},
	"ROUND":  numeric(math.Round),
	"SIGN":   numeric(sign),
	"SIN":    numeric(math.Sin),
	"SQRT":   numeric(math.Sqrt),
	"SQUARE": numeric(func(x float64) float64 { return x * x }),
	"TAN":    numeric(math.Tan),
	"TRUNC":  numeric(math.Trunc),
}

// number is the result of a calculation: what JSON cannot hold is undefined.
func number(f float64) value.Value {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return value.Undefined()
	}
	return value.Number(f)
}

// numeric is a function of one number; of anything else it is undefined.
func numeric(fn func(float64) float64) function {
	return single(func(a value.Value) value.Value {
		x, ok := a.AsNumber()
		if !ok {
			return value.Undefined()
		}
		return number(fn(x))
	})
}

func numeric2(fn func(a, b float64) float64) function {
	return pair(func(a, b value.Value) value.Value {
		x, ok := a.AsNumber()
		y, ok2 := b.AsNumber()
		if !ok || !ok2 {
			return value.Undefined()
		}
		return number(fn(x, y))
	})
}

func sign(x float64) float64 {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	}
	return 0
}

func logarithm(_ *frame, args []value.Value) value.Value {
	x, ok := args[0].AsNumber()
	if !ok {
		return value.Undefined()
	}
	if len(args) == 1 {
		return number(math.Log(x))
	}
	base, ok := args[1].AsNumber()
	if !ok {
		return value.Undefined()
	}
	return number(math.Log(x) / math.Log(base))
}

func numberBin(_ *frame, args []value.Value) value.Value {
	x, ok := args[0].AsNumber()
	size, ok2 := optional(args, 1, value.Number(1)).AsNumber()
	if !ok || !ok2 || size <= 0 {
		return value.Undefined()
	}
	return number(math.Floor(x/size) * size)
}

// The functions over 64-bit integers are undefined for numbers that are no
// integers of that size.
var integerFunctions = map[string]function{
	"INTADD":           integers(func(a, b int64) (int64, bool) { return a + b, true }),
	"INTSUB":           integers(func(a, b int64) (int64, bool) { return a - b, true }),
	"INTMUL":           integers(func(a, b int64) (int64, bool) { return a * b, true }),
	"INTDIV":           integers(divide),
	"INTMOD":           integers(modulo),
	"INTBITAND":        integers(func(a, b int64) (int64, bool) { return a & b, true }),
	"INTBITOR":         integers(func(a, b int64) (int64, bool) { return a | b, true }),
	"INTBITXOR":        integers(func(a, b int64) (int64, bool) { return a ^ b, true }),
	"INTBITLEFTSHIFT":  integers(func(a, b int64) (int64, bool) { return a << uint(b&63), b >= 0 }),
	"INTBITRIGHTSHIFT": integers(func(a, b int64) (int64, bool) { return a >> uint(b&63), b >= 0 }),
	"INTBITNOT": single(func(v value.Value) value.Value {
		a, ok := int64Of(v)
		if !ok {
			return value.Undefined()
		}
		return value.Number(float64(^a))
	}),
}

func integers(fn func(a, b int64) (int64, bool)) function {
	return pair(func(x, y value.Value) value.Value {
		a, ok := int64Of(x)
		b, ok2 := int64Of(y)
		if !ok || !ok2 {
			return value.Undefined()
		}
		result, ok := fn(a, b)
		if !ok {
			return value.Undefined()
		}
		return value.Number(float64(result))
	})
}

func int64Of(v value.Value) (int64, bool) {
	f, ok := v.AsNumber()
	if !ok || f != math.Trunc(f) || f < -(1<<63) || f >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}

func divide(a, b int64) (int64, bool) {
	if b == 0 || a == math.MinInt64 && b == -1 {
		return 0, false
	}
	return a / b, true
}

func modulo(a, b int64) (int64, bool) {
	if b == 0 || b == -1 {
		return 0, b != 0
	}
	return a % b, true
}
