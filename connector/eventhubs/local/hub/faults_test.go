package hub_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"
	"millrace/internal/testservice"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// flaky makes connections that break: after some reads or writes, what is sent
// may have arrived, but the answer does not come.
type flaky struct{ on atomic.Bool }

type flakyConn struct {
	net.Conn
	f *flaky
}

var errBroken = &net.OpError{Op: "read", Net: "tcp", Err: errors.New("broken by the test")}

func (f *flaky) dial(ctx context.Context, network, address string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &flakyConn{c, f}, nil
}

func (c *flakyConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	// Before, the broker has answered.
	if c.f.on.Load() && rand.IntN(30) == 0 {
		_ = c.Conn.Close()
		return 0, errBroken
	}
	return n, err
}

func (c *flakyConn) Write(b []byte) (int, error) {
	if c.f.on.Load() && rand.IntN(100) == 0 {
		n, _ := c.Conn.Write(b[:rand.IntN(len(b)+1)])
		_ = c.Conn.Close()
		return n, errBroken
	}
	return c.Conn.Write(b)
}

// Connections break all the time, often after the log has stored what it was
// sent: still each event is there once, and in order.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, brokers, prefix string) {
		f := &flaky{}
		c := open(t, hub.Options{Brokers: []string{brokers}, Client: []kgo.Opt{kgo.Dialer(f.dial)}})
		h := newHub(t, c.Default(), prefix+"flaky", 2)
		f.on.Store(true)
		const total = 400
		var writers sync.WaitGroup
		for p := range int32(2) {
			writers.Go(func() {
				for i := 0; i < total; i += 2 {
					answered := make(chan error, 1)
					err := h.Append(context.Background(), p, events(strconv.Itoa(i), strconv.Itoa(i+1)), func(first int64, err error) {
						if err == nil && first != int64(i) {
							t.Errorf("events %d are at %d", i, first)
						}
						answered <- err
					})
					if err != nil {
						t.Error(err)
						return
					}
					if i%20 == 0 {
						if err := <-answered; err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		for p := range int32(2) {
			r := newReader(t, h, p, 0)
			bodies, _ := read(t, r, total)
			for i, b := range bodies {
				if b != strconv.Itoa(i) {
					t.Fatalf("partition %d: event %d is %q", p, i, b)
				}
			}
		}
		writers.Wait()
		f.on.Store(false)
		for p := range int32(2) {
			info, err := h.Partition(testContext(t), p)
			if err != nil || info.End != total {
				t.Errorf("partition %d: %+v, %v", p, info, err)
			}
		}
	})
}

// When the log is away for too long, the caller hears of it, and goes on when the
// log is back.
func TestLogAwayForLong(t *testing.T) {
	t.Parallel()
	dir, port := t.TempDir(), testservice.Port(t)
	srv := startLog(t, dir, port)
	c := open(t, hub.Options{Brokers: []string{srv.Address()}})
	h := newHub(t, c.Default(), "away", 1)
	appendAll(t, h, 0, "before")
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	c.SetAppendTimeout(300 * time.Millisecond) // a log that is there may take longer
	for range 2 {
		done := make(chan error, 1)
		if err := h.Append(testContext(t), 0, events("lost"), func(_ int64, err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		err := <-done
		var u *connector.Unreachable
		if connector.ActionOf(err) != connector.Retry || !errors.As(err, &u) {
			t.Errorf("while the log is away: %v", err)
		}
	}
	c.SetAppendTimeout(time.Minute)
	startLog(t, dir, port)
	if first := appendAll(t, h, 0, "after"); first != 1 {
		t.Errorf("afterwards at %d", first)
	}
	if got, _ := read(t, newReader(t, h, 0, 0), 2); got[0] != "before" || got[1] != "after" {
		t.Errorf("read %q", got)
	}
}

// A topic that takes less than it did answers so, and is believed from then on.
func TestTopicTakesLess(t *testing.T) {
	t.Parallel()
	onBoth(t, func(t *testing.T, brokers, prefix string) {
		c := open(t, hub.Options{Brokers: []string{brokers}})
		h := newHub(t, c.Default(), prefix+"less", 1)
		cl, err := kgo.NewClient(kgo.SeedBrokers(brokers))
		if err != nil {
			t.Fatal(err)
		}
		defer cl.Close()
		limit := "10000"
		if _, err := kadm.NewClient(cl).AlterTopicConfigs(testContext(t), []kadm.AlterConfig{{Name: "max.message.bytes", Value: &limit}}, h.Topic()); err != nil {
			t.Fatal(err)
		}
		// The broker may take a moment to know.
		large := strings.Repeat("x", 20_000)
		for deadline := time.Now().Add(time.Minute); ; {
			done := make(chan error, 1)
			err := h.Append(testContext(t), 0, events(large), func(_ int64, err error) { done <- err })
			if err == nil {
				err = <-done
			}
			if errors.Is(err, hub.ErrTooLarge) {
				break
			}
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("it still takes %d bytes: %v", len(large), err)
			}
		}
		if err := h.Append(testContext(t), 0, events(large), nil); !errors.Is(err, hub.ErrTooLarge) {
			t.Errorf("the next one: %v", err)
		}
		first := appendAll(t, h, 0, "small")
		if got, seqs := read(t, newReader(t, h, 0, first), 1); got[0] != "small" || seqs[0] != first {
			t.Errorf("read %q at %v", got, seqs)
		}
	})
}
