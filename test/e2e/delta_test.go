package e2e

import (
	"encoding/json"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"millrace/internal/testservice"
	"millrace/ui/report"
)

const intoDelta = "eventhubs-databricks-delta"

// appended runs the solution as fast as it goes, and expects each event once,
// copies dropped before the table.
func appended(t *testing.T, env []string, n int64, args ...string) *report.Report {
	t.Helper()
	r := judged(t, 0, env, append([]string{"run", intoDelta, "--json", "--rate", "0", "--malformed", "0.001",
		"--events", strconv.FormatInt(n, 10), "--set", "ingest.throughputUnits=0"}, args...)...)
	exact(t, r, n)
	if h := r.DuplicatesHandled; h == nil || h.Process < r.Events.InjectedDuplicates {
		t.Errorf("duplicates were handled %+v, injected %d", h, r.Events.InjectedDuplicates)
	}
	return r
}

// TestDeltaEmbedded: nothing installed; the table answers SQL about now and
// about its past, and is looked after by command.
func TestDeltaEmbedded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	r := appended(t, nil, 20_000, "--data-dir", dir, "--set", "serve.compactAfter=0", "--set", "serve.maxRows=2000")
	if !strings.Contains(r.Serve, "delta table") || r.Engine != "embedded (for databricks)" {
		t.Errorf("engine %q, serve %q", r.Engine, r.Serve)
	}
	const count = "SELECT count(DISTINCT eventId) FROM events"
	if got := asked(t, intoDelta, count, dir); got != "20000" {
		t.Errorf("%s events", got)
	}
	tend := func(args ...string) string {
		t.Helper()
		out, errs, code := run(t, nil, append(append([]string{"delta"}, args...), "--data-dir", dir, "--json")...)
		if code != 0 {
			t.Fatalf("%v: exit code %d\n%s%s", args, code, out, errs)
		}
		return out
	}
	files := func() int {
		t.Helper()
		var detail struct {
			Files int `json:"numFiles"`
		}
		if err := json.Unmarshal([]byte(tend("detail", intoDelta)), &detail); err != nil {
			t.Fatal(err)
		}
		return detail.Files
	}
	before := files()
	tend("optimize", intoDelta)
	tend("checkpoint", intoDelta)
	if after := files(); after >= before {
		t.Errorf("%d files before OPTIMIZE, %d after it", before, after)
	}
	if got := asked(t, intoDelta, count, dir); got != "20000" {
		t.Errorf("%s events after OPTIMIZE", got)
	}
	out, errs, code := run(t, nil, "query", intoDelta, count, "--at", "0", "--data-dir", dir, "--csv")
	if lines := strings.Fields(out); code != 0 || lines[len(lines)-1] != "0" {
		t.Errorf("the table as it was made: exit code %d\n%s%s", code, out, errs)
	}
}

// TestDeltaOnAzurite: the table is in blob storage.
func TestDeltaOnAzurite(t *testing.T) {
	t.Parallel()
	dir, env := filepath.Join(t.TempDir(), "d"), []string{"STORAGE_CONNECTION_STRING=" + testservice.Azurite(t)}
	appended(t, env, 20_000, "--data-dir", dir)
	out, errs, code := run(t, env, "query", intoDelta, "SELECT count(*) FROM events", "--data-dir", dir, "--csv")
	if lines := strings.Fields(out); code != 0 || lines[len(lines)-1] != "20000" {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}
