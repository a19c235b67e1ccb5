package crash

import (
	"testing"

	"millrace/connector/sqldb/local"
)

// TestThreeWorkersByTDS: three workers load by bulk copy and merge in T-SQL, over
// the driver of SQL Server, and are killed and started again at random.
func TestThreeWorkersByTDS(t *testing.T) {
	t.Parallel()
	server, err := local.Start(t.Context(), local.Options{User: "sa", Password: "Secret-1-of-a-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	s := newScene(t, "eventhubs-databricks-azuresql", "SQL_URL="+server.Address()).overEventHubs().fewer(2)
	exact(t, s.run(3, "1000", "30000"))
}
