package sqldb_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/sqldb"
	"millrace/internal/testservice"
	"millrace/record"
)

func TestConfigValidate(t *testing.T) {
	if problems := sqldb.NewConfig().Validate(); problems != nil {
		t.Errorf("the defaults: %v", problems)
	}
	for want, change := range map[string]func(*sqldb.Config){
		"url: the database is missing; name it by ?database=":    func(c *sqldb.Config) { c.URL = "sqlserver://sa:secret@h" },
		"url: the database is missing: a path names an instance": func(c *sqldb.Config) { c.URL = "sqlserver://sa:secret@h/streaming" },
		"url: the host is missing":                               func(c *sqldb.Config) { c.URL = "sqlserver://sa:secret@?database=d" },
		"url: the user is missing":                               func(c *sqldb.Config) { c.URL = "sqlserver://h?database=d" },
		"url: it is not a valid URL; characters":                 func(c *sqldb.Config) { c.URL = "sqlserver://sa:secret%zz@h?database=d" },
		"url: invalid tcp port":                                  func(c *sqldb.Config) { c.URL = "sqlserver://sa:secret@h:70000?database=d" },
		"url: invalid encrypt":                                   func(c *sqldb.Config) { c.URL = "sqlserver://sa:secret@h?database=d&encrypt=secret" },
		`url: the parameter "timezone" cannot be set`:            func(c *sqldb.Config) { c.URL = "sqlserver://sa:secret@h?database=d&TimeZone=UTC" },
		"url: Invalid federated authentication type":             func(c *sqldb.Config) { c.URL = "sqlserver://h?database=d&fedauth=wish" },
		`url: "mysql" is an unknown kind of database`:            func(c *sqldb.Config) { c.URL = "mysql://u:secret@h" },
		"url: it does not begin with the kind":                   func(c *sqldb.Config) { c.URL = "secret" },
		"url: it is not a valid URL":                             func(c *sqldb.Config) { c.URL = "postgres://u:secret%zz@h/d" },
		"table: ":                                                func(c *sqldb.Config) { c.Table = "my table" },
		"schema: ":                                               func(c *sqldb.Config) { c.Schema = `a"b` },
		"layout: ":                                               func(c *sqldb.Config) { c.Layout = "heap" },
		"maxRows: ":                                              func(c *sqldb.Config) { c.MaxRows = 0 },
		"writers: ":                                              func(c *sqldb.Config) { c.Writers = 17 },
		"threads: ":                                              func(c *sqldb.Config) { c.Threads = 0 },
		"memoryLimit: ":                                          func(c *sqldb.Config) { c.MemoryLimit = 1 },
		"checkpoint: ":                                           func(c *sqldb.Config) { c.Checkpoint = 1 },
	} {
		c := sqldb.NewConfig()
		change(c)
		problems := c.Validate()
		if len(problems) != 1 || !strings.HasPrefix(problems[0].Error(), want) || strings.Contains(problems[0].Error(), "secret") {
			t.Errorf("problems %v, want one: %s", problems, want)
		}
		if _, err := c.Open(t.Context(), connectortest.Env(t.TempDir(), "")); err == nil {
			t.Errorf("%s: opened all the same", want)
		}
	}
}

func TestLayouts(t *testing.T) {
	for _, c := range []struct{ url, layout, want string }{
		{"", "columnstore", "columnstore"},
		{"", "rowstore", "columnstore (DuckDB has no rowstore)"},
		{"postgres://u@127.0.0.1:1/d", "rowstore", "rowstore"},
		{"postgres://u@127.0.0.1:1/d", "columnstore", "rowstore (PostgreSQL has no columnstore)"},
		{"postgres://u@127.0.0.1:1/d", "warehouse", "rowstore (PostgreSQL has no warehouse)"},
		{"", "warehouse", "columnstore (DuckDB has no warehouse)"},
		{"sqlserver://u:p@127.0.0.1:1?database=d", "rowstore", "rowstore"},
		{"sqlserver://u:p@127.0.0.1:1?database=d", "columnstore", "columnstore"},
		{"sqlserver://u:p@127.0.0.1:1?database=d", "warehouse", "warehouse"},
	} {
		cfg := sqldb.NewConfig()
		cfg.URL, cfg.Layout = c.url, c.layout
		s := open(t, cfg, connectortest.Env(t.TempDir(), ""))
		if got := s.Traits().Layout; got != c.want {
			t.Errorf("%s with %s: %s, want %s", c.url, c.layout, got, c.want)
		}
		s.Close()
	}
}

// TestClearErrors checks what a user gets to read.
func TestClearErrors(t *testing.T) {
	dir := t.TempDir()
	noDatabase := filepath.Join(dir, "text.duckdb")
	if err := os.WriteFile(noDatabase, []byte(strings.Repeat("this is a text, not a database\n", 300)), 0o644); err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(dir, "other.duckdb")
	for name, c := range map[string]struct {
		url, want string
	}{
		"not a database": {"duckdb:" + noDatabase, "is not a DuckDB database"},
		"folder is file": {"duckdb:" + noDatabase + "/x.duckdb", "not a directory"},
		"read-only":      {"duckdb:/proc/millrace/x.duckdb", "/proc/millrace"},
		"refused":        {"postgres://u:secret@127.0.0.1:1/d", "cannot reach PostgreSQL at 127.0.0.1:1/d"},
		"SQL Server":     {"sqlserver://u:secret@127.0.0.1:1?database=d", "cannot reach SQL Server at 127.0.0.1:1/d: connection refused"},
	} {
		cfg := sqldb.NewConfig()
		cfg.URL = c.url
		s := open(t, cfg, connectortest.Env(dir, ""))
		err := s.Prepare(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
		s.Close()
	}
	cfg := sqldb.NewConfig()
	cfg.URL = "duckdb:" + other
	s := open(t, cfg, connectortest.Env(dir, ""))
	defer s.Close()
	if _, err := s.Query(t.Context(), "SELECT 1"); err == nil || !strings.Contains(err.Error(), "there is no database") {
		t.Errorf("a query on nothing: %v", err)
	}
	if _, err := os.Stat(other); !errors.Is(err, os.ErrNotExist) {
		t.Error("a query has created a database")
	}
}

func TestPostgreSQLClearErrors(t *testing.T) {
	url := testservice.Postgres(t)
	user, rest, _ := strings.Cut(strings.TrimPrefix(url, "postgres://"), ":")
	_, host, _ := strings.Cut(rest, "@")
	for url, want := range map[string]string{
		"postgres://" + user + ":wrong@" + host:                       "refuses the login",
		strings.Replace(url, "/millrace?", "/no_such_database?", 1):   "has no such database",
		strings.Replace(url, "sslmode=disable", "sslmode=require", 1): "TLS",
	} {
		cfg := sqldb.NewConfig()
		cfg.URL = url
		s := open(t, cfg, connectortest.Env("", ""))
		err := s.Prepare(t.Context())
		hinted := (*connector.Hinted)(nil)
		if err == nil || !strings.Contains(err.Error(), want) || !errors.As(err, &hinted) || connector.ActionOf(err) != connector.Fail {
			t.Errorf("got %v, want %q with a hint", err, want)
		}
		s.Close()
	}
}

// TestQuery checks the values that queries give, and that they only read.
func TestQuery(t *testing.T) {
	t.Run("DuckDB", func(t *testing.T) { testQuery(t, duckStore(t)(t), "true, TIMESTAMP '2026-01-02 03:04:05.5'") })
	t.Run("PostgreSQL", func(t *testing.T) {
		testQuery(t, postgresStore(t)(t), "true, TIMESTAMPTZ '2026-01-02 05:04:05.5+02'")
	})
	t.Run("SQLServer", func(t *testing.T) {
		testQuery(t, serverStore(tdsServer(t).Address(), sqldb.Rowstore)(t)(t), "CAST(1 AS bit), CAST('2026-01-02T05:04:05.5+02:00' AS datetimeoffset(3))")
	})
}

// testQuery ends its query with the columns more: a yes, and a moment.
func testQuery(t *testing.T, s connector.Store, more string) {
	defer s.Close()
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "w", []int32{0}); err != nil {
		t.Fatal(err)
	}
	r := record.Result{Offset: 7, EnqueuedAt: 8, ProcessedAt: 9}
	if err := r.Decode([]byte(`{"eventId":"00000000-0000-4000-8000-000000000007","deviceId":"device-0","deviceSequenceNumber":7,"value":7.5,"complexData":{"moreData0":"xxxxxxx"},"createdAt":"2026-01-02T15:04:05.123456Z"}`)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(t.Context(), &connector.Write{Results: []record.Result{r}, Advances: []connector.Advance{{From: 0, To: 8}}}); err != nil {
		t.Fatal(err)
	}
	query := "SELECT eventId, deviceId, deviceSequenceNumber, value, type, extra, complexData, (SELECT count(*) FROM events), (SELECT sum(logOffset) FROM events), " +
		"CAST(1.25 AS DECIMAL(10,2)), " + more + " FROM events"
	rows, err := s.Query(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	row, err := rows.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []any{"00000000-0000-4000-8000-000000000007", "device-0", int64(7), 7.5, nil, nil, `{"moreData0":"xxxxxxx"}`, int64(1), int64(7),
		1.25, true, time.Date(2026, 1, 2, 3, 4, 5, 500_000_000, time.UTC)}
	if !reflect.DeepEqual(row, want) {
		t.Errorf("got  %#v\nwant %#v", row, want)
	}
	if _, err := rows.Next(t.Context()); err != io.EOF {
		t.Errorf("after the last row: %v", err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"DELETE FROM events", "SELECT 1; DELETE FROM events", "DROP VIEW events", "CREATE TABLE mine (a int)", "COMMIT", "",
	} {
		if rows, err := s.Query(t.Context(), text); err == nil {
			_, err = rows.Next(t.Context())
			rows.Close()
			if err == nil || err == io.EOF {
				t.Errorf("%q is allowed", text)
			}
		}
	}
	n := 0
	if err := s.Scan(t.Context(), func(*record.Stored) error { n++; return nil }); err != nil || n != 1 {
		t.Errorf("%d rows after queries that must not write (%v)", n, err)
	}
}
