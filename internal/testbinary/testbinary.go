// Package testbinary builds the program for tests that run it as users do.
package testbinary

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

var built struct {
	once sync.Once
	dir  string
	err  error
}

// Path builds the program, once in a test binary, and returns where it is. The
// test binary's TestMain must be Main.
func Path(t testing.TB) string {
	t.Helper()
	built.once.Do(func() {
		if built.dir, built.err = os.MkdirTemp("", "millrace-test-"); built.err != nil {
			return
		}
		out, err := exec.Command("go", "build", "-o", filepath.Join(built.dir, "millrace"), "millrace/cmd/millrace").CombinedOutput()
		if err != nil {
			built.err = fmt.Errorf("building millrace: %w\n%s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return filepath.Join(built.dir, "millrace")
}

// Main runs the tests, removes what Path built and returns the exit code.
func Main(m *testing.M) int {
	defer func() {
		if built.dir != "" {
			os.RemoveAll(built.dir)
		}
	}()
	return m.Run()
}
