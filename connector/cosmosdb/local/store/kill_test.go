package store

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector/cosmosdb/local/partition"
	"millrace/connector/cosmosdb/local/value"
)

const childDir = "MILLRACE_STORE_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

const (
	killWriters = 4
	killIDs     = 60
)

var killPolicies = []string{sampleIndexing, `{"includedPaths":[{"path":"/type/?"},{"path":"/n/?"}],"excludedPaths":[{"path":"/*"}]}`}

// child writes to a store, and prints what was acknowledged, until it is
// killed.
func child(dir string) error {
	s, err := Open(dir, Options{memTable: 256 << 10, CacheBytes: 1 << 20})
	if err != nil {
		return err
	}
	ctx := context.Background()
	c, err := killContainer(ctx, s)
	if err != nil {
		return err
	}
	var mu sync.Mutex
	say := func(format string, args ...any) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf(format+"\n", args...) // one write, to a pipe
	}
	failed := make(chan error)
	for writer := range killWriters {
		go func() { failed <- write(ctx, c, writer, say) }()
	}
	go func() { failed <- watch(ctx, c, say) }()
	go func() {
		for i := 0; ; i++ {
			time.Sleep(100 * time.Millisecond)
			p := c.Properties()
			p.Indexing = json.RawMessage(killPolicies[i%2])
			if err := s.ReplaceContainer(ctx, c, p, ""); err != nil {
				failed <- err
			}
		}
	}()
	return <-failed
}

func killContainer(ctx context.Context, s *Store) (*Container, error) {
	d, err := s.Database("db")
	if errors.Is(err, ErrNotFound) {
		d, err = s.CreateDatabase(ctx, "db", nil)
	}
	if err != nil {
		return nil, err
	}
	c, err := s.Container(d, "events")
	if errors.Is(err, ErrNotFound) {
		c, err = s.CreateContainer(ctx, d, sampleProperties(), 3, &Offer{Throughput: 400})
	}
	return c, err
}

// write has partitions of its own. It says what it is going to do before it
// does it, and then that it is done; n grows and says which write an item is of.
func write(ctx context.Context, c *Container, writer int, say func(string, ...any)) error {
	random := rand.New(rand.NewPCG(rand.Uint64(), 1))
	for n := time.Now().UnixMicro(); ; n++ {
		pk := fmt.Sprintf("%d-%d", writer, random.IntN(5))
		key, err := partition.New(c.Definition(), pk)
		if err != nil {
			return err
		}
		var ops []Op
		var plan []string
		for range 1 + random.IntN(3)*random.IntN(4) {
			id := fmt.Sprint("item-", random.IntN(killIDs))
			op := Op{Kind: OpUpsert, ID: id, Body: doc(pk, id, fmt.Sprintf(`"n":%d,"eventId":"%s","type":"T%d","fill":%q`, n, id, n%3, strings.Repeat("x", 700)))}
			verb := "set"
			if random.IntN(5) == 0 {
				op, verb = Op{Kind: OpDelete, ID: id}, "delete"
			}
			ops = append(ops, op)
			plan = append(plan, fmt.Sprintf("%s %s %s %d", verb, pk, id, n))
		}
		say("try %d %s", writer, strings.Join(plan, ";"))
		res, err := c.Apply(ctx, key, ops)
		if err != nil {
			return err
		}
		if res[0].Status == FailedDependency || !res[len(res)-1].Status.Done() {
			say("not %d", writer) // something to be deleted was not there
		} else {
			say("did %d", writer)
		}
	}
}

// watch follows the change feed.
func watch(ctx context.Context, c *Container, say func(string, ...any)) error {
	var after [3]int64
	for {
		for n := range after {
			_, next, err := c.Changes(ctx, ChangeRequest{Range: n, After: after[n]})
			if err != nil {
				return err
			}
			if next > after[n] {
				say("feed %d %d", n, next)
			}
			after[n] = next
		}
		time.Sleep(time.Millisecond)
	}
}

// said is what the children have said.
type said struct {
	// items are what was acknowledged, by writer; trying is what a writer was
	// at when it was killed.
	items  [killWriters]map[[2]string]int64
	trying [killWriters]string
	feed   [3]int64
	did    int
}

func (s *said) add(line string) {
	verb, rest, _ := strings.Cut(line, " ")
	first, rest, _ := strings.Cut(rest, " ")
	number, _ := strconv.ParseInt(first, 10, 64)
	switch verb {
	case "try":
		s.trying[number] = rest
	case "not":
		s.trying[number] = ""
	case "did":
		s.items[number] = carriedOut(s.items[number], s.trying[number])
		s.trying[number] = ""
		s.did++
	case "feed":
		lsn, _ := strconv.ParseInt(rest, 10, 64)
		s.feed[number] = lsn
	}
}

// carriedOut is what items are after what a writer has tried.
func carriedOut(items map[[2]string]int64, plan string) map[[2]string]int64 {
	after := maps.Clone(items)
	if after == nil {
		after = map[[2]string]int64{}
	}
	for part := range strings.SplitSeq(plan, ";") {
		f := strings.Fields(part)
		if len(f) != 4 {
			continue // killed while it said so
		}
		item := [2]string{f[1], f[2]}
		if f[0] == "delete" {
			delete(after, item)
			continue
		}
		after[item], _ = strconv.ParseInt(f[3], 10, 64)
	}
	return after
}

// TestKill kills a process that writes, again and again, and wants everything
// that was acknowledged to be there, and all indexes to fit the items.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all := &said{}
	for round := range 10 {
		runAndKill(t, dir, all, 10+rand.IntN(150))
		s, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := killContainer(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		for n, lsn := range all.feed {
			if c.LSN(n) < lsn {
				t.Errorf("round %d: the change feed of range %d was read to %d, and is at %d", round, n, lsn, c.LSN(n))
			}
		}
		checkSaid(t, c, all)
		for len(c.settings.Load().previous) > 0 {
			if err := s.tend(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		checkConsistent(t, c)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			t.Fatalf("round %d, after %d acknowledgements", round, all.did)
		}
	}
	t.Logf("%d acknowledgements", all.did)
}

func runAndKill(t *testing.T, dir string, all *said, lines int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	scanner := bufio.NewScanner(out)
	for scanner.Scan() { // what was written before the kill is still in the pipe
		all.add(scanner.Text())
		if lines--; lines <= 0 && !killed {
			killed = true
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = cmd.Wait()
	if !killed {
		t.Fatalf("the child ended: %s", stderr.String())
	}
}

// checkSaid wants the items of every writer to be what was acknowledged, or
// what they are if the write that was under way is done, too: all of it.
func checkSaid(t *testing.T, c *Container, all *said) {
	t.Helper()
	var stored [killWriters]map[[2]string]int64
	for i := range stored {
		stored[i] = map[[2]string]int64{}
	}
	it, err := c.Open(t.Context(), Access{})
	if err != nil {
		t.Fatal(err)
	}
	for it.Next() {
		v := value.Trusted(it.Item())
		pk, _ := v.Get("deviceId").AsString()
		id, _ := v.Get("id").AsString()
		n, _ := v.Get("n").AsNumber()
		stored[pk[0]-'0'][[2]string{strings.Clone(pk), strings.Clone(id)}] = int64(n)
	}
	if err := errors.Join(it.Err(), it.Close()); err != nil {
		t.Fatal(err)
	}
	for writer, items := range stored {
		with := carriedOut(all.items[writer], all.trying[writer])
		if !maps.Equal(items, all.items[writer]) && !maps.Equal(items, with) {
			t.Errorf("writer %d, which was at %q, has\n%v\nacknowledged was\n%v", writer, all.trying[writer], items, all.items[writer])
		}
		all.items[writer], all.trying[writer] = items, ""
	}
}
