package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/internal/testservice"
)

// all runs a query to its end.
func all(ctx context.Context, s connector.Store, text string) (rows [][]any, err error) {
	r, err := s.Query(ctx, text)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		row, err := r.Next(ctx)
		if row == nil {
			return rows, nil
		} else if err != nil {
			return nil, err
		}
		rows = append(rows, row)
	}
}

// filled makes a store with n rows of partition 0.
func filled(t *testing.T, s connector.Store, n int64) {
	t.Helper()
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "w", []int32{0}); err != nil {
		t.Fatal(err)
	}
	retries := 0
	if err := writeThrough(t.Context(), s, 0, 0, n, &retries); err != nil {
		t.Fatal(err)
	}
}

// TestQueriesCannotHarm: everything but one statement that reads is refused
// before any of it runs, with one sentence, and changes nothing.
func TestQueriesCannotHarm(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]func(*testing.T) connector.Store{
		"DuckDB":     func(t *testing.T) connector.Store { return duckStore(t)(t) },
		"PostgreSQL": func(t *testing.T) connector.Store { testservice.Postgres(t); return postgresStore(t)(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s(t)
			defer s.Close()
			filled(t, s, 10)
			out := filepath.Join(t.TempDir(), "out")
			refused := []string{
				"SELECT 1; DROP TABLE events; SELECT 2",
				"SELECT 1; DELETE FROM events; SELECT 2",
				"DELETE FROM events; SELECT 1",
				"COMMIT; DELETE FROM events; SELECT 1",
				"ROLLBACK; BEGIN; DELETE FROM events; COMMIT; SELECT 1",
				"SELECT 1; SELECT 2",
				"SELECT 1;;SELECT 2",
				"SELECT 1 /* ; */; SELECT '; --'",
				"SELECT $a1$ ' $a1$; DELETE FROM events; SELECT ''",
				"SELECT 1 /* /* */ ' */; DELETE FROM events; SELECT ''",
				fmt.Sprintf("COPY (SELECT 1) TO '%s'; SELECT 1", out),
				fmt.Sprintf("COPY (SELECT 1) TO '%s'", out),
				"DROP TABLE events", "COMMIT", "",
			}
			if name == "DuckDB" {
				refused = append(refused,
					fmt.Sprintf(`SELECT date'2026-01-01\'; COPY (SELECT 1) TO '%s'; SELECT ''`, out),
					fmt.Sprintf("EXPLAIN ANALYZE COPY (SELECT 1) TO '%s'", out),
					fmt.Sprintf("EXPLAIN (ANALYZE) COPY (SELECT 1) TO '%s'", out),
					fmt.Sprintf("EXPLAIN/**/ANALYZE COPY (SELECT 1) TO '%s'", out),
					"EXPLAIN ANALYZE SET threads = 1",
					"SET threads = 1; SELECT 1", "SET threads = 1")
			}
			for _, text := range refused {
				_, err := all(t.Context(), s, text)
				if err == nil || strings.Contains(err.Error(), "\n") || connector.ActionOf(err) != connector.Fail {
					t.Errorf("%s\nis answered with %v", text, err)
				} else if !strings.Contains(err.Error(), "must be one statement that reads") {
					t.Errorf("%s\nis refused by %v", text, err)
				}
			}
			if _, err := os.Stat(out); err == nil {
				t.Error("a query has written a file")
			}
			for _, text := range []string{"SELECT count(*) FROM events", "SELECT count(*) FROM events;", "SELECT count(*) FROM events ; -- all; of them",
				"SELECT count(*) FROM events WHERE ';' = $$;$$ /* ; */"} {
				if rows, err := all(t.Context(), s, text); err != nil || len(rows) != 1 || rows[0][0] != int64(10) {
					t.Errorf("%s: %v %v", text, rows, err)
				}
			}
			for _, text := range []string{"EXPLAIN SELECT * FROM events", "EXPLAIN ANALYZE SELECT * FROM events;", "explain (format json) select * from events",
				"WITH x AS (SELECT 1) SELECT * FROM x", "VALUES (1)", "TABLE events", "(SELECT 1)", "EXPLAIN (SELECT 1)", "EXPLAIN (SELECT 1);"} {
				if rows, err := all(t.Context(), s, text); err != nil || len(rows) == 0 {
					t.Errorf("%s: %v %v", text, rows, err)
				}
			}
			if _, err := all(t.Context(), s, "SELEC 1"); err == nil || strings.Contains(err.Error(), "must be one statement") {
				t.Errorf("a slip of the pen: %v", err)
			}
		})
	}
}

// TestSQLServerQueriesCannotHarm: the same for T-SQL, whose statements need no
// semicolon between them; what gets past the words is rolled back.
func TestSQLServerQueriesCannotHarm(t *testing.T) {
	t.Parallel()
	for _, layout := range layouts {
		t.Run(layout, func(t *testing.T) {
			t.Parallel()
			s := serverStore(tdsServer(t).Address(), layout)(t)(t)
			defer s.Close()
			filled(t, s, 10)
			for _, text := range []string{
				"SELECT 1; DELETE FROM events", "SELECT 1 DELETE FROM events", "DELETE FROM events", "SELECT * INTO mine FROM events",
				"SELECT 1 COMMIT DELETE FROM events", "SELECT 1 EXEC sp_who", "WITH x AS (SELECT * FROM events) DELETE FROM x", "", "DROP TABLE events",
				"SELECT 1 --\rDELETE FROM events", "TRUNCATE TABLE events", "SELECT 1COMMIT SELECT 2DELETE FROM events", "SELECT 1.e5DELETE FROM events",
			} {
				_, err := all(t.Context(), s, text)
				if err == nil || !strings.Contains(err.Error(), "must be one statement that reads") || connector.ActionOf(err) != connector.Fail {
					t.Errorf("%q is answered with %v", text, err)
				}
			}
			for _, text := range []string{
				"SELECT count(*) FROM events", "SELECT count(*) FROM events ; -- all; of them", "select COUNT(*) from [events]",
				"WITH x AS (SELECT * FROM events WHERE ';' = N';' /* ; */) SELECT count(*) FROM x", "SELECT count(*) FROM (SELECT TOP 100 type FROM events) AS x",
			} {
				if rows, err := all(t.Context(), s, text); err != nil || len(rows) != 1 || rows[0][0] != int64(10) {
					t.Errorf("%s: %v %v", text, rows, err)
				}
			}
			for text, want := range map[string]string{"SELEC 1": "must be one statement", "SELECT a FROM nowhere": "nowhere", "SELECT nothing FROM events": "nothing",
				"SELECT 1 / 0": "zero"} {
				if _, err := all(t.Context(), s, text); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %v", text, err)
				}
			}
			connectortest.Exact(t, s, map[int32]int64{0: 10})
		})
	}
}
