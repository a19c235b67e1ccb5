package hub_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"millrace/connector/eventhubs/local/hub"

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
