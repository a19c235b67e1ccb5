package eventhubs

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
	"golang.org/x/sync/errgroup"
)

// store implements connector.Store on a hub. Event Hubs has no transactions
// and no idempotent sending, so what makes retries harmless is in the events
// themselves.
//
// The results of input partition p go to output partition p (modulo their
// number), in order. Each event names its source: the input partition, the
// position there, the running number among the results of that position, and
// the epoch of the worker that sent it. The last event of a write also says the
// position to go on from, and an advance without results is an event of its
// own, without a body.
//
// A worker that claims p first sends an event that says so; its sequence number
// is the worker's epoch. Then it reads the end of the partition back: what an
// earlier owner has sent before that event counts, whatever it sends later does
// not. So a reader takes an event if neither a later epoch nor a later result of
// the same source partition came before it (see [reading]). That rule holds
// also for a batch that was sent again because its answer was lost.
//
// Before each write the worker asks where the partition ends. If others have
// written to it, what they wrote is read: a newer claim ends this worker's.
type store struct {
	cfg StoreConfig
	log *hubLog
	// reported is how many refused requests receipts have told of.
	reported atomic.Int64

	mu       sync.Mutex
	producer *azeventhubs.ProducerClient
	claims   map[int32]*claim
	outputs  map[int32]*output
}

// output is a partition of the output hub, as far as this worker has seen it.
type output struct {
	id int32
	// mu is held during a write: one batch at a time.
	mu sync.Mutex
	// end is the position up to which everything has been read; sent is how
	// many events this worker has sent since.
	end, sent int64
	// unsure: a batch was sent whose answer was lost.
	unsure bool
}

// claim is this worker's ownership of an input partition.
type claim struct {
	partition int32
	out       *output
	epoch     int64
	state     progress
	// last is the newest write that was begun.
	last connector.Advance
}

func newStore(cfg StoreConfig, log *hubLog) *store {
	return &store{cfg: cfg, log: log, claims: map[int32]*claim{}, outputs: map[int32]*output{}}
}

// Describe implements connector.Store.
func (s *store) Describe() string { return s.log.Describe() }

// Traits implements connector.Store.
func (s *store) Traits() connector.Traits {
	return connector.Traits{Kind: connector.AppendOnce, Timed: true, Writers: s.cfg.Writers, MaxRows: s.cfg.MaxRows, Linger: s.cfg.Linger.D(), Shared: true}
}

// Prepare implements connector.Store.
func (s *store) Prepare(ctx context.Context) error {
	_, err := s.log.Prepare(ctx)
	return err
}

// Ping tells whether the namespace answers and lets this user in.
func (c *StoreConfig) Ping(ctx context.Context, env connector.Env) error {
	return c.log().Ping(ctx, env)
}

// client opens the sending side on first use.
func (s *store) client() (*azeventhubs.ProducerClient, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.producer != nil {
		return s.producer, nil
	}
	p, err := s.log.e.producer(s.log.hub)
	if err != nil {
		return nil, err
	}
	s.producer = p
	return p, nil
}

// output returns the partition that the results of an input partition go to.
func (s *store) output(ctx context.Context, p int32) (*output, error) {
	n, err := s.log.count(ctx)
	if err != nil {
		return nil, err
	}
	id := p % int32(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outputs[id] == nil {
		s.outputs[id] = &output{id: id}
	}
	return s.outputs[id], nil
}

// Write implements connector.Store. All partitions are looked at before
// anything is sent; if this worker dies in between, the write has happened for
// some of them, or for the first results of one: the next owner sends the rest.
func (s *store) Write(ctx context.Context, w *connector.Write) (connector.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return connector.Receipt{}, err
	}
	parts, err := s.split(w)
	if err != nil {
		return connector.Receipt{}, err
	}
	defer s.lock(parts)()
	if err := s.check(ctx, parts); err != nil {
		return connector.Receipt{}, err
	}
	g, gctx := errgroup.WithContext(ctx)
	for _, same := range byOutput(parts) {
		g.Go(func() error {
			for _, p := range same {
				if err := s.send(gctx, p); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("sending to hub %s: %w", s.log.hub, ctx.Err())
		}
		return connector.Receipt{}, err
	}
	r := connector.Receipt{StoredAt: time.Now().UnixMicro(), Throttled: s.throttled()}
	for _, p := range parts {
		r.Stored += len(p.results)
		r.Bytes += p.bytes
	}
	return r, nil
}

// throttled is how many requests were refused for their rate since it was last
// asked.
func (s *store) throttled() int {
	now := s.log.throttled.Load()
	return int(now - s.reported.Swap(now))
}

// part is what a Write has for one input partition.
type part struct {
	claim   *claim
	advance connector.Advance
	results []*record.Result
	items   []int // indexes of results in the Write
	bytes   int64
}

// repeated tells whether the write is the last one again, and all of it there. An
// advance that goes nowhere tells nothing; the results' own numbers do.
func (p *part) repeated() bool {
	return p.advance.From != p.advance.To && p.claim.last == p.advance && p.claim.state.position == p.advance.To
}

// split sorts the results by partition.
func (s *store) split(w *connector.Write) ([]*part, error) {
	parts := make([]*part, 0, len(w.Advances))
	at := make(map[int32]*part, len(w.Advances))
	var lost []int32
	s.mu.Lock()
	for _, a := range w.Advances {
		c := s.claims[a.Partition]
		if c == nil {
			lost = append(lost, a.Partition)
			continue
		}
		at[a.Partition] = &part{claim: c, advance: a}
		parts = append(parts, at[a.Partition])
	}
	s.mu.Unlock()
	if lost != nil {
		slices.Sort(lost)
		return nil, connector.FencedError(lost, "they were not claimed")
	}
	for i := range w.Results {
		r := &w.Results[i]
		p := at[r.Partition]
		if p == nil || r.Offset < p.advance.From || r.Offset > p.advance.To {
			return nil, fmt.Errorf("result %d is of partition %d offset %d, which no advance covers", i, r.Partition, r.Offset)
		}
		p.results, p.items = append(p.results, r), append(p.items, i)
	}
	return parts, nil
}

// byOutput puts parts together that go to one partition.
func byOutput(parts []*part) map[*output][]*part {
	m := make(map[*output][]*part, len(parts))
	for _, p := range parts {
		m[p.claim.out] = append(m[p.claim.out], p)
	}
	return m
}

// lock holds the outputs of the parts, in the order of their numbers.
func (s *store) lock(parts []*part) (unlock func()) {
	var outs []*output
	for out := range byOutput(parts) {
		outs = append(outs, out)
	}
	slices.SortFunc(outs, func(a, b *output) int { return int(a.id) - int(b.id) })
	for _, out := range outs {
		out.mu.Lock()
	}
	return func() {
		for _, out := range outs {
			out.mu.Unlock()
		}
	}
}

// check finds out who owns the partitions, and that the positions are those
// that the write starts from.
func (s *store) check(ctx context.Context, parts []*part) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for out := range byOutput(parts) {
		g.Go(func() error { return s.catchUp(gctx, out) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	var lost, moved []int32
	for _, p := range parts {
		c := p.claim
		switch {
		case c.state.epoch != c.epoch:
			lost = append(lost, c.partition)
		case p.repeated():
		case c.state.position != connector.Unknown && c.state.position != p.advance.From:
			moved = append(moved, c.partition)
		}
	}
	switch {
	case lost != nil:
		slices.Sort(lost)
		return connector.FencedError(lost, "hub "+s.log.hub+" holds a later claim")
	case moved != nil:
		slices.Sort(moved)
		return connector.FencedError(moved, "the stored positions are others than this write starts from")
	}
	return nil
}

// Scan implements connector.Store.
func (s *store) Scan(ctx context.Context, fn func(*record.Stored) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	n, err := s.log.count(ctx)
	if err != nil {
		return err
	}
	var stored record.Stored
	for q := range int32(n) {
		x, err := s.log.extent(ctx, q)
		if err != nil {
			return err
		}
		r := newReading()
		err = s.read(ctx, q, x.first, x, func(e *azeventhubs.ReceivedEventData) error {
			id, result, err := r.take(e)
			if err != nil || !result {
				return err
			}
			if err := record.ParseDocument(body(e), &stored, s.cfg.Added...); err != nil {
				return fmt.Errorf("sequence number %d: %w", e.SequenceNumber, err)
			}
			stored.Partition, stored.Offset, stored.StoredAt = id.partition, id.offset, record.NoTime
			if e.EnqueuedTime != nil {
				stored.StoredAt = e.EnqueuedTime.UnixMicro()
			}
			return fn(&stored)
		})
		if err != nil {
			return fmt.Errorf("reading hub %s partition %d back: %w", s.log.hub, q, err)
		}
	}
	return nil
}

// read calls fn with the events of an output partition from a position on to
// the end of x.
func (s *store) read(ctx context.Context, q int32, from int64, x extent, fn func(*azeventhubs.ReceivedEventData) error) error {
	if from >= x.end {
		return nil
	}
	return s.log.read(ctx, q, startAt(from, x.first), x, func(events []*azeventhubs.ReceivedEventData) (bool, error) {
		for _, e := range events {
			if e.SequenceNumber >= x.end {
				return true, nil
			}
			if err := fn(e); err != nil {
				return true, err
			}
		}
		return len(events) == 0 || events[len(events)-1].SequenceNumber+1 >= x.end, nil
	})
}

// Query implements connector.Store: there is nothing to ask.
func (s *store) Query(context.Context, string) (connector.Rows, error) {
	return nil, &connector.Hinted{Err: fmt.Errorf("hub %s cannot be queried: Event Hubs has no query language", s.log.hub),
		Hint: "look at events with `millrace local eventhubs peek`, or run another job over the hub"}
}

// Drop implements connector.Store.
func (s *store) Drop(ctx context.Context) error {
	s.mu.Lock()
	clear(s.claims)
	clear(s.outputs)
	s.closeProducer() // its links are to this very hub
	s.mu.Unlock()
	return s.log.Drop(ctx)
}

// Close implements connector.Store.
func (s *store) Close() error {
	s.mu.Lock()
	s.closeProducer()
	s.mu.Unlock()
	return s.log.Close()
}

func (s *store) closeProducer() {
	if s.producer != nil {
		closeClient(s.producer)
		s.producer = nil
	}
}
