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
type groupCommits struct {
	r       *Runtime
	mu      sync.Mutex
	pending map[int32]int64
}

func newGroupCommits(r *Runtime) *groupCommits {
	return &groupCommits{r: r, pending: make(map[int32]int64)}
}

func (g *groupCommits) add(spans []span) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range spans {
		g.pending[s.o.partition] = s.to
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
	positions := make([]connector.Position, 0, len(g.pending))
	for p, pos := range g.pending {
		positions = append(positions, connector.Position{Partition: p, Offset: pos})
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
	for _, p := range positions {
		if _, newer := g.pending[p.Partition]; !newer {
			g.pending[p.Partition] = p.Offset
		}
	}
}
