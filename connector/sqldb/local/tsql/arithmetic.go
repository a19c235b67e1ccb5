package tsql

import (
	"math"
	"math/big"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

func (c *compiler) unary(e *ast.UnaryExpression) (*expression, error) {
	switch e.UnaryExpressionType {
	case "Positive":
		return c.scalar(e.Expression)
	case "Negative":
		if n, ok := e.Expression.(*ast.IntegerLiteral); ok {
			if n.Value == "2147483648" {
				return constant(value.FromInt(math.MinInt32), value.Of(value.Int)), nil
			}
		}
		return c.operate("Subtract", &ast.IntegerLiteral{Value: "0"}, e.Expression)
	case "BitwiseNot":
		x, err := c.scalar(e.Expression)
		if err != nil {
			return nil, err
		}
		if !x.typ.ID.Integer() {
			return nil, unsupported("~ of a %s", x.typ)
		}
		return &expression{typ: x.typ, nullable: x.nullable, eval: func(v *env) (value.Value, error) {
			n, err := x.eval(v)
			if err != nil || n.IsNull() {
				return n, err
			}
			return value.FromInt(^n.Int()), nil
		}}, nil
	}
	return nil, unsupported("the operator %s", e.UnaryExpressionType)
}

func (c *compiler) binary(e *ast.BinaryExpression) (*expression, error) {
	return c.operate(e.BinaryExpressionType, e.FirstExpression, e.SecondExpression)
}

func (c *compiler) operate(op string, a, b ast.ScalarExpression) (*expression, error) {
	x, err := c.scalar(a)
	if err != nil {
		return nil, err
	}
	y, err := c.scalar(b)
	if err != nil {
		return nil, err
	}
	t := value.Wider(x.typ, y.typ)
	var f func(p, q value.Value) (value.Value, *value.Error)
	switch {
	case t.ID == value.Null:
		t = value.Of(value.Int)
		f = func(p, q value.Value) (value.Value, *value.Error) { return p, nil }
	case op == "Add" && t.ID.Text():
		t.Length = joined(x.typ, y.typ, t)
		x, y = c.convert(x, longest(t)), c.convert(y, longest(t))
		f = func(p, q value.Value) (value.Value, *value.Error) {
			return value.Convert(value.FromString(p.Text()+q.Text()), longest(t), t, 0, true)
		}
	case op == "Add" && t.ID.Bytes():
		t.Length = joined(x.typ, y.typ, t)
		f = func(p, q value.Value) (value.Value, *value.Error) { return value.FromString(p.Text() + q.Text()), nil }
	case (op == "Add" || op == "Subtract") && t.ID == value.DateTime:
		return c.dateArithmetic(op, x, y, t)
	case t.ID == value.Bit:
		t = value.Of(value.Int)
		f = integers(op, t)
	case t.ID.Integer():
		f = integers(op, t)
	case t.ID.Approximate():
		x, y = c.convert(x, t), c.convert(y, t)
		f = floats(op, t)
	case t.ID.Exact():
		if !x.typ.ID.Number() {
			x = c.convert(x, y.typ)
		}
		if !y.typ.ID.Number() {
			y = c.convert(y, x.typ)
		}
		t, f = exacts(op, x.typ, y.typ)
	}
	if f == nil {
		return nil, value.Errorf(402, "The data types %s and %s are incompatible in the %s operator.", x.typ.Name(), y.typ.Name(), op)
	}
	if t.ID.Integer() || t.ID == value.Bit {
		x, y = c.convert(x, t), c.convert(y, t)
	}
	return &expression{typ: t, nullable: true, eval: func(v *env) (value.Value, error) {
		p, err := x.eval(v)
		if err != nil || p.IsNull() {
			return value.Value{}, err
		}
		q, err := y.eval(v)
		if err != nil || q.IsNull() {
			return value.Value{}, err
		}
		out, failed := f(p, q)
		return out, sqlError(failed)
	}}, nil
}

// joined is the length of two texts one after the other.
func joined(a, b, t value.Type) int {
	most := 8000
	if t.ID.National() {
		most = 4000
	}
	size := func(t value.Type) int {
		if t.ID.Text() || t.ID.Bytes() {
			return t.Length
		}
		return 40
	}
	if size(a) == value.Max || size(b) == value.Max {
		return value.Max
	}
	return min(most, size(a)+size(b))
}

func longest(t value.Type) value.Type {
	switch t.ID {
	case value.Char:
		t.ID = value.VarChar
	case value.NChar:
		t.ID = value.NVarChar
	}
	t.Length = value.Max
	return t
}

func divideByZero() *value.Error { return value.Errorf(8134, "Divide by zero error encountered.") }

func outOfRange(t value.Type) *value.Error {
	e := value.Errorf(8115, "Arithmetic overflow error converting expression to data type %s.", t.Name())
	e.State = 2
	return e
}

func integers(op string, t value.Type) func(p, q value.Value) (value.Value, *value.Error) {
	return func(p, q value.Value) (value.Value, *value.Error) {
		a, b := p.Int(), q.Int()
		var n int64
		over := false
		switch op {
		case "Add":
			n = a + b
			over = (a > 0) == (b > 0) && a != 0 && b != 0 && (n > 0) != (a > 0)
		case "Subtract":
			n = a - b
			over = (a < 0) != (b < 0) && (n < 0) != (a < 0)
		case "Multiply":
			n = a * b
			over = a != 0 && (n/a != b || a == -1 && b == math.MinInt64)
		case "Divide", "Modulo":
			if b == 0 {
				return value.Value{}, divideByZero()
			}
			if over = a == math.MinInt64 && b == -1; !over {
				if n = a / b; op == "Modulo" {
					n = a % b
				}
			}
		case "BitwiseAnd":
			n = a & b
		case "BitwiseOr":
			n = a | b
		case "BitwiseXor":
			n = a ^ b
		default:
			return value.Value{}, unsupported("the operator %s", op)
		}
		if over {
			return value.Value{}, outOfRange(t)
		}
		return value.Convert(value.FromInt(n), value.Of(value.BigInt), t, 0, false)
	}
}

func floats(op string, t value.Type) func(p, q value.Value) (value.Value, *value.Error) {
	return func(p, q value.Value) (value.Value, *value.Error) {
		a, b := p.Float(), q.Float()
		var f float64
		switch op {
		case "Add":
			f = a + b
		case "Subtract":
			f = a - b
		case "Multiply":
			f = a * b
		case "Divide":
			if b == 0 {
				return value.Value{}, divideByZero()
			}
			f = a / b
		default:
			return value.Value{}, value.Errorf(402, "The data types float and float are incompatible in the %s operator.", op)
		}
		if math.IsInf(f, 0) || math.IsNaN(f) {
			return value.Value{}, outOfRange(t)
		}
		return value.Convert(value.FromFloat(f), value.Of(value.Float), t, 0, false)
	}
}

// exacts computes with decimals; the result's scale follows the documented
// rules, cut to 38 digits.
func exacts(op string, a, b value.Type) (value.Type, func(p, q value.Value) (value.Value, *value.Error)) {
	a, b = decimalOf(a), decimalOf(b)
	p1, s1, p2, s2 := int(a.Precision), int(a.Scale), int(b.Precision), int(b.Scale)
	var p, s int
	switch op {
	case "Add", "Subtract":
		s = max(s1, s2)
		p = max(p1-s1, p2-s2) + s + 1
	case "Multiply":
		p, s = p1+p2+1, s1+s2
	case "Divide":
		s = max(6, s1+p2+1)
		p = p1 - s1 + s2 + s
	case "Modulo":
		s = max(s1, s2)
		p = min(p1-s1, p2-s2) + s
	default:
		return a, nil
	}
	if p > 38 {
		whole := p - s
		if op == "Add" || op == "Subtract" {
			s = max(0, min(s, 38-whole))
		} else {
			s = max(min(s, 6), 38-whole)
		}
		p = 38
	}
	t := value.Type{ID: value.Decimal, Precision: uint8(p), Scale: uint8(min(s, p))}
	return t, func(v, w value.Value) (value.Value, *value.Error) {
		x, y := ratOf(v, a), ratOf(w, b)
		out := new(big.Rat)
		switch op {
		case "Add":
			out.Add(x, y)
		case "Subtract":
			out.Sub(x, y)
		case "Multiply":
			out.Mul(x, y)
		default:
			if y.Sign() == 0 {
				return value.Value{}, divideByZero()
			}
			out.Quo(x, y)
			if op == "Modulo" {
				whole := new(big.Int).Quo(out.Num(), out.Denom())
				out.Sub(x, new(big.Rat).Mul(new(big.Rat).SetInt(whole), y))
			}
		}
		return ofRat(out, t)
	}
}

func decimalOf(t value.Type) value.Type {
	return value.Wider(t, value.Type{ID: value.Decimal, Precision: 1})
}

func ratOf(v value.Value, t value.Type) *big.Rat {
	n := v.Unscaled()
	return new(big.Rat).SetFrac(n, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)), nil))
}

func ofRat(r *big.Rat, t value.Type) (value.Value, *value.Error) {
	n := new(big.Int).Mul(r.Num(), new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(t.Scale)+1), nil))
	n.Quo(n, r.Denom())
	n = value.Rescale(n, t.Scale+1, t.Scale)
	if len(new(big.Int).Abs(n).String()) > int(t.Precision) && n.Sign() != 0 {
		return value.Value{}, outOfRange(t)
	}
	return value.FromUnscaled(n), nil
}

// dateArithmetic is datetime plus or minus days.
func (c *compiler) dateArithmetic(op string, x, y *expression, t value.Type) (*expression, error) {
	days := c.convert(y, value.Of(value.Float))
	if !y.typ.ID.Number() || x.typ.ID != value.DateTime {
		return nil, value.Errorf(402, "The data types %s and %s are incompatible in the %s operator.", x.typ.Name(), y.typ.Name(), op)
	}
	return &expression{typ: t, nullable: true, eval: func(v *env) (value.Value, error) {
		p, err := x.eval(v)
		if err != nil || p.IsNull() {
			return value.Value{}, err
		}
		q, err := days.eval(v)
		if err != nil || q.IsNull() {
			return value.Value{}, err
		}
		f := q.Float()
		if op == "Subtract" {
			f = -f
		}
		if math.Abs(f) > 4_000_000 {
			return value.Value{}, outOfRange(t)
		}
		out, failed := value.Convert(value.FromTicks(p.Ticks()+int64(f*ticksPerDay)), value.Of(value.DateTime2), t, 0, false)
		return out, sqlError(failed)
	}}, nil
}

const ticksPerDay = 24 * 3600 * 10_000_000
