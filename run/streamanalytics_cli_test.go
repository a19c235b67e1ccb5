package run

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/ui/cli"
)

// asa runs a command line in a folder of files.
func asa(t *testing.T, dir, stdin string, args ...string) (code int, out, errs string) {
	t.Helper()
	for i, a := range args {
		args[i] = strings.ReplaceAll(a, "DIR", dir)
	}
	var o, e bytes.Buffer
	code = cli.Run(t.Context(), cli.Env{Args: append([]string{"streamanalytics"}, args...), Stdin: strings.NewReader(stdin), Stdout: &o, Stderr: &e,
		Getenv: func(string) string { return "" }, Registry: Registry(), Stages: Stages()})
	return code, strings.ReplaceAll(o.String(), dir+"/", ""), strings.ReplaceAll(e.String(), dir+"/", "")
}

const asaEvents = `{"device":"a","t":"2026-01-01T00:00:01Z","temp":20.5}
{"device":"b","t":"2026-01-01T00:00:11Z","temp":"hot"}
{"device":"a","t":"2026-01-01T00:00:04Z","temp":21.5}
`

// The commands as their page shows them, over the real engine.
func TestStreamAnalyticsCommands(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"events.json":  asaEvents,
		"q.asaql":      "SELECT device, COUNT(*), System.Timestamp() AS at\nFROM Input TIMESTAMP BY t\nGROUP BY device, TumblingWindow(second, 10)\n",
		"two.asaql":    "WITH s AS (SELECT d.room, udf.twice(i.temp) AS x FROM Input i TIMESTAMP BY t JOIN Devices d ON i.device = d.device)\nSELECT * INTO a FROM s WHERE room = 'r1'\nSELECT room INTO b FROM s WHERE room = 'none'\n",
		"cast.asaql":   "SELECT CAST(temp AS float) AS x\nFROM Input TIMESTAMP BY t\n",
		"wrong.asaql":  "SELECT device FRM Input\n",
		"devices.csv":  "device,room\na,r1\nb,r2\n",
		"f.js":         "function twice(x) { return typeof x === 'number' ? 2 * x : null; }",
		"c/good.txtar": "Good.\n-- query.asaql --\nSELECT a FROM i\n-- in/i.json --\n{\"a\":1}\n-- out/output.json --\n{\"a\":1.0}\n",
		"c/bad.txtar":  "Bad.\n-- query.asaql --\nSELECT a FROM i\n-- in/i.json --\n{\"a\":1}\n-- out/output.json --\n{\"a\":2}\n",
		"c/none.txtar": "None.\n-- query.asaql --\nSELECT a FROM i\n",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const in = "Input=DIR/events.json"
	for _, tt := range []struct {
		name      string
		stdin     string
		args      []string
		code      int
		out, errs string
		files     map[string]string
	}{
		{name: "run", args: []string{"run", "--query", "DIR/q.asaql", "--input", in, "--output-dir", "DIR/o1"}, errs: "output               2 rows  o1/output.json\n3 events in ",
			files: map[string]string{"o1/output.json": `{"device":"a","count":2,"at":"2026-01-01T00:00:10.0000000Z"}` + "\n" + `{"device":"b","count":1,"at":"2026-01-01T00:00:20.0000000Z"}` + "\n"}},
		{name: "several outputs", args: []string{"run", "DIR/two.asaql", "--input", in, "--reference", "Devices=DIR/devices.csv", "--udf", "DIR/f.js", "--output-dir", "DIR/o2", "--quiet"},
			files: map[string]string{"o2/a.json": "{\"room\":\"r1\",\"x\":41}\n{\"room\":\"r1\",\"x\":43}\n", "o2/b.json": ""}},
		{name: "standard input", stdin: asaEvents, args: []string{"run", "DIR/q.asaql", "-i", "Input=-", "--quiet", "--out-of-order", "10s"},
			out: `{"device":"a","count":2,"at":"2026-01-01T00:00:10.0000000Z"}` + "\n" + `{"device":"b","count":1,"at":"2026-01-01T00:00:20.0000000Z"}` + "\n"},
		{name: "a job that fails", args: []string{"run", "DIR/cast.asaql", "-i", in, "-o", "DIR/o3", "--quiet"}, code: 1,
			errs:  "    SELECT CAST(temp AS float) AS x\n           ^\nmillrace: cast.asaql: line 1, column 8: ",
			files: map[string]string{"o3/output.json": "{\"x\":20.5}\n{\"x\":21.5}\n"}},
		{name: "the failed event", args: []string{"run", "DIR/cast.asaql", "-i", in, "--quiet"}, code: 1, out: "{\"x\":20.5}\n{\"x\":21.5}\n", errs: "(at the event in events.json:2)"},
		{name: "a wrong query", args: []string{"run", "DIR/wrong.asaql", "-i", in, "-o", "DIR/o4"}, code: 2,
			errs: "wrong.asaql:1:15: ", files: map[string]string{}},
		{name: "no input", args: []string{"run", "DIR/q.asaql", "-i", "Inputs=DIR/events.json"}, code: 2, errs: "there is no file for the input Input"},
		{name: "check", args: []string{"check", "DIR/q.asaql"}, out: "q.asaql: nothing is wrong\n"},
		{name: "explain", args: []string{"explain", "DIR/q.asaql"}, out: "tumbling 10 seconds"},
		{name: "explain JSON", args: []string{"explain", "DIR/q.asaql", "--json"}, out: "{\n  \""},
		{name: "fmt", args: []string{"fmt", "DIR/q.asaql"}, out: "SELECT"},
		{name: "test", args: []string{"test", "DIR/c"}, code: 1, out: "FAIL  bad.txtar\n      Bad.\n      output output: 1 row expected, 1 came\n        - {\"a\":2}\n        + {\"a\":1}\nFAIL  none.txtar\n      None.\n      none.txtar: it expects nothing: there is neither out/NAME.json nor error\n1 passed, 2 failed"},
		{name: "test one", args: []string{"test", "DIR/c/good.txtar"}, out: "1 passed, 0 failed"},
		{name: "test nothing", args: []string{"test", "DIR/nowhere"}, code: 2, errs: "there is no folder or file nowhere"},
		{name: "shell", stdin: "SELECT device FROM Input\nWHERE device = 'b';\nSELECT nothing FRM x;\n", args: []string{"shell", "--input", in}, out: "{\"device\":\"b\"}\n1 row of 3 events", errs: "query:1:16: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, out, errs := asa(t, dir, tt.stdin, tt.args...)
			if code != tt.code || !strings.Contains(out, tt.out) || !strings.Contains(errs, tt.errs) {
				t.Errorf("exit %d, want %d\nout  %q\nwant %q\nerr  %q\nwant %q", code, tt.code, out, tt.out, errs, tt.errs)
			}
			for name, want := range tt.files {
				if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
					t.Errorf("%s: %q, %v, want %q", name, b, err, want)
				}
			}
		})
	}
	if _, err := os.Stat(filepath.Join(dir, "o4")); err == nil {
		t.Error("a wrong query has made its output folder")
	}
}
