package eventhubs

import (
	"context"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"millrace/connector"
)

// Explorer looks into a namespace and manages its hubs, over the service's own
// protocols: HTTP for managing, AMQP for events. It is for people at a command
// line; nothing in it is cached. It is safe for concurrent use.
type Explorer struct{ e *endpoint }

// HubInfo describes a hub.
type HubInfo struct {
	Name             string    `json:"name"`
	PartitionCount   int       `json:"partitionCount"`
	RetentionInHours float64   `json:"retentionInHours"`
	CreatedAt        time.Time `json:"createdAt,omitzero"`
	// What follows is known of a Millrace service only.
	ConsumerGroups   []string  `json:"consumerGroups,omitempty"`
	Events           *int64    `json:"events,omitempty"`
	EventsPerSecond  *float64  `json:"eventsPerSecond,omitempty"`
	LastEnqueuedTime time.Time `json:"lastEnqueuedTime,omitzero"`
	Captured         bool      `json:"captured,omitempty"`
}

// GroupInfo describes a consumer group. Protocol is "kafka" for a group of the
// Kafka protocol that reads the hub. Lag is the number of events that it has
// not read, nil if that is not known.
type GroupInfo struct {
	Name     string `json:"name"`
	Protocol string `json:"protocol"`
	State    string `json:"state,omitempty"`
	Lag      *int64 `json:"lag,omitempty"`
}

// Explore makes an Explorer from the address in c. It does not connect yet.
func Explore(c *Config, env connector.Env) (*Explorer, error) {
	e, err := c.endpoint(env)
	if err != nil {
		return nil, err
	}
	return &Explorer{e}, nil
}

// Host is the namespace's host, with its port if it has one.
func (x *Explorer) Host() string { return x.e.host }

// Local tells whether the service is an emulator on somebody's machine.
func (x *Explorer) Local() bool { return x.e.emulator }

// DefaultHub is the hub that the connection string names, "" if it names none.
func (x *Explorer) DefaultHub() string { return x.e.hub }

// Close lets go of what is open.
func (x *Explorer) Close() error { return nil }

// failed says what went wrong with a management request about what ("hub x").
func (x *Explorer) failed(err error, doing, what string) error {
	hinted := func(hint, format string, args ...any) error {
		return &connector.Hinted{Hint: hint, Err: &plainError{fmt.Sprintf(format, args...), err}}
	}
	switch {
	case err == nil:
		return nil
	case isStatus(err, http.StatusConflict):
		return hinted("choose another name", "%s exists already at %s", what, x.e.host)
	case isStatus(err, http.StatusNotFound):
		return hinted("`hubs list` and `groups list` show what there is", "%s: %s does not exist at %s", doing, what, x.e.host)
	case isStatus(err, http.StatusUnauthorized), isStatus(err, http.StatusForbidden):
		return hinted(x.e.credentialHint(), "%s: Event Hubs at %s refuses the %s", doing, x.e.host, x.e.credentialName())
	case isManagement(err):
		return fmt.Errorf("%s at %s: %w", doing, x.e.host, err)
	}
	return x.e.explain(err, doing)
}

func isManagement(err error) bool {
	var m *managementError
	return errors.As(err, &m)
}

// atomFeed is a list of the management API.
type atomFeed struct {
	Entries []struct {
		Title     string    `xml:"title"`
		Published time.Time `xml:"published"`
		Content   struct {
			Hub struct {
				Days       int `xml:"MessageRetentionInDays"`
				Partitions int `xml:"PartitionCount"`
			} `xml:"EventHubDescription"`
		} `xml:"content"`
	} `xml:"entry"`
}

// Hubs lists the hubs of the namespace.
func (x *Explorer) Hubs(ctx context.Context) ([]HubInfo, error) {
	const doing = "listing the hubs"
	if base, err := x.jsonAPI(ctx); err == nil && base != "" {
		var hubs []struct {
			HubInfo
			CaptureDescription *struct {
				Enabled bool `json:"enabled"`
			} `json:"captureDescription"`
		}
		if err := x.getJSON(ctx, base+"/hubs", &hubs); err != nil {
			return nil, x.failed(err, doing, "the list")
		}
		out := make([]HubInfo, len(hubs))
		for i, h := range hubs {
			out[i] = h.HubInfo
			out[i].Captured = h.CaptureDescription != nil && h.CaptureDescription.Enabled
		}
		return out, nil
	}
	// The service's pages have 100 entries at most.
	var out []HubInfo
	for {
		f, err := x.feed(ctx, fmt.Sprintf("/$Resources/EventHubs?$skip=%d&$top=100", len(out)))
		if err != nil {
			return nil, x.failed(err, doing, "the list")
		}
		for _, e := range f.Entries {
			h := e.Content.Hub
			out = append(out, HubInfo{Name: e.Title, PartitionCount: h.Partitions, RetentionInHours: 24 * float64(h.Days), CreatedAt: e.Published})
		}
		if len(f.Entries) < 100 {
			return out, nil
		}
	}
}

// CreateHub creates a hub; retention 0 takes the service's default.
func (x *Explorer) CreateHub(ctx context.Context, name string, partitions int, retention time.Duration) error {
	var b strings.Builder
	b.WriteString(`<EventHubDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">`)
	if retention > 0 {
		const day = 24 * time.Hour
		fmt.Fprintf(&b, "<MessageRetentionInDays>%d</MessageRetentionInDays>", (retention+day-1)/day)
	}
	fmt.Fprintf(&b, "<PartitionCount>%d</PartitionCount></EventHubDescription>", partitions)
	err := x.e.manage(ctx, http.MethodPut, "/"+url.PathEscape(name), b.String())
	return x.failed(err, "creating hub "+name, "hub "+name)
}

// DeleteHub deletes a hub with its events.
func (x *Explorer) DeleteHub(ctx context.Context, name string) error {
	return x.failed(x.e.manage(ctx, http.MethodDelete, "/"+url.PathEscape(name), ""), "deleting hub "+name, "hub "+name)
}

// Groups lists the consumer groups of a hub.
func (x *Explorer) Groups(ctx context.Context, hub string) ([]GroupInfo, error) {
	doing := "listing the groups of hub " + hub
	if base, err := x.jsonAPI(ctx); err == nil && base != "" {
		var groups []GroupInfo
		if err := x.getJSON(ctx, base+"/hubs/"+url.PathEscape(hub)+"/consumergroups", &groups); err != nil {
			return nil, x.failed(err, doing, "hub "+hub)
		}
		return groups, nil
	}
	f, err := x.feed(ctx, "/"+url.PathEscape(hub)+"/consumergroups?")
	if err != nil {
		return nil, x.failed(err, doing, "hub "+hub)
	}
	var out []GroupInfo
	for _, e := range f.Entries {
		out = append(out, GroupInfo{Name: e.Title, Protocol: "amqp"})
	}
	return out, nil
}

// CreateGroup creates a consumer group.
func (x *Explorer) CreateGroup(ctx context.Context, hub, group string) error {
	err := x.e.manage(ctx, http.MethodPut, "/"+url.PathEscape(hub)+"/consumergroups/"+url.PathEscape(group),
		`<ConsumerGroupDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"></ConsumerGroupDescription>`)
	if isStatus(err, http.StatusNotFound) {
		return x.failed(err, "creating group "+group, "hub "+hub)
	}
	return x.failed(err, "creating group "+group, "consumer group "+group+" of hub "+hub)
}

// DeleteGroup deletes a consumer group.
func (x *Explorer) DeleteGroup(ctx context.Context, hub, group string) error {
	err := x.e.manage(ctx, http.MethodDelete, "/"+url.PathEscape(hub)+"/consumergroups/"+url.PathEscape(group), "")
	return x.failed(err, "deleting group "+group, "consumer group "+group+" of hub "+hub)
}

// jsonAPI finds the JSON API of a Millrace service and the path of this
// namespace in it; "" if the service is another one.
func (x *Explorer) jsonAPI(ctx context.Context) (base string, err error) {
	if !x.e.emulator {
		return "", nil
	}
	var o struct {
		Product   string `json:"product"`
		Namespace string `json:"namespace"`
	}
	if err := x.getJSON(ctx, "/api", &o); err != nil || !strings.HasPrefix(o.Product, "Millrace") {
		return "", err
	}
	return "/api/namespaces/" + url.PathEscape(o.Namespace), nil
}

func (x *Explorer) getJSON(ctx context.Context, path string, v any) error {
	body, err := x.get(ctx, path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("reading the answer: %w", err)
	}
	return nil
}

func (x *Explorer) feed(ctx context.Context, path string) (atomFeed, error) {
	var f atomFeed
	body, err := x.get(ctx, path+"&api-version="+managementVersion)
	if err != nil {
		return f, err
	}
	if err := xml.Unmarshal(body, &f); err != nil {
		return f, fmt.Errorf("reading the answer: %w", err)
	}
	return f, nil
}

// maxAnswer bounds an answer of the service.
const maxAnswer = 64 << 20

// get asks the first of the management hosts that answers.
func (x *Explorer) get(ctx context.Context, path string) (body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, adminTimeout)
	defer cancel()
	scheme, hosts := x.e.managementHosts()
	client := x.e.httpClient()
	defer client.CloseIdleConnections()
	for _, host := range hosts {
		var answered bool
		if body, answered, err = x.getFrom(ctx, client, scheme+"://"+host, path); answered {
			return body, err
		}
	}
	return nil, err
}

func (x *Explorer) getFrom(ctx context.Context, client *http.Client, origin, path string) (body []byte, answered bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, origin+path, nil)
	if err != nil {
		return nil, false, err
	}
	token, err := x.e.managementToken(ctx, origin)
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Authorization", token)
	resp, err := client.Do(req)
	if err != nil {
		return nil, false, err
	}
	defer resp.Body.Close()
	body, err = io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, true, err
	}
	if resp.StatusCode/100 != 2 {
		return nil, true, &managementError{status: resp.StatusCode, text: strings.Join(strings.Fields(tagless(string(body))), " ")}
	}
	return body, true, nil
}
