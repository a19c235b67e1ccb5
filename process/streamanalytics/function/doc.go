// Package function holds the built-in functions of the Stream Analytics query
// language: the scalar functions and the aggregates, found by name.
//
// A scalar function is compiled once per call in a query ([Scalar.Compile]):
// time units, constant patterns and the compatibility level are taken in then,
// so that a row costs no look-up. The result is a plain function over values.
//
// An aggregate makes a [State] per group. States take rows, merge, give rows
// back ([Remover]), and can be written to and read from a snapshot.
//
// # Rules for NULL
//
// A scalar function that gets NULL for any argument returns NULL, except where
// the documentation says otherwise: CONCAT and CONCAT_WS take NULL as nothing,
// COALESCE and NULLIF are about NULL, GetType names it.
// Aggregates leave NULL out, except COUNT(*), the keys of ORDER BY (NULL is
// lowest), and the values of TopOne and CollectTop.
//
// # Conversions
//
// Where a number is wanted, a text that reads as one will do, and a bit; where a
// text is wanted, numbers, bits and datetimes are written as CAST writes them;
// where a datetime is wanted, a text of ISO 8601 will do; where a bigint is
// wanted, the fraction of a float is cut off. All else is an error that names
// the function and the value. The functions of arrays and records return NULL
// for values of other kinds instead, as a field of what is no record is NULL.
//
// # Choices where the documentation leaves room
//
//   - A character is a code point, so no function ever cuts one in two.
//   - CHARINDEX, REPLACE and TRANSLATE look for the letters as they are;
//     PATINDEX ignores case as LIKE does, REGEXMATCH as documented.
//   - CEILING, FLOOR, SIGN, ABS, ROUND and POWER return a bigint for a bigint,
//     as documented: POWER(2, 0.5) is 1. Results that do not fit are errors.
//   - ROUND works on the float times a power of ten, so the digits that a float
//     does not have may show: ROUND(1.005, 2) is 1.
//   - Weeks begin on Sunday, week 1 is the one with January 1; names of months
//     and weekdays are English. DATEDIFF counts boundaries, DATEADD keeps to the
//     last day of a shorter month. Times are of the years 1 to 9999.
//   - STUFF before the first character works at the first one, behind the last
//     one it returns an empty text (T-SQL has NULL for both).
//   - AVG returns a float for bigints too: the documentation gives it the type
//     of its argument, but a column without a declared type is a float to the
//     service, so that 1 and 2 have the average 1.5.
//   - SUM of bigints is summed in 128 bits: only the result can overflow.
//   - MIN and MAX read texts as numbers if they are ones, as documented, and
//     compare them as texts otherwise, where the service stops.
//   - VAR and STDEV of one number are NULL, VARP and STDEVP are 0, as in T-SQL.
//   - Collect is in the order of time; of rows with equal keys TopOne and
//     CollectTop take the earlier first.
//   - No function makes more than 64 MB of one row, and one match of a regular
//     expression that can not be done in linear time takes 2 seconds at most.
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
