package run

import (
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"millrace/ui/cli"
)

// TestStagesAgreeOnTheRun: stages that are started at once in a fresh folder
// all take part in the same run.
func TestStagesAgreeOnTheRun(t *testing.T) {
	t.Parallel()
	for range 20 {
		dir := filepath.Join(t.TempDir(), "d")
		names := make([]string, 8)
		var wg sync.WaitGroup
		for i := range names {
			wg.Go(func() {
				d, err := openDataDir(dir, "", "s", false)
				if err != nil {
					t.Error(err)
					return
				}
				names[i] = d.manifest.Run
				if err := d.close(); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		for _, name := range names {
			if name != names[0] || name == "" {
				t.Fatalf("runs %v", names)
			}
		}
	}
}

func TestDataDirRefusals(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, err := openDataDir(dir, "r1", "s", true)
	if err != nil {
		t.Fatal(err)
	}
	broken := t.TempDir()
	if err := os.WriteFile(filepath.Join(broken, "run.json"), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		try  func() (*dataDir, error)
	}{
		{"in use", func() (*dataDir, error) { return openDataDir(dir, "", "s", false) }},
		{"bad name", func() (*dataDir, error) { return openDataDir(t.TempDir(), "No Name", "s", true) }},
		{"broken manifest", func() (*dataDir, error) { return openDataDir(broken, "", "s", true) }},
		{"another run", func() (*dataDir, error) { first.close(); return openDataDir(dir, "r2", "s", true) }},
		{"another solution", func() (*dataDir, error) { first.close(); return openDataDir(dir, "", "t", true) }},
	} {
		_, err := c.try()
		if mistake, ok := errors.AsType[*cli.UsageError](err); !ok || mistake.Hint == "" {
			t.Errorf("%s: %v, want a usage error with a hint", c.name, err)
		}
	}
}
