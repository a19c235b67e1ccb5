// Package value holds the values and types of T-SQL as the TDS test server
// keeps them: what the wire (package tds) reads and writes, and what the
// statements (package tsql) compute with.
package value
