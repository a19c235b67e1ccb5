package e2e

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"millrace/connector/sqldb/local"
	"millrace/internal/testservice"
	"millrace/ui/report"
)

const intoAzureSQL = "eventhubs-databricks-azuresql"

// merged runs the solution as fast as it goes, and expects each event once,
// copies met by the table.
func merged(t *testing.T, env []string, n int64, args ...string) *report.Report {
	t.Helper()
	r := judged(t, 0, env, append([]string{"run", intoAzureSQL, "--json", "--rate", "0", "--malformed", "0.001",
		"--events", strconv.FormatInt(n, 10), "--set", "ingest.throughputUnits=0"}, args...)...)
	exact(t, r, n)
	if h := r.DuplicatesHandled; h == nil || h.Store < r.Events.InjectedDuplicates || h.Process != 0 {
		t.Errorf("duplicates were handled %+v, injected %d", h, r.Events.InjectedDuplicates)
	}
	return r
}

// TestAzureSQLEmbedded: nothing installed, and the store answers its SQL.
func TestAzureSQLEmbedded(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "d")
	r := merged(t, nil, 20_000, "--data-dir", dir)
	if !strings.Contains(r.Ingest, "eventhubs") || !strings.Contains(r.Serve, "DuckDB") || r.Engine != "embedded (for databricks)" {
		t.Errorf("ingest %q, engine %q, serve %q", r.Ingest, r.Engine, r.Serve)
	}
	if got := asked(t, intoAzureSQL, "SELECT count(DISTINCT eventId) FROM events", dir); got != "20000" {
		t.Errorf("%s events", got)
	}
}

// TestAzureSQLOnPostgres: the same into PostgreSQL.
func TestAzureSQLOnPostgres(t *testing.T) {
	t.Parallel()
	merged(t, []string{"SQL_URL=" + testservice.Postgres(t)}, 20_000, "--cleanup")
}

// TestAzureSQLByTDS: the same by the driver of SQL Server, bulk copy and T-SQL,
// into the server that executes them in memory.
func TestAzureSQLByTDS(t *testing.T) {
	t.Parallel()
	for _, layout := range []string{"rowstore", "columnstore", "warehouse"} {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			server, err := local.Start(t.Context(), local.Options{User: "sa", Password: "Secret-1-of-a-test"})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = server.Close() })
			env, dir := []string{"SQL_URL=" + server.Address()}, filepath.Join(t.TempDir(), "d")
			r := merged(t, env, 20_000, "--data-dir", dir, "--set", "serve.layout="+layout)
			if !strings.Contains(r.Serve, "SQL Server") || strings.Contains(r.Serve, "Secret") {
				t.Errorf("serve %q", r.Serve)
			}
			out, errs, code := run(t, env, "query", intoAzureSQL, "SELECT count(*) AS n FROM events", "--data-dir", dir, "--csv")
			if lines := strings.Fields(out); code != 0 || lines[len(lines)-1] != "20000" {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
		})
	}
}
