package local

import (
	"fmt"
	"strconv"
	"strings"

	"millrace/connector/eventhubs/local/amqp"
)

// The filter of a consumer's source that says where to start, by its name and by
// the number that stands for it.
const (
	selectorName        = "apache.org:selector-filter:string"
	selectorCode uint64 = 0x0000468C00000004
)

// startKind is by what a consumer says where to start.
type startKind int

const (
	startEarliest startKind = iota
	startLatest
	startOffset
	startSequence
	startTime
)

// start is where a consumer wants to start.
type start struct {
	kind      startKind
	inclusive bool
	// value is the offset or sequence number, or milliseconds since 1970.
	value int64
	// text is the value as it was written.
	text string
}

// startOf returns where the filters of a source say to start; without any, at
// the earliest event.
func startOf(filters amqp.Map) (start, error) {
	for _, p := range filters {
		value := p.Value
		if d, ok := value.(amqp.Described); ok {
			if !isSelector(d.Descriptor) {
				continue
			}
			value = d.Value
		} else if !isSelector(p.Key) {
			continue
		}
		switch v := value.(type) {
		case string:
			return parseSelector(v)
		case amqp.Symbol:
			return parseSelector(string(v))
		case []byte:
			return parseSelector(string(v))
		case nil:
			continue
		default:
			return start{}, fmt.Errorf("the filter is a %T, not a string", value)
		}
	}
	return start{kind: startEarliest}, nil
}

func isSelector(descriptor any) bool {
	switch d := descriptor.(type) {
	case uint64:
		return d == selectorCode
	case amqp.Symbol:
		return string(d) == selectorName
	case string:
		return d == selectorName
	}
	return false
}

// parseSelector reads an expression such as
//
//	amqp.annotation.x-opt-offset > '123'
//
// with > or >= and the names x-opt-offset, x-opt-sequence-number and
// x-opt-enqueued-time. Quotes and spaces may be left out.
func parseSelector(expression string) (start, error) {
	bad := func(why string) (start, error) {
		return start{}, fmt.Errorf("the filter expression %q %s", clip(expression, 200), why)
	}
	rest, ok := strings.CutPrefix(strings.TrimSpace(expression), "amqp.annotation.")
	if !ok {
		return bad("does not compare an annotation (amqp.annotation.x-opt-offset > '1')")
	}
	name, value, ok := strings.Cut(rest, ">")
	if !ok {
		return bad("has no '>' or '>='")
	}
	var s start
	value, s.inclusive = strings.CutPrefix(value, "=")
	value = strings.TrimSpace(value)
	if n := len(value); n >= 2 && value[0] == '\'' && value[n-1] == '\'' {
		value = value[1 : n-1]
	}
	s.text = value
	switch strings.TrimSpace(name) {
	case "x-opt-offset":
		s.kind = startOffset
	case "x-opt-sequence-number":
		s.kind = startSequence
	case "x-opt-enqueued-time", "x-opt-enqueuedtimeutc":
		s.kind = startTime
	default:
		return bad("compares an unknown annotation")
	}
	if s.kind != startTime && strings.EqualFold(value, "@latest") {
		s.kind = startLatest
		return s, nil
	}
	n, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return bad("compares with something that is not a number")
	}
	s.value = n
	if s.kind != startTime && n < 0 {
		s.kind = startEarliest // -1 is before the first event
	}
	return s, nil
}

// clip shortens text from a client for a message.
func clip(s string, max int) string {
	if len(s) <= max {
		return s
	}
	return s[:max] + "..."
}
