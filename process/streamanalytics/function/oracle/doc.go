// Package oracle compares the functions and aggregates of the Stream Analytics
// language with those of DuckDB, where both mean the same. It has tests only:
// they are apart so that the functions' own tests need no database.
package oracle
