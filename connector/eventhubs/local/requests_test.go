package local_test

import (
	"fmt"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

// ask sends a request and returns the answer's application properties, its body
// and its correlation id.
func (c *raw) ask(handle, id uint32, p amqp.Properties, app amqp.Map, body any) (status int32, answer amqp.Map, correlation any) {
	c.t.Helper()
	m := amqp.AppendProperties(nil, &p)
	m = amqp.AppendApplicationProperties(m, app)
	m = amqp.AppendBody(m, body)
	c.transfer(0, handle, id, 0, m, 60_000)
	for {
		f, err := c.frame()
		if err != nil {
			c.t.Fatal(err)
		}
		if _, ok := f.Body.(*amqp.Transfer); !ok {
			continue // settlement, credit
		}
		var got amqp.Message
		if err := amqp.ParseMessage(f.Payload, &got); err != nil {
			c.t.Fatal(err)
		}
		props, err := amqp.ReadProperties(got.Properties)
		if err != nil {
			c.t.Fatal(err)
		}
		application, err := amqp.ReadMap(got.ApplicationProperties)
		if err != nil {
			c.t.Fatal(err)
		}
		v, _ := application.Get("status-code")
		status, ok := v.(int32)
		if !ok {
			c.t.Fatalf("status-code is a %T", v)
		}
		if d, _ := application.Get("status-description"); d == nil {
			c.t.Error("no status-description")
		}
		if got.Kind() == amqp.BodyValue {
			value, err := got.Value()
			if err != nil {
				c.t.Fatal(err)
			}
			answer, _ = value.(amqp.Map)
		}
		return status, answer, props.CorrelationID
	}
}

func tokenRequest(name string) amqp.Map {
	return amqp.Map{{Key: "operation", Value: "put-token"}, {Key: "type", Value: "servicebus.windows.net:sastoken"}, {Key: "name", Value: name}}
}

// The clients differ in how they ask: Python names no reply-to and numbers by
// UUID, JavaScript has no target and replies to the link's name, Go uses the
// target's address.
func TestAnswersFindTheirLink(t *testing.T) {
	t.Parallel()
	w := start(t, withKey("k"))
	token := signed(w, "telemetry", "k", time.Hour)
	for _, tt := range []struct {
		name           string
		target         *amqp.Target
		properties     amqp.Properties
		senderSettle   *uint8
		audience, node string
	}{
		{"python", &amqp.Target{Address: "$cbs"}, amqp.Properties{MessageID: amqp.UUID{1}}, ptr(uint8(0)), "sb://localhost/telemetry", "$cbs"},
		{"javascript", &amqp.Target{}, amqp.Properties{MessageID: "m", ReplyTo: "receiver-1"}, nil, "sb://localhost:1234/telemetry/Partitions/1", "$cbs"},
		{"go", &amqp.Target{Address: "$cbs$$cbs-reply-to-x"}, amqp.Properties{MessageID: "m", ReplyTo: "$cbs$$cbs-reply-to-x"}, ptr(uint8(1)), "amqp://localhost/TELEMETRY/$management", "$cbs"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := dialRaw(t, w)
			c.open(nil)
			c.begin(0, 5000)
			c.put(0, senderAttach(0, tt.node))
			get[amqp.Attach](c)
			get[amqp.Flow](c)
			a := receiverAttach(1, tt.node)
			a.Target, a.SenderSettleMode = tt.target, tt.senderSettle
			c.put(0, a)
			r := get[amqp.Attach](c)
			if tt.senderSettle != nil && *r.SenderSettleMode != *tt.senderSettle {
				t.Errorf("settle mode %d", *r.SenderSettleMode)
			}
			// The request comes before there is credit for its answer.
			p := tt.properties
			m := amqp.AppendBody(amqp.AppendApplicationProperties(amqp.AppendProperties(nil, &p), tokenRequest(tt.audience)), token)
			c.transfer(0, 0, 0, 0, m, 60_000)
			c.accepted(0)
			c.quiet(50 * time.Millisecond)
			c.credit(0, 1, 0, 100, nil)
			_, payload, _ := c.delivery()
			var got amqp.Message
			if err := amqp.ParseMessage(payload, &got); err != nil {
				t.Fatal(err)
			}
			if props, err := amqp.ReadProperties(got.Properties); err != nil || props.CorrelationID != tt.properties.MessageID {
				t.Errorf("correlation id %v (%v)", props.CorrelationID, err)
			}
			if app, err := amqp.ReadMap(got.ApplicationProperties); err != nil {
				t.Error(err)
			} else if code, _ := app.Get("status-code"); code != int32(202) {
				t.Errorf("answer %v", app)
			}
			c.put(0, senderAttach(2, "telemetry/Partitions/1"))
			if a := get[amqp.Attach](c); tt.name != "go" && a.Target == nil {
				t.Error("the link is refused all the same")
			}
		})
	}
}

func TestRequestsThatMakeNoSense(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	c.put(0, senderAttach(0, "$cbs"), receiverAttach(1, "$cbs"), senderAttach(2, "telemetry/$management"), receiverAttach(3, "telemetry/$management"))
	for range 6 {
		if _, err := c.frame(); err != nil {
			t.Fatal(err)
		}
	}
	c.credit(0, 1, 0, 100, nil)
	c.credit(0, 3, 0, 100, nil)
	read := func(kv ...any) amqp.Map {
		m := amqp.Map{{Key: "operation", Value: "READ"}}
		for i := 0; i < len(kv); i += 2 {
			m = append(m, amqp.Pair{Key: kv[i], Value: kv[i+1]})
		}
		return m
	}
	for i, tt := range []struct {
		handle uint32
		app    amqp.Map
		want   int32
	}{
		{0, tokenRequest("sb://x/telemetry"), 202},
		{0, amqp.Map{{Key: "operation", Value: "delete-token"}}, 400},
		{0, tokenRequest(""), 400},
		{0, nil, 400},
		{2, read("type", "com.microsoft:eventhub", "name", "telemetry"), 200},
		{2, read("type", "com.microsoft:partition", "name", "telemetry", "partition", "3"), 200},
		{2, read("type", "com.microsoft:partition", "name", "telemetry", "partition", "4"), 400},
		{2, read("type", "com.microsoft:partition", "name", "telemetry"), 400},
		{2, read("type", "com.microsoft:eventhub", "name", "nowhere"), 404},
		{2, read("type", "com.microsoft:queue", "name", "telemetry"), 400},
		{2, amqp.Map{{Key: "operation", Value: "CREATE"}}, 400},
	} {
		id := uint64(i)
		status, body, correlation := c.ask(tt.handle, uint32(i), amqp.Properties{MessageID: id}, tt.app, nil)
		if status != tt.want || correlation != id {
			t.Errorf("%v: status %d, correlation %v; want %d", tt.app, status, correlation, tt.want)
		}
		if status == 200 {
			if name, _ := body.Get("name"); name != "telemetry" {
				t.Errorf("%v: %v", tt.app, body)
			}
		}
	}
}

// Types as strict clients want them.
func TestManagementTypes(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	c.put(0, senderAttach(0, "$management"), receiverAttach(1, "$management"))
	for range 3 {
		if _, err := c.frame(); err != nil {
			t.Fatal(err)
		}
	}
	c.credit(0, 1, 0, 10, nil)
	_, hubBody, _ := c.ask(0, 0, amqp.Properties{MessageID: "1"}, amqp.Map{{Key: "operation", Value: "READ"}, {Key: "name", Value: "telemetry"}, {Key: "type", Value: "com.microsoft:eventhub"}}, nil)
	_, partBody, _ := c.ask(0, 1, amqp.Properties{MessageID: "2"}, amqp.Map{{Key: "operation", Value: "READ"}, {Key: "name", Value: "telemetry"},
		{Key: "type", Value: "com.microsoft:partition"}, {Key: "partition", Value: "0"}}, nil)
	for _, tt := range []struct {
		body amqp.Map
		want string
	}{
		{hubBody, "name string, type string, created_at amqp.Timestamp, partition_count int32, partition_ids []string, georeplication_factor int32, "},
		{partBody, "name string, type string, partition string, begin_sequence_number int64, last_enqueued_sequence_number int64, " +
			"last_enqueued_offset string, last_enqueued_time_utc amqp.Timestamp, is_partition_empty bool, "},
	} {
		got := ""
		for _, p := range tt.body {
			got += fmt.Sprintf("%v %T, ", p.Key, p.Value)
		}
		if got != tt.want {
			t.Errorf("types\n%s\nwant\n%s", got, tt.want)
		}
	}
}

func TestIdempotentProducer(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	numbered := func(handle uint32, p amqp.Map) *amqp.Attach {
		a := senderAttach(handle, "telemetry/Partitions/2")
		a.DesiredCapabilities, a.Properties = []amqp.Symbol{"com.microsoft:idempotent-producer"}, p
		return a
	}
	sym := func(s string) amqp.Symbol { return amqp.Symbol("com.microsoft:producer-" + s) }
	c.put(0, numbered(0, amqp.Map{{Key: sym("epoch"), Value: nil}, {Key: sym("id"), Value: nil}, {Key: sym("sequence-number"), Value: nil}}))
	a := get[amqp.Attach](c)
	get[amqp.Flow](c)
	id, _ := a.Properties.Get(string(sym("id")))
	last, _ := a.Properties.Get(string(sym("sequence-number")))
	epoch, _ := a.Properties.Get(string(sym("epoch")))
	if _, ok := id.(int64); !ok || last != int32(0) || epoch != int16(0) {
		t.Fatalf("attach properties %v", a.Properties)
	}
	event := func(seq int32) []byte {
		return message(fmt.Sprint("event ", seq), amqp.Map{{Key: sym("sequence-number"), Value: seq}, {Key: sym("id"), Value: id}, {Key: sym("epoch"), Value: epoch}})
	}
	c.transfer(0, 0, 0, amqp.BatchFormat, batch(event(1), event(2), event(3)), 9999)
	c.accepted(0)
	c.transfer(0, 0, 1, amqp.BatchFormat, batch(event(1), event(2), event(3)), 9999) // again
	c.accepted(1)
	c.transfer(0, 0, 2, 0, event(5), 9999)
	if err := c.rejected(); err.Condition != "com.microsoft:out-of-order-sequence" {
		t.Error(err)
	}
	c.transfer(0, 0, 3, 0, message("no number", nil), 9999)
	if err := c.rejected(); err.Condition != "com.microsoft:argument-error" {
		t.Error(err)
	}
	c.transfer(0, 0, 4, 0, event(4), 9999)
	c.accepted(4)
	// A higher epoch takes over and goes on; a lower one is refused.
	c.put(0, numbered(1, amqp.Map{{Key: sym("epoch"), Value: int16(3)}, {Key: sym("id"), Value: id}}))
	if d := get[amqp.Detach](c); d.Handle != 0 || d.Error.Condition != "com.microsoft:producer-epoch-stolen" {
		t.Errorf("detach %+v", d)
	}
	a = get[amqp.Attach](c)
	get[amqp.Flow](c)
	if last, _ := a.Properties.Get(string(sym("sequence-number"))); last != int32(4) {
		t.Errorf("attach properties %v", a.Properties)
	}
	c.put(0, &amqp.Detach{Handle: 0, Closed: true}, numbered(2, amqp.Map{{Key: sym("epoch"), Value: int16(2)}, {Key: sym("id"), Value: id}}))
	get[amqp.Attach](c)
	if d := get[amqp.Detach](c); d.Handle != 2 || d.Error.Condition != "com.microsoft:producer-epoch-stolen" {
		t.Errorf("detach %+v", d)
	}
	got := receive(t, open(t, w.consumer(t, "telemetry", "$Default"), "2", nil), 4)
	if string(got[3].Body) != "event 4" {
		t.Errorf("the fourth event is %q", got[3].Body)
	}
}
