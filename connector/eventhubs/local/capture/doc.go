// Package capture is the Capture service of Event Hubs: it archives the events
// of hubs, without a consumer group and outside every quota, as Avro files in
// blob storage or in a folder. Each file holds the events of one partition and
// one window; a window ends after an interval or with a size, whichever comes
// first.
//
// Life of a file: partition.go reads the partition and decides where a window
// ends, avro.go encodes events into a file beside the service's state (spill.go),
// window.go puts the finished file into the bucket under the name that format.go
// makes, and state.go remembers how far the archive reaches. service.go starts
// and stops all that as hubs come, go and change.
//
// Every event from the start of the archive on is in exactly one file, also when
// the process is killed at any moment:
//
//   - What a file will hold, its name and the hash of its bytes are written down
//     before it is put into the bucket, which never replaces an object.
//   - After a restart, an object of that name with that hash means that the file
//     was put; otherwise it is made again from the log. Names, bytes and even the
//     sync marker follow from positions, so that it is the same file.
//   - The archive's next position moves only when the file is there.
//
// While the storage does not answer, events wait in the log, and what is older
// than the hub's retention by then is lost: that is said in the service's log.
//
// What the service itself allows is narrower: intervals of 60 s to 15 min, sizes
// of 10 MiB to 500 MiB. Here a second and a mebibyte will do, for tests and
// demonstrations.
package capture
