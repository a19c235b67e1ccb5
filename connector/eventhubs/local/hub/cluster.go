package hub

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Options say where the log is and what is to exist.
type Options struct {
	// Brokers are the addresses of the Kafka cluster, host:port.
	Brokers []string
	// Client are further options of its clients: TLS, SASL.
	Client []kgo.Opt
	// StateFile holds what the log cannot: groups, creation times, Capture
	// descriptions. It belongs to one Cluster at a time, which Open makes
	// sure of by a lock beside it. "": kept in memory.
	StateFile string
	// Namespaces are those to serve, the first being the default one: its
	// topics have the names of its hubs, and topics that nobody described
	// are its hubs. None: one called DefaultNamespace. What a description of
	// a hub says about groups and Capture holds from each Open on; its
	// number of partitions only when the hub is created.
	Namespaces []NamespaceSpec
	// Log receives what an operator may need to know; nil: nobody does.
	Log *slog.Logger
}

const (
	reachTimeout = 15 * time.Second
	adminTimeout = 30 * time.Second
	// fresh is how old the list of topics may be when hubs are looked up.
	fresh = time.Second
	// patience is how long a topic must be missing before its hub counts as
	// deleted: a broker that has just started may not know all of them yet.
	patience = 5 * time.Second
)

// Cluster is the namespaces and hubs over one Kafka cluster. Its methods, and
// those of everything that belongs to it, are safe for concurrent use unless
// they say otherwise.
type Cluster struct {
	opts Options
	log  *slog.Logger
	cl   *kgo.Client
	adm  *kadm.Client
	// unlock lets go of the state file.
	unlock func() error

	// ctx ends when everything is to be given up; closing, before that,
	// when no more is to be taken.
	ctx       context.Context
	cancel    context.CancelFunc
	closing   chan struct{}
	closeOnce sync.Once
	senders   sync.WaitGroup

	// patience and timeout are patience and appendTimeout, except in tests.
	patience, timeout time.Duration

	namespaces []*Namespace
	byName     map[string]*Namespace

	// admin is held while entities are created, changed or deleted, and
	// while the list of topics is read, see hold; before mu.
	admin chan struct{}

	complained atomic.Int64 // when the log's absence was last logged, Unix seconds

	mu      sync.Mutex
	state   *state
	hubs    map[string]*Hub // by topic
	listed  time.Time
	changed chan struct{}
	closed  bool
}

// Open connects to the cluster, creates the hubs that Options name, and
// returns when all of them have leaders. An unreachable cluster, and a state file
// that is another's, are a *connector.Unreachable.
func Open(ctx context.Context, o Options) (_ *Cluster, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cluster{opts: o, log: o.Log, closing: make(chan struct{}), changed: make(chan struct{}), admin: make(chan struct{}, 1), patience: patience, timeout: appendTimeout,
		hubs: map[string]*Hub{}, byName: map[string]*Namespace{}, unlock: func() error { return nil }}
	if err := c.addNamespaces(); err != nil {
		return nil, err
	}
	if o.StateFile != "" {
		// Two that write it would undo each other's changes.
		if c.unlock, err = Lock(o.StateFile + ".lock"); err != nil {
			return nil, err
		}
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.unlock())
		}
	}()
	if c.state, err = loadState(o.StateFile); err != nil {
		return nil, err
	}
	// Whether it can be written shows now, not when a hub is created.
	if err := c.state.save(o.StateFile); err != nil {
		return nil, &connector.Hinted{Err: err, Hint: "choose another directory, or make room in this one"}
	}
	if err := c.reach(ctx); err != nil {
		return nil, err
	}
	if c.cl, err = c.client(); err != nil {
		return nil, err
	}
	c.adm = kadm.NewClient(c.cl)
	c.ctx, c.cancel = context.WithCancel(context.Background())
	if err := c.createConfigured(ctx); err != nil {
		c.end()
		return nil, err
	}
	return c, nil
}

func (c *Cluster) addNamespaces() error {
	specs := c.opts.Namespaces
	if len(specs) == 0 {
		specs = []NamespaceSpec{{Name: DefaultNamespace}}
	}
	for i, s := range specs {
		if err := checkName("namespace", s.Name, 50); err != nil {
			return err
		}
		if strings.Contains(s.Name, ".") {
			// The dot ends the namespace's name in topics and host names.
			return invalid("leave out the dot", "%q is not a name for a namespace", s.Name)
		}
		if s.ThroughputUnits < 0 {
			return invalid("choose 1 to 40, or 0 for no quota", "namespace %s cannot have %d throughput units", s.Name, s.ThroughputUnits)
		}
		if _, twice := c.Namespace(s.Name); twice {
			return invalid("name each namespace once", "namespace %s is there twice", s.Name)
		}
		ns := &Namespace{cluster: c, name: s.Name, quota: NewQuota(s.ThroughputUnits)}
		if i > 0 {
			ns.prefix = s.Name + "."
		}
		c.namespaces = append(c.namespaces, ns)
		c.byName[strings.ToLower(s.Name)] = ns
	}
	return nil
}

// client makes a client of the cluster; each has its own connections.
func (c *Cluster) client() (*kgo.Client, error) {
	cl, err := kgo.NewClient(append(c.clientOptions(), kgo.AlwaysRetryEOF())...)
	if err != nil {
		return nil, fmt.Errorf("setting up a client of the log: %w", err)
	}
	return cl, nil
}

func (c *Cluster) clientOptions() []kgo.Opt {
	return append([]kgo.Opt{
		kgo.SeedBrokers(c.opts.Brokers...),
		kgo.ClientID("millrace"),
		kgo.DisableClientMetrics(),
		kgo.RetryBackoffFn(backoff),
	}, c.opts.Client...)
}

func backoff(n int) time.Duration {
	return min(time.Duration(n)*20*time.Millisecond, 500*time.Millisecond)
}

// reach makes sure that the cluster answers. Until it has, a connection that is
// closed at once means a wrong configuration and is reported, not repeated.
func (c *Cluster) reach(ctx context.Context) error {
	what := "the log (Kafka) at " + strings.Join(c.opts.Brokers, ",")
	if len(c.opts.Brokers) == 0 {
		return invalid("give at least one broker as host:port", "no address of the log is given")
	}
	cl, err := kgo.NewClient(c.clientOptions()...)
	if err != nil {
		return fmt.Errorf("setting up a client of the log: %w", err)
	}
	defer cl.Close()
	rctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	if err := cl.Ping(rctx); err != nil {
		return &connector.Unreachable{What: what, Err: err,
			Hint: "is it running, and do address, TLS and user fit?"}
	}
	return nil
}

// hold waits for its turn to work on the entities. While the log is away each turn
// takes long, and who gives up must not wait for those before.
func (c *Cluster) hold(ctx context.Context) error {
	select {
	case c.admin <- struct{}{}:
		return nil
	case <-ctx.Done():
		return c.explain(ctx.Err(), "waiting for another request about the hubs")
	}
}

// letGo ends what hold began.
func (c *Cluster) letGo() { <-c.admin }

func (c *Cluster) createConfigured(ctx context.Context) error {
	if err := c.list(ctx, 0); err != nil {
		return err
	}
	for _, s := range c.opts.Namespaces {
		ns, _ := c.Namespace(s.Name)
		for _, spec := range s.Hubs {
			if err := ns.configure(ctx, spec); err != nil {
				return err
			}
		}
	}
	return nil
}

// Namespaces returns all namespaces, the default one first.
func (c *Cluster) Namespaces() []*Namespace { return slices.Clone(c.namespaces) }

// Namespace finds a namespace by its name, whatever its case.
func (c *Cluster) Namespace(name string) (*Namespace, bool) {
	ns, ok := c.byName[strings.ToLower(name)]
	return ns, ok
}

// Default returns the default namespace.
func (c *Cluster) Default() *Namespace { return c.namespaces[0] }

// Brokers returns the addresses of the Kafka cluster behind.
func (c *Cluster) Brokers() []string { return slices.Clone(c.opts.Brokers) }

// ClientOptions returns the options of that cluster's clients, for those that
// talk to it themselves.
func (c *Cluster) ClientOptions() []kgo.Opt { return slices.Clone(c.opts.Client) }

// Changed returns a channel that is closed at the next change of the entities:
// a hub or group created, changed or deleted. Take it before looking.
func (c *Cluster) Changed() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.changed
}

// touch tells those that wait for a change. c.mu is held.
func (c *Cluster) touch() {
	close(c.changed)
	c.changed = make(chan struct{})
}

// Close waits a few seconds for the appends that are under way, fails those
// that are left, and lets go of the log. Readers end with ErrClosed.
func (c *Cluster) Close() (err error) {
	c.closeOnce.Do(func() {
		c.end()
		err = c.unlock()
	})
	return err
}

// end is Close without letting go of the state file.
func (c *Cluster) end() {
	c.mu.Lock()
	c.closed = true
	hubs := make([]*Hub, 0, len(c.hubs))
	for _, h := range c.hubs {
		hubs = append(hubs, h)
	}
	c.mu.Unlock()
	close(c.closing)
	for _, h := range hubs {
		h.refuse(&said{"the hubs are closed", ErrClosed})
	}
	sent := make(chan struct{})
	go func() { defer close(sent); c.senders.Wait() }()
	select {
	case <-sent:
	case <-time.After(closeTimeout):
		c.log.Warn("the log does not answer, giving up what was being appended")
	}
	c.cancel()
	<-sent
	c.cl.Close()
}

const closeTimeout = 5 * time.Second

// explain says what was being done when the log failed. What may pass is
// Retryable.
func (c *Cluster) explain(err error, format string, args ...any) error {
	doing := fmt.Sprintf(format, args...)
	if c.ctx.Err() != nil {
		return fmt.Errorf("%s: the hubs are being %w", doing, ErrClosed)
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	if retriable(err) || errors.Is(err, context.DeadlineExceeded) {
		return connector.Retryable(&connector.Unreachable{What: "the log (Kafka) at " + strings.Join(c.opts.Brokers, ","),
			Hint: "is it running?", Err: fmt.Errorf("%s: %w", doing, err)}, 0)
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// complain logs that the log does not do as it should, but not all the time.
func (c *Cluster) complain(err error, hub string, partition int32) {
	now := time.Now().Unix()
	if last := c.complained.Load(); now-last >= 10 && c.complained.CompareAndSwap(last, now) {
		c.log.Warn("the log does not take events, trying again", "hub", hub, "partition", partition, "error", err)
	}
}
