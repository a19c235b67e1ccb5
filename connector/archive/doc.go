// Package archive reads what Event Hubs Capture wrote: Avro files in a folder,
// in Azure Blob storage or in Data Lake Storage Gen2, one per partition and
// window. It is a store that nobody but the service writes; it answers SQL over
// the files, gives each event once, or every record as it is.
//
// # What counts as a record, an event, a copy
//
// A record is one entry of the archive, whatever its body. An event is a
// record whose body record.Event can decode. The archive keeps what the log
// has, copies included: records with the same eventId are copies of one event,
// and the first, in the order of partitions and of sequence numbers, stands for
// it. Bodies that are not events stay in the raw archive; they break no query
// and no scan, are left out where events are asked for, and counted.
//
// # Times
//
// storedAt is when the storage says that a file was last modified: the moment
// from which its records can be read. Services tell whole seconds; such a time
// is read as the end of its second, so that an event is never stored before it
// was created. EnqueuedTimeUtc in the files has whole seconds, too, cut off.
// There is no processedAt, since nothing lies between the log and the file.
package archive
