package check_test

import (
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"

	"millrace/process/streamanalytics/check"
	"millrace/process/streamanalytics/plan"
	"millrace/process/streamanalytics/syntax"
	"millrace/process/streamanalytics/value"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// goldenCase is one case of a golden file: a line "### name", the query, a line
// "###>", the output.
type goldenCase struct{ name, input, output string }

func readGolden(t testing.TB, file string) []goldenCase {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	for _, part := range strings.Split("\n"+string(text), "\n### ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		input, output, _ := strings.Cut(rest, "\n###>")
		cases = append(cases, goldenCase{name, input, strings.TrimSpace(output)})
	}
	if len(cases) == 0 {
		t.Fatalf("%s has no cases", file)
	}
	return cases
}

// testGolden compares what run makes of every input with the file.
func testGolden(t *testing.T, file string, run func(t *testing.T, input string) string) {
	cases := readGolden(t, file)
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := strings.TrimSpace(run(t, c.input))
			if *rewrite {
				cases[i].output = got
			} else if got != c.output {
				t.Errorf("got\n%s\n\nwant\n%s", got, c.output)
			}
		})
	}
	if !*rewrite {
		return
	}
	var out strings.Builder
	for _, c := range cases {
		out.WriteString("### " + c.name + "\n" + strings.TrimRight(c.input, "\n") + "\n###>\n" + c.output + "\n\n")
	}
	if err := os.WriteFile(file, []byte(strings.TrimSuffix(out.String(), "\n")), 0o644); err != nil {
		t.Fatal(err)
	}
}

// options reads what the first lines of a case say, as comments:
//
//	-- level 1.1
//	-- stream NAME [COLUMN ...] [key COLUMN] [partitions N]
//	-- reference NAME [COLUMN ...]
//	-- functions f g / aggregates h
//
// Without a line of inputs any name is a stream.
func options(t testing.TB, query string) check.Options {
	o := check.Options{Inputs: map[string]check.Input{}, AnyInput: true}
	for line := range strings.Lines(query) {
		words := strings.Fields(strings.TrimPrefix(strings.TrimSpace(line), "--"))
		if !strings.HasPrefix(line, "-- ") || len(words) == 0 {
			break
		}
		switch words[0] {
		case "level":
			o.Level = map[string]value.Level{"1.0": value.Level10, "1.1": value.Level11, "1.2": value.Level12}[words[1]]
		case "stream", "reference":
			o.AnyInput = false
			o.Inputs[words[1]] = inputOf(words)
		case "functions":
			o.Functions = functions(words[1:])
		default:
			t.Fatalf("option %q", line)
		}
	}
	return o
}

func inputOf(words []string) check.Input {
	in := check.Input{}
	if words[0] == "reference" {
		in.Kind = plan.Reference
	}
	for i := 2; i < len(words); i++ {
		switch words[i] {
		case "key":
			i++
			in.PartitionKey = words[i]
		case "partitions":
			i++
			in.Partitions = int(words[i][0] - '0')
		default:
			in.Columns = append(in.Columns, words[i])
		}
	}
	return in
}

// functions are the names of functions and, after the word aggregates, those
// of aggregates.
type functions []string

func (f functions) has(name string, aggregate bool) bool {
	after := false
	for _, n := range f {
		if n == "aggregates" {
			after = true
		} else if n == name && after == aggregate {
			return true
		}
	}
	return false
}

func (f functions) HasFunction(name string) bool  { return f.has(name, false) }
func (f functions) HasAggregate(name string) bool { return f.has(name, true) }
func (f functions) Names() []string               { return f }

func parse(t testing.TB, text string) *syntax.Script {
	t.Helper()
	script, diagnostics := syntax.Parse(text)
	for _, d := range diagnostics {
		t.Errorf("%s\n%s", d.Error(), d.Excerpt(text))
	}
	if len(diagnostics) > 0 {
		t.Fatalf("in\n%s", text)
	}
	return script
}

// Queries without errors: their plans.
func TestPlans(t *testing.T) {
	t.Parallel()
	testGolden(t, "testdata/plans.txt", func(t *testing.T, input string) string {
		job, diagnostics := check.Check(parse(t, input), options(t, input))
		for _, d := range diagnostics {
			t.Errorf("%s\n%s", d.Error(), d.Excerpt(input))
		}
		if job == nil {
			return ""
		}
		return job.String()
	})
}

// Queries with errors: every error with its place and what to do.
func TestErrors(t *testing.T) {
	t.Parallel()
	testGolden(t, "testdata/errors.txt", func(t *testing.T, input string) string {
		job, diagnostics := check.Check(parse(t, input), options(t, input))
		if len(diagnostics) == 0 || job != nil {
			t.Errorf("no error was found; the plan is\n%s", job)
		}
		var lines []string
		for _, d := range diagnostics {
			lines = append(lines, d.Error(), d.Excerpt(input))
		}
		return strings.Join(lines, "\n")
	})
}

// What EXPLAIN says of queries.
func TestExplain(t *testing.T) {
	t.Parallel()
	testGolden(t, "testdata/explain.txt", func(t *testing.T, input string) string {
		job, diagnostics := check.Check(parse(t, input), options(t, input))
		for _, d := range diagnostics {
			t.Errorf("%s\n%s", d.Error(), d.Excerpt(input))
		}
		if job == nil {
			return ""
		}
		if text, err := check.ExplainJSON(job); err != nil || !json.Valid(text) {
			t.Errorf("JSON %s, %v", text, err)
		}
		return check.Explain(job)
	})
}
