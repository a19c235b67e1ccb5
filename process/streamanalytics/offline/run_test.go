package offline

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// world is files in memory.
type world map[string]string

func (w world) open(path string) (io.ReadCloser, error) {
	text, ok := w[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(strings.NewReader(text)), nil
}

// request is a run over files in memory whose rows are appended to rows as
// output:row.
func request(t *testing.T, w world, query string, rows *[]string, flags ...string) Request {
	t.Helper()
	o := &Options{}
	if err := o.ParseFlags(flags); err != nil {
		t.Fatal(err)
	}
	return Request{Query: Query{Name: "q.asaql", Text: query}, Options: o, World: World{Open: w.open},
		Now: func() time.Time { return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC) },
		Row: func(output string, row []byte) error {
			*rows = append(*rows, output+":"+string(row))
			return nil
		}}
}

func ran(t *testing.T, w world, query string, flags ...string) ([]string, *Summary, error) {
	t.Helper()
	var rows []string
	s, err := Run(t.Context(), request(t, w, query, &rows, flags...))
	return rows, s, err
}

func TestOrderOfArrival(t *testing.T) {
	t.Parallel()
	const query = "SELECT id, System.Timestamp() AS at FROM Input TIMESTAMP BY t"
	w := world{
		"a.json": `[{"id":1,"t":"2026-01-01T00:00:01Z","r":"2026-01-01T00:00:04Z"},
			{"id":5,"t":"2026-01-01T00:00:05Z","r":"2026-01-01T00:00:06Z"},
			{"id":3,"t":"2026-01-01T00:00:03Z","r":"2026-01-01T00:00:07Z"}]`,
		"b.json": `{"id":2,"t":"2026-01-01T00:00:02Z","r":"2026-01-01T00:00:02Z"}
			{"id":4,"t":"2026-01-01T00:00:04Z","r":"2026-01-01T00:00:05Z"}`,
	}
	both := []string{"--input", "Input=a.json", "--input", "Input=b.json"}
	for name, tt := range map[string]struct {
		flags []string
		want  []string // id@second
	}{
		"by their times":       {both, []string{"1@01", "2@02", "3@03", "4@04", "5@05"}},
		"one file":             {both[:2], []string{"1@01", "3@03", "5@05"}},
		"of the file":          {append(both[:2:2], "--arrival", "FILE-ORDER"), []string{"1@01", "5@05", "3@05"}},
		"of the file, dropped": {append(both[:2:2], "--arrival", "file-order", "--late-policy", "drop"), []string{"1@01", "5@05"}},
		"of the file, waits":   {append(both[:2:2], "--arrival", "FILE-ORDER", "--out-of-order", "3s"), []string{"1@01", "3@03", "5@05"}},
		"of the field":         {append(both[:2:2], "--arrival", "r"), []string{"1@01", "5@05", "3@05"}},
		"of the field, late":   {append(both[:2:2], "--arrival", "r", "--late", "1s", "--out-of-order", "10s"), []string{"1@03", "5@05", "3@06"}},
	} {
		rows, _, err := ran(t, w, query, tt.flags...)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		var want []string
		for _, w := range tt.want {
			id, at, _ := strings.Cut(w, "@")
			want = append(want, fmt.Sprintf(`output:{"id":%s,"at":"2026-01-01T00:00:%s.0000000Z"}`, id, at))
		}
		if strings.Contains(name, "waits") || strings.Contains(name, "late") {
			slices.Sort(rows)
			slices.Sort(want)
		}
		if !slices.Equal(rows, want) {
			t.Errorf("%s:\n got %s\nwant %s", name, rows, want)
		}
	}
}

// Whatever the order in a file, events without --arrival come in that of their
// times, and none is dropped or moved.
func TestAnyFileIsPutIntoOrder(t *testing.T) {
	t.Parallel()
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 30 {
		var text strings.Builder
		n := rng.IntN(60)
		at := make([]int, n)
		for i := range at {
			at[i] = rng.IntN(1 + rng.IntN(100))
			fmt.Fprintf(&text, "{\"t\":\"2026-01-01T00:%02d:%02dZ\",\"i\":%d}\n", at[i]/60, at[i]%60, i)
		}
		for _, expr := range []string{"t", "DATEADD(second, 5, t)"} {
			rows, s, err := ran(t, world{"in.json": text.String()}, "SELECT t, i FROM Input TIMESTAMP BY "+expr, "--input", "Input=in.json", "--late-policy", "drop")
			if err != nil {
				t.Fatal(err)
			}
			order := make([]int, n)
			for i := range order {
				order[i] = i
			}
			slices.SortStableFunc(order, func(a, b int) int { return at[a] - at[b] })
			for j, i := range order {
				if want := fmt.Sprintf(`output:{"t":"2026-01-01T00:%02d:%02dZ","i":%d}`, at[i]/60, at[i]%60, i); j >= len(rows) || rows[j] != want {
					t.Fatalf("round %d, %s: row %d of %d is not %s", round, expr, j, len(rows), want)
				}
			}
			if s.Stats.InputEvents != int64(n) || len(rows) != n {
				t.Fatalf("round %d: %+v, %d rows", round, s.Stats, len(rows))
			}
		}
	}
}

func TestRunsReportWhatTheyDidNotUse(t *testing.T) {
	t.Parallel()
	var rows []string
	w := world{"in.json": "{\"id\":1,\"t\":\"2026-01-01T00:00:10Z\"}\n{\"id\":\n{\"id\":3,\"t\":\"soon\"}\n{\"id\":4,\"t\":\"2026-01-01T00:00:02Z\"}\n", "x.csv": "t,v\n2026-01-01,1,2\n2026-01-01,5\n"}
	q := request(t, w, "SELECT id INTO [a/b] FROM Input TIMESTAMP BY t; SELECT v FROM Other TIMESTAMP BY t", &rows,
		"--input", "Input=in.json", "--input", "Other=x.csv", "--arrival", "FILE-ORDER", "--late-policy", "drop")
	path := filepath.Join(t.TempDir(), "dropped.json")
	out, err := NewDroppedFile(path)
	if err != nil {
		t.Fatal(err)
	}
	q.Dropped = out.Write
	s, err := Run(t.Context(), q)
	if err = errors.Join(err, out.Close()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(rows, []string{`output:{"v":"5"}`, `a/b:{"id":1}`}) {
		t.Error(rows)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"detail":"the row has 3 values, but there are 2 columns","input":"Other","file":"x.csv","line":2,"partition":0,"offset":0,"event":"2026-01-01,1,2"}`,
		`"input":"Input","file":"in.json","line":2,"partition":0,"offset":1,"event":"{\"id\":"}`,
		`{"reason":"no event time"`, `"line":3,"partition":0,"offset":2,"event":{"id":3,"t":"soon"}}`,
		`{"reason":"late"`, `"line":4,`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("%s is not in\n%s", want, b)
		}
	}
	if s.Stats.InputEvents != 6 || s.Stats.InputDeserializationErrors != 3 || s.Stats.LateInputEvents != 1 || s.Dropped["late"] != 1 {
		t.Errorf("%+v", s)
	}
}

func TestRunProblems(t *testing.T) {
	t.Parallel()
	w := world{"in.json": "{\"id\":\"x\"}\n", "f.js": "function f(x) {", "ref.json": "{", "bad.csv": "a,a\n"}
	in := []string{"--input", "Input=in.json"}
	for name, tt := range map[string]struct {
		query string
		flags []string
		use   bool
		want  string
	}{
		"wrong query":       {"SELECT * FRM Input", in, true, "q.asaql: line 1, column 10: "},
		"no such column":    {"CREATE TABLE Input (id bigint); SELECT idd FROM Input", in, true, "id"},
		"no file":           {"SELECT * FROM Other", in, true, "there is no file for the input Other"},
		"file is not there": {"SELECT * FROM Input", []string{"--input", "Input=none.json"}, true, "there is no file none.json"},
		"bad file":          {"SELECT * FROM Input", []string{"--input", "Input=bad.csv"}, true, "two columns are named `a`"},
		"level":             {"SELECT * FROM Input", append(in, "--compatibility", "2.0"), true, "--compatibility must be 1.0, 1.1 or 1.2, not 2.0"},
		"policy":            {"SELECT * FROM Input", append(in, "--late-policy", "move"), true, "--late-policy must be adjust or drop, not move"},
		"late":              {"SELECT * FROM Input", append(in, "--late", "600h"), true, "--late must be from 0s to 21 days"},
		"out of order":      {"SELECT * FROM Input", append(in, "--out-of-order", "-1s"), true, "--out-of-order must not be negative"},
		"start":             {"SELECT * FROM Input", append(in, "--start", "yesterday"), true, "--start must be a time"},
		"delimiter":         {"SELECT * FROM Input", append(in, "--delimiter", "ab"), true, "--delimiter must be one character"},
		"arrival":           {"SELECT * FROM Input", append(in, "--arrival", "at"), true, "no event of in.json has a time in the field at"},
		"both":              {"SELECT * FROM Input", append(in, "--reference", "input=in.json"), true, "is both an --input and a --reference"},
		"script":            {"SELECT udf.f(id) FROM Input", append(in, "--udf", "f.js"), true, "--udf: "},
		"no function":       {"SELECT udf.f(id) FROM Input", in, true, "there is no function udf.f"},
		"cast":              {"SELECT\n CAST(id AS bigint) AS n FROM Input", in, false, "q.asaql: line 2, column 2: "},
		"cast's event":      {"SELECT CAST(id AS bigint) AS n FROM Input", in, false, "(at the event in in.json:1)"},
	} {
		_, _, err := ran(t, w, tt.query, tt.flags...)
		if err == nil || !strings.Contains(err.Error(), tt.want) || IsUse(err) != tt.use {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "a", "b")
	f, err := NewFolder(dir, []string{"output", "../x", ".."})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Row("output", []byte("{}")), f.Row("../x", []byte("1")), f.Flush(), f.Close()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"output.json": "{}\n", ".._x.json": "1\n", "_...json": ""} {
		if b, err := os.ReadFile(filepath.Join(dir, name)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", name, b, err)
		}
	}
	if _, err := NewFolder(dir, []string{"a:b", "A*b"}); err == nil || !strings.Contains(err.Error(), "would have the same file") {
		t.Error(err)
	}
	if _, err := NewFolder(filepath.Join(dir, "output.json"), nil); !IsUse(err) {
		t.Error(err)
	}
}

// Rows come while the input goes on, and the end of the context is its end.
func TestFollow(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "in.json")
	in, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	o := &Options{}
	if err := o.ParseFlags([]string{"--input", "Input=" + path}); err != nil {
		t.Fatal(err)
	}
	rows := make(chan string, 10)
	done := make(chan error, 1)
	go func() {
		s, err := Run(ctx, Request{Query: Query{Text: "SELECT COUNT(*) AS n FROM Input TIMESTAMP BY t GROUP BY TumblingWindow(second, 10)"}, Options: o, Follow: true,
			Row: func(_ string, row []byte) error { rows <- string(row); return nil }})
		if err == nil && s.Stats.InputEvents != 3 {
			err = fmt.Errorf("%+v", s.Stats)
		}
		done <- err
	}()
	fmt.Fprint(in, "{\"t\":\"2026-01-01T00:00:01Z\"}\n{\"t\":\"2026-01-01T00:00:02Z\"}\n")
	time.Sleep(50 * time.Millisecond)
	fmt.Fprint(in, "{\"t\":\"2026-01-01T00:00:11Z\"}\n")
	if got := <-rows; got != `{"n":2}` {
		t.Error(got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if got := <-rows; got != `{"n":1}` {
		t.Error(got)
	}
}

func TestStandardInput(t *testing.T) {
	t.Parallel()
	var rows []string
	q := request(t, nil, "SELECT id FROM Input TIMESTAMP BY t", &rows, "--input", "Input=-:csv", "--out-of-order", "5s")
	q.World.Stdin = strings.NewReader("id,t\n2,2026-01-01T00:00:02Z\n1,2026-01-01T00:00:01Z\n")
	if _, err := Run(t.Context(), q); err != nil || !slices.Equal(rows, []string{`output:{"id":"1"}`, `output:{"id":"2"}`}) {
		t.Errorf("%q, %v", rows, err)
	}
}

func TestRunStopsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	var rows []string
	q := request(t, world{"in.json": strings.Repeat("{}\n", 5000)}, "SELECT * FROM Input", &rows, "--input", "Input=in.json")
	q.Row = func(string, []byte) error { cancel(); return nil }
	if _, err := Run(ctx, q); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	q.Row = func(string, []byte) error { return errors.New("the disk is full") }
	if _, err := Run(t.Context(), q); err == nil || err.Error() != "the disk is full" {
		t.Error(err)
	}
}

func TestEarlyRowsAreMarked(t *testing.T) {
	t.Parallel()
	var in strings.Builder
	for i := range 30 {
		fmt.Fprintf(&in, "{\"t\":\"2026-01-01T00:00:%02dZ\"}\n", i)
	}
	rows, _, err := ran(t, world{"in.json": in.String()}, "SELECT COUNT(*) AS n FROM Input TIMESTAMP BY t GROUP BY TumblingWindow(minute, 1)", "--input", "Input=in.json", "--emit-early", "10s")
	if err != nil || len(rows) < 3 {
		t.Fatalf("%q, %v", rows, err)
	}
	for i, r := range rows {
		want := `"_emit":"early"}`
		if i == len(rows)-1 {
			want = `"_emit":"correction"}`
		}
		if i > 0 && !strings.HasSuffix(r, want) {
			t.Errorf("row %d is %s", i, r)
		}
	}
}

// Whatever a case holds, it is read and run to an end, and never panics.
func FuzzCase(f *testing.F) {
	names, err := filepath.Glob("../testdata/cases/*/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for i, name := range names {
		if text, err := os.ReadFile(name); err == nil && i%7 == 0 && !strings.Contains(string(text), ".js --") {
			f.Add(text)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if strings.Contains(string(text), "REPLICATE") || strings.Contains(string(text), ".js --") {
			return // may build long texts and loops as it is told to
		}
		c, err := ParseCase("fuzz", text)
		if err != nil {
			return
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := c.Run(ctx); err != nil {
			t.Fatal(err)
		}
	})
}

// Partitions that follow each other, or that have few events, do not make the
// others wait: the state stays small.
func TestPartitionsThatEndHoldNothingBack(t *testing.T) {
	t.Parallel()
	line := func(second, partition int) string {
		second++ // midnight belongs to the window before it
		return fmt.Sprintf("{\"t\":\"2026-01-01T%02d:%02d:%02dZ\",\"PartitionId\":%d,\"pad\":\"%0200d\"}\n", second/3600, second/60%60, second%60, partition, second)
	}
	var first, second, mixed strings.Builder
	for i := range 3000 {
		first.WriteString(strings.Replace(line(i, 0), "PartitionId", "p", 1))
		second.WriteString(strings.Replace(line(5000+i, 0), "PartitionId", "p", 1))
		mixed.WriteString(line(i, 1))
		if i < 3 || i == 2000 {
			mixed.WriteString(line(i, 2+i%3))
		}
	}
	w := world{"a.json": first.String(), "b.json": second.String(), "m.json": mixed.String()}
	const query = "SELECT COUNT(*) AS n FROM Input TIMESTAMP BY t GROUP BY TumblingWindow(hour, 6)"
	for name, tt := range map[string]struct {
		flags []string
		want  string
	}{
		"one after the other": {[]string{"-i", "Input=a.json", "-i", "Input=b.json"}, `output:{"n":6000}`},
		"some with few":       {[]string{"-i", "Input=m.json"}, `output:{"n":3004}`},
	} {
		rows, s, err := ran(t, w, query, tt.flags...)
		if err != nil || !slices.Equal(rows, []string{tt.want}) {
			t.Errorf("%s: %q, %v", name, rows, err)
		}
		if s != nil && name == "one after the other" && s.StateBytes > 10_000 {
			t.Errorf("%s: the state took %d bytes", name, s.StateBytes)
		}
	}
}
