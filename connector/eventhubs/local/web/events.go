package web

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"millrace/connector/eventhubs/local/hub"
)

const (
	// maxPeek bounds the events of one answer, defaultPeek is the usual
	// number.
	maxPeek, defaultPeek = 1000, 50
	// shownBody is how much of a body is in an answer; its size is told.
	shownBody = 64 << 10
	// maxPeekBytes bounds the bodies of one answer.
	maxPeekBytes = 8 << 20
	// peekPatience is how long to wait for events that ought to be there:
	// positions of a log may be taken by entries that are no events.
	peekPatience = 2 * time.Second
)

// eventView is an event in the JSON API.
type eventView struct {
	PartitionID    string    `json:"partitionId"`
	SequenceNumber int64     `json:"sequenceNumber"`
	Offset         string    `json:"offset"`
	EnqueuedTime   time.Time `json:"enqueuedTime"`
	PartitionKey   string    `json:"partitionKey,omitempty"`
	// Size is that of the whole body in bytes.
	Size int `json:"size"`
	// Body is text, or base64 if BodyEncoding says so.
	Body         string `json:"body"`
	BodyEncoding string `json:"bodyEncoding"`
	// Truncated says that the body goes on.
	Truncated        bool           `json:"truncated,omitempty"`
	Properties       []propertyView `json:"properties,omitempty"`
	SystemProperties []propertyView `json:"systemProperties,omitempty"`
}

// eventsView answers a peek: events in the order of their enqueued time.
type eventsView struct {
	Events []eventView `json:"events"`
}

// getEvents peeks: the newest count events, or with from the oldest ones at or
// after that sequence number ("earliest", a number), of one partition or of
// all. It reads the log and moves nobody's position.
func (h *Handler) getEvents(ctx context.Context, r *http.Request) (any, error) {
	_, one, err := h.namedHub(ctx, r)
	if err != nil {
		return nil, err
	}
	query := r.URL.Query()
	count, err := number("count", query.Get("count"), defaultPeek, 1, maxPeek)
	if err != nil {
		return nil, err
	}
	first, last := int32(0), int32(one.Info().Partitions-1)
	if id := query.Get("partition"); id != "" {
		if first, err = partitionOf(one.Info(), id); err != nil {
			return nil, err
		}
		last = first
	}
	from, latest := int64(0), false
	switch text := query.Get("from"); text {
	case "", "latest":
		latest = true
	case "earliest":
	default:
		if from, err = strconv.ParseInt(text, 10, 64); err != nil || from < 0 {
			return nil, invalid("from must be earliest, latest or a sequence number, not %q", clip(text, 40))
		}
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout/2)
	defer cancel()
	out := eventsView{Events: []eventView{}}
	budget := maxPeekBytes
	for p := first; p <= last; p++ {
		part, err := peek(ctx, one, p, from, latest, count, &budget)
		if err != nil {
			return nil, err
		}
		out.Events = append(out.Events, part...)
	}
	slices.SortStableFunc(out.Events, func(a, b eventView) int {
		return cmp.Or(a.EnqueuedTime.Compare(b.EnqueuedTime), cmp.Compare(a.PartitionID, b.PartitionID), cmp.Compare(a.SequenceNumber, b.SequenceNumber))
	})
	if n := len(out.Events); n > count {
		if latest {
			out.Events = out.Events[n-count:]
		} else {
			out.Events = out.Events[:count]
		}
	}
	return out, nil
}

// peek reads up to count events of one partition. budget is what is left of the
// bytes of the answer.
func peek(ctx context.Context, one *hub.Hub, p int32, from int64, latest bool, count int, budget *int) ([]eventView, error) {
	info, err := one.Partition(ctx, p)
	if err != nil {
		return nil, err
	}
	from = max(from, info.Begin)
	if latest {
		from = max(info.Begin, info.End-int64(count))
	}
	if from >= info.End || *budget <= 0 {
		return nil, nil
	}
	reader, err := one.Reader(ctx, p, from)
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	var out []eventView
	for len(out) < count && *budget > 0 {
		wait, cancel := context.WithTimeout(ctx, peekPatience)
		events, err := reader.Next(wait, count-len(out))
		cancel()
		if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			break
		}
		if err != nil {
			return nil, err
		}
		for i := range events {
			v := viewEvent(p, &events[i])
			*budget -= len(v.Body)
			out = append(out, v)
		}
		if len(out) > 0 && out[len(out)-1].SequenceNumber >= info.End-1 {
			break
		}
	}
	return out, nil
}

// viewEvent copies what is shown of an event.
func viewEvent(p int32, e *hub.Event) eventView {
	body := e.Body()
	v := eventView{PartitionID: strconv.Itoa(int(p)), SequenceNumber: e.Sequence, Offset: strconv.FormatInt(e.Sequence, 10),
		EnqueuedTime: time.UnixMilli(e.Enqueued).UTC(), PartitionKey: e.PartitionKey(), Size: len(body),
		Properties: viewProperties(e.Properties()), SystemProperties: viewProperties(e.SystemProperties())}
	v.Truncated = len(body) > shownBody
	v.Body, v.BodyEncoding = showBytes(body[:min(len(body), shownBody)], v.Truncated)
	return v
}

// showBytes gives bytes as text if they are some, else as base64. A character
// that was cut at the end makes no difference.
func showBytes(b []byte, cut bool) (text, encoding string) {
	whole := b
	if cut {
		for n := 1; n < utf8.UTFMax && n < len(b); n++ {
			if utf8.RuneStart(b[len(b)-n]) {
				if !utf8.FullRune(b[len(b)-n:]) {
					b = b[:len(b)-n]
				}
				break
			}
		}
	}
	if !utf8.Valid(b) {
		return base64.StdEncoding.EncodeToString(whole), "base64"
	}
	for _, r := range string(b) {
		if unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' {
			return base64.StdEncoding.EncodeToString(whole), "base64"
		}
	}
	return string(b), "text"
}

// newEvent is the body of POST for an event.
type newEvent struct {
	Body         string         `json:"body"`
	BodyEncoding string         `json:"bodyEncoding"`
	ContentType  string         `json:"contentType"`
	PartitionKey string         `json:"partitionKey"`
	PartitionID  string         `json:"partitionId"`
	Properties   map[string]any `json:"properties"`
}

// sentEvent says where an event is now.
type sentEvent struct {
	PartitionID    string `json:"partitionId"`
	SequenceNumber int64  `json:"sequenceNumber"`
}

// postEvent sends one event.
func (h *Handler) postEvent(ctx context.Context, r *http.Request) (any, error) {
	ns, one, err := h.namedHub(ctx, r)
	if err != nil {
		return nil, err
	}
	var n newEvent
	if err := readJSON(r, &n); err != nil {
		return nil, err
	}
	e := outgoing{body: []byte(n.Body), contentType: n.ContentType}
	switch n.BodyEncoding {
	case "", "text":
	case "base64":
		if e.body, err = base64.StdEncoding.DecodeString(n.Body); err != nil {
			return nil, invalid("the body is not base64: %v", err)
		}
	default:
		return nil, invalid("bodyEncoding must be text or base64, not %q", clip(n.BodyEncoding, 20))
	}
	if e.properties, err = sortedProperties(n.Properties); err != nil {
		return nil, err
	}
	p, sequence, err := publish(ctx, ns, one, n.PartitionID, n.PartitionKey, "", []outgoing{e})
	if err != nil {
		return nil, err
	}
	return sentEvent{PartitionID: strconv.Itoa(int(p)), SequenceNumber: sequence}, nil
}
