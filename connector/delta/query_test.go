package delta_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/connectortest"
	"millrace/connector/delta"
	"millrace/internal/testservice"
)

// The queries of the page run as they are written.
func TestQueriesOfThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.write(0, 30)
	page, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, block := range strings.Split(string(page), "```sql\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		for query := range strings.SplitAfterSeq(block, ";\n") {
			if query = strings.TrimSpace(query); query == "" {
				continue
			}
			n++
			if got := w.ask(query, ""); len(got) == 0 && !strings.Contains(query, "HAVING") {
				t.Errorf("%s: no rows", query)
			}
		}
	}
	if n < 5 {
		t.Errorf("the page has %d queries", n)
	}
}

// Values come out as they went in: of all types, of partitions, of columns that
// only newer files have.
func TestQueryValues(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *delta.Config) { c.PartitionBy, c.Path = []string{"type", "createdDate"}, "deep/er/events" })
	one := func(o int64, json string) {
		t.Helper()
		u := connectortest.Stretch(0, o, o+1)
		if err := u.Results[0].Decode([]byte(json)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.store.Write(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	const head = `{"eventId":"00000000-0000-4000-8000-00000000000%d","deviceId":"d","deviceSequenceNumber":%[1]d,"createdAt":"2026-01-0%[1]dT15:04:05.123456Z"`
	one(0, fmt.Sprintf(head, 1)+`,"type":"it's 100% / * ? [x]","value":1.5,"complexData":{"moreData22":-2.5}}`)
	one(1, fmt.Sprintf(head, 2)+`}`)
	w.cfg.Columns = map[string]string{"humidity": "double", "ok": "boolean", "n": "long", "s": "string"}
	w.begin()
	one(2, fmt.Sprintf(head, 3)+`,"type":"","humidity":0.5,"ok":true,"n":-7,"s":"☃","more":[1,{"a":null}]}`)
	got := w.ask(`SELECT type, createdDate::VARCHAR, value, complexData.moreData22, createdAt::VARCHAR, humidity, ok, n, s, extra FROM events ORDER BY logOffset`, "")
	want := []string{
		"it's 100% / * ? [x] 2026-01-01 1.5 -2.5 2026-01-01 15:04:05.123456+00 <nil> <nil> <nil> <nil> <nil>",
		"<nil> 2026-01-02 <nil> <nil> 2026-01-02 15:04:05.123456+00 <nil> <nil> <nil> <nil> <nil>",
		`<nil> 2026-01-03 <nil> <nil> 2026-01-03 15:04:05.123456+00 0.5 true -7 ☃ {"type":"","more":[1,{"a":null}]}`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := w.ask("SELECT count(*) FROM events WHERE createdDate = DATE '2026-01-02' AND type IS NULL", ""); got[0] != "1" {
		t.Errorf("of a partition there are %v", got)
	}
	if got := w.ask("SELECT complexData FROM events WHERE logOffset = 0", ""); !strings.Contains(got[0], `"moreData22":-2.5`) {
		t.Errorf("a struct is shown as %v", got)
	}
}

func TestQueriesThatAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.write(0, 3)
	for text, want := range map[string][2]string{
		"SELECT nonsense FROM events":      {"nonsense", "DESCRIBE events"},
		"SELECT * FROM elsewhere":          {"elsewhere", "the view events"},
		"this is no query":                 {"syntax error", "one SELECT"},
		"DROP VIEW events":                 {"must be one statement that reads", ""},
		"COPY events TO 'x.csv'":           {"must be one statement that reads", ""},
		"SELECT 1; SELECT 2":               {"must be one statement that reads", ""},
		"EXPLAIN ANALYZE DROP VIEW events": {"must be one statement that reads", ""},
	} {
		rows, err := w.store.Query(t.Context(), text)
		if err == nil {
			rows.Close()
			t.Errorf("%s: it is answered", text)
			continue
		}
		hint := ""
		if hinted := (*connector.Hinted)(nil); errors.As(err, &hinted) {
			hint = hinted.Hint
		}
		if !strings.Contains(err.Error(), want[0]) || !strings.Contains(hint, want[1]) {
			t.Errorf("%s: %v (%s)", text, err, hint)
		}
	}
	// Nothing stays behind.
	if left, err := filepath.Glob(filepath.Join(w.env.DataDir, "query-*")); err != nil || len(left) != 0 {
		t.Errorf("%v are left: %v", left, err)
	}
}

// Queries over a storage account copy its files once, and no more than allowed.
func TestQueryInAStorageAccount(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	w := newWorld(t, func(c *delta.Config) {
		c.Storage, c.Container = address, connectortest.NewContainer(t, address)
	})
	w.write(0, 500)
	w.write(1, 300)
	const count = "SELECT count(*), count(DISTINCT eventId) FROM events"
	for range 2 {
		if got := w.ask(count, ""); got[0] != "800 800" {
			t.Errorf("%v", got)
		}
	}
	cached := func() []string {
		names, err := filepath.Glob(filepath.Join(w.env.DataDir, "delta-cache", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return names
	}
	if n := len(cached()); n != 2 {
		t.Errorf("%d files are kept, not 2", n)
	}
	// A copy that is not whole is fetched again.
	if err := os.Truncate(cached()[0], 10); err != nil {
		t.Fatal(err)
	}
	if got := w.ask(count, ""); got[0] != "800 800" {
		t.Errorf("%v", got)
	}
	// The table by its address.
	e := w.env
	e.Getenv = func(name string) string {
		if name == blob.EnvConnectionString {
			return address
		}
		return ""
	}
	table, err := delta.OpenTable(t.Context(), "az://"+w.cfg.Container+"/"+w.cfg.Path, e)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if done, err := table.Optimize(t.Context(), delta.OptimizeOptions{}); err != nil || done.FilesRemoved != 2 {
		t.Errorf("%+v %v", done, err)
	}
	if v, err := table.Vacuum(t.Context(), delta.VacuumOptions{AllowShort: true}); err != nil || len(v.Files) != 2 {
		t.Errorf("%+v %v", v, err)
	}
	connectortest.Exact(t, w.store, w.at)
	if d := w.store.Describe(); strings.Contains(d, "AccountKey") {
		t.Errorf("a key is shown: %s", d)
	}
	w.cfg.CacheSize = 1 << 20
	small := open(t, w.cfg, w.env)
	defer small.Close()
	if rows, err := small.Query(t.Context(), count); err != nil {
		t.Errorf("with a small cache: %v", err)
	} else if got := collect(t, rows); got[0] != "800 800" || len(cached()) != 3 {
		t.Errorf("with a small cache: %v, %d files", got, len(cached()))
	}
}
