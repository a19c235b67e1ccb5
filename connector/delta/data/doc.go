// Package data writes and reads the Parquet files of Delta tables.
//
// An EventWriter encodes results as rows of the table of events (EventSchema)
// and takes the statistics that go into the table's log. ReadEvents takes the
// rows back as record.Stored. Open reads the files of any Delta table, whoever
// wrote them, in the columns that the table's schema says; Rewrite copies the
// rows of several of them into larger ones.
//
// Files are read through the library parquet-go. They are written by this
// package, with that library's structures: values go straight into the pages of
// their columns, with no rows in between, and the smallest and the largest ones
// are found on the way. It knows nothing of a table's log: plain Parquet files
// are written by the same code.
//
// # The table of events
//
//	eventId string, deviceId string, deviceSequenceNumber long, type string,
//	value double, complexData struct<moreData0 .. moreData22 double>,
//	createdAt, enqueuedAt, processedAt, storedAt timestamp,
//	partitionId integer, logOffset long, extra string
//
// Times have microseconds, in UTC. extra holds, as one JSON object, the members
// that have no column and the exact text of those whose column cannot give it
// back, such as a complexData of another shape; it is null for the standard
// event. Chosen members can have columns of their own, after these.
package data
