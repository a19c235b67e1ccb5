package crash

import "testing"

// TestThreeWorkersIntoFiles: three workers append to one folder of plain files,
// with no log beside them, and are killed and started again at random.
func TestThreeWorkersIntoFiles(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"parquet", "jsonl"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, "eventhubs-databricks-delta").overEventHubs().fewer(2)
			s.args = append(s.args, "--set", "serve.kind=files", "--set", "serve.format="+format, "--set", "serve.rollInterval=200ms")
			exact(t, s.run(3, "1000", "30000"))
		})
	}
}
