package files_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/files"
)

// These name the data folder and the format to the child process: this test
// binary, started again to be killed.
const (
	childDir    = "MILLRACE_TEST_FILES_CHILD"
	childFormat = "MILLRACE_TEST_FILES_FORMAT"
)

// writeForever writes until it is killed, and says after each write how far it
// got.
func writeForever(dir, format string) error {
	ctx := context.Background()
	s, err := config(format, "auto").Open(ctx, connector.Env{DataDir: dir, Getenv: os.Getenv, Log: slog.New(slog.DiscardHandler)})
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
		for p := range int32(2) {
			from := max(positions[p], 0)
			u := unit(p, from, from+1+rand.Int64N(400), 0)
			to := from + int64(len(u.Results))
			w.Results = append(w.Results, u.Results...)
			w.Advances = append(w.Advances, connector.Advance{Partition: p, From: from, To: to})
			positions[p] = to
		}
		if _, err := s.Write(ctx, w); err != nil {
			return err
		}
		fmt.Println("written", positions[0], positions[1])
	}
}

// child starts this test binary as a writing process and waits until it owns
// its partitions.
func child(t *testing.T, dir, format string) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childFormat+"="+format)
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

// whole demands that everything below the positions is there, and nothing else.
func whole(t *testing.T, s connector.Store, atLeast [2]int64) {
	t.Helper()
	positions, err := s.Claim(t.Context(), "parent", []int32{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	want := map[int32][]span{}
	for p, at := range positions {
		if at < atLeast[p] {
			t.Fatalf("partition %d is at %d, %d was acknowledged", p, at, atLeast[p])
		}
		want[p] = []span{{0, at}}
	}
	exact(t, s, want)
}

// A writer that is killed at any moment leaves every event there once, up to the
// positions.
func TestKilled(t *testing.T) {
	t.Parallel()
	for _, format := range []string{files.Parquet, files.JSONL} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			rnd := rand.New(rand.NewPCG(seed, 0))
			dir := t.TempDir()
			for range 5 {
				cmd, lines := child(t, dir, format)
				acknowledged := [2]int64{}
				read := func() {
					if _, err := fmt.Sscanf(lines.Text(), "written %d %d", &acknowledged[0], &acknowledged[1]); err != nil {
						t.Fatalf("the child says %q", lines.Text())
					}
				}
				// Killed after some writes, in the middle of what comes next.
				for range 3 + rnd.IntN(10) {
					if !lines.Scan() {
						t.Fatal("the child has ended")
					}
					read()
				}
				time.Sleep(time.Duration(rnd.IntN(40)) * time.Millisecond)
				_ = cmd.Process.Kill()
				for lines.Scan() {
					read()
				}
				_ = cmd.Wait() // killed
				s := prepared(t, config(format, "auto"), env(dir, ""))
				whole(t, s, acknowledged)
			}
		})
	}
}

// Two processes write to the same files, one of which takes the other's
// partitions away. The one that lost them ends, and nothing is there twice.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, firstLines := child(t, dir, files.JSONL)
	defer func() { _ = first.Process.Kill() }()
	if !firstLines.Scan() {
		t.Fatal("the first writer has ended")
	}
	second, secondLines := child(t, dir, files.JSONL)
	last, lastOfSecond := "", ""
	for firstLines.Scan() {
		last = firstLines.Text()
	}
	if !strings.Contains(last, "belong to another worker now") {
		t.Errorf("the first writer ends with %q", last)
	}
	_ = first.Wait()
	for range 5 {
		if !secondLines.Scan() {
			break
		}
		lastOfSecond = secondLines.Text()
	}
	_ = second.Process.Kill()
	for secondLines.Scan() {
		lastOfSecond = secondLines.Text()
	}
	_ = second.Wait()
	// The first one may have got a file in after the second one had looked:
	// then that one is refused, and would have to claim anew.
	if !strings.HasPrefix(lastOfSecond, "written ") && !strings.Contains(lastOfSecond, "belong to another worker now") {
		t.Errorf("the second writer says %q", lastOfSecond)
	}
	whole(t, prepared(t, config(files.JSONL, "auto"), env(dir, "")), [2]int64{})
}
