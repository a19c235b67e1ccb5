// Package offline runs queries over files: for authors of queries, for tests,
// and for the project's own conformance suite.
package offline
