package syntax

import (
	"flag"
	"os"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

// goldenCase is one case of a golden file: a line "### name", the input, a line
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
		input, output, _ := strings.Cut(rest, "\n###>\n")
		cases = append(cases, goldenCase{name, input, strings.TrimSuffix(output, "\n")})
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
			got := strings.TrimSuffix(run(t, c.input), "\n")
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

// Queries without errors: what they print as. Whatever is printed is read as
// the same tree, and printed the same again.
func TestQueries(t *testing.T) {
	t.Parallel()
	testGolden(t, "testdata/queries.txt", func(t *testing.T, input string) string {
		script := mustParse(t, input)
		checkRoundTrip(t, script)
		checkPlaces(t, script, input)
		return Print(script)
	})
}

// Queries with errors: every error with its place and what to do.
func TestErrors(t *testing.T) {
	t.Parallel()
	testGolden(t, "testdata/errors.txt", func(t *testing.T, input string) string {
		script, diagnostics := Parse(input)
		if len(diagnostics) == 0 {
			t.Errorf("no error was found; the query was read as\n%s", Print(script))
		}
		var lines []string
		for _, d := range diagnostics {
			checkDiagnostic(t, d, input)
			lines = append(lines, d.Error(), d.Excerpt(input))
		}
		return strings.Join(lines, "\n")
	})
}

func mustParse(t testing.TB, text string) *Script {
	t.Helper()
	script, diagnostics := Parse(text)
	for _, d := range diagnostics {
		t.Errorf("%s\n%s", d.Error(), d.Excerpt(text))
	}
	if len(diagnostics) > 0 {
		t.Fatalf("in\n%s", text)
	}
	return script
}

func checkDiagnostic(t testing.TB, d Diagnostic, text string) {
	t.Helper()
	if !d.Pos.IsValid() || !d.End.IsValid() || d.Pos.Offset > d.End.Offset || d.End.Offset > len(text) || d.Message == "" {
		t.Errorf("%+v is no place in a text of %d bytes, or says nothing", d, len(text))
	}
	if want := placeOf(text, d.Pos.Offset); d.Pos != want {
		t.Errorf("the place of %s is %+v", d.Error(), want)
	}
	if excerpt := d.Excerpt(text); strings.Count(excerpt, "\n") != 1 || !strings.HasSuffix(excerpt, "^") {
		t.Errorf("the excerpt of %s is %q", d.Error(), excerpt)
	}
}
