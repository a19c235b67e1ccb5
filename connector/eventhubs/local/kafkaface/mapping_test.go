package kafkaface_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
	"millrace/connector/eventhubs/local/kafkaface"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// An event written by AMQP is read by Kafka clients with the headers that the
// service makes of it, and without anything of our own.
func TestWrittenByAMQP(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		c, ns := namespace(t, brokers, hub.Spec{Name: "h", Partitions: 1})
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
		ctx := testContext(t)
		h, err := ns.Hub(ctx, "h")
		if err != nil {
			t.Fatal(err)
		}
		created := amqp.Timestamp(1_700_000_000_123)
		full := amqp.Message{
			MessageAnnotations: amqp.AppendMessageAnnotations(nil, amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "pk"}}),
			Properties: amqp.AppendProperties(nil, &amqp.Properties{MessageID: "m-1", Subject: "s", ContentType: "application/json",
				CreationTime: &created}),
			ApplicationProperties: amqp.AppendApplicationProperties(nil, amqp.Map{
				{Key: "text", Value: "hi"}, {Key: "int", Value: int32(5)}, {Key: "long", Value: int64(7)}, {Key: "yes", Value: true}}),
			Body: amqp.AppendData(nil, `{"a":1}`),
		}
		done := make(chan error, 1)
		if err := h.Append(ctx, 0, []amqp.Message{full, {Body: amqp.AppendData(nil, "bare")}}, func(_ int64, err error) { done <- err }); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		cl := client(t, s.Address(), kgo.ConsumeTopics("h"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		got := collect(t, cl, 2)
		if string(got[0].Value) != `{"a":1}` || got[0].Key != nil || got[0].Offset != 0 || string(got[1].Value) != "bare" || got[1].Offset != 1 {
			t.Errorf("records are %+v", got)
		}
		want := map[string]string{"text": "\xa1\x02hi", "int": "\x54\x05", "long": "\x55\x07", "message-id": "m-1", "content-type": "application/json"}
		headers := map[string]string{}
		for _, h := range got[0].Headers {
			headers[h.Key] = string(h.Value)
		}
		for k, v := range want {
			if headers[k] != v {
				t.Errorf("header %s is %q, want %q", k, headers[k], v)
			}
		}
		if v := headers["yes"]; v != "\x41" && v != "\x56\x01" {
			t.Errorf("header yes is %q", v)
		}
		for k := range headers {
			if len(k) > 6 && k[:6] == "x-opt-" {
				t.Errorf("there is a header %s", k)
			}
		}
		if len(got[1].Headers) != 0 {
			t.Errorf("a bare event has the headers %v", got[1].Headers)
		}
		if age := time.Since(got[0].Timestamp); age > time.Hour || age < -time.Hour {
			t.Errorf("the timestamp is %v", got[0].Timestamp)
		}
	})
}

// An event written by a Kafka client is read by AMQP receivers with binary
// properties and its key as an annotation.
func TestWrittenByKafka(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		c, ns := namespace(t, brokers, hub.Spec{Name: "h", Partitions: 1})
		s, _ := start(t, kafkaface.Options{Cluster: c, Namespace: ns.Name()})
		ctx := testContext(t)
		for _, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression()} {
			p := client(t, s.Address(), kgo.ProducerBatchCompression(codec))
			err := p.ProduceSync(ctx,
				&kgo.Record{Topic: "h", Key: []byte("k"), Value: []byte("v"), Headers: []kgo.RecordHeader{{Key: "a", Value: []byte{1, 2}}}},
				&kgo.Record{Topic: "h", Value: nil}).FirstErr()
			if err != nil {
				t.Fatal(err)
			}
		}
		h, err := ns.Hub(ctx, "h")
		if err != nil {
			t.Fatal(err)
		}
		r, err := h.Reader(ctx, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		for at := int64(0); at < 4; {
			events, err := r.Next(ctx, 10)
			if err != nil {
				t.Fatal(err)
			}
			for i := range events {
				e := &events[i]
				if e.Sequence != at {
					t.Fatalf("sequence %d, want %d", e.Sequence, at)
				}
				if at%2 == 0 {
					a, _ := e.Properties().Get("a")
					if string(e.Body()) != "v" || fmt.Sprint(a) != "[1 2]" {
						t.Errorf("event %d is %q with %v", at, e.Body(), e.Properties())
					}
					if key, _ := e.SystemProperties().Get("x-opt-kafka-key"); fmt.Sprint(key) != fmt.Sprint([]byte("k")) {
						t.Errorf("event %d has the key %v", at, key)
					}
				} else if e.Body() != nil || len(e.Properties()) != 0 {
					t.Errorf("event %d is %q with %v", at, e.Body(), e.Properties())
				}
				at++
			}
		}
	})
}

// Namespaces that share a log see neither each other's hubs nor groups, nor
// what is the log's own.
func TestNamespacesAreApart(t *testing.T) {
	t.Parallel()
	logs(t, func(t *testing.T, brokers string) {
		nameA, nameB := unique("a"), unique("b")
		c := open(t, brokers, hub.NamespaceSpec{Name: "main"},
			hub.NamespaceSpec{Name: nameA, Hubs: []hub.Spec{{Name: "h", Partitions: 2}, {Name: "only-a", Partitions: 1}}},
			hub.NamespaceSpec{Name: nameB, Hubs: []hub.Spec{{Name: "h", Partitions: 1}}})
		ctx := testContext(t)
		a, _ := start(t, kafkaface.Options{Cluster: c, Namespace: nameA})
		b, _ := start(t, kafkaface.Options{Cluster: c, Namespace: nameB})
		root, _ := start(t, kafkaface.Options{Cluster: c})
		for addr, want := range map[string]string{a.Address(): "[h only-a]", b.Address(): "[h]"} {
			topics, err := admin(t, addr).ListTopicsWithInternal(ctx)
			if err != nil || fmt.Sprint(topics.Names()) != want {
				t.Errorf("%v, %v, want %s", topics.Names(), err, want)
			}
		}
		topics, err := admin(t, root.Address()).ListTopicsWithInternal(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range topics.Names() {
			if len(name) > 2 && name[:2] == "__" || name == nameA+".h" || name == nameB+".h" {
				t.Errorf("the default namespace shows %s", name)
			}
		}
		// The same names mean different things.
		for addr, value := range map[string]string{a.Address(): "of a", b.Address(): "of b"} {
			cl := client(t, addr, kgo.ConsumeTopics("h"), kgo.ConsumerGroup("readers"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
			if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "h", Value: []byte(value)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if got := collect(t, cl, 1); string(got[0].Value) != value || got[0].Topic != "h" {
				t.Errorf("read %q of %s", got[0].Value, got[0].Topic)
			}
			if err := cl.CommitUncommittedOffsets(ctx); err != nil {
				t.Error(err)
			}
			cl.Close()
		}
		adm := admin(t, a.Address())
		var offsets kadm.Offsets
		offsets.AddOffset("only-a", 0, 1, -1)
		group := unique("own")
		if err := adm.CommitAllOffsets(ctx, group, offsets); err != nil {
			t.Fatal(err)
		}
		for addr, want := range map[string]int{a.Address(): 2, b.Address(): 1} {
			groups, err := admin(t, addr).ListGroups(ctx)
			if err != nil || len(groups) != want {
				t.Errorf("groups are %v, %v", groups.Groups(), err)
			}
		}
		groups, err := admin(t, root.Address()).ListGroups(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, g := range groups.Groups() {
			if g == "readers" || g == nameA+".readers" || g == nameA+"."+group {
				t.Errorf("the default namespace shows group %s", g)
			}
		}
		// Nobody gets across by naming the log's topics.
		if err := client(t, root.Address(), kgo.UnknownTopicRetries(0)).ProduceSync(ctx, &kgo.Record{Topic: nameA + ".h", Value: []byte("x")}).FirstErr(); !errors.Is(err, kerr.UnknownTopicOrPartition) {
			t.Errorf("producing to the log's topic: %v", err)
		}
		if r, err := admin(t, root.Address()).DeleteTopics(ctx, nameA+".h"); err != nil || r.Error() == nil {
			t.Errorf("deleting the log's topic: %v, %v", r, err)
		}
		// The endpoint of a connection string chooses a namespace by name.
		w := dial(t, root.Address())
		w.signIn("Endpoint=sb://" + nameA + ".localhost:9093/;SharedAccessKeyName=k;SharedAccessKey=x")
		if got := topicsOf(w.request(kmsg.NewPtrMetadataRequest(), 5)); fmt.Sprint(got) != "[h only-a]" {
			t.Errorf("by its name the namespace shows %v", got)
		}
	})
}
