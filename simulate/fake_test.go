package simulate

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"millrace/connector"
	"millrace/record"
)

var errClosed = errors.New("the fake log is closed")

// sentMessage is what the fake log received.
type sentMessage struct {
	key, value string
	at         time.Time
}

// fakeLog acknowledges asynchronously, in order per key and at random across
// keys.
type fakeLog struct {
	bound int
	delay time.Duration
	// refuse, if not nil, says what becomes of the n-th message.
	refuse func(n int) error

	mu      sync.Mutex
	room    *sync.Cond
	sent    []sentMessage
	acked   int
	open    []*connector.Message // not acknowledged
	stalled bool                 // acknowledges nothing
	closed  bool
}

func newFakeLog() *fakeLog {
	f := &fakeLog{bound: 1000}
	f.room = sync.NewCond(&f.mu)
	return f
}

type fakeProducer struct {
	*fakeLog
	ack  func(*connector.Message, error)
	done chan struct{}
	quit chan struct{}
}

func (f *fakeLog) producer(_ context.Context, ack func(*connector.Message, error)) (connector.Producer, error) {
	p := &fakeProducer{fakeLog: f, ack: ack, done: make(chan struct{}), quit: make(chan struct{})}
	f.mu.Lock()
	f.closed = false
	f.mu.Unlock()
	go p.acknowledge()
	return p, nil
}

// acknowledge takes the open messages every now and then, shuffles them such
// that the order per key stays, and acknowledges some.
func (p *fakeProducer) acknowledge() {
	defer close(p.done)
	for {
		select {
		case <-p.quit:
			return
		case <-time.After(max(p.delay, 100*time.Microsecond)):
		}
		p.mu.Lock()
		var ready, rest []*connector.Message
		blocked := map[string]bool{}
		for _, m := range p.open {
			if p.stalled || blocked[string(m.Key)] || rand.IntN(4) == 0 {
				blocked[string(m.Key)] = true
				rest = append(rest, m)
			} else {
				ready = append(ready, m)
			}
		}
		p.open = rest
		p.acked += len(ready)
		p.mu.Unlock()
		for _, m := range ready {
			p.ack(m, nil)
		}
		p.room.Broadcast()
	}
}

func (p *fakeProducer) Produce(ctx context.Context, m *connector.Message) error {
	defer context.AfterFunc(ctx, p.room.Broadcast)()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.open) >= p.bound && ctx.Err() == nil && !p.closed {
		p.room.Wait()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if p.closed {
		return errClosed
	}
	n := len(p.sent)
	p.sent = append(p.sent, sentMessage{string(m.Key), string(m.Value), time.Now()})
	if p.refuse != nil {
		if err := p.refuse(n); err != nil {
			go p.ack(m, err)
			return nil
		}
	}
	p.open = append(p.open, m)
	return nil
}

func (p *fakeProducer) Flush(ctx context.Context) error {
	defer context.AfterFunc(ctx, p.room.Broadcast)()
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.open) > 0 && ctx.Err() == nil {
		p.room.Wait()
	}
	return ctx.Err()
}

func (p *fakeProducer) Close() error {
	close(p.quit)
	<-p.done
	p.mu.Lock()
	p.closed = true
	open := p.open
	p.open = nil
	p.mu.Unlock()
	for _, m := range open {
		p.ack(m, errClosed)
	}
	p.room.Broadcast()
	return nil
}

// testConfig is a small run as fast as possible.
func testConfig() Config {
	c := Defaults()
	c.Devices, c.Rate, c.Events, c.Seed, c.DuplicateDelay = 10, 0, 2000, 7, 0
	return c
}

func mustNew(t testing.TB, c Config, dir string) *Simulator {
	t.Helper()
	s, err := New(c, dir, "r1")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// simulateAll runs a configuration to its end.
func simulateAll(t testing.TB, c Config, dir string, log *fakeLog) Summary {
	t.Helper()
	sum, err := mustNew(t, c, dir).Run(t.Context(), log.producer)
	if err != nil {
		t.Fatal(err)
	}
	return sum
}

// account is what a ledger and a log say together.
type account struct {
	info    *record.LedgerInfo
	entries []record.Entry
}

// reconcile reads the ledger and holds it against what the log received: per
// device no sequence is missing, and everything received is known.
func reconcile(t testing.TB, dir string, received []sentMessage) account {
	t.Helper()
	var a account
	known := map[uint64]record.Entry{}
	var err error
	a.info, err = record.ReadLedger(dir, func(e *record.Entry) error {
		a.entries = append(a.entries, *e)
		known[e.Fingerprint] = *e
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	got := map[uint64]int{}
	for _, m := range received {
		f, err := record.Fingerprint([]byte(m.value))
		if _, ok := known[f]; err != nil || !ok {
			f = record.RawHash([]byte(m.value))
		}
		e, ok := known[f]
		if !ok {
			t.Fatalf("the ledger does not know %s", m.value)
		}
		if name := record.DeviceName(&a.info.Files[0].Header, e.Device); name != m.key {
			t.Fatalf("key %s, want %s", m.key, name)
		}
		var d record.Event
		err = d.Decode([]byte(m.value))
		if e.Kind != record.Malformed {
			if err != nil || d.ID != e.ID || string(d.DeviceID) != m.key || d.Sequence != e.Sequence || d.CreatedAt != e.CreatedAt {
				t.Fatalf("%v: %s is not %+v", err, m.value, e)
			}
		} else {
			checkMalformed(t, e, m.value, err)
		}
		got[f]++
	}
	for _, e := range a.entries {
		if e.Acked && got[e.Fingerprint] == 0 {
			t.Fatalf("%+v is acknowledged, and the log does not have it", e)
		}
	}
	return a
}

func checkMalformed(t testing.TB, e record.Entry, value string, err error) {
	t.Helper()
	var de *record.DecodeError
	switch {
	case e.Reason == record.Oversized:
		if err != nil {
			t.Fatalf("an oversized event is wrong otherwise: %v", err)
		}
	case !errors.As(err, &de) || de.Reason != e.Reason:
		t.Fatalf("decoding %.200s gives %v, want %s", value, err, e.Reason)
	}
}

// noGaps checks that the sequences of every device are 0, 1, 2, ...
func noGaps(t testing.TB, a account) (perDevice map[uint32]int64) {
	t.Helper()
	seen := map[[2]int64]bool{}
	perDevice = map[uint32]int64{}
	largest := map[uint32]int64{}
	for _, e := range a.entries {
		if e.Kind != record.Unique {
			continue
		}
		key := [2]int64{int64(e.Device), e.Sequence}
		if seen[key] {
			t.Fatalf("device %d sends %d twice as new", e.Device, e.Sequence)
		}
		seen[key] = true
		perDevice[e.Device]++
		largest[e.Device] = max(largest[e.Device], e.Sequence)
	}
	for d, n := range perDevice {
		if largest[d] != n-1 {
			t.Fatalf("device %d sent %d events up to number %d", d, n, largest[d])
		}
	}
	return perDevice
}
