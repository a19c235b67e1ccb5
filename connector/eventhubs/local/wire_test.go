package local_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

const singleReceiver = "single/ConsumerGroups/$Default/Partitions/0"

func TestPipelinedHandshake(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	b := amqp.AppendProtocolHeader(nil, amqp.ProtocolSASL)
	b = amqp.AppendFrame(b, &amqp.Frame{Type: amqp.FrameSASL, Body: &amqp.SASLInit{Mechanism: "ANONYMOUS"}})
	b = amqp.AppendProtocolHeader(b, amqp.ProtocolAMQP)
	b = amqp.AppendFrame(b, &amqp.Frame{Body: &amqp.Open{ContainerID: "x"}})
	b = amqp.AppendFrame(b, &amqp.Frame{Channel: 1, Body: &amqp.Begin{NextOutgoingID: 7, IncomingWindow: 100, OutgoingWindow: 100}})
	b = amqp.AppendFrame(b, &amqp.Frame{Channel: 1, Body: senderAttach(1, "amqp://somewhere:5671/single/")})
	for len(b) > 0 { // in pieces of all sizes
		n := min(len(b), 1+len(b)%13)
		c.bytes(b[:n])
		b = b[n:]
	}
	c.header(amqp.ProtocolSASL)
	m := get[amqp.SASLMechanisms](c)
	if fmt.Sprint(m.Mechanisms) != "[ANONYMOUS MSSBCBS PLAIN EXTERNAL]" {
		t.Errorf("mechanisms %v", m.Mechanisms)
	}
	if o := get[amqp.SASLOutcome](c); o.Code != 0 {
		t.Errorf("outcome %d", o.Code)
	}
	c.header(amqp.ProtocolAMQP)
	o := get[amqp.Open](c)
	if o.ContainerID == "" || *o.MaxFrameSize != 65536 || *o.ChannelMax < 255 || *o.IdleTimeout != 120_000 {
		t.Errorf("open %+v", o)
	}
	begin, f := getFrame[amqp.Begin](c)
	if f.Channel != 1 || begin.RemoteChannel == nil || *begin.RemoteChannel != 1 || *begin.HandleMax != 255 || begin.IncomingWindow != 5000 {
		t.Errorf("begin %+v on channel %d", begin, f.Channel)
	}
	a := get[amqp.Attach](c)
	if a.Handle != 1 || a.Role != amqp.RoleReceiver || a.Name != "sender-1" || a.Source == nil || a.Target == nil || a.Properties == nil {
		t.Errorf("attach %+v", a)
	}
	if flow := get[amqp.Flow](c); *flow.Handle != 1 || *flow.NextIncomingID != 7 {
		t.Errorf("flow %+v", flow)
	}
	c.put(1, &amqp.Detach{Handle: 1, Closed: true}, &amqp.End{})
	c.put(0, &amqp.Close{})
	if d := get[amqp.Detach](c); d.Handle != 1 || !d.Closed || d.Error != nil {
		t.Errorf("detach %+v", d)
	}
	get[amqp.End](c)
	if e := get[amqp.Close](c).Error; e != nil {
		t.Error(e)
	}
	c.gone()
}

func TestSASLPlain(t *testing.T) {
	t.Parallel()
	w := start(t, withKey("k"))
	for response, code := range map[string]uint8{"\x00RootManageSharedAccessKey\x00k": 0, "\x00RootManageSharedAccessKey\x00x": 1, "": 1} {
		c := dialRaw(t, w)
		c.bytes(amqp.AppendProtocolHeader(nil, amqp.ProtocolSASL))
		c.header(amqp.ProtocolSASL)
		get[amqp.SASLMechanisms](c)
		c.bytes(amqp.AppendFrame(nil, &amqp.Frame{Type: amqp.FrameSASL, Body: &amqp.SASLInit{Mechanism: "PLAIN", InitialResponse: []byte(response)}}))
		if o := get[amqp.SASLOutcome](c); o.Code != code {
			t.Errorf("%q: outcome %d, want %d", response, o.Code, code)
		}
		if code != 0 {
			c.gone()
			continue
		}
		c.open(nil)
		c.begin(0, 100)
		c.sender(0, 0, "single") // no token is needed any more
	}
}

func TestLinkWithoutATokenIsRefused(t *testing.T) {
	t.Parallel()
	w := start(t, withKey("k"))
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 100)
	for handle, attach := range []*amqp.Attach{senderAttach(0, "single"), receiverAttach(1, singleReceiver)} {
		c.put(0, attach)
		a := get[amqp.Attach](c)
		if a.Role == amqp.RoleReceiver && a.Target != nil || a.Role == amqp.RoleSender && (a.Source != nil || a.InitialDeliveryCount != nil) {
			t.Errorf("attach with a terminus: %+v", a)
		}
		d := get[amqp.Detach](c)
		if d.Handle != uint32(handle) || !d.Closed || d.Error == nil || d.Error.Condition != amqp.ErrorUnauthorizedAccess || !strings.Contains(d.Error.Description, "claim(s) are required") {
			t.Errorf("detach %+v", d)
		}
		c.put(0, &amqp.Detach{Handle: uint32(handle), Closed: true})
	}
	// The handles are free again.
	c.put(0, senderAttach(0, "nowhere"))
	get[amqp.Attach](c)
	get[amqp.Detach](c)
}

func fill(t *testing.T, w *world, n, size int) {
	t.Helper()
	send(t, w.producer(t, "single"), nil, strings.Repeat("x", size), n)
}

func TestDrain(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	if a := c.receiver(0, 0, singleReceiver); *a.SenderSettleMode != 1 {
		t.Errorf("attach %+v", a)
	}
	drain := func(f *amqp.Flow) { f.Drain = true }
	drained := func(count uint32) {
		t.Helper()
		if f := get[amqp.Flow](c); *f.LinkCredit != 0 || *f.DeliveryCount != count || !f.Drain || f.NextIncomingID == nil {
			t.Errorf("flow %+v, want delivery count %d", f, count)
		}
	}
	c.credit(0, 0, 0, 10, drain) // nothing is there
	drained(10)
	c.credit(0, 0, 10, 0, drain) // no credit
	drained(10)
	fill(t, w, 3, 100)
	c.credit(0, 0, 10, 5, drain)
	for i := range 3 {
		tr, _, _ := c.delivery()
		if *tr.DeliveryID != uint32(i) || tr.DeliveryTag == nil || *tr.MessageFormat != 0 || !*tr.Settled {
			t.Errorf("transfer %+v", tr)
		}
	}
	drained(15)
	fill(t, w, 2, 100)
	c.quiet(100 * time.Millisecond)
	c.credit(0, 0, 15, 1, drain) // fewer than there are
	c.delivery()
	drained(16)
	c.credit(0, 0, 16, 1, nil)
	c.delivery()
}

func TestEcho(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	c.receiver(0, 0, singleReceiver)
	c.credit(0, 0, 0, 7, func(f *amqp.Flow) { f.Echo = true })
	if f := get[amqp.Flow](c); *f.Handle != 0 || *f.LinkCredit != 7 || f.Echo {
		t.Errorf("flow %+v", f)
	}
	c.put(0, &amqp.Flow{NextIncomingID: ptr(uint32(1)), IncomingWindow: 100, Echo: true})
	if f := get[amqp.Flow](c); f.Handle != nil || f.IncomingWindow != 5000 || f.NextIncomingID == nil {
		t.Errorf("flow %+v", f)
	}
}

func TestSessionWindowIsHonoured(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	fill(t, w, 20, 10)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5)
	c.receiver(0, 0, singleReceiver)
	// The link's flow carries the session's window as well.
	five := func(next uint32) func(*amqp.Flow) {
		return func(f *amqp.Flow) { f.NextIncomingID, f.IncomingWindow = &next, 5 }
	}
	c.credit(0, 0, 0, 100, five(1))
	for range 5 {
		c.delivery()
	}
	c.credit(0, 0, 0, 100, func(f *amqp.Flow) { f.NextIncomingID, f.IncomingWindow = nil, 5 }) // sent before it saw our begin
	c.quiet(100 * time.Millisecond)
	c.put(0, &amqp.Flow{NextIncomingID: ptr(uint32(3)), IncomingWindow: 5, OutgoingWindow: 1}) // two more
	for range 2 {
		c.delivery()
	}
	c.quiet(100 * time.Millisecond)
	c.put(0, &amqp.Flow{NextIncomingID: ptr(uint32(8)), IncomingWindow: 0xffffffff, OutgoingWindow: 1})
	for range 13 {
		c.delivery()
	}
}

// Events larger than a frame go out in pieces, and may wait for the window in
// the middle, while other links of the session go on.
func TestSplitDeliveries(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	fill(t, w, 2, 10_000)
	c := dialRaw(t, w)
	c.open(func(o *amqp.Open) { o.MaxFrameSize = ptr(uint32(512)) })
	c.r = amqp.NewReader(c, 512) // which refuses larger frames
	c.begin(0, 7)
	c.receiver(0, 0, singleReceiver)
	c.credit(0, 0, 0, 10, func(f *amqp.Flow) { f.IncomingWindow = 7 })
	var payload []byte
	next := uint32(1)
	bodies := 0
	for bodies < 2 {
		tr, f := getFrame[amqp.Transfer](c)
		if tr.Handle != 0 || *tr.DeliveryID != uint32(bodies) {
			t.Fatalf("transfer %+v", tr)
		}
		payload = append(payload, f.Payload...)
		if !tr.More {
			if got := bodyOf(t, payload); len(got) != 10_001 {
				t.Errorf("a body of %d bytes", len(got))
			}
			payload = nil
			bodies++
		}
		if next++; next%7 == 0 {
			c.put(0, &amqp.Flow{NextIncomingID: &next, IncomingWindow: 7, OutgoingWindow: 1})
		}
	}
}

func TestProducingByHand(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(3, 5000)
	credit := c.sender(3, 5, "single")
	if credit < 100 {
		t.Errorf("credit %d", credit)
	}
	c.transfer(3, 5, 0, 0, message("one", nil), 1000)
	c.accepted(0)
	c.transfer(3, 5, 1, 0, message("split in pieces of a byte", nil), 1)
	c.accepted(1)
	// A batch: an event with every section, one with a value, one with nothing.
	full := amqp.AppendHeader(nil, &amqp.Header{Durable: true})
	full = amqp.AppendMessageAnnotations(full, amqp.Map{{Key: amqp.Symbol("x-mine"), Value: int64(1)}})
	full = amqp.AppendProperties(full, &amqp.Properties{MessageID: amqp.UUID{1, 2, 3}, Subject: "s"})
	full = amqp.AppendApplicationProperties(full, amqp.Map{{Key: "k", Value: true}})
	full = amqp.AppendData(full, "full")
	b := append(amqp.AppendMessageAnnotations(nil, amqp.Map{{Key: amqp.Symbol("x-opt-partition-key"), Value: "key"}}),
		batch(full, amqp.AppendBody(nil, int32(5)), nil)...)
	c.transfer(3, 5, 2, amqp.BatchFormat, b, 64)
	c.accepted(2)
	c.transfer(3, 5, 3, amqp.BatchFormat, nil, 10) // a batch of nothing
	c.accepted(3)
	for id, bad := range map[uint32][]byte{4: []byte("garbage"), 5: batch([]byte("garbage")), 6: amqp.AppendBody(nil, "no batch")} {
		c.transfer(3, 5, id, amqp.BatchFormat, bad, 1000)
		if err := c.rejected(); err.Condition != amqp.ErrorDecode {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// Settled by the sender: no answer. Aborted: nothing was sent.
	c.bytes(amqp.AppendFrame(nil, &amqp.Frame{Channel: 3, Body: &amqp.Transfer{Handle: 5, DeliveryID: ptr(uint32(7)), DeliveryTag: []byte{7}, Settled: ptr(true)}, Payload: message("settled", nil)}))
	c.bytes(amqp.AppendFrame(nil, &amqp.Frame{Channel: 3, Body: &amqp.Transfer{Handle: 5, DeliveryID: ptr(uint32(8)), DeliveryTag: []byte{8}, More: true}, Payload: []byte("half")}))
	c.bytes(amqp.AppendFrame(nil, &amqp.Frame{Channel: 3, Body: &amqp.Transfer{Handle: 5, Aborted: true}}))
	c.transfer(3, 5, 9, 0, message("last", nil), 1000)
	c.accepted(9)

	got := receive(t, open(t, w.consumer(t, "single", "$Default"), "0", nil), 7)
	var bodies []string
	for _, e := range got {
		bodies = append(bodies, string(e.Body))
	}
	if fmt.Sprintf("%q", bodies) != `["one" "split in pieces of a byte" "full" "" "" "settled" "last"]` {
		t.Errorf("bodies %q", bodies)
	}
	if m := got[2].RawAMQPMessage; m.MessageAnnotations["x-mine"] != int64(1) || *m.Properties.Subject != "s" || m.ApplicationProperties["k"] != true || !m.Header.Durable {
		t.Errorf("the full event: %+v", m)
	}
	if got[3].RawAMQPMessage.Body.Value != int32(5) {
		t.Errorf("the event with a value: %+v", got[3].RawAMQPMessage.Body)
	}
}

func TestOversizedMessageIsRejected(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	c.sender(0, 0, "single/Partitions/0")
	c.transfer(0, 0, 0, 0, message(strings.Repeat("x", 2<<20), nil), 60_000)
	err := c.rejected()
	if err.Condition != amqp.ErrorLinkMessageSize || !strings.Contains(err.Description, "(delivery-id:0, size:2097160 bytes) exceeds the limit (1048576 bytes) currently allowed on the link") {
		t.Error(err)
	}
	c.transfer(0, 0, 1, 0, message("smaller", nil), 60_000)
	c.accepted(1)
}

// Deliveries of two links may come mixed, frame by frame.
func TestInterleavedDeliveries(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	c.sender(0, 0, "telemetry/Partitions/0")
	c.sender(0, 1, "telemetry/Partitions/1")
	m := message(strings.Repeat("ab", 500), nil)
	for i := 0; i < len(m); i += 100 {
		end := min(i+100, len(m))
		for h := range uint32(2) {
			c.bytes(amqp.AppendFrame(nil, &amqp.Frame{Body: &amqp.Transfer{Handle: h, DeliveryID: &h, More: end < len(m)}, Payload: m[i:end]}))
		}
	}
	seen := 0
	for seen < 2 {
		d := get[amqp.Disposition](c)
		seen += int(*d.Last-d.First) + 1
	}
	for _, p := range []string{"0", "1"} {
		got := receive(t, open(t, w.consumer(t, "telemetry", "$Default"), p, nil), 1)
		if !bytes.Equal(got[0].Body, bytes.Repeat([]byte("ab"), 500)) {
			t.Errorf("partition %s has %d bytes", p, len(got[0].Body))
		}
	}
}

// Credit comes back as the log acknowledges, before it runs out.
func TestCreditIsToppedUp(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	limit := c.sender(0, 0, "single")
	sent, settled := uint32(0), uint32(0)
	for settled < 5000 {
		for sent < limit && sent < 5000 {
			c.transfer(0, 0, sent, 0, message("x", nil), 1000)
			sent++
		}
		f, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		switch body := f.Body.(type) {
		case *amqp.Disposition:
			settled += *body.Last - body.First + 1
		case *amqp.Flow:
			if body.Handle != nil {
				limit = *body.DeliveryCount + *body.LinkCredit
			}
		default:
			t.Fatalf("got %T %+v", body, body)
		}
	}
	if settled != 5000 {
		t.Errorf("%d deliveries were settled", settled)
	}
	// More than the credit is a mistake of the client.
	for ; sent <= limit; sent++ {
		c.transfer(0, 0, sent, 0, message("x", nil), 1000)
	}
	for {
		f, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		if d, ok := f.Body.(*amqp.Detach); ok {
			if d.Error == nil || d.Error.Condition != amqp.ErrorLinkTransferLimit {
				t.Errorf("detach %+v", d)
			}
			break
		}
		if flow, ok := f.Body.(*amqp.Flow); ok && flow.Handle != nil {
			// It was topped up meanwhile.
			for limit = *flow.DeliveryCount + *flow.LinkCredit; sent <= limit; sent++ {
				c.transfer(0, 0, sent, 0, message("x", nil), 1000)
			}
		}
	}
}

func TestRuntimeMetricsAndUnsettledDeliveries(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	fill(t, w, 5, 10)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	a := receiverAttach(0, "SINGLE/consumergroups/$default/partitions/0")
	a.DesiredCapabilities = []amqp.Symbol{"com.microsoft:enable-receiver-runtime-metric"}
	a.SenderSettleMode = ptr(uint8(0)) // it insists
	a.Source.Filter = amqp.Map{{Key: amqp.Symbol("apache.org:selector-filter:string"), Value: amqp.Described{
		Descriptor: amqp.Symbol("apache.org:selector-filter:string"), Value: []byte("amqp.annotation.x-opt-sequence-number > '2'")}}}
	c.put(0, a)
	if r := get[amqp.Attach](c); *r.SenderSettleMode != 0 || len(r.Source.Filter) != 1 || len(r.OfferedCapabilities) != 1 {
		t.Errorf("attach %+v", r)
	}
	c.credit(0, 0, 0, 10, nil)
	tr, payload, _ := c.delivery()
	if tr.Settled != nil && *tr.Settled {
		t.Error("the delivery is settled")
	}
	var m amqp.Message
	if err := amqp.ParseMessage(payload, &m); err != nil {
		t.Fatal(err)
	}
	metrics, err := amqp.ReadMap(m.DeliveryAnnotations)
	if err != nil {
		t.Fatal(err)
	}
	if seq, _ := metrics.Get("last_enqueued_sequence_number"); seq != int64(4) {
		t.Errorf("metrics %v", metrics)
	}
	if off, _ := metrics.Get("last_enqueued_offset"); off != "4" {
		t.Errorf("metrics %v", metrics)
	}
	for _, key := range []string{"last_enqueued_time_utc", "runtime_info_retrieval_time_utc"} {
		if v, _ := metrics.Get(key); v == nil {
			t.Errorf("metrics %v", metrics)
		} else if _, ok := v.(amqp.Timestamp); !ok {
			t.Errorf("%s is a %T", key, v)
		}
	}
	if v, _ := amqp.ReadMap(m.MessageAnnotations); fmt.Sprint(v[0].Key) == "" {
		t.Errorf("annotations %v", v)
	}
	c.put(0, &amqp.Disposition{Role: amqp.RoleReceiver, First: 0, Last: ptr(uint32(0)), Settled: true, State: amqp.Accepted{}})
	c.delivery()
}
