package web

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

// maxPublish is the service's bound on what one request may send.
const maxPublish = 1 << 20

// outgoing is one event on its way in.
type outgoing struct {
	body []byte
	// properties are the application's, in order.
	properties amqp.Map
	// The rest are system properties; empty ones are left out.
	contentType, messageID, correlationID, subject string
}

// publish appends events to one partition: the one with that id, else that of
// the key, else the next one. It returns the partition and the sequence number
// of the first event once the log has them.
func publish(ctx context.Context, ns *hub.Namespace, h *hub.Hub, partition, key, publisher string, events []outgoing) (p int32, first int64, err error) {
	switch {
	case partition != "" && key != "":
		return 0, 0, invalid("an event for one partition cannot have a partition key as well")
	case len(key) > 128:
		return 0, 0, invalid("the partition key has %d bytes, more than 128", len(key))
	case partition != "":
		if p, err = partitionOf(h.Info(), partition); err != nil {
			return 0, 0, err
		}
	case key != "":
		p = h.PartitionFor(key)
	default:
		p = h.NextPartition()
	}
	messages := make([]amqp.Message, len(events))
	var size int64
	for i := range events {
		messages[i] = events[i].encode(key, publisher)
		size += int64(len(messages[i].Append(nil)))
	}
	if size > maxPublish {
		return 0, 0, &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the events have %d bytes, more than %d", size, maxPublish)}
	}
	if wait, ok := ns.Quota().TryIngress(len(events), size); !ok {
		return 0, 0, &busy{seconds: max(1, int(math.Ceil(wait.Seconds())))}
	}
	type result struct {
		first int64
		err   error
	}
	done := make(chan result, 1)
	if err := h.Append(ctx, p, messages, func(first int64, err error) { done <- result{first, err} }); err != nil {
		return 0, 0, err
	}
	select {
	case r := <-done:
		return p, r.first, r.err
	case <-ctx.Done():
		return 0, 0, fmt.Errorf("waiting for the log: %w", ctx.Err())
	}
}

// busy says that the namespace's throughput units are used up.
type busy struct{ seconds int }

func (b *busy) Error() string {
	return fmt.Sprintf("The request was terminated because the entity is being throttled. Error code : 50002. Please wait %d seconds and try again.", b.seconds)
}

// The sections of a message, by the number of their descriptor.
const (
	sectionAnnotations   = uint64(0x72)
	sectionProperties    = uint64(0x73)
	sectionAppProperties = uint64(0x74)
	sectionData          = uint64(0x75)
)

func section(descriptor uint64, value any) []byte {
	return amqp.AppendValue(nil, amqp.Described{Descriptor: descriptor, Value: value})
}

// encode makes the AMQP message of an event.
func (e *outgoing) encode(key, publisher string) amqp.Message {
	m := amqp.Message{Body: section(sectionData, e.body)}
	var annotations amqp.Map
	if key != "" {
		annotations = append(annotations, amqp.Pair{Key: amqp.Symbol("x-opt-partition-key"), Value: key})
	}
	if publisher != "" {
		annotations = append(annotations, amqp.Pair{Key: amqp.Symbol("x-opt-publisher"), Value: publisher})
	}
	if len(annotations) > 0 {
		m.MessageAnnotations = section(sectionAnnotations, annotations)
	}
	if e.contentType+e.messageID+e.correlationID+e.subject != "" {
		list := make(amqp.List, 13)
		set := func(i int, v string) {
			if v != "" {
				list[i] = v
			}
		}
		set(0, e.messageID)
		set(3, e.subject)
		set(5, e.correlationID)
		if e.contentType != "" {
			list[6] = amqp.Symbol(e.contentType)
		}
		m.Properties = section(sectionProperties, list)
	}
	if len(e.properties) > 0 {
		m.ApplicationProperties = section(sectionAppProperties, e.properties)
	}
	return m
}

// scalar gives a value of JSON the AMQP type that the service gives it.
func scalar(name string, v any) (any, error) {
	switch x := v.(type) {
	case nil, bool, string:
		return x, nil
	case float64:
		if x != math.Trunc(x) || math.Abs(x) > 1<<53 {
			return x, nil
		}
		return whole(int64(x)), nil
	}
	return nil, invalid("property %s must be a string, a number, true, false or null", clip(name, 60))
}

func whole(n int64) any {
	if n >= math.MinInt32 && n <= math.MaxInt32 {
		return int32(n)
	}
	return n
}

// headerValue gives the text of a header its type: JSON text is what it says,
// anything else a string.
func headerValue(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return whole(n)
	}
	switch strings.ToLower(text) {
	case "true":
		return true
	case "false":
		return false
	}
	// Words such as "inf" are numbers to the parser, not to people.
	if text != "" && strings.ContainsAny(text[len(text)-1:], "0123456789.") {
		if f, err := strconv.ParseFloat(text, 64); err == nil && !strings.ContainsAny(text, "xX_") {
			return f
		}
	}
	if len(text) >= 2 && text[0] == '"' && text[len(text)-1] == '"' {
		if s, err := strconv.Unquote(text); err == nil {
			return s
		}
	}
	return text
}

// sortedProperties puts properties into the order of their names: maps have
// none, and events should look the same each time.
func sortedProperties(from map[string]any) (amqp.Map, error) {
	names := make([]string, 0, len(from))
	for name := range from {
		names = append(names, name)
	}
	slices.Sort(names)
	var out amqp.Map
	for _, name := range names {
		v, err := scalar(name, from[name])
		if err != nil {
			return nil, err
		}
		out = append(out, amqp.Pair{Key: name, Value: v})
	}
	return out, nil
}
