package exec

import (
	"fmt"

	"millrace/process/streamanalytics/function"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/udf"
	"millrace/process/streamanalytics/value"
)

// evalFunc is a compiled expression.
type evalFunc func(r *row) (value.Value, error)

// placedError is an error at a place in the query.
type placedError struct {
	pos syntax.Pos
	err error
}

func (e *placedError) Error() string { return e.err.Error() }
func (e *placedError) Unwrap() error { return e.err }

func placed(pos syntax.Pos, err error) error { return &placedError{pos: pos, err: err} }

// compiler makes closures of expressions.
type compiler struct {
	level     value.Level
	functions *udf.Library
	// runtime is made when the first user function is met.
	runtime *udf.Runtime
}

func (c *compiler) exprs(list []plan.Expr) ([]evalFunc, error) {
	out := make([]evalFunc, len(list))
	for i, e := range list {
		f, err := c.expr(e)
		if err != nil {
			return nil, err
		}
		out[i] = f
	}
	return out, nil
}

// expr compiles one expression.
func (c *compiler) expr(e plan.Expr) (evalFunc, error) {
	switch e := e.(type) {
	case *plan.Const:
		v := e.Value
		return func(*row) (value.Value, error) { return v, nil }, nil
	case *plan.Slot:
		i := e.Index
		return func(r *row) (value.Value, error) { return r.slots[i], nil }, nil
	case *plan.Field:
		return c.field(e)
	case *plan.Timestamp:
		return func(r *row) (value.Value, error) { return value.Time(r.time), nil }, nil
	case *plan.Unary:
		return c.unary(e)
	case *plan.Binary:
		return c.binary(e)
	case *plan.Case:
		return c.caseExpr(e)
	case *plan.Cast:
		return c.cast(e)
	case *plan.Call:
		return c.call(e)
	case *plan.UserCall:
		return c.userCall(e)
	case *plan.Record:
		return c.record(e)
	case *plan.SymbolValue:
		return c.symbolValue(e)
	case *plan.SymbolAggregate:
		return c.symbolAggregate(e)
	case *plan.Classifier:
		return classifier(e), nil
	case nil:
		return nil, fmt.Errorf("the plan lacks an expression")
	}
	return nil, fmt.Errorf("the plan has an unknown expression %T", e)
}

func (c *compiler) field(e *plan.Field) (evalFunc, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	name := e.Name
	return func(r *row) (value.Value, error) {
		v, err := x(r)
		if err != nil || v.Kind() != value.Record {
			return value.Value{}, err
		}
		return v.Get(name), nil
	}, nil
}

func (c *compiler) unary(e *plan.Unary) (evalFunc, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	op := value.Neg
	if e.Op == syntax.BitNot {
		op = value.BitNot
	}
	pos := e.Pos
	return func(r *row) (value.Value, error) {
		v, err := x(r)
		if err != nil {
			return v, err
		}
		if v, err = op(v); err != nil {
			return v, placed(pos, err)
		}
		return v, nil
	}, nil
}

func (c *compiler) binary(e *plan.Binary) (evalFunc, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	y, err := c.expr(e.Y)
	if err != nil {
		return nil, err
	}
	var op func(a, b value.Value) (value.Value, error)
	switch e.Op {
	case syntax.Add:
		op = value.Add
	case syntax.Subtract:
		op = value.Sub
	case syntax.Multiply:
		op = value.Mul
	case syntax.Divide:
		op = value.Div
	case syntax.Modulo:
		op = value.Mod
	case syntax.BitAnd:
		op = value.BitAnd
	case syntax.BitOr:
		op = value.BitOr
	case syntax.BitXor:
		op = value.BitXor
	default:
		return nil, placed(e.Pos, fmt.Errorf("the plan has an unknown operator %d", e.Op))
	}
	pos := e.Pos
	return func(r *row) (value.Value, error) {
		a, err := x(r)
		if err != nil {
			return a, err
		}
		b, err := y(r)
		if err != nil {
			return b, err
		}
		v, err := op(a, b)
		if err != nil {
			return v, placed(pos, err)
		}
		return v, nil
	}, nil
}

func (c *compiler) caseExpr(e *plan.Case) (evalFunc, error) {
	conds := make([]condFunc, len(e.Whens))
	thens := make([]evalFunc, len(e.Whens))
	var err error
	for i, w := range e.Whens {
		if conds[i], err = c.cond(w.Cond); err != nil {
			return nil, err
		}
		if thens[i], err = c.expr(w.Then); err != nil {
			return nil, err
		}
	}
	otherwise := func(*row) (value.Value, error) { return value.Value{}, nil }
	if e.Else != nil {
		if otherwise, err = c.expr(e.Else); err != nil {
			return nil, err
		}
	}
	return func(r *row) (value.Value, error) {
		for i, cond := range conds {
			t, err := cond(r)
			if err != nil {
				return value.Value{}, err
			}
			if t == value.True {
				return thens[i](r)
			}
		}
		return otherwise(r)
	}, nil
}

func (c *compiler) cast(e *plan.Cast) (evalFunc, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	to, pos := e.To, e.Pos
	if e.Try {
		return func(r *row) (value.Value, error) {
			v, err := x(r)
			if err != nil {
				return v, err
			}
			return value.TryCast(v, to), nil
		}, nil
	}
	return func(r *row) (value.Value, error) {
		v, err := x(r)
		if err != nil {
			return v, err
		}
		if v, err = value.Cast(v, to); err != nil {
			return v, placed(pos, err)
		}
		return v, nil
	}, nil
}

func (c *compiler) call(e *plan.Call) (evalFunc, error) {
	if e.Func == nil {
		return nil, placed(e.Pos, fmt.Errorf("the plan calls a function that is missing"))
	}
	args, err := c.exprs(e.Args)
	if err != nil {
		return nil, err
	}
	call := function.Call{Unit: e.Unit, Level: c.level, Consts: make([]value.Value, len(args)), Known: make([]bool, len(args))}
	for i, a := range e.Args {
		if k, ok := a.(*plan.Const); ok {
			call.Consts[i], call.Known[i] = k.Value, true
		}
	}
	f, err := e.Func.Compile(call)
	if err != nil {
		return nil, placed(e.Pos, err)
	}
	return applied(f, args, e.Pos), nil
}

// applied is f over args. The values of the arguments are in a slice that is
// used again for each row; calls of one task do not run at the same time, and a
// call's own arguments are evaluated before its slice is filled.
func applied(f function.Func, args []evalFunc, pos syntax.Pos) evalFunc {
	values := make([]value.Value, len(args))
	return func(r *row) (value.Value, error) {
		for i, a := range args {
			v, err := a(r)
			if err != nil {
				return v, err
			}
			values[i] = v
		}
		v, err := f(values)
		if err != nil {
			return v, placed(pos, err)
		}
		return v, nil
	}
}

func (c *compiler) userRuntime() (*udf.Runtime, error) {
	if c.runtime == nil {
		r, err := c.functions.NewRuntime()
		if err != nil {
			return nil, err
		}
		c.runtime = r
	}
	return c.runtime, nil
}

func (c *compiler) userCall(e *plan.UserCall) (evalFunc, error) {
	args, err := c.exprs(e.Args)
	if err != nil {
		return nil, err
	}
	runtime, err := c.userRuntime()
	if err != nil {
		return nil, placed(e.Pos, err)
	}
	f, err := runtime.Function(e.Name)
	if err != nil {
		return nil, placed(e.Pos, err)
	}
	call := applied(f.Call, args, e.Pos)
	return func(r *row) (value.Value, error) {
		runtime.SetTime(r.time)
		return call(r)
	}, nil
}

// record compiles the record of a whole row.
func (c *compiler) record(e *plan.Record) (evalFunc, error) {
	columns := make([]plan.Column, 0, len(e.Columns))
	var fns []evalFunc
	for _, col := range e.Columns {
		if col.Hidden {
			continue
		}
		f, err := c.expr(col.Expr)
		if err != nil {
			return nil, err
		}
		columns, fns = append(columns, col), append(fns, f)
	}
	if len(columns) == 1 && columns[0].Spread {
		one := fns[0]
		return func(r *row) (value.Value, error) {
			v, err := one(r)
			if err != nil || v.Kind() == value.Record {
				return v, err
			}
			return value.NewRecord(nil), nil
		}, nil
	}
	slots := make([]value.Value, len(columns))
	return func(r *row) (value.Value, error) {
		for i, f := range fns {
			v, err := f(r)
			if err != nil {
				return v, err
			}
			slots[i] = v
		}
		return value.NewRecord(membersOf(columns, slots)), nil
	}, nil
}

// membersOf lists the members of a row as Row.AppendJSON prints them.
func membersOf(columns []plan.Column, slots []value.Value) []value.Member {
	out := make([]value.Member, 0, len(columns))
	r := Row{Slots: slots, Columns: columns}
	for i := range columns {
		switch c := &columns[i]; {
		case c.Hidden:
		case !c.Spread:
			if !r.named(c.Name, i) {
				out = append(out, value.Member{Name: c.Name, Value: slots[i]})
			}
		case slots[i].Kind() == value.Record:
			for name, m := range slots[i].Members {
				if !r.named(name, i) {
					out = append(out, value.Member{Name: name, Value: m})
				}
			}
		}
	}
	return out
}
