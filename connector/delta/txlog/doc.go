// Package txlog is the transaction log of Delta tables: which files a table
// consists of at each of its versions, and how the next version comes about.
//
// A table is a folder of a blob.Bucket. Its log is the folder _delta_log, where
// version N is the object N.json (20 digits), created only if it is absent:
// that is what makes a commit atomic and lets any number of writers, of this
// program and others, share a table. Checkpoints are the whole state at a
// version as one Parquet file, so that readers need not start at version 0.
//
// What must hold:
//
//   - A log object is never replaced. Who loses the race for a version reads
//     what the winner did, and tries the next one unless the two conflict.
//   - A snapshot is exactly the state at its version, or an error: gaps, torn
//     objects and features that are not known are errors that name the object.
//   - Whether a commit took place is decided by the log alone: after an unclear
//     answer the version is read back and its txnId compared.
//
// Any writer that creates versions in the same way can share a table with this
// one: delta-rs does so everywhere, Spark in storage accounts. In a folder Spark
// looks whether a version is there and then renames over it, which is safe only
// as long as all writers are in its own process: there it must not write to a
// table at the same time as others.
//
// The files with rows are read and written elsewhere; nothing here opens them.
package txlog
