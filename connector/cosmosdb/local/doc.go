// Package local is the stand-in for Azure Cosmos DB (NoSQL): the REST service
// that gateway-mode clients speak to, over the embedded store of package store,
// good enough for the official SDKs.
//
// Where to look:
//
//	options.go, server.go     what can be set; start, stop, addresses
//	listener.go, transport.go connections; requests read, answers written
//	dispatch.go, path.go,     one request: its path, its headers, the operation
//	headers.go, operation.go, that it asks for, the container that it is about,
//	resolve.go                and who answers
//	call.go, reply.go,        what a handler sees and fills; headers and bodies
//	errors.go, jsontext.go    that go out
//	auth.go                   signatures
//	account.go, databases.go, one resource each; settings.go knows what a
//	containers.go, offers.go, container may be told to be
//	pkranges.go, absent.go,
//	feeds.go, resources.go
//	catalogue.go              names to containers, with what the server keeps
//	                          of each: budget, counters
//	charge.go, budget.go,     what operations cost; who must wait; what an offer
//	throughput.go             may be
//	guard.go, explorer.go     what browsers may do
//	item*.go, batch*.go, ...  items, queries, feeds
//
// A request is answered by the goroutine of its connection. A handler gets a
// *call, whose buffers are used again for later requests, and fills in the
// answer or returns a *failure.
package local
