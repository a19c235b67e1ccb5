package eventhubs_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs"
	"millrace/internal/testservice"
	"millrace/record"
)

// Workers come and go while events flow: whatever moves, every position is
// seen once by the worker that claimed its partition last, in order.
func TestOwnershipMovesUnderLoad(t *testing.T) {
	t.Parallel()
	for _, balancing := range []string{"greedy", "balanced"} {
		t.Run(balancing, func(t *testing.T) {
			t.Parallel()
			s := start(t, options{})
			env := testEnv(t)
			conf := func() *eventhubs.Config {
				c := configFor(s.Address())
				c.Partitions, c.Balancing = 8, balancing
				return c
			}
			l := prepared(t, conf(), env, 8)
			open := func() connector.Log {
				l := openLog(t, conf(), env)
				t.Cleanup(func() { _ = l.Close() })
				return l
			}
			w := newWorld(8)
			feeding, sent := feed(t, l)
			workers := []*worker{w.join(t, open(), "g")}
			r := rand.New(rand.NewPCG(7, uint64(len(balancing))))
			for range 8 {
				if n := len(workers); n > 0 && (n == 4 || r.IntN(2) == 0) {
					i := r.IntN(n)
					workers[i].leave(t)
					workers = append(workers[:i], workers[i+1:]...)
				} else {
					workers = append(workers, w.join(t, open(), "g"))
				}
				at := -1
				w.until(t, "everybody to have partitions and events", func() bool {
					sum := 0
					for _, m := range workers {
						sum += len(m.owned)
						if len(m.owned) == 0 {
							return false
						}
					}
					if at < 0 && sum == 8 {
						at = w.total
					}
					return len(workers) == 0 || at >= 0 && w.total > at+300
				})
			}
			if len(workers) == 0 {
				workers = append(workers, w.join(t, open(), "g"))
			}
			n := feeding()
			w.until(t, "every event", func() bool { return len(w.seen) == n })
			for _, m := range workers {
				m.leave(t)
			}
			w.check(t, l)
			t.Logf("%d events; %d revocations of lost partitions, %d deliveries after somebody else's claim", *sent, w.lost, w.fenced)
		})
	}
}

// feed sends events at a moderate rate until it is told to end; the number
// sent is then final.
func feed(t *testing.T, l connector.Log) (end func() int, sent *int) {
	t.Helper()
	ctx, cancel := context.WithCancel(testContext(t))
	var done sync.WaitGroup
	sent = new(int)
	done.Go(func() {
		p, err := l.Producer(ctx, func(m *connector.Message, err error) {
			if err != nil {
				t.Errorf("event %d: %v", m.Token, err)
			}
		})
		if err != nil {
			t.Error(err)
			return
		}
		defer p.Close()
		for ; ctx.Err() == nil; *sent++ {
			if p.Produce(ctx, event(*sent)) != nil {
				break
			}
			if *sent%20 == 0 {
				time.Sleep(10 * time.Millisecond)
			}
		}
		if err := p.Flush(testContext(t)); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { cancel(); done.Wait() })
	return func() int { cancel(); done.Wait(); return *sent }, sent
}

// line is what a worker process reports.
type line struct {
	Assigned  []int32 `json:",omitempty"`
	Revoked   []int32 `json:",omitempty"`
	Partition int32
	From, To  int64
}

const workerEnv = "MILLRACE_TEST_EVENTHUBS_WORKER"

// TestMain makes this binary a worker, too: one that can be killed.
func TestMain(m *testing.M) {
	if v := os.Getenv(workerEnv); v != "" {
		if err := runWorker(v); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// workerConf is what a worker process is told.
type workerConf struct{ Address, Run, DataDir string }

// reporter is a handler that says what comes, and goes by checkpoints alone.
type reporter struct {
	mu  sync.Mutex
	out *json.Encoder
	src connector.Source
	at  map[int32]int64
}

func (r *reporter) say(l line) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.out.Encode(l)
}

func (r *reporter) Assign(_ context.Context, p []int32) (map[int32]int64, error) {
	r.say(line{Assigned: p})
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range p {
		delete(r.at, p)
	}
	return nil, nil
}

func (r *reporter) Deliver(ctx context.Context, b *record.Batch) error {
	r.say(line{Partition: b.Partition, From: b.Records[0].Offset, To: b.Next})
	r.mu.Lock()
	r.at[b.Partition] = b.Next
	r.mu.Unlock()
	return r.src.Commit(ctx, []connector.Position{{Partition: b.Partition, Offset: b.Next}})
}

func (r *reporter) Revoke(ctx context.Context, partitions []int32, lost bool) {
	if !lost {
		for _, p := range partitions {
			if at, ok := r.at[p]; ok {
				_ = r.src.Commit(ctx, []connector.Position{{Partition: p, Offset: at}})
			}
		}
	}
	r.say(line{Revoked: partitions})
}

func runWorker(text string) error {
	var conf workerConf
	if err := json.Unmarshal([]byte(text), &conf); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	c := configFor(conf.Address)
	c.Partitions = 8
	l, err := c.Open(ctx, connector.Env{Run: conf.Run, DataDir: conf.DataDir, Getenv: os.Getenv, Log: quiet})
	if err != nil {
		return err
	}
	defer l.Close()
	src, err := l.Source(ctx, "g")
	if err != nil {
		return err
	}
	return src.Run(ctx, &reporter{out: json.NewEncoder(os.Stdout), src: src, at: map[int32]int64{}})
}

// process is a worker process and what it said.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	owned map[int32]bool
	read  int
}

// Three processes share eight partitions; one is killed while events flow. The
// others take its partitions over within the expiration, and with checkpoints
// alone nothing is left out.
func TestWorkersAndAKill(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	env := testEnv(t)
	c := configFor(s.Address())
	l := prepared(t, c, env, 8)
	end, _ := feed(t, l)

	var mu sync.Mutex
	covered := map[int32]map[int64]int{}
	total := 0
	launch := func() *process {
		t.Helper()
		conf, _ := json.Marshal(workerConf{s.Address(), env.Run, env.DataDir})
		p := &process{cmd: exec.Command(os.Args[0]), done: make(chan struct{}), owned: map[int32]bool{}}
		p.cmd.Env = append(os.Environ(), workerEnv+"="+string(conf))
		p.cmd.Stderr = os.Stderr
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.done })
		go func() {
			defer close(p.done)
			next := map[int32]int64{} // within one ownership
			lines := bufio.NewScanner(out)
			for lines.Scan() {
				var got line
				if json.Unmarshal(lines.Bytes(), &got) != nil {
					continue // cut off by a kill
				}
				p.mu.Lock()
				for _, a := range got.Assigned {
					p.owned[a] = true
					delete(next, a)
				}
				for _, r := range got.Revoked {
					delete(p.owned, r)
				}
				p.mu.Unlock()
				if got.To == 0 {
					continue
				}
				if at, ok := next[got.Partition]; ok && at != got.From {
					t.Errorf("partition %d went on at %d, want %d", got.Partition, got.From, at)
				}
				next[got.Partition] = got.To
				p.mu.Lock()
				p.read += int(got.To - got.From)
				p.mu.Unlock()
				mu.Lock()
				if covered[got.Partition] == nil {
					covered[got.Partition] = map[int64]int{}
				}
				for i := got.From; i < got.To; i++ {
					covered[got.Partition][i]++
				}
				total += int(got.To - got.From)
				mu.Unlock()
			}
			_ = p.cmd.Wait()
		}()
		return p
	}
	owns := func(ps ...*process) bool {
		sum := 0
		for _, p := range ps {
			p.mu.Lock()
			n := len(p.owned)
			p.mu.Unlock()
			if n == 0 {
				return false
			}
			sum += n
		}
		return sum == 8
	}
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(patience); !ok(); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("in vain waited for %s", what)
			}
		}
	}
	a, b, x := launch(), launch(), launch()
	until("three workers to share the partitions", func() bool { return owns(a, b, x) })
	until("the third to read for a while", func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		return x.read > 700
	})
	if err := x.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-x.done
	until("two workers to share the partitions", func() bool { return owns(a, b) })
	n := end()
	ends, err := l.Ends(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	until("every position to be read", func() bool {
		mu.Lock()
		defer mu.Unlock()
		sum := 0
		for p, end := range ends {
			sum += len(covered[int32(p)])
			for i := range end {
				if covered[int32(p)][i] == 0 {
					return false
				}
			}
		}
		return sum == n
	})
	for _, p := range []*process{a, b} {
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		<-p.done
		if code := p.cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("a worker ended with code %d", code)
		}
	}
	of, err := l.Committed(testContext(t), "g")
	for p, end := range ends {
		if of[int32(p)] != end {
			t.Errorf("partition %d is committed up to %d, want %d (%v)", p, of[int32(p)], end, err)
		}
	}
	t.Logf("%d events, %d of them read more than once", n, total-n)
}

// With checkpoints in a storage account, workers share, resume from what was
// committed, and leave nothing behind when the hub is dropped.
func TestBlobCheckpoints(t *testing.T) {
	t.Parallel()
	storage := testservice.Azurite(t)
	s := start(t, options{})
	env := testEnv(t)
	conf := func() *eventhubs.Config {
		c := configFor(s.Address())
		c.Partitions = 4
		c.Checkpoints.Storage, c.Checkpoints.Container = storage, fmt.Sprintf("run-%s", env.Run)
		return c
	}
	l := prepared(t, conf(), env, 4)
	send(t, l, 2000, 0)
	w := newWorld(4)
	a := w.join(t, l, "g")
	other := openLog(t, conf(), env)
	defer other.Close()
	b := w.join(t, other, "g")
	w.until(t, "two workers to share the partitions", func() bool { return len(a.owned) == 2 && len(b.owned) == 2 })
	w.await(t, 2000)
	a.leave(t)
	b.leave(t)
	w.check(t, l)
	of, err := l.Committed(testContext(t), "g")
	for p, at := range w.positions {
		if of[p] != at {
			t.Errorf("partition %d is committed up to %d, want %d (%v)", p, of[p], at, err)
		}
	}
	if err := l.Drop(testContext(t)); err != nil {
		t.Error(err)
	}
	if of, err := l.Committed(testContext(t), "g"); err != nil || len(of) > 0 {
		t.Errorf("committed in a hub that was dropped: %v, %v", of, err)
	}
}

// A worker that is cut off from the service, but not from the checkpoint
// store, stops when another one takes over.
func TestCutOffWorkerStops(t *testing.T) {
	t.Parallel()
	s := start(t, options{})
	env := testEnv(t)
	l := prepared(t, configFor(s.Address()), env, 2)
	send(t, l, 200, 0)
	proxy := newProxy(t, hostOf(t, s))
	c := configFor(connectionString(proxy.address, "any"))
	c.Partitions = 2
	cut := openLog(t, c, env)
	defer cut.Close()
	w := newWorld(2)
	first := w.join(t, cut, "g")
	w.await(t, 200)
	proxy.freeze()
	// Another worker takes its share, one of the two partitions. Nothing
	// tells the first one by the service.
	second := w.join(t, l, "g")
	w.until(t, "the first worker to give a partition up", func() bool { return len(first.owned) == 1 && len(second.owned) == 1 })
	proxy.cut()
	send(t, l, 200, 200)
	first.cancel()
	w.await(t, 400)
	second.leave(t)
	w.check(t, l)
	if err := <-first.result; err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Run of the worker that was cut off: %v", err)
	}
}
