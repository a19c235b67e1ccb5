package clients_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"millrace/internal/testservice"
)

// lakePatience is how long one call of a reader of tables may take; Spark's
// first one starts it.
const lakePatience = 3 * time.Minute

// lakeClient is a program that reads and writes Delta tables: delta-rs or Apache
// Spark, in a process that serves all calls of a test. Safe for concurrent use;
// calls wait for each other.
type lakeClient struct {
	name string

	mu  sync.Mutex
	in  io.WriteCloser
	out chan lakeAnswer
	err error // what ended it
}

// lakeAnswer is what a call returns: a result, or an error with its class.
type lakeAnswer struct {
	Result json.RawMessage `json:"result"`
	Error  string          `json:"error"`
	Kind   string          `json:"kind"`
}

// object is a row, and the arguments of a call.
type object = map[string]any

// startLake starts one of the clients of lake/serve.py.
func startLake(t *testing.T, name string) *lakeClient {
	t.Helper()
	program, classpath := testservice.Lake(t)
	cmd := exec.Command(program, "-B", filepath.Join("lake", "serve.py"), name)
	cmd.Env = append(os.Environ(), "LAKE_CP="+classpath)
	// With the Java machine, which must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	said := &record{}
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
	c := &lakeClient{name: name, in: in, out: make(chan lakeAnswer)}
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
func (c *lakeClient) listen(stdout io.Reader) {
	defer close(c.out)
	lines := bufio.NewReader(stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var answer lakeAnswer
		if err := json.Unmarshal(line, &answer); err != nil {
			answer = lakeAnswer{Error: fmt.Sprintf("no answer but %q: %v", line, err)}
		}
		c.out <- answer
	}
}

// try calls a function of the client and puts what it returns into result.
func (c *lakeClient) try(function string, args object, result any) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if args == nil {
		args = object{}
	}
	request, err := json.Marshal(object{"call": function, "args": args})
	if err != nil {
		return err
	}
	if _, err := c.in.Write(append(request, '\n')); err != nil {
		c.err = fmt.Errorf("%s does not listen: %w", c.name, err)
		return c.err
	}
	select {
	case answer, ok := <-c.out:
		switch {
		case !ok:
			c.err = fmt.Errorf("%s ended in %s", c.name, function)
			return c.err
		case answer.Error != "" || answer.Kind != "":
			return fmt.Errorf("%s %s: %s: %s", c.name, function, answer.Kind, answer.Error)
		case result == nil:
			return nil
		}
		return json.Unmarshal(answer.Result, result)
	case <-time.After(lakePatience):
		c.err = fmt.Errorf("%s: %s is not done after %s", c.name, function, lakePatience)
		return c.err
	}
}

// call is try for what must succeed.
func call[R any](t *testing.T, c *lakeClient, function string, args object) (result R) {
	t.Helper()
	begun := time.Now()
	if err := c.try(function, args, &result); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Logf("%s %s took %.1f s", c.name, function, took.Seconds())
	}
	return result
}

// lakeDetail is what a client knows of a table.
type lakeDetail struct {
	ID, Name         string
	Version          int64
	Schema           json.RawMessage
	PartitionColumns []string
	Configuration    map[string]string
	MinReaderVersion int
	MinWriterVersion int
	Files            int
}

// lakeCommit is one of a table's history, newest first.
type lakeCommit struct {
	Version    int64
	Timestamp  int64
	Operation  string
	Parameters map[string]any
	Engine     string
}

// lakePruned is how much of a table a client reads for a range of a column.
type lakePruned struct{ Files, Read, Rows int }
