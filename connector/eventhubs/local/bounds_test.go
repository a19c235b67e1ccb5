package local_test

import (
	"fmt"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"
)

// A namespace takes so many connections and no more; others have their own count,
// and one that goes makes room.
func TestConnectionsAreLimited(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *local.Options, _ *hub.Options) { o.MaxConnections = 3 })
	var open []*raw
	for range 3 {
		c := dialRaw(t, w)
		c.open(nil)
		open = append(open, c)
	}
	c := dialRaw(t, w)
	c.open(nil)
	if err := get[amqp.Close](c).Error; err == nil || err.Condition != amqp.ErrorResourceLimitExceeded || !strings.Contains(err.Description, "3 connections") {
		t.Errorf("close with %v", err)
	}
	c.gone()
	if text := w.log.String(); !strings.Contains(text, "a connection was refused: the namespace has as many as it may") || !strings.Contains(text, "limit=3") {
		t.Error("the log does not tell of it")
	}
	other := dialRaw(t, w)
	other.open(func(o *amqp.Open) { o.Hostname = "other.example.net" })
	open[0].put(0, &amqp.Close{})
	open[0].gone()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		c := dialRaw(t, w)
		c.open(nil)
		c.put(0, &amqp.Begin{IncomingWindow: 1, OutgoingWindow: 1})
		f, err := c.frame()
		if _, ok := f.Body.(*amqp.Begin); ok {
			return
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("got %T, %v", f.Body, err)
		}
	}
}

// Sockets that say nothing are limited as well, and leave nothing behind.
func TestSilentSocketsAreLimited(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *local.Options, _ *hub.Options) { o.MaxConnections = 1 })
	for range 2 {
		var all []net.Conn
		told := func() int { return strings.Count(w.log.String(), "too many are open") }
		before := told()
		for end := time.Now().Add(patience); told() == before; {
			c, err := net.Dial("tcp", w.HostPort())
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, c)
			if len(all) > 5000 || time.Now().After(end) {
				t.Fatalf("%d sockets are open", len(all))
			}
		}
		if len(all) < 1000 {
			t.Errorf("after %d sockets no more are accepted", len(all))
		}
		for _, c := range all {
			_ = c.Close()
		}
		for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
			c := dialRaw(t, w)
			_, err := c.Write(amqp.AppendProtocolHeader(nil, amqp.ProtocolAMQP))
			if err == nil {
				_ = c.SetReadDeadline(time.Now().Add(patience))
				_, err = c.r.ReadProtocolHeader()
			}
			_ = c.Close()
			if err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second) // which is how often the log tells
	}
}

// A client that always says a little is not waited for longer than one that says
// nothing.
func TestSlowHandshakeIsCutOff(t *testing.T) {
	t.Parallel()
	w := start(t, timing(local.Timing{Handshake: 300 * time.Millisecond}))
	c := dialRaw(t, w)
	c.bytes(amqp.AppendProtocolHeader(nil, amqp.ProtocolAMQP))
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		if _, err := c.Write(amqp.AppendHeartbeat(nil)); err != nil {
			return
		}
		if time.Now().After(end) {
			t.Fatal("the connection stays")
		}
	}
}

// A link that is attached again takes the place of the one that has its name, on
// the same connection only.
func TestLinksOfOneName(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c, other := dialRaw(t, w), dialRaw(t, w)
	for _, c := range []*raw{c, other} {
		c.open(nil)
		c.begin(0, 100)
		c.sender(0, 0, "single")
	}
	c.begin(1, 100)
	a := senderAttach(7, "single")
	a.Name = "sender-0"
	c.put(1, a)
	if d, f := getFrame[amqp.Detach](c); f.Channel != 0 || d.Handle != 0 || !d.Closed || d.Error == nil || d.Error.Condition != amqp.ErrorLinkStolen {
		t.Errorf("detach %+v on channel %d", d, f.Channel)
	}
	get[amqp.Attach](c)
	get[amqp.Flow](c)
	r := receiverAttach(8, singleReceiver)
	r.Name = "sender-0" // the other direction
	c.put(1, r)
	get[amqp.Attach](c)
	c.transfer(1, 7, 0, 0, message("x", nil), 1000)
	c.accepted(0)
	other.transfer(0, 0, 0, 0, message("x", nil), 1000)
	other.accepted(0)
	// The name is free after the link has gone, and gone is what it was.
	c.put(0, &amqp.Detach{Handle: 0, Closed: true})
	c.put(1, &amqp.Detach{Handle: 7, Closed: true})
	get[amqp.Detach](c)
	c.sender(0, 0, "single")
}

// Links cost memory until the client has confirmed their end, so they are limited.
func TestLinksAreLimited(t *testing.T) {
	t.Parallel()
	w := start(t, func(o *local.Options, _ *hub.Options) { o.Log = nil })
	c := dialRaw(t, w)
	c.open(nil)
	n := 0
	for channel := uint16(0); n <= 10_000; channel++ {
		c.begin(channel, 100)
		for h := range uint32(256) {
			a := senderAttach(h, "")
			a.Name = fmt.Sprint(channel, h)
			c.put(channel, a)
			f, err := c.frame()
			if err != nil {
				t.Fatal(err)
			}
			if e, ok := f.Body.(*amqp.End); ok {
				if n != 5000 || e.Error == nil || e.Error.Condition != amqp.ErrorResourceLimitExceeded {
					t.Errorf("after %d links: %v", n, e.Error)
				}
				// With the session its links have gone.
				c.put(channel, &amqp.End{})
				c.begin(channel, 100)
				c.sender(channel, 0, "single")
				return
			}
			get[amqp.Detach](c)
			n++
		}
	}
	t.Fatalf("%d links are there", n)
}

func TestLongNames(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 100)
	long := strings.Repeat("n", 5000)
	name := senderAttach(0, "single")
	name.Name = long
	for h, a := range []*amqp.Attach{name, senderAttach(1, long), receiverAttach(2, long)} {
		c.put(0, a)
		get[amqp.Attach](c)
		if d := get[amqp.Detach](c); d.Handle != uint32(h) || d.Error == nil || len(d.Error.Description) > 1000 {
			t.Errorf("detach %+v", d)
		}
	}
}

// A delivery that never ends ends its link.
func TestEndlessDelivery(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 100)
	c.sender(0, 0, "single")
	c.sender(0, 1, "single")
	tr := amqp.Transfer{DeliveryID: ptr(uint32(0)), DeliveryTag: []byte{0}, More: true}
	piece := amqp.AppendFrame(nil, &amqp.Frame{Body: &tr, Payload: make([]byte, 64_000)})
	for range 2000 { // 128 MB
		c.bytes(piece)
	}
	if d := get[amqp.Detach](c); d.Handle != 0 || d.Error == nil || d.Error.Condition != amqp.ErrorLinkMessageSize {
		t.Errorf("detach %+v", d)
	}
	c.transfer(0, 1, 1, 0, message("x", nil), 1000)
	c.accepted(1)
}

// What links have received in pieces is not kept. This test looks at the memory
// of the process, so it does not run beside others.
func TestLinksKeepNoBuffers(t *testing.T) {
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 100)
	heap := func() int {
		runtime.GC()
		runtime.GC() // pools keep things for one more
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc >> 20)
	}
	before := heap()
	piece := make([]byte, 64_000)
	for h := range uint32(200) {
		c.sender(0, h, "single")
		for i := range 15 {
			tr := amqp.Transfer{Handle: h, More: true}
			if i == 0 {
				tr.DeliveryID, tr.DeliveryTag = &h, []byte{0}
			}
			c.bytes(amqp.AppendFrame(nil, &amqp.Frame{Body: &tr, Payload: piece}))
		}
		c.put(0, &amqp.Transfer{Handle: h, Aborted: true})
	}
	c.put(0, &amqp.Flow{Echo: true})
	get[amqp.Flow](c) // all of it has been read
	if grown := heap() - before; grown > 50 {
		t.Errorf("200 links hold %d MB", grown)
	}
}
