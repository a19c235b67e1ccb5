package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/cockroachdb/pebble/v2"
)

const (
	// purgeEvery is how often expired items are looked for.
	purgeEvery = 2 * time.Second
	// atOnce is how many items are worked on with one taking of a range's lock.
	atOnce = 64
	// maxPurged is how many items of a range are purged before others have
	// their turn.
	maxPurged = 10000
)

// hurry wakes the background.
func (s *Store) hurry() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// background purges expired items and makes indexes anew until ctx ends.
func (s *Store) background(ctx context.Context) {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for {
		if err := s.tend(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("the store's upkeep failed and will be tried again", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.wake:
		}
	}
}

// tend does what there is to do at present.
func (s *Store) tend(ctx context.Context) error {
	s.upkeep.Lock()
	defer s.upkeep.Unlock()
	var errs []error
	for _, c := range s.catalogue.Load().containers {
		for more := true; more && ctx.Err() == nil; {
			more = false
			for _, r := range c.ranges {
				again, err := c.purgeRange(ctx, r)
				more = more || again
				errs = append(errs, ignoreGone(err))
			}
		}
		if len(c.settings.Load().previous) > 0 {
			errs = append(errs, ignoreGone(c.reindex(ctx)))
		}
	}
	return errors.Join(errs...)
}

func ignoreGone(err error) error {
	if errors.Is(err, ErrGone) || errors.Is(err, ErrClosed) || errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

// named is an item that is worked on.
type named struct{ epk, id string }

// purgeRange deletes items of a range that have expired, and tells whether
// there may be more.
func (c *Container) purgeRange(ctx context.Context, r *physical) (more bool, err error) {
	set := c.settings.Load()
	if set.record.DefaultTTL == nil {
		return false, nil
	}
	for n := 0; n < maxPurged; n += atOnce {
		own, err := c.expiredOwn(r)
		if err != nil {
			return false, err
		}
		byDefault, until, err := c.expiredByDefault(r, *set.record.DefaultTTL)
		if err != nil {
			return false, err
		}
		removed := 0
		if err := c.work(ctx, r, append(own, byDefault...), func(t *txn, item named, old *stored) error {
			if old.body == nil || old.live {
				return nil
			}
			removed++
			_, err := t.remove(item.epk, item.id, old)
			return err
		}); err != nil {
			return false, err
		}
		if removed == 0 && until == r.purged {
			return false, nil
		}
		r.purged = until
	}
	return true, nil
}

// expiredOwn gives some items that say themselves that they have expired.
func (c *Container) expiredOwn(r *physical) (items []named, err error) {
	prefix := appendRange(nil, c.number, kindTTL, r.number)
	now := binary.BigEndian.AppendUint32(prefix[:rangePrefix:rangePrefix], c.s.seconds())
	iter, err := c.s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: successor(now)})
	if err != nil {
		return nil, fmt.Errorf("cannot look for expired items: %w", err)
	}
	for ok := iter.First(); ok && len(items) < atOnce; ok = iter.Next() {
		_, epk, id, err := splitTail(iter.Key()[rangePrefix+4:])
		if err != nil {
			return nil, errors.Join(err, iter.Close())
		}
		items = append(items, named{string(epk), string(id)})
	}
	return items, errors.Join(iter.Error(), iter.Close())
}

// expiredByDefault gives some items that were last changed so long ago that the
// container's time to live is over, and how far it has looked. Items that have
// a time to live of their own are among them.
func (c *Container) expiredByDefault(r *physical, ttl int) (items []named, until int64, err error) {
	if r.purgedTTL != ttl {
		r.purged, r.purgedTTL = 0, ttl
	}
	until = r.purged
	if ttl < 0 {
		return nil, until, nil
	}
	prefix := appendRange(nil, c.number, kindFeed, r.number)
	iter, err := c.s.db.NewIter(&pebble.IterOptions{
		LowerBound: appendFeedKey(nil, c.number, r.number, until+1), UpperBound: successor(prefix)})
	if err != nil {
		return nil, until, fmt.Errorf("cannot look for expired items: %w", err)
	}
	now := int64(c.s.seconds())
	for ok := iter.First(); ok && len(items) < atOnce; ok = iter.Next() {
		seconds, epk, id, err := splitFeedValue(iter.Value())
		if err != nil {
			return nil, until, errors.Join(err, iter.Close())
		}
		if int64(seconds)+int64(ttl) > now {
			break
		}
		key := iter.Key()
		until = int64(binary.BigEndian.Uint64(key[len(key)-8:]))
		items = append(items, named{string(epk), string(id)})
	}
	return items, until, errors.Join(iter.Error(), iter.Close())
}

// work does something with some items of a range, under its lock and in one
// batch.
func (c *Container) work(ctx context.Context, r *physical, items []named, do func(t *txn, item named, old *stored) error) error {
	if len(items) == 0 {
		return nil
	}
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.s.release()
	w := newWork(2) // several operations: they must see what the others did
	defer w.free()
	if err := c.underLock(r, w, items, do); err != nil {
		return err
	}
	return w.wait()
}

func (c *Container) underLock(r *physical, w *work, items []named, do func(t *txn, item named, old *stored) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.gone.Load() {
		return ErrGone
	}
	t := c.begin(r, c.settings.Load(), w)
	defer t.end()
	for _, item := range items {
		old, err := t.item(item.epk, item.id)
		if err == nil {
			err = do(t, item, &old)
		}
		if err != nil {
			return errors.Join(err, t.batch.Close())
		}
	}
	return t.commit()
}

// reindex gives every item the entries of the present indexing policy, and
// takes away those of earlier ones. Writers do so for what they touch. After a
// crash it begins again.
func (c *Container) reindex(ctx context.Context) error {
	set := c.settings.Load()
	for _, r := range c.ranges {
		if err := c.reindexRange(ctx, r); err != nil {
			return err
		}
		if c.settings.Load() != set {
			return nil // there is a newer policy: it has its turn next
		}
	}
	return c.s.edit(ctx, func(cat *catalogue, b *pebble.Batch) error {
		unlock := c.lockAll()
		done := *set
		done.previous, done.record.Previous = nil, nil
		same := c.settings.Load() == set && !c.gone.Load()
		cat.after = append(cat.after, func(committed bool) {
			if same && committed {
				c.settings.Store(&done)
			}
			unlock()
		})
		if !same {
			return nil
		}
		return put(b, recordContainer, c.number, &done.record)
	})
}

func (c *Container) reindexRange(ctx context.Context, r *physical) error {
	after := []byte(nil)
	for {
		items, last, err := c.someItems(r, after)
		if err != nil || len(items) == 0 {
			return err
		}
		err = c.work(ctx, r, items, func(t *txn, item named, old *stored) error {
			if old.body == nil {
				return nil
			}
			was := t.former(old)
			now := t.w.x.scanBody(t.set.shape, old.body)
			return t.index(now.terms, was.terms, old.doc, item.epk, item.id)
		})
		if err != nil {
			return err
		}
		after = last
	}
}

// someItems gives the next items of a range, and where they end.
func (c *Container) someItems(r *physical, after []byte) (items []named, last []byte, err error) {
	low, high, err := bounds(r.bounds.Low, r.bounds.High)
	if err != nil {
		return nil, nil, err
	}
	prefix := appendData(nil, c.number, kindItem)
	if after != nil {
		low = append(after, 0)
	}
	iter, err := c.s.db.NewIter(&pebble.IterOptions{
		LowerBound: append(prefix[:dataPrefix:dataPrefix], low...), UpperBound: append(prefix[:dataPrefix:dataPrefix], high...)})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the store: %w", err)
	}
	for ok := iter.First(); ok && len(items) < atOnce; ok = iter.Next() {
		_, epk, id, err := splitTail(iter.Key()[dataPrefix:])
		if err != nil {
			return nil, nil, errors.Join(err, iter.Close())
		}
		items = append(items, named{string(epk), string(id)})
		last = append(last[:0], iter.Key()[dataPrefix:]...)
	}
	return items, last, errors.Join(iter.Error(), iter.Close())
}
