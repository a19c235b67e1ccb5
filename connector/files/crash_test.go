package files_test

import (
	"context"
	"os"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/files"
)

func TestMain(m *testing.M) {
	connectortest.WriteIfChild(400, inFormat)
	os.Exit(m.Run())
}

// inFormat opens the files that children write.
func inFormat(ctx context.Context, dir, format string) (connector.Store, error) {
	return config(format, "auto").Open(ctx, connectortest.Env(dir, ""))
}

func TestKilled(t *testing.T) {
	t.Parallel()
	for _, format := range []string{files.Parquet, files.JSONL} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			connectortest.RunKilled(t, 5, format, inFormat)
		})
	}
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	connectortest.RunTwoProcesses(t, features, files.JSONL, inFormat)
}
