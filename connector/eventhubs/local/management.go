package local

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

// What $management can be asked about.
const (
	typeHub       = "com.microsoft:eventhub"
	typePartition = "com.microsoft:partition"
)

// manage answers a request to $management: the properties of a hub or of one of
// its partitions.
func (c *conn) manage(r *request) result {
	if op := r.text("operation"); op != "READ" {
		return result{status: 400, description: fmt.Sprintf("The operation '%s' is not known to $management.", clip(op, 40)), condition: amqp.ErrorNotImplemented}
	}
	name := r.text("name")
	if !c.allowed(name) && !c.allowed(name+"/$management") {
		return failed(401, c.unauthorized("Manage,Send,Listen", name))
	}
	ctx, cancel := c.lookup()
	defer cancel()
	h, err := c.namespace.Hub(ctx, name)
	if err != nil {
		return c.refusal(name, err)
	}
	switch kind := r.text("type"); kind {
	case typeHub:
		return result{status: 200, description: "OK", body: hubProperties(h)}
	case typePartition:
		text := r.text("partition")
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil || n < 0 || int(n) >= h.Partitions() {
			return failed(400, partitionOutOfRange(h.Partitions()))
		}
		info, err := h.Partition(ctx, int32(n))
		if err != nil {
			return c.refusal(name, err)
		}
		return result{status: 200, description: "OK", body: partitionProperties(h, text, info)}
	default:
		return result{status: 400, description: fmt.Sprintf("The type '%s' is not known to $management.", clip(kind, 60)), condition: condArgumentError}
	}
}

func failed(status int32, err *amqp.Error) result {
	return result{status: status, description: err.Description, condition: err.Condition}
}

// refusal turns an error of the hubs into a status that clients know.
func (c *conn) refusal(path string, err error) result {
	told := fromLog(c, path, err)
	switch {
	case errors.Is(err, hub.ErrNotFound):
		return failed(404, told)
	case errors.Is(err, hub.ErrInvalid):
		return failed(400, told)
	case told.Condition == condServerBusy || told.Condition == condTimeout:
		return failed(503, told)
	}
	return failed(500, told)
}

// hubProperties are typed as the Go client insists: the ids are an array, the
// replication factor is there and signed.
func hubProperties(h *hub.Hub) amqp.Map {
	info := h.Info()
	ids := make([]string, info.Partitions)
	for i := range ids {
		ids[i] = strconv.Itoa(i)
	}
	return amqp.Map{
		{Key: "name", Value: info.Name},
		{Key: "type", Value: typeHub},
		{Key: "created_at", Value: amqp.Timestamp(info.CreatedAt.UnixMilli())},
		{Key: "partition_count", Value: int32(info.Partitions)},
		{Key: "partition_ids", Value: ids},
		{Key: "georeplication_factor", Value: int32(1)},
	}
}

func partitionProperties(h *hub.Hub, partition string, info hub.PartitionInfo) amqp.Map {
	last, enqueued := info.End-1, info.LastEnqueued
	if enqueued.IsZero() {
		enqueued = time.Unix(0, 0)
	}
	return amqp.Map{
		{Key: "name", Value: h.Name()},
		{Key: "type", Value: typePartition},
		{Key: "partition", Value: partition},
		{Key: "begin_sequence_number", Value: info.Begin},
		{Key: "last_enqueued_sequence_number", Value: last},
		{Key: "last_enqueued_offset", Value: strconv.FormatInt(last, 10)},
		{Key: "last_enqueued_time_utc", Value: amqp.Timestamp(enqueued.UnixMilli())},
		{Key: "is_partition_empty", Value: info.Begin == info.End},
	}
}
