// Package value is the value model of the Stream Analytics language: what a
// column holds while a query runs, read from JSON and written back to it.
package value
