package local_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"millrace/connector/eventhubs/local/amqp"
)

// TestMain makes sure that servers which were closed leave nothing behind.
func TestMain(m *testing.M) {
	code := m.Run()
	var left string
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		buf := make([]byte, 4<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		left = ""
		for _, g := range strings.Split(stacks, "\n\n") {
			if strings.Contains(g, "millrace/connector/eventhubs/local.") || strings.Contains(g, "millrace/connector/eventhubs/local/hub.") {
				left += g + "\n\n"
			}
		}
		if left == "" {
			break
		}
	}
	if left != "" && code == 0 {
		fmt.Fprintln(os.Stderr, "goroutines are left:\n"+left)
		code = 1
	}
	os.Exit(code)
}

// raw is a client that sends whatever a test wants it to.
type raw struct {
	t testing.TB
	net.Conn
	r *amqp.Reader
}

func dialRaw(t testing.TB, w *world) *raw {
	t.Helper()
	c, err := net.Dial("tcp", w.HostPort())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &raw{t: t, Conn: c, r: amqp.NewReader(c, 1<<20)}
}

// put writes frames in one packet; get reads the next one that is not empty.
func (c *raw) put(channel uint16, bodies ...any) {
	c.t.Helper()
	var b []byte
	for _, body := range bodies {
		b = amqp.AppendFrame(b, &amqp.Frame{Channel: channel, Body: body})
	}
	c.bytes(b)
}

func (c *raw) bytes(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

func (c *raw) frame() (amqp.Frame, error) {
	_ = c.SetReadDeadline(time.Now().Add(patience))
	for {
		f, err := c.r.ReadFrame()
		if err != nil || f.Body != nil {
			return f, err
		}
	}
}

// get reads the next frame, which must be a T.
func get[T any](c *raw) *T {
	c.t.Helper()
	body, _ := getFrame[T](c)
	return body
}

func getFrame[T any](c *raw) (*T, amqp.Frame) {
	c.t.Helper()
	f, err := c.frame()
	if err != nil {
		c.t.Fatalf("waiting for %T: %v", *new(T), err)
	}
	body, ok := f.Body.(*T)
	if !ok {
		c.t.Fatalf("got %T %+v, want %T", f.Body, f.Body, *new(T))
	}
	return body, f
}

// quiet makes sure that nothing comes for a while.
func (c *raw) quiet(d time.Duration) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(d))
	f, err := c.r.ReadFrame()
	if err == nil && f.Body == nil {
		return
	}
	if err == nil {
		c.t.Fatalf("got %T %+v, want nothing", f.Body, f.Body)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		c.t.Fatal(err)
	}
}

// gone waits for the end of the connection.
func (c *raw) gone() {
	c.t.Helper()
	for {
		if _, err := c.frame(); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				c.t.Fatal("the connection stays")
			}
			return
		}
	}
}

func (c *raw) header(want amqp.Protocol) {
	c.t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(patience))
	p, err := c.r.ReadProtocolHeader()
	if err != nil || p != want {
		c.t.Fatalf("protocol %d, %v; want %d", p, err, want)
	}
}

// open opens a connection without SASL.
func (c *raw) open(change func(*amqp.Open)) *amqp.Open {
	c.t.Helper()
	o := &amqp.Open{ContainerID: "raw", Hostname: "localhost", MaxFrameSize: ptr(uint32(65536))}
	if change != nil {
		change(o)
	}
	c.bytes(amqp.AppendFrame(amqp.AppendProtocolHeader(nil, amqp.ProtocolAMQP), &amqp.Frame{Body: o}))
	c.header(amqp.ProtocolAMQP)
	return get[amqp.Open](c)
}

func (c *raw) begin(channel uint16, window uint32) *amqp.Begin {
	c.t.Helper()
	c.put(channel, &amqp.Begin{NextOutgoingID: 0, IncomingWindow: window, OutgoingWindow: 5000})
	return get[amqp.Begin](c)
}

// receiver attaches a link from a partition, beginning with its first event.
func receiverAttach(handle uint32, address string) *amqp.Attach {
	return &amqp.Attach{Name: fmt.Sprint("receiver-", handle), Handle: handle, Role: amqp.RoleReceiver,
		Source: &amqp.Source{Address: address}, Target: &amqp.Target{Address: "me"}}
}

func senderAttach(handle uint32, address string) *amqp.Attach {
	return &amqp.Attach{Name: fmt.Sprint("sender-", handle), Handle: handle, Role: amqp.RoleSender,
		Source: &amqp.Source{}, Target: &amqp.Target{Address: address}, InitialDeliveryCount: ptr(uint32(0))}
}

// sender attaches a producer link and returns its credit.
func (c *raw) sender(channel uint16, handle uint32, address string) uint32 {
	c.t.Helper()
	c.put(channel, senderAttach(handle, address))
	a := get[amqp.Attach](c)
	if a.Target == nil || a.MaxMessageSize == nil || *a.MaxMessageSize != 1<<20 {
		c.t.Fatalf("attach %+v", a)
	}
	f := get[amqp.Flow](c)
	if f.Handle == nil || *f.Handle != handle || f.LinkCredit == nil || f.NextIncomingID == nil {
		c.t.Fatalf("flow %+v", f)
	}
	return *f.LinkCredit
}

func (c *raw) receiver(channel uint16, handle uint32, address string) *amqp.Attach {
	c.t.Helper()
	c.put(channel, receiverAttach(handle, address))
	a := get[amqp.Attach](c)
	if a.Source == nil || a.InitialDeliveryCount == nil {
		c.t.Fatalf("attach %+v", a)
	}
	return a
}

func (c *raw) credit(channel uint16, handle, count, credit uint32, change func(*amqp.Flow)) {
	c.t.Helper()
	f := &amqp.Flow{NextIncomingID: ptr(uint32(1)), IncomingWindow: 5000, NextOutgoingID: 0, OutgoingWindow: 5000,
		Handle: &handle, DeliveryCount: &count, LinkCredit: &credit}
	if change != nil {
		change(f)
	}
	c.put(channel, f)
}

// transfer sends a delivery, in pieces of so many bytes.
func (c *raw) transfer(channel uint16, handle, id, format uint32, payload []byte, piece int) {
	c.t.Helper()
	var b []byte
	for first := true; first || len(payload) > 0; first = false {
		n := min(piece, len(payload))
		tr := &amqp.Transfer{Handle: handle, More: n < len(payload)}
		if first {
			tr.DeliveryID, tr.DeliveryTag, tr.MessageFormat = &id, binary.BigEndian.AppendUint32(nil, id), &format
		}
		b = amqp.AppendFrame(b, &amqp.Frame{Channel: channel, Body: tr, Payload: payload[:n]})
		payload = payload[n:]
	}
	c.bytes(b)
}

// message encodes an event.
func message(body string, annotations amqp.Map) []byte {
	var b []byte
	if annotations != nil {
		b = amqp.AppendMessageAnnotations(b, annotations)
	}
	return amqp.AppendData(b, body)
}

func batch(events ...[]byte) []byte {
	var b []byte
	for _, e := range events {
		b = amqp.AppendData(b, e)
	}
	return b
}

// delivery reads the frames of one delivery.
func (c *raw) delivery() (first amqp.Transfer, payload []byte, frames int) {
	c.t.Helper()
	for {
		tr, f := getFrame[amqp.Transfer](c)
		if frames == 0 {
			first = *tr
			first.DeliveryTag = append([]byte(nil), tr.DeliveryTag...)
		}
		frames++
		payload = append(payload, f.Payload...)
		if !tr.More {
			return first, payload, frames
		}
	}
}

func bodyOf(t testing.TB, payload []byte) string {
	t.Helper()
	var m amqp.Message
	if err := amqp.ParseMessage(payload, &m); err != nil {
		t.Fatal(err)
	}
	data, _, err := m.Data(nil)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// accepted waits until all deliveries up to last have been accepted, passing
// over the credit that comes between.
func (c *raw) accepted(last uint32) {
	c.t.Helper()
	for {
		f, err := c.frame()
		if err != nil {
			c.t.Fatal(err)
		}
		switch body := f.Body.(type) {
		case *amqp.Flow:
		case *amqp.Disposition:
			if _, ok := body.State.(amqp.Accepted); !ok || body.Role != amqp.RoleReceiver || !body.Settled || body.Last == nil {
				c.t.Fatalf("disposition %+v", body)
			}
			if *body.Last >= last {
				return
			}
		default:
			c.t.Fatalf("got %T %+v", body, body)
		}
	}
}

func (c *raw) rejected() *amqp.Error {
	c.t.Helper()
	d := get[amqp.Disposition](c)
	r, ok := d.State.(amqp.Rejected)
	if !ok || r.Error == nil || !d.Settled {
		c.t.Fatalf("disposition %+v, want a rejection", d)
	}
	return r.Error
}
