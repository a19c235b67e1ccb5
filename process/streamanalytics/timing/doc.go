// Package timing gives the events of a stream their time and their order. It
// holds the time policies of Stream Analytics (arrival or application time,
// late, early and out-of-order events), the watermarks of partitions and of
// substreams, the rule about where a job starts to read, and the arithmetic of
// windows. It knows nothing of what an event is.
//
// All times and durations are ticks: 100 ns units, times since the Unix epoch
// in UTC.
//
// # The rules
//
// An event has an arrival time, set by the input's broker, and, where the query
// says TIMESTAMP BY, an event time. Push takes these steps, in this order:
//
//  1. The partition's arrival clock moves to the arrival time. It never goes
//     back. Nothing that arrives from now on can keep a time that is older than
//     the clock less the late tolerance, so the watermark is at least that.
//  2. Without TIMESTAMP BY the event's time is its arrival time and the policies
//     do not apply.
//  3. More than five minutes ahead of its arrival: early, dropped.
//  4. Behind its arrival by more than the late tolerance: late. Its time becomes
//     arrival less tolerance, or it is dropped.
//  5. Below the watermark of its timeline: out of order. Its time becomes the
//     watermark, or it is dropped.
//  6. The watermark rises to the event's time less the out-of-order tolerance,
//     what it passed is emitted in order of time, and the event itself is
//     emitted or waits.
//
// Idle is step 1 alone. So whatever Idle does at arrival time A is what the next
// Push with an arrival time of A or later would have done first, and reading the
// input again without the idle ticks gives the same times in the same order. An
// estimate of the arrival time must therefore not run ahead of the broker; the
// late tolerance is the allowance for that where arrival time is the event's
// time.
//
// A timeline is a partition, or, with TIMESTAMP BY ... OVER, one key of a
// partition. Timelines of partitions are merged: an event is emitted when all
// partitions are past its time. Whether an event is out of order depends on its
// own timeline only, and the merge orders by time, partition and arrival, so
// that the result does not depend on how reading interleaves partitions.
// Substreams are not merged; each is in order by itself.
//
// # Watermarks and windows
//
// A watermark says that no event with an earlier time will be emitted any more.
// Events with exactly that time may still come, so a window that includes its
// end is complete when the watermark is past the end: see [Complete].
package timing
