package web

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"millrace/connector"
	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/sas"
)

const version = "?api-version=2014-01"

// description is the body that clients of the service send.
func description(inner string) string {
	return `<?xml version="1.0" encoding="utf-8"?><entry xmlns='http://www.w3.org/2005/Atom'><content type='application/xml'>` +
		`<EventHubDescription xmlns:i="http://www.w3.org/2001/XMLSchema-instance" xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect">` +
		inner + `</EventHubDescription></content></entry>`
}

// readHub is an entry as a client reads it, by namespaces.
type readHub struct {
	XMLName xml.Name `xml:"http://www.w3.org/2005/Atom entry"`
	Title   string   `xml:"http://www.w3.org/2005/Atom title"`
	Content struct {
		Hub struct {
			Days       int      `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect MessageRetentionInDays"`
			Status     string   `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect Status"`
			CreatedAt  string   `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect CreatedAt"`
			Partitions int      `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect PartitionCount"`
			IDs        []string `xml:"PartitionIds>string"`
		} `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect EventHubDescription"`
		Group *struct {
			CreatedAt string `xml:"CreatedAt"`
		} `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect ConsumerGroupDescription"`
		Partition struct {
			Begin      int64  `xml:"BeginSequenceNumber"`
			End        int64  `xml:"EndSequenceNumber"`
			LastOffset string `xml:"LastEnqueuedOffset"`
			LastTime   string `xml:"LastEnqueuedTimeUtc"`
		} `xml:"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect PartitionDescription"`
	} `xml:"content"`
}

type readFeed struct {
	XMLName xml.Name  `xml:"http://www.w3.org/2005/Atom feed"`
	Title   string    `xml:"title"`
	Entries []readHub `xml:"entry"`
}

func parse[T any](t *testing.T, text string) T {
	t.Helper()
	var v T
	if err := xml.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

func TestManageHubs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	made := parse[readHub](t, w.want(201, "PUT", "/orders"+version, description("<MessageRetentionInDays>3</MessageRetentionInDays><PartitionCount>8</PartitionCount>")))
	if h := made.Content.Hub; made.Title != "orders" || h.Partitions != 8 || h.Days != 3 || h.Status != "Active" || len(h.IDs) != 8 || h.IDs[7] != "7" || h.CreatedAt == "" {
		t.Errorf("created %+v", made)
	}
	w.want(409, "PUT", "/orders"+version, description("<PartitionCount>8</PartitionCount>"))
	if h := parse[readHub](t, w.want(200, "GET", "/orders"+version, "")).Content.Hub; h.Partitions != 8 || h.Days != 3 {
		t.Errorf("got %+v", h)
	}
	if h := parse[readHub](t, w.want(201, "PUT", "/plain"+version, description(""))).Content.Hub; h.Partitions != servicePartitions || h.Days != 7 {
		t.Errorf("without a number: %+v", h)
	}
	w.want(201, "PUT", "/bare"+version, "")
	f := parse[readFeed](t, w.want(200, "GET", "/$Resources/EventHubs"+version, ""))
	if f.Title != "EventHubs" || len(f.Entries) != 3 || f.Entries[0].Title != "bare" || f.Entries[1].Content.Hub.Partitions != 8 {
		t.Errorf("list %+v", f)
	}
	if f := parse[readFeed](t, w.want(200, "GET", "/$resources/eventhubs"+version+"&$skip=1&$top=1", "")); len(f.Entries) != 1 || f.Entries[0].Title != "orders" {
		t.Errorf("a page of the list: %+v", f)
	}
	w.want(200, "DELETE", "/orders"+version, "")
	w.want(404, "GET", "/orders"+version, "")
	w.want(404, "DELETE", "/orders"+version, "")
	// A hub may have the name of something else that is served here.
	for _, name := range []string{"health", "api"} {
		w.want(201, "PUT", "/"+name+version, description("<PartitionCount>1</PartitionCount>"))
		w.want(200, "GET", "/"+name+version, "")
	}
}

func TestManageUpdate(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *Options, h *hub.Options) {
		h.Namespaces = []hub.NamespaceSpec{{Name: "ns", Hubs: []hub.Spec{{Name: "h", Partitions: 2, Groups: []string{"g"}, Capture: &hub.CaptureSpec{Enabled: true}}}}}
	})
	w.header.Set("If-Match", "*")
	got := parse[readHub](t, w.want(200, "PUT", "/h"+version, description("<MessageRetentionInDays>2</MessageRetentionInDays>"))).Content.Hub
	if got.Days != 2 || got.Partitions != 2 {
		t.Errorf("changed to %+v", got)
	}
	w.want(400, "PUT", "/h"+version, description("<PartitionCount>4</PartitionCount>"))
	w.want(404, "PUT", "/none"+version, description(""))
	w.want(200, "PUT", "/h/consumergroups/g"+version, "")
	h, err := w.cluster.Default().Hub(t.Context(), "h")
	if err != nil {
		t.Fatal(err)
	}
	if i := h.Info(); i.Capture == nil || !i.Capture.Enabled || len(i.Groups) != 2 || i.Retention != 48*time.Hour {
		t.Errorf("after the update: %+v", i)
	}
}

func TestManageGroupsAndPartitions(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(201, "PUT", "/h"+version, description("<PartitionCount>2</PartitionCount>"))
	body := `<entry xmlns='http://www.w3.org/2005/Atom'><content type='application/xml'><ConsumerGroupDescription xmlns="http://schemas.microsoft.com/netservices/2010/10/servicebus/connect"></ConsumerGroupDescription></content></entry>`
	g := parse[readHub](t, w.want(201, "PUT", "/h/consumergroups/Billing"+version, body))
	if g.Title != "Billing" || g.Content.Group == nil || g.Content.Group.CreatedAt == "" {
		t.Errorf("created %+v", g)
	}
	w.want(409, "PUT", "/h/consumergroups/billing"+version, body)
	w.want(409, "PUT", "/h/consumergroups/$Default"+version, body)
	w.want(404, "PUT", "/none/consumergroups/g"+version, body)
	w.want(400, "PUT", "/h/consumergroups/no%20name"+version, body)
	if g := parse[readHub](t, w.want(200, "GET", "/h/ConsumerGroups/BILLING"+version, "")); g.Title != "Billing" {
		t.Errorf("got %+v", g)
	}
	f := parse[readFeed](t, w.want(200, "GET", "/h/consumergroups"+version, ""))
	if len(f.Entries) != 2 || f.Entries[0].Title != "$Default" || f.Entries[1].Title != "Billing" {
		t.Errorf("list %+v", f)
	}
	w.want(400, "DELETE", "/h/consumergroups/$Default"+version, "")
	w.want(404, "GET", "/h/consumergroups/other"+version, "")

	w.want(201, "POST", "/h/partitions/1/messages"+version, "hello")
	for _, prefix := range []string{"/h/partitions", "/h/consumergroups/billing/partitions"} {
		parts := parse[readFeed](t, w.want(200, "GET", prefix+version, ""))
		if len(parts.Entries) != 2 {
			t.Fatalf("%+v", parts)
		}
		empty, full := parts.Entries[0].Content.Partition, parts.Entries[1].Content.Partition
		if empty.End != -1 || empty.LastOffset != "-1" || empty.LastTime != "0001-01-01T00:00:00Z" {
			t.Errorf("%s: empty %+v", prefix, empty)
		}
		at, err := time.Parse(time.RFC3339, full.LastTime)
		if full.Begin != 0 || full.End != 0 || full.LastOffset != "0" || err != nil || time.Since(at) > time.Hour {
			t.Errorf("%s: one event %+v", prefix, full)
		}
		if p := parse[readHub](t, w.want(200, "GET", prefix+"/1"+version, "")); p.Content.Partition != full {
			t.Errorf("%s/1: %+v", prefix, p)
		}
		w.want(404, "GET", prefix+"/2"+version, "")
		w.want(404, "GET", prefix+"/01"+version, "")
	}
	w.want(404, "GET", "/h/consumergroups/other/partitions"+version, "")
	w.want(200, "DELETE", "/h/consumergroups/Billing"+version, "")
	w.want(404, "DELETE", "/h/consumergroups/Billing"+version, "")
}

func TestManageMistakes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	for name, c := range map[string]struct {
		method, path, body string
		status             int
		says               string
	}{
		"not XML":            {"PUT", "/h", "{}", 400, "not an Atom entry"},
		"no number":          {"PUT", "/h", description("<PartitionCount>many</PartitionCount>"), 400, "PartitionCount must be a whole number"},
		"no partitions":      {"PUT", "/h", description("<PartitionCount>0</PartitionCount>"), 400, "PartitionCount"},
		"too many":           {"PUT", "/h", description("<PartitionCount>100000</PartitionCount>"), 400, "PartitionCount"},
		"disabled":           {"PUT", "/h", description("<Status>Disabled</Status>"), 400, "always active"},
		"a name":             {"PUT", "/-h-", description(""), 400, "not a name for a hub"},
		"not there":          {"GET", "/h", "", 404, "no hub"},
		"what":               {"PATCH", "/h", "", 405, "PATCH"},
		"post to a hub":      {"POST", "/h", "", 405, "POST"},
		"resources":          {"GET", "/$Resources/Queues", "", 404, "nothing at"},
		"deep":               {"GET", "/a/b/c/d/e/f", "", 404, "nothing at"},
		"put partitions":     {"PUT", "/h/partitions", "", 405, ""},
		"messages by get":    {"GET", "/h/messages", "", 405, ""},
		"messages, no hub":   {"POST", "/h/messages", "x", 404, "no hub"},
		"too large an entry": {"PUT", "/h", description(strings.Repeat(" ", maxEntry)), 400, "larger than"},
	} {
		status, answer, header := w.request(c.method, c.path+version, "", c.body)
		var e struct {
			XMLName xml.Name `xml:"Error"`
			Code    int
			Detail  string
		}
		if err := xml.Unmarshal([]byte(answer), &e); err != nil {
			t.Errorf("%s: %v in %s", name, err, answer)
		}
		if status != c.status || e.Code != c.status || !strings.Contains(e.Detail, c.says) || !strings.Contains(e.Detail, "TrackingId:") || !strings.HasPrefix(header.Get("Content-Type"), "application/xml") {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options, _ *hub.Options) { o.Key, o.KeyName = "secret", "Root" })
	sign := func(resource, name, key string, ends time.Duration) string {
		return sas.Sign(resource, name, key, time.Now().Add(ends))
	}
	for name, c := range map[string]struct {
		token  string
		status int
		says   string
	}{
		"none":          {"", 401, "MissingToken"},
		"another key":   {sign("sb://x/", "Root", "guess", time.Hour), 401, "InvalidSignature"},
		"another name":  {sign("sb://x/", "Reader", "secret", time.Hour), 401, "InvalidSignature"},
		"expired":       {sign("sb://x/", "Root", "secret", -time.Hour), 401, "ExpiredToken"},
		"another hub":   {sign("sb://x/other", "Root", "secret", time.Hour), 401, "InvalidAudience"},
		"no signature":  {"Bearer abc", 401, "MalformedToken"},
		"namespace":     {sign("sb://x/", "Root", "secret", time.Hour), 404, "no hub"},
		"hub, https":    {sign("https://x/h", "Root", "secret", time.Hour), 404, "no hub"},
		"only the host": {sign("x", "Root", "secret", time.Hour), 404, "no hub"},
	} {
		w.header.Set("Authorization", c.token)
		status, answer, _ := w.request("GET", "/h"+version, "", "")
		if status != c.status || !strings.Contains(answer, c.says) {
			t.Errorf("%s: %d %s", name, status, answer)
		}
		if strings.Contains(answer, "secret") || strings.Contains(answer, "sig=") {
			t.Errorf("%s: too much is said: %s", name, answer)
		}
	}
	w.header.Del("Authorization")
	w.want(200, "GET", "/health", "")
	w.want(200, "GET", "/", "")
	w.want(200, "GET", "/api", "")
	w.want(401, "GET", "/api/namespaces/millrace/hubs", "")
	w.want(401, "POST", "/h/messages", "x")
	w.header.Set("Authorization", sign("sb://x/", "Root", "secret", time.Hour))
	w.want(200, "GET", "/api/namespaces/millrace/hubs", "")
}

func TestNamespaceOfARequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *Options, h *hub.Options) {
		h.Namespaces = []hub.NamespaceSpec{{Name: "first"}, {Name: "Second"}}
	})
	for i, host := range []string{"", "second.servicebus.windows.net", "SECOND.localhost:5300"} {
		w.host = host
		w.want(201, "PUT", fmt.Sprintf("/h%d%s", i, version), description("<PartitionCount>1</PartitionCount>"))
	}
	for name, want := range map[string]int{"first": 1, "second": 2} {
		ns, _ := w.cluster.Namespace(name)
		hubs, err := ns.Hubs(t.Context())
		if err != nil || len(hubs) != want {
			t.Errorf("%s has %d hubs, %v", name, len(hubs), err)
		}
	}
	w.host = ""
	w.want(404, "GET", "/api/namespaces/third/hubs", "")
}

// What the browser of somebody who looks at another site can be made to send.
func TestOtherSites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.want(201, "PUT", "/h"+version, description("<PartitionCount>1</PartitionCount>"))
	for _, host := range []string{"evil.example", "millrace.evil.example", "192.168.1.7:5300", "localhost.evil.example:5300"} {
		w.host = host
		for _, path := range []string{"/", "/api", "/health", "/h" + version} {
			w.want(http.StatusMisdirectedRequest, "GET", path, "")
		}
	}
	for _, host := range []string{"localhost:5300", "127.0.0.1", "[::1]:5300", "eventhubs:5300", "ns.servicebus.windows.net", "ns.localhost"} {
		w.host = host
		w.want(200, "GET", "/health", "")
	}
	w.host = ""
	for name, header := range map[string][2]string{"origin": {"Origin", "https://evil.example"}, "fetch": {"Sec-Fetch-Site", "cross-site"}, "null": {"Origin", "null"}} {
		w.header = http.Header{header[0]: {header[1]}}
		for _, c := range [][2]string{{"POST", "/h/messages"}, {"PUT", "/x" + version}, {"DELETE", "/h" + version}, {"POST", "/api/namespaces/millrace/hubs/h/events"}} {
			if status, answer, _ := w.request(c[0], c[1], "text/plain", "x"); status != http.StatusForbidden {
				t.Errorf("%s: %s %s: %d %s", name, c[0], c[1], status, answer)
			}
		}
	}
	w.header = http.Header{}
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"} {
		for _, c := range [][2]string{{"POST", "/api/namespaces/millrace/hubs/h/events"}, {"DELETE", "/api/namespaces/millrace/hubs/h"}, {"PUT", "/api/namespaces/millrace/hubs/x"}} {
			if status, answer, _ := w.request(c[0], c[1], contentType, `{}`); status != http.StatusUnsupportedMediaType {
				t.Errorf("%q: %s %s: %d %s", contentType, c[0], c[1], status, answer)
			}
		}
	}
	w.want(200, "GET", "/h"+version, "")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	status, answer, header := w.request("GET", "/health", "", "")
	if status != 200 || answer != `{"status":"healthy","message":"Service is healthy."}` || !strings.HasPrefix(header.Get("Content-Type"), "application/json") {
		t.Errorf("%d %s %v", status, answer, header)
	}
}

// A log that is away is no fault of this program, and passes.
func TestStatusOfTheLog(t *testing.T) {
	t.Parallel()
	if got := statusOf(fmt.Errorf("listing: %w", connector.Retryable(errors.New("no answer"), 0))); got != http.StatusServiceUnavailable {
		t.Errorf("status %d", got)
	}
}
