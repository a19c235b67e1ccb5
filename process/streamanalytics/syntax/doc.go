// Package syntax reads and writes the text of Stream Analytics queries.
//
// [Parse] turns a text into a [Script], the tree of its statements, and a list
// of [Diagnostic]s; [Print] turns a tree back into text of one canonical form
// with the author's comments kept. The package knows the grammar only: what a
// name refers to, whether a function exists and what type an expression has is
// not decided here.
//
// Choices where the public documentation leaves room:
//   - Keywords, time units and type names ignore case. Names keep their
//     spelling; how they are compared is the caller's business.
//   - A name may be plain (letters, digits, _ @ # $), in brackets ([my name],
//     ]] for a bracket) or in double quotes ("my name", "" for a quote).
//     [Ident.Quote] tells the last form apart, because some documented examples
//     use it for texts.
//   - Words that only mean something in one place (TIMESTAMP, PARTITION, LIMIT,
//     DURATION, PATTERN and so on) are no reserved words: a column may have
//     such a name.
//   - Operators bind as in T-SQL: ~ and signs; * / %; + - & ^ |; comparisons,
//     BETWEEN, IN, LIKE and IS NULL; NOT; AND; OR.
//   - The clauses that follow an input (its alias, PARTITION BY, TIMESTAMP BY)
//     and those inside OVER and MATCH_RECOGNIZE are read in any order and
//     written in the documented one.
//
// Texts are untrusted: the parser never panics, the depth of nesting is bounded
// (a query nested deeper gets a diagnostic) and so is the length of a text.
// All functions are safe for concurrent use; a tree is not to be changed while
// others read it.
package syntax
