package exec

import (
	"fmt"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// condFunc is a compiled condition.
type condFunc func(r *row) (value.Tri, error)

func (c *compiler) conds(list []plan.Cond) ([]condFunc, error) {
	out := make([]condFunc, len(list))
	for i, e := range list {
		f, err := c.cond(e)
		if err != nil {
			return nil, err
		}
		out[i] = f
	}
	return out, nil
}

// cond compiles a condition.
func (c *compiler) cond(e plan.Cond) (condFunc, error) {
	switch e := e.(type) {
	case *plan.Compare:
		return c.compare(e)
	case *plan.Like:
		return c.like(e)
	case *plan.IsNull:
		x, err := c.expr(e.X)
		if err != nil {
			return nil, err
		}
		return func(r *row) (value.Tri, error) {
			v, err := x(r)
			return value.TriOf(v.IsNull()), err
		}, nil
	case *plan.InList:
		return c.inList(e)
	case *plan.Logic:
		return c.logic(e)
	case *plan.NotCond:
		x, err := c.cond(e.Cond)
		if err != nil {
			return nil, err
		}
		return func(r *row) (value.Tri, error) {
			t, err := x(r)
			return t.Not(), err
		}, nil
	case *plan.Truth:
		x, err := c.expr(e.X)
		if err != nil {
			return nil, err
		}
		return func(r *row) (value.Tri, error) {
			v, err := x(r)
			return value.Truth(v), err
		}, nil
	case nil:
		return nil, fmt.Errorf("the plan lacks a condition")
	}
	return nil, fmt.Errorf("the plan has an unknown condition %T", e)
}

// optional is cond that takes nil for "always true" and returns nil for it.
func (c *compiler) optional(e plan.Cond) (condFunc, error) {
	if e == nil {
		return nil, nil
	}
	return c.cond(e)
}

func comparison(op syntax.Op) func(a, b value.Value) value.Tri {
	switch op {
	case syntax.Equal:
		return value.Eq
	case syntax.NotEqual:
		return value.Ne
	case syntax.Less:
		return value.Lt
	case syntax.LessOrEqual:
		return value.Le
	case syntax.Greater:
		return value.Gt
	case syntax.GreaterOrEqual:
		return value.Ge
	}
	return nil
}

func (c *compiler) compare(e *plan.Compare) (condFunc, error) {
	op := comparison(e.Op)
	if op == nil {
		return nil, placed(e.Pos, fmt.Errorf("the plan has an unknown comparison %d", e.Op))
	}
	// The common case, a slot against a constant, does without two calls.
	if s, ok := e.X.(*plan.Slot); ok {
		if k, ok := e.Y.(*plan.Const); ok {
			i, b := s.Index, k.Value
			return func(r *row) (value.Tri, error) { return op(r.slots[i], b), nil }, nil
		}
	}
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	y, err := c.expr(e.Y)
	if err != nil {
		return nil, err
	}
	return func(r *row) (value.Tri, error) {
		a, err := x(r)
		if err != nil {
			return value.Unknown, err
		}
		b, err := y(r)
		if err != nil {
			return value.Unknown, err
		}
		return op(a, b), nil
	}, nil
}

func (c *compiler) like(e *plan.Like) (condFunc, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	if k, ok := e.Pattern.(*plan.Const); ok {
		if k.Value.Kind() != value.String {
			return func(*row) (value.Tri, error) { return value.Unknown, nil }, nil
		}
		p := value.CompileLike(k.Value.Str())
		return func(r *row) (value.Tri, error) {
			v, err := x(r)
			if err != nil || v.Kind() != value.String {
				return value.Unknown, err
			}
			return value.TriOf(p.Match(v.Str())), nil
		}, nil
	}
	pattern, err := c.expr(e.Pattern)
	if err != nil {
		return nil, err
	}
	// Patterns that come with the rows rarely change.
	var last string
	var compiled *value.LikePattern
	return func(r *row) (value.Tri, error) {
		v, err := x(r)
		if err != nil {
			return value.Unknown, err
		}
		p, err := pattern(r)
		if err != nil || v.Kind() != value.String || p.Kind() != value.String {
			return value.Unknown, err
		}
		if compiled == nil || last != p.Str() {
			last = p.Clone().Str()
			compiled = value.CompileLike(last)
		}
		return value.TriOf(compiled.Match(v.Str())), nil
	}, nil
}

func (c *compiler) inList(e *plan.InList) (condFunc, error) {
	x, err := c.expr(e.X)
	if err != nil {
		return nil, err
	}
	list, err := c.exprs(e.List)
	if err != nil {
		return nil, err
	}
	return func(r *row) (value.Tri, error) {
		v, err := x(r)
		if err != nil {
			return value.Unknown, err
		}
		result := value.False
		for _, f := range list {
			m, err := f(r)
			if err != nil {
				return value.Unknown, err
			}
			if result = result.Or(value.Eq(v, m)); result == value.True {
				break
			}
		}
		return result, nil
	}, nil
}

// logic compiles AND and OR. Once the result is settled the rest is not
// evaluated.
func (c *compiler) logic(e *plan.Logic) (condFunc, error) {
	list, err := c.conds(e.Conds)
	if err != nil {
		return nil, err
	}
	if e.Or {
		return func(r *row) (value.Tri, error) {
			result := value.False
			for _, f := range list {
				t, err := f(r)
				if err != nil {
					return value.Unknown, err
				}
				if result = result.Or(t); result == value.True {
					break
				}
			}
			return result, nil
		}, nil
	}
	return func(r *row) (value.Tri, error) {
		result := value.True
		for _, f := range list {
			t, err := f(r)
			if err != nil {
				return value.Unknown, err
			}
			if result = result.And(t); result == value.False {
				break
			}
		}
		return result, nil
	}, nil
}
