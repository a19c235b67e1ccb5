package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"millrace/connector/cosmosdb/local/partition"

	"github.com/cockroachdb/pebble/v2"
)

// MaxRanges is how many physical ranges a container may have.
const MaxRanges = 4096

// Container is a container. It stays the same when its settings are replaced,
// and says ErrGone when it has been deleted. It is safe for concurrent use.
type Container struct {
	s        *Store
	number   uint32
	database uint32
	id       string
	rid      string
	ridBytes [8]byte
	// self is the container's link: dbs/RID/colls/RID/.
	self       string
	definition partition.Definition
	ranges     []*physical
	settings   atomic.Pointer[settings]
	gone       atomic.Bool
}

// settings are what may change about a container. They are changed with the
// locks of all ranges held.
type settings struct {
	record containerRecord
	shape  *shape
	// previous are the shapes that some items may still be indexed by, while
	// the index is made anew.
	previous []*shape
}

// physical is a physical range.
type physical struct {
	number int
	bounds partition.Range
	low    string // as bytes

	mu sync.Mutex
	// lsn is the last one given, items and bytes what there is. Guarded by mu.
	lsn, items, bytes int64
	seconds           uint32 // of the last change

	// durable is the LSN up to which everything has been acknowledged or could
	// be: what the change feed shows. What lies behind might be lost yet, and
	// its LSNs used again.
	durable atomic.Int64
	// For those who ask without the lock.
	shownItems, shownBytes atomic.Int64
	// purged is how far the feed holds no item that the default time to live
	// would take, under the default purgedTTL. Guarded by Store.upkeep.
	purged    int64
	purgedTTL int
}

func (s *Store) newContainer(number uint32, r *containerRecord) (*Container, error) {
	if err := r.PartitionKey.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	if r.Ranges < 1 || r.Ranges > MaxRanges {
		return nil, fmt.Errorf("%w: %d physical ranges, between 1 and %d are possible", ErrInvalid, r.Ranges, MaxRanges)
	}
	set, err := newSettings(r)
	if err != nil {
		return nil, err
	}
	rid := containerRID(r.Database, number)
	c := &Container{s: s, number: number, database: r.Database, id: r.ID, ridBytes: rid, rid: ridString(rid[:]), definition: r.PartitionKey}
	c.self = "dbs/" + ridString(databaseRID(r.Database)) + "/colls/" + c.rid + "/"
	c.settings.Store(set)
	for i, bounds := range r.PartitionKey.Split(r.Ranges) {
		low, err := partition.ParseEPK(bounds.Low)
		if err != nil {
			return nil, err
		}
		c.ranges = append(c.ranges, &physical{number: i, bounds: bounds, low: string(low)})
	}
	return c, nil
}

func newSettings(r *containerRecord) (*settings, error) {
	set := &settings{record: *r}
	var err error
	if set.shape, err = newShape(r.Indexing, r.UniqueKeys); err != nil {
		return nil, err
	}
	for _, policy := range r.Previous {
		old, err := newShape(policy, nil)
		if err != nil {
			return nil, err
		}
		set.previous = append(set.previous, old)
	}
	return set, nil
}

// recover reads how far the ranges have come.
func (c *Container) recover() error {
	for _, r := range c.ranges {
		v, err := c.s.value(appendRange(nil, c.number, kindRange, r.number))
		if err != nil {
			return err
		}
		if v == nil {
			continue
		}
		if r.lsn, r.items, r.bytes, err = splitRangeValue(v); err != nil {
			return err
		}
		r.show()
		r.durable.Store(r.lsn)
		if r.seconds, err = c.lastSecond(r); err != nil {
			return err
		}
	}
	return nil
}

// lastSecond is when the last change in the feed was made. The clock may have
// been set back since, but the feed is searched by time.
func (c *Container) lastSecond(r *physical) (seconds uint32, err error) {
	prefix := appendRange(nil, c.number, kindFeed, r.number)
	iter, err := c.s.db.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: successor(prefix)})
	if err != nil {
		return 0, err
	}
	if iter.Last() {
		seconds, _, _, err = splitFeedValue(iter.Value())
	}
	return seconds, errors.Join(err, iter.Error(), iter.Close())
}

func (r *physical) show() {
	r.shownItems.Store(r.items)
	r.shownBytes.Store(r.bytes)
}

// acknowledge notes that everything up to an LSN is safe.
func (r *physical) acknowledge(lsn int64) {
	for {
		now := r.durable.Load()
		if lsn <= now || r.durable.CompareAndSwap(now, lsn) {
			return
		}
	}
}

// ID is the container's id.
func (c *Container) ID() string { return c.id }

// RID is the container's resource id.
func (c *Container) RID() string { return c.rid }

// Self is the container's link by resource ids, with a slash at its end.
func (c *Container) Self() string { return c.self }

// ETag is the etag of the container's settings, with its quotes.
func (c *Container) ETag() string { return c.settings.Load().record.Etag.etag() }

// Modified is when the settings were last written, in whole seconds.
func (c *Container) Modified() time.Time { return c.settings.Load().record.Etag.time() }

// Definition is the partition key.
func (c *Container) Definition() partition.Definition { return c.definition }

// Properties are the settings as they are at present. They must not be changed.
func (c *Container) Properties() Properties {
	r := &c.settings.Load().record
	return Properties{ID: r.ID, PartitionKey: r.PartitionKey, UniqueKeys: r.UniqueKeys, Indexing: r.Indexing,
		DefaultTTL: r.DefaultTTL, Other: r.Other}
}

// Ranges are the bounds of the physical ranges, in order, by number.
func (c *Container) Ranges() []partition.Range {
	all := make([]partition.Range, len(c.ranges))
	for i, r := range c.ranges {
		all[i] = r.bounds
	}
	return all
}

// RangeOf is the number of the range that a key's logical partition lies in; of
// a prefix, the one that it begins in.
func (c *Container) RangeOf(key partition.Key) int { return c.rangeAt(key.Raw()) }

// rangeAt finds the range of an effective partition key, given as bytes.
func (c *Container) rangeAt(epk string) int {
	n, found := slices.BinarySearchFunc(c.ranges, epk, func(r *physical, epk string) int { return strings.Compare(r.low, epk) })
	if !found {
		n--
	}
	return n
}

// LSN is the logical sequence number of a range's last acknowledged change, 0
// if there was none.
func (c *Container) LSN(rangeID int) int64 { return c.ranges[rangeID].durable.Load() }

// Count is how many items a range holds, and how many bytes of JSON they are,
// those included that have expired and were not purged yet.
func (c *Container) Count(rangeID int) (items, bytes int64) {
	r := c.ranges[rangeID]
	return r.shownItems.Load(), r.shownBytes.Load()
}

// lockAll takes the locks of all ranges; the returned function gives them back.
func (c *Container) lockAll() (unlock func()) {
	for _, r := range c.ranges {
		r.mu.Lock()
	}
	return func() {
		for _, r := range c.ranges {
			r.mu.Unlock()
		}
	}
}

// Containers gives a database's containers, by id.
func (s *Store) Containers(d *Database) []*Container {
	var all []*Container
	for _, c := range s.catalogue.Load().containers {
		if c.database == d.number {
			all = append(all, c)
		}
	}
	slices.SortFunc(all, func(a, b *Container) int { return strings.Compare(a.id, b.id) })
	return all
}

// Container gives a container by its id. The error is ErrNotFound.
func (s *Store) Container(d *Database, id string) (*Container, error) {
	if c := s.catalogue.Load().paths[containerPath{d.number, id}]; c != nil {
		return c, nil
	}
	return nil, fmt.Errorf("container %q: %w", id, ErrNotFound)
}

// ContainerByRID gives a container by its resource id. The error is ErrNotFound.
func (s *Store) ContainerByRID(rid string) (*Container, error) {
	cat := s.catalogue.Load()
	if c := cat.containers[cat.rids[rid]]; c != nil && c.rid == rid {
		return c, nil
	}
	return nil, fmt.Errorf("the container with the resource id %q: %w", rid, ErrNotFound)
}

// CreateContainer makes a container with some physical ranges, at least one,
// and with an offer if offer is not nil. The error is ErrExists if its id is
// taken, ErrNotFound if the database was deleted, and ErrInvalid for properties
// that are not valid.
func (s *Store) CreateContainer(ctx context.Context, d *Database, p Properties, ranges int, offer *Offer) (c *Container, err error) {
	err = s.edit(ctx, func(cat *catalogue, b *pebble.Batch) error {
		if cat.databases[d.number] == nil {
			return fmt.Errorf("database %q: %w", d.ID, ErrNotFound)
		}
		if cat.paths[containerPath{d.number, p.ID}] != nil {
			return fmt.Errorf("container %q: %w", p.ID, ErrExists)
		}
		number := s.number()
		r := &containerRecord{Database: d.number, ID: p.ID, PartitionKey: p.PartitionKey, Ranges: max(ranges, 1),
			UniqueKeys: p.UniqueKeys, Indexing: p.Indexing, DefaultTTL: p.DefaultTTL, Other: p.Other, Etag: s.stamp()}
		var err error
		if c, err = s.newContainer(number, r); err != nil {
			return err
		}
		cat.addContainer(c)
		return errors.Join(put(b, recordContainer, number, r), s.putOffer(cat, b, c.rid, false, offer))
	})
	if err != nil {
		return nil, err
	}
	return c, nil
}

// ReplaceContainer gives a container other settings; its id, partition key and
// unique keys stay. After a change of the indexing policy the index is made
// anew in the background: meanwhile paths that were not indexed before still
// are not. The error is ErrPrecondition if ifMatch is another etag than the
// container's, else as of CreateContainer.
func (s *Store) ReplaceContainer(ctx context.Context, c *Container, p Properties, ifMatch string) error {
	err := s.edit(ctx, func(cat *catalogue, b *pebble.Batch) error {
		if cat.containers[c.number] == nil {
			return fmt.Errorf("container %q: %w", c.id, ErrNotFound)
		}
		unlock := c.lockAll()
		cat.after = append(cat.after, func(bool) { unlock() })
		old := c.settings.Load()
		if !matches(ifMatch, old.record.Etag.etag()) {
			return fmt.Errorf("container %q: %w", c.id, ErrPrecondition)
		}
		r := old.record
		if string(r.Indexing) != string(p.Indexing) {
			r.Previous = append(slices.Clone(r.Previous), r.Indexing)
		}
		r.Indexing, r.DefaultTTL, r.Other, r.Etag = p.Indexing, p.DefaultTTL, p.Other, s.stamp()
		set, err := newSettings(&r)
		if err != nil {
			return err
		}
		// Before the locks are given back: nobody writes by the new settings
		// if they are not there, nor by the old ones if they are gone.
		cat.after = append([]func(bool){func(committed bool) {
			if committed {
				c.settings.Store(set)
			}
		}}, cat.after...)
		return put(b, recordContainer, c.number, &r)
	})
	s.hurry()
	return err
}

// DeleteContainer deletes a container with its items. The error is ErrNotFound
// if it is gone already, ErrPrecondition if ifMatch is another etag than its
// own.
func (s *Store) DeleteContainer(ctx context.Context, c *Container, ifMatch string) error {
	return s.edit(ctx, func(cat *catalogue, b *pebble.Batch) error {
		if cat.containers[c.number] == nil {
			return fmt.Errorf("container %q: %w", c.id, ErrNotFound)
		}
		if !matches(ifMatch, c.ETag()) {
			return fmt.Errorf("container %q: %w", c.id, ErrPrecondition)
		}
		return s.dropContainer(cat, b, c)
	})
}

// dropContainer takes a container out of the catalogue, with its offer and all
// its keys.
func (s *Store) dropContainer(cat *catalogue, b *pebble.Batch, c *Container) error {
	unlock := c.lockAll()
	c.gone.Store(true) // from here on nobody writes what the batch would miss
	unlock()
	cat.after = append(cat.after, func(committed bool) { c.gone.Store(committed) })
	maps.DeleteFunc(cat.paths, func(_ containerPath, other *Container) bool { return other == c })
	delete(cat.containers, c.number)
	delete(cat.rids, c.rid)
	low, high := containerSpan(c.number)
	return errors.Join(b.Delete(recordKey(recordContainer, c.number), nil), b.DeleteRange(low, high, nil), s.dropOffer(cat, b, c.rid))
}
