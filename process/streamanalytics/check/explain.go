package check

import (
	"encoding/json"
	"fmt"
	"strings"

	"millrace/process/streamanalytics/plan"
)

// Explanation is a plan in words: what is read and written, the operators of
// every step, what state they keep by which keys, and whether the job can run
// once per partition.
type Explanation struct {
	Level    string            `json:"level"`
	Inputs   []ExplainedInput  `json:"inputs"`
	Outputs  []string          `json:"outputs"`
	Steps    []ExplainedStep   `json:"steps"`
	Parallel ExplainedParallel `json:"parallel"`
}

// ExplainedInput is one input and what is read of its events.
type ExplainedInput struct {
	Name         string   `json:"name"`
	Kind         string   `json:"kind"`
	PartitionKey string   `json:"partitionKey,omitempty"`
	Declared     []string `json:"declared,omitempty"`
}

// ExplainedStep is a step of a WITH or the statement that feeds an output.
type ExplainedStep struct {
	Name      string              `json:"name"`
	Operators []ExplainedOperator `json:"operators"`
}

// ExplainedOperator is one operator. State is "" if it keeps none.
type ExplainedOperator struct {
	ID     int    `json:"id"`
	Kind   string `json:"kind"`
	Line   int    `json:"line"`
	Column int    `json:"column"`
	Inputs []int  `json:"inputs,omitempty"`
	// Does is what it does, State what it remembers, Keys by what the state is
	// kept apart, and Windows the windows of an aggregate.
	Does    string   `json:"does"`
	State   string   `json:"state,omitempty"`
	Keys    []string `json:"keys,omitempty"`
	Windows []string `json:"windows,omitempty"`
}

// ExplainedParallel tells whether the job can run once per partition, and why.
type ExplainedParallel struct {
	OK      bool     `json:"ok"`
	Reasons []string `json:"reasons"`
}

// Describe puts a plan in words.
func Describe(job *plan.Job) Explanation {
	e := Explanation{Level: []string{"1.2", "1.1", "1.0"}[job.Level], Parallel: ExplainedParallel{job.Parallel.OK, job.Parallel.Reasons}}
	for _, in := range job.Inputs {
		x := ExplainedInput{Name: in.Name, Kind: "stream", PartitionKey: in.PartitionKey}
		if in.Kind == plan.Reference {
			x.Kind = "reference data"
		}
		for _, d := range in.Declared {
			x.Declared = append(x.Declared, d.Name+" "+d.Kind.String())
		}
		e.Inputs = append(e.Inputs, x)
	}
	for _, out := range job.Outputs {
		e.Outputs = append(e.Outputs, out.Name)
	}
	w := &words{names: map[plan.Node][]string{}}
	at := map[string]int{}
	for _, n := range job.Nodes {
		h := n.Head()
		i, ok := at[h.Step]
		if !ok {
			i = len(e.Steps)
			at[h.Step] = i
			e.Steps = append(e.Steps, ExplainedStep{Name: h.Step})
		}
		op := w.operator(n)
		op.ID, op.Line, op.Column = h.ID, h.Pos.Line, h.Pos.Column
		for _, in := range h.Inputs {
			op.Inputs = append(op.Inputs, in.Head().ID)
		}
		e.Steps[i].Operators = append(e.Steps[i].Operators, op)
	}
	return e
}

// ExplainJSON is [Describe] as JSON.
func ExplainJSON(job *plan.Job) ([]byte, error) {
	text, err := json.MarshalIndent(Describe(job), "", "  ")
	if err != nil {
		return nil, fmt.Errorf("writing the plan as JSON: %w", err)
	}
	return text, nil
}

// Explain is [Describe] as a text.
func Explain(job *plan.Job) string {
	e := Describe(job)
	var b strings.Builder
	fmt.Fprintf(&b, "compatibility level %s\n", e.Level)
	for _, in := range e.Inputs {
		fmt.Fprintf(&b, "input %s: %s", in.Name, in.Kind)
		if in.PartitionKey != "" {
			fmt.Fprintf(&b, ", partitioned by %s", in.PartitionKey)
		}
		if len(in.Declared) > 0 {
			fmt.Fprintf(&b, ", declared as (%s)", joined(in.Declared))
		}
		b.WriteString("\n")
	}
	for _, s := range e.Steps {
		fmt.Fprintf(&b, "\n%s\n", s.Name)
		for _, op := range s.Operators {
			op.write(&b)
		}
	}
	answer := "no"
	if e.Parallel.OK {
		answer = "yes"
	}
	fmt.Fprintf(&b, "\none task per partition: %s\n", answer)
	for _, r := range e.Parallel.Reasons {
		fmt.Fprintf(&b, "  %s\n", r)
	}
	return b.String()
}

func (op ExplainedOperator) write(b *strings.Builder) {
	fmt.Fprintf(b, "  %d %s", op.ID, op.Kind)
	for i, in := range op.Inputs {
		if i == 0 {
			b.WriteString(" of")
		}
		fmt.Fprintf(b, " %d", in)
	}
	if op.Does != "" {
		fmt.Fprintf(b, ": %s", op.Does)
	}
	b.WriteString("\n")
	if len(op.Windows) > 0 {
		fmt.Fprintf(b, "      windows: %s\n", strings.Join(op.Windows, "; "))
	}
	if op.State == "" {
		return
	}
	fmt.Fprintf(b, "      state: %s\n", op.State)
	keys := "none, there is one state for all events"
	if len(op.Keys) > 0 {
		keys = joined(op.Keys)
	}
	fmt.Fprintf(b, "      keys: %s\n", keys)
}

// words names slots by the columns they hold.
type words struct{ names map[plan.Node][]string }

func (w *words) slot(n plan.Node) func(*plan.Slot) string {
	names := w.of(n)
	return func(s *plan.Slot) string {
		if s.Index < len(names) {
			return names[s.Index]
		}
		return fmt.Sprintf("$%d", s.Index)
	}
}

func (w *words) expr(n plan.Node, x plan.Expr) string { return plan.ExprText(x, w.slot(n)) }

func (w *words) exprs(n plan.Node, list []plan.Expr) []string {
	var out []string
	for _, x := range list {
		out = append(out, w.expr(n, x))
	}
	return out
}

// of returns the names of a node's slots. Nodes come after those they read
// from, so nothing is looked for twice.
func (w *words) of(n plan.Node) []string {
	if names, ok := w.names[n]; ok {
		return names
	}
	var names []string
	in := n.Head().Inputs
	switch n := n.(type) {
	case *plan.Source:
		names = sourceNames(n)
	case *plan.Project:
		for _, col := range n.Columns {
			names = append(names, columnName(col))
		}
	case *plan.Analytic:
		names = append(names, w.of(in[0])...)
		for _, call := range n.Calls {
			names = append(names, w.analyticName(in[0], call))
		}
	case *plan.Aggregate:
		names = append(names, w.exprs(in[0], n.Keys)...)
		for _, call := range n.Calls {
			names = append(names, call.Text(w.slot(in[0])))
		}
		names = append(names, "System.Window().Id")
	case *plan.Join:
		names = append(append(names, w.of(in[0])...), w.of(in[1])...)
		names = append(names, "left time", "right time")
	case *plan.ReferenceJoin:
		names = append(append(names, w.of(in[0])...), sourceNames(n.Ref)...)
	case *plan.Apply:
		names = append(names, w.of(in[0])...)
		if n.Elements {
			names = append(names, "ArrayIndex", "ArrayValue")
		} else {
			names = append(names, "PropertyName", "PropertyValue")
		}
	case *plan.Match:
		names = append(names, w.exprs(in[0], n.PartitionBy)...)
		for _, col := range n.Measures {
			names = append(names, col.Name)
		}
	default:
		names = w.of(in[0])
	}
	w.names[n] = names
	return names
}

func columnName(col plan.Column) string {
	if col.Spread {
		return "*"
	}
	return col.Name
}

func sourceNames(s *plan.Source) []string {
	names := append([]string{}, s.Fields...)
	if s.Payload >= 0 {
		names = append(names, "*")
	}
	for _, m := range s.Meta {
		names = append(names, [...]string{"EventEnqueuedUtcTime", "EventProcessedUtcTime", "PartitionId", "offset", m.Name}[m.Kind])
	}
	return names
}
