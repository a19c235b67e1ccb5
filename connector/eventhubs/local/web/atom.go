package web

import (
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The media types of the management API.
const (
	atomEntry = "application/atom+xml;type=entry;charset=utf-8"
	atomFeed  = "application/atom+xml;type=feed;charset=utf-8"
	plainXML  = "application/xml; charset=utf-8"
)

// maxEntry bounds the body of a management request.
const maxEntry = 1 << 20

// hubDescription is the service's EventHubDescription. What a description does
// not say is nil or empty. The order of the elements is the service's.
type hubDescription struct {
	XMLName                  xml.Name   `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect EventHubDescription"`
	MessageRetentionInDays   *int64     `xml:"MessageRetentionInDays,omitempty"`
	AuthorizationRules       *struct{}  `xml:"AuthorizationRules,omitempty"`
	Status                   string     `xml:"Status,omitempty"`
	CreatedAt                *time.Time `xml:"CreatedAt,omitempty"`
	UserMetadata             string     `xml:"UserMetadata,omitempty"`
	PartitionCount           *int       `xml:"PartitionCount,omitempty"`
	PartitionIDs             *stringIDs `xml:"PartitionIds,omitempty"`
	EntityAvailabilityStatus string     `xml:"EntityAvailabilityStatus,omitempty"`
}

// stringIDs is an array of strings as .NET serialises it.
type stringIDs struct {
	Space string   `xml:"xmlns:d,attr"`
	IDs   []string `xml:"d:string"`
}

const arraySpace = "http://schemas.microsoft.com/2003/10/Serialization/Arrays"

// groupDescription is the service's ConsumerGroupDescription.
type groupDescription struct {
	XMLName      xml.Name   `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect ConsumerGroupDescription"`
	CreatedAt    *time.Time `xml:"CreatedAt,omitempty"`
	UserMetadata string     `xml:"UserMetadata,omitempty"`
}

// partitionDescription is the service's PartitionDescription, without the
// fields that a log does not know cheaply (sizes).
type partitionDescription struct {
	XMLName             xml.Name  `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect PartitionDescription"`
	BeginSequenceNumber int64     `xml:"BeginSequenceNumber"`
	EndSequenceNumber   int64     `xml:"EndSequenceNumber"`
	LastEnqueuedOffset  string    `xml:"LastEnqueuedOffset"`
	LastEnqueuedTimeUtc time.Time `xml:"LastEnqueuedTimeUtc"`
}

// entry is an Atom entry around one description.
type entry struct {
	XMLName   xml.Name  `xml:"http://www.w3.org/2005/Atom entry"`
	Base      string    `xml:"xml:base,attr,omitempty"`
	ID        string    `xml:"id"`
	Title     title     `xml:"title"`
	Published time.Time `xml:"published"`
	Updated   time.Time `xml:"updated"`
	Author    *author   `xml:"author,omitempty"`
	Link      link      `xml:"link"`
	Content   content   `xml:"content"`
}

type title struct {
	Type string `xml:"type,attr"`
	Text string `xml:",chardata"`
}

type author struct {
	Name string `xml:"name"`
}

type link struct {
	Rel  string `xml:"rel,attr"`
	Href string `xml:"href,attr"`
}

type content struct {
	Type  string `xml:"type,attr"`
	Value any
}

// feed is an Atom feed of entries.
type feed struct {
	XMLName xml.Name  `xml:"http://www.w3.org/2005/Atom feed"`
	Title   title     `xml:"title"`
	ID      string    `xml:"id"`
	Updated time.Time `xml:"updated"`
	Link    link      `xml:"link"`
	Entries []entry   `xml:"entry"`
}

// requestEntry is what a client sends: any content around one description.
type requestEntry struct {
	Hub   *requestHub   `xml:"content>EventHubDescription"`
	Group *requestGroup `xml:"content>ConsumerGroupDescription"`
}

// requestHub takes numbers as text, so that a wrong one is told as such.
type requestHub struct {
	MessageRetentionInDays string `xml:"MessageRetentionInDays"`
	Status                 string `xml:"Status"`
	PartitionCount         string `xml:"PartitionCount"`
}

type requestGroup struct {
	UserMetadata string `xml:"UserMetadata"`
}

// readEntry reads the body of a PUT. An empty body is an empty entry.
func readEntry(r *http.Request) (requestEntry, error) {
	var e requestEntry
	body, err := io.ReadAll(http.MaxBytesReader(nil, r.Body, maxEntry))
	if err != nil {
		return e, invalid("the body cannot be read or is larger than %d bytes", maxEntry)
	}
	if len(strings.TrimSpace(string(body))) == 0 {
		return e, nil
	}
	if err := xml.Unmarshal(body, &e); err != nil {
		return e, invalid("the body is not an Atom entry: %v", err)
	}
	return e, nil
}

// number reads a whole number of a description; missing is fallback.
func number(name, text string, fallback, least, most int) (int, error) {
	text = strings.TrimSpace(text)
	if text == "" {
		return fallback, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < least || n > most {
		return 0, invalid("%s must be a whole number between %d and %d, not %q", name, least, most, text)
	}
	return n, nil
}

// writeXML answers with a document.
func writeXML(w http.ResponseWriter, status int, mediaType string, v any) {
	text, err := xml.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(status)
	// The client may be gone, which is no matter of ours.
	_, _ = w.Write(text)
}

// serviceError is the service's answer to what it refuses.
type serviceError struct {
	XMLName xml.Name `xml:"Error"`
	Code    int      `xml:"Code"`
	Detail  string   `xml:"Detail"`
}

// writeError answers with the service's error document.
func writeError(w http.ResponseWriter, r *http.Request, status int, text string) {
	detail := fmt.Sprintf("%s TrackingId:%s, SystemTracker:%s, Timestamp:%s", text, newID(), r.URL.Path, time.Now().UTC().Format("2006-01-02T15:04:05"))
	writeXML(w, status, plainXML, serviceError{Code: status, Detail: detail})
}
