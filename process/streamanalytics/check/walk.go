package check

import (
	"millrace/process/streamanalytics/plan"
)

// mapSlots copies x with other slots. What holds no slot is shared.
func mapSlots(x plan.Expr, to func(*plan.Slot) *plan.Slot) plan.Expr {
	list := func(xs []plan.Expr) []plan.Expr {
		out := make([]plan.Expr, len(xs))
		for i, x := range xs {
			out[i] = mapSlots(x, to)
		}
		return out
	}
	switch x := x.(type) {
	case *plan.Slot:
		return to(x)
	case *plan.Field:
		return &plan.Field{X: mapSlots(x.X, to), Name: x.Name}
	case *plan.Unary:
		return &plan.Unary{Pos: x.Pos, Op: x.Op, X: mapSlots(x.X, to)}
	case *plan.Binary:
		return &plan.Binary{Pos: x.Pos, Op: x.Op, X: mapSlots(x.X, to), Y: mapSlots(x.Y, to)}
	case *plan.Case:
		out := &plan.Case{}
		for _, w := range x.Whens {
			out.Whens = append(out.Whens, plan.When{Cond: mapCondSlots(w.Cond, to), Then: mapSlots(w.Then, to)})
		}
		if x.Else != nil {
			out.Else = mapSlots(x.Else, to)
		}
		return out
	case *plan.Cast:
		return &plan.Cast{Pos: x.Pos, X: mapSlots(x.X, to), To: x.To, Try: x.Try}
	case *plan.Call:
		return &plan.Call{Pos: x.Pos, Func: x.Func, Unit: x.Unit, Args: list(x.Args)}
	case *plan.UserCall:
		return &plan.UserCall{Pos: x.Pos, Name: x.Name, Args: list(x.Args)}
	case *plan.Record:
		out := &plan.Record{}
		for _, col := range x.Columns {
			col.Expr = mapSlots(col.Expr, to)
			out.Columns = append(out.Columns, col)
		}
		return out
	}
	return x
}

func mapCondSlots(cond plan.Cond, to func(*plan.Slot) *plan.Slot) plan.Cond {
	switch x := cond.(type) {
	case *plan.Compare:
		return &plan.Compare{Pos: x.Pos, Op: x.Op, X: mapSlots(x.X, to), Y: mapSlots(x.Y, to)}
	case *plan.Like:
		return &plan.Like{Pos: x.Pos, X: mapSlots(x.X, to), Pattern: mapSlots(x.Pattern, to)}
	case *plan.IsNull:
		return &plan.IsNull{X: mapSlots(x.X, to)}
	case *plan.InList:
		out := &plan.InList{Pos: x.Pos, X: mapSlots(x.X, to)}
		for _, y := range x.List {
			out.List = append(out.List, mapSlots(y, to))
		}
		return out
	case *plan.Logic:
		out := &plan.Logic{Or: x.Or}
		for _, y := range x.Conds {
			out.Conds = append(out.Conds, mapCondSlots(y, to))
		}
		return out
	case *plan.NotCond:
		return &plan.NotCond{Cond: mapCondSlots(x.Cond, to)}
	case *plan.Truth:
		return &plan.Truth{X: mapSlots(x.X, to)}
	}
	return cond
}

// eachExpr calls visit for every expression of x, parents first; below one for
// which visit returns false it does not go.
func eachExpr(x plan.Expr, visit func(plan.Expr) bool) {
	if x == nil || !visit(x) {
		return
	}
	switch x := x.(type) {
	case *plan.Field:
		eachExpr(x.X, visit)
	case *plan.Unary:
		eachExpr(x.X, visit)
	case *plan.Binary:
		eachExpr(x.X, visit)
		eachExpr(x.Y, visit)
	case *plan.Case:
		for _, w := range x.Whens {
			eachInCond(w.Cond, visit)
			eachExpr(w.Then, visit)
		}
		eachExpr(x.Else, visit)
	case *plan.Cast:
		eachExpr(x.X, visit)
	case *plan.Call:
		eachOf(x.Args, visit)
	case *plan.UserCall:
		eachOf(x.Args, visit)
	case *plan.Record:
		for _, col := range x.Columns {
			eachExpr(col.Expr, visit)
		}
	case *plan.SymbolValue:
		eachExpr(x.X, visit)
	case *plan.SymbolAggregate:
		eachOf(x.Call.Args, visit)
	}
}

func eachOf(list []plan.Expr, visit func(plan.Expr) bool) {
	for _, x := range list {
		eachExpr(x, visit)
	}
}

// eachInCond calls visit for every expression of a condition.
func eachInCond(cond plan.Cond, visit func(plan.Expr) bool) {
	switch x := cond.(type) {
	case *plan.Compare:
		eachExpr(x.X, visit)
		eachExpr(x.Y, visit)
	case *plan.Like:
		eachExpr(x.X, visit)
		eachExpr(x.Pattern, visit)
	case *plan.IsNull:
		eachExpr(x.X, visit)
	case *plan.InList:
		eachExpr(x.X, visit)
		eachOf(x.List, visit)
	case *plan.Logic:
		for _, y := range x.Conds {
			eachInCond(y, visit)
		}
	case *plan.NotCond:
		eachInCond(x.Cond, visit)
	case *plan.Truth:
		eachExpr(x.X, visit)
	}
}
