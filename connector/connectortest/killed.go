package connectortest

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"millrace/connector"
)

// These tell a child its folder, and what kind of store to open there.
const (
	childDir  = "MILLRACE_TEST_CHILD_DIR"
	childKind = "MILLRACE_TEST_CHILD_KIND"
)

// ChildOpener opens the store of a child in a folder. kind is what StartChild was
// told.
type ChildOpener func(ctx context.Context, dir, kind string) (connector.Store, error)

// WriteIfChild does what a child is there for if this process is one: it writes
// to partitions 0 and 1, in each write up to so many results for each of them,
// until it is killed or fails. It does not return then. It belongs at the
// beginning of TestMain.
func WriteIfChild(most int64, open ChildOpener) {
	dir := os.Getenv(childDir)
	if dir == "" {
		return
	}
	fmt.Println("error:", writeForever(context.Background(), dir, most, open))
	os.Exit(1)
}

// writeForever says after each write how far it got.
func writeForever(ctx context.Context, dir string, most int64, open ChildOpener) error {
	s, err := open(ctx, dir, os.Getenv(childKind))
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
			u := Stretch(p, from, from+1+rand.Int64N(most))
			w.Results = append(w.Results, u.Results...)
			w.Advances = append(w.Advances, u.Advances...)
			positions[p] = u.Advances[0].To
		}
		if _, err := s.Write(ctx, w); err != nil {
			return err
		}
		fmt.Println("written", positions[0], positions[1])
	}
}

// Child is this test binary, started again as a process that writes to a store.
// It is for one goroutine, apart from Kill.
type Child struct {
	// Acknowledged are the positions that it has said last.
	Acknowledged [2]int64
	// Last is what it has said last.
	Last  string
	cmd   *exec.Cmd
	lines *bufio.Scanner
	ended bool
	err   error
}

// StartChild starts a child and waits until it owns its partitions. The end of
// the test kills it.
func StartChild(t testing.TB, dir, kind string) *Child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childKind+"="+kind)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	c := &Child{cmd: cmd, lines: bufio.NewScanner(out)}
	t.Cleanup(func() {
		c.Kill()
		_ = c.Wait() // killed
	})
	if c.Next(); c.Last != "ready" {
		t.Fatalf("the child says %q", c.Last)
	}
	return c
}

// Pid is the number of its process.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Next waits for the next write. It is false if the child said something else,
// or nothing more.
func (c *Child) Next() bool {
	if !c.lines.Scan() {
		return false
	}
	c.Last = c.lines.Text()
	var to [2]int64
	if _, err := fmt.Sscanf(c.Last, "written %d %d", &to[0], &to[1]); err != nil {
		return false
	}
	c.Acknowledged = to
	return true
}

// Kill ends it in the middle of what it does.
func (c *Child) Kill() { _ = c.cmd.Process.Kill() }

// Wait waits for its end. The error tells how it ended, if not well.
func (c *Child) Wait() error {
	for c.Next() {
	}
	if !c.ended {
		c.ended, c.err = true, c.cmd.Wait()
	}
	return c.err
}

// RunKilled kills a child, so many times in the same folder, at random moments:
// it leaves a store in which every result is there once, up to the positions.
// open opens that store, as the child does.
func RunKilled(t *testing.T, rounds int, kind string, open ChildOpener) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	for range rounds {
		c := StartChild(t, dir, kind)
		// Killed after some writes, in the middle of what comes next.
		for range rnd.IntN(15) {
			if !c.Next() {
				t.Fatalf("the child has ended: %s", c.Last)
			}
		}
		time.Sleep(time.Duration(rnd.IntN(60)) * time.Millisecond)
		c.Kill()
		_ = c.Wait() // killed
		if c.Last != "ready" && !strings.HasPrefix(c.Last, "written ") {
			t.Fatalf("the child says %q", c.Last)
		}
		whole(t, dir, kind, open, c.Acknowledged)
	}
}

// whole demands that everything below the positions is there, and nothing else.
func whole(t *testing.T, dir, kind string, open ChildOpener, acknowledged [2]int64) {
	t.Helper()
	s, err := open(t.Context(), dir, kind)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	positions, err := s.Claim(t.Context(), "parent", []int32{0, 1})
	if err != nil {
		t.Fatal(err)
	}
	for p, at := range acknowledged {
		if max(positions[int32(p)], 0) < at { // none yet is 0 too
			t.Fatalf("partition %d is at %d, %d was acknowledged", p, positions[int32(p)], at)
		}
	}
	Exact(t, s, positions)
}

// RunTwoProcesses lets two children write to one store, one of which takes the
// other's partitions away. The one that lost them ends; nothing of it is there
// that the positions do not cover.
func RunTwoProcesses(t *testing.T, features StoreFeatures, kind string, open ChildOpener) {
	const lost = "belong to another worker now: "
	dir := t.TempDir()
	first := StartChild(t, dir, kind)
	if !first.Next() {
		t.Fatalf("the first writer has ended: %s", first.Last)
	}
	second := StartChild(t, dir, kind)
	_ = first.Wait() // its last words say why
	if says := first.Last; !strings.HasPrefix(says, "error: partitions [") || !strings.Contains(says, lost) ||
		!features.DecidesByPartition && !strings.HasPrefix(says, "error: partitions [0 1] "+lost) {
		t.Errorf("the first writer ends with %q", says)
	}
	for range 5 {
		if !second.Next() {
			break
		}
	}
	second.Kill()
	_ = second.Wait() // killed
	// Where partitions are decided one by one, the first one may have got
	// something in after the second one had looked: then that one is refused,
	// and would have to claim anew.
	if says := second.Last; !strings.HasPrefix(says, "written ") && !(features.DecidesByPartition && strings.Contains(says, lost)) {
		t.Errorf("the second writer says %q", says)
	}
	whole(t, dir, kind, open, second.Acknowledged)
}
