package check

import (
	"fmt"
	"strings"

	"millrace/process/streamanalytics/syntax"
)

// key returns a number that two expressions share if they say the same: names
// ignoring case, with or without the alias, with or without parentheses.
func (b *binder) key(x syntax.Expr) int {
	if x == nil {
		return 0
	}
	if n, ok := b.scope.keys[x]; ok {
		return n
	}
	if b.scope.keys == nil {
		b.scope.keys = map[syntax.Expr]int{}
	}
	text := b.keyText(x)
	n, ok := b.c.interned[text]
	if !ok {
		n = len(b.c.interned) + 1
		b.c.interned[text] = n
	}
	b.scope.keys[x] = n
	return n
}

// keyText says what x is made of, with its parts as their keys: so it is short
// however deep x is.
func (b *binder) keyText(x syntax.Expr) string {
	switch x := x.(type) {
	case *syntax.Paren:
		return b.keyText(x.X)
	case *syntax.Number:
		return "number " + strings.ToLower(x.Text)
	case *syntax.String:
		return "text " + x.Value
	case *syntax.Null:
		return "null"
	case *syntax.Column:
		if isTimestamp(x) {
			return "timestamp"
		}
		return b.pathText(x.Path)
	case *syntax.Member:
		return fmt.Sprint("member ", b.key(x.X), fold(x.Name.Name))
	case *syntax.Star:
		return "star " + foldPath(x.Qualifier)
	case *syntax.Unit:
		return fmt.Sprint("unit ", x.Unit)
	case *syntax.Cast:
		return fmt.Sprint("cast ", x.Try, x.Type.Type, b.key(x.X))
	case *syntax.Unary:
		return fmt.Sprint("unary ", x.Op, b.key(x.X))
	case *syntax.Binary:
		return fmt.Sprint("binary ", int(x.Op), " ", b.key(x.X), " ", b.key(x.Y))
	case *syntax.Between:
		return fmt.Sprint("between ", x.Not, b.key(x.X), " ", b.key(x.Low), " ", b.key(x.High))
	case *syntax.In:
		return fmt.Sprint("in ", x.Not, b.key(x.X), " ", b.keysOf(x.List))
	case *syntax.Like:
		return fmt.Sprint("like ", x.Not, b.key(x.X), " ", b.key(x.Pattern))
	case *syntax.IsNull:
		return fmt.Sprint("isnull ", x.Not, b.key(x.X))
	case *syntax.Case:
		var text strings.Builder
		fmt.Fprint(&text, "case ", b.key(x.Operand))
		for _, w := range x.Whens {
			fmt.Fprint(&text, " when ", b.key(w.Cond), " ", b.key(w.Then))
		}
		fmt.Fprint(&text, " else ", b.key(x.Else))
		return text.String()
	case *syntax.Call:
		if isTimestamp(x) {
			return "timestamp"
		}
		return b.callText(x)
	}
	return fmt.Sprintf("node %p", x)
}

func (b *binder) keysOf(list []syntax.Expr) string {
	var text strings.Builder
	for _, x := range list {
		fmt.Fprint(&text, b.key(x), ",")
	}
	return text.String()
}

func foldPath(path []*syntax.Ident) string {
	var text strings.Builder
	for _, p := range path {
		text.WriteString("." + strings.ReplaceAll(fold(p.Name), ".", ".."))
	}
	return text.String()
}

// pathText names the entry that a path belongs to, so that a and t.a are the
// same.
func (b *binder) pathText(path []*syntax.Ident) string {
	entries := b.scope.entries
	for i, e := range entries {
		if strings.EqualFold(e.alias, path[0].Name) && len(path) > 1 {
			return fmt.Sprint("column ", i, foldPath(path[1:]))
		}
	}
	owner := -1
	for i, e := range entries {
		if e.has(path[0].Name) {
			owner = i
			break
		}
		if owner < 0 && e.open() {
			owner = i
		}
	}
	return fmt.Sprint("column ", owner, foldPath(path))
}

func (b *binder) callText(x *syntax.Call) string {
	var text strings.Builder
	fmt.Fprint(&text, "call ", foldPath(x.Name), " ", x.Distinct, " ", b.keysOf(x.Args))
	order := func(items []*syntax.OrderItem) {
		for _, item := range items {
			fmt.Fprint(&text, " ", item.Desc, b.key(item.Expr))
		}
	}
	order(x.WithinGroup)
	if o := x.Over; o != nil {
		fmt.Fprint(&text, " over ", b.keysOf(o.PartitionBy))
		order(o.OrderBy)
		if o.Limit != nil {
			fmt.Fprint(&text, " limit ", o.Limit.Unit.Unit, " ", b.key(o.Limit.Value))
		}
		fmt.Fprint(&text, " when ", b.key(o.When))
	}
	return text.String()
}

// isTimestamp recognizes System.Timestamp() and its old spelling without
// parentheses.
func isTimestamp(x syntax.Expr) bool {
	var path []*syntax.Ident
	switch x := syntax.Unparen(x).(type) {
	case *syntax.Column:
		path = x.Path
	case *syntax.Call:
		if len(x.Args) > 0 || x.Over != nil {
			return false
		}
		path = x.Name
	}
	return len(path) == 2 && strings.EqualFold(path[0].Name, "system") && strings.EqualFold(path[1].Name, "timestamp")
}

// isWindowID recognizes System.Window().Id.
func isWindowID(x syntax.Expr) bool {
	m, ok := syntax.Unparen(x).(*syntax.Member)
	if !ok || !strings.EqualFold(m.Name.Name, "id") {
		return false
	}
	call, ok := m.X.(*syntax.Call)
	return ok && isSystemWindow(call)
}

func isSystemWindow(call *syntax.Call) bool {
	return len(call.Name) == 2 && strings.EqualFold(call.Name[0].Name, "system") && strings.EqualFold(call.Name[1].Name, "window")
}
