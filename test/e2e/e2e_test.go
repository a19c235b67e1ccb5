// Package e2e runs the program as its users do: the built binary, its flags,
// its exit codes, its data directories.
package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"millrace/internal/testbinary"
	"millrace/internal/testservice"
	"millrace/ui/report"
)

const solution = "hdinsightkafka-databricks-sqldw"

func TestMain(m *testing.M) { os.Exit(testbinary.Main(m)) }

func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	bin := testbinary.Path(t)
	cmd := exec.CommandContext(t.Context(), bin, args...)
	cmd.Dir = t.TempDir()
	cmd.Env = append(os.Environ(), env...)
	return cmd
}

// run runs the program and returns its output, its errors and its exit code.
func run(t *testing.T, env []string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	cmd := command(t, env, args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatalf("millrace %v: %v", args, err)
	} else if ok && exit.ExitCode() < 0 {
		t.Fatalf("millrace %v: %v\n%s", args, err, errs.String())
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// verdict runs a solution with --json and returns its report.
func verdict(t *testing.T, wantCode int, env []string, args ...string) *report.Report {
	t.Helper()
	out, errs, code := run(t, env, append([]string{"run", solution, "--json"}, args...)...)
	if code != wantCode {
		t.Fatalf("exit code %d, want %d\n%s\n%s", code, wantCode, errs, out)
	}
	r := &report.Report{}
	if err := json.Unmarshal([]byte(out), r); err != nil {
		t.Fatalf("standard output is not one JSON object: %v\n%s", err, out)
	}
	return r
}

// exact fails the test unless n events were sent and each is served once.
func exact(t *testing.T, r *report.Report, n int64) {
	t.Helper()
	e := r.Events
	if e.Unique != n || e.Stored != n || e.Missing+e.Duplicates+e.Unexpected+e.Corrupted+e.OutOfSequence != 0 ||
		e.InjectedDuplicates == 0 || e.DeadLettered != e.Malformed || e.Sent != e.Unique+e.InjectedDuplicates+e.Malformed || !r.Pass {
		t.Errorf("%s: %+v", r.Reason, e)
	}
}

func TestEmbedded(t *testing.T) {
	t.Parallel()
	r := verdict(t, 0, nil, "--events", "30000", "--rate", "0")
	exact(t, r, 30_000)
	if !strings.Contains(r.Engine, "databricks") || !strings.Contains(r.Ingest, "embedded") || !strings.Contains(r.Serve, "DuckDB") {
		t.Errorf("engine %q, ingest %q, serve %q", r.Engine, r.Ingest, r.Serve)
	}
}

// services are a real Kafka and a real PostgreSQL.
func services(t *testing.T) []string {
	return []string{"KAFKA_BROKERS=" + testservice.Kafka(t).Brokers, "SQL_URL=" + testservice.Postgres(t)}
}

func TestKafkaAndPostgres(t *testing.T) {
	t.Parallel()
	r := verdict(t, 0, services(t), "--events", "30000", "--rate", "0", "--cleanup")
	exact(t, r, 30_000)
	if strings.Contains(r.Ingest, "embedded") || !strings.Contains(r.Serve, "PostgreSQL") {
		t.Errorf("ingest %q, serve %q", r.Ingest, r.Serve)
	}
}

func TestKafkaIntoKafka(t *testing.T) {
	t.Parallel()
	exact(t, verdict(t, 0, nil, "--events", "20000", "--rate", "0", "--set", "serve.kind=kafka"), 20_000)
}

// TestMalformed: every malformed input is in the dead letters with its reason,
// in the file as in the topic, and the verdict counts them and nothing else.
func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"file", "topic"} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "d")
			r := verdict(t, 0, nil, "--events", "20000", "--rate", "0", "--malformed", "0.01", "--data-dir", dir,
				"--set", "deadLetters.to="+to, "--set", "simulate.oversizedBytes=40KB", "--set", "process.maxEventBytes=32KB")
			exact(t, r, 20_000)
			if r.Events.Malformed < 100 || r.Events.Malformed > 300 || len(r.DeadLetters.ByReason) < 4 {
				t.Errorf("%d malformed, by reason %v", r.Events.Malformed, r.DeadLetters.ByReason)
			}
		})
	}
}

// TestDisorder: late devices and devices out of order are served like others.
func TestDisorder(t *testing.T) {
	t.Parallel()
	exact(t, verdict(t, 0, nil, "--events", "20000", "--rate", "0", "--set", "simulate.late=0.05", "--set", "simulate.lateBy=2m",
		"--set", "simulate.outOfOrder=0.1"), 20_000)
}

// TestInterruptAndContinue: Ctrl-C leaves a data directory that a second run
// continues, and a finished one is refused.
func TestInterruptAndContinue(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	// Ten seconds of events, of which two or three have passed at the interrupt.
	args := []string{"run", solution, "--events", "20000", "--rate", "2000", "--data-dir", dir, "--json"}
	first := begin(t, nil, args...)
	first.until(t, "millrace_simulate_acknowledged_messages_total", 1)
	first.until(t, "millrace_serve_stored_rows_total", 1)
	if err := first.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait() // the exit code says it
	if code := first.ProcessState.ExitCode(); code != 130 {
		t.Fatalf("interrupted run: exit code %d, want 130\n%s", code, first.errs.String())
	}
	if out, errs, code := run(t, nil, "run", solution, "--events", "500", "--rate", "2000", "--data-dir", dir); code != 2 {
		t.Errorf("other settings on the same directory: exit code %d, want 2\n%s%s", code, out, errs)
	}
	out, all, code := run(t, nil, args...)
	r := &report.Report{}
	if err := json.Unmarshal([]byte(out), r); err != nil {
		t.Fatalf("continued run: exit code %d, %v\n%s", code, err, all)
	}
	e := r.Events
	if e.Stored != 20_000 || e.Missing+e.Duplicates+e.Unexpected+e.Corrupted+e.OutOfSequence != 0 {
		t.Errorf("continued run: %s: %+v", r.Reason, e)
	}
	if code != 0 || !r.Pass || !strings.Contains(r.Reason, "interrupted and continued") {
		t.Errorf("continued run: exit code %d, pass %v: %s", code, r.Pass, r.Reason)
	}
	if _, errs, code := run(t, nil, args...); code != 2 || !strings.Contains(errs, "finished") {
		t.Errorf("finished run again: exit code %d, want 2: %s", code, errs)
	}
	out, errs2, code := run(t, nil, "query", solution, "SELECT count(*) AS n FROM events", "--data-dir", dir, "--csv")
	if code != 0 || !strings.Contains(out, "20000") {
		t.Errorf("query: exit code %d\n%s%s", code, out, errs2)
	}
}

// TestOwnSolution: a folder of the user's own works like a built-in one, with
// the user's own payload.
func TestOwnSolution(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	yaml := `solution: mine
title: Mine
summary: My own payload.
engine: databricks
simulate:
  devices: 10
  templateFile: event.json
ingest: {kind: kafka, topic: mine, partitions: 2}
process: {kind: relay}
serve: {kind: sqldb}
deadLetters: {to: file}
`
	template := `{"eventId":"{{eventId}}","deviceId":"{{deviceId}}","deviceSequenceNumber":{{deviceSequenceNumber}},` +
		`"createdAt":"{{createdAt}}","room":{"floor":{{int 1 9}},"temperature":{{double 15 30}}}}`
	for name, text := range map[string]string{"solution.yaml": yaml, "event.json": template} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	data := filepath.Join(dir, "data")
	out, errs, code := run(t, nil, "run", dir, "--events", "5000", "--rate", "0", "--json", "--data-dir", data)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, errs, out)
	}
	out, errs, code = run(t, nil, "query", dir, "SELECT extra FROM events LIMIT 1", "--data-dir", data, "--json")
	if code != 0 || !strings.Contains(out, "temperature") {
		t.Errorf("query: exit code %d\n%s%s", code, out, errs)
	}
}

// TestMistakes: each mistake gives one clear sentence, a hint and the right
// exit code.
func TestMistakes(t *testing.T) {
	t.Parallel()
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { busy.Close() })
	_, port, _ := net.SplitHostPort(busy.Addr().String())
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	pg := testservice.Postgres(t)
	at := strings.LastIndex(pg, "@")
	wrong := "postgres://millrace:wrong" + pg[at:]
	short := []string{"run", solution, "--events", "100", "--rate", "0"}
	for name, c := range map[string]struct {
		env  []string
		args []string
		code int
		want string
	}{
		"wrong name":         {nil, []string{"run", "hdinsightkafka-databricks-sqlwd"}, 2, "did you mean"},
		"wrong option":       {nil, append(short, "--set", "ingest.partitons=4"), 2, "partitions"},
		"unreachable broker": {[]string{"KAFKA_BROKERS=127.0.0.1:1"}, short, 3, "cannot reach Kafka"},
		"unreachable store":  {[]string{"SQL_URL=postgres://u:p@127.0.0.1:1/d"}, short, 3, "cannot reach PostgreSQL"},
		"wrong password":     {[]string{"SQL_URL=" + wrong}, short, 1, "password"},
		"port in use":        {nil, []string{"local", "kafka", "--port", port, "--data-dir", filepath.Join(t.TempDir(), "k")}, 3, port},
		"metrics port":       {nil, append(short, "--metrics-addr", busy.Addr().String()), 3, "metrics"},
		"data dir is a file": {nil, append(short, "--data-dir", filepath.Join(file, "x")), 1, "data directory"},
		"stage without log":  {nil, []string{"process", solution, "--data-dir", t.TempDir()}, 2, "running kafka"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, errs, code := run(t, c.env, c.args...)
			last := errs[strings.Index(errs, "millrace: ")+1:]
			if code != c.code || !strings.Contains(errs, c.want) || !strings.Contains(errs, "\n  hint: ") ||
				strings.Count(last, "\n") > 3 || strings.Contains(errs, "goroutine") || strings.Contains(errs, "wrong@") || strings.Contains(errs, ":wrong") {
				t.Errorf("exit code %d, want %d with %q and a hint:\n%s%s", code, c.code, c.want, errs, out)
			}
		})
	}
}
