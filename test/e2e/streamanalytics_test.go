package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"millrace/internal/testservice"
	"millrace/ui/report"
)

const byQuery = "eventhubs-streamanalytics-"

// queried runs a solution as fast as it goes, and expects each event once.
func queried(t *testing.T, solution string, env []string, n int64, args ...string) *report.Report {
	t.Helper()
	r := judged(t, 0, env, append([]string{"run", byQuery + solution, "--json", "--rate", "0", "--malformed", "0.001",
		"--events", strconv.FormatInt(n, 10), "--set", "ingest.throughputUnits=0"}, args...)...)
	exact(t, r, n)
	if r.Engine != "embedded (for streamanalytics)" || !strings.Contains(r.Ingest, "eventhubs") {
		t.Errorf("ingest %q, engine %q", r.Ingest, r.Engine)
	}
	return r
}

// TestQueryIntoSQL: nothing installed, then PostgreSQL; the store answers its
// SQL.
func TestQueryIntoSQL(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		dir := filepath.Join(t.TempDir(), "d")
		r := queried(t, "azuresql", nil, 20_000, "--data-dir", dir)
		if h := r.DuplicatesHandled; h == nil || h.Store < r.Events.InjectedDuplicates {
			t.Errorf("duplicates were handled %+v, injected %d", h, r.Events.InjectedDuplicates)
		}
		if got := asked(t, byQuery+"azuresql", "SELECT count(DISTINCT eventId) FROM events", dir); got != "20000" {
			t.Errorf("%s events", got)
		}
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		queried(t, "azuresql", []string{"SQL_URL=" + testservice.Postgres(t)}, 20_000, "--cleanup")
	})
}

// TestQueryIntoCosmosDB: nothing installed.
func TestQueryIntoCosmosDB(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	r := queried(t, "cosmosdb", nil, 20_000, "--data-dir", dir, "--set", "serve.throughput=50000")
	if h := r.DuplicatesHandled; h == nil || h.Store < r.Events.InjectedDuplicates {
		t.Errorf("duplicates were handled %+v, injected %d", h, r.Events.InjectedDuplicates)
	}
	if got := asked(t, byQuery+"cosmosdb", "SELECT COUNT(1) AS n FROM c", dir); got != "20000" {
		t.Errorf("%s items", got)
	}
}

// TestQueryIntoEventHubs: both variants, from one embedded namespace into
// another. A hub keeps what it gets, so copies are dropped before the query.
func TestQueryIntoEventHubs(t *testing.T) {
	t.Parallel()
	for _, query := range []string{"relay", "anomalydetection"} {
		t.Run(query, func(t *testing.T) {
			t.Parallel()
			r := queried(t, "eventhubs", nil, 20_000, "--set", "process.query="+query+".asaql", "--set", "serve.throughputUnits=0")
			if h := r.DuplicatesHandled; h == nil || h.Process != r.Events.InjectedDuplicates || h.Store != 0 {
				t.Errorf("duplicates were handled %+v, injected %d", h, r.Events.InjectedDuplicates)
			}
			if !strings.Contains(r.Serve, "eventhubs") {
				t.Errorf("serve %q", r.Serve)
			}
		})
	}
}

// TestQueryWrong: a query that cannot be run ends the run before anything is
// sent, with its place and what to do.
func TestQueryWrong(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "wrong.asaql")
	if err := os.WriteFile(file, []byte("SELECT eventId INTO output FROM input GROUP BY TumblingWindow(secnd, 5)"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, errs, code := run(t, nil, "run", byQuery+"azuresql", "--events", "100", "--set", "process.query="+file)
	if code != 2 || !strings.Contains(errs, "line 1, column") || !strings.Contains(errs, "second") {
		t.Errorf("exit code %d\n%s%s", code, out, errs)
	}
}
