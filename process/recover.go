package process

import (
	"context"
	"fmt"
	"time"

	"millrace/record"
)

// recover brings o's task to the state it had at the store's position: from
// the newest snapshot at or before it plus the gap, else by replaying as much
// of the log as the state can depend on. Nothing is emitted.
func (r *Runtime) recover(ctx context.Context, o *ownership) error {
	lookback := r.engine.Lookback()
	if lookback == 0 || o.next <= 0 {
		return nil
	}
	begun := time.Now()
	from, restored, err := r.restore(o)
	if err != nil {
		return err
	}
	if !restored {
		if from, err = r.lookbackStart(ctx, o, lookback); err != nil {
			return err
		}
	}
	replayed := 0
	if from < o.next {
		err = r.log.Replay(ctx, o.partition, from, o.next, func(b *record.Batch) error {
			replayed += len(b.Records)
			return o.task.Replay(b)
		})
		if err != nil {
			return fmt.Errorf("replaying positions %d to %d: %w", from, o.next, err)
		}
	}
	r.stats.replayed.Add(int64(replayed))
	r.opts.Log.Info("state recovered", "partition", o.partition, "position", o.next, "snapshot", restored,
		"replayed", replayed, "took", time.Since(begun).Round(time.Millisecond))
	return nil
}

// restore loads a snapshot; an unusable one is passed over, because the log
// can rebuild what it held.
func (r *Runtime) restore(o *ownership) (position int64, ok bool, err error) {
	if r.opts.Snapshots == nil {
		return 0, false, nil
	}
	for _, s := range r.opts.Snapshots.load(r.engine.Name(), o.partition, o.next) {
		state, err := s.read()
		if err == nil {
			err = o.task.Restore(state)
		}
		if err == nil {
			return s.position, true, nil
		}
		r.opts.Log.Warn("snapshot passed over", "file", s.path, "error", err)
		o.task = r.engine.NewTask(o.partition)
	}
	return 0, false, nil
}

// lookbackStart finds the position from which a replay sees everything that
// the state at o.next depends on.
func (r *Runtime) lookbackStart(ctx context.Context, o *ownership, lookback time.Duration) (int64, error) {
	last := record.NoTime
	err := r.log.Replay(ctx, o.partition, o.next-1, o.next, func(b *record.Batch) error {
		for i := range b.Records {
			last = b.Records[i].Timestamp
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("reading the entry before position %d: %w", o.next, err)
	}
	if last == record.NoTime {
		return 0, nil // a gap (marker, compaction): replay all there is
	}
	from, err := r.log.OffsetAt(ctx, o.partition, last-lookback.Microseconds())
	if err != nil {
		return 0, fmt.Errorf("looking up the position %s before %d: %w", lookback, o.next, err)
	}
	return min(from, o.next), nil
}
