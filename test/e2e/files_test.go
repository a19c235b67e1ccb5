package e2e

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"

	"millrace/internal/testservice"
)

// intoFiles are the options by which the solution serves plain files.
func intoFiles(format string) []string {
	return []string{"--set", "serve.kind=files", "--set", "serve.format=" + format, "--set", "serve.rollInterval=500ms"}
}

// TestFilesEmbedded: nothing installed; a program that knows nothing of us reads
// all files of the folder and finds each event once.
func TestFilesEmbedded(t *testing.T) {
	t.Parallel()
	for format, read := range map[string]string{"parquet": "read_parquet('%/*.parquet')", "jsonl": "read_json('%/*.jsonl')"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "d")
			r := appended(t, nil, 20_000, append(intoFiles(format), "--data-dir", dir)...)
			if !strings.Contains(r.Serve, format+" files") {
				t.Errorf("serve %q", r.Serve)
			}
			db, err := sql.Open("duckdb", "")
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			var rows, events int
			all := strings.ReplaceAll(read, "%", filepath.Join(dir, "store", "files", "**"))
			if err := db.QueryRowContext(t.Context(), "SELECT count(*), count(DISTINCT eventId) FROM "+all).Scan(&rows, &events); err != nil {
				t.Fatal(err)
			}
			if rows != 20_000 || events != 20_000 {
				t.Errorf("%d rows, %d events", rows, events)
			}
			out, errs, code := run(t, nil, append([]string{"query", intoDelta,
				"SELECT count(DISTINCT deviceId || '/' || deviceSequenceNumber) FROM events", "--data-dir", dir, "--csv"}, intoFiles(format)...)...)
			if lines := strings.Fields(out); code != 0 || lines[len(lines)-1] != "20000" {
				t.Errorf("exit code %d\n%s%s", code, out, errs)
			}
		})
	}
}

// TestFilesOnAzurite: the files are in blob storage.
func TestFilesOnAzurite(t *testing.T) {
	t.Parallel()
	dir, env := filepath.Join(t.TempDir(), "d"), []string{"STORAGE_CONNECTION_STRING=" + testservice.Azurite(t)}
	for _, format := range []string{"parquet", "jsonl"} {
		appended(t, env, 20_000, append(intoFiles(format), "--data-dir", filepath.Join(dir, format))...)
		out, errs, code := run(t, env, append([]string{"query", intoDelta, "SELECT count(*) FROM events", "--data-dir", filepath.Join(dir, format), "--csv"},
			intoFiles(format)...)...)
		if lines := strings.Fields(out); code != 0 || lines[len(lines)-1] != "20000" {
			t.Errorf("exit code %d\n%s%s", code, out, errs)
		}
	}
}
