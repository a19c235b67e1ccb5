// Package amqp is the AMQP 1.0 wire format as a server needs it: values,
// performatives, frames, delivery states and message sections.
//
// It is pure encoding and decoding: no connections, no goroutines, no state of
// sessions or links. Everything that is read may come from anybody, so depth
// and counts are bounded, memory grows with the bytes that have arrived and not
// with a length that somebody claims, and nothing panics on what it reads.
//
// What is written suits the clients that are strict about it: descriptors are
// always the three bytes 00 53 XX, and the lists of performatives are complete,
// with null for what is unset, because the Python client reads them by index.
//
// No type here may be used from several goroutines at once, except that values
// once decoded may be read by all.
package amqp
