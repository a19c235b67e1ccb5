// Package files serves events from plain files, Parquet or JSON lines, in a
// folder or a storage account. Whoever reads all files of the folder
//
//	read_parquet('PATH/**/*.parquet')
//	read_json('PATH/**/*.jsonl')
//
// finds each event exactly once: there is no log or list of files beside them
// that would have to be read first, and no file is ever replaced.
//
// # Names
//
// The files of a partition of the log are a chain. A file is named by the
// position that it starts at, and says itself which position it ends at: the
// one named N holds everything that came of the inputs from N up to, and
// without, its end, and the next file is named by that end.
//
//	PATH/partition=3/00000000000000000000.parquet     ends at 5120
//	PATH/partition=3/00000000000000005120.parquet     ends at 9984
//
// The first file of a chain is named 0, wherever the log begins. The end is in
// the metadata of a Parquet file; with JSON lines it follows from the last line:
// it is one behind its logOffset, or its nextOffset if inputs follow of which
// nothing came.
//
// # Exactly once
//
// A file appears whole or not at all, and only if there is none of its name
// (put-if-absent). So rows and position change together, and the name is the
// lock: whoever appends to a chain does so at its end, and of all who take the
// same position for the end only one gets its way. A writer that was paused and
// does not know that others have gone on takes a former end for the end, and
// finds that file there: it is refused, and has to claim the partition anew,
// which reads the position. This holds whoever believes to own the partition;
// owner.json (see below) only tells a former owner earlier, before it writes,
// and lets it fail on moves that write no file.
//
// That a file is there may also mean that this very write had been made and its
// answer was lost. Results follow from inputs, so a file that ends where the
// write would have ended is that write.
//
// A write over several partitions is a file for each. If it fails between them,
// it has happened for some; repeated, it skips those.
//
// # What else is there
//
// In PATH/_millrace, where readers of tables do not look:
//
//	format.json                    what the files are: all have one format, or the
//	                               names would not collide
//	partition=3/owner.json         the claim that is the last one
//	partition=3/position.json      inputs behind the last file that nothing came
//	                               of, and where looking for the end can start
//
// position.json only saves work, and is never wrong, however late it is written:
// it says of inputs that they have been dealt with. What it does not know is
// read from the log again, and nothing comes of it again.
package files
