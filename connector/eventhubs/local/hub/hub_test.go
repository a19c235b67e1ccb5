package hub_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/kafka/local"
	"millrace/internal/testservice"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func testContext(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func startLog(t testing.TB, dir string, port int) *local.Server {
	t.Helper()
	s, err := local.Start(testContext(t), local.Options{DataDir: dir, Port: port})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func open(t testing.TB, o hub.Options) *hub.Cluster {
	t.Helper()
	c, err := hub.Open(testContext(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// onBoth runs a test on the embedded log and on Apache Kafka. names are made
// unique there, since others use it as well.
func onBoth(t *testing.T, test func(t *testing.T, brokers, prefix string)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		test(t, startLog(t, t.TempDir(), 0).Address(), "")
	})
	t.Run("apache", func(t *testing.T) {
		t.Parallel()
		test(t, testservice.Kafka(t).Brokers, fmt.Sprintf("hubtest-%08x-", rand.Uint32()))
	})
}

// newHub creates a hub and deletes it after the test.
func newHub(t testing.TB, ns *hub.Namespace, name string, partitions int) *hub.Hub {
	t.Helper()
	h, err := ns.CreateHub(testContext(t), hub.Spec{Name: name, Partitions: partitions})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		err := ns.DeleteHub(context.Background(), name)
		if err != nil && !errors.Is(err, hub.ErrNotFound) && !errors.Is(err, hub.ErrClosed) && connector.ActionOf(err) != connector.Retry {
			t.Errorf("deleting hub %s: %v", name, err)
		}
	})
	return h
}

// event is a message with a text as its body.
func event(text string) amqp.Message {
	return amqp.Message{Body: amqp.AppendData(nil, text)}
}

func events(texts ...string) []amqp.Message {
	out := make([]amqp.Message, len(texts))
	for i, s := range texts {
		out[i] = event(s)
	}
	return out
}

// appendAll appends events and waits for the answer.
func appendAll(t testing.TB, h *hub.Hub, p int32, texts ...string) int64 {
	t.Helper()
	type answer struct {
		first int64
		err   error
	}
	done := make(chan answer, 1)
	err := h.Append(testContext(t), p, events(texts...), func(first int64, err error) { done <- answer{first, err} })
	if err != nil {
		t.Fatal(err)
	}
	a := <-done
	if a.err != nil {
		t.Fatal(a.err)
	}
	return a.first
}

func newReader(t testing.TB, h *hub.Hub, p int32, from int64) *hub.Reader {
	t.Helper()
	r, err := h.Reader(testContext(t), p, from)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Close)
	return r
}

// read reads n events and returns their bodies.
func read(t testing.TB, r *hub.Reader, n int) (bodies []string, seqs []int64) {
	t.Helper()
	ctx := testContext(t)
	for len(bodies) < n {
		es, err := r.Next(ctx, n-len(bodies))
		if err != nil {
			t.Fatalf("after %d of %d events: %v", len(bodies), n, err)
		}
		for i := range es {
			bodies = append(bodies, string(es[i].Body()))
			seqs = append(seqs, es[i].Sequence)
		}
	}
	return bodies, seqs
}

func TestAppendAndRead(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, brokers, prefix string) {
		c := open(t, hub.Options{Brokers: []string{brokers}})
		h := newHub(t, c.Default(), prefix+"telemetry", 2)
		before := time.Now().Add(-time.Second)
		if first := appendAll(t, h, 0, "a", "b", "c"); first != 0 {
			t.Errorf("first append at %d", first)
		}
		if first := appendAll(t, h, 0, "d"); first != 3 {
			t.Errorf("second append at %d", first)
		}
		if first := appendAll(t, h, 1, "x"); first != 0 {
			t.Errorf("other partition at %d", first)
		}
		r := newReader(t, h, 0, 1)
		bodies, seqs := read(t, r, 3)
		if !slices.Equal(bodies, []string{"b", "c", "d"}) || !slices.Equal(seqs, []int64{1, 2, 3}) {
			t.Errorf("read %q at %v", bodies, seqs)
		}
		seq, at := r.Last()
		if seq != 3 || at.Before(before) || at.After(time.Now().Add(time.Second)) {
			t.Errorf("last event %d at %v", seq, at)
		}
		info, err := h.Partition(testContext(t), 0)
		if err != nil || info.Begin != 0 || info.End != 4 || info.LastEnqueued.Before(before) {
			t.Errorf("partition: %+v, %v", info, err)
		}
		// A cluster that has not written it finds the same time.
		other := open(t, hub.Options{Brokers: []string{brokers}})
		oh, err := other.Default().Hub(testContext(t), h.Name())
		if err != nil {
			t.Fatal(err)
		}
		again, err := oh.Partition(testContext(t), 0)
		if err != nil || again.End != 4 || again.LastEnqueued.Sub(info.LastEnqueued).Abs() > time.Second {
			t.Errorf("partition: %+v, %v; want %+v", again, err, info)
		}
	})
}

func TestPositions(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, brokers, prefix string) {
		ctx := testContext(t)
		c := open(t, hub.Options{Brokers: []string{brokers}})
		h := newHub(t, c.Default(), prefix+"positions", 1)
		start := time.Now()
		if seq, err := h.SequenceAt(ctx, 0, start); err != nil || seq != 0 {
			t.Errorf("in an empty partition: %d, %v", seq, err)
		}
		if info, err := h.Partition(ctx, 0); err != nil || info != (hub.PartitionInfo{}) {
			t.Errorf("empty partition: %+v, %v", info, err)
		}
		appendAll(t, h, 0, "a", "b")
		time.Sleep(20 * time.Millisecond)
		appendAll(t, h, 0, "c", "d")
		r := newReader(t, h, 0, 0)
		var times []int64
		for len(times) < 4 {
			es, err := r.Next(ctx, 10)
			if err != nil {
				t.Fatal(err)
			}
			for i := range es {
				times = append(times, es[i].Enqueued)
			}
		}
		if times[0] != times[1] || times[1] >= times[2] {
			t.Errorf("enqueued at %v", times)
		}
		for _, tt := range []struct {
			at   time.Time
			want int64
		}{
			{time.UnixMilli(times[0]), 0}, {time.UnixMilli(times[0]).Add(1), 2}, {time.UnixMilli(times[2]), 2},
			{time.UnixMilli(times[2] + 1), 4}, {start.Add(-time.Hour), 0}, {start.Add(time.Hour), 4}, {time.UnixMilli(-5), 0},
		} {
			if got, err := h.SequenceAt(ctx, 0, tt.at); err != nil || got != tt.want {
				t.Errorf("first event at %v: %d, %v; want %d", tt.at, got, err, tt.want)
			}
		}
		if _, err := h.Reader(ctx, 0, 5); !errors.Is(err, hub.ErrOutOfRange) {
			t.Errorf("behind the end: %v", err)
		}
		at := newReader(t, h, 0, 4)
		appendAll(t, h, 0, "e")
		if got, _ := read(t, at, 1); got[0] != "e" {
			t.Errorf("from the end: %q", got)
		}
		// What has expired is skipped, also by a reader that comes too late.
		cl, err := kgo.NewClient(kgo.SeedBrokers(brokers))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		var del kadm.Offsets
		del.Add(kadm.Offset{Topic: h.Topic(), Partition: 0, At: 3})
		if _, err := kadm.NewClient(cl).DeleteRecords(ctx, del); err != nil {
			t.Fatal(err)
		}
		if got, seqs := read(t, newReader(t, h, 0, 0), 2); !slices.Equal(got, []string{"d", "e"}) || seqs[0] != 3 {
			t.Errorf("from what has expired: %q at %v", got, seqs)
		}
		if info, err := h.Partition(ctx, 0); err != nil || info.Begin != 3 || info.End != 5 {
			t.Errorf("partition: %+v, %v", info, err)
		}
		for _, p := range []int32{-1, 1} {
			_, err := h.Reader(ctx, p, 0)
			_, err2 := h.Partition(ctx, p)
			_, err3 := h.SequenceAt(ctx, p, start)
			err4 := h.Append(ctx, p, events("x"), nil)
			for _, err := range []error{err, err2, err3, err4} {
				if !errors.Is(err, hub.ErrNotFound) {
					t.Errorf("partition %d: %v", p, err)
				}
			}
		}
	})
}

// Many writers append batches to one partition: each batch stays together, and
// is where its answer says.
func TestAppendsStayTogether(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, brokers, prefix string) {
		c := open(t, hub.Options{Brokers: []string{brokers}})
		h := newHub(t, c.Default(), prefix+"together", 1)
		const writers, each = 16, 40
		var mu sync.Mutex
		where := map[int64]string{}
		var waits sync.WaitGroup
		total := 0
		for w := range writers {
			rnd := rand.New(rand.NewPCG(7, uint64(w)))
			var sizes []int
			for range each {
				sizes = append(sizes, 1+rnd.IntN(20))
				total += sizes[len(sizes)-1]
			}
			waits.Add(each)
			go func() {
				for i, n := range sizes {
					texts := make([]string, n)
					for k := range texts {
						texts[k] = fmt.Sprintf("%d/%d/%d/%d", w, i, k, n) + strings.Repeat(" ", rnd.IntN(3000))
					}
					err := h.Append(context.Background(), 0, events(texts...), func(first int64, err error) {
						defer waits.Done()
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						defer mu.Unlock()
						for k := range texts {
							where[first+int64(k)] = texts[k]
						}
					})
					if err != nil {
						t.Error(err)
						waits.Done()
					}
				}
			}()
		}
		waits.Wait()
		bodies, seqs := read(t, newReader(t, h, 0, 0), total)
		next := map[string]int{} // of each writer
		for i, b := range bodies {
			if seqs[i] != int64(i) || where[seqs[i]] != b {
				t.Fatalf("event %d at %d is %.20q, acknowledged was %.20q", i, seqs[i], b, where[seqs[i]])
			}
			f := strings.Split(strings.TrimRight(b, " "), "/")
			n, _ := strconv.Atoi(f[1])
			if n < next[f[0]] {
				t.Fatalf("append %d of writer %s comes after %d", n, f[0], next[f[0]])
			}
			next[f[0]] = n
		}
	})
}

// The log is stopped and started again while appends and reads go on: nothing is
// lost, doubled or out of order.
func TestRestartOfTheLog(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), testservice.Port(t)
	srv := startLog(t, dir, port)
	c := open(t, hub.Options{Brokers: []string{srv.Address()}})
	h := newHub(t, c.Default(), "restarted", 2)
	const total = 3000
	var acked atomic.Int64
	written := make(chan error, 2)
	for p := range int32(2) {
		go func() {
			var waits sync.WaitGroup
			for i := range total {
				waits.Add(1)
				err := h.Append(context.Background(), p, events(strconv.Itoa(i)), func(_ int64, err error) {
					defer waits.Done()
					if err != nil {
						t.Error(err)
					}
					acked.Add(1)
				})
				if err != nil {
					written <- err
					return
				}
				if i%10 == 0 {
					time.Sleep(time.Millisecond)
				}
			}
			waits.Wait()
			written <- nil
		}()
	}
	readers := [2]*hub.Reader{newReader(t, h, 0, 0), newReader(t, h, 1, 0)}
	for range 2 {
		at := acked.Load()
		for acked.Load() < min(at+500, 2*total) {
			time.Sleep(time.Millisecond)
		}
		if err := srv.Close(); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Default().Hub(testContext(t), "restarted"); err != nil {
			t.Errorf("a known hub while the log is away: %v", err)
		}
		time.Sleep(100 * time.Millisecond)
		srv = startLog(t, dir, port)
	}
	for range 2 {
		if err := <-written; err != nil {
			t.Fatal(err)
		}
	}
	for p, r := range readers {
		bodies, _ := read(t, r, total)
		for i, b := range bodies {
			if b != strconv.Itoa(i) {
				t.Fatalf("partition %d: event %d is %q", p, i, b)
			}
		}
		info, err := h.Partition(testContext(t), int32(p))
		if err != nil || info.End != total {
			t.Errorf("partition %d: %+v, %v", p, info, err)
		}
	}
}

func TestManyReadersAreWokenAtOnce(t *testing.T) {
	t.Parallel()
	srv := startLog(t, t.TempDir(), 0)
	c := open(t, hub.Options{Brokers: []string{srv.Address()}})
	h := newHub(t, c.Default(), "crowd", 4)
	const n = 100
	got := make(chan string, n)
	for i := range n {
		r := newReader(t, h, int32(i%4), 0)
		go func() {
			es, err := r.Next(testContext(t), 10)
			if err != nil {
				got <- err.Error()
				return
			}
			got <- string(es[0].Body())
		}()
	}
	for p := range int32(4) {
		appendAll(t, h, p, "wake up")
	}
	for range n {
		if s := <-got; s != "wake up" {
			t.Fatal(s)
		}
	}
}

func TestReaderEnds(t *testing.T) {
	t.Parallel()
	srv := startLog(t, t.TempDir(), 0)
	c := open(t, hub.Options{Brokers: []string{srv.Address()}})
	h := newHub(t, c.Default(), "ends", 1)
	appendAll(t, h, 0, "a", "b")

	r := newReader(t, h, 0, 2)
	ctx, cancel := context.WithCancel(testContext(t))
	cancel()
	if _, err := r.Next(ctx, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("with an ended context: %v", err)
	}
	appendAll(t, h, 0, "c")
	if got, _ := read(t, r, 1); got[0] != "c" {
		t.Errorf("after that: %q", got)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := r.Next(testContext(t), 1)
		ended <- err
	}()
	r.Close()
	if err := <-ended; !errors.Is(err, hub.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}

	r2 := newReader(t, h, 0, 3)
	go func() {
		_, err := r2.Next(testContext(t), 1)
		ended <- err
	}()
	if err := c.Default().DeleteHub(testContext(t), "ends"); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("after deletion: %v", err)
	}
	<-h.Deleted()
	if err := h.Append(testContext(t), 0, events("x"), nil); !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("append after deletion: %v", err)
	}

	h = newHub(t, c.Default(), "ends", 1)
	if appendAll(t, h, 0, "anew") != 0 {
		t.Error("the new hub is not empty")
	}
	r3 := newReader(t, h, 0, 1)
	go func() {
		_, err := r3.Next(testContext(t), 1)
		ended <- err
	}()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, hub.ErrClosed) {
		t.Errorf("after closing the cluster: %v", err)
	}
	if err := h.Append(testContext(t), 0, events("x"), nil); !errors.Is(err, hub.ErrClosed) {
		t.Errorf("append after closing: %v", err)
	}
}

// A hub whose topic somebody else deletes is noticed.
func TestTopicDeletedBehindOurBack(t *testing.T) {
	t.Parallel()
	srv := startLog(t, t.TempDir(), 0)
	c := open(t, hub.Options{Brokers: []string{srv.Address()}})
	c.SetPatience(100 * time.Millisecond)
	h := newHub(t, c.Default(), "victim", 1)
	cl, err := kgo.NewClient(kgo.SeedBrokers(srv.Address()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if _, err := kadm.NewClient(cl).DeleteTopics(testContext(t), "victim"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	if err := h.Append(testContext(t), 0, events("x"), func(_ int64, err error) { done <- err }); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, hub.ErrNotFound) {
		t.Errorf("append: %v", err)
	}
	for {
		_, err := c.Default().Hub(testContext(t), "victim")
		if errors.Is(err, hub.ErrNotFound) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	<-h.Deleted()
}

func TestAppendRefuses(t *testing.T) {
	t.Parallel()
	srv := startLog(t, t.TempDir(), 0)
	c := open(t, hub.Options{Brokers: []string{srv.Address()}})
	h := newHub(t, c.Default(), "refuses", 1)
	for _, tt := range []struct {
		what   string
		events []amqp.Message
		want   error
	}{
		{"nothing", nil, hub.ErrInvalid},
		{"9 MB", events("a", strings.Repeat("x", 9<<20)), hub.ErrTooLarge},
		{"garbage", []amqp.Message{event("a"), {Body: []byte{0, 0x53, 0x75, 0xb0, 1}}}, hub.ErrInvalid},
		{"garbage in a map", []amqp.Message{event("a"), {ApplicationProperties: []byte{0, 0x53, 0x74, 0xc1, 3, 4, 0xa1, 9}}}, hub.ErrInvalid},
	} {
		err := h.Append(testContext(t), 0, tt.events, func(int64, error) { t.Errorf("%s: done was called", tt.what) })
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v", tt.what, err)
		}
	}
	if first := appendAll(t, h, 0, "ok", strings.Repeat("x", 3<<20)); first != 0 {
		t.Errorf("after that: at %d", first)
	}
	if got, _ := read(t, newReader(t, h, 0, 0), 2); got[0] != "ok" || len(got[1]) != 3<<20 {
		t.Errorf("read %d and %d bytes", len(got[0]), len(got[1]))
	}
}

func TestOpenUnreachable(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	_, err := hub.Open(ctx, hub.Options{Brokers: []string{"127.0.0.1:1"}})
	var u *connector.Unreachable
	if !errors.As(err, &u) || u.Hint == "" {
		t.Errorf("error: %v", err)
	}
}

func write(t testing.TB, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
