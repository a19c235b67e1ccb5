package sqldb_test

import (
	"context"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/sqldb"
	"millrace/internal/testservice"
)

func open(t testing.TB, c *sqldb.Config, e connector.Env) connector.Store {
	t.Helper()
	s, err := c.Open(t.Context(), e)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func duckStore(t testing.TB) func(testing.TB) connector.Store {
	dir, run := t.TempDir(), connectortest.NewRun()
	return func(t testing.TB) connector.Store { return open(t, sqldb.NewConfig(), connectortest.Env(dir, run)) }
}

func postgresStore(t testing.TB) func(testing.TB) connector.Store {
	c := sqldb.NewConfig()
	c.URL = testservice.Postgres(t)
	e := connectortest.Env(t.TempDir(), connectortest.NewRun())
	t.Cleanup(func() {
		s := open(t, c, e)
		if err := s.Drop(context.Background()); err != nil {
			t.Errorf("Drop: %v", err)
		}
		s.Close()
	})
	return func(t testing.TB) connector.Store { return open(t, c, e) }
}

// unacceptable holds a NUL, which PostgreSQL's text cannot.
const unacceptable = `{"eventId":"0b2c7f2e-6a3f-4c55-9d3a-2f1f6d0c8a11","deviceId":"a\u0000b","deviceSequenceNumber":7,"createdAt":"2026-01-02T15:04:05.123456Z"}`

func TestDuckDB(t *testing.T) {
	connectortest.RunStore(t, connectortest.StoreFeatures{MergesByID: true, Count: "SELECT count(*) FROM events"}, duckStore)
}

func TestPostgreSQL(t *testing.T) {
	testservice.Postgres(t)
	connectortest.RunStore(t, connectortest.StoreFeatures{MergesByID: true, Count: "SELECT count(*) FROM events",
		Unacceptable: unacceptable}, postgresStore)
}
