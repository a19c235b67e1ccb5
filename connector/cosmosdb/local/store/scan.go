package store

import (
	"bytes"
	"container/heap"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"millrace/connector/cosmosdb/local/value"

	"github.com/cockroachdb/pebble/v2"
)

// indexIterator walks over index entries of one path in several physical ranges
// at once, and looks their items up.
type indexIterator struct {
	view
	snapshot *pebble.Snapshot
	cursors  cursors // a heap
	current  *cursor // is at the item, and in the heap
	id       *string
	item     []byte
	closer   io.Closer
	key      []byte
}

// cursor is at an entry of a path in one range.
type cursor struct {
	iter *pebble.Iterator
	// prefix is in front of the value in all entries.
	prefix []byte
	// low and high bound the effective partition key, first and last the
	// numbers of such items.
	low, high   []byte
	first, last uint64
	reverse     bool
	// Of the entry that it is at; rest is the key behind prefix.
	rest, epk, id []byte
	broken        error // an entry that is none
}

// indexPrefix is how long the beginning of an index key is, up to its value.
const indexPrefix = rangePrefix + hashSize

func (v view) openID(id string, low, high, after []byte) (Iterator, error) {
	key := value.AppendKey(nil, value.String(id))
	return v.openScan(v.c.s.db.NewSnapshot(), idHash, &IndexScan{Low: key, High: key}, &id, low, high, after)
}

func (v view) openIndex(scan *IndexScan, id *string, low, high, after []byte) (Iterator, error) {
	// The snapshot must be of a time at which the policy was in force that says
	// that the path is indexed: a change of it takes entries away.
	snapshot := v.c.s.db.NewSnapshot()
	for now := v.c.settings.Load(); now != v.set; now = v.c.settings.Load() {
		v.set = now
		if err := snapshot.Close(); err != nil {
			return v.fail(fmt.Errorf("cannot read the store: %w", err))
		}
		snapshot = v.c.s.db.NewSnapshot()
	}
	hash, indexed, _ := v.set.index(scan.Path)
	if !indexed {
		_ = snapshot.Close() // nothing was read from it
		return v.fail(fmt.Errorf("%w: the path %q of container %q is not indexed", ErrInvalid, scan.Path, v.c.id))
	}
	return v.openScan(snapshot, hash, scan, id, low, high, after)
}

func (v view) openScan(snapshot *pebble.Snapshot, hash uint64, scan *IndexScan, id *string, low, high, after []byte) (Iterator, error) {
	i := &indexIterator{view: v, snapshot: snapshot, id: id, cursors: cursors{reverse: scan.Reverse}}
	for n := v.c.rangeAt(string(low)); n < len(v.c.ranges) && v.c.ranges[n].low < string(high); n++ {
		cur := &cursor{low: low, high: high, reverse: scan.Reverse, first: firstNumber(low), last: lastNumber(high)}
		cur.prefix = binary.BigEndian.AppendUint64(appendRange(nil, v.c.number, kindIndex, n), hash)
		from, to := cur.span(scan)
		if bytes.Compare(from, to) >= 0 {
			continue
		}
		var err error
		cur.iter, err = i.snapshot.NewIterWithContext(v.ctx, &pebble.IterOptions{LowerBound: from, UpperBound: to})
		if err != nil {
			_ = i.Close()
			return nil, fmt.Errorf("cannot read the store: %w", err)
		}
		i.cursors.all = append(i.cursors.all, cur)
		if !cur.start(after) {
			if err := errors.Join(cur.broken, cur.iter.Error()); err != nil {
				_ = i.Close()
				return nil, fmt.Errorf("cannot read the store: %w", err)
			}
			i.cursors.drop(len(i.cursors.all) - 1)
		}
	}
	heap.Init(&i.cursors)
	return i, nil
}

// span bounds the keys of a scan. Values that share a cut key may lie on either
// side of a bound: they are in it, whether it is open or not.
func (cur *cursor) span(scan *IndexScan) (from, to []byte) {
	n := len(cur.prefix)
	prefix := cur.prefix[:n:n]
	from, to = prefix, successor(prefix)
	if scan.Low != nil {
		from = append(prefix, scan.Low...)
		if scan.LowOpen && !value.IsCut(scan.Low) {
			from = append(from, afterKeys)
		}
	}
	if scan.High != nil {
		to = append(prefix, scan.High...)
		if !scan.HighOpen || value.IsCut(scan.High) {
			to = append(to, afterKeys)
		}
	}
	if scan.Low != nil && bytes.Equal(scan.Low, scan.High) && !scan.LowOpen && !scan.HighOpen {
		// One value: its entries are in the order of their numbers.
		from = binary.BigEndian.AppendUint64(append(prefix, scan.Low...), cur.first)
		to = binary.BigEndian.AppendUint64(append(prefix, scan.Low...), cur.last+1)
	}
	return from, to
}

func (cur *cursor) start(after []byte) bool {
	var ok bool
	switch {
	case after == nil && cur.reverse:
		ok = cur.iter.Last()
	case after == nil:
		ok = cur.iter.First()
	case cur.reverse:
		ok = cur.iter.SeekLT(append(cur.prefix[:indexPrefix:indexPrefix], after...))
	default:
		ok = cur.iter.SeekGE(append(append(cur.prefix[:indexPrefix:indexPrefix], after...), 0))
	}
	return cur.settle(ok)
}

func (cur *cursor) next() bool {
	if cur.reverse {
		return cur.settle(cur.iter.Prev())
	}
	return cur.settle(cur.iter.Next())
}

// skipAfter is how many entries outside of the partition keys are walked over
// before a seek, which takes as long as some steps.
const skipAfter = 4

// settle goes on to an entry whose partition key is within bounds.
func (cur *cursor) settle(ok bool) bool {
	for missed := 0; ok; missed++ {
		key := cur.iter.Key()
		tail, epk, id, err := splitTail(key)
		start := tail - numberSize // of what follows the value
		if err == nil && start < indexPrefix {
			err = errKey
		}
		if err != nil {
			cur.broken = err
			return false
		}
		if bytes.Compare(epk, cur.low) >= 0 && bytes.Compare(epk, cur.high) < 0 {
			cur.rest, cur.epk, cur.id = key[indexPrefix:], epk, id
			return true
		}
		number := binary.BigEndian.Uint64(key[start:])
		below, above := number < cur.first, number > cur.last
		switch near := missed < skipAfter || !below && !above; {
		case near && cur.reverse:
			ok = cur.iter.Prev()
		case near:
			ok = cur.iter.Next()
		case cur.reverse && above:
			ok = cur.iter.SeekLT(binary.BigEndian.AppendUint64(bytes.Clone(key[:start]), cur.last+1))
		case cur.reverse:
			ok = cur.iter.SeekLT(bytes.Clone(key[:start]))
		case below:
			ok = cur.iter.SeekGE(binary.BigEndian.AppendUint64(bytes.Clone(key[:start]), cur.first))
		default:
			ok = cur.iter.SeekGE(append(bytes.Clone(key[:start]), afterKeys))
		}
	}
	return false
}

// cursors is a heap of those that are at an entry.
type cursors struct {
	all     []*cursor
	reverse bool
	err     error
}

func (c *cursors) Len() int { return len(c.all) }

func (c *cursors) Less(i, j int) bool {
	order := bytes.Compare(c.all[i].rest, c.all[j].rest)
	return order < 0 != c.reverse && order != 0
}

func (c *cursors) Swap(i, j int) { c.all[i], c.all[j] = c.all[j], c.all[i] }
func (c *cursors) Push(x any)    { c.all = append(c.all, x.(*cursor)) }

func (c *cursors) Pop() any {
	last := c.all[len(c.all)-1]
	c.all = c.all[:len(c.all)-1]
	return last
}

// drop closes a cursor that has come to its end.
func (c *cursors) drop(i int) {
	c.err = errors.Join(c.err, c.all[i].iter.Close())
	c.all = append(c.all[:i], c.all[i+1:]...)
}

func (i *indexIterator) Next() bool {
	for i.next() {
		i.letGo()
		if i.current != nil && !i.advance() || len(i.cursors.all) == 0 {
			i.current = nil
			return false
		}
		i.current = i.cursors.all[0]
		if i.id != nil && string(i.current.id) != *i.id {
			continue
		}
		if i.fetch() {
			return true
		}
	}
	return false
}

// advance moves the cursor that is foremost, and tells whether one is left.
func (i *indexIterator) advance() bool {
	if i.current.next() {
		heap.Fix(&i.cursors, 0)
		return true
	}
	err := errors.Join(i.current.broken, i.current.iter.Error())
	last := heap.Pop(&i.cursors).(*cursor)
	if err = errors.Join(err, last.iter.Close()); err != nil {
		i.err = fmt.Errorf("cannot read the store: %w", err)
		return false
	}
	return len(i.cursors.all) > 0
}

// fetch reads the item of the entry, and tells whether it is there.
func (i *indexIterator) fetch() bool {
	i.key = append(appendData(i.key[:0], i.c.number, kindItem), i.current.epk...)
	i.key = append(i.key, i.current.id...)
	i.key = append(i.key, byte(len(i.current.id)>>8), byte(len(i.current.id)), byte(len(i.current.epk)))
	v, closer, err := i.snapshot.Get(i.key)
	if err != nil {
		i.err = fmt.Errorf("cannot read the item %q that the index names: %w", i.current.id, err)
		return false
	}
	i.closer = closer
	var h head
	if h, i.item, i.err = splitItem(v); i.err != nil {
		return false
	}
	return !h.expired(i.set.record.DefaultTTL, i.seconds)
}

func (i *indexIterator) letGo() {
	if i.closer != nil {
		_ = i.closer.Close()
		i.closer, i.item = nil, nil
	}
}

func (i *indexIterator) Item() []byte { return i.item }

func (i *indexIterator) Position() []byte { return i.current.rest }

func (i *indexIterator) Close() error {
	if i.closed {
		return nil
	}
	i.closed = true
	i.letGo()
	err := i.cursors.err
	for _, cur := range i.cursors.all {
		err = errors.Join(err, cur.iter.Close())
	}
	err = errors.Join(err, i.snapshot.Close())
	i.c.s.release()
	return err
}
