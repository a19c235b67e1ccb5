package store

import (
	"bytes"
	"encoding/binary"
	"testing"

	"millrace/connector/cosmosdb/local/value"

	"github.com/cockroachdb/pebble/v2"
)

// checkConsistent reads every key of a container and wants index entries, unique
// keys, change feed, expiry and counters to be just what the items make.
func checkConsistent(t testing.TB, c *Container) {
	t.Helper()
	c.s.upkeep.Lock() // nothing is purged meanwhile
	defer c.s.upkeep.Unlock()
	want := map[string][]byte{}
	got := map[string][]byte{}
	set := c.settings.Load()
	low, high := containerSpan(c.number)
	iter, err := c.s.db.NewIter(&pebble.IterOptions{LowerBound: low, UpperBound: high})
	if err != nil {
		t.Fatal(err)
	}
	defer iter.Close()
	items, size, last := make([]int64, len(c.ranges)), make([]int64, len(c.ranges)), make([]int64, len(c.ranges))
	for iter.First(); iter.Valid(); iter.Next() {
		key, v := bytes.Clone(iter.Key()), bytes.Clone(iter.Value())
		if key[dataPrefix-1] != kindItem {
			got[string(key)] = v
			continue
		}
		_, epkBytes, idBytes, err := splitTail(key[dataPrefix:])
		if err != nil {
			t.Fatal(err)
		}
		h, body, err := splitItem(v)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := value.Parse(body); err != nil {
			t.Fatalf("%s: %v", body, err)
		}
		epk, id := string(epkBytes), string(idBytes)
		n := c.rangeAt(epk)
		items[n]++
		size[n] += int64(len(body))
		last[n] = max(last[n], h.lsn)
		if int(h.number) != n {
			t.Errorf("item %s is of range %d, not %d", id, n, h.number)
		}
		for k, v := range keysOf(c, set, n, epk, id, &h, body) {
			want[k] = v
		}
	}
	for n, r := range c.ranges {
		key := string(appendRange(nil, c.number, kindRange, n))
		lsn, i, b, err := splitRangeValue(got[key])
		delete(got, key)
		if r.items == 0 && err != nil {
			continue // nothing was ever written
		}
		if err != nil || i != items[n] || b != size[n] || lsn < last[n] || r.lsn != lsn {
			t.Errorf("range %d: LSN %d (in memory %d), %d items, %d bytes (%v), want %d, %d, %d", n, lsn, r.lsn, i, b, err, last[n], items[n], size[n])
		}
		if shown, bytes := c.Count(n); shown != items[n] || bytes != size[n] {
			t.Errorf("range %d shows %d items of %d bytes, has %d of %d", n, shown, bytes, items[n], size[n])
		}
	}
	for k, v := range want {
		if other, ok := got[k]; !ok || !bytes.Equal(other, v) {
			t.Errorf("key %q: %q, want %q", k, other, v)
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("key %q should not be there", k)
		}
	}
}

// keysOf makes the keys that an item should have besides its own.
func keysOf(c *Container, set *settings, n int, epk, id string, h *head, body []byte) map[string][]byte {
	var x extract
	f := x.scanBody(set.shape, body)
	keys := map[string][]byte{
		string(appendIndexKey(nil, c.number, n, appendIDTerm(nil, id), h.doc, epk, id)):               {},
		string(binary.BigEndian.AppendUint64(appendRange(nil, c.number, kindFeed, n), uint64(h.lsn))): appendFeedValue(nil, h.seconds, epk, id),
	}
	for _, term := range x.terms[f.terms.from:f.terms.to] {
		keys[string(appendIndexKey(nil, c.number, n, x.bytes(term), h.doc, epk, id))] = []byte{}
	}
	for i, hash := range x.hash[f.unique.from:f.unique.to] {
		keys[string(appendUniqueKey(nil, c.number, epk, i, hash))] = []byte(id)
	}
	if h.ttl > 0 {
		keys[string(appendTTLKey(nil, c.number, n, expiry(h), epk, id))] = []byte{}
	}
	return keys
}
