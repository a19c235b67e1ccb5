package sqldb_test

import (
	"context"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/sqldb"
	"millrace/connector/sqldb/local"
)

// tdsServer starts the TDS test server.
func tdsServer(t testing.TB) *local.Server {
	t.Helper()
	s, err := local.Start(t.Context(), local.Options{Password: "Pass word/1"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func serverConfig(url, layout string) *sqldb.Config {
	c := sqldb.NewConfig()
	c.URL, c.Layout = url, layout
	return c
}

// serverStore makes stores in tables of their own at a server.
func serverStore(url, layout string) connectortest.StoreFactory {
	return func(t testing.TB) func(testing.TB) connector.Store {
		c, e := serverConfig(url, layout), connectortest.Env("", connectortest.NewRun())
		t.Cleanup(func() {
			s := open(t, c, e)
			if err := s.Drop(context.Background()); err != nil {
				t.Errorf("Drop: %v", err)
			}
			s.Close()
		})
		return func(t testing.TB) connector.Store { return open(t, c, e) }
	}
}

// longDevice has a deviceId that its column cannot hold.
var longDevice = strings.Replace(unacceptable, `a\u0000b`, strings.Repeat("x", 257), 1)

var serverFeatures = connectortest.StoreFeatures{MergesByID: true, MergesByPartition: true, Count: "SELECT count(*) FROM events",
	Unacceptable: longDevice}

var layouts = []string{sqldb.Rowstore, sqldb.Columnstore, sqldb.Warehouse}

func TestSQLServer(t *testing.T) {
	for _, layout := range layouts {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			connectortest.RunStore(t, serverFeatures, serverStore(tdsServer(t).Address(), layout))
		})
	}
}
