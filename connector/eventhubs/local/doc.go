// Package local is the stand-in for Azure Event Hubs: an AMQP 1.0 endpoint
// over the entities of package hub, good enough for the official SDKs. One
// port answers AMQP, AMQP over WebSocket, plain HTTP (handed on), and all of
// them inside TLS when a certificate is given.
//
// Where to look:
//
//	options.go, server.go   what can be set; start, stop, addresses
//	sniff.go, websocket.go  which protocol a new connection speaks
//	sasl.go, conn.go        handshake, then the frames of one connection
//	output.go               everything that is written: one writer, one buffer
//	session.go, attach.go   sessions, flow control windows, links coming and going
//	producer.go, append.go  events in: transfers, batches, credit, dispositions
//	consumer.go, deliver.go events out: credit, drain, transfers
//	filter.go, epochs.go    where a consumer starts, and who may consume
//	idempotent.go           producers that number their events
//	rpc.go, cbs.go, management.go  requests and answers: tokens, properties
//	idle.go                 heartbeats, silent peers, idle connections
//	errors.go, address.go   the service's words
//
// A connection is read by one goroutine, which does all that a frame asks for,
// and written by another one. A consumer link adds a third that waits for
// events. What they share is under the connection's one lock (conn.mu), which
// is never held over I/O. Memory is bounded per connection: the reader stops
// when the log or the peer does not keep up.
package local
