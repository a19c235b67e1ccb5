package check

import (
	"fmt"
	"slices"
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/timing"
	"millrace/process/streamanalytics/value"
)

// partitionTag says how a slot tells the partition of the event that it comes
// from.
type partitionTag uint8

const (
	noTag partitionTag = iota
	// byID is PartitionId itself.
	byID
	// byKey is the column by which events are put into partitions.
	byKey
)

// streamUse is one place where a query reads from a stream.
type streamUse struct {
	step        string
	at          syntax.Node
	input       *plan.Input
	partitioned bool
}

// partitions follows the columns that tell the partition through the nodes.
type partitions struct {
	tags map[plan.Node]map[int]partitionTag
	// inputs are the streams that a node's rows come from.
	inputs map[plan.Node][]*plan.Input
}

// parallel tells whether each partition can be worked on by itself. State must
// then never hold events of two partitions: its keys have to tell the partition.
func (c *checker) parallel(job *plan.Job) plan.Parallel {
	p := &partitions{tags: map[plan.Node]map[int]partitionTag{}, inputs: map[plan.Node][]*plan.Input{}}
	out := plan.Parallel{OK: true}
	against := map[string]bool{}
	for _, n := range job.Nodes {
		p.follow(n)
		if why := p.obstacle(c, n); why != "" {
			out.OK = false
			against[n.Head().Step] = true
			out.Reasons = append(out.Reasons, fmt.Sprintf("%s (%s): %s", n.Head().Step, n.Head().Pos, why))
		}
	}
	if c.o.Level != value.Level12 {
		for _, u := range c.uses {
			if !u.partitioned {
				out.OK = false
				against[u.step] = true
				out.Reasons = append(out.Reasons, fmt.Sprintf("%s (%s): below compatibility level 1.2 only what says so is parallel; write %s PARTITION BY PartitionId, or use level 1.2",
					u.step, u.at.Pos(), u.input.Name))
			}
		}
	}
	seen := map[string]bool{}
	for _, n := range job.Nodes {
		step := n.Head().Step
		if !seen[step] && !against[step] {
			out.Reasons = append(out.Reasons, fmt.Sprintf("%s (%s): every partition can be worked on by itself", step, n.Head().Pos))
		}
		seen[step] = true
	}
	return out
}

// follow finds the slots of a node that tell the partition.
func (p *partitions) follow(n plan.Node) {
	tags := map[int]partitionTag{}
	in := n.Head().Inputs
	for _, below := range in {
		for _, input := range p.inputs[below] {
			if !slices.Contains(p.inputs[n], input) {
				p.inputs[n] = append(p.inputs[n], input)
			}
		}
	}
	keep := func(exprs []plan.Expr) {
		for i, x := range exprs {
			if t := p.tag(in[0], x); t != noTag {
				tags[i] = t
			}
		}
	}
	switch n := n.(type) {
	case *plan.Source:
		p.inputs[n] = []*plan.Input{n.Input}
		for i, f := range n.Fields {
			if n.Input.PartitionKey != "" && strings.EqualFold(f, n.Input.PartitionKey) {
				tags[i] = byKey
			}
		}
		for _, m := range n.Meta {
			if m.Kind == plan.MetaPartitionID {
				tags[m.Slot] = byID
			}
		}
	case *plan.Project:
		for i, col := range n.Columns {
			if t := p.tag(in[0], col.Expr); t != noTag && !col.Spread {
				tags[i] = t
			}
		}
	case *plan.Aggregate:
		keep(n.Keys)
	case *plan.Match:
		keep(n.PartitionBy)
	case *plan.Join:
		for i, t := range p.tags[in[0]] {
			tags[i] = t
		}
		for i, t := range p.tags[in[1]] {
			tags[i+in[0].Head().Width] = t
		}
	case *plan.Union:
		for i, t := range p.tags[in[0]] {
			same := true
			for _, other := range in[1:] {
				same = same && p.tags[other][i] == t
			}
			if same {
				tags[i] = t
			}
		}
	default:
		if len(in) > 0 {
			tags = p.tags[in[0]]
		}
	}
	p.tags[n] = tags
}

// tag tells how an expression over a node's rows tells the partition.
func (p *partitions) tag(n plan.Node, x plan.Expr) partitionTag {
	switch x := x.(type) {
	case *plan.Slot:
		return p.tags[n][x.Index]
	case *plan.Case:
		// PartitionId: a member of that name, else what the input says.
		if last, ok := x.Else.(*plan.Slot); ok && len(x.Whens) == 1 && p.tags[n][last.Index] == byID {
			return byID
		}
	}
	return noTag
}

func (p *partitions) tagged(n plan.Node, keys []plan.Expr) bool {
	for _, k := range keys {
		if p.tag(n, k) != noTag {
			return true
		}
	}
	return false
}

// obstacle says why a node's state holds events of several partitions, and
// what to change; "" if it does not.
func (p *partitions) obstacle(c *checker, n plan.Node) string {
	switch n := n.(type) {
	case *plan.Aggregate:
		below := n.Inputs[0]
		if !p.tagged(below, n.Keys) {
			return "GROUP BY brings events of several partitions together; " + p.advice(n, "group by")
		}
		for _, w := range n.Windows {
			if w.Spec.Kind == timing.Session && !p.tagged(below, w.PartitionBy) {
				return "a session without OVER (PARTITION BY ...) spans the events of several partitions; " + p.advice(n, "add OVER with")
			}
		}
	case *plan.Analytic:
		for _, call := range n.Calls {
			if !p.tagged(n.Inputs[0], call.PartitionBy) {
				return fmt.Sprintf("the function at %s looks at events of several partitions; %s", call.Pos, p.advice(n, "add to its PARTITION BY"))
			}
		}
	case *plan.Match:
		if !p.tagged(n.Inputs[0], n.PartitionBy) {
			return "MATCH_RECOGNIZE looks at events of several partitions; " + p.advice(n, "add to its PARTITION BY")
		}
	case *plan.Join:
		if why := c.unequalPartitions(p.inputs[n]); why != "" {
			return why
		}
		for i := range n.LeftKeys {
			left, right := p.tag(n.Inputs[0], n.LeftKeys[i]), p.tag(n.Inputs[1], n.RightKeys[i])
			if left != noTag && left == right {
				return ""
			}
		}
		return "JOIN can match events of different partitions; compare PartitionId, or the keys by which both inputs are partitioned, in ON"
	case *plan.Union:
		return c.unequalPartitions(p.inputs[n])
	}
	return ""
}

// advice says how the keys can tell the partition.
func (p *partitions) advice(n plan.Node, what string) string {
	for _, in := range p.inputs[n] {
		if in.PartitionKey != "" {
			return fmt.Sprintf("write PARTITION BY PartitionId behind the input, or %s %s, by which %s is partitioned", what, in.PartitionKey, in.Name)
		}
	}
	return fmt.Sprintf("write PARTITION BY PartitionId behind the input, or %s the column by which it is partitioned", what)
}

func (c *checker) unequalPartitions(inputs []*plan.Input) string {
	for _, in := range inputs {
		first, _ := c.known(inputs[0].Name)
		other, _ := c.known(in.Name)
		if first.Partitions != other.Partitions {
			return fmt.Sprintf("%s has %d partitions and %s has %d; they have to be as many", inputs[0].Name, first.Partitions, in.Name, other.Partitions)
		}
	}
	return ""
}
