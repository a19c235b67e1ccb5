package web

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"millrace/connector/eventhubs/local/hub"
)

const hubsPath = "/api/namespaces/millrace/hubs"

func TestHubsOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	var made hubView
	w.api(200, "PUT", hubsPath+"/orders", `{"partitionCount":3,"retentionInHours":36,"consumerGroups":["billing"],"captureDescription":{"enabled":true,"encoding":"AvroDeflate",
		"intervalInSeconds":60,"destination":{"properties":{"blobContainer":"box"}}}}`, &made)
	c := made.CaptureDescription
	if made.PartitionCount != 3 || made.RetentionInHours != 36 || len(made.ConsumerGroups) != 2 || c == nil || !c.Enabled || c.Encoding != "AvroDeflate" || c.IntervalInSeconds != 60 ||
		c.SizeLimitInBytes != defaultSizeLimit || c.Destination.Properties.BlobContainer != "box" || c.Destination.Properties.ArchiveNameFormat != defaultNameFormat || c.Destination.Name != destinationBlob {
		t.Errorf("%+v %+v", made, c)
	}
	w.api(409, "PUT", hubsPath+"/orders", `{}`, nil)
	w.api(200, "PUT", hubsPath+"/orders?update=true", `{"retentionInHours":72}`, &made)
	if made.RetentionInHours != 72 || made.CaptureDescription == nil {
		t.Errorf("updated %+v", made)
	}
	w.api(200, "PUT", hubsPath+"/orders?update=true", `{"captureDescription":{"enabled":false}}`, &made)
	if made.CaptureDescription.Enabled {
		t.Errorf("Capture is on: %+v", made)
	}
	w.api(200, "PUT", hubsPath+"/small", ``, &made)
	var list []hubView
	w.api(200, "GET", hubsPath, "", &list)
	if len(list) != 2 || list[0].Name != "orders" || list[1].PartitionCount != 4 {
		t.Errorf("%+v", list)
	}
	w.api(200, "PUT", hubsPath+"/orders/consumergroups/audit", "", nil)
	w.api(409, "PUT", hubsPath+"/orders/consumergroups/Audit", "", nil)
	w.api(200, "DELETE", hubsPath+"/orders/consumergroups/billing", "", nil)
	var one hubView
	w.api(200, "GET", hubsPath+"/orders", "", &one)
	if len(one.Groups) != 2 || one.Groups[1].Name != "audit" || one.Groups[1].Lag != nil || len(one.Partitions) != 3 {
		t.Errorf("%+v", one)
	}
	w.api(200, "DELETE", hubsPath+"/small", "", nil)
	w.api(404, "DELETE", hubsPath+"/small", "", nil)
	w.api(404, "GET", hubsPath+"/small/events", "", nil)
	for _, body := range []string{`{"partitions":3}`, `{"partitionCount":-1}`, `{"partitionCount":100000}`, `{"retentionInHours":1e9}`, `[]`, `{} {}`, `{"captureDescription":{"encoding":"Parquet"}}`,
		`{"captureDescription":{"intervalInSeconds":1000}}`, `{"captureDescription":{"sizeLimitInBytes":-1}}`, `{"captureDescription":{"destination":{"name":"S3"}}}`} {
		w.api(400, "PUT", hubsPath+"/x", body, nil)
	}
	w.api(400, "PUT", hubsPath+"/no%20name", `{}`, nil)
	w.api(404, "GET", "/api/nothing", "", nil)
	w.api(404, "POST", "/api", "", nil)
}

func TestCaptureNeedsStorage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(o *Options, _ *hub.Options) { o.NoCapture = true })
	w.api(400, "PUT", hubsPath+"/x", `{"captureDescription":{"enabled":true}}`, nil)
	w.api(200, "PUT", hubsPath+"/x", `{"captureDescription":{"enabled":false}}`, nil)
}

func TestPeekOfTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withHub(2))
	for i := range 30 {
		var sent sentEvent
		w.api(200, "POST", hubsPath+"/h/events", fmt.Sprintf(`{"body":"event %d","partitionId":"%d"}`, i, i%2), &sent)
		if sent.PartitionID != fmt.Sprint(i%2) || sent.SequenceNumber != int64(i/2) {
			t.Fatalf("%+v", sent)
		}
	}
	bodies := func(query string) string {
		var all []string
		for _, e := range w.events("h", query) {
			all = append(all, strings.TrimPrefix(e.Body, "event "))
		}
		return strings.Join(all, " ")
	}
	for query, want := range map[string]string{
		"count=2&partition=0":                "26 28",
		"count=2&partition=1&from=7":         "15 17",
		"count=100&partition=1&from=13":      "27 29",
		"count=100&partition=1&from=15":      "",
		"count=100&partition=0&from=1000000": "",
	} {
		if got := bodies(query); got != want {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
	// Over all partitions events are in the order of their time, which several
	// may share.
	for _, query := range []string{"count=7", "count=7&from=earliest"} {
		all := w.events("h", query)
		if !slices.IsSortedFunc(all, func(a, b eventView) int { return a.EnqueuedTime.Compare(b.EnqueuedTime) }) || len(all) != 7 {
			t.Errorf("%s: %+v", query, all)
		}
	}
	for _, query := range []string{"count=0", "count=x", "count=100000", "partition=2", "partition=x", "from=yesterday", "from=-1"} {
		if status, answer, _ := w.request("GET", hubsPath+"/h/events?"+query, "", ""); status != 400 && status != 404 {
			t.Errorf("%s: %d %s", query, status, answer)
		}
	}
	var one hubView
	w.api(200, "GET", hubsPath+"/h", "", &one)
	p := one.Partitions[1]
	if one.Events != 30 || one.EventsPerSecond != 3 || p.BeginSequenceNumber != 0 || p.EndSequenceNumber != 15 || p.EventsPerSecond != 1.5 || p.LastEnqueuedTime.IsZero() || one.LastEnqueuedTime.IsZero() {
		t.Errorf("%+v", one)
	}
}

func TestSendOverTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, withHub(4))
	var sent sentEvent
	w.api(200, "POST", hubsPath+"/h/events", `{"body":"/wD+","bodyEncoding":"base64","partitionKey":"abc","contentType":"x/y","properties":{"n":1,"s":"<b>"}}`, &sent)
	if sent.PartitionID != "1" {
		t.Errorf("%+v", sent)
	}
	e := w.events("h", "")[0]
	if e.Body != "/wD+" || e.BodyEncoding != "base64" || e.Size != 3 || properties(e.Properties)["s"] != "string <b>" || properties(e.SystemProperties)["content-type"] != "string x/y" {
		t.Errorf("%+v", e)
	}
	for _, body := range []string{`{"body":"x","bodyEncoding":"hex"}`, `{"body":"#","bodyEncoding":"base64"}`, `{"body":"x","properties":{"a":{}}}`, `{"body":"x","partitionId":"9"}`,
		`{"body":"x","partitionId":"1","partitionKey":"k"}`, `{"text":"x"}`, `x`} {
		status, answer, _ := w.request("POST", hubsPath+"/h/events", "application/json", body)
		if status != 400 && status != 404 || !strings.Contains(answer, `{"error":{"message":"`) {
			t.Errorf("%s: %d %s", body, status, answer)
		}
	}
}

// Lag comes from checkpoints for the hub's groups and from the log for Kafka's.
func TestLag(t *testing.T) {
	t.Parallel()
	var progress []Progress
	var broken error
	var brokers []string
	w := newWorld(t, func(o *Options, h *hub.Options) {
		withHub(2)(o, h)
		h.Namespaces[0].Hubs[0].Groups = []string{"Billing"}
		o.Progress = func(context.Context, string, string) ([]Progress, error) { return progress, broken }
		brokers = h.Brokers
	})
	for i := range 10 {
		w.api(200, "POST", hubsPath+"/h/events", fmt.Sprintf(`{"body":"x","partitionId":"%d"}`, i%2), nil)
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(brokers...), kgo.ConsumeTopics("h"), kgo.ConsumerGroup("sink"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	for n := 0; n < 10; {
		fetched := cl.PollFetches(ctx)
		if err := fetched.Err(); err != nil {
			t.Fatal(err)
		}
		n += fetched.NumRecords()
	}
	if err := cl.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	w.api(200, "POST", hubsPath+"/h/events", `{"body":"x","partitionId":"1"}`, nil)
	progress = []Progress{{Group: "billing", Next: map[int32]int64{0: 2, 1: 6}}}
	var one hubView
	w.api(200, "GET", hubsPath+"/h", "", &one)
	if len(one.Groups) != 3 || one.Groups[0].Lag != nil || one.Groups[1].Name != "Billing" || *one.Groups[1].Lag != 3 || one.Groups[1].Partitions[0].Lag != 3 {
		t.Errorf("%+v", one.Groups)
	}
	k := one.Groups[2]
	if k.Name != "sink" || k.Protocol != "kafka" || k.State != "Stable" || k.Lag == nil || *k.Lag != 1 || k.Partitions[1].Next != 5 {
		t.Errorf("%+v", k)
	}
	// What cannot be found out does not hide the rest.
	broken = errors.New("storage is away")
	w.api(200, "GET", hubsPath+"/h", "", &one)
	if len(one.Groups) != 3 || !strings.Contains(one.Warning, "storage is away") || one.Events != 11 {
		t.Errorf("%+v", one)
	}
}

func TestShowBytes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in             string
		cut            bool
		text, encoding string
	}{
		{"", false, "", "text"},
		{"héllo\n\t", false, "héllo\n\t", "text"},
		{"h\xc3", true, "h", "text"},
		{"h\xc3", false, "aMM=", "base64"},
		{"日\xe6\x97", true, "日", "text"},
		{"日本", true, "日本", "text"},
		{"a\x00", false, "YQA=", "base64"},
		{"\x1b[2J", false, "G1sySg==", "base64"},
	} {
		if text, encoding := showBytes([]byte(c.in), c.cut); text != c.text || encoding != c.encoding {
			t.Errorf("%q: %q %s", c.in, text, encoding)
		}
	}
}
