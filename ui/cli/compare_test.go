package cli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/ui/report"
)

// reports are files of the reports that the report's own tests keep.
func reports(names ...string) []string {
	for i, n := range names {
		names[i] = filepath.Join("..", "report", "testdata", n)
	}
	return names
}

func TestCompare(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "compared.html")
	e, out, errs := testEnv(append([]string{"compare", "--report", page}, reports("pass.json", "fail.json", "charged.json")...)...)
	if code := Run(context.Background(), e); code != 0 || errs.Len() > 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	for _, want := range []string{"A  hdinsightkafka-databricks-sqldw (pass.json)", "verdict", "2,561/s 0.26x !", "what failed"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
	if text, err := os.ReadFile(page); err != nil || !strings.Contains(string(text), "3 runs side by side") {
		t.Errorf("the page: %v", err)
	}
}

func TestCompareJSON(t *testing.T) {
	t.Parallel()
	first, err := os.ReadFile(reports("pass.json")[0])
	if err != nil {
		t.Fatal(err)
	}
	e, out, errs := testEnv(append([]string{"compare", "--json", "-"}, reports("fail.json")...)...)
	e.Stdin = strings.NewReader(string(first))
	if code := Run(context.Background(), e); code != 0 || errs.Len() > 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	var c report.Comparison
	if err := json.Unmarshal(out.Bytes(), &c); err != nil {
		t.Fatal(err)
	}
	if c.Schema != report.CompareSchema || len(c.Runs) != 2 || c.Runs[0].File != "standard input" || c.Runs[1].Verdict != "FAIL" || len(c.Figures) < 20 {
		t.Errorf("%+v", c.Runs)
	}
}

func TestCompareRefuses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := reports("pass.json")[0]
	for name, tt := range map[string]struct {
		args []string
		want []string
	}{
		"none":       {nil, []string{"millrace compare needs at least two reports", "hint: millrace compare a.json b.json"}},
		"one":        {[]string{good}, []string{"needs at least two reports"}},
		"27":         {strings.Split(strings.Repeat(good+" ", 27)[:27*len(good)+26], " "), []string{"takes at most 26 reports, not 27"}},
		"no file":    {[]string{good, filepath.Join(dir, "none.json")}, []string{"there is no file " + dir, "hint: a report is what `millrace run --json` writes"}},
		"folder":     {[]string{good, dir}, []string{"cannot read " + dir + ": is a directory", "hint:"}},
		"empty":      {[]string{good, file("empty.json", "")}, []string{"empty.json: no report of a run: it is empty", "hint: reports are what"}},
		"no JSON":    {[]string{good, file("text.json", "solution: x")}, []string{"text.json: no report of a run: it is not JSON", "hint:"}},
		"page":       {[]string{good, file("a.html", "\n<!DOCTYPE html>")}, []string{"it is a page, not the JSON", "hint: the page of a run has a button"}},
		"foreign":    {[]string{good, file("foreign.json", `{"schema":"k6/1","events":7}`)}, []string{"it does not say that it is one", "hint:"}},
		"comparison": {[]string{good, file("c.json", `{"schema":"millrace.compare/1"}`)}, []string{"it is a comparison of several", "hint:"}},
		"old":        {[]string{good, file("old.json", `{"schema":"millrace.report/0","events":7}`)}, []string{`no report that this version reads: its format is "millrace.report/0", not "millrace.report/1"`, "hint:"}},
		"wrong type": {[]string{good, file("bent.json", `{"schema":"millrace.report/1","events":7}`)}, []string{"bent.json: no report of a run: json: cannot unmarshal", "hint:"}},
		"input":      {[]string{"-", good}, []string{"standard input: no report of a run: it is empty", "hint:"}},
		"two inputs": {[]string{"-", "-"}, []string{"standard input: no report"}},
		"no place":   {[]string{good, good, "--report", filepath.Join(dir, "no", "x.html")}, []string{"--report: there is no folder"}},
	} {
		e, out, errs := testEnv(append([]string{"compare"}, tt.args...)...)
		if code := Run(context.Background(), e); code != 2 {
			t.Errorf("%s: exit %d: %s", name, code, errs)
		}
		for _, want := range tt.want {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q is not in %q", name, want, errs)
			}
		}
		if n := strings.Count(errs.String(), "\n"); out.Len() > 0 || n > 2 {
			t.Errorf("%s: too much is printed: %q %q", name, out, errs)
		}
	}
	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	e, _, errs := testEnv("compare", "-", "-")
	e.Stdin = strings.NewReader(string(text))
	if code := Run(context.Background(), e); code != 2 || !strings.Contains(errs.String(), "standard input can be only one of the reports") {
		t.Errorf("twice: exit %d: %s", code, errs)
	}
}

func TestCompareCompletesReports(t *testing.T) {
	t.Parallel()
	e, out, _ := testEnv("__complete", "compare", "a.json", "")
	if Run(context.Background(), e); !strings.HasPrefix(out.String(), "json\n:8\n") { // names of files that end so
		t.Errorf("%q", out)
	}
}
