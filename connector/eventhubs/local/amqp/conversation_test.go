package amqp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	goamqp "github.com/Azure/go-amqp"
)

// peer answers one connection of the official client, just so far that one
// message goes in, is settled, and comes back in two pieces.
type peer struct {
	r       *Reader
	w       net.Conn
	seen    []string
	message []byte
	// delivery is the message that is coming in; only its first frame says.
	delivery uint32
	// detached tells that the next detach is the answer to ours.
	detached bool
}

func (p *peer) send(frames ...*Frame) error {
	var out []byte
	for _, f := range frames {
		out = AppendFrame(out, f)
	}
	_, err := p.w.Write(out)
	return err
}

func (p *peer) header(want Protocol) error {
	got, err := p.r.ReadProtocolHeader()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("protocol %d, want %d", got, want)
	}
	_, err = p.w.Write(AppendProtocolHeader(nil, got))
	return err
}

func (p *peer) serve() error {
	if err := p.header(ProtocolSASL); err != nil {
		return err
	}
	if err := p.send(&Frame{Type: FrameSASL, Body: &SASLMechanisms{Mechanisms: []Symbol{"MSSBCBS", "ANONYMOUS"}}}); err != nil {
		return err
	}
	for {
		f, err := p.r.ReadFrame()
		if err != nil {
			return err
		}
		p.seen = append(p.seen, fmt.Sprintf("%T", f.Body))
		done, err := p.answer(&f)
		if done || err != nil {
			return err
		}
	}
}

func (p *peer) answer(f *Frame) (done bool, err error) {
	reply := &Frame{Channel: f.Channel}
	switch b := f.Body.(type) {
	case *SASLInit:
		if b.Mechanism != "ANONYMOUS" {
			return false, fmt.Errorf("mechanism %q", b.Mechanism)
		}
		if err := p.send(&Frame{Type: FrameSASL, Body: &SASLOutcome{}}); err != nil {
			return false, err
		}
		return false, p.header(ProtocolAMQP)
	case *Open:
		reply.Body = &Open{ContainerID: "peer", MaxFrameSize: new(uint32(65536)), ChannelMax: new(uint16(255)), IdleTimeout: new(uint32(60_000))}
	case *Begin:
		reply.Body = &Begin{RemoteChannel: &f.Channel, NextOutgoingID: 1, IncomingWindow: 5000, OutgoingWindow: 5000, HandleMax: new(uint32(255))}
	case *Attach:
		return false, p.attach(f.Channel, b)
	case *Flow:
		if b.Handle == nil || b.LinkCredit == nil || *b.LinkCredit == 0 || p.message == nil {
			return false, nil
		}
		first := &Transfer{Handle: *b.Handle, DeliveryID: new(uint32(0)), DeliveryTag: []byte("tag"), MessageFormat: new(uint32(0)), Settled: new(true), More: true}
		half := len(p.message) / 2
		message := p.message
		p.message = nil
		return false, p.send(
			&Frame{Channel: f.Channel, Body: first, Payload: message[:half]}, &Frame{},
			&Frame{Channel: f.Channel, Body: &Transfer{Handle: *b.Handle}, Payload: message[half:]})
	case *Transfer:
		p.message = append(p.message, f.Payload...)
		if b.DeliveryID != nil {
			p.delivery = *b.DeliveryID
		}
		if b.More {
			return false, nil
		}
		reply.Body = &Disposition{Role: RoleReceiver, First: p.delivery, Settled: true, State: Accepted{}}
	case *Detach:
		if p.detached {
			p.detached = false
			return false, nil
		}
		reply.Body = &Detach{Handle: b.Handle, Closed: true}
	case *End:
		reply.Body = &End{}
	case *Close:
		return true, p.send(&Frame{Body: &Close{}})
	default:
		return false, nil
	}
	return false, p.send(reply)
}

func (p *peer) attach(channel uint16, b *Attach) error {
	reply := *b
	reply.Role = !b.Role
	reply.MaxMessageSize = new(uint64(1 << 20))
	frames := []*Frame{{Channel: channel, Body: &reply}}
	if b.Role == RoleSender {
		frames = append(frames, &Frame{Channel: channel, Body: &Flow{
			NextIncomingID: new(uint32(0)), IncomingWindow: 5000, NextOutgoingID: 1, OutgoingWindow: 5000,
			Handle: &b.Handle, DeliveryCount: new(uint32(0)), LinkCredit: new(uint32(100)),
		}})
		return p.send(frames...)
	}
	if b.Source.Address == "refused" {
		reply.Source, p.detached = nil, true
		frames = append(frames, &Frame{Channel: channel, Body: &Detach{Handle: b.Handle, Closed: true, Error: &Error{
			Condition: ErrorLinkStolen, Description: "no", Info: Map{{Symbol("k"), "v"}},
		}}})
		return p.send(frames...)
	}
	filter, _ := b.Source.Filter.Get("apache.org:selector-filter:string")
	if d, ok := filter.(Described); !ok || d.Descriptor != uint64(0x468C00000004) || d.Value != "x > '1'" {
		return fmt.Errorf("filter %#v", filter)
	}
	if epoch, _ := b.Properties.Get("epoch"); epoch != int64(7) {
		return fmt.Errorf("properties %v", b.Properties)
	}
	reply.SenderSettleMode = new(SenderSettled)
	reply.InitialDeliveryCount = new(uint32(0))
	return p.send(frames...)
}

// The official client talks to our frames and is content with all of them.
func TestConversationWithOfficialClient(t *testing.T) {
	t.Parallel()
	client, server := net.Pipe()
	p := &peer{r: NewReader(server, 65536), w: server}
	served := make(chan error, 1)
	go func() {
		err := p.serve()
		served <- errors.Join(err, server.Close())
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := converse(ctx, client); err != nil {
		_ = client.Close()
		t.Fatalf("client: %v; server: %v after %v", err, <-served, p.seen)
	}
	if err := <-served; err != nil {
		t.Fatalf("%v after %v", err, p.seen)
	}
}

func converse(ctx context.Context, c net.Conn) error {
	conn, err := goamqp.NewConn(ctx, c, &goamqp.ConnOptions{SASLType: goamqp.SASLTypeAnonymous(), HostName: "host", Properties: map[string]any{"product": "test"}})
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	session, err := conn.NewSession(ctx, nil)
	if err != nil {
		return fmt.Errorf("session: %w", err)
	}
	sender, err := session.NewSender(ctx, "hub", nil)
	if err != nil {
		return fmt.Errorf("sender: %w", err)
	}
	if n := sender.MaxMessageSize(); n != 1<<20 {
		return fmt.Errorf("message size %d", n)
	}
	// More than a frame holds, so that it comes in several.
	want := bytes.Repeat([]byte("0123456789"), 10_000)
	if err := sender.Send(ctx, goamqp.NewMessage(want), nil); err != nil {
		return fmt.Errorf("send: %w", err)
	}
	_, err = session.NewReceiver(ctx, "refused", nil)
	var refused *goamqp.Error
	if !errors.As(err, &refused) || refused.Condition != "amqp:link:stolen" || refused.Description != "no" {
		return fmt.Errorf("refused as: %w", err)
	}
	receiver, err := session.NewReceiver(ctx, "hub", &goamqp.ReceiverOptions{
		Filters:    []goamqp.LinkFilter{goamqp.NewSelectorFilter("x > '1'")},
		Properties: map[string]any{"epoch": int64(7)},
	})
	if err != nil {
		return fmt.Errorf("receiver: %w", err)
	}
	m, err := receiver.Receive(ctx, nil)
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if !bytes.Equal(m.GetData(), want) {
		return fmt.Errorf("%d bytes came back", len(m.GetData()))
	}
	if err := session.Close(ctx); err != nil {
		return fmt.Errorf("end: %w", err)
	}
	return conn.Close()
}
