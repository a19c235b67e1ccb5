package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// Options say what is known beside the text.
type Options struct {
	// Level is the compatibility level.
	Level value.Level
	// Inputs are the inputs that the job has, by name. Names are found ignoring
	// case.
	Inputs map[string]Input
	// AnyInput takes names that are not in Inputs as streams of which nothing
	// is known; else they are errors.
	AnyInput bool
	// Functions are the user's functions; nil takes any udf.X and uda.X. If it
	// also has the method Names() []string, they are used for suggestions.
	Functions Functions
}

// Input is what is known of an input.
type Input struct {
	Kind plan.InputKind
	// Columns are the names of all columns that it has, nil if that is not
	// known. A CREATE TABLE in the query wins over it.
	Columns []string
	// PartitionKey is the column by which events are put into partitions, ""
	// if that is not known.
	PartitionKey string
	// Partitions is their number, 0 if that is not known.
	Partitions int
}

// Functions tells which functions in other languages a query can call.
type Functions interface {
	HasFunction(name string) bool
	HasAggregate(name string) bool
}

// checker is the state of one Check.
type checker struct {
	o     Options
	diags []syntax.Diagnostic
	seen  map[string]bool

	nodes []built
	steps map[string]*step
	// later are the names of all steps of the query, for references that come
	// too early.
	later    map[string]*syntax.Ident
	declared map[string]*syntax.CreateTable
	inputs   map[string]*plan.Input
	// interned numbers expressions, see key.
	interned map[string]int
	order    []*plan.Input
	sources  map[string]*sourceRows
	outputs  []*plan.Output
	byOutput map[string]*plan.Output
	sinks    []*plan.Sink
	// kinds are the slots whose values all have one kind (or are NULL).
	kinds map[*plan.Slot]value.Kind
	// step is the name of the step or output that is being checked.
	step string
	// overs tell inputs with TIMESTAMP BY ... OVER from others.
	overs []overUse
	uses  []streamUse
	// references are the rows of reference data, which are no nodes.
	references []*sourceRows
	// moved tells of a slot of joined rows which slot of the right side it is.
	moved map[*plan.Slot]*plan.Slot
}

// built is a node and what gives its slots their numbers, once all columns
// are known.
type built struct {
	node plan.Node
	// rows are the columns of a Source, Project or Union, and those that a Sink
	// takes; nil for others.
	rows relation
	fix  func()
}

// step is a query of a WITH that has been checked.
type step struct {
	name *syntax.Ident
	rows relation
}

// Check resolves and checks a query and makes its plan. Where there are
// diagnostics the job is nil. It is safe for concurrent use; the script is only
// read.
func Check(script *syntax.Script, o Options) (*plan.Job, []syntax.Diagnostic) {
	c := &checker{
		o: o, seen: map[string]bool{}, steps: map[string]*step{}, later: map[string]*syntax.Ident{},
		declared: map[string]*syntax.CreateTable{}, inputs: map[string]*plan.Input{},
		sources: map[string]*sourceRows{}, kinds: map[*plan.Slot]value.Kind{}, interned: map[string]int{}, byOutput: map[string]*plan.Output{}, moved: map[*plan.Slot]*plan.Slot{},
	}
	c.script(script)
	var job *plan.Job
	if len(c.diags) == 0 {
		job = c.job()
		c.checkSubstreams(job)
	}
	if len(c.diags) > 0 {
		slices.SortStableFunc(c.diags, func(a, b syntax.Diagnostic) int {
			return cmp.Or(cmp.Compare(a.Pos.Offset, b.Pos.Offset), cmp.Compare(a.End.Offset, b.End.Offset))
		})
		return nil, c.diags
	}
	return job, nil
}

// report adds a diagnostic for the part of the text that at covers.
func (c *checker) report(at syntax.Node, suggestion, format string, args ...any) {
	c.reportSpan(syntax.Span{Start: at.Pos(), Stop: at.End()}, suggestion, format, args...)
}

// full tells that there are more diagnostics than help anybody.
func (c *checker) full() bool { return len(c.diags) >= 100 }

func (c *checker) reportSpan(at syntax.Span, suggestion, format string, args ...any) {
	if c.full() {
		return
	}
	d := syntax.Diagnostic{Pos: at.Start, End: at.Stop, Message: fmt.Sprintf(format, args...), Suggestion: suggestion}
	// A part that several clauses read is reported once.
	key := fmt.Sprint(d.Pos.Offset, " ", d.Message)
	if !c.seen[key] {
		c.seen[key] = true
		c.diags = append(c.diags, d)
	}
}

// add puts a node into the job. fix is called, in the order of the nodes, when
// all columns are known; it sets the node's width and the numbers of its slots.
func (c *checker) add(n plan.Node, pos syntax.Pos, fix func()) { c.addRows(n, nil, pos, fix) }

func (c *checker) addRows(n plan.Node, rows relation, pos syntax.Pos, fix func()) {
	h := n.Head()
	h.Step, h.Pos = c.step, pos
	c.nodes = append(c.nodes, built{n, rows, fix})
}

func (c *checker) script(script *syntax.Script) {
	used := usedSteps(script)
	c.declarations(script)
	selects := 0
	for _, s := range script.Statements {
		switch s := s.(type) {
		case *syntax.With:
			for _, step := range s.Steps {
				c.withStep(step, used[fold(step.Name.Name)])
			}
		case *syntax.QueryStatement:
			selects++
			c.statement(s)
		}
	}
	if selects == 0 {
		c.reportSpan(syntax.Span{Start: script.Stop, Stop: script.Stop}, "add SELECT ... INTO output FROM input",
			"the query has no SELECT that feeds an output")
	}
	c.checkOvers()
}

// withStep checks a step. One that nothing reads is checked apart, so that
// what it asks of inputs is not read for it.
func (c *checker) withStep(s *syntax.Step, used bool) {
	name := fold(s.Name.Name)
	if before, ok := c.steps[name]; ok {
		c.report(s.Name, "", "there are two steps named %s; the first one is at %s", quote(s.Name.Name), before.name.Pos())
		return
	}
	c.step = s.Name.Name
	sources, inputs, order, uses := c.sources, c.inputs, c.order, c.uses
	if !used {
		c.sources, c.inputs = map[string]*sourceRows{}, map[string]*plan.Input{}
	}
	rows, ok := c.view(s.Query)
	if !ok {
		rows = c.query(s.Query)
	}
	if !used {
		c.sources, c.inputs, c.order, c.uses = sources, inputs, order, uses
	}
	c.steps[name] = &step{s.Name, rows}
}

func (c *checker) statement(s *syntax.QueryStatement) {
	name := "output"
	if into := s.Into(); into != nil {
		name = into.Name
	}
	c.step = name
	rows := c.query(s.Query)
	if rows == nil {
		return
	}
	output, ok := c.byOutput[fold(name)]
	if !ok {
		output = &plan.Output{Name: name}
		c.byOutput[fold(name)] = output
		c.outputs = append(c.outputs, output)
	}
	sink := &plan.Sink{Common: plan.Common{Inputs: []plan.Node{rows.node()}}, Output: output}
	c.sinks = append(c.sinks, sink)
	c.addRows(sink, rows, s.Pos(), func() {
		sink.Width = rows.node().Head().Width
		for _, col := range rows.layout() {
			sink.Columns = append(sink.Columns, plan.Column{Name: col.Name, Spread: col.Spread, Hidden: col.Hidden})
		}
	})
}

// job numbers slots and nodes. What no output needs is left out.
func (c *checker) job() *plan.Job {
	needed := map[plan.Node]bool{}
	var need func(n plan.Node)
	need = func(n plan.Node) {
		if needed[n] {
			return
		}
		needed[n] = true
		for _, in := range n.Head().Inputs {
			need(in)
		}
	}
	for _, s := range c.sinks {
		need(s)
	}
	c.prune(needed)
	for _, b := range c.nodes {
		b.fix()
	}
	job := &plan.Job{Level: c.o.Level, Inputs: c.order, Outputs: c.outputs}
	for _, b := range c.nodes {
		if needed[b.node] {
			b.node.Head().ID = len(job.Nodes)
			job.Nodes = append(job.Nodes, b.node)
		}
	}
	job.Parallel = c.parallel(job)
	return job
}

// fold makes names comparable that differ in case only.
func fold(name string) string { return strings.ToLower(name) }

func quote(name string) string { return `"` + name + `"` }

// near turns a near name into a suggestion.
func near(word string, candidates []string) string {
	if n := syntax.Nearest(word, candidates); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}
