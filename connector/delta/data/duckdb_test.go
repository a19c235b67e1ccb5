package data

import (
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/duckdb/duckdb-go/v2"
)

// duckDB runs a query over a file; every row is its values as text.
func duckDB(t *testing.T, file []byte, query string) [][]string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.parquet")
	if err := os.WriteFile(path, file, 0o644); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("duckdb", "")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.QueryContext(t.Context(), strings.ReplaceAll(query, "FILE", "read_parquet('"+path+"')"))
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out [][]string
	for rows.Next() {
		values := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range values {
			into[i] = &values[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		row := make([]string, len(values))
		for i, v := range values {
			row[i] = fmt.Sprint(v)
		}
		out = append(out, row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// DuckDB reads what is written here: a reader that has nothing in common with
// the code under test.
func TestDuckDBReadsEvents(t *testing.T) {
	t.Parallel()
	r := newRand(t)
	for _, codec := range Compressions() {
		results := randomResults(t, r, 1200)
		file, _ := encode(t, Table{Columns: memberColumns}, WriterOptions{Compression: codec}, results, 1767322800000001)
		rows := duckDB(t, file, `SELECT eventId, deviceId, deviceSequenceNumber, "type", value, epoch_us(createdAt),
			epoch_us(enqueuedAt), epoch_us(storedAt), partitionId, logOffset, complexData IS NULL, typeof(createdAt), typeof(complexData.moreData22) FROM FILE`)
		if len(rows) != len(results) {
			t.Fatalf("%s: %d rows, not %d", codec, len(rows), len(results))
		}
		for i, row := range rows {
			e := &results[i]
			kind, value, enqueued := "<nil>", "<nil>", "<nil>"
			if e.Type != nil {
				kind = string(e.Type)
			}
			if e.HasValue {
				value = fmt.Sprint(e.Value)
			}
			if e.EnqueuedAt >= 0 {
				enqueued = fmt.Sprint(e.EnqueuedAt)
			}
			want := []string{e.ID.String(), string(e.DeviceID), fmt.Sprint(e.Sequence), kind, value, fmt.Sprint(e.CreatedAt), enqueued,
				"1767322800000001", fmt.Sprint(e.Partition), fmt.Sprint(e.Offset), fmt.Sprint(e.ComplexData == nil), "TIMESTAMP WITH TIME ZONE", "DOUBLE"}
			if strings.Join(row, "|") != strings.Join(want, "|") {
				t.Fatalf("%s: row %d is\n%q, not\n%q", codec, i, row, want)
			}
		}
	}
}

// The bounds in a file's footer are what DuckDB skips row groups by.
func TestDuckDBSkipsByTheFooter(t *testing.T) {
	t.Parallel()
	results := standardResults(t, newRand(t), 5000)
	file, _ := encode(t, Table{}, WriterOptions{}, results, 1)
	for _, e := range results[4990:] {
		rows := duckDB(t, file, fmt.Sprintf(`SELECT count(*) FROM FILE WHERE eventId = '%s' AND deviceSequenceNumber = %d AND value = %v AND complexData.moreData3 > 0`,
			e.ID, e.Sequence, e.Value))
		if rows[0][0] != "1" {
			t.Fatalf("%s rows of event %s", rows[0][0], e.ID)
		}
	}
}
