package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/connectortest"
	"millrace/connector/sqldb"
	"millrace/internal/testservice"
)

func TestMain(m *testing.M) {
	connectortest.WriteIfChild(600, embedded)
	if dir := os.Getenv(memoryDir); dir != "" {
		if err := exhaustMemory(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// embedded opens the embedded database that children write.
func embedded(ctx context.Context, dir, _ string) (connector.Store, error) {
	c := sqldb.NewConfig()
	c.Checkpoint = 1 << 20 // so that kills hit checkpoints too
	return c.Open(ctx, connectortest.Env(dir, ""))
}

func TestDuckDBKilled(t *testing.T) {
	t.Parallel()
	connectortest.RunKilled(t, 8, "", embedded)
}

func TestDuckDBSecondProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child := connectortest.StartChild(t, dir, "")
	s := open(t, sqldb.NewConfig(), connectortest.Env(dir, ""))
	defer s.Close()
	want := fmt.Sprintf("%s is already open in process %d; several workers need PostgreSQL (SQL_URL)",
		filepath.Join(dir, sqldb.DefaultFile), child.Pid())
	_, queryErr := s.Query(t.Context(), "SELECT 1")
	for _, err := range []error{s.Prepare(t.Context()), queryErr} {
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
		if hinted := (*connector.Hinted)(nil); !errors.As(err, &hinted) || connector.ActionOf(err) != connector.Fail {
			t.Errorf("%v has no hint, or is to be retried", err)
		}
	}
}

// TestPostgreSQLOutage stops, kills and starts a server of its own in the
// middle of writes.
func TestPostgreSQLOutage(t *testing.T) {
	t.Parallel()
	testservice.Postgres(t) // or the test cannot run here
	script := testservice.PostgresScript()
	if script == "" {
		testservice.Absent(t, "test/services/postgres.sh is not here")
	}
	dir, err := os.MkdirTemp("", "millrace-outage-")
	if err != nil {
		t.Fatal(err)
	}
	// The server may belong to another user, who must reach it.
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	server := func(command string) {
		cmd := exec.Command(script, command)
		cmd.Env = append(os.Environ(), "MILLRACE_SERVICES_DIR="+dir, "MILLRACE_POSTGRES_PORT=")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("postgres.sh %s: %v\n%s", command, err, out)
		}
	}
	t.Cleanup(func() {
		server("stop")
		if target, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
			_ = os.RemoveAll(target)
		}
		_ = os.RemoveAll(dir)
	})
	server("start")
	text, err := os.ReadFile(filepath.Join(dir, "postgres.env"))
	if err != nil {
		t.Fatal(err)
	}
	c := sqldb.NewConfig()
	_, c.URL, _ = strings.Cut(strings.TrimSpace(string(text)), "=")
	s := open(t, c, connectortest.Env("", connectortest.NewRun()))
	defer s.Close()
	if err := s.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), "w", []int32{0, 1}); err != nil {
		t.Fatal(err)
	}
	ctx, enough := context.WithCancel(t.Context())
	type end struct {
		partition int32
		position  int64
		retries   int
		err       error
	}
	ends := make(chan end)
	for p := range int32(2) {
		go func() {
			e := end{partition: p}
			for ctx.Err() == nil && e.err == nil {
				e.err = writeThrough(t.Context(), s, p, e.position, e.position+200, &e.retries)
				e.position += 200
			}
			ends <- e
		}()
	}
	for _, command := range []string{"kill", "start", "stop", "start", "restart", "kill", "start"} {
		time.Sleep(300 * time.Millisecond)
		server(command)
	}
	time.Sleep(300 * time.Millisecond)
	enough()
	positions, retries := map[int32]int64{}, 0
	for range 2 {
		e := <-ends
		if e.err != nil {
			t.Errorf("writing: %v", e.err)
		}
		positions[e.partition] = e.position
		retries += e.retries
	}
	if t.Failed() {
		return
	}
	t.Logf("positions %v, %d tries failed", positions, retries)
	if retries == 0 {
		t.Error("no write noticed an outage")
	}
	connectortest.Exact(t, s, positions)
	held, err := s.Claim(t.Context(), "after", []int32{0, 1})
	if err != nil || held[0] != positions[0] || held[1] != positions[1] {
		t.Errorf("positions %v (%v), want %v", held, err, positions)
	}
}

// writeThrough writes a stretch, repeating while the store asks for it.
func writeThrough(ctx context.Context, s connector.Store, p int32, from, to int64, retries *int) error {
	w := connectortest.Stretch(p, from, to)
	for {
		_, err := s.Write(ctx, w)
		if err == nil || connector.ActionOf(err) != connector.Retry {
			return err
		}
		*retries++
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// TestDuckDBDiskFull fills a small disk. Making one takes root.
func TestDuckDBDiskFull(t *testing.T) {
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", dir).CombinedOutput(); err != nil {
		testservice.Absent(t, "a small disk cannot be made here: %v %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v %s", err, out)
		}
	})
	child := connectortest.StartChild(t, dir, "")
	if err := child.Wait(); err == nil || !strings.HasPrefix(child.Last, "error: the disk of "+filepath.Join(dir, sqldb.DefaultFile)+" is full: ") {
		t.Fatalf("the writer ended with %v: %s", err, child.Last)
	}
	if out, err := exec.Command("mount", "-o", "remount,size=100m", dir).CombinedOutput(); err != nil {
		t.Fatalf("remount: %v %s", err, out)
	}
	s := open(t, sqldb.NewConfig(), connectortest.Env(dir, ""))
	defer s.Close()
	positions, err := s.Claim(t.Context(), "parent", []int32{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	if said := child.Acknowledged; positions[0] < said[0] || positions[1] < said[1] {
		t.Errorf("positions %v, %v were acknowledged", positions, said)
	}
	connectortest.Exact(t, s, positions)
}
