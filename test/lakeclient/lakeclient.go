// Package lakeclient has tests drive readers and writers of Delta tables that
// Millrace did not write: delta-rs and Apache Spark, by test/clients/lake.
package lakeclient

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"millrace/internal/testservice"
)

// The names of the clients.
const (
	DeltaRS = "delta-rs"
	Spark   = "spark"
)

// patience is how long one call may take; Spark's first one starts it.
const patience = 3 * time.Minute

// Client is a program that reads and writes Delta tables, in a process that
// serves all calls of a test. Safe for concurrent use; calls wait for each other.
type Client struct {
	name string

	mu  sync.Mutex
	in  io.WriteCloser
	out chan answer
	err error // what ended it
}

// answer is what a call returns: a result, or an error with its class.
type answer struct {
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
	Kind   string          `json:"kind"`
}

// Args are the arguments of a call, by name.
type Args = map[string]any

// Start starts a client, which ends with the test. The test is skipped, or fails
// in CI, if the client is not installed.
func Start(t testing.TB, name string) *Client {
	t.Helper()
	program, script, classpath := testservice.Lake(t)
	cmd := exec.Command(program, "-B", script, name)
	cmd.Env = append(os.Environ(), "LAKE_CP="+classpath)
	// With the Java machine, which must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said := &tail{}
	cmd.Stderr = said
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &Client{name: name, in: in, out: make(chan answer)}
	go c.listen(stdout)
	t.Cleanup(func() {
		_ = in.Close()
		ended := time.AfterFunc(10*time.Second, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
		for range c.out { // which somebody no longer waits for
		}
		_ = cmd.Wait()
		ended.Stop()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it may have left behind
		if t.Failed() {
			t.Logf("what %s said at last:\n%s", name, said)
		}
	})
	return c
}

// listen passes on answers until there are no more.
func (c *Client) listen(stdout io.Reader) {
	defer close(c.out)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var a answer
		if err := json.Unmarshal(line, &a); err != nil {
			a = answer{Error: fmt.Sprintf("no answer but %q: %v", line, err)}
		}
		c.out <- a
	}
}

// Name is what the client is called.
func (c *Client) Name() string { return c.name }

// Try calls a function of the client and puts what it returns into result, a
// pointer or nil.
func (c *Client) Try(function string, args Args, result any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if args == nil {
		args = Args{}
	}
	request, err := json.Marshal(map[string]any{"call": function, "args": args})
	if err != nil {
		return err
	}
	if _, err := c.in.Write(append(request, '\n')); err != nil {
		c.err = fmt.Errorf("%s does not listen: %w", c.name, err)
		return c.err
	}
	select {
	case a, ok := <-c.out:
		switch {
		case !ok:
			c.err = fmt.Errorf("%s ended in %s", c.name, function)
			return c.err
		case a.Error != "" || a.Kind != "":
			return fmt.Errorf("%s %s: %s: %s", c.name, function, a.Kind, a.Error)
		case result == nil:
			return nil
		}
		return json.Unmarshal(a.Result, result)
	case <-time.After(patience):
		c.err = fmt.Errorf("%s: %s is not done after %s", c.name, function, patience)
		return c.err
	}
}

// Call is Try for what must succeed.
func Call[R any](t testing.TB, c *Client, function string, args Args) (result R) {
	t.Helper()
	begun := time.Now()
	if err := c.Try(function, args, &result); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Logf("%s %s took %.1f s", c.name, function, took.Seconds())
	}
	return result
}

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailSize = 8 << 10

func (l *tail) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, p...)
	if len(l.buf) > 4*tailSize {
		l.buf = append(l.buf[:0], l.buf[len(l.buf)-tailSize:]...)
	}
	return len(p), nil
}

func (l *tail) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf[max(0, len(l.buf)-tailSize):])
}
