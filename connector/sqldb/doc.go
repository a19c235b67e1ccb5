// Package sqldb serves events from a table of an SQL database. It is a
// transactional store: the rows and the input positions they come from are
// written in one transaction, and the positions are compared before they are
// set, so that a worker that lost its partitions cannot write. Rows are
// keyed by eventId and inserted only if absent, so that an event which the
// log holds twice is served once. SQL Server's key is (partitionId, eventId):
// the repetitions of an event are in one partition, because they have one
// device.
//
// # Tables
//
// The table of events (`events` unless configured) has the columns
//
//	eventId deviceId deviceSequenceNumber type value complexData
//	createdAt enqueuedAt processedAt storedAt partitionId logOffset extra
//
// and beside it stands a small table (`events_positions`) with one row per
// partition: who owns it, by which epoch, and the position up to which its
// events are in the table.
//
// Names are never quoted, and may only hold letters, digits and underscores.
// So `SELECT deviceId, avg(value) FROM events GROUP BY deviceId` works in every
// dialect: DuckDB compares names without regard to case and shows them as they
// were created; PostgreSQL folds them to lower case, where result columns
// come back as deviceid; in SQL Server the collation of the database decides,
// and the usual ones take any case.
//
// Times are in UTC with microseconds: timestamptz in PostgreSQL, timestamp in
// DuckDB (whose timestamptz needs a time zone extension for every cast),
// datetime2(6) in SQL Server. complexData and extra are JSON texts: `json` in
// PostgreSQL, varchar in DuckDB, whose JSON functions take either, nvarchar in
// SQL Server. extra holds, as one object, the
// members that have no column of their own and the exact text of those that a
// column cannot give back; it is NULL for the standard event.
//
// # Dialects
//
// A dialect (dialect.go) knows one database: its statements (the folder sql/),
// its bulk load, its errors. SQL Server's has a second form, for dedicated SQL
// pools (warehouse.go). Everything else is shared: what a Write has to
// hold, fencing, what to do after an unknown outcome, finding the rows that a
// database refuses, rebuilding events for verification.
package sqldb
