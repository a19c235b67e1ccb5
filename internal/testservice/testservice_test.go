package testservice

import (
	"os"
	"path/filepath"
	"testing"
)

func TestLookup(t *testing.T) {
	dir := t.TempDir()
	sub := filepath.Join(dir, "a", "b")
	for _, d := range []string{sub, filepath.Join(dir, ".services")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"go.mod":              "module x\n",
		".services/one.env":   "# a remark\nMR_A=1=2\n MR_B=two\n",
		".services/two.env":   "MR_C=3",
		".services/three.txt": "MR_D=4",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(sub)
	t.Setenv("MR_C", "from the environment")
	for key, want := range map[string]string{
		"MR_A": "1=2", "MR_B": "two", "MR_C": "from the environment", "MR_D": "", "MR": "",
	} {
		if got := lookup(key); got != want {
			t.Errorf("lookup(%q) = %q, want %q", key, got, want)
		}
	}
}
