package plan

import (
	"fmt"
	"strings"

	"millrace/process/streamanalytics/syntax"
)

// ExprText writes an expression for people: close to the language, with slots
// as slot names them.
func ExprText(x Expr, slot func(*Slot) string) string {
	var t text
	t.slot = slot
	t.expr(x)
	return t.b.String()
}

// CondText is ExprText for conditions.
func CondText(c Cond, slot func(*Slot) string) string {
	var t text
	t.slot = slot
	t.cond(c)
	return t.b.String()
}

type text struct {
	b    strings.Builder
	slot func(*Slot) string
}

func (t *text) list(list []Expr) {
	for i, x := range list {
		if i > 0 {
			t.b.WriteString(", ")
		}
		t.expr(x)
	}
}

func (t *text) expr(x Expr) {
	switch x := x.(type) {
	case nil:
		t.b.WriteString("NULL")
	case *Const:
		t.b.Write(x.Value.AppendJSON(nil))
	case *Slot:
		t.b.WriteString(t.slot(x))
	case *Field:
		t.expr(x.X)
		t.b.WriteString("." + x.Name)
	case *Timestamp:
		t.b.WriteString("System.Timestamp()")
	case *Unary:
		t.b.WriteString(x.Op.String() + "(")
		t.expr(x.X)
		t.b.WriteString(")")
	case *Binary:
		t.binary(x)
	case *Case:
		t.caseExpr(x)
	case *Cast:
		name := "CAST("
		if x.Try {
			name = "TRY_CAST("
		}
		t.b.WriteString(name)
		t.expr(x.X)
		t.b.WriteString(" AS " + x.To.String() + ")")
	case *Call:
		t.b.WriteString(x.Func.Name + "(")
		if x.Unit != syntax.NoUnit {
			t.b.WriteString(x.Unit.String() + ", ")
		}
		t.list(x.Args)
		t.b.WriteString(")")
	case *UserCall:
		t.b.WriteString("udf." + x.Name + "(")
		t.list(x.Args)
		t.b.WriteString(")")
	case *Record:
		t.b.WriteString("{")
		t.columns(x.Columns)
		t.b.WriteString("}")
	case *Classifier:
		t.b.WriteString("CLASSIFIER()")
	case *SymbolValue:
		t.symbol(x.Symbol, x.First)
		t.expr(x.X)
		t.b.WriteString(")")
	case *SymbolAggregate:
		t.symbol(x.Symbol, false)
		t.b.WriteString(x.Call.Text(t.slot) + ")")
	}
}

func (t *text) symbol(n int, first bool) {
	which := "last"
	if first {
		which = "first"
	}
	if n < 0 {
		fmt.Fprintf(&t.b, "%s(all: ", which)
	} else {
		fmt.Fprintf(&t.b, "%s(symbol %d: ", which, n)
	}
}

// binary writes chains that lean to the left without descending into them.
func (t *text) binary(x *Binary) {
	var chain []*Binary
	var left Expr = x
	for {
		b, ok := left.(*Binary)
		if !ok {
			break
		}
		chain = append(chain, b)
		left = b.X
	}
	t.b.WriteString(strings.Repeat("(", len(chain)))
	t.expr(left)
	for i := len(chain) - 1; i >= 0; i-- {
		t.b.WriteString(" " + chain[i].Op.String() + " ")
		t.expr(chain[i].Y)
		t.b.WriteString(")")
	}
}

func (t *text) caseExpr(x *Case) {
	if t.firstOf(x) {
		return
	}
	t.b.WriteString("CASE")
	for _, w := range x.Whens {
		t.b.WriteString(" WHEN ")
		t.cond(w.Cond)
		t.b.WriteString(" THEN ")
		t.expr(w.Then)
	}
	if x.Else != nil {
		t.b.WriteString(" ELSE ")
		t.expr(x.Else)
	}
	t.b.WriteString(" END")
}

// firstOf writes CASE WHEN x IS NOT NULL THEN x ELSE y END, which columns that
// can come from two places are, as COALESCE, or as the one name that both have.
func (t *text) firstOf(x *Case) bool {
	if len(x.Whens) != 1 || x.Else == nil {
		return false
	}
	cond, ok := x.Whens[0].Cond.(*NotCond)
	if !ok {
		return false
	}
	null, ok := cond.Cond.(*IsNull)
	if !ok || null.X != x.Whens[0].Then {
		return false
	}
	first, second := ExprText(null.X, t.slot), ExprText(x.Else, t.slot)
	if first == second {
		t.b.WriteString(first)
	} else {
		t.b.WriteString("COALESCE(" + first + ", " + second + ")")
	}
	return true
}

func (t *text) columns(list []Column) {
	for i, c := range list {
		if i > 0 {
			t.b.WriteString(", ")
		}
		if c.Hidden {
			t.b.WriteString("hidden ")
		}
		if c.Spread {
			t.b.WriteString("*")
		} else {
			t.b.WriteString(c.Name)
		}
		if c.Expr != nil {
			t.b.WriteString("=")
			t.expr(c.Expr)
		}
	}
}

func (t *text) cond(c Cond) {
	switch c := c.(type) {
	case nil:
		t.b.WriteString("true")
	case *Compare:
		t.expr(c.X)
		t.b.WriteString(" " + c.Op.String() + " ")
		t.expr(c.Y)
	case *Like:
		t.expr(c.X)
		t.b.WriteString(" LIKE ")
		t.expr(c.Pattern)
	case *IsNull:
		t.expr(c.X)
		t.b.WriteString(" IS NULL")
	case *InList:
		t.expr(c.X)
		t.b.WriteString(" IN (")
		t.list(c.List)
		t.b.WriteString(")")
	case *Logic:
		word := " AND "
		if c.Or {
			word = " OR "
		}
		t.b.WriteString("(")
		for i, part := range c.Conds {
			if i > 0 {
				t.b.WriteString(word)
			}
			t.cond(part)
		}
		t.b.WriteString(")")
	case *NotCond:
		t.b.WriteString("NOT ")
		t.cond(c.Cond)
	case *Truth:
		t.expr(c.X)
	}
}

// Text writes the call for people, with slots as slot names them.
func (c *AggregateCall) Text(slot func(*Slot) string) string {
	var t text
	t.slot = slot
	name := c.Function
	if c.User != "" {
		name = "uda." + c.User
	}
	t.b.WriteString(name + "(")
	if c.Function == "COUNT" && len(c.Args) == 0 {
		t.b.WriteString("*")
	}
	if c.Distinct {
		t.b.WriteString("DISTINCT ")
	}
	switch {
	case c.N > 0:
		fmt.Fprintf(&t.b, "%d", c.N)
	case strings.HasPrefix(c.Function, "PERCENTILE"):
		fmt.Fprintf(&t.b, "%v", c.Fraction)
	}
	if len(c.Args) > 0 && (c.N > 0 || strings.HasPrefix(c.Function, "PERCENTILE")) {
		t.b.WriteString(", ")
	}
	t.list(c.Args)
	t.b.WriteString(")")
	if len(c.OrderBy) > 0 {
		t.b.WriteString(" ORDER BY ")
		for i, k := range c.OrderBy {
			if i > 0 {
				t.b.WriteString(", ")
			}
			t.expr(k.Expr)
			if k.Desc {
				t.b.WriteString(" DESC")
			}
		}
	}
	return t.b.String()
}
