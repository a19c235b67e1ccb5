package value

import (
	"errors"
	"fmt"
	"math"
)

// What arithmetic and casts can fail with.
var (
	// ErrOverflow is a result that its type can not hold.
	ErrOverflow = errors.New("arithmetic overflow")
	// ErrDivideByZero is a division by 0, of bigint and of float.
	ErrDivideByZero = errors.New("divide by zero")
	// ErrType is an operation that the kinds of its operands do not have.
	ErrType = errors.New("wrong type")
)

// Add is a + b: the sum of numbers, the concatenation of strings.
func Add(a, b Value) (Value, error) {
	if a.kind == BigInt && b.kind == BigInt {
		x, y := int64(a.num), int64(b.num)
		if s := x + y; (s > x) == (y > 0) {
			return Int(s), nil
		}
		return overflow("+", a, b)
	}
	if a.kind == String && b.kind == String {
		return Text(a.Str() + b.Str()), nil
	}
	return arith('+', a, b)
}

// Sub is a - b.
func Sub(a, b Value) (Value, error) { return arith('-', a, b) }

// Mul is a * b.
func Mul(a, b Value) (Value, error) { return arith('*', a, b) }

// Div is a / b; of two bigints it is cut towards 0.
func Div(a, b Value) (Value, error) { return arith('/', a, b) }

// Mod is a % b; it has the sign of a.
func Mod(a, b Value) (Value, error) { return arith('%', a, b) }

// BitAnd is a & b, of bigints or bits.
func BitAnd(a, b Value) (Value, error) { return bitwise('&', a, b) }

// BitOr is a | b, of bigints or bits.
func BitOr(a, b Value) (Value, error) { return bitwise('|', a, b) }

// BitXor is a ^ b, of bigints or bits.
func BitXor(a, b Value) (Value, error) { return bitwise('^', a, b) }

// BitNot is ~a: the complement of a bigint, the opposite of a bit.
func BitNot(a Value) (Value, error) {
	switch a.kind {
	case Null:
		return a, nil
	case BigInt:
		return Int(^a.Int()), nil
	case Bit:
		return Bool(!a.Bool()), nil
	}
	return Value{}, fmt.Errorf("%w: ~ needs a bigint or bit, not %s", ErrType, a.kind)
}

// Neg is -a.
func Neg(a Value) (Value, error) {
	switch a.kind {
	case Null:
		return a, nil
	case Float:
		return Double(-a.Double()), nil
	case BigInt, Bit:
		if a.Int() == math.MinInt64 {
			return Value{}, fmt.Errorf("%w: -(%d) does not fit a bigint", ErrOverflow, a.Int())
		}
		return Int(-a.Int()), nil
	}
	return Value{}, fmt.Errorf("%w: - needs a number, not %s", ErrType, a.kind)
}

func overflow(op string, a, b Value) (Value, error) {
	kind := BigInt
	if a.kind == Float || b.kind == Float {
		kind = Float
	}
	return Value{}, fmt.Errorf("%w: %s %s %s does not fit a %s", ErrOverflow, a, op, b, kind)
}

func arith(op byte, a, b Value) (Value, error) {
	if a.kind == Null || b.kind == Null {
		return Value{}, nil
	}
	if !isNumber(a.kind) || !isNumber(b.kind) {
		return Value{}, fmt.Errorf("%w: %c of %s and %s; use CAST or TRY_CAST to make them numbers", ErrType, op, a.kind, b.kind)
	}
	if a.kind == Float || b.kind == Float {
		return arithFloat(op, a, b)
	}
	x, y := a.Int(), b.Int()
	var r int64
	fits := true
	switch op {
	case '+':
		r = x + y
		fits = (r > x) == (y > 0)
	case '-':
		r = x - y
		fits = (r < x) == (y > 0)
	case '*':
		r = x * y
		fits = x == 0 || (r/x == y && !(x == -1 && y == math.MinInt64))
	default:
		if y == 0 {
			return Value{}, fmt.Errorf("%w: %s %c %s", ErrDivideByZero, a, op, b)
		}
		if op == '/' {
			r = x / y
			fits = !(x == math.MinInt64 && y == -1)
		} else {
			r = x % y
		}
	}
	if !fits {
		return overflow(string(rune(op)), a, b)
	}
	return Int(r), nil
}

func arithFloat(op byte, a, b Value) (Value, error) {
	x, y := a.Double(), b.Double()
	var r float64
	switch op {
	case '+':
		r = x + y
	case '-':
		r = x - y
	case '*':
		r = x * y
	default:
		if y == 0 {
			return Value{}, fmt.Errorf("%w: %s %c %s", ErrDivideByZero, a, op, b)
		}
		if op == '/' {
			r = x / y
		} else {
			r = math.Mod(x, y)
		}
	}
	if math.IsInf(r, 0) && !math.IsInf(x, 0) && !math.IsInf(y, 0) {
		return overflow(string(rune(op)), a, b)
	}
	return Double(r), nil
}

func bitwise(op byte, a, b Value) (Value, error) {
	if a.kind == Null || b.kind == Null {
		return Value{}, nil
	}
	whole := func(k Kind) bool { return k == BigInt || k == Bit }
	if !whole(a.kind) || !whole(b.kind) {
		return Value{}, fmt.Errorf("%w: %c needs bigint or bit on both sides, not %s and %s", ErrType, op, a.kind, b.kind)
	}
	x, y := a.num, b.num
	switch op {
	case '&':
		x &= y
	case '|':
		x |= y
	case '^':
		x ^= y
	}
	if a.kind == Bit && b.kind == Bit {
		return Bool(x != 0), nil
	}
	return Int(int64(x)), nil
}
