// Package schema holds the types of a Delta table's columns and their text
// form, the schemaString of a metaData action, both ways.
//
// Values of this package are not changed after they were made; all functions
// are safe for concurrent use.
package schema
