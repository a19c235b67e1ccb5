// Package partition holds what Cosmos DB makes of partition keys: the key of an
// item or of a request, the effective partition key that it hashes to, and the
// ranges that the space of effective partition keys is split into.
package partition
