// Package tsql executes T-SQL over tables in memory, for the TDS test server:
// tables with unique indexes, temporary tables and table variables, queries
// with joins and aggregates, INSERT, UPDATE, DELETE, MERGE, transactions that
// can be undone, application locks. It works on the syntax trees of a parser
// that others keep (sqlc-dev/teesql); what it does not know is an error that
// says so, never a made-up answer.
//
// Where to look:
//
//	engine.go, session.go    databases; the state of one connection
//	batch.go, control.go,    statements one by one, IF, WHILE, TRY; what an
//	failure.go               error ends
//	locks.go, transaction.go who may write; undoing
//	catalog.go, table.go     what there is; rows and indexes
//	define*.go               CREATE, ALTER, DROP
//	scope.go, expression*.go names and expressions, compiled to functions
//	function*.go
//	from.go, access.go       the rows of FROM, and how they are found
//	select*.go, group.go     SELECT
//	insert.go, update.go,    what changes rows
//	merge.go, output.go
//	procedure*.go            calls: sp_executesql, sp_getapplock, ours
//	views.go, json.go        sys.*, OPENJSON
//
// # Locks
//
// One transaction at a time writes to a database; it holds the database's lock
// until it ends. Statements that read share it for as long as they collect
// their rows, so that they see what is committed, or wait. Temporary tables
// need no lock.
package tsql
