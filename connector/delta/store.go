package delta

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"millrace/connector"
	"millrace/connector/blob"
	"millrace/connector/delta/txlog"
)

// Store is a connector.Store in a Delta table. It is one worker: the epochs of
// the partitions it claimed are kept here, and a second worker needs a Store of
// its own. Safe for concurrent use.
type Store struct {
	cfg    Config
	env    connector.Env
	bucket blob.Bucket
	apps   apps

	// turn is taken by who commits, for this worker, at a time. It guards
	// what is below it.
	turn chan struct{}

	mu     sync.Mutex
	table  *Table
	epochs map[int32]int64
	// last is the table after this worker's last commit, nil if that is not
	// known.
	last *txlog.Snapshot
	// at are the positions that this worker has set or read last; the log
	// decides, they only save needless work.
	at    map[int32]int64
	queue []*pending
	gate  gate
	form  *form // nil until the table was looked at

	background background
}

var _ connector.Store = (*Store)(nil)

// Open implements connector.StoreConfig. Nothing is connected to or created
// before the store is used.
func (c *Config) Open(ctx context.Context, env connector.Env) (connector.Store, error) {
	bucket, err := c.bucket(ctx, env)
	if err != nil {
		return nil, err
	}
	s := &Store{cfg: *c, env: env, bucket: bucket, apps: newApps(env.Run),
		turn: make(chan struct{}, 1), epochs: make(map[int32]int64), at: make(map[int32]int64)}
	s.table = s.newTable()
	s.gate.init(c.CommitInterval.D())
	s.background.init()
	return s, nil
}

// Describe implements connector.Store.
func (s *Store) Describe() string {
	return "delta table " + s.cfg.PathOf(s.env.Run) + " in " + s.bucket.Describe()
}

// Traits implements connector.Store.
func (s *Store) Traits() connector.Traits {
	return connector.Traits{Kind: connector.Transactional, Writers: s.cfg.Writers, MaxRows: s.cfg.MaxRows,
		Linger: s.cfg.CommitInterval.D(), Shared: true,
		Layout: fmt.Sprintf("delta, parquet with %s, a commit every %s", s.cfg.Compression, s.cfg.CommitInterval)}
}

// Close implements connector.Store. It waits for a compaction under way, which
// it breaks off.
func (s *Store) Close() error {
	s.background.stop()
	return s.now().Close()
}

// Claim implements connector.Store: a commit raises the epochs of the
// partitions, which every write of an earlier owner contradicts.
func (s *Store) Claim(ctx context.Context, worker string, partitions []int32) (map[int32]int64, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if len(partitions) == 0 {
		return map[int32]int64{}, nil
	}
	partitions = slices.Clone(partitions)
	slices.Sort(partitions)
	partitions = slices.Compact(partitions)
	if err := s.take(ctx); err != nil {
		return nil, err
	}
	defer s.release()
	for {
		base, err := s.log().Snapshot(ctx)
		if err != nil {
			return nil, fmt.Errorf("claiming partitions in %s: %w", s.Describe(), err)
		}
		change := txlog.Change{Operation: "STREAMING UPDATE",
			Parameters: map[string]string{"outputMode": "Append", "claimedBy": worker, "partitions": fmt.Sprint(partitions)}}
		now := time.Now().UnixMilli()
		for _, p := range partitions {
			epoch := s.apps.epoch(base, p) + 1
			change.Txns = append(change.Txns, txlog.Txn{AppID: s.apps.epochID(p), Version: epoch, LastUpdated: now})
		}
		claimed, err := s.log().Commit(ctx, base, change)
		s.known(claimed, err)
		var conflict *txlog.ConflictError
		if errors.As(err, &conflict) {
			continue // somebody else claims, too, and was first
		}
		if err != nil {
			return nil, fmt.Errorf("claiming partitions in %s: %w", s.Describe(), err)
		}
		return s.claimed(claimed, partitions), nil
	}
}

// claimed notes what a claim has brought.
func (s *Store) claimed(snap *txlog.Snapshot, partitions []int32) map[int32]int64 {
	positions := make(map[int32]int64, len(partitions))
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range partitions {
		s.epochs[p] = s.apps.epoch(snap, p)
		positions[p] = s.apps.position(snap, p)
		s.at[p] = positions[p]
	}
	return positions
}

// take waits for the turn to commit.
func (s *Store) take(ctx context.Context) error {
	select {
	case s.turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) release() { <-s.turn }

// newTable is the table as somebody sees it who knows nothing of it.
func (s *Store) newTable() *Table {
	t := newTable(s.bucket, s.cfg.PathOf(s.env.Run), s.env)
	t.cfg = s.cfg
	return t
}

func (s *Store) now() *Table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.table
}

func (s *Store) log() *txlog.Table { return s.now().log }

// Drop implements connector.Store: it deletes the table, unless ExactPath says
// that others use it.
func (s *Store) Drop(ctx context.Context) error {
	if s.cfg.ExactPath {
		return nil
	}
	if err := s.take(ctx); err != nil {
		return err
	}
	defer s.release()
	// The log goes first: without it there is no table, and what is left
	// of the files is nobody's.
	former := s.now()
	for _, prefix := range []string{"_delta_log/", ""} {
		err := s.bucket.List(ctx, former.log.Prefix()+prefix, func(i blob.Info) error { return s.bucket.Delete(ctx, i.Name) })
		if err != nil {
			return fmt.Errorf("deleting %s: %w", s.Describe(), err)
		}
	}
	s.mu.Lock()
	s.table, s.form, s.last = s.newTable(), nil, nil
	clear(s.epochs)
	clear(s.at)
	s.mu.Unlock()
	return former.closeLog()
}

// apps names the applications by which a table remembers, for each partition of
// a run's log, how far its events are in the table, and by which claim.
type apps struct{ prefix string }

const (
	appPrefix   = "millrace/"
	epochSuffix = "/epoch"
)

func newApps(run string) apps {
	if run == "" {
		return apps{appPrefix}
	}
	return apps{appPrefix + run + "/"}
}

func (a apps) positionID(p int32) string { return a.prefix + strconv.Itoa(int(p)) }
func (a apps) epochID(p int32) string    { return a.positionID(p) + epochSuffix }

// position is the offset up to which the events of p are in the table.
func (a apps) position(s *txlog.Snapshot, p int32) int64 {
	if v, ok := s.Txn(a.positionID(p)); ok {
		return v
	}
	return connector.Unknown
}

// epoch is the number of claims of p.
func (a apps) epoch(s *txlog.Snapshot, p int32) int64 {
	v, _ := s.Txn(a.epochID(p))
	return v
}

// move is an advance with the epoch in which it was claimed.
type move struct {
	connector.Advance
	epoch int64
}

// moves checks that w is well formed and adds the epochs, in the order of
// partitions.
func (s *Store) moves(w *connector.Write) ([]move, error) {
	if len(w.Results) > s.cfg.MaxRows {
		return nil, fmt.Errorf("a write of %d results to %s, which takes %d at once", len(w.Results), s.Describe(), s.cfg.MaxRows)
	}
	advances, err := w.Check(false, nil)
	if err != nil {
		return nil, err
	}
	moves := make([]move, len(advances))
	var unclaimed []int32
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, a := range advances {
		epoch, ok := s.epochs[a.Partition]
		if !ok {
			unclaimed = append(unclaimed, a.Partition)
		}
		moves[i] = move{a, epoch}
	}
	if len(unclaimed) > 0 {
		return nil, connector.FencedError(unclaimed, "this worker has not claimed them")
	}
	return moves, nil
}
