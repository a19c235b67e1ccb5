package tsql

import (
	"strings"
	"unicode/utf8"

	"github.com/sqlc-dev/teesql/ast"

	"millrace/connector/sqldb/local/value"
)

// truth is the outcome of a predicate in the logic of three values.
type truth int8

const (
	isFalse truth = iota
	isUnknown
	isTrue
)

func truthOf(b bool) truth {
	if b {
		return isTrue
	}
	return isFalse
}

func (t truth) not() truth { return isTrue - t }

// predicate is a compiled search condition.
type predicate func(*env) (truth, error)

// boolean compiles a search condition.
func (c *compiler) boolean(b ast.BooleanExpression) (predicate, error) {
	if err := c.nest(); err != nil {
		return nil, err
	}
	defer func() { c.depth-- }()
	switch b := b.(type) {
	case *ast.BooleanParenthesisExpression:
		return c.boolean(b.Expression)
	case *ast.BooleanNotExpression:
		p, err := c.boolean(b.Expression)
		if err != nil {
			return nil, err
		}
		return negated(p, true), nil
	case *ast.BooleanBinaryExpression:
		return c.logical(b)
	case *ast.BooleanComparisonExpression:
		return c.comparison(b.ComparisonType, b.FirstExpression, b.SecondExpression)
	case *ast.BooleanIsNullExpression:
		e, err := c.scalar(b.Expression)
		if err != nil {
			return nil, err
		}
		return func(v *env) (truth, error) {
			x, err := e.eval(v)
			return truthOf(x.IsNull() != b.IsNot), err
		}, nil
	case *ast.BooleanTernaryExpression:
		return c.between(b)
	case *ast.BooleanInExpression:
		return c.in(b)
	case *ast.BooleanLikeExpression:
		return c.like(b)
	case *ast.ExistsPredicate:
		q, err := c.exists(b.Subquery)
		if err != nil {
			return nil, err
		}
		return q, nil
	case *ast.DistinctPredicate:
		kind := "IsDistinctFrom"
		if b.IsNot {
			kind = "IsNotDistinctFrom"
		}
		return c.comparison(kind, b.FirstExpression, b.SecondExpression)
	}
	return nil, unknownNode(b)
}

func negated(p predicate, not bool) predicate {
	if !not {
		return p
	}
	return func(v *env) (truth, error) {
		t, err := p(v)
		return t.not(), err
	}
}

func (c *compiler) logical(b *ast.BooleanBinaryExpression) (predicate, error) {
	first, err := c.boolean(b.FirstExpression)
	if err != nil {
		return nil, err
	}
	second, err := c.boolean(b.SecondExpression)
	if err != nil {
		return nil, err
	}
	if b.BinaryExpressionType == "And" {
		return both(first, second), nil
	}
	return func(v *env) (truth, error) {
		t, err := first(v)
		if err != nil || t == isTrue {
			return t, err
		}
		u, err := second(v)
		return max(t, u), err
	}, nil
}

func both(first, second predicate) predicate {
	switch {
	case first == nil:
		return second
	case second == nil:
		return first
	}
	return func(v *env) (truth, error) {
		t, err := first(v)
		if err != nil || t == isFalse {
			return t, err
		}
		u, err := second(v)
		return min(t, u), err
	}
}

// compared are two expressions brought to one type.
func (c *compiler) compared(a, b ast.ScalarExpression) (x, y *expression, t value.Type, err error) {
	if x, err = c.scalar(a); err != nil {
		return nil, nil, t, err
	}
	if y, err = c.scalar(b); err != nil {
		return nil, nil, t, err
	}
	t = widerForComparison(x, y)
	return c.convert(x, t), c.convert(y, t), t, nil
}

// widerForComparison is the type two sides are compared as: texts and bytes
// never lose their ends for it.
func widerForComparison(x, y *expression) value.Type {
	t := value.Wider(x.typ, y.typ)
	if t.ID.Text() || t.ID.Bytes() {
		switch t.ID {
		case value.Char:
			t.ID = value.VarChar
		case value.NChar:
			t.ID = value.NVarChar
		case value.Binary:
			t.ID = value.VarBinary
		}
		t.Length = value.Max
	}
	return t
}

// orders are the comparisons: whether less, equal, greater is true.
var orders = map[string][3]bool{
	"Equals": {false, true, false}, "NotEqualToBrackets": {true, false, true}, "NotEqualToExclamation": {true, false, true},
	"LessThan": {true, false, false}, "LessThanOrEqualTo": {true, true, false}, "NotGreaterThan": {true, true, false},
	"GreaterThan": {false, false, true}, "GreaterThanOrEqualTo": {false, true, true}, "NotLessThan": {false, true, true},
}

func (c *compiler) comparison(kind string, a, b ast.ScalarExpression) (predicate, error) {
	x, y, t, err := c.compared(a, b)
	if err != nil {
		return nil, err
	}
	if kind == "IsDistinctFrom" || kind == "IsNotDistinctFrom" {
		return negated(distinct(x, y, t), kind == "IsNotDistinctFrom"), nil
	}
	order, ok := orders[kind]
	if !ok {
		return nil, unsupported("the comparison %s", kind)
	}
	return func(v *env) (truth, error) {
		p, err := x.eval(v)
		if err != nil || p.IsNull() {
			return isUnknown, err
		}
		q, err := y.eval(v)
		if err != nil || q.IsNull() {
			return isUnknown, err
		}
		return truthOf(order[value.Compare(p, q, t)+1]), nil
	}, nil
}

func distinct(x, y *expression, t value.Type) predicate {
	return func(v *env) (truth, error) {
		p, err := x.eval(v)
		if err != nil {
			return isUnknown, err
		}
		q, err := y.eval(v)
		if err != nil {
			return isUnknown, err
		}
		if p.IsNull() || q.IsNull() {
			return truthOf(p.IsNull() != q.IsNull()), nil
		}
		return truthOf(value.Compare(p, q, t) != 0), nil
	}
}

func (c *compiler) between(b *ast.BooleanTernaryExpression) (predicate, error) {
	low, err := c.comparison("GreaterThanOrEqualTo", b.FirstExpression, b.SecondExpression)
	if err != nil {
		return nil, err
	}
	high, err := c.comparison("LessThanOrEqualTo", b.FirstExpression, b.ThirdExpression)
	if err != nil {
		return nil, err
	}
	return negated(both(low, high), b.TernaryExpressionType == "NotBetween"), nil
}

func (c *compiler) in(b *ast.BooleanInExpression) (predicate, error) {
	if b.Subquery != nil {
		return c.inSubquery(b)
	}
	var all []predicate
	for _, e := range b.Values {
		p, err := c.comparison("Equals", b.Expression, e)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return negated(func(v *env) (truth, error) {
		out := isFalse
		for _, p := range all {
			t, err := p(v)
			if err != nil || t == isTrue {
				return t, err
			}
			out = max(out, t)
		}
		return out, nil
	}, b.NotDefined), nil
}

// inSubquery looks values up in a set, which is made once unless the subquery
// depends on the row at hand.
func (c *compiler) inSubquery(b *ast.BooleanInExpression) (predicate, error) {
	e, err := c.scalar(b.Expression)
	if err != nil {
		return nil, err
	}
	q, err := c.query(b.Subquery)
	if err != nil {
		return nil, err
	}
	if len(q.columns) != 1 {
		return nil, value.Errorf(116, "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS.")
	}
	t := widerForComparison(e, &expression{typ: q.columns[0].Type})
	e = c.convert(e, t)
	type set struct {
		keys map[string]bool
		null bool
	}
	var known *set
	build := func(v *env) (*set, error) {
		s := &set{keys: make(map[string]bool)}
		err := q.run(v, func(r []value.Value) error {
			x, failed := value.Convert(r[0], q.columns[0].Type, t, 0, true)
			if failed != nil {
				return failed
			}
			if x.IsNull() {
				s.null = true
			} else {
				s.keys[string(x.AppendKey(nil, t))] = true
			}
			return nil
		})
		return s, err
	}
	return negated(func(v *env) (truth, error) {
		s := known
		if s == nil {
			var err error
			if s, err = build(v); err != nil {
				return isUnknown, err
			}
			if !q.correlated {
				known = s
			}
		}
		x, err := e.eval(v)
		var buf [64]byte
		switch {
		case err != nil:
			return isUnknown, err
		case len(s.keys) == 0 && !s.null:
			return isFalse, nil
		case x.IsNull():
			return isUnknown, nil
		case s.keys[string(x.AppendKey(buf[:0], t))]:
			return isTrue, nil
		case s.null:
			return isUnknown, nil
		}
		return isFalse, nil
	}, b.NotDefined), nil
}

// errFound ends a search at the first row.
var errFound = &value.Error{Message: "found"}

func (c *compiler) exists(q ast.QueryExpression) (predicate, error) {
	p, err := c.query(q)
	if err != nil {
		return nil, err
	}
	return func(v *env) (truth, error) {
		err := p.rows(v)
		if err == error(errFound) {
			return isTrue, nil
		}
		return isFalse, err
	}, nil
}

func (c *compiler) like(b *ast.BooleanLikeExpression) (predicate, error) {
	x, y, t, err := c.compared(b.FirstExpression, b.SecondExpression)
	if err != nil {
		return nil, err
	}
	escape := constant(value.Value{}, value.Of(value.NVarChar))
	if b.EscapeExpression != nil {
		if escape, err = c.scalar(b.EscapeExpression); err != nil {
			return nil, err
		}
	}
	ci := t.Collation&(value.BinaryOrder|value.CaseSensitive) == 0
	return negated(func(v *env) (truth, error) {
		s, err := x.eval(v)
		if err != nil || s.IsNull() {
			return isUnknown, err
		}
		p, err := y.eval(v)
		if err != nil || p.IsNull() {
			return isUnknown, err
		}
		e, err := escape.eval(v)
		if err != nil {
			return isUnknown, err
		}
		text, pattern := value.Format(s, t, 0), value.Format(p, t, 0)
		if ci {
			text, pattern = strings.ToLower(text), strings.ToLower(pattern)
		}
		steps := 0
		return truthOf(matches(text, pattern, e.Text(), &steps)), nil
	}, b.NotDefined), nil
}

// matches is LIKE: % and _ and sets in brackets.
func matches(s, p, escape string, steps *int) bool {
	const most = 1_000_000
	for p != "" {
		if *steps++; *steps > most {
			return false
		}
		switch {
		case escape != "" && strings.HasPrefix(p, escape) && len(p) > len(escape):
			p = p[len(escape):]
			_, n := utf8.DecodeRuneInString(p)
			if !strings.HasPrefix(s, p[:n]) {
				return false
			}
			s, p = s[n:], p[n:]
		case p[0] == '%':
			for p != "" && p[0] == '%' {
				p = p[1:]
			}
			if p == "" {
				return true
			}
			for i := range s {
				if matches(s[i:], p, escape, steps) {
					return true
				}
			}
			return matches("", p, escape, steps)
		case s == "":
			return false
		case p[0] == '_':
			_, n := utf8.DecodeRuneInString(s)
			s, p = s[n:], p[1:]
		case p[0] == '[' && strings.IndexByte(p, ']') > 0:
			r, n := utf8.DecodeRuneInString(s)
			end := strings.IndexByte(p, ']')
			if !inSet(r, p[1:end]) {
				return false
			}
			s, p = s[n:], p[end+1:]
		default:
			if s[0] != p[0] {
				return false
			}
			s, p = s[1:], p[1:]
		}
	}
	return strings.TrimRight(s, " ") == ""
}

func inSet(r rune, set string) bool {
	set, not := strings.CutPrefix(set, "^")
	runes := []rune(set)
	for i := 0; i < len(runes); i++ {
		if i+2 < len(runes) && runes[i+1] == '-' {
			if r >= runes[i] && r <= runes[i+2] {
				return !not
			}
			i += 2
			continue
		}
		if r == runes[i] {
			return !not
		}
	}
	return not
}
