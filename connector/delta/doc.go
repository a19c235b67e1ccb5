// Package delta serves events from a Delta table, in a folder or in a storage
// account, and looks after Delta tables: it is a transactional store, a query
// engine over the table's files, and what `millrace delta` does.
//
// # Exactly once
//
// A write becomes one Parquet file, which is put in place first and belongs to
// nobody. A commit of the table's log then makes it a part of the table; in the
// same commit stand `txn` actions with the new positions of the log partitions
// that the rows came from. So rows and positions are there together, or not at
// all.
//
// For each partition of the log the table has two applications:
//
//	millrace/RUN/PARTITION        version = the next offset to read
//	millrace/RUN/PARTITION/epoch  version = how often it was claimed
//
// Claim raises the epochs by a commit. A write is decided on both, so that a
// commit of another worker for the same partition in between is a conflict: the
// writer looks again, and finds that it is fenced off, or, after an outcome that
// it did not learn, that its write is there.
//
// What holds: no row of a position below `version` is missing or there twice; a
// worker that lost a partition writes nothing more for it; a file that no commit
// names is seen by nobody, and VACUUM deletes it. An event that the log has
// twice is two positions, and thus two rows: a dedupe step before the store is
// what removes such copies.
//
// # Few files
//
// Writes of several goroutines share a commit, one in an interval (gate.go). The
// owner of the first partition merges small files in the background, those of
// about the same size with each other (compact.go); such commits only rearrange
// rows and get out of the way of others. Old files go with VACUUM, which somebody
// must ask for.
package delta
