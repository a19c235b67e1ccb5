package process

import (
	"context"
	"sync"
	"time"

	"millrace/connector"
)

// commitTimeout bounds a commit with the group, which waits while the group
// is forming anew: whoever stores must not wait for it.
const commitTimeout = 5 * time.Second

// groupCommits tells the log's group about stored positions, every
// CommitEvery and on a goroutine of its own. The store's positions are what
// counts; the group's are for people, for other workers' view of the backlog,
// and for stores that keep none.
//
// A position belongs to the ownership under which it was stored, and goes with
// it. Otherwise a unit that was finished after its partition was lost would move
// the group past what the next owner is storing anew: if that one is lost as
// well, a part of the rows would keep the first owner's times, which are
// earlier than those of the rows before them.
type groupCommits struct {
	r       *Runtime
	mu      sync.Mutex
	pending map[int32]span
}

func newGroupCommits(r *Runtime) *groupCommits {
	return &groupCommits{r: r, pending: make(map[int32]span)}
}

func (g *groupCommits) add(spans []span) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range spans {
		if !s.o.lost.Load() {
			s.state = nil // which is not needed here, and may be large
			g.pending[s.o.partition] = s
		}
	}
}

// run commits until the runtime stops. Revoke commits what it drains itself.
func (g *groupCommits) run() {
	if g.r.group == nil {
		return
	}
	tick := time.NewTicker(g.r.opts.CommitEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			g.commit()
		case <-g.r.hard.Done():
			return
		}
	}
}

func (g *groupCommits) commit() {
	g.mu.Lock()
	spans := make([]span, 0, len(g.pending))
	positions := make([]connector.Position, 0, len(g.pending))
	for p, s := range g.pending {
		if !s.o.lost.Load() {
			spans = append(spans, s)
			positions = append(positions, connector.Position{Partition: p, Offset: s.to})
		}
	}
	clear(g.pending)
	g.mu.Unlock()
	if len(positions) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(g.r.hard, commitTimeout)
	defer cancel()
	err := g.r.group.Commit(ctx, positions)
	if err == nil {
		return
	}
	g.r.opts.Log.Debug("group commit failed; the next one repeats it", "error", err)
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range spans {
		if _, newer := g.pending[s.o.partition]; !newer {
			g.pending[s.o.partition] = s
		}
	}
}
