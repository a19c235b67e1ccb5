package cosmosdb_test

import (
	"testing"

	"millrace/connector/connectortest"
	"millrace/connector/cosmosdb"
	"millrace/connector/cosmosdb/local"
)

// standin starts our own Cosmos DB and returns a configuration for it.
func standin(t testing.TB, o local.Options) cosmosdb.Config {
	t.Helper()
	o.DataDir = t.TempDir()
	server, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("closing the stand-in: %v", err)
		}
	})
	c := cosmosdb.NewConfig()
	c.ConnectionString = server.Address()
	return *c
}

var features = connectortest.StoreFeatures{Count: count, Unacceptable: unacceptable}

func TestStandin(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1, Key: local.WellKnownKey})
	c.Throughput = 400
	connectortest.RunIdempotentStore(t, features, factory(c))
}

func TestStandinOfSeveralRanges(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: -1})
	c.Throughput = 50_000
	connectortest.RunIdempotentStore(t, features, factory(c))
}

// TestStandinThrottling has so little throughput that requests are refused all
// the time.
func TestStandinThrottling(t *testing.T) {
	t.Parallel()
	c := standin(t, local.Options{Throughput: 4000})
	c.Throughput = 50_000 // five ranges; the server grants 4000
	connectortest.RunIdempotentStore(t, features, factory(c))
}
