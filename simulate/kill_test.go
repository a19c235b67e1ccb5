package simulate

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// TestMain lets the test binary be the simulator that is killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv("MILLRACE_KILLED_SIMULATOR"); dir != "" {
		if err := killedSimulator(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func killConfig() Config {
	c := Defaults()
	c.Rate, c.Events, c.Devices, c.Seed = 0, 20000, 50, 3
	c.Duplicates, c.DuplicateDelay, c.Malformed, c.OutOfOrder = 0.02, connector.Duration(20*time.Millisecond), 0.02, 0.2
	return c
}

func killedSimulator(dir string) error {
	s, err := New(killConfig(), dir, "killed")
	if err != nil {
		return err
	}
	fmt.Println("ready")
	_, err = s.Run(context.Background(), (&fileLog{dir: dir}).producer)
	return err
}

// fileLog is a log in two files that survive the death of the process: what
// was appended, and what was acknowledged to the simulator.
type fileLog struct {
	dir string

	log, acks *os.File
	ack       func(*connector.Message, error)
	queue     chan *connector.Message
	out       sync.WaitGroup
	done      chan struct{}
}

func (f *fileLog) producer(_ context.Context, ack func(*connector.Message, error)) (connector.Producer, error) {
	open := func(name string) (*os.File, error) {
		if err := cutTorn(filepath.Join(f.dir, name), name == "log"); err != nil {
			return nil, err
		}
		return os.OpenFile(filepath.Join(f.dir, name), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	}
	var err error
	if f.log, err = open("log"); err != nil {
		return nil, err
	}
	if f.acks, err = open("acks"); err != nil {
		return nil, err
	}
	f.ack, f.queue, f.done = ack, make(chan *connector.Message, 2000), make(chan struct{})
	go f.run()
	return f, nil
}

// cutTorn cuts off what a kill left unfinished, as any log does on start: a
// write(2) that is killed may have written a part.
func cutTorn(path string, framed bool) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil // not there yet
	}
	whole := len(b) / 8 * 8
	if framed {
		whole = 0
		for whole+4 <= len(b) {
			next := whole + 4 + int(binary.LittleEndian.Uint32(b[whole:]))
			if next > len(b) {
				break
			}
			whole = next
		}
	}
	return os.Truncate(path, int64(whole))
}

// run appends what is queued, a batch at a time, acknowledges it to the
// simulator, and then notes that it did.
func (f *fileLog) run() {
	defer close(f.done)
	var entries, acked []byte
	var batch []*connector.Message
	for m := range f.queue {
		batch = append(batch[:0], m)
		for len(f.queue) > 0 && len(batch) < 20 {
			batch = append(batch, <-f.queue)
		}
		entries, acked = entries[:0], acked[:0]
		for _, m := range batch {
			entries = binary.LittleEndian.AppendUint32(entries, uint32(len(m.Value)))
			entries = append(entries, m.Value...)
			acked = binary.LittleEndian.AppendUint64(acked, contentHash(m.Value))
		}
		if _, err := f.log.Write(entries); err != nil {
			panic(err)
		}
		for _, m := range batch {
			f.ack(m, nil)
			f.out.Done()
		}
		if _, err := f.acks.Write(acked); err != nil {
			panic(err)
		}
		time.Sleep(500 * time.Microsecond) // the run shall be killed some twenty times
	}
}

func (f *fileLog) Produce(ctx context.Context, m *connector.Message) error {
	f.out.Add(1)
	select {
	case f.queue <- m:
		return nil
	case <-ctx.Done():
		f.out.Done()
		return ctx.Err()
	}
}

func (f *fileLog) Flush(context.Context) error { f.out.Wait(); return nil }

func (f *fileLog) Close() error {
	close(f.queue)
	<-f.done
	return errors.Join(f.log.Close(), f.acks.Close())
}

// contentHash is what the ledger identifies a payload by.
func contentHash(value []byte) uint64 {
	var e record.Event
	if e.Decode(value) == nil {
		h, _ := record.Fingerprint(value)
		return h
	}
	return record.RawHash(value)
}

// readKilled reads what the file log has, without what a kill left unfinished.
func readKilled(t *testing.T, dir string) (received map[uint64]int, acked []uint64) {
	t.Helper()
	open := func(name string) *bufio.Reader {
		f, err := os.Open(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			f, err = os.Open(os.DevNull)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Close() })
		return bufio.NewReader(f)
	}
	received = map[uint64]int{}
	log := open("log")
	for {
		var size [4]byte
		if _, err := io.ReadFull(log, size[:]); err != nil {
			break
		}
		value := make([]byte, binary.LittleEndian.Uint32(size[:]))
		if _, err := io.ReadFull(log, value); err != nil {
			break
		}
		received[contentHash(value)]++
	}
	acks := open("acks")
	for {
		var hash [8]byte
		if _, err := io.ReadFull(acks, hash[:]); err != nil {
			return received, acked
		}
		acked = append(acked, binary.LittleEndian.Uint64(hash[:]))
	}
}

// TestKill kills a simulator at random moments and starts it again until it is
// through. After every kill, what the log has and what it has acknowledged must
// be in the ledger, as acknowledged or in doubt, and what the ledger says is
// acknowledged must be in the log.
//
// It does not show what a power failure does: everything written survives in
// the page cache.
func TestKill(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := t.TempDir()
	kills, inDoubt := 0, int64(0)
	least, size := 0, int64(0)
	for finished := false; !finished; {
		cmd := exec.Command(exe, "-test.run=^$")
		cmd.Env = append(os.Environ(), "MILLRACE_KILLED_SIMULATOR="+dir)
		var stderr safeBuffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The first kills come early, to hit the beginning too. Later ones leave
		// more time, and ever more if nothing came of it, so that a slow machine
		// gets there.
		timer := time.AfterFunc(time.Duration(least+r.IntN(60))*time.Millisecond, func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		switch {
		case err == nil:
			finished = true
		case cmd.ProcessState.ExitCode() != -1:
			t.Fatalf("the simulator failed by itself: %v: %s", err, stderr.String())
		default:
			kills++
		}
		least += 2
		if at := logSize(dir); at > size {
			size = at
		} else {
			least += least / 4
		}
		n, done := checkKilled(t, dir, finished)
		inDoubt += n
		finished = done
		if kills > 2000 {
			t.Fatal("it never ends")
		}
	}
	t.Logf("%d kills, %d entries in doubt after them", kills, inDoubt)
}

// logSize is how much was appended so far.
func logSize(dir string) int64 {
	info, err := os.Stat(filepath.Join(dir, "log"))
	if err != nil {
		return 0 // not there yet
	}
	return info.Size()
}

type safeBuffer struct {
	mu sync.Mutex
	b  []byte
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b = append(s.b, p...)
	return len(p), nil
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return string(s.b)
}

// checkKilled holds the ledger against the log. exited says that the simulator
// ended by itself; it may also have been killed when it had finished.
func checkKilled(t *testing.T, dir string, exited bool) (inDoubt int64, finished bool) {
	t.Helper()
	received, acked := readKilled(t, dir)
	known := map[uint64]bool{}
	var a account
	var err error
	a.info, err = record.ReadLedger(dir, func(e *record.Entry) error {
		known[e.Fingerprint] = true
		if e.Acked && received[e.Fingerprint] == 0 {
			return fmt.Errorf("the ledger says that the log acknowledged %+v, but the log does not have it", e)
		}
		a.entries = append(a.entries, *e)
		return nil
	})
	if errors.Is(err, record.ErrNoLedger) && len(received) == 0 {
		return 0, false // killed before anything
	}
	if err != nil {
		t.Fatal(err)
	}
	for hash := range received {
		if !known[hash] {
			t.Fatalf("the log has %x, which the ledger does not know", hash)
		}
	}
	for _, hash := range acked {
		if !known[hash] {
			t.Fatalf("%x was acknowledged, and the ledger does not know it", hash)
		}
	}
	totals := a.info.Totals
	if totals.Complete != totals.Finished || exited && !totals.Finished {
		t.Fatalf("exited %v, ledger %+v", exited, totals)
	}
	if totals.Finished {
		c := killConfig()
		noGaps(t, a)
		if totals.Unique != c.Events || totals.Duplicates < c.Events/100 || totals.Malformed+countInDoubt(a, record.Malformed) < c.Events/100 {
			t.Fatalf("in the end %+v", totals)
		}
	}
	return totals.InDoubt, totals.Finished
}
