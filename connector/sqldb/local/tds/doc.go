// Package tds is the server's side of TDS 7.4, the protocol of SQL Server:
// packets, the prelogin exchange with or without TLS inside, logins, batches,
// calls of procedures, transaction requests, cancellation, bulk load,
// table-valued parameters, and the tokens of the answers. It knows no SQL: a
// Handler makes a Session of a login, and the Session answers requests.
//
// Where to look:
//
//	packet.go, message.go   packets; the requests that span them
//	prelogin.go, tunnel.go  the first exchange, and TLS within it
//	login.go                LOGIN7 and its answer
//	typeinfo.go, decode.go, types and values, in and out
//	encode.go
//	request.go, table.go,   what clients ask for
//	bulk.go
//	reply.go                the tokens of an answer
//	conn.go                 one connection, from the first byte to the last
package tds
