// Package store keeps the databases, containers and items of the Cosmos DB
// stand-in durably, on an embedded key-value store.
package store

// Access says which items of a container to read, and in which order. The zero
// value is all of them, in the order of their effective partition keys and ids.
type Access struct {
	// Low and High bound the effective partition key, Low included, High
	// not, as upper-case hexadecimal text; empty High is the end ("FF").
	Low, High string
	// ID, if not nil, asks for the items with this id only.
	ID *string
	// Index reads in the order of an index and is nil for the items' own
	// order.
	Index *IndexScan
	// After resumes behind the item that an Iterator gave this Position
	// for, in a read with the same other fields. It need not exist any more.
	After []byte
}

// IndexScan reads items by the values that they have at an indexed path: those
// without the path come first, as undefined, if Low allows it and the index has
// them (see Container.IndexesUndefined: those of paths that are indexed by /*
// have not). Items whose path leads through an array are given once per value.
// Items with the same value are in the order of their numbers, those that clients
// read out of a _rid: bytes 8 to 15, the first the lowest.
//
// Of values longer than value.MaxKeyText an index knows the beginning. Values
// that begin alike share a place in it: a scan gives all of them if it gives
// one, even at an open bound, and in no particular order. Who reads compares the
// item's own value.
type IndexScan struct {
	// Path is as in an indexing policy, without the final /?: "/type",
	// "/a/b", "/tags/[]".
	Path string
	// Low and High are values in the index's own form (value.AppendKey), or
	// of value.KindKeys and value.PrefixKeys; nil is no bound. An open bound
	// must be a whole value's.
	Low, High         []byte
	LowOpen, HighOpen bool
	Reverse           bool
}

// Iterator walks over items. It is not safe for concurrent use, sees the
// container as it was when it was opened, and must be closed.
type Iterator interface {
	// Next goes to the next item and tells whether there is one.
	Next() bool
	// Item is the item's JSON, system properties included, valid until the
	// next call of Next.
	Item() []byte
	// Position is what Access.After resumes from, valid until the next call
	// of Next.
	Position() []byte
	Err() error
	Close() error
}
