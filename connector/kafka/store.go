package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"time"

	"millrace/connector"
	"millrace/record"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// store implements connector.Store on a topic.
//
// The results of input partition p are appended to output partition p (modulo
// their number), in transactions of a producer of p's own: a transactional ID
// per input partition. Claim starts a new epoch of that ID, which makes the
// cluster abort what an earlier owner had open and refuse what it sends from
// then on.
//
// Each record carries its input position in the header "from" as
// partition/offset, and the last one of a transaction the new position in the
// header "next". So results and position are not only in one transaction but
// in one partition, whose single marker decides about both; nothing depends on
// a cluster writing the markers of several partitions atomically when it is
// killed. An advance without results has no such record: it goes, also in a
// transaction, to the topic beside the output named "...-positions", and so
// does every claim, which bounds how far back the next one must look.
//
// The position of p is the larger of the two.
type store struct {
	cfg       StoreConfig
	conn      *connection
	topic     string
	positions string
	admin     admin
	leaders   leaders

	mu      sync.Mutex
	claimed map[int32]*claim
}

func newStore(cfg StoreConfig, conn *connection, env connector.Env) *store {
	topic := withRun(cfg.Topic, env.Run)
	return &store{cfg: cfg, conn: conn, topic: topic, positions: topic + "-positions",
		admin: admin{conn: conn}, claimed: map[int32]*claim{}}
}

// Describe implements connector.Store.
func (s *store) Describe() string { return fmt.Sprintf("kafka %s topic %s", s.conn.brokers, s.topic) }

// Traits implements connector.Store.
func (s *store) Traits() connector.Traits {
	return connector.Traits{Kind: connector.Transactional, Writers: s.cfg.Writers, MaxRows: s.cfg.MaxRows, Shared: true}
}

// Prepare implements connector.Store.
func (s *store) Prepare(ctx context.Context) error {
	adm, err := s.admin.open(ctx)
	if err != nil {
		return err
	}
	size := kadm.StringPtr(strconv.FormatInt(int64(s.cfg.MaxMessageBytes), 10))
	configs := map[string]*string{
		"message.timestamp.type": kadm.StringPtr("LogAppendTime"),
		"segment.bytes":          kadm.StringPtr(strconv.FormatInt(int64(s.cfg.SegmentBytes), 10)),
		"max.message.bytes":      size,
	}
	if s.cfg.Retention > 0 {
		configs["retention.ms"] = kadm.StringPtr(strconv.FormatInt(s.cfg.Retention.D().Milliseconds(), 10))
	}
	if err := s.createTopic(ctx, adm, s.topic, configs); err != nil {
		return err
	}
	return s.createTopic(ctx, adm, s.positions, map[string]*string{
		"cleanup.policy": kadm.StringPtr("compact"),
		"segment.bytes":  kadm.StringPtr(strconv.FormatInt(1<<20, 10)),
	})
}

func (s *store) createTopic(ctx context.Context, adm *kadm.Client, name string, configs map[string]*string) error {
	n, err := createTopic(ctx, s.conn, adm, topicSpec{name: name, partitions: s.cfg.Partitions,
		replication: s.cfg.ReplicationFactor, configs: configs})
	if err == nil && n != s.cfg.Partitions {
		err = &connector.Hinted{
			Err:  fmt.Errorf("topic %s has %d partitions, not the configured %d", name, n, s.cfg.Partitions),
			Hint: fmt.Sprintf("set partitions: %d, choose another topic, or delete this one", n),
		}
	}
	return err
}

// Claim implements connector.Store.
func (s *store) Claim(ctx context.Context, _ string, partitions []int32) (map[int32]int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if _, err := s.admin.open(ctx); err != nil {
		return nil, err
	}
	var claims []*claim
	var err error
	for n := range 5 {
		if claims, err = s.claim(ctx, partitions); connector.ActionOf(err) != connector.Fenced || err == nil {
			break
		}
		// Several workers that claim the same partitions at once must
		// not keep overtaking each other in step.
		select {
		case <-time.After(time.Duration(n+1) * rand.N(100*time.Millisecond)):
		case <-ctx.Done():
		}
	}
	if err != nil {
		if connector.ActionOf(err) == connector.Fenced {
			return nil, connector.Retryable(fmt.Errorf("claiming partitions %v: another worker is claiming them too: %w", partitions, err), 0)
		}
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	positions := make(map[int32]int64, len(partitions))
	for _, c := range claims {
		s.claimed[c.partition] = c
		positions[c.partition] = c.position
	}
	return positions, nil
}

// claim makes the partitions ours. First all change hands; then each is read;
// and then each is confirmed in its new name. A worker that was overtaken in
// between finds out there (Fenced), so that of several that claim the same set
// the last one to be confirmed owns all of it.
func (s *store) claim(ctx context.Context, partitions []int32) ([]*claim, error) {
	claims := make([]*claim, len(partitions))
	err := each(len(partitions), func(i int) (err error) {
		claims[i], err = s.begin(ctx, partitions[i])
		return err
	})
	if err == nil {
		err = each(len(claims), func(i int) error { return claims[i].load(ctx) })
	}
	if err == nil {
		err = each(len(claims), func(i int) error { return claims[i].note(ctx, claims[i].position) })
	}
	return claims, err
}

// each runs n calls concurrently and returns the first error by index.
func each(n int, fn func(int) error) error {
	if n == 1 {
		return fn(0)
	}
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = fn(i) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Write implements connector.Store: a transaction for each partition, all of
// them filled before the first one is committed. If this worker dies between
// two commits, the write has happened for some of its partitions; their
// positions say for which.
func (s *store) Write(ctx context.Context, w *connector.Write) (connector.Receipt, error) {
	if err := ctx.Err(); err != nil {
		return connector.Receipt{}, err
	}
	parts, err := s.split(w)
	if err != nil {
		return connector.Receipt{}, err
	}
	for i := range parts {
		parts[i].claim.mu.Lock()
		defer parts[i].claim.mu.Unlock()
	}
	if err := s.settle(ctx, parts); err != nil {
		return connector.Receipt{}, err
	}
	if err := eachPart(parts, func(p *part) error { return p.fill(ctx) }); err != nil {
		// Nothing was committed: give up what was filled. Where that does
		// not succeed now, it will before the partition's next write.
		_ = eachPart(parts, func(p *part) error { return p.claim.settle(ctx) })
		return connector.Receipt{}, err
	}
	if err := eachPart(parts, func(p *part) error { return p.commit(ctx) }); err != nil {
		return connector.Receipt{}, err
	}
	r := connector.Receipt{StoredAt: time.Now().UnixMicro()}
	for i := range parts {
		r.Stored += len(parts[i].results)
		r.Bytes += parts[i].bytes
	}
	return r, nil
}

// part is what a Write has for one partition.
type part struct {
	claim   *claim
	advance connector.Advance
	results []*record.Result
	items   []int // indexes of results in the Write
	done    bool  // it was committed before
	bytes   int64
}

// split sorts the results by partition.
func (s *store) split(w *connector.Write) ([]part, error) {
	parts := make([]part, len(w.Advances))
	at := make(map[int32]int, len(w.Advances))
	var lost []int32
	s.mu.Lock()
	for i, a := range w.Advances {
		parts[i] = part{claim: s.claimed[a.Partition], advance: a}
		at[a.Partition] = i
		if parts[i].claim == nil {
			lost = append(lost, a.Partition)
		}
	}
	s.mu.Unlock()
	if lost != nil {
		slices.Sort(lost)
		return nil, connector.FencedError(lost, "they were not claimed")
	}
	// Two writes never share a partition, but whoever locks several claims
	// does it in order all the same.
	slices.SortFunc(parts, func(a, b part) int { return int(a.advance.Partition) - int(b.advance.Partition) })
	for i := range parts {
		at[parts[i].advance.Partition] = i
	}
	for i := range w.Results {
		r := &w.Results[i]
		k, ok := at[r.Partition]
		if !ok || r.Offset < parts[k].advance.From || r.Offset >= parts[k].advance.To {
			return nil, fmt.Errorf("result %d is of partition %d offset %d, which no advance covers", i, r.Partition, r.Offset)
		}
		parts[k].results, parts[k].items = append(parts[k].results, r), append(parts[k].items, i)
	}
	return parts, nil
}

// settle brings earlier transactions to their end and compares positions.
func (s *store) settle(ctx context.Context, parts []part) error {
	if err := eachPart(parts, func(p *part) error { return p.claim.settle(ctx) }); err != nil {
		return err
	}
	var lost []int32
	for i := range parts {
		p := &parts[i]
		c := p.claim
		switch {
		case c.last == p.advance && c.position == p.advance.To:
			p.done = true // a repetition of the last write
		case c.position != connector.Unknown && c.position != p.advance.From:
			lost = append(lost, p.advance.Partition)
		}
	}
	if lost != nil {
		return connector.FencedError(lost, "the stored positions are others than this write starts from")
	}
	return nil
}

// eachPart runs fn for all parts at once. Of several errors, all that say
// Fenced become one that names every partition lost, and come first; then
// those that reject items.
func eachPart(parts []part, fn func(*part) error) error {
	errs := make([]error, len(parts))
	_ = each(len(parts), func(i int) error {
		if !parts[i].done {
			errs[i] = fn(&parts[i])
		}
		return nil
	})
	var lost []int32
	var items []int
	var first, reject error
	for _, err := range errs {
		var e *connector.Error
		switch {
		case err == nil:
		case errors.As(err, &e) && e.Action == connector.Fenced:
			lost = append(lost, e.Partitions...)
		case errors.As(err, &e) && e.Action == connector.Reject:
			items, reject = append(items, e.Items...), err
		case first == nil:
			first = err
		}
	}
	switch {
	case lost != nil:
		return connector.FencedError(lost, "the cluster refuses this worker's transactions")
	case first != nil:
		return first
	case items != nil:
		slices.Sort(items)
		return &connector.Error{Action: connector.Reject, Items: items, Err: errors.Unwrap(reject)}
	}
	return nil
}

// Scan implements connector.Store. It waits for transactions that are open in
// the cluster to end.
func (s *store) Scan(ctx context.Context, fn func(*record.Stored) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	adm, err := s.admin.open(ctx)
	if err != nil {
		return err
	}
	ends, err := listOffsets(ctx, s.conn, adm, s.topic, "end", (*kadm.Client).ListEndOffsets)
	if err != nil {
		return err
	}
	r := reader{conn: s.conn, cl: s.admin.cl, topic: s.topic}
	var stored record.Stored
	for _, end := range ends.Offsets().Sorted() {
		err := r.read(ctx, end.Partition, 0, end.At, func(f *fetched) error {
			for _, rec := range f.records {
				if err := readStored(rec, &stored); err != nil {
					return fmt.Errorf("topic %s partition %d offset %d: %w", s.topic, end.Partition, rec.Offset, err)
				}
				if err := fn(&stored); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func readStored(rec *kgo.Record, stored *record.Stored) error {
	p, offset, _, err := readHeaders(rec)
	if err != nil {
		return err
	}
	if err := record.ParseDocument(rec.Value, stored); err != nil {
		return err
	}
	stored.Partition, stored.Offset, stored.StoredAt = p, offset, rec.Timestamp.UnixMicro()
	return nil
}

// Query implements connector.Store: there is nothing to ask.
func (s *store) Query(context.Context, string) (connector.Rows, error) {
	return nil, &connector.Hinted{Err: fmt.Errorf("topic %s cannot be queried: Kafka has no query language", s.topic),
		Hint: fmt.Sprintf("read topic %s with kafka-console-consumer.sh --bootstrap-server %s --isolation-level read_committed --from-beginning",
			s.topic, s.conn.brokers)}
}

// Drop implements connector.Store.
func (s *store) Drop(ctx context.Context) error {
	adm, err := s.admin.open(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	s.claimed = map[int32]*claim{}
	s.mu.Unlock()
	s.leaders.forget()
	return dropTopics(ctx, s.conn, adm, s.topic, s.positions)
}

// Close implements connector.Store. Transactions that are open end when the
// partition is claimed again, or after the transaction timeout.
func (s *store) Close() error {
	s.admin.close()
	return nil
}
