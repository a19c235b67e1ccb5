package crash

import (
	"testing"

	"millrace/connector/sqldb/local"
	"millrace/internal/testservice"
	"millrace/ui/report"
)

// counting has the workers run a query whose rows are windows.
func (s *scene) counting() *scene {
	s.args = append(s.args, "--set", "process.query=counts.asaql", "--set", "verify.aggregate.window=10s",
		// On a busy machine nothing comes so late that its window is another one.
		"--set", "process.late=10s")
	return s.fewer(3)
}

// TestCounts: three workers with open windows are killed and started again at
// random. Windows are closed by whoever has their devices then, some of them
// again, and each is served once, with every event that belongs into it.
func TestCounts(t *testing.T) {
	t.Parallel()
	t.Run("azuresql", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, "eventhubs-streamanalytics-azuresql", "SQL_URL="+testservice.Postgres(t)).overEventHubs()
		counted(t, s.counting().run(3, "500", "20000"))
	})
	t.Run("tds", func(t *testing.T) {
		t.Parallel()
		server, err := local.Start(t.Context(), local.Options{User: "sa", Password: "Secret-1-of-a-test"})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		s := newScene(t, "eventhubs-streamanalytics-azuresql", "SQL_URL="+server.Address()).overEventHubs()
		counted(t, s.counting().run(3, "500", "20000"))
	})
	t.Run("cosmosdb", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, "eventhubs-streamanalytics-cosmosdb").overEventHubs().intoCosmosDB()
		counted(t, s.counting().run(3, "500", "20000"))
	})
	t.Run("eventhubs", func(t *testing.T) {
		t.Parallel()
		s := newScene(t, "eventhubs-streamanalytics-eventhubs").overEventHubs()
		counted(t, s.counting().run(3, "500", "20000"))
	})
}

// counted fails the test unless every window is served once, as it must be.
func counted(t *testing.T, r *report.Report) {
	t.Helper()
	e := r.Events
	t.Logf("unique %d, windows %d, injected duplicates %d, malformed %d, dead-lettered %d",
		e.Unique, e.Stored, e.InjectedDuplicates, e.Malformed, e.DeadLettered)
	bad := e.Missing + e.Duplicates + e.Unexpected + e.Corrupted + e.OutOfSequence
	if bad != 0 || e.Stored < 1000 || e.Stored != r.Fates.ServedOnce || e.DeadLettered != e.Malformed || e.Malformed == 0 {
		t.Errorf("verdict: %s\n%+v\n%+v", r.Reason, e, r.Examples)
	}
}
