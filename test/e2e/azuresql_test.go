package e2e

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

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

// TestAzureSQLOnPostgres: the same into PostgreSQL, in both layouts' names.
func TestAzureSQLOnPostgres(t *testing.T) {
	t.Parallel()
	merged(t, []string{"SQL_URL=" + testservice.Postgres(t)}, 20_000, "--cleanup")
}
