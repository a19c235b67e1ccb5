// Package function holds the built-in functions of the Stream Analytics query
// language: the scalar functions and the aggregates, found by name.
//
// A scalar function is compiled once per call in a query ([Scalar.Compile]):
// time units, constant patterns and the compatibility level are taken in then,
// so that a row costs no look-up. The result is a plain function over values.
//
// An aggregate makes a [State] per group. States take rows, merge, and can be
// written to and read from a snapshot.
//
// # Rules for NULL
//
// A scalar function that gets NULL for any argument returns NULL, except where
// the documentation says otherwise: CONCAT and CONCAT_WS take NULL as nothing,
// COALESCE and NULLIF are about NULL, GetType tells it apart.
// Aggregates leave NULL out, except COUNT(*) and the functions that collect
// whole events.
//
// # Sums of floats
//
// SUM, AVG, VAR, VARP, STDEV and STDEVP keep the exact sum of their floats (as
// a short list of floats that do not overlap) and round once, when the result
// is asked for. So the result depends on the set of values only: not on their
// order, not on how groups were merged, not on what had been removed before.
// Sums in the order of arrival, as the service computes them, differ from it
// in the last digits.
//
// # Lifetimes
//
// Results of scalar functions may be views of their arguments (SUBSTRING, LEFT,
// TRIM, GetArrayElement): they live as long as these, unless cloned. States own
// what they keep.
package function
