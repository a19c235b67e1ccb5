package kafka_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/kafka"
	"millrace/connector/kafka/local"
	"millrace/internal/testservice"
	"millrace/record"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

const patience = 2 * time.Minute

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	return ctx
}

// counter is a handler that keeps positions as a store would, and what came.
type counter struct {
	mu        sync.Mutex
	owned     map[int32]bool
	positions map[int32]int64
	seen      map[uint64]int
	last      map[string]uint64
	lost      int
	assigned  int
	fault     error
}

func newCounter() *counter {
	return &counter{owned: map[int32]bool{}, positions: map[int32]int64{}, seen: map[uint64]int{}, last: map[string]uint64{}}
}

func (c *counter) Assign(_ context.Context, partitions []int32) (map[int32]int64, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	starts := map[int32]int64{}
	for _, p := range partitions {
		c.owned[p] = true
		starts[p] = connector.Unknown
		if at, ok := c.positions[p]; ok {
			starts[p] = at
		}
	}
	c.assigned++
	return starts, nil
}

func (c *counter) Deliver(_ context.Context, b *record.Batch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.owned[b.Partition] {
		return nil
	}
	for i := range b.Records {
		r := &b.Records[i]
		if at := c.positions[b.Partition]; r.Offset < at {
			c.fault = fmt.Errorf("partition %d: offset %d came again after %d", b.Partition, r.Offset, at)
		}
		n := binary.BigEndian.Uint64(r.Value)
		if c.seen[n] == 0 && n < c.last[string(r.Key)] {
			c.fault = fmt.Errorf("key %s: %d came after %d", r.Key, n, c.last[string(r.Key)])
		}
		c.seen[n]++
		c.last[string(r.Key)] = max(n, c.last[string(r.Key)])
		c.positions[b.Partition] = r.Offset + 1
	}
	c.positions[b.Partition] = b.Next
	return nil
}

func (c *counter) Revoke(_ context.Context, partitions []int32, lost bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range partitions {
		delete(c.owned, p)
	}
	if lost {
		c.lost += len(partitions)
	}
}

func (c *counter) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(2 * time.Millisecond) {
		c.mu.Lock()
		done := ok()
		c.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("in vain waited for %s; %d events came", what, len(c.seen))
		}
	}
}

// The broker is stopped and started, on its port and data, while a producer
// and a source are at work: both carry on, nothing is lost, order is kept.
func TestBrokerRestarts(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), testservice.Port(t)
	s, err := local.Start(context.Background(), local.Options{DataDir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	conf := configFor(s.Address())
	l := openLog(t, conf, testEnv(t))
	defer l.Close()
	ctx := testContext(t)
	if _, err := l.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	p, err := l.Producer(ctx, func(_ *connector.Message, err error) {
		if err != nil {
			t.Errorf("produce: %v", err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	src, err := l.Source(ctx, "restarts")
	if err != nil {
		t.Fatal(err)
	}
	c := newCounter()
	rctx, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- src.Run(rctx, c) }()

	sent := uint64(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			m := &connector.Message{Key: []byte("k" + strconv.Itoa(int(sent%17))), Value: binary.BigEndian.AppendUint64(nil, sent)}
			if err := p.Produce(ctx, m); err != nil {
				t.Errorf("Produce: %v", err)
				return
			}
			sent++
			if sent%50 == 0 {
				time.Sleep(time.Millisecond)
			}
		}
	}()
	for range 3 {
		c.mu.Lock()
		before := len(c.seen)
		c.mu.Unlock()
		c.until(t, "events to come", func() bool { return len(c.seen) > before+2000 })
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond) // some requests meet nobody
		if s, err = local.Start(context.Background(), local.Options{DataDir: dir, Port: port}); err != nil {
			t.Fatal(err)
		}
	}
	defer s.Close()
	close(stop)
	<-stopped
	if err := p.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	c.until(t, "all events", func() bool { return len(c.seen) == int(sent) })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("Run: %v", err)
	}
	if c.fault != nil {
		t.Error(c.fault)
	}
}

// A member that hears nothing for longer than the session timeout loses its
// partitions, is told so, and gets some again once it hears.
func TestFrozenMember(t *testing.T) {
	t.Parallel()
	s := startLocal(t, local.Options{})
	env := testEnv(t)
	ctx := testContext(t)
	freeze := newFreezer()
	frozenConf := configFor(s.Address())
	kafka.SetDial(frozenConf, freeze.dial)
	l, frozen := openLog(t, configFor(s.Address()), env), openLog(t, frozenConf, env)
	defer l.Close()
	defer frozen.Close()
	if _, err := l.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	run := func(l connector.Log, c *counter) (stop func()) {
		src, err := l.Source(ctx, "freeze")
		if err != nil {
			t.Fatal(err)
		}
		rctx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- src.Run(rctx, c) }()
		return func() {
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Run: %v", err)
			}
		}
	}
	a, b := newCounter(), newCounter()
	stopA := run(frozen, a)
	a.until(t, "the first member to own everything", func() bool { return len(a.owned) == 4 })
	stopB := run(l, b)
	b.until(t, "the second member to own its share", func() bool { return len(b.owned) == 2 })
	freeze.set(true)
	b.until(t, "the second member to own everything", func() bool { return len(b.owned) == 4 })
	freeze.set(false)
	a.until(t, "the first member to be told of its loss", func() bool { return a.lost > 0 })
	a.until(t, "the first member to own partitions again", func() bool { return len(a.owned) == 2 })
	stopA()
	stopB()
}

// A position that retention has deleted is an error that names what there is.
func TestDeletedPosition(t *testing.T) {
	t.Parallel()
	s := startLocal(t, local.Options{})
	conf := configFor(s.Address())
	conf.Partitions = 1
	env := testEnv(t)
	l := openLog(t, conf, env)
	defer l.Close()
	ctx := testContext(t)
	if _, err := l.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	topic := conf.Topic + "-" + env.Run
	cl, err := kgo.NewClient(kgo.SeedBrokers(s.Address()), kgo.DefaultProduceTopic(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for range 100 {
		if err := cl.ProduceSync(ctx, kgo.StringRecord("12345678")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	adm := kadm.NewClient(cl)
	offsets := kadm.Offsets{}
	offsets.AddOffset(topic, 0, 60, -1)
	if _, err := adm.DeleteRecords(ctx, offsets); err != nil {
		t.Fatal(err)
	}
	src, err := l.Source(ctx, "g")
	if err != nil {
		t.Fatal(err)
	}
	c := newCounter()
	c.positions[0] = 30
	err = src.Run(ctx, c)
	var h *connector.Hinted
	if !errors.As(err, &h) || !strings.Contains(err.Error(), "partition 0") || !strings.Contains(err.Error(), "30") || !strings.Contains(err.Error(), "60 to 100") {
		t.Errorf("Run: %v, want an error that names partition, wanted and available positions", err)
	}
	// A replay begins with what is still there.
	n := 0
	err = l.Replay(ctx, 0, 30, 100, func(b *record.Batch) error { n += len(b.Records); return nil })
	if err != nil || n != 40 {
		t.Errorf("Replay gave %d entries, want 40: %v", n, err)
	}
}

// Markers of transactions, and what aborted ones have left, hold up neither a
// source nor a replay, and aborted entries are not delivered.
func TestTransactionsInTheLog(t *testing.T) {
	clusters(t, func(t *testing.T, cl cluster) {
		if cl.wrong != nil {
			return // one listener of each cluster is enough
		}
		conf := cl.conf(t)
		conf.Partitions = 1
		env := testEnv(t)
		l := openLog(t, conf, env)
		defer l.Close()
		ctx := testContext(t)
		if _, err := l.Prepare(ctx); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = l.Drop(context.Background()) }()
		if conf.TLS.Enabled {
			return
		}
		txn, err := kgo.NewClient(kgo.SeedBrokers(conf.Brokers...), kgo.TransactionalID("t-"+env.Run), kgo.DefaultProduceTopic(conf.Topic+"-"+env.Run))
		if err != nil {
			t.Fatal(err)
		}
		defer txn.Close()
		want := 0
		for i := range 6 {
			if err := txn.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for n := range 10 {
				v := binary.BigEndian.AppendUint64(nil, uint64(i*100+n))
				if err := txn.ProduceSync(ctx, &kgo.Record{Key: []byte("k"), Value: v}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			commit := i%2 == 0
			if err := txn.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
				t.Fatal(err)
			}
			if commit {
				want += 10
			}
		}
		// The markers of the last transaction are on their way.
		var ends []int64
		for deadline := time.Now().Add(patience); len(ends) == 0 || ends[0] < 66; time.Sleep(5 * time.Millisecond) {
			if ends, err = l.Ends(ctx); err != nil || time.Now().After(deadline) {
				t.Fatal(ends, err)
			}
		}
		n, last := 0, int64(0)
		err = l.Replay(ctx, 0, 0, ends[0], func(b *record.Batch) error {
			n, last = n+len(b.Records), b.Next
			return nil
		})
		if err != nil || n != want || last != ends[0] {
			t.Errorf("Replay gave %d entries to %d, want %d to %d: %v", n, last, want, ends[0], err)
		}
		src, err := l.Source(ctx, "g")
		if err != nil {
			t.Fatal(err)
		}
		c := newCounter()
		rctx, cancel := context.WithCancel(ctx)
		ended := make(chan error, 1)
		go func() { ended <- src.Run(rctx, c) }()
		c.until(t, "the source to get past the last marker", func() bool { return c.positions[0] == ends[0] })
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
		if len(c.seen) != want || c.fault != nil {
			t.Errorf("%d entries were delivered, want %d: %v", len(c.seen), want, c.fault)
		}
	})
}

// While the broker is away, what was reached before says Retry, and so does the
// first dead letter; what was never reached is unreachable for good. All of them
// work again when it is back.
func TestAwayAfterFirstContact(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), testservice.Port(t)
	s, err := local.Start(context.Background(), local.Options{DataDir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	conf, env, ctx := configFor(s.Address()), testEnv(t), testContext(t)
	l, late := openLog(t, conf, env), openLog(t, conf, env)
	defer l.Close()
	defer late.Close()
	if _, err := l.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	letters, err := conf.OpenDeadLetters(ctx, env, "letters")
	if err != nil {
		t.Fatal(err)
	}
	defer letters.Close()
	letter := []record.DeadLetter{{Raw: []byte("x"), Reason: record.NotJSON}}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(context.Context) error{
		"Ends":      func(ctx context.Context) error { _, err := l.Ends(ctx); return err },
		"Committed": func(ctx context.Context) error { _, err := l.Committed(ctx, "g"); return err },
		"Replay": func(ctx context.Context) error {
			return l.Replay(ctx, 0, 0, 1, func(*record.Batch) error { return nil })
		},
		"letters": func(ctx context.Context) error { return letters.Write(ctx, letter) },
	}
	var wg sync.WaitGroup
	for name, call := range calls {
		wg.Go(func() {
			err := call(ctx)
			var u *connector.Unreachable
			if connector.ActionOf(err) != connector.Retry || !errors.As(err, &u) {
				t.Errorf("%s: %v, want Retry because Kafka is unreachable", name, err)
			}
		})
	}
	wg.Go(func() {
		_, err := late.Prepare(ctx)
		var u *connector.Unreachable
		if connector.ActionOf(err) != connector.Fail || !errors.As(err, &u) {
			t.Errorf("Prepare at first contact: %v, want an unreachable Kafka", err)
		}
	})
	wg.Wait()
	if s, err = local.Start(context.Background(), local.Options{DataDir: dir, Port: port}); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	delete(calls, "Replay") // there is nothing at position 1 to wait for
	for name, call := range calls {
		if err := call(ctx); err != nil {
			t.Errorf("%s when Kafka is back: %v", name, err)
		}
	}
}
