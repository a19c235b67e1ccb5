package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"millrace/connector"
	"millrace/internal/solution"
)

// logConfig and storeConfig are connectors that only have options.
type logConfig struct {
	Brokers    string `yaml:"brokers" env:"KAFKA_BROKERS" doc:"addresses"`
	Partitions int    `yaml:"partitions" min:"1" doc:"partitions"`
	Password   string `yaml:"password" env:"KAFKA_PASSWORD" secret:"true" doc:"password"`
}

func (c *logConfig) Validate() []error   { return nil }
func (c *logConfig) Address() string     { return c.Brokers }
func (c *logConfig) SetAddress(a string) { c.Brokers = a }
func (c *logConfig) Open(context.Context, connector.Env) (connector.Log, error) {
	return nil, errors.New("not in tests")
}
func (c *logConfig) OpenDeadLetters(context.Context, connector.Env, string) (connector.DeadLetters, error) {
	return nil, nil
}

type storeConfig struct {
	URL string `yaml:"url" env:"SQL_URL" doc:"address"`
}

func (c *storeConfig) Validate() []error   { return nil }
func (c *storeConfig) Address() string     { return c.URL }
func (c *storeConfig) SetAddress(a string) { c.URL = a }
func (c *storeConfig) Open(context.Context, connector.Env) (connector.Store, error) {
	return nil, errors.New("not in tests")
}
func (c *storeConfig) Ping(_ context.Context, env connector.Env) error {
	if strings.Contains(c.URL, "wrong") {
		return &connector.Unreachable{What: "SQL at " + c.URL, Hint: "start it", Err: errors.New("connection refused")}
	}
	if strings.Contains(c.URL, "refused") {
		return &connector.Hinted{Hint: "check the key", Err: errors.New("SQL refuses the key")}
	}
	return nil
}

type simConfig struct {
	Rate     float64            `yaml:"rate" min:"0" doc:"Events a second"`
	Duration connector.Duration `yaml:"duration" doc:"how long"`
	Events   int64              `yaml:"events" min:"0" doc:"how many"`
	Seed     uint64             `yaml:"seed" doc:"seed"`
}

const demo = `solution: demo
title: Demo
summary: A solution that is here so that there is one, with a sentence that is long enough for two lines.
engine: databricks
simulate: {rate: 1000, duration: 60s}
ingest: {partitions: 4}
scales:
  1: {rate: 1000}
  10: {rate: 10000, set: {ingest.partitions: 16}}
`

func testEnv(args ...string) (Env, *bytes.Buffer, *bytes.Buffer) {
	var out, errs bytes.Buffer
	return Env{
		Args: args, Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" },
		Builtin: fstest.MapFS{
			"demo/solution.yaml": {Data: []byte(demo)},
			"demo/README.md":     {Data: []byte("# Demo\n\nSome **bold** text that goes\non.\n\n| a | b |\n| --- | --- |\n| 1 | two |\n\n```\n  code   as it is\n```\n\n- one\n  more\n- two\n")},
		},
		Registry: solution.Registry{
			Ingest:   map[string]func() connector.LogConfig{"kafka": func() connector.LogConfig { return &logConfig{Partitions: 1} }},
			Process:  map[string]func() any{"relay": func() any { return &struct{}{} }},
			Serve:    map[string]func() connector.StoreConfig{"sqldb": func() connector.StoreConfig { return &storeConfig{} }},
			Simulate: func() any { return &simConfig{} },
		},
		Version: Version{"1.0", "abc", "go1.26"},
	}, &out, &errs
}

func passed(Request) (*Outcome, error) {
	return &Outcome{Pass: true,
		Text: func(w io.Writer, columns int) error {
			_, err := fmt.Fprintf(w, "PASS in %d columns\n", columns)
			return err
		},
		JSON: func(w io.Writer) error { _, err := io.WriteString(w, `{"pass":true}`+"\n"); return err },
		HTML: func(w io.Writer) error { _, err := io.WriteString(w, "<html>"); return err },
	}, nil
}

func TestRunResolvesFlagsAndEnvironment(t *testing.T) {
	t.Parallel()
	e, out, errs := testEnv("run", "demo", "-t", "10", "--rate", "5000", "--events", "1e6", "--seed", "7", "--steps", "vpt", "--data-dir", "d", "--run", "r1",
		"--set", "ingest.partitions=8", "--metrics-addr", "127.0.0.1:0", "--cleanup", "--quiet")
	e.Getenv = func(k string) string { return map[string]string{"KAFKA_BROKERS": "h:1"}[k] }
	var got Request
	e.Stages.Run = func(_ context.Context, r Request) (*Outcome, error) {
		got = r
		fmt.Fprintln(r.Progress, "noise")
		return passed(r)
	}
	if code := Run(context.Background(), e); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	sim, in := got.Solution.Simulate.(*simConfig), got.Solution.Ingest.(*logConfig)
	if sim.Rate != 5000 || sim.Events != 1_000_000 || sim.Seed != 7 || in.Partitions != 8 || in.Brokers != "h:1" {
		t.Errorf("simulate %+v, ingest %+v", sim, in)
	}
	if got.Steps != "PTV" || got.DataDir != "d" || got.Run != "r1" || !got.Cleanup || got.MetricsAddr != "127.0.0.1:0" || got.Instances != 1 {
		t.Errorf("request %+v", got)
	}
	if out.String() != "PASS in 80 columns\n" || errs.Len() != 0 {
		t.Errorf("out %q, err %q", out, errs)
	}
}

func TestJSONKeepsStdoutForTheReport(t *testing.T) {
	t.Parallel()
	page := filepath.Join(t.TempDir(), "r.html")
	e, out, errs := testEnv("run", "demo", "--json", "--report", page)
	e.Stages.Run = func(_ context.Context, r Request) (*Outcome, error) {
		fmt.Fprintln(r.Progress, "working")
		return passed(r)
	}
	if code := Run(context.Background(), e); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	if !json.Valid(out.Bytes()) {
		t.Errorf("stdout is not JSON: %q", out)
	}
	if !strings.Contains(errs.String(), "working") || !strings.Contains(errs.String(), "PASS") {
		t.Errorf("stderr %q", errs)
	}
	if b, err := os.ReadFile(page); err != nil || string(b) != "<html>" {
		t.Errorf("report %q, %v", b, err)
	}
}

func TestExitCodesAndSentences(t *testing.T) {
	t.Parallel()
	port := &connector.Unreachable{What: "Kafka at h:1", Hint: "is it running?", Err: errors.New("connection refused")}
	stage := func(err error) func(context.Context, Request) (*Outcome, error) {
		return func(context.Context, Request) (*Outcome, error) { return nil, err }
	}
	tests := map[string]struct {
		args []string
		run  func(context.Context, Request) (*Outcome, error)
		code int
		want []string
	}{
		"no such solution":  {[]string{"run", "dmo"}, nil, 2, []string{"millrace: no solution `dmo`; did you mean `demo`?", "  hint: `millrace list` shows all"}},
		"no solution":       {[]string{"run"}, nil, 2, []string{"millrace run needs the name of a solution", "millrace list"}},
		"two solutions":     {[]string{"run", "demo", "demo"}, nil, 2, []string{"takes one solution"}},
		"no such command":   {[]string{"rum", "demo"}, nil, 2, []string{"there is no command `rum`; did you mean `run`?"}},
		"no such flag":      {[]string{"run", "demo", "--rat", "5"}, nil, 2, []string{"unknown flag: --rat", "--help"}},
		"bad value":         {[]string{"run", "demo", "--rate", "fast"}, nil, 2, []string{"--rate: simulate.rate must be a number, not `fast`"}},
		"bad minimum":       {[]string{"run", "demo", "--rate", "-1"}, nil, 2, []string{"must be at least 0"}},
		"both":              {[]string{"run", "demo", "--duration", "5s", "--events", "5"}, nil, 2, []string{"duration events"}},
		"no such scale":     {[]string{"run", "demo", "-t", "5"}, nil, 2, []string{"-t 5: this solution has no such scale; it has 1, 10"}},
		"scale 0":           {[]string{"run", "demo", "-t", "0"}, nil, 2, []string{"-t must be"}},
		"set":               {[]string{"run", "demo", "--set", "ingest.partitons=4"}, nil, 2, []string{"did you mean `ingest.partitions`?"}},
		"set form":          {[]string{"run", "demo", "--set", "ingest"}, nil, 2, []string{"--set: `ingest` is not path=value"}},
		"set secret":        {[]string{"run", "demo", "--set", "ingest.password=hush"}, nil, 2, []string{"is a secret", "hint: set the environment variable KAFKA_PASSWORD"}},
		"steps":             {[]string{"run", "demo", "--steps", "CIX"}, nil, 2, []string{"--steps knows no `X`"}},
		"no steps":          {[]string{"run", "demo", "--steps", ""}, nil, 2, []string{"--steps is empty"}},
		"report folder":     {[]string{"run", "demo", "--report", "/no/such/folder/x.html"}, nil, 2, []string{"there is no folder /no/such/folder"}},
		"metrics address":   {[]string{"run", "demo", "--metrics-addr", "9100"}, nil, 2, []string{"is not host:port"}},
		"failed":            {[]string{"run", "demo"}, stage(errors.New("disk full")), 1, []string{"millrace: disk full\n"}},
		"hinted":            {[]string{"run", "demo"}, stage(fmt.Errorf("storing: %w", &connector.Hinted{Hint: "make room", Err: errors.New("disk\nfull")})), 1, []string{"millrace: storing: disk; full\n  hint: make room\n"}},
		"unreachable":       {[]string{"run", "demo"}, stage(fmt.Errorf("starting: %w", port)), 3, []string{"cannot reach Kafka at h:1: connection refused", "hint: is it running?"}},
		"joined":            {[]string{"run", "demo"}, stage(errors.Join(errors.New("first"), port)), 3, []string{"hint: is it running?"}},
		"usage from below":  {[]string{"run", "demo"}, stage(&UsageError{Err: errors.New("in use"), Hint: "wait"}), 2, []string{"millrace: in use\n  hint: wait\n"}},
		"cancelled inside":  {[]string{"run", "demo"}, stage(context.Canceled), 1, []string{"millrace: context canceled"}},
		"password in error": {[]string{"run", "demo"}, stage(errors.New("dial postgres://u:hush@h/db failed")), 1, []string{"postgres://u:***@h/db"}},
		"missed": {[]string{"run", "demo"}, func(context.Context, Request) (*Outcome, error) {
			return &Outcome{Missed: 2}, nil
		}, 99, nil},
	}
	for name, tt := range tests {
		e, out, errs := testEnv(tt.args...)
		e.Stages.Run = tt.run
		if tt.run == nil {
			e.Stages.Run = func(context.Context, Request) (*Outcome, error) {
				t.Errorf("%s: the stages were started", name)
				return nil, nil
			}
		}
		if code := Run(context.Background(), e); code != tt.code {
			t.Errorf("%s: exit %d, want %d (%s)", name, code, tt.code, errs)
		}
		for _, want := range tt.want {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q is not in %q", name, want, errs)
			}
		}
		if tt.want == nil && errs.Len() > 0 {
			t.Errorf("%s: stderr %q", name, errs)
		}
		if strings.Contains(errs.String(), "hush") || strings.Contains(errs.String(), "Usage:") || out.Len() > 0 {
			t.Errorf("%s: too much is printed: %q %q", name, out, errs)
		}
	}
}

func TestInterruptExits130(t *testing.T) {
	t.Parallel()
	e, _, errs := testEnv("run", "demo")
	ctx, cancel := context.WithCancel(context.Background())
	e.Stages.Run = func(ctx context.Context, _ Request) (*Outcome, error) {
		cancel()
		<-ctx.Done()
		return nil, fmt.Errorf("waiting for the store: %w", ctx.Err())
	}
	if code := Run(ctx, e); code != 130 || errs.String() != "millrace: interrupted\n" {
		t.Errorf("exit %d, %q", code, errs)
	}
}

func TestCommandsWithoutStagesAreNotListed(t *testing.T) {
	t.Parallel()
	e, out, _ := testEnv("help")
	Run(context.Background(), e)
	for _, absent := range []string{"run ", "simulate", "process ", "query", "local"} {
		if strings.Contains(out.String(), "\n  "+absent) {
			t.Errorf("%s is listed:\n%s", absent, out)
		}
	}
	e, out, _ = testEnv("run", "--help")
	e.Stages.Run = func(context.Context, Request) (*Outcome, error) { return nil, nil }
	Run(context.Background(), e)
	if !strings.Contains(out.String(), "--rate number") || strings.Contains(out.String(), "--devices") {
		t.Errorf("flags do not follow the catalogue:\n%s", out)
	}
}

// TestHelpFits: every command's help fits a terminal of 80 columns.
func TestHelpFits(t *testing.T) {
	t.Parallel()
	outcome := func(context.Context, Request) (*Outcome, error) { return nil, nil }
	nothing := func(context.Context, Request) error { return nil }
	full := func(args ...string) (Env, *bytes.Buffer) {
		e, out, _ := testEnv(args...)
		e.Stages = Stages{Run: outcome, Simulate: outcome, Process: nothing, Verify: outcome, Metrics: nothing,
			Query: func(context.Context, Request, string) (connector.Rows, error) { return nil, nil },
			Locals: []Local{{Name: "kafka", Short: "A log", Port: 9092}, {Name: "eventhubs", Short: "Hubs", Port: 5672, Address: "EVENTHUBS_CONNECTION_STRING",
				Flags:   []LocalFlag{{Name: "checkpoints", Doc: "`place` where clients keep checkpoints, with a text that is longer than a line", Kind: TextFlag}},
				Explore: func(ExploreOptions) (Hubs, error) { return nil, nil }}}}
		return e, out
	}
	e, _ := full()
	root := (&app{Env: e, loader: solution.Loader{Builtin: e.Builtin, Registry: e.Registry}}).root()
	paths := [][]string{{}}
	for i := 0; i < len(paths); i++ {
		cmd, _, err := root.Find(paths[i])
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range cmd.Commands() {
			paths = append(paths, append(slices.Clone(paths[i]), c.Name()))
		}
	}
	if len(paths) < 24 {
		t.Fatalf("only %d commands", len(paths))
	}
	for _, path := range paths {
		e, out := full(append(path, "--help")...)
		if code := Run(context.Background(), e); code != 0 {
			t.Errorf("%v --help: exit %d", path, code)
		}
		for line := range strings.Lines(out.String()) {
			if len([]rune(line)) > 81 {
				t.Errorf("%v --help has a long line: %q", path, line)
			}
		}
	}
}

func TestPrintConfigStartsNothing(t *testing.T) {
	t.Parallel()
	e, out, errs := testEnv("run", "demo", "--print-config", "-t", "10", "--rate", "7")
	e.Getenv = func(k string) string { return map[string]string{"KAFKA_PASSWORD": "hush"}[k] }
	e.Stages.Run = func(context.Context, Request) (*Outcome, error) { t.Error("started"); return nil, nil }
	if code := Run(context.Background(), e); code != 0 {
		t.Fatalf("exit %d: %s", code, errs)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"rate: 7 # --rate", "partitions: 16 # -t 10", `password: "***" # environment KAFKA_PASSWORD`, "duration: 1m0s # solution.yaml:5"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, out)
		}
	}
}

func TestListAndDescribe(t *testing.T) {
	t.Parallel()
	e, out, _ := testEnv("list")
	if code := Run(context.Background(), e); code != 0 || !strings.HasPrefix(out.String(), "demo\n    A solution that is") {
		t.Errorf("list: %d %q", code, out)
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if len(line) > 80 {
			t.Errorf("%q is wider than 80", line)
		}
	}
	e, out, _ = testEnv("describe", "demo")
	want := "Demo\n====\n\nSome bold text that goes on.\n\na  b\n-  ---\n1  two\n\n  code   as it is\n\n- one more\n- two\n"
	if code := Run(context.Background(), e); code != 0 || out.String() != want {
		t.Errorf("describe: %d\n%s", code, out)
	}
	e, out, _ = testEnv("describe", "demo", "--raw")
	if Run(context.Background(), e); !strings.HasPrefix(out.String(), "# Demo") {
		t.Errorf("raw: %q", out)
	}
	for _, args := range [][]string{{"schema"}, {"describe", "--schema"}, {"list", "--json"}} {
		e, out, _ = testEnv(args...)
		if code := Run(context.Background(), e); code != 0 || !json.Valid(out.Bytes()) {
			t.Errorf("%v: %d %q", args, code, out)
		}
	}
	e, out, _ = testEnv("version")
	if Run(context.Background(), e); out.String() != "millrace 1.0 (commit abc, go1.26)\n" {
		t.Errorf("version: %q", out)
	}
}

func TestCompletionKnowsSolutions(t *testing.T) {
	t.Parallel()
	e, out, _ := testEnv("__complete", "describe", "")
	if code := Run(context.Background(), e); code != 0 || !strings.Contains(out.String(), "demo\tA solution") {
		t.Errorf("%d %q", code, out)
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		e, out, errs := testEnv("completion", shell)
		if code := Run(context.Background(), e); code != 0 || out.Len() < 500 {
			t.Errorf("%s: %d %s", shell, code, errs)
		}
	}
}

func TestInstanceIsChecked(t *testing.T) {
	t.Parallel()
	for arg, ok := range map[string]bool{"2/5": true, "1/1": true, "0/5": false, "6/5": false, "2": false, "a/b": false, "": false, "-1/2": false} {
		e, _, errs := testEnv("simulate", "demo", "--instance", arg)
		var got Request
		e.Stages.Simulate = func(_ context.Context, r Request) (*Outcome, error) { got = r; return nil, nil }
		code := Run(context.Background(), e)
		if (code == 0) != ok || !ok && code != 2 {
			t.Errorf("%q: exit %d %s", arg, code, errs)
		}
		if arg == "2/5" && (got.Instance != 2 || got.Instances != 5) {
			t.Errorf("%q: %+v", arg, got)
		}
	}
}

type fakeRows struct {
	columns []string
	rows    [][]any
	closed  bool
}

func (r *fakeRows) Columns() []string { return r.columns }
func (r *fakeRows) Next(context.Context) ([]any, error) {
	if len(r.rows) == 0 {
		return nil, io.EOF
	}
	row := r.rows[0]
	r.rows = r.rows[1:]
	return row, nil
}
func (r *fakeRows) Close() error { r.closed = true; return nil }

func TestQueryForms(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 5, 6, 7, 8, 9, 123456000, time.UTC)
	rows := func() *fakeRows {
		return &fakeRows{columns: []string{"n", "name", "at"}, rows: [][]any{
			{int64(1), "a,\x1b[2J", at}, {int64(22), nil, nil}, {nil, []byte{0xff}, at}}}
	}
	tests := map[string]struct {
		flag    string
		columns int
		want    string
	}{
		"table":  {"", 0, ""},
		"narrow": {"", 30, ""},
		"json": {"--json", 0, `{"n":1,"name":"a,\u001b[2J","at":"2024-05-06T07:08:09.123456Z"}` + "\n" +
			`{"n":22,"name":null,"at":null}` + "\n" + `{"n":null,"name":"0xff","at":"2024-05-06T07:08:09.123456Z"}` + "\n"},
		"csv": {"--csv", 0, "n,name,at\n1,\"a,\x1b[2J\",2024-05-06T07:08:09.123456Z\n22,,\n,0xff,2024-05-06T07:08:09.123456Z\n"},
	}
	for name, tt := range tests {
		args := []string{"query", "demo", "SELECT 1"}
		if tt.flag != "" {
			args = append(args, tt.flag)
		}
		e, out, errs := testEnv(args...)
		e.Columns = tt.columns
		r := rows()
		e.Stages.Query = func(_ context.Context, _ Request, text string) (connector.Rows, error) {
			if text != "SELECT 1" {
				t.Errorf("query %q", text)
			}
			return r, nil
		}
		if code := Run(context.Background(), e); code != 0 || !r.closed {
			t.Errorf("%s: exit %d, closed %v: %s", name, code, r.closed, errs)
		}
		if tt.want != "" && out.String() != tt.want {
			t.Errorf("%s:\n%q\nwant\n%q", name, out, tt.want)
		}
		if tt.flag == "" {
			if strings.Contains(out.String(), "\x1b") || !strings.HasSuffix(out.String(), "(3 rows)\n") {
				t.Errorf("%s: %q", name, out)
			}
			for _, line := range strings.Split(out.String(), "\n") {
				if tt.columns > 0 && len([]rune(line)) > tt.columns {
					t.Errorf("%s: %q is too wide", name, line)
				}
			}
		}
	}
}

func TestTableOfManyRowsStreams(t *testing.T) {
	t.Parallel()
	r := &fakeRows{columns: []string{"n"}}
	for i := range 3 * tableSample {
		r.rows = append(r.rows, []any{int64(i)})
	}
	var out bytes.Buffer
	if err := rowsTable(context.Background(), &out, r, 80); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(out.String(), "\n"); n != 3*tableSample+3 {
		t.Errorf("%d lines", n)
	}
}

type fakeStandin struct{ closed bool }

func (s *fakeStandin) Address() string { return "127.0.0.1:19092" }
func (s *fakeStandin) Close() error    { s.closed = true; return nil }

func TestLocalServesUntilStopped(t *testing.T) {
	t.Parallel()
	e, out, errs := testEnv("local", "kafka", "--port", "0", "--data-dir", "d")
	ctx, cancel := context.WithCancel(context.Background())
	s := &fakeStandin{}
	var got LocalOptions
	e.Stages.Locals = []Local{{Name: "kafka", Short: "a log", Port: 9092, Address: "KAFKA_BROKERS",
		Start: func(_ context.Context, o LocalOptions) (connector.Standin, error) {
			got = o
			time.AfterFunc(10*time.Millisecond, cancel)
			return s, nil
		}}}
	if code := Run(ctx, e); code != 0 || !s.closed || got.Port != 0 || got.DataDir != "d" {
		t.Errorf("exit %d, closed %v, %+v: %s", code, s.closed, got, errs)
	}
	if !strings.Contains(out.String(), "export KAFKA_BROKERS=127.0.0.1:19092") {
		t.Errorf("out %q", out)
	}
	e2, _, errs2 := testEnv("local", "kafak")
	e2.Stages = e.Stages
	if code := Run(context.Background(), e2); code != 2 || !strings.Contains(errs2.String(), "did you mean `kafka`?") {
		t.Errorf("exit %d: %s", code, errs2)
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := closed.Addr().String()
	closed.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		brokers, url, dir string
		code              int
		want              []string
	}{
		"embedded":  {"", "", t.TempDir(), 0, []string{"cores", "disk writes", "ingest: kafka", "embedded (no address is configured)"}},
		"answers":   {l.Addr().String(), "postgres://u:hush@h/db", t.TempDir(), 0, []string{"accepts connections", "postgres://u:***@h/db answers"}},
		"nobody":    {nobody, "", t.TempDir(), 3, []string{"FAIL", "hint: check that the service runs"}},
		"wrong":     {"", "wrong", t.TempDir(), 3, []string{"FAIL", "hint: start it"}},
		"refused":   {"", "refused", t.TempDir(), 2, []string{"FAIL", "refuses the key", "hint: check the key"}},
		"not there": {"", "", filepath.Join(t.TempDir(), "a", "b"), 0, []string{"disk writes"}},
		"a file":    {"", "", file, 1, []string{"is not a folder"}},
	}
	for name, tt := range tests {
		e, out, errs := testEnv("doctor", "--data-dir", tt.dir)
		e.Getenv = func(k string) string { return map[string]string{"KAFKA_BROKERS": tt.brokers, "SQL_URL": tt.url}[k] }
		if code := Run(context.Background(), e); code != tt.code {
			t.Errorf("%s: exit %d, want %d: %s", name, code, tt.code, errs)
		}
		for _, want := range tt.want {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is not in:\n%s", name, want, out)
			}
		}
		if strings.Contains(out.String()+errs.String(), "hush") {
			t.Errorf("%s: the password is shown:\n%s", name, out)
		}
		left, err := filepath.Glob(filepath.Join(tt.dir, "*"))
		if err != nil || len(left) > 0 {
			t.Errorf("%s: left behind: %v %v", name, left, err)
		}
	}
}

// A duration asked for on the command line holds although the file counts
// events.
func TestDurationWinsOverEventsOfTheFile(t *testing.T) {
	t.Parallel()
	e, _, errs := testEnv("run", "demo", "--duration", "5s", "--set", "simulate.events=100")
	var got *simConfig
	e.Stages.Run = func(_ context.Context, r Request) (*Outcome, error) {
		got = r.Solution.Simulate.(*simConfig)
		return nil, nil
	}
	if code := Run(context.Background(), e); code != 0 || got.Events != 0 || got.Duration.D() != 5*time.Second {
		t.Errorf("exit %d, %+v: %s", code, got, errs)
	}
}
