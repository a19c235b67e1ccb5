package web

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"millrace/connector/eventhubs/local/amqp"
)

// batchType is the content type of several events in one request.
const batchType = "application/vnd.microsoft.servicebus.json"

// brokerProperties are the system properties that a sender may set.
type brokerProperties struct {
	PartitionKey  string
	MessageID     string `json:"MessageId"`
	CorrelationID string `json:"CorrelationId"`
	Label         string
}

// batchedEvent is one event of a batch.
type batchedEvent struct {
	Body             any
	BrokerProperties brokerProperties
	UserProperties   map[string]any
}

// send answers POST .../messages: one event whose body is the request's, or a
// batch of them.
func (q *request) send(hubName, partition, publisher string) error {
	h, err := q.ns.Hub(q.ctx, hubName)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(q.w, q.r.Body, maxPublish))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return &refusal{http.StatusRequestEntityTooLarge, "the request has more than " + strconv.Itoa(maxPublish) + " bytes"}
		}
		return invalid("the body cannot be read: %v", err)
	}
	mediaType, _, _ := mime.ParseMediaType(q.r.Header.Get("Content-Type"))
	var events []outgoing
	var key string
	if strings.EqualFold(mediaType, batchType) {
		events, key, err = readBatch(body)
	} else {
		var event outgoing
		event, key, err = readEvent(q.r.Header, body)
		events = []outgoing{event}
	}
	if err != nil {
		return err
	}
	if publisher != "" {
		// The publisher's name is the key of all that it sends.
		if key != "" && key != publisher {
			return invalid("the partition key of publisher %s is its name", clip(publisher, 60))
		}
		key = publisher
	}
	_, _, err = publish(q.ctx, q.ns, h, partition, key, publisher, events)
	var throttled *busy
	if errors.As(err, &throttled) {
		q.w.Header().Set("Retry-After", strconv.Itoa(throttled.seconds))
		return &refusal{http.StatusServiceUnavailable, throttled.Error()}
	}
	if err != nil {
		return err
	}
	q.w.WriteHeader(http.StatusCreated)
	return nil
}

// readEvent makes the event of a request: headers that HTTP does not know are
// its properties. Their names come with the capital letters that HTTP gives
// them, since names of headers have no case.
func readEvent(header http.Header, body []byte) (e outgoing, key string, err error) {
	e.body, e.contentType = body, header.Get("Content-Type")
	if text := header.Get("BrokerProperties"); text != "" {
		var b brokerProperties
		if err := json.Unmarshal([]byte(text), &b); err != nil {
			return e, "", invalid("BrokerProperties is not a JSON object: %v", err)
		}
		e.setBroker(b)
		key = b.PartitionKey
	}
	var names []string
	for name := range header {
		if custom(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		e.properties = append(e.properties, amqp.Pair{Key: name, Value: headerValue(header.Get(name))})
	}
	return e, key, nil
}

func (e *outgoing) setBroker(b brokerProperties) {
	e.messageID, e.correlationID, e.subject = b.MessageID, b.CorrelationID, b.Label
}

// known are the headers that are not properties of the event.
var known = map[string]bool{
	"Accept": true, "Authorization": true, "Brokerproperties": true, "Cache-Control": true, "Connection": true, "Cookie": true,
	"Date": true, "Dnt": true, "Expect": true, "Forwarded": true, "From": true, "Host": true, "Keep-Alive": true, "Origin": true,
	"Pragma": true, "Proxy-Connection": true, "Range": true, "Referer": true, "Te": true, "Trailer": true,
	"Transfer-Encoding": true, "Upgrade": true, "User-Agent": true, "Via": true, "Warning": true,
}

// custom tells whether a header is a property of the event.
func custom(name string) bool {
	for _, prefix := range []string{"Accept-", "Access-Control-", "Content-", "If-", "Proxy-", "Sec-", "Upgrade-", "X-Forwarded-", "X-Ms-"} {
		if strings.HasPrefix(name, prefix) {
			return false
		}
	}
	return !known[name]
}

// readBatch makes the events of a batch. They go to one partition, so they
// have one key or none.
func readBatch(body []byte) (events []outgoing, key string, err error) {
	var batch []batchedEvent
	if err := json.Unmarshal(body, &batch); err != nil {
		return nil, "", invalid("the body is not a JSON array of objects with Body, BrokerProperties and UserProperties: %v", err)
	}
	if len(batch) == 0 {
		return nil, "", invalid("the batch is empty")
	}
	for i, b := range batch {
		e := outgoing{}
		switch v := b.Body.(type) {
		case string:
			e.body = []byte(v)
		case nil:
			return nil, "", invalid("event %d of the batch has no Body", i)
		default:
			// Body is text by the service's convention; JSON is taken as its
			// own text.
			if e.body, err = json.Marshal(v); err != nil {
				return nil, "", invalid("event %d of the batch: %v", i, err)
			}
		}
		if i == 0 {
			key = b.BrokerProperties.PartitionKey
		} else if key != b.BrokerProperties.PartitionKey {
			return nil, "", invalid("events of one batch have one PartitionKey, not %q and %q", clip(key, 60), clip(b.BrokerProperties.PartitionKey, 60))
		}
		e.setBroker(b.BrokerProperties)
		if e.properties, err = sortedProperties(b.UserProperties); err != nil {
			return nil, "", err
		}
		events = append(events, e)
	}
	return events, key, nil
}
