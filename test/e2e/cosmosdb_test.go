package e2e

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"millrace/internal/testservice"
	"millrace/ui/report"
)

var intoCosmosDB = []string{"akskafka-databricks-cosmosdb", "eventhubs-databricks-cosmosdb", "eventhubskafka-databricks-cosmosdb"}

// upserted runs a solution as fast as it goes, and expects each event once,
// copies replaced by the store, and request units counted.
func upserted(t *testing.T, env []string, n int64, args ...string) *report.Report {
	t.Helper()
	r := judged(t, 0, env, append(args, "--json", "--rate", "0", "--malformed", "0.001", "--events", strconv.FormatInt(n, 10))...)
	e := r.Events
	if e.Unique != n || e.Stored != n || e.Missing+e.Duplicates+e.Unexpected+e.Corrupted+e.OutOfSequence != 0 ||
		e.InjectedDuplicates == 0 || e.Malformed == 0 || e.DeadLettered != e.Malformed {
		t.Errorf("%s: %+v", r.Reason, e)
	}
	// What is read again after a lost session meets the store once more.
	if h := r.DuplicatesHandled; h == nil || h.Store < e.InjectedDuplicates || h.Process != 0 {
		t.Errorf("duplicates were handled %+v, injected %d", h, e.InjectedDuplicates)
	}
	if ru := r.Resources.RequestUnitsPerEvent; ru < 5 || ru > 20 {
		t.Errorf("%.1f request units an event", ru)
	}
	return r
}

// asked runs a query of one number.
func asked(t *testing.T, solution, sql, dir string) string {
	t.Helper()
	out, errs, code := run(t, nil, "query", solution, sql, "--data-dir", dir, "--csv")
	lines := strings.Fields(out)
	if code != 0 || len(lines) < 2 {
		t.Fatalf("%s: exit code %d\n%s%s", sql, code, out, errs)
	}
	return lines[len(lines)-1]
}

// TestCosmosDBEmbedded: nothing installed, and the store answers its SQL.
func TestCosmosDBEmbedded(t *testing.T) {
	t.Parallel()
	for _, solution := range intoCosmosDB {
		t.Run(solution, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "d")
			r := upserted(t, nil, 20_000, "run", solution, "--data-dir", dir,
				"--set", "ingest.partitions=4", "--set", "serve.throughput=50000")
			if !strings.Contains(r.Ingest, "embedded") || r.Engine != "embedded (for databricks)" {
				t.Errorf("ingest %q, engine %q", r.Ingest, r.Engine)
			}
			if got := asked(t, solution, "SELECT COUNT(1) AS n FROM c", dir); got != "20000" {
				t.Errorf("%s items", got)
			}
			ofType := func(name string) int {
				n, err := strconv.Atoi(asked(t, solution, "SELECT VALUE COUNT(1) FROM c WHERE c.type = '"+name+"'", dir))
				if err != nil {
					t.Error(err)
				}
				return n
			}
			if co2, temp := ofType("CO2"), ofType("TEMP"); co2 == 0 || temp == 0 || co2+temp != 20_000 {
				t.Errorf("%d of CO2 and %d of TEMP", co2, temp)
			}
		})
	}
}

// TestCosmosDBFromKafka: the events come from Apache Kafka.
func TestCosmosDBFromKafka(t *testing.T) {
	t.Parallel()
	upserted(t, []string{"KAFKA_BROKERS=" + testservice.Kafka(t).Brokers}, 20_000, "run", intoCosmosDB[0], "--cleanup",
		"--set", "serve.throughput=50000")
}

// TestCosmosDBThrottled: a quarter of the request units that it takes. The
// store refuses requests, the log holds what waits, the run says how many units
// it takes, and in the end every event is there.
func TestCosmosDBThrottled(t *testing.T) {
	t.Parallel()
	r := judged(t, 99, nil, "run", intoCosmosDB[0], "--json", "--rate", "1000", "--duration", "8s", "--set", "serve.throughput=2000")
	e := r.Events
	if e.Unique != 8000 || e.Stored != 8000 || e.Missing+e.Duplicates+e.Unexpected+e.Corrupted+e.OutOfSequence != 0 {
		t.Errorf("%s: %+v", r.Reason, e)
	}
	var backlog int64
	for _, x := range r.Throughput.PerInterval {
		backlog = max(backlog, x.Backlog)
	}
	hints := strings.Join(r.Hints, "\n")
	if r.Resources.ThrottledByStore == 0 || backlog < 2000 || r.StoreLimits == nil || r.StoreLimits.Units != 2000 ||
		!strings.Contains(hints, "serve.throughput=") {
		t.Errorf("throttled %d, backlog %d, limits %+v, hints %v", r.Resources.ThrottledByStore, backlog, r.StoreLimits, r.Hints)
	}
}
