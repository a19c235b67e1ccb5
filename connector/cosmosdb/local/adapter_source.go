package local

import (
	"context"
	"encoding/binary"

	"millrace/connector/cosmosdb/local/store"
	"millrace/connector/cosmosdb/local/value"
)

// memorySource is items in memory as a source of queries: the resources of a
// feed, or the one item that a condition is about.
type memorySource [][]byte

// Open implements query.Source. There are no partition keys among the items, so
// the bounds of an access mean nothing.
func (m memorySource) Open(_ context.Context, a store.Access) (store.Iterator, error) {
	it := &memoryIterator{items: m, id: a.ID, at: -1}
	if len(a.After) == 8 {
		it.at = int(min(binary.BigEndian.Uint64(a.After), uint64(len(m))))
	}
	return it, nil
}

// Indexed implements query.Source: nothing is.
func (memorySource) Indexed(string) bool { return false }

type memoryIterator struct {
	items    [][]byte
	id       *string
	at       int
	position [8]byte
}

func (it *memoryIterator) Next() bool {
	for it.at+1 < len(it.items) {
		it.at++
		if it.id == nil {
			return true
		}
		if id, ok := value.Trusted(it.items[it.at]).Get("id").AsString(); ok && id == *it.id {
			return true
		}
	}
	return false
}

func (it *memoryIterator) Item() []byte { return it.items[it.at] }

func (it *memoryIterator) Position() []byte {
	binary.BigEndian.PutUint64(it.position[:], uint64(it.at))
	return it.position[:]
}

func (it *memoryIterator) Err() error   { return nil }
func (it *memoryIterator) Close() error { return nil }
