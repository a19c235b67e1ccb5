package check

import (
	"fmt"
	"slices"
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
)

// operator puts one node in words.
func (w *words) operator(n plan.Node) ExplainedOperator {
	var below plan.Node
	if in := n.Head().Inputs; len(in) > 0 {
		below = in[0]
	}
	switch n := n.(type) {
	case *plan.Source:
		return w.source(n)
	case *plan.Filter:
		return ExplainedOperator{Kind: "filter", Does: plan.CondText(n.Cond, w.slot(below))}
	case *plan.Project:
		return ExplainedOperator{Kind: "select", Does: w.columns(below, n.Columns)}
	case *plan.Analytic:
		return w.analytic(n, below)
	case *plan.Aggregate:
		return w.aggregate(n, below)
	case *plan.Join:
		return w.join(n)
	case *plan.ReferenceJoin:
		return w.referenceJoin(n, below)
	case *plan.Apply:
		return ExplainedOperator{Kind: "apply", Does: "a row for each part of " + w.expr(below, n.Over)}
	case *plan.Union:
		return ExplainedOperator{Kind: "union"}
	case *plan.Match:
		op := ExplainedOperator{Kind: "match", Does: measures(n), State: "matches that are not finished, for " + plan.Span(n.Limit)}
		op.Keys = w.exprs(below, n.PartitionBy)
		return op
	case *plan.Sink:
		return ExplainedOperator{Kind: "output", Does: n.Output.Name}
	}
	return ExplainedOperator{}
}

func measures(n *plan.Match) string {
	var names []string
	for _, m := range n.Measures {
		names = append(names, m.Name)
	}
	return joined(names)
}

func (w *words) source(n *plan.Source) ExplainedOperator {
	var names []string
	for _, name := range sourceNames(n) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	reads := joined(names)
	if reads == "" {
		reads = "no column"
	}
	op := ExplainedOperator{Kind: "input", Does: n.Input.Name + ", of which is read: " + reads}
	if n.TimestampBy != nil {
		op.Does += "; time: " + w.expr(n, n.TimestampBy)
		op.State = "events that wait for earlier ones, within the out-of-order tolerance"
		op.Keys = w.exprs(n, n.Over)
	}
	return op
}

func (w *words) columns(below plan.Node, list []plan.Column) string {
	var out []string
	for _, col := range list {
		text := columnName(col)
		if x := w.expr(below, col.Expr); x != text && !col.Spread {
			text = x + " AS " + text
		}
		if col.Hidden {
			text += " (for later steps)"
		}
		out = append(out, text)
	}
	return joined(out)
}

// analyticName is a call without its OVER.
func (w *words) analyticName(below plan.Node, call *plan.AnalyticCall) string {
	bare := *call
	bare.PartitionBy, bare.When, bare.Limit, bare.Default = nil, nil, 0, nil
	return bare.Text(w.slot(below))
}

func (w *words) analytic(n *plan.Analytic, below plan.Node) ExplainedOperator {
	op := ExplainedOperator{Kind: "look back"}
	var calls, kept []string
	seen := map[string]bool{}
	for _, call := range n.Calls {
		calls = append(calls, call.Text(w.slot(below)))
		switch {
		case call.Kind == plan.Lag:
			kept = append(kept, fmt.Sprintf("%d values of at most %s ago", max(1, call.Offset), plan.Span(call.Limit)))
		case call.Kind == plan.IsFirst:
			kept = append(kept, "the last interval")
		case call.Kind == plan.Last:
			kept = append(kept, "one value of at most "+plan.Span(call.Limit)+" ago")
		default:
			kept = append(kept, "the values of the last "+plan.Span(call.Limit))
		}
		for _, k := range w.exprs(below, call.PartitionBy) {
			if !seen[k] {
				seen[k] = true
				op.Keys = append(op.Keys, k)
			}
		}
	}
	op.Does, op.State = strings.Join(calls, "; "), strings.Join(kept, "; ")
	return op
}

func (w *words) aggregate(n *plan.Aggregate, below plan.Node) ExplainedOperator {
	op := ExplainedOperator{Kind: "group", Keys: w.exprs(below, n.Keys), State: "the aggregates of open windows"}
	var calls []string
	for _, call := range n.Calls {
		calls = append(calls, call.Text(w.slot(below)))
	}
	op.Does = strings.Join(calls, ", ")
	for _, win := range n.Windows {
		text := win.Text(w.slot(below))
		op.Windows = append(op.Windows, text)
	}
	return op
}

func (w *words) join(n *plan.Join) ExplainedOperator {
	op := ExplainedOperator{Kind: "join", Does: plan.CondText(n.On, w.slot(n))}
	if n.Kind == syntax.LeftJoin {
		op.Kind = "left join"
	}
	left, right := n.Inputs[0], n.Inputs[1]
	op.State = fmt.Sprintf("rows of the left side for %s, of the right side for %s", plan.Span(max(0, n.High)), plan.Span(max(0, -n.Low)))
	for i := range n.LeftKeys {
		op.Keys = append(op.Keys, w.expr(left, n.LeftKeys[i])+" = "+w.expr(right, n.RightKeys[i]))
	}
	return op
}

func (w *words) referenceJoin(n *plan.ReferenceJoin, below plan.Node) ExplainedOperator {
	op := ExplainedOperator{Kind: "join with reference data", Does: n.Ref.Input.Name}
	if n.On != nil {
		op.Does += " on " + plan.CondText(n.On, w.slot(n))
	}
	if n.Kind == syntax.LeftJoin {
		op.Kind = "left " + op.Kind
	}
	op.State = "the reference data, with nothing of the events"
	for i := range n.LeftKeys {
		op.Keys = append(op.Keys, w.expr(below, n.LeftKeys[i])+" = "+w.expr(n.Ref, n.RightKeys[i]))
	}
	return op
}
