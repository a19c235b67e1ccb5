package kafka_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"sync/atomic"
	"testing"

	"millrace/connector"
	"millrace/connector/kafka"
	"millrace/connector/kafka/local"
)

// cutConn ends before its first answer, as a connection does whose broker is
// killed at that moment.
type cutConn struct{ net.Conn }

func (c cutConn) Read([]byte) (int, error) { return 0, io.EOF }

// TestConnectionsCutAtOnce: a broker that dies before it answers on a new
// connection looks like one with another configuration. A producer of a
// cluster that was reached before goes on all the same.
func TestConnectionsCutAtOnce(t *testing.T) {
	t.Parallel()
	s := startLocal(t, local.Options{})
	conf := configFor(s.Address())
	var cut atomic.Int64
	kafka.SetDial(conf, func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil && cut.Add(-1) >= 0 {
			return cutConn{conn}, nil
		}
		return conn, err
	})
	ctx := t.Context()
	log, err := conf.Open(ctx, connector.Env{Run: "cut", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if _, err := log.Prepare(ctx); err != nil {
		t.Fatal(err)
	}
	cut.Store(20)
	acked := make(chan error, 1)
	p, err := log.Producer(ctx, func(_ *connector.Message, err error) { acked <- err })
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Produce(ctx, &connector.Message{Key: []byte("k"), Value: []byte("v")}); err != nil {
		t.Fatal(err)
	}
	if err := <-acked; err != nil {
		t.Fatal(err)
	}
	if cut.Load() > 0 {
		t.Errorf("only %d connections were cut", 20-cut.Load())
	}
}
