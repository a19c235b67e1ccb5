// Package udf runs the JavaScript functions (udf.name) and aggregates
// (uda.name) of a query.
//
// # From file to call
//
// Load compiles source files into a Library, which is immutable, safe for
// concurrent use and knows the names: that is what a query is checked against.
// A task that runs the query takes a Runtime of the library; a Runtime and
// everything got from it belong to one goroutine at a time.
//
// A function is found by its JavaScript name. A file that defines main, as the
// service's editor writes it, also offers it under the name of the file:
// hex2Int.js with function main(x) is udf.hex2Int. Each file is a world of its
// own, so two files may use the same names for their helpers.
//
// # Types
//
//	query      JavaScript          JavaScript            query
//	bigint     Number              Number, whole         bigint
//	float      Number              Number, otherwise     float (NaN and ∞ too)
//	nvarchar   String              String                nvarchar
//	datetime   Date (ms)           Date                  datetime
//	bit        Boolean             Boolean               bit; bigint below level 1.2
//	record     Object, lazily      Object                record
//	array      Array, lazily       Array                 array
//	NULL       null                null, undefined       NULL
//
// Whole means whole and within 64 bits. A BigInt within 64 bits is a bigint as
// well, so that exact large integers can be returned. A Date that holds no
// time is NULL. Anything else (a function, an Error, a Map, a Promise) is an
// error. A record or array that a function returns as it came, or as part of
// what it returns, keeps its bytes.
//
// # What JavaScript sees
//
// The standard objects and nothing else: no input or output, no console, no
// timers. The clock is the time that SetTime gave, and Math.random is drawn
// from a generator seeded by that time, so that events which are processed
// again give the same results; the service warns of both instead. Time zones
// do not exist: local time is UTC.
//
// # Limits
//
// A call that runs longer than Options.TimeLimit, nests deeper than
// Options.MaxDepth calls or lets the heap grow by more than
// Options.MemoryLimit ends with an error. Time and memory are looked at
// between two instructions of the script, by a watcher that exists only while
// functions are being called: a single built-in call (one regular expression
// with look-ahead, one sort) is not cut short. A script is as trusted as the
// query that uses it; the limits are there for mistakes.
package udf
