package delta_test

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
	"millrace/connector/delta"
	"millrace/record"
)

// childDir names the data folder to the child process: this test binary,
// started again to be killed.
const childDir = "MILLRACE_TEST_DELTA_CHILD"

// killed is the configuration of both sides: checkpoints and compactions often,
// so that kills hit them too.
func killed() *delta.Config {
	c := delta.NewConfig()
	c.CommitInterval = connector.Duration(10 * time.Millisecond)
	c.CompactAfter, c.TargetFileSize = 4, 256<<10
	c.Properties = map[string]string{"delta.checkpointInterval": "5"}
	return c
}

// writeForever writes until it is killed, and says after each write how far it
// got.
func writeForever(dir string) error {
	ctx := context.Background()
	c := killed()
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
		for p := range int32(2) {
			from := max(positions[p], 0)
			to := from + 1 + rand.Int64N(500)
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
	raw := fmt.Appendf(nil, `{"eventId":"00000000-0000-4000-%04x-%012x","deviceId":"device-%d","deviceSequenceNumber":%d,"value":%d.5,"type":"TEMP","complexData":{"moreData0":%d.25},"note":%q,"createdAt":"2026-01-02T15:04:05.123456Z"}`,
		0x8000+int(p), o, p, o, o%100, o%10, strings.Repeat("x", int(o%300)))
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

// child starts this test binary as a writing process and waits until it owns
// its partitions.
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

// A writer that is killed at any moment leaves a table in which every event is
// there once, up to the positions.
func TestKilled(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for round := range 6 {
		cmd, lines := child(t, dir)
		// Killed after some writes, in the middle of what comes next.
		acknowledged := [2]int64{}
		for range 3 + rnd.IntN(12) {
			if !lines.Scan() {
				t.Fatal("the child has ended")
			}
			if _, err := fmt.Sscanf(lines.Text(), "written %d %d", &acknowledged[0], &acknowledged[1]); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
		}
		time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond)
		_ = cmd.Process.Kill()
		for lines.Scan() {
			if _, err := fmt.Sscanf(lines.Text(), "written %d %d", &acknowledged[0], &acknowledged[1]); err != nil {
				t.Fatalf("the child says %q", lines.Text())
			}
		}
		_ = cmd.Wait() // killed
		s := open(t, killed(), env(dir, ""))
		positions, err := s.Claim(t.Context(), "parent", []int32{0, 1})
		if err != nil {
			t.Fatal(err)
		}
		for p, at := range acknowledged {
			if positions[int32(p)] < at {
				t.Fatalf("round %d: partition %d is at %d, %d was acknowledged", round, p, positions[int32(p)], at)
			}
		}
		exact(t, s, positions)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Two processes write to one table, one of which takes the other's partitions
// away. The one that lost them ends; nothing of it is in the table that the
// positions do not cover.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first, firstLines := child(t, dir)
	defer func() { _ = first.Process.Kill() }()
	if !firstLines.Scan() {
		t.Fatal("the first writer has ended")
	}
	second, secondLines := child(t, dir)
	last := ""
	for firstLines.Scan() {
		last = firstLines.Text()
	}
	if !strings.HasPrefix(last, "error: partitions [0 1] belong to another worker now: ") {
		t.Errorf("the first writer ends with %q", last)
	}
	_ = first.Wait()
	for range 5 {
		if !secondLines.Scan() {
			t.Fatal("the second writer has ended")
		}
	}
	_ = second.Process.Kill()
	for secondLines.Scan() {
	}
	_ = second.Wait()
	s := open(t, killed(), env(dir, ""))
	defer s.Close()
	positions, err := s.Claim(t.Context(), "parent", []int32{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	exact(t, s, positions)
}
