package delta_test

import (
	"context"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/delta"
	"millrace/internal/testservice"
)

func open(t testing.TB, c *delta.Config, e connector.Env) *delta.Store {
	t.Helper()
	s, err := c.Open(context.Background(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*delta.Store)
}

// quick is a configuration that does not wait for company.
func quick() *delta.Config {
	c := delta.NewConfig()
	c.CommitInterval = connector.Duration(20e6)
	return c
}

// stores makes empty stores of a configuration.
func stores(change func(t testing.TB, c *delta.Config)) connectortest.StoreFactory {
	return func(t testing.TB) func(testing.TB) connector.Store {
		c := quick()
		change(t, c)
		e := connectortest.Env(t.TempDir(), connectortest.NewRun())
		return func(t testing.TB) connector.Store { return open(t, c, e) }
	}
}

// features: a table takes what it is given, and the dedupe step before it finds
// events that are in the log twice; counting is SQL.
var features = connectortest.StoreFeatures{Count: "SELECT count(*) FROM events"}

func TestFolder(t *testing.T) {
	t.Parallel()
	connectortest.RunStore(t, features, stores(func(testing.TB, *delta.Config) {}))
}

// The same with everything that a table can have besides.
func TestFolderWithPartitionsAndCompaction(t *testing.T) {
	t.Parallel()
	connectortest.RunStore(t, features, stores(func(_ testing.TB, c *delta.Config) {
		c.PartitionBy = []string{"type", "createdDate"}
		c.Columns = map[string]string{"yes": "boolean", "extra2": "string", "big": "long", "neg": "double"}
		c.Compression, c.CompactAfter, c.TargetFileSize = "zstd", 2, 1<<20
		c.Properties = map[string]string{"delta.checkpointInterval": "3"}
	}))
}

func TestStorageAccount(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	connectortest.RunStore(t, features, stores(func(t testing.TB, c *delta.Config) {
		c.Storage, c.Container, c.Writers = address, connectortest.NewContainer(t, address), 3
	}))
}
