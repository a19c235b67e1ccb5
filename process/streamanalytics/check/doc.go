// Package check resolves the names of a query, checks the rules of the language
// and makes the plan that package exec runs.
//
// [Check] reports everything that is wrong with a query at once, in the order
// of the text, each thing once. [Explain] and [ExplainJSON] show a plan to
// people: its steps, the keys of their states, and why it can or can not run
// once per partition.
//
// # Columns on demand
//
// What columns an input has is not known, unless CREATE TABLE or
// [Input.Columns] says so. A column comes into being where the query uses it:
// a reference to an input asks its Source for a field, one to a step that
// selects * asks for a hidden column of that step, and so on down to the input.
// So a Source holds the members that are used, and no others are read.
//
// # Decisions where the public documentation leaves room
//
//   - A name of one part that is the alias of an input stands for its whole
//     row as a record; in DATEDIFF and the like for the row's time.
//   - Columns with the same name in one SELECT: what stands further left wins,
//     as it is documented for *; two that are both written out are an error.
//   - A column without a name of its own is called as its expression ends
//     (a.b.c is c), a call like its function in lower letters (COUNT(*) is
//     count), anything else column1, column2 and so on by its place. Where
//     such a name is taken already, a number is put behind it.
//   - A condition is no value and a text is no condition; a column, a bit and
//     a number may stand where a condition is wanted.
//   - An analytic function looks at the rows of one input, before a JOIN; one
//     that names elements of an APPLY or reference data, at the rows with them.
//   - SELECT * of an input with CREATE TABLE has the declared columns and no
//     others; of a JOIN with reference data it has all columns of both sides.
//   - What an event holds under the name of a system column (PartitionId and so
//     on) comes before what the service says: files have them as members.
//   - A session without MaxDuration has the longest one of all windows, 7 days.
//   - PARTITION BY of an input is added to the keys of its aggregates, analytic
//     functions and patterns, as each partition is worked on by itself.
//   - Operators and functions over constants are computed at once; what fails
//     then is an error of the query.
//   - Steps that nothing reads are checked and then left out.
package check
