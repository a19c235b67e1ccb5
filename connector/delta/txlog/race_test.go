package txlog

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/connectortest"
	"millrace/internal/testservice"
)

// workerEnv makes the test binary a writer of a table: its address, container,
// name and how many commits it is to make.
const workerEnv = "MILLRACE_TEST_TXLOG_WORKER"

func TestMain(m *testing.M) {
	if v := os.Getenv(workerEnv); v != "" {
		if err := worker(v); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// worker commits one file after the other, each with how far it has got, and
// says so for each. It goes on from what the table says.
func worker(arg string) error {
	part := strings.Split(arg, "\n")
	var count int64
	if _, err := fmt.Sscan(part[3], &count); err != nil {
		return err
	}
	ctx := context.Background()
	b, err := blob.Open(ctx, part[0], part[1], nil)
	if err != nil {
		return err
	}
	defer b.Close()
	tb := Open(b, "table", Options{})
	defer tb.Close(ctx) //nolint:errcheck // it does not give up
	for {
		s, err := tb.Snapshot(ctx)
		if connector.ActionOf(err) == connector.Retry {
			time.Sleep(50 * time.Millisecond)
			continue
		}
		if err != nil {
			return err
		}
		for {
			n := int64(0)
			if last, ok := s.Txn(part[2]); ok {
				n = last + 1
			}
			if n == count {
				return nil
			}
			if s, err = tb.Commit(ctx, s, Change{Operation: "STREAMING UPDATE", Add: files(fmt.Sprintf("%s-%d", part[2], n)),
				Txns: []Txn{{AppID: part[2], Version: n}}}); err != nil {
				break
			}
			fmt.Println("made", n, s.Version)
		}
		// A commit of the process before this one may have arrived late;
		// whatever it is, the table tells.
		if _, late := errors.AsType[*ConflictError](err); !late && connector.ActionOf(err) != connector.Retry {
			return err
		}
	}
}

func TestProcessesRaceInAFolder(t *testing.T) {
	t.Parallel()
	race(t, t.TempDir(), "", 3, 100)
}

func TestProcessesRaceInAStorageAccount(t *testing.T) {
	t.Parallel()
	address := testservice.Azurite(t)
	race(t, address, connectortest.NewContainer(t, address), 2, 100)
}

// race lets processes commit to one table, kills them at random moments, starts
// them again until all have made their commits, and looks for a commit that was
// lost, made twice, or left a gap.
func race(t *testing.T, address, container string, workers, commits int) {
	b, err := blob.Open(t.Context(), address, container, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	created(t, open(t, b, "table", Options{}))
	var wg sync.WaitGroup
	acks := make([]map[int64]int64, workers)
	for w := range workers {
		acks[w] = map[int64]int64{}
		wg.Go(func() {
			kills := 3
			for !lead(t, address, container, fmt.Sprint("w", w), commits, kills > 0, acks[w]) && !t.Failed() {
				kills--
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	tb := open(t, b, "table", Options{})
	s := newest(t, tb)
	if s.Version != int64(workers*commits) || s.NumFiles() != workers*commits {
		t.Fatalf("%v, not %d versions and files", s, workers*commits)
	}
	where := map[string]int64{}
	if err := tb.History(t.Context(), 0, func(v Version) error {
		if v.Version > 0 && (v.Added != 1 || v.Removed != 0) {
			t.Errorf("version %d: %+v", v.Version, v)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for v := int64(1); v <= s.Version; v++ {
		c, err := tb.readCommit(t.Context(), v)
		if err != nil {
			t.Fatal(err)
		}
		if at, twice := where[c.files[0].add.Path]; twice {
			t.Errorf("%s is in versions %d and %d", c.files[0].add.Path, at, v)
		}
		where[c.files[0].add.Path] = v
	}
	for w, made := range acks {
		for n, v := range made {
			if at := where[fmt.Sprintf("w%d-%d", w, n)]; at != v {
				t.Errorf("commit %d of worker %d was acknowledged as version %d, but is %d", n, w, v, at)
			}
		}
	}
	// Without checkpoints it is the same table.
	want := state(s)
	if err := b.List(t.Context(), "table/_delta_log/", func(i blob.Info) error {
		if !strings.HasSuffix(i.Name, ".json") {
			return b.Delete(t.Context(), i.Name)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := state(newest(t, open(t, b, "table", Options{}))); got != want {
		t.Error("the commits alone say something else than with checkpoints")
	}
}

// lead runs one process until it ends, or until it is killed, some commits
// later, and tells whether it has finished.
func lead(t *testing.T, address, container, name string, commits int, kill bool, acks map[int64]int64) bool {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), workerEnv+"="+strings.Join([]string{address, container, name, fmt.Sprint(commits)}, "\n"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return true
	}
	left, killed := rand.IntN(25), false
	for lines := bufio.NewScanner(out); lines.Scan(); left-- {
		var n, version int64
		if _, err := fmt.Sscanf(lines.Text(), "made %d %d", &n, &version); err != nil {
			t.Errorf("%q: %v", lines.Text(), err)
		}
		acks[n] = version
		if kill && left == 0 {
			time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
			_ = cmd.Process.Kill()
			killed = true
		}
	}
	if err := cmd.Wait(); err != nil && !killed {
		t.Errorf("%v: %s", err, stderr.String())
		return true
	}
	return !killed
}

// The same within one process: tables that share nothing but the storage, and
// one that many use at once.
func TestTablesRace(t *testing.T) {
	t.Parallel()
	b, _ := folder(t)
	one, two := open(t, b, "", Options{}), open(t, b, "", Options{})
	created(t, one, PropCheckpointInterval, "7")
	var wg sync.WaitGroup
	for i := range 6 {
		tb := one
		if i%3 == 0 {
			tb = two
		}
		wg.Go(func() {
			ctx := context.Background()
			s, err := tb.Snapshot(ctx)
			for n := 0; n < 20 && err == nil; n++ {
				// Now and then a base that is old.
				if next, cerr := tb.Commit(ctx, s, Change{Operation: "WRITE", Add: files(fmt.Sprintf("%d-%d", i, n))}); n%3 == 0 {
					s, err = next, cerr
				} else {
					err = cerr
				}
			}
			if err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			last := int64(0)
			for range 20 {
				s, err := tb.Snapshot(context.Background())
				if err != nil || s.Version < last || s.NumFiles() != int(s.Version) {
					t.Errorf("%v after %d, %v", s, last, err)
					return
				}
				last = s.Version
			}
		})
	}
	wg.Wait()
	s := newest(t, one)
	if s.Version != 120 || s.NumFiles() != 120 || state(newest(t, two)) != state(s) || state(newest(t, open(t, b, "", Options{}))) != state(s) {
		t.Errorf("%v", s)
	}
}
