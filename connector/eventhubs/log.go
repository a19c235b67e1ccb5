package eventhubs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"golang.org/x/sync/errgroup"
)

// hubLog implements connector.Log on one hub.
type hubLog struct {
	cfg   Config
	e     *endpoint
	hub   string
	fixed bool // the hub is the connection string's: neither made nor deleted
	run   string
	env   connector.Env
	log   *slog.Logger
	admin admin

	resent    atomic.Int64 // events sent again that may be there already
	throttled atomic.Int64

	mu         sync.Mutex
	partitions int // 0: not known yet
	created    bool
	groups     map[string]string // asked for -> used
	stores     *stores
	owned      map[string]map[int32]int // consumer group -> partitions that sources of this log have
}

func newHubLog(cfg Config, e *endpoint, env connector.Env) *hubLog {
	l := &hubLog{cfg: cfg, e: e, run: env.Run, env: env, log: env.Log, groups: map[string]string{}, owned: map[string]map[int32]int{}}
	l.hub, l.fixed = cfg.hubName(e, env.Run)
	l.admin = admin{e: e, hub: l.hub}
	return l
}

// Describe implements connector.Log.
func (l *hubLog) Describe() string { return fmt.Sprintf("eventhubs %s hub %s", l.e.host, l.hub) }

// Throttled implements connector.Throttled: the sends, reads and questions that
// the service refused for their rate.
func (l *hubLog) Throttled() int64 { return l.throttled.Load() }

// Resent implements connector.Resent.
func (l *hubLog) Resent() int64 { return l.resent.Load() }

// Prepare implements connector.Log. A missing hub is made through the
// service's management API, which takes the right to manage.
func (l *hubLog) Prepare(ctx context.Context) (int, error) {
	props, err := l.properties(ctx)
	if err != nil && faultOf(err) == missing {
		if l.fixed {
			return 0, err
		}
		if err := l.create(ctx); err != nil {
			return 0, err
		}
		props, err = l.awaitCreated(ctx)
	}
	if err != nil {
		return 0, err
	}
	n := len(props.PartitionIDs)
	if n != l.cfg.Partitions {
		return 0, &connector.Hinted{
			Err:  fmt.Errorf("hub %s has %d partitions, not the configured %d", l.hub, n, l.cfg.Partitions),
			Hint: fmt.Sprintf("set partitions: %d, choose another hub, or delete this one", n),
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partitions = n
	return n, nil
}

// Exists tells whether the hub is there, without making it.
func (l *hubLog) Exists(ctx context.Context) (bool, error) {
	_, err := l.properties(ctx)
	if err != nil && faultOf(err) == missing {
		return false, nil
	}
	return err == nil, err
}

// Ping tells whether the namespace answers and lets this user in. A hub that a
// run would make need not be there.
func (c *Config) Ping(ctx context.Context, env connector.Env) error {
	e, err := c.endpoint(env)
	if err != nil {
		return err
	}
	l := newHubLog(*c, e, env)
	defer l.Close()
	exists, err := l.Exists(ctx)
	if err == nil && !exists && l.fixed {
		_, err = l.properties(ctx) // says so
	}
	return err
}

// properties asks for the hub.
func (l *hubLog) properties(ctx context.Context) (props azeventhubs.EventHubProperties, err error) {
	err = l.e.repeat(ctx, "looking for hub "+l.hub, func(ctx context.Context) error {
		props, err = l.admin.properties(ctx)
		if err != nil && faultOf(err) == missing {
			l.e.reached.Store(true) // it answered
		}
		return l.counted(err)
	})
	return props, err
}

// counted counts an error of the service's throttling.
func (l *hubLog) counted(err error) error {
	if err != nil && faultOf(err) == busy {
		l.throttled.Add(1)
	}
	return err
}

func (l *hubLog) create(ctx context.Context) error {
	err := l.e.createHub(ctx, l.hub, l.cfg.Partitions, l.cfg.Retention.D())
	if err != nil {
		return l.e.managementFailed(ctx, err, "making hub "+l.hub,
			fmt.Sprintf("hub %s does not exist; make it by hand with %d partitions, or use a key with the right to manage", l.hub, l.cfg.Partitions))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.created = true
	return nil
}

// managementFailed says why a hub or a group could not be made or deleted.
func (e *endpoint) managementFailed(ctx context.Context, err error, doing, hint string) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", doing, ctx.Err())
	}
	text := "the management API of " + e.host + " cannot be reached"
	if isStatus(err, http.StatusUnauthorized) || isStatus(err, http.StatusForbidden) {
		text = e.host + " does not allow the " + e.credentialName() + " to manage"
	} else if m := (*managementError)(nil); errors.As(err, &m) {
		text = e.host + " answers " + m.Error()
	}
	return &connector.Hinted{Hint: hint, Err: &plainError{doing + ": " + text, err}}
}

// awaitCreated waits until a hub that was made shows: the service's parts
// learn of it one by one.
func (l *hubLog) awaitCreated(ctx context.Context) (props azeventhubs.EventHubProperties, err error) {
	deadline := time.Now().Add(adminTimeout)
	for n := 1; ; n++ {
		props, err = l.properties(ctx)
		if err == nil || faultOf(err) != missing || time.Now().After(deadline) || ctx.Err() != nil {
			return props, err
		}
		sleep(ctx, backoff(n))
	}
}

// count is the number of partitions, asked for once.
func (l *hubLog) count(ctx context.Context) (int, error) {
	l.mu.Lock()
	n := l.partitions
	l.mu.Unlock()
	if n > 0 {
		return n, nil
	}
	props, err := l.properties(ctx)
	if err != nil {
		return 0, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partitions = len(props.PartitionIDs)
	return l.partitions, nil
}

// Ends implements connector.Log.
func (l *hubLog) Ends(ctx context.Context) ([]int64, error) {
	n, err := l.count(ctx)
	if err != nil {
		return nil, err
	}
	ends := make([]int64, n)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8) // the service takes 50 such questions a second
	for p := range n {
		g.Go(func() error {
			x, err := l.extent(ctx, int32(p))
			ends[p] = x.end
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	return ends, nil
}

func (l *hubLog) extent(ctx context.Context, p int32) (x extent, err error) {
	err = l.e.repeat(ctx, fmt.Sprintf("reading the extent of hub %s partition %d", l.hub, p), func(ctx context.Context) error {
		x, err = l.admin.extent(ctx, p)
		return l.counted(err)
	})
	return x, err
}

// Committed implements connector.Log: the checkpoints of the group.
func (l *hubLog) Committed(ctx context.Context, group string) (map[int32]int64, error) {
	group, err := l.wantedGroup(group)
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	used := l.groups[group]
	l.mu.Unlock()
	if used != "" {
		group = used
	}
	st, err := l.checkpoints(ctx)
	if err != nil {
		return nil, err
	}
	of, err := st.positions(ctx, l.e.host, l.hub, group)
	if err != nil || len(of) > 0 || !l.fixed || used != "" || group == defaultGroup {
		return of, err
	}
	// A worker elsewhere may have had to do with $Default.
	exists, err := l.groupExists(ctx, group)
	if err != nil || exists {
		return nil, err
	}
	return st.positions(ctx, l.e.host, l.hub, defaultGroup)
}

// checkpoints opens the checkpoint store on first use.
func (l *hubLog) checkpoints(ctx context.Context) (*stores, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stores != nil {
		return l.stores, nil
	}
	st, err := openStores(ctx, &l.cfg.Checkpoints, l.env, l.e.emulator)
	if err != nil {
		return nil, err
	}
	l.stores = st
	return st, nil
}

// Drop implements connector.Log. It deletes the hub if it carries the run's
// name or was made by this very log, and then its checkpoints, too: a hub of
// the same name would begin at position 0 again.
func (l *hubLog) Drop(ctx context.Context) error {
	l.mu.Lock()
	ours := !l.fixed && (l.run != "" || l.created)
	l.mu.Unlock()
	if !ours {
		return nil
	}
	if err := l.e.deleteHub(ctx, l.hub); err != nil {
		return l.e.managementFailed(ctx, err, "deleting hub "+l.hub, "delete it by hand")
	}
	l.mu.Lock()
	l.created, l.partitions = false, 0
	clear(l.groups)
	l.mu.Unlock()
	for {
		_, err := l.properties(ctx)
		if err != nil && faultOf(err) == missing {
			break
		}
		if err != nil {
			return err
		}
		sleep(ctx, 50*time.Millisecond)
	}
	st, err := l.checkpoints(ctx)
	if err != nil {
		return err
	}
	return st.forget(ctx, l.e.host, l.hub)
}

// Close implements connector.Log. Producers and sources live on.
func (l *hubLog) Close() error {
	l.admin.close()
	return nil
}

// hold notes that a source of this log has (delta 1) or had (-1) a partition.
func (l *hubLog) hold(group string, p int32, delta int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.owned[group]
	if m == nil {
		m = map[int32]int{}
		l.owned[group] = m
	}
	if m[p] += delta; m[p] <= 0 {
		delete(m, p)
	}
}

func (l *hubLog) holds(group string, p int32) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.owned[group][p] > 0
}
