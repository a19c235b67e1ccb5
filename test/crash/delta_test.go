package crash

import (
	"maps"
	"path/filepath"
	"slices"
	"testing"

	"millrace/record"
	"millrace/test/lakeclient"
)

// TestThreeWorkersIntoDelta: three workers append to one table, and are killed
// and started again at random: what a killed one had written and not committed
// is in no version of the table. Readers that others wrote find in it exactly
// the events that the ledger says were sent.
func TestThreeWorkersIntoDelta(t *testing.T) {
	t.Parallel()
	readers := []*lakeclient.Client{lakeclient.Start(t, lakeclient.DeltaRS), lakeclient.Start(t, lakeclient.Spark)}
	s := newScene(t, columnar).overKafka()
	s.args = append(s.args, "--set", "serve.kind=delta")
	exact(t, s.run(3, "1000", "40000"))
	table := s.deltaTable()
	sent := s.sent()
	for _, r := range readers {
		sameEvents(t, r, table, sent)
	}
}

// TestThreeWorkersFromEventHubsIntoDelta: the same, but partitions go from one
// worker to the other by the checkpoint store.
func TestThreeWorkersFromEventHubsIntoDelta(t *testing.T) {
	t.Parallel()
	exact(t, newScene(t, "eventhubs-databricks-delta").overEventHubs().fewer(2).run(3, "1000", "20000"))
}

// deltaTable is the folder of the run's table.
func (s *scene) deltaTable() string {
	s.t.Helper()
	logs, err := filepath.Glob(filepath.Join(s.dir, "store", "delta", "*", "*", "_delta_log"))
	if err != nil || len(logs) != 1 {
		s.t.Fatalf("tables %v: %v", logs, err)
	}
	return filepath.Dir(logs[0])
}

// sent are the events of the ledger, of which none may be in doubt.
func (s *scene) sent() map[string]bool {
	s.t.Helper()
	ids := map[string]bool{}
	info, err := record.ReadLedger(filepath.Join(s.dir, "ledger"), func(e *record.Entry) error {
		if e.Kind == record.Unique {
			ids[e.ID.String()] = true
		}
		if !e.Acked {
			s.t.Errorf("the log did not acknowledge %s %s", e.Kind, e.ID)
		}
		return nil
	})
	if err != nil || !info.Totals.Finished {
		s.t.Fatalf("the ledger: %v, %+v", err, info)
	}
	return ids
}

// sameEvents compares what a reader finds in a table with what was sent.
func sameEvents(t *testing.T, r *lakeclient.Client, table string, sent map[string]bool) {
	t.Helper()
	type row struct{ EventID string }
	rows := lakeclient.Call[[]row](t, r, "query", lakeclient.Args{"table": table, "sql": "SELECT `eventId` FROM t"})
	missing := maps.Clone(sent)
	var copies, strangers []string
	for _, row := range rows {
		switch {
		case missing[row.EventID]:
			delete(missing, row.EventID)
		case sent[row.EventID]:
			copies = append(copies, row.EventID)
		default:
			strangers = append(strangers, row.EventID)
		}
	}
	t.Logf("%s finds %d of %d events", r.Name(), len(rows), len(sent))
	if len(missing)+len(copies)+len(strangers) > 0 {
		few := func(ids []string) []string { return ids[:min(len(ids), 5)] }
		t.Errorf("%s: %d events are missing, as %v; %d are there again, as %v; %d were never sent, as %v", r.Name(),
			len(missing), few(slices.Collect(maps.Keys(missing))), len(copies), few(copies), len(strangers), few(strangers))
	}
}
