package e2e

import (
	"strings"
	"testing"
)

// TestCounts: in every solution with a query, a row for each device and window,
// with malformed events and copies beside those that count, is what the ledger
// gives; a query that says something else is found out.
func TestCounts(t *testing.T) {
	t.Parallel()
	for _, to := range []string{"azuresql", "cosmosdb", "eventhubs"} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			args := []string{"run", byQuery + to, "--json", "--events", "8000", "--rate", "1000", "--malformed", "0.01",
				"--set", "process.query=counts.asaql", "--set", "verify.aggregate.window=10s",
				"--set", "simulate.duplicates=0.01"}
			r := judged(t, 0, nil, args...)
			e := r.Events
			if !r.Pass || e.Unique != 8000 || e.Stored < 1000 || e.Stored > 3000 || r.Fates.ServedOnce != e.Stored ||
				e.InjectedDuplicates == 0 || e.Malformed == 0 || e.DeadLettered != e.Malformed || !strings.Contains(r.Reason, "recomputed from 8000 events") {
				t.Errorf("%s\n%+v\n%+v", r.Reason, e, r.Examples)
			}
		})
	}
	t.Run("wrong", func(t *testing.T) {
		t.Parallel()
		r := judged(t, 99, nil, "run", byQuery+"azuresql", "--json", "--events", "2000", "--rate", "1000",
			"--set", "process.query=counts.asaql", "--set", "process.late=1s",
			"--set", "verify.aggregate.window=10s", "--set", "verify.aggregate.hop=5s")
		if r.Pass || r.Events.Missing == 0 {
			t.Errorf("%s\n%+v", r.Reason, r.Events)
		}
	})
}
