// Package exec runs the plan of a query over events.
//
// A [Task] is the plan made executable: a graph of operators, each of which is
// handed rows and hands on rows. Expressions are compiled once into closures
// over the slots of a row. Nothing runs beside the caller: rows come out
// (Options.OnRow) while an event goes in (Task.Push).
//
// # Time
//
// Every edge of the graph carries rows and, between them, watermarks: a
// watermark t promises that no row with a time before t follows. A window
// includes its end, so it is closed by the first watermark that is past it.
// Sources take their watermarks from package timing. An operator that is fed by
// several others, or that gives out rows out of order (a join), promises the
// least of what it knows; operators for which the order of rows matters (LAG,
// MATCH_RECOGNIZE, sessions, ...) then get a buffer in front that sorts by time.
// Rows with the same time stay in the order in which they came.
//
// # The order of results
//
// Results depend on the sequence of events only: neither on how the caller
// batches them nor on whether the state was saved and restored in between.
// Rows of windows come by the end of the window, then in the order in which
// their groups first appeared in it.
//
// # Decisions where the service's documentation is silent
//
//   - LIMIT DURATION of analytic functions, of aggregates without a window and
//     of LAST reaches back like a window: (t - limit, t], so that what happened
//     exactly limit ago no longer counts.
//   - The time of a LEFT JOIN's row without a partner is the one by which its
//     partner would have had to come: that of the left row and the upper bound
//     of DATEDIFF.
//   - A row that is provisional (Options.EmitEarly) reaches outputs through
//     filters, projections, unions and reference joins only: what keeps state
//     (a second aggregate, a stream join) waits for the final row.
//   - EmitEarly's period counts in the time of events, so that results do not
//     depend on the clock.
//   - MATCH_RECOGNIZE repeats as often as possible and prefers the first
//     alternative, like a regular expression; a match is given out when no
//     preferred one can follow any more.
//
// # State
//
// Task.AppendState writes all state of a task, Task.ReadState takes it up again.
// The state begins with a version and a hash of the plan: that of another query
// is refused. Values are copied only when they are kept beyond their event.
package exec
