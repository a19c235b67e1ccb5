package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"millrace/connector/cosmosdb/local/partition"

	"github.com/cockroachdb/pebble/v2"
)

// Item is a stored item.
type Item struct {
	ETag string // with its quotes
	LSN  int64
	// Body is the item with its system properties, the caller's own.
	Body []byte
}

// Get reads one item. The error is ErrNotFound if there is none.
func (c *Container) Get(ctx context.Context, key partition.Key, id string) (Item, error) {
	if !key.Complete() {
		return Item{}, fmt.Errorf("reading an item needs the whole partition key: %w", partition.ErrMismatch)
	}
	if err := c.enter(ctx); err != nil {
		return Item{}, err
	}
	defer c.s.release()
	var space [128]byte
	v, closer, err := c.s.db.Get(appendItemKey(space[:0], c.number, key.Raw(), id))
	if errors.Is(err, pebble.ErrNotFound) {
		return Item{}, fmt.Errorf("item %q: %w", id, ErrNotFound)
	}
	if err != nil {
		return Item{}, fmt.Errorf("cannot read the store: %w", err)
	}
	defer closer.Close()
	h, body, err := splitItem(v)
	if err != nil {
		return Item{}, err
	}
	if h.expired(c.settings.Load().record.DefaultTTL, int64(c.s.seconds())) {
		return Item{}, fmt.Errorf("item %q: %w", id, ErrNotFound)
	}
	return Item{ETag: h.etag(), LSN: h.lsn, Body: append(make([]byte, 0, len(body)), body...)}, nil
}

// Indexed tells whether an Access may read by the values at a path, written as
// in an IndexScan: every item that has the path has an entry. Only of paths
// that an indexing policy names one by one (and of /id) those without the path
// have one, too, as undefined. After a change of the policy a path is indexed
// when all items are.
func (c *Container) Indexed(path string) bool {
	_, indexed, _ := c.index(path)
	return indexed
}

// IndexesUndefined tells whether the index of a path has the items that do not
// have it.
func (c *Container) IndexesUndefined(path string) bool {
	_, _, undefined := c.index(path)
	return undefined
}

func (c *Container) index(path string) (hash uint64, indexed, undefined bool) {
	return c.settings.Load().index(path)
}

func (set *settings) index(path string) (hash uint64, indexed, undefined bool) {
	steps, err := parseSteps(path)
	if err != nil {
		return 0, false, false
	}
	hash, indexed, undefined = set.shape.coverage(steps)
	for _, old := range set.previous {
		_, in, un := old.coverage(steps)
		indexed, undefined = indexed && in, undefined && un
	}
	return hash, indexed, undefined
}

// Open begins to read items. The iterator sees the container as it is now, in
// the order that the access asks for; what has expired is left out. ctx is that
// of the whole read. The error is ErrInvalid for an access that does not make
// sense, such as one by a path that is not indexed.
func (c *Container) Open(ctx context.Context, a Access) (Iterator, error) {
	low, high, err := bounds(a.Low, a.High)
	if err != nil {
		return nil, err
	}
	if err := c.enter(ctx); err != nil {
		return nil, err
	}
	v := view{ctx: ctx, c: c, set: c.settings.Load(), seconds: int64(c.s.seconds())}
	switch {
	case a.Index != nil:
		return v.openIndex(a.Index, a.ID, low, high, a.After)
	case a.ID != nil:
		return v.openID(*a.ID, low, high, a.After)
	}
	return v.openItems(low, high, a.After)
}

// bounds reads the bounds of effective partition keys; an empty high one is the
// end.
func bounds(low, high string) (from, to []byte, err error) {
	if high == "" {
		high = partition.End
	}
	from, err = partition.ParseEPK(low)
	if err == nil {
		to, err = partition.ParseEPK(high)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return from, to, nil
}

// view is what the iterators have in common. It holds the store open.
type view struct {
	ctx     context.Context
	c       *Container
	set     *settings
	seconds int64
	steps   int
	err     error
	closed  bool
}

// checkEvery is after how many steps an iterator looks whether it is still
// wanted.
const checkEvery = 256

// next tells whether an iterator may go on.
func (v *view) next() bool {
	if v.err != nil || v.closed {
		return false
	}
	if v.steps++; v.steps%checkEvery == 0 {
		v.err = v.ctx.Err()
	}
	return v.err == nil
}

// fail gives the store back, for an iterator that could not be opened.
func (v *view) fail(err error) (Iterator, error) {
	v.c.s.release()
	return nil, err
}

// Err is why Next has said that there is no more, nil if there is none.
func (v *view) Err() error { return v.err }

// itemIterator walks over items in their own order.
type itemIterator struct {
	view
	iter    *pebble.Iterator
	started bool
	after   []byte
	item    []byte
}

func (v view) openItems(low, high, after []byte) (Iterator, error) {
	prefix := appendData(nil, v.c.number, kindItem)
	iter, err := v.c.s.db.NewIterWithContext(v.ctx, &pebble.IterOptions{
		LowerBound: append(prefix[:dataPrefix:dataPrefix], low...), UpperBound: append(prefix[:dataPrefix:dataPrefix], high...)})
	if err != nil {
		return v.fail(fmt.Errorf("cannot read the store: %w", err))
	}
	return &itemIterator{view: v, iter: iter, after: bytes.Clone(after)}, nil
}

func (i *itemIterator) Next() bool {
	for i.next() {
		if !i.advance() {
			if err := i.iter.Error(); err != nil {
				i.err = fmt.Errorf("cannot read the store: %w", err)
			}
			return false
		}
		v, err := i.iter.ValueAndErr()
		if err != nil {
			i.err = fmt.Errorf("cannot read the store: %w", err)
			return false
		}
		var h head
		if h, i.item, i.err = splitItem(v); i.err != nil {
			return false
		}
		if !h.expired(i.set.record.DefaultTTL, i.seconds) {
			return true
		}
	}
	return false
}

func (i *itemIterator) advance() bool {
	if i.started {
		return i.iter.Next()
	}
	i.started = true
	if i.after == nil {
		return i.iter.First()
	}
	key := append(appendData(nil, i.c.number, kindItem), i.after...)
	return i.iter.SeekGE(append(key, 0))
}

func (i *itemIterator) Item() []byte { return i.item }

func (i *itemIterator) Position() []byte { return i.iter.Key()[dataPrefix:] }

func (i *itemIterator) Close() error {
	if i.closed {
		return nil
	}
	i.closed = true
	err := i.iter.Close()
	i.c.s.release()
	return err
}
