package e2e

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// patience is how long a run may take to get somewhere.
const patience = 3 * time.Minute

// begun is a run that a test disturbs on its way.
type begun struct {
	*exec.Cmd
	out  bytes.Buffer
	errs tail
}

// tail keeps what a process says while it is read.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}

// begin starts the program, which serves its metrics.
func begin(t *testing.T, env []string, args ...string) *begun {
	t.Helper()
	b := &begun{Cmd: command(t, env, append(args, "--metrics-addr", "127.0.0.1:0")...)}
	b.Stdout, b.Stderr = &b.out, &b.errs
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b.ProcessState == nil {
			_ = b.Process.Kill()
			_ = b.Wait()
		}
	})
	return b
}

var metricsAt = regexp.MustCompile(`metrics at (http://\S+)`)

// until waits for a metric to reach a value: how long a run takes to begin
// depends on the machine.
func (b *begun) until(t *testing.T, metric string, least float64) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		if at := metricsAt.FindStringSubmatch(b.errs.String()); at != nil && value(t, at[1], metric) >= least {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s did not reach %g\n%s", metric, least, b.errs.String())
		}
	}
}

// value asks for a metric, 0 if it is not there.
func value(t *testing.T, url, metric string) float64 {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0 // a run that has ended shows that itself
	}
	defer resp.Body.Close()
	for lines := bufio.NewReader(resp.Body); ; {
		line, err := lines.ReadString('\n')
		if strings.HasPrefix(line, metric+"{") {
			v, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			return v
		}
		if err != nil {
			if err != io.EOF {
				t.Log(err)
			}
			return 0
		}
	}
}
