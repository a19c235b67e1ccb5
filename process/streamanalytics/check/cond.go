package check

import (
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// cond binds a condition.
func (b *binder) cond(x syntax.Expr) plan.Cond {
	x = syntax.Unparen(x)
	if x == nil || !b.grow(x, 1) {
		return &plan.Truth{X: &plan.Const{}}
	}
	switch x := x.(type) {
	case *syntax.Unary:
		if x.Op == syntax.Not {
			return &plan.NotCond{Cond: b.cond(x.X)}
		}
	case *syntax.Binary:
		switch x.Op {
		case syntax.And, syntax.Or:
			return b.logic(x)
		case syntax.Equal, syntax.NotEqual, syntax.Less, syntax.LessOrEqual, syntax.Greater, syntax.GreaterOrEqual:
			return b.compare(x)
		}
	case *syntax.Between:
		return b.between(x)
	case *syntax.In:
		return not(x.Not, &plan.InList{Pos: x.OpPos, X: b.expr(x.X), List: b.exprs(x.List)})
	case *syntax.Like:
		return b.like(x)
	case *syntax.IsNull:
		return not(x.Not, &plan.IsNull{X: b.expr(x.X)})
	}
	y := b.expr(x)
	switch k := b.c.kindOf(y); k {
	case value.String, value.DateTime, value.Record, value.Array:
		b.bad(x, "compare it with something", "%s is no condition", k)
	}
	return &plan.Truth{X: y}
}

func not(is bool, cond plan.Cond) plan.Cond {
	if is {
		return &plan.NotCond{Cond: cond}
	}
	return cond
}

// logic binds AND and OR. Chains of one operator, which the grammar nests to
// the left, become one list.
func (b *binder) logic(x *syntax.Binary) plan.Cond {
	out := &plan.Logic{Or: x.Op == syntax.Or}
	for _, part := range chain(x, x.Op) {
		out.Conds = append(out.Conds, b.cond(part))
	}
	return out
}

// chain returns the operands of x Op y Op z from left to right.
func chain(x syntax.Expr, op syntax.Op) []syntax.Expr {
	var reversed []syntax.Expr
	for {
		bin, ok := syntax.Unparen(x).(*syntax.Binary)
		if !ok || bin.Op != op {
			break
		}
		right := chain(bin.Y, op)
		for i := len(right) - 1; i >= 0; i-- {
			reversed = append(reversed, right[i])
		}
		x = bin.X
	}
	list := []syntax.Expr{x}
	for i := len(reversed) - 1; i >= 0; i-- {
		list = append(list, reversed[i])
	}
	return list
}

func (b *binder) compare(x *syntax.Binary) plan.Cond {
	left, right := b.expr(x.X), b.expr(x.Y)
	b.comparable(x, left, right)
	return &plan.Compare{Pos: x.OpPos, Op: x.Op, X: left, Y: right}
}

// comparable reports operands whose kinds are known and can not be compared.
func (b *binder) comparable(at syntax.Node, x, y plan.Expr) {
	kx, ky := b.c.kindOf(x), b.c.kindOf(y)
	if kx == value.Null || ky == value.Null || kx == ky {
		return
	}
	if alike(kx, ky) {
		return
	}
	b.c.report(at, "convert one of them with CAST", "%s and %s cannot be compared", kx, ky)
}

// alike tells kinds whose values can be compared: numbers, and texts with the
// datetimes that they stand for.
func alike(x, y value.Kind) bool {
	number := func(k value.Kind) bool { return k == value.BigInt || k == value.Float || k == value.Bit }
	text := func(k value.Kind) bool { return k == value.String || k == value.DateTime }
	return x == y || number(x) && number(y) || text(x) && text(y)
}

func (b *binder) between(x *syntax.Between) plan.Cond {
	before := b.cost
	y := b.expr(x.X)
	if !b.grow(x, b.cost-before) {
		return &plan.Truth{X: &plan.Const{}}
	}
	low, high := b.expr(x.Low), b.expr(x.High)
	b.comparable(x, y, low)
	b.comparable(x, y, high)
	return not(x.Not, &plan.Logic{Conds: []plan.Cond{
		&plan.Compare{Pos: x.OpPos, Op: syntax.GreaterOrEqual, X: y, Y: low},
		&plan.Compare{Pos: x.OpPos, Op: syntax.LessOrEqual, X: y, Y: high},
	}})
}

func (b *binder) like(x *syntax.Like) plan.Cond {
	y, pattern := b.expr(x.X), b.expr(x.Pattern)
	switch k := b.c.kindOf(pattern); k {
	case value.Null, value.String:
	default:
		b.bad(x.Pattern, "write it in quotes", "LIKE takes a text as pattern, not %s", k)
	}
	return not(x.Not, &plan.Like{Pos: x.OpPos, X: y, Pattern: pattern})
}
