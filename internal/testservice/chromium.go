package testservice

import (
	"bytes"
	"context"
	"os/exec"
	"testing"
	"time"
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

// DumpDOM shows a page to a browser whose every request goes through proxy
// (host:port), and returns the document as it is when the page's scripts are
// done. Nothing reaches another address.
func DumpDOM(t testing.TB, browser, proxy, page string, flags ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	args := append([]string{
		"--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--disable-extensions",
		"--user-data-dir=" + t.TempDir(), "--proxy-server=" + proxy, "--proxy-bypass-list=<-loopback>",
		"--virtual-time-budget=15000", "--dump-dom",
	}, append(flags, page)...)
	cmd := exec.CommandContext(ctx, browser, args...)
	cmd.WaitDelay = 5 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", browser, err, stderr.String())
	}
	return stdout.String()
}
