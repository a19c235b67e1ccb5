// Package connectortest holds the contracts of package connector as tests:
// every log, every store and every place for dead letters must pass them.
// They are run from the connectors' own tests, against stand-ins and against
// real services alike.
package connectortest
