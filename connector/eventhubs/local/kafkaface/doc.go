// Package kafkaface is the Kafka endpoint of the Event Hubs stand-in: a proxy
// in front of the Kafka log that holds the hubs. To its clients a namespace is
// a cluster of one broker, and its hubs are the topics; behind it may be the
// embedded log or a cluster of many brokers.
//
// Life of a request: a connection's reader cuts frames out of the stream
// (frame.go), its worker takes them one after the other (conn.go), looks up
// what the version table offers (versions.go), decodes the request at the
// client's version, lets the operation rewrite names and places (metadata.go,
// produce.go, fetch.go, offsets.go, groups.go, topics.go), forwards it through
// the connection's own client of the log (backend.go), and encodes the answer
// at the client's version.
//
// Who may see what is decided once, at the sign-in (auth.go, names.go): a
// namespace, or one hub of it. Namespaces that share a log do not see each
// other's hubs or groups.
package kafkaface
