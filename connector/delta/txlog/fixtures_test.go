package txlog

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write what was found to testdata instead of comparing with it")

// The logs in testdata were written by delta-rs 1.6 and by Spark with
// delta-spark 4.0; only their folders _delta_log were kept. What is read from
// them at each version is golden text, which was compared with what the two say
// of their tables.
func TestLogsOfOtherWriters(t *testing.T) {
	t.Parallel()
	for _, writer := range []string{"deltars", "spark"} {
		tables, err := filepath.Glob(filepath.Join("testdata", writer, "*", "_delta_log"))
		if err != nil || len(tables) == 0 {
			t.Fatal("no tables", err)
		}
		for _, path := range tables {
			dir := filepath.Dir(path)
			t.Run(writer+"/"+filepath.Base(dir), func(t *testing.T) {
				t.Parallel()
				compareGolden(t, filepath.Join("testdata", writer, filepath.Base(dir)+".txt"), describeTable(t, dir))
			})
		}
	}
}

func describeTable(t *testing.T, dir string) string {
	// Not long after they were written, so that tombstones are still there.
	now := func() time.Time { return time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC) }
	tb := open(t, bucketAt(t, dir), "", Options{Now: now, NoCheckpoints: true})
	var b strings.Builder
	where := strings.NewReplacer(tb.bucket.Describe(), "testdata")
	say := func(what string, err error) { fmt.Fprintf(&b, "%s: %s\n", what, where.Replace(err.Error())) }
	if s, err := tb.Snapshot(t.Context()); err != nil {
		say("newest", err)
	} else {
		_, err := tb.Commit(t.Context(), &Snapshot{Version: s.Version, Protocol: s.Protocol, Metadata: s.Metadata, cannotWrite: s.cannotWrite},
			Change{Operation: "WRITE", Add: []*Add{{}}})
		// A file without a name is refused after all that is about the table.
		if err != nil && !strings.Contains(err.Error(), "has no name") {
			say("writing", err)
		}
		fmt.Fprintf(&b, "newest: %s", state(s))
	}
	commits, err := filepath.Glob(filepath.Join(dir, "_delta_log", "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	for v := range int64(len(commits)) {
		if s, err := tb.At(t.Context(), v); err != nil {
			say(fmt.Sprintf("at %d", v), err)
		} else {
			fmt.Fprintf(&b, "at %d: %s", v, state(s))
		}
	}
	_ = tb.History(t.Context(), 0, func(v Version) error {
		fmt.Fprintf(&b, "history: %d %s by %s, files +%d -%d\n", v.Version, v.Info.Operation, v.Info.Engine, v.Added, v.Removed)
		return nil
	})
	return b.String()
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	if *rewrite {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("go test -rewrite, if that is right:\n%s\nand not\n%s", got, want)
	}
}
