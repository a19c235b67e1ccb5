package exec

import (
	"fmt"
	"reflect"
	"slices"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/value"
)

// graph is the running form of a plan.
type graph struct {
	env *env
	// ops are the operators by the nodes' ids.
	ops []operator
	// ordered says of each node whether its rows come in the order of time.
	ordered []bool
	// sorters stand behind nodes that give no order, by the nodes' ids.
	sorters map[int]*sorter
	// all are all operators, each after those it reads from.
	all []operator
	// sources are by input.
	sources [][]*source
}

func newGraph(job *plan.Job, e *env) (*graph, error) {
	g := &graph{
		env: e, ops: make([]operator, len(job.Nodes)), ordered: make([]bool, len(job.Nodes)),
		sorters: map[int]*sorter{}, sources: make([][]*source, len(job.Inputs)),
	}
	for id, n := range job.Nodes {
		if n.Head().ID != id {
			return nil, fmt.Errorf("the plan's operator %d is at place %d", n.Head().ID, id)
		}
		op, err := g.operator(job, n)
		if err != nil {
			return nil, err
		}
		g.ops[id] = op
		g.ordered[id] = g.givesOrder(n)
		for port, in := range n.Head().Inputs {
			if err := g.connect(in, n, op, port); err != nil {
				return nil, err
			}
		}
		g.all = append(g.all, op)
	}
	return g, nil
}

// connect leads the rows of a node to a port, through a sorter where needed.
func (g *graph) connect(from, to plan.Node, op operator, port int) error {
	id := from.Head().ID
	if id >= len(g.ops) || g.ops[id] == nil {
		return fmt.Errorf("the plan's operator %d reads from %d, which is not before it", to.Head().ID, id)
	}
	c, ok := g.ops[id].(connector)
	if !ok {
		return fmt.Errorf("the plan's operator %d reads from an output", to.Head().ID)
	}
	if wantsOrder(to) && !g.ordered[id] && !g.keepsApart(from, to) {
		s := g.sorters[id]
		if s == nil {
			s = &sorter{outlet: newOutlet(), account: account{env: g.env, head: from.Head(), name: "rows that wait for their order"}, width: from.Head().Width}
			g.sorters[id] = s
			c.out().to = append(c.out().to, edge{op: s})
			g.all = append(g.all, s)
		}
		c = s
	}
	c.out().to = append(c.out().to, edge{op: op, port: port})
	return nil
}

// givesOrder tells whether rows leave a node in the order of time.
func (g *graph) givesOrder(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.Source:
		// Substreams are in order each, but not among each other.
		return n.Over == nil
	case *plan.Aggregate:
		return true
	case *plan.Union:
		return len(n.Inputs) == 1 && g.ordered[n.Inputs[0].Head().ID]
	case *plan.Join, *plan.Match:
		return false
	default:
		in := n.Head().Inputs
		return len(in) > 0 && g.ordered[in[0].Head().ID]
	}
}

// keepsApart tells whether the rows of from are out of order only because they
// belong to several substreams, and to has a state for each of these: then each
// state sees its rows in order. It is so for analytic functions; what keeps
// windows has lists of all rows.
func (g *graph) keepsApart(from, to plan.Node) bool {
	analytic, ok := to.(*plan.Analytic)
	if !ok {
		return false
	}
	for {
		// The slots of a filter's or another analytic function's rows are those
		// of the source, with more behind them.
		switch n := from.(type) {
		case *plan.Source:
			for _, c := range analytic.Calls {
				for _, key := range n.Over {
					if !slices.ContainsFunc(c.PartitionBy, func(e plan.Expr) bool { return reflect.DeepEqual(e, key) }) {
						return false
					}
				}
			}
			// A key's events may lie in several partitions, which have a time each.
			return n.Over != nil && len(g.env.options.Partitions[n.Input.Name]) <= 1
		case *plan.Filter, *plan.Analytic:
			if from = n.Head().Inputs[0]; g.sorters[from.Head().ID] != nil {
				return false
			}
		default:
			return false
		}
	}
}

// wantsOrder tells whether a node's results depend on the order in which rows
// of different times come, beyond what watermarks say.
func wantsOrder(n plan.Node) bool {
	switch n := n.(type) {
	case *plan.Analytic, *plan.Match, *plan.Join:
		return true
	case *plan.Aggregate:
		return aggregateWantsOrder(n)
	}
	return false
}

func (g *graph) operator(job *plan.Job, n plan.Node) (operator, error) {
	switch n := n.(type) {
	case *plan.Source:
		s, err := newSource(g.env, n)
		if err != nil {
			return nil, err
		}
		for i, in := range job.Inputs {
			if in == n.Input {
				g.sources[i] = append(g.sources[i], s)
				return s, nil
			}
		}
		return nil, fmt.Errorf("the plan reads input %s, which is not among its inputs", n.Input.Name)
	case *plan.Filter:
		cond, err := g.env.comp.cond(n.Cond)
		return &filter{outlet: newOutlet(), cond: cond}, err
	case *plan.Project:
		p := &project{outlet: newOutlet(), row: row{slots: make([]value.Value, len(n.Columns))}}
		for _, c := range n.Columns {
			f, err := g.env.comp.expr(c.Expr)
			if err != nil {
				return nil, err
			}
			p.columns = append(p.columns, f)
		}
		return p, nil
	case *plan.Union:
		return &union{outlet: newOutlet(), account: account{env: g.env, head: &n.Common, name: "UNION"}, ports: newWatermarks(len(n.Inputs))}, nil
	case *plan.Apply:
		over, err := g.env.comp.expr(n.Over)
		width := n.Inputs[0].Head().Width
		return &apply{outlet: newOutlet(), over: over, elements: n.Elements, outer: n.Outer, width: width, pos: n.Pos, row: row{slots: make([]value.Value, width+2)}}, err
	case *plan.Sink:
		return g.sink(job, n)
	}
	return g.statefulOperator(n)
}

func (g *graph) statefulOperator(n plan.Node) (operator, error) {
	switch n := n.(type) {
	case *plan.Analytic:
		return newAnalytic(g.env, n)
	case *plan.Aggregate:
		return newAggregate(g.env, n)
	case *plan.Join:
		return newJoin(g.env, n)
	case *plan.ReferenceJoin:
		return newReferenceJoin(g.env, n)
	case *plan.Match:
		return newMatch(g.env, n)
	}
	return nil, fmt.Errorf("the plan has an unknown operator %T", n)
}

func (g *graph) sink(job *plan.Job, n *plan.Sink) (operator, error) {
	for i, o := range job.Outputs {
		if o == n.Output {
			return &sink{env: g.env, columns: n.Columns, index: i}, nil
		}
	}
	return nil, fmt.Errorf("the plan feeds output %s, which is not among its outputs", n.Output.Name)
}
