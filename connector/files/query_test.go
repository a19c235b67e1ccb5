package files_test

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/files"
)

// A program that reads all files, and knows nothing else, finds each event once
// with all that it has, and so does the view.
func TestPlainReaders(t *testing.T) {
	t.Parallel()
	for _, f := range forms {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			c := config(f.format, f.compression)
			s := connectortest.Prepared(t, c, connectortest.Env(dir, ""))
			for p := range int32(3) {
				claimAt(t, s, p, connector.Unknown)
				write(t, s, unit(p, 0, 900, 1000))
				write(t, s, unit(p, 1000, 1000, 1100))
				write(t, s, unit(p, 1100, 1200, 1200))
			}
			root := filepath.Join(dir, "files", c.Container, c.Path)
			read := "read_parquet('" + root + "/**/*.parquet')"
			if f.format == files.JSONL {
				read = "read_json('" + root + "/**/*.jsonl*', union_by_name = true)"
			}
			db, err := sql.Open("duckdb", "")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			const want = "3000 3000 3 1199 9.25 2026-01-02"
			const what = `count(*) || ' ' || count(DISTINCT eventId) || ' ' || count(DISTINCT partitionId) || ' ' || max(logOffset) || ' ' ||
				max(complexData.moreData0) || ' ' || max(createdAt)::DATE FROM `
			var got string
			if err := db.QueryRowContext(t.Context(), "SELECT "+what+read).Scan(&got); err != nil {
				t.Fatal(err)
			}
			if got != want {
				t.Errorf("the files: %s, want %s", got, want)
			}
			if got := ask(t, s, "SELECT "+what+"events"); got != want {
				t.Errorf("the view: %s, want %s", got, want)
			}
			if got := ask(t, s, "SELECT count(*) FROM events WHERE storedAt IS NULL OR value <> deviceSequenceNumber % 100 + 0.5"); got != "0" {
				t.Errorf("%s rows are altered", got)
			}
		})
	}
}

// The queries of the page run as they are written.
func TestQueriesOfThePage(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "```sql\n")
	block, _, _ = strings.Cut(block, "```")
	for _, format := range []string{files.Parquet, files.JSONL} {
		s := connectortest.Prepared(t, config(format, "auto"), connectortest.Env(t.TempDir(), ""))
		claimAt(t, s, 0, connector.Unknown)
		write(t, s, unit(0, 0, 100, 100))
		n := 0
		for query := range strings.SplitSeq(strings.TrimSpace(block), ";") {
			if query = strings.TrimSpace(query); query == "" {
				continue
			}
			n++
			if rows := count(t, s, query); rows == 0 {
				t.Errorf("%s: no rows", query)
			}
		}
		if n < 5 {
			t.Errorf("the page has %d queries", n)
		}
	}
}

func count(t *testing.T, s connector.Store, query string) (n int) {
	t.Helper()
	rows, err := s.Query(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	for ; ; n++ {
		if _, err := rows.Next(t.Context()); errors.Is(err, io.EOF) {
			return n
		} else if err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
}

// Queries only read, and say what to do about mistakes.
func TestQueriesThatAreRefused(t *testing.T) {
	t.Parallel()
	s := connectortest.Prepared(t, config(files.Parquet, "auto"), connectortest.Env(t.TempDir(), ""))
	if got := ask(t, s, "SELECT count(*) FROM events"); got != "0" {
		t.Errorf("%s events of no files", got)
	}
	for query, hint := range map[string]string{
		"DROP VIEW events":          "",
		"SELECT 1; SELECT 2":        "",
		"SELECT colour FROM events": "DESCRIBE",
		"SELEKT 1":                  "SELECT",
	} {
		_, err := s.Query(t.Context(), query)
		var hinted *connector.Hinted
		if err == nil || hint != "" && (!errors.As(err, &hinted) || !strings.Contains(hinted.Hint, hint)) {
			t.Errorf("%s: %v (%s)", query, err, fmt.Sprint(hinted))
		}
	}
}
