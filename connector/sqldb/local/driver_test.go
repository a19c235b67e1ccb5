package local_test

import (
	"context"
	"database/sql"
	"errors"
	"testing"

	mssql "github.com/microsoft/go-mssqldb"

	"millrace/connector/sqldb/local"
)

// start runs a server and a pool of the official driver's connections to it.
func start(t testing.TB, o local.Options, parameters ...string) (*local.Server, *sql.DB) {
	t.Helper()
	s, err := local.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("closing the server: %v", err)
		}
	})
	url := s.Address()
	for _, p := range parameters {
		url += "&" + p
	}
	return s, open(t, url)
}

func open(t testing.TB, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlserver", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func exec(t testing.TB, db interface {
	ExecContext(context.Context, string, ...any) (sql.Result, error)
}, text string, args ...any) int64 {
	t.Helper()
	r, err := db.ExecContext(t.Context(), text, args...)
	if err != nil {
		t.Fatalf("%s\n%v", text, err)
	}
	n, err := r.RowsAffected()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// number returns the SQL error in err, 0 if it is none.
func number(err error) int32 {
	var e mssql.Error
	if errors.As(err, &e) {
		return e.Number
	}
	return 0
}

func TestPing(t *testing.T) {
	t.Parallel()
	_, db := start(t, local.Options{})
	if err := db.PingContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	var edition int
	if err := db.QueryRowContext(t.Context(), "SELECT CAST(SERVERPROPERTY(N'EngineEdition') AS int) AS edition").Scan(&edition); err != nil || edition != 3 {
		t.Fatal(edition, err)
	}
}
