package web

import (
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/hub"
)

// events reads all events of a hub.
func (w *world) events(name, query string) []eventView {
	w.t.Helper()
	var v eventsView
	w.api(200, "GET", "/api/namespaces/millrace/hubs/"+name+"/events?"+query, "", &v)
	return v.Events
}

func withHub(partitions int) func(*Options, *hub.Options) {
	return func(_ *Options, h *hub.Options) {
		h.Namespaces = []hub.NamespaceSpec{{Name: "millrace", Hubs: []hub.Spec{{Name: "h", Partitions: partitions}}}}
	}
}

func properties(list []propertyView) map[string]string {
	out := map[string]string{}
	for _, p := range list {
		out[p.Name] = fmt.Sprintf("%s %v", p.Type, p.Value)
	}
	return out
}

func TestSendOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withHub(4))
	w.header = http.Header{"BrokerProperties": {`{"PartitionKey": "abc", "MessageId": "m1", "CorrelationId": "c1", "Label": "l"}`},
		"Alert": {"Strong Wind"}, "Level": {"3"}, "Big": {"3000000000"}, "Ratio": {"0.5"}, "On": {"True"}, "Quoted": {`"5"`}, "Endless": {"Inf"},
		"Authorization": {"SharedAccessSignature x"}, "X-Ms-Retrypolicy": {"NoRetry"}}
	if status, answer, _ := w.request("POST", "/h/messages?timeout=60&api-version=2014-01", "application/atom+xml;type=entry;charset=utf-8", `{"a":1}`); status != 201 || answer != "" {
		t.Fatalf("%d %q", status, answer)
	}
	all := w.events("h", "")
	if len(all) != 1 {
		t.Fatalf("%+v", all)
	}
	e := all[0]
	if e.PartitionID != "1" || e.PartitionKey != "abc" || e.Body != `{"a":1}` || e.BodyEncoding != "text" || e.Size != 7 || e.SequenceNumber != 0 || e.Offset != "0" || time.Since(e.EnqueuedTime) > time.Hour {
		t.Errorf("%+v", e)
	}
	want := map[string]string{"Alert": "string Strong Wind", "Level": "int 3", "Big": "long 3e+09", "Ratio": "double 0.5", "On": "boolean true", "Quoted": "string 5", "Endless": "string Inf"}
	if got := properties(e.Properties); !reflect.DeepEqual(got, want) {
		t.Errorf("properties %v", got)
	}
	system := properties(e.SystemProperties)
	if system["message-id"] != "string m1" || system["correlation-id"] != "string c1" || system["subject"] != "string l" || system["content-type"] != "string application/atom+xml;type=entry;charset=utf-8" {
		t.Errorf("system properties %v", system)
	}
}

func TestSendBatchOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withHub(4))
	batch := `[{"Body":"one","UserProperties":{"Alert":"wind","n":7,"f":1.5,"b":true,"z":null}},{"Body":{"x":[1,2]}},{"Body":""}]`
	if status, answer, _ := w.request("POST", "/h/messages", batchType+"; charset=utf-8", batch); status != 201 {
		t.Fatalf("%d %s", status, answer)
	}
	all := w.events("h", "from=earliest")
	if len(all) != 3 || all[0].Body != "one" || all[1].Body != `{"x":[1,2]}` || all[2].Body != "" || all[0].PartitionID != all[2].PartitionID || all[2].SequenceNumber != 2 {
		t.Fatalf("%+v", all)
	}
	want := map[string]string{"Alert": "string wind", "n": "int 7", "f": "double 1.5", "b": "boolean true", "z": "null <nil>"}
	if got := properties(all[0].Properties); !reflect.DeepEqual(got, want) {
		t.Errorf("properties %v", got)
	}
	for name, body := range map[string]string{
		"no array": `{"Body":"x"}`, "empty": `[]`, "no body": `[{}]`, "two keys": `[{"Body":"a","BrokerProperties":{"PartitionKey":"a"}},{"Body":"b"}]`,
		"a property": `[{"Body":"a","UserProperties":{"x":[1]}}]`,
	} {
		if status, answer, _ := w.request("POST", "/h/messages", batchType, body); status != 400 {
			t.Errorf("%s: %d %s", name, status, answer)
		}
	}
	if n := len(w.events("h", "from=earliest")); n != 3 {
		t.Errorf("%d events", n)
	}
}

func TestSendToOnePlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withHub(4))
	w.want(201, "POST", "/h/partitions/3/messages", "x")
	w.want(404, "POST", "/h/partitions/4/messages", "x")
	w.want(404, "POST", "/none/messages", "x")
	w.want(201, "POST", "/h/publishers/device-1/messages", "y")
	w.header.Set("BrokerProperties", `{"PartitionKey":"k"}`)
	w.want(400, "POST", "/h/partitions/3/messages", "x")
	w.want(400, "POST", "/h/publishers/device-1/messages", "x")
	w.header.Set("BrokerProperties", `{`)
	w.want(400, "POST", "/h/messages", "x")
	w.header.Set("BrokerProperties", `{"PartitionKey":"`+strings.Repeat("k", 129)+`"}`)
	w.want(400, "POST", "/h/messages", "x")
	w.header.Del("BrokerProperties")
	w.want(413, "POST", "/h/messages", strings.Repeat("x", maxPublish+1))
	w.want(413, "POST", "/h/messages", strings.Repeat("x", maxPublish))
	w.want(201, "POST", "/h/messages", strings.Repeat("x", maxPublish-1000))
	all := w.events("h", "from=earliest")
	find := func(what string, is func(eventView) bool) eventView {
		if i := slices.IndexFunc(all, is); i >= 0 {
			return all[i]
		}
		t.Fatalf("%s is not there", what)
		return eventView{}
	}
	if x := find("x", func(e eventView) bool { return e.Body == "x" }); x.PartitionID != "3" || len(all) != 3 {
		t.Errorf("%d events, %+v", len(all), x)
	}
	y := find("y", func(e eventView) bool { return e.Body == "y" })
	if y.PartitionKey != "device-1" || properties(y.SystemProperties)["x-opt-publisher"] != "string device-1" {
		t.Errorf("%+v", y)
	}
	if large := find("the large one", func(e eventView) bool { return e.Truncated }); large.Size != maxPublish-1000 || len(large.Body) != shownBody {
		t.Errorf("a large event: %d of %d", len(large.Body), large.Size)
	}
}

func TestSendIsThrottled(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(_ *Options, h *hub.Options) {
		h.Namespaces = []hub.NamespaceSpec{{Name: "millrace", ThroughputUnits: 1, Hubs: []hub.Spec{{Name: "h", Partitions: 1}}}}
	})
	body := strings.Repeat("x", 900<<10)
	for range 20 {
		status, answer, header := w.request("POST", "/h/messages", "", body)
		if status == http.StatusServiceUnavailable {
			if !strings.Contains(answer, "50002") || header.Get("Retry-After") == "" {
				t.Errorf("%s %v", answer, header)
			}
			var o overview
			w.api(200, "GET", "/api", "", &o)
			if o.Namespaces[0].Traffic.ThrottledRequests != 1 || o.Namespaces[0].ThroughputUnits != 1 || o.Namespaces[0].Traffic.IncomingBytes < 900<<10 {
				t.Errorf("%+v", o)
			}
			return
		}
	}
	t.Error("20 requests of 0.9 MB went through one throughput unit at once")
}
