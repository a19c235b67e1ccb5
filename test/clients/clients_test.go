// Package clients_test has official clients of other languages talk to what
// Millrace serves. The programs are next to it, in a folder per language; each
// prints a line per check.
package clients_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/hub"
	kafka "millrace/connector/kafka/local"
	"millrace/internal/testservice"
)

// patience is how long all checks of one language may take.
const patience = 15 * time.Minute

// parts are the files with checks, the same in every language.
var parts = []string{"producing", "consuming", "owners", "mistakes", "processing"}

// key signs the tokens of the clients that are right.
const key = "a key that only some clients know"

// hubs are those that the programs expect, with their partitions.
func hubs() []hub.Spec {
	var all []hub.Spec
	for name, partitions := range map[string]int{
		"matrix": 4, "properties": 2, "keys": 4, "thousand": 4, "spread": 4, "large": 1, "bodies": 1, "types": 1,
		"annotated": 1, "sequences": 1, "buffered": 4, "numbered": 4, "bulk": 4, "positions": 1, "later": 2,
		"owners": 1, "secure": 1, "processor": 6, "async": 2,
	} {
		all = append(all, hub.Spec{Name: name, Partitions: partitions, Groups: []string{"reports"}})
	}
	return all
}

// serve starts an endpoint over hubs over a log and returns what the programs
// need to know, as KEY=value pairs.
func serve(t *testing.T, brokers string) []string {
	t.Helper()
	if testing.Short() {
		t.Skip("the matrices take minutes")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if brokers == "" {
		broker, err := kafka.Start(ctx, kafka.Options{DataDir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = broker.Close() })
		brokers = broker.Address()
	}
	said := &record{}
	log := slog.New(slog.NewTextHandler(said, &slog.HandlerOptions{Level: slog.LevelInfo}))
	t.Cleanup(func() {
		// These clients are right; only the endpoint could be wrong about them.
		if said.contains("closed for what the client sent") {
			t.Error("the endpoint did not understand a client")
		}
		if t.Failed() {
			t.Logf("what the endpoint said at last:\n%s", said)
		}
	})
	// Not the first namespace, whose topics have no prefix: the log may be one
	// that others use as well.
	namespace := fmt.Sprintf("clients%d", time.Now().UnixNano())
	cluster, err := hub.Open(ctx, hub.Options{
		Brokers: []string{brokers}, Log: log,
		Namespaces: []hub.NamespaceSpec{{Name: "first"}, {Name: namespace, Hubs: hubs()}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cluster.Close() })
	certificate, ca := certificate(t)
	server, err := local.Start(ctx, local.Options{
		Cluster: cluster, Key: key, TLS: certificate, Log: log, NamespacePorts: map[string]int{namespace: 0},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	address := server.NamespaceAddress(namespace)
	secure := strings.ReplaceAll(strings.ReplaceAll(address, ";UseDevelopmentEmulator=true", ""), "127.0.0.1", "localhost")
	return []string{
		"EVENTHUB_CONNECTION_STRING=" + address,
		"EVENTHUB_WRONG_KEY=" + strings.ReplaceAll(address, key, "another key"),
		"EVENTHUB_TLS=" + secure,
		"EVENTHUB_CA=" + ca,
		"NODE_EXTRA_CA_CERTS=" + ca,
		"STORAGE_CONNECTION_STRING=" + testservice.Azurite(t),
	}
}

// record keeps what is written to it, up to a limit that no test should reach.
type record struct {
	mu  sync.Mutex
	buf []byte
}

func (r *record) contains(s string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.buf, []byte(s))
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.buf) < 64<<20 {
		r.buf = append(r.buf, p...)
	}
	return len(p), nil
}

func (r *record) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return string(r.buf[max(0, len(r.buf)-8<<10):])
}

// run runs a program, reports its checks and returns their number.
// MILLRACE_TEST_CHECKS, a regular expression, chooses among them.
func run(t *testing.T, env []string, program string, args ...string) (checked int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if only := os.Getenv("MILLRACE_TEST_CHECKS"); only != "" {
		args = append(args, only)
	}
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), env...)
	// With its children, which must not outlive it.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	stderr := &record{}
	cmd.Stderr = stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	checked, failed, done := report(t, stdout)
	err = cmd.Wait()
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it may have left behind
	if err != nil && failed == 0 || done != checked {
		t.Errorf("it ended after %d checks of %d (%v), saying:\n%s", checked, done, err, stderr)
	}
	return checked
}

// report turns the lines of a program into results and counts them; done is the
// number that the program itself gives at its end, -1 if it does not get there.
func report(t *testing.T, r io.Reader) (checked, failed, done int) {
	t.Helper()
	done = -1
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "ok "):
			t.Log(line)
			checked++
		case strings.HasPrefix(line, "FAIL "):
			t.Error(line)
			checked++
			failed++
		default:
			if _, err := fmt.Sscanf(line, "done %d", &done); err != nil {
				t.Log(line)
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Errorf("reading what the program says: %v", err)
	}
	return checked, failed, done
}

// matrix runs all parts of a program's checks against one endpoint, at the same
// time: clients wait more than they work.
func matrix(t *testing.T, parts []string, env []string, program string, args ...string) {
	t.Helper()
	lookAtPrograms(t)
	var ran atomic.Int64
	t.Run("matrix", func(t *testing.T) {
		for _, part := range parts {
			t.Run(part, func(t *testing.T) {
				t.Parallel()
				ran.Add(int64(run(t, env, program, append(slices.Clone(args), part)...)))
			})
		}
	})
	if ran.Load() == 0 {
		t.Errorf("no check is called %s", os.Getenv("MILLRACE_TEST_CHECKS"))
	}
}

// lookAtPrograms opens all that the programs are made of, so that a result of
// this test is not taken from the cache when one of them has changed.
func lookAtPrograms(t *testing.T) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		_, err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestJavaScript(t *testing.T) {
	program, modules := testservice.Node(t)
	env := append(serve(t, ""), "NODE_PATH="+modules)
	matrix(t, parts, env, program, filepath.Join("js", "matrix.js"))
}

// The same over Apache Kafka as the log.
func TestJavaScriptOnKafka(t *testing.T) {
	program, modules := testservice.Node(t)
	env := append(serve(t, testservice.Kafka(t).Brokers), "NODE_PATH="+modules)
	matrix(t, parts, env, program, filepath.Join("js", "matrix.js"))
}

func TestPython(t *testing.T) {
	program := testservice.Python(t)
	matrix(t, append([]string{"asynchronous"}, parts...), serve(t, ""), program, "-B", filepath.Join("python", "matrix.py"))
}
