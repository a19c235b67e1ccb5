// Package crash kills real worker processes with SIGKILL while a run goes on,
// and has the verdict say what that did to the events: nothing.
//
// What this does not prove: that data survives the loss of the machine. The
// log, the store and the ledger keep what the operating system's page cache
// held, which a power cut does not.
package crash

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"millrace/connector/eventhubs/kafkahub"
	"millrace/connector/eventhubs/local/emulator"
	"millrace/connector/kafka/local"
	"millrace/internal/testbinary"
	"millrace/internal/testservice"
	"millrace/ui/report"
)

var (
	seed  = flag.Uint64("seed", 0, "seed of the moments at which workers are killed; 0 draws one")
	kills = flag.Int("kills", 50, "how many workers are killed in one run")
)

const columnar = "hdinsightkafka-databricks-sqldw"

func TestMain(m *testing.M) { os.Exit(testbinary.Main(m)) }

// scene is one run: a log, a data directory, an environment and workers.
type scene struct {
	t     *testing.T
	bin   string
	dir   string
	env   []string
	rng   *rand.Rand
	args  []string
	kills int
	// pause is the longest time between two kills.
	pause time.Duration
}

// overKafka reads from Kafka.
func (s *scene) overKafka() *scene {
	s.env = append(s.env, "KAFKA_BROKERS="+s.broker())
	return s.inGroup()
}

// inGroup has members that were killed missed soon.
func (s *scene) inGroup() *scene {
	s.args = append(s.args, "--set", "ingest.sessionTimeout=1s", "--set", "ingest.rebalanceTimeout=2s")
	return s
}

// overEventHubs reads from Event Hubs by AMQP: workers keep their ownership in
// a folder.
func (s *scene) overEventHubs() *scene {
	hubs := s.eventHubs(emulator.NoPort)
	s.kills /= 2 // an owner that was killed is missed later than a member of a group
	s.env = append(s.env, "EVENTHUBS_CONNECTION_STRING="+hubs.Address(),
		"EVENTHUBS_CHECKPOINT_STORAGE="+filepath.Join(filepath.Dir(s.dir), "checkpoints"))
	s.args = append(s.args, "--set", "ingest.kind=eventhubs", "--set", "ingest.updateInterval=200ms", "--set", "ingest.expiration=1s")
	return s
}

// overKafkaEndpoint reads from Event Hubs as a Kafka client.
func (s *scene) overKafkaEndpoint() *scene {
	hubs := s.eventHubs(0)
	s.env = append(s.env, "EVENTHUBS_CONNECTION_STRING="+kafkahub.AddressOf(hubs.Address(), hubs.Endpoints(hubs.Namespaces()[0]).Kafka))
	// The endpoint, like the service, misses no member sooner than after 6 s,
	// and a group waits for the missing: there must be time to work in between.
	s.args = append(s.args, "--set", "ingest.throughputUnits=0", "--set", "ingest.sessionTimeout=6s", "--set", "ingest.rebalanceTimeout=6s")
	s.kills, s.pause = s.kills/3, 12*time.Second
	return s
}

func (s *scene) eventHubs(kafkaPort int) *emulator.Server {
	hubs, err := emulator.Start(s.t.Context(), emulator.Options{Brokers: []string{s.broker()}, KafkaPort: kafkaPort, HTTPPort: emulator.NoPort})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { hubs.Close() })
	return hubs
}

// newScene is a run of a solution.
func newScene(t *testing.T, solution string, env ...string) *scene {
	bin := testbinary.Path(t)
	n := *seed
	if n == 0 {
		n = rand.Uint64N(1 << 40)
	}
	t.Logf("seed %d", n)
	dir := filepath.Join(t.TempDir(), "data")
	return &scene{t: t, bin: bin, dir: dir, rng: rand.New(rand.NewPCG(n, 7)), kills: *kills, pause: 4 * time.Second,
		env: append(os.Environ(), env...),
		// A name of its own: the database may hold an earlier run's tables.
		args: []string{solution, "--run", fmt.Sprintf("crash%d-%d", os.Getpid(), n), "--data-dir", dir}}
}

// broker starts the log, which the workers' deaths do not touch.
func (s *scene) broker() (address string) {
	broker, err := local.Start(s.t.Context(), local.Options{DataDir: filepath.Join(filepath.Dir(s.dir), "broker")})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { broker.Close() })
	return broker.Address()
}

func (s *scene) command(ctx context.Context, verb string, more ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.bin, append(append([]string{verb}, s.args...), more...)...)
	cmd.Env = s.env
	return cmd
}

// worker is one `millrace process`.
type worker struct {
	cmd *exec.Cmd
	out *said
}

// said is what a process says, while it runs.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// begun waits until a worker has reached log and store, which it says.
func (w *worker) begun(t *testing.T) {
	t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !strings.Contains(w.out.String(), "  run "); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the worker does not begin\n%s", w.out)
		}
	}
}

func (s *scene) start() *worker {
	w := &worker{out: &said{}}
	w.cmd = s.command(context.Background(), "process")
	w.cmd.Stderr = w.out
	if err := w.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	return w
}

// kill ends a worker without warning. One that has ended by itself has failed.
func (w *worker) kill(t *testing.T) {
	_ = w.cmd.Process.Kill()
	err := w.cmd.Wait()
	if w.cmd.ProcessState.Exited() {
		t.Errorf("a worker ended by itself: %v\n%s", err, w.out)
	}
}

// stop ends a worker as an operator would. One that had not begun to listen
// for signals yet is ended by the system instead, which is as well.
func (w *worker) stop(t *testing.T) {
	_ = w.cmd.Process.Signal(os.Interrupt)
	err := w.cmd.Wait()
	if status, ok := w.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGINT {
		return
	}
	if err != nil {
		t.Errorf("a worker that was stopped: %v\n%s", err, w.out)
	}
}

// run simulates while n workers process and are killed at random moments, one
// after the other, at least -kills times.
func (s *scene) run(n int, rate, events string) *report.Report {
	t := s.t
	simulator := s.command(t.Context(), "simulate", "--rate", rate, "--events", events, "--malformed", "0.001", "--json")
	simOut := &strings.Builder{}
	simulator.Stderr = simOut
	if err := simulator.Start(); err != nil {
		t.Fatal(err)
	}
	workers := make([]*worker, n)
	for i := range workers {
		workers[i] = s.start()
	}
	for i := range s.kills {
		// Long enough, now and then, for a worker to start, to wait until
		// the group misses the one before, and to work.
		time.Sleep(time.Duration(s.rng.Int64N(int64(s.pause))))
		victim := s.rng.IntN(n)
		workers[victim].kill(t)
		if i%10 == 9 {
			t.Logf("%d workers killed", i+1)
		}
		workers[victim] = s.start()
	}
	if err := simulator.Wait(); err != nil {
		t.Fatalf("simulate: %v\n%s", err, simOut)
	}
	killed := time.Now()
	for i, w := range workers {
		if i == 0 {
			w.stop(t) // in good order, for once
		} else {
			w.kill(t)
		}
	}
	last := s.command(t.Context(), "process", "--drain")
	if out, err := last.CombinedOutput(); err != nil {
		t.Fatalf("draining: %v\n%s", err, out)
	}
	r := s.verify()
	during := int64(0)
	for _, x := range r.Throughput.PerInterval {
		if x.At.Before(killed) {
			during += x.Out
		}
	}
	if t.Logf("%d of %d rows were stored while workers were being killed", during, r.Events.Stored); during == 0 {
		t.Error("nothing was stored while workers were being killed, so nothing was tested")
	}
	return r
}

func (s *scene) verify() *report.Report {
	out, err := s.command(s.t.Context(), "verify", "--json", "--quiet").Output()
	if len(out) == 0 {
		s.t.Fatalf("verify: %v", err)
	}
	r := &report.Report{}
	if err := json.Unmarshal(out, r); err != nil {
		s.t.Fatalf("verify: %v in %s", err, out)
	}
	return r
}

// exact fails the test unless every event is served once.
func exact(t *testing.T, r *report.Report) {
	t.Helper()
	e := r.Events
	t.Logf("sent %d, unique %d, stored %d, injected duplicates %d, malformed %d, dead-lettered %d",
		e.Sent, e.Unique, e.Stored, e.InjectedDuplicates, e.Malformed, e.DeadLettered)
	bad := e.Missing + e.Duplicates + e.Unexpected + e.Corrupted + e.OutOfSequence
	if bad != 0 || e.Unique == 0 || e.Stored != e.Unique || e.DeadLettered != e.Malformed || e.Malformed == 0 {
		t.Errorf("verdict: %s\n%+v\n%+v", r.Reason, e, r.Examples)
	}
}

// TestThreeWorkersIntoPostgres: three workers share the log's partitions and
// are killed and started again at random.
func TestThreeWorkersIntoPostgres(t *testing.T) {
	t.Parallel()
	s := newScene(t, columnar, "SQL_URL="+testservice.Postgres(t)).overKafka()
	exact(t, s.run(3, "2000", "80000"))
}

// TestOneWorkerIntoDuckDB: the embedded store takes one writing process,
// which is killed and started again at random.
func TestOneWorkerIntoDuckDB(t *testing.T) {
	t.Parallel()
	s := newScene(t, columnar).overKafka()
	exact(t, s.run(1, "2000", "80000"))
}

// TestThreeWorkersOnEventHubs: the same over Event Hubs, where a worker's
// partitions go to others by the checkpoint store, and with the copies left to
// the table.
func TestThreeWorkersOnEventHubs(t *testing.T) {
	t.Parallel()
	s := newScene(t, "eventhubs-databricks-azuresql", "SQL_URL="+testservice.Postgres(t)).overEventHubs()
	exact(t, s.run(3, "2000", "80000"))
}
