package connectortest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

// patience is how long a test waits for what must happen. It is no
// measurement: a machine may be slow.
const patience = 60 * time.Second

// LogUnderTest is one topic or hub, new for one test.
type LogUnderTest struct {
	// Open connects to it; each call is a client of its own. The test
	// closes what it opens.
	Open func(t testing.TB) connector.Log
	// OpenWith connects with another number of partitions configured; nil
	// if the number is not the client's to say.
	OpenWith func(t testing.TB, partitions int) connector.Log
}

// LogFactory makes a log that does not exist yet, configured for a number of
// partitions.
type LogFactory func(t testing.TB, partitions int) LogUnderTest

// LogFeatures says what a log has beyond the contract.
type LogFeatures struct {
	// Unreachable opens a log where nothing listens.
	Unreachable func(t testing.TB) connector.Log
	// WrongPassword opens a log with a password that is refused; nil if
	// the log has no passwords.
	WrongPassword func(t testing.TB) connector.Log
}

// RunLog checks that a log keeps the contract of connector.Log.
func RunLog(t *testing.T, factory LogFactory, features LogFeatures) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, LogFactory)
	}{
		{"Prepare", testPrepare},
		{"ProduceAndConsume", testProduceAndConsume},
		{"ProducerBounds", testProducerBounds},
		{"ProducerClose", testProducerClose},
		{"Replay", testReplay},
		{"OffsetAt", testOffsetAt},
		{"Members", testMembers},
		{"Positions", testPositions},
		{"BackPressure", testBackPressure},
		{"EndOfRun", testEndOfRun},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, factory)
		})
	}
	t.Run("Unreachable", func(t *testing.T) {
		t.Parallel()
		if features.Unreachable == nil {
			t.Skip("this log is always there")
		}
		testRefused[*connector.Unreachable](t, features.Unreachable(t))
	})
	t.Run("WrongPassword", func(t *testing.T) {
		t.Parallel()
		if features.WrongPassword == nil {
			t.Skip("this log has no passwords")
		}
		testRefused[*connector.Hinted](t, features.WrongPassword(t))
	})
}

func testRefused[E error](t *testing.T, l connector.Log) {
	defer l.Close()
	ctx := testContext(t)
	_, err := l.Prepare(ctx)
	var want E
	if !errors.As(err, &want) {
		t.Fatalf("Prepare: %v (%T), want a %T", err, err, want)
	}
	t.Logf("says: %v", err)
	if _, err := l.Source(ctx, "g"); !errors.As(err, &want) {
		t.Errorf("Source: %v, want a %T", err, want)
	}
}

func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	return ctx
}

// openLog opens and prepares a log of n partitions.
func openLog(t *testing.T, factory LogFactory, n int) (connector.Log, LogUnderTest) {
	t.Helper()
	u := factory(t, n)
	l := u.Open(t)
	t.Cleanup(func() {
		if err := l.Drop(context.Background()); err != nil {
			t.Errorf("Drop: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	got, err := l.Prepare(testContext(t))
	if err != nil || got != n {
		t.Fatalf("Prepare: %d, %v; want %d", got, err, n)
	}
	return l, u
}

func testPrepare(t *testing.T, factory LogFactory) {
	l, u := openLog(t, factory, 3)
	ctx := testContext(t)
	if n, err := l.Prepare(ctx); n != 3 || err != nil {
		t.Errorf("Prepare again: %d, %v", n, err)
	}
	ends, err := l.Ends(ctx)
	if err != nil || fmt.Sprint(ends) != "[0 0 0]" {
		t.Errorf("Ends of a new log: %v, %v", ends, err)
	}
	if u.OpenWith != nil {
		other := u.OpenWith(t, 5)
		defer other.Close()
		_, err := other.Prepare(ctx)
		var h *connector.Hinted
		if !errors.As(err, &h) || h.Hint == "" {
			t.Errorf("Prepare with another number of partitions: %v, want a hinted error", err)
		}
	}
	for range 2 {
		if err := l.Drop(ctx); err != nil {
			t.Errorf("Drop: %v", err)
		}
	}
	if n, err := l.Prepare(ctx); n != 3 || err != nil {
		t.Errorf("Prepare after Drop: %d, %v", n, err)
	}
}

// message is the nth of a key, as a message: the value names both.
func message(key, n int) *connector.Message {
	v := binary.BigEndian.AppendUint32(nil, uint32(key))
	v = binary.BigEndian.AppendUint32(v, uint32(n))
	return &connector.Message{
		Key:   fmt.Appendf(nil, "key-%d", key),
		Value: append(v, make([]byte, 200)...),
		Token: uint64(key)<<32 | uint64(n),
	}
}

func readMessage(r *record.Record) (key, n int, err error) {
	if len(r.Value) < 8 {
		return 0, 0, fmt.Errorf("offset %d: the value has %d bytes", r.Offset, len(r.Value))
	}
	key, n = int(binary.BigEndian.Uint32(r.Value)), int(binary.BigEndian.Uint32(r.Value[4:]))
	if want := fmt.Sprintf("key-%d", key); string(r.Key) != want {
		return 0, 0, fmt.Errorf("offset %d: the key is %q, not %q", r.Offset, r.Key, want)
	}
	return key, n, nil
}

// produce appends messages from..to-1 of each key and waits for them.
func produce(t testing.TB, l connector.Log, keys, from, to int) {
	t.Helper()
	ctx := testContext(t)
	var mu sync.Mutex
	acked := map[uint64]int{}
	p, err := l.Producer(ctx, func(m *connector.Message, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			t.Errorf("message %x: %v", m.Token, err)
		}
		acked[m.Token]++
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := from; n < to; n++ {
		for k := range keys {
			if err := p.Produce(ctx, message(k, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := p.Flush(ctx); err != nil {
		t.Error(err)
	}
	mu.Lock()
	if len(acked) != keys*(to-from) {
		t.Errorf("%d messages acknowledged when Flush returned, want %d", len(acked), keys*(to-from))
	}
	mu.Unlock()
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for token, n := range acked {
		if n != 1 {
			t.Errorf("message %x was acknowledged %d times", token, n)
		}
	}
}

func testProduceAndConsume(t *testing.T, factory LogFactory) {
	l, _ := openLog(t, factory, 4)
	const keys, each = 20, 500
	before := time.Now().Add(-time.Minute).UnixMicro()
	produce(t, l, keys, 0, each)
	ends, err := l.Ends(testContext(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := int64(0)
	for _, e := range ends {
		sum += e
	}
	if sum != keys*each {
		t.Errorf("Ends: %v, sum %d, want %d", ends, sum, keys*each)
	}
	g := newGroup(t, keys)
	m := g.join(l, "group")
	g.await(keys * each)
	m.leave()
	g.check(each)
	g.mu.Lock()
	defer g.mu.Unlock()
	for p, e := range ends {
		if g.positions[int32(p)] != e {
			t.Errorf("partition %d was read to %d, want %d", p, g.positions[int32(p)], e)
		}
	}
	if of, err := l.Committed(testContext(t), "nobody"); err != nil || len(of) != 0 {
		t.Errorf("Committed of a group that never was: %v, %v", of, err)
	}
	if after := time.Now().Add(time.Minute).UnixMicro(); g.oldest < before || g.newest > after {
		t.Errorf("append times from %d to %d, want them between %d and %d", g.oldest, g.newest, before, after)
	}
}

func testProducerBounds(t *testing.T, factory LogFactory) {
	l, _ := openLog(t, factory, 1)
	ctx, cancel := context.WithCancel(testContext(t))
	var mu sync.Mutex
	acks := 0
	release := make(chan struct{})
	p, err := l.Producer(ctx, func(*connector.Message, error) {
		<-release // an acknowledgement that is not taken is a message under way
		mu.Lock()
		acks++
		mu.Unlock()
	})
	if err != nil {
		t.Fatal(err)
	}
	queued, big := 0, make([]byte, 100_000)
	result := make(chan error, 1)
	go func() {
		for {
			if err := p.Produce(ctx, &connector.Message{Key: []byte("k"), Value: big}); err != nil {
				result <- err
				return
			}
			queued++
			if queued == 100_000 {
				result <- errors.New("10 GB were queued without an acknowledgement")
				return
			}
		}
	}()
	time.Sleep(200 * time.Millisecond) // give it a chance to block; right either way
	cancel()
	err = <-result
	close(release)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("a blocked Produce ended with %v, want the context's error", err)
	}
	if err := p.Flush(testContext(t)); err != nil {
		t.Error(err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if acks != queued {
		t.Errorf("%d acknowledgements for %d queued messages", acks, queued)
	}
}

func testProducerClose(t *testing.T, factory LogFactory) {
	l, _ := openLog(t, factory, 1)
	ctx := testContext(t)
	var mu sync.Mutex
	acks := 0
	p, err := l.Producer(ctx, func(*connector.Message, error) {
		mu.Lock()
		acks++
		mu.Unlock()
	})
	if err != nil {
		t.Fatal(err)
	}
	const n = 2000
	for i := range n {
		if err := p.Produce(ctx, message(0, i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
	mu.Lock()
	if acks != n {
		t.Errorf("%d acknowledgements when Close returned, want %d", acks, n)
	}
	mu.Unlock()
	if err := p.Produce(ctx, message(0, n)); err == nil {
		t.Error("Produce after Close succeeded")
	}
}

func testReplay(t *testing.T, factory LogFactory) {
	l, _ := openLog(t, factory, 2)
	ctx := testContext(t)
	produce(t, l, 10, 0, 1000)
	ends, err := l.Ends(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for p, end := range ends {
		for _, r := range [][2]int64{{0, end}, {connector.Unknown, end}, {end / 3, end / 2}, {end - 1, end}, {5, 6}, {7, 7}, {end, end}} {
			from, to := max(r[0], 0), r[1]
			at, last := from, from
			err := l.Replay(ctx, int32(p), r[0], r[1], func(b *record.Batch) error {
				if b.Partition != int32(p) || b.Next < last || b.Next > to {
					t.Errorf("batch of partition %d to %d, want partition %d to at most %d", b.Partition, b.Next, p, to)
				}
				last = b.Next
				for i := range b.Records {
					if b.Records[i].Offset != at {
						t.Fatalf("offset %d, want %d", b.Records[i].Offset, at)
					}
					at++
				}
				return nil
			})
			if err != nil || at != to || last != to {
				t.Errorf("Replay(%d, %v) ended at %d with Next %d: %v", p, r, at, last, err)
			}
		}
	}
	stop := errors.New("enough")
	if err := l.Replay(ctx, 0, 0, ends[0], func(*record.Batch) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("Replay: %v, want the callback's error", err)
	}
	// A position that the log does not have, because the topic is another
	// one than the store was filled from, is said in words.
	err = l.Replay(ctx, 0, ends[0]+100, ends[0]+200, func(*record.Batch) error { return nil })
	if hinted, ok := errors.AsType[*connector.Hinted](err); !ok || hinted.Hint == "" {
		t.Errorf("Replay past the end: %v, want advice", err)
	}
	// The end of the context ends a Replay that waits for what is not there.
	rctx, cancel := context.WithCancel(ctx)
	err = l.Replay(rctx, 0, 0, ends[0]+1, func(*record.Batch) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Replay: %v, want the context's error", err)
	}
}

func testOffsetAt(t *testing.T, factory LogFactory) {
	l, _ := openLog(t, factory, 1)
	ctx := testContext(t)
	if at, err := l.OffsetAt(ctx, 0, 0); at != 0 || err != nil {
		t.Errorf("OffsetAt in an empty log: %d, %v", at, err)
	}
	for n := range 3 {
		produce(t, l, 1, n*100, n*100+100)
		time.Sleep(20 * time.Millisecond) // so that the times differ
	}
	var times []int64
	err := l.Replay(ctx, 0, 0, 300, func(b *record.Batch) error {
		for i := range b.Records {
			times = append(times, b.Records[i].Timestamp)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, micros := range []int64{0, times[0], times[0] + 1, times[150], times[150] + 1, times[299], times[299] + 1, times[299] + 1e9} {
		want := int64(300)
		for i, at := range times {
			if at >= micros {
				want = int64(i)
				break
			}
		}
		if got, err := l.OffsetAt(ctx, 0, micros); got != want || err != nil {
			t.Errorf("OffsetAt(%d) = %d, %v; want %d (appended from %d to %d)", micros, got, err, want, times[0], times[299])
		}
	}
}
