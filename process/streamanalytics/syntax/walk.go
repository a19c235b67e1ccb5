package syntax

import "reflect"

// Inspect calls visit for n and the nodes below it, parents first, in the
// order of the canonical text as far as the tree holds it. Where visit returns
// false the nodes below are left out. Comments are not visited.
func Inspect(n Node, visit func(Node) bool) {
	if n == nil || reflect.ValueOf(n).IsNil() || !visit(n) {
		return
	}
	for _, child := range children(n) {
		Inspect(child, visit)
	}
}

func nodes[N Node](list []N) []Node {
	out := make([]Node, len(list))
	for i, n := range list {
		out[i] = n
	}
	return out
}

// children returns the nodes directly below n. Absent ones may be among them.
func children(n Node) []Node {
	switch n := n.(type) {
	case *Script:
		return nodes(n.Statements)
	case *CreateTable:
		return append([]Node{n.Name}, nodes(n.Columns)...)
	case *ColumnDef:
		return []Node{n.Name, n.Type}
	case *With:
		return nodes(n.Steps)
	case *Step:
		return []Node{n.Name, n.Query}
	case *QueryStatement:
		return []Node{n.Query}
	case *Select:
		list := append(nodes(n.Items), n.Into, n.From, n.Where)
		return append(append(list, nodes(n.GroupBy)...), n.Having)
	case *Item:
		return []Node{n.Expr, n.Alias}
	case *Union:
		return []Node{n.Left, n.Right}
	case *ParenQuery:
		return []Node{n.Query}
	}
	if list, ok := sourceChildren(n); ok {
		return list
	}
	return exprChildren(n)
}

func sourceChildren(n Node) ([]Node, bool) {
	switch n := n.(type) {
	case *Input:
		return []Node{n.Name, n.Alias, n.PartitionBy, n.TimestampBy}, true
	case *Derived:
		return []Node{n.Query, n.Alias, n.PartitionBy, n.TimestampBy}, true
	case *PartitionBy:
		return nodes(n.Keys), true
	case *TimestampBy:
		return append([]Node{n.Time}, nodes(n.Over)...), true
	case *Join:
		return []Node{n.Left, n.Right, n.On}, true
	case *Apply:
		return []Node{n.Left, n.Call, n.Alias}, true
	case *UnionSource:
		return []Node{n.Left, n.Right}, true
	case *MatchRecognize:
		list := append([]Node{n.Input, n.Limit}, nodes(n.PartitionBy)...)
		list = append(append(list, nodes(n.Measures)...), n.Pattern)
		return append(append(list, nodes(n.Define)...), n.Alias), true
	case *Definition:
		return []Node{n.Name, n.Cond}, true
	case *PatternName:
		return []Node{n.Name}, true
	case *PatternSequence:
		return nodes(n.Items), true
	case *PatternChoice:
		return nodes(n.Items), true
	case *PatternRepeat:
		return []Node{n.X}, true
	}
	return nil, false
}

func exprChildren(n Node) []Node {
	switch n := n.(type) {
	case *Column:
		return nodes(n.Path)
	case *Member:
		return []Node{n.X, n.Name}
	case *Star:
		return nodes(n.Qualifier)
	case *Call:
		list := append(nodes(n.Name), nodes(n.Args)...)
		return append(append(list, nodes(n.WithinGroup)...), n.Over)
	case *Over:
		list := append(nodes(n.PartitionBy), nodes(n.OrderBy)...)
		return append(list, n.Limit, n.When)
	case *OrderItem:
		return []Node{n.Expr}
	case *Duration:
		return []Node{n.Unit, n.Value}
	case *Cast:
		return []Node{n.X, n.Type}
	case *Unary:
		return []Node{n.X}
	case *Binary:
		return []Node{n.X, n.Y}
	case *Between:
		return []Node{n.X, n.Low, n.High}
	case *In:
		return append([]Node{n.X}, nodes(n.List)...)
	case *Like:
		return []Node{n.X, n.Pattern}
	case *IsNull:
		return []Node{n.X}
	case *Case:
		return append(append([]Node{n.Operand}, nodes(n.Whens)...), n.Else)
	case *When:
		return []Node{n.Cond, n.Then}
	case *Paren:
		return []Node{n.X}
	case *Window:
		return append([]Node{n.Size, n.Hop, n.MaxDuration, n.Offset}, nodes(n.PartitionBy)...)
	case *Windows:
		return nodes(n.Windows)
	case *NamedWindow:
		return []Node{n.ID, n.Window}
	}
	return nil
}
