//go:build realsqlserver

package sqldb_test

import (
	"os"
	"testing"

	"millrace/connector/connectortest"
)

// TestRealSQLServer runs the contract's suite at a SQL Server that somebody
// has, with a database to test in. It is built only where it is asked for, and
// then it fails without a server instead of passing by.
func TestRealSQLServer(t *testing.T) {
	const variable = "MILLRACE_SQLSERVER_URL"
	url := os.Getenv(variable)
	if url == "" {
		t.Fatalf("set %s to the URL of a SQL Server with a database to test in", variable)
	}
	for _, layout := range layouts[:2] {
		t.Run(layout, func(t *testing.T) { connectortest.RunStore(t, serverFeatures, serverStore(url, layout)) })
	}
}
