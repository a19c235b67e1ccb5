// Package local is a small TDS server for tests: official drivers log in to
// it, and the T-SQL that they send is executed over tables in memory. It is
// not SQL Server; README.md says what it judges and what it does not.
//
// Packages: tds speaks the protocol, tsql executes statements, value holds the
// values that both know. This package puts them together (server.go,
// session.go) and lets tests make things go wrong (faults.go).
package local
