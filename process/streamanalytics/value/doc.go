// Package value is the value model of the Stream Analytics language: what a
// column holds while a query runs, how it is read from JSON and written to it,
// how it compares, adds up, is cast, grouped by and kept in the state.
//
// A Value is a small struct that is copied. Text, records and arrays of an
// event are views of the event's bytes; whoever keeps a value longer than the
// event clones it. Records and arrays stay JSON text until something is asked
// of them, and pass to the output byte for byte.
//
// # What the public documentation leaves open
//
// The documentation of the service says what most of this package does. Where
// it does not, this is what was decided, and why.
//
// Case of strings. The operators, IN, CASE, LIKE, GROUP BY, DISTINCT, JOIN and
// PARTITION BY ignore it: 'Start' = 'start'. The language is a subset of T-SQL,
// whose usual collation does so; the documented pattern for the duration
// between events finds the type Start by 'start'; REGEXMATCH is documented to
// ignore case. Letters are the same as Unicode's simple case folding has it;
// accents, widths and blanks at the end do count. Of several spellings, a group
// or a minimum shows one. No operator minds case. One constant, ignoreCase,
// decides.
//
// Kinds in comparisons. Bigint, float and bit compare as numbers, and exactly:
// a bigint beyond 2^53 is not rounded to a float first. A string compares with
// a datetime if it is the text of one. Everything else is Unknown, a string
// with a number above all (the documentation says that 1.0 and "1" may not
// match), and so are records, arrays, NULL and NaN. GROUP BY, which has no
// Unknown, takes NULL as a group, 1 and 1.0 as one, a string and a datetime
// never as one, and compares records and arrays part by part.
//
// Arithmetic. Division of bigints is cut towards 0 and the remainder has the
// sign of the dividend, as in T-SQL. With a float on one side the result is a
// float. A bit counts as a bigint, for it is one below compatibility level 1.2.
// Overflow, of floats as well, and division by zero are errors. + joins
// strings; a string and a number have no sum, for silent casts are what the
// documentation warns of. The bitwise operators take bigint and bit only.
//
// Casts. NULL stays NULL. A record or array is cast to itself and to a string
// only. All else:
//
//	from      to bigint        to float   to nvarchar(max)    to datetime  to bit
//	bigint    -                yes        digits              error        not 0
//	float     cut towards 0 *  -          5, 1.25, 1E+21      error        not 0.0
//	string    whole number *   number *   -                   ISO 8601 *   true, false, null, number
//	datetime  error            error      2026-01-02T03:04…Z  -            error
//	bit       0, 1             0.0, 1.0   true, false         error        -
//	record    error            error      its JSON            error        error
//	array     error            error      its JSON            error        error
//
// An asterisk is an error if it does not fit or is not one. White space around
// text is ignored. NaN and Infinity are no numbers as text: the documentation's
// article on validating input has TRY_CAST make NULL of "NaN". The text of a
// bit is that of its CSV output, its text null is that of the CSV input.
//
// Datetime. Any ISO 8601 form of a calendar date and time (see ParseTime), UTC
// without an offset. Week and ordinal dates, and forms that depend on a
// country, are not read. Written it always has seven decimals and a Z.
//
// Floats in JSON. A float keeps a fraction, 5.0, as in the documented results
// of ROUND and CreatePoint, so that who reads it finds a float again. From 1E15
// on and below 0.0001 there is an exponent, 1E+15, as .NET writes it; JSON
// allows that form. NaN and the infinities, which can come from Avro and
// Parquet, are the strings "NaN", "Infinity" and "-Infinity": JSON has no
// numbers for them, and null would hide them.
//
// # Reading events
//
// JSON must be RFC 8259 in UTF-8, nested at most MaxDepth deep. A number with
// neither fraction nor exponent is a bigint; anywhere in the event, one that
// has not 64 bits, and a float beyond 1.79E+308, is an input error. At Level11
// and Level10 a boolean is the bigint 1 or 0. At Level10 the names are in lower
// case, two that are then the same are an input error, and strings that are a
// date, a T and a time are datetimes.
//
// A name finds the last field that is spelled exactly so, else the last that
// is the same with case ignored.
package value
