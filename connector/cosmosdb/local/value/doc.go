// Package value is JSON as the query language and the index of Cosmos DB see
// it: seven kinds of values with undefined as one of them, an order over all
// of them, equality by depth, and editing of documents in place.
//
// A Value that came from a document is a view of the document's bytes. Looking
// at one member walks over the others without decoding them and allocates
// nothing. That has a price: a document's bytes must not change as long as a
// Value, or a string taken from one, is in use. Clone gives a Value that stands
// on its own.
//
// Values are immutable and safe for concurrent use.
package value
