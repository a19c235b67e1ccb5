package check

import (
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// lowers tells whether names of fields are put into lower letters.
func (c *checker) lowers() bool { return c.o.Level == value.Level10 }

func kindOfType(t syntax.Type) value.Kind {
	switch t {
	case syntax.BigInt:
		return value.BigInt
	case syntax.Float:
		return value.Float
	case syntax.NVarCharMax:
		return value.String
	case syntax.DateTime:
		return value.DateTime
	case syntax.Bit:
		return value.Bit
	case syntax.Record:
		return value.Record
	case syntax.Array:
		return value.Array
	}
	return value.Null
}

// kindOf returns the kind that all values of x have that are not NULL;
// value.Null if that is not known.
func (c *checker) kindOf(x plan.Expr) value.Kind {
	switch x := x.(type) {
	case *plan.Const:
		return x.Value.Kind()
	case *plan.Slot:
		return c.kinds[x]
	case *plan.Timestamp:
		return value.DateTime
	case *plan.Cast:
		return x.To
	case *plan.Call:
		return x.Func.Result
	case *plan.Record:
		return value.Record
	case *plan.Unary:
		return c.kindOf(x.X)
	case *plan.Binary:
		return c.kindOfBinary(x)
	case *plan.SymbolValue:
		return c.kindOf(x.X)
	case *plan.Case:
		return c.kindOfCase(x)
	}
	return value.Null
}

func (c *checker) kindOfCase(x *plan.Case) value.Kind {
	kind := value.Null
	branch := func(y plan.Expr) bool {
		if y == nil {
			return true
		}
		if k, ok := y.(*plan.Const); ok && k.Value.IsNull() {
			return true
		}
		k := c.kindOf(y)
		if k == value.Null || kind != value.Null && k != kind {
			kind = value.Null
			return false
		}
		kind = k
		return true
	}
	for _, w := range x.Whens {
		if !branch(w.Then) {
			return value.Null
		}
	}
	if !branch(x.Else) {
		return value.Null
	}
	return kind
}

// kindOfBinary follows the left operands of a chain in a loop: chains can be
// long.
func (c *checker) kindOfBinary(x *plan.Binary) value.Kind {
	kind := c.kindOf(x.Y)
	for {
		if kind == value.Null {
			return kind
		}
		next, ok := x.X.(*plan.Binary)
		if !ok {
			return join(c.kindOf(x.X), kind)
		}
		kind = join(c.kindOf(next.Y), kind)
		x = next
	}
}

// join is the kind of an operator's result, value.Null if it is not known.
func join(x, y value.Kind) value.Kind {
	switch {
	case x == y && (x == value.BigInt || x == value.Float || x == value.String):
		return x
	case x == value.Float && y == value.BigInt, x == value.BigInt && y == value.Float:
		return value.Float
	}
	return value.Null
}

// joined writes a list for people.
func joined(list []string) string { return strings.Join(list, ", ") }
