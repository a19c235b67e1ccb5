package crash

import (
	"testing"
)

// TestThreeWorkersIntoDelta: three workers append to one table, and are killed
// and started again at random: what a killed one had written and not committed
// is in no version of the table.
func TestThreeWorkersIntoDelta(t *testing.T) {
	t.Parallel()
	exact(t, newScene(t, "eventhubs-databricks-delta").overEventHubs().run(3, "1000", "40000"))
}
