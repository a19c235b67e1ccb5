package check

import (
	"fmt"
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
)

// substreams follows the keys of TIMESTAMP BY ... OVER through the nodes. Each
// key has a time of its own, so what brings events together has to keep the
// keys apart.
type substreams struct {
	// keys are, for a node, the expressions over its rows that are a key: its
	// number by the expression's text.
	keys map[plan.Node]map[string]int
	// names are the keys as the query spells them, for the rows of a node; none
	// if they have no substreams.
	names map[plan.Node][]string
}

// checkSubstreams reports a GROUP BY or JOIN that mixes substreams.
func (c *checker) checkSubstreams(job *plan.Job) {
	s := &substreams{keys: map[plan.Node]map[string]int{}, names: map[plan.Node][]string{}}
	for _, n := range job.Nodes {
		s.follow(n)
		if name := s.missing(n); name != "" {
			at := syntax.Span{Start: n.Head().Pos, Stop: n.Head().Pos}
			if _, ok := n.(*plan.Join); ok {
				c.reportSpan(at, "add AND with an equality of "+name+" to ON", "the inputs have substreams (TIMESTAMP BY ... OVER), so a JOIN has to compare their key %s", quote(name))
			} else {
				c.reportSpan(at, "add it to GROUP BY", "the input has substreams (TIMESTAMP BY ... OVER), so GROUP BY has to hold their key %s", quote(name))
			}
		}
	}
}

func (s *substreams) follow(n plan.Node) {
	in := n.Head().Inputs
	keys := map[string]int{}
	if len(in) > 0 {
		s.names[n] = s.names[in[0]]
	}
	of := func(list []plan.Expr) {
		for i, x := range list {
			if k, ok := s.keys[in[0]][plan.Text(x)]; ok {
				keys[slotName(i)] = k
			}
		}
	}
	switch n := n.(type) {
	case *plan.Source:
		w := &words{names: map[plan.Node][]string{}}
		for i, x := range n.Over {
			keys[plan.Text(x)] = i
			s.names[n] = append(s.names[n], w.expr(n, x))
			slot, ok := x.(*plan.Slot)
			for j, f := range n.Fields {
				// Names that differ in case only are one column.
				if ok && slot.Index < len(n.Fields) && strings.EqualFold(f, n.Fields[slot.Index]) {
					keys[slotName(j)] = i
				}
			}
		}
	case *plan.Project:
		var list []plan.Expr
		for _, col := range n.Columns {
			list = append(list, col.Expr)
		}
		of(list)
	case *plan.Aggregate:
		of(n.Keys)
	case *plan.Match:
		of(n.PartitionBy)
	default:
		if len(in) > 0 {
			keys = s.keys[in[0]]
		}
	}
	s.keys[n] = keys
}

func slotName(i int) string { return fmt.Sprintf("$%d", i) }

// missing returns a key that a node does not keep apart, "" if there is none.
func (s *substreams) missing(n plan.Node) string {
	var have []plan.Expr
	var in []plan.Node
	switch n := n.(type) {
	case *plan.Aggregate:
		have, in = n.Keys, n.Inputs
	case *plan.Join:
		have, in = n.LeftKeys, n.Inputs
	default:
		return ""
	}
	for k, name := range s.names[in[0]] {
		found := false
		for i, x := range have {
			number, ok := s.keys[in[0]][plan.Text(x)]
			if ok && number == k {
				found = true
				if join, is := n.(*plan.Join); is {
					other, ok := s.keys[in[1]][plan.Text(join.RightKeys[i])]
					found = ok && other == k
				}
			}
			if found {
				break
			}
		}
		if !found {
			return name
		}
	}
	return ""
}
