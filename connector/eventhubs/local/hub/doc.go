// Package hub holds the entities of Event Hubs - namespaces, hubs, consumer
// groups, partitions - over any Kafka cluster: an event hub is a topic, a
// sequence number is an offset, the enqueued time is the log's append time.
// The protocols in front of it (AMQP, Kafka, HTTP) share one Cluster.
//
// Life of an event: Hub.Append encodes it into the record batch that its
// partition is filling (encode.go), a sender appends that batch to the log, one
// at a time per partition and repeated until there is an answer (append.go);
// Reader fetches raw batches ahead of its user (reader.go), walks them without
// copying (records.go), and Event.AppendMessage makes the AMQP message again
// (event.go).
//
// What the log cannot hold is in a small state file (state.go): which hubs
// exist in which namespace, their consumer groups, creation times and Capture
// descriptions. A topic that nobody has described is a hub all the same.
package hub
