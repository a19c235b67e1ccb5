package cosmosdb_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/cosmosdb"
	"millrace/internal/testservice"
)

func env(run string) connector.Env {
	return connector.Env{Run: run, Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)}
}

func open(t testing.TB, c *cosmosdb.Config, e connector.Env) *cosmosdb.Store {
	t.Helper()
	s, err := c.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s.(*cosmosdb.Store)
}

// newRun returns a name that no other test uses.
func newRun() string { return fmt.Sprintf("t%012x", rand.Uint64()>>16) }

// factory makes stores of their own container in the account of c.
func factory(c cosmosdb.Config) connectortest.StoreFactory {
	return func(t testing.TB) func(testing.TB) connector.Store {
		e := env(newRun())
		t.Cleanup(func() {
			s := open(t, &c, e)
			if err := s.Drop(context.Background()); err != nil {
				t.Errorf("Drop: %v", err)
			}
			s.Close()
		})
		return func(t testing.TB) connector.Store { return open(t, &c, e) }
	}
}

// unacceptable is larger than a document may be.
var unacceptable = `{"eventId":"0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11","deviceId":"large","deviceSequenceNumber":7,"createdAt":"2026-01-02T15:04:05.123456Z","text":"` +
	strings.Repeat("x", 2<<20) + `"}`

const count = "SELECT VALUE COUNT(1) FROM c"

// TestServerOfOthers runs the suite over a Cosmos DB server that we did not
// write. It has no throughput, one partition key range, and does not know
// transactional batches; see README.md.
func TestServerOfOthers(t *testing.T) {
	c := cosmosdb.NewConfig()
	c.ConnectionString = testservice.CosmosDB(t)
	c.MaxBatch = 1
	connectortest.RunIdempotentStore(t, connectortest.StoreFeatures{Count: count, Unacceptable: unacceptable}, factory(*c))
}
