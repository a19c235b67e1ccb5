package refdata

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/process/streamanalytics/files"
	"millrace/process/streamanalytics/value"
)

// put writes files into a folder.
func put(t *testing.T, dir string, contents map[string]string) {
	t.Helper()
	for name, text := range contents {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func ticks(t *testing.T, text string) int64 {
	t.Helper()
	at, ok := value.ParseTime(text)
	if !ok {
		t.Fatal(text)
	}
	return at
}

// rowsAt are the rows as text.
func rowsAt(t *testing.T, table *Table, at string) string {
	t.Helper()
	rows, _, err := table.At(ticks(t, at))
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for _, r := range rows {
		b = r.AppendJSON(b)
	}
	return string(b)
}

func TestOneFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, map[string]string{"r.json": "[{\"k\":1},\n{\"k\":2}]", "r.csv": "k,v\n1,x\n"})
	table, err := Open(t.Context(), Options{File: files.File{Name: "R", Path: filepath.Join(dir, "r.json")}})
	if err != nil {
		t.Fatal(err)
	}
	if got := rowsAt(t, table, "2020-01-01"); got != `{"k":1}{"k":2}` {
		t.Error(got)
	}
	_, before, _ := table.At(0)
	put(t, dir, map[string]string{"r.json": `{"k":3}`})
	if got := rowsAt(t, table, "2020-01-01"); got != `{"k":1}{"k":2}` {
		t.Errorf("changed without a refresh: %s", got)
	}
	if _, err := table.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := rowsAt(t, table, "2020-01-01"); got != `{"k":3}` {
		t.Error(got)
	}
	if _, after, _ := table.At(0); after == before {
		t.Error("other rows have the same version")
	}
	table, err = Open(t.Context(), Options{File: files.File{Name: "R", Path: filepath.Join(dir, "r.csv")}})
	if err != nil || rowsAt(t, table, "2020-01-01") != `{"k":"1","v":"x"}` {
		t.Errorf("CSV: %v", err)
	}
}

func TestSnapshots(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		pattern, date, time string
		files               []string
		want                []string // at 09:59, 10:00, 23:00 of January 2nd, and on the 4th
	}{
		"default": {"r/{date}/{time}/x.json", "", "", []string{"r/2026/01/02/10-00/x.json", "r/2026/01/03/00-30/x.json", "r/2026/02/30/00-00/x.json", "r/2026/01/01/10-00/y.json"},
			[]string{"", "0", "0", "1"}},
		"days":  {"{date}.json", "YYYY-MM-DD", "", []string{"2026-01-02.json", "2026-01-04.json"}, []string{"0", "0", "0", "1"}},
		"hours": {"r/{date}-{time}.json", "MM.DD.YYYY", "HH", []string{"r/01.02.2026-09.json", "r/01.02.2026-10.json", "r/01.02.2026-11.json"}, []string{"0", "1", "2", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			contents := map[string]string{}
			for i, f := range tt.files {
				contents[f] = `{"i":` + string(rune('0'+i)) + `}`
			}
			put(t, dir, contents)
			table, err := Open(t.Context(), Options{File: files.File{Name: "R", Path: filepath.Join(dir, tt.pattern)}, DateFormat: tt.date, TimeFormat: tt.time})
			if err != nil {
				t.Fatal(err)
			}
			for i, at := range []string{"2026-01-02T09:59:59Z", "2026-01-02T10:00:00Z", "2026-01-02T23:00:00Z", "2026-01-04T00:00:00Z"} {
				want := ""
				if tt.want[i] != "" {
					want = `{"i":` + tt.want[i] + `}`
				}
				if got := rowsAt(t, table, at); got != want {
					t.Errorf("at %s: %q, want %q", at, got, want)
				}
			}
		})
	}
}

func TestRefreshFindsNewSnapshots(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, map[string]string{"2026/01/01/00-00.json": `{"i":0}`})
	table, err := Open(t.Context(), Options{File: files.File{Name: "R", Path: filepath.Join(dir, "{date}/{time}.json")}})
	if err != nil {
		t.Fatal(err)
	}
	if fresh, err := table.Refresh(t.Context()); fresh || err != nil {
		t.Error("found something new", err)
	}
	put(t, dir, map[string]string{"2026/01/02/00-00.json": `{"i":1}`})
	if fresh, err := table.Refresh(t.Context()); !fresh || err != nil {
		t.Error("found nothing", err)
	}
	if got := rowsAt(t, table, "2026-01-02T00:00:00Z"); got != `{"i":1}` {
		t.Error(got)
	}
	if from, ok := table.From(); !ok || from != ticks(t, "2026-01-01") {
		t.Error(from, ok)
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	put(t, dir, map[string]string{"bad.json": "{\"a\":1}\n{\"a\":\n", "list.json": "[1]", "big.json": `{"a":"` + strings.Repeat("x", 2000) + `"}`})
	for path, want := range map[string]string{
		"none.json":                "there is no file",
		".":                        "is a folder",
		"bad.json":                 "bad.json:2: ",
		"list.json":                "a row must be a JSON object, not bigint",
		"{date}/r.json":            "there is no snapshot of reference data R",
		"{time}/r.json":            "a {time} but no {date}",
		"x/{date}/{time}/r/q.json": "there is no snapshot",
		"big.json":                 "more than 0 MB",
	} {
		_, err := Open(t.Context(), Options{File: files.File{Name: "R", Path: filepath.Join(dir, path)}, MaxBytes: 1000})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	for _, format := range []string{"YY", "YYYY-HH", "YYYY MM x", "YYYY/M"} {
		if _, err := newPattern("{date}", format, ""); err == nil {
			t.Errorf("the date format %q was taken", format)
		}
	}
}
