package sqldb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/sqldb"
	"millrace/internal/testservice"
	"millrace/record"
)

// childDir names the data folder to the child process: this test binary,
// started again to be killed.
const childDir = "MILLRACE_TEST_SQLDB_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := writeForever(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	if dir := os.Getenv(memoryDir); dir != "" {
		if err := exhaustMemory(dir); err != nil {
			fmt.Println("error:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// writeForever writes to the embedded database until it is killed, and says
// after each write how far it got.
func writeForever(dir string) error {
	ctx := context.Background()
	c := sqldb.NewConfig()
	c.Checkpoint = 1 << 20 // so that kills hit checkpoints too
	s, err := c.Open(ctx, connector.Env{DataDir: dir, Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if err := s.Prepare(ctx); err != nil {
		return err
	}
	positions, err := s.Claim(ctx, "child", []int32{0, 1})
	if err != nil {
		return err
	}
	fmt.Println("ready")
	for {
		w := &connector.Write{}
		for p := range positions {
			from := max(positions[p], 0)
			to := from + 1 + rand.Int64N(3000)
			for o := from; o < to; o++ {
				r, err := numbered(p, o)
				if err != nil {
					return err
				}
				w.Results = append(w.Results, r)
			}
			w.Advances = append(w.Advances, connector.Advance{Partition: p, From: from, To: to})
			positions[p] = to
		}
		if _, err := s.Write(ctx, w); err != nil {
			return err
		}
		fmt.Println("written", positions[0], positions[1])
	}
}

// numbered makes the result that belongs to a position, always the same one.
func numbered(p int32, o int64) (record.Result, error) {
	r := record.Result{Partition: p, Offset: o, EnqueuedAt: o + 1, ProcessedAt: o + 2}
	raw := fmt.Appendf(nil, `{"eventId":"00000000-0000-4000-%04x-%012x","deviceId":"device-%d","deviceSequenceNumber":%d,"value":%d.5,"complexData":{"moreData0":%q},"createdAt":"2026-01-02T15:04:05.123456Z"}`,
		0x8000+int(p), o, p, o, o%100, strings.Repeat("x", int(o%300)))
	return r, r.Decode(raw)
}

// exact demands that a partition's rows are those below its position, each
// once and unaltered.
func exact(t *testing.T, s connector.Store, positions map[int32]int64) {
	t.Helper()
	seen := map[int32]map[int64]bool{}
	err := s.Scan(t.Context(), func(r *record.Stored) error {
		if seen[r.Partition] == nil {
			seen[r.Partition] = map[int64]bool{}
		}
		want, err := numbered(r.Partition, r.Offset)
		if err != nil {
			return err
		}
		fp, err := record.Fingerprint(want.Raw)
		switch {
		case err != nil:
			return err
		case seen[r.Partition][r.Offset]:
			return fmt.Errorf("partition %d offset %d is there twice", r.Partition, r.Offset)
		case r.Offset >= positions[r.Partition]:
			return fmt.Errorf("partition %d offset %d is there, the position is %d", r.Partition, r.Offset, positions[r.Partition])
		case r.ID != want.ID || r.Fingerprint != fp || r.EnqueuedAt != want.EnqueuedAt || r.ProcessedAt != want.ProcessedAt:
			return fmt.Errorf("partition %d offset %d is altered: %+v", r.Partition, r.Offset, *r)
		}
		seen[r.Partition][r.Offset] = true
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for p, to := range positions {
		if n := int64(len(seen[p])); n != max(to, 0) {
			t.Fatalf("partition %d is at %d and has %d rows", p, to, n)
		}
	}
}

// child starts this test binary as a writing process and waits until it has
// the database open.
func child(t *testing.T, dir string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the child says %q", lines.Text())
	}
	return cmd, lines
}

func TestDuckDBKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for round := range 12 {
		cmd, lines := child(t, dir)
		kill := time.AfterFunc(time.Duration(rnd.IntN(600))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		acknowledged := [2]int64{}
		for lines.Scan() {
			if _, err := fmt.Sscanf(lines.Text(), "written %d %d", &acknowledged[0], &acknowledged[1]); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
		}
		kill.Stop()
		_ = cmd.Wait() // killed
		s := open(t, sqldb.NewConfig(), env(dir, ""))
		positions, err := s.Claim(t.Context(), "parent", []int32{0, 1})
		if err != nil {
			t.Fatal(err)
		}
		for p, at := range acknowledged {
			if max(positions[int32(p)], 0) < at { // none yet is 0 too
				t.Fatalf("round %d: partition %d is at %d, %d was acknowledged", round, p, positions[int32(p)], at)
			}
		}
		exact(t, s, positions)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDuckDBSecondProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, lines := child(t, dir)
	go func() {
		for lines.Scan() {
		}
	}()
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	s := open(t, sqldb.NewConfig(), env(dir, ""))
	defer s.Close()
	want := fmt.Sprintf("%s is already open in process %d; several workers need PostgreSQL (SQL_URL)",
		filepath.Join(dir, sqldb.DefaultFile), cmd.Process.Pid)
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
	s := open(t, c, env("", newRun()))
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
	exact(t, s, positions)
	held, err := s.Claim(t.Context(), "after", []int32{0, 1})
	if err != nil || held[0] != positions[0] || held[1] != positions[1] {
		t.Errorf("positions %v (%v), want %v", held, err, positions)
	}
}

// writeThrough writes a stretch, repeating while the store asks for it.
func writeThrough(ctx context.Context, s connector.Store, p int32, from, to int64, retries *int) error {
	w := &connector.Write{Advances: []connector.Advance{{Partition: p, From: from, To: to}}}
	for o := from; o < to; o++ {
		r, err := numbered(p, o)
		if err != nil {
			return err
		}
		w.Results = append(w.Results, r)
	}
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
	cmd, lines := child(t, dir)
	acknowledged, last := [2]int64{}, ""
	for lines.Scan() {
		last = lines.Text()
		_, _ = fmt.Sscanf(last, "written %d %d", &acknowledged[0], &acknowledged[1])
	}
	if err := cmd.Wait(); err == nil || !strings.HasPrefix(last, "error: the disk of "+filepath.Join(dir, sqldb.DefaultFile)+" is full: ") {
		t.Fatalf("the writer ended with %v: %s", err, last)
	}
	if out, err := exec.Command("mount", "-o", "remount,size=100m", dir).CombinedOutput(); err != nil {
		t.Fatalf("remount: %v %s", err, out)
	}
	s := open(t, sqldb.NewConfig(), env(dir, ""))
	defer s.Close()
	positions, err := s.Claim(t.Context(), "parent", []int32{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	if positions[0] < acknowledged[0] || positions[1] < acknowledged[1] {
		t.Errorf("positions %v, %v were acknowledged", positions, acknowledged)
	}
	exact(t, s, positions)
}
