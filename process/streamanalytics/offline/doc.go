// Package offline runs queries over files: for the authors of queries, and for
// the cases that say what the engine does.
//
// # Conventions
//
// Each output becomes one file of JSON lines, named after it, also if it stays
// empty. A query without INTO has the output "output". Columns are named as the
// query spells them. Records and arrays are nested JSON, datetimes ISO 8601 in
// UTC with seven digits of a second.
//
// Without [Options].Arrival an event arrives at its own time (TIMESTAMP BY), so
// that events come in the order of their times and none is early, late or out
// of order. With FILE-ORDER they arrive as the files have them, each at the
// latest event time so far of its file. With the name of a field they arrive at
// the time in that field, in its order.
//
// An event of an input without TIMESTAMP BY has its arrival time: that of the
// field, else its EventEnqueuedUtcTime, else the time at which the run began,
// the same for all events.
//
// Several inputs are merged by arrival. Several files of one input are its
// partitions, 0, 1, 2 and so on; an event with a member PartitionId that is a
// small whole number belongs to that partition.
//
// The end of the input closes all windows and the ranges of LEFT JOINs.
package offline
