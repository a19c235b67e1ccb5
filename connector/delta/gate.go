package delta

import (
	"context"
	"sync"
	"time"
)

// gate lets writes begin in company: it opens once in an interval, for a while,
// so that writers that were out of step share a commit from then on. It also
// knows who is still on the way to the commit.
type gate struct {
	interval time.Duration

	mu     sync.Mutex
	opened time.Time
	// under is how many have passed and not arrived; arrived is closed, and
	// replaced, when one does.
	under   int
	arrived chan struct{}
}

func (g *gate) init(interval time.Duration) {
	g.interval, g.arrived = interval, make(chan struct{})
}

// pass waits until the gate is open. Who is in a hurry, as it has much, does
// not wait.
func (g *gate) pass(ctx context.Context, hurry bool) error {
	for {
		wait := g.try(hurry)
		if wait <= 0 {
			return nil
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return ctx.Err()
		}
	}
}

// try passes, or returns how long the gate stays closed.
func (g *gate) try(hurry bool) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	since := time.Since(g.opened)
	switch {
	case since >= g.interval:
		g.opened = time.Now()
	case since >= g.interval/4 && !hurry:
		return g.interval - since
	}
	g.under++
	return 0
}

// arrive ends what pass began.
func (g *gate) arrive() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.under--
	close(g.arrived)
	g.arrived = make(chan struct{})
}

// gather waits until nobody is on the way, for half an interval at most.
func (g *gate) gather(ctx context.Context) {
	deadline := time.NewTimer(g.interval / 2)
	defer deadline.Stop()
	for {
		g.mu.Lock()
		under, arrived := g.under, g.arrived
		g.mu.Unlock()
		if under == 0 {
			return
		}
		select {
		case <-arrived:
		case <-deadline.C:
			return
		case <-ctx.Done():
			return
		}
	}
}
