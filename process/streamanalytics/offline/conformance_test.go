package offline

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"

	"millrace/process/streamanalytics/syntax"
)

var update = flag.Bool("update", false, "write the conformance page anew")

var (
	casesDir = filepath.Join("..", "testdata", "cases")
	pageFile = filepath.Join("..", "..", "..", "docs", "conformance", "streamanalytics.md")
)

// conformance is rows.yaml: what the language consists of.
type conformance struct {
	Sections []*section `yaml:"sections"`
}

type section struct {
	Section string            `yaml:"section"`
	Title   string            `yaml:"title"`
	Rows    []*conformanceRow `yaml:"rows"`
}

type conformanceRow struct {
	ID      string   `yaml:"id"`
	Element string   `yaml:"element"`
	Rule    string   `yaml:"rule"`
	Verdict string   `yaml:"verdict"`
	Remark  string   `yaml:"remark"`
	Tests   []string `yaml:"tests"`

	// cases are the folders of the cases that cover the row, with how many.
	cases map[string]int
	// model tells that one of them was worked out after a documented example.
	model bool
}

func readConformance(t *testing.T) (*conformance, map[string]*conformanceRow) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(casesDir, "rows.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c conformance
	if err := yaml.UnmarshalWithOptions(text, &c, yaml.DisallowUnknownField()); err != nil {
		t.Fatal(err)
	}
	rows := map[string]*conformanceRow{}
	for _, s := range c.Sections {
		for _, r := range s.Rows {
			if rows[r.ID] != nil {
				t.Errorf("the row %s is there twice", r.ID)
			}
			r.cases = map[string]int{}
			rows[r.ID] = r
		}
	}
	return &c, rows
}

func readCases(t *testing.T) []*Case {
	t.Helper()
	cases, err := FindCases(os.DirFS(casesDir))
	if err != nil {
		t.Fatal(err)
	}
	return cases
}

// TestConformance checks that rows, cases and the page agree: every row that is
// said to hold has a case or a test, no case names a row that does not exist,
// and the page is what both give.
func TestConformance(t *testing.T) {
	t.Parallel()
	c, rows := readConformance(t)
	cases := readCases(t)
	for _, k := range cases {
		if k.About == "" || len(k.Covers) == 0 {
			t.Errorf("%s: it does not say what it is about or what it covers", k.Name)
		}
		for _, id := range k.Covers {
			r := rows[id]
			if r == nil {
				t.Errorf("%s covers the row %q, which rows.yaml does not have", k.Name, id)
				continue
			}
			r.cases[path.Dir(k.Name)]++
			r.model = r.model || k.Source != ""
		}
	}
	for id, r := range rows {
		checkConformanceRow(t, id, r)
	}
	page := conformancePage(c, cases)
	if *update {
		if err := os.WriteFile(pageFile, page, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if old, err := os.ReadFile(pageFile); err != nil || !bytes.Equal(old, page) {
		t.Errorf("docs/conformance/streamanalytics.md is not what the rows and cases give (%v); write it anew with go test -run TestConformance ./process/streamanalytics/offline -update", err)
	}
}

func checkConformanceRow(t *testing.T, id string, r *conformanceRow) {
	t.Helper()
	if !slices.Contains([]string{"yes", "differs", "no"}, r.Verdict) {
		t.Errorf("the row %s has the verdict %q", id, r.Verdict)
	}
	if r.Verdict != "yes" && r.Remark == "" {
		t.Errorf("the row %s is %s and does not say why", id, r.Verdict)
	}
	if r.Verdict != "no" && len(r.cases) == 0 && len(r.Tests) == 0 {
		t.Errorf("no case and no test covers the row %s", id)
	}
	for _, name := range r.Tests {
		dir, test, _ := strings.Cut(name, ".")
		if !hasTest(t, dir, test) {
			t.Errorf("the row %s names the test %s, which does not exist", id, name)
		}
	}
}

// hasTest tells whether a folder beside this one, or at the root where dir has
// a slash in front, has a test of that name.
func hasTest(t *testing.T, dir, name string) bool {
	t.Helper()
	at := filepath.Join("..", filepath.FromSlash(dir))
	if rest, ok := strings.CutPrefix(dir, "/"); ok {
		at = filepath.Join("..", "..", "..", filepath.FromSlash(rest))
	}
	found, err := filepath.Glob(filepath.Join(at, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range found {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			continue // its own tests will say so
		}
		for _, d := range f.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == name {
				return true
			}
		}
	}
	return false
}

// conformancePage is the text of docs/conformance/streamanalytics.md.
func conformancePage(c *conformance, cases []*Case) []byte {
	var b bytes.Buffer
	verdicts, rows := map[string]int{}, 0
	for _, s := range c.Sections {
		for _, r := range s.Rows {
			verdicts[r.Verdict]++
			rows++
		}
	}
	fmt.Fprintf(&b, pageHead, rows, verdicts["yes"], verdicts["differs"], verdicts["no"], len(cases))
	for _, s := range c.Sections {
		fmt.Fprintf(&b, "\n## %s\n\n| element | rule | verdict | remark | cases |\n| --- | --- | --- | --- | --- |\n", s.Title)
		for _, r := range s.Rows {
			remark := r.Remark
			if r.model {
				remark = strings.TrimPrefix(remark+" ◆", " ")
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", cell("`"+r.Element+"`"), cell(r.Rule), r.Verdict, cell(remark), backing(r))
		}
	}
	return b.Bytes()
}

// cell is a text within a table.
func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

// backing lists the folders of cases and the tests that stand for a row.
func backing(r *conformanceRow) string {
	var parts []string
	for _, dir := range slices.Sorted(mapKeys(r.cases)) {
		parts = append(parts, fmt.Sprintf("%s %d", dir, r.cases[dir]))
	}
	for _, name := range r.Tests {
		parts = append(parts, "`"+name+"`")
	}
	return strings.Join(parts, ", ")
}

func mapKeys(m map[string]int) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

const pageHead = `# Stream Analytics: what of the language is there

Every element of the query language and of its handling of time that is known
here, with a verdict: *yes* is done as the documentation has it, *differs* says
how not, *no* says why not. Of %d rows %d are yes, %d differ and %d are no.

**It has not met the service.** There is no other place where these queries run
outside of it. Expected rows were worked out by hand from the public
documentation of the language, never taken from what the engine printed; where
the documentation is silent, the remark says what was decided. A ◆ marks rows
with a case that follows an example of the documentation, with other numbers.

The %d cases are plain files in
[process/streamanalytics/testdata/cases](../../process/streamanalytics/testdata/cases),
each with a query, its inputs and the rows or the error that must come. The last
column says in which folders the cases of a row are and how many; a name with a
dot is a test in Go. They run with

    millrace streamanalytics test process/streamanalytics/testdata/cases
    go test ./process/streamanalytics/offline

and this page is written from them and from rows.yaml beside them.
`

// TestCasesParse reads the query of every case: what should run has no errors
// of syntax, and what is printed reads the same again.
func TestCasesParse(t *testing.T) {
	t.Parallel()
	for _, c := range readCases(t) {
		text := string(c.files[queryFile])
		script, faults := syntax.Parse(text)
		if _, fails := c.files[errorFile]; fails && len(faults) > 0 {
			continue
		}
		for _, f := range faults {
			t.Errorf("%s: %v\n%s", c.Name, f, f.Excerpt(text))
		}
		printed := syntax.Print(script)
		again, faults := syntax.Parse(printed)
		if len(faults) > 0 || syntax.Print(again) != printed {
			t.Errorf("%s: printed, the query is not the same:\n%s", c.Name, printed)
		}
	}
}
