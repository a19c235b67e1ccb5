package crash

import (
	"testing"

	"millrace/internal/testservice"
)

// TestThreeWorkersOfQuery: three workers run a query over Event Hubs and are
// killed and started again at random, into every kind of store that the
// solutions have. The state of the second query into Event Hubs is a history of
// each device.
func TestThreeWorkersOfQuery(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		scene func(t *testing.T) *scene
	}{
		{"cosmosdb", func(t *testing.T) *scene {
			return newScene(t, "eventhubs-streamanalytics-cosmosdb").overEventHubs().intoCosmosDB()
		}},
		{"azuresql", func(t *testing.T) *scene {
			return newScene(t, "eventhubs-streamanalytics-azuresql", "SQL_URL="+testservice.Postgres(t)).overEventHubs()
		}},
		{"relay", func(t *testing.T) *scene {
			return newScene(t, "eventhubs-streamanalytics-eventhubs").overEventHubs()
		}},
		{"anomalydetection", func(t *testing.T) *scene {
			s := newScene(t, "eventhubs-streamanalytics-eventhubs").overEventHubs()
			s.args = append(s.args, "--set", "process.query=anomalydetection.asaql")
			return s
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			exact(t, c.scene(t).fewer(3).run(3, "500", "20000"))
		})
	}
}
