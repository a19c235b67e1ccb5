package archive

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hamba/avro/v2/ocf"

	"millrace/connector"
)

func collect(t testing.TB, rows connector.Rows) (out [][]any) {
	t.Helper()
	defer func() {
		if err := rows.Close(); err != nil {
			t.Error(err)
		}
	}()
	for {
		row, err := rows.Next(context.Background())
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, row)
	}
}

// sample is an archive of two partitions and two hours with everything in it
// that an archive may have.
func sample(t testing.TB) *archive {
	a := newArchive(t)
	a.write(0, began, events(0, 0, 3000)...)
	a.write(0, began.Add(time.Hour), events(3000, 3000, 3500)...)
	a.put(name(0, began.Add(2*time.Hour)), encode(t, schemaWithNull, ocf.Null, 100), began)
	more := events(0, 3500, 4000)
	more = append(more,
		sent{sequence: 500, body: event(7)}, // a copy of another partition's
		sent{sequence: 501, body: event(3501)},
		sent{sequence: 502, body: []byte(`not JSON "`)},
		sent{sequence: 503},
		sent{sequence: 504, body: []byte(`{"room":"12","eventId":"no"}`)},
		sent{sequence: 505, body: []byte(`[1e999, 2]`)},
		sent{sequence: 506, body: []byte{0xff, 0}, system: map[string]any{"x-opt-partition-key": "k\xff", "n": int64(-3)},
			properties: map[string]any{"f": 1.5, "b": []byte("raw"), "bin": []byte{0xfe}, "none": nil}},
	)
	a.put(name(1, began.Add(time.Hour)), encode(t, schemaWithNull, ocf.Deflate, 300, more...), began.Add(2*time.Hour))
	// Other hubs, other programs.
	a.put("ns/other/0/2026/11/22/10/00/00", encode(t, schemaWithNull, ocf.Null, 100, events(0, 0, 10)...), began)
	a.put("ns/telemetry/notes", []byte("nothing of Capture"), began)
	return a
}

func TestQueries(t *testing.T) {
	t.Parallel()
	s := sample(t).open()
	for _, tt := range []struct{ query, want string }{
		{"SELECT count(*) FROM events", "4007"},
		{"SELECT count(*) FROM unique_events", "4000"},
		{"SELECT count(DISTINCT eventId) FROM events", "4000"},
		{"SELECT PartitionId, SequenceNumber FROM unique_events WHERE eventId IN (SELECT eventId FROM events WHERE SequenceNumber IN (500, 501) AND PartitionId = 1) ORDER BY ALL", "0 7; 1 1"},
		{"SELECT count(*) FROM archive('2026/11/22/10')", "3000"},
		{"SELECT count(*) FROM archive('2026/11/22/*/*')", "4007"},
		{"SELECT count(*) FROM archive('2026/11/22/1?/*')", "4007"},
		{"SELECT count(*) FROM archive('*/*/*/11')", "1007"},
		{"SELECT count(*) FROM archive('ns/telemetry/1/**')", "507"},
		{"SELECT count(*) FROM archive('**/00/07.avro')", "4007"},
		{"SELECT count(*) FROM archive('2025')", "0"},
		{"SELECT count(*) FROM archive()", "4007"},
		{"SELECT count(*) FROM unique_archive('2026/11/22/11')", "1001"},
		{`SELECT SequenceNumber, "Offset", EnqueuedTimeUtc, FileName, StoredAt FROM events WHERE PartitionId = 0 AND SequenceNumber = 3001`,
			"3001 300100 2026-11-22 10:00:10 +0000 UTC ns/telemetry/0/2026/11/22/11/00/07.avro 2026-11-22 11:00:17.5 +0000 UTC"},
		{"SELECT deviceId, eventId, type, value, createdAt, deviceSequenceNumber, complexData FROM events WHERE SequenceNumber = 8 AND PartitionId = 0",
			"contoso://device-id-1 " + id(8).String() + ` TEMP 8.25 2026-11-22 10:00:07.008 +0000 UTC 1 {"moreData0":18.5}`},
		{"SELECT Body->>'$.deviceId', (Body->>'$.complexData.moreData0')::double FROM events WHERE SequenceNumber = 8 AND PartitionId = 0", "contoso://device-id-1 18.5"},
		{"SELECT sum(value), count(*), count(Body), count(BodyError), count(RawBody) FROM events WHERE PartitionId = 1 AND SequenceNumber > 501", "<nil> 5 2 5 4"},
		{"SELECT BodyError FROM events WHERE PartitionId = 1 AND SequenceNumber IN (502, 503, 504) ORDER BY SequenceNumber",
			`not-json: not valid JSON at byte 0 ('n'); not-json: the record has no body; wrong-type: eventId must be a UUID, not "no"`},
		{"SELECT Body->>'$.room' FROM events WHERE BodyError LIKE 'wrong-type%'", "12"},
		{"SELECT SystemProperties->>'$.n', SystemProperties->>'$.x-opt-partition-key', Properties->>'$.f', Properties->>'$.b', Properties->>'$.bin', Properties->'$.none', len(SystemProperties) FROM events WHERE PartitionId = 1 AND SequenceNumber = 506",
			"-3 k\uFFFD 1.5 raw /g== <nil> 35"},
		{"SELECT RawBody FROM events WHERE PartitionId = 1 AND SequenceNumber = 506", "[255 0]"},
		{"SELECT hour(EnqueuedTimeUtc), type, count(*) FROM unique_events GROUP BY ALL ORDER BY ALL", "10 CO2 2000; 10 TEMP 2000"},
		{"SELECT 1", "1"},
		{"SELECT count(*) FROM events a JOIN events b USING (ArchiveRow)", "4007"},
		{"SELECT count(*) FROM (SELECT Body FROM events LIMIT 5)", "5"},
	} {
		var got []string
		for _, row := range ask(t, s, tt.query) {
			text := fmt.Sprint(row...)
			if len(row) > 1 {
				text = strings.TrimSuffix(fmt.Sprintln(row...), "\n")
			}
			got = append(got, text)
		}
		if g := strings.Join(got, "; "); g != tt.want {
			t.Errorf("%s\n got %s\nwant %s", tt.query, g, tt.want)
		}
	}
}

func TestQueryErrors(t *testing.T) {
	t.Parallel()
	a := sample(t)
	a.put(name(2, began), append(encode(t, schemaWithNull, ocf.Null, 100, events(0, 0, 5)...), "rubbish"...), began)
	s := a.open()
	for _, tt := range []struct{ query, want, hint string }{
		{"SELECT", "Parser Error", "one SELECT"},
		{"SELECT Offset FROM events", "syntax error", `"Offset"`},
		{"SELECT color FROM events", "color", "DESCRIBE events"},
		{"SELECT * FROM event", "event", "unique_events"},
		{"SELECT 1; SELECT 2", "must be one statement that reads", ""},
		{"COPY events TO '/dev/null'; SELECT 1", "must be one statement that reads", ""},
		{"COPY events TO '/dev/null'", "must be one statement that reads", ""},
		{"CREATE TABLE x(i int)", "must be one statement that reads", ""},
		{"SELECT count(*) FROM archive(NULL)", "pattern", "archive('2026"},
		{"SELECT count(*) FROM events", "ns/telemetry/2/2026/11/22/10/00/07.avro", ""},
	} {
		rows, err := s.Query(context.Background(), tt.query)
		if err == nil {
			t.Errorf("%s: %v", tt.query, collect(t, rows))
			continue
		}
		var h *connector.Hinted
		hint := ""
		if errors.As(err, &h) {
			hint = h.Hint
		}
		if !strings.Contains(err.Error(), tt.want) || !strings.Contains(hint, tt.hint) {
			t.Errorf("%s: %v (hint %q)", tt.query, err, hint)
		}
	}
	// A damaged file spoils only what reads it.
	if got := fmt.Sprint(ask(t, s, "SELECT count(*) FROM archive('ns/telemetry/0/')")); got != "[[3500]]" {
		t.Errorf("the other partition: %s", got)
	}
	entries, err := os.ReadDir(a.root)
	if err != nil || len(entries) != 1 {
		t.Errorf("queries leave folders behind: %v %v", entries, err)
	}
}

// TestQueriesCannotHarm: none of these writes the file, however its text hides
// that there is more than one statement.
func TestQueriesCannotHarm(t *testing.T) {
	t.Parallel()
	s := sample(t).open()
	file := filepath.Join(t.TempDir(), "f")
	for _, text := range []string{
		"COPY (SELECT 1) TO 'f'",
		"SELECT 1; COPY (SELECT 1) TO 'f'; SELECT 2",
		"EXPLAIN ANALYZE COPY (SELECT 1) TO 'f'",
		`SELECT date'2026-01-01\'; COPY (SELECT 1) TO 'f'; SELECT ''`,
		"SELECT 1 /* /* */ ' */; COPY (SELECT 1) TO 'f'; SELECT ''",
		"SELECT 1 AS a$$; COPY (SELECT 1) TO 'f'; SELECT 2 AS a$$",
		"SELECT $a1$ ' $a1$; COPY (SELECT 1) TO 'f'; SELECT ''",
		"SET memory_limit = '9GB'",
	} {
		if _, err := s.Query(t.Context(), strings.ReplaceAll(text, "'f'", "'"+file+"'")); err == nil {
			t.Errorf("%s: it was taken", text)
		}
		if _, err := os.Stat(file); err == nil {
			t.Errorf("%s: it wrote a file", text)
			os.Remove(file)
		}
	}
	for _, text := range []string{"SELECT ';'", "SELECT 1; ;", "EXPLAIN SELECT 1", "SELECT $$;$$ -- ;"} {
		rows, err := s.Query(t.Context(), text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		rows.Close()
	}
}

func TestQueryEndsWithItsContext(t *testing.T) {
	t.Parallel()
	s := sample(t).open()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := s.Query(ctx, "SELECT count(*) FROM events"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// quick encodes large archives: the library takes long.
func quick(t testing.TB, records []sent) []byte {
	out := encode(t, schemaWithNull, ocf.Null, 100)
	sync := out[len(out)-16:]
	text := func(b []byte, s string) []byte { return append(binary.AppendVarint(b, int64(len(s))), s...) }
	for part := range slices.Chunk(records, 1000) {
		var b []byte
		for _, r := range part {
			b = binary.AppendVarint(b, r.sequence)
			b = text(text(b, "0"), began.Format(enqueuedForm))
			b = text(append(b, 0, 0, 2), string(r.body))
		}
		out = append(binary.AppendVarint(binary.AppendVarint(out, int64(len(part))), int64(len(b))), b...)
		out = append(out, sync...)
	}
	return out
}

// A query over more than its memory holds goes on in the folder for it; if that
// is not enough, the error says so and the process lives.
func TestQueryMemory(t *testing.T) {
	t.Parallel()
	a := newArchive(t)
	pad := strings.Repeat("x", 1500)
	for f := range 8 {
		var records []sent
		for n := range 10_000 {
			body := event(f*10_000 + n)
			records = append(records, sent{sequence: int64(f*10_000 + n), body: append(body[:len(body)-1], `,"pad":"`+pad+`"}`...)})
		}
		a.put(name(0, began.Add(time.Duration(f)*time.Minute)), quick(t, records), began)
	}
	a.cfg.MemoryLimit = 64 << 20
	s := a.open()
	if got := ask(t, s, "SELECT count(*), count(Body) FROM unique_events"); got[0][0] != int64(80_000) {
		t.Errorf("%v", got)
	}
	rows, err := s.Query(context.Background(), "SELECT list(Body) FROM events")
	if err == nil {
		rows.Close()
		t.Error("160 MB in 64 MB")
	}
	var h *connector.Hinted
	if !errors.As(err, &h) || !strings.Contains(h.Hint, "memoryLimit") {
		t.Errorf("%v", err)
	}
	a.cfg.MemoryLimit = 96 << 20
	s = a.open()
	got := ask(t, s, "SELECT count(*), max(length(b)) FROM (SELECT Body AS b FROM events ORDER BY eventId OFFSET 0)")
	if len(got) != 1 || got[0][0] != int64(80_000) {
		t.Errorf("%v", got)
	}
}
