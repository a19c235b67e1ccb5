package eventhubs_test

import (
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
)

// quiet is a logger that says nothing.
var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// proxy passes connections on, until it is told to keep what it gets.
type proxy struct {
	address  string
	listener net.Listener

	mu     sync.Mutex
	thawed *sync.Cond
	frozen bool
	deaf   bool // answers are dropped
	ended  bool
	conns  []net.Conn
}

func newProxy(t testing.TB, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{address: l.Addr().String(), listener: l}
	p.thawed = sync.NewCond(&p.mu)
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, in, out)
			p.mu.Unlock()
			go p.pass(in, out, false)
			go p.pass(out, in, true)
		}
	}()
	t.Cleanup(p.cut)
	return p
}

func (p *proxy) pass(from, to net.Conn, answers bool) {
	defer from.Close()
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		for p.frozen && !p.ended {
			p.thawed.Wait()
		}
		ended, dropped := p.ended, answers && p.deaf
		p.mu.Unlock()
		if ended {
			return
		}
		if dropped {
			continue
		}
		if _, err := to.Write(buf[:n]); err != nil {
			return
		}
	}
}

// freeze keeps everything from now on, with the connections open.
func (p *proxy) freeze() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.frozen = true
}

// swallow drops all answers from now on; false lets new connections through
// and ends those that have missed some.
func (p *proxy) swallow(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.deaf = on
	if !on {
		for _, c := range p.conns {
			_ = c.Close()
		}
		p.conns = nil
	}
}

// cut ends all connections and takes no new ones.
func (p *proxy) cut() {
	_ = p.listener.Close()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	p.thawed.Broadcast()
	for _, c := range p.conns {
		_ = c.Close()
	}
}
