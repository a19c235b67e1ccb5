package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// fakeQueries takes any text as a query; its words steer what happens.
type fakeQueries struct {
	inputs, references []string
	got                *QueryRun
}

func (f *fakeQueries) CheckFlags(s *pflag.FlagSet) {
	s.StringArrayVar(&f.inputs, "input", nil, "an input")
	s.StringArrayVar(&f.references, "reference", nil, "reference data")
}
func (f *fakeQueries) RunFlags(s *pflag.FlagSet) { f.CheckFlags(s) }

func (f *fakeQueries) Check(_ context.Context, q QueryText) error {
	if strings.Contains(q.Text, "wrong") {
		return &QueryMistakes{q, []QueryMistake{{2, 3, "there is no column tmp", "did you mean temp?", "  tmp\n  ^^^"}, {4, 1, "too short", "", ""}}}
	}
	return nil
}

func (f *fakeQueries) Explain(ctx context.Context, q QueryText, asJSON bool) (string, error) {
	if asJSON {
		return "{}", nil
	}
	return "steps", f.Check(ctx, q)
}

func (f *fakeQueries) Format(q QueryText) (string, error) {
	return strings.ToUpper(q.Text), f.Check(context.Background(), q)
}

func (f *fakeQueries) Run(ctx context.Context, r QueryRun) (*QuerySummary, error) {
	f.got = &r
	if err := f.Check(ctx, r.Query); err != nil {
		return nil, err
	}
	s := &QuerySummary{Query: r.Query.Name, InputEvents: 12345, Seconds: 2, EventsPerSecond: 6172.5, LateInputEvents: 7, Dropped: map[string]int64{"late": 7},
		Outputs: []QueryOutput{{"alerts", 3, "out/alerts.json"}}, Notes: []string{"look here"}}
	if r.OutputDir == "" {
		for range 3 {
			if err := r.Row("alerts", []byte(`{"a":1}`), strings.Contains(r.Query.Text, "two")); err != nil {
				return s, err
			}
		}
	}
	if strings.Contains(r.Query.Text, "fail") {
		return s, &QueryFailure{"CAST(x AS bigint)\n^", errors.New("line 1, column 1: x is no bigint (at the event in e.json:3)")}
	}
	return s, nil
}

func (f *fakeQueries) Test(_ context.Context, path string, fn func(QueryCase) error) error {
	if path == "none" {
		return nil
	}
	if err := fn(QueryCase{Name: "a.txtar", Pass: true}); err != nil || path == "good" {
		return err
	}
	return fn(QueryCase{Name: "b.txtar", About: "What it is about.", Problem: "output o: 1 row expected\n  - {}\n"})
}

// runQueries runs a command line; args that end in .asaql are files with their
// own name (without the suffix) as text.
func runQueries(t *testing.T, stdin string, args ...string) (code int, out, errs string, f *fakeQueries) {
	t.Helper()
	dir := t.TempDir()
	for i, a := range args {
		if name, ok := strings.CutSuffix(a, ".asaql"); ok {
			args[i] = filepath.Join(dir, a)
			if err := os.WriteFile(args[i], []byte(name), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	e, o, w := testEnv(append([]string{"streamanalytics"}, args...)...)
	e.Stdin = strings.NewReader(stdin)
	f = &fakeQueries{}
	e.Stages.Queries = func() Queries { return f }
	code = Run(t.Context(), e)
	return code, strings.ReplaceAll(o.String(), dir+"/", ""), strings.ReplaceAll(w.String(), dir+"/", ""), f
}

func TestQueryCommands(t *testing.T) {
	t.Parallel()
	const mistakes = "wrong.asaql:2:3: there is no column tmp; did you mean temp?\n      tmp\n      ^^^\nwrong.asaql:4:1: too short\n"
	for name, tt := range map[string]struct {
		stdin     string
		args      []string
		code      int
		out, errs string
	}{
		"check":               {"", []string{"check", "fine.asaql"}, 0, "fine.asaql: nothing is wrong\n", ""},
		"check mistakes":      {"", []string{"check", "fine.asaql", "wrong.asaql"}, 2, "fine.asaql: nothing is wrong\n", mistakes + "millrace: there are 2 mistakes\n"},
		"check JSON":          {"", []string{"check", "fine.asaql", "--json"}, 0, `{"query":"fine.asaql","ok":true,"mistakes":[]}` + "\n", ""},
		"check standard in":   {"x", []string{"check", "-"}, 0, "-: nothing is wrong\n", ""},
		"check nothing":       {"", []string{"check"}, 2, "", "millrace: millrace streamanalytics check needs a file"},
		"no such file":        {"", []string{"check", "/none.txt"}, 2, "", "millrace: the query /none.txt can not be read: no such file or directory\n"},
		"explain":             {"", []string{"explain", "fine.asaql"}, 0, "steps\n", ""},
		"explain mistakes":    {"", []string{"explain", "wrong.asaql"}, 2, "", mistakes + "millrace: wrong.asaql has 2 mistakes\n"},
		"fmt":                 {"", []string{"fmt", "fine.asaql"}, 0, "FINE", ""},
		"fmt list":            {"", []string{"fmt", "-l", "fine.asaql", "FINE.asaql"}, 1, "fine.asaql\n", "millrace: not in canonical form: 1 file\n"},
		"fmt mistakes":        {"", []string{"fmt", "wrong.asaql"}, 2, "", mistakes + "millrace: wrong.asaql has 2 mistakes\n"},
		"run":                 {"", []string{"run", "-q", "fine.asaql", "-o", "out"}, 0, "", "alerts               3 rows  out/alerts.json\n12,345 events in 2.00 s, 6,172 events/s\nstate: 0 B at most\n7 late\nnot used: 7 late\nnote: look here\n"},
		"run quiet":           {"", []string{"run", "fine.asaql", "--quiet"}, 0, strings.Repeat("{\"a\":1}\n", 3), ""},
		"run several outputs": {"", []string{"run", "two.asaql", "--quiet"}, 0, strings.Repeat("{\"output\":\"alerts\",\"row\":{\"a\":1}}\n", 3), ""},
		"run mistakes":        {"", []string{"run", "wrong.asaql"}, 2, "", mistakes + "millrace: wrong.asaql has 2 mistakes\n"},
		"run fails":           {"", []string{"run", "fail.asaql", "--quiet", "-o", "out"}, 1, "", "    CAST(x AS bigint)\n    ^\nmillrace: line 1, column 1: x is no bigint (at the event in e.json:3)\n"},
		"run JSON":            {"", []string{"run", "fine.asaql", "--json"}, 2, "", "--json needs an --output-dir"},
		"run nothing":         {"", []string{"run"}, 2, "", "needs a --query"},
		"test":                {"", []string{"test", "good", "-v"}, 0, "ok    a.txtar\n1 passed, 0 failed, 0.0 s\n", ""},
		"test fails":          {"", []string{"test", "bad"}, 1, "FAIL  b.txtar\n      What it is about.\n      output o: 1 row expected\n        - {}\n1 passed, 1 failed, 0.0 s\n", "millrace: 1 case failed\n"},
		"test nothing":        {"", []string{"test", "none"}, 2, "", "there are no cases in none"},
		"shell": {"select\nfine;\n.inputs\n.check\n.explain\n.limit 1\nfail\n\n.limit x\n.what\nwrong;\n.quit\nnever;\n", []string{"shell", "--input", "A=b"}, 0,
			strings.Repeat("{\"a\":1}\n", 3) + "3 rows of 12345 events, 2.00 s\nA=b\nquery: nothing is wrong\nsteps\n{\"a\":1}\n... and 2 more rows (.limit 0 shows all)\n3 rows of 12345 events, 2.00 s\n",
			"    CAST(x AS bigint)\n    ^\nmillrace: line 1, column 1: x is no bigint (at the event in e.json:3)\nmillrace: .limit takes a whole number, not x\nmillrace: there is no command .what; .help shows all\nquery:2:3: "},
		"shell without the end": {"fine", []string{"shell"}, 0, strings.Repeat("{\"a\":1}\n", 3) + "3 rows of 12345 events, 2.00 s\n", ""},
		"shell from stdin":      {"", []string{"shell", "--input", "A=-"}, 2, "", "the shell reads queries from standard input"},
		"no such command":       {"", []string{"chekc"}, 2, "", "did you mean `check`?"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, out, errs, _ := runQueries(t, tt.stdin, tt.args...)
			if code != tt.code || out != tt.out || !strings.Contains(errs, tt.errs) || tt.errs == "" && errs != "" {
				t.Errorf("exit %d, want %d\nout  %q\nwant %q\nerr  %q\nwant %q", code, tt.code, out, tt.out, errs, tt.errs)
			}
		})
	}
}

func TestQueryFormatWritesBack(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "q.txt")
	if err := os.WriteFile(path, []byte("select"), 0o640); err != nil {
		t.Fatal(err)
	}
	if code, out, errs, _ := runQueries(t, "", "fmt", "-w", path); code != 0 || out != "" {
		t.Errorf("exit %d, %q, %q", code, out, errs)
	}
	b, err := os.ReadFile(path)
	st, _ := os.Stat(path)
	if err != nil || string(b) != "SELECT" || st.Mode().Perm() != 0o640 {
		t.Errorf("%q, %v, %v", b, st.Mode(), err)
	}
}

func TestQueryRunJSON(t *testing.T) {
	t.Parallel()
	code, out, errs, f := runQueries(t, "", "run", "fail.asaql", "-o", "out", "--json", "--dropped", "d.json", "--follow")
	var s QuerySummary
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 1 {
		t.Fatalf("exit %d, %v: %s %s", code, err, out, errs)
	}
	if s.InputEvents != 12345 || s.Error == "" || s.Outputs[0].File != "out/alerts.json" {
		t.Errorf("%+v", s)
	}
	if !f.got.Follow || f.got.Dropped != "d.json" || f.got.OutputDir != "out" {
		t.Errorf("%+v", f.got)
	}
}

func TestQueryProgress(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	p := queryProgress{w: &b, live: true}
	p.update(QueryProgress{Events: 5, Elapsed: 1e8})
	p.update(QueryProgress{Looking: true, Elapsed: 6e8})
	p.update(QueryProgress{Events: 1234567, Rows: 2, Elapsed: 12e9})
	p.clear()
	if got := b.String(); strings.Contains(got, "5 events") || !strings.Contains(got, "looking") || !strings.Contains(got, "1,234,567 events, 2 rows, 12 s") {
		t.Errorf("%q", got)
	}
	b.Reset()
	p = queryProgress{w: &b}
	p.update(QueryProgress{Events: 5, Elapsed: 11e9})
	p.clear()
	if b.String() != "5 events, 0 rows, 11 s\n" {
		t.Errorf("%q", b.String())
	}
}

func TestQueryHelpFits(t *testing.T) {
	t.Parallel()
	for _, cmd := range []string{"", "run", "check", "explain", "fmt", "test", "shell"} {
		code, out, _, _ := runQueries(t, "", strings.Fields(cmd+" --help")...)
		if code != 0 || cmd != "" && !strings.Contains(out, "Examples:") {
			t.Errorf("%s: exit %d\n%s", cmd, code, out)
		}
		for line := range strings.Lines(out) {
			if utf8.RuneCountInString(strings.TrimRight(line, "\n")) > 80 {
				t.Errorf("%s: %q is too wide", cmd, line)
			}
		}
	}
}
