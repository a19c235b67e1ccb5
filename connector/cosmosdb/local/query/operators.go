package query

import (
	"math"

	"millrace/connector/cosmosdb/local/sql"
	"millrace/connector/cosmosdb/local/value"
)

// binaryExpr compiles an operator. Each is undefined if an operand is of a kind
// that it does not take, AND and OR excepted, which may know better.
func binaryExpr(op sql.BinaryOp, l, r expr) expr {
	switch op {
	case sql.OpCoalesce:
		return func(f *frame) value.Value {
			if v := l(f); !v.IsUndefined() {
				return v
			}
			return r(f)
		}
	case sql.OpAnd:
		return func(f *frame) value.Value { return and(l(f), f, r) }
	case sql.OpOr:
		return func(f *frame) value.Value { return or(l(f), f, r) }
	case sql.OpEqual:
		return func(f *frame) value.Value { return equal(l(f), r(f)) }
	case sql.OpNotEqual:
		return func(f *frame) value.Value { return not(equal(l(f), r(f))) }
	case sql.OpLess:
		return ordered(l, r, func(c int) bool { return c < 0 })
	case sql.OpLessEqual:
		return ordered(l, r, func(c int) bool { return c <= 0 })
	case sql.OpGreater:
		return ordered(l, r, func(c int) bool { return c > 0 })
	case sql.OpGreaterEqual:
		return ordered(l, r, func(c int) bool { return c >= 0 })
	}
	calculate := arithmetic[op]
	return func(f *frame) value.Value {
		a, ok := l(f).AsNumber()
		b, ok2 := r(f).AsNumber()
		if !ok || !ok2 {
			return value.Undefined()
		}
		return number(calculate(a, b))
	}
}

// and is false if either side is, true if both are, and undefined otherwise.
func and(a value.Value, f *frame, right expr) value.Value {
	x, ok := a.AsBool()
	if ok && !x {
		return a
	}
	b := right(f)
	y, ok2 := b.AsBool()
	if ok2 && (!y || ok) {
		return b
	}
	return value.Undefined()
}

// or is true if either side is, false if both are, and undefined otherwise.
func or(a value.Value, f *frame, right expr) value.Value {
	x, ok := a.AsBool()
	if ok && x {
		return a
	}
	b := right(f)
	y, ok2 := b.AsBool()
	if ok2 && (y || ok) {
		return b
	}
	return value.Undefined()
}

func equal(a, b value.Value) value.Value {
	same, defined := value.Equal(a, b)
	if !defined {
		return value.Undefined()
	}
	return value.Bool(same)
}

func not(v value.Value) value.Value {
	b, ok := v.AsBool()
	if !ok {
		return value.Undefined()
	}
	return value.Bool(!b)
}

func ordered(l, r expr, holds func(int) bool) expr {
	return func(f *frame) value.Value {
		order, defined := value.Order(l(f), r(f))
		if !defined {
			return value.Undefined()
		}
		return value.Bool(holds(order))
	}
}

var arithmetic = map[sql.BinaryOp]func(a, b float64) float64{
	sql.OpAdd:            func(a, b float64) float64 { return a + b },
	sql.OpSubtract:       func(a, b float64) float64 { return a - b },
	sql.OpMultiply:       func(a, b float64) float64 { return a * b },
	sql.OpDivide:         func(a, b float64) float64 { return a / b },
	sql.OpModulo:         math.Mod,
	sql.OpBitAnd:         func(a, b float64) float64 { return float64(int32Of(a) & int32Of(b)) },
	sql.OpBitOr:          func(a, b float64) float64 { return float64(int32Of(a) | int32Of(b)) },
	sql.OpBitXor:         func(a, b float64) float64 { return float64(int32Of(a) ^ int32Of(b)) },
	sql.OpShiftLeft:      func(a, b float64) float64 { return float64(int32Of(a) << (uint32(int32Of(b)) & 31)) },
	sql.OpShiftRight:     func(a, b float64) float64 { return float64(int32Of(a) >> (uint32(int32Of(b)) & 31)) },
	sql.OpShiftRightZero: func(a, b float64) float64 { return float64(uint32(int32Of(a)) >> (uint32(int32Of(b)) & 31)) },
}

// int32Of is the conversion of JavaScript, whose bitwise operators the language
// has.
func int32Of(f float64) int32 {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return 0
	}
	return int32(uint32(int64(math.Mod(math.Trunc(f), 1<<32))))
}

func unaryExpr(op sql.UnaryOp, x expr) expr {
	if op == sql.OpNot {
		return func(f *frame) value.Value { return not(x(f)) }
	}
	return func(f *frame) value.Value {
		n, ok := x(f).AsNumber()
		if !ok {
			return value.Undefined()
		}
		switch op {
		case sql.OpNegate:
			n = -n
		case sql.OpBitNot:
			n = float64(^int32Of(n))
		}
		return number(n)
	}
}

// between is low <= x AND x <= high.
func between(x, low, high expr) expr {
	return func(f *frame) value.Value {
		v := x(f)
		above, ok := value.Order(v, low(f))
		below, ok2 := value.Order(v, high(f))
		switch {
		case ok && above < 0, ok2 && below > 0:
			return value.Bool(false)
		case !ok || !ok2:
			return value.Undefined()
		}
		return value.Bool(true)
	}
}

// in is x = a OR x = b OR ...
func in(x expr, items []expr) expr {
	return func(f *frame) value.Value {
		v := x(f)
		if v.IsUndefined() {
			return v
		}
		known := true
		for _, item := range items {
			same, defined := value.Equal(v, item(f))
			if defined && same {
				return value.Bool(true)
			}
			known = known && defined
		}
		if !known {
			return value.Undefined()
		}
		return value.Bool(false)
	}
}

func conditional(test, then, otherwise expr) expr {
	return func(f *frame) value.Value {
		if test(f).IsTrue() {
			return then(f)
		}
		return otherwise(f)
	}
}
