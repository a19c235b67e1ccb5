package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sort"

	"github.com/cockroachdb/pebble/v2"
)

const (
	defaultChanges = 1000
	defaultBytes   = 4 << 20
	// maxLooked bounds how many changes of other partition keys one call
	// walks over.
	maxLooked = 20000
)

// Changes reads the change feed of a physical range: every item at its latest
// change, in the order of their logical sequence numbers. Deletions are not in
// it, nor what has expired. next is what After is for the following call: an
// answer without changes is the end if next is the range's LSN.
func (c *Container) Changes(ctx context.Context, q ChangeRequest) (changes []Change, next int64, err error) {
	if q.Range < 0 || q.Range >= len(c.ranges) {
		return nil, 0, fmt.Errorf("%w: container %q has no physical range %d", ErrInvalid, c.id, q.Range)
	}
	low, high, err := bounds(q.Low, q.High)
	if err != nil {
		return nil, 0, err
	}
	if q.Max <= 0 {
		q.Max = defaultChanges
	}
	if q.MaxBytes <= 0 {
		q.MaxBytes = defaultBytes
	}
	if err := c.enter(ctx); err != nil {
		return nil, 0, err
	}
	defer c.s.release()
	f := feed{c: c, low: string(low), high: string(high), seconds: int64(c.s.seconds())}
	f.snapshot = c.s.db.NewSnapshot()
	defer func() { err = errors.Join(err, f.snapshot.Close()) }()
	if f.until, err = c.settle(f.snapshot, c.ranges[q.Range]); err != nil {
		return nil, 0, err
	}
	prefix := appendRange(nil, c.number, kindFeed, q.Range)
	f.iter, err = f.snapshot.NewIterWithContext(ctx, &pebble.IterOptions{
		LowerBound: appendFeedKey(nil, c.number, q.Range, max(q.After, 0)+1), UpperBound: successor(prefix)})
	if err != nil {
		return nil, 0, fmt.Errorf("cannot read the change feed: %w", err)
	}
	defer func() { err = errors.Join(err, f.iter.Close()) }()
	next, err = f.read(ctx, &q, &changes)
	return changes, next, err
}

// settle gives the LSN of the last change that a snapshot has of a range, and
// returns when everything up to it is safe. A change that could still be lost
// hides the one before of the same item: a reader would go past both, and find
// neither if the process ended now.
func (c *Container) settle(snapshot *pebble.Snapshot, r *physical) (lsn int64, err error) {
	v, closer, err := snapshot.Get(appendRange(nil, c.number, kindRange, r.number))
	if errors.Is(err, pebble.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read the change feed: %w", err)
	}
	defer closer.Close()
	if lsn, _, _, err = splitRangeValue(v); err != nil || lsn <= r.durable.Load() {
		return lsn, err
	}
	// The log is written in order.
	if err := c.s.db.LogData(nil, pebble.Sync); err != nil {
		return 0, fmt.Errorf("cannot write to the store: %w", err)
	}
	r.acknowledge(lsn)
	return lsn, nil
}

// feed is a reading of the change feed.
type feed struct {
	c         *Container
	snapshot  *pebble.Snapshot
	iter      *pebble.Iterator
	until     int64
	low, high string
	seconds   int64
	key       []byte
}

func (f *feed) read(ctx context.Context, q *ChangeRequest, changes *[]Change) (next int64, err error) {
	next = max(q.After, f.until)
	size := 0
	ok := f.begin(q)
	for looked := 0; ok; ok = f.iter.Next() {
		lsn := f.lsn()
		if lsn > f.until {
			break
		}
		if looked == maxLooked || len(*changes) == q.Max {
			next = lsn - 1
			break
		}
		if looked++; looked%checkEvery == 0 {
			if err := ctx.Err(); err != nil {
				return 0, err
			}
		}
		body, err := f.item()
		if err != nil {
			return 0, err
		}
		if body == nil {
			continue
		}
		if size += len(body); size > q.MaxBytes && len(*changes) > 0 {
			next = lsn - 1
			break
		}
		*changes = append(*changes, Change{LSN: lsn, Body: body})
	}
	if err := f.iter.Error(); err != nil {
		return 0, fmt.Errorf("cannot read the change feed: %w", err)
	}
	return next, nil
}

// begin goes to the first entry, of the second that is asked for if there is
// one. The seconds never decrease, so that it can be searched for.
func (f *feed) begin(q *ChangeRequest) bool {
	if q.Since.IsZero() || q.Since.Unix() <= 0 {
		return f.iter.First()
	}
	since := q.Since.Unix()
	first := max(q.After, 0) + 1
	n := sort.Search(int(max(f.until-first+1, 0)), func(i int) bool {
		if !f.iter.SeekGE(appendFeedKey(nil, f.c.number, q.Range, first+int64(i))) {
			return true
		}
		seconds, _, _, err := splitFeedValue(f.iter.Value())
		return err != nil || int64(seconds) >= since
	})
	return f.iter.SeekGE(appendFeedKey(nil, f.c.number, q.Range, first+int64(n)))
}

func (f *feed) lsn() int64 {
	key := f.iter.Key()
	return int64(binary.BigEndian.Uint64(key[len(key)-8:]))
}

// item reads the item of the entry; nil if it is not wanted.
func (f *feed) item() ([]byte, error) {
	v, err := f.iter.ValueAndErr()
	if err != nil {
		return nil, fmt.Errorf("cannot read the change feed: %w", err)
	}
	_, epk, id, err := splitFeedValue(v)
	if err != nil {
		return nil, err
	}
	if string(epk) < f.low || string(epk) >= f.high {
		return nil, nil
	}
	f.key = append(appendData(f.key[:0], f.c.number, kindItem), v[4:]...)
	stored, closer, err := f.snapshot.Get(f.key)
	if err != nil {
		return nil, fmt.Errorf("cannot read the item %q that the change feed names: %w", id, err)
	}
	defer closer.Close()
	h, body, err := splitItem(stored)
	if err != nil || h.expired(f.c.settings.Load().record.DefaultTTL, f.seconds) {
		return nil, err
	}
	return append(make([]byte, 0, len(body)), body...), nil
}
