package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"millrace/connector"
	"millrace/connector/delta"
	"millrace/record"
)

// deltaTable makes a table of three commits with rows and returns its folder.
func deltaTable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	c := delta.NewConfig()
	c.CommitInterval, c.CompactAfter = connector.Duration(20e6), 0
	s, err := c.Open(t.Context(), connector.Env{DataDir: dir, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "w", []int32{0}); err != nil {
		t.Fatal(err)
	}
	for o := range int64(3) {
		r := record.Result{Offset: o}
		if err := r.Decode(fmt.Appendf(nil, `{"eventId":"00000000-0000-4000-8000-%012x","deviceId":"d","deviceSequenceNumber":%d,"createdAt":"2026-01-02T15:04:05.123456Z"}`, o, o)); err != nil {
			t.Fatal(err)
		}
		w := &connector.Write{Results: []record.Result{r}, Advances: []connector.Advance{{From: o, To: o + 1}}}
		if _, err := s.Write(t.Context(), w); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "delta", c.Container, c.Path)
}

// deltaEnv is an Env in which solutions have a table.
func deltaRun(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	e, stdout, stderr := testEnv(append([]string{"delta"}, args...)...)
	e.Stages.DeltaTable = func(_ context.Context, r Request) (*delta.Table, error) {
		return delta.OpenTable(t.Context(), r.DataDir, connector.Env{Log: r.Log})
	}
	code = Run(t.Context(), e)
	return code, stdout.String(), stderr.String()
}

func TestDeltaCommands(t *testing.T) {
	t.Parallel()
	table := deltaTable(t)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"history", table}, []string{"version  time", "STREAMING UPDATE  +1     1     Millrace\n", "CREATE TABLE      -      -     Millrace\n", "(5 rows)"}},
		{[]string{"history", table, "--limit", "2"}, []string{"      4  ", "      3  ", "(2 rows)"}},
		{[]string{"detail", table}, []string{"version       4 of 20", "protocol      reader 1, writer 2\n", "files         3, ", "rows          3\n",
			"columns       eventId string\n", "complexData struct<moreData0", "…\n", "streams       millrace/0 at 3\n"}},
		{[]string{"detail", "demo", "--data-dir", table}, []string{"rows          3\n"}},
		{[]string{"checkpoint", table}, []string{"wrote the checkpoint of version 4\n"}},
		{[]string{"optimize", table, "--target-size", "1GB"}, []string{"merged 3 files (", ") into 1 (", "version 5; the old ones go with VACUUM\n"}},
		{[]string{"optimize", table}, []string{"nothing to merge: version 5 has 1 file\n"}},
		{[]string{"vacuum", table}, []string{"deleted 0 files (0 B); 3 that are not in the table are younger than 24 h\n"}},
		{[]string{"vacuum", table, "--retention", "0s", "--allow-short-retention", "--dry-run"}, []string{".snappy.parquet\n", "would delete 3 files ("}},
		{[]string{"vacuum", table, "--retention", "0s", "--allow-short-retention"}, []string{"deleted 3 files ("}},
	} {
		code, out, errs := deltaRun(t, c.args...)
		if code != 0 {
			t.Errorf("%v ends with %d: %s", c.args, code, errs)
			continue
		}
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("%v: %q is missing in\n%s", c.args, want, out)
			}
		}
		for line := range strings.Lines(out) {
			// Places of tests are as long as they are.
			if n := len([]rune(strings.TrimRight(line, "\n"))); n > 80 && !strings.Contains(line, table) && !strings.Contains(line, os.TempDir()) {
				t.Errorf("%v: a line of %d columns: %s", c.args, n, line)
			}
		}
	}
}

func TestDeltaJSON(t *testing.T) {
	t.Parallel()
	table := deltaTable(t)
	for command, members := range map[string][]string{
		"detail":     {"version", "columns", "numFiles", "numRows", "streams", "partitionColumns", "properties"},
		"optimize":   {"version", "filesRemoved", "filesAdded", "numFiles"},
		"vacuum":     {"version", "files", "bytes", "kept", "retentionHours", "dryRun"},
		"checkpoint": {"version"},
	} {
		code, out, errs := deltaRun(t, command, table, "--json")
		var got map[string]any
		if err := json.Unmarshal([]byte(out), &got); code != 0 || err != nil {
			t.Errorf("%s ends with %d: %v %s", command, code, err, errs)
			continue
		}
		for _, m := range members {
			if v, ok := got[m]; !ok || v == nil {
				t.Errorf("%s: %s is missing in %s", command, m, out)
			}
		}
	}
	var commits []map[string]any
	if code, out, _ := deltaRun(t, "history", table, "--json"); code != 0 || json.Unmarshal([]byte(out), &commits) != nil || len(commits) < 5 {
		t.Errorf("the history ends with %d: %s", code, out)
	}
}

func TestDeltaMistakes(t *testing.T) {
	t.Parallel()
	table, empty := deltaTable(t), t.TempDir()
	for want, c := range map[string]struct {
		args []string
		code int
	}{
		"needs the name of a solution, or where a table is": {[]string{"detail"}, ExitUsage},
		"is neither a Delta table nor a solution":           {[]string{"detail", empty}, ExitUsage},
		"has no command `detial`; did you mean `detail`?":   {[]string{"detial", table}, ExitUsage},
		"--limit must be at least 1":                        {[]string{"history", table, "--limit", "0"}, ExitUsage},
		"--target-size must be a size":                      {[]string{"optimize", table, "--target-size", "big"}, ExitUsage},
		"--retention must be a duration":                    {[]string{"vacuum", table, "--retention", "-1h"}, ExitUsage},
		"less than the 24h0m0s that the table asks for":     {[]string{"vacuum", table, "--retention", "1h"}, 1},
		"--allow-short-retention needs a --retention":       {[]string{"vacuum", table, "--allow-short-retention"}, ExitUsage},
		"is more than the 24h0m0s for which":                {[]string{"vacuum", table, "--retention", "25h"}, 1},
		"hint: add --allow-short-retention":                 {[]string{"vacuum", table, "--retention", "23h"}, 1},
		"tables at s3:// are not supported":                 {[]string{"detail", "s3://bucket/table"}, 1},
		"there is no Delta table in folder":                 {[]string{"detail", "file://" + empty}, 1},
	} {
		code, _, errs := deltaRun(t, c.args...)
		if code != c.code || !strings.Contains(errs, want) {
			t.Errorf("%v ends with %d: %s, want %d and %s", c.args, code, errs, c.code, want)
		}
	}
}
