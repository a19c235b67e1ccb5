package check_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"millrace/process/streamanalytics/check"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

// Whatever is read and checked: no panic, places inside the text in order, and
// plans whose slots exist.
func FuzzCheck(f *testing.F) {
	for _, file := range []string{"testdata/plans.txt", "testdata/errors.txt", "testdata/explain.txt", "../syntax/testdata/queries.txt", "../syntax/testdata/errors.txt"} {
		for _, c := range readGolden(f, file) {
			f.Add(c.input)
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		script, bad := syntax.Parse(text)
		for level := value.Level12; level <= value.Level10; level++ {
			job, diagnostics := check.Check(script, check.Options{
				Level: level, AnyInput: true,
				Inputs: map[string]check.Input{"r": {Kind: plan.Reference}, "ref": {Kind: plan.Reference, Columns: []string{"k", "v"}}, "a": {PartitionKey: "k"}},
			})
			if (job == nil) != (len(diagnostics) > 0) {
				t.Fatalf("a job %v with %d diagnostics", job != nil, len(diagnostics))
			}
			checkPlaces(t, text, diagnostics)
			if job == nil || len(bad) > 0 {
				continue
			}
			checkJob(t, job)
			_ = job.String()
			_ = check.Explain(job)
		}
	})
}

func checkPlaces(t testing.TB, text string, diagnostics []syntax.Diagnostic) {
	last := 0
	for _, d := range diagnostics {
		if !d.Pos.IsValid() || d.Pos.Offset < last || d.Pos.Offset > d.End.Offset || d.End.Offset > len(text) || d.Message == "" {
			t.Fatalf("%+v is no place in a text of %d bytes, out of order, or says nothing", d, len(text))
		}
		last = d.Pos.Offset
	}
}

// checkJob looks for slots that do not exist.
func checkJob(t testing.TB, job *plan.Job) {
	seen := map[plan.Node]bool{}
	for i, n := range job.Nodes {
		h := n.Head()
		if h.ID != i || h.Step == "" || !h.Pos.IsValid() {
			t.Fatalf("node %d has the id %d, the step %q and the place %v", i, h.ID, h.Step, h.Pos)
		}
		for _, in := range h.Inputs {
			if !seen[in] {
				t.Fatalf("node %d reads from a later one", i)
			}
		}
		seen[n] = true
		if problem := checkNode(n); problem != "" {
			t.Fatalf("node %d: %s\n%s", i, problem, job)
		}
	}
}

// slotsOf notes slots that do not exist.
type slotsOf struct{ problems []string }

func (p *slotsOf) in(width int) func(*plan.Slot) string {
	return func(s *plan.Slot) string {
		if s.Index < 0 || s.Index >= width {
			p.problems = append(p.problems, fmt.Sprintf("slot %d of %d", s.Index, width))
		}
		return ""
	}
}

func (p *slotsOf) exprs(width int, list ...plan.Expr) {
	for _, x := range list {
		plan.ExprText(x, p.in(width))
	}
}

func checkNode(n plan.Node) string {
	p := &slotsOf{}
	var widths []int
	for _, in := range n.Head().Inputs {
		widths = append(widths, in.Head().Width)
	}
	want, ok := p.rows(n, widths)
	if !ok {
		want = p.states(n, widths)
	}
	if have := n.Head().Width; want != have {
		p.problems = append(p.problems, fmt.Sprintf("%d slots, not %d", have, want))
	}
	return strings.Join(p.problems, "; ")
}

// rows checks the nodes without state and returns how wide they should be.
func (p *slotsOf) rows(n plan.Node, in []int) (want int, ok bool) {
	switch n := n.(type) {
	case *plan.Source:
		want = len(n.Fields) + len(n.Meta)
		if n.Payload >= 0 {
			want++
		}
		p.exprs(n.Width, n.TimestampBy)
		p.exprs(n.Width, n.Over...)
	case *plan.Filter:
		want = in[0]
		plan.CondText(n.Cond, p.in(want))
	case *plan.Project:
		want = len(n.Columns)
		for _, col := range n.Columns {
			p.exprs(in[0], col.Expr)
		}
	case *plan.Apply:
		want = in[0] + 2
		p.exprs(in[0], n.Over)
	case *plan.Union:
		want = in[0]
		for _, w := range in {
			if w != want {
				p.problems = append(p.problems, "sides of a union with different slots")
			}
		}
	case *plan.Sink:
		want = in[0]
		if len(n.Columns) != want {
			p.problems = append(p.problems, "a sink without all columns")
		}
	default:
		return 0, false
	}
	return want, true
}

// states is rows for the nodes with state.
func (p *slotsOf) states(n plan.Node, in []int) (want int) {
	switch n := n.(type) {
	case *plan.Analytic:
		want = in[0] + len(n.Calls)
		for _, call := range n.Calls {
			call.Text(p.in(in[0]))
		}
	case *plan.Aggregate:
		want = len(n.Keys) + len(n.Calls) + 1
		p.exprs(in[0], n.Keys...)
		for _, call := range n.Calls {
			call.Text(p.in(in[0]))
		}
		if len(n.Windows) == 0 {
			p.problems = append(p.problems, "no window")
		}
		for _, w := range n.Windows {
			p.exprs(in[0], w.PartitionBy...)
			if err := w.Spec.Validate(); err != nil {
				p.problems = append(p.problems, err.Error())
			}
		}
	case *plan.Join:
		want = in[0] + in[1] + 2
		p.exprs(in[0], n.LeftKeys...)
		p.exprs(in[1], n.RightKeys...)
		plan.CondText(n.On, p.in(want))
	case *plan.ReferenceJoin:
		want = in[0] + n.Ref.Width
		p.exprs(in[0], n.LeftKeys...)
		p.exprs(n.Ref.Width, n.RightKeys...)
		plan.CondText(n.On, p.in(want))
	case *plan.Match:
		want = len(n.PartitionBy) + len(n.Measures)
		p.exprs(in[0], n.PartitionBy...)
		for _, s := range n.Symbols {
			plan.CondText(s.Cond, p.in(in[0]))
		}
		for _, col := range n.Measures {
			p.exprs(in[0], col.Expr)
		}
	}
	return want
}

// Every plan of the golden files is sound.
func TestPlansAreSound(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"testdata/plans.txt", "testdata/explain.txt"} {
		if _, err := os.Stat(file); err != nil {
			t.Fatal(err)
		}
		for _, c := range readGolden(t, file) {
			job, _ := check.Check(parse(t, c.input), options(t, c.input))
			if job == nil {
				t.Fatalf("%s has no plan", c.name)
			}
			checkJob(t, job)
		}
	}
}
