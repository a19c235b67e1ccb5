package testservice

import (
	"os/exec"
	"testing"
)

// Chromium returns the program of a Chromium or Chrome that can run without a
// display. Short runs of tests (go test -short) skip what needs it: a browser
// takes a few seconds per page.
func Chromium(t testing.TB) (program string) {
	t.Helper()
	if testing.Short() {
		t.Skip("a browser takes a few seconds per page")
	}
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	Absent(t, "no chromium found, so that nobody looks at the page: run `make services`")
	return ""
}
