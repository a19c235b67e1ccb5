package local_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"millrace/connector/eventhubs/local"
	"millrace/connector/eventhubs/local/amqp"
	"millrace/connector/eventhubs/local/hub"

	"github.com/Azure/azure-sdk-for-go/sdk/messaging/azeventhubs/v2"
)

// Mistakes end what they concern, with the right condition and a line in the log.
func TestProtocolMistakes(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	closes := func(t *testing.T, c *raw, want amqp.Symbol) {
		t.Helper()
		if err := get[amqp.Close](c).Error; err == nil || err.Condition != want {
			t.Errorf("close with %v, want %s", err, want)
		}
		c.gone()
	}
	ends := func(t *testing.T, c *raw, want amqp.Symbol) {
		t.Helper()
		if err := get[amqp.End](c).Error; err == nil || err.Condition != want {
			t.Errorf("end with %v, want %s", err, want)
		}
		// The connection is good for another session.
		c.put(9, &amqp.Begin{IncomingWindow: 1, OutgoingWindow: 1})
		get[amqp.Begin](c)
	}
	for name, do := range map[string]func(t *testing.T, c *raw){
		"a frame that is too large": func(t *testing.T, c *raw) {
			c.bytes(binary.BigEndian.AppendUint32(nil, 100<<20))
			c.bytes([]byte{2, 0, 0, 0})
			closes(t, c, amqp.ErrorConnectionFraming)
		},
		"a body that cannot be decoded": func(t *testing.T, c *raw) {
			c.bytes([]byte{0, 0, 0, 12, 2, 0, 0, 0, 0, 0x53, 0x10, 0xff})
			closes(t, c, amqp.ErrorDecode)
		},
		"open twice": func(t *testing.T, c *raw) {
			c.put(0, &amqp.Open{ContainerID: "x"})
			closes(t, c, amqp.ErrorIllegalState)
		},
		"a channel without session":  func(t *testing.T, c *raw) { c.put(7, &amqp.Flow{}); closes(t, c, amqp.ErrorNotAllowed) },
		"a channel that is too high": func(t *testing.T, c *raw) { c.put(60_000, &amqp.Begin{}); closes(t, c, amqp.ErrorConnectionFraming) },
		"a session twice":            func(t *testing.T, c *raw) { c.put(0, &amqp.Begin{}); closes(t, c, amqp.ErrorNotAllowed) },
		"a handle twice": func(t *testing.T, c *raw) {
			c.sender(0, 0, "single")
			c.put(0, senderAttach(0, "single"))
			ends(t, c, amqp.ErrorSessionHandleInUse)
		},
		"a handle that is too high": func(t *testing.T, c *raw) { c.put(0, senderAttach(256, "single")); ends(t, c, amqp.ErrorNotAllowed) },
		"a handle without a link":   func(t *testing.T, c *raw) { c.transfer(0, 3, 0, 0, nil, 1); ends(t, c, amqp.ErrorSessionUnattached) },
		"credit for no link":        func(t *testing.T, c *raw) { c.credit(0, 3, 0, 1, nil); ends(t, c, amqp.ErrorSessionUnattached) },
		"detaching no link":         func(t *testing.T, c *raw) { c.put(0, &amqp.Detach{Handle: 4}); ends(t, c, amqp.ErrorSessionUnattached) },
		"no delivery-id": func(t *testing.T, c *raw) {
			c.sender(0, 0, "single")
			c.put(0, &amqp.Transfer{Handle: 0})
			ends(t, c, amqp.ErrorInvalidField)
		},
		"a delivery within another": func(t *testing.T, c *raw) {
			c.sender(0, 0, "single")
			for id := range uint32(2) {
				c.put(0, &amqp.Transfer{Handle: 0, DeliveryID: &id, DeliveryTag: []byte{1}, More: id == 0})
			}
			ends(t, c, amqp.ErrorInvalidField)
		},
		"transferring to a receiver": func(t *testing.T, c *raw) {
			c.receiver(0, 0, singleReceiver)
			c.transfer(0, 0, 0, 0, nil, 1)
			ends(t, c, amqp.ErrorNotAllowed)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, w)
			c.open(nil)
			c.begin(0, 5000)
			do(t, c)
		})
	}
}

func TestLinksThatCannotBe(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for name, attach := range map[string]*amqp.Attach{
		"transactions":     {Name: "x", Role: amqp.RoleSender, Target: &amqp.Target{Coordinator: true}},
		"a dynamic target": {Name: "x", Role: amqp.RoleSender, Target: &amqp.Target{Dynamic: true}},
		"a dynamic source": {Name: "x", Role: amqp.RoleReceiver, Source: &amqp.Source{Dynamic: true}},
		"no target":        {Name: "x", Role: amqp.RoleSender},
		"no source":        {Name: "x", Role: amqp.RoleReceiver},
		"reading a hub":    receiverAttach(0, "single"),
		"writing a group":  senderAttach(0, singleReceiver),
		"nothing":          senderAttach(0, ""),
	} {
		t.Run(name, func(t *testing.T) {
			c := dialRaw(t, w)
			c.open(nil)
			c.begin(0, 5000)
			c.put(0, attach)
			if a := get[amqp.Attach](c); attach.Role == amqp.RoleSender && a.Target != nil || attach.Role == amqp.RoleReceiver && a.Source != nil {
				t.Errorf("attach %+v", a)
			}
			if d := get[amqp.Detach](c); d.Error == nil {
				t.Errorf("detach %+v", d)
			}
		})
	}
}

func TestGarbageOnThePort(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	for _, garbage := range []string{"AMQP\x00\x00\x09\x01", "AMQP\x02\x01\x00\x00", "\x00\x01\x02\x03\x04\x05\x06\x07\x08", "A", "GET nonsense\r\n\r\n", "\xff\xff"} {
		c := dialRaw(t, w)
		c.bytes([]byte(garbage))
		_ = c.Conn.(*net.TCPConn).CloseWrite()
		c.gone()
	}
	send(t, w.producer(t, "single"), nil, "fine", 1)
	if text := w.log.String(); !strings.Contains(text, "a connection is closed for what the client sent") || !strings.Contains(text, "neither AMQP nor HTTP") {
		t.Error("the log does not tell of them")
	}
}

func timing(tm local.Timing) func(*local.Options, *hub.Options) {
	return func(o *local.Options, _ *hub.Options) { o.Timing = tm }
}

func TestHeartbeatsAndSilence(t *testing.T) {
	t.Parallel()
	w := start(t, timing(local.Timing{IdleTimeout: 2 * time.Second}))
	c := dialRaw(t, w)
	c.open(func(o *amqp.Open) { o.IdleTimeout = ptr(uint32(200)) })
	beats := 0
	for beats < 3 {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		f, err := c.r.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if f.Body != nil {
			t.Fatalf("got %T", f.Body)
		}
		beats++
		c.bytes(amqp.AppendHeartbeat(nil)) // which keeps it open
	}
	if err := get[amqp.Close](c).Error; err == nil || err.Condition != amqp.ErrorConnectionForced {
		t.Errorf("close with %v", err)
	}
	c.gone()
	// Those who never say anything.
	slow := start(t, timing(local.Timing{Handshake: 100 * time.Millisecond}))
	for _, hello := range []string{"", "AMQP", "AMQP\x03\x01\x00\x00", "AMQP\x00\x01\x00\x00\x00"} {
		c := dialRaw(t, slow)
		c.bytes([]byte(hello))
		buf := make([]byte, 1000)
		_ = c.SetReadDeadline(time.Now().Add(patience))
		for {
			if _, err := c.Read(buf); err != nil {
				if ne, ok := err.(net.Error); ok && ne.Timeout() {
					t.Errorf("%q: the connection stays", hello)
				}
				break
			}
		}
	}
}

func TestIdleConnectionsAndLinksAreClosed(t *testing.T) {
	t.Parallel()
	w := start(t, timing(local.Timing{NoLinks: 6 * time.Second, AfterLinks: 500 * time.Millisecond, IdleLink: 400 * time.Millisecond}))
	forced := func(c *raw) {
		t.Helper()
		if err := get[amqp.Close](c).Error; err == nil || err.Condition != amqp.ErrorConnectionForced || !strings.Contains(err.Description, "inactive") {
			t.Errorf("close with %v", err)
		}
		c.put(0, &amqp.Close{})
		c.gone()
	}
	c := dialRaw(t, w)
	c.open(nil)
	forced(c)
	c = dialRaw(t, w)
	c.open(nil)
	c.begin(0, 100)
	c.sender(0, 0, "single")
	if d := get[amqp.Detach](c); d.Error == nil || d.Error.Condition != amqp.ErrorLinkDetachForced {
		t.Errorf("detach %+v", d)
	}
	forced(c)
}

// What the log has acknowledged is told before the connection is closed.
func TestClosingIsOrderly(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	c := dialRaw(t, w)
	c.open(nil)
	c.begin(0, 5000)
	c.sender(0, 0, "single")
	c.receiver(0, 1, singleReceiver)
	c.credit(0, 1, 0, 1000, nil)
	for id := range uint32(200) {
		c.transfer(0, 0, id, 0, message("x", nil), 1000)
	}
	closed := make(chan error, 1)
	go func() { closed <- w.Close() }()
	settled, closing := uint32(0), false
	for !closing {
		f, err := c.frame()
		if err != nil {
			t.Fatal(err)
		}
		switch body := f.Body.(type) {
		case *amqp.Disposition:
			settled += *body.Last - body.First + 1
		case *amqp.Close:
			if body.Error == nil || body.Error.Condition != amqp.ErrorConnectionForced {
				t.Errorf("close with %v", body.Error)
			}
			closing = true
		}
	}
	c.put(0, &amqp.Close{})
	if err := <-closed; err != nil {
		t.Error(err)
	}
	info, err := hubOf(t, w, "single").Partition(patient(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	if int64(settled) > info.End {
		t.Errorf("%d deliveries were accepted, but %d are in the log", settled, info.End)
	}
}

func hubOf(t testing.TB, w *world, name string) *hub.Hub {
	t.Helper()
	h, err := w.cluster.Default().Hub(patient(t), name)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// Closing does not wait for a client that goes on sending; and what is in the log
// is what it was told, and no more than it sent.
func TestClosingUnderLoad(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	o := azeventhubs.ProducerClientOptions{RetryOptions: once}
	p := producerAt(t, w.Address(), "single", &o)
	told, first := make(chan int, 1), make(chan struct{})
	go func() {
		n := 0
		defer func() { told <- n }()
		for {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			b, err := p.NewEventDataBatch(ctx, nil)
			if err == nil {
				err = b.AddEventData(&azeventhubs.EventData{Body: []byte("x")}, nil)
			}
			if err == nil {
				err = p.SendEventDataBatch(ctx, b, nil)
			}
			cancel()
			if err != nil {
				return
			}
			if n++; n == 20 {
				close(first)
			}
		}
	}()
	<-first
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	n := <-told
	info, err := hubOf(t, w, "single").Partition(patient(t), 0)
	if err != nil {
		t.Fatal(err)
	}
	if int64(n) > info.End || info.End > int64(n)+1 {
		t.Errorf("%d events were acknowledged, %d are in the log", n, info.End)
	}
}

// A client that asks for everything and reads nothing is closed after a while,
// and nobody else notices.
func TestClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	w := start(t, timing(local.Timing{Write: 500 * time.Millisecond}))
	fill(t, w, 10, 900_000)
	c := dialRaw(t, w)
	_ = c.Conn.(*net.TCPConn).SetReadBuffer(4096)
	c.open(nil)
	c.begin(0, 1<<31-1)
	for h := range uint32(5) {
		c.receiver(0, h, singleReceiver)
	}
	for h := range uint32(5) {
		c.credit(0, h, 0, 1000, func(f *amqp.Flow) { f.IncomingWindow = 1<<31 - 1 })
	}
	// Another one asks and asks, and does not read the answers.
	chatter := dialRaw(t, w)
	_ = chatter.Conn.(*net.TCPConn).SetReadBuffer(4096)
	chatter.open(nil)
	chatter.begin(0, 100)
	echo := amqp.AppendFrame(nil, &amqp.Frame{Body: &amqp.Flow{NextIncomingID: ptr(uint32(1)), Echo: true}})
	_ = chatter.SetWriteDeadline(time.Now().Add(patience))
	for {
		if _, err := chatter.Write(bytes.Repeat(echo, 1000)); err != nil {
			break // closed
		}
	}
	for end := time.Now().Add(patience); strings.Count(w.log.String(), "does not read") < 2; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("they are still there")
		}
	}
	receive(t, open(t, w.consumer(t, "single", "$Default"), "0", nil), 10)
}

// Many connections that do nothing, and receivers that never give credit, cost
// nobody anything.
func TestManyIdleClients(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	n := 1000
	if testing.Short() {
		n = 100
	}
	for i := range n {
		c := dialRaw(t, w)
		if i%4 == 0 {
			continue // not even a byte
		}
		c.open(nil)
		if i%20 == 1 {
			c.begin(0, 100)
			c.receiver(0, 0, fmt.Sprintf("telemetry/ConsumerGroups/$Default/Partitions/%d", i/20%4))
			if i > 300 {
				c.put(0, &amqp.Detach{Handle: 0, Closed: true})
			}
		}
	}
	send(t, w.producer(t, "single"), nil, "x", 1000)
	receive(t, open(t, w.consumer(t, "single", "$Default"), "0", nil), 1000)
}
