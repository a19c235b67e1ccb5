package delta_test

import (
	"context"
	"os"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/delta"
)

func TestMain(m *testing.M) {
	connectortest.WriteIfChild(500, killed)
	os.Exit(m.Run())
}

// killed opens the table that children write: checkpoints and compactions are
// often, so that kills hit them too.
func killed(ctx context.Context, dir, _ string) (connector.Store, error) {
	c := delta.NewConfig()
	c.CommitInterval = connector.Duration(10 * time.Millisecond)
	c.CompactAfter, c.TargetFileSize = 4, 256<<10
	c.Properties = map[string]string{"delta.checkpointInterval": "5"}
	return c.Open(ctx, connectortest.Env(dir, ""))
}

func TestKilled(t *testing.T) {
	t.Parallel()
	connectortest.RunKilled(t, 6, "", killed)
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	connectortest.RunTwoProcesses(t, features, "", killed)
}
